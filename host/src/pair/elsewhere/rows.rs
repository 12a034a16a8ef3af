//! The postings of a server elsewhere and the books, row by row: where it is known already that they differ, and for `cashier db
//! reconcile`. No key is lost before the server was asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::ids::{Login, TransactionId};
use cashier_core::operation::{BalanceOperation, OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;
use cashier_core::time::UnixTime;

use super::{BooksComparison, LOOKED_AT_ONCE_MAX, is_posted};
use crate::pair::{Compared, LostPosting, PAGE_ROWS, compared, described, lost};
use crate::ports::{DifferenceKind, Fault, PostingDifference, ServerDifferences};
use crate::trading::remote::{PostingsPage, UnreadPosting};

/// A page that got no answer is asked for again so often, and so long after: a server that is flaky ends a long listing all the same.
const PAGE_TRIES_MAX: usize = 5;
const PAGE_PAUSE: Duration = Duration::from_secs(2);

/// Lines of the log about rows of one listing that cannot be read; more are counted in its sentence.
const UNREAD_LOGGED_MAX: u64 = 16;

/// Everything in which a server elsewhere and the books differ; of each kind the first are kept.
#[derive(Debug, Default)]
pub struct RowDifferences {
    /// Postings that the books do not have so.
    pub unknown: Vec<FoundPosting>,
    pub lost: Vec<LostPosting>,
    /// Postings of the books that the server made under another number, or once more.
    pub other_orders: Vec<FoundPosting>,
    /// Postings that the server lists so that they cannot be read.
    pub unread: Vec<UnreadPosting>,
    /// How many the server has that the books do not have as posted, how many are otherwise or other orders, how many are lost.
    pub counts: (u64, u64, u64),
    /// How many of the first two cannot be read.
    pub unread_count: u64,
}

/// What a listing found.
#[derive(Default)]
pub(super) struct Listed {
    /// Keys that the books know, too, as posted or unrecorded, with the number that the first of each was listed under.
    pub(super) posted: BTreeMap<OperationKey, u64>,
    /// Postings that the books do not know, or know otherwise; the first of them.
    pub(super) unknown: Vec<FoundPosting>,
    /// Postings that the books know under another number; the first of them.
    pub(super) other_orders: Vec<FoundPosting>,
    /// Postings that cannot be read; the first of them, and how many there are.
    pub(super) unread: Vec<UnreadPosting>,
    pub(super) unread_count: u64,
    /// Keys of operations of the books that are otherwise there.
    otherwise: BTreeSet<OperationKey>,
    extra: u64,
    other: u64,
}

impl BooksComparison<'_> {
    /// Everything in which they differ, row by row, of each kind so many. What the books recorded from `began` on may be missing
    /// in the list.
    ///
    /// # Errors
    /// The server does not answer, or the books are closed.
    pub async fn row_by_row(&self, kept_max: usize, began: UnixTime) -> Result<RowDifferences, Fault> {
        let listed = self.list(Box::default(), kept_max).await?;
        let (lost, lost_count) = self.lost(&listed, began, kept_max).await?;
        let Listed { unknown, other_orders, unread, unread_count, extra, other, .. } = listed;
        Ok(RowDifferences { unknown, lost, other_orders, unread, counts: (extra, other, lost_count), unread_count })
    }

    /// The same for the work list; `None` where they agree. What was found before keeps its time.
    ///
    /// # Errors
    /// As above.
    pub async fn thoroughly(&self) -> Result<Option<ServerDifferences>, Fault> {
        let now = self.clock.now();
        let found = self.row_by_row(super::DIFFERENCES_KEPT_MAX, now).await?;
        let Some(sentence) = found.sentence() else { return Ok(None) };
        let known = self.before.differences.as_deref();
        let mut kept = self.peek(|books| found.kept(books, now))?;
        kept.truncate(super::DIFFERENCES_KEPT_MAX);
        for one in &mut kept {
            let before = known.and_then(|known| known.kept.iter().find(|before| before.key == one.key));
            one.since = before.map_or(now, |before| before.since);
        }
        let (extra, other, lost) = found.counts;
        let (unread, since) = (found.unread_count, known.map_or(now, |known| known.since));
        let sentence = sentence.into();
        Ok(Some(ServerDifferences { sentence, kept, lost, extra, other, unread, is_unlisted: false, since }))
    }

    pub(super) async fn list(&self, after: Box<str>, kept_max: usize) -> Result<Listed, Fault> {
        let (mut listed, mut after, mut seen) = (Listed::default(), after, BTreeSet::new());
        loop {
            let page = self.page(&after).await?;
            for posting in page.postings {
                let (compared, recorded) =
                    self.peek(|books| (compared(books, &posting), operation(books, &posting.key).filter(is_posted)))?;
                match compared {
                    Compared::Unknown => listed.take_unknown(posting, recorded.is_some(), kept_max),
                    // Those that the books know alone: a server cannot fill the memory.
                    Compared::Same | Compared::Besides | Compared::Settled if posting.is_posted() => {
                        listed.take_known(posting, recorded.map_or(0, |known| known.trade_order), kept_max);
                    }
                    Compared::Same | Compared::Besides | Compared::Settled => {}
                }
            }
            for unread in page.unread {
                if listed.unread_count < UNREAD_LOGGED_MAX {
                    let why = &*unread.what;
                    tracing::error!(server = %self.name, why, "posting at the trading server cannot be read");
                }
                let known = unread.key.as_ref().map(|key| self.peek(|books| operation(books, key))).transpose()?;
                listed.take_unread(unread, known.flatten().as_ref(), kept_max);
            }
            if page.next.is_empty() || page.next == after {
                return Ok(listed);
            }
            if !seen.insert(page.next.clone()) {
                return Err(Fault::new(format!("its list of postings leads back to {:?}", page.next)));
            }
            after = page.next;
        }
    }

    async fn page(&self, after: &str) -> Result<PostingsPage, Fault> {
        for _ in 1..PAGE_TRIES_MAX {
            match self.server.postings(after.into(), PAGE_ROWS).await {
                Ok(page) => return Ok(page),
                Err(_) => self.clock.sleep(PAGE_PAUSE).await,
            }
        }
        self.server.postings(after.into(), PAGE_ROWS).await
    }

    /// Operations that the books had as posted before the listing began, and that were not listed: those that are kept were asked
    /// for, too.
    async fn lost(&self, listed: &Listed, began: UnixTime, kept_max: usize) -> Result<(Vec<LostPosting>, u64), Fault> {
        let (mut kept, mut count, mut first) = (Vec::new(), 0, 1);
        loop {
            let (found, last) = self.peek(|books| {
                let until = first + LOOKED_AT_ONCE_MAX as u64;
                let known = (first..until).filter_map(|id| books.aggregate(TransactionId(id)));
                let mut found = Vec::new();
                for Aggregate { transaction, operations } in
                    known.filter(|known| known.transaction.server == *self.name)
                {
                    for operation in operations.iter().filter(|known| is_posted(known) && known.updated_time < began) {
                        let key = OperationKey::of(&transaction.reference, operation);
                        if !listed.posted.contains_key(&key) && !listed.otherwise.contains(&key) {
                            found.push(lost(operation, key));
                        }
                    }
                }
                first = until;
                (found, books.counters().transaction)
            })?;
            for lost in found {
                if kept.len() >= kept_max {
                    count += 1;
                } else if self.is_lost(&lost.key).await? {
                    count += 1;
                    kept.push(lost);
                }
            }
            if first > last {
                return Ok((kept, count));
            }
            // Between two holds, whatever else waits for this thread.
            tokio::task::yield_now().await;
        }
    }
}

