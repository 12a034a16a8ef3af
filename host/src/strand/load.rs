//! Reads every row back: several readers decode side by side while the strand's own thread takes the rows in, so that a
//! start holds no second copy of the database. Nothing writes meanwhile, so the readers see one state.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use cashier_core::change::{Change, Counters};
use cashier_core::customer_override::CustomerOverride;
use cashier_core::ids::{ConfigId, EventId};
use cashier_core::notice::ProviderEvent;
use cashier_core::operation::BalanceOperation;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::transaction::Transaction;
use rusqlite::{Connection, OptionalExtension, Params};

use super::columns::{Cells, Currencies, sql_fault};
use super::rows::{config, counters, customer_override, event, operation, transaction};
use super::seal::Seal;
use super::sqlite::connect_read_only;
use crate::ports::{Fault, Loaded};

/// Readers beyond this share one disk and one allocator without getting faster.
const READERS_MAX: usize = 4;

/// Ids in a block of transactions: decoded rows of a few blocks fit a processor's cache on their way into the books.
const BLOCK_IDS: i64 = 256;

/// Blocks that wait to be taken in, for each reader.
const BLOCKS_WAITING: usize = 4;

/// Who takes the rows in. A transaction comes once, by rising id, with all its operations.
pub(super) trait Intake {
    /// Comes first.
    fn counters(&mut self, counters: Counters, event_keys: u64);
    fn config(&mut self, row: ProviderConfig);
    fn customer_override(&mut self, row: CustomerOverride);
    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]);
    /// An operation whose transaction has no row.
    fn orphan(&mut self, row: BalanceOperation);
    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId);
    fn pending_event(&mut self, row: ProviderEvent);
}

impl Intake for Loaded {
    fn counters(&mut self, counters: Counters, event_keys: u64) {
        self.books.expect(counters.transaction, event_keys);
        self.books.set_counters(counters);
    }

    fn config(&mut self, row: ProviderConfig) {
        self.configs.push(row);
    }

    fn customer_override(&mut self, row: CustomerOverride) {
        self.overrides.push(row);
    }

    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]) {
        self.books.load_transaction(&row, operations);
    }

    fn orphan(&mut self, row: BalanceOperation) {
        self.books.load(Change::Operation(Box::new(row)));
    }

    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.books.remember_event_key(config, event_id, id);
    }

    fn pending_event(&mut self, row: ProviderEvent) {
        self.books.load(Change::Event(Box::new(row)));
    }
}

pub(super) fn everything(
    connection: &Connection,
    path: &Path,
    seal: &Seal,
    intake: &mut impl Intake,
) -> Result<(), Fault> {
    let counters = read_counters(connection)?;
    check_counters(connection, &counters)?;
    // Counted, because the counter of events counts forged ones as well.
    let count = connection.query_row(event::COUNT_KEYS, [], |row| row.get(0));
    let event_keys: i64 = count.map_err(sql_fault(event::TABLE))?;
    intake.counters(counters, event_keys.cast_unsigned());
    each(connection, config::READ_ALL, [], config::TABLE, |cells| {
        intake.config(config::read(cells, seal)?);
        Ok(())
    })?;
    each(connection, customer_override::READ_ALL, [], customer_override::TABLE, |cells| {
        intake.customer_override(customer_override::read(cells)?);
        Ok(())
    })?;
    let operations = read_operations(path, counters.operation, || read_event_keys(connection, intake))?;
    read_transactions(path, operations, intake)?;
    each(connection, event::READ_PENDING, [], event::TABLE, |cells| {
        intake.pending_event(event::read(cells)?);
        Ok(())
    })
}

fn readers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX)
}

fn joined<T>(reader: ScopedJoinHandle<'_, Result<T, Fault>>) -> Result<T, Fault> {
    reader.join().unwrap_or_else(|_| Err(Fault::new("a reader of the database panicked")))
}

/// All operations in the order of their transactions; `meanwhile` runs while they are read.
fn read_operations(
    path: &Path,
    highest: u64,
    meanwhile: impl FnOnce() -> Result<(), Fault>,
) -> Result<Vec<BalanceOperation>, Fault> {
    let read = |place| -> Result<Vec<BalanceOperation>, Fault> {
        let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
        let ids = id_range(highest, place);
        let mut operations = Vec::new();
        each(&connection, operation::READ_RANGE, [*ids.start(), *ids.end()], operation::TABLE, |cells| {
            operations.push(operation::read(cells)?);
            Ok(())
        })?;
        Ok(operations)
    };
    let mut operations = thread::scope(|scope| -> Result<Vec<BalanceOperation>, Fault> {
        let read = &read;
        let readers: Vec<_> = (0..readers()).map(|place| scope.spawn(move || read(place))).collect();
        meanwhile()?;
        let mut all = Vec::new();
        for reader in readers {
            all.append(&mut joined(reader)?);
        }
        Ok(all)
    })?;
    // Nearly in order already: ids of operations and of their transactions grow together.
    operations.sort_by_key(|operation| (operation.transaction_id, operation.id));
    Ok(operations)
}

