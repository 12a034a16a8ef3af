//! The embedded trading server: customers, groups, accounts and balances in `trading.db`, keyed by operation key.
//! One thread owns the database and lets many postings share one fsync; it answers and shows only what is durable. It
//! moves balances only by postings; it knows nothing of transactions, providers or sessions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwapOption;
use cashier_core::account::AccountFacts;
use cashier_core::ids::Login;
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::posting::{PostingRefusal, judge};
use super::roster::{self, Holdings, ImportReport, Mistake, Roster};
use super::rows::{self, DiskFault};
use crate::lock::Lock;
use crate::ports::{Durable, Fault, Posting, TradingServer, Voiding};
use crate::private_files;

/// The most requests that share one fsync. A batch this large writes in about 10 ms, a short wait for the next one.
const BATCH_MAX: usize = 1024;

/// The most requests in the queue; the next one waits for a slot. Eight full batches take less than 100 ms.
const QUEUE_MAX: usize = 8 * BATCH_MAX;

/// The database and its lock file in the folder of bases.
const DATABASE: &str = "trading.db";
const LOCK: &str = "trading.lock";

/// A running embedded trading server. Closed when dropped, after the queued requests are durable.
pub struct Embedded {
    requests: mpsc::UnboundedSender<QueuedRequest>,
    slots: Arc<Semaphore>,
    /// What is durable; `None` while that is not known, after a failed commit.
    durable: Arc<ArcSwapOption<Holdings>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why a roster was not applied. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterError {
    Mistakes(Vec<Mistake>),
    Fault(Fault),
}

impl Embedded {
    /// Opens or creates the database in a folder and holds its lock until closed. Blocks while it loads.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        private_files::create_folder(folder)?;
        let lock = Lock::take(&folder.join(LOCK))?;
        let durable = Arc::new(ArcSwapOption::empty());
        let mut server = TradingThread { path: folder.join(DATABASE), durable: Arc::clone(&durable), database: None };
        server.database()?;
        let (requests, queue) = mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name("trading".into())
            .spawn(move || {
                server.serve(queue);
                drop(server);
                // Released last, when the database is closed.
                drop(lock);
            })
            .map_err(|error| Fault::new(format!("cannot start the trading thread: {error}")))?;
        Ok(Self { requests, slots: Arc::new(Semaphore::new(QUEUE_MAX)), durable, thread: Mutex::new(Some(thread)) })
    }

    /// Adds and updates groups, customers and accounts, all or nothing; see [`roster::apply`] for the rules. Blocks; not
    /// to be called on the runtime.
    pub fn apply_roster(&self, roster: Roster) -> Result<ImportReport, RosterError> {
        let (answer, answered) = oneshot::channel();
        let request = TradingRequest::ApplyRoster { roster: Box::new(roster), answer };
        let sent = self.requests.send(QueuedRequest { request, _slot: None }).is_ok();
        let answer = if sent { answered.blocking_recv().ok() } else { None };
        answer.unwrap_or_else(|| Err(RosterError::Fault(not_answered())))
    }

    #[cfg(test)]
    pub(super) fn group(&self, name: &str) -> Result<Option<Arc<cashier_core::account::Group>>, Fault> {
        self.read(|holdings| holdings.groups.get(name).cloned())
    }

    /// Customer, account and group of a login, without waiting. A fault while it is not known what is durable.
    pub fn durable_account(&self, login: Login) -> Result<Option<AccountFacts>, Fault> {
        self.read(|holdings| holdings.facts(login))
    }

    /// Finishes the queued requests, closes the database and releases the lock. Blocks; later requests get no answer.
    pub fn close(&self) {
        // A closed channel means that the thread has ended already.
        let _ = self.requests.send(QueuedRequest { request: TradingRequest::Close, _slot: None });
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("trading thread panicked");
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Holdings) -> T) -> Result<T, Fault> {
        self.durable.load().as_deref().map(read).ok_or_else(not_answered)
    }

    /// Queues a request once there is a slot; `None` when it got no answer.
    fn request<T: Send + 'static>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> TradingRequest + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        let (requests, slots) = (self.requests.clone(), Arc::clone(&self.slots));
        Box::pin(async move {
            let permit = slots.acquire_owned().await.ok()?;
            let (answer, answered) = oneshot::channel();
            requests.send(QueuedRequest { request: request(answer), _slot: Some(permit) }).ok()?;
            answered.await.ok()
        })
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

