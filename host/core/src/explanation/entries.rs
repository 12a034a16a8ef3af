//! The entries of an explanation, one function for each kind, and their order.

use super::fact_text::Details;
use super::parts::{DetailValue, EntryKind, ExplainedEntry, PaymentHistory, StoredAct, UnverifiedEvent};
use super::replay::{Cause, Point, StandingChange, replay};
use crate::aggregate::Aggregate;
use crate::approval::Approval;
use crate::ids::{Seq, TransactionId};
use crate::inbox;
use crate::notice::{ProviderEvent, StatedAmount};
use crate::operation::{BalanceOperation, OperationKey};
use crate::provider_call::ProviderCall;
use crate::session::Role;
use crate::status::{OperationStatus, ProcessingStatus, SignatureStatus, Source, TransactionType};
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// Every entry by time; of one second in the order of cause and effect.
pub(super) fn all(aggregate: &Aggregate, history: &PaymentHistory, approvals: &[Approval]) -> Vec<ExplainedEntry> {
    let transaction = &aggregate.transaction;
    let mut entries = vec![request(transaction)];
    entries.extend(history.calls.iter().map(call));
    entries.extend(history.events.iter().map(|known| event(known, transaction.id)));
    entries.extend(history.unverified.iter().map(unverified));
    entries.extend(history.acts.iter().map(act));
    entries.extend(replay(aggregate).iter().map(|known| change(known, transaction, &history.acts)));
    entries.extend(approvals.iter().map(approval));
    entries.sort_by_key(|entry| entry.time);
    entries
}

fn text(value: impl Into<String>) -> DetailValue {
    DetailValue::Text(value.into())
}

fn number(value: u64) -> DetailValue {
    DetailValue::Number(value.cast_signed())
}

fn entry(time: UnixTime, kind: EntryKind, title: String, details: Details) -> ExplainedEntry {
    let is_given = |value: &DetailValue| !matches!(value, DetailValue::Text(text) if text.is_empty());
    ExplainedEntry { time, kind, title, details: details.into_iter().filter(|(_, value)| is_given(value)).collect() }
}

fn request(row: &Transaction) -> ExplainedEntry {
    let kind = match row.kind {
        TransactionType::Deposit => "deposit",
        TransactionType::Withdrawal => "withdrawal",
    };
    let source = match row.source {
        Source::Provider => "provider",
        Source::Manual => "manual",
    };
    let mut details = vec![
        ("type", text(kind)),
        ("source", text(source)),
        ("customer_id", number(row.customer_id.0)),
        ("login", number(row.login.0)),
        ("amount", DetailValue::Amount(row.amount)),
        ("currency", text(row.amount.currency.code())),
        ("provider", text(&*row.provider)),
        ("method", text(&*row.method)),
        ("provider_config_id", number(row.config_id.0)),
        ("brand", text(&*row.brand)),
        ("country", text(&*row.country)),
        ("sandbox", number(u64::from(row.sandbox))),
        ("reference", text(row.reference.as_str())),
        ("expires_time", DetailValue::Number(row.expires_time.0.max(0))),
    ];
    let mut title = format!("{kind} of {} requested for login {}", row.amount, row.login);
    if let Some(conversion) = &row.conversion {
        title.push_str(&format!(", which is {} at {}", row.converted(), conversion.rate));
        details.extend([
            ("converted_amount", DetailValue::Amount(row.converted())),
            ("account_currency", text(row.account_currency.code())),
            ("conversion_rate", text(conversion.rate.to_wire())),
            ("rate_time", DetailValue::Number(conversion.time.0)),
            ("rate_source", text(&*conversion.source)),
        ]);
    }
    entry(row.created_time, EntryKind::Request, title, details)
}

fn call(known: &ProviderCall) -> ExplainedEntry {
    let ProviderCall { at, purpose, method, host, status, duration_ms, outcome } = known;
    let details = vec![
        ("purpose", text(purpose.name())),
        ("method", text(&**method)),
        ("host", text(&**host)),
        ("http_status", number(u64::from(*status))),
        ("duration_ms", number(u64::from(*duration_ms))),
        ("outcome", text(outcome.name())),
    ];
    let ended = match status {
        0 => outcome.name().replace('_', " "),
        status => format!("answered {status}"),
    };
    let title = format!("{} call to {host}: {ended} after {duration_ms} ms", purpose.name());
    entry(*at, EntryKind::ProviderCall, title, details)
}

fn event(known: &ProviderEvent, id: TransactionId) -> ExplainedEntry {
    let status = known.update.as_ref().map_or("", |update| update.status.name());
    let outcome = match known.processing_status {
        ProcessingStatus::Pending => "waits for its transaction",
        ProcessingStatus::Processed => "applied",
        ProcessingStatus::Failed => "not applied",
        ProcessingStatus::Ignored => "changed nothing",
    };
    let title = match known.signature_status {
        SignatureStatus::Unknown | SignatureStatus::Invalid => NOT_VERIFIED.to_owned(),
        SignatureStatus::Valid => format!("verified event {status}: {outcome}"),
    };
    let title = if known.transaction_id == id { title } else { format!("{title}; it names this payment") };
    entry(known.created_time, EntryKind::Event, title, event_details(known))
}

/// Of a webhook that anybody may have sent.
const NOT_VERIFIED: &str = "NOT VERIFIED, changed nothing: webhook";

