//! The transaction on the wire: all 25 published fields in their order (API.md section 2), for customers or managers.

use std::borrow::Cow;

use cashier_core::reason::Reason;
use cashier_core::transaction::Transaction;

use crate::wire::object_text;
use crate::wire::write::{self, Object};

/// Who looks. Customers see coded reasons and not the host's own notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    Customer,
    Manager,
}

/// Money is never converted, so the rate is one (API.md section 3, CURRENCY_CONVERSION_REQUIRED).
const CONVERSION_RATE: &str = "1.0";

/// The whole record.
pub fn write(out: &mut Vec<u8>, transaction: &Transaction, view: View) {
    write::object(out, |fields| {
        write_head(fields, transaction);
        fields
            .text("account_currency", transaction.account_currency.code())
            .raw("converted_amount", &transaction.converted().to_wire())
            .raw("conversion_rate", CONVERSION_RATE)
            .number("status", transaction.status.number().into())
            .text("failure_reason", &failure_reason(&transaction.reason, view))
            .text("idempotency_key", &transaction.idempotency_key)
            .text("comment", &transaction.comment)
            .text("metadata_json", &metadata(&transaction.metadata_json, view))
            .number("source", transaction.source.number().into())
            .number("approved_by", transaction.approved_by.0)
            .time("approved_time", transaction.approved_time)
            .number("processed_by", transaction.processed_by.0)
            .time("processed_time", transaction.processed_time)
            .text("reject_reason", &transaction.reject_reason)
            .time("created_time", transaction.created_time)
            .time("updated_time", transaction.updated_time);
    });
}

fn write_head(fields: &mut Object<'_>, transaction: &Transaction) {
    fields
        .number("id", transaction.id.0)
        .number("customer_id", transaction.customer_id.0)
        .number("login", transaction.login.0)
        .number("type", transaction.kind.number().into())
        .text("provider", &transaction.provider)
        .text("method", &transaction.method)
        .text("provider_payment_id", &transaction.provider_payment_id)
        .raw("amount", &transaction.amount.to_wire())
        .text("currency", transaction.amount.currency.code());
}

/// A column of the manager's table form: its name and how its value is written.
pub type Column = (&'static str, fn(&mut Vec<u8>, &Transaction));

/// The manager's table form, in the published order (API.md section 4).
pub const TABLE: [Column; 13] = [
    ("id", |out, row| write::number(out, row.id.0)),
    ("customer_id", |out, row| write::number(out, row.customer_id.0)),
    ("login", |out, row| write::number(out, row.login.0)),
    ("type", |out, row| write::number(out, row.kind.number().into())),
    ("provider", |out, row| write::text(out, &row.provider)),
    ("method", |out, row| write::text(out, &row.method)),
    ("provider_payment_id", |out, row| write::text(out, &row.provider_payment_id)),
    ("amount", |out, row| out.extend_from_slice(row.amount.to_wire().as_bytes())),
    ("currency", |out, row| write::text(out, row.amount.currency.code())),
    ("status", |out, row| write::number(out, row.status.number().into())),
    ("failure_reason", |out, row| write::text(out, &failure_reason(&row.reason, View::Manager))),
    ("created_time", |out, row| write::signed(out, row.created_time.0)),
    ("updated_time", |out, row| write::signed(out, row.updated_time.0)),
];

/// One row of the table form, in the order of [`TABLE`].
pub fn write_row(out: &mut Vec<u8>, transaction: &Transaction) {
    write::array(out, TABLE, |out, (_, write)| write(out, transaction));
}

/// The code for everyone, `CODE: values behind it` for managers.
fn failure_reason(reason: &Reason, view: View) -> Cow<'_, str> {
    match view {
        View::Customer => Cow::Borrowed(reason.code.name()),
        View::Manager if reason.detail.is_empty() => Cow::Borrowed(reason.code.name()),
        View::Manager => Cow::Owned(reason.to_string()),
    }
}

