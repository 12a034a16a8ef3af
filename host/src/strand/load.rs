//! Reads every row at a start: several readers decode in parallel while the strand's own thread loads the rows, so that a
//! start holds no second copy of the database. Nothing writes meanwhile, so the readers see one state.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use cashier_core::approval::{APPROVALS_MAX, Approval};
use cashier_core::books::LoadedImage;
use cashier_core::change::{Change, Counters};
use cashier_core::customer_override::CustomerOverride;
use cashier_core::ids::{ConfigId, EventId};
use cashier_core::notice::ProviderEvent;
use cashier_core::operation::{BalanceOperation, OperationKey};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::status::OperationStatus;
use cashier_core::transaction::Transaction;
use rusqlite::{Connection, OptionalExtension};

use super::columns::{for_each_row, sql_fault};
use super::connection::connect_read_only;
use super::image::loading;
use super::rows::{approval, config, counters, customer_override, event, operation, transaction};
use super::seal::Seal;
use crate::ports::{Fault, Loaded, UnrecordedOperation};

/// Readers beyond this share one disk and one allocator without getting faster.
const READERS_MAX: usize = 4;

/// Ids in a block of transactions: decoded rows of a few blocks fit a processor's cache on their way into the books.
const BLOCK_IDS: i64 = 256;

/// Blocks that wait to be loaded, for each reader.
const BLOCKS_WAITING: usize = 4;

/// One row, made with the table.
pub(super) const READ_IDENTITY: &str = "SELECT value FROM identity WHERE id = 1";

/// Receives the rows. A transaction comes once, by rising id, with all its operations.
pub(super) trait RowSink {
    fn identity(&mut self, identity: &str);
    /// Comes before the rows that have ids.
    fn counters(&mut self, counters: Counters, event_keys: u64);
    /// Takes transactions, operations and keys of events from an image, instead of from the rows; false where it cannot.
    fn from_image(&mut self, _: &Connection, _database: &Path, _: Counters) -> Result<bool, Fault> {
        Ok(false)
    }
    fn config(&mut self, row: ProviderConfig);
    fn customer_override(&mut self, row: CustomerOverride);
    fn approval(&mut self, row: Approval);
    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]);
    /// An operation whose transaction has no row.
    fn orphan(&mut self, row: BalanceOperation);
    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId);
    /// `bytes` is the length of its notice's body, where that counts.
    fn waiting_event(&mut self, row: ProviderEvent, bytes: u64);
}

impl RowSink for Loaded {
    fn identity(&mut self, identity: &str) {
        self.identity = identity.into();
    }

    fn counters(&mut self, counters: Counters, event_keys: u64) {
        self.books.reserve(counters.transaction, event_keys);
        self.books.set_counters(counters);
    }

    fn from_image(&mut self, connection: &Connection, database: &Path, counters: Counters) -> Result<bool, Fault> {
        let Some(image) = loading::load(connection, database, &self.identity, counters)? else { return Ok(false) };
        let LoadedImage { books, posted, unrecorded } = image;
        for known in unrecorded.iter().filter_map(|id| books.aggregate(*id)) {
            for operation in &known.operations {
                match operation.status {
                    OperationStatus::Planned | OperationStatus::Unknown => {
                        let key = OperationKey::of(&known.transaction.reference, operation);
                        let (login, minor) = (operation.login, operation.amount.minor);
                        self.unrecorded.push(UnrecordedOperation { key, login, minor });
                    }
                    OperationStatus::Posted | OperationStatus::Refused => {}
                }
            }
        }
        (self.books, self.posted, self.is_from_image) = (books, posted, true);
        Ok(true)
    }

    fn config(&mut self, row: ProviderConfig) {
        self.configs.push(row);
    }

    fn customer_override(&mut self, row: CustomerOverride) {
        self.overrides.push(row);
    }

    fn approval(&mut self, row: Approval) {
        self.approvals.push(row);
    }

    fn transaction(&mut self, row: Transaction, operations: &[BalanceOperation]) {
        for operation in operations {
            let minor = operation.amount.minor;
            let key = || OperationKey::of(&row.reference, operation);
            match operation.status {
                OperationStatus::Posted => self.posted.add(&key(), operation.login, minor),
                OperationStatus::Planned | OperationStatus::Unknown => {
                    self.unrecorded.push(UnrecordedOperation { key: key(), login: operation.login, minor });
                }
                OperationStatus::Refused => {}
            }
        }
        self.books.load_transaction(&row, operations);
    }

