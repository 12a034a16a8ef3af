//! What a list does not say, and the server does when it is asked for single postings: a second order of one that is listed, and what
//! became of those that a person names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;

use super::BooksComparison;
use super::asking::posting;
use super::row_differences::RowDifferences;
use super::rows::Listed;
use super::said::RecordedAtServer;
use crate::ports::{DifferenceKind, Fault, Posting};

impl BooksComparison<'_> {
    /// A list may show one order of two: of the newest postings, and of those that were known to be made again, the server says more.
    pub(super) async fn note_other_orders(&self, listed: &mut Listed, kept_max: usize) -> Result<(), Fault> {
        let newest = self.newest_keys()?.into_iter().map(|key| (key, None));
        let before = self.before.differences.iter().flat_map(|known| &known.kept);
        let before = before.filter(|known| known.kind == DifferenceKind::OtherOrder);
        let before = before.map(|known| (known.key.clone(), Some(known.trade_order)));
        let keys: BTreeMap<OperationKey, Option<u64>> = newest.chain(before).collect();
        let mut waited = Duration::ZERO;
        for (key, before) in keys {
            if listed.differences.other_orders.first.iter().any(|known| known.key == key) {
                continue;
            }
            let number = match self.recorded(&key, &mut waited).await? {
                RecordedAtServer::OtherOrder { number } => Some(number),
                RecordedAtServer::Same | RecordedAtServer::Lost => None,
                // Silence ends nothing.
                RecordedAtServer::Unsaid | RecordedAtServer::NoAnswer => before,
            };
            if let Some(number) = number {
                self.take_other(listed, &key, number, kept_max)?;
            }
        }
        Ok(())
    }

    /// What a person names of those that were not asked for, or gave no answer, is asked for once more, each for itself: what it does
    /// not say then is what the person knows.
    ///
    /// # Errors
    /// The server does not answer, or the books are closed.
    pub async fn ask_again(&self, found: &mut RowDifferences, named: &BTreeSet<OperationKey>) -> Result<(), Fault> {
        let unasked = std::mem::take(&mut found.unasked.first);
        for lost in unasked {
            if !named.contains(&lost.key) {
                found.unasked.first.push(lost);
                continue;
            }
            found.unasked.count = found.unasked.count.saturating_sub(1);
            match self.recorded(&lost.key, &mut Duration::default()).await? {
                RecordedAtServer::Lost => found.lost.push(lost, usize::MAX),
                RecordedAtServer::Unsaid | RecordedAtServer::NoAnswer => found.unsaid.push(lost, usize::MAX),
                RecordedAtServer::Same | RecordedAtServer::OtherOrder { .. } => {}
            }
        }
        Ok(())
    }

    /// A posting of the books under another number than theirs, or beside theirs, as the server says when it is asked.
    pub(super) fn take_other(
        &self,
        listed: &mut Listed,
        key: &OperationKey,
        number: u64,
        kept_max: usize,
    ) -> Result<(), Fault> {
        if let Some(Posting { operation, customer_id, .. }) = self.peek(|books| posting(books, key))? {
            let other = FoundPosting {
                key: key.clone(),
                operation_id: operation.id,
                transaction_id: operation.transaction_id,
                customer_id,
                login: operation.login,
                cmd: operation.cmd,
                reason: operation.reason,
                amount: operation.amount,
                created_time: operation.created_time,
                outcome: PostingOutcome::posted(number),
            };
            listed.differences.other_orders.push(other, kept_max);
        }
        Ok(())
    }
}