fn metadata(text: &str, view: View) -> Cow<'_, str> {
    match view {
        View::Customer => object_text::for_customer(text),
        View::Manager => Cow::Borrowed(text),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use cashier_core::facts::Facts;
    use cashier_core::ids::{ConfigId, CustomerId, Login, ManagerId, Reference, Seq, TransactionId};
    use cashier_core::money::{Currency, Money};
    use cashier_core::refs::Refs;
    use cashier_core::status::{Source, TransactionStatus, TransactionType};
    use cashier_core::time::UnixTime;
    use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction};

    use super::*;

    /// The transaction that the published pages show.
    pub(crate) fn published() -> Transaction {
        let usd = Currency::from_code("USD").unwrap();
        Transaction {
            id: TransactionId(15),
            customer_id: CustomerId(5),
            login: Login(2_000_009),
            kind: TransactionType::Deposit,
            source: Source::Provider,
            provider: "stripe".into(),
            method: "card".into(),
            asked_method: "card".into(),
            provider_payment_id: "pi_123".into(),
            amount: Money::new(25_000, usd),
            account_currency: usd,
            status: TransactionStatus::PendingPayment,
            reason: Reason::default(),
            idempotency_key: "0f9bb0e7-642d-4b70-b458-62e3993c7d2d".into(),
            comment: "".into(),
            metadata_json: "{}".into(),
            approved_by: ManagerId(0),
            approved_time: UnixTime::UNSET,
            processed_by: ManagerId(0),
            processed_time: UnixTime::UNSET,
            reject_reason: "".into(),
            created_time: UnixTime(1_779_270_000),
            updated_time: UnixTime(1_779_270_000),
            config_id: ConfigId(1),
            brand: "ion4".into(),
            country: "DE".into(),
            sandbox: false,
            reference: Reference::from_random(7),
            key_space: KeySpace::Customer,
            expires_time: UnixTime::UNSET,
            refs: Refs::default(),
            facts: Facts::default(),
            first_answer: FirstAnswer::Accepted,
            next_action: NextAction::Redirect,
            refused_seq: Seq(0),
            version: 1,
        }
    }

    #[test]
    fn the_published_transaction_has_its_25_fields_in_their_order() {
        let mut out = Vec::new();
        write(&mut out, &published(), View::Customer);
        let expected = r#"{"id":15,"customer_id":5,"login":2000009,"type":0,"provider":"stripe","method":"card","provider_payment_id":"pi_123","amount":250.0,"currency":"USD","account_currency":"USD","converted_amount":250.0,"conversion_rate":1.0,"status":1,"failure_reason":"","idempotency_key":"0f9bb0e7-642d-4b70-b458-62e3993c7d2d","comment":"","metadata_json":"{}","source":0,"approved_by":0,"approved_time":0,"processed_by":0,"processed_time":0,"reject_reason":"","created_time":1779270000,"updated_time":1779270000}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn customers_see_codes_and_their_own_metadata_managers_the_values_behind() {
        let mut kept = published();
        kept.reason = Reason::new(
            cashier_core::reason::ReasonCode::AmountMismatch,
            "expected 250.0 USD, the provider states 25.0 USD",
        );
        kept.metadata_json = r#"{"_cashier":{"note":"n"},"order":"A-1"}"#.into();
        let shown = |view| {
            let mut out = Vec::new();
            write(&mut out, &kept, view);
            let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
            [&json["failure_reason"], &json["metadata_json"]].map(|text| text.as_str().unwrap().to_owned())
        };
        assert_eq!(shown(View::Customer), ["AMOUNT_MISMATCH", r#"{"order":"A-1"}"#]);
        assert_eq!(
            shown(View::Manager),
            [
                "AMOUNT_MISMATCH: expected 250.0 USD, the provider states 25.0 USD",
                r#"{"_cashier":{"note":"n"},"order":"A-1"}"#
            ]
        );
    }

    #[test]
    fn a_table_row_has_a_value_for_every_column() {
        let mut out = Vec::new();
        write_row(&mut out, &published());
        let expected = r#"[15,5,2000009,0,"stripe","card","pi_123",250.0,"USD",1,"",1779270000,1779270000]"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
