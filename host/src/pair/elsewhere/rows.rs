//! The postings of a server elsewhere and the books, row by row: where it is known already that they differ, and for `cashier db
//! reconcile`. No key is lost before the server was asked for it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::ids::{OperationId, TransactionId};
use cashier_core::operation::{BalanceOperation, OperationKey};
use cashier_core::reconcile::FoundPosting;
use cashier_core::time::UnixTime;

use super::row_differences::{RowDifferences, operation, trade_order};
use super::said::RecordedAtServer;
use super::{BooksComparison, DIFFERENCES_KEPT_MAX, LOOKED_AT_ONCE_MAX, is_posted};
use crate::pair::{Compared, PAGE_ROWS, compared, described, lost};
use crate::ports::{Fault, ServerDifferences};
use crate::trading::remote::{PostingsPage, UnreadPosting};

/// A page that got no answer is asked for again so often, and so long after: a server that is flaky ends a long listing all the same.
const PAGE_TRIES_MAX: usize = 5;
const PAGE_PAUSE: Duration = Duration::from_secs(2);

/// Lines of the log about rows of one listing that cannot be read; more are counted in its sentence.
const UNREAD_LOGGED_MAX: u64 = 16;

/// Postings that are not listed, and of which the server says that it has made them, are asked for so many times as many as are kept.
const ASKED_PER_KEPT_MAX: usize = 16;

/// What a listing found.
#[derive(Default)]
pub(super) struct Listed {
    /// All but what was not listed.
    pub(super) differences: RowDifferences,
    /// Operations of the books that were listed, whatever differs about them.
    there: OperationSet,
    /// Those that were listed under the number that the books recorded, or under a first one where they recorded none.
    named: OperationSet,
    /// The number of each that the books recorded none of: few, those without an outcome.
    first_numbers: BTreeMap<OperationId, u64>,
    /// Those that were listed under another number, or with other values.
    otherwise: BTreeSet<OperationId>,
}

/// Operations by id. Ids are dense: ten million take about a megabyte, where keys would take a gigabyte.
#[derive(Default)]
struct OperationSet(Vec<u64>);

impl OperationSet {
    fn place(id: OperationId) -> (usize, u64) {
        (usize::try_from(id.0 / 64).unwrap_or(usize::MAX), 1 << (id.0 % 64))
    }

    fn insert(&mut self, id: OperationId) {
        let (place, bit) = Self::place(id);
        if self.0.len() <= place {
            self.0.resize(place.saturating_add(1), 0);
        }
        if let Some(word) = self.0.get_mut(place) {
            *word |= bit;
        }
    }

    fn contains(&self, id: OperationId) -> bool {
        let (place, bit) = Self::place(id);
        self.0.get(place).is_some_and(|word| word & bit != 0)
    }
}

