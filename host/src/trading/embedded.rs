//! The embedded trading server: customers, groups, accounts and balances in `trading.db`, keyed by operation id.
//! One thread owns the database and lets many postings share one fsync; nothing is answered or shown before it is on
//! disk. It moves balances only by postings; it knows nothing of transactions, providers or sessions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwapOption;
use cashier_core::account::{AccountFacts, Customer, Group};
use cashier_core::ids::{CustomerId, Login, OperationId};
use cashier_core::operation::PostingOutcome;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::posting::{PostingRefusal, judge};
use super::roster::{Holdings, ImportReport, Mistake, Roster, admit};
use super::rows::{self, DiskFault};
use crate::lock::Lock;
use crate::ports::{Durable, Fault, Posting, TradingServer};
use crate::private_files;

/// Jobs that share one fsync at most. A batch this large writes in about 10 ms, so that nobody waits long behind it.
const BATCH_MAX: usize = 1024;

/// Jobs waiting at most; the next one waits for room. Eight full batches are under 100 ms of work.
const QUEUE_MAX: usize = 8 * BATCH_MAX;

/// The database and its lock in the folder of bases.
const DATABASE: &str = "trading.db";
const LOCK: &str = "trading.lock";

/// A running embedded trading server. Closed when dropped, after everything already asked of it is on disk.
pub struct Embedded {
    jobs: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
    /// What is on disk; none while that is not known, after a commit failed.
    shown: Arc<ArcSwapOption<Holdings>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Why a roster was not taken over. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdmitError {
    Mistakes(Vec<Mistake>),
    Fault(Fault),
}

impl Embedded {
    /// Opens or creates the database in a folder and holds its lock until closed. Blocks while it loads.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        private_files::create_folder(folder)?;
        let lock = Lock::take(&folder.join(LOCK))?;
        let shown = Arc::new(ArcSwapOption::empty());
        let mut desk = Desk { path: folder.join(DATABASE), shown: Arc::clone(&shown), books: None };
        desk.books()?;
        let (jobs, queue) = mpsc::unbounded_channel();
        let thread = thread::Builder::new()
            .name("trading".into())
            .spawn(move || {
                desk.serve(queue);
                drop(desk);
                // Given back last, when the database is closed.
                drop(lock);
            })
            .map_err(|error| Fault::new(format!("cannot start the trading thread: {error}")))?;
        Ok(Self { jobs, room: Arc::new(Semaphore::new(QUEUE_MAX)), shown, thread: Mutex::new(Some(thread)) })
    }

