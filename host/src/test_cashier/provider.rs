//! The provider of the test cashier, its module and its gateways. A test scripts what they accept, verify and answer.

use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::ids::{ConfigId, Reference};
use cashier_core::money::Limit;
use cashier_core::notice::{Reach, ReceivingConfig, RefundStatement, StatedAmount, UnreadableNotice, Update};
use cashier_core::provider_call::{CallOutcome, CallPurpose, ProviderCall};
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refs::ProviderRef;
use cashier_core::refund::{PaymentAbilities, RefundAnswer};
use cashier_core::status::ProviderStatus;
use cashier_core::time::UnixTime;
use cashier_core::transaction::NextAction;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::clock::TestClock;
use super::{ProviderPayments, RefundFate, lock};
use crate::flows::SMALL_NOTICE_LENGTH_MAX;
use crate::ports::{
    Acknowledgement, Called, CatalogLine, CreateAnswer, Durable, EndedCalls, Gateway, ModuleDeclaration, ModuleHealth,
    ModuleSetting, Modules, Order, OrderCheck, PaymentQuery, QueryAnswer, RawNotice, RefundQuery, Verdict,
};

/// What the provider does with the next create call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OnCreate {
    Redirect,
    /// Accepted after this many seconds.
    Slow(u64),
    /// Accepted, and the answer is lost.
    AnswerLost,
    /// Accepted, and the module cannot read the answer.
    Unreadable,
    NeverSent,
    Decline,
    /// As that, three seconds later.
    Late(Box<OnCreate>),
}

/// What the provider does with the next refund call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OnRefund {
    /// Done, and stated under our own id.
    Done,
    /// Accepted; a notice will state the result.
    Accepted,
    Decline,
    /// Done, and the answer is lost.
    AnswerLost,
    /// Lost on the way to the provider, which is not known.
    Lost,
    NotSent,
    /// Accepted, and failed at once.
    Failed,
    /// The answer comes after this many seconds.
    Slow(u64),
    /// It is declined after this many seconds.
    DeclineSlowly(u64),
}

/// How long a call to a provider takes that cannot be reached.
const UNREACHABLE_MS: u64 = 30_000;

/// The header that a gateway verifies: `config <id>`, or [`ANY_CONFIG`].
pub(super) const SIGNATURE: &str = "x-signature";

/// A signature that the gateway of every config accepts.
pub(super) const ANY_CONFIG: &str = "any config";