impl BooksComparison<'_> {
    /// Everything in which they differ, row by row, of each kind so many. What the books recorded from `began` on may be missing
    /// in the list.
    ///
    /// # Errors
    /// The server does not answer, or the books are closed.
    pub async fn row_by_row(&self, kept_max: usize, began: UnixTime) -> Result<RowDifferences, Fault> {
        let mut listed = self.list(Box::default(), kept_max).await?;
        self.note_lost(&mut listed, TransactionId(1), UnixTime(i64::MIN)..began, kept_max).await?;
        self.note_other_orders(&mut listed, kept_max).await?;
        Ok(listed.differences)
    }

    /// The same for the work list; `None` where they agree.
    ///
    /// # Errors
    /// As above.
    pub async fn thoroughly(&self) -> Result<Option<ServerDifferences>, Fault> {
        let now = self.clock.now();
        let found = self.row_by_row(DIFFERENCES_KEPT_MAX, now).await?;
        let known = self.before.differences.as_deref();
        self.peek(|books| found.for_work(books, now, known, DIFFERENCES_KEPT_MAX))
    }

    pub(super) async fn list(&self, after: Box<str>, kept_max: usize) -> Result<Listed, Fault> {
        let (mut listed, mut after, mut seen) = (Listed::default(), after, BTreeSet::new());
        loop {
            let page = self.page(&after).await?;
            let mut named = page.named;
            let is_same_way = |books: &Books, posting: &FoundPosting| {
                operation(books, &posting.key).is_some_and(|known| known.cmd == posting.cmd)
            };
            self.peek(|books| named.retain(|posting| is_same_way(books, posting)))?;
            for posting in page.postings.into_iter().chain(named) {
                if posting.amount.minor == 0 && posting.is_posted() {
                    let what = format!("it is listed with no amount: {}", described(&posting)).into();
                    self.take_unread(
                        &mut listed,
                        UnreadPosting { key: Some(posting.key), is_posted: true, what },
                        kept_max,
                    )?;
                    continue;
                }
                let (compared, known) = self.peek(|books| {
                    let is_here = |of: TransactionId| books.transaction(of).is_some_and(|row| row.server == *self.name);
                    let known = operation(books, &posting.key);
                    (compared(books, &posting), known.map(|known| (is_here(known.transaction_id), known)))
                })?;
                match (compared, known) {
                    (Compared::Same | Compared::Besides | Compared::Settled, _) if !posting.is_posted() => {}
                    (Compared::Same | Compared::Besides | Compared::Settled, Some((true, known))) => {
                        listed.take_known(posting, &known, kept_max);
                    }
                    (_, known) => listed.take_unknown(posting, known, kept_max),
                }
            }
            for unread in page.unread {
                self.take_unread(&mut listed, unread, kept_max)?;
            }
            if page.next.is_empty() || page.next == after {
                listed.end();
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
            self.await_turn().await;
            match self.server.postings(after.into(), PAGE_ROWS).await {
                Ok(page) => return Ok(page),
                Err(_) => self.clock.sleep(PAGE_PAUSE).await,
            }
        }
        self.await_turn().await;
        self.server.postings(after.into(), PAGE_ROWS).await
    }

    fn take_unread(&self, listed: &mut Listed, unread: UnreadPosting, kept_max: usize) -> Result<(), Fault> {
        if listed.differences.unread.count < UNREAD_LOGGED_MAX {
            let why = &*unread.what;
            tracing::error!(server = %self.name, why, "posting at the trading server cannot be read");
        }
        let known = unread.key.as_ref().map(|key| self.peek(|books| operation(books, key))).transpose()?;
        listed.take_unread(unread, known.flatten().as_ref(), kept_max);
        Ok(())
    }

    /// Operations of transactions from this one on that the books recorded as posted in this time, before the listing began, and that
    /// were not listed: as the server says when it is asked for them. It is asked until so many differ: of others it is not known.
    pub(super) async fn note_lost(
        &self,
        listed: &mut Listed,
        TransactionId(mut first): TransactionId,
        recorded: Range<UnixTime>,
        kept_max: usize,
    ) -> Result<(), Fault> {
        let (mut asked, mut waited) = (0, Duration::ZERO);
        loop {
            let (found, last) = self.peek(|books| {
                let until = first + LOOKED_AT_ONCE_MAX as u64;
                let known = (first..until).filter_map(|id| books.aggregate(TransactionId(id)));
                let mut found = Vec::new();
                for Aggregate { transaction, operations } in
                    known.filter(|known| known.transaction.server == *self.name)
                {
                    let posted =
                        operations.iter().filter(|known| is_posted(known) && recorded.contains(&known.updated_time));
                    let missing = posted.filter(|known| !listed.there.contains(known.id));
                    found.extend(missing.map(|known| lost(known, OperationKey::of(&transaction.reference, known))));
                }
                first = until;
                (found, books.counters().transaction)
            })?;
            for lost in found {
                let differ = listed.differences.lost.count + listed.differences.unsaid.count;
                let asks = differ < kept_max as u64 && asked < kept_max.saturating_mul(ASKED_PER_KEPT_MAX);
                asked = asked.saturating_add(1);
                let said = match asks {
                    true => self.recorded(&lost.key, &mut waited).await?,
                    false => RecordedAtServer::NoAnswer,
                };
                match said {
                    RecordedAtServer::Lost => listed.differences.lost.push(lost, kept_max),
                    RecordedAtServer::Unsaid => listed.differences.unsaid.push(lost, kept_max),
                    RecordedAtServer::NoAnswer => listed.differences.unasked.push(lost, kept_max),
                    RecordedAtServer::OtherOrder { number } => self.take_other(listed, &lost.key, number, kept_max)?,
                    // It was not listed where it stood while the pages were read.
                    RecordedAtServer::Same => {}
                }
            }
            if first > last {
                return Ok(());
            }
            // Between two holds, whatever else waits for this thread.
            tokio::task::yield_now().await;
        }
    }
}

