//! Settings keys, environment variables, commands and flags of the program, and metrics: docs/settings.md against code.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read a page must fail")]

use std::collections::BTreeSet;
use std::path::Path;

use cashier_host::cli;
use cashier_host::flows::{CustomerLimits, Rules};
use cashier_host::http::{AUDIT_METRICS, CONNECTION_METRICS, METRICS, TRADING_METRICS, starting};
use cashier_host::plugins::plugins_toml::PluginsToml;
use cashier_host::security_log::EVENTS;
use cashier_host::settings::Settings;

use crate::agree;
use crate::constants::product_files;
use crate::markdown::{Table, table};

const PAGE: &str = "docs/settings.md";
const KEY: &str = "1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn settings(text: &str) -> Result<Settings, String> {
    Settings::parse(text, Path::new("/srv"), &|_| Some(KEY.into())).map_err(|error| error.to_string())
}

fn plugins(text: &str) -> Result<PluginsToml, String> {
    PluginsToml::parse(text, Path::new("/srv"), &[])
}

/// A `[[module]]` with more lines: what it means, or why it is refused.
fn module(lines: &str) -> Result<String, String> {
    let file = plugins(&format!("[[module]]\nname = \"x\"\n{lines}"))?;
    let entry = file.modules.into_iter().next().expect("a module");
    entry.options.map(|listed| format!("{listed:?}"))
}

/// The keys that the parser itself names when it is given one that it does not know.
fn known_keys(refused: Result<impl Sized, String>) -> Vec<String> {
    let error = refused.err().expect("an unknown key is refused");
    let listed =
        error.split_once("expected").map(|(_, listed)| listed).unwrap_or_else(|| panic!("no keys in: {error}"));
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn keys(table: &Table, column: &str) -> Vec<String> {
    table.columns([column]).into_iter().map(|[key]| key).collect()
}

/// The lines `key = default` of the rows that have a default.
fn defaults(table: &Table, column: &str) -> String {
    let rows = table.columns([column, "Default"]).into_iter().filter(|[_, default]| default != "none");
    rows.map(|[key, default]| format!("{key} = {default}\n")).collect()
}

fn tables_of_keys() -> [Table; 2] {
    let mut found = crate::markdown::tables(&crate::markdown::read(PAGE), "Key");
    found.sort_by_key(|table| table.heading.clone());
    <[Table; 2]>::try_from(found).unwrap_or_else(|found| panic!("cashier.toml and plugins.toml: {found:?}"))
}

#[test]
fn the_settings_page_lists_every_key_of_cashier_toml() {
    let [cashier, _] = tables_of_keys();
    assert_eq!(cashier.heading, "cashier.toml");
    agree("keys of cashier.toml", keys(&cashier, "Key"), known_keys(settings("no_such_key = 1").map(|_| ())));
}

#[test]
fn the_settings_page_lists_every_key_of_the_trading_servers() {
    let listed = |column: &str| keys(&table(PAGE, column), column);
    let refused = |text: &str| known_keys(settings(text).map(|_| ()));
    let of_server = ["server", "secret_file", "ca_file", "allow_plain", "instance", "platform"].map(str::to_owned);
    agree("keys of [trading]", listed("Trading key"), refused("[trading]\nno_such_key = 1"));
    let named = listed("Server key").into_iter().chain(of_server).collect();
    agree("keys of [trading.servers.NAME]", named, refused("[trading.servers.other]\nno_such_key = 1"));
    agree("keys of [trading.platform]", listed("Platform key"), refused("[trading.platform]\nno_such_key = 1"));
    agree("keys of a search", listed("Search key"), refused("[trading.platform.search]\nno_such_key = 1"));
}

#[test]
fn the_defaults_of_cashier_toml_are_those_of_the_page() {
    let shown = |settings: Settings| {
        let deposits = settings.deposits_per_minute.unwrap_or(Rules::DEPOSITS_PER_MINUTE);
        let listeners = (settings.customer_listen, settings.manager_listen, settings.watch_listen);
        let paths = (settings.bases, settings.var, settings.plugins);
        let limits = CustomerLimits::of_settings(settings.open_deposits_max, settings.stored_bytes_per_customer_max);
        let modes = (settings.allow_sandbox_credit, settings.allow_live_on_demo);
        let rest = (modes, settings.trusted_proxies, settings.public_url, settings.tls_files);
        let waits = (settings.connections_per_address, settings.idle, settings.stop_delay, settings.cors_origins);
        format!("{listeners:?} {paths:?} {deposits} {limits:?} {rest:?} {waits:?}")
    };
    let [cashier, _] = tables_of_keys();
    let written = defaults(&cashier, "Key");
    assert!(written.contains("deposits_per_minute = 120") && written.lines().count() > 6, "{written}");
    assert_eq!(settings(&written).map(shown), settings("").map(shown));
}

#[test]
fn the_settings_page_lists_every_key_of_plugins_toml() {
    let [_, top] = tables_of_keys();
    assert_eq!(top.heading, "plugins.toml");
    agree("keys of plugins.toml", keys(&top, "Key"), known_keys(plugins("no_such_key = 1")));
    let of_module = keys(&table(PAGE, "Module key"), "Module key");
    agree("keys of [[module]]", of_module, known_keys(module("no_such_key = 1")));
    let of_limits = keys(&table(PAGE, "Limits key"), "Limits key");
    agree("keys of [module.limits]", of_limits, known_keys(module("[module.limits]\nno_such_key = 1")));
}

#[test]
fn the_defaults_and_ranges_of_plugins_toml_are_those_of_the_page() {
    let written = defaults(&table(PAGE, "Module key"), "Module key");
    assert_eq!(module(&written), module(""), "{written}");
    let limits = table(PAGE, "Limits key");
    let written = format!("[module.limits]\n{}", defaults(&limits, "Limits key"));
    assert_eq!(module(&written), module(""), "{written}");
    for [key, range] in limits.columns(["Limits key", "Value"]) {
        let (least, most) = range.split_once(" to ").expect("a range");
        let (least, most): (u64, u64) = (least.parse().expect("a number"), most.parse().expect("a number"));
        let accepts = |value: u64| module(&format!("[module.limits]\n{key} = {value}")).is_ok();
        assert!(accepts(least) && accepts(most), "{key}: both ends of {range} are accepted");
        assert!(!accepts(least - 1) && !accepts(most + 1), "{key}: nothing beyond {range} is accepted");
    }
}

#[test]
fn the_settings_page_lists_every_environment_variable() {
    let mut code = Vec::new();
    for (_, source) in product_files(&["host/src"]) {
        let texts = source.split('"').skip(1);
        code.extend(texts.filter(|text| text.starts_with("CASHIER_") && !text.contains(' ')).map(str::to_owned));
    }
    code.sort();
    code.dedup();
    agree("environment variables", keys(&table(PAGE, "Variable"), "Variable"), code);
}

/// Every command of the program with its arguments, as the page writes them: `--settings FILE, -s`, `FILE`, `--exit`.
fn command_line() -> Vec<[String; 3]> {
    let mut program = cli::command_line();
    program.build();
    let (mut waiting, mut lines) = (vec![(String::from("cashier"), program)], Vec::new());
    while let Some((path, command)) = waiting.pop() {
        let before = waiting.len();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            waiting.push((format!("{path} {}", sub.get_name()), sub.clone()));
        }
        if waiting.len() > before {
            continue;
        }
        for argument in command.get_arguments() {
            let long = argument.get_long().map(|long| format!("--{long}"));
            if argument.is_hide_set() || matches!(long.as_deref(), Some("--help" | "--version")) {
                continue;
            }
            let value = argument.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
            let value = value.filter(|_| argument.get_action().takes_values());
            let short = argument.get_short().map(|short| format!(", -{short}")).unwrap_or_default();
            let written = [long, value].into_iter().flatten().collect::<Vec<_>>().join(" ") + &short;
            let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
            let default = default.filter(|_| argument.get_action().takes_values());
            let required = argument.is_required_set().then(|| "required".to_owned());
            lines.push([path.clone(), written, default.or(required).unwrap_or_default()]);
        }
    }
    lines
}

