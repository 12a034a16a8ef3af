//! A scripted provider behind the real module ABI, over a scripted network and a manual clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cashier_core::provider_call::{CallPurpose, ProviderCall};
use cashier_core::time::UnixTime;
use cashier_provider_sdk::host::ModuleV1;
use cashier_provider_sdk::{
    self as sdk, ConfigError, Descriptor, PaymentCreated, PaymentOrder, PaymentProvider, PaymentRef, StatusUpdate,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::super::*;
use crate::plugins::calling::convert::SecretMasks;
use crate::plugins::calling::outcomes::{self, PaymentCall};
use crate::plugins::calling::sent_requests::logged;
use crate::plugins::crash::CallSite;
use crate::plugins::thread_slots::ThreadSlots;
use crate::ports::{CreateAnswer, QueryAnswer, Verdict};

/// Fetches a token, then pays with it, as OAuth providers require. The order's method selects other behaviour.
pub(super) struct Scripted;

impl PaymentProvider for Scripted {
    fn descriptor() -> Descriptor {
        Descriptor::default()
    }

    fn configure(_config: &sdk::ProviderConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        let get = HttpRequest::get(format!("https://p.test/{}", replies.len()));
        match (order.method.as_str(), replies) {
            ("keyed", []) => Step::send(
                HttpRequest::post("https://p.test/keyed").idempotency_key(&order.idempotency_key).safe_to_repeat(),
            ),
            ("referenced", []) => Step::send(HttpRequest::get(format!("https://p.test/pay?ref={}", order.reference))),
            ("bodily", []) => {
                let body = serde_json::json!({ "order": order.reference });
                Step::send_cached(HttpRequest::post("https://p.test/body").json(&body).safe_to_repeat(), "pay", 60)
            }
            ("posts", []) => Step::send(HttpRequest::post("https://p.test/post").safe_to_repeat()),
            ("oauth", []) => Step::send_cached(HttpRequest::post("https://p.test/oauth").safe_to_repeat(), "token", 60),
            ("looks_up", []) => Step::send(HttpRequest::get("https://p.test/methods")),
            ("keyed" | "referenced" | "bodily" | "posts" | "oauth" | "looks_up", [answer, ..]) => match answer.text() {
                Ok("wait") => Step::Done(PaymentCreated { next: sdk::NextAction::Wait, ..PaymentCreated::default() }),
                Ok(_) | Err(_) => Step::Failed(answer.failure("no", "the provider's reason")),
            },
            ("pays_then_looks", []) => Step::send(HttpRequest::post("https://p.test/pay")),
            ("pays_then_looks", [paid]) if paid.is_success() => Step::send(HttpRequest::get("https://p.test/paid")),
            ("pays_then_looks", [.., answer]) => match answer.text() {
                Ok("wait") => Step::Done(PaymentCreated { next: sdk::NextAction::Wait, ..PaymentCreated::default() }),
                Ok(_) | Err(_) => Step::Failed(answer.failure("no", "the provider's reason")),
            },
            ("local", _) => Step::Failed(ProviderFailure::refused_request("currency", "not this one")),
            ("decides", _) => Step::Failed(ProviderFailure::declined("too_small", "below the provider's minimum")),
            ("loops", _) => Step::send(get),
            ("many_names", _) => Step::send_cached(get, format!("name {}", order.reference), 60),
            (_, []) => Step::send_cached(HttpRequest::get("https://p.test/token"), "token", 60),
            (_, [token]) => {
                let token = token.text().unwrap_or_default();
                Step::send(HttpRequest::post("https://p.test/pay").bearer(token).idempotency_key(&order.nonce))
            }
            (_, [_, paid]) if paid.status == 401 => Step::Failed(ProviderFailure::stale_reply("the token has expired")),
            (_, [_, paid]) if !paid.is_success() => Step::Failed(paid.failure("no", "the provider's reason")),
            (_, [_, paid, ..]) => match paid.text() {
                Ok("wait") => Step::Done(PaymentCreated { next: sdk::NextAction::Wait, ..PaymentCreated::default() }),
                Ok(_) | Err(_) => Step::Failed(ProviderFailure::unreadable("not a payment")),
            },
        }
    }

    fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        match (payment.method.as_str(), replies) {
            ("no_id", _) => {
                Step::Failed(ProviderFailure::refused_request("no_id_known", "the payment has no provider id"))
            }
            (_, []) => Step::send(HttpRequest::get("https://p.test/status")),
            (_, [answer, ..]) => Step::Failed(answer.failure("no", "the provider's reason")),
        }
    }

    fn normalize_status(&self, notice: &sdk::WebhookNotice, replies: &[HttpReply]) -> Step<sdk::WebhookVerdict> {
        match (notice.body.as_slice(), replies) {
            (b"ask", []) => Step::send(HttpRequest::get("https://p.test/verify")),
            (b"capture", []) => Step::send(HttpRequest::post("https://p.test/capture")),
            _ => Step::Done(sdk::WebhookVerdict::no_updates()),
        }
    }
}

pub(super) type Answer = Result<HttpReply, SendError>;

pub(super) fn reply(status: u16, body: &str) -> Answer {
    Ok(HttpReply::new(status, body))
}

pub(super) fn never_sent() -> Answer {
    Err(SendError::NeverSent("connection refused".to_owned()))
}

pub(super) fn unknown() -> Answer {
    Err(SendError::Unknown("the connection broke".to_owned()))
}

/// Time advances only when a reply takes some; no timer ever fires.
#[derive(Default)]
pub(super) struct ManualClock(pub(super) AtomicU64, pub(super) Mutex<ImplausibleClock>);

