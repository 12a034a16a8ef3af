//! A page of transactions as it was found: packed rows that are sorted and unpacked while they are taken.

use super::rows::Row;
use super::sorted_parts::SortedParts;
use crate::ids::Seq;

/// A page of transactions, its rows as they were in the hold in which it was found. They stay packed until they are taken, by
/// the books in which they were found.
#[derive(Debug)]
pub struct ListPage {
    pub(super) rows: SortedParts<Row>,
    pub(super) bytes: usize,
    pub(super) count: u64,
    pub(super) newest: Seq,
}

impl ListPage {
    /// Matching rows before pagination.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The newest commit that touched a row within the scope; the answer waits for it, and so speaks of durable rows.
    pub fn newest(&self) -> Seq {
        self.newest
    }

    /// What the packed rows took in memory when the page was found.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Every row was taken.
    pub fn is_finished(&self) -> bool {
        self.rows.is_empty()
    }
}
