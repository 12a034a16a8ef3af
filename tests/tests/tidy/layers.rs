//! Which layer of the host names which (ARCHITECTURE.md, "Code map"), and who sees both sides of the module boundary. A
//! layer is a module at the top of the host's crate. Files inside a layer are not judged here (`circles.rs`).

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{WrittenPath, names};
use crate::source::{Source, absent, holds, product, read, root, words_in};

/// Each layer, and which it may name besides itself and the core.
const LAYERS: &[(&str, &[&str])] = &[
    // What receives requests, and what it calls.
    (
        "http",
        &[
            "log_lines",
            "security_log",
            "manager",
            "flows",
            "wire",
            "json_object",
            "ports",
            "key_file",
            "text_file",
            "followed_file",
            "file_access",
            "reload_signal",
        ],
    ),
    ("manager", &["flows", "snapshot", "wire", "json_object", "ports"]),
    ("flows", &["ledger", "snapshot", "ports", "security_log"]),
    ("ledger", &["ports"]),
    ("snapshot", &["ports"]),
    ("ports", &[]),
    ("wire", &["json_object", "text_file", "web_url"]),
    ("json_object", &[]),
    // The adapters behind the ports; the files of `bases` are reached through `private_files` and `lock`.
    ("strand", &["security_log", "ports", "private_files", "lock", "key_file"]),
    // Its records of calls are files for their owner alone.
    (
        "plugins",
        &[
            "circuit_breaker",
            "security_log",
            "ports",
            "private_files",
            "file_access",
            "process",
            "text_file",
            "web_url",
        ],
    ),
    ("process", &[]),
    ("reload_signal", &[]),
    ("circuit_breaker", &[]),
    ("trading", &["circuit_breaker", "ports", "private_files", "lock", "json_object", "text_file", "web_url", "wire"]),
    // The books of the ledger, copied beside the database for the next start.
    ("books_image", &["ledger", "strand", "ports"]),
    // Both databases of `bases`, compared and copied.
    ("pair", &["ledger", "strand", "trading", "ports", "private_files"]),
    // What is sealed, brought under the newest key.
    (
        "sealing",
        &[
            "strand",
            "ledger",
            "flows",
            "followed_file",
            "file_access",
            "key_file",
            "reload_signal",
            "settings",
            "ports",
            "system",
        ],
    ),
    ("private_files", &["ports"]),
    // The queue of the log with its file for events that nobody reads, and the events that are not dropped.
    ("log_lines", &["private_files"]),
    ("security_log", &[]),
    ("key_file", &["text_file"]),
    ("lock", &["ports", "private_files"]),
    ("system", &["ports"]),
    ("guarded_clock", &["ports"]),
    ("clock_file", &["guarded_clock", "ports", "private_files"]),
    // Which other users may use a file, and files that are followed while the server runs.
    ("file_access", &[]),
    ("followed_file", &["ports", "file_access", "text_file", "reload_signal"]),
    ("text_file", &[]),
    ("web_url", &[]),
    // The commands whose session types they narrow.
    ("settings", &["manager", "json_object", "key_file", "text_file", "web_url"]),
    // The listeners, which are open before and after the parts behind them, and the trading servers of the settings.
    (
        "app",
        &[
            "http",
            "ports",
            "books_image",
            "flows",
            "settings",
            "file_access",
            "followed_file",
            "strand",
            "pair",
            "trading",
            "clock_file",
            "guarded_clock",
            // The mark of a trading server that differs.
            "private_files",
            "process",
        ],
    ),
    // What an operator types ends in the one file that knows all layers; the list of modules, the import and the tokens are
    // commands of their own.
    (
        "cli",
        &[
            "app",
            "settings",
            "clock_file",
            "ports",
            "plugins",
            "trading",
            "pair",
            "http",
            "system",
            "private_files",
            "manager",
            "process",
            "wire",
            "json_object",
            "text_file",
            "log_lines",
            "security_log",
        ],
    ),
];

