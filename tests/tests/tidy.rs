//! The walls of the house as absences (ARCHITECTURE.md, "Invariants"): what a room does not know, held by reading its
//! source. A failure names the file, the line and the wall.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot read the source must fail"
)]

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/limits.rs"]
mod limits;
#[path = "tidy/source.rs"]
#[allow(dead_code, reason = "shared with the tidy tests of the other file")]
mod source;

use std::fs;

use crate::source::{Source, absent, holds, product, read, root, sources};

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
        "UdpSocket",
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
        "UdpSocket",
        "UnixStream",
        "UnixListener",
        "std::net::ToSocketAddrs",
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
fn http_statuses_appear_in_the_doors_only() {
    let outside = product("host/src").into_iter().filter(|file| {
        !file.path.starts_with("host/src/http") && !file.path.starts_with("host/src/plugins/egress/http_client")
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

/// How a statement begins, and what else is in it.
const STATEMENTS: [(&str, &str); 14] = [
    ("SELECT ", ""),
    ("INSERT ", "INTO "),
    ("REPLACE INTO ", ""),
    ("UPDATE ", " SET "),
    ("DELETE FROM ", ""),
    ("CREATE TABLE ", ""),
    ("CREATE INDEX ", ""),
    ("CREATE UNIQUE ", ""),
    ("ALTER TABLE ", ""),
    ("DROP TABLE ", ""),
    ("PRAGMA ", ""),
    ("BEGIN IMMEDIATE", ""),
    ("WITH ", "SELECT "),
    ("VACUUM", ""),
];

fn is_statement(text: &str) -> bool {
    let upper = text.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    let whole = |(begins, has): &(&str, &str)| upper.starts_with(begins) && upper.contains(has);
    // A sentence for people may begin with such a word as well; a statement is not written with a capital alone.
    let shouted = |(begins, _): &(&str, &str)| {
        let first = begins.trim().split(' ').next().unwrap_or_default();
        text.trim_start().starts_with(first) || text.trim_start().starts_with(&first.to_lowercase())
    };
    STATEMENTS.iter().any(|statement| whole(statement) && shouted(statement))
}

#[test]
fn sql_stays_in_strand_and_trading() {
    let speaks = ["host/src/strand", "host/src/trading"];
    let mut outside = product("host/core/src");
    outside
        .extend(product("host/src").into_iter().filter(|file| !speaks.iter().any(|room| file.path.starts_with(room))));
    absent("the database is reached by strand and trading", &outside, &["rusqlite", "include_str!"]);
    let spoken = outside.iter().flat_map(|file| {
        file.texts.iter().filter(|(_, text)| is_statement(text)).map(|(at, text)| format!("{}:{at}: {text}", file.path))
    });
    holds("SQL is spoken by strand and trading", &spoken.collect::<Vec<_>>());
    // The words are those that the two rooms use; a wall that sees nothing there would see nothing elsewhere.
    let inside: Vec<Source> = speaks.into_iter().flat_map(product).collect();
    let texts = || inside.iter().flat_map(|file| file.texts.iter().map(|(_, text)| text.as_str()));
    for word in ["SELECT", "INSERT", "UPDATE", "DELETE", "PRAGMA", "BEGIN"] {
        assert!(
            texts().any(|text| text.starts_with(word) && is_statement(text)),
            "no {word} is seen where it is spoken"
        );
    }
}

#[test]
fn unsafe_stays_where_libraries_are_opened() {
    let allowed = [
        "provider-sdk/abi/",
        "host/src/plugins/loading/library.rs",
        "host/src/plugins/loading/symbols.rs",
        "host/src/plugins/loading/probe.rs",
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
