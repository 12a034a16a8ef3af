//! Compares each trading server elsewhere with the books: before anything is posted there, again when it was away, and every ten
//! minutes. What differs is somebody's work until it does not any more (case 179).

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::ServerName;
use futures_util::future::select;

use crate::flows::Cashier;
use crate::pair::elsewhere::{Agreement, BooksComparison, ComparedBefore, DIFFERENCES_KEPT_MAX, DifferenceStanding};
use crate::ports::{Fault, ServerDifferences};
use crate::private_files;
use crate::trading::remote::RemoteServer;
use crate::trading::servers::TradingServers;

/// How often a server that was not compared with the books yet is asked again.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// How often one that was is compared again, though nothing was noticed: as the books are, and somebody may have changed its postings.
/// One over HTTP that is restored while it restarts answers every call.
const COMPARE_AGAIN_EVERY: Duration = Duration::from_secs(10 * 60);

/// The least between two comparisons once there was one: a server that comes and goes is not asked for its postings all the time.
const COMPARE_PAUSE: Duration = Duration::from_secs(60);

/// After a listing of all rows so many times as long as it took passes before the next one, and as many where more differs than is kept
/// already, or where nothing says that it would find anything else: a list of many rows is not read all the time. What needs no list is
/// compared meanwhile.
const LISTINGS_APART: u32 = 10;
const KNOWN_LISTINGS_APART: u32 = 50;

/// A server, and what is known of it.
pub(super) struct Comparing {
    pub(super) servers: Arc<TradingServers>,
    pub(super) cashier: Arc<Cashier>,
    pub(super) name: ServerName,
    pub(super) server: Arc<dyn RemoteServer>,
    pub(super) mark: DifferenceMark,
}

/// A file that is there while a server is known to differ: a start would not see every difference by counts.
pub(super) struct DifferenceMark(PathBuf);

impl DifferenceMark {
    pub(super) fn of(bases: &Path, server: &ServerName) -> Self {
        Self(bases.join(format!("trading_differs.{server}")))
    }

    fn is_set(&self) -> bool {
        self.0.exists()
    }

    fn put(&self, differs: bool) {
        let done = match differs {
            true if self.is_set() => Ok(()),
            true => private_files::create(&self.0).and_then(|file| file.sync_all()),
            false if !self.is_set() => Ok(()),
            false => std::fs::remove_file(&self.0),
        };
        if let Err(error) = done {
            tracing::warn!(file = %self.0.display(), %error, "whether a trading server differs was not kept for the next start");
        }
    }
}

/// The list of all rows that was read last.
#[derive(Debug, Clone, Copy, Default)]
struct LastListing {
    /// Monotonic.
    ended: Duration,
    took: Duration,
}

/// What the comparisons of this run know.
#[derive(Default)]
struct ComparisonProgress {
    before: ComparedBefore,
    /// All rows are to be listed, whatever the counts say: it differed before, and which postings do is not known.
    lists: bool,
    listed: Option<LastListing>,
}

impl Comparing {
    /// For ever.
    pub(super) async fn compare(self) {
        let mut progress = ComparisonProgress { lists: self.mark.is_set(), ..ComparisonProgress::default() };
        loop {
            let began = self.cashier.clock.now();
            let database = self.server.database();
            if database != progress.before.database {
                // What was known is of the one before.
                let before = ComparedBefore { database, ..ComparedBefore::default() };
                progress = ComparisonProgress { before, lists: self.mark.is_set(), listed: None };
            }
            let is_done = match self.compared(&mut progress).await {
                Ok(()) => {
                    progress.before.began = Some(began);
                    progress.lists = progress.before.differences.as_ref().is_some_and(|known| known.is_unlisted);
                    !progress.lists
                }
                Err(fault) => {
                    tracing::warn!(server = %self.name, %fault, "trading server was not compared with the books yet");
                    self.servers.note_comparison(&self.name, Err(&fault));
                    false
                }
            };
            let clock = &self.cashier.clock;
            if progress.before.began.is_none() {
                clock.sleep(COMPARE_EVERY).await;
                continue;
            }
            self.pause(COMPARE_PAUSE, database).await;
            // What could not be done is tried again; what was is done again where the server was away, and in ten minutes.
            if is_done {
                select(pin!(self.servers.returned(&self.name)), pin!(self.pause(COMPARE_AGAIN_EVERY, database))).await;
            }
        }
    }

