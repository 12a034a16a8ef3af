//! The tables that grow with every payment, read in blocks by several threads while the strand's own thread loads them: a
//! transaction with the operations that were made soon after it, and the keys of events. How much is read ahead is bounded,
//! however the ids of transactions and operations lie. It does not know what becomes of a row.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use cashier_core::ids::{ConfigId, EventId, TransactionId};
use cashier_core::operation::BalanceOperation;
use cashier_core::transaction::Transaction;
use rusqlite::{Connection, OptionalExtension};

use super::sink::RowSink;
use crate::ports::{Fault, LoadProgress};
use crate::strand::columns::{for_each_row, sql_fault};
use crate::strand::connection::connect_read_only;
use crate::strand::rows::{event, operation, transaction};

/// Readers beyond this share one disk and one allocator without getting faster.
const READERS_MAX: usize = 4;

/// How much is read at once, and ahead of what is loaded.
#[derive(Debug, Clone, Copy)]
pub(in crate::strand) struct BlockLimits {
    /// Ids in a block.
    pub(in crate::strand) ids: u16,
    /// Blocks that are read ahead of the one that is loaded next.
    pub(in crate::strand) ahead: u16,
    /// Ids of transactions by which operations are read ahead of them.
    pub(in crate::strand) lead: u16,
    /// Operations that wait for their transaction at most; beyond it transactions are loaded without theirs, which are added
    /// when they are read.
    pub(in crate::strand) waiting: u32,
}

impl Default for BlockLimits {
    /// Decoded rows of a few blocks fit a processor's cache on their way into the books. A reader that is held up for a
    /// moment stops no other for 64 blocks. 16,384 deposits may be opened while one is paid. 65,536 operations take 16 MB.
    fn default() -> Self {
        Self { ids: 256, ahead: 64, lead: 16_384, waiting: 65_536 }
    }
}

/// Hands transactions, operations and event keys to the sink.
pub(super) fn read(
    path: &Path,
    limits: BlockLimits,
    progress: &LoadProgress,
    sink: &mut impl RowSink,
) -> Result<(), Fault> {
    let queue = BlockQueue::new(limits);
    let (sender, blocks) = sync_channel(readers());
    thread::scope(|scope| {
        let queue = &queue;
        let mut others = Vec::new();
        for _ in 1..readers() {
            let sender = sender.clone();
            others.push(scope.spawn(move || read_blocks(path, queue, &sender)));
        }
        others.push(scope.spawn(move || read_event_keys(path, limits, &sender)));
        let mut joiner = OperationJoiner::new(progress);
        let loaded = load_and_read(path, queue, &blocks, &mut joiner, sink);
        // The next send of a reader fails and ends it.
        drop(blocks);
        others.into_iter().map(joined).fold(loaded, Result::and)
    })
}

fn readers() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX)
}

fn joined<T>(reader: ScopedJoinHandle<'_, Result<T, Fault>>) -> Result<T, Fault> {
    reader.join().unwrap_or_else(|_| Err(Fault::new("a reader of the database panicked")))
}

/// What a reader sends.
enum Read {
    /// A block with its place in the order in which blocks are loaded.
    Block(u64, RowBlock),
    /// Loaded in any order.
    EventKeys(Vec<(ConfigId, Box<str>, EventId)>),
}

enum RowBlock {
    Transactions(Vec<Transaction>),
    Operations(Vec<BalanceOperation>),
}

impl RowBlock {
    fn len(&self) -> usize {
        match self {
            Self::Transactions(rows) => rows.len(),
            Self::Operations(rows) => rows.len(),
        }
    }
}

/// This thread loads the blocks that are ready and otherwise reads one itself, so that no processor waits for another.
fn load_and_read(
    path: &Path,
    queue: &BlockQueue,
    blocks: &Receiver<Read>,
    joiner: &mut OperationJoiner<'_>,
    sink: &mut impl RowSink,
) -> Result<(), Fault> {
    let _ends = queue.ends();
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    loop {
        let received = match queue.take(&connection)? {
            Taking::Place(place) => {
                let own = place.read(&connection)?;
                joiner.take(own, sink)?;
                blocks.try_recv().ok()
            }
            // Another reader has the block that is loaded next.
            Taking::TooFarAhead => blocks.recv().ok(),
            Taking::Nothing => break,
        };
        for read in received.into_iter().chain(blocks.try_iter()) {
            joiner.take(read, sink)?;
        }
        queue.loaded(joiner.next, joiner.waiting());
    }
    for read in blocks {
        joiner.take(read, sink)?;
        queue.loaded(joiner.next, joiner.waiting());
    }
    joiner.end(sink);
    Ok(())
}

