//! What the books have as posted at each trading server elsewhere, and whose operations have no recorded outcome: kept with every
//! row, so that a running cashier is compared with a server without reading rows. Of the embedded server it counts nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::Aggregate;
use crate::digest::TotalsElsewhere;
use crate::ids::{ServerName, TransactionId};
use crate::operation::BalanceOperation;
use crate::status::OperationStatus;
use crate::transaction::Transaction;

#[derive(Default)]
pub(super) struct Postings {
    pub(super) elsewhere: TotalsElsewhere,
    /// Transactions with an operation without a recorded outcome, of every server.
    pub(super) unrecorded: BTreeSet<TransactionId>,
    /// Of each server elsewhere: rises with every change of a transaction of it.
    pub(super) changes: BTreeMap<ServerName, u64>,
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

pub(super) fn has_unrecorded(operations: &[BalanceOperation]) -> bool {
    operations.iter().any(|operation| match operation.status {
        OperationStatus::Planned | OperationStatus::Unknown => true,
        OperationStatus::Posted | OperationStatus::Refused => false,
    })
}
