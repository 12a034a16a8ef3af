//! What an operator can rely on to learn what happened: security events that no stalled reader loses, texts that no terminal
//! obeys, card data that is not stored, and modules that do not work said where people and supervisors look.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use cashier_core::printable::is_obeyed;
use cashier_core::session::Role;
use cashier_tests::cashier_process::{CashierProcess, run};
use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::http::Http;
use cashier_tests::raw_http::exchange;
use cashier_tests::waiting::{WAIT_MAX, eventually};
use cashier_tests::{artifacts, roster};
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn k8_card_data_is_refused_and_stored_nowhere_and_an_order_id_that_looks_like_it_is_accepted() {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    let customer = deployment.customer();
    let sandbox = |more: &[(&str, &str)]| {
        let mut order = order("sandbox", "25.0");
        more.iter().for_each(|(field, text)| order[*field] = (*text).into());
        order
    };
    for (field, text) in [
        ("comment", "4111 1111 1111 1111"),
        ("comment", "3782-822463-10005"),
        ("metadata_json", r#"{"cvv":"123"}"#),
        ("metadata_json", r#"{"card":[{"Security-Code":"123"}]}"#),
        ("metadata_json", r#"{"note":"4111-1111-1111-1111"}"#),
    ] {
        let answer = customer.deposit(&sandbox(&[(field, text)])).await;
        let body = answer.text();
        assert_eq!(answer.status, 400, "{field} {text}: {body}");
        assert!(body.contains(field) && body.contains("card data"), "{body}");
        assert!(!body.contains("1111") && !body.contains("10005") && !body.contains("123"), "{body}");
    }
    let accepted = [("metadata_json", r#"{"order":"4111111111111111"}"#), ("comment", "order 1234567812345670")];
    let made = customer.deposit(&sandbox(&accepted)).await.expect_ok();
    assert_eq!(made["transaction"]["comment"], "order 1234567812345670");
    let listed = customer.transactions("").await.expect_ok();
    assert_eq!(listed["count"], 1, "{listed}");
}

/// A cashier whose standard error nobody reads until the test does.
struct Unread {
    child: Child,
    watch: String,
    customer: String,
    manager: String,
}

impl Unread {
    fn start(folder: &std::path::Path, level: &str) -> Self {
        let mut child = Command::new(artifacts::cashier())
            .args(["serve", "--settings", "cashier.toml"])
            .current_dir(folder)
            .env("CASHIER_LOG", level)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let mut address = || {
            let line = lines.next().unwrap().unwrap();
            let (_, address) = line.split_once("http://").unwrap();
            format!("http://{}", address.split('/').next().unwrap())
        };
        let (customer, manager, watch) = (address(), address(), address());
        Self { child, watch, customer, manager }
    }

    async fn metric(&self, name: &str) -> u64 {
        let page = Http::new().get(&format!("{}/metrics", self.watch), &[]).await.text();
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap();
        line.parse().unwrap()
    }

    /// Ends it, and returns what it wrote to standard error since its start.
    fn read_to_the_end(mut self) -> String {
        let mut stderr = self.child.stderr.take().unwrap();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success() && self.child.wait().unwrap().success());
        reading.join().unwrap().unwrap()
    }
}

fn sandbox_config(method: &str) -> Value {
    json!({"command": "MngAddCashierProviderConfig", "data": {
        "provider": "sandbox", "brand": "ion4", "method": method, "currency": "USD", "sandbox": 1, "secret_key": "canary-of-k7",
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn k7_a_stalled_reader_of_the_log_gets_every_security_event_and_the_count_of_what_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    let token = process.token(Role::Manager, 1);
    let unread = Unread::start(folder.path(), "trace");
    let http = Http::new();
    let save = async |method: &str| {
        let (url, headers) = (format!("{}/manager", unread.manager), [("authorization", &*token)]);
        http.post(&url, &headers, sandbox_config(method).to_string()).await.expect_ok();
    };
    save("before").await;
    // Anonymous requests until lines are lost, and then as many again.
    let anonymous = async || {
        for _ in 0..200 {
            http.get(&format!("{}/cashier/transactions", unread.customer), &[]).await;
        }
    };
    while unread.metric("cashier_log_lines_lost").await == 0 {
        anonymous().await;
    }
    save("meanwhile").await;
    anonymous().await;
    save("after").await;
    let text = unread.read_to_the_end();
    // Those that the reader let wait for long are in the file, one that was being written meanwhile in both.
    let kept = std::fs::read_to_string(folder.path().join("var").join("security.log")).unwrap_or_default();
    let all: BTreeSet<&str> = text.lines().chain(kept.lines()).collect();
    let lines: Vec<Value> = all.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), all.len(), "every line is whole");
    let of = |name: &str, value: &str| lines.iter().filter(|line| line[name] == value).collect::<Vec<_>>();
    let saved = of("event", "config_saved");
    assert_eq!(saved.len(), 3, "{saved:?}");
    assert!(saved.iter().all(|line| line["fields"].as_str().unwrap().contains("secret_key")), "{saved:?}");
    assert_eq!(of("event", "credentials_set").len(), 3);
    assert_eq!(of("event", "audit_recorded").len(), 3);
    assert!(!of("event", "module_loaded").is_empty());
    let lost: u64 = of("target", "log").iter().map(|line| line["lines"].as_u64().unwrap()).sum();
    assert!(lost > 0 && !text.contains("canary-of-k7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn k7_a_server_whose_output_is_one_full_pipe_that_nobody_reads_starts_serves_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    let addresses = process.start().await;
    assert_eq!(process.terminate().await, Some(0));
    let file = folder.path().join("cashier.toml");
    let settings = [addresses.customer, addresses.manager, addresses.watch]
        .iter()
        .fold(std::fs::read_to_string(&file).unwrap(), |settings, address| {
            settings.replacen("127.0.0.1:0", &address.to_string(), 1)
        });
    let serve = |settings: &str| {
        std::fs::write(&file, settings).unwrap();
        let (unread, mut full) = std::io::pipe().unwrap();
        full.write_all(&vec![b'\n'; 64 * 1024]).unwrap();
        let child = tokio::process::Command::new(artifacts::cashier())
            .args(["serve", "--settings", "cashier.toml"])
            .current_dir(folder.path())
            .stdout(full.try_clone().unwrap())
            .stderr(full)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        (unread, child)
    };
    let (_unread, mut child) = serve(&settings);
    let http = Http::new();
    eventually("listeners", async || tokio::net::TcpStream::connect(addresses.watch).await.ok()).await;
    eventually("readiness", async || (readyz(addresses.watch, "").await.0 == 200).then_some(())).await;
    let token = process.token(Role::Manager, 1);
    let (url, headers) = (format!("http://{}/manager", addresses.manager), [("authorization", &*token)]);
    http.post(&url, &headers, sandbox_config("card").to_string()).await.expect_ok();
    let kept = || std::fs::read_to_string(folder.path().join("var").join("security.log")).unwrap_or_default();
    eventually("the event is on disk", async || kept().contains("config_saved").then_some(())).await;
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = tokio::time::timeout(WAIT_MAX, child.wait()).await.expect("the server ends by itself");
    assert_eq!(ended.unwrap().code(), Some(0));
    // One that does not start ends too, with its reason unread.
    let (_unread, mut child) = serve("nothing = 1\n");
    let ended = tokio::time::timeout(WAIT_MAX, child.wait()).await.expect("the server ends by itself");
    assert_eq!(ended.unwrap().code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn k9_what_a_terminal_would_obey_is_escaped_in_the_log_and_refused_in_codes() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    let addresses = process.start().await;
    let url = format!("http://{}", addresses.customer);
    let card = "/cashier/4111%201111%201111%201111";
    for path in ["/a\u{202e}b\u{9b}31m", "/cashier/webhook/stripe\u{202e}", "/cashier/webhook/a\u{85}b/1", card] {
        exchange(
            &url,
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").as_bytes(),
        )
        .await;
    }
    let manager = Http::new();
    for code in ["a\u{202e}b", "a\u{9b}b", "a\u{2066}b"] {
        for field in ["provider", "brand", "method", "currency"] {
            let mut save = sandbox_config("card");
            save["data"][field] = code.into();
            let headers = [("authorization", &*process.token(Role::Manager, 1))];
            let answer =
                manager.post(&format!("http://{}/manager", addresses.manager), &headers, save.to_string()).await;
            assert_eq!(answer.status, 400, "{field} {code:?}: {}", answer.text());
            assert!(!answer.text().chars().any(is_obeyed));
        }
    }
    eventually("the access lines are written", async || {
        (process.log().matches("\"access\"").count() >= 16).then_some(())
    })
    .await;
    assert_eq!(process.terminate().await, Some(0));
    let log = process.log();
    assert!(log.contains("\\u202e") && log.contains("\\u009b"), "{log}");
    assert!(!log.chars().any(|sign| is_obeyed(sign) && sign != '\n'), "{log}");
    assert!(log.contains("/cashier/4111%2011**%20****%201111") && !log.contains(card), "{log}");
}

#[test]
fn k9_what_is_wrong_with_a_command_line_is_shown_escaped() {
    let mistyped = ["token", "--role", "customer", "--id", "5", "--brand", "io\u{202e}n4"];
    let ended = Command::new(artifacts::cashier()).args(mistyped).output().unwrap();
    let shown = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(2), 0), "{shown}");
    assert!(shown.contains("io\\u{202e}n4") && !shown.contains(|sign| is_obeyed(sign) && sign != '\n'), "{shown}");
    let help = Command::new(artifacts::cashier()).args(["token", "--help"]).output().unwrap();
    assert_eq!((help.status.code(), help.stderr.len()), (Some(0), 0));
}

/// A folder whose plugins.toml is this one.
async fn with_plugins(plugins: &str) -> (TempDir, CashierProcess) {
    let folder = tempfile::tempdir().unwrap();
    let process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    std::fs::write(folder.path().join("plugins.toml"), plugins).unwrap();
    (folder, process)
}

async fn readyz(watch: std::net::SocketAddr, query: &str) -> (u16, String) {
    let answer = Http::new().get(&format!("http://{watch}/readyz{query}"), &[]).await;
    (answer.status, answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn n6_every_module_refused_makes_the_server_unready_and_the_listing_fail() {
    let (folder, mut process) = with_plugins("[[module]]\nfile = \"missing.so\"\n").await;
    let listed = run(folder.path(), &["modules", "-s", "cashier.toml"]).await;
    assert_eq!(listed.code, Some(1), "{listed:?}");
    assert!(listed.out.contains("missing      refused  ") && listed.err.contains("refused: missing"), "{listed:?}");
    let addresses = process.start().await;
    let (status, text) = readyz(addresses.watch, "").await;
    assert!(status == 503 && text.contains("module missing is refused: "), "{status} {text}");
    // The log has a thread of its own.
    eventually("the log names it", async || process.log().contains("module_refused").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i15_a_misspelt_field_of_a_module_is_said_by_readyz_the_log_and_the_exit_code() {
    let sandbox = artifacts::module("sandbox");
    let (good, misspelt) =
        (format!("[[module]]\nfile = {sandbox:?}\n"), "[[module]]\nname = \"stripe\"\nallow_host = []\n");
    let (folder, mut process) = with_plugins(&format!("{good}{misspelt}")).await;
    let listed = run(folder.path(), &["modules", "-s", "cashier.toml"]).await;
    assert!(listed.code == Some(1) && listed.out.contains("ready"), "{listed:?}");
    assert!(listed.out.contains("allow_host") && listed.err.contains("refused: stripe"), "{listed:?}");
    let addresses = process.start().await;
    let (status, text) = readyz(addresses.watch, "?verbose").await;
    assert!(status == 200 && text.contains("module stripe is refused: ") && text.contains("allow_host"), "{text}");
    let is_logged = |log: &str| log.contains("module_refused") && log.contains("allow_host");
    eventually("the log names it", async || is_logged(&process.log()).then_some(())).await;
    std::fs::write(folder.path().join("plugins.toml"), good).unwrap();
    assert_eq!(run(folder.path(), &["modules", "-s", "cashier.toml"]).await.code, Some(0));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn n7_a_command_that_cannot_write_what_it_found_fails() {
    let folder = tempfile::tempdir().unwrap();
    CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    let commands: [&[&str]; 8] = [
        &["--help"],
        &["--version"],
        &["trading", "import", "--help"],
        &["token", "--role", "customer", "--id", "5", "-s", "cashier.toml"],
        &["modules", "-s", "cashier.toml"],
        &["schema"],
        &["schema", "deposit.request"],
        &["trading", "accept", "-s", "cashier.toml"],
    ];
    for command in commands {
        assert_eq!(run(folder.path(), command).await.code, Some(0), "{command:?}");
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut program = Command::new(artifacts::cashier());
        let output =
            program.args(command).current_dir(folder.path()).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(error.contains("standard output could not be written"), "{command:?}: {error}");
    }
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut program = Command::new(artifacts::cashier());
    program.args(["token", "--role", "customer", "--id", "5", "--show-jti", "-s", "cashier.toml"]);
    let status = program.current_dir(folder.path()).stdout(Stdio::null()).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1), "the name of the token is lost");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn n9_a_start_removes_its_own_drafts_and_copies_that_nothing_uses_and_nothing_else() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    process.start().await;
    assert_eq!(process.terminate().await, Some(0));
    let modules = folder.path().join("var/modules");
    let names = || {
        let entries = std::fs::read_dir(&modules).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let of_living = names();
    let dead = format!("{}{}", "d".repeat(64), std::env::consts::DLL_SUFFIX);
    for name in [".draft-4711", &dead, "notes.txt"] {
        std::fs::write(modules.join(name), "left behind").unwrap();
        std::fs::set_permissions(modules.join(name), PermissionsExt::from_mode(0o500)).unwrap();
    }
    assert!(!of_living.is_empty() && names().len() == of_living.len() + 3);
    process.start().await;
    assert_eq!(process.terminate().await, Some(0));
    let mut expected = of_living;
    expected.push("notes.txt".into());
    expected.sort();
    assert_eq!(names(), expected);
}

/// Every command that works on the databases of a stopped server, and those of them that read alone.
const ON_DATABASES: [&[&str]; 7] = [
    &["db", "reconcile"],
    &["db", "reconcile", "--apply"],
    &["reseal"],
    &["reseal", "--check"],
    &["customer", "erase", "5"],
    &["trading", "import", "roster.json"],
    &["trading", "accept"],
];
const READING: [&[&str]; 1] = [&["audit", "verify"]];

/// The files of `bases` but SQLite's index of the log, each with a hash of its content.
fn content(bases: &std::path::Path) -> Vec<(std::ffi::OsString, u64)> {
    let files = std::fs::read_dir(bases).unwrap().map(|file| file.unwrap());
    let mut files: Vec<_> = files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect();
    files.retain(|(name, bytes)| !name.to_string_lossy().ends_with("-shm") && !bytes.is_empty());
    files.sort();
    let hash = |bytes: &[u8]| {
        std::hash::BuildHasher::hash_one(&std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default(), bytes)
    };
    files.into_iter().map(|(name, bytes)| (name, hash(&bytes))).collect()
}

/// A stopped server with a database that a program of another release left.
async fn of_release(folder: &std::path::Path, file: &str, version: u32) -> CashierProcess {
    let mut process = CashierProcess::prepare(folder, &[], &roster::standard()).await;
    process.start().await;
    assert_eq!(process.terminate().await, Some(0));
    let other = rusqlite::Connection::open(folder.join("bases").join(file)).unwrap();
    other.pragma_update(None, "user_version", version).unwrap();
    other.close().unwrap();
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_refuses_databases_of_a_newer_one_by_name() {
    for file in ["cashier.db", "trading.db"] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = of_release(folder.path(), file, 9999).await;
        let before = content(&folder.path().join("bases"));
        for command in ON_DATABASES.into_iter().chain(READING) {
            if file == "cashier.db" || matches!(command[0], "db" | "trading") {
                let run = run(folder.path(), &[command, &["-s", "cashier.toml"]].concat()).await;
                assert_eq!(run.code, Some(1), "{command:?} {file}: {}", run.err);
                assert!(run.err.contains(file) && run.err.contains("9999"), "{command:?} {file}: {}", run.err);
                assert!(run.err.contains("start a newer program"), "{command:?} {file}: {}", run.err);
                assert_eq!(content(&folder.path().join("bases")), before, "{command:?} {file}");
            }
        }
        assert_eq!(process.start_and_end().await.code(), Some(1));
        let log = process.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(
            last.contains(file) && last.contains("9999") && last.contains("start a newer program"),
            "{file}: {last}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let mut process = CashierProcess::prepare(folder.path(), &[], &roster::standard()).await;
    let newer = rusqlite::Connection::open(folder.path().join("bases/trading.db")).unwrap();
    newer.pragma_update(None, "user_version", 9999).unwrap();
    newer.close().unwrap();
    assert_eq!(process.start_and_end().await.code(), Some(1));
    assert!(!folder.path().join("bases/cashier.db").exists(), "none is made or brought up to date beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_but_serve_brings_a_database_up_to_date() {
    for (file, version) in [("cashier.db", 9), ("trading.db", 2)] {
        let folder = tempfile::tempdir().unwrap();
        let _process = of_release(folder.path(), file, version).await;
        let before = content(&folder.path().join("bases"));
        for command in ON_DATABASES {
            if file == "cashier.db" || matches!(command[0], "db" | "trading") {
                let run = run(folder.path(), &[command, &["-s", "cashier.toml"]].concat()).await;
                assert_eq!(run.code, Some(1), "{command:?} {file}: {}", run.err);
                assert!(
                    run.err.contains(file) && run.err.contains("start the server once"),
                    "{command:?}: {}",
                    run.err
                );
                assert_eq!(content(&folder.path().join("bases")), before, "{command:?} {file}");
            }
        }
    }
}
