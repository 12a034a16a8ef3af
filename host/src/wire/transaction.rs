//! The transaction on the wire: all 25 published fields in their order (API.md section 2), for customers or managers.
//! `column` marks those of the manager's table (section 4).

use std::borrow::Cow;

use cashier_core::operation::BalanceOperation;
use cashier_core::reason::Reason;
use cashier_core::status::{Source, TransactionStatus, TransactionType};
use cashier_core::texts::Texts;
use cashier_core::transaction::Transaction;

use crate::json_object::answer;
use crate::wire::answer_values::ExactAmount;
use crate::wire::object_text;
use crate::wire::operation::OperationRecord;
use crate::wire::values::{DecimalText, Id, Numbered, Time};

/// Who reads an answer. Customers see coded reasons, and not the server's own notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Customer,
    Manager,
}

answer! {
    /// A deposit or withdrawal.
    pub struct TransactionRecord<'a>(row: &'a Transaction, texts: &'a Texts, to: Audience) {
        id: Id = Id(row.id.0), "Cashier transaction id", column;
        customer_id: Id = Id(row.customer_id.0), "Customer id", column;
        login: Id = Id(row.login.0), "Trading account login", column;
        kind as "type": Numbered<TransactionType> = Numbered(row.kind), "0 deposit, 1 withdrawal", column;
        provider: &'a str = &row.provider, "Provider code", column;
        method: &'a str = &row.method, "Provider method", column;
        provider_payment_id: &'a str = &row.provider_payment_id, "External payment id", column;
        amount: ExactAmount = ExactAmount(row.amount), "Transaction amount", column;
        currency: &'a str = row.amount.currency.code(), "Transaction currency", column;
        account_currency: &'a str = row.account_currency.code(), "Account currency";
        converted_amount: ExactAmount = ExactAmount(row.converted()), "Converted account-currency amount";
        conversion_rate: DecimalText = DecimalText(conversion_rate(row)), "Conversion rate";
        status: Numbered<TransactionStatus> = Numbered(row.status), "Cashier transaction status", column;
        failure_reason: Cow<'a, str> = failure_reason(&row.reason, to), "Failure reason", column;
        idempotency_key: &'a str = &row.idempotency_key, "Idempotency key";
        comment: &'a str = &texts.comment, "Comment";
        metadata_json: Cow<'a, str> = metadata(&texts.metadata_json, to), "Metadata JSON string";
        source: Numbered<Source> = Numbered(row.source), "0 provider, 1 manual";
        approved_by: Id = Id(row.approved_by.0), "Manager id that approved manual transaction";
        approved_time: Time = Time(row.approved_time), "Approval timestamp";
        processed_by: Id = Id(row.processed_by.0), "Manager id that processed manual transaction";
        processed_time: Time = Time(row.processed_time), "Processing timestamp";
        reject_reason: &'a str = &row.reject_reason, "Rejection reason";
        created_time: Time = Time(row.created_time), "Creation timestamp", column;
        updated_time: Time = Time(row.updated_time), "Last update timestamp", column;
    }

    /// A transaction as a command left it.
    pub struct TransactionAnswer<'a>(row: &'a Transaction, texts: &'a Texts) {
        transaction: TransactionRecord<'a> = TransactionRecord::new(row, texts, Audience::Manager), "Cashier transaction";
    }

    /// A transaction with its balance operations.
    pub struct TransactionDetail<'a>(row: &'a Transaction, texts: &'a Texts, operations: &'a [BalanceOperation]) {
        transaction: TransactionRecord<'a> = TransactionRecord::new(row, texts, Audience::Manager), "Cashier transaction";
        balance_operations: Vec<OperationRecord<'a>> = operations.iter().map(OperationRecord::new).collect(),
            "Balance operations linked to the transaction";
    }
}

/// One where nothing is converted, as nearly always.
fn conversion_rate(row: &Transaction) -> Cow<'static, str> {
    match &row.conversion {
        Some(conversion) => Cow::Owned(conversion.rate.to_wire()),
        None => Cow::Borrowed("1.0"),
    }
}

/// The code for everyone, `CODE: values behind it` for managers.
fn failure_reason(reason: &Reason, to: Audience) -> Cow<'_, str> {
    match to {
        Audience::Customer => Cow::Borrowed(reason.code.name()),
        Audience::Manager if reason.detail.is_empty() => Cow::Borrowed(reason.code.name()),
        Audience::Manager => Cow::Owned(reason.to_string()),
    }
}

