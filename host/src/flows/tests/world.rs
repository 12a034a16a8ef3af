//! A whole house over memory: a disk that can be slow or fail, a trading server, a provider and its gateway that do what
//! a test says, a clock that runs when everybody waits. Time is tokio's, paused; randomness is counted. A crash cuts
//! every flow at the await it stands at and opens a new house over what was on disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::aggregate::{Aggregate, CreateEnding};
use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, CustomerId, Login, OperationId, Reference, TransactionId};
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::notice::{Listener, Stated, Update};
use cashier_core::operation::PostingOutcome;
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refs::ProviderRef;
use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;
use cashier_core::status::{OperationStatus, ProviderStatus};
use cashier_core::time::UnixTime;
use cashier_core::transaction::NextAction;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use super::disk::Disk;
use crate::flows::deposit::{self, DepositOutcome};
use crate::flows::webhook::{self, WebhookOutcome};
use crate::flows::{Asking, House, Ports, Rules, configure, janitor};
use crate::ledger::{Admission, Board, Ledger};
use crate::ports::{
    CatalogLine, Clock, CreateAnswer, Durable, Entropy, Fault, Gateway, Modules, Order, PaymentQuery, Posting,
    QueryAnswer, RawNotice, Spawn, TradingServer, Verdict,
};

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

/// What the trading server does with the next posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Post {
    Fine,
    /// Posted; the answer is lost.
    Silent,
    /// Never arrives.
    Lost,
    Refuse,
    /// Posted after this many seconds.
    Slow(u64),
}

/// Balances by the operations posted; survives crashes.
#[derive(Default)]
pub(super) struct Trading {
    pub(super) posted: Mutex<Vec<(OperationId, TransactionId, i64)>>,
    refused: Mutex<BTreeMap<OperationId, ()>>,
    pub(super) script: Mutex<VecDeque<Post>>,
    pub(super) unkeyed: AtomicBool,
}

impl Trading {
    pub(super) fn balance(&self) -> i64 {
        lock(&self.posted).iter().map(|(_, _, minor)| minor).sum()
    }

    pub(super) fn credited(&self, id: TransactionId) -> i64 {
        lock(&self.posted).iter().filter(|(_, of, _)| *of == id).map(|(_, _, minor)| minor).sum()
    }

    fn take(&self, posting: &Posting) -> PostingOutcome {
        let operation = &posting.operation;
        if !self.unkeyed.load(Ordering::SeqCst)
            && let Some(known) = self.known(operation.id)
        {
            return known;
        }
        let mut posted = lock(&self.posted);
        posted.push((operation.id, operation.transaction_id, operation.amount.minor));
        PostingOutcome::Posted { trade_order: posted.len() as u64 }
    }

    fn known(&self, id: OperationId) -> Option<PostingOutcome> {
        let place = lock(&self.posted).iter().position(|(known, ..)| *known == id);
        let refused = lock(&self.refused).contains_key(&id);
        let refused = refused.then(|| PostingOutcome::Refused { reason: "NO".into() });
        place.map(|place| PostingOutcome::Posted { trade_order: place as u64 + 1 }).or(refused)
    }
}

pub(super) struct TradingPort(pub(super) Arc<Trading>);

impl TradingServer for TradingPort {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        let customer = Customer {
            customer_id: CUSTOMER,
            country: "DE".into(),
            brand: "main".into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        };
        let group = Group {
            group: "real".into(),
            brand: "main".into(),
            currency: usd(0).currency,
            account_mode: AccountMode::Real,
            enabled: true,
        };
        let balance = usd(self.0.balance());
        let account = Account { login, customer_id: CUSTOMER, group: "real".into(), enabled: true, balance };
        let found = (login == LOGIN).then_some(AccountFacts { customer, account, group });
        Box::pin(std::future::ready(Ok(found)))
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostingOutcome> {
        let trading = Arc::clone(&self.0);
        let next = lock(&trading.script).pop_front().unwrap_or(Post::Fine);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            match next {
                Post::Fine => trading.take(posting.get()),
                Post::Lost => PostingOutcome::Unknown,
                Post::Refuse => {
                    lock(&trading.refused).insert(posting.get().operation.id, ());
                    PostingOutcome::Refused { reason: "NO".into() }
                }
                Post::Silent => {
                    trading.take(posting.get());
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    PostingOutcome::Unknown
                }
                Post::Slow(seconds) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    trading.take(posting.get())
                }
            }
        })
    }

    fn find(&self, id: OperationId) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        Box::pin(std::future::ready(Ok(self.0.known(id))))
    }

    fn keyed_by_operation(&self) -> bool {
        !self.0.unkeyed.load(Ordering::SeqCst)
    }
}

