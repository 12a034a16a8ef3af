//! A broker's own trading server behind the cashier's adapter: the reference server of the pages, run as it is, with a proxy before it
//! that breaks exchanges. Whatever breaks, a key is posted once, found afterwards, and dead once it is voided.
#![expect(clippy::expect_used, clippy::panic, reason = "a failed setup fails its test")]

#[path = "trading_http/accepting.rs"]
mod accepting;
#[path = "trading_http/broken_servers.rs"]
mod broken_servers;
#[path = "trading_http/conformance.rs"]
mod conformance;
#[path = "trading_http/crashes.rs"]
mod crashes;
#[path = "trading_http/narrowly_broken.rs"]
mod narrowly_broken;
#[path = "trading_http/rosters.rs"]
mod rosters;

use std::sync::Arc;

use cashier_core::account::AccountMode;
use cashier_core::ids::{CustomerId, Login, OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{BalanceOperation, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
use cashier_core::time::UnixTime;
use cashier_host::ports::{Durable, PostStep, Posting, Voiding};
use cashier_host::system::SystemEntropy;
use cashier_host::trading::http::{HttpServerSettings, HttpTradingServer, SigningSecrets};
use cashier_host::trading::remote::RemoteServer;
use cashier_tests::call_clock::CallClock;
use cashier_tests::cutting_proxy::{Break, CuttingProxy};
use cashier_tests::reference_server::{LOGIN, OPENING_MINOR, ReferenceServer, SECRET};
use cashier_tests::waiting::skipped;

/// The reference server, the proxy before it, and the adapter.
struct Broken {
    server: ReferenceServer,
    proxy: CuttingProxy,
    adapter: Arc<HttpTradingServer>,
    clock: Arc<CallClock>,
}

impl Broken {
    /// None where there is no python3, reported as a skipped test. The first call, which learns who the server is, is made.
    async fn start() -> Option<Self> {
        let server = match ReferenceServer::start() {
            Ok(server) => server,
            Err(why) => {
                skipped(&why);
                return None;
            }
        };
        let proxy = CuttingProxy::before(server.port()).await;
        let clock = Arc::new(CallClock::default());
        let adapter = HttpTradingServer::open(settings(&proxy.url), clock.clone(), Arc::new(SystemEntropy));
        let started = Self { server, proxy, adapter: Arc::new(adapter.expect("the settings are usable")), clock };
        assert_eq!(started.balance().await, OPENING_MINOR);
        Some(started)
    }

    async fn balance(&self) -> i64 {
        let facts = self.adapter.account(Login(LOGIN)).await.expect("it answers").expect("the login is known");
        facts.account.balance.minor
    }

    async fn post(&self, posting: &Posting) -> PostStep {
        self.adapter.post(Durable::assertion(posting.clone())).await
    }

    async fn void(&self, posting: &Posting) -> Result<PostingOutcome, String> {
        match self.adapter.void(Durable::assertion(posting.clone()), ReasonCode::Withheld).await {
            Ok(Voiding::Settled(outcome)) => Ok(outcome),
            Ok(undecided) => panic!("it keys: {undecided:?}"),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// A call whose exchange is held by the proxy: it ends at its time limit.
    async fn posted_until_the_limit(&self, posting: &Posting) -> PostStep {
        let (adapter, posting) = (Arc::clone(&self.adapter), Durable::assertion(posting.clone()));
        let posting = tokio::spawn(async move { adapter.post(posting).await });
        self.proxy.until_broken(1).await;
        self.clock.end_limits();
        posting.await.expect("it ends")
    }

    /// Posted once, whatever came before: again, found, and not voided any more.
    async fn is_posted_once(&self, posting: &Posting) {
        let PostStep::Done(PostingOutcome::Posted { trade_order, .. }) = self.post(posting).await else {
            panic!("it is posted")
        };
        let posted = PostingOutcome::posted(trade_order);
        assert_eq!(self.post(posting).await, PostStep::Done(posted.clone()));
        assert_eq!(self.adapter.find(posting).await, Ok(Some(posted.clone())));
        assert_eq!(self.void(posting).await, Ok(posted));
        assert_eq!(self.balance().await, OPENING_MINOR + posting.operation.amount.minor);
        assert_eq!(self.recorded().await, 1);
    }

    /// Never posted: the key is dead.
    async fn is_voided(&self, posting: &Posting) {
        let refused = PostingOutcome::Refused { reason: ReasonCode::Withheld.name().into() };
        // A post cannot distinguish a voiding of the cashier's from a reason that the server took for its own.
        let of_post = PostingOutcome::Refused { reason: "X_WITHHELD".into() };
        assert_eq!(self.post(posting).await, PostStep::Done(of_post));
        assert_eq!(self.adapter.find(posting).await, Ok(Some(refused.clone())));
        assert_eq!(self.void(posting).await, Ok(refused));
        assert_eq!(self.balance().await, OPENING_MINOR);
        assert_eq!(self.recorded().await, 1);
    }

    /// How many keys the server has.
    async fn recorded(&self) -> usize {
        self.adapter.postings("".into(), 500).await.expect("it answers").postings.len()
    }
}

fn settings(url: &str) -> HttpServerSettings {
    HttpServerSettings {
        url: url.into(),
        secrets: SigningSecrets::parse(SECRET).expect("a secret"),
        ca_file: None,
        plain_http_allowed: false,
        instance: None,
        instance_file: None,
    }
}

/// A deposit of 0.10, or of what is given, under the ordinal's key.
fn posting(ordinal: u32, minor: i64) -> Posting {
    Posting {
        operation: BalanceOperation {
            id: OperationId(u64::from(ordinal)),
            transaction_id: TransactionId(15),
            ordinal,
            login: Login(LOGIN),
            trade_order: 0,
            request_order: 0,
            cmd: if minor < 0 { OperationCmd::BalanceOut } else { OperationCmd::BalanceIn },
            amount: Money::new(minor, Currency::from_code("USD").expect("a currency")),
            reason: if minor < 0 { OperationReason::Withdrawal } else { OperationReason::Deposit },
            status: OperationStatus::Planned,
            failure_reason: Box::default(),
            created_time: UnixTime(1_779_270_000),
            updated_time: UnixTime(1_779_270_000),
        },
        reference: Reference::read("d3k9x0p7m2q4r8s6t1vw").expect("a reference"),
        server: ServerName::default(),
        customer_id: CustomerId(5),
        only_on: Some(AccountMode::Demo),
        comment: "cashier 15".into(),
    }
}

const UNKNOWN: PostStep = PostStep::Done(PostingOutcome::Unknown);

/// A broken posting is unknown, is found as far as it came, and is posted once when it is sent again.
async fn posts_once(how: Break, arrived: bool) {
    let Some(broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("post", how);
    assert_eq!(broken.post(&deposit).await, UNKNOWN);
    broken.proxy.until_broken(1).await;
    assert_eq!(broken.adapter.find(&deposit).await.expect("it answers").is_some(), arrived);
    broken.is_posted_once(&deposit).await;
}

/// After a broken posting, voiding the key answers what became of it.
async fn is_voided_or_stays_posted(how: Break, arrived: bool) {
    let Some(broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("post", how);
    assert_eq!(broken.post(&deposit).await, UNKNOWN);
    broken.proxy.until_broken(1).await;
    let voided = broken.void(&deposit).await.expect("it answers");
    assert_eq!(matches!(voided, PostingOutcome::Posted { .. }), arrived, "{voided:?}");
    if arrived { broken.is_posted_once(&deposit).await } else { broken.is_voided(&deposit).await }
}

/// A broken request to void is a fault, and the key is dead once it is repeated.
async fn voids_for_ever(how: Break) {
    let Some(broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("void", how);
    assert!(broken.void(&deposit).await.is_err(), "nothing is recorded without the server's word");
    broken.proxy.until_broken(1).await;
    assert!(broken.void(&deposit).await.is_ok());
    broken.is_voided(&deposit).await;
}

/// A broken look-up is asked again by itself.
async fn finds_all_the_same(how: Break) {
    let Some(broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("find", how);
    assert_eq!(broken.adapter.find(&deposit).await, Ok(None));
    broken.proxy.until_broken(1).await;
    broken.is_posted_once(&deposit).await;
}

macro_rules! broken {
    ($($name:ident => $test:ident($($argument:expr),*);)*) => {$(
        #[tokio::test]
        async fn $name() {
            $test($($argument),*).await;
        }
    )*};
}

broken! {
    a_posting_closed_before_its_request_is_posted_once => posts_once(Break::BeforeRequest, false);
    a_posting_cut_within_its_request_is_posted_once => posts_once(Break::WithinRequest, false);
    a_posting_closed_after_its_request_is_posted_once => posts_once(Break::AfterRequest, true);
    a_posting_closed_before_its_answer_is_posted_once => posts_once(Break::BeforeAnswer, true);
    a_posting_cut_within_its_answer_is_posted_once => posts_once(Break::WithinAnswer, true);
    a_posting_closed_before_its_request_can_be_voided => is_voided_or_stays_posted(Break::BeforeRequest, false);
    a_posting_cut_within_its_request_can_be_voided => is_voided_or_stays_posted(Break::WithinRequest, false);
    a_posting_closed_after_its_request_stays_posted => is_voided_or_stays_posted(Break::AfterRequest, true);
    a_posting_closed_before_its_answer_stays_posted => is_voided_or_stays_posted(Break::BeforeAnswer, true);
    a_posting_cut_within_its_answer_stays_posted => is_voided_or_stays_posted(Break::WithinAnswer, true);
    a_voiding_closed_before_its_request_is_made_again => voids_for_ever(Break::BeforeRequest);
    a_voiding_cut_within_its_request_is_made_again => voids_for_ever(Break::WithinRequest);
    a_voiding_closed_after_its_request_is_made_again => voids_for_ever(Break::AfterRequest);
    a_voiding_closed_before_its_answer_is_made_again => voids_for_ever(Break::BeforeAnswer);
    a_voiding_cut_within_its_answer_is_made_again => voids_for_ever(Break::WithinAnswer);
    a_look_up_closed_before_its_request_is_asked_again => finds_all_the_same(Break::BeforeRequest);
    a_look_up_cut_within_its_request_is_asked_again => finds_all_the_same(Break::WithinRequest);
    a_look_up_closed_after_its_request_is_asked_again => finds_all_the_same(Break::AfterRequest);
    a_look_up_closed_before_its_answer_is_asked_again => finds_all_the_same(Break::BeforeAnswer);
    a_look_up_cut_within_its_answer_is_asked_again => finds_all_the_same(Break::WithinAnswer);
}

#[tokio::test]
async fn a_posting_that_the_network_sends_twice_is_posted_once() {
    let Some(broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("post", Break::Duplicated);
    assert!(matches!(broken.post(&deposit).await, PostStep::Done(PostingOutcome::Posted { .. })));
    broken.is_posted_once(&deposit).await;
}

#[tokio::test]
async fn a_posting_that_arrives_after_its_time_and_after_it_was_sent_again_is_posted_once() {
    let Some(broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("post", Break::HeldRequest);
    assert_eq!(broken.posted_until_the_limit(&deposit).await, UNKNOWN);
    assert_eq!(broken.adapter.find(&deposit).await, Ok(None));
    broken.is_posted_once(&deposit).await;
    broken.proxy.release().await;
    broken.is_posted_once(&deposit).await;
}

#[tokio::test]
async fn a_posting_that_arrives_after_its_time_and_after_it_was_voided_is_never_posted() {
    let Some(broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("post", Break::HeldRequest);
    assert_eq!(broken.posted_until_the_limit(&deposit).await, UNKNOWN);
    let refused = PostingOutcome::Refused { reason: ReasonCode::Withheld.name().into() };
    assert_eq!(broken.void(&deposit).await, Ok(refused));
    broken.proxy.release().await;
    broken.is_voided(&deposit).await;
}

#[tokio::test]
async fn a_posting_that_is_answered_after_its_time_is_found_and_posted_once() {
    let Some(broken) = Broken::start().await else { return };
    let deposit = posting(1, 10);
    broken.proxy.plan("post", Break::HeldAnswer);
    assert_eq!(broken.posted_until_the_limit(&deposit).await, UNKNOWN);
    assert!(broken.adapter.find(&deposit).await.expect("it answers").is_some());
    broken.proxy.release().await;
    broken.is_posted_once(&deposit).await;
}

#[tokio::test]
async fn what_the_server_refuses_it_refuses_again_and_a_changed_posting_is_a_conflict() {
    let Some(broken) = Broken::start().await else { return };
    let refused = |reason: &str| PostStep::Done(PostingOutcome::Refused { reason: reason.into() });
    let too_much = posting(1, -OPENING_MINOR - 1);
    let wrong_owner = Posting { customer_id: CustomerId(6), ..posting(2, 10) };
    let for_real = Posting { only_on: Some(AccountMode::Real), ..posting(3, 10) };
    for _ in 0..2 {
        assert_eq!(broken.post(&too_much).await, refused("INSUFFICIENT_BALANCE"));
        assert_eq!(broken.post(&wrong_owner).await, refused("OWNER_MISMATCH"));
        assert_eq!(broken.post(&for_real).await, refused("LIVE_ON_DEMO_ACCOUNT"));
    }
    let conflict = posting(1, 10);
    assert_eq!(broken.post(&conflict).await, PostStep::Done(PostingOutcome::Conflict));
    assert_eq!(broken.adapter.find(&conflict).await, Ok(Some(PostingOutcome::Conflict)));
    assert_eq!(broken.balance().await, OPENING_MINOR);
}

#[tokio::test]
async fn questions_are_answered_as_the_roster_has_them() {
    let Some(broken) = Broken::start().await else { return };
    let facts = broken.adapter.account(Login(LOGIN)).await.expect("it answers").expect("a login");
    assert_eq!(broken.adapter.customer(CustomerId(5)).await, Ok(Some(facts.customer)));
    assert_eq!(broken.adapter.groups().await, Ok(vec![facts.group]));
    assert_eq!(broken.adapter.account(Login(1)).await, Ok(None));
    let code = |code| Currency::from_code(code).expect("a currency");
    let rate = broken.adapter.rate(code("EUR"), code("USD")).await.expect("it answers").expect("a price");
    assert_eq!((rate.rate.to_wire().as_str(), rate.time, &*rate.source), ("1.0842", UnixTime(1_779_270_000), "desk"));
    assert_eq!(broken.adapter.rate(code("USD"), code("EUR")).await, Ok(None));
    assert!(broken.adapter.health().is_ok());
}
