//! Fields of records, requests and filters: the lists in the pages against the descriptions from which the wire is read and
//! written, in their order.

use cashier_core::filter::{
    ApprovalField, AuditField, ConfigField, EventField, Field, OverrideField, TransactionField, WorkField,
};
use cashier_host::json_object::{FieldLine, Object, Record};
use cashier_host::manager::audit::{AuditEntry, AuditedField};
use cashier_host::manager::module::{ModuleRecord, SettingRecord, WebhookSetup};
use cashier_host::manager::provider_event::{ReplayAnswer, ReplayBody, ReplayedRecord, ReplayedTransactionRecord};
use cashier_host::wire::approval::ApprovalRecord;
use cashier_host::wire::config::{ConfigBody, ConfigRecord};
use cashier_host::wire::correction::CorrectionBody;
use cashier_host::wire::customer_override::{OverrideBody, OverrideRecord};
use cashier_host::wire::deposit::{DepositAnswer, DepositBody};
use cashier_host::wire::event::EventRecord;
use cashier_host::wire::explanation::{
    ChangedField, ExplanationEntry, NextStepRecord, PaymentExplained, PaymentNameBody,
};
use cashier_host::wire::manual::{ManualApproval, ManualBody, ManualRejection};
use cashier_host::wire::method::MethodRecord;
use cashier_host::wire::method_explanation::{
    CheckLine, ExplainedAccount, HidingRule, MethodsExplained, MethodsQuestionBody,
};
use cashier_host::wire::operation::OperationRecord;
use cashier_host::wire::refund::{DepositCancelBody, RefundBody};
use cashier_host::wire::review::{ResolveBody, RetryBody};
use cashier_host::wire::transaction::TransactionRecord;
use cashier_host::wire::withdrawal::WithdrawalBody;
use cashier_host::wire::work_item::WorkRecord;

use crate::agree;
use crate::markdown::{read, table};

/// The names of the fields of an object, in their order.
fn names(fields: &[FieldLine]) -> Vec<String> {
    fields.iter().map(|field| field.name.to_owned()).collect()
}

/// The same with `*` behind those that a request must have.
fn request(fields: &[FieldLine]) -> Vec<String> {
    let star = |field: &FieldLine| if field.is_optional { "" } else { "*" };
    fields.iter().map(|field| format!("{}{}", field.name, star(field))).collect()
}

fn filter<F: Field>() -> Vec<String> {
    F::ALL.iter().map(|field| field.name().to_owned()).collect()
}

