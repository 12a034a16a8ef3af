//! A whole cashier over memory: a disk that can be slow or fail, a trading server, a provider and its gateway that do what
//! a test says, a clock that runs when everybody waits. Time is tokio's, paused; randomness is counted. A crash cuts
//! every flow at the await it stands at and opens a new cashier over what was on disk.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use cashier_core::aggregate::Aggregate;
use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, CustomerId, Login, Reference, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;
use cashier_core::status::{OperationStatus, ProviderStatus};
use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use super::disk::Disk;
use super::provider::{Provider, Shelf, config};
use super::trading::{Trading, TradingPort};
use crate::flows::deposit::{self, DepositOutcome};
use crate::flows::webhook::{self, WebhookOutcome};
use crate::flows::{Cashier, Ports, RequestContext, Rules, configure, janitor};
use crate::ledger::{Admission, Ledger, Watermark};
use crate::ports::{Clock, Entropy, Loaded, Modules, QueryAnswer, RawNotice, Spawn};

pub(super) const CUSTOMER: CustomerId = CustomerId(5);
pub(super) const LOGIN: Login = Login(1001);
pub(super) const AMOUNT: i64 = 10_000;

pub(super) fn lock<T>(cell: &Mutex<T>) -> MutexGuard<'_, T> {
    cell.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(super) fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("USD").unwrap())
}

/// Wall time is tokio's paused time with a skew that a test may change.
pub(super) struct Hands {
    started: tokio::time::Instant,
    skew: AtomicI64,
}

impl Hands {
    pub(super) fn jump(&self, seconds: i64) {
        self.skew.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> UnixTime {
        UnixTime(1_795_160_000 + self.started.elapsed().as_secs() as i64 + self.skew.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(length))
    }
}

struct Counted(AtomicU64);

impl Entropy for Counted {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 30
    }
}

/// Flows and residents that a crash cuts.
#[derive(Default)]
pub(super) struct Threads(Mutex<JoinSet<()>>);

impl Threads {
    fn cut(&self) {
        lock(&self.0).abort_all();
    }
}

impl Spawn for Threads {
    fn spawn(&self, flow: BoxFuture<'static, ()>) {
        lock(&self.0).spawn(flow);
    }

    fn resident(&self, task: BoxFuture<'static, ()>) {
        lock(&self.0).spawn(task);
    }
}

/// One status update without reference or ids.
pub(super) fn update(event_id: &str, status: ProviderStatus) -> Update {
    Update {
        event_id: event_id.into(),
        reference: None,
        refs: Vec::new(),
        status,
        payment_id: Box::default(),
        amount: None,
        refund: None,
        dispute: None,
        raw_status: status.word().into(),
        reason: Box::default(),
        sandbox: None,
        advance: false,
    }
}

/// A full confirmation of payment `pay_1`.
pub(super) fn paid(event_id: &str, reference: &Reference) -> Update {
    Update {
        reference: Some(reference.clone()),
        payment_id: "pay_1".into(),
        amount: Some(StatedAmount::Exact(usd(AMOUNT))),
        ..update(event_id, ProviderStatus::Confirmed)
    }
}

pub(super) fn request(key: &str) -> DepositRequest {
    DepositRequest {
        customer_id: CUSTOMER,
        login: LOGIN,
        provider: "acme".into(),
        method: Box::default(),
        provider_config_id: None,
        amount: usd(AMOUNT),
        idempotency_key: key.into(),
        success_url: Box::default(),
        failure_url: Box::default(),
        comment: Box::default(),
        metadata_json: "{}".into(),
    }
}

fn context() -> RequestContext {
    RequestContext { request_id: "test".into(), ip: Box::default(), locale: Box::default() }
}

/// Everything around one cashier.
pub(super) struct World {
    pub(super) cashier: Arc<Cashier>,
    pub(super) disk: Arc<Disk>,
    pub(super) trading: Arc<Trading>,
    pub(super) provider: Arc<Provider>,
    pub(super) clock: Arc<Hands>,
    entropy: Arc<Counted>,
    threads: Arc<Threads>,
}

impl World {
    /// A cashier with one config, a day to pay, and a day of idempotency at the provider.
    pub(super) async fn new() -> Self {
        Self::with_configs(&[1]).await
    }

    pub(super) async fn with_configs(ids: &[u64]) -> Self {
        let provider = Arc::new(Provider::default());
        provider.expiry_seconds.store(86_400, Ordering::SeqCst);
        provider.window_seconds.store(86_400, Ordering::SeqCst);
        let clock = Arc::new(Hands { started: tokio::time::Instant::now(), skew: AtomicI64::new(0) });
        let disk = Disk::new(ids.iter().map(|id| config(*id)).collect());
        let (trading, entropy) = (Arc::new(Trading::default()), Arc::new(Counted(AtomicU64::new(1))));
        let (cashier, threads) = open(&disk, &trading, &provider, &clock, &entropy).await;
        Self { cashier, disk, trading, provider, clock, entropy, threads }
    }