/// Survives crashes of the cashier.
#[derive(Default)]
pub(crate) struct TestProvider {
    pub(crate) next_creates: Mutex<VecDeque<OnCreate>>,
    /// The orders that arrived, repeats included.
    pub(crate) orders: Mutex<Vec<Arc<Order>>>,
    /// Answers to status queries, by our reference.
    pub(crate) query_answers: Mutex<BTreeMap<Reference, QueryAnswer>>,
    pub(crate) cancel_answer: Mutex<Option<QueryAnswer>>,
    pub(crate) advance_answer: Mutex<Option<QueryAnswer>>,
    /// What the module says about orders before they exist; passed unless a test says otherwise.
    pub(crate) check_answer: Mutex<Option<OrderCheck>>,
    /// The orders that were checked.
    pub(crate) checked: Mutex<Vec<Order>>,
    /// Currencies of the module's descriptor; empty takes every one.
    pub(crate) currencies: Mutex<Vec<Box<str>>>,
    /// In place of the catalog's one line.
    pub(crate) catalog: Mutex<Option<Vec<CatalogLine>>>,
    pub(crate) next_refunds: Mutex<VecDeque<OnRefund>>,
    /// What it has of each payment, where the test lets it keep count: queries, cancellations and refunds are answered by that.
    pub(crate) payments: Mutex<Option<ProviderPayments>>,
    /// The refund calls that were made, repeats included.
    pub(crate) refunds: Mutex<Vec<RefundQuery>>,
    /// Our ids of the refunds that were made.
    pub(crate) refunded: Mutex<Vec<Box<str>>>,
    /// What the module lacks, where it lacks any of it.
    pub(crate) abilities: Mutex<Option<PaymentAbilities>>,
    pub(crate) queries: AtomicU64,
    pub(crate) advances: AtomicU64,
    pub(crate) cancels: AtomicU64,
    notices: Mutex<Vec<Vec<Update>>>,
    /// Which gateway verified which body, by its place in memory.
    pub(crate) tries: Mutex<Vec<(ConfigId, usize)>>,
    /// How long a gateway takes to verify a body of more than 64 KiB, and how many do at one time, now and at most.
    pub(crate) slow_large_ms: AtomicU64,
    /// How long it takes to verify a smaller one, and one of any length with the provider.
    pub(crate) slow_small_ms: AtomicU64,
    pub(crate) slow_network_ms: AtomicU64,
    /// How many were verified with the provider.
    pub(crate) network_tries: AtomicU64,
    pub(crate) large_now: AtomicU64,
    pub(crate) large_most: AtomicU64,
    /// What the loaded build reads of notices that begin with `unreadable`: nothing, unless it is here.
    pub(crate) understood: Mutex<BTreeMap<String, Vec<Update>>>,
    /// The hash of the module's build in gateways that open from now on; `ab` unless a test sets it.
    pub(crate) build: Mutex<String>,
    pub(crate) acknowledgement: Mutex<Option<Acknowledgement>>,
    /// The provider's own id of the next notices.
    pub(crate) notice_event_id: Mutex<Box<str>>,
    /// Configs whose module does not work.
    pub(crate) not_working: Mutex<Vec<ConfigId>>,
    /// So many of the next notices are not verified, because their module does not answer in time.
    pub(crate) stuck_tries: AtomicU64,
    /// Configs whose provider cannot be reached: a call to it ends after half a minute without an answer, and so does
    /// opening the gateway. Their module's health is degraded.
    pub(crate) unreachable: Mutex<Vec<ConfigId>>,
    /// Configs whose gateway does not open.
    pub(crate) not_loaded: Mutex<Vec<ConfigId>>,
    /// What the next start finds.
    pub(crate) ended_calls: Mutex<EndedCalls>,
    /// When each answer's one request was sent, where the test logs requests.
    pub(crate) called_at: Mutex<Option<UnixTime>>,
    /// plugins.toml disables the module from the next start on.
    pub(crate) is_disabled: AtomicBool,
    pub(crate) expiry_seconds: AtomicI64,
    pub(crate) window_seconds: AtomicI64,
}

impl TestProvider {
    /// References of the orders that arrived, repeats included.
    pub(crate) fn references(&self) -> Vec<Reference> {
        lock(&self.orders).iter().map(|order| order.reference.clone()).collect()
    }

    /// The body of a notice with these updates: its number.
    pub(crate) fn notice_body(&self, updates: Vec<Update>) -> String {
        let mut notices = lock(&self.notices);
        let known = notices.iter().position(|known| *known == updates);
        let number = known.unwrap_or_else(|| {
            notices.push(updates);
            notices.len() - 1
        });
        number.to_string()
    }

    /// An answer with the one request that it took, where the test logs requests.
    fn called<T>(&self, purpose: CallPurpose, answer: T) -> Called<T> {
        let (method, host, outcome) = ("POST".into(), "api.stripe.test".into(), CallOutcome::Answered);
        let at = *lock(&self.called_at);
        let call = |at| ProviderCall { at, purpose, method, host, status: 200, duration_ms: 20, outcome };
        Called { answer, calls: at.map(call).into_iter().collect() }
    }

    fn accept(&self, order: &Arc<Order>) -> String {
        let mut orders = lock(&self.orders);
        orders.push(Arc::clone(order));
        let first = orders.iter().position(|known| known.reference == order.reference).unwrap();
        // The first one is the id of the published examples.
        format!("pi_{}", 123 + first)
    }
}

struct TestGateway {
    receiver: ReceivingConfig,
    provider: Arc<TestProvider>,
}

impl Gateway for TestGateway {
    fn receiver(&self) -> &ReceivingConfig {
        &self.receiver
    }

    fn expiry_seconds(&self) -> i64 {
        self.provider.expiry_seconds.load(Ordering::SeqCst)
    }

