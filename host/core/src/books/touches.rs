//! Which rows the newest commits touched, in their order: a list that takes several holds of the lock judges again what
//! changed between two of them. Bounded; whoever missed what is forgotten begins again.

use std::collections::{BTreeMap, VecDeque};

use super::hash_index::Slot;
use super::rows::BLOCK;

/// Touches that are remembered, 16 bytes each: between two holds of a list, milliseconds apart, there are tens.
const REMEMBERED_MAX: usize = 8192;

#[derive(Default)]
pub(super) struct Touches {
    /// The commit and the row.
    recent: VecDeque<(u64, Slot)>,
    /// How many came before `recent`, and the newest commit among them.
    forgotten: u64,
    forgotten_seq: u64,
}

impl Touches {
    pub(super) fn note(&mut self, seq: u64, slot: Slot) {
        // A row that no commit made is loaded or put back: whatever a list has seen of it is void.
        if seq == 0 {
            self.forget();
            return;
        }
        if self.recent.len() >= REMEMBERED_MAX
            && let Some((seq, _)) = self.recent.pop_front()
        {
            self.forgotten += 1;
            self.forgotten_seq = self.forgotten_seq.max(seq);
        }
        self.recent.push_back((seq, slot));
    }

    /// Makes every list that is under way begin again.
    pub(super) fn forget(&mut self) {
        self.forgotten_seq = self.newest_of(|_| true);
        self.forgotten = self.position() + 1;
        self.recent.clear();
    }

    /// How many touches there were.
    pub(super) fn position(&self) -> u64 {
        self.forgotten + self.recent.len() as u64
    }

    /// The rows touched since a position, each once; `None` where some are forgotten.
    pub(super) fn since(&self, position: u64) -> Option<Vec<Slot>> {
        let first = usize::try_from(position.checked_sub(self.forgotten)?).ok()?;
        let mut slots: Vec<Slot> = self.recent.iter().skip(first).map(|(_, slot)| *slot).collect();
        slots.sort_unstable();
        slots.dedup();
        Some(slots)
    }

    /// The newest commit that touched such a row, or may have.
    pub(super) fn newest_of(&self, is_such: impl Fn(Slot) -> bool) -> u64 {
        let newest = self.recent.iter().rev().find(|(_, slot)| is_such(*slot));
        newest.map_or(self.forgotten_seq, |(seq, _)| *seq)
    }
}

/// A set of rows, one bit each in the blocks that have any.
#[derive(Debug, Default)]
pub(super) struct SlotSet {
    blocks: BTreeMap<Slot, [u64; BLOCK / 64]>,
}

impl SlotSet {
    /// Whether the row is new in the set.
    pub(super) fn insert(&mut self, slot: Slot) -> bool {
        let (block, word, bit) = place(slot);
        let words = self.blocks.entry(block).or_insert([0; BLOCK / 64]);
        let Some(word) = words.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        let (block, word, bit) = place(slot);
        self.blocks.get(&block).and_then(|words| words.get(word)).is_some_and(|word| *word & bit != 0)
    }

    /// Whether the row was in the set.
    pub(super) fn remove(&mut self, slot: Slot) -> bool {
        let (block, word, bit) = place(slot);
        let Some(word) = self.blocks.get_mut(&block).and_then(|words| words.get_mut(word)) else { return false };
        let known = *word & bit != 0;
        *word &= !bit;
        known
    }

    pub(super) fn extend(&mut self, other: Self) {
        for (block, words) in other.blocks {
            let known = self.blocks.entry(block).or_insert([0; BLOCK / 64]);
            known.iter_mut().zip(words).for_each(|(known, word)| *known |= word);
        }
    }
}

/// Its block, the word in it and the bit in that.
fn place(slot: Slot) -> (Slot, usize, u64) {
    let at = slot as usize % BLOCK;
    (slot / BLOCK as Slot, at / 64, 1 << (at % 64))
}