    /// Cuts everything where it stands and opens a new cashier over what is on disk.
    pub(super) async fn crash(&mut self) {
        self.threads.cut();
        self.disk.power_off();
        tokio::task::yield_now().await;
        let parts = (&self.disk, &self.trading, &self.provider, &self.clock, &self.entropy);
        (self.cashier, self.threads) = open(parts.0, parts.1, parts.2, parts.3, parts.4).await;
    }

    /// Lets the cashier do what it does in this time.
    pub(super) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub(super) fn deposit(&self, key: &str) -> impl Future<Output = Result<DepositOutcome, Refusal>> + Send + 'static {
        let (cashier, request) = (Arc::clone(&self.cashier), request(key));
        async move { deposit::deposit(&cashier, &CustomerSession::assertion(CUSTOMER, None), request, context()).await }
    }

    /// A notice with these updates, to one config or to the provider's common address.
    pub(super) fn notice(
        &self,
        addressed: Option<u64>,
        updates: Vec<Update>,
    ) -> impl Future<Output = Result<WebhookOutcome, Refusal>> + Send + 'static {
        let number = {
            let mut notices = lock(&self.provider.notices);
            let known = notices.iter().position(|known| *known == updates);
            known.unwrap_or_else(|| {
                notices.push(updates);
                notices.len() - 1
            })
        };
        self.raw_notice(addressed, number.to_string())
    }

    pub(super) fn raw_notice(
        &self,
        addressed: Option<u64>,
        body: String,
    ) -> impl Future<Output = Result<WebhookOutcome, Refusal>> + Send + 'static {
        let cashier = Arc::clone(&self.cashier);
        let raw = RawNotice {
            method: "POST".into(),
            path: "/".into(),
            raw_query: Box::default(),
            content_type: Box::default(),
            headers: Arc::new([]),
            body: Bytes::from(body),
            received_time: cashier.clock.now(),
        };
        async move { webhook::receive(&cashier, "acme", addressed.map(ConfigId), raw, context()).await }
    }

    /// A transaction as the cashier sees it.
    pub(super) fn known(&self, id: TransactionId) -> Aggregate {
        self.cashier.ledger.peek(|books| books.aggregate(id)).unwrap().expect("the transaction is in the books")
    }

    pub(super) fn status(&self, id: TransactionId) -> u8 {
        self.known(id).transaction.status.number()
    }

    pub(super) fn unsettled_operations(&self, id: TransactionId) -> usize {
        let unsettled = |status| matches!(status, OperationStatus::Planned | OperationStatus::Unknown);
        self.known(id).operations.iter().filter(|known| unsettled(known.status)).count()
    }

    /// How many provider deposits stand at each status that is not the end.
    pub(super) fn unended(&self) -> [(u8, usize); 3] {
        let count = |status| {
            let last = self.cashier.ledger.peek(|books| books.counters().transaction).unwrap();
            (1..=last).filter(|id| self.status(TransactionId(*id)) == status).count()
        };
        [0, 1, 2].map(|status| (status, count(status)))
    }

    /// What the provider answers when it is asked about this payment.
    pub(super) fn answers(&self, reference: &Reference, answer: QueryAnswer) {
        lock(&self.provider.states).insert(reference.clone(), answer);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.threads.cut();
        self.disk.power_off();
    }
}

async fn open(
    disk: &Arc<Disk>,
    trading: &Arc<Trading>,
    provider: &Arc<Provider>,
    clock: &Arc<Hands>,
    entropy: &Arc<Counted>,
) -> (Arc<Cashier>, Arc<Threads>) {
    let threads = Arc::new(Threads::default());
    let watermark = Arc::new(Watermark::new());
    let recorder = disk.power_on(Arc::clone(&watermark) as _, &*threads);
    let Loaded { books, configs, .. } = disk.loaded();
    let ledger = Ledger::new(recorder, watermark, books, Admission::new(Admission::DEFAULT_LIMIT));
    let modules: Arc<dyn Modules> = Arc::new(Shelf(Arc::clone(provider)));
    let now = clock.now();
    let snapshot = configure::initial_snapshot(&ledger, &*modules, configs, Vec::new(), Arc::default(), now).await;
    let ports = Ports {
        archive: Arc::clone(disk) as _,
        trading: Arc::new(TradingPort(Arc::clone(trading))),
        modules,
        clock: Arc::clone(clock) as _,
        entropy: Arc::clone(entropy) as _,
        spawn: Arc::clone(&threads) as _,
    };
    let rules = Rules {
        public_url: "https://cashier.example".into(),
        webhook_patience: Rules::WEBHOOK_PATIENCE,
        deposits_per_minute: 0,
    };
    let cashier = crate::flows::open(ledger, snapshot, ports, rules);
    janitor::start(&cashier);
    (cashier, threads)
}
