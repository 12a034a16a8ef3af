//! How often a server elsewhere is compared, and how often all its rows are read.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cashier_core::account::{AccountFacts, Customer, Group};
use cashier_core::ids::{CustomerId, Login, OperationId, TransactionId};
use cashier_core::operation::{OperationKey, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::reconcile::FoundPosting;
use cashier_core::status::{OperationCmd, OperationReason};
use cashier_core::time::UnixTime;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::*;
use crate::ports::{Clock, Durable, PostStep, Posting, TradingServer, Voiding};
use crate::test_cashier::{TestCashier, usd};
use crate::trading::remote::{AccountChange, PostingsPage};
use crate::trading::servers::port::TradingPorts;
use crate::trading::servers::{NamedServer, Server, ServerRoute};

/// A list of all its rows takes so long.
const LIST_SECONDS: u64 = 60;

/// A server that has postings which no books have.
struct SlowServer {
    clock: Arc<dyn Clock>,
    postings: Mutex<Vec<FoundPosting>>,
    counted: AtomicUsize,
    lists: AtomicUsize,
    changes: broadcast::Sender<AccountChange>,
}

impl SlowServer {
    fn add(&self, number: usize) {
        let key = OperationKey::read(&format!("dabcdefghjkmnpqrstvw:{number}")).unwrap();
        self.postings.lock().unwrap().push(FoundPosting {
            key,
            operation_id: OperationId(0),
            transaction_id: TransactionId(0),
            customer_id: CustomerId(5),
            login: Login(100),
            cmd: OperationCmd::BalanceIn,
            reason: OperationReason::Deposit,
            amount: usd(2_550),
            created_time: UnixTime(0),
            outcome: PostingOutcome::posted(number as u64),
        });
    }
}

impl RemoteServer for SlowServer {
    fn account(&self, _: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        Box::pin(ready(Ok(None)))
    }

    fn groups(&self) -> BoxFuture<'static, Result<Vec<Group>, Fault>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn customer(&self, _: CustomerId) -> BoxFuture<'static, Result<Option<Customer>, Fault>> {
        Box::pin(ready(Ok(None)))
    }

    fn post(&self, _: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        Box::pin(ready(PostStep::NotSent))
    }

    fn find(&self, _: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        Box::pin(ready(Ok(None)))
    }

    fn void(&self, _: Durable<Posting>, _: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        Box::pin(ready(Err(Fault::new("nothing is voided here"))))
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }

    fn postings(&self, _: Box<str>, _: usize) -> BoxFuture<'static, Result<PostingsPage, Fault>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        let (postings, listed) =
            (self.postings.lock().unwrap().clone(), self.clock.sleep(Duration::from_secs(LIST_SECONDS)));
        Box::pin(async move {
            listed.await;
            Ok(PostingsPage { postings, ..PostingsPage::default() })
        })
    }

    fn posted_count(&self) -> BoxFuture<'static, Result<Option<u64>, Fault>> {
        self.counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(ready(Ok(Some(self.postings.lock().unwrap().len() as u64))))
    }

    fn changes(&self) -> Option<broadcast::Receiver<AccountChange>> {
        Some(self.changes.subscribe())
    }

    fn health(&self) -> Result<(), Fault> {
        Ok(())
    }
}

/// It is compared with books that have nothing.
struct Compared {
    env: TestCashier,
    server: Arc<SlowServer>,
    servers: TradingPorts,
    _running: JoinSet<()>,
    _bases: tempfile::TempDir,
}

impl Compared {
    async fn with_postings(count: usize) -> Self {
        let env = TestCashier::new().await;
        let clock = Arc::clone(&env.cashier.clock);
        let server = Arc::new(SlowServer {
            clock: Arc::clone(&clock),
            postings: Mutex::default(),
            counted: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            changes: broadcast::Sender::new(8),
        });
        (0..count).for_each(|number| server.add(number + 1));
        let (name, bases) = (ServerName::read("far").unwrap(), tempfile::tempdir().unwrap());
        let remote = Server::Remote { protocol: "http", server: Arc::clone(&server) as _ };
        let named = NamedServer { name: name.clone(), server: remote, route: ServerRoute::default() };
        let servers = TradingServers::new(vec![named], Duration::from_secs(30), clock);
        let comparing = Comparing {
            servers: Arc::clone(&servers),
            cashier: Arc::clone(&env.cashier),
            name: name.clone(),
            server: Arc::clone(&server) as _,
            mark: DifferenceMark::of(bases.path(), &name),
        };
        let mut running = JoinSet::new();
        servers.background().into_iter().for_each(|task| drop(running.spawn(task)));
        running.spawn(comparing.compare());
        Self { env, server, servers: TradingPorts(servers), _running: running, _bases: bases }
    }

    /// How many lists were begun, and how often it was compared, once so much time has passed.
    async fn after(&self, seconds: u64) -> (usize, usize) {
        self.env.run_for(seconds).await;
        (self.server.lists.load(Ordering::SeqCst), self.server.counted.load(Ordering::SeqCst) / 2)
    }

    /// How many differences are known one by one, and whether some are not listed yet.
    fn known(&self) -> (usize, bool) {
        let (_, known) = self.servers.differences().pop().unwrap();
        (known.kept.len(), known.is_unlisted)
    }

    /// Its connection is a new one.
    fn connect(&self) {
        self.server.changes.send(AccountChange::Everything).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_long_list_it_is_compared_each_minute_and_listed_again_once_ten_times_as_long_has_passed() {
    let compared = Compared::with_postings(1).await;
    assert_eq!(compared.after(LIST_SECONDS + 1).await, (1, 1));
    assert_eq!(compared.known(), (1, false));
    // What comes to differ right after it is shown within a minute, and listed when that may be.
    compared.server.add(2);
    compared.connect();
    assert_eq!((compared.after(61).await, compared.known()), ((1, 2), (1, true)));
    assert_eq!((compared.after(8 * LIST_SECONDS).await, compared.known()), ((1, 10), (1, true)));
    assert_eq!((compared.after(2 * LIST_SECONDS).await, compared.known()), ((2, 11), (2, false)));
    // Whether the books lack them still only a list says: fifty times as long after the last one.
    let (lists, comparisons) = compared.after(40 * 60).await;
    assert_eq!((lists, comparisons, compared.known()), (2, 14, (2, false)));
    assert_eq!((compared.after(30 * 60).await.0, compared.known()), (3, (2, false)));
}

#[tokio::test(start_paused = true)]
async fn more_of_a_server_that_lost_or_has_more_than_is_kept_is_listed_once_fifty_times_as_long_has_passed() {
    let compared = Compared::with_postings(DIFFERENCES_KEPT_MAX + 1).await;
    assert_eq!(compared.after(LIST_SECONDS + 1).await, (1, 1));
    compared.server.add(DIFFERENCES_KEPT_MAX + 2);
    compared.connect();
    assert_eq!((compared.after(20 * LIST_SECONDS).await, compared.known()), ((1, 3), (DIFFERENCES_KEPT_MAX, false)));
    assert_eq!((compared.after(20 * LIST_SECONDS).await, compared.known()), ((1, 5), (DIFFERENCES_KEPT_MAX, false)));
    assert_eq!((compared.after(20 * LIST_SECONDS).await.0, compared.known()), (2, (DIFFERENCES_KEPT_MAX, false)));
}
