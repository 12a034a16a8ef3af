//! Exchanges of a scripted provider behind the real border, over a scripted network and a clock that stands still: what
//! is sent, how often, and what the house believes afterwards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::time::UnixTime;
use cashier_core::transaction::NextAction;
use cashier_provider_sdk::host::ModuleV1;
use cashier_provider_sdk::{self as sdk, ConfigError, Descriptor, PaymentCreated, PaymentOrder, PaymentProvider};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::plugins::convert::Masks;
use crate::plugins::endings;
use crate::plugins::thread_places::ThreadPlaces;
use crate::ports::{CreateAnswer, Verdict};

/// Fetches a token, then pays with it, as OAuth providers want it. The order's method says what else it does.
struct Scripted;

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
                Step::send_and_keep(HttpRequest::post("https://p.test/body").json(&body).safe_to_repeat(), "pay", 60)
            }
            ("posts", []) => Step::send(HttpRequest::post("https://p.test/post").safe_to_repeat()),
            ("oauth", []) => {
                Step::send_and_keep(HttpRequest::post("https://p.test/oauth").safe_to_repeat(), "token", 60)
            }
            ("looks_up", []) => Step::send(HttpRequest::get("https://p.test/methods")),
            ("keyed" | "referenced" | "bodily" | "posts" | "oauth" | "looks_up", [answer, ..]) => match answer.text() {
                Ok("wait") => Step::Done(PaymentCreated { next: sdk::NextAction::Wait, ..PaymentCreated::default() }),
                Ok(_) | Err(_) => Step::Failed(answer.failure("no", "the provider's words")),
            },
            ("local", _) => Step::Failed(ProviderFailure::refused_request("currency", "not this one")),
            ("decides", _) => Step::Failed(ProviderFailure::declined("too_small", "below the provider's least")),
            ("loops", _) => Step::send(get),
            ("many_names", _) => Step::send_and_keep(get, format!("name {}", order.reference), 60),
            (_, []) => Step::send_and_keep(HttpRequest::get("https://p.test/token"), "token", 60),
            (_, [token]) => {
                let token = token.text().unwrap_or_default();
                Step::send(HttpRequest::post("https://p.test/pay").bearer(token).idempotency_key(&order.nonce))
            }
            (_, [_, paid]) if paid.status == 401 => Step::Failed(ProviderFailure::stale_reply("the token is over")),
            (_, [_, paid]) if !paid.is_success() => Step::Failed(paid.failure("no", "the provider's words")),
            (_, [_, paid, ..]) => match paid.text() {
                Ok("wait") => Step::Done(PaymentCreated { next: sdk::NextAction::Wait, ..PaymentCreated::default() }),
                Ok(_) | Err(_) => Step::Failed(ProviderFailure::unreadable("what is this")),
            },
        }
    }

    fn normalize_status(&self, notice: &sdk::WebhookNotice, replies: &[HttpReply]) -> Step<sdk::WebhookVerdict> {
        match (notice.body.as_slice(), replies) {
            (b"ask", []) => Step::send(HttpRequest::get("https://p.test/verify")),
            (b"capture", []) => Step::send(HttpRequest::post("https://p.test/capture")),
            _ => Step::Done(sdk::WebhookVerdict::nothing_to_do()),
        }
    }
}

type Answer = Result<HttpReply, SendError>;

fn reply(status: u16, body: &str) -> Answer {
    Ok(HttpReply::new(status, body))
}

fn never_sent() -> Answer {
    Err(SendError::NeverSent("nobody listens".to_owned()))
}

fn unknown() -> Answer {
    Err(SendError::Unknown("the connection broke".to_owned()))
}

/// Time that moves when an answer takes some. Nothing ever times out by itself.
#[derive(Default)]
struct StillClock(AtomicU64);

impl Clock for StillClock {
    fn now(&self) -> UnixTime {
        UnixTime(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, _length: Duration) -> BoxFuture<'static, ()> {
        futures_util::future::pending().boxed()
    }
}

/// Gives the answers in their order, each after some milliseconds, and writes down what it was sent.
struct Script {
    clock: Arc<StillClock>,
    answers: Mutex<VecDeque<(u64, Answer)>>,
    sent: Mutex<Vec<String>>,
}