impl TradingServer for Embedded {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        match self.durable_account(login) {
            Ok(facts) => Box::pin(std::future::ready(Ok(facts))),
            // A request to the thread makes it reload the database.
            Err(_) => {
                let answer = self.request(move |answer| TradingRequest::Account { login, answer });
                Box::pin(async move { answer.await.ok_or_else(not_answered) })
            }
        }
    }

    /// A refusal is stored under its key like a posting. Unknown when the disk failed: the same key may be sent again.
    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostingOutcome> {
        let posting = Box::new(posting.into_inner());
        let answer = self.request(|answer| TradingRequest::Post { posting, answer });
        Box::pin(async move { answer.await.unwrap_or(PostingOutcome::Unknown) })
    }

    fn find(&self, key: &OperationKey) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        let key = key.clone();
        let answer = self.request(move |answer| TradingRequest::Find { key, answer });
        Box::pin(async move { answer.await.ok_or_else(not_answered) })
    }

    /// A voided key is stored like a refused posting, so that a later posting of it gets the same refusal.
    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        let posting = Box::new(posting.into_inner());
        let answer = self.request(move |answer| TradingRequest::Void { posting, reason, answer });
        Box::pin(async move { answer.await.map(Voiding::Settled).ok_or_else(not_answered) })
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }
}

fn not_answered() -> Fault {
    Fault::new("the embedded trading server gave no answer; its log says why")
}

/// A request to the thread. Dropping it unanswered answers `None`.
struct QueuedRequest {
    request: TradingRequest,
    /// Its place in the queue, released when it is finished.
    _slot: Option<OwnedSemaphorePermit>,
}

enum TradingRequest {
    Post { posting: Box<Posting>, answer: oneshot::Sender<PostingOutcome> },
    Void { posting: Box<Posting>, reason: ReasonCode, answer: oneshot::Sender<PostingOutcome> },
    Find { key: OperationKey, answer: oneshot::Sender<Option<PostingOutcome>> },
    Account { login: Login, answer: oneshot::Sender<Option<AccountFacts>> },
    ApplyRoster { roster: Box<Roster>, answer: oneshot::Sender<Result<ImportReport, RosterError>> },
    Close,
}

/// An answer that is sent once the batch is durable.
type PendingAnswer = Box<dyn FnOnce()>;

/// The open database with its content.
struct TradingDatabase {
    connection: Connection,
    holdings: Holdings,
    trade_order: u64,
}

/// The thread's side: reads and writes the database, and publishes what is durable.
struct TradingThread {
    path: PathBuf,
    durable: Arc<ArcSwapOption<Holdings>>,
    /// `None` after a failed commit, until it is opened again.
    database: Option<TradingDatabase>,
}

impl TradingThread {
    fn serve(&mut self, mut queue: mpsc::UnboundedReceiver<QueuedRequest>) {
        let mut open = true;
        while open && let Some(first) = queue.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Ok(queued) = queue.try_recv()
            {
                batch.push(queued);
            }
            open = !batch.iter().any(|queued| matches!(queued.request, TradingRequest::Close));
            match self.execute(batch) {
                Ok(answers) => answers.into_iter().for_each(|deliver| deliver()),
                Err(fault) => {
                    tracing::error!(%fault, "trading database failed; it is reloaded before the next answer");
                    self.database = None;
                    self.durable.store(None);
                }
            }
        }
    }

    /// Executes a batch in one transaction on a copy of the holdings, which takes effect once the transaction is durable.
    fn execute(&mut self, batch: Vec<QueuedRequest>) -> Result<Vec<PendingAnswer>, Fault> {
        let durable = Arc::clone(&self.durable);
        let database = self.database()?;
        let mut state = BatchState { holdings: database.holdings.clone(), trade_order: database.trade_order };
        let transaction = database.connection.transaction().map_err(DiskFault::from)?;
        let mut answers = Vec::with_capacity(batch.len());
        for queued in batch {
            answers.extend(state.execute(&transaction, queued)?);
        }
        if state.trade_order != database.trade_order {
            rows::set_trade_order(&transaction, state.trade_order)?;
        }
        transaction.commit().map_err(DiskFault::from)?;
        database.trade_order = state.trade_order;
        database.holdings = state.holdings;
        durable.store(Some(Arc::new(database.holdings.clone())));
        Ok(answers)
    }

    /// The open database; opened again if the last commit failed, because its outcome is not known.
    fn database(&mut self) -> Result<&mut TradingDatabase, Fault> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                // Only the owner may read balances; SQLite creates the log with the file's mode.
                private_files::open(&self.path)?;
                let connection = rows::open(&self.path)?;
                let (holdings, trade_order) = (rows::load(&connection)?, rows::trade_order(&connection)?);
                self.durable.store(Some(Arc::new(holdings.clone())));
                TradingDatabase { connection, holdings, trade_order }
            }
        };
        Ok(self.database.insert(database))
    }
}

