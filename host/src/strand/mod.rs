//! The DB strand: one thread owns bases/cashier.db, writes commits in order and reports when they are durable.
//! It decides nothing: the rows were decided before they came here.
//!
//! Reading order: [`thread`] is the write path, free of SQL, `writing` what becomes of a batch; `sqlite` is the disk it writes to over a `connection`; `rows`
//! maps changes to SQL and back; `load` reads every row at a start, `image` spares it most; [`archive`] reads large rows by id and lists of events, whose filters `filter_sql` translates; `seal` encrypts
//! credential columns, `reseal` brings them under the newest key; `audit` chains who changed what, secrets as fingerprints by `audit_key`; `quarantine` bounds what was not verified; `unrecorded` names operations of one server that have no outcome; `retention` deletes old bodies, `erasure` one customer's texts; `log_watch` finds that the log cannot be
//! moved into the database, `stale_log` empties it of what was overwritten; `schema` numbers the schema files.

pub mod archive;
pub mod audit;
mod audit_key;
mod audit_list;
pub mod backup;
mod batch;
mod columns;
mod connection;
mod conversion;
pub mod erasure;
mod filter_sql;
pub mod image;
mod json;
mod load;
mod log_watch;
mod quarantine;
mod queue;
mod release;
pub mod reseal;
pub mod retention;
mod rows;
mod schema;
pub mod seal;
mod sqlite;
mod stale_log;
mod stored;
mod thread;
pub mod unrecorded;
mod writing;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use cashier_core::change::Commit;
use futures_util::future::BoxFuture;

pub use self::batch::{Backlog, BatchLimits};
pub(crate) use self::release::check_release;
use self::reseal::{ResealCursor, ResealStep};
use self::retention::{RetentionOrder, Retired};
use self::seal::{Seal, SealKeys, SealRing};
use self::sqlite::Sqlite;
use self::thread::CommitQueue;
use crate::lock::Lock;
use crate::ports::{Configuration, DurabilityListener, Entropy, Fault, LoadProgress, Loaded, NewestAudit, Recorder};
use crate::private_files;

/// What the strand is opened with. No Debug: it holds keys.
pub struct StrandSettings {
    /// bases/cashier.db; folder and file are created. The lock file stands beside it.
    pub path: PathBuf,
    pub keys: SealKeys,
    /// Source of nonces.
    pub entropy: Arc<dyn Entropy>,
    pub batch: BatchLimits,
}

/// Opens the database for this process alone and starts the thread. Fails, naming the reason, when another process
/// holds it, when it belongs to a newer version or another program, and when it cannot be written.
pub fn open(settings: StrandSettings, listener: Arc<dyn DurabilityListener>) -> Result<Strand, Fault> {
    let StrandSettings { path, keys, entropy, batch } = settings;
    if let Some(folder) = path.parent() {
        private_files::create_folder(folder)?;
    }
    let locks = locks(&path)?;
    let ring = Arc::new(SealRing::new(keys));
    let store = Sqlite::open(&path, Seal::new(Arc::clone(&ring), entropy))?;
    let (progress, newest_audit) = (store.progress(), store.newest_audit());
    let commits = CommitQueue::start(Box::new(store), batch, listener)?;
    Ok(Strand { commits, path, ring, progress, newest_audit, locks: Mutex::new(Some(locks)) })
}

/// The lock file first, so that a second process learns which one holds it; then the database itself, which holds where the lock
/// file was removed.
fn locks(path: &Path) -> Result<[Lock; 2], Fault> {
    private_files::refuse_links(path)?;
    Ok([Lock::take(&path.with_extension("lock"))?, Lock::database(path)?])
}

/// The open strand. Dropping it writes what is queued and releases the database.
pub struct Strand {
    /// Dropped first: the locks are held until the thread has ended.
    commits: CommitQueue,
    path: PathBuf,
    ring: Arc<SealRing>,
    progress: Arc<LoadProgress>,
    newest_audit: Arc<ArcSwapOption<NewestAudit>>,
    locks: Mutex<Option<[Lock; 2]>>,
}

impl Strand {
    /// Writes what is queued, ends the thread and releases the locks, even while others hold the strand; blocks meanwhile.
    /// Later submissions are dropped.
    pub fn close(&self) -> Result<(), Fault> {
        let closed = self.commits.close();
        drop(self.locks.lock().unwrap_or_else(PoisonError::into_inner).take());
        closed
    }

    /// What waits to be written, for callers that submit without the ledger's admission.
    pub fn backlog(&self) -> Backlog {
        self.commits.backlog()
    }

    /// How far a load of every row has come; cancelling it ends the load with a fault.
    pub fn load_progress(&self) -> Arc<LoadProgress> {
        Arc::clone(&self.progress)
    }

    /// The seal keys in use, which may be replaced.
    pub fn ring(&self) -> &Arc<SealRing> {
        &self.ring
    }

    /// Brings the next rows under the newest seal key, in a transaction of its own between two batches. While another program
    /// holds the database it is a fault, and may be tried again.
    pub fn reseal(&self, cursor: ResealCursor) -> BoxFuture<'static, Result<ResealStep, Fault>> {
        self.commits.reseal(cursor)
    }

    /// Deletes some old bodies once no commit waits; what fails changes nothing.
    pub fn retire(&self, order: RetentionOrder) -> BoxFuture<'static, Result<Retired, Fault>> {
        self.commits.retire(order)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Recorder for Strand {
    fn submit(&self, commit: Arc<Commit>) {
        self.commits.submit(commit);
    }

    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
        self.commits.reload()
    }

    fn configuration(&self) -> BoxFuture<'static, Result<Configuration, Fault>> {
        self.commits.configuration()
    }

    fn newest_audit(&self) -> Option<Arc<NewestAudit>> {
        self.newest_audit.load_full()
    }
}