#[test]
fn layers_name_only_what_they_may_name() {
    let (forbidden, unused) = violations(&product("host/src"), LAYERS);
    holds("a layer names one that it may not", &forbidden);
    holds("a layer may name one that it does not name", &unused);
}

/// Names that are not allowed, and allowances that are not used.
fn violations(files: &[Source], layers: &[(&str, &[&str])]) -> (Vec<String>, Vec<String>) {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut forbidden = Vec::new();
    for file in files {
        let Some(layer) = layer_of(&file.path) else { continue };
        let Some((_, may)) = layers.iter().find(|(known, _)| *known == layer) else {
            forbidden.push(format!("{}: the layer {layer} is not in the table", file.path));
            continue;
        };
        for (line, other) in layers_named(file) {
            if other != layer && !may.contains(&other.as_str()) {
                forbidden.push(format!("{}:{line}: {layer} names {other}", file.path));
            }
            named.entry(layer.clone()).or_default().insert(other);
        }
    }
    let unused = layers.iter().flat_map(|(layer, may)| {
        let named = named.remove(*layer).unwrap_or_default();
        let gone = may.iter().filter(move |other| !named.contains(**other));
        gone.map(move |other| format!("{layer} does not name {other}"))
    });
    (forbidden, unused.collect())
}

/// The layer of a file; the crate's own roots and the file that builds the cashier know all of them.
fn layer_of(path: &str) -> Option<String> {
    let inside = path.strip_prefix("host/src/")?;
    if ["lib.rs", "main.rs", "app.rs"].contains(&inside) {
        return None;
    }
    inside.split(['/', '.']).next().map(str::to_owned)
}

/// Every layer that a file names, with the line.
fn layers_named(file: &Source) -> Vec<(usize, String)> {
    let own = module_of(&file.path);
    names(file).paths.iter().filter_map(|path| Some((path.line, layer_named(&own, path)?))).collect()
}

/// The first step below the crate of a path within it; `*` may be any layer.
fn layer_named(own: &[String], path: &WrittenPath) -> Option<String> {
    let mut place = match path.steps.first()?.as_str() {
        "crate" => Vec::new(),
        "super" => [own, &path.inside].concat(),
        _ => return None,
    };
    for step in &path.steps {
        match step.as_str() {
            "crate" | "self" => {}
            "super" => drop(place.pop()),
            step => place.push(step.to_owned()),
        }
    }
    Some(place.first().cloned().unwrap_or_else(|| "*".to_owned()))
}

/// The module that a file of the host is, such as `["flows", "webhook"]`.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("host/src/").unwrap_or(path).trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').map(str::to_owned).collect()
}

#[test]
fn layers_are_found_however_a_path_is_written() {
    let table = [
        ("use crate::http::reply;", "http"),
        ("use crate::{http, flows::{Cashier, webhook as w}, ports};", "http flows flows ports"),
        ("use crate::{\n    flows::self,\n    strand as disk,\n};", "flows strand"),
        ("let x = crate::app::catalog(&y);", "app"),
        ("use super::reply;", "flows"),
        ("use super::super::strand::Strand;", "strand"),
        ("use super::{super::{wire, plugins::Plugins}, Cashier};", "wire plugins flows"),
        ("mod inner { use super::super::super::http::Reply; }", "http"),
        ("use crate::*;", "*"),
        ("use super::super::*;", "*"),
        ("use crate as cashier;", "*"),
        ("use std::{fs, net}; pub(super) fn f(self) {} pub(crate) struct S;", ""),
    ];
    for (source, expected) in table {
        let found = layers_named(&Source::of("host/src/flows/webhook.rs", source));
        let found: Vec<String> = found.into_iter().map(|(_, layer)| layer).collect();
        assert_eq!(found.join(" "), expected, "{source}");
    }
}