fn read_blocks(path: &Path, queue: &BlockQueue, blocks: &SyncSender<Read>) -> Result<(), Fault> {
    let _ends = queue.ends();
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    while let Some(place) = queue.wait(&connection)? {
        // The loading thread has failed.
        if blocks.send(place.read(&connection)?).is_err() {
            break;
        }
    }
    Ok(())
}

fn read_event_keys(path: &Path, limits: BlockLimits, blocks: &SyncSender<Read>) -> Result<(), Fault> {
    let connection = connect_read_only(path).map_err(sql_fault("opening a reader"))?;
    let send = |keys| blocks.send(Read::EventKeys(keys)).map_err(|_| Fault::new("loading the rows ended early"));
    let mut keys = Vec::new();
    for_each_row(&connection, event::READ_KEYS, [], event::TABLE, |columns| {
        keys.push((columns.value()?, columns.str()?.into(), columns.value()?));
        if keys.len() < usize::from(limits.ids) { Ok(()) } else { send(std::mem::take(&mut keys)) }
    })?;
    send(keys)
}

/// Which block is read next.
struct BlockQueue {
    limits: BlockLimits,
    next: Mutex<NextBlock>,
    moved: Condvar,
}

#[derive(Default)]
struct NextBlock {
    index: u64,
    /// The least ids that the next blocks may begin with.
    transaction: i64,
    operation: i64,
    /// What the loading thread said last: the index that it loads next, and operations that wait for their transaction.
    loaded: u64,
    waiting: u32,
    /// A reader is gone, or the loading thread.
    ended: bool,
}

enum Taking {
    Place(Place),
    TooFarAhead,
    Nothing,
}

/// A block to read.
struct Place {
    index: u64,
    table: BlockTable,
    /// The first and the last.
    ids: [i64; 2],
}

enum BlockTable {
    Transactions,
    Operations,
}

impl BlockQueue {
    fn new(limits: BlockLimits) -> Self {
        Self { limits, next: Mutex::default(), moved: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, NextBlock> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, connection: &Connection) -> Result<Taking, Fault> {
        self.lock().take(self.limits, connection)
    }

    /// Waits until a block may be read.
    fn wait(&self, connection: &Connection) -> Result<Option<Place>, Fault> {
        let mut next = self.lock();
        loop {
            match next.take(self.limits, connection)? {
                Taking::Place(place) => return Ok(Some(place)),
                Taking::Nothing => return Ok(None),
                Taking::TooFarAhead => next = self.moved.wait(next).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn loaded(&self, loaded: u64, waiting: u32) {
        let mut next = self.lock();
        (next.loaded, next.waiting) = (loaded, waiting);
        drop(next);
        self.moved.notify_all();
    }

    /// Nobody waits for a reader that is gone, however it ended.
    fn ends(&self) -> EndsReading<'_> {
        EndsReading(self)
    }
}

struct EndsReading<'q>(&'q BlockQueue);

impl Drop for EndsReading<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.moved.notify_all();
    }
}

impl NextBlock {
    fn take(&mut self, limits: BlockLimits, connection: &Connection) -> Result<Taking, Fault> {
        if self.ended {
            return Ok(Taking::Nothing);
        }
        if self.index >= self.loaded.saturating_add(limits.ahead.into()) {
            return Ok(Taking::TooFarAhead);
        }
        let transaction = self.first_transaction(connection)?;
        let operation = self.first_operation(connection)?;
        let index = self.index;
        let last = |first: i64| first.saturating_add(i64::from(limits.ids.max(1)) - 1);
        let place = match (transaction, operation) {
            (None, None) => return Ok(Taking::Nothing),
            (Some(first), operation) if operation.is_none_or(|(_, of)| !self.comes_first(of, last(first), limits)) => {
                self.transaction = last(first).saturating_add(1);
                Place { index, table: BlockTable::Transactions, ids: [first, last(first)] }
            }
            (_, None) => return Ok(Taking::Nothing),
            (_, Some((first, _))) => {
                self.operation = last(first).saturating_add(1);
                Place { index, table: BlockTable::Operations, ids: [first, last(first)] }
            }
        };
        self.index += 1;
        Ok(Taking::Place(place))
    }

