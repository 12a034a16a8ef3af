//! What a listing of a server elsewhere found to differ from the books, by kind. Of each kind the first are kept, and all are counted.

use cashier_core::books::Books;
use cashier_core::ids::TransactionId;
use cashier_core::operation::{BalanceOperation, OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;
use cashier_core::time::UnixTime;

use crate::pair::{LostPosting, described};
use crate::ports::{DifferenceKind, PostingDifference, ServerDifferences};
use crate::trading::remote::UnreadPosting;

/// The first of one kind, and how many there are.
#[derive(Debug)]
pub struct FirstOf<T> {
    pub first: Vec<T>,
    pub count: u64,
}

/// Everything in which a server elsewhere and the books differ.
#[derive(Debug, Default)]
pub struct RowDifferences {
    /// The books have them as posted, and the server says that it does not.
    pub lost: FirstOf<LostPosting>,
    /// The books have them as posted, the server does not list them, and whether it has made them is not known.
    pub unsaid: FirstOf<LostPosting>,
    /// As `unsaid`, but it was not asked for them, or gave no answer.
    pub unasked: FirstOf<LostPosting>,
    /// Postings of the books that the server made under another number, or once more.
    pub other_orders: FirstOf<FoundPosting>,
    /// The server has made them, and the books do not have them as posted.
    pub extra: FirstOf<FoundPosting>,
    /// Both have them, with other values.
    pub other: FirstOf<FoundPosting>,
    /// The server has refused them, and the books do not have them.
    pub refused: FirstOf<FoundPosting>,
    /// Those of the server that cannot be read.
    pub unread: FirstOf<UnreadPosting>,
    /// Postings that the server counts and the books do not.
    pub surplus: u64,
}

impl<T> Default for FirstOf<T> {
    fn default() -> Self {
        Self { first: Vec::new(), count: 0 }
    }
}

impl<T> FirstOf<T> {
    pub(super) fn push(&mut self, one: T, kept_max: usize) {
        self.count += 1;
        if self.first.len() < kept_max {
            self.first.push(one);
        }
    }

    /// A sentence about all of them, with the first; `None` where there is none.
    fn sentence(&self, what: impl FnOnce(u64) -> String, described: impl FnOnce(&T) -> String) -> Option<String> {
        self.first.first().map(|first| format!("{} (the first: {})", what(self.count), described(first)))
    }
}

impl RowDifferences {
    pub fn count(&self) -> u64 {
        let (lost, found) =
            (self.lost.count + self.unsaid.count + self.unasked.count, self.extra.count + self.other.count);
        lost + found + self.other_orders.count + self.refused.count + self.unread.count
    }

    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many are kept one by one.
    pub fn kept_count(&self) -> u64 {
        let lost = self.lost.first.len() + self.unsaid.first.len() + self.unasked.first.len();
        let found = self.other_orders.first.len() + self.extra.first.len() + self.other.first.len();
        let found = found + self.refused.first.len();
        (lost + found + self.unread.first.len()) as u64
    }

    /// One sentence about all of it; `None` where there is nothing.
    pub fn sentence(&self) -> Option<String> {
        let of = |posting: &FoundPosting| described(posting);
        let sentences = [
            self.lost.sentence(|count| format!("it does not have {count} postings of the books"), ToString::to_string),
            self.unsaid.sentence(
                |count| {
                    format!("it does not list {count} postings of the books, and whether it has made them is not known")
                },
                ToString::to_string,
            ),
            self.unasked.sentence(
                |count| {
                    format!("it does not list {count} postings of the books, was not asked for them or gave no answer")
                },
                ToString::to_string,
            ),
            self.other_orders
                .sentence(|count| format!("it made {count} postings of the books under another number, or again"), of),
            self.extra.sentence(|count| format!("{count} of its postings are not in the books"), of),
            self.other.sentence(|count| format!("{count} of its postings have other values in the books"), of),
            self.refused.sentence(|count| format!("it has refused {count} postings that the books do not have"), of),
            self.unread
                .sentence(|count| format!("{count} of its postings cannot be read"), |first| first.what.to_string()),
        ];
        let differs: Vec<String> = sentences.into_iter().flatten().collect();
        (!differs.is_empty()).then(|| differs.join("; "))
    }

    /// Each that is kept and has a key, the lost ones first: their customers may be unpaid.
    fn each(&self, books: &Books, since: UnixTime) -> Vec<PostingDifference> {
        let of_books = |lost: &LostPosting, kind| PostingDifference {
            kind,
            key: lost.key.clone(),
            transaction_id: lost.transaction,
            login: lost.login,
            amount: lost.amount,
            trade_order: operation(books, &lost.key).map_or(0, |known| known.trade_order),
            since,
        };
        let there = |found: &FoundPosting, kind| PostingDifference {
            kind,
            key: found.key.clone(),
            transaction_id: transaction_of(books, &found.key).unwrap_or(TransactionId(0)),
            login: found.login,
            amount: found.amount,
            trade_order: trade_order(found),
            since,
        };
        let lost = self.lost.first.iter().map(|lost| of_books(lost, DifferenceKind::Lost));
        let unsaid = self.unsaid.first.iter().chain(&self.unasked.first);
        let unsaid = unsaid.map(|lost| of_books(lost, DifferenceKind::Unsaid));
        let again = self.other_orders.first.iter().map(|found| there(found, DifferenceKind::OtherOrder));
        let extra = self.extra.first.iter().map(|found| there(found, DifferenceKind::Extra));
        let other = self.other.first.iter().map(|found| there(found, DifferenceKind::Other));
        let refused = self.refused.first.iter().map(|found| there(found, DifferenceKind::RefusedThere));
        lost.chain(unsaid).chain(again).chain(extra).chain(other).chain(refused).collect()
    }

    /// For the work list, at most so many one by one; `None` where nothing differs. What was found before keeps its time.
    pub(super) fn for_work(
        &self,
        books: &Books,
        now: UnixTime,
        known: Option<&ServerDifferences>,
        kept_max: usize,
    ) -> Option<ServerDifferences> {
        let sentence = self.sentence()?;
        let mut kept = self.each(books, now);
        kept.truncate(kept_max);
        for one in &mut kept {
            let before = known.and_then(|known| known.kept.iter().find(|before| before.key == one.key));
            one.since = before.map_or(now, |before| before.since);
        }
        Some(ServerDifferences {
            sentence: sentence.into(),
            kept,
            count: self.count(),
            surplus: self.surplus,
            lost: self.lost.count,
            unsaid: self.unsaid.count + self.unasked.count,
            unread: self.unread.count,
            is_unlisted: false,
            since: known.map_or(now, |known| known.since),
        })
    }
}

/// The server's number of a posting; 0 where it has none.
pub(super) fn trade_order(posting: &FoundPosting) -> u64 {
    match posting.outcome {
        PostingOutcome::Posted { trade_order, .. } => trade_order,
        PostingOutcome::Refused { .. } | PostingOutcome::Conflict | PostingOutcome::Unknown => 0,
    }
}

fn transaction_of(books: &Books, key: &OperationKey) -> Option<TransactionId> {
    books.by_reference(&key.parts()?.0)
}

/// The operation under a key.
pub(super) fn operation(books: &Books, key: &OperationKey) -> Option<BalanceOperation> {
    books.aggregate(transaction_of(books, key)?)?.keyed(key).cloned()
}