impl Network for Script {
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
        // Gives way once, so that exchanges under way at one time really meet.
        async move {
            tokio::task::yield_now().await;
            answer
        }
        .boxed()
    }
}

struct Rig {
    line: Line,
    thread: ModuleThread,
    script: Arc<Script>,
    clock: Arc<StillClock>,
}

impl Rig {
    async fn new(limits: Limits, answers: Vec<Answer>) -> Self {
        let clock = Arc::new(StillClock::default());
        let answers = Mutex::new(answers.into_iter().map(|answer| (10, answer)).collect());
        let script = Arc::new(Script { clock: Arc::clone(&clock), answers, sent: Mutex::default() });
        let line = Line::new("scripted".to_owned(), limits, clock.clone(), script.clone());
        let config = sdk::ProviderConfig::default();
        let thread =
            ModuleThread::start(ModuleV1::of::<Scripted>(), config, limits, clock.clone(), ThreadPlaces::default());
        let Ok(thread) = thread.await else { panic!("the module starts") };
        Self { line, thread, script, clock }
    }

    async fn create(&self, method: &str) -> CreateAnswer {
        let order = PaymentOrder {
            method: method.to_owned(),
            nonce: "n1".to_owned(),
            reference: "D7K2M9QX4T".to_owned(),
            idempotency_key: "key-1".to_owned(),
            ..PaymentOrder::default()
        };
        let (reference, key) = (order.reference.clone(), order.idempotency_key.clone());
        let allowed = Allowed::Creating { marks: &[&reference, &key] };
        let call = move |instance: &Instance, replies: &[HttpReply]| instance.create_payment(&order, replies);
        let exchanged = self.line.exchange(&self.thread, allowed, call).await;
        endings::create(exchanged, &masks())
    }

    async fn verify(&self, body: &str, allowed: Allowed<'_>) -> Verdict {
        let notice = sdk::WebhookNotice { body: body.into(), ..sdk::WebhookNotice::default() };
        let call = move |instance: &Instance, replies: &[HttpReply]| instance.normalize_status(&notice, replies);
        endings::verify(self.line.exchange(&self.thread, allowed, call).await, &masks())
    }

    fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.script.sent.lock().unwrap())
    }
}

fn masks() -> Masks {
    Masks::of(&sdk::ProviderConfig::default(), &Descriptor::default())
}

const WAITING: CreateEnding = CreateEnding::Accepted(NextAction::Wait);

#[tokio::test]
async fn a_create_ends_as_unknown_exactly_when_money_may_have_moved() {
    let token = || reply(200, "t1");
    let never = |reason: &str| CreateEnding::NeverSent { reason: reason.into() };
    let no = |reason: &str| CreateEnding::Declined { reason: reason.into() };
    let table = [
        ("pays", vec![token(), reply(200, "wait")], WAITING),
        ("pays", vec![token(), reply(402, "")], no("no: the provider's words")),
        ("pays", vec![token(), reply(400, "")], no("no: the provider's words")),
        ("pays", vec![token(), reply(500, "")], CreateEnding::Unknown),
        ("pays", vec![token(), reply(200, "gibberish")], CreateEnding::Unknown),
        ("pays", vec![token(), reply(401, "")], CreateEnding::Unknown),
        ("pays", vec![token(), unknown()], CreateEnding::Unknown),
        ("pays", vec![token(), never_sent()], never("the provider was not asked: nobody listens")),
        ("pays", vec![never_sent()], never("the provider was not asked: nobody listens")),
        ("pays", vec![unknown()], never("the provider did not answer: the connection broke")),
        ("local", vec![], never("currency: not this one")),
        ("decides", vec![], no("too_small: below the provider's least")),
    ];
    for (method, answers, expected) in table {
        let shown = format!("{answers:?}");
        let rig = Rig::new(Limits::default(), answers).await;
        assert_eq!(rig.create(method).await.ending, expected, "{shown}");
    }
}