/// The ids a reader takes of 1..=highest; together the readers take each once.
fn id_range(highest: u64, place: usize) -> RangeInclusive<i64> {
    let readers = u64::try_from(readers()).unwrap_or(1);
    let place = u64::try_from(place).unwrap_or(0);
    let bound = |place: u64| (highest / readers) * place + (highest % readers).min(place);
    let first = bound(place).saturating_add(1).cast_signed();
    first..=bound(place + 1).cast_signed()
}

/// A block of transactions by its place in the order of ids.
type Block = (u64, Vec<Transaction>);

/// Reads transactions in blocks and takes them in by rising id, each with its operations. This thread takes in what is
/// ready and reads while nothing is, so that no processor waits for another.
fn read_transactions(path: &Path, operations: Vec<BalanceOperation>, intake: &mut impl Intake) -> Result<(), Fault> {
    let next = Mutex::new(NextBlock { place: 0, first: 0 });
    let (sender, blocks) = sync_channel(readers() * BLOCKS_WAITING);
    thread::scope(|scope| {
        let next = &next;
        let others: Vec<_> = (1..readers())
            .map(|_| {
                let sender = sender.clone();
                scope.spawn(move || read_blocks(path, next, &sender))
            })
            .collect();
        drop(sender);
        let mut line = Line { early: BTreeMap::new(), place: 0, operations: &operations };
        let taken = take_and_read(path, next, &blocks, &mut line, intake);
        // Whoever still sends finds nobody and ends.
        drop(blocks);
        others.into_iter().map(joined).fold(taken, Result::and)
    })
}

fn take_and_read(
    path: &Path,
    next: &Mutex<NextBlock>,
    blocks: &Receiver<Block>,
    line: &mut Line<'_>,
    intake: &mut impl Intake,
) -> Result<(), Fault> {
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    while let Some(own) = read_block(&connection, next)? {
        line.take(own, intake);
        for block in blocks.try_iter() {
            line.take(block, intake);
        }
    }
    for block in blocks {
        line.take(block, intake);
    }
    line.end(intake);
    Ok(())
}

fn read_blocks(path: &Path, next: &Mutex<NextBlock>, blocks: &SyncSender<Block>) -> Result<(), Fault> {
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    while let Some(block) = read_block(&connection, next)? {
        // Whoever took the blocks in has met a fault.
        if blocks.send(block).is_err() {
            break;
        }
    }
    Ok(())
}

/// Where the next block begins: nowhere before this id.
struct NextBlock {
    place: u64,
    first: i64,
}

fn read_block(connection: &Connection, next: &Mutex<NextBlock>) -> Result<Option<Block>, Fault> {
    let (place, first) = {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seek = connection.prepare_cached(transaction::FIRST_FROM).map_err(sql_fault(transaction::TABLE))?;
        let found = seek.query_row([next.first], |row| row.get(0)).optional();
        let Some(first) = found.map_err(sql_fault(transaction::TABLE))? else { return Ok(None) };
        let place = next.place;
        *next = NextBlock { place: place + 1, first: BLOCK_IDS.saturating_add(first) };
        (place, first)
    };
    let mut rows = Vec::with_capacity(usize::try_from(BLOCK_IDS).unwrap_or(0));
    let last = first.saturating_add(BLOCK_IDS - 1);
    each(connection, transaction::READ_RANGE, [first, last], transaction::TABLE, |cells| {
        rows.push(transaction::read(cells)?);
        Ok(())
    })?;
    Ok(Some((place, rows)))
}

/// Puts blocks in the order of their ids, and operations beside their transactions.
struct Line<'o> {
    early: BTreeMap<u64, Vec<Transaction>>,
    place: u64,
    /// In the order of their transactions; those not taken in yet.
    operations: &'o [BalanceOperation],
}

impl Line<'_> {
    fn take(&mut self, (place, rows): Block, intake: &mut impl Intake) {
        self.early.insert(place, rows);
        while let Some(rows) = self.early.remove(&self.place) {
            self.place += 1;
            for row in rows {
                let before = self.operations.iter().take_while(|known| known.transaction_id < row.id).count();
                let (orphans, from) = self.operations.split_at(before);
                orphans.iter().for_each(|orphan| intake.orphan(orphan.clone()));
                let own = from.iter().take_while(|known| known.transaction_id == row.id).count();
                let (own, after) = from.split_at(own);
                intake.transaction(row, own);
                self.operations = after;
            }
        }
    }

    fn end(&mut self, intake: &mut impl Intake) {
        self.operations.iter().for_each(|orphan| intake.orphan(orphan.clone()));
    }
}

/// The keys of all genuine events.
fn read_event_keys(connection: &Connection, intake: &mut impl Intake) -> Result<(), Fault> {
    each(connection, event::READ_KEYS, [], event::TABLE, |cells| {
        let config = ConfigId(cells.id()?);
        let event_id = cells.str()?;
        intake.event_key(config, event_id, EventId(cells.id()?));
        Ok(())
    })
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