/// What stands between backticks in a page, each on one line.
fn code_spans(text: &str) -> Vec<String> {
    let spans = text.split('`').skip(1).step_by(2);
    spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The lists that no page has as they are in the code.
fn missing(lists: &[(&str, &str, Vec<String>)]) -> Vec<String> {
    let lacks = |(page, _, names): &&(&str, &str, Vec<String>)| {
        let spans = code_spans(&read(page));
        names.is_empty() || !spans.contains(&names.join(", "))
    };
    let sentence =
        |(page, what, names): &(&str, &str, Vec<String>)| format!("{page}: {what} are `{}`", names.join(", "));
    lists.iter().filter(lacks).map(sentence).collect()
}

#[test]
fn the_pages_list_the_fields_of_records_requests_and_filters_in_their_order() {
    let customer = "docs/api/customer.md";
    let [transactions, events, configs] =
        ["docs/api/manager-transactions.md", "docs/api/manager-events.md", "docs/api/manager-configs.md"];
    let approvals = "docs/api/manager-approvals.md";
    let modules = names(ModuleRecord::FIELDS);
    let without_state = modules.iter().take_while(|name| *name != "generation").cloned().collect();
    let lists = [
        (customer, "the fields of a method", names(MethodRecord::FIELDS)),
        (customer, "the fields of a deposit request", request(DepositBody::FIELDS)),
        (customer, "the fields of a withdrawal request", request(WithdrawalBody::FIELDS)),
        (
            customer,
            "the fields that a customer's filter of transactions may name",
            TransactionField::PUBLISHED.iter().map(|field| field.name().to_owned()).collect(),
        ),
        (transactions, "the fields that a manager's filter of transactions may name", filter::<TransactionField>()),
        ("docs/api/webhooks.md", "the fields of an event", names(EventRecord::FIELDS)),
        (
            transactions,
            "the columns of transactions",
            TransactionRecord::columns().map(|column| column.name.to_owned()).collect(),
        ),
        ("docs/api/manager-duties.md", "the fields that a filter of the work list may name", filter::<WorkField>()),
        ("docs/api/manager-duties.md", "the fields of an item", names(WorkRecord::FIELDS)),
        (transactions, "the fields of a balance operation", names(OperationRecord::FIELDS)),
        (configs, "the fields of a config", names(ConfigRecord::FIELDS)),
        (configs, "the fields that a filter of configs may name", filter::<ConfigField>()),
        (configs, "the fields of an override", names(OverrideRecord::FIELDS)),
        (configs, "the fields that a filter of overrides may name", filter::<OverrideField>()),
        (events, "the fields that a filter of events may name", filter::<EventField>()),
        (approvals, "the fields that a filter of approvals may name", filter::<ApprovalField>()),
        (approvals, "the fields that a filter of audit records may name", filter::<AuditField>()),
        (configs, "the fields of a runtime module", modules),
        (configs, "the fields of a module", without_state),
        (configs, "the fields of a setting that a module declares", names(SettingRecord::FIELDS)),
        (configs, "the fields of a webhook's setup", names(WebhookSetup::FIELDS)),
    ];
    let found = missing(&lists);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_pages_list_the_fields_of_decisions_replays_explanations_and_records() {
    let [transactions, explanations, approvals, events] = [
        "docs/api/manager-transactions.md",
        "docs/api/manager-explanations.md",
        "docs/api/manager-approvals.md",
        "docs/api/manager-events.md",
    ];
    let lists = [
        (transactions, "the fields of a correction", request(CorrectionBody::FIELDS)),
        (transactions, "the fields of a manual deposit", request(ManualBody::FIELDS)),
        (transactions, "the fields of an approval of a manual transaction", request(ManualApproval::FIELDS)),
        (transactions, "the fields of a rejection of one", request(ManualRejection::FIELDS)),
        (transactions, "the fields of a retry", request(RetryBody::FIELDS)),
        (transactions, "the fields of a resolution", request(ResolveBody::FIELDS)),
        (transactions, "the fields of a refund", request(RefundBody::FIELDS)),
        (transactions, "the fields of a cancellation", request(DepositCancelBody::FIELDS)),
        (explanations, "the names of a payment", request(PaymentNameBody::FIELDS)),
        (explanations, "the fields of an explained payment", names(PaymentExplained::FIELDS)),
        (explanations, "the fields of an entry", names(ExplanationEntry::FIELDS)),
        (explanations, "the fields of a next step", names(NextStepRecord::FIELDS)),
        (explanations, "the fields of a change", names(ChangedField::FIELDS)),
        (explanations, "the fields of a question about methods", request(MethodsQuestionBody::FIELDS)),
        (explanations, "the fields of explained methods", names(MethodsExplained::FIELDS)),
        (explanations, "the fields of the account", names(ExplainedAccount::FIELDS)),
        (explanations, "the fields of a rule that hides", names(HidingRule::FIELDS)),
        (explanations, "the fields of a check", names(CheckLine::FIELDS)),
        (approvals, "the fields of an approval", names(ApprovalRecord::FIELDS)),
        (approvals, "the fields of a record", names(AuditEntry::FIELDS)),
        (approvals, "the fields of a recorded change", names(AuditedField::FIELDS)),
        (events, "the fields of a replay", request(ReplayBody::FIELDS)),
        (events, "the fields of its answer", names(ReplayAnswer::FIELDS)),
        (events, "the fields of an outcome", names(ReplayedRecord::FIELDS)),
        (events, "the fields of a transaction in it", names(ReplayedTransactionRecord::FIELDS)),
    ];
    let found = missing(&lists);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_customer_page_lists_the_fields_of_a_transaction_in_their_order() {
    let page = table("docs/api/customer.md", "Field").columns(["Field"]).into_iter().map(|[field]| field);
    assert_eq!(page.collect::<Vec<_>>(), names(TransactionRecord::FIELDS));
    assert_eq!(names(DepositAnswer::FIELDS), ["transaction", "next_action", "redirect_url", "instructions"]);
}

#[test]
fn an_edit_takes_the_fields_of_its_record() {
    let config = [names(ConfigRecord::FIELDS), vec!["revoke_previous".to_owned(), "wipe".to_owned()]].concat();
    agree("a config edit", config, names(ConfigBody::FIELDS));
    agree("an override edit", names(OverrideRecord::FIELDS), names(OverrideBody::FIELDS));
}

#[test]
fn a_list_that_differs_from_the_code_is_reported() {
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let page = "docs/api/customer.md";
    let right = (page, "withdrawals", request(WithdrawalBody::FIELDS));
    assert!(missing(std::slice::from_ref(&right)).is_empty());
    let (_, _, mut longer) = right;
    longer.push("surplus".to_owned());
    assert_eq!(missing(&[(page, "withdrawals", longer)]).len(), 1);
    assert_eq!(missing(&[(page, "pairs", fields(&["b", "a"]))]), ["docs/api/customer.md: pairs are `b, a`"]);
}