    fn idempotency_window_seconds(&self) -> i64 {
        self.provider.window_seconds.load(Ordering::SeqCst)
    }

    fn check_order(&self, order: &Order) -> BoxFuture<'static, OrderCheck> {
        lock(&self.provider.checked).push(order.clone());
        let answer = lock(&self.provider.check_answer).clone();
        Box::pin(ready(answer.unwrap_or(OrderCheck::Passed)))
    }

    fn create(&self, order: Durable<Arc<Order>>) -> BoxFuture<'static, Called<CreateAnswer>> {
        let provider = Arc::clone(&self.provider);
        let next = lock(&provider.next_creates).pop_front().unwrap_or(OnCreate::Redirect);
        let (next, late) = match next {
            _ if lock(&provider.unreachable).contains(&self.receiver.config_id) => {
                (OnCreate::AnswerLost, UNREACHABLE_MS)
            }
            OnCreate::Late(next) => (*next, 3_000),
            next => (next, 0),
        };
        Box::pin(async move {
            let id = if next == OnCreate::NeverSent { String::new() } else { provider.accept(order.get()) };
            let wait = if let OnCreate::Slow(seconds) = next { seconds * 1000 } else { 20 };
            tokio::time::sleep(Duration::from_millis(late + wait)).await;
            let unreadable = next == OnCreate::Unreadable;
            let (ending, has_id) = match next {
                OnCreate::Redirect | OnCreate::Slow(_) | OnCreate::Late(_) => {
                    (CreateEnding::Accepted(NextAction::Redirect), true)
                }
                OnCreate::AnswerLost | OnCreate::Unreadable => (CreateEnding::Unknown, false),
                OnCreate::NeverSent => (CreateEnding::NeverSent { reason: "CANARY unreachable".into() }, false),
                OnCreate::Decline => (CreateEnding::Declined { reason: "CANARY do_not_honor".into() }, true),
            };
            let accepted = matches!(ending, CreateEnding::Accepted(_));
            let answer = CreateAnswer {
                ending,
                update: None,
                refs: has_id.then(|| ProviderRef::new("payment_intent", &id)).into_iter().collect(),
                redirect_url: if accepted { "https://pay.example/c/1".into() } else { Box::default() },
                instructions_json: Box::default(),
                unreadable: if unreadable { "no id at /id".into() } else { Box::default() },
                provider_time: Duration::ZERO,
            };
            provider.called(CallPurpose::Create, answer)
        })
    }

    fn verify(&self, notice: &RawNotice, offline: bool) -> BoxFuture<'static, Called<Verdict>> {
        let config = self.receiver.config_id;
        lock(&self.provider.tries).push((config, notice.body.as_ptr() as usize));
        let own = format!("config {config}");
        let signed =
            notice.headers.iter().any(|(name, value)| &**name == SIGNATURE && [ANY_CONFIG, &own].contains(&&**value));
        // A notice without a body has its content in the query.
        let body = if notice.body.is_empty() { notice.raw_query.as_bytes() } else { &notice.body[..] };
        let body = String::from_utf8_lossy(body).into_owned();
        let (over_network, number) = match body.strip_prefix("network ") {
            Some(number) => (true, number),
            None => (false, &*body),
        };
        let number = number.parse::<usize>().ok();
        let updates = number.and_then(|number| lock(&self.provider.notices).get(number).cloned());
        let updates = updates.or_else(|| lock(&self.provider.understood).get(&body).cloned());
        let acknowledgement = lock(&self.provider.acknowledgement).clone();
        let verdict = match updates {
            _ if lock(&self.provider.not_working).contains(&config) => Verdict::NotWorking("stuck".to_owned()),
            _ if take_one(&self.provider.stuck_tries) => Verdict::NotWorking("stuck once".to_owned()),
            _ if over_network && offline => Verdict::NeedsNetwork,
            None if signed && body.starts_with("unreadable") => Verdict::Unreadable {
                notice: UnreadableNotice { reason: "no amount".into(), ..UnreadableNotice::default() },
                acknowledgement,
            },
            None if signed && body.starts_with("ignored") => Verdict::Verified {
                updates: Vec::new(),
                event_id: "evt_ignored".into(),
                ignored: "a test event for a live config".into(),
                acknowledgement,
            },
            Some(updates) if signed => {
                let event_id = lock(&self.provider.notice_event_id).clone();
                Verdict::Verified { updates, event_id, ignored: Box::default(), acknowledgement }
            }
            Some(_) | None => Verdict::Rejected("signature invalid".to_owned()),
        };
        if !offline {
            self.provider.network_tries.fetch_add(1, Ordering::SeqCst);
            let took = Duration::from_millis(self.provider.slow_network_ms.load(Ordering::SeqCst));
            let called = self.provider.called(CallPurpose::Verify, verdict);
            return Box::pin(tokio::time::sleep(took).map(|()| called));
        }
        if notice.body.len() <= SMALL_NOTICE_LENGTH_MAX {
            return match self.provider.slow_small_ms.load(Ordering::SeqCst) {
                0 => Box::pin(ready(verdict.into())),
                took => Box::pin(tokio::time::sleep(Duration::from_millis(took)).map(|()| verdict.into())),
            };
        }
        let provider = Arc::clone(&self.provider);
        Box::pin(async move {
            let now = provider.large_now.fetch_add(1, Ordering::SeqCst) + 1;
            provider.large_most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(provider.slow_large_ms.load(Ordering::SeqCst))).await;
            provider.large_now.fetch_sub(1, Ordering::SeqCst);
            verdict.into()
        })
    }

    fn query(&self, payment: PaymentQuery) -> BoxFuture<'static, Called<QueryAnswer>> {
        self.provider.queries.fetch_add(1, Ordering::SeqCst);
        let provider = Arc::clone(&self.provider);
        let counted = lock(&provider.payments).as_ref().map(|payments| payments.query(&payment.reference));
        let answer = counted.or_else(|| lock(&provider.query_answers).get(&payment.reference).cloned());
        let unreachable = lock(&self.provider.unreachable).contains(&self.receiver.config_id);
        let (took, answer) =
            if unreachable { (UNREACHABLE_MS, Some(QueryAnswer::NoAnswer("timed out".into()))) } else { (15, answer) };
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(took)).await;
            provider.called(CallPurpose::Query, answer.unwrap_or(QueryAnswer::Unsupported))
        })
    }

    fn advance(&self, _payment: Durable<PaymentQuery>) -> BoxFuture<'static, Called<QueryAnswer>> {
        self.provider.advances.fetch_add(1, Ordering::SeqCst);
        let answer = lock(&self.provider.advance_answer).clone().unwrap_or(QueryAnswer::Unsupported);
        Box::pin(ready(self.provider.called(CallPurpose::Advance, answer)))
    }

    fn cancel(&self, payment: Durable<PaymentQuery>) -> BoxFuture<'static, Called<QueryAnswer>> {
        self.provider.cancels.fetch_add(1, Ordering::SeqCst);
        let counted = lock(&self.provider.payments).as_mut().map(|payments| payments.cancel(&payment.get().reference));
        let answer = counted.or_else(|| lock(&self.provider.cancel_answer).clone()).unwrap_or(QueryAnswer::Unsupported);
        Box::pin(ready(self.provider.called(CallPurpose::Cancel, answer)))
    }

    fn abilities(&self) -> PaymentAbilities {
        let all = PaymentAbilities { refund: true, partial_refund: true, cancel: true };
        lock(&self.provider.abilities).unwrap_or(all)
    }

    fn refund(&self, refund: Durable<RefundQuery>) -> BoxFuture<'static, Called<RefundAnswer>> {
        let order = refund.into_inner();
        lock(&self.provider.refunds).push(order.clone());
        let next = lock(&self.provider.next_refunds).pop_front().unwrap_or(OnRefund::Done);
        if let Some(payments) = &mut *lock(&self.provider.payments) {
            let fate = payments.refund(&next, &order);
            let answer = self.provider.called(CallPurpose::Refund, refund_answer(&next, fate, &order));
            let seconds = match next {
                OnRefund::Slow(seconds) | OnRefund::DeclineSlowly(seconds) => seconds,
                _ => 0,
            };
            return Box::pin(tokio::time::sleep(Duration::from_secs(seconds)).map(|()| answer));
        }
        let mut refunded = lock(&self.provider.refunded);
        let known = refunded.iter().position(|id| *id == order.refund.id);
        let is_made = matches!(
            next,
            OnRefund::Done | OnRefund::Accepted | OnRefund::AnswerLost | OnRefund::Failed | OnRefund::Slow(_)
        );
        let number = known.map_or(refunded.len(), |known| known) + 1;
        if is_made && known.is_none() {
            refunded.push(order.refund.id.clone());
        }
        let stated = |status| RefundAnswer::Stated(Box::new(stated_refund(&order, number, status)));
        let answer = match next {
            OnRefund::Done | OnRefund::Slow(_) => stated(ProviderStatus::Refunded),
            OnRefund::Accepted => stated(ProviderStatus::Pending),
            OnRefund::Failed => stated(ProviderStatus::RefundFailed),
            OnRefund::Decline | OnRefund::DeclineSlowly(_) => RefundAnswer::Declined("charge_disputed".into()),
            OnRefund::AnswerLost | OnRefund::Lost => RefundAnswer::NoAnswer("timed out".into()),
            OnRefund::NotSent => RefundAnswer::NotSent("connection refused".into()),
        };
        let wait = match next {
            OnRefund::Slow(seconds) | OnRefund::DeclineSlowly(seconds) => seconds * 1000,
            _ => 20,
        };
        let answer = self.provider.called(CallPurpose::Refund, answer);
        Box::pin(tokio::time::sleep(Duration::from_millis(wait)).map(|()| answer))
    }
}