/// A webhook that was not verified. It is no evidence of anything but that somebody knew a name of the payment.
fn unverified(known: &UnverifiedEvent) -> ExplainedEntry {
    let UnverifiedEvent { event, is_cut } = known;
    let title = match inbox::is_recovered(event) {
        true => "NOT VERIFIED when it came, recovered since: webhook that names this payment".to_owned(),
        false => format!("{NOT_VERIFIED} that names this payment"),
    };
    let title = if *is_cut { format!("{title}, of which only the beginning is stored") } else { title };
    let mut details = event_details(event);
    details.extend(is_cut.then(|| ("body_cut", number(1))));
    entry(event.created_time, EntryKind::Event, title, details)
}

fn event_details(known: &ProviderEvent) -> Details {
    let update = known.update.as_ref();
    let amount = update.and_then(|update| update.amount.as_ref()).map(StatedAmount::to_string);
    let status = update.map_or("", |update| update.status.name());
    vec![
        ("event", number(known.id.0)),
        ("event_id", text(&*known.event_id)),
        ("provider_config_id", number(known.config_id.0)),
        ("transaction_id", number(known.transaction_id.0)),
        ("provider_status", text(status)),
        ("raw_status", text(update.map_or("", |update| &*update.raw_status))),
        ("stated_amount", text(amount.unwrap_or_default())),
        ("provider_payment_id", text(&*known.provider_payment_id)),
        ("signature_status", number(u64::from(known.signature_status.number()))),
        ("processing_status", number(u64::from(known.processing_status.number()))),
        ("failure_reason", text(&*known.failure_reason)),
        ("processed_time", DetailValue::Number(known.processed_time.0)),
    ]
}

fn act(known: &StoredAct) -> ExplainedEntry {
    let details = vec![
        ("manager_id", number(known.manager_id.0)),
        ("role", number(u64::from(known.role.number()))),
        ("command", text(&*known.command)),
        ("outcome", text(&*known.outcome)),
        ("changes", DetailValue::Changes(known.changes.clone())),
    ];
    // A refused command may be anybody's.
    let who = match known.role {
        Role::Manager | Role::Dealer | Role::Admin | Role::CrmManager | Role::CrmAdmin => "manager",
        Role::Customer => "customer",
        Role::User => "user",
        Role::System => "system session",
        Role::Fix => "FIX session",
    };
    let title = format!("{} by {who} {}: {}", known.command, known.manager_id, known.outcome);
    entry(known.at, EntryKind::Record, title, details)
}

fn approval(known: &Approval) -> ExplainedEntry {
    let details = vec![
        ("approval_id", number(known.id.0)),
        ("command", text(&*known.command)),
        ("asked_by", number(known.asked_by.0)),
        ("expires_time", DetailValue::Number(known.expires_time.0)),
    ];
    let title = format!("{} of manager {} waits for a second person", known.command, known.asked_by);
    entry(known.asked_time, EntryKind::Approval, title, details)
}

/// A fact, a decision or an operation with what it changed.
fn change(known: &StandingChange, row: &Transaction, acts: &[StoredAct]) -> ExplainedEntry {
    let (kind, title, mut details) = match &known.cause {
        Cause::Provider { name, title, details } => (EntryKind::Fact, title.clone(), named(name, details)),
        Cause::Person { seq, name, title, details } => decision(*seq, name, title, details, acts),
        Cause::Operation(operation) => operation_of(operation, row),
    };
    let (before, after) = (&known.before, &known.after);
    let changed = |name, before: String, after: String| {
        if before == after { Vec::new() } else { vec![[name, before, after]] }
    };
    let status = |point: &Point| point.status.name().to_owned();
    let changes = [
        changed("status".to_owned(), status(before), status(after)),
        changed("failure_reason".to_owned(), before.reason.to_string(), after.reason.to_string()),
        changed("owed".to_owned(), before.owed.to_string(), after.owed.to_string()),
    ];
    details.push(("status", text(after.status.name())));
    details.push(("owed", DetailValue::Amount(after.owed)));
    details.push(("changes", DetailValue::Changes(changes.concat())));
    entry(known.at, kind, title, details)
}

/// A decision, with who made it where the record of its commit is shown.
fn decision(
    seq: Seq,
    name: &'static str,
    title: &str,
    details: &Details,
    acts: &[StoredAct],
) -> (EntryKind, String, Details) {
    let mut details = named(name, details);
    let Some(act) = acts.iter().find(|act| act.seq == seq) else {
        return (EntryKind::Decision, title.to_owned(), details);
    };
    let by = format!("manager {}", act.manager_id);
    details.push(("manager_id", number(act.manager_id.0)));
    let title = if title.ends_with(&format!("by {by}")) { title.to_owned() } else { format!("{title} ({by})") };
    (EntryKind::Decision, title, details)
}

fn named(name: &'static str, details: &Details) -> Details {
    [("fact", text(name))].into_iter().chain(details.iter().cloned()).collect()
}

fn operation_of(operation: &BalanceOperation, row: &Transaction) -> (EntryKind, String, Details) {
    let what = format!("{} of {}", operation.cmd.name(), operation.amount);
    let title = match operation.status {
        OperationStatus::Planned => format!("{what}: planned, not answered yet"),
        OperationStatus::Posted => format!("{what}: posted by the trading server"),
        OperationStatus::Refused => format!("{what}: refused, {}", operation.failure_reason),
        OperationStatus::Unknown => format!("{what}: the trading server did not answer"),
    };
    let details = vec![
        ("operation_id", number(operation.id.0)),
        ("key", text(OperationKey::of(&row.reference, operation).as_str())),
        ("login", number(operation.login.0)),
        ("amount", DetailValue::Amount(operation.amount)),
        ("operation_status", number(u64::from(operation.status.number()))),
        ("trade_order", text(operation.trade_order.to_string())),
        ("failure_reason", text(&*operation.failure_reason)),
        ("planned_time", DetailValue::Number(operation.created_time.0)),
    ];
    (EntryKind::Operation, title, details)
}