    /// Takes groups, customers and accounts over, all or nothing; see [`admit`] for what is a mistake.
    pub fn admit(&self, roster: Roster) -> BoxFuture<'static, Result<ImportReport, AdmitError>> {
        let answer = self.ask(|answer| Work::Admit { roster: Box::new(roster), answer });
        Box::pin(async move { answer.await.unwrap_or_else(|| Err(AdmitError::Fault(not_answered()))) })
    }

    /// The same from a thread outside the runtime, as the command line is.
    pub fn admit_blocking(&self, roster: Roster) -> Result<ImportReport, AdmitError> {
        let (answer, answered) = oneshot::channel();
        let work = Work::Admit { roster: Box::new(roster), answer };
        let sent = self.jobs.send(Job { work, _room: None }).is_ok();
        let answer = if sent { answered.blocking_recv().ok() } else { None };
        answer.unwrap_or_else(|| Err(AdmitError::Fault(not_answered())))
    }

    /// A customer as stored, for the admin commands that change a part of one.
    pub fn customer(&self, id: CustomerId) -> Result<Option<Arc<Customer>>, Fault> {
        self.read(|holdings| holdings.customers.get(&id).cloned())
    }

    /// A group as stored.
    pub fn group(&self, name: &str) -> Result<Option<Arc<Group>>, Fault> {
        self.read(|holdings| holdings.groups.get(name).cloned())
    }

    /// Everything about a login, without waiting. A fault while it is not known what is on disk.
    pub fn account_shown(&self, login: Login) -> Result<Option<AccountFacts>, Fault> {
        self.read(|holdings| holdings.facts(login))
    }

    /// Finishes what was asked, closes the database and frees the lock. Blocks; later questions get no answer.
    pub fn close(&self) {
        // A closed channel means that the thread has ended already.
        let _ = self.jobs.send(Job { work: Work::Close, _room: None });
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the trading thread ended by a panic");
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Holdings) -> T) -> Result<T, Fault> {
        self.shown.load().as_deref().map(look).ok_or_else(not_answered)
    }

    /// Queues work once there is room; `None` when it got no answer.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(oneshot::Sender<T>) -> Work + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        let (jobs, room) = (self.jobs.clone(), Arc::clone(&self.room));
        Box::pin(async move {
            let permit = room.acquire_owned().await.ok()?;
            let (answer, answered) = oneshot::channel();
            jobs.send(Job { work: work(answer), _room: Some(permit) }).ok()?;
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
        match self.account_shown(login) {
            Ok(facts) => Box::pin(std::future::ready(Ok(facts))),
            // A request to the thread makes it read the disk anew.
            Err(_) => {
                let answer = self.ask(move |answer| Work::Account { login, answer });
                Box::pin(async move { answer.await.ok_or_else(not_answered) })
            }
        }
    }

    /// A refusal is remembered under its key like a posting. Unknown when the disk failed: the same key may be sent
    /// again.
    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostingOutcome> {
        let posting = Box::new(posting.into_inner());
        let answer = self.ask(|answer| Work::Post { posting, answer });
        Box::pin(async move { answer.await.unwrap_or(PostingOutcome::Unknown) })
    }

    fn find(&self, id: OperationId) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        let answer = self.ask(move |answer| Work::Find { id, answer });
        Box::pin(async move { answer.await.ok_or_else(not_answered) })
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }
}

fn not_answered() -> Fault {
    Fault::new("the embedded trading server gave no answer; its log says why")
}

/// Something asked of the thread. Dropping it unanswered is heard as "no answer".
struct Job {
    work: Work,
    /// Frees its place in the queue when the job is over.
    _room: Option<OwnedSemaphorePermit>,
}

enum Work {
    Post { posting: Box<Posting>, answer: oneshot::Sender<PostingOutcome> },
    Find { id: OperationId, answer: oneshot::Sender<Option<PostingOutcome>> },
    Account { login: Login, answer: oneshot::Sender<Option<AccountFacts>> },
    Admit { roster: Box<Roster>, answer: oneshot::Sender<Result<ImportReport, AdmitError>> },
    Close,
}

/// An answer that waits for the disk.
type Delivery = Box<dyn FnOnce()>;

/// The database open, and what is in it.
struct Books {
    connection: Connection,
    holdings: Holdings,
    trade_order: u64,
}

/// The thread's own: it reads and writes, and shows what is on disk.
struct Desk {
    path: PathBuf,
    shown: Arc<ArcSwapOption<Holdings>>,
    /// None after a failed commit, until the disk was read anew.
    books: Option<Books>,
}

