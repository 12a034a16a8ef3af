//! Compares each trading server elsewhere with the books: before anything is posted there, again when it was away, and once an
//! hour. What differs is somebody's work until it does not any more (case 179).

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::ServerName;
use cashier_core::time::UnixTime;
use futures_util::future::select;

use crate::flows::Cashier;
use crate::pair::elsewhere::{Agreement, BooksComparison, ComparedBefore};
use crate::ports::{Fault, ServerDifferences};
use crate::private_files;
use crate::trading::remote::RemoteServer;
use crate::trading::servers::TradingServers;

/// How often a server that was not compared with the books yet is asked again.
const COMPARE_EVERY: Duration = Duration::from_secs(5);

/// How often one that was is compared again, though nothing was noticed: as the books are, and somebody may have changed its postings.
const COMPARE_AGAIN_EVERY: Duration = Duration::from_secs(60 * 60);

/// The least between two comparisons once there was one: a server that comes and goes is not asked for its postings all the time.
const COMPARE_PAUSE: Duration = Duration::from_secs(60);

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

impl Comparing {
    /// For ever.
    pub(super) async fn compare(self) {
        let mut before = ComparedBefore::default();
        let mut listing = self.mark.is_set();
        loop {
            let began = self.cashier.clock.now();
            let database = self.server.database();
            if database != before.database {
                // What was known is of the one before.
                (before, listing) = (ComparedBefore { database, ..ComparedBefore::default() }, self.mark.is_set());
            }
            let found = self.compared(&mut before, listing).await;
            match found {
                Ok(()) => {
                    before.began = Some(began);
                    listing = before.differences.as_ref().is_some_and(|known| known.is_unlisted);
                }
                Err(fault) => {
                    tracing::warn!(server = %self.name, %fault, "trading server was not compared with the books yet");
                    self.servers.note_comparison(&self.name, Err(&fault));
                }
            }
            let clock = &self.cashier.clock;
            if before.began.is_none() {
                clock.sleep(COMPARE_EVERY).await;
                continue;
            }
            clock.sleep(COMPARE_PAUSE).await;
            // What could not be done is tried again; what was is done again where the server was away, and in an hour.
            if found_all(&before, began) && !listing {
                select(pin!(self.servers.returned(&self.name)), clock.sleep(COMPARE_AGAIN_EVERY)).await;
            }
        }
    }

    /// One comparison; row by row where that is needed.
    async fn compared(&self, before: &mut ComparedBefore, listing: bool) -> Result<(), Fault> {
        let cashier = &self.cashier;
        let comparison = BooksComparison {
            ledger: &cashier.ledger,
            clock: &*cashier.clock,
            name: &self.name,
            server: &*self.server,
            before: &before.clone(),
        };
        match comparison.quickly().await? {
            Agreement::Equal if listing => {
                self.note_unlisted(
                    before,
                    "it differed when it was compared before the start, and its postings are listed again",
                );
            }
            Agreement::Equal if before.differences.is_none() => {
                if before.began.is_none() {
                    tracing::info!(server = %self.name, "trading server and books agree");
                }
                self.note(before.database, None);
                return Ok(());
            }
            Agreement::Equal if comparison.still_differs().await? => {
                self.note(before.database, before.differences.clone());
                return Ok(());
            }
            Agreement::Equal => {}
            Agreement::Differs(sentence) => {
                tracing::error!(server = %self.name, differs = sentence, "trading server and books differ");
                self.note_unlisted(before, &sentence);
            }
        }
        match comparison.thoroughly().await {
            Ok(found) => {
                match &found {
                    // What came in between is all that differed.
                    None => tracing::info!(server = %self.name, "trading server and books agree row by row"),
                    Some(known) => {
                        let differs = &*known.sentence;
                        tracing::error!(server = %self.name, differs, "trading server and books were compared row by row");
                    }
                }
                before.differences = found.map(Arc::new);
                self.note(before.database, before.differences.clone());
                Ok(())
            }
            Err(fault) if before.differences.is_some() => {
                tracing::warn!(server = %self.name, %fault, "postings of the trading server were not listed");
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    /// What is posted is keyed: it goes on while the rows are listed. What an earlier listing found is shown until then.
    fn note_unlisted(&self, before: &mut ComparedBefore, sentence: &str) {
        let known = before.differences.as_deref().cloned();
        let known =
            known.unwrap_or_else(|| ServerDifferences { since: self.cashier.clock.now(), ..Default::default() });
        before.differences =
            Some(Arc::new(ServerDifferences { sentence: sentence.into(), is_unlisted: true, ..known }));
        self.note(before.database, before.differences.clone());
    }

    fn note(&self, database: u64, found: Option<Arc<ServerDifferences>>) {
        self.mark.put(found.is_some());
        self.server.note_compared(database);
        self.servers.note_comparison(&self.name, Ok(found));
    }
}

/// Whether the comparison that began then ended.
fn found_all(before: &ComparedBefore, began: UnixTime) -> bool {
    before.began == Some(began)
}
