//! A whole cashier in memory, for tests of flows, listeners and commands: a disk that can be slow or fail, a trading server
//! and a provider that a test scripts, counted randomness, a clock that a test moves. A crash aborts every flow at the
//! await it has reached and opens a new cashier over what is durable.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cashier_core::aggregate::Aggregate;
use cashier_core::change::Stamp;
use cashier_core::deposit::DepositRequest;
use cashier_core::edit::SecondPerson;
use cashier_core::facts::PersonFact;
use cashier_core::ids::{ConfigId, CustomerId, Login, ManagerId, Reference, TransactionId};
use cashier_core::notice::Update;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::Refusal;
use cashier_core::session::{Actor, CustomerSession};
use cashier_core::status::OperationStatus;

use crate::flows::deposit::{self, DepositOutcome};
use crate::flows::webhook::{self, WebhookOutcome};
use crate::flows::{
    self, Cashier, CustomerLimits, NoticeRules, Ports, RequestContext, Rules, configure, ended_calls, janitor,
};
use crate::guarded_clock::GuardedClock;
use crate::ledger::{Admission, Ledger, Watermark};
use crate::ports::{Clock, Modules, NoticeBody, QueryAnswer, RawNotice, Spawn};
use crate::snapshot::MoneyModes;

mod bases;
mod clock;
mod disk;
mod log_interest;
mod provider;
mod provider_payments;
mod samples;
mod trading;

pub(crate) use self::bases::{Bases, wait};
pub(crate) use self::clock::{TestClock, TestEntropy};
pub(crate) use self::log_interest::ask_each_thread;
pub(crate) use self::provider::{OnCreate, OnRefund, TestProvider, WEBHOOK_SECRET, config, receiver, stated_refund};
pub(crate) use self::provider_payments::{HeldPayment, ProviderPayments, RefundFate};
pub(crate) use self::samples::{context, deposit_request, own_acknowledgement, paid, update, usd};
pub(crate) use self::trading::{OnPost, TestTrading};

use self::clock::TestTasks;
use self::disk::TestDisk;
use self::provider::TestModules;
use self::trading::TradingPort;

pub(crate) const CUSTOMER: CustomerId = CustomerId(5);
pub(crate) const LOGIN: Login = Login(2_000_009);
/// Both are the customer's, and take deposits.
pub(crate) const LOGINS: [Login; 2] = [LOGIN, Login(2_000_012)];
pub(crate) const AMOUNT: i64 = 10_000;

/// Deposits per minute and customer where the published examples are tested; elsewhere there is no limit.
pub(crate) const DEPOSITS_PER_MINUTE: u32 = 30;

/// Webhooks per minute that may fail verification from one address; the requests of tests that do not set one have none.
pub(crate) const FAILED_NOTICES_PER_MINUTE: u32 = 5;

pub(crate) struct TestCashier {
    pub(crate) cashier: Arc<Cashier>,
    pub(crate) disk: Arc<TestDisk>,
    pub(crate) trading: Arc<TestTrading>,
    pub(crate) provider: Arc<TestProvider>,
    pub(crate) clock: Arc<TestClock>,
    entropy: Arc<TestEntropy>,
    tasks: Arc<TestTasks>,
    deposits_per_minute: u32,
    second_person: SecondPerson,
    /// None by default; a change counts from the next start.
    pub(crate) customer_limits: CustomerLimits,
}

impl TestCashier {
    /// One config that serves every account, under a clock that runs with tokio's.
    pub(crate) async fn new() -> Self {
        Self::with_configs(&[1]).await
    }

    pub(crate) async fn with_configs(ids: &[u64]) -> Self {
        Self::with_rows(ids.iter().map(|id| config(*id)).collect()).await
    }

    pub(crate) async fn with_rows(configs: Vec<ProviderConfig>) -> Self {
        Self::open(configs, TestClock::running(), 0).await
    }

    /// One sandbox config, and demo accounts.
    pub(crate) async fn sandbox() -> Self {
        let sandbox = ProviderConfig { sandbox: true, ..config(1) };
        let trading = Arc::new(TestTrading::default());
        trading.demo.store(true, Ordering::SeqCst);
        Self::open_beside(trading, vec![sandbox], TestClock::running(), 0).await
    }

    /// The configs of the published examples, under a clock that stands still.
    pub(crate) async fn published() -> Self {
        Self::open(provider::published_configs(), TestClock::default(), DEPOSITS_PER_MINUTE).await
    }

    /// The same where the settings ask for a second person.
    pub(crate) async fn with_second_person(second_person: SecondPerson) -> Self {
        let mut env = Self::published().await;
        env.ask_for_second_person(second_person).await;
        env
    }

    /// Starts again with settings that ask for one.
    pub(crate) async fn ask_for_second_person(&mut self, second_person: SecondPerson) {
        self.second_person = second_person;
        self.crash().await;
    }

    async fn open(configs: Vec<ProviderConfig>, clock: TestClock, deposits_per_minute: u32) -> Self {
        Self::open_beside(Arc::default(), configs, clock, deposits_per_minute).await
    }

