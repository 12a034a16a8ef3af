//! What a folder does not know: clocks, sockets, floats, statuses, `unsafe`, the making of proofs. It does not judge which
//! layer names which (`layers.rs`).

use crate::manifests::dependencies;
use crate::source::{Source, absent, holds, product, read, root, words_in};

const CORE_DEPENDENCIES: [&str; 3] = ["iso_currency", "hashbrown", "strsim"];

const NOT_IN_CORE: [&str; 10] = [
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

const NOT_IN_FLOWS: [&str; 19] = [
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

const FLOATS: [&str; 4] = ["f64", "f32", "as_f64", "from_f64"];

const UNSAFE: [&str; 4] = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];

/// Where libraries are opened, the module boundary is crossed, and a call that ends the process is named.
const UNSAFE_ALLOWED: [&str; 6] = [
    "provider-sdk/abi/",
    "host/src/plugins/loading/symbols.rs",
    "host/src/process.rs",
    "host/src/plugins/crash/slots.rs",
    "host/src/plugins/crash/signals.rs",
    "host/src/plugins/crash/build_threads.rs",
];

/// Who makes each proof: the file that checked.
const PROOFS: [(&str, &[&str]); 4] = [
    ("CustomerSession::assertion(", &["host/src/http/session.rs"]),
    ("ManagerSession::assertion(", &["host/src/http/session.rs"]),
    (
        "VerifiedNotice::assertion(",
        &["host/src/flows/replay/reading.rs", "host/src/flows/replay.rs", "host/src/flows/webhook/verification.rs"],
    ),
    ("Durable::assertion(", &["host/src/ledger.rs"]),
];

#[test]
fn the_core_depends_on_nothing_that_does_io_time_randomness_or_serialization() {
    let found = dependencies("host/core/Cargo.toml");
    let others: Vec<&String> = found.iter().filter(|name| !CORE_DEPENDENCIES.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "the core must not depend on {others:?}");
    absent("the core is pure and synchronous", &product("host/core/src"), &NOT_IN_CORE);
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
fn flows_and_ledger_do_io_through_ports_alone() {
    let mut files = product("host/src/flows");
    files.extend(product("host/src/ledger"));
    files.push(read(&root().join("host/src/ledger.rs")));
    absent("flows and ledger know ports only", &files, &NOT_IN_FLOWS);
}

#[test]
fn http_statuses_appear_in_the_http_layer_only() {
    let outside = product("host/src").into_iter().filter(|file| {
        !file.path.starts_with("host/src/http") && !file.path.starts_with("host/src/plugins/egress/http_client")
    });
    absent("StatusCode belongs to the http layer", &outside.collect::<Vec<_>>(), &["StatusCode"]);
    absent("StatusCode belongs to the http layer", &product("host/core/src"), &["StatusCode"]);
}

#[test]
fn no_float_is_near_money() {
    for folder in ["host", "provider-sdk", "providers"] {
        absent("no float anywhere", &product(folder), &FLOATS);
    }
}

#[test]
fn unsafe_stays_where_libraries_are_opened() {
    for folder in ["host", "provider-sdk", "providers"] {
        let files: Vec<Source> = product(folder)
            .into_iter()
            .filter(|file| !UNSAFE_ALLOWED.iter().any(|known| file.path.starts_with(known)))
            .collect();
        absent("no unsafe", &files, &UNSAFE);
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
    let files = product("host/src");
    for (maker, callers) in PROOFS {
        assert_eq!(callers_of(maker, &files), callers, "{maker} is called where nothing was checked");
    }
}

fn callers_of<'f>(maker: &str, files: &'f [Source]) -> Vec<&'f str> {
    let calls = |file: &&Source| file.code.iter().any(|(_, line)| line.contains(maker));
    files.iter().filter(calls).map(|file| file.path.as_str()).collect()
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let folders = ["host", "provider-sdk", "providers", "tests"].into_iter();
    let silent = folders.flat_map(crate::source::sources).filter(|file| !says_what_it_is_for(file));
    holds("a file does not say what it is for", &silent.map(|file| file.path).collect::<Vec<_>>());
}

fn says_what_it_is_for(file: &Source) -> bool {
    file.whole.starts_with("//!")
}

#[test]
fn a_planted_violation_of_a_boundary_is_found() {
    let table: [(&str, &[&str], &str, bool); 10] = [
        ("core", &NOT_IN_CORE, "let now = std::time::SystemTime::now();", true),
        ("core", &NOT_IN_CORE, "#[derive(serde::Serialize)] struct A;", true),
        ("core", &NOT_IN_CORE, "// tokio is not known here\nlet text = \"serde\";", false),
        ("flows", &NOT_IN_FLOWS, "tokio::spawn(async {});", true),
        ("flows", &NOT_IN_FLOWS, "use std::collections::HashMap;", true),
        ("flows", &NOT_IN_FLOWS, "use std::collections::BTreeMap;\n#[cfg(test)]\nmod tests {\n use warp;\n}\n", false),
        ("floats", &FLOATS, "let amount: f64 = 1;", true),
        ("floats", &FLOATS, "let amount: u64 = 1; // never f64", false),
        ("unsafe", &UNSAFE, "let a = unsafe { *pointer };", true),
        ("unsafe", &UNSAFE, "#![forbid(unsafe_code)]", false),
    ];
    for (rule, words, text, expected) in table {
        let found = words_in(&[Source::of("a.rs", text)], words);
        assert_eq!(!found.is_empty(), expected, "{rule}: {text}: {found:?}");
    }
    let forged = [Source::of("b.rs", "let proof = Durable::assertion(value);"), Source::of("c.rs", "")];
    assert_eq!(callers_of("Durable::assertion(", &forged), ["b.rs"]);
    assert!(!says_what_it_is_for(&Source::of("d.rs", "use std::fmt;\n//! Late.\n")));
}
