//! Commands, routes, error codes, reason codes, rules that hide a method, and published numbers: pages against code.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read a page must fail")]

use std::fmt::Debug;

use cashier_core::account::AccountMode;
use cashier_core::customer_override::OverrideMode;
use cashier_core::eligibility::Rule;
use cashier_core::ids::OverrideId;
use cashier_core::money::{Currency, Limit};
use cashier_core::reason::{ReasonCode, ReasonScope};
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;
use cashier_core::status::{
    OperationCmd, OperationReason, OperationStatus, ProcessingStatus, ProviderStatus, SignatureStatus, Source,
    TransactionStatus, TransactionType,
};
use cashier_host::http;
use cashier_host::manager::COMMANDS;

use crate::agree;
use crate::markdown::{NOT_BUILT, manager_pages, read, section, table, tables};

/// The rows of a table whose column Built is yes; the cell has no third value.
fn built<const N: usize>(page: &str, first: &str, columns: [&str; N]) -> Vec<String> {
    let table = table(page, first);
    let states = table.columns(["Built"]).into_iter().map(|[state]| state);
    let rows = table.columns(columns).into_iter().zip(states).filter_map(|(row, state)| match &*state {
        "yes" => Some(row.join(" ")),
        NOT_BUILT => None,
        other => panic!("{page}: the column Built of {row:?} is {other:?}"),
    });
    rows.collect()
}

#[test]
fn the_index_lists_the_commands_of_the_manager_api() {
    let code = COMMANDS.iter().map(|command| command.name.to_owned());
    agree("manager commands", built("docs/API.md", "Command", ["Command"]), code.collect());
}

#[test]
fn the_manager_pages_describe_every_command_and_mark_those_that_are_not_built() {
    let page = manager_pages().map(read).collect::<String>();
    let listed = table("docs/API.md", "Command").columns(["Command", "Built"]);
    let described = page.lines().filter_map(|line| line.strip_prefix("### Mng")).map(|name| format!("Mng{name}"));
    agree("commands with a section", described.collect(), listed.iter().map(|[name, _]| name.clone()).collect());
    for [name, state] in listed {
        let text = section(&page, &name).expect("a section");
        let marked = text.trim_start().starts_with("**Not built yet");
        assert_eq!(marked, state == NOT_BUILT, "{name}: the index has {state:?}, the section begins: {text}");
    }
}

#[test]
fn the_index_lists_the_routes_of_all_listeners() {
    let code = http::routes().map(|route| format!("{} {} {}", route.method, route.path, route.listener));
    agree("routes", built("docs/API.md", "Method", ["Method", "Path", "Listener"]), code.collect());
}

#[test]
fn the_conventions_list_the_error_codes_with_their_numbers() {
    let code = RefusalCode::ALL.iter().map(|code| format!("{} {}", code.text(), code.number()));
    agree("error codes", built("docs/api/conventions.md", "Error", ["Error", "Number"]), code.collect());
}

#[test]
fn the_reasons_list_every_reason_code_under_its_row_with_number_and_meaning() {
    let code = ReasonCode::ALL.iter().map(|code| {
        let heading = match code.scope() {
            ReasonScope::Transaction => "Transactions",
            ReasonScope::Operation => "Balance operations",
            ReasonScope::Event => "Events",
        };
        format!("{heading}: {} {} {}", code.name(), code.number(), code.meaning())
    });
    let page = tables(&read("docs/reasons.md"), "Code").into_iter().flat_map(|table| {
        let rows = table.columns(["Code", "Number", "Meaning"]);
        rows.into_iter().map(move |row| format!("{}: {}", table.heading, row.join(" "))).collect::<Vec<_>>()
    });
    agree("reason codes", page.collect(), code.collect());
}

