//! The thread of the embedded trading server. It owns `trading.db`, lets many requests share one fsync, and publishes only
//! what is durable. It finds every commit of another program, at the next batch or within a second, and overwrites none.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cashier_core::ids::Login;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::books;
use super::jobs::TradingState;
use super::load;
use super::requests::{PendingAnswer, QueuedRequest, TradingRequest};
use super::roster::Holdings;
use super::rows::{self, DiskFault};
use crate::lock::Lock;
use crate::ports::Fault;
use crate::private_files;

/// The most requests that share one fsync. A batch this large writes in about 10 ms, a short wait for the next one.
pub(super) const BATCH_MAX: usize = 1024;

/// How often an idle thread looks for commits of others, and tries again to write after a failure.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Contested accounts that are logged one by one after one edit; more are counted.
const CONTESTED_LOGGED_MAX: usize = 32;

/// What others see of the thread.
#[derive(Default)]
pub(super) struct Published {
    /// What is durable; `None` while that is not known, after a failed commit.
    pub(super) durable: ArcSwapOption<Holdings>,
    /// Why postings wait, as a sentence; `None` while all is well.
    pub(super) problem: ArcSwapOption<String>,
}

/// The open database with its content.
struct TradingDatabase {
    connection: Connection,
    state: TradingState,
    /// SQLite's count of other connections' commits when the state was read.
    version: i64,
}

/// Why a batch was not executed.
enum BatchFailure {
    /// Another program holds the database: nothing of the batch was tried, and what was read stays true.
    Held(Fault),
    /// To be tried again once the database was read again: the disk is full.
    Fault(Fault),
    /// Another process writes this database as a cashier: nothing more is written until a restart.
    SecondWriter(Fault),
}

impl From<DiskFault> for BatchFailure {
    fn from(fault: DiskFault) -> Self {
        Self::Fault(fault.into())
    }
}

/// The thread's side. Fields are dropped in this order: the locks are released when the database is closed.
pub(super) struct TradingThread {
    /// `None` after a failed commit, until it is opened again.
    database: Option<TradingDatabase>,
    path: PathBuf,
    published: Arc<Published>,
    /// The last batch failed; a write is tried until one succeeds.
    failed: bool,
    stopped: bool,
    locks: [Lock; 2],
}

impl TradingThread {
    pub(super) fn open(path: PathBuf, locks: [Lock; 2], published: Arc<Published>) -> Result<Self, Fault> {
        let mut thread = Self { database: None, path, published, failed: false, stopped: false, locks };
        thread.open_database()?;
        thread.publish_contested();
        Ok(thread)
    }

