//! Several trading servers as one: whose an account is, what is remembered of it, and what one that is down stops.

mod contested;
mod kinds;
mod standing;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::conversion::StatedRate;
use cashier_core::ids::{CustomerId, Login, OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::{BalanceOperation, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationCmd, OperationReason, OperationStatus};
use cashier_core::time::UnixTime;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::broadcast;

use super::account_cache::AccountCache;
use super::port::TradingPorts;
use super::{NamedServer, Server, ServerRoute, TradingServers};
use crate::ports::{Clock, Durable, Fault, PostStep, Posting, ServerDifferences, TradingServer, Voiding};
use crate::test_cashier::TestClock;
use crate::trading::remote::{AccountChange, PostingsPage, RemoteServer};

/// A server elsewhere, in memory.
struct FarServer {
    /// Logins with their group and its brand.
    accounts: Mutex<Vec<(u64, &'static str, &'static str)>>,
    is_down: Mutex<bool>,
    /// It answers, and nothing that can be used.
    answers_badly: Mutex<bool>,
    /// Its database took the place of another one.
    is_replaced: Mutex<bool>,
    states_rates: Mutex<bool>,
    /// How long it takes to state an account.
    delay: Mutex<Duration>,
    /// Logins whose look-up gets no answer in time.
    hanging: Mutex<Vec<u64>>,
    /// The last call got no answer.
    is_unreached: AtomicBool,
    /// How long it asked not to be called.
    pause: Mutex<Duration>,
    health_asked: AtomicUsize,
    asked: AtomicUsize,
    posted: Mutex<Vec<Login>>,
    changes: broadcast::Sender<AccountChange>,
}

impl FarServer {
    fn with(accounts: &[(u64, &'static str, &'static str)]) -> Arc<Self> {
        Arc::new(Self {
            accounts: Mutex::new(accounts.to_vec()),
            is_down: Mutex::new(false),
            answers_badly: Mutex::new(false),
            is_replaced: Mutex::new(false),
            states_rates: Mutex::new(true),
            delay: Mutex::default(),
            hanging: Mutex::default(),
            is_unreached: AtomicBool::new(false),
            pause: Mutex::default(),
            health_asked: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            posted: Mutex::default(),
            changes: broadcast::Sender::new(8),
        })
    }

    fn answer(&self) -> Result<(), Fault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if !self.pause.lock().unwrap().is_zero() {
            return Err(Fault::new("it is called in its pause"));
        }
        if *self.answers_badly.lock().unwrap() {
            return Err(Fault::new("the account has no group"));
        }
        self.reached()
    }

    fn reached(&self) -> Result<(), Fault> {
        let is_down = *self.is_down.lock().unwrap();
        self.is_unreached.store(is_down, Ordering::SeqCst);
        if is_down { Err(Fault::new("connection refused")) } else { Ok(()) }
    }
}

fn group(name: &str, brand: &str) -> Group {
    Group {
        group: name.into(),
        brand: brand.into(),
        currency: usd(0).currency,
        account_mode: AccountMode::Real,
        enabled: true,
    }
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("USD").unwrap())
}

