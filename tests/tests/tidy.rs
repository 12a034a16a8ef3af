//! The walls of the house as absences (ARCHITECTURE.md, "Invariants"): what a room does not know, held by reading its
//! source. A failure names the file, the line and the wall.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read the source must fail")]

use std::fs;
use std::path::{Path, PathBuf};

/// A source file with its lines, test modules and comments cut away.
struct Source {
    path: String,
    code: Vec<(usize, String)>,
    whole: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent").to_path_buf()
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    assert!(!found.is_empty(), "no sources below {folder}: the wall would hold nothing");
    found.into_iter().map(|path| read(&path)).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> Source {
    let whole = fs::read_to_string(path).expect("a readable source");
    let tests_at = whole.find("#[cfg(test)]\nmod tests {").unwrap_or(whole.len());
    let lines = whole[..tests_at].lines().enumerate();
    let code = lines
        .map(|(at, line)| (at + 1, line.split("//").next().unwrap_or("").to_owned()))
        .filter(|(_, line)| !line.trim().is_empty())
        .collect();
    let path = path.strip_prefix(root()).expect("below the root").display().to_string();
    Source { path, code, whole }
}

/// Asserts that no code line of these files has any of the words.
fn absent(wall: &str, files: &[Source], words: &[&str]) {
    let mut breaches = Vec::new();
    for file in files {
        for (at, line) in &file.code {
            for word in words.iter().filter(|word| line.contains(**word)) {
                breaches.push(format!("{}:{at}: {word}", file.path));
            }
        }
    }
    assert!(breaches.is_empty(), "{wall}:\n{}", breaches.join("\n"));
}

fn is_test_code(file: &Source) -> bool {
    file.path.contains("/tests/") || file.path.ends_with("/tests.rs") || file.path.starts_with("tests/")
}

/// Files of the product itself: no test trees, no test modules in files of their own.
fn product(folder: &str) -> Vec<Source> {
    sources(folder).into_iter().filter(|file| !is_test_code(file)).collect()
}

fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
    let document: toml_edit::DocumentMut = text.parse().expect("a TOML manifest");
    let table = document.get("dependencies").and_then(|item| item.as_table()).expect("dependencies");
    table.iter().map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn the_core_depends_on_nothing_that_does_io_time_randomness_or_serialization() {
    let allowed = ["iso_currency", "hashbrown"];
    let found = dependencies("host/core/Cargo.toml");
    let strangers: Vec<&String> = found.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "the core must not depend on {strangers:?}");
    let words = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "SystemTime",
        "Instant",
        "std::thread",
        "std::env",
        "serde",
        "tokio",
        "RandomState",
    ];
    absent("the core is pure and synchronous", &product("host/core/src"), &words);
}

#[test]
fn sdk_and_core_do_not_know_each_other() {
    for manifest in ["provider-sdk/Cargo.toml", "provider-sdk/abi/Cargo.toml", "provider-sdk/testing/Cargo.toml"] {
        let found = dependencies(manifest);
        assert!(!found.iter().any(|name| name == "cashier-core" || name == "cashier-host"), "{manifest}: {found:?}");
    }
    assert!(!dependencies("host/core/Cargo.toml").iter().any(|name| name.starts_with("cashier-provider")));
}

#[test]
fn flows_and_ledger_reach_the_world_through_ports_alone() {
    let mut files = product("host/src/flows");
    files.extend(product("host/src/ledger"));
    files.push(read(&root().join("host/src/ledger.rs")));
    let words = [
        "warp",
        "rusqlite",
        "abi_stable",
        "TcpStream",
        "TcpListener",
        "tokio::net",
        "tokio::spawn",
        "SystemTime",
        "Instant::now",
        "HashMap",
        "HashSet",
        "rand::",
        "getrandom",
        "std::fs",
        "std::env",
    ];
    absent("flows and ledger know ports only", &files, &words);
}

#[test]
fn rooms_know_only_whom_they_may_know() {
    let table: &[(&str, &[&str])] = &[
        (
            "host/src/flows",
            &[
                "crate::http",
                "crate::manager",
                "crate::strand",
                "crate::plugins",
                "crate::trading",
                "crate::wire",
                "crate::app",
                "crate::cli",
            ],
        ),
        (
            "host/src/ledger",
            &[
                "crate::http",
                "crate::manager",
                "crate::strand",
                "crate::plugins",
                "crate::trading",
                "crate::wire",
                "crate::flows",
                "crate::app",
            ],
        ),
        (
            "host/src/strand",
            &[
                "crate::http",
                "crate::manager",
                "crate::plugins",
                "crate::trading",
                "crate::wire",
                "crate::flows",
                "crate::ledger",
                "crate::app",
            ],
        ),
        (
            "host/src/plugins",
            &[
                "crate::http::",
                "crate::manager",
                "crate::strand",
                "crate::trading",
                "crate::wire",
                "crate::flows",
                "crate::ledger",
                "crate::app",
            ],
        ),
        (
            "host/src/trading",
            &[
                "crate::http",
                "crate::manager",
                "crate::strand",
                "crate::plugins",
                "crate::wire",
                "crate::flows",
                "crate::ledger",
                "crate::app",
            ],
        ),
        (
            "host/src/wire",
            &[
                "crate::http",
                "crate::manager",
                "crate::strand",
                "crate::plugins",
                "crate::trading",
                "crate::ledger",
                "crate::app",
            ],
        ),
        ("host/src/http", &["crate::strand", "crate::plugins", "crate::trading", "crate::app", "crate::cli"]),
        (
            "host/src/manager",
            &["crate::strand", "crate::plugins", "crate::trading", "crate::app", "crate::cli", "crate::http"],
        ),
    ];
    for (folder, strangers) in table {
        absent(&format!("{folder} knows a room it may not"), &product(folder), strangers);
    }
}