    pub(super) fn serve(&mut self, queue: &Receiver<QueuedRequest>) {
        let mut open = true;
        while open {
            let mut batch = match queue.recv_timeout(WATCH_PAUSE) {
                Ok(first) => vec![first],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while !batch.is_empty()
                && batch.len() < BATCH_MAX
                && let Ok(queued) = queue.try_recv()
            {
                batch.push(queued);
            }
            open = !batch.iter().any(|queued| matches!(queued.request, TradingRequest::Close));
            self.run(batch);
        }
    }

    /// Executes a batch, which may be empty, and answers it.
    fn run(&mut self, batch: Vec<QueuedRequest>) {
        if self.stopped {
            return;
        }
        match self.execute(batch) {
            Ok(answers) => answers.into_iter().for_each(|deliver| deliver()),
            Err(BatchFailure::Held(fault)) => {
                self.failed = true;
                self.report(format!("the trading server cannot write: {fault}: another program holds it"));
            }
            Err(BatchFailure::Fault(fault)) => self.fail(format!("the trading server cannot write: {fault}")),
            Err(BatchFailure::SecondWriter(fault)) => {
                self.stopped = true;
                self.fail(fault.to_string());
            }
        }
    }

    fn fail(&mut self, problem: String) {
        self.database = None;
        self.failed = true;
        self.published.durable.store(None);
        self.report(problem);
    }

    /// Publishes and logs why postings wait, once.
    fn report(&self, problem: String) {
        if self.published.problem.load().as_deref() != Some(&problem) {
            let read_again = self.database.is_none() && !self.stopped;
            tracing::error!(problem, read_again, "trading database failed: postings wait");
            self.published.problem.store(Some(Arc::new(problem)));
        }
    }

    /// Executes a batch in one transaction on a copy of the state, which takes effect once the transaction is durable.
    fn execute(&mut self, batch: Vec<QueuedRequest>) -> Result<Vec<PendingAnswer>, BatchFailure> {
        self.locks.iter().try_for_each(Lock::check).map_err(BatchFailure::Fault)?;
        let (probe, published) = (self.failed, Arc::clone(&self.published));
        let unknown = self.database.is_none();
        let TradingDatabase { connection, state: before, version } = match &mut self.database {
            Some(database) => database,
            None => self.open_database().map_err(BatchFailure::Fault)?,
        };
        // The write lock is taken before the version is read, so that no other commit can come in between.
        let writes = probe || batch.iter().any(|queued| queued.request.writes());
        let behavior = if writes { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
        let changes_before = connection.total_changes();
        let mut transaction = match connection.transaction_with_behavior(behavior) {
            Err(error) if is_held(&error) => return Err(BatchFailure::Held(DiskFault::from(error).into())),
            begun => begun.map_err(DiskFault::from)?,
        };
        let present = rows::data_version(&transaction)?;
        let edited = present != *version;
        let mut state = if edited { reread(&transaction, before)? } else { before.clone() };
        let counters = state.counters;
        let mut answers = Vec::with_capacity(batch.len());
        for queued in batch {
            answers.extend(execute_alone(&mut transaction, &mut state, queued)?);
        }
        if state.mark != before.mark {
            books::store(&transaction, &state.mark)?;
        }
        let changed = transaction.total_changes() != changes_before;
        if changed || probe {
            state.counters.sequence = state.counters.sequence.saturating_add(1);
            rows::raise_counters(&transaction, counters, state.counters)?;
        }
        transaction.commit().map_err(DiskFault::from)?;
        *version = present;
        *before = state;
        if edited || changed || unknown {
            published.durable.store(Some(Arc::new(before.holdings.clone())));
        }
        self.failed &= !(changed || probe);
        if !self.failed {
            self.publish_contested();
        }
        Ok(answers)
    }

    /// Opens the database and reads it; also after a failed commit, because its outcome is not known.
    fn open_database(&mut self) -> Result<&mut TradingDatabase, Fault> {
        // Only the owner may read balances; SQLite creates the log with the file's mode.
        private_files::open_database(&self.path)?;
        let mut connection = rows::open(&self.path)?;
        let transaction = connection.transaction().map_err(DiskFault::from)?;
        let version = rows::data_version(&transaction)?;
        let state = TradingState {
            holdings: load::load(&transaction)?,
            counters: rows::counters(&transaction)?,
            mark: books::load(&transaction)?,
        };
        log_contested(&state.holdings, None);
        transaction.commit().map_err(DiskFault::from)?;
        self.published.durable.store(Some(Arc::new(state.holdings.clone())));
        Ok(self.database.insert(TradingDatabase { connection, state, version }))
    }

    fn publish_contested(&self) {
        let problem = self.database.as_ref().and_then(|database| {
            let contested = &database.state.holdings.contested;
            let (login, why) = contested.iter().min_by_key(|(login, _)| **login)?;
            let others = contested.len().saturating_sub(1);
            Some(format!(
                "trading.db was changed outside the cashier: account {login}: {why}; others: {others}. Nothing is posted to \
                 them until a person decides with `cashier trading accept`"
            ))
        });
        if self.published.problem.load().as_deref() != problem.as_ref() {
            self.published.problem.store(problem.map(Arc::new));
        }
    }
}

fn is_held(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What the database holds after another program committed.
fn reread(transaction: &Transaction<'_>, before: &TradingState) -> Result<TradingState, BatchFailure> {
    let counters = rows::counters(transaction)?;
    if counters != before.counters {
        return Err(BatchFailure::SecondWriter(Fault::new(format!(
            "another process writes trading.db: its sequence is {}, {} was written here. Nothing is posted until a restart \
             of the only cashier that uses this folder",
            counters.sequence, before.counters.sequence
        ))));
    }
    let mut holdings = load::load(transaction)?;
    holdings.contest_changes_since(&before.holdings);
    tracing::warn!(contested = holdings.contested.len(), "trading database was changed by another program");
    log_contested(&holdings, Some(&before.holdings));
    Ok(TradingState { holdings, counters, mark: books::load(transaction)? })
}

/// Logs each account that became contested.
fn log_contested(holdings: &Holdings, before: Option<&Holdings>) {
    let known = |login: &Login| before.and_then(|before| before.contested.get(login));
    let mut fresh: Vec<_> = holdings.contested.iter().filter(|(login, why)| known(login) != Some(*why)).collect();
    fresh.sort_by_key(|(login, _)| **login);
    for (login, why) in fresh.iter().take(CONTESTED_LOGGED_MAX) {
        tracing::error!(%login, %why, "account was changed outside the cashier: nothing is posted to it");
    }
    let unlogged = fresh.len().saturating_sub(CONTESTED_LOGGED_MAX);
    if unlogged > 0 {
        tracing::error!(accounts = unlogged, "further accounts were changed outside the cashier");
    }
}

/// Executes one request so that a row of its own that cannot be read or written fails it alone.
fn execute_alone(
    transaction: &mut Transaction<'_>,
    state: &mut TradingState,
    queued: QueuedRequest,
) -> Result<Option<PendingAnswer>, DiskFault> {
    let executed = if queued.request.writes() {
        let savepoint = transaction.savepoint()?;
        let executed = state.execute(&savepoint, queued);
        if executed.is_ok() {
            savepoint.commit()?;
        } else {
            savepoint.finish()?;
        }
        executed
    } else {
        state.execute(transaction, queued)
    };
    match executed {
        Ok(answer) => Ok(answer),
        Err(fault) if fault.is_of_row() => {
            tracing::error!(fault = %Fault::from(fault), "request to the trading database failed");
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}
