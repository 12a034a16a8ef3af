//! How a batch is written, by the kind of what fails: a database that another program holds is tried again, a commit that
//! violates a constraint is refused with those that rest on it while the others are written, and anything else fails the
//! batch. It knows no SQL and no queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cashier_core::books::Books;
use cashier_core::change::{Body, Commit, Counters};
use cashier_core::dependence::Refusals;

use super::reseal::{ResealCursor, ResealStep};
use super::retention::{RetentionOrder, Retired};
use crate::ports::{Configuration, DurabilityListener, Fault, FaultKind, Loaded, Refused};

/// How often a batch is tried while another program holds the database; each try waits [`super::connection::TRY_WAIT`], so
/// that it is given up after some 15 s: longer than an operator's statement takes, and before senders of webhooks hang up.
pub(in crate::strand) const BUSY_TRIES_MAX: u32 = 60;

/// Commits refused at once, of which the rows are read again while nothing can be decided: some 10 ms. More close the
/// ledger: then it is not a commit that is at fault.
pub(in crate::strand) const REFUSED_AT_ONCE_MAX: usize = 256;

/// Where commits become durable.
pub(in crate::strand) trait Store: Send {
    /// Opens a transaction.
    fn begin(&mut self) -> Result<(), Fault>;
    /// Writes every row of a commit in the open transaction; after an error that is reverted or abandoned.
    fn write(&mut self, commit: &Commit) -> Result<(), Fault>;
    /// The same, so that a violated constraint leaves nothing of this commit and everything of the others.
    fn write_alone(&mut self, commit: &Commit) -> Result<(), Fault>;
    /// Ends the transaction with the counters of its newest commit; its rows are durable when this returns.
    fn sync(&mut self, newest: Option<&Counters>) -> Result<(), Fault>;
    /// Drops the open transaction, if there is one; the next may begin at once.
    fn undo(&mut self) -> Result<(), Fault>;
    /// Reseals the next rows in a transaction of its own; after an error the open transaction is reverted or abandoned.
    fn reseal(&mut self, _: ResealCursor) -> Result<ResealStep, Fault> {
        // A store that seals nothing.
        Ok(ResealStep::default())
    }
    /// The rows of the configuration.
    fn configuration(&mut self) -> Result<Configuration, Fault> {
        Ok(Configuration::default())
    }
    /// What is stored of the rows that these commits changed.
    fn stored(&mut self, refusals: &Refusals, books: &Books) -> Result<Refused, Fault>;
    /// Drops the open transaction after a failure; nothing is written until [`Store::load`] succeeds.
    fn abandon(&mut self);
    /// Deletes some old bodies in a transaction of its own; after an error the open transaction is reverted or abandoned.
    fn retire(&mut self, order: &RetentionOrder) -> Result<Retired, Fault> {
        let _ = order;
        Ok(Retired::default())
    }
    /// What nobody waits for, after each task; returns how long until it is called again though nothing was asked for.
    fn rest(&mut self, now: Instant) -> Option<Duration> {
        let _ = now;
        None
    }
    /// Every durable row.
    fn load(&mut self) -> Result<Loaded, Fault>;
    fn close(&mut self) -> Result<(), Fault>;
}

/// Which commits of a batch are durable.
#[derive(Debug)]
pub(in crate::strand) enum Written {
    All,
    /// All but these.
    But(Refusals),
}

/// Writes a batch. After an error nothing is known of it.
pub(in crate::strand) fn write(
    store: &mut dyn Store,
    batch: &[Arc<Commit>],
    listener: &dyn DurabilityListener,
) -> Result<Written, Fault> {
    match while_busy(store, listener, |store| all(store, batch)) {
        Err(fault) if fault.kind == FaultKind::Constraint => {}
        written => return written.map(|()| Written::All),
    }
    let mut refusals = Refusals::default();
    while_busy(store, listener, |store| {
        store.undo()?;
        refusals = Refusals::default();
        each(store, batch, &mut refusals)
    })?;
    match refusals.seqs().len() {
        0 => Ok(Written::All),
        1..=REFUSED_AT_ONCE_MAX => Ok(Written::But(refusals)),
        refused => Err(Fault::new(format!("{refused} commits of one batch violate constraints or rest on such"))),
    }
}

/// Nearly always: without a savepoint for each commit.
fn all(store: &mut dyn Store, batch: &[Arc<Commit>]) -> Result<(), Fault> {
    store.begin()?;
    batch.iter().try_for_each(|commit| store.write(commit))?;
    store.sync(batch.last().map(|commit| &commit.counters))
}

fn each(store: &mut dyn Store, batch: &[Arc<Commit>], refusals: &mut Refusals) -> Result<(), Fault> {
    store.begin()?;
    let mut newest = None;
    for commit in batch {
        if refusals.reaches(commit) {
            refusals.add(commit);
            continue;
        }
        match store.write_alone(commit) {
            Ok(()) => newest = Some(&commit.counters),
            Err(fault) if fault.kind == FaultKind::Constraint => {
                tracing::error!(%fault, "commit was refused by the database");
                refusals.add(commit);
            }
            Err(fault) => return Err(fault),
        }
    }
    store.sync(newest)
}

/// Tries again while another program holds the database.
fn while_busy(
    store: &mut dyn Store,
    listener: &dyn DurabilityListener,
    mut attempt: impl FnMut(&mut dyn Store) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut tries = 1;
    loop {
        match attempt(store) {
            Err(fault) if fault.kind == FaultKind::Busy && tries < BUSY_TRIES_MAX => {
                store.undo()?;
                if tries == 1 {
                    tracing::warn!(%fault, "database is held by another program; the batch is tried again");
                    listener.waiting(Some(&fault));
                }
                tries += 1;
            }
            ended => {
                if tries > 1 {
                    tracing::warn!(tries, written = ended.is_ok(), "another program held the database for some time");
                    listener.waiting(None);
                }
                return ended;
            }
        }
    }
}

/// The bytes that a row counts for in a batch and in the queue: its content with the page overhead.
const ROW_BYTES: usize = 1024;

/// The estimated bytes of a commit, for batching.
pub(in crate::strand) fn commit_bytes(commit: &Commit) -> usize {
    let bodies = commit.bodies.iter().map(|body| match body {
        Body::Notice { body, headers_json, .. } => body.len() + headers_json.len(),
        Body::Answer { redirect_url, instructions_json, .. } => redirect_url.len() + instructions_json.len(),
        Body::Texts { texts, .. } => texts.len(),
        Body::Audit(_) | Body::Calls { .. } => 0,
        Body::Order { details, .. } => details.success_url.len() + details.failure_url.len() + details.notify_url.len(),
    });
    (commit.changes.len() + commit.bodies.len()).saturating_mul(ROW_BYTES).saturating_add(bodies.sum())
}
