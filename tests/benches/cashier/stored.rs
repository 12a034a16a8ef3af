//! Databases as a cashier leaves them that ran for years, for the figures over many rows. Writing them is not measured.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use cashier_core::change::{Body, Change, Counters};
use cashier_core::digest::PostedDigest;
use cashier_core::ids::Seq;
use cashier_core::operation::OperationKey;
use cashier_core::time::UnixTime;
use cashier_host::ports::{DurabilityListener, Fault, Recorder};
use cashier_host::strand::seal::SealKeys;
use cashier_host::strand::{self, BatchLimits, StrandSettings};
use cashier_host::system::SystemEntropy;
use cashier_host::trading::embedded::Embedded;

use crate::bare::commit;
use crate::full_server::SEAL_RING;
use crate::{BenchResult, report, rows};

/// Transactions written in one commit, where each needs none of its own.
pub(crate) const PER_COMMIT: u64 = 100;
/// Commits queued at most while writing.
const BACKLOG_MAX: usize = 2_000;
/// Events of a transaction at most.
pub(crate) const EVENTS_MAX: u64 = 3;

/// Writes what is made for each number from 1 to `count`, that of a transaction, into `bases/cashier.db` of a folder, so many in one
/// commit: a commit has one audit record at most.
pub(crate) fn write(
    folder: &Path,
    count: u64,
    per_commit: u64,
    made: impl Fn(u64) -> (Vec<Change>, Vec<Body>),
) -> BenchResult<()> {
    let progress = Arc::new(SyncProgress::default());
    let strand = strand::open(
        StrandSettings {
            path: folder.join("bases/cashier.db"),
            keys: SealKeys::parse(SEAL_RING)?,
            entropy: Arc::new(SystemEntropy),
            batch: BatchLimits::default(),
        },
        Arc::clone(&progress) as _,
    )?;
    let mut seq = 0;
    for first in (1..=count).step_by(usize::try_from(per_commit)?) {
        let last = count.min(first + per_commit - 1);
        let (changes, bodies): (Vec<_>, Vec<_>) = (first..=last).map(&made).unzip();
        seq += 1;
        let mut commit = commit(seq, changes.concat(), bodies.concat());
        let events = last * EVENTS_MAX;
        commit.counters = Counters { seq, event: events, notice: events, ..rows::counters(last) };
        commit.at = UnixTime(rows::NOW.0 + first.cast_signed());
        strand.submit(Arc::new(commit));
        if strand.backlog().commits > BACKLOG_MAX {
            progress.wait_for(seq - (BACKLOG_MAX as u64) / 2);
        }
    }
    progress.wait_for(seq);
    strand.close()?;
    Ok(())
}

/// A trading server that has posted those deposits: a start compares what it counted, and reads no posting.
pub(crate) fn post(bases: &Path, count: u64) -> BenchResult<()> {
    Embedded::open(bases)?.close();
    let mut posted = PostedDigest::default();
    for id in 1..=count {
        let (deposit, credit) = (rows::deposit(id), rows::credit(id));
        posted.add(&OperationKey::of(&deposit.reference, &credit), credit.login, credit.amount.minor);
    }
    let last = i64::try_from(count)?;
    rusqlite::Connection::open(bases.join("trading.db"))?
        .execute("UPDATE books SET operation = ?1, postings = ?1, digest = ?2", (last, posted.sum.to_be_bytes()))?;
    Ok(())
}

/// The last commit that the strand has synced.
#[derive(Default)]
struct SyncProgress {
    up_to: Mutex<u64>,
    changed: Condvar,
}

impl SyncProgress {
    fn wait_for(&self, seq: u64) {
        let up_to = self.up_to.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(up_to, |up_to| *up_to < seq));
    }

    fn advance_to(&self, seq: u64) {
        *self.up_to.lock().unwrap_or_else(PoisonError::into_inner) = seq;
        self.changed.notify_all();
    }
}

impl DurabilityListener for SyncProgress {
    fn synced(&self, up_to: Seq) {
        self.advance_to(up_to.0);
    }

    fn failed(&self, fault: &Fault) {
        report(&format!("the strand failed: {fault}"));
        self.advance_to(u64::MAX);
    }
}