impl RemoteServer for FarServer {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        let customer = Customer {
            customer_id: CustomerId(5),
            country: "DE".into(),
            brand: "ion4".into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        };
        let known = self.accounts.lock().unwrap();
        let facts = known.iter().find(|(known, ..)| *known == login.0).map(|(_, name, brand)| AccountFacts {
            customer,
            account: Account {
                login,
                customer_id: CustomerId(5),
                group: (*name).into(),
                enabled: true,
                balance: usd(0),
            },
            group: group(name, brand),
            server: ServerName::default(),
            age_seconds: 0,
        });
        let (delay, answer) = (*self.delay.lock().unwrap(), self.answer().map(|()| facts));
        if self.hanging.lock().unwrap().contains(&login.0) {
            self.is_unreached.store(true, Ordering::SeqCst);
            return Box::pin(ready(Err(Fault::new("timed out"))));
        }
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            answer
        })
    }

    fn groups(&self) -> BoxFuture<'static, Result<Vec<Group>, Fault>> {
        let groups = self.accounts.lock().unwrap().iter().map(|(_, name, brand)| group(name, brand)).collect();
        Box::pin(ready(self.answer().map(|()| groups)))
    }

    fn customer(&self, customer: CustomerId) -> BoxFuture<'static, Result<Option<Customer>, Fault>> {
        // It knows the customer of its accounts.
        let login = self.accounts.lock().unwrap().first().map(|(login, ..)| Login(*login));
        let (answers, facts) = (self.answer(), login.map(|login| self.account(login)));
        Box::pin(async move {
            answers?;
            let facts = match facts {
                Some(facts) => facts.await?,
                None => None,
            };
            Ok(facts.map(|facts| facts.customer).filter(|known| known.customer_id == customer))
        })
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        let step = match self.answer() {
            Ok(()) => {
                self.posted.lock().unwrap().push(posting.get().operation.login);
                PostingOutcome::posted(1).into()
            }
            Err(_) => PostingOutcome::Unknown.into(),
        };
        Box::pin(ready(step))
    }

    fn find(&self, _: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        Box::pin(ready(self.answer().map(|()| None)))
    }

    fn void(&self, _: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        let refused = Voiding::Settled(PostingOutcome::Refused { reason: reason.name().into() });
        Box::pin(ready(self.answer().map(|()| refused)))
    }

    fn keyed_by_operation(&self) -> bool {
        true
    }

    fn postings(&self, _: Box<str>, _: usize) -> BoxFuture<'static, Result<PostingsPage, Fault>> {
        Box::pin(ready(self.answer().map(|()| PostingsPage::default())))
    }

    fn is_compared(&self) -> bool {
        !*self.is_replaced.lock().unwrap()
    }

    fn rate(&self, _: Currency, _: Currency) -> BoxFuture<'static, Result<Option<StatedRate>, Fault>> {
        Box::pin(ready(self.answer().map(|()| None)))
    }

    fn changes(&self) -> Option<broadcast::Receiver<AccountChange>> {
        Some(self.changes.subscribe())
    }

    fn states_rates(&self) -> bool {
        *self.states_rates.lock().unwrap()
    }

    fn answers(&self) -> BoxFuture<'static, Result<(), Fault>> {
        self.health_asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(ready(self.reached()))
    }

    fn pause(&self) -> Duration {
        *self.pause.lock().unwrap()
    }

    fn reaches(&self) -> Result<(), Fault> {
        let is_unreached = self.is_unreached.load(Ordering::SeqCst) || *self.is_down.lock().unwrap();
        if is_unreached { Err(Fault::new("connection refused")) } else { Ok(()) }
    }

    fn health(&self) -> Result<(), Fault> {
        if *self.answers_badly.lock().unwrap() {
            return Err(Fault::new("the account has no group"));
        }
        self.reaches()
    }
}

struct Servers {
    port: TradingPorts,
    clock: Arc<TestClock>,
    main: Arc<FarServer>,
    other: Arc<FarServer>,
}

/// `main` has what is routed to no other; group `vip` and brand `beta` are routed to `other`.
fn two(main: &[(u64, &'static str, &'static str)], other: &[(u64, &'static str, &'static str)]) -> Servers {
    routed(main, other, ServerRoute { groups: vec!["vip".into()], brands: vec!["beta".into()] })
}

/// Both were compared with the books.
fn routed(
    main: &[(u64, &'static str, &'static str)],
    other: &[(u64, &'static str, &'static str)],
    route: ServerRoute,
) -> Servers {
    let servers = uncompared(main, other, route);
    for (name, _) in servers.port.0.elsewhere() {
        servers.port.0.note_comparison(&name, Ok(None));
    }
    servers
}

fn uncompared(
    main: &[(u64, &'static str, &'static str)],
    other: &[(u64, &'static str, &'static str)],
    route: ServerRoute,
) -> Servers {
    let (main, other, clock) = (FarServer::with(main), FarServer::with(other), Arc::new(TestClock::default()));
    let named = |name: &str, server: &Arc<FarServer>, route| NamedServer {
        name: ServerName::read(name).unwrap(),
        server: Server::Remote { protocol: "http", server: Arc::clone(server) as _ },
        route,
    };
    let servers = vec![named("main", &main, ServerRoute::default()), named("other", &other, route)];
    let port =
        TradingPorts(TradingServers::new(servers, Duration::from_secs(30), Arc::clone(&clock) as Arc<dyn Clock>));
    Servers { port, clock, main, other }
}

impl Servers {
    async fn server_of(&self, login: u64) -> Result<Option<(String, u32)>, String> {
        let found = self.port.account(Login(login)).await;
        found.map(|facts| facts.map(|facts| (facts.server.to_string(), facts.age_seconds))).map_err(|f| f.to_string())
    }
}

