//! What a refused command was about, and what its request said, for the record of it.

use cashier_core::edit::FieldChange;
use cashier_core::ids::{ApprovalId, ConfigId, ID_MAX, TransactionId};
use cashier_core::refused;
use cashier_core::session::ManagerSession;
use serde_json::Value;

use crate::flows::{AuditSubject, Cashier};
use crate::json_object::{Members, shown};
use crate::wire::values::AnyJson;

/// The subject with this id.
type SubjectOf = fn(u64) -> AuditSubject;

/// The nouns of published names, and what the `id` of their commands is an id of.
const NOUNS: &[(&str, SubjectOf)] = &[
    ("ProviderConfig", |id| AuditSubject { config: ConfigId(id), ..AuditSubject::default() }),
    ("CashierChange", |id| AuditSubject { approval: ApprovalId(id), ..AuditSubject::default() }),
    ("CashierTransaction", |id| AuditSubject { transaction: TransactionId(id), ..AuditSubject::default() }),
    ("CashierCredit", |id| AuditSubject { transaction: TransactionId(id), ..AuditSubject::default() }),
    ("ResolveCashier", |id| AuditSubject { transaction: TransactionId(id), ..AuditSubject::default() }),
];

/// The row that the request names, and its fields.
pub(super) fn of_request(command: &str, data: Option<&AnyJson>) -> (AuditSubject, Vec<FieldChange>) {
    let members = data.and_then(|data| serde_json::from_str::<Members>(data.0.get()).ok());
    let values: Vec<(String, Option<String>)> =
        members.into_iter().flat_map(|Members(members)| members).map(|(name, raw)| (name, text(raw.get()))).collect();
    let named = values.iter().find(|(name, _)| name == "id").and_then(|(_, value)| value.as_deref()?.parse().ok());
    // Clients depend on ids that a double holds; what is none is shown as it was sent alone.
    let named = named.filter(|id| *id <= ID_MAX);
    let noun = NOUNS.iter().find(|(noun, _)| command.contains(noun));
    let subject = noun.zip(named).map(|((_, subject), id)| subject(id));
    let stated = refused::stated(values.iter().map(|(name, value)| (&**name, value.as_deref())));
    (subject.unwrap_or_default(), stated)
}

/// The named row, where it exists for the session: the record is then shown with it. Of another one, and of a session that may use no
/// command at all, the record has the id as it was sent, and nobody writes into what happened to a row that they do not see.
pub(super) fn subject(cashier: &Cashier, session: &ManagerSession, named: AuditSubject) -> AuditSubject {
    let AuditSubject { config, transaction, approval } = named;
    let snapshot = cashier.snapshot();
    let is_seen = |brand: &str| session.role().may_manage_cashier() && session.sees(brand);
    let has_config = snapshot.config(config).is_some_and(|known| is_seen(&known.config.brand));
    let has_approval = snapshot.approval(approval).is_some_and(|known| is_seen(&known.brand));
    let known = cashier.ledger.peek(|books| books.transaction(transaction));
    let has_transaction = known.is_ok_and(|known| known.is_some_and(|row| is_seen(&row.brand)));
    AuditSubject {
        config: if has_config { config } else { ConfigId(0) },
        transaction: if has_transaction { transaction } else { TransactionId(0) },
        approval: if has_approval { approval } else { ApprovalId(0) },
    }
}

/// The name of a command that does not exist, as it was sent.
pub(super) fn unknown_command(name: &str) -> Vec<FieldChange> {
    vec![refused::named("command", &shown(name))]
}

/// A single value as text.
fn text(raw: &str) -> Option<String> {
    match serde_json::from_str(raw).ok()? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}
