//! The table balance_operation.

use cashier_core::operation::BalanceOperation;

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::table;

table! {
    BalanceOperation "balance_operation" {
        transaction_id; ordinal; login; trade_order; cmd; amount: "amount_minor", "currency"; reason; status; failure_reason;
        created_time; updated_time; request_order;
    }
}

const PUT: &str = concat!("REPLACE INTO balance_operation (", columns!(), ") VALUES (", values!(), ")");

/// The first id that is not below a number, and its transaction.
pub(in crate::strand) const FIRST_FROM: &str =
    "SELECT id, transaction_id FROM balance_operation WHERE id >= ? ORDER BY id LIMIT 1";

/// Rows of an id range, both ends included, in the order of their ids.
pub(in crate::strand) const READ_RANGE: &str =
    concat!("SELECT ", columns!(), " FROM balance_operation WHERE id BETWEEN ? AND ? ORDER BY id");

/// Rows that were noted as changed under a generation or a later one.
pub(in crate::strand) const READ_CHANGED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM balance_operation WHERE id IN (SELECT id FROM changed_operation WHERE generation >= ?) ORDER BY id"
);

pub(super) fn put(writer: &mut RowWriter<'_>, row: &BalanceOperation) -> Result<(), Fault> {
    writer.touch('o', row.id.0);
    writer.put(TABLE, PUT, |put| bind(put, row))
}