fn posting(server: &str) -> Durable<Posting> {
    let operation = BalanceOperation {
        id: OperationId(1),
        transaction_id: TransactionId(1),
        ordinal: 1,
        login: Login(7),
        trade_order: 0,
        request_order: 0,
        cmd: OperationCmd::BalanceIn,
        amount: usd(100),
        reason: OperationReason::Deposit,
        status: OperationStatus::Planned,
        failure_reason: "".into(),
        created_time: UnixTime(1),
        updated_time: UnixTime(1),
    };
    Durable::assertion(Posting {
        operation,
        reference: Reference::from_random(1),
        server: ServerName::read(server).unwrap(),
        customer_id: CustomerId(5),
        only_on: None,
        comment: "".into(),
    })
}

#[tokio::test(start_paused = true)]
async fn an_account_is_of_the_server_that_its_group_else_its_brand_is_routed_to() {
    let env =
        two(&[(1, "std", "ion4"), (2, "vip", "ion4")], &[(3, "std", "beta"), (4, "std", "ion4"), (5, "vip", "ion4")]);
    let of = async |login| env.server_of(login).await.unwrap().map(|(name, _)| name);
    assert_eq!(of(1).await.as_deref(), Some("main"));
    assert_eq!(of(2).await, None, "its group is another server's, which does not have it");
    assert_eq!(of(3).await.as_deref(), Some("other"));
    assert_eq!(of(4).await, None, "what is routed nowhere is the first server's");
    assert_eq!(of(5).await.as_deref(), Some("other"));
    assert_eq!(of(6).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_two_servers_have_is_nobodys() {
    let env = two(&[(1, "std", "ion4")], &[(1, "vip", "ion4")]);
    let fault = env.server_of(1).await.unwrap_err();
    assert_eq!(fault, "login 1 is an account of the trading servers main and other, and more than one is routed to");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_stops_its_own_accounts_alone() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    *env.other.is_down.lock().unwrap() = true;
    assert_eq!(env.server_of(1).await, Ok(Some(("main".to_owned(), 0))));
    assert_eq!(env.server_of(3).await, Err("connection refused".to_owned()));
    assert_eq!(env.port.post(posting("main")).await, PostStep::Done(PostingOutcome::posted(1)));
    assert_eq!(env.port.post(posting("other")).await, PostStep::Done(PostingOutcome::Unknown));
    assert_eq!(env.port.readiness(), Ok(()), "other accounts are served, and webhooks are kept");
    let lines: Vec<String> = env.port.status().iter().map(|status| status.line()).collect();
    assert_eq!(lines[0], "trading server main (http): takes postings");
    assert!(lines[1].starts_with("trading server other (http): takes no postings since "), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_the_breaker_is_open_and_it_closes_once_the_server_answers() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    env.server_of(3).await.unwrap();
    *env.other.is_down.lock().unwrap() = true;
    for _ in 0..5 {
        env.port.post(posting("other")).await;
    }
    let asked = env.other.asked.load(Ordering::SeqCst);
    assert_eq!(env.port.post(posting("other")).await, PostStep::NotSent);
    let cut_off = "trading server other is not asked now, because its circuit breaker is open: a posting got no answer";
    assert_eq!(env.server_of(3).await, Err(cut_off.to_owned()), "nothing is begun by what was remembered");
    assert_eq!(env.port.reaches(&ServerName::read("other").unwrap()), Err(Fault::new(cut_off)));
    assert_eq!(env.other.asked.load(Ordering::SeqCst), asked);
    assert!(env.port.status()[1].is_cut_off);
    *env.other.is_down.lock().unwrap() = false;
    env.clock.advance(Duration::from_secs(2));
    assert_eq!(env.port.post(posting("other")).await, PostStep::Done(PostingOutcome::posted(1)));
    assert_eq!(env.server_of(3).await, Ok(Some(("other".to_owned(), 2))), "it was remembered, and may be used again");
    assert_eq!((env.port.status()[1].is_cut_off, env.port.status()[1].problem.clone()), (false, None));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_cut_off_and_let_in_again_by_the_look_ups_of_another_ones_accounts() {
    let logins: Vec<_> = (1..20).map(|login| (login, "std", "ion4")).collect();
    let env = two(&logins, &[(100, "vip", "beta")]);
    env.port.0.background().into_iter().for_each(|task| drop(tokio::spawn(task)));
    let look_up = async |login| {
        assert_eq!(env.server_of(login).await, Ok(Some(("main".to_owned(), 0))));
        tokio::time::sleep(Duration::from_secs(6)).await;
        env.clock.advance(Duration::from_secs(6));
    };
    (*env.other.delay.lock().unwrap(), *env.other.is_down.lock().unwrap()) = (Duration::from_secs(5), true);
    for login in 1..6 {
        look_up(login).await;
    }
    assert!(env.port.status()[1].is_cut_off);
    // It is well, and slower than the others are waited for.
    (*env.other.delay.lock().unwrap(), *env.other.is_down.lock().unwrap()) = (Duration::from_millis(500), false);
    for login in 6..8 {
        look_up(login).await;
    }
    assert!(!env.port.status()[1].is_cut_off);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_nothing_is_routed_to_has_its_earlier_transactions_alone() {
    let env = routed(&[(1, "std", "ion4")], &[(2, "std", "ion4")], ServerRoute::default());
    assert_eq!((env.server_of(1).await, env.server_of(2).await), (Ok(Some(("main".to_owned(), 0))), Ok(None)));
    assert_eq!(env.other.asked.load(Ordering::SeqCst), 0);
    assert_eq!(env.port.post(posting("other")).await, PostStep::Done(PostingOutcome::posted(1)));
}

#[tokio::test(start_paused = true)]
async fn an_account_is_remembered_for_its_time_and_a_posting_reads_it_anew() {
    let env = two(&[(1, "std", "ion4")], &[]);
    env.server_of(1).await.unwrap();
    env.clock.advance(Duration::from_secs(30));
    assert_eq!(env.server_of(1).await, Ok(Some(("main".to_owned(), 30))));
    let asked = env.main.asked.load(Ordering::SeqCst);
    let of_posting = Posting {
        operation: BalanceOperation { login: Login(1), ..posting("main").get().operation.clone() },
        ..posting("main").into_inner()
    };
    assert_eq!(env.port.account_of(&of_posting).await.unwrap().map(|facts| facts.age_seconds), Some(0));
    assert_eq!(env.main.asked.load(Ordering::SeqCst), asked + 1);
    env.clock.advance(Duration::from_secs(1));
    assert_eq!(env.server_of(1).await, Ok(Some(("main".to_owned(), 0))), "too old");
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_has_changed_is_forgotten_at_once() {
    let env = two(&[(1, "std", "ion4")], &[]);
    for task in env.port.0.background() {
        tokio::spawn(task);
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    for change in [
        AccountChange::Login(Login(1)),
        AccountChange::Group("std".into()),
        AccountChange::Customer(CustomerId(5)),
        AccountChange::Everything,
    ] {
        env.server_of(1).await.unwrap();
        let asked = env.main.asked.load(Ordering::SeqCst);
        env.main.changes.send(AccountChange::Login(Login(2))).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        env.server_of(1).await.unwrap();
        assert_eq!(env.main.asked.load(Ordering::SeqCst), asked, "another account changed");
        env.main.changes.send(change.clone()).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        env.server_of(1).await.unwrap();
        assert_eq!(env.main.asked.load(Ordering::SeqCst), asked + 1, "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_posted_to_its_own_server_and_waits_where_the_settings_have_none() {
    let env = two(&[(7, "std", "ion4")], &[(7, "std", "ion4")]);
    env.port.post(posting("other")).await;
    assert_eq!((env.main.posted.lock().unwrap().len(), env.other.posted.lock().unwrap().len()), (0, 1));
    for gone in ["embedded", "gone"] {
        let name = ServerName::read(gone).unwrap();
        assert_eq!(env.port.post(posting(gone)).await, PostStep::NotSent);
        assert!(
            env.port.find(posting(gone).get()).await.is_err()
                && env.port.account_of(posting(gone).get()).await.is_err()
        );
        assert!(env.port.void(posting(gone), ReasonCode::Withheld).await.is_err());
        assert!(!env.port.keyed_by_operation(&name) && env.port.reaches(&name).is_err());
    }
    assert_eq!((env.main.posted.lock().unwrap().len(), env.other.posted.lock().unwrap().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn kinds_of_accounts_are_known_once_every_server_has_stated_its_groups() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    assert!(env.port.account_kinds().is_err());
    for task in env.port.0.background() {
        tokio::spawn(task);
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let kinds = env.port.account_kinds().unwrap();
    assert_eq!(kinds.iter().map(|kind| &*kind.group.group).collect::<Vec<_>>(), ["std", "vip"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_posted_to_a_server_before_it_was_compared_with_the_books() {
    let env = uncompared(&[(1, "std", "ion4")], &[], ServerRoute::default());
    let main = ServerName::read("main").unwrap();
    env.port.0.note_comparison(&main, Err(&Fault::new("connection refused")));
    assert_eq!(env.port.post(posting("main")).await, PostStep::NotSent);
    let fault = env.port.reaches(&main).unwrap_err().to_string();
    assert_eq!(fault, "postings of trading server main were not compared with the books yet: connection refused");
    assert!(env.server_of(1).await.unwrap().is_some(), "accounts are served");
    assert_eq!(env.port.status()[0].not_compared.as_deref(), Some("connection refused"));
    for expected in [None, Some("it does not have 1 postings")] {
        let differs = |sentence: &str| ServerDifferences { sentence: sentence.into(), ..Default::default() };
        env.port.0.note_comparison(&main, Ok(expected.map(|sentence| Arc::new(differs(sentence)))));
        // Another comparison could not be made: what was found is true until one can.
        env.port.0.note_comparison(&main, Err(&Fault::new("connection refused")));
        assert_eq!(env.port.status()[0].not_compared.as_deref(), expected);
        assert_eq!(env.port.post(posting("main")).await, PostStep::Done(PostingOutcome::posted(1)), "it is keyed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_again_or_has_a_new_connection_is_to_be_compared_again() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    let (port, other) = (env.port.0.clone(), ServerName::read("other").unwrap());
    let returned = || tokio::time::timeout(Duration::from_millis(50), port.returned(&other));
    env.server_of(3).await.unwrap();
    assert!(returned().await.is_err(), "it was never away");
    *env.other.is_down.lock().unwrap() = true;
    env.server_of(3).await.unwrap_err();
    assert!(returned().await.is_err(), "it is away");
    *env.other.is_down.lock().unwrap() = false;
    env.port.post(posting("other")).await;
    assert!(returned().await.is_ok());
    assert!(returned().await.is_err(), "said once");
    let mut tasks = tokio::task::JoinSet::new();
    port.background().into_iter().for_each(|task| drop(tasks.spawn(task)));
    env.other.changes.send(AccountChange::Everything).unwrap();
    assert!(returned().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_brand_of_a_customer_is_asked_for_beside_whoever_wants_to_know_and_again_when_it_is_old() {
    let env = two(&[(1, "std", "ion4")], &[]);
    let mut tasks = tokio::task::JoinSet::new();
    env.port.0.background().into_iter().for_each(|task| drop(tasks.spawn(task)));
    let brand = |id| env.port.customer_brand(CustomerId(id)).map_err(|fault| fault.to_string());
    let not_asked = "the trading servers were not asked for customer 5 yet";
    assert_eq!(brand(5), Err(not_asked.to_owned()));
    assert!(brand(6).is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((brand(5), brand(6)), (Ok(Some("ion4".into())), Ok(None)));
    // Nobody is asked while that is fresh, and what was said is shown while a server does not answer.
    let asked = env.main.asked.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((env.main.asked.load(Ordering::SeqCst), brand(5)), (asked, Ok(Some("ion4".into()))));
    env.clock.advance(Duration::from_secs(31));
    *env.other.is_down.lock().unwrap() = true;
    assert_eq!(brand(5), Ok(Some("ion4".into())));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(env.main.asked.load(Ordering::SeqCst) > asked, "it is old");
    assert_eq!((brand(5), brand(7).is_err()), (Ok(Some("ion4".into())), true));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(brand(7).is_err(), "one of them may have the customer");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_two_servers_have_stays_nobodys_while_one_of_them_is_down() {
    let env = two(&[(1, "std", "ion4")], &[(1, "vip", "ion4")]);
    env.server_of(1).await.unwrap_err();
    *env.other.is_down.lock().unwrap() = true;
    assert!(env.server_of(1).await.unwrap_err().contains("several trading servers"));
    *env.other.is_down.lock().unwrap() = false;
    env.other.accounts.lock().unwrap().clear();
    assert_eq!(env.server_of(1).await, Ok(Some(("main".to_owned(), 0))), "every server answered");
}

#[tokio::test(start_paused = true)]
async fn a_question_that_a_server_answers_badly_does_not_open_its_breaker() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    *env.other.answers_badly.lock().unwrap() = true;
    for _ in 0..20 {
        assert!(env.server_of(3).await.is_err(), "such an account is not served");
    }
    *env.other.answers_badly.lock().unwrap() = false;
    assert!(!env.port.status()[1].is_cut_off);
    assert_eq!(env.port.post(posting("other")).await, PostStep::Done(PostingOutcome::posted(1)));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_another_one_was_replaced_by_is_posted_nothing_before_it_was_compared() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    let other = ServerName::read("other").unwrap();
    let returned = || tokio::time::timeout(Duration::from_millis(50), env.port.0.returned(&other));
    *env.other.is_replaced.lock().unwrap() = true;
    assert_eq!(env.port.post(posting("other")).await, PostStep::NotSent);
    assert!(env.other.posted.lock().unwrap().is_empty());
    let fault = env.port.reaches(&other).unwrap_err().to_string();
    assert!(
        fault.ends_with("not compared with the books yet: it has another database of postings than before"),
        "{fault}"
    );
    assert_eq!(env.port.status()[1].not_compared.as_deref(), Some("it has another database of postings than before"));
    assert!(returned().await.is_err());
    env.server_of(3).await.unwrap();
    assert!(returned().await.is_ok(), "it is compared by the first call that it answers");
    *env.other.is_replaced.lock().unwrap() = false;
    assert_eq!(env.port.post(posting("other")).await, PostStep::Done(PostingOutcome::posted(1)));
    assert_eq!((env.port.reaches(&other), env.port.status()[1].not_compared.clone()), (Ok(()), None));
}

#[tokio::test(start_paused = true)]
async fn prices_neither_open_the_breaker_nor_close_it_nor_are_asked_for_while_it_is_open() {
    let env = two(&[(1, "std", "ion4")], &[(3, "vip", "beta")]);
    let (other, is_down) = (ServerName::read("other").unwrap(), |is_down| *env.other.is_down.lock().unwrap() = is_down);
    let rate = || env.port.rate(&other, usd(0).currency, usd(0).currency);
    let asked = || env.other.asked.load(Ordering::SeqCst);
    is_down(true);
    for _ in 0..20 {
        assert!(rate().await.is_err());
    }
    assert!(!env.port.status()[1].is_cut_off, "it does not count");
    for _ in 0..4 {
        env.port.post(posting("other")).await;
    }
    // A price that is stated is no sign that postings are answered.
    is_down(false);
    assert_eq!(rate().await, Ok(None));
    is_down(true);
    env.port.post(posting("other")).await;
    assert!(env.port.status()[1].is_cut_off);
    is_down(false);
    env.clock.advance(Duration::from_secs(2));
    let before = asked();
    assert!(rate().await.unwrap_err().to_string().contains("its circuit breaker is open"));
    assert_eq!(asked(), before, "the one try is a posting's");
    assert_eq!(env.port.post(posting("other")).await, PostStep::Done(PostingOutcome::posted(1)));
    env.server_of(3).await.unwrap();
    assert_eq!((env.port.status()[1].is_cut_off, rate().await), (false, Ok(None)));
}

#[tokio::test(start_paused = true)]
async fn another_accounts_change_does_not_keep_an_answer_from_being_remembered() {
    let env = two(&[(1, "std", "ion4")], &[]);
    let cache = AccountCache::new(Duration::from_secs(30));
    let facts = env.port.account(Login(1)).await.unwrap().unwrap();
    let epoch = cache.epoch();
    cache.forget(&AccountChange::Login(Login(2)));
    cache.put(&facts, Duration::ZERO, epoch);
    assert!(cache.get(Login(1), Duration::ZERO).is_some());
    for change in [AccountChange::Login(Login(1)), AccountChange::Group("std".into()), AccountChange::Everything] {
        let epoch = cache.epoch();
        cache.forget(&change);
        cache.put(&facts, Duration::ZERO, epoch);
        assert!(cache.get(Login(1), Duration::ZERO).is_none(), "{change:?} while it was asked for");
    }
    let epoch = cache.epoch();
    for login in 100..2_000 {
        cache.forget(&AccountChange::Login(Login(login)));
    }
    cache.put(&facts, Duration::ZERO, epoch);
    assert!(cache.get(Login(1), Duration::ZERO).is_none(), "more changed than is remembered");
}
