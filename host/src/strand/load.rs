//! Reads every row at a start and hands each to a sink as it is read, so that a start holds no second copy of any table. The
//! large tables are read in parallel (`blocks`). Nothing writes meanwhile, so all readers see one state.

mod block_queue;
mod blocks;
mod sink;

use std::path::Path;

use cashier_core::approval::APPROVALS_MAX;
use cashier_core::change::Counters;
use rusqlite::Connection;

pub(super) use self::block_queue::BlockLimits;
pub(super) use self::sink::RowSink;
use super::audit_key;
use super::columns::{for_each_row, sql_fault};
use super::rows::{RowWriter, approval, config, counters, customer_override, event};
use super::seal::Seal;
use crate::ports::{Fault, LoadProgress, Loaded};

/// One row, made with the table.
pub(super) const READ_IDENTITY: &str = "SELECT value FROM identity WHERE id = 1";

/// What rows are read from.
#[derive(Clone, Copy)]
pub(super) struct RowSource<'s> {
    pub(super) connection: &'s Connection,
    /// Of the same database, for further readers.
    pub(super) path: &'s Path,
    pub(super) seal: &'s Seal,
    pub(super) progress: &'s LoadProgress,
    pub(super) limits: BlockLimits,
}

/// Hands every row of the database to the sink.
pub(super) fn read_all(source: &RowSource<'_>, sink: &mut impl RowSink) -> Result<(), Fault> {
    let RowSource { connection, path, seal, progress, limits } = *source;
    let identity: Box<str> =
        connection.query_row(READ_IDENTITY, [], |row| row.get(0)).map_err(sql_fault("reading the identity"))?;
    sink.identity(&identity);
    let counters = read_counters(connection)?;
    check_counters(connection, &counters)?;
    let rows = counters.transaction.saturating_add(counters.operation);
    progress.begin(rows);
    let has_image = sink.take_image((connection, path), counters, progress)?;
    if !has_image {
        // Counted, because the counter of events includes quarantined ones.
        let count = connection.query_row(event::COUNT_KEYS, [], |row| row.get(0));
        let event_keys: i64 = count.map_err(sql_fault(event::TABLE))?;
        let event_keys = event_keys.cast_unsigned();
        progress.begin(rows.saturating_add(event_keys));
        sink.counters(counters, event_keys);
    }
    read_configuration(connection, seal, sink)?;
    if !has_image {
        blocks::read(path, limits, progress, sink)?;
    }
    for_each_row(connection, event::READ_WAITING, [], event::TABLE, |columns| {
        let row = event::read(columns)?;
        sink.waiting_event(row, columns.value()?);
        Ok(())
    })
}

/// The rows that the snapshot is made of.
pub(super) fn read_configuration(connection: &Connection, seal: &Seal, sink: &mut impl RowSink) -> Result<(), Fault> {
    for_each_row(connection, config::READ_ALL, [], config::TABLE, |columns| {
        sink.config(config::read(columns, seal)?);
        Ok(())
    })?;
    for_each_row(connection, customer_override::READ_ALL, [], customer_override::TABLE, |columns| {
        sink.customer_override(customer_override::read(columns)?);
        Ok(())
    })?;
    for_each_row(
        connection,
        approval::READ_SHOWN,
        [i64::try_from(APPROVALS_MAX).unwrap_or(i64::MAX)],
        approval::TABLE,
        |columns| {
            sink.approval(approval::read(columns, seal)?);
            Ok(())
        },
    )
}

/// The key of fingerprints, and the marks of configs that have none yet: from here on they outlive the secrets.
pub(super) fn mark_accounts(writer: &mut RowWriter<'_>, loaded: &mut Loaded) -> Result<(), Fault> {
    let key = audit_key::take(writer.connection, writer.seal)?;
    for config in &mut loaded.configs {
        let has_payments = loaded.books.config_activity(config.id).is_some();
        let marks = key.marks_at_start(config, has_payments);
        if marks != config.account_marks {
            config.account_marks = marks;
            config::put_marks(writer, config)?;
        }
    }
    loaded.closed_keys = audit_key::closed(writer.connection, writer.seal)?.found;
    loaded.fingerprints = key;
    Ok(())
}

fn read_counters(connection: &Connection) -> Result<Counters, Fault> {
    let mut found = None;
    for_each_row(connection, counters::READ, [], counters::TABLE, |columns| {
        found = Some(counters::read(columns)?);
        Ok(())
    })?;
    found.ok_or_else(|| Fault::new("the counters row is missing"))
}

/// Every id is at most its counter; otherwise rows and counters come from different commits, and ids would be handed out
/// twice.
fn check_counters(connection: &Connection, counters: &Counters) -> Result<(), Fault> {
    let highest = [
        ("commit_journal", "seq", counters.seq),
        ("cashier_transaction", "id", counters.transaction),
        ("balance_operation", "id", counters.operation),
        ("provider_event", "id", counters.event),
        ("unproven_event", "id", counters.event),
        ("notice", "id", counters.notice),
        ("unproven_notice", "id", counters.notice),
        ("provider_config", "id", counters.config),
        ("customer_override", "id", counters.customer_override),
    ];
    for (table, key, counter) in highest {
        // Two subqueries, each answered from an end of the table; both in one SELECT would read the whole table.
        let sql = format!(
            "SELECT coalesce((SELECT min({key}) FROM {table}), 1), coalesce((SELECT max({key}) FROM {table}), 0)"
        );
        let (least, most) = connection
            .query_row(&sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .map_err(sql_fault(table))?;
        if most > counter.cast_signed() {
            return Err(Fault::new(format!(
                "{table} holds {key} {most} while its counter is {counter}: rows and counters are of different commits"
            )));
        }
        if least < 1 {
            return Err(Fault::new(format!("{table} holds {key} {least}: ids begin at 1")));
        }
    }
    Ok(())
}
