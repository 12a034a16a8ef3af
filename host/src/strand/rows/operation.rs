//! The table balance_operation.

use cashier_core::ids::{Login, OperationId, TransactionId};
use cashier_core::operation::BalanceOperation;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};

use super::Writer;
use crate::ports::Fault;
use crate::strand::columns::{Cells, Put};

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

pub(super) fn put(writer: &mut Writer<'_>, row: &BalanceOperation) -> Result<(), rusqlite::Error> {
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

pub(in crate::strand) fn read(cells: &mut Cells<'_, '_>) -> Result<BalanceOperation, Fault> {
    Ok(BalanceOperation {
        id: OperationId(cells.id()?),
        transaction_id: TransactionId(cells.id()?),
        login: Login(cells.id()?),
        trade_order: cells.id()?,
        cmd: cells.number(OperationCmd::from_number)?,
        amount: cells.money()?,
        reason: cells.number(OperationReason::from_number)?,
        status: cells.number(OperationStatus::from_number)?,
        failure_reason: cells.text()?,
        created_time: cells.time()?,
        updated_time: cells.time()?,
    })
}
