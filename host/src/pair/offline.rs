//! `cashier db reconcile`: opens both databases under their locks, compares them, asks each trading server elsewhere for its postings,
//! and applies what was found to the books where that is requested. Nothing else runs, and nothing is posted or voided.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use cashier_core::books::Books;
use cashier_core::ids::{OperationId, ServerName};
use cashier_core::operation::OperationKey;
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::OperationStatus;
use cashier_core::time::UnixTime;

use super::elsewhere::{BooksComparison, ComparedBefore, FirstOf, RowDifferences};
use super::{Applied, Differences, Reconciler, described, differences};
use crate::ledger::{Admission, Ledger, Watermark};
use crate::ports::{Clock, Entropy, Fault, Recorder};
use crate::strand::seal::SealKeys;
use crate::strand::{self, BatchLimits, StrandSettings};
use crate::trading::embedded::Embedded;
use crate::trading::remote::RemoteServer;

/// Differences of one server elsewhere that are listed, some 300 bytes each; more are counted.
const LISTED_DIFFERENCES_MAX: usize = 100_000;

/// The trading servers of the settings that are elsewhere.
pub struct ServersElsewhere<'s> {
    pub clock: &'s dyn Clock,
    pub servers: Vec<ServerElsewhere>,
}

/// One of them, as it was opened.
pub struct ServerElsewhere {
    pub name: ServerName,
    pub opened: Result<Arc<dyn RemoteServer>, Fault>,
}

/// What is taken over into the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOver {
    Nothing,
    /// All that is certain.
    Differences,
    /// Also postings that a trading server elsewhere does not list, of which it says that it does not know whether it has made them: a
    /// person says so.
    UnlistedToo {
        /// All where there is none.
        keys: BTreeSet<OperationKey>,
    },
}

/// What a comparison found, and what was done about it.
#[derive(Debug)]
pub struct Reconciliation {
    /// One line for each difference; empty where there are none.
    pub differences: String,
    pub applied: Option<Applied>,
    pub elsewhere: Vec<ServerReconciliation>,
}

/// What was found of one server elsewhere.
#[derive(Debug)]
pub struct ServerReconciliation {
    pub name: ServerName,
    /// One line for each difference. Or why it was not compared.
    pub differences: Result<String, Fault>,
    /// How many differences are left after what was applied.
    pub left: u64,
    /// Postings that it does not list, and says of that it does not know.
    pub unsaid: u64,
}

/// Compares the databases of `bases`, and takes differences over. `now` is asked for once both are locked.
///
/// # Errors
/// A database cannot be opened or written; or a key of `taken` is none that is left unlisted: then nothing is changed.
pub async fn reconcile(
    bases: &Path,
    seal_keys: &str,
    entropy: Arc<dyn Entropy>,
    now: impl FnOnce() -> UnixTime,
    taken: TakeOver,
    elsewhere: Option<ServersElsewhere<'_>>,
) -> Result<Reconciliation, Fault> {
    let watermark = Arc::new(Watermark::new());
    let settings = StrandSettings {
        path: bases.join("cashier.db"),
        keys: SealKeys::parse(seal_keys)?,
        entropy: Arc::clone(&entropy),
        batch: BatchLimits::default(),
    };
    let strand = Arc::new(strand::open(settings, Arc::clone(&watermark) as _)?);
    let trading = Embedded::open(bases)?;
    let loaded = strand.reload().await?;
    let mut found = differences(&loaded, &trading).await?;
    let (text, identity) = (found.to_string(), loaded.identity);
    let recorder = Arc::clone(&strand) as Arc<dyn Recorder>;
    let ledger = Ledger::new(recorder, watermark, loaded.books, Admission::new(Admission::DEFAULT_LIMIT));
    let mut compared = Vec::new();
    let mut without = if let TakeOver::UnlistedToo { keys } = &taken { keys.clone() } else { BTreeSet::new() };
    if let Some(ServersElsewhere { clock, servers }) = elsewhere {
        for ServerElsewhere { name, opened } in servers {
            compared.push(match compare(&ledger, clock, &name, opened, &without).await {
                Ok(rows) => {
                    let differences = Ok(lines(&name, &rows));
                    let (count, unsaid) = (rows.count(), rows.unsaid.count);
                    without.retain(|key| rows.unsaid.first.iter().all(|lost| lost.key != *key));
                    let applied = take_over(&ledger, &name, rows, &taken, &mut found)?;
                    ServerReconciliation { name, differences, left: count.saturating_sub(applied), unsaid }
                }
                Err(fault) => ServerReconciliation { name, differences: Err(fault), left: 0, unsaid: 0 },
            });
        }
    }
    let mut applied = None;
    if taken != TakeOver::Nothing && !found.is_empty() && without.is_empty() {
        let reconciler = Reconciler { ledger: &ledger, trading: &trading, entropy: &*entropy, now: now() };
        applied = Some(reconciler.apply(found, &identity).await?);
    }
    drop(ledger);
    let closed = tokio::task::spawn_blocking(move || {
        trading.close();
        strand.close()
    });
    closed.await.unwrap_or_else(|_| Err(Fault::new("closing the databases was interrupted")))?;
    match without.first() {
        None => Ok(Reconciliation { differences: text, applied, elsewhere: compared }),
        Some(key) => Err(not_unlisted(key, &compared)),
    }
}