/// The answer to a refund call of which this became.
fn refund_answer(next: &OnRefund, fate: Option<(RefundFate, usize)>, order: &RefundQuery) -> RefundAnswer {
    let Some((fate, number)) = fate else {
        return match next {
            OnRefund::NotSent => RefundAnswer::NotSent("connection refused".into()),
            _ => RefundAnswer::NoAnswer("timed out".into()),
        };
    };
    let status = match fate {
        RefundFate::Done => ProviderStatus::Refunded,
        RefundFate::Accepted => ProviderStatus::Pending,
        RefundFate::Failed => ProviderStatus::RefundFailed,
        RefundFate::Declined => return RefundAnswer::Declined("charge_disputed".into()),
    };
    RefundAnswer::Stated(Box::new(stated_refund(order, number, status)))
}

/// The refund that this provider states of a request of ours.
pub(crate) fn stated_refund(order: &RefundQuery, number: usize, status: ProviderStatus) -> Update {
    let statement = RefundStatement {
        id: format!("re_{number}").into(),
        amount: StatedAmount::Exact(order.refund.amount),
        reach: Reach::Delta,
        requested: order.refund.id.clone(),
    };
    Update {
        reference: Some(order.payment.reference.clone()),
        payment_id: order.refund.payment.clone(),
        refund: Some(statement),
        ..super::update(&format!("evt_re_{number}_{}", status.number()), status)
    }
}