#[test]
fn http_statuses_appear_in_the_doors_only() {
    let outside = product("host/src").into_iter().filter(|file| {
        !file.path.starts_with("host/src/http") && !file.path.starts_with("host/src/plugins/http_client")
    });
    absent("StatusCode is the doors' word", &outside.collect::<Vec<_>>(), &["StatusCode"]);
    absent("StatusCode is the doors' word", &product("host/core/src"), &["StatusCode"]);
}

#[test]
fn no_float_is_near_money() {
    for folder in ["host", "provider-sdk", "providers"] {
        absent("no float anywhere", &product(folder), &["f64", "f32", "as_f64", "from_f64"]);
    }
}

#[test]
fn sql_stays_in_strand_and_trading() {
    let outside = product("host/src")
        .into_iter()
        .filter(|file| !file.path.starts_with("host/src/strand") && !file.path.starts_with("host/src/trading"));
    absent(
        "SQL is spoken by strand and trading",
        &outside.collect::<Vec<_>>(),
        &["rusqlite", "INSERT INTO", "SELECT ", "UPDATE SET", "CREATE TABLE"],
    );
}

#[test]
fn unsafe_stays_where_libraries_are_opened() {
    let allowed = [
        "provider-sdk/abi/",
        "host/src/plugins/library.rs",
        "host/src/plugins/symbols.rs",
        "host/src/plugins/probe.rs",
    ];
    for folder in ["host", "provider-sdk", "providers"] {
        let files: Vec<Source> = product(folder)
            .into_iter()
            .filter(|file| !allowed.iter().any(|known| file.path.starts_with(known)))
            .collect();
        absent("no unsafe", &files, &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]);
    }
    for provider in ["providers/sandbox/src/lib.rs", "providers/stripe/src/lib.rs"] {
        assert!(
            read(&root().join(provider)).whole.contains("#![forbid(unsafe_code)]"),
            "{provider} must forbid unsafe"
        );
    }
}

#[test]
fn proofs_are_made_by_those_who_checked() {
    let table = [
        ("CustomerSession::assertion(", vec!["host/src/http/session.rs"]),
        ("ManagerSession::assertion(", vec!["host/src/http/session.rs"]),
        ("VerifiedNotice::assertion(", vec!["host/src/flows/webhook.rs"]),
        ("Durable::assertion(", vec!["host/src/ledger.rs"]),
    ];
    let files = product("host/src");
    for (maker, callers) in table {
        let mut found: Vec<&str> = files
            .iter()
            .filter(|file| file.code.iter().any(|(_, line)| line.contains(maker)))
            .map(|file| file.path.as_str())
            .collect();
        found.dedup();
        assert_eq!(found, callers, "{maker} is called where nothing was checked");
    }
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    for folder in ["host", "provider-sdk", "providers", "tests"] {
        for file in sources(folder) {
            assert!(file.whole.starts_with("//!"), "{} does not say what it is for", file.path);
        }
    }
}

#[test]
fn main_stays_short() {
    let main = read(&root().join("host/src/main.rs"));
    assert!(main.whole.lines().count() < 60, "main.rs hands over; it does not work");
}

/// The manifests that a member of the workspace stands for; a path may end in `/*`.
fn manifests(member: &str) -> Vec<String> {
    let Some(folder) = member.strip_suffix("/*") else { return vec![format!("{member}/Cargo.toml")] };
    let entries = fs::read_dir(root().join(folder)).expect("a folder of members");
    let paths = entries.map(|entry| entry.expect("a readable folder").path().join("Cargo.toml"));
    let relative = paths.filter(|path| path.exists()).map(|path| path.strip_prefix(root()).expect("below").to_owned());
    relative.map(|path| path.display().to_string()).collect()
}

#[test]
fn every_dependency_has_a_reason_and_every_member_takes_it_from_the_workspace() {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("the root manifest");
    let section =
        text.split("[workspace.dependencies]").nth(1).expect("dependencies").split("\n[").next().expect("a section");
    for line in section.lines().filter(|line| line.contains('=') && !line.trim_start().starts_with('#')) {
        let own = line.contains("path = \"");
        assert!(own || line.contains(" # "), "no reason is given for: {line}");
    }
    let document: toml_edit::DocumentMut = text.parse().expect("TOML");
    let members = document["workspace"]["members"].as_array().expect("members");
    for path in members.iter().flat_map(|member| manifests(member.as_str().expect("a path"))) {
        let manifest: toml_edit::DocumentMut =
            fs::read_to_string(root().join(&path)).expect("a manifest").parse().expect("TOML");
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(table).and_then(|item| item.as_table()) else { continue };
            for (name, item) in table {
                let inherited = item.get("workspace").and_then(|value| value.as_bool()) == Some(true);
                assert!(inherited, "{path}: {name} must be `workspace = true`");
            }
        }
    }
}