/// A key that a person named as lost is none that a server leaves unlisted.
fn not_unlisted(key: &OperationKey, compared: &[ServerReconciliation]) -> Fault {
    let failed = compared.iter().filter_map(|server| {
        let fault = server.differences.as_ref().err()?;
        Some(format!("; trading server {} was not compared: {fault}", server.name))
    });
    Fault::new(format!(
        "no trading server leaves {key} unlisted without saying more: it may be there, or be said to be lost; nothing was changed{}",
        failed.collect::<String>()
    ))
}

async fn compare(
    ledger: &Ledger,
    clock: &dyn Clock,
    name: &ServerName,
    opened: Result<Arc<dyn RemoteServer>, Fault>,
    named: &BTreeSet<OperationKey>,
) -> Result<RowDifferences, Fault> {
    let (server, before) = (opened?, ComparedBefore::default());
    // Asked once, before anything is tried again: one that is down is said at once.
    server.postings(Box::default(), 1).await?;
    let comparison = BooksComparison { ledger, clock, name, server: &*server, before: &before };
    // Nothing is recorded meanwhile.
    let mut found = comparison.row_by_row(LISTED_DIFFERENCES_MAX, UnixTime(i64::MAX)).await?;
    comparison.ask_again(&mut found, named).await?;
    Ok(found)
}

fn lines(name: &ServerName, rows: &RowDifferences) -> String {
    fn all<T>(found: &FirstOf<T>, line: impl Fn(&T) -> String) -> Vec<String> {
        found.first.iter().map(line).collect()
    }
    let lines = [
        all(&rows.unread, |posting| format!("cannot be read at trading server {name}: {}\n", posting.what)),
        all(&rows.extra, |posting| format!("not so in cashier.db: {}\n", described(posting))),
        all(&rows.refused, |posting| format!("not so in cashier.db: {}\n", described(posting))),
        all(&rows.other, |posting| format!("with other values in cashier.db: {}\n", described(posting))),
        all(&rows.lost, |lost| format!("not at trading server {name}: {lost}\n")),
        all(&rows.unsaid, |lost| format!("not listed at trading server {name}, which does not say more: {lost}\n")),
        all(&rows.unasked, |lost| {
            format!("not listed at trading server {name}, which was not asked for it or gave no answer: {lost}\n")
        }),
        all(&rows.other_orders, |posting| {
            format!(
                "at trading server {name} under another number than in cashier.db, or again: {}\n",
                described(posting)
            )
        }),
    ];
    let beyond = rows.count().saturating_sub(rows.kept_count());
    let more = (beyond > 0).then(|| format!("and {beyond} more\n"));
    lines.into_iter().flatten().chain(more).collect()
}

/// Adds what the books can take over of a server elsewhere to what is applied, which touches the books alone; returns how many. What
/// the books have as posted stays as they have it, whatever the server has under its key: which is right is for a person. So does a
/// posting of a transaction that they do not have: its account is not ours to make up.
fn take_over(
    ledger: &Ledger,
    server: &ServerName,
    rows: RowDifferences,
    taken: &TakeOver,
    found: &mut Differences,
) -> Result<u64, Fault> {
    if *taken == TakeOver::Nothing {
        return Ok(0);
    }
    let before = found.lost.len() + found.unknown.len();
    found.lost.extend(rows.lost.first);
    if let TakeOver::UnlistedToo { keys } = taken {
        found.lost.extend(rows.unsaid.first.into_iter().filter(|lost| keys.is_empty() || keys.contains(&lost.key)));
    }
    let mut keys = BTreeSet::new();
    for posting in rows.extra.first.into_iter().chain(rows.refused.first) {
        let is_ours = |books: &Books| {
            let (reference, _) = posting.key.parts()?;
            let aggregate = books.aggregate(books.by_reference(&reference)?)?;
            // What has no outcome yet gets one from the server once the cashier runs.
            let recorded = aggregate.keyed(&posting.key).map(|known| known.status);
            let is_open = matches!(recorded, None | Some(OperationStatus::Refused));
            Some(aggregate.transaction.server == *server && is_open)
        };
        let is_ours = ledger.peek(is_ours).map_err(|refusal| Fault::new(refusal.message))? == Some(true);
        // Of two orders of one key the books can have one.
        if is_ours && keys.insert(posting.key.clone()) {
            // Its own id is the server's word: the books hand out another one.
            found.unknown.push(FoundPosting { operation_id: OperationId(0), ..posting });
        }
    }
    Ok((found.lost.len() + found.unknown.len() - before) as u64)
}
