//! The books beside a trading server that is elsewhere, at a start and again while the cashier runs: by counts and the newest postings,
//! or by what it posted lately, so that no row is read where both agree (case 179). Row by row (`rows`) only where they differ. It
//! reports and changes nothing: what is posted there is keyed, and what differs is for a person.

mod rows;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::books::Books;
use cashier_core::digest::ServerTotal;
use cashier_core::ids::{ServerName, TransactionId};
use cashier_core::operation::{BalanceOperation, OperationKey, PostingFlaw, PostingOutcome};
use cashier_core::status::OperationStatus;
use cashier_core::time::UnixTime;

pub use self::rows::RowDifferences;
use crate::ledger::Ledger;
use crate::ports::{Clock, DifferenceKind, Fault, Posting, ServerDifferences};
use crate::trading::remote::RemoteServer;

/// How far before the oldest of the newest recorded postings a server that does not count is listed: clocks differ, and an answer may
/// have been recorded hours after the posting.
const LISTED_BEFORE_SECONDS: i64 = 24 * 60 * 60;

/// The same when it is compared again: how far before the time of the last comparison. Clocks differ.
const LISTED_AGAIN_SECONDS: i64 = 60 * 60;

/// The newest recorded postings that a server is asked for one by one.
const NEWEST_FOUND: usize = 16;

/// Operations without a recorded outcome that it is asked for when it is compared again: more are a backlog, and then the counts have
/// bounds instead of one value. At a start, while nothing is posted, all of them are.
const UNRECORDED_ASKED_MAX: usize = 64;

/// So long in all it is waited for keys of which it says nothing: then every other one counts as posted or not, too, and the count has
/// bounds. A dozen look-ups take so long that hang.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// So often counts are read again where postings were made meanwhile, and after such a pause; then they are compared with bounds.
const COUNT_TRIES_MAX: usize = 5;
const COUNT_PAUSE: Duration = Duration::from_millis(500);

/// Transactions that are looked at under one hold of the ledger's lock, about a millisecond.
const LOOKED_AT_ONCE_MAX: usize = 256;

/// Differences that are kept one by one, some 300 bytes each; more are a restored server, which one sentence says.
pub const DIFFERENCES_KEPT_MAX: usize = 256;

/// How a server compares with the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// As it was found before, where something differed.
    Equal,
    /// A sentence about what differs.
    Differs(String),
}

/// What earlier comparisons of this run found.
#[derive(Debug, Clone, Default)]
pub struct ComparedBefore {
    /// Which database of the server, by [`RemoteServer::database`].
    pub database: u64,
    /// When the last one began that ended.
    pub began: Option<UnixTime>,
    pub differences: Option<Arc<ServerDifferences>>,
}

/// The books, a server, and what was found so far.
pub struct BooksComparison<'c> {
    pub ledger: &'c Ledger,
    pub clock: &'c dyn Clock,
    pub name: &'c ServerName,
    pub server: &'c dyn RemoteServer,
    pub before: &'c ComparedBefore,
}

/// What the books have of the server at one moment.
struct BooksMoment {
    total: ServerTotal,
    changes: u64,
}