impl Listed {
    /// One that the books have, too. Under another number than recorded, or under two, the money moved more than once: a number is
    /// 0 where it is not known.
    fn take_known(&mut self, posting: FoundPosting, recorded: u64, kept_max: usize) {
        let number = trade_order(&posting);
        let first = *self.posted.entry(posting.key.clone()).or_insert(number);
        let is_other = |known: u64| known != 0 && number != 0 && known != number;
        let is_named = recorded != 0 && number == recorded;
        if is_other(recorded) || (is_other(first) && !is_named) {
            match is_other(first) {
                // One row more than the books have.
                true => self.extra += 1,
                false => self.other += 1,
            }
            if self.other_orders.len() < kept_max {
                self.other_orders.push(posting);
            }
        }
    }

    /// One that cannot be read, with the operation of the books under its key, where there is one. The server counts it as posted
    /// where it says so: then it is one that the books do not have, unless they count that operation, too.
    fn take_unread(&mut self, unread: UnreadPosting, known: Option<&BalanceOperation>, kept_max: usize) {
        let is_counted = known.is_some_and(|known| is_posted(known) || known.is_unsettled());
        match unread.is_posted && !is_counted {
            true => self.extra += 1,
            false => self.other += 1,
        }
        // It is there, whatever is wrong with it; the server is asked for one that it does not have as posted.
        self.otherwise.extend(unread.key.clone().filter(|_| unread.is_posted && is_counted));
        self.unread_count += 1;
        if self.unread.len() < kept_max {
            self.unread.push(unread);
        }
    }