/// Whether the clock is implausible, and what peers stated.
#[derive(Default)]
pub(super) struct ImplausibleClock {
    pub(super) implausible: bool,
    pub(super) stated: Vec<(String, i64)>,
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        UnixTime(0)
    }

    fn implausible(&self) -> Option<Box<str>> {
        self.1.lock().unwrap().implausible.then(|| "a month ahead".into())
    }

    fn peer_stated(&self, host: &str, date: i64) {
        self.1.lock().unwrap().stated.push((host.to_owned(), date));
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, _length: Duration) -> BoxFuture<'static, ()> {
        futures_util::future::pending().boxed()
    }
}

/// Gives the replies in their order, each after some milliseconds, and records what it was sent.
pub(super) struct Script {
    clock: Arc<ManualClock>,
    pub(super) answers: Mutex<VecDeque<(u64, Answer)>>,
    sent: Mutex<Vec<String>>,
}

impl Network for Script {
    fn for_config(self: Arc<Self>) -> Arc<dyn Network> {
        self
    }

    fn permits(&self, _url: &str) -> Result<(), String> {
        Ok(())
    }

    fn send(&self, request: HttpRequest, _within: Duration) -> BoxFuture<'static, Answer> {
        let header = |name| request.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let line =
            [request.method.as_str(), &request.url, header("authorization"), header("idempotency-key")].join(" ");
        self.sent.lock().unwrap().push(line.trim().replace("https://p.test", ""));
        let (took, answer) = self.answers.lock().unwrap().pop_front().unwrap_or((0, never_sent()));
        self.clock.0.fetch_add(took, Ordering::SeqCst);
        // Yields once, so that concurrent exchanges overlap.
        async move {
            tokio::task::yield_now().await;
            answer
        }
        .boxed()
    }
}

pub(super) struct Rig {
    pub(super) driver: ExchangeDriver,
    thread: ModuleThread,
    pub(super) script: Arc<Script>,
    pub(super) clock: Arc<ManualClock>,
}

impl Rig {
    pub(super) async fn new(limits: GatewayLimits, answers: Vec<Answer>) -> Self {
        let clock = Arc::new(ManualClock::default());
        let answers = Mutex::new(answers.into_iter().map(|answer| (10, answer)).collect());
        let script = Arc::new(Script { clock: Arc::clone(&clock), answers, sent: Mutex::default() });
        let driver = ExchangeDriver::new("scripted".to_owned(), limits, clock.clone(), script.clone());
        let config = sdk::ProviderConfig::default();
        let thread = ModuleThread::start(
            ModuleV1::of::<Scripted>(),
            config,
            limits,
            clock.clone(),
            ThreadSlots::default(),
            CallSite::default(),
        );
        let Ok(thread) = thread.await else { panic!("the module starts") };
        Self { driver, thread, script, clock }
    }

    pub(super) async fn create(&self, method: &str) -> CreateAnswer {
        outcomes::create(self.exchange(method).await, &masks())
    }

    /// What is logged of a create call's requests.
    pub(super) async fn logged_create(&self, method: &str) -> Vec<ProviderCall> {
        logged(&self.exchange(method).await.requests, CallPurpose::Create, &masks())
    }

    async fn exchange(&self, method: &str) -> ExchangeOutcome<PaymentCreated> {
        let order = PaymentOrder {
            method: method.to_owned(),
            nonce: "n1".to_owned(),
            reference: "D7K2M9QX4T".to_owned(),
            idempotency_key: "key-1".to_owned(),
            ..PaymentOrder::default()
        };
        let (reference, key) = (order.reference.clone(), order.idempotency_key.clone());
        let allowed = AllowedRequests::Creating { order_keys: &[&reference, &key] };
        let call = move |instance: &Instance, replies: &[HttpReply]| instance.create_payment(&order, replies);
        self.driver.exchange(&self.thread, allowed, call).await
    }

    /// The same, after another exchange held the network for so long.
    pub(super) async fn create_after(&self, waited_ms: u64) -> CreateAnswer {
        let held = Arc::clone(&self.driver.network_permits).acquire_owned().await.unwrap();
        let mut waits = Box::pin(self.create("pays"));
        while self.driver.waiting.load(Ordering::SeqCst) == 0 {
            assert!((&mut waits).now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        self.clock.0.fetch_add(waited_ms, Ordering::SeqCst);
        drop(held);
        waits.await
    }

    pub(super) async fn query(&self, method: &str) -> QueryAnswer {
        let payment = PaymentRef { method: method.to_owned(), ..PaymentRef::default() };
        let call = move |instance: &Instance, replies: &[HttpReply]| instance.query_status(&payment, replies);
        let outcome = self.driver.exchange(&self.thread, AllowedRequests::SafeOnly, call).await;
        outcomes::query(PaymentCall::Query, outcome, &masks())
    }

    pub(super) async fn verify(&self, body: &str, allowed: AllowedRequests<'_>) -> Verdict {
        let notice = sdk::WebhookNotice { body: body.into(), ..sdk::WebhookNotice::default() };
        let call = move |instance: &Instance, replies: &[HttpReply]| instance.normalize_status(&notice, replies);
        outcomes::verify(self.driver.exchange(&self.thread, allowed, call).await, &masks(), true)
    }

    pub(super) fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.script.sent.lock().unwrap())
    }
}

pub(super) fn masks() -> SecretMasks {
    SecretMasks::of(&sdk::ProviderConfig::default(), &Descriptor::default())
}
