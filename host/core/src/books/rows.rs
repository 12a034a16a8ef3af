//! The rows in the order of insertion, in blocks that never move: growth copies no rows, and each block has the bounds of
//! creation time that let a search stop early.

use super::chunked::{self, Chunked};
use super::hash_index::Slot;

/// Rows in a block: enough to make the bounds cheap, and the last, partly filled block wastes little.
pub(super) const BLOCK: usize = 1024;

/// No row before or after in a chain.
pub(super) const NO_SLOT: Slot = Slot::MAX;

/// Ids begin at 1: the row of this slot was removed.
pub(super) const NO_ID: u64 = 0;

/// The amount is read from the packed numbers: it is larger, or negative.
pub(super) const LARGE_AMOUNT: u32 = u32::MAX;

/// A transaction in few bytes: the fields that filters and indexes read most; `packed` holds the others.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) customer_id: u64,
    pub(super) login: u64,
    pub(super) created_time: i64,
    /// The commit that last touched the row or its operations.
    pub(super) touched: u64,
    /// The previous row of the same customer, login, provider.
    pub(super) earlier: Chain,
    /// Provider, method, brand and config.
    pub(super) labels: u32,
    /// The minor units of the amount, or [`LARGE_AMOUNT`]: in 32 bits, because every row takes memory.
    pub(super) short_amount: u32,
    /// Of the idempotency key: a search by key unpacks the rows with its hash alone.
    pub(super) key_hash: u32,
    pub(super) currency: u16,
    pub(super) kind: u8,
    pub(super) source: u8,
    pub(super) status: u8,
    pub(super) key_space: u8,
    /// The code of the transaction's reason.
    pub(super) reason: u8,
    pub(super) packed: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub(super) customer: Slot,
    pub(super) login: Slot,
    pub(super) provider: Slot,
}

/// The sort key of the order newest first.
pub(super) type Newness = (i64, u64);

struct Block {
    rows: Vec<Row>,
    oldest: i64,
    newest: i64,
    /// The newest row of this and all earlier blocks.
    newest_so_far: Newness,
    /// No row of this block has a lower id, and none of an earlier block as high a one, while ids rise.
    first_id: u64,
}

#[derive(Default)]
pub(super) struct Rows {
    blocks: Chunked<Block>,
    count: usize,
    removed: usize,
    /// The id of the first row, also after it was removed.
    first_id: Option<u64>,
    /// The highest id so far.
    last_id: u64,
    /// A row came behind one with a higher id, as only rows do that were put back or loaded in another order.
    has_disorder: bool,
    moved: u64,
}

/// The creation times within a block, and up to its end.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) oldest: i64,
    pub(super) newest: i64,
    pub(super) newest_so_far: Newness,
    /// The least id that a row of the block has, and one that none of it reaches, while ids rise.
    pub(super) ids: (u64, u64),
}

/// Slots from the first to the one before the last, and in which direction they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotRange {
    pub(super) from: Slot,
    pub(super) below: Slot,
    pub(super) is_upward: bool,
}

impl Row {
    pub(super) fn newness(&self) -> Newness {
        (self.created_time, self.id)
    }
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.count - self.removed
    }

    /// The slot that the next row will have.
    pub(super) fn next_slot(&self) -> Slot {
        self.count as Slot
    }

    pub(super) fn first_id(&self) -> Option<u64> {
        self.first_id
    }

    pub(super) fn push(&mut self, row: Row) {
        self.first_id.get_or_insert(row.id);
        let first_id = if row.id == NO_ID { self.last_id.saturating_add(1) } else { row.id };
        if row.id != NO_ID {
            self.has_disorder |= row.id <= self.last_id;
            self.last_id = self.last_id.max(row.id);
        }
        let before = self.blocks.last().map(|block| block.newest_so_far);
        if self.blocks.last().is_none_or(|block| block.rows.len() >= BLOCK) {
            self.blocks.push(Block {
                rows: Vec::with_capacity(if before.is_none() { 0 } else { BLOCK }),
                oldest: row.created_time,
                newest: row.created_time,
                newest_so_far: before.unwrap_or(row.newness()),
                first_id,
            });
        }
        if let Some(block) = self.blocks.last_mut() {
            block.oldest = block.oldest.min(row.created_time);
            block.newest = block.newest.max(row.created_time);
            block.newest_so_far = block.newest_so_far.max(row.newness());
            self.moved += chunked::push(&mut block.rows, row);
            self.count += 1;
        }
    }

    /// Adds a slot whose row was removed before, of rows whose first has this id.
    pub(super) fn push_removed(&mut self, mut row: Row, first_id: u64) {
        self.first_id.get_or_insert(first_id);
        row.id = NO_ID;
        self.push(row);
        self.removed += 1;
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Row> {
        let slot = slot as usize;
        self.blocks.get(slot / BLOCK)?.rows.get(slot % BLOCK).filter(|row| row.id != NO_ID)
    }

    /// Leaves the slot without a row for ever: no later row moves.
    pub(super) fn remove(&mut self, slot: Slot) {
        if let Some(row) = self.get_mut(slot).filter(|row| row.id != NO_ID) {
            (row.id, row.packed) = (NO_ID, Box::default());
            self.removed += 1;
        }
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Row> {
        let slot = slot as usize;
        self.blocks.get_mut(slot / BLOCK)?.rows.get_mut(slot % BLOCK)
    }

    /// How many rows and blocks growth has moved so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved + self.blocks.moved()
    }

    /// The bounds of the block that holds a slot.
    pub(super) fn bounds(&self, slot: Slot) -> Option<Bounds> {
        let at = slot as usize / BLOCK;
        let block = self.blocks.get(at)?;
        let behind = self.blocks.get(at + 1).map_or(self.last_id.saturating_add(1), |next| next.first_id);
        Some(Bounds {
            oldest: block.oldest,
            newest: block.newest,
            newest_so_far: block.newest_so_far,
            ids: (block.first_id, behind),
        })
    }

    /// Whether every row came behind those with lower ids, so that slots are in the order of ids.
    pub(super) fn ids_rise(&self) -> bool {
        !self.has_disorder
    }

    /// The slots of the blocks that hold every row with an id within these bounds; all of them where ids do not rise.
    pub(super) fn range_of(&self, least: u64, most: u64) -> SlotRange {
        let all = SlotRange { from: 0, below: self.next_slot(), is_upward: false };
        if self.has_disorder {
            return all;
        }
        let first = self.blocks_from(least).saturating_sub(1) * BLOCK;
        let end = (self.blocks_from(most) * BLOCK).min(self.count);
        SlotRange { from: first.min(end) as Slot, below: end as Slot, ..all }
    }

    /// How many blocks begin with this id or a lower one.
    fn blocks_from(&self, id: u64) -> usize {
        let (mut low, mut high) = (0, self.blocks.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.blocks.get(middle).is_some_and(|block| block.first_id <= id) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