#[test]
fn the_settings_page_lists_every_command_and_flag_of_the_program() {
    let rows = table(PAGE, "Command").columns(["Command", "Argument", "Default"]);
    let code = command_line();
    let line = |[command, argument, _]: &[String; 3]| format!("{command} {argument}");
    // A row without an argument describes the command itself.
    let page = rows.iter().filter(|[_, argument, _]| !argument.is_empty());
    agree("commands and flags", page.map(line).collect(), code.iter().map(line).collect());
    for row in &code {
        let [_, _, stated] = rows.iter().find(|known| line(known) == line(row)).expect("a row");
        let [_, _, default] = row;
        assert!(default.is_empty() || default == stated, "{}: {default:?}, the page states {stated:?}", line(row));
        assert_eq!(stated == "required", default == "required", "{}", line(row));
    }
}

#[test]
fn the_settings_page_lists_every_security_event() {
    let listed = keys(&table(PAGE, "Security event"), "Security event");
    agree("security events", listed, EVENTS.iter().map(|event| (*event).to_owned()).collect());
    // The list beside the functions is what they log.
    let source = crate::markdown::read("host/src/security_log.rs");
    let logged = source.split("event = \"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    agree("events that are logged", logged.collect(), EVENTS.iter().map(|event| (*event).to_owned()).collect());
}

#[test]
fn the_settings_page_lists_every_metric() {
    let page = table(PAGE, "Metric").columns(["Metric", "Type", "Meaning"]).into_iter().map(|row| row.join(" "));
    let line = |name: &str, help: &str| format!("{name} gauge {help}");
    let of_a_start = starting::METRICS.iter().map(|metric| line(metric.name, metric.help));
    let of_listeners = CONNECTION_METRICS.iter().map(|metric| line(metric.name, metric.help));
    let of_audit = AUDIT_METRICS.iter().map(|metric| line(metric.name, metric.help));
    let code = METRICS.iter().map(|metric| line(metric.name, metric.help)).chain(of_a_start).chain(of_listeners);
    let of_trading = TRADING_METRICS.iter().map(|metric| line(metric.name, metric.help));
    let code = code.chain(of_audit).chain(of_trading);
    // A name that both pages of metrics have is the same metric.
    let code: BTreeSet<String> = code.collect();
    agree("metrics", page.collect(), code.into_iter().collect());
}