    /// Over real databases: its books and postings are on disk, and the embedded server has them.
    pub(crate) async fn with_bases(ids: &[u64]) -> Self {
        Self::with_bases_and_rows(ids.iter().map(|id| config(*id)).collect()).await
    }

    pub(crate) async fn with_bases_and_rows(configs: Vec<ProviderConfig>) -> Self {
        let entropy = Arc::new(TestEntropy::default());
        let (trading, bases) = (TestTrading::default(), Arc::new(Bases::new(Arc::clone(&entropy))));
        trading.bases.get_or_init(|| Arc::clone(&bases));
        let disk = TestDisk::new(configs, Some(bases));
        Self::open_over(disk, Arc::new(trading), entropy, TestClock::running(), 0).await
    }

    async fn open_beside(
        trading: Arc<TestTrading>,
        configs: Vec<ProviderConfig>,
        clock: TestClock,
        deposits_per_minute: u32,
    ) -> Self {
        Self::open_over(TestDisk::new(configs, None), trading, Arc::default(), clock, deposits_per_minute).await
    }

    async fn open_over(
        disk: Arc<TestDisk>,
        trading: Arc<TestTrading>,
        entropy: Arc<TestEntropy>,
        clock: TestClock,
        deposits_per_minute: u32,
    ) -> Self {
        let provider = Arc::new(TestProvider::default());
        provider.expiry_seconds.store(86_400, Ordering::SeqCst);
        provider.window_seconds.store(86_400, Ordering::SeqCst);
        let clock = Arc::new(clock);
        let parts = (&disk, &trading, &provider, &clock, &entropy);
        let (second_person, customer_limits) = (SecondPerson::default(), CustomerLimits::default());
        let (cashier, tasks) = start(parts, deposits_per_minute, second_person, customer_limits).await;
        Self {
            cashier,
            disk,
            trading,
            provider,
            clock,
            entropy,
            tasks,
            deposits_per_minute,
            second_person,
            customer_limits,
        }
    }

    pub(crate) async fn crash(&mut self) {
        self.power_off().await;
        self.power_on().await;
    }

    pub(crate) async fn power_off(&self) {
        self.tasks.abort_all();
        self.disk.power_off();
        tokio::task::yield_now().await;
    }

    pub(crate) async fn power_on(&mut self) {
        let parts = (&self.disk, &self.trading, &self.provider, &self.clock, &self.entropy);
        let Self { deposits_per_minute, second_person, customer_limits, .. } = *self;
        (self.cashier, self.tasks) = start(parts, deposits_per_minute, second_person, customer_limits).await;
    }

    /// Lets the cashier run for this time.
    pub(crate) async fn run_for(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub(crate) fn deposit(&self, key: &str) -> impl Future<Output = Result<DepositOutcome, Refusal>> + Send + 'static {
        self.deposit_as(deposit_request(key))
    }

    pub(crate) fn deposit_as(
        &self,
        request: DepositRequest,
    ) -> impl Future<Output = Result<DepositOutcome, Refusal>> + Send + 'static {
        let (cashier, session) = (Arc::clone(&self.cashier), CustomerSession::assertion(request.customer_id, None));
        async move { deposit::deposit(&cashier, &session, request, context()).await }
    }

    /// Receives a notice with these updates, at one config's address or at the provider's common address.
    pub(crate) fn notice(
        &self,
        addressed: Option<u64>,
        updates: Vec<Update>,
    ) -> impl Future<Output = Result<WebhookOutcome, Refusal>> + Send + 'static {
        self.raw_notice(addressed, self.provider.notice_body(updates))
    }

    /// A body that is not of a notice is rejected as forged.
    pub(crate) fn raw_notice(
        &self,
        addressed: Option<u64>,
        body: String,
    ) -> impl Future<Output = Result<WebhookOutcome, Refusal>> + Send + 'static {
        self.receive(addressed, RawNotice { body: body.into(), ..self.request(provider::ANY_CONFIG) })
    }

    /// A notice that the gateway of this config alone verifies.
    pub(crate) fn notice_signed_by(
        &self,
        config: u64,
        addressed: Option<u64>,
        updates: Vec<Update>,
    ) -> impl Future<Output = Result<WebhookOutcome, Refusal>> + Send + 'static {
        let body = self.provider.notice_body(updates).into();
        self.receive(addressed, RawNotice { body, ..self.request(&format!("config {config}")) })
    }

    /// A request without a body.
    pub(crate) fn request(&self, signature: &str) -> RawNotice {
        RawNotice {
            method: "POST".into(),
            path: "/".into(),
            raw_query: Box::default(),
            content_type: Box::default(),
            headers: Arc::new([(provider::SIGNATURE.into(), signature.into())]),
            body: NoticeBody::default(),
            received_time: self.cashier.clock.wall(),
        }
    }

    pub(crate) fn receive(
        &self,
        addressed: Option<u64>,
        raw: RawNotice,
    ) -> impl Future<Output = Result<WebhookOutcome, Refusal>> + Send + 'static {
        self.receive_from("", addressed, raw)
    }

    /// The same from this address.
    pub(crate) fn receive_from(
        &self,
        ip: &str,
        addressed: Option<u64>,
        raw: RawNotice,
    ) -> impl Future<Output = Result<WebhookOutcome, Refusal>> + Send + 'static {
        let (cashier, context) = (Arc::clone(&self.cashier), RequestContext { ip: ip.into(), ..context() });
        async move { webhook::receive(&cashier, "stripe", addressed.map(ConfigId), raw, context).await }
    }

    /// Sets the provider's answer to status queries about this payment.
    pub(crate) fn on_query(&self, reference: &Reference, answer: QueryAnswer) {
        lock(&self.provider.query_answers).insert(reference.clone(), answer);
    }

    pub(crate) fn aggregate(&self, id: TransactionId) -> Aggregate {
        self.cashier.ledger.peek(|books| books.aggregate(id)).unwrap().expect("the transaction is in the books")
    }

    /// Every transaction, by id.
    pub(crate) fn aggregates(&self) -> Vec<Aggregate> {
        self.cashier.ledger.peek(|books| books.aggregates().collect()).unwrap()
    }

    /// Records a person's decision.
    pub(crate) async fn decide(&self, id: TransactionId, fact: PersonFact) {
        let (actor, now) = (Actor::Manager(ManagerId(3)), self.clock.now());
        let stamp = Stamp { actor, request_id: "test".into(), now };
        let decided = self.cashier.ledger.decide(&stamp, |draft| {
            let (known, at) = (draft.aggregate(id).unwrap(), draft.context());
            draft.add(known.decide(fact, at));
        });
        decided.unwrap().durable().await.unwrap();
    }

    pub(crate) fn status(&self, id: TransactionId) -> u8 {
        self.aggregate(id).transaction.status.number()
    }

    pub(crate) fn unsettled_operations(&self, id: TransactionId) -> usize {
        let unsettled = |status| matches!(status, OperationStatus::Planned | OperationStatus::Unknown);
        self.aggregate(id).operations.iter().filter(|known| unsettled(known.status)).count()
    }

    /// How many transactions have a status that is not final.
    pub(crate) fn unfinished(&self) -> usize {
        self.aggregates().iter().filter(|known| known.transaction.status.number() < 3).count()
    }
}

