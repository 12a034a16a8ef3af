//! What the record of a refused command says of its request: ids and choices as they were sent, secrets and free texts as
//! fingerprints, and of every other field that there was one. A client writes the request, so all of it is bounded.

use crate::card_data::masked;
use crate::edit::{AuditedValue, FieldChange, FieldClass};
use crate::provider_config::Secret;
use crate::refusal::RefusalCode;

/// Characters of one value in a record; more than any id or code has.
pub const REFUSED_VALUE_MAX: usize = 128;

/// Fields that a person who reads the records needs, and that hold no secret.
const CLEAR: &[&str] = &[
    "id",
    "provider_config_id",
    "customer_id",
    "login",
    "brand",
    "provider",
    "method",
    "country",
    "currency",
    "amount",
    "enabled",
    "sandbox",
    "sort_index",
    "min_amount",
    "max_amount",
    "mode",
    "status",
    "action",
    "force",
    "process_now",
    "confirmed_absent",
    "for_good",
    "revoke_previous",
    "dry_run",
    "since",
    "expires_time",
    "provider_payment_id",
    "reference",
    "ref",
    "secret_required",
    "after_id",
    "ground",
    "idempotency_key",
    "created_time",
    "updated_time",
    "deleted_time",
    "enable",
    "account_mode",
    "group",
    "balance",
    "deposit_allowed",
    "withdrawal_allowed",
    "unreadable",
];

/// Fields of which a record has a fingerprint, so that the same value is seen to be the same.
const HIDDEN: &[&str] = &[
    "secret_key",
    "webhook_secret",
    "config_json",
    "settings_json",
    "public_key",
    "merchant_id",
    "reason",
    "failure_reason",
    "comment",
    "metadata_json",
    "reject_reason",
];

/// Fields of which a record has the count alone: texts without end, lists, and parts of filters.
const COUNTED: &[&str] = &[
    "where",
    "whereBetween",
    "whereIn",
    "whereNotBetween",
    "whereNotIn",
    "whereNot",
    "orderBy",
    "limit",
    "offset",
    "wipe",
    "customers",
    "accounts",
    "groups",
    "rates",
];

/// What the record of a refused command holds of a field of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRecord {
    /// Its value, bounded.
    Clear,
    /// A fingerprint of its value.
    Hidden,
    /// That there was one.
    Counted,
}

impl FieldRecord {
    /// `None` for a name that no command knows: it is counted, because a client may write a secret as a name.
    pub fn of(field: &str) -> Option<Self> {
        let is_in = |list: &[&str]| list.contains(&field);
        match (is_in(CLEAR), is_in(HIDDEN), is_in(COUNTED)) {
            (true, ..) => Some(Self::Clear),
            (_, true, _) => Some(Self::Hidden),
            (.., true) => Some(Self::Counted),
            (false, false, false) => None,
        }
    }

    /// Every field that has a rule, once for each rule.
    pub fn known() -> impl Iterator<Item = &'static str> {
        [CLEAR, HIDDEN, COUNTED].into_iter().flatten().copied()
    }
}

/// What stays of a refused command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalTrace {
    /// A record of its own.
    Recorded,
    /// Its sender's count in the next record of counts: who reads one id after the other leaves a trace.
    Counted,
    /// Nothing: that the server is busy or broken is no refusal of a person.
    None,
}

/// A refusal by rights is recorded always, one of a command that may change something where it is the request that is at fault.
pub fn trace(may_change: bool, code: RefusalCode) -> RefusalTrace {
    match code.number() {
        403 => RefusalTrace::Recorded,
        400 | 404 | 409 if may_change => RefusalTrace::Recorded,
        400 | 404 | 409 => RefusalTrace::Counted,
        _ => RefusalTrace::None,
    }
}

/// The fields of a request, each with its value as text; `None` is a list or an object.
pub fn stated<'r>(fields: impl IntoIterator<Item = (&'r str, Option<&'r str>)>) -> Vec<FieldChange> {
    let mut others = 0_usize;
    let mut changes: Vec<FieldChange> = Vec::new();
    for (name, value) in fields {
        let text = value.unwrap_or("a list or an object");
        let after = match FieldRecord::of(name) {
            Some(FieldRecord::Clear) => AuditedValue::Clear(bounded(text)),
            Some(FieldRecord::Hidden) => AuditedValue::Hidden(Secret::new(text)),
            Some(FieldRecord::Counted) | None => {
                others += 1;
                continue;
            }
        };
        // A name that is sent twice is refused, and recorded once.
        if changes.iter().all(|change| *change.field != *name) {
            changes.push(change(name, after));
        }
    }
    if others > 0 {
        changes.push(change("other fields", AuditedValue::Clear(others.to_string().into())));
    }
    changes
}

/// One value of a request by a name of ours, bounded and with card data masked.
pub fn named(field: &str, value: &str) -> FieldChange {
    change(field, AuditedValue::Clear(bounded(value)))
}

fn change(field: &str, after: AuditedValue) -> FieldChange {
    FieldChange { field: field.into(), class: FieldClass::Other, before: AuditedValue::Clear("".into()), after }
}

fn bounded(text: &str) -> Box<str> {
    let shown = masked(text);
    match shown.char_indices().nth(REFUSED_VALUE_MAX) {
        Some((at, _)) => format!("{}…", shown.get(..at).unwrap_or_default()).into(),
        None => shown.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_stated_without_secrets_and_bounded() {
        let long = "x".repeat(5_000);
        let sent = [
            ("id", Some("7")),
            ("id", Some("8")),
            ("provider_payment_id", Some(&*long)),
            ("reference", Some("4111 1111 1111 1111")),
            ("webhook_secret", Some("CANARY")),
            ("CANARY-as-a-name", Some("CANARY")),
            ("settings_json", None),
            ("brand", None),
        ];
        let stated = stated(sent);
        let clear = |field: &str| {
            let change = stated.iter().find(|change| &*change.field == field).unwrap();
            match &change.after {
                AuditedValue::Clear(text) => text.to_string(),
                AuditedValue::Hidden(_) => "hidden".to_owned(),
            }
        };
        assert_eq!([clear("id"), clear("webhook_secret"), clear("settings_json")], ["7", "hidden", "hidden"]);
        assert_eq!(clear("provider_payment_id").chars().count(), REFUSED_VALUE_MAX + 1);
        assert!(!clear("reference").contains("4111 1111 1111 1111"), "{}", clear("reference"));
        assert_eq!([clear("brand"), clear("other fields")], ["a list or an object", "1"]);
        assert!(!format!("{stated:?}").contains("CANARY"), "{stated:?}");
    }

    #[test]
    fn what_is_recorded_is_a_refusal_of_the_request_and_not_a_fault_of_the_server() {
        for code in RefusalCode::ALL {
            let expected = match code.number() {
                403 => [RefusalTrace::Recorded; 2],
                400 | 404 | 409 => [RefusalTrace::Counted, RefusalTrace::Recorded],
                _ => [RefusalTrace::None; 2],
            };
            assert_eq!([trace(false, *code), trace(true, *code)], expected, "{code:?}");
        }
    }
}
