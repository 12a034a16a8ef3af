//! The embedded trading server: customers, groups, accounts and balances in `trading.db`, keyed by operation key.
//! This is the handle that others hold: `thread` owns the database, answers and publishes only what is durable. It moves
//! balances only by postings; it knows nothing of transactions, providers or sessions.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use cashier_core::account::AccountFacts;
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login, ServerName};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::reconcile::FoundPosting;
use cashier_core::roster::{ImportReport, RosterPlan};
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::books::{self, BooksMark};
use super::jobs::deliver;
pub use super::requests::RosterError;
use super::requests::{QueuedRequest, TradingRequest};
use super::roster::{self, Contested, Holdings, Roster};
use super::roster_changes;
use super::roster_text::apply_text;
use super::rows::{self, DiskFault};
use super::thread::{BATCH_MAX, Published, TradingThread};
use crate::lock::Lock;
use crate::ports::{Durable, Fault, PostStep, Posting, RosterRefusal, TradingServer, Voiding};
use crate::private_files;

/// The most requests in the queue; the next one waits for a slot. Eight full batches take less than 100 ms.
const QUEUE_MAX: usize = 8 * BATCH_MAX;

/// The database and its lock file in the folder of bases.
const DATABASE: &str = "trading.db";
const LOCK: &str = "trading.lock";

