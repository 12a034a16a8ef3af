//! The tables that grow with every payment, read in blocks by several threads while the strand's own thread loads them: a
//! transaction with the operations that were made soon after it, and the keys of events. How much is read ahead is bounded,
//! however the ids of transactions and operations lie. It does not know what becomes of a row.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};

use cashier_core::ids::TransactionId;
use cashier_core::operation::BalanceOperation;

use super::block_queue::{BlockLimits, BlockQueue, Read, ReadBlock, Taking};
use super::sink::RowSink;
use crate::ports::{Fault, LoadProgress};
use crate::strand::columns::{for_each_row, sql_fault};
use crate::strand::connection::connect_read_only;
use crate::strand::rows::event;

/// Readers beyond this share one disk and one allocator without getting faster.
const READERS_MAX: usize = 4;

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

/// Puts blocks in their order and joins operations to their transactions.
struct OperationJoiner<'p> {
    /// Blocks that were read before the one that is next.
    early: BTreeMap<u64, ReadBlock>,
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

    fn load(&mut self, block: ReadBlock, sink: &mut impl RowSink) -> Result<(), Fault> {
        let early: usize = self.early.values().map(ReadBlock::len).sum();
        self.progress.read_ahead(self.count + early);
        match block {
            ReadBlock::Transactions(rows) => {
                let count = rows.len();
                for row in rows {
                    self.passed = self.passed.max(row.id);
                    let own = self.waiting.remove(&row.id).unwrap_or_default();
                    self.count = self.count.saturating_sub(own.len());
                    sink.transaction(row, &own);
                }
                self.progress.advance(count)
            }
            ReadBlock::Operations(rows) => {
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
