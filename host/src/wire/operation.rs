//! The balance operation on the wire (API.md section 2).

use cashier_core::operation::BalanceOperation;

use crate::wire::write;

/// The whole record; the amount carries its sign.
pub fn write(out: &mut Vec<u8>, operation: &BalanceOperation) {
    write::object(out, |fields| {
        fields
            .number("id", operation.id.0)
            .number("transaction_id", operation.transaction_id.0)
            .number("login", operation.login.0)
            .number("trade_order", operation.trade_order)
            .number("cmd", operation.cmd.number().into())
            .raw("amount", &operation.amount.to_wire())
            .text("currency", operation.amount.currency.code())
            .number("reason", operation.reason.number().into())
            .number("status", operation.status.number().into())
            .text("failure_reason", &operation.failure_reason)
            .time("created_time", operation.created_time)
            .time("updated_time", operation.updated_time);
    });
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::{Login, OperationId, TransactionId};
    use cashier_core::money::{Currency, Money};
    use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
    use cashier_core::time::UnixTime;

    use super::*;

    #[test]
    fn the_published_fields_stand_in_their_order() {
        let operation = BalanceOperation {
            id: OperationId(4),
            transaction_id: TransactionId(15),
            login: Login(2_000_009),
            trade_order: 88,
            cmd: OperationCmd::BalanceOut,
            amount: Money::new(-25_050, Currency::from_code("USD").unwrap()),
            reason: OperationReason::Reversal,
            status: OperationStatus::Posted,
            failure_reason: "".into(),
            created_time: UnixTime(1_779_270_000),
            updated_time: UnixTime(1_779_270_100),
        };
        let mut out = Vec::new();
        write(&mut out, &operation);
        let expected = r#"{"id":4,"transaction_id":15,"login":2000009,"trade_order":88,"cmd":8,"amount":-250.5,"currency":"USD","reason":102,"status":1,"failure_reason":"","created_time":1779270000,"updated_time":1779270100}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