impl BooksComparison<'_> {
    /// Compares counts, or what was posted lately, while postings go on.
    ///
    /// # Errors
    /// The server does not answer, or the books are closed.
    pub async fn quickly(&self) -> Result<Agreement, Fault> {
        let differs = match self.by_counts().await? {
            Some(differs) => differs,
            None => self.lately().await?,
        };
        match differs {
            Some(sentence) => Ok(Agreement::Differs(sentence)),
            None => self.newest().await,
        }
    }

    /// None where it does not count; else what differs.
    async fn by_counts(&self) -> Result<Option<Option<String>>, Fault> {
        let asked_max = if self.before.began.is_none() { usize::MAX } else { UNRECORDED_ASKED_MAX };
        let mut tries = 0;
        loop {
            tries += 1;
            let before = self.moment()?;
            let unrecorded = self.unrecorded().await?;
            let Some(first) = self.server.posted_count().await? else { return Ok(None) };
            let is_asked = unrecorded.len() <= asked_max;
            let (mut posted_since, mut undecided, mut waited) = (0, 0, Duration::ZERO);
            for key in unrecorded.iter().filter(|_| is_asked) {
                let asked = self.clock.monotonic();
                let has_posted = if waited < SILENCE_MAX { self.has_posted(key).await? } else { None };
                match has_posted {
                    Some(has_posted) => posted_since += u64::from(has_posted),
                    None => {
                        undecided += 1;
                        waited = waited.saturating_add(self.clock.monotonic().saturating_sub(asked));
                    }
                }
            }
            let count = self.server.posted_count().await?.unwrap_or(first);
            let still_unrecorded = self.unrecorded().await?.len() as u64;
            let after = self.moment()?;
            // Nothing was posted or recorded in between.
            let is_exact = is_asked && first == count && before.changes == after.changes;
            if !is_exact && is_asked && tries < COUNT_TRIES_MAX {
                self.clock.sleep(COUNT_PAUSE).await;
                continue;
            }
            // Whatever it had posted by then is recorded now, or has no recorded outcome.
            let (least, most) = match is_exact {
                true => (before.total.count + posted_since, before.total.count + posted_since + undecided),
                false => (before.total.count, after.total.count + still_unrecorded),
            };
            let expected = self.expected(least)..=self.expected(most);
            return Ok(Some(
                (!expected.contains(&count))
                    .then(|| format!("it has made {count} postings, and the books know of {}", expected.start())),
            ));
        }
    }

    /// A count of the books as the server would have it, with what is known to differ.
    fn expected(&self, count: u64) -> u64 {
        let (extra, lost) = self.before.differences.as_ref().map_or((0, 0), |known| (known.extra, known.lost));
        count.saturating_add(extra).saturating_sub(lost)
    }

    /// Of a server that does not count: what differs in what it changed lately.
    async fn lately(&self) -> Result<Option<String>, Fault> {
        let recent = self.moment()?.total.recent;
        let oldest = recent.first().map(|(time, _)| time.plus(-LISTED_BEFORE_SECONDS));
        let since = self.before.began.map(|began| began.plus(-LISTED_AGAIN_SECONDS)).or(oldest);
        // Where nothing was posted, nothing of it can be lost, and its whole past is not read.
        let since = since.unwrap_or_else(|| self.clock.now().plus(-LISTED_BEFORE_SECONDS));
        let listed = self.list(self.server.cursor_at(since), DIFFERENCES_KEPT_MAX).await?;
        let known = |key: &OperationKey| self.known_keys().contains(key);
        let known_unread = self.before.differences.as_ref().map_or(0, |known| known.unread);
        if let Some(unread) = listed.unread.first().filter(|_| listed.unread_count > known_unread) {
            return Ok(Some(format!("it has a posting that cannot be read: {}", unread.what)));
        }
        if let Some(unknown) = listed.unknown.iter().find(|posting| !known(&posting.key)) {
            return Ok(Some(format!("it has a posting that the books do not have so: {}", super::described(unknown))));
        }
        if let Some(other) = listed.other_orders.iter().find(|posting| !known(&posting.key)) {
            return Ok(Some(format!("it made a posting of the books again: {}", super::described(other))));
        }
        // When it is compared again, the listing does not begin before the oldest.
        let is_lost = |key: &&OperationKey| !listed.posted.contains_key(*key) && !known(key);
        let lost = recent.iter().map(|(_, key)| key).find(is_lost).filter(|_| self.before.began.is_none());
        Ok(lost.map(|key| format!("it does not have the posting {key} of the books")))
    }

    /// The newest recorded postings, one by one: a server that was restored has lost these.
    async fn newest(&self) -> Result<Agreement, Fault> {
        let recent = self.moment()?.total.recent;
        let known = self.known_keys();
        for (_, key) in recent.iter().rev().take(NEWEST_FOUND).filter(|(_, key)| !known.contains(key)) {
            let differs = match self.recorded(key).await? {
                RecordedAtServer::Same => continue,
                RecordedAtServer::Lost => "it does not have the posting",
                RecordedAtServer::OtherOrder => "it has as another order, or twice, the posting",
            };
            return Ok(Agreement::Differs(format!("{differs} {key} of the books")));
        }
        Ok(Agreement::Equal)
    }

    fn known_keys(&self) -> BTreeSet<&OperationKey> {
        let known = self.before.differences.as_ref().map(|known| known.kept.iter());
        known.into_iter().flatten().map(|known| &known.key).collect()
    }

    /// Whether every difference that was kept is still one.
    ///
    /// # Errors
    /// As above.
    pub async fn still_differs(&self) -> Result<bool, Fault> {
        let Some(known) = &self.before.differences else { return Ok(true) };
        // What cannot be read cannot be asked for: whether it still is so, a listing says.
        if known.is_unlisted || known.unread > 0 {
            return Ok(false);
        }
        for one in &known.kept {
            let posting = self.peek(|books| posting(books, &one.key))?;
            // What the books do not have cannot be asked for: the count knows it.
            let Some(posting) = posting else { continue };
            let Some(found) = self.find(&posting).await? else { continue };
            let is_recorded = is_posted(&posting.operation);
            let is_same = match one.kind {
                DifferenceKind::OtherOrder => !is_other_order(found.as_ref(), &posting.operation),
                DifferenceKind::Lost | DifferenceKind::Extra | DifferenceKind::Other => {
                    matches!(found, Some(PostingOutcome::Posted { .. })) == is_recorded
                }
            };
            if is_same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn moment(&self) -> Result<BooksMoment, Fault> {
        self.peek(|books| BooksMoment {
            total: books.posted_elsewhere(self.name).cloned().unwrap_or_default(),
            changes: books.changes_elsewhere(self.name),
        })
    }

    /// The keys of the operations of the server without a recorded outcome.
    async fn unrecorded(&self) -> Result<Vec<OperationKey>, Fault> {
        let (mut keys, mut after) = (Vec::new(), TransactionId(0));
        loop {
            let ids = self.peek(|books| {
                let ids = books.unrecorded_after(after, LOOKED_AT_ONCE_MAX);
                let known = ids.iter().filter_map(|id| books.aggregate(*id));
                for known in known.filter(|known| known.transaction.server == *self.name) {
                    let open = known.operations.iter().filter(|known| known.is_unsettled());
                    keys.extend(open.map(|open| OperationKey::of(&known.transaction.reference, open)));
                }
                ids
            })?;
            let Some(last) = ids.last() else { return Ok(keys) };
            after = *last;
            // Between two holds, whatever else waits for this thread.
            tokio::task::yield_now().await;
        }
    }

    /// Whether the server has made this posting; one that the books do not have any more is none of them. `None` as of `find`.
    async fn has_posted(&self, key: &OperationKey) -> Result<Option<bool>, Fault> {
        let Some(posting) = self.peek(|books| posting(books, key))? else { return Ok(Some(false)) };
        let found = self.find(&posting).await?;
        Ok(found.map(|found| matches!(found, Some(PostingOutcome::Posted { .. }))))
    }

    /// What the server says of a posting; `None` where it answers, and says nothing of this key: one posting that is pending there,
    /// or whose look-up hangs, must not keep all others waiting.
    async fn find(&self, posting: &Posting) -> Result<Option<Option<PostingOutcome>>, Fault> {
        let fault = match self.server.find(posting).await {
            Ok(found) => return Ok(Some(found)),
            Err(fault) => fault,
        };
        if self.server.reaches().is_err() && self.server.answers().await.is_err() {
            return Err(fault);
        }
        tracing::warn!(%fault, key = %posting.key(), "trading server does not say whether it has made a posting");
        Ok(None)
    }

    /// What the server says of an operation that the books have as posted. Where its outcome is unknown there, it is not lost.
    async fn recorded(&self, key: &OperationKey) -> Result<RecordedAtServer, Fault> {
        let recorded = |books: &Books| posting(books, key).filter(|known| is_posted(&known.operation));
        let Some(posting) = self.peek(recorded)? else { return Ok(RecordedAtServer::Same) };
        Ok(match self.find(&posting).await? {
            Some(Some(PostingOutcome::Unknown)) | None => RecordedAtServer::Same,
            Some(found @ Some(PostingOutcome::Posted { .. })) => {
                match is_other_order(found.as_ref(), &posting.operation) {
                    true => RecordedAtServer::OtherOrder,
                    false => RecordedAtServer::Same,
                }
            }
            Some(Some(PostingOutcome::Refused { .. } | PostingOutcome::Conflict) | None) => RecordedAtServer::Lost,
        })
    }

    async fn is_lost(&self, key: &OperationKey) -> Result<bool, Fault> {
        Ok(self.recorded(key).await? == RecordedAtServer::Lost)
    }

    fn peek<T>(&self, read: impl FnOnce(&Books) -> T) -> Result<T, Fault> {
        self.ledger.peek(read).map_err(|refusal| Fault::new(refusal.message))
    }
}

/// What a server says of an operation that the books have as posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordedAtServer {
    /// The same, as far as it says.
    Same,
    Lost,
    /// Under another number, or twice.
    OtherOrder,
}

/// Whether a server has made a posting under another number than the books recorded, or more than once; 0 is a number that is not
/// known.
fn is_other_order(found: Option<&PostingOutcome>, recorded: &BalanceOperation) -> bool {
    let Some(PostingOutcome::Posted { trade_order, flaw }) = found else { return false };
    let is_known = *trade_order != 0 && recorded.trade_order != 0;
    matches!(flaw, Some(PostingFlaw::Twice { .. })) || (is_known && *trade_order != recorded.trade_order)
}

fn is_posted(operation: &BalanceOperation) -> bool {
    operation.status == OperationStatus::Posted
}

/// The operation under a key as it would be asked for.
fn posting(books: &Books, key: &OperationKey) -> Option<Posting> {
    let (reference, _) = key.parts()?;
    let known = books.aggregate(books.by_reference(&reference)?)?;
    let operation = known.keyed(key)?.clone();
    let transaction = known.transaction;
    Some(Posting {
        operation,
        server: transaction.server,
        customer_id: transaction.customer_id,
        only_on: None,
        comment: Box::default(),
        reference,
    })
}