#[test]
fn a_planted_name_of_a_foreign_layer_is_found() {
    let layers: [(&str, &[&str]); 3] = [("flows", &["ledger"]), ("http", &["flows"]), ("ledger", &[])];
    let files = [
        Source::of("host/src/flows/deposit.rs", "use crate::{http::Reply, ledger::Ledger};"),
        Source::of("host/src/http/serve.rs", "use super::reply;"),
        Source::of("host/src/disk.rs", ""),
        Source::of("host/src/app.rs", "use crate::disk;"),
    ];
    let (forbidden, unused) = violations(&files, &layers);
    assert_eq!(
        forbidden,
        ["host/src/flows/deposit.rs:1: flows names http", "host/src/disk.rs: the layer disk is not in the table"]
    );
    assert_eq!(unused, ["http does not name flows"]);
}

/// Who sees both sides of the module border, and why besides the translators.
const TRANSLATORS: [(&str, &str); 6] = [
    ("host/src/plugins/calling/convert/from_module.rs", "translates what a module answered"),
    ("host/src/plugins/calling/convert/masks.rs", "lets the core judge which characters of a module's texts are shown"),
    ("host/src/plugins/calling/convert/to_module.rs", "translates what a module is shown"),
    ("host/src/plugins/calling/outcomes.rs", "turns the failure of a module into the core's outcome of an exchange"),
    (
        "host/src/plugins/calling/gateway.rs",
        "takes the core's row and order and drives the instance with what `convert` made of them",
    ),
    (
        "host/src/plugins/loading/library.rs",
        "checks a descriptor against the core's lengths and its reserved code before it is trusted",
    ),
];

#[test]
fn only_the_translators_name_core_and_sdk() {
    let files = product("host");
    let known: BTreeSet<&str> = TRANSLATORS.iter().map(|(path, _)| *path).collect();
    assert_eq!(
        naming_both(&files),
        known,
        "core and SDK meet in `plugins/calling/convert`; each further place has its reason here"
    );
    let elsewhere: Vec<Source> = files.into_iter().filter(|file| !file.path.starts_with("host/src/plugins")).collect();
    absent("the module boundary belongs to the plugin host", &elsewhere, &["cashier_provider_"]);
}

/// Files that name both the core and the SDK.
fn naming_both(files: &[Source]) -> BTreeSet<&str> {
    let has = |file: &Source, words: &[&str]| !words_in(std::slice::from_ref(file), words).is_empty();
    let both = files
        .iter()
        .filter(|file| has(file, &["cashier_core"]) && has(file, &["cashier_provider_sdk", "cashier_provider_abi"]));
    both.map(|file| file.path.as_str()).collect()
}

#[test]
fn the_program_knows_the_command_line_and_nothing_else() {
    let main = read(&root().join("host/src/main.rs"));
    assert!(main.whole.lines().count() < 60, "main.rs hands over; it does not work");
    assert_eq!(host_names(&main), BTreeSet::from(["cli"]), "main hands over to the command line");
}

/// What a file names of the host's crate from outside.
fn host_names(file: &Source) -> BTreeSet<&str> {
    let behind = file.code.iter().filter_map(|(_, line)| line.split("cashier_host::").nth(1));
    behind.filter_map(|rest| rest.split(|character: char| !character.is_alphanumeric()).next()).collect()
}

#[test]
fn a_planted_translator_and_a_working_program_are_found() {
    let files = [
        Source::of("a.rs", "use cashier_core::ids::Login;\nuse cashier_provider_sdk::Amount;"),
        Source::of("b.rs", "use cashier_core::ids::Login; // not cashier_provider_sdk"),
    ];
    assert_eq!(naming_both(&files), BTreeSet::from(["a.rs"]));
    let main = Source::of("main.rs", "cashier_host::cli::run();\ncashier_host::app::start();");
    assert_eq!(host_names(&main), BTreeSet::from(["app", "cli"]));
}
