//! What is stored of the rows that refused commits changed, each read by its id. It changes nothing.

use cashier_core::aggregate::Aggregate;
use cashier_core::books::{Books, StoredEvent};
use cashier_core::dependence::Refusals;
use cashier_core::ids::{EventId, OperationId, TransactionId};
use cashier_core::operation::BalanceOperation;
use cashier_core::transaction::Transaction;
use rusqlite::{Connection, OptionalExtension};

use super::columns::{ColumnReader, for_each_row, sql_fault};
use super::rows::{event, operation, transaction};
use super::writing::REFUSED_AT_ONCE_MAX;
use crate::ports::{Fault, Refused};

pub(super) fn read(connection: &Connection, refusals: &Refusals, books: &Books) -> Result<Refused, Fault> {
    let seqs = refusals.seqs().to_vec();
    if seqs.len() > REFUSED_AT_ONCE_MAX {
        return Err(Fault::new(format!("{} commits rest on refused ones", seqs.len())));
    }
    let mut refused = Refused { seqs, ..Refused::default() };
    for id in refusals.transactions() {
        refused.transactions.push((*id, aggregate(connection, *id, books)?));
    }
    for (id, config, event_id) in refusals.events() {
        let row = one(connection, event::READ_STORED, id.0, event::TABLE, |columns| {
            Ok((event::read(columns)?, columns.value()?))
        })?;
        let owner = connection
            .prepare_cached(event::FIND_KEY)
            .and_then(|mut find| find.query_row((config.0.cast_signed(), &**event_id), |row| row.get(0)).optional())
            .map_err(sql_fault(event::TABLE))?;
        refused.events.push(StoredEvent {
            id: *id,
            config: *config,
            event_id: event_id.clone(),
            row,
            owner: owner.map(|id: i64| EventId(id.cast_unsigned())),
        });
    }
    Ok(refused)
}

/// A transaction with its operations. The books name these: they hold every stored one, and those refused.
fn aggregate(connection: &Connection, id: TransactionId, books: &Books) -> Result<Option<Aggregate>, Fault> {
    let row: Option<Transaction> =
        one(connection, transaction::READ_RANGE, id.0, transaction::TABLE, transaction::read)?;
    let Some(transaction) = row else { return Ok(None) };
    let mut operations = Vec::new();
    for OperationId(known) in books.operation_ids(id) {
        let stored: Option<BalanceOperation> =
            one(connection, operation::READ_RANGE, known, operation::TABLE, operation::read)?;
        operations.extend(stored);
    }
    Ok(Some(Aggregate { transaction, operations }))
}

/// The row of an id; the statement names both ends of a range.
fn one<T>(
    connection: &Connection,
    sql: &str,
    id: u64,
    table: &'static str,
    read: impl Fn(&mut ColumnReader<'_, '_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut found = None;
    for_each_row(connection, sql, [id.cast_signed(), id.cast_signed()], table, |columns| {
        found = Some(read(columns)?);
        Ok(())
    })?;
    Ok(found)
}
