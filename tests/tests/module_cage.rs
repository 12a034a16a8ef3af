//! Modules that are refused before they may do anything: what their records differ in, what their constructors reach for in
//! the probe. Modules that serve are tested in `modules`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use cashier_host::ports::CatalogLine;
use cashier_provider_sdk::export::SDK_VERSION;
use cashier_tests::artifacts;
use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::plugin_host::{PluginHost, module_file};
use cashier_tests::waiting::eventually;

const PROBE: &str = env!("CARGO_BIN_EXE_module_probe");

fn refused(name: &str) -> String {
    let host = PluginHost::open(PROBE, &format!("[[module]]\nname = \"{name}\"\n[[module]]\nname = \"echo\"\n"));
    assert!(host.line("echo").available, "others are unaffected");
    let line = host.line(name);
    assert!(!line.available);
    line.failure_reason.into()
}

fn cure() -> String {
    format!(
        "it was built with cashier-provider-sdk {SDK_VERSION}, this host has {SDK_VERSION}: rebuild it against \
         cashier-provider-sdk {SDK_VERSION}"
    )
}

#[test]
fn c3_a_module_whose_header_says_that_its_layout_is_not_to_be_checked_is_refused() {
    let expected = format!("its header says that its layout is not to be checked; {}", cure());
    assert_eq!(refused("unchecked_layout"), expected);
}

#[test]
fn c6_a_record_that_differs_is_one_line_with_record_field_versions_and_cure() {
    assert_eq!(refused("grown_record"), format!("its record OrderV1 has the field coupon more; {}", cure()));
    assert_eq!(refused("changed_record"), format!("its record DescriptorV1 lacks the field name; {}", cure()));
}

/// A copy of the module `reaches_out` that does `action` in the probe.
fn reaching_file(folder: &Path, action: &str) -> PathBuf {
    let mut bytes = fs::read(module_file("reaches_out")).unwrap();
    let mark = b"reaches-out:    ";
    let at = bytes.windows(mark.len()).position(|window| window == mark).expect("the action in the file");
    let start = at + mark.len() - 4;
    assert!(action.len() < 140);
    bytes[start..start + action.len()].copy_from_slice(action.as_bytes());
    fs::write(folder.join("reaches.so"), bytes).unwrap();
    folder.join("reaches.so")
}

/// Loads it.
fn reaching(folder: &Path, action: &str) -> CatalogLine {
    reaching_under(PROBE, folder, action)
}

/// Loads it with this probe.
fn reaching_under(probe: &str, folder: &Path, action: &str) -> CatalogLine {
    let file = reaching_file(folder, action);
    let host = PluginHost::open(probe, &format!("[[module]]\nfile = \"{}\"\n", file.display()));
    host.line("reaches")
}

#[test]
fn c5_what_a_constructor_reads_or_writes_in_the_probe_fails_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, new) = (folder.path().join("session.key"), folder.path().join("new"));
    fs::write(&secret, "canary").unwrap();
    let at = |what: &str, path: &Path| format!("{what} {}", path.display());
    for action in ["environment", "memory", "owner", &at("read", &secret), &at("write", &new), &at("append", &secret)] {
        let line = reaching(folder.path(), action);
        assert!(line.available, "{action} failed in the probe, which then went on: {}", line.failure_reason);
    }
    assert!(!new.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn c5_a_constructor_cannot_read_the_folder_of_the_program_whatever_it_is_called() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("shop.software");
    fs::create_dir(&folder).unwrap();
    fs::copy(PROBE, folder.join("cashier")).unwrap();
    fs::write(folder.join("session.key"), "canary").unwrap();
    let probe = folder.join("cashier").display().to_string();
    let line = reaching_under(&probe, parent.path(), &format!("read {}/session.key", folder.display()));
    assert!(line.available, "it failed in the probe, which then went on: {}", line.failure_reason);
}

#[test]
fn c5_a_constructor_that_changes_files_connects_or_starts_a_process_is_refused_and_does_not_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, new) = (folder.path().join("file"), folder.path().join("new"));
    fs::write(&file, "content").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = |what: &str, path: &Path| format!("{what} {}", path.display());
    let daemon = format!("process setsid sh -c 'echo left > {}' &", new.display());
    let connect = format!("connect {}", listener.local_addr().unwrap());
    for action in [&*at("remove", &file), &at("rename", &file), &at("folder", &new), &connect, "datagram", &daemon] {
        let line = reaching(folder.path(), action);
        let expected = "opening it ended the probe process with SIGSYS: its constructor tried to start a process, ";
        assert!(line.failure_reason.starts_with(expected), "{action}: {}", line.failure_reason);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "content");
    assert!(!new.exists() && listener.accept().is_err());
}

