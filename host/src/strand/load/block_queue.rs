//! Which block of the large tables is read next, and how far ahead: transactions and operations side by side, so that most
//! operations are read shortly before their transactions. It loads nothing.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use cashier_core::ids::{ConfigId, EventId};
use cashier_core::operation::BalanceOperation;
use cashier_core::transaction::Transaction;
use rusqlite::{Connection, OptionalExtension};

use crate::ports::Fault;
use crate::strand::columns::{for_each_row, sql_fault};
use crate::strand::rows::{operation, transaction};

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

/// What a reader sends.
pub(super) enum Read {
    /// A block with its place in the order in which blocks are loaded.
    Block(u64, ReadBlock),
    /// Loaded in any order.
    EventKeys(Vec<(ConfigId, Box<str>, EventId)>),
}

pub(super) enum ReadBlock {
    Transactions(Vec<Transaction>),
    Operations(Vec<BalanceOperation>),
}

impl ReadBlock {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Transactions(rows) => rows.len(),
            Self::Operations(rows) => rows.len(),
        }
    }
}

/// Which block is read next.
pub(super) struct BlockQueue {
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

pub(super) enum Taking {
    Place(BlockPlace),
    TooFarAhead,
    Nothing,
}

/// A block to read.
pub(super) struct BlockPlace {
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
    pub(super) fn new(limits: BlockLimits) -> Self {
        Self { limits, next: Mutex::default(), moved: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, NextBlock> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self, connection: &Connection) -> Result<Taking, Fault> {
        self.lock().take(self.limits, connection)
    }

    /// Waits until a block may be read.
    pub(super) fn wait(&self, connection: &Connection) -> Result<Option<BlockPlace>, Fault> {
        let mut next = self.lock();
        loop {
            match next.take(self.limits, connection)? {
                Taking::Place(place) => return Ok(Some(place)),
                Taking::Nothing => return Ok(None),
                Taking::TooFarAhead => next = self.moved.wait(next).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    pub(super) fn loaded(&self, loaded: u64, waiting: u32) {
        let mut next = self.lock();
        (next.loaded, next.waiting) = (loaded, waiting);
        drop(next);
        self.moved.notify_all();
    }

    /// Nobody waits for a reader that is gone, however it ended.
    pub(super) fn ends(&self) -> EndsReading<'_> {
        EndsReading(self)
    }
}

pub(super) struct EndsReading<'q>(&'q BlockQueue);

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
                BlockPlace { index, table: BlockTable::Transactions, ids: [first, last(first)] }
            }
            (_, None) => return Ok(Taking::Nothing),
            (_, Some((first, _))) => {
                self.operation = last(first).saturating_add(1);
                BlockPlace { index, table: BlockTable::Operations, ids: [first, last(first)] }
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

impl BlockPlace {
    pub(super) fn read(&self, connection: &Connection) -> Result<Read, Fault> {
        let block = match self.table {
            BlockTable::Transactions => {
                let mut rows = Vec::new();
                for_each_row(connection, transaction::READ_RANGE, self.ids, transaction::TABLE, |columns| {
                    rows.push(transaction::read(columns)?);
                    Ok(())
                })?;
                ReadBlock::Transactions(rows)
            }
            BlockTable::Operations => {
                let mut rows = Vec::new();
                for_each_row(connection, operation::READ_RANGE, self.ids, operation::TABLE, |columns| {
                    rows.push(operation::read(columns)?);
                    Ok(())
                })?;
                ReadBlock::Operations(rows)
            }
        };
        Ok(Read::Block(self.index, block))
    }
}