/// A running embedded trading server. Closed when dropped, after the queued requests are durable.
pub struct Embedded {
    requests: mpsc::SyncSender<QueuedRequest>,
    slots: Arc<Semaphore>,
    pub(super) published: Arc<Published>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens or creates the database in a folder and holds its lock until closed. Blocks while it loads.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        private_files::create_folder(folder)?;
        // The lock file is taken first, so that a second process learns which one holds it.
        let locks = [Lock::take(&folder.join(LOCK))?, Lock::database(&folder.join(DATABASE))?];
        let published = Arc::new(Published::default());
        let mut server = TradingThread::open(folder.join(DATABASE), locks, Arc::clone(&published))?;
        let (requests, queue) = mpsc::sync_channel(QUEUE_MAX + BATCH_MAX);
        let thread = thread::Builder::new()
            .name("trading".into())
            .spawn(move || server.serve(&queue))
            .map_err(|error| Fault::new(format!("cannot start the trading thread: {error}")))?;
        Ok(Self { requests, slots: Arc::new(Semaphore::new(QUEUE_MAX)), published, thread: Mutex::new(Some(thread)) })
    }

    /// Refuses a database of a later release before anything beside it is changed; for a command of a stopped server, which
    /// brings nothing up to date, one of an earlier release too.
    pub fn check_release(folder: &Path, earlier_is_fine: bool) -> Result<(), Fault> {
        rows::check_release(&folder.join(DATABASE), earlier_is_fine)
    }

    /// Adds and updates groups, customers and accounts, all or nothing; see [`roster::apply`] for the rules. Blocks; not
    /// to be called on the runtime.
    pub fn apply_roster(&self, roster: Roster) -> Result<ImportReport, RosterError> {
        let roster = Box::new(roster);
        let answer = self.blocking_request(|answer| TradingRequest::ApplyRoster { roster, judged: None, answer });
        answer.unwrap_or_else(|| Err(RosterError::Fault(not_answered())))
    }

    /// Accounts that were changed outside the cashier, by login.
    pub fn contested(&self) -> Result<Vec<(Login, Contested)>, Fault> {
        let mut contested = self
            .read(|holdings| holdings.contested.iter().map(|(login, why)| (*login, why.clone())).collect::<Vec<_>>())?;
        contested.sort_by_key(|(login, _)| *login);
        Ok(contested)
    }

    /// A person decides about an edited balance: what was found becomes the balance, or what was recorded is put back.
    /// Returns the balance; `None` where the login has no edited balance. Blocks; not to be called on the runtime.
    pub fn settle_balance(&self, login: Login, put_back: bool) -> Result<Option<Money>, Fault> {
        self.blocking_request(|answer| TradingRequest::SettleBalance { login, put_back, answer })
            .ok_or_else(not_answered)
    }

    #[cfg(test)]
    pub(super) fn group(&self, name: &str) -> Result<Option<Arc<cashier_core::account::Group>>, Fault> {
        self.read(|holdings| holdings.groups.get(name).cloned())
    }

    /// Customer, account and group of a login, without waiting. A fault while it is not known what is durable.
    pub fn durable_account(&self, login: Login) -> Result<Option<AccountFacts>, Fault> {
        self.read(|holdings| holdings.facts(login).map_err(|why| contested(login, why)))?
    }

    /// What was posted, and for which books.
    pub fn mark(&self) -> BoxFuture<'static, Result<BooksMark, Fault>> {
        self.inspect(false, |_, mark| Ok(mark.clone()))
    }

    /// From now on the postings belong to the books of this identity.
    pub fn adopt(&self, identity: &str) -> BoxFuture<'static, Result<(), Fault>> {
        let identity: Box<str> = identity.into();
        self.inspect(true, move |_, mark| {
            mark.identity = identity;
            Ok(())
        })
    }

    /// Up to `limit` postings, refused ones included, whose keys come after one, in the order of their keys.
    pub fn postings(&self, after: &str, limit: usize) -> BoxFuture<'static, Result<Vec<FoundPosting>, Fault>> {
        let after: Box<str> = after.into();
        self.inspect(false, move |connection, _| books::page(connection, &after, limit))
    }

    /// What became of a key, whatever was posted under it.
    pub fn outcome(&self, key: &OperationKey) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        let key = key.clone();
        self.inspect(false, move |connection, _| Ok(rows::posting(connection, &key)?.map(|known| known.outcome)))
    }

    /// Gives a posting another key.
    pub fn rekey(&self, posting: &FoundPosting, key: &OperationKey) -> BoxFuture<'static, Result<(), Fault>> {
        let (posting, key) = (posting.clone(), key.clone());
        self.inspect(true, move |connection, mark| {
            books::rekey(connection, &posting, &key)?;
            if posting.is_posted() {
                mark.posted.remove(&posting.key, posting.login, posting.amount.minor);
                mark.posted.add(&key, posting.login, posting.amount.minor);
            }
            Ok(())
        })
    }

    /// Runs on the thread, within a batch.
    fn inspect<T: Send + 'static>(
        &self,
        writes: bool,
        work: impl FnOnce(&Connection, &mut BooksMark) -> Result<T, DiskFault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        let answer = self.request(move |answer: oneshot::Sender<T>| TradingRequest::Inspect {
            writes,
            work: Box::new(move |connection, mark| Ok(deliver(answer, work(connection, mark)?))),
        });
        Box::pin(async move { answer.await.ok_or_else(not_answered) })
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
        self.published.durable.load().as_deref().map(read).ok_or_else(not_answered)
    }

    fn blocking_request<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> TradingRequest) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(QueuedRequest { request: request(answer), _slot: None }).ok()?;
        answered.blocking_recv().ok()
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
        if self.published.durable.load().is_some() {
            return Box::pin(std::future::ready(self.durable_account(login)));
        }
        // A request to the thread makes it reload the database.
        let answer = self.request(move |answer| TradingRequest::Account { login, answer });
        Box::pin(async move {
            let facts = answer.await.ok_or_else(not_answered)?;
            facts.map_err(|why| contested(login, &why))
        })
    }

    /// A refusal is stored under its key like a posting. Unknown when the disk failed: the same key may be sent again.
    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        let posting = Box::new(posting.into_inner());
        let answer = self.request(|answer| TradingRequest::Post { posting, answer });
        Box::pin(async move { answer.await.unwrap_or(PostingOutcome::Unknown).into() })
    }

    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        let posting = Box::new(posting.clone());
        let answer = self.request(move |answer| TradingRequest::Find { posting, answer });
        Box::pin(async move { answer.await.ok_or_else(not_answered) })
    }

    /// A voided key is stored like a refused posting, so that a later posting of it gets the same refusal.
    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        let posting = Box::new(posting.into_inner());
        let answer = self.request(move |answer| TradingRequest::Void { posting, reason, answer });
        Box::pin(async move { answer.await.map(Voiding::Settled).ok_or_else(not_answered) })
    }

    fn keyed_by_operation(&self, _: &ServerName) -> bool {
        true
    }

    /// It answers once the posting is synced.
    fn proves_postings(&self, _: &ServerName) -> bool {
        true
    }

    fn account_kinds(&self) -> Result<Vec<AccountFacts>, Fault> {
        self.read(|holdings| holdings.kinds.facts(&holdings.groups))
    }

    fn customer_brand(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        self.read(|holdings| holdings.customers.get(&customer).map(|known| known.brand.clone()))
    }

    fn rate(
        &self,
        _: &ServerName,
        from: Currency,
        to: Currency,
    ) -> BoxFuture<'static, Result<Option<StatedRate>, Fault>> {
        let known = self.read(|holdings| holdings.rates.get(&(from, to)).map(|stated| StatedRate::clone(stated)));
        Box::pin(std::future::ready(known))
    }

    fn may_convert(&self, _: &ServerName, from: Currency, to: Currency) -> bool {
        self.read(|holdings| holdings.rates.contains_key(&(from, to))).unwrap_or_default()
    }

    /// Judged over what is durable, on a thread of its own: a roster of a megabyte takes longer than the runtime may wait.
    fn judge_roster(&self, text: Arc<str>) -> BoxFuture<'static, Result<RosterPlan, RosterRefusal>> {
        let holdings = self.published.durable.load_full();
        off_the_runtime(move || {
            let holdings = holdings.ok_or_else(|| RosterRefusal::Fault(not_answered()))?;
            let judge = |roster| {
                let changes = roster::apply(&holdings, &roster).map_err(RosterError::Mistakes)?;
                Ok(roster_changes::plan(&holdings, &changes))
            };
            Ok(apply_text(&text, judge)?)
        })
    }

    fn import_roster(
        &self,
        text: Arc<str>,
        judged: RosterPlan,
    ) -> BoxFuture<'static, Result<ImportReport, RosterRefusal>> {
        let (slots, requests) = (Arc::clone(&self.slots), self.requests.clone());
        Box::pin(async move {
            let permit = slots.acquire_owned().await.map_err(|_| RosterRefusal::Fault(not_answered()))?;
            let apply = move |roster| {
                let (answer, answered) = oneshot::channel();
                let request = TradingRequest::ApplyRoster { roster: Box::new(roster), judged: Some(judged), answer };
                let sent = requests.send(QueuedRequest { request, _slot: Some(permit) });
                let no_answer = || RosterError::Fault(not_answered());
                sent.map_err(|_| no_answer())?;
                answered.blocking_recv().unwrap_or_else(|_| Err(no_answer()))
            };
            off_the_runtime(move || Ok(apply_text(&text, apply)?)).await
        })
    }

    fn readiness(&self) -> Result<(), Fault> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(Fault::new("the trading server's thread has ended: restart the cashier"));
        }
        match self.published.problem.load().as_deref() {
            Some(problem) => Err(Fault::new(problem.clone())),
            None => Ok(()),
        }
    }
}

fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RosterRefusal> + Send + 'static,
) -> BoxFuture<'static, Result<T, RosterRefusal>> {
    let working = tokio::task::spawn_blocking(work);
    Box::pin(async move { working.await.unwrap_or_else(|_| Err(RosterRefusal::Fault(not_answered()))) })
}

fn not_answered() -> Fault {
    Fault::new("the embedded trading server gave no answer; its log says why")
}

fn contested(login: Login, why: &Contested) -> Fault {
    Fault::new(format!("account {login} is contested: {why}"))
}