#[test]
fn c4_a_constructor_that_prints_an_answer_and_exits_does_not_know_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let line = reaching(folder.path(), "mark");
    assert_eq!(&*line.failure_reason, "opening it ended the probe process with exit code 0 and no answer");
}

#[cfg(target_os = "linux")]
#[test]
fn c5_a_constructor_has_no_file_that_the_cashier_was_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let _settings = CashierProcess::without_roster(folder.path(), &[]);
    let (left, file) = (folder.path().join("left"), reaching_file(folder.path(), "inherited 9"));
    fs::write(folder.path().join("plugins.toml"), format!("[[module]]\nfile = {file:?}\n")).unwrap();
    let command = format!("{} modules -s cashier.toml 9>>left", artifacts::cashier().display());
    let listed = Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&listed.stdout), String::from_utf8_lossy(&listed.stderr));
    assert!(out.contains("reaches_out  ready"), "it failed in the probe, which then went on: {out}{err}");
    assert_eq!(fs::read_to_string(left).unwrap(), "");
}

/// The probe of this module file, once it runs.
#[cfg(target_os = "linux")]
fn probe_of(file: &Path) -> Option<PathBuf> {
    let path = file.display().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.into_iter().find(|process| {
        let line = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        line.contains("module-probe") && line.contains(&path)
    })
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn c5_the_probe_has_the_limits_that_it_says_and_none_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let _settings = CashierProcess::without_roster(folder.path(), &[]);
    let file = reaching_file(folder.path(), "sleep");
    fs::write(folder.path().join("plugins.toml"), format!("[[module]]\nfile = {file:?}\n")).unwrap();
    let mut command = Command::new(artifacts::cashier());
    command.args(["modules", "-s", "cashier.toml"]).env("CASHIER_SEAL_KEYS", "1:canary").current_dir(folder.path());
    let listing = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let inside = |process: &Path| fs::read_to_string(process.join("status")).is_ok_and(|it| it.contains("Seccomp:\t2"));
    let process = eventually("the cage", async || probe_of(&file).filter(|process| inside(process))).await;
    let read = |name: &str| fs::read_to_string(process.join(name)).unwrap();
    assert!(!read("environ").contains("canary"));
    assert_eq!(read("oom_score_adj").trim(), "1000");
    let status = read("status");
    for line in ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let limits = read("limits").split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "Max cpu time 5 6 seconds",
        "Max file size 1048576 1048576 bytes",
        "Max core file size 0 0 bytes",
        "Max open files 64 64 files",
        "Max address space 2147483648 2147483648 bytes",
    ] {
        assert!(limits.contains(line), "{line}: {limits}");
    }
    // Its session is its own: after the name in brackets come state, parent, group and session.
    let (stat, pid) = (read("stat"), process.file_name().unwrap().to_string_lossy().into_owned());
    let after: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!((after[2], after[3]), (&*pid, &*pid), "{stat}");
    let files: Vec<String> =
        fs::read_dir(process.join("fd")).unwrap().map(|it| it.unwrap().file_name().to_string_lossy().into()).collect();
    assert!(["0", "1", "2"].iter().all(|file| files.contains(&(*file).to_owned())) && files.len() <= 5, "{files:?}");
    let listed = tokio::task::spawn_blocking(|| listing.wait_with_output()).await.unwrap().unwrap();
    let out = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(out.contains("refused  opening it did not end within 10 s"), "{out}");
    assert!(!process.exists(), "it was killed");
}