fn metadata(text: &str, to: Audience) -> Cow<'_, str> {
    match to {
        Audience::Customer => object_text::for_customer(text),
        Audience::Manager => Cow::Borrowed(text),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use cashier_core::facts::Facts;
    use cashier_core::ids::{ConfigId, CustomerId, Login, ManagerId, Reference, Seq, ServerName, TransactionId};
    use cashier_core::money::{Currency, Money};
    use cashier_core::refs::Refs;
    use cashier_core::status::{Source, TransactionStatus, TransactionType};
    use cashier_core::time::UnixTime;
    use cashier_core::transaction::{FirstAnswer, KeySpace, NextAction};

    use super::*;
    use crate::wire::answer_values::TableForm;

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
            requested_method: "card".into(),
            provider_payment_id: "pi_123".into(),
            amount: Money::new(25_000, usd),
            account_currency: usd,
            conversion: None,
            status: TransactionStatus::PendingPayment,
            reason: Reason::default(),
            idempotency_key: "0f9bb0e7-642d-4b70-b458-62e3993c7d2d".into(),
            has_texts: false,
            stored_bytes: 0,
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
            server: ServerName::default(),
            reference: Reference::from_random(7),
            key_space: KeySpace::Customer,
            expires_time: UnixTime::UNSET,
            refs: Refs::default(),
            facts: Facts::default(),
            first_answer: FirstAnswer::Accepted,
            next_action: NextAction::Redirect,
            refused_seq: Seq(0),
            query_wanted: Seq(0),
            version: 1,
        }
    }

    #[test]
    fn the_published_transaction_has_its_25_fields_in_their_order() {
        let row = published();
        let expected = r#"{"id":15,"customer_id":5,"login":2000009,"type":0,"provider":"stripe","method":"card","provider_payment_id":"pi_123","amount":250.0,"currency":"USD","account_currency":"USD","converted_amount":250.0,"conversion_rate":1.0,"status":1,"failure_reason":"","idempotency_key":"0f9bb0e7-642d-4b70-b458-62e3993c7d2d","comment":"","metadata_json":"{}","source":0,"approved_by":0,"approved_time":0,"processed_by":0,"processed_time":0,"reject_reason":"","created_time":1779270000,"updated_time":1779270000}"#;
        let texts = Texts::default();
        let record = TransactionRecord::new(&row, &texts, Audience::Customer);
        assert_eq!(serde_json::to_string(&record).unwrap(), expected);
    }

    #[test]
    fn a_customer_gets_the_code_and_a_manager_the_values_behind_it() {
        let mut row = published();
        row.reason = Reason::new(
            cashier_core::reason::ReasonCode::AmountMismatch,
            "expected 250.0 USD, the provider states 25.0 USD",
        );
        let texts = Texts { metadata_json: r#"{"_cashier":{"note":"n"},"order":"A-1"}"#.into(), ..Texts::default() };
        let shown = |view| {
            let json = serde_json::to_value(TransactionRecord::new(&row, &texts, view)).unwrap();
            [&json["failure_reason"], &json["metadata_json"]].map(|text| text.as_str().unwrap().to_owned())
        };
        assert_eq!(shown(Audience::Customer), ["AMOUNT_MISMATCH", r#"{"order":"A-1"}"#]);
        assert_eq!(
            shown(Audience::Manager),
            [
                "AMOUNT_MISMATCH: expected 250.0 USD, the provider states 25.0 USD",
                r#"{"_cashier":{"note":"n"},"order":"A-1"}"#
            ]
        );
    }

    #[test]
    fn a_table_row_has_a_value_for_every_column() {
        let row = published();
        let texts = Texts::default();
        let records = [&row].into_iter().map(|row| TransactionRecord::new(row, &texts, Audience::Manager));
        let table = TableForm::new(records, 1);
        let expected = r#"{"structure":["id","customer_id","login","type","provider","method","provider_payment_id","amount","currency","status","failure_reason","created_time","updated_time"],"rows":[[15,5,2000009,0,"stripe","card","pi_123",250.0,"USD",1,"",1779270000,1779270000]],"count":1}"#;
        assert_eq!(serde_json::to_string(&table).unwrap(), expected);
    }
}