impl Listed {
    /// Whether no operation of the books was listed.
    pub(super) fn has_none(&self) -> bool {
        self.there.0.is_empty()
    }

    /// Whether an operation of the books was listed, whatever differs about it.
    pub(super) fn has(&self, id: OperationId) -> bool {
        self.there.contains(id)
    }

    /// One that the books have, too. Under another number than recorded, or under two, the money moved more than once: a number is
    /// 0 where it is not known.
    fn take_known(&mut self, posting: FoundPosting, known: &BalanceOperation, kept_max: usize) {
        let number = trade_order(&posting);
        let recorded = match is_posted(known) && known.trade_order != 0 {
            true => known.trade_order,
            false => *self.first_numbers.entry(known.id).or_insert(number),
        };
        self.there.insert(known.id);
        if number == 0 || recorded == 0 || number == recorded {
            self.named.insert(known.id);
            return;
        }
        self.note_other_row(known.id);
        self.differences.other_orders.push(posting, kept_max);
    }

    /// A row of an operation beside the one that the books know, or instead of it: [`end`](Self::end) says which.
    fn note_other_row(&mut self, id: OperationId) {
        self.there.insert(id);
        self.otherwise.insert(id);
        self.differences.surplus += 1;
    }

    /// One that the books do not have so; with the operation under its key, and whether that is of this server.
    fn take_unknown(&mut self, posting: FoundPosting, known: Option<(bool, BalanceOperation)>, kept_max: usize) {
        let recorded = known.filter(|(is_here, known)| *is_here && is_posted(known));
        match (posting.is_posted(), recorded) {
            (true, Some((_, known))) => {
                self.note_other_row(known.id);
                self.differences.other.push(posting, kept_max);
            }
            (true, None) => {
                self.differences.surplus += 1;
                self.differences.extra.push(posting, kept_max);
            }
            (false, _) => self.differences.refused.push(posting, kept_max),
        }
    }

    /// One that cannot be read, with the operation of the books under its key, where there is one. The server counts it as posted
    /// where it says so: then it is one that the books do not have, unless they count that operation, too.
    fn take_unread(&mut self, unread: UnreadPosting, known: Option<&BalanceOperation>, kept_max: usize) {
        let counted = known.filter(|known| is_posted(known) || known.is_unsettled()).filter(|_| unread.is_posted);
        match counted {
            // It is there, whatever is wrong with it; the server is asked for one that it does not have as posted.
            Some(known) => self.there.insert(known.id),
            None => self.differences.surplus += u64::from(unread.is_posted),
        }
        self.differences.unread.push(unread, kept_max);
    }

    /// Of those that were listed otherwise alone, one row is the operation's own.
    fn end(&mut self) {
        let own = self.otherwise.iter().filter(|id| !self.named.contains(**id)).count() as u64;
        self.differences.surplus = self.differences.surplus.saturating_sub(own);
    }
}
