//! `cashier db reconcile`: opens both databases under their locks, compares them, asks each trading server elsewhere for its postings,
//! and applies what was found to the books where that is requested. Nothing else runs, and nothing is posted or voided.

use std::path::Path;
use std::sync::Arc;

use cashier_core::ids::ServerName;
use cashier_core::time::UnixTime;

use super::elsewhere::{BooksComparison, ComparedBefore, RowDifferences};
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
}

/// Compares the databases of `bases`; with `apply`, takes the differences over. `now` is asked for once both are locked.
pub async fn reconcile(
    bases: &Path,
    seal_keys: &str,
    entropy: Arc<dyn Entropy>,
    now: impl FnOnce() -> UnixTime,
    apply: bool,
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
    if let Some(ServersElsewhere { clock, servers }) = elsewhere {
        for ServerElsewhere { name, opened } in servers {
            compared.push(match compare(&ledger, clock, &name, opened).await {
                Ok(rows) => {
                    let differences = Ok(lines(&name, &rows));
                    let (extra, other, lost) = rows.counts;
                    let taken = if apply { take_over(&ledger, rows, &mut found)? } else { 0 };
                    ServerReconciliation { name, differences, left: (extra + other + lost).saturating_sub(taken) }
                }
                Err(fault) => ServerReconciliation { name, differences: Err(fault), left: 0 },
            });
        }
    }
    let mut applied = None;
    if apply && !found.is_empty() {
        let reconciler = Reconciler { ledger: &ledger, trading: &trading, entropy: &*entropy, now: now() };
        applied = Some(reconciler.apply(found, &identity).await?);
    }
    drop(ledger);
    let closed = tokio::task::spawn_blocking(move || {
        trading.close();
        strand.close()
    });
    closed.await.unwrap_or_else(|_| Err(Fault::new("closing the databases was interrupted")))?;
    Ok(Reconciliation { differences: text, applied, elsewhere: compared })
}

async fn compare(
    ledger: &Ledger,
    clock: &dyn Clock,
    name: &ServerName,
    opened: Result<Arc<dyn RemoteServer>, Fault>,
) -> Result<RowDifferences, Fault> {
    let (server, before) = (opened?, ComparedBefore::default());
    // Asked once, before anything is tried again: one that is down is said at once.
    server.postings(Box::default(), 1).await?;
    let comparison = BooksComparison { ledger, clock, name, server: &*server, before: &before };
    // Nothing is recorded meanwhile.
    comparison.row_by_row(LISTED_DIFFERENCES_MAX, UnixTime(i64::MAX)).await
}

fn lines(name: &ServerName, rows: &RowDifferences) -> String {
    let unknown = rows.unknown.iter().map(|posting| format!("not so in cashier.db: {}\n", described(posting)));
    let lost = rows.lost.iter().map(|lost| format!("not at trading server {name}: {lost}\n"));
    let again = rows.other_orders.iter().map(|posting| {
        format!("at trading server {name} under another number than in cashier.db, or again: {}\n", described(posting))
    });
    let unread =
        rows.unread.iter().map(|posting| format!("cannot be read at trading server {name}: {}\n", posting.what));
    let (extra, other, lost_count) = rows.counts;
    let listed = (rows.unknown.len() + rows.lost.len() + rows.other_orders.len() + rows.unread.len()) as u64;
    let beyond = (extra + other + lost_count).saturating_sub(listed);
    let more = (beyond > 0).then(|| format!("and {beyond} more\n"));
    unread.chain(unknown).chain(lost).chain(again).chain(more).collect()
}

/// Adds what the books can take over of a server elsewhere to what is applied, which touches the books alone; returns how many. A
/// posting of a transaction that the books do not have stays: its account is not ours to make up. So does a second order of a posting
/// that they have: one of both must be deleted there.
fn take_over(ledger: &Ledger, rows: RowDifferences, found: &mut Differences) -> Result<u64, Fault> {
    let before = found.lost.len() + found.unknown.len();
    found.lost.extend(rows.lost);
    for posting in rows.unknown {
        let reference = posting.key.parts().map(|(reference, _)| reference);
        let of = |reference| ledger.peek(|books| books.by_reference(&reference));
        let known = reference.map(of).transpose().map_err(|refusal| Fault::new(refusal.message))?;
        if known.flatten().is_some() {
            found.unknown.push(posting);
        }
    }
    Ok((found.lost.len() + found.unknown.len() - before) as u64)
}
