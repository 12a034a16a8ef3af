//! A cashier for tests: every port is a fake that remembers what it was asked, the disk syncs at once, and the one
//! provider does what a test tells it. For tests of the listeners and of the commands.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::books::Books;
use cashier_core::change::{Body, Change, Commit, Counters, OrderDetails};
use cashier_core::ids::{ConfigId, CustomerId, EventId, Login, NoticeId, OperationId, TransactionId};
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::notice::ProviderEvent;
use cashier_core::operation::PostingOutcome;
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::time::UnixTime;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::flows::{Cashier, Ports, Rules};
use crate::ledger::{Admission, Ledger, Watermark};
use crate::ports::{
    Archive, Clock, Durable, Entropy, Fault, Loaded, Modules, Posting, Recorder, Spawn, StoredAnswer, StoredNotice,
    Synced, TradingServer,
};
use crate::snapshot::{Served, Snapshot};

mod provider;

use self::provider::{TestModules, gateway};
pub(crate) use self::provider::{TestProvider, own_words};

/// Deposits that one customer may ask for before the test's clock must pass.
pub(crate) const DEPOSITS_PER_MINUTE: u32 = 30;

/// A config and accounts as the published pages show them: customer 5 of brand `ion4` with login 2000009 in USD.
pub(crate) struct TestCashier {
    pub(crate) cashier: Arc<Cashier>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) provider: Arc<TestProvider>,
    pub(crate) trading: Arc<TestTrading>,
}

impl TestCashier {
    pub(crate) fn new() -> Self {
        let (clock, provider) = (Arc::new(TestClock::default()), Arc::new(TestProvider::default()));
        let trading = Arc::new(TestTrading::default());
        let watermark = Arc::new(Watermark::new());
        let disk = Arc::new(TestDisk { watermark: Arc::clone(&watermark), rows: Mutex::default() });
        let mut books = Books::new();
        books.set_counters(Counters { config: 3, ..Counters::default() });
        let ledger = Ledger::new(Arc::clone(&disk) as _, watermark, books, Admission::new(Admission::DEFAULT_LIMIT));
        let modules = Arc::new(TestModules { provider: Arc::clone(&provider) });
        let snapshot = [config(1, "ion4"), config(2, ""), config(3, "other")].into_iter().fold(
            Snapshot::new(modules.catalog(), Arc::default()),
            |snapshot, config| {
                let gateway = Ok(gateway(&provider, &config));
                snapshot.with_config(Served { config: Arc::new(config), gateway })
            },
        );
        let ports = Ports {
            archive: disk,
            trading: Arc::clone(&trading) as _,
            modules,
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(TestEntropy::default()),
            spawn: Arc::new(TestSpawn),
        };
        let rules = Rules {
            public_url: "https://pay.ion4.example".into(),
            webhook_patience: Duration::from_secs(2),
            deposits_per_minute: DEPOSITS_PER_MINUTE,
        };
        Self { cashier: crate::flows::open(ledger, snapshot, ports, rules), clock, provider, trading }
    }
}

/// Config 1 serves the brand, 2 every brand but in EUR alone, 3 another brand.
fn config(id: u64, brand: &str) -> ProviderConfig {
    ProviderConfig {
        id: ConfigId(id),
        provider: "stripe".into(),
        brand: brand.into(),
        method: "card".into(),
        country: "".into(),
        currency: if brand.is_empty() { "EUR".into() } else { "".into() },
        merchant_id: format!("acct_{id}").into(),
        public_key: format!("pk_{id}").into(),
        secret_key: Secret::new("CANARY-secret-key"),
        webhook_secret: Secret::new("CANARY-webhook-secret"),
        replaced_webhook_secrets: Vec::new(),
        settings_json: "{}".into(),
        config_json: Secret::new("{\"x\":\"CANARY-config\"}"),
        min_amount: Limit::parse("10").unwrap(),
        max_amount: Limit::parse("5000").unwrap(),
        sandbox: false,
        enabled: true,
        sort_index: 0,
        created_time: TestClock::NOW,
        updated_time: TestClock::NOW,
        terms_version: 1,
        version: 1,
    }
}