/// What the provider does with the next create call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Create {
    Redirect,
    /// Taken after this many seconds.
    Slow(u64),
    /// Taken; the answer is lost.
    Silent,
    NeverSent,
    Decline,
}

/// A provider with what tests make it say; survives crashes.
#[derive(Default)]
pub(super) struct Provider {
    pub(super) creates: Mutex<VecDeque<Create>>,
    /// References in the order the provider was told them, repeats included.
    pub(super) told: Mutex<Vec<Reference>>,
    /// What a query answers, by our reference.
    pub(super) states: Mutex<BTreeMap<Reference, QueryAnswer>>,
    pub(super) cancel: Mutex<Option<QueryAnswer>>,
    pub(super) advance: Mutex<Option<QueryAnswer>>,
    pub(super) queries: AtomicU64,
    pub(super) advances: AtomicU64,
    pub(super) cancels: AtomicU64,
    /// The updates of each notice; a notice's body is its number.
    notices: Mutex<Vec<Vec<Update>>>,
    /// Configs whose module is not working.
    pub(super) broken: Mutex<Vec<ConfigId>>,
    /// Configs whose gateways find nothing genuine.
    pub(super) deaf: Mutex<Vec<ConfigId>>,
    pub(super) expiry_seconds: AtomicI64,
    pub(super) window_seconds: AtomicI64,
    /// Configs that have no gateway.
    pub(super) unloaded: Mutex<Vec<ConfigId>>,
}

impl Provider {
    pub(super) fn told(&self) -> usize {
        lock(&self.told).len()
    }
}

struct Line {
    listener: Listener,
    provider: Arc<Provider>,
}

impl Gateway for Line {
    fn listener(&self) -> &Listener {
        &self.listener
    }

    fn expiry_seconds(&self) -> i64 {
        self.provider.expiry_seconds.load(Ordering::SeqCst)
    }

    fn idempotency_window_seconds(&self) -> i64 {
        self.provider.window_seconds.load(Ordering::SeqCst)
    }