    fn take_unknown(&mut self, posting: FoundPosting, is_recorded: bool, kept_max: usize) {
        match posting.is_posted() && !is_recorded {
            true => self.extra += 1,
            false => self.other += 1,
        }
        if is_recorded {
            self.otherwise.insert(posting.key.clone());
        }
        if self.unknown.len() < kept_max {
            self.unknown.push(posting);
        }
    }
}

impl RowDifferences {
    /// One sentence about all of it; `None` where there is nothing.
    pub fn sentence(&self) -> Option<String> {
        let (extra, other, lost) = self.counts;
        let unread = self
            .unread
            .first()
            .map(|first| format!("{} of its postings cannot be read (the first: {})", self.unread_count, first.what));
        let unknown = self.unknown.first().map(|first| {
            let others = (extra + other).saturating_sub(self.other_orders.len() as u64 + self.unread_count);
            format!("{others} of its postings are not in the books (the first: {})", described(first))
        });
        let lost = self
            .lost
            .first()
            .map(|first| format!("it does not have {lost} postings of the books (the first: {first})"));
        let again = self.other_orders.first().map(|first| {
            format!("it made postings of the books under another number, or again (the first: {})", described(first))
        });
        let differs: Vec<String> = unread.into_iter().chain(unknown).chain(lost).chain(again).collect();
        (!differs.is_empty()).then(|| differs.join("; "))
    }

    pub fn is_empty(&self) -> bool {
        self.counts == (0, 0, 0)
    }

    /// Each that is kept, the lost ones first: their customers may be unpaid.
    pub fn kept(&self, books: &Books, since: UnixTime) -> Vec<PostingDifference> {
        let lost = self.lost.iter().map(|lost| PostingDifference {
            kind: DifferenceKind::Lost,
            key: lost.key.clone(),
            transaction_id: lost.transaction,
            login: lost.login,
            amount: lost.amount,
            trade_order: operation(books, &lost.key).map_or(0, |known| known.trade_order),
            since,
        });
        let there = |found: &FoundPosting, kind| PostingDifference {
            kind,
            key: found.key.clone(),
            transaction_id: transaction_of(books, &found.key).unwrap_or(TransactionId(0)),
            login: Login(found.login.0),
            amount: found.amount,
            trade_order: trade_order(found),
            since,
        };
        let again = self.other_orders.iter().map(|found| there(found, DifferenceKind::OtherOrder));
        let unknown = self.unknown.iter().map(|found| {
            let is_recorded = operation(books, &found.key).is_some_and(|known| is_posted(&known));
            let is_extra = found.is_posted() && !is_recorded;
            there(found, if is_extra { DifferenceKind::Extra } else { DifferenceKind::Other })
        });
        lost.chain(again).chain(unknown).collect()
    }
}

/// The server's number of a posting; 0 where it has none.
fn trade_order(posting: &FoundPosting) -> u64 {
    match posting.outcome {
        PostingOutcome::Posted { trade_order, .. } => trade_order,
        PostingOutcome::Refused { .. } | PostingOutcome::Conflict | PostingOutcome::Unknown => 0,
    }
}

fn transaction_of(books: &Books, key: &OperationKey) -> Option<TransactionId> {
    books.by_reference(&key.parts()?.0)
}

/// The operation under a key.
fn operation(books: &Books, key: &OperationKey) -> Option<BalanceOperation> {
    books.aggregate(transaction_of(books, key)?)?.keyed(key).cloned()
}
