//! The books beside a trading server that is elsewhere: by counts and the newest postings, or by what it posted lately, so that no
//! row is read where both agree. It reports and changes nothing: what is posted there is keyed, and what the books lack is for a
//! person.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use cashier_core::aggregate::Aggregate;
use cashier_core::books::Books;
use cashier_core::digest::ServerTotal;
use cashier_core::ids::{ServerName, TransactionId};
use cashier_core::operation::{BalanceOperation, OperationKey, PostingOutcome};
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::OperationStatus;

use super::{Compared, PAGE_ROWS, compared, described};
use crate::ledger::Ledger;
use crate::ports::{Clock, Fault, Loaded, Posting};
use crate::trading::remote::{PostingsPage, RemoteServer};

/// How far before the oldest of the newest recorded postings a server that does not count is listed: clocks differ, and an answer may
/// have been recorded hours after the posting.
const LISTED_BEFORE_SECONDS: i64 = 24 * 60 * 60;

/// Transactions that are looked at under one hold of the ledger's lock, about a millisecond.
const LOOKED_AT_ONCE_MAX: u64 = 256;

/// The newest recorded postings that a server which counts is asked for one by one.
const NEWEST_FOUND: usize = 16;

/// A page that got no answer is asked for again so often, and so long after: a server that is flaky ends a long listing all the same.
const PAGE_TRIES_MAX: usize = 5;
const PAGE_PAUSE: Duration = Duration::from_secs(2);

/// What the books had of one server when they were loaded.
#[derive(Debug, Clone)]
pub struct BooksOf {
    pub server: ServerName,
    total: ServerTotal,
    /// Operations that may have been posted.
    unrecorded: Vec<OperationKey>,
}

/// How a server compares with the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    Equal,
    /// A sentence about what differs.
    Differs(String),
}

impl BooksOf {
    pub fn of(loaded: &Loaded, server: &ServerName) -> Self {
        let unrecorded = loaded.unrecorded.iter().filter(|known| known.server == *server);
        let total = loaded.posted.elsewhere.get(server).cloned().unwrap_or_default();
        Self { server: server.clone(), total, unrecorded: unrecorded.map(|known| known.key.clone()).collect() }
    }
}

/// The books, a server, and what was found so far.
pub struct BooksComparison<'c> {
    pub ledger: &'c Ledger,
    pub clock: &'c dyn Clock,
    pub known: &'c BooksOf,
    pub server: &'c dyn RemoteServer,
}