    fn orphan(&mut self, row: BalanceOperation) {
        self.books.load(Change::Operation(Box::new(row)));
    }

    fn event_key(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        self.books.remember_event_key(config, event_id, id);
    }

    fn waiting_event(&mut self, row: ProviderEvent, bytes: u64) {
        self.books.load_event(&row, bytes);
    }
}

/// Hands every row of the database to the sink.
pub(super) fn read_all(
    connection: &Connection,
    path: &Path,
    seal: &Seal,
    sink: &mut impl RowSink,
) -> Result<(), Fault> {
    let identity: Box<str> =
        connection.query_row(READ_IDENTITY, [], |row| row.get(0)).map_err(sql_fault("reading the identity"))?;
    sink.identity(&identity);
    let counters = read_counters(connection)?;
    check_counters(connection, &counters)?;
    let has_image = sink.from_image(connection, path, counters)?;
    if !has_image {
        // Counted, because the counter of events includes quarantined ones.
        let count = connection.query_row(event::COUNT_KEYS, [], |row| row.get(0));
        let event_keys: i64 = count.map_err(sql_fault(event::TABLE))?;
        sink.counters(counters, event_keys.cast_unsigned());
    }
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
        approval::READ_NEWEST,
        [i64::try_from(APPROVALS_MAX).unwrap_or(i64::MAX)],
        approval::TABLE,
        |columns| {
            sink.approval(approval::read(columns, seal)?);
            Ok(())
        },
    )?;
    if !has_image {
        let operations = read_operations(path, counters.operation, || read_event_keys(connection, sink))?;
        read_transactions(path, operations, sink)?;
    }
    for_each_row(connection, event::READ_WAITING, [], event::TABLE, |columns| {
        let row = event::read(columns)?;
        sink.waiting_event(row, columns.value()?);
        Ok(())
    })
}

fn readers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX)
}

fn joined<T>(reader: ScopedJoinHandle<'_, Result<T, Fault>>) -> Result<T, Fault> {
    reader.join().unwrap_or_else(|_| Err(Fault::new("a reader of the database panicked")))
}

