//! `cargo xtask COMMAND`: the commands of daily work, each a list of cargo calls that are printed before they run.
//! It is no build system: every call can be typed by hand, and `.ci/run` does not use it.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Name, what it does, and the cargo calls in order; arguments of the person go to the last one.
const TASKS: &[(&str, &str, &[&[&str]])] = &[
    (
        "dev",
        "build everything, run the demo and keep serving (` --exit` stops after the deposit)",
        &[&["build", "--workspace"], &["run", "--bin", "cashier", "--", "demo"]],
    ),
    ("test", "build everything, run all tests", &[&["build", "--workspace"], &["test", "--workspace"]]),
    (
        "test-fast",
        "the tests of the core and the provider SDK; builds neither the host nor a provider",
        &[&[
            "test",
            "-p",
            "cashier-core",
            "-p",
            "cashier-provider-abi",
            "-p",
            "cashier-provider-sdk",
            "-p",
            "cashier-provider-testing",
        ]],
    ),
    (
        "lint",
        "what CI checks besides tests: formatting, clippy, licenses and sources of dependencies",
        &[
            &["fmt", "--all", "--check"],
            &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
            &["deny", "check", "bans", "licenses", "sources"],
        ],
    ),
    (
        "bench",
        "measure (` --quick` takes a minute, ` --list` names the figures)",
        &[&["bench", "-p", "cashier-tests", "--bench", "cashier", "--"]],
    ),
    (
        "doc",
        "build the documentation of all crates (` --open` shows it)",
        &[&["doc", "--workspace", "--no-deps", "--document-private-items"]],
    ),
];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some((_, _, calls)) = TASKS.iter().find(|(known, ..)| *known == name) else {
        print("usage: cargo xtask COMMAND [ARGUMENTS]\n");
        for (known, purpose, _) in TASKS {
            print(&format!("  {known:<10} {purpose}"));
        }
        return ExitCode::FAILURE;
    };
    let given: Vec<String> = arguments.collect();
    let last = calls.len() - 1;
    for (at, call) in calls.iter().enumerate() {
        let given = if at == last { given.as_slice() } else { &[] };
        if !succeeds(call, given) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Runs one cargo call at the root of the workspace.
fn succeeds(call: &[&str], given: &[String]) -> bool {
    if call.first() == Some(&"deny") && !is_installed("deny") {
        print("skipped: cargo deny is not installed (`cargo install cargo-deny --locked`)");
        return true;
    }
    print(&format!("$ cargo {} {}", call.join(" "), given.join(" ")));
    let status = cargo().args(call).args(given).status();
    status.is_ok_and(|status| status.success())
}

fn is_installed(subcommand: &str) -> bool {
    cargo().args([subcommand, "--version"]).output().is_ok_and(|output| output.status.success())
}

fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")));
    cargo
}

/// Prints a line on standard error, so that standard output belongs to what is run.
fn print(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