impl BooksComparison<'_> {
    /// Compares counts, or what was posted lately, before anything more is posted there.
    ///
    /// # Errors
    /// The server does not answer, or the books are closed.
    pub async fn quickly(&self) -> Result<Agreement, Fault> {
        let total = &self.known.total;
        let Some(count) = self.server.posted_count().await? else { return self.lately().await };
        let (mut least, mut undecided) = (total.count, 0);
        for key in &self.known.unrecorded {
            match self.has_posted(key).await? {
                Some(has_posted) => least += u64::from(has_posted),
                None => undecided += 1,
            }
        }
        if !(least..=least + undecided).contains(&count) {
            return Ok(Agreement::Differs(format!("it has made {count} postings, and the books know of {least}")));
        }
        for (_, key) in total.recent.iter().rev().take(NEWEST_FOUND) {
            if self.has_posted(key).await? == Some(false) {
                return Ok(Agreement::Differs(format!("it does not have the posting {key} of the books")));
            }
        }
        Ok(Agreement::Equal)
    }

    async fn lately(&self) -> Result<Agreement, Fault> {
        let recent = &self.known.total.recent;
        let oldest = recent.first().map(|(time, _)| time.plus(-LISTED_BEFORE_SECONDS));
        // Where nothing was posted, nothing of it can be lost, and its whole past is not read.
        let since = oldest.unwrap_or_else(|| self.clock.now().plus(-LISTED_BEFORE_SECONDS));
        let listed = self.list(self.server.cursor_at(since)).await?;
        let lost: Vec<OperationKey> =
            recent.iter().map(|(_, key)| key.clone()).filter(|key| !listed.posted.contains(key)).collect();
        Ok(sentence(&listed, &lost).map_or(Agreement::Equal, Agreement::Differs))
    }

    /// Everything in which they differ, row by row: only where that is known already.
    ///
    /// # Errors
    /// As above.
    pub async fn thoroughly(&self) -> Result<Agreement, Fault> {
        let listed = self.list(Box::default()).await?;
        let lost = self.lost(&listed.posted).await?;
        Ok(sentence(&listed, &lost).map_or(Agreement::Equal, Agreement::Differs))
    }

    /// Whether the server has made this posting; one that the books do not have any more is none of them. `None` where it answers,
    /// and says nothing of this key: one posting that is pending there must not keep all others waiting.
    async fn has_posted(&self, key: &OperationKey) -> Result<Option<bool>, Fault> {
        let Some(posting) = self.peek(|books| posting(books, key))? else { return Ok(Some(false)) };
        match self.server.find(&posting).await {
            Ok(found) => Ok(Some(matches!(found, Some(PostingOutcome::Posted { .. })))),
            Err(fault) if self.server.reaches().is_ok() => {
                tracing::warn!(%fault, %key, "trading server does not say whether it has made a posting");
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    async fn list(&self, after: Box<str>) -> Result<Listed, Fault> {
        let (mut listed, mut after, mut seen) = (Listed::default(), after, BTreeSet::new());
        loop {
            let page = self.page(&after).await?;
            for posting in page.postings {
                if matches!(self.peek(|books| compared(books, &posting))?, Compared::Unknown) {
                    listed.unknown_count += 1;
                    listed.unknown.get_or_insert(posting);
                } else if posting.is_posted() {
                    // Those that the books know alone: a server cannot fill the memory.
                    listed.posted.insert(posting.key);
                }
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

    /// Operations that the books have as posted at the server and that were not listed.
    async fn lost(&self, posted: &BTreeSet<OperationKey>) -> Result<Vec<OperationKey>, Fault> {
        let is_lost = |known: &BalanceOperation, key: &OperationKey| {
            known.status == OperationStatus::Posted && !posted.contains(key)
        };
        let (mut found, mut first) = (Vec::new(), 1);
        loop {
            let last = self.peek(|books| {
                let until = first + LOOKED_AT_ONCE_MAX;
                let known = (first..until).filter_map(|id| books.aggregate(TransactionId(id)));
                for Aggregate { transaction, operations } in
                    known.filter(|known| known.transaction.server == self.known.server)
                {
                    let keys = operations.iter().map(|known| (known, OperationKey::of(&transaction.reference, known)));
                    found.extend(keys.filter(|(known, key)| is_lost(known, key)).map(|(_, key)| key));
                }
                first = until;
                books.counters().transaction
            })?;
            if first > last {
                return Ok(found);
            }
            // Between two holds, whatever else waits for this thread.
            tokio::task::yield_now().await;
        }
    }

    fn peek<T>(&self, read: impl FnOnce(&Books) -> T) -> Result<T, Fault> {
        self.ledger.peek(read).map_err(|refusal| Fault::new(refusal.message))
    }
}

/// What a listing found.
#[derive(Default)]
struct Listed {
    posted: BTreeSet<OperationKey>,
    unknown_count: usize,
    /// The first posting that the books do not know, or know otherwise.
    unknown: Option<FoundPosting>,
}

/// The operation under a key as it would be asked for.
fn posting(books: &Books, key: &OperationKey) -> Option<Posting> {
    let (reference, _) = key.parts()?;
    let known = books.aggregate(books.by_reference(&reference)?)?;
    let operation = known.keyed(key)?.clone();
    let Aggregate { transaction, .. } = known;
    Some(Posting {
        operation,
        server: transaction.server,
        customer_id: transaction.customer_id,
        only_on: None,
        comment: Box::default(),
        reference,
    })
}

fn sentence(listed: &Listed, lost: &[OperationKey]) -> Option<String> {
    let unknown = listed.unknown.as_ref().map(|first| {
        format!("{} of its postings are not in the books (the first: {})", listed.unknown_count, described(first))
    });
    let lost =
        lost.first().map(|first| format!("it does not have {} postings of the books (the first: {first})", lost.len()));
    let differs: Vec<String> = unknown.into_iter().chain(lost).collect();
    (!differs.is_empty()).then(|| differs.join("; "))
}