    fn create(&self, order: Durable<Arc<Order>>) -> BoxFuture<'static, CreateAnswer> {
        let provider = Arc::clone(&self.provider);
        let next = lock(&provider.creates).pop_front().unwrap_or(Create::Redirect);
        let reference = order.get().reference.clone();
        Box::pin(async move {
            let answer = |ending, url: &str| CreateAnswer {
                ending,
                update: None,
                refs: vec![ProviderRef::new("session", &format!("cs_{reference}"))],
                redirect_url: url.into(),
                instructions_json: Box::default(),
                provider_time: Duration::ZERO,
            };
            let wait = if let Create::Slow(seconds) = next { seconds * 1000 } else { 20 };
            if next != Create::NeverSent {
                lock(&provider.told).push(reference.clone());
            }
            tokio::time::sleep(Duration::from_millis(wait)).await;
            match next {
                Create::Redirect | Create::Slow(_) => {
                    answer(CreateEnding::Accepted(NextAction::Redirect), "https://pay.example/")
                }
                Create::Silent => {
                    let mut silent = answer(CreateEnding::Unknown, "");
                    silent.refs.clear();
                    silent
                }
                Create::NeverSent => {
                    let mut unsent = answer(CreateEnding::NeverSent { reason: "unreachable".into() }, "");
                    unsent.refs.clear();
                    unsent
                }
                Create::Decline => answer(CreateEnding::Declined { reason: "no".into() }, ""),
            }
        })
    }

    fn verify(&self, notice: &RawNotice, _offline: bool) -> BoxFuture<'static, Verdict> {
        let number: usize = std::str::from_utf8(&notice.body).unwrap_or_default().parse().unwrap_or(usize::MAX);
        let config = self.listener.config_id;
        let verdict = if lock(&self.provider.broken).contains(&config) {
            Verdict::NotWorking("stuck".to_owned())
        } else if lock(&self.provider.deaf).contains(&config) {
            Verdict::NotGenuine("another's signature".to_owned())
        } else {
            match lock(&self.provider.notices).get(number) {
                Some(updates) => Verdict::Genuine { updates: updates.clone(), acknowledgement: None },
                None => Verdict::NotGenuine("forged".to_owned()),
            }
        };
        Box::pin(std::future::ready(verdict))
    }

    fn query(&self, payment: PaymentQuery) -> BoxFuture<'static, QueryAnswer> {
        self.provider.queries.fetch_add(1, Ordering::SeqCst);
        let known = lock(&self.provider.states).get(&payment.reference).cloned();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(15)).await;
            known.unwrap_or(QueryAnswer::Unsupported)
        })
    }

    fn advance(&self, _payment: Durable<PaymentQuery>) -> BoxFuture<'static, QueryAnswer> {
        self.provider.advances.fetch_add(1, Ordering::SeqCst);
        let answer = lock(&self.provider.advance).clone().unwrap_or(QueryAnswer::Unsupported);
        Box::pin(std::future::ready(answer))
    }

    fn cancel(&self, _payment: Durable<PaymentQuery>) -> BoxFuture<'static, QueryAnswer> {
        self.provider.cancels.fetch_add(1, Ordering::SeqCst);
        let answer = lock(&self.provider.cancel).clone().unwrap_or(QueryAnswer::Unsupported);
        Box::pin(std::future::ready(answer))
    }
}

struct Shelf(Arc<Provider>);

impl Modules for Shelf {
    fn catalog(&self) -> Arc<[CatalogLine]> {
        Arc::new([CatalogLine {
            code: "acme".into(),
            name: "Acme".into(),
            description: Box::default(),
            payment_mode: "redirect".into(),
            methods: vec!["card".into()],
            module_name: "acme".into(),
            path: Box::default(),
            api_version: "1.0".into(),
            available: true,
            failure_reason: Box::default(),
            generation: 1,
            isolation: "in-process".into(),
            health: "ok".into(),
            sha256: Box::default(),
            brands: None,
            endpoint_settings: Vec::new(),
            secret_settings: Vec::new(),
        }])
    }

    fn validate(&self, _config: &ProviderConfig) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        })
    }

    fn open_gateway(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<Arc<dyn Gateway>, String>> {
        if lock(&self.0.unloaded).contains(&config.id) {
            return Box::pin(std::future::ready(Err("not loaded".to_owned())));
        }
        let line = Line { listener: listener(config.id), provider: Arc::clone(&self.0) };
        Box::pin(std::future::ready(Ok(Arc::new(line) as Arc<dyn Gateway>)))
    }
}

pub(super) fn listener(config_id: ConfigId) -> Listener {
    Listener {
        config_id,
        provider: "acme".into(),
        brand: Box::default(),
        sandbox: false,
        primary_ref_kind: "payment".into(),
        module_hash: "ab".into(),
    }
}