impl Desk {
    fn serve(&mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut open = true;
        while open && let Some(first) = queue.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH_MAX
                && let Ok(job) = queue.try_recv()
            {
                batch.push(job);
            }
            open = !batch.iter().any(|job| matches!(job.work, Work::Close));
            match self.settle(batch) {
                Ok(deliveries) => deliveries.into_iter().for_each(|deliver| deliver()),
                Err(fault) => {
                    tracing::error!(%fault, "trading.db failed; its balances are read anew before anything is answered");
                    self.books = None;
                    self.shown.store(None);
                }
            }
        }
    }

    /// Does a batch in one transaction on a copy of the holdings; both are kept only when the disk has them.
    fn settle(&mut self, batch: Vec<Job>) -> Result<Vec<Delivery>, Fault> {
        let shown = Arc::clone(&self.shown);
        let books = self.books()?;
        let mut draft = Draft { holdings: books.holdings.clone(), trade_order: books.trade_order };
        let transaction = books.connection.transaction().map_err(DiskFault::from)?;
        let mut deliveries = Vec::with_capacity(batch.len());
        for job in batch {
            deliveries.extend(draft.work(&transaction, job)?);
        }
        if draft.trade_order != books.trade_order {
            rows::set_trade_order(&transaction, draft.trade_order)?;
        }
        transaction.commit().map_err(DiskFault::from)?;
        books.trade_order = draft.trade_order;
        books.holdings = draft.holdings;
        shown.store(Some(Arc::new(books.holdings.clone())));
        Ok(deliveries)
    }

    /// The open database; read anew if the last commit failed, because then nobody knows what it left on disk.
    fn books(&mut self) -> Result<&mut Books, Fault> {
        let books = match self.books.take() {
            Some(books) => books,
            None => {
                // Balances are nobody's to read but the owner's; the log beside the file takes over its mode.
                private_files::open(&self.path)?;
                let connection = rows::open(&self.path)?;
                let (holdings, trade_order) = (rows::load(&connection)?, rows::trade_order(&connection)?);
                self.shown.store(Some(Arc::new(holdings.clone())));
                Books { connection, holdings, trade_order }
            }
        };
        Ok(self.books.insert(books))
    }
}

/// A batch in the making.
struct Draft {
    holdings: Holdings,
    trade_order: u64,
}

impl Draft {
    fn work(&mut self, disk: &Connection, job: Job) -> Result<Option<Delivery>, DiskFault> {
        match job.work {
            Work::Post { posting, answer } => {
                let outcome = self.post(disk, &posting)?;
                Ok(Some(deliver(answer, outcome)))
            }
            Work::Find { id, answer } => {
                let outcome = rows::posting(disk, id)?.map(|known| known.outcome);
                Ok(Some(deliver(answer, outcome)))
            }
            Work::Account { login, answer } => Ok(Some(deliver(answer, self.holdings.facts(login)))),
            Work::Admit { roster, answer } => {
                let outcome = self.admit(disk, &roster)?;
                Ok(Some(deliver(answer, outcome.map_err(AdmitError::Mistakes))))
            }
            Work::Close => Ok(None),
        }
    }

    fn post(&mut self, disk: &Connection, posting: &Posting) -> Result<PostingOutcome, DiskFault> {
        if let Some(known) = rows::posting(disk, posting.operation.id)? {
            return Ok(if known.is_same(posting) {
                known.outcome
            } else {
                refused(PostingRefusal::OperationKeyReused)
            });
        }
        match judge(&self.holdings, posting) {
            Ok(account) => {
                self.trade_order = self.trade_order.saturating_add(1);
                rows::insert_posting(disk, posting, self.trade_order, "")?;
                rows::set_balance(disk, &account)?;
                self.holdings.accounts.insert(account.login, Arc::new(account));
                Ok(PostingOutcome::Posted { trade_order: self.trade_order })
            }
            Err(refusal) => {
                rows::insert_posting(disk, posting, 0, refusal.code())?;
                Ok(refused(refusal))
            }
        }
    }

    fn admit(&mut self, disk: &Connection, roster: &Roster) -> Result<Result<ImportReport, Vec<Mistake>>, DiskFault> {
        let admission = match admit(&self.holdings, roster) {
            Ok(admission) => admission,
            Err(mistakes) => return Ok(Err(mistakes)),
        };
        for group in &admission.groups {
            rows::put_group(disk, group)?;
        }
        for customer in &admission.customers {
            rows::put_customer(disk, customer)?;
        }
        for account in &admission.accounts {
            rows::put_account(disk, account)?;
        }
        self.holdings = admission.holdings;
        Ok(Ok(admission.report))
    }
}

fn refused(refusal: PostingRefusal) -> PostingOutcome {
    PostingOutcome::Refused { reason: refusal.code().into() }
}

/// Answers later; whoever hung up meanwhile is not missed.
fn deliver<T: 'static>(answer: oneshot::Sender<T>, value: T) -> Delivery {
    Box::new(move || drop(answer.send(value)))
}