pub(super) struct TestModules(pub(super) Arc<TestProvider>);

impl Modules for TestModules {
    fn catalog(&self) -> Arc<[CatalogLine]> {
        if let Some(lines) = &*lock(&self.0.catalog) {
            return lines.clone().into();
        }
        Arc::new([CatalogLine {
            code: "stripe".into(),
            name: "Card".into(),
            description: "Pay by card".into(),
            payment_mode: "redirect".into(),
            methods: vec!["card".into()],
            currencies: lock(&self.0.currencies).clone(),
            module_name: "stripe".into(),
            path: "/opt/cashier/libcashier_provider_stripe.so".into(),
            api_version: 1,
            available: !self.0.is_disabled.load(Ordering::SeqCst),
            refused: false,
            failure_reason: Box::default(),
            generation: 1,
            isolation: "in-process".into(),
            health: ModuleHealth::Ok,
            call_health: if lock(&self.0.unreachable).is_empty() { ModuleHealth::Ok } else { ModuleHealth::Degraded },
            problems: Vec::new(),
            sha256: Box::default(),
            brands: None,
            settings: vec!["api_base".into(), "capture".into(), "x".into()],
            endpoint_settings: vec!["api_base".into()],
            secret_settings: Vec::new(),
            declared: ModuleDeclaration {
                version: "1.0.0".into(),
                loaded_time: 1_779_269_000,
                capabilities: vec!["query", "cancel"],
                hosts: vec!["api.stripe.com".into()],
                settings: vec![ModuleSetting {
                    key: "api_base".into(),
                    label: "API address".into(),
                    kind: "url",
                    endpoint: true,
                    default: Some("https://api.stripe.com".into()),
                    ..ModuleSetting::default()
                }],
                webhook_events: vec!["payment_intent.succeeded".into()],
            },
        }])
    }