    /// So long, or until it has another database: to that nothing is posted before it is compared.
    async fn pause(&self, length: Duration, database: u64) {
        let clock = &self.cashier.clock;
        let until = clock.monotonic().saturating_add(length);
        while self.server.database() == database {
            let left = until.saturating_sub(clock.monotonic());
            if left.is_zero() {
                return;
            }
            clock.sleep(left.min(COMPARE_EVERY)).await;
        }
    }

    /// One comparison; row by row where that is needed.
    async fn compared(&self, progress: &mut ComparisonProgress) -> Result<(), Fault> {
        let cashier = &self.cashier;
        let comparison = BooksComparison {
            ledger: &cashier.ledger,
            clock: &*cashier.clock,
            name: &self.name,
            server: &*self.server,
            before: &progress.before.clone(),
        };
        let known = progress.before.differences.clone();
        let keeps_all = known.as_ref().is_none_or(|known| known.is_unlisted || known.kept.len() < DIFFERENCES_KEPT_MAX);
        match comparison.quickly().await? {
            Agreement::Differs(sentence) => {
                let is_shown = known.as_ref().is_some_and(|known| known.is_unlisted && *known.sentence == *sentence);
                if !is_shown {
                    tracing::error!(server = %self.name, differs = sentence, "trading server and books differ");
                }
                // Another one is among those that one item counts already.
                if !keeps_all && !self.is_long_ago(progress.listed, KNOWN_LISTINGS_APART) {
                    self.note(progress, known);
                    return Ok(());
                }
                self.note_unlisted(progress, &sentence);
            }
            Agreement::Equal if progress.lists && known.is_none() => {
                self.note_unlisted(progress, "it differed when it was compared before this start");
            }
            Agreement::Equal if progress.lists => {}
            Agreement::Equal if known.is_none() => {
                if progress.before.began.is_none() {
                    tracing::info!(server = %self.name, "trading server and books agree");
                }
                self.note(progress, None);
                return Ok(());
            }
            Agreement::Equal => {
                let lists = match comparison.standing().await? {
                    DifferenceStanding::Stands => false,
                    DifferenceStanding::NotSaid => self.is_long_ago(progress.listed, KNOWN_LISTINGS_APART),
                    DifferenceStanding::PutRight => true,
                };
                if !lists {
                    self.note(progress, known);
                    return Ok(());
                }
                self.note_unlisted(progress, "of what differed, something may be put right");
            }
        }
        if !self.is_long_ago(progress.listed, LISTINGS_APART) {
            return Ok(());
        }
        self.list(&comparison, progress).await
    }

    async fn list(&self, comparison: &BooksComparison<'_>, progress: &mut ComparisonProgress) -> Result<(), Fault> {
        let clock = &self.cashier.clock;
        let began = clock.monotonic();
        let found = comparison.thoroughly().await;
        let ended = clock.monotonic();
        progress.listed = Some(LastListing { ended, took: ended.saturating_sub(began) });
        match found {
            Ok(found) => {
                match &found {
                    // What came in between is all that differed.
                    None => tracing::info!(server = %self.name, "trading server and books agree row by row"),
                    Some(known) => {
                        let differs = &*known.sentence;
                        tracing::error!(server = %self.name, differs, "trading server and books were compared row by row");
                    }
                }
                progress.before.differences = found.map(Arc::new);
                self.note(progress, progress.before.differences.clone());
                Ok(())
            }
            Err(fault) if progress.before.differences.is_some() => {
                tracing::warn!(server = %self.name, %fault, "postings of the trading server were not listed");
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    /// Whether so many times as long as the last list took has passed since it ended.
    fn is_long_ago(&self, listed: Option<LastListing>, times: u32) -> bool {
        let passed = |listed: LastListing| self.cashier.clock.monotonic().saturating_sub(listed.ended);
        listed.is_none_or(|listed| passed(listed) >= listed.took.saturating_mul(times))
    }

    /// What is posted is keyed: it goes on while the rows are listed. What an earlier listing found is shown until then.
    fn note_unlisted(&self, progress: &mut ComparisonProgress, sentence: &str) {
        let known = progress.before.differences.as_deref().cloned();
        let known =
            known.unwrap_or_else(|| ServerDifferences { since: self.cashier.clock.now(), ..Default::default() });
        progress.before.differences =
            Some(Arc::new(ServerDifferences { sentence: sentence.into(), is_unlisted: true, ..known }));
        self.note(progress, progress.before.differences.clone());
    }

    fn note(&self, progress: &ComparisonProgress, found: Option<Arc<ServerDifferences>>) {
        self.mark.put(found.is_some());
        self.server.note_compared(progress.before.database);
        self.servers.note_comparison(&self.name, Ok(found));
    }
}