/// The holdings as the batch leaves them.
struct BatchState {
    holdings: Holdings,
    trade_order: u64,
}

impl BatchState {
    fn execute(&mut self, connection: &Connection, queued: QueuedRequest) -> Result<Option<PendingAnswer>, DiskFault> {
        match queued.request {
            TradingRequest::Post { posting, answer } => {
                let outcome = self.post(connection, &posting)?;
                Ok(Some(deliver(answer, outcome)))
            }
            TradingRequest::Void { posting, reason, answer } => {
                let outcome = match known(connection, &posting)? {
                    Some(known) => known,
                    None => {
                        rows::insert_posting(connection, &posting, 0, reason.name())?;
                        PostingOutcome::Refused { reason: reason.name().into() }
                    }
                };
                Ok(Some(deliver(answer, outcome)))
            }
            TradingRequest::Find { key, answer } => {
                let outcome = rows::posting(connection, &key)?.map(|known| known.outcome);
                Ok(Some(deliver(answer, outcome)))
            }
            TradingRequest::Account { login, answer } => Ok(Some(deliver(answer, self.holdings.facts(login)))),
            TradingRequest::ApplyRoster { roster, answer } => {
                let outcome = self.apply_roster(connection, &roster)?;
                Ok(Some(deliver(answer, outcome.map_err(RosterError::Mistakes))))
            }
            TradingRequest::Close => Ok(None),
        }
    }

    fn post(&mut self, connection: &Connection, posting: &Posting) -> Result<PostingOutcome, DiskFault> {
        if let Some(known) = known(connection, posting)? {
            return Ok(known);
        }
        match judge(&self.holdings, posting) {
            Ok(account) => {
                self.trade_order = self.trade_order.saturating_add(1);
                rows::insert_posting(connection, posting, self.trade_order, "")?;
                rows::set_balance(connection, &account)?;
                self.holdings.accounts.insert(account.login, Arc::new(account));
                Ok(PostingOutcome::Posted { trade_order: self.trade_order })
            }
            Err(refusal) => {
                rows::insert_posting(connection, posting, 0, refusal.code())?;
                Ok(refused(refusal))
            }
        }
    }

    fn apply_roster(
        &mut self,
        connection: &Connection,
        roster: &Roster,
    ) -> Result<Result<ImportReport, Vec<Mistake>>, DiskFault> {
        let changes = match roster::apply(&self.holdings, roster) {
            Ok(changes) => changes,
            Err(mistakes) => return Ok(Err(mistakes)),
        };
        for group in &changes.groups {
            rows::put_group(connection, group)?;
        }
        for customer in &changes.customers {
            rows::put_customer(connection, customer)?;
        }
        for account in &changes.accounts {
            rows::put_account(connection, account)?;
        }
        self.holdings = changes.holdings;
        Ok(Ok(changes.report))
    }
}

/// What is stored under the key of a posting.
fn known(connection: &Connection, posting: &Posting) -> Result<Option<PostingOutcome>, DiskFault> {
    let stored = rows::posting(connection, &posting.key())?;
    Ok(stored.map(
        |stored| {
            if stored.is_same(posting) { stored.outcome } else { refused(PostingRefusal::OperationKeyReused) }
        },
    ))
}

fn refused(refusal: PostingRefusal) -> PostingOutcome {
    PostingOutcome::Refused { reason: refusal.code().into() }
}

/// The receiver may have gone by then.
fn deliver<T: 'static>(answer: oneshot::Sender<T>, value: T) -> PendingAnswer {
    Box::new(move || drop(answer.send(value)))
}