    fn ended_calls(&self) -> EndedCalls {
        lock(&self.0.ended_calls).clone()
    }

    fn validate(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<(), String>> {
        let known = &*config.merchant_id != "wrong";
        let whole = &*config.merchant_id != "strict" || !config.webhook_secret.is_empty();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            known.then_some(()).ok_or_else(|| "merchant_id wrong is not an account".to_owned())?;
            whole.then_some(()).ok_or_else(|| "webhook_secret is required".to_owned())
        })
    }

    fn open_gateway(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<Arc<dyn Gateway>, String>> {
        if lock(&self.0.unreachable).contains(&config.id) {
            let timed_out = |()| Err("timed out".to_owned());
            return Box::pin(tokio::time::sleep(Duration::from_millis(UNREACHABLE_MS)).map(timed_out));
        }
        if lock(&self.0.not_loaded).contains(&config.id) {
            return Box::pin(ready(Err("not loaded".to_owned())));
        }
        let mut receiver = receiver(config);
        let build = lock(&self.0.build).clone();
        if !build.is_empty() {
            receiver.module_hash = build.into();
        }
        Box::pin(ready(Ok(Arc::new(TestGateway { receiver, provider: Arc::clone(&self.0) }) as Arc<dyn Gateway>)))
    }
}

pub(crate) fn receiver(config: &ProviderConfig) -> ReceivingConfig {
    ReceivingConfig {
        config_id: config.id,
        provider: config.provider.clone(),
        brand: config.brand.clone(),
        sandbox: config.sandbox,
        primary_ref_kind: "payment_intent".into(),
        module_hash: "ab".into(),
        merchant_account: Arc::new([config.id]),
    }
}

pub(crate) const WEBHOOK_SECRET: &str = "CANARY-webhook-secret";

/// A config that serves every account.
pub(crate) fn config(id: u64) -> ProviderConfig {
    ProviderConfig {
        id: ConfigId(id),
        provider: "stripe".into(),
        brand: Box::default(),
        method: Box::default(),
        country: Box::default(),
        currency: Box::default(),
        merchant_id: format!("acct_{id}").into(),
        public_key: format!("pk_{id}").into(),
        secret_key: Secret::new("CANARY-secret-key"),
        webhook_secret: Secret::new(WEBHOOK_SECRET),
        replaced_webhook_secrets: Vec::new(),
        settings_json: "{}".into(),
        config_json: Secret::default(),
        min_amount: Limit::NONE,
        max_amount: Limit::NONE,
        sandbox: false,
        enabled: true,
        sort_index: 0,
        created_time: TestClock::START,
        updated_time: TestClock::START,
        terms_version: 1,
        version: 1,
        unapproved: Vec::new(),
        deleted_time: UnixTime::UNSET,
        account_marks: Vec::new(),
        unreadable: Vec::new(),
    }
}

/// The configs of the published examples: 1 serves brand `ion4`, 2 every brand in EUR, 3 another brand.
pub(super) fn published_configs() -> Vec<ProviderConfig> {
    let published = |id, brand: &str, currency: &str| ProviderConfig {
        brand: brand.into(),
        method: "card".into(),
        currency: currency.into(),
        config_json: Secret::new("{\"x\":\"CANARY-config\"}"),
        min_amount: Limit::parse("10").unwrap(),
        max_amount: Limit::parse("5000").unwrap(),
        ..config(id)
    };
    vec![published(1, "ion4", ""), published(2, "", "EUR"), published(3, "other", "")]
}

/// Whether there was one left.
fn take_one(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}