impl Drop for TestCashier {
    fn drop(&mut self) {
        self.tasks.abort_all();
        self.disk.power_off();
    }
}

type Parts<'p> =
    (&'p Arc<TestDisk>, &'p Arc<TestTrading>, &'p Arc<TestProvider>, &'p Arc<TestClock>, &'p Arc<TestEntropy>);

/// Starts a cashier over what is durable.
async fn start(
    parts: Parts<'_>,
    deposits_per_minute: u32,
    second_person: SecondPerson,
    customer_limits: CustomerLimits,
) -> (Arc<Cashier>, Arc<TestTasks>) {
    let (disk, trading, provider, clock, entropy) = parts;
    let tasks = Arc::new(TestTasks::default());
    let watermark = Arc::new(Watermark::new());
    let recorder = disk.power_on(Arc::clone(&watermark) as _, &*tasks);
    let (books, configuration) = disk.loaded().split();
    let ledger = Ledger::new(recorder, watermark, books, Admission::new(Admission::DEFAULT_LIMIT));
    let modules: Arc<dyn Modules> = Arc::new(TestModules(Arc::clone(provider)));
    let clock = Arc::new(GuardedClock::open(Arc::clone(clock) as _, Arc::clone(clock) as _));
    let now = clock.now();
    let money_modes = MoneyModes {
        allow_sandbox_credit: lock(&trading.allow_sandbox_credit).clone().into(),
        allow_live_on_demo: lock(&trading.allow_live_on_demo).clone().into(),
    };
    let snapshot = configure::initial_snapshot(&ledger, &*modules, configuration, money_modes, now).await;
    let ports = Ports {
        archive: disk.archive(),
        trading: Arc::new(TradingPort(Arc::clone(trading))),
        modules,
        clock: Arc::clone(&clock) as _,
        entropy: Arc::clone(entropy) as _,
        spawn: Arc::clone(&tasks) as _,
    };
    let (rights, refund_limits) = lock(&trading.rights).clone();
    let rules = Rules {
        rights,
        refund_limits,
        public_url: "https://pay.ion4.example".into(),
        webhook_patience: Rules::WEBHOOK_PATIENCE,
        deposits_per_minute,
        notices: NoticeRules::new(Some(FAILED_NOTICES_PER_MINUTE), true),
        customer_limits,
        second_person,
        return_hosts: lock(&trading.return_hosts).clone().into(),
        conversion: lock(&trading.conversion).clone(),
    };
    let cashier = flows::open(ledger, snapshot, ports, rules);
    ended_calls::take_over(&cashier).await;
    janitor::start(&cashier);
    tasks.background(Box::pin(async move {
        loop {
            clock.sleep(Duration::from_secs(5)).await;
            clock.observe();
        }
    }));
    (cashier, tasks)
}

pub(crate) fn lock<T>(cell: &Mutex<T>) -> MutexGuard<'_, T> {
    cell.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