/// All operations in the order of their transactions; `meanwhile` runs in parallel on this thread.
fn read_operations(
    path: &Path,
    highest: u64,
    meanwhile: impl FnOnce() -> Result<(), Fault>,
) -> Result<Vec<BalanceOperation>, Fault> {
    let read = |reader| -> Result<Vec<BalanceOperation>, Fault> {
        let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
        let ids = id_range(highest, reader);
        let mut operations = Vec::new();
        for_each_row(&connection, operation::READ_RANGE, [*ids.start(), *ids.end()], operation::TABLE, |columns| {
            operations.push(operation::read(columns)?);
            Ok(())
        })?;
        Ok(operations)
    };
    let mut operations = thread::scope(|scope| -> Result<Vec<BalanceOperation>, Fault> {
        let read = &read;
        let readers: Vec<_> = (0..readers()).map(|reader| scope.spawn(move || read(reader))).collect();
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

/// The ids of 1..=highest that a reader reads; together the readers read each once.
fn id_range(highest: u64, reader: usize) -> RangeInclusive<i64> {
    let readers = u64::try_from(readers()).unwrap_or(1);
    let reader = u64::try_from(reader).unwrap_or(0);
    let bound = |reader: u64| (highest / readers) * reader + (highest % readers).min(reader);
    let first = bound(reader).saturating_add(1).cast_signed();
    first..=bound(reader + 1).cast_signed()
}

/// A block of transactions with its index in the order of ids.
type TransactionBlock = (u64, Vec<Transaction>);

/// Reads transactions in blocks and loads them by rising id, each with its operations. This thread loads the blocks that
/// are ready and otherwise reads one itself, so that no processor waits for another.
fn read_transactions(path: &Path, operations: Vec<BalanceOperation>, sink: &mut impl RowSink) -> Result<(), Fault> {
    let next = Mutex::new(NextBlock { index: 0, first: 0 });
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
        let mut sequencer = BlockSequencer { early: BTreeMap::new(), next: 0, operations: &operations };
        let loaded = load_and_read(path, next, &blocks, &mut sequencer, sink);
        // The next send of a reader fails and ends it.
        drop(blocks);
        others.into_iter().map(joined).fold(loaded, Result::and)
    })
}

fn load_and_read(
    path: &Path,
    next: &Mutex<NextBlock>,
    blocks: &Receiver<TransactionBlock>,
    sequencer: &mut BlockSequencer<'_>,
    sink: &mut impl RowSink,
) -> Result<(), Fault> {
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    while let Some(own) = read_block(&connection, next)? {
        sequencer.take(own, sink);
        for block in blocks.try_iter() {
            sequencer.take(block, sink);
        }
    }
    for block in blocks {
        sequencer.take(block, sink);
    }
    sequencer.end(sink);
    Ok(())
}

fn read_blocks(path: &Path, next: &Mutex<NextBlock>, blocks: &SyncSender<TransactionBlock>) -> Result<(), Fault> {
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    while let Some(block) = read_block(&connection, next)? {
        // The loading thread has failed.
        if blocks.send(block).is_err() {
            break;
        }
    }
    Ok(())
}

/// The next block to read.
struct NextBlock {
    index: u64,
    /// The least id it may begin with.
    first: i64,
}

fn read_block(connection: &Connection, next: &Mutex<NextBlock>) -> Result<Option<TransactionBlock>, Fault> {
    let (index, first) = {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seek = connection.prepare_cached(transaction::FIRST_FROM).map_err(sql_fault(transaction::TABLE))?;
        let found = seek.query_row([next.first], |row| row.get(0)).optional();
        let Some(first) = found.map_err(sql_fault(transaction::TABLE))? else { return Ok(None) };
        let index = next.index;
        *next = NextBlock { index: index + 1, first: BLOCK_IDS.saturating_add(first) };
        (index, first)
    };
    let mut rows = Vec::with_capacity(usize::try_from(BLOCK_IDS).unwrap_or(0));
    let last = first.saturating_add(BLOCK_IDS - 1);
    for_each_row(connection, transaction::READ_RANGE, [first, last], transaction::TABLE, |columns| {
        rows.push(transaction::read(columns)?);
        Ok(())
    })?;
    Ok(Some((index, rows)))
}

/// Puts blocks in the order of their ids and joins operations to their transactions.
struct BlockSequencer<'o> {
    /// Blocks that were read before the one that is next.
    early: BTreeMap<u64, Vec<Transaction>>,
    next: u64,
    /// In the order of their transactions; those not loaded yet.
    operations: &'o [BalanceOperation],
}

impl BlockSequencer<'_> {
    fn take(&mut self, (index, rows): TransactionBlock, sink: &mut impl RowSink) {
        self.early.insert(index, rows);
        while let Some(rows) = self.early.remove(&self.next) {
            self.next += 1;
            for row in rows {
                let before = self.operations.iter().take_while(|known| known.transaction_id < row.id).count();
                let (orphans, from) = self.operations.split_at(before);
                orphans.iter().for_each(|orphan| sink.orphan(orphan.clone()));
                let own = from.iter().take_while(|known| known.transaction_id == row.id).count();
                let (own, after) = from.split_at(own);
                sink.transaction(row, own);
                self.operations = after;
            }
        }
    }

    fn end(&mut self, sink: &mut impl RowSink) {
        self.operations.iter().for_each(|orphan| sink.orphan(orphan.clone()));
    }
}

/// The keys of all verified events.
fn read_event_keys(connection: &Connection, sink: &mut impl RowSink) -> Result<(), Fault> {
    for_each_row(connection, event::READ_KEYS, [], event::TABLE, |columns| {
        let config = columns.value()?;
        let event_id = columns.str()?;
        sink.event_key(config, event_id, columns.value()?);
        Ok(())
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_together_read_every_id_once() {
        for highest in [0, 1, 2, 3, 4, 5, 1_000_003] {
            let mut next = 1;
            for reader in 0..readers() {
                let ids = id_range(highest, reader);
                assert_eq!(*ids.start(), next, "{highest}");
                next = ids.end() + 1;
            }
            assert_eq!(next, highest.cast_signed() + 1);
        }
    }
}
