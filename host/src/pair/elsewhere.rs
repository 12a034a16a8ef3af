//! The books beside a trading server that is elsewhere, at a start and again while the cashier runs: by counts and the newest postings,
//! or by what it posted lately, so that no row is read where both agree (case 179). Row by row (`rows`) only where they differ. It
//! reports and changes nothing: what is posted there is keyed, and what differs is for a person.

mod asked_again;
mod asking;
mod lately;
mod row_differences;
mod rows;
mod said;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::books::Books;
use cashier_core::ids::{ServerName, TransactionId};
use cashier_core::operation::{BalanceOperation, OperationKey};
use cashier_core::status::OperationStatus;
use cashier_core::time::UnixTime;

pub use self::asking::DifferenceStanding;
pub use self::row_differences::{FirstOf, RowDifferences};
use crate::ledger::Ledger;
use crate::ports::{Clock, Fault, ServerDifferences};
use crate::trading::remote::RemoteServer;

/// The newest recorded postings that a server is asked for one by one.
const NEWEST_FOUND: usize = 16;

/// Operations without a recorded outcome that it is asked for: more are a backlog, and then the counts have bounds instead of one value.
/// At a start all postings wait for it; when it is compared again, none does, and more change meanwhile.
const UNRECORDED_ASKED_AT_START_MAX: usize = 1024;
const UNRECORDED_ASKED_MAX: usize = 64;

/// So long it is waited for keys of which it says nothing, for its count, for what it changed lately, for the newest, and for a list:
/// then every other one counts as not asked for. A dozen look-ups take so long that hang.
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
    count: u64,
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
        let asked_max = match self.before.began {
            None => UNRECORDED_ASKED_AT_START_MAX,
            Some(_) => UNRECORDED_ASKED_MAX,
        };
        let (mut tries, mut waited) = (0, Duration::ZERO);
        loop {
            tries += 1;
            let before = self.moment()?;
            let unrecorded = self.unrecorded().await?;
            self.await_turn().await;
            let Some(first) = self.server.posted_count().await? else { return Ok(None) };
            let is_asked = unrecorded.len() <= asked_max;
            let (mut posted_since, mut undecided) = (0, 0);
            for key in unrecorded.iter().filter(|_| is_asked) {
                match self.has_posted(key, &mut waited).await? {
                    Some(has_posted) => posted_since += u64::from(has_posted),
                    None => undecided += 1,
                }
            }
            self.await_turn().await;
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
                true => (before.count + posted_since, before.count + posted_since + undecided),
                false => (before.count, after.count + still_unrecorded),
            };
            let expected = self.expected(least, most);
            return Ok(Some(
                (!expected.contains(&count))
                    .then(|| format!("it has made {count} postings, and the books know of {}", expected.start())),
            ));
        }
    }

    /// Counts of the books as the server would have them, with what is known to differ. Whether it counts what it does not say is not
    /// known.
    fn expected(&self, least: u64, most: u64) -> RangeInclusive<u64> {
        let (surplus, lost, unsaid) =
            self.before.differences.as_ref().map_or((0, 0, 0), |known| (known.surplus, known.lost, known.unsaid));
        let as_known = |count: u64| count.saturating_add(surplus).saturating_sub(lost);
        as_known(least).saturating_sub(unsaid)..=as_known(most)
    }

    /// The newest recorded postings, one by one: a server that was restored has lost these.
    async fn newest(&self) -> Result<Agreement, Fault> {
        let (known, mut waited) = (self.known_keys(), Duration::ZERO);
        for key in self.newest_keys()?.iter().filter(|key| !known.contains(key)) {
            if let Some(differs) = self.recorded(key, &mut waited).await?.differs(key) {
                return Ok(Agreement::Differs(differs));
            }
        }
        Ok(Agreement::Equal)
    }

    /// Those of the operations that were recorded as posted last, the newest first.
    fn newest_keys(&self) -> Result<Vec<OperationKey>, Fault> {
        self.peek(|books| {
            let recent = books.posted_elsewhere(self.name).into_iter().flat_map(|total| total.recent.iter().rev());
            recent.take(NEWEST_FOUND).map(|(_, key)| key.clone()).collect()
        })
    }

    fn known_keys(&self) -> BTreeSet<&OperationKey> {
        let known = self.before.differences.as_ref().map(|known| known.kept.iter());
        known.into_iter().flatten().map(|known| &known.key).collect()
    }

    fn moment(&self) -> Result<BooksMoment, Fault> {
        self.peek(|books| BooksMoment {
            count: books.posted_elsewhere(self.name).map_or(0, |total| total.count),
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

    fn peek<T>(&self, read: impl FnOnce(&Books) -> T) -> Result<T, Fault> {
        self.ledger.peek(read).map_err(|refusal| Fault::new(refusal.message))
    }
}

fn is_posted(operation: &BalanceOperation) -> bool {
    operation.status == OperationStatus::Posted
}