    /// Whether the next operation, which is of this transaction, is read before the transactions up to this one. Operations are
    /// read until they belong to transactions far beyond.
    fn comes_first(&self, of: i64, last: i64, limits: BlockLimits) -> bool {
        of <= last.saturating_add(limits.lead.into()) && self.waiting < limits.waiting
    }

    fn first_transaction(&self, connection: &Connection) -> Result<Option<i64>, Fault> {
        let fault = sql_fault(transaction::TABLE);
        let mut seek = connection.prepare_cached(transaction::FIRST_FROM).map_err(&fault)?;
        seek.query_row([self.transaction], |row| row.get(0)).optional().map_err(fault)
    }

    /// The first operation and its transaction.
    fn first_operation(&self, connection: &Connection) -> Result<Option<(i64, i64)>, Fault> {
        let fault = sql_fault(operation::TABLE);
        let mut seek = connection.prepare_cached(operation::FIRST_FROM).map_err(&fault)?;
        seek.query_row([self.operation], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(fault)
    }
}

impl Place {
    fn read(&self, connection: &Connection) -> Result<Read, Fault> {
        let block = match self.table {
            BlockTable::Transactions => {
                let mut rows = Vec::new();
                for_each_row(connection, transaction::READ_RANGE, self.ids, transaction::TABLE, |columns| {
                    rows.push(transaction::read(columns)?);
                    Ok(())
                })?;
                RowBlock::Transactions(rows)
            }
            BlockTable::Operations => {
                let mut rows = Vec::new();
                for_each_row(connection, operation::READ_RANGE, self.ids, operation::TABLE, |columns| {
                    rows.push(operation::read(columns)?);
                    Ok(())
                })?;
                RowBlock::Operations(rows)
            }
        };
        Ok(Read::Block(self.index, block))
    }
}

/// Puts blocks in their order and joins operations to their transactions.
struct OperationJoiner<'p> {
    /// Blocks that were read before the one that is next.
    early: BTreeMap<u64, RowBlock>,
    next: u64,
    /// The highest transaction that was loaded.
    passed: TransactionId,
    /// Operations whose transaction is not loaded yet, each list in the order of ids.
    waiting: BTreeMap<TransactionId, Vec<BalanceOperation>>,
    /// How many operations wait.
    count: usize,
    progress: &'p LoadProgress,
}

impl<'p> OperationJoiner<'p> {
    fn new(progress: &'p LoadProgress) -> Self {
        let passed = TransactionId(0);
        Self { early: BTreeMap::new(), next: 0, passed, waiting: BTreeMap::new(), count: 0, progress }
    }

    fn waiting(&self) -> u32 {
        u32::try_from(self.count).unwrap_or(u32::MAX)
    }

    fn take(&mut self, read: Read, sink: &mut impl RowSink) -> Result<(), Fault> {
        match read {
            Read::EventKeys(keys) => {
                for (config, event_id, id) in &keys {
                    sink.event_key(*config, event_id, *id);
                }
                self.progress.advance(keys.len())
            }
            Read::Block(index, block) => {
                self.early.insert(index, block);
                while let Some(block) = self.early.remove(&self.next) {
                    self.next += 1;
                    self.load(block, sink)?;
                }
                Ok(())
            }
        }
    }

    fn load(&mut self, block: RowBlock, sink: &mut impl RowSink) -> Result<(), Fault> {
        let early: usize = self.early.values().map(RowBlock::len).sum();
        self.progress.read_ahead(self.count + early);
        match block {
            RowBlock::Transactions(rows) => {
                let count = rows.len();
                for row in rows {
                    self.passed = self.passed.max(row.id);
                    let own = self.waiting.remove(&row.id).unwrap_or_default();
                    self.count = self.count.saturating_sub(own.len());
                    sink.transaction(row, &own);
                }
                self.progress.advance(count)
            }
            RowBlock::Operations(rows) => {
                let count = rows.len();
                for row in rows {
                    if row.transaction_id <= self.passed {
                        sink.operation(row);
                    } else {
                        self.count += 1;
                        self.waiting.entry(row.transaction_id).or_default().push(row);
                    }
                }
                self.progress.advance(count)
            }
        }
    }

    /// Hands over the operations whose transaction has no row.
    fn end(&mut self, sink: &mut impl RowSink) {
        std::mem::take(&mut self.waiting).into_values().flatten().for_each(|orphan| sink.operation(orphan));
    }
}
