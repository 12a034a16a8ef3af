//! The table balance_operation.

use cashier_core::ids::{Login, OperationId, TransactionId};
use cashier_core::operation::BalanceOperation;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::{ColumnReader, Put};

pub(in crate::strand) const TABLE: &str = "balance_operation";

macro_rules! columns {
    () => {
        "id, transaction_id, login, trade_order, cmd, amount_minor, currency, reason, status, failure_reason, \
         created_time, updated_time"
    };
}

const PUT: &str = concat!("REPLACE INTO balance_operation (", columns!(), ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?)");

/// Rows of an id range, both ends included, in the order of their ids.
pub(in crate::strand) const READ_RANGE: &str =
    concat!("SELECT ", columns!(), " FROM balance_operation WHERE id BETWEEN ? AND ? ORDER BY id");

pub(super) fn put(writer: &mut RowWriter<'_>, row: &BalanceOperation) -> Result<(), rusqlite::Error> {
    writer.touch('o', row.id.0);
    Put::prepare(writer.connection, PUT)?
        .id(row.id.0)
        .id(row.transaction_id.0)
        .id(row.login.0)
        .id(row.trade_order)
        .number(row.cmd.number())
        .money(row.amount)
        .number(row.reason.number())
        .number(row.status.number())
        .text(&row.failure_reason)
        .time(row.created_time)
        .time(row.updated_time)
        .run()
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>) -> Result<BalanceOperation, Fault> {
    Ok(BalanceOperation {
        id: OperationId(columns.id()?),
        transaction_id: TransactionId(columns.id()?),
        login: Login(columns.id()?),
        trade_order: columns.id()?,
        cmd: columns.number(OperationCmd::from_number)?,
        amount: columns.money()?,
        reason: columns.number(OperationReason::from_number)?,
        status: columns.number(OperationStatus::from_number)?,
        failure_reason: columns.text()?,
        created_time: columns.time()?,
        updated_time: columns.time()?,
    })
}
