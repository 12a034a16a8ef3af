//! The DB strand: one thread that owns bases/cashier.db, writes commits in order and says when they are on disk.
//! It decides nothing: what a row holds was decided before it came here. Reading by id is [`bodies`]' business.
//!
//! Reading order: [`thread`] is the rule of the write path, free of SQL; `sqlite` is the disk it writes to; `rows` maps
//! changes to SQL and back; `load` reads everything at a start; `seal` closes credential columns; `schema` numbers them.

pub mod bodies;
mod columns;
mod json;
mod load;
mod quarantine;
mod rows;
mod schema;
pub mod seal;
mod sqlite;
mod thread;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::change::Commit;
use futures_util::future::BoxFuture;

use self::seal::{Seal, SealKeys};
use self::sqlite::Sqlite;
pub use self::thread::Backlog;
use self::thread::Line;
use crate::lock::Lock;
use crate::ports::{Entropy, Fault, Loaded, Recorder, Synced};
use crate::private_files;

/// How much goes into one transaction, and so under one sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    pub commits: usize,
    pub bytes: usize,
}

impl Default for BatchLimits {
    /// 1,024 commits write in about 5 ms, beyond which waiting costs more than the shared sync saves; 8 MiB keeps a
    /// batch of large bodies within two of SQLite's default checkpoints.
    fn default() -> Self {
        Self { commits: 1024, bytes: 8 * 1024 * 1024 }
    }
}

/// What the strand is opened with. No Debug: it holds keys.
pub struct StrandSettings {
    /// bases/cashier.db; folder and file are created. The lock file stands beside it.
    pub path: PathBuf,
    pub keys: SealKeys,
    /// Where nonces come from.
    pub entropy: Arc<dyn Entropy>,
    pub batch: BatchLimits,
}

/// Opens the database for this process alone and starts the thread. Fails, naming the reason, when another process
/// holds it, when it is newer than this program or another program's, and when it cannot be written.
pub fn open(settings: StrandSettings, synced: Arc<dyn Synced>) -> Result<Strand, Fault> {
    let StrandSettings { path, keys, entropy, batch } = settings;
    if let Some(folder) = path.parent() {
        private_files::create_folder(folder)?;
    }
    let lock = Lock::take(&path.with_extension("lock"))?;
    let store = Sqlite::open(&path, Seal::new(keys, entropy))?;
    let line = Line::start(Box::new(store), batch, synced)?;
    Ok(Strand { line, path, lock: Mutex::new(Some(lock)) })
}

/// The open strand. Dropping it writes what is queued and gives the database free.
pub struct Strand {
    /// Dropped first: the lock is held until the thread has ended.
    line: Line,
    path: PathBuf,
    lock: Mutex<Option<Lock>>,
}

impl Strand {
    /// Writes what is queued, then ends the thread and frees the lock, whoever still holds the strand; blocks meanwhile.
    /// Submissions after this are dropped.
    pub fn close(&self) -> Result<(), Fault> {
        let closed = self.line.close();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        closed
    }

    /// What waits to be written, for whoever submits faster than a disk writes and is not held back by the ledger.
    pub fn backlog(&self) -> Backlog {
        self.line.backlog()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Recorder for Strand {
    fn submit(&self, commit: Arc<Commit>) {
        self.line.submit(commit);
    }

    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
        self.line.reload()
    }
}