/// The moment of the published examples; its monotonic side is moved by hand, its sleeps are tokio's.
#[derive(Default)]
pub(crate) struct TestClock {
    monotonic_us: AtomicU64,
}

impl TestClock {
    pub(crate) const NOW: UnixTime = UnixTime(1_779_270_000);

    pub(crate) fn pass(&self, length: Duration) {
        self.monotonic_us.fetch_add(length.as_micros() as u64, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        Self::NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic_us.load(Ordering::SeqCst))
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(length))
    }
}

/// Counts up.
#[derive(Default)]
pub(crate) struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::SeqCst)) + 1
    }
}

struct TestSpawn;

impl Spawn for TestSpawn {
    fn spawn(&self, flow: BoxFuture<'static, ()>) {
        tokio::spawn(flow);
    }

    fn resident(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

/// A disk that syncs at once and keeps what is fetched by id.
struct TestDisk {
    watermark: Arc<Watermark>,
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    answers: BTreeMap<TransactionId, StoredAnswer>,
    events: BTreeMap<EventId, ProviderEvent>,
}

impl Recorder for TestDisk {
    fn submit(&self, commit: Arc<Commit>) {
        let mut rows = self.rows.lock().unwrap();
        for body in &commit.bodies {
            if let Body::Answer { transaction_id, redirect_url, instructions_json } = body {
                let answer =
                    StoredAnswer { redirect_url: redirect_url.clone(), instructions_json: instructions_json.clone() };
                rows.answers.insert(*transaction_id, answer);
            }
        }
        for change in &commit.changes {
            if let Change::Event(event) = change {
                rows.events.insert(event.id, ProviderEvent::clone(event));
            }
        }
        self.watermark.synced(commit.seq);
    }

    fn reload(&self) -> BoxFuture<'static, Result<Loaded, Fault>> {
        ready(Err(Fault::new("the test cashier keeps no rows"))).boxed()
    }
}

impl Archive for TestDisk {
    fn answer(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<StoredAnswer>, Fault>> {
        ready(Ok(self.rows.lock().unwrap().answers.get(&id).cloned())).boxed()
    }

    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<ProviderEvent>, Fault>> {
        ready(Ok(self.rows.lock().unwrap().events.get(&id).cloned())).boxed()
    }

    fn notice(&self, _: NoticeId) -> BoxFuture<'static, Result<Option<StoredNotice>, Fault>> {
        ready(Ok(None)).boxed()
    }

    fn order(&self, _: TransactionId) -> BoxFuture<'static, Result<Option<OrderDetails>, Fault>> {
        ready(Ok(None)).boxed()
    }
}

/// Logins 2000009 and 2000010 are customer 5's, the second disabled; 2000011 is customer 6's.
#[derive(Default)]
pub(crate) struct TestTrading {
    pub(crate) posted: Mutex<Vec<Posting>>,
}

impl TradingServer for TestTrading {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        let (customer_id, enabled) = match login.0 {
            2_000_009 => (CustomerId(5), true),
            2_000_010 => (CustomerId(5), false),
            2_000_011 => (CustomerId(6), true),
            2_000_500 => return ready(Err(Fault::new("CANARY: the trading server is away"))).boxed(),
            _ => return ready(Ok(None)).boxed(),
        };
        let usd = Currency::from_code("USD").unwrap();
        let customer = Customer {
            customer_id,
            country: "DE".into(),
            brand: "ion4".into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        };
        let account = Account { login, customer_id, group: "real".into(), enabled, balance: Money::new(0, usd) };
        let group = Group {
            group: "real".into(),
            brand: "ion4".into(),
            currency: usd,
            account_mode: AccountMode::Real,
            enabled: true,
        };
        ready(Ok(Some(AccountFacts { customer, account, group }))).boxed()
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostingOutcome> {
        self.posted.lock().unwrap().push(posting.into_inner());
        ready(PostingOutcome::Posted { trade_order: 88 }).boxed()
    }

    fn find(&self, _: OperationId) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        ready(Ok(None)).boxed()
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }
}
