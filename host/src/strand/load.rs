//! Reads every row back: transactions and operations by several readers side by side, the rest by the strand itself.
//! Nothing writes meanwhile, so the readers see one state.

use std::ops::RangeInclusive;
use std::path::Path;
use std::thread::{self, ScopedJoinHandle};

use cashier_core::change::{Change, Counters};
use cashier_core::ids::{ConfigId, EventId};
use cashier_core::operation::BalanceOperation;
use cashier_core::transaction::Transaction;
use rusqlite::{Connection, Params};

use super::columns::{Cells, Currencies, sql_fault};
use super::rows::{config, counters, customer_override, event, operation, transaction};
use super::seal::Seal;
use super::sqlite::connect_read_only;
use crate::ports::{Fault, Loaded};

/// Readers beyond this share one disk and one allocator without getting faster.
const READERS_MAX: usize = 4;

pub(super) fn everything(connection: &Connection, path: &Path, seal: &Seal) -> Result<Loaded, Fault> {
    let counters = read_counters(connection)?;
    let mut loaded = Loaded { counters, rows: Vec::new(), event_keys: Vec::new() };
    check_counters(connection, &counters)?;
    each(connection, config::READ_ALL, [], config::TABLE, |cells| {
        loaded.rows.push(Change::Config(Box::new(config::read(cells, seal)?)));
        Ok(())
    })?;
    each(connection, customer_override::READ_ALL, [], customer_override::TABLE, |cells| {
        loaded.rows.push(Change::Override(Box::new(customer_override::read(cells)?)));
        Ok(())
    })?;
    let (shares, pending) = thread::scope(|scope| {
        let readers: Vec<ScopedJoinHandle<'_, Result<Share, Fault>>> =
            (0..readers()).map(|place| scope.spawn(move || read_share(path, &counters, place))).collect();
        let pending = read_events(connection, &mut loaded.event_keys);
        let joined = |reader: ScopedJoinHandle<'_, _>| {
            reader.join().unwrap_or_else(|_| Err(Fault::new("a reader of the database panicked")))
        };
        let shares: Result<Vec<Share>, Fault> = readers.into_iter().map(joined).collect();
        (shares, pending)
    });
    let mut shares = shares?;
    let rows = |share: &Share| share.transactions.len() + share.operations.len();
    loaded.rows.reserve_exact(shares.iter().map(rows).sum());
    let mut operations: Vec<BalanceOperation> =
        shares.iter_mut().flat_map(|share| share.operations.drain(..)).collect();
    // Nearly in order already: ids of operations and of their transactions grow together.
    operations.sort_by_key(|operation| (operation.transaction_id, operation.id));
    let mut operations = operations.into_iter().peekable();
    for transaction in shares.into_iter().flat_map(|share| share.transactions) {
        // Its operations stand before it, so that whoever takes the rows in meets each transaction once, complete.
        while let Some(operation) = operations.next_if(|operation| operation.transaction_id <= transaction.id) {
            loaded.rows.push(Change::Operation(Box::new(operation)));
        }
        loaded.rows.push(Change::Transaction(Box::new(transaction)));
    }
    loaded.rows.extend(operations.map(|operation| Change::Operation(Box::new(operation))));
    loaded.rows.append(&mut pending?);
    Ok(loaded)
}

/// One reader's part of the rows.
struct Share {
    transactions: Vec<Transaction>,
    operations: Vec<BalanceOperation>,
}

fn readers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX)
}

fn read_share(path: &Path, counters: &Counters, place: usize) -> Result<Share, Fault> {
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    let ids = id_range(counters.transaction, place);
    let mut transactions = Vec::new();
    each(&connection, transaction::READ_RANGE, [*ids.start(), *ids.end()], transaction::TABLE, |cells| {
        transactions.push(transaction::read(cells)?);
        Ok(())
    })?;
    let ids = id_range(counters.operation, place);
    let mut operations = Vec::new();
    each(&connection, operation::READ_RANGE, [*ids.start(), *ids.end()], operation::TABLE, |cells| {
        operations.push(operation::read(cells)?);
        Ok(())
    })?;
    Ok(Share { transactions, operations })
}

/// The ids a reader takes of 1..=highest; together the readers take each once.
fn id_range(highest: u64, place: usize) -> RangeInclusive<i64> {
    let readers = u64::try_from(readers()).unwrap_or(1);
    let place = u64::try_from(place).unwrap_or(0);
    let bound = |place: u64| (highest / readers) * place + (highest % readers).min(place);
    let first = bound(place).saturating_add(1).cast_signed();
    first..=bound(place + 1).cast_signed()
}

/// The pending events in full, and the keys of all.
fn read_events(connection: &Connection, keys: &mut Vec<(ConfigId, Box<str>, EventId)>) -> Result<Vec<Change>, Fault> {
    each(connection, event::READ_KEYS, [], event::TABLE, |cells| {
        keys.push((ConfigId(cells.id()?), cells.text()?, EventId(cells.id()?)));
        Ok(())
    })?;
    let mut pending = Vec::new();
    each(connection, event::READ_PENDING, [], event::TABLE, |cells| {
        pending.push(Change::Event(Box::new(event::read(cells)?)));
        Ok(())
    })?;
    Ok(pending)
}

fn read_counters(connection: &Connection) -> Result<Counters, Fault> {
    let mut found = None;
    each(connection, counters::READ, [], counters::TABLE, |cells| {
        found = Some(counters::read(cells)?);
        Ok(())
    })?;
    found.ok_or_else(|| Fault::new("the counters row is missing"))
}

/// Every id lies at or below its counter; otherwise rows and counters come from different moments, and ids would be
/// handed out twice.
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
        // Each by itself is one look at the table's edge; both in one SELECT would read the whole table.
        let sql = format!(
            "SELECT coalesce((SELECT min({key}) FROM {table}), 1), coalesce((SELECT max({key}) FROM {table}), 0)"
        );
        let (least, most) = connection
            .query_row(&sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .map_err(sql_fault(table))?;
        if most > counter.cast_signed() {
            return Err(Fault::new(format!(
                "{table} holds {key} {most} while its counter stands at {counter}: the file mixes two moments"
            )));
        }
        if least < 1 {
            return Err(Fault::new(format!("{table} holds {key} {least}: ids begin at 1")));
        }
    }
    Ok(())
}

/// Runs a query and reads its rows one by one.
pub(super) fn each<P: Params>(
    connection: &Connection,
    sql: &str,
    params: P,
    table: &'static str,
    mut read: impl FnMut(&mut Cells<'_, '_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let trouble = sql_fault(table);
    let mut currencies = Currencies::default();
    let mut statement = connection.prepare_cached(sql).map_err(&trouble)?;
    let mut rows = statement.query(params).map_err(&trouble)?;
    while let Some(row) = rows.next().map_err(&trouble)? {
        read(&mut Cells::new(row, table, &mut currencies))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_together_take_every_id_once() {
        for highest in [0, 1, 2, 3, 4, 5, 1_000_003] {
            let mut next = 1;
            for place in 0..readers() {
                let ids = id_range(highest, place);
                assert_eq!(*ids.start(), next, "{highest}");
                next = ids.end() + 1;
            }
            assert_eq!(next, highest.cast_signed() + 1);
        }
    }
}