#[tokio::test]
async fn what_may_have_created_a_payment_is_unknown_whatever_the_module_says_of_it() {
    let never = CreateEnding::NeverSent { reason: "the provider did not answer: the connection broke".into() };
    let table = [
        ("keyed", CreateEnding::Unknown),
        ("referenced", CreateEnding::Unknown),
        ("bodily", CreateEnding::Unknown),
        ("posts", CreateEnding::Unknown),
        ("oauth", never.clone()),
        ("looks_up", never),
    ];
    for (method, expected) in table {
        let rig = Rig::new(Limits::default(), vec![unknown()]).await;
        assert_eq!(rig.create(method).await.ending, expected, "{method}");
        assert_eq!(rig.sent().len(), 1, "{method}");
    }
}

#[tokio::test]
async fn a_request_that_may_create_a_payment_is_never_answered_from_memory() {
    let rig = Rig::new(Limits::default(), vec![reply(200, "wait"), reply(200, "wait")]).await;
    for _ in 0..2 {
        assert_eq!(rig.create("bodily").await.ending, WAITING);
        assert_eq!(rig.sent(), ["POST /body"]);
    }
}

#[tokio::test]
async fn a_kept_reply_is_fetched_once_shown_while_it_holds_and_fetched_again_when_it_is_stale() {
    let ok = || reply(200, "wait");
    let answers = vec![reply(200, "t1"), ok(), ok(), reply(401, ""), reply(200, "t2"), ok(), reply(200, "t3"), ok()];
    let rig = Rig::new(Limits::default(), answers).await;
    let pay = |token: &str| format!("POST /pay Bearer {token} n1");
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent(), ["GET /token".to_owned(), pay("t1")]);
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent(), [pay("t1")]);
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent(), [pay("t1"), "GET /token".to_owned(), pay("t2")]);
    rig.clock.0.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent(), ["GET /token".to_owned(), pay("t3")]);
}

#[tokio::test]
async fn exchanges_at_one_time_share_one_errand_for_a_token() {
    let answers = [vec![reply(200, "t1")], (0..16).map(|_| reply(200, "wait")).collect()].concat();
    let rig = Rig::new(Limits::default(), answers).await;
    let all = futures_util::future::join_all((0..16).map(|_| rig.create("pays"))).await;
    assert!(all.iter().all(|answer| answer.ending == WAITING));
    let sent = rig.sent();
    assert_eq!((sent.len(), sent.iter().filter(|line| *line == "GET /token").count()), (17, 1));
}

#[tokio::test]
async fn a_token_that_was_refused_is_not_kept() {
    let rig = Rig::new(Limits::default(), vec![reply(503, "x"), reply(500, ""), reply(200, "t"), reply(200, "wait")]);
    let rig = rig.await;
    assert_eq!(rig.create("pays").await.ending, CreateEnding::Unknown);
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert_eq!(rig.sent().iter().filter(|line| *line == "GET /token").count(), 2);
}

#[tokio::test]
async fn names_beyond_the_limit_are_fetched_every_time_and_not_kept() {
    let limits = Limits { steps_max: 3, ..Limits::default() };
    let rig = Rig::new(limits, (0..3).map(|_| reply(200, "")).collect()).await;
    for place in 0..16 {
        assert!(rig.line.kept.errand(&format!("taken {place}")).is_some());
    }
    let ending = rig.create("many_names").await.ending;
    assert_eq!(ending, CreateEnding::NeverSent { reason: "the module wants to send more than 3 requests".into() });
    assert_eq!(rig.sent().len(), 3);
}

#[tokio::test]
async fn a_module_that_never_has_enough_is_stopped() {
    let limits = Limits { steps_max: 4, ..Limits::default() };
    let rig = Rig::new(limits, (0..9).map(|_| reply(200, "")).collect()).await;
    let ending = rig.create("loops").await.ending;
    assert_eq!(ending, CreateEnding::NeverSent { reason: "the module wants to send more than 4 requests".into() });
    assert_eq!(rig.sent(), ["GET /0", "GET /1", "GET /2", "GET /3"]);
}

