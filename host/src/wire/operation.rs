//! The balance operation on the wire (API.md section 2).

use cashier_core::operation::BalanceOperation;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};

use crate::json_object::answer;
use crate::wire::answer_values::ExactAmount;
use crate::wire::values::{Id, Numbered, Time};

answer! {
    /// A balance operation; the amount carries its sign.
    pub struct OperationRecord<'a>(row: &'a BalanceOperation) {
        id: Id = Id(row.id.0), "Cashier balance operation id";
        transaction_id: Id = Id(row.transaction_id.0), "Parent transaction id";
        login: Id = Id(row.login.0), "Trading account login";
        trade_order: u64 = row.trade_order, "Balance trade/order id";
        cmd: Numbered<OperationCmd> = Numbered(row.cmd), "6 BALANCE_IN, 8 BALANCE_OUT";
        amount: ExactAmount = ExactAmount(row.amount), "Amount, negative for BALANCE_OUT";
        currency: &'a str = row.amount.currency.code(), "Currency";
        reason: Numbered<OperationReason> = Numbered(row.reason), "100 deposit, 101 withdrawal, 102 reversal";
        status: Numbered<OperationStatus> = Numbered(row.status), "0 planned, 1 posted, 2 refused, 3 unknown";
        failure_reason: &'a str = &row.failure_reason, "Failure reason";
        created_time: Time = Time(row.created_time), "Creation timestamp";
        updated_time: Time = Time(row.updated_time), "Last update timestamp";
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::{Login, OperationId, TransactionId};
    use cashier_core::money::{Currency, Money};
    use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
    use cashier_core::time::UnixTime;

    use super::*;

    #[test]
    fn an_operation_has_the_published_fields_in_order() {
        let operation = BalanceOperation {
            id: OperationId(4),
            transaction_id: TransactionId(15),
            ordinal: 1,
            login: Login(2_000_009),
            trade_order: 88,
            request_order: 0,
            cmd: OperationCmd::BalanceOut,
            amount: Money::new(-25_050, Currency::from_code("USD").unwrap()),
            reason: OperationReason::Reversal,
            status: OperationStatus::Posted,
            failure_reason: "".into(),
            created_time: UnixTime(1_779_270_000),
            updated_time: UnixTime(1_779_270_100),
        };
        let expected = r#"{"id":4,"transaction_id":15,"login":2000009,"trade_order":88,"cmd":8,"amount":-250.5,"currency":"USD","reason":102,"status":1,"failure_reason":"","created_time":1779270000,"updated_time":1779270100}"#;
        assert_eq!(serde_json::to_string(&OperationRecord::new(&operation)).unwrap(), expected);
    }
}
