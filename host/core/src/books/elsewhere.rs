//! Questions about what the books have at each trading server elsewhere, without reading rows but those without an outcome.

use std::ops::Bound;

use super::hash_index::Slot;
use super::{Books, row_codec};
use crate::aggregate::Aggregate;
use crate::digest::ServerTotal;
use crate::ids::{ServerName, TransactionId};
use crate::transaction::Transaction;

impl Books {
    /// What is recorded as posted at a server elsewhere; `None` while nothing is.
    pub fn posted_elsewhere(&self, server: &ServerName) -> Option<&ServerTotal> {
        self.postings.elsewhere.0.get(server)
    }

    /// Whether something of a transaction of a server elsewhere changed between two moments: then this differs.
    pub fn changes_elsewhere(&self, server: &ServerName) -> u64 {
        self.postings.changes.get(server).copied().unwrap_or_default()
    }

    /// The next transactions, of whatever server, with an operation without a recorded outcome, by rising id: a piece of them.
    pub fn unrecorded_after(&self, id: TransactionId, most: usize) -> Vec<TransactionId> {
        self.postings.unrecorded.range((Bound::Excluded(id), Bound::Unbounded)).take(most).copied().collect()
    }

    /// A row before it is replaced, where postings are counted of it: a server never changes.
    pub(super) fn before_postings(&self, transaction: &Transaction, slot: Slot) -> Option<Aggregate> {
        let counts = !transaction.server.is_embedded();
        self.rows.get(slot).filter(|_| counts).and_then(|row| row_codec::unpack(row, &self.interner))
    }
}
