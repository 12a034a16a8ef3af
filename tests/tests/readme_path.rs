//! A newcomer's path: the shell blocks of README, "Serve for real", run as printed in one shell, from the keys to the first
//! credited deposit, a restart and an import into the running server. Two things are not as printed, and the test prints
//! them: the release build is left out, the programs being those of the test's own build, and the button of the payment page
//! is pressed by a request.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]
#![cfg(unix)]

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use cashier_tests::artifacts;
use cashier_tests::waiting::{WAIT_MAX, skipped};
use serde_json::Value;

/// Ports that the README names.
const PORTS: [u16; 4] = [8080, 8081, 8082, 8900];

/// The `sh` blocks of a section, in their order.
fn blocks(readme: &str, from: &str, to: &str) -> Vec<String> {
    let section = readme.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let begun = section.split("```sh\n").skip(1);
    begun.map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

/// What the shell prints of a command that failed.
const FAILED: &str = "line-failed with";

/// A shell that is given its lines one after another, as a person types them.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: PathBuf,
    steps: usize,
}

impl Shell {
    fn start(mut command: Command, folder: &Path, output: PathBuf) -> Self {
        let written = File::create(&output).unwrap();
        command.current_dir(folder).stdin(Stdio::piped()).stdout(written.try_clone().unwrap()).stderr(written);
        for variable in ["CASHIER_SETTINGS", "CASHIER_SESSION_KEYS", "CASHIER_SEAL_KEYS", "CASHIER_LOG"] {
            command.env_remove(variable);
        }
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // Each command that fails says so, also one before the last of its block or within a pipe.
        writeln!(input, "set -E -o pipefail; trap 'echo; echo \"{FAILED} $?: $BASH_COMMAND\"' ERR").unwrap();
        Self { child, input, output, steps: 0 }
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    /// Runs lines to their end, each of which must succeed, and returns what they printed.
    fn run(&mut self, lines: &str) -> String {
        self.try_run(lines).unwrap_or_else(|printed| panic!("{lines}\n{printed}"))
    }

    /// What was printed; an error where a line failed.
    fn try_run(&mut self, lines: &str) -> Result<String, String> {
        let before = self.output().len();
        self.steps += 1;
        let mark = format!("step-{}-ended", self.steps);
        write!(self.input, "{lines}\ncode=$?; echo; echo {mark} $code\n").unwrap();
        let begun = Instant::now();
        loop {
            let output = self.output();
            let printed = &output[before..];
            if let Some((lines, code)) = printed.split_once(&mark)
                && let Some((code, _)) = code.split_once('\n')
            {
                let succeeded = code.trim() == "0" && !lines.contains(FAILED);
                return if succeeded { Ok(lines.to_owned()) } else { Err(printed.to_owned()) };
            }
            assert!(begun.elapsed() < WAIT_MAX, "{lines}\n{printed}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // What it started ends with it.
        let _ = self.input.write_all(b"kill %1 %2; wait; exit\n");
        let _ = self.child.wait();
    }
}

/// A shell whose loopback interface is its own where that is allowed; otherwise one on this machine's, if the ports are free.
fn shell() -> Result<Command, String> {
    // As root alone: another user would see the folders above as nobody's, which the cashier refuses.
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let own_network = ["-n", "sh", "-c", "ip link set lo up"];
    if is_root && Command::new("unshare").args(own_network).status().is_ok_and(|status| status.success()) {
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", "ip link set lo up && exec bash"]);
        return Ok(command);
    }
    match PORTS.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()) {
        Some(port) => Err(format!("port {port} is in use")),
        None => Ok(Command::new("bash")),
    }
}

/// The JSON object with this field among those that were printed, one after another.
fn json_with(printed: &str, field: &str) -> Value {
    let objects = printed.find('{').map_or("", |begin| &printed[begin..]);
    let mut values = serde_json::Deserializer::from_str(objects).into_iter::<Value>().map_while(Result::ok);
    values.find(|value| value.get(field).is_some()).unwrap_or_else(|| panic!("no {field}: {printed}"))
}

#[test]
fn n10_the_path_of_the_readme_leads_to_a_credited_deposit_and_through_a_restart() {
    for tool in ["bash", "curl"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return skipped(&format!("no {tool}"));
        }
    }
    let command = match shell() {
        Ok(command) => command,
        Err(why) => return skipped(&why),
    };
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let blocks = blocks(&readme, "### Serve for real", "### Try it with your provider");
    let [build, keys, settings, plugins, roster, start, pay, restart] = blocks.as_slice() else {
        panic!("the blocks of the README: {blocks:#?}");
    };

    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("cashier");
    std::fs::create_dir_all(repository.join("target")).unwrap();
    let built = artifacts::cashier().parent().unwrap().to_owned();
    std::os::unix::fs::symlink(&built, repository.join("target/release")).unwrap();
    let (release, placed) = build.split_once('\n').unwrap();
    assert!(release.starts_with("cargo build --release "), "{release}");
    println!("left out: {release}\ntarget/release is {}", built.display());
    let placed = placed.replace(".so", std::env::consts::DLL_SUFFIX);

    let mut shell = Shell::start(command, &repository, folder.path().join("output"));
    for block in [&placed, keys, settings, plugins, roster] {
        shell.run(block);
    }
    let started = shell.run(start);
    assert!(started.contains("accounts: 1 added") && started.contains("sandbox      ready"), "{started}");

    let (deposit, list) = pay.split_once("# open the redirect_url").unwrap();
    let list = list.split_once('\n').unwrap().1;
    let printed = shell.run(deposit);
    let page = json_with(&printed, "redirect_url")["redirect_url"].as_str().unwrap().to_owned();
    println!("the button Pay is pressed at {page}");
    shell.run(&format!("curl -sf -X POST -H 'accept: application/json' {page}/pay"));
    let credited = |shell: &mut Shell, lines: &str| {
        let printed = shell.run(lines);
        let row = json_with(&printed, "rows")["rows"][0].clone();
        (row["status"].as_u64(), row["amount"].to_string(), row["id"].as_u64())
    };
    let begun = Instant::now();
    while credited(&mut shell, list).0 != Some(3) {
        assert!(begun.elapsed() < WAIT_MAX, "the deposit is credited: {}", shell.output());
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = credited(&mut shell, list);
    assert_eq!(before.1, "25.5");

    assert_eq!(credited(&mut shell, restart), before, "the restart changes nothing");
    let output = shell.output();
    assert!(
        output.contains("accounts: 0 added, 0 updated, 1 unchanged"),
        "the import into the running server: {output}"
    );
    let keys = std::fs::read_to_string(folder.path().join("cashier-site/session.key")).unwrap();
    assert!(!output.contains(keys.trim().split_once(':').unwrap().1), "no key is printed");
    let log = std::fs::read_to_string(folder.path().join("cashier-site/cashier.log")).unwrap();
    // A newcomer has no proxy yet and saves credentials: the hint about one, and the record of the others, are no faults.
    let warned = |line: &&str| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
    let warnings: Vec<&str> = log
        .lines()
        .filter(warned)
        .filter(|line| !line.contains("trusted_proxies") && !line.contains("\"security\""))
        .collect();
    assert!(warnings.is_empty(), "nothing else to warn about: {warnings:?}");
}

#[test]
fn n10_a_line_that_fails_is_seen_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    if Command::new("bash").arg("--version").output().is_err() {
        return skipped("no bash");
    }
    let mut shell = Shell::start(Command::new("bash"), folder.path(), folder.path().join("output"));
    let well = "mkdir one\nuntil mkdir one/two; do sleep 1; done\nfalse || echo fine\nsleep 60 &";
    assert!(shell.run(well).contains("fine"));
    for fails in ["false", "mkdir one\ntrue", "made=$(cat nothing)\ntrue", "cat nothing | sort\ntrue", "(exit 3)\ntrue"]
    {
        let printed = shell.try_run(fails).unwrap_err();
        assert!(printed.contains(FAILED), "{fails}: {printed}");
    }
    shell.run("true");
}