pub(super) fn config(id: u64) -> ProviderConfig {
    ProviderConfig {
        id: ConfigId(id),
        provider: "acme".into(),
        brand: Box::default(),
        method: Box::default(),
        country: Box::default(),
        currency: Box::default(),
        merchant_id: Box::default(),
        public_key: Box::default(),
        secret_key: Secret::new("sk"),
        webhook_secret: Secret::new("wh"),
        replaced_webhook_secrets: Vec::new(),
        settings_json: "{}".into(),
        config_json: Secret::default(),
        min_amount: Limit::NONE,
        max_amount: Limit::NONE,
        sandbox: false,
        enabled: true,
        sort_index: 0,
        created_time: UnixTime(1),
        updated_time: UnixTime(1),
        version: 1,
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
        amount: Some(Stated::Exact(usd(AMOUNT))),
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

fn asking() -> Asking {
    Asking { request_id: "test".into(), ip: Box::default(), locale: Box::default() }
}

/// Everything around one house.
pub(super) struct World {
    pub(super) house: Arc<House>,
    pub(super) disk: Arc<Disk>,
    pub(super) trading: Arc<Trading>,
    pub(super) provider: Arc<Provider>,
    pub(super) clock: Arc<Hands>,
    entropy: Arc<Counted>,
    threads: Arc<Threads>,
}

impl World {
    /// A house with one config, a day to pay, and a day of idempotency at the provider.
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
        let (house, threads) = open(&disk, &trading, &provider, &clock, &entropy).await;
        Self { house, disk, trading, provider, clock, entropy, threads }
    }

    /// Cuts everything where it stands and opens a new house over what is on disk.
    pub(super) async fn crash(&mut self) {
        self.threads.cut();
        self.disk.power_off();
        tokio::task::yield_now().await;
        let parts = (&self.disk, &self.trading, &self.provider, &self.clock, &self.entropy);
        (self.house, self.threads) = open(parts.0, parts.1, parts.2, parts.3, parts.4).await;
    }

    /// Lets the house do what it does in this time.
    pub(super) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub(super) fn deposit(&self, key: &str) -> impl Future<Output = Result<DepositOutcome, Refusal>> + Send + 'static {
        let (house, request) = (Arc::clone(&self.house), request(key));
        async move { deposit::deposit(&house, &CustomerSession::assertion(CUSTOMER, None), request, asking()).await }
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
        let house = Arc::clone(&self.house);
        let raw = RawNotice {
            method: "POST".into(),
            path: "/".into(),
            raw_query: Box::default(),
            content_type: Box::default(),
            headers: Arc::new([]),
            body: Bytes::from(body),
            received_time: house.clock.now(),
        };
        async move { webhook::receive(&house, "acme", addressed.map(ConfigId), raw, asking()).await }
    }

    /// A transaction as the house sees it.
    pub(super) fn known(&self, id: TransactionId) -> Aggregate {
        self.house.ledger.glance(|books| books.aggregate(id)).unwrap().expect("the transaction is in the books")
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
            let last = self.house.ledger.glance(|books| books.counters().transaction).unwrap();
            (1..=last).filter(|id| self.status(TransactionId(*id)) == status).count()
        };
        [0, 1, 2].map(|status| (status, count(status)))
    }

    /// What the provider answers when it is asked about this payment.
    pub(super) fn answers(&self, reference: &Reference, answer: QueryAnswer) {
        lock(&self.provider.states).insert(reference.clone(), answer);
    }
}

async fn open(
    disk: &Arc<Disk>,
    trading: &Arc<Trading>,
    provider: &Arc<Provider>,
    clock: &Arc<Hands>,
    entropy: &Arc<Counted>,
) -> (Arc<House>, Arc<Threads>) {
    let threads = Arc::new(Threads::default());
    let board = Arc::new(Board::new());
    let recorder = disk.power_on(Arc::clone(&board) as _, &*threads);
    let loaded = disk.loaded();
    let ledger = Ledger::new(recorder, board, loaded, Admission::new(Admission::DEFAULT_LIMIT));
    let modules: Arc<dyn Modules> = Arc::new(Shelf(Arc::clone(provider)));
    let now = clock.now();
    let picture = configure::first_picture(&ledger, &*modules, disk.configs(), Vec::new(), Arc::default(), now).await;
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
    let house = House::new(ledger, picture, ports, rules);
    janitor::start(&house);
    (house, threads)
}