#[test]
fn c5_cashier_modules_opens_no_module_in_its_own_process_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let _settings = CashierProcess::without_roster(folder.path(), &[]);
    let listed = |names: &[&str]| -> String {
        names.iter().map(|name| format!("[[module]]\nfile = {:?}\n", module_file(name))).collect()
    };
    let further = "[[module]]\nname = \"twice\"\nfile = ".to_owned() + &format!("{:?}\n", module_file("echo"));
    let off = format!("[[module]]\nname = \"off\"\nenabled = false\nfile = {:?}\n", module_file("sleeps"));
    let text = listed(&["ends_process", "hangs_in_host", "grown_record", "echo"]) + &further + &off;
    fs::write(folder.path().join("plugins.toml"), text).unwrap();
    let mut command = Command::new(artifacts::cashier());
    // What aborts where it is opened outside the probe.
    command.args(["modules", "-s", "cashier.toml"]).env("ENDS_WHEN_OPENED", "abort");
    let listed = command.current_dir(folder.path()).output().unwrap();
    let out = String::from_utf8_lossy(&listed.stdout);
    assert_eq!(listed.status.code(), Some(1), "two of the enabled are refused: {out}");
    let lines: Vec<&str> = out.lines().collect();
    let [ends, hangs, grown, echo, twice, off] = lines[..] else { panic!("{out}") };
    assert!(ends.starts_with("ends_process ready    contract 1  Ends its process"), "{ends}");
    assert!(hangs.starts_with("hangs_in_host ready"), "{hangs}");
    assert!(grown.contains("refused  its record OrderV1 has the field coupon more"), "{grown}");
    assert!(echo.starts_with("echo         ready"), "{echo}");
    assert!(twice.contains("refused  its provider code \"echo\" is already served by module "), "{twice}");
    assert!(off.contains("refused  plugins.toml disables it"), "{off}");
    assert!(!folder.path().join("var").exists(), "its copies would belong to whoever ran the command");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn c4_a_destructor_that_never_returns_does_not_hold_up_the_end_of_the_cashier() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::without_roster(folder.path(), &[]);
    let list = folder.path().join("plugins.toml");
    let listed = fs::read_to_string(&list).unwrap();
    let file = reaching_file(folder.path(), "hang");
    fs::write(list, format!("{listed}\n[[module]]\nname = \"reaches_out\"\nfile = {file:?}\n")).unwrap();
    process.start().await;
    let opened = "\"module\":\"reaches_out\",\"code\":\"reaches_out\"";
    eventually("the module to be open", async || process.log().contains(opened).then_some(())).await;
    assert_eq!(process.terminate().await, Some(0));
}

/// A cashier that has been started once, and whose next start lists a module that hangs when the cashier opens it.
#[cfg(target_os = "linux")]
async fn with_a_hanging_module(folder: &Path) -> CashierProcess {
    let mut process = CashierProcess::without_roster(folder, &[]);
    process.start().await;
    assert_eq!(process.terminate().await, Some(0));
    let list = folder.join("plugins.toml");
    let listed = fs::read_to_string(&list).unwrap();
    // In front of the others: they are opened after it.
    let hanging = format!("[[module]]\nfile = \"{}\"\n", module_file("hangs_in_host").display());
    fs::write(list, listed.replacen("[[module]]", &format!("{hanging}\n[[module]]"), 1)).unwrap();
    process
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn c4_a_constructor_that_hangs_in_the_cashier_costs_its_own_module_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = with_a_hanging_module(folder.path()).await;
    process.begin();
    eventually("the other modules to be open", async || {
        let log = process.log();
        let refused = log.find("it did not open within 5 s")?;
        let others = |module: &str| log.get(refused..).is_some_and(|rest| rest.contains(module));
        (others("\"module\":\"stripe\"") && others("cashier started")).then_some(())
    })
    .await;
    assert_eq!(process.terminate().await, Some(0));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn c4_a_signal_ends_a_start_while_a_constructor_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = with_a_hanging_module(folder.path()).await;
    process.begin();
    eventually("the module to be opened", async || process.log().contains("hangs_in_host\",\"sha256").then_some(()))
        .await;
    assert_eq!(process.terminate().await, Some(0));
    assert!(!process.log().contains("it did not open"), "the signal came first");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn c5_a_running_cashier_leaves_no_core() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::without_roster(folder.path(), &[]);
    process.start().await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(process.terminate().await, Some(0));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn c5_memory_and_environment_of_a_running_cashier_belong_to_root_whoever_runs_it() {
    use std::os::unix::{fs::MetadataExt, process::CommandExt};
    let folder = tempfile::tempdir().unwrap();
    let _settings = CashierProcess::without_roster(folder.path(), &[]);
    let log = fs::File::create(folder.path().join("cashier.log")).unwrap();
    let mut command = Command::new(artifacts::cashier());
    command.args(["serve", "-s", "cashier.toml"]).current_dir(folder.path()).stderr(log);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let given = Command::new("chown").args(["-R", "65534:65534"]).arg(folder.path()).status();
        assert!(given.unwrap().success());
        command.uid(65_534).gid(65_534);
    }
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let read = || fs::read_to_string(folder.path().join("cashier.log")).unwrap();
    eventually("the start", async || read().contains("cashier started").then_some(())).await;
    let owner = |file: &str| fs::metadata(format!("/proc/{}/{file}", child.id())).unwrap().uid();
    assert_eq!((owner("environ"), owner("mem")), (0, 0));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(read().contains("module loaded"), "opened by descriptor: {}", read());
}