#[tokio::test]
async fn an_exchange_has_one_deadline_for_all_its_requests() {
    let limits = Limits { exchange: Duration::from_millis(15), ..Limits::default() };
    let rig = Rig::new(limits, vec![reply(200, "t1"), reply(200, "t1"), reply(200, "t1")]).await;
    let answer = rig.create("loops").await;
    let reason = "the exchange with the provider took too long".into();
    assert_eq!(answer.ending, CreateEnding::NeverSent { reason });
    assert_eq!((rig.sent().len(), answer.provider_time), (2, Duration::from_millis(20)));
}

#[tokio::test]
async fn a_notice_is_judged_offline_without_a_request_and_online_with_safe_ones_only() {
    let genuine = Verdict::Genuine { updates: Vec::new(), acknowledgement: None };
    let cannot = |reason: &str| Verdict::CannotTell(reason.to_owned());
    let offline = cannot("the module wants to ask its provider, and this check is made offline");
    let moves = cannot("the module wants to send what may move money while it only may ask");
    let broken = Verdict::NotWorking("the provider did not answer: the connection broke".to_owned());
    let table = [
        ("plain", Allowed::Nothing, vec![], genuine.clone(), 0),
        ("ask", Allowed::Nothing, vec![], offline, 0),
        ("ask", Allowed::SafeRequests, vec![reply(200, "")], genuine, 1),
        ("ask", Allowed::SafeRequests, vec![unknown()], broken, 1),
        ("capture", Allowed::SafeRequests, vec![], moves, 0),
    ];
    for (body, allowed, answers, expected, requests) in table {
        let rig = Rig::new(Limits::default(), answers).await;
        assert_eq!(rig.verify(body, allowed).await, expected, "{body} {allowed:?}");
        assert_eq!(rig.sent().len(), requests, "{body} {allowed:?}");
    }
}

#[tokio::test]
async fn an_unreachable_provider_is_left_alone_and_tried_a_little_until_it_is_back() {
    let failures = (0..5).map(|_| never_sent());
    let back = [reply(200, "t1"), reply(200, "wait"), reply(200, "wait")];
    let rig = Rig::new(Limits::default(), failures.chain(back).collect()).await;
    for _ in 0..5 {
        assert!(matches!(rig.create("pays").await.ending, CreateEnding::NeverSent { .. }));
    }
    assert!(rig.line.is_broken());
    rig.sent();
    let refused =
        CreateEnding::NeverSent { reason: "the provider could not be reached of late and is not asked".into() };
    assert_eq!((rig.create("pays").await.ending, rig.sent().len()), (refused, 0));
    rig.clock.0.fetch_add(1_000, Ordering::SeqCst);
    // The exchange that is let through is let through as a whole.
    assert_eq!(rig.create("pays").await.ending, WAITING);
    assert!(!rig.line.is_broken());
    assert_eq!(rig.create("pays").await.ending, WAITING);
}

#[tokio::test]
async fn what_the_host_itself_does_not_send_says_nothing_about_the_provider() {
    let refusal = || Err(SendError::Refused("evil.test:443 is not among the hosts of this provider".to_owned()));
    let rig = Rig::new(Limits::default(), (0..9).map(|_| refusal()).collect()).await;
    for _ in 0..9 {
        assert!(matches!(rig.create("pays").await.ending, CreateEnding::NeverSent { .. }));
    }
    assert!(!rig.line.is_broken());
}

#[tokio::test]
async fn exchanges_beyond_the_limits_are_refused_before_anything_is_sent() {
    let limits = Limits { concurrency_max: 1, waiting_max: 1, ..Limits::default() };
    let rig = Rig::new(limits, vec![reply(200, "t1"), reply(200, "wait"), reply(200, "wait")]).await;
    let held = Arc::clone(&rig.line.room).acquire_owned().await.unwrap();
    let overloaded = CreateEnding::NeverSent { reason: "too many exchanges with the provider are under way".into() };
    let waits = rig.create("pays");
    tokio::pin!(waits);
    while rig.line.waiting.load(Ordering::SeqCst) == 0 {
        assert!((&mut waits).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.create("pays").await.ending, overloaded);
    assert!(rig.sent().is_empty());
    drop(held);
    assert_eq!(waits.await.ending, WAITING);
}
