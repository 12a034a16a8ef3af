//! What the books have as posted at each trading server elsewhere, and whose operations have no recorded outcome: kept with every
//! row, so that a running cashier is compared with a server without reading rows. Of the embedded server it counts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::hash_index::Slot;
use super::image::has_unrecorded;
use super::{Books, row_codec};
use crate::aggregate::Aggregate;
use crate::digest::{ServerTotal, TotalsElsewhere};
use crate::ids::{ServerName, TransactionId};
use crate::operation::BalanceOperation;
use crate::transaction::Transaction;

#[derive(Default)]
pub(super) struct Postings {
    elsewhere: TotalsElsewhere,
    /// Transactions with an operation without a recorded outcome, of every server.
    unrecorded: BTreeSet<TransactionId>,
    /// Of each server elsewhere: rises with every change of a transaction of it.
    changes: BTreeMap<ServerName, u64>,
}

impl Postings {
    /// As an image has them.
    pub(super) fn loaded(elsewhere: TotalsElsewhere, unrecorded: BTreeSet<TransactionId>) -> Self {
        Self { elsewhere, unrecorded, changes: BTreeMap::new() }
    }

    /// A row is replaced: as it was, where that counts, and as it is.
    pub(super) fn replace(&mut self, before: Option<&Aggregate>, after: Option<(&Transaction, &[BalanceOperation])>) {
        if let Some(Aggregate { transaction, operations }) = before {
            operations.iter().for_each(|operation| self.elsewhere.take_out(transaction, operation));
            self.unrecorded.remove(&transaction.id);
        }
        let Some((transaction, operations)) = after else { return };
        if has_unrecorded(operations) {
            self.unrecorded.insert(transaction.id);
        } else {
            self.unrecorded.remove(&transaction.id);
        }
        if !transaction.server.is_embedded() {
            operations.iter().for_each(|operation| self.elsewhere.count_in(transaction, operation));
            *self.changes.entry(transaction.server.clone()).or_default() += 1;
        }
    }
}

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