/// One value of each rule; a new rule does not compile until it is added.
fn rules() -> Vec<Rule> {
    let (text, limit) = (|| Box::<str>::from("x"), Limit::NONE);
    let account = Currency::from_code("USD").expect("a currency");
    let rules = vec![
        Rule::ModuleNotLoaded { reason: text() },
        Rule::ConfigDisabled,
        Rule::BrandMismatch { config: text(), customer: text() },
        Rule::BrandNotEnabled { brand: text() },
        Rule::DepositNotAllowed,
        Rule::AccountDisabled,
        Rule::SandboxOnRealAccount,
        Rule::LiveOnDemoAccount,
        Rule::CurrencyNotTaken { currency: account, account },
        Rule::MethodNotServed { requested: text() },
        Rule::DeniedByOverride { override_id: OverrideId(1) },
        Rule::Country { config: text(), customer: text() },
        Rule::Currency { config: text(), currency: account, account },
        Rule::AmountBelow { min: limit, max: limit },
        Rule::AmountAbove { min: limit, max: limit },
    ];
    for rule in &rules {
        match rule {
            Rule::ModuleNotLoaded { .. }
            | Rule::ConfigDisabled
            | Rule::BrandMismatch { .. }
            | Rule::BrandNotEnabled { .. }
            | Rule::DepositNotAllowed
            | Rule::AccountDisabled
            | Rule::SandboxOnRealAccount
            | Rule::LiveOnDemoAccount
            | Rule::CurrencyNotTaken { .. }
            | Rule::MethodNotServed { .. }
            | Rule::DeniedByOverride { .. }
            | Rule::Country { .. }
            | Rule::Currency { .. }
            | Rule::AmountBelow { .. }
            | Rule::AmountAbove { .. } => {}
        }
    }
    rules
}

#[test]
fn the_reasons_list_the_rules_that_hide_a_method() {
    let page = table("docs/reasons.md", "Rule").columns(["Rule"]).into_iter().map(|[rule]| rule);
    agree("rules that hide a method", page.collect(), rules().iter().map(|rule| rule.name().to_owned()).collect());
}

#[test]
fn the_conventions_list_the_transaction_statuses_by_number_and_name() {
    let code = TransactionStatus::ALL.iter().map(|status| format!("{} {}", status.number(), status.name()));
    let page = table("docs/api/conventions.md", "Status").columns(["Status", "Name"]);
    agree("transaction statuses", page.into_iter().map(|row| row.join(" ")).collect(), code.collect());
}

fn numbered<T: Debug>(all: &[T], number: impl Fn(&T) -> u8) -> Vec<String> {
    all.iter().map(|value| format!("{} {}", number(value), format!("{value:?}").to_lowercase())).collect()
}

#[test]
fn the_conventions_list_the_published_numbers_of_every_field() {
    let code = [
        ("Transaction type", numbered(TransactionType::ALL, |value| value.number())),
        ("Transaction source", numbered(Source::ALL, |value| value.number())),
        ("Event processing_status", numbered(ProcessingStatus::ALL, |value| value.number())),
        ("Event signature_status", numbered(SignatureStatus::ALL, |value| value.number())),
        ("Balance operation cmd", numbered(OperationCmd::ALL, |value| value.number())),
        ("Balance operation status (ours)", numbered(OperationStatus::ALL, |value| value.number())),
        ("Balance operation reason (ours)", numbered(OperationReason::ALL, |value| value.number())),
        ("Override mode", numbered(OverrideMode::ALL, |value| value.number())),
        ("Group account_mode", numbered(AccountMode::ALL, |value| value.number())),
        ("Session role", numbered(Role::ALL, |value| value.number())),
        ("Provider status (modules)", numbered(ProviderStatus::ALL, |value| value.number())),
    ];
    let rows = table("docs/api/conventions.md", "Field").columns(["Field", "Values"]);
    let fields = rows.iter().map(|[field, _]| field.clone()).collect();
    agree("fields with published numbers", fields, code.iter().map(|(field, _)| (*field).to_owned()).collect());
    for ([field, values], (_, code)) in rows.iter().zip(&code) {
        // Names are compared without underscores, and without what the field's name contains already.
        let name = |value: &str| value.to_lowercase().replace('_', "").replace("cashier ", "");
        agree(field, values.split(", ").map(name).collect(), code.clone());
    }
}
