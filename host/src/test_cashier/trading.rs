//! The trading server of the test cashier. A test scripts lost answers, delays and refusals, or turns off its deduplication.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::approval::RefundLimits;
use cashier_core::conversion::{ConversionTerms, StatedRate};
use cashier_core::eligibility::account_of;
use cashier_core::ids::{CustomerId, Login, ServerName, TransactionId};
use cashier_core::money::Currency;
use cashier_core::operation::{OperationKey, PostingFlaw, PostingOutcome};
use cashier_core::reason::ReasonCode;
use cashier_core::reconcile::FoundPosting;
use cashier_core::rights::Rights;
use cashier_core::roster::{ImportReport, RosterPlan};
use futures_util::future::BoxFuture;

use super::bases::{Bases, wait};
use super::{CUSTOMER, lock, usd};
use crate::ports::{Durable, Fault, PostStep, Posting, RosterRefusal, ServerDifferences, TradingServer, Voiding};
use crate::trading::embedded::Embedded;

/// What the trading server does with the next posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnPost {
    Accept,
    /// Posted, and the answer is lost.
    AnswerLost,
    NeverArrives,
    Refuse,
    RefuseFor(ReasonCode),
    /// Posted after this many seconds.
    Slow(u64),
    /// The connection breaks, and the posting arrives after this many seconds, also when the cashier has crashed.
    ArrivesLate(u64),
    /// Posted, and a person must look at it.
    Flawed(PostingFlaw),
    /// No byte of it leaves.
    NotSent,
}

/// Survives crashes of the cashier.
#[derive(Default)]
pub(crate) struct TestTrading {
    pub(crate) posted: Mutex<Vec<(OperationKey, TransactionId, i64)>>,
    refused: Mutex<BTreeMap<OperationKey, Box<str>>>,
    pub(crate) next_posts: Mutex<VecDeque<OnPost>>,
    /// Whether it makes a request first, which moves nothing, and posts by the number that is recorded of it. The numbers of requests
    /// by which it was sent postings.
    pub(crate) in_two_phases: AtomicBool,
    pub(crate) approved: Mutex<Vec<u64>>,
    /// Whether it posts a repeated operation again, and cannot void one.
    pub(crate) unkeyed: AtomicBool,
    /// Whether a request that is held is not found, so that it cannot void one.
    pub(crate) hides_requests: AtomicBool,
    /// How long the connection that carried the last posting of an unkeyed server has been closed.
    pub(crate) closed_for: Mutex<Option<Duration>>,
    /// Accounts that it has forgotten, with all but their postings.
    pub(crate) forgotten: Mutex<BTreeSet<Login>>,
    /// Which trading server has an account, where it is another one than the first; and the servers that answer no posting in time.
    pub(crate) servers: Mutex<BTreeMap<Login, ServerName>>,
    pub(crate) hanging: Mutex<BTreeSet<ServerName>>,
    /// Whether the group of every account is a demo group.
    pub(crate) demo: AtomicBool,
    /// Brands whose real accounts may receive sandbox money, as the settings name them at the next start.
    pub(crate) allow_sandbox_credit: Mutex<Vec<Box<str>>>,
    pub(crate) allow_live_on_demo: Mutex<Vec<Box<str>>>,
    /// Hosts by brand that customers may be sent back to, read when the cashier opens.
    pub(crate) return_hosts: Mutex<BTreeMap<Box<str>, Vec<Box<str>>>>,
    /// What the settings say of rights and of refunds, read when the cashier opens.
    pub(crate) rights: Mutex<(Rights, RefundLimits)>,
    /// Why it is not ready.
    pub(crate) not_ready: Mutex<Option<&'static str>>,
    /// What it says of why it takes no postings.
    pub(crate) takes_no_postings: Mutex<Option<&'static str>>,
    /// The embedded server that has the accounts and postings, in place of this one's memory.
    pub(crate) bases: OnceLock<Arc<Bases>>,
    /// Under which terms deposits are converted, read when the cashier opens; and the rates that are stated, by the currencies.
    pub(crate) conversion: Mutex<ConversionTerms>,
    pub(crate) rates: Mutex<BTreeMap<(Currency, Currency), StatedRate>>,
    /// How often an account was looked up.
    pub(crate) lookups: AtomicUsize,
    /// What was found to differ between the books and servers elsewhere.
    pub(crate) differences: Mutex<Vec<(ServerName, Arc<ServerDifferences>)>>,
    /// Whether rates, account lookups, or voids, fail.
    pub(crate) rates_fail: AtomicBool,
    pub(crate) lookups_fail: AtomicBool,
    pub(crate) voids_fail: AtomicBool,
}

impl TestTrading {
    pub(crate) fn balance(&self) -> i64 {
        lock(&self.posted).iter().map(|(_, _, minor)| minor).sum()
    }

    pub(crate) fn credited(&self, id: TransactionId) -> i64 {
        lock(&self.posted).iter().filter(|(_, of, _)| *of == id).map(|(_, _, minor)| minor).sum()
    }

    /// Every posting that moved money.
    pub(crate) fn postings(&self) -> Vec<(OperationKey, TransactionId, i64)> {
        match self.bases.get() {
            Some(bases) => {
                let made = bases.postings().into_iter().filter(FoundPosting::is_posted);
                made.map(|posting| (posting.key, posting.transaction_id, posting.amount.minor)).collect()
            }
            None => lock(&self.posted).clone(),
        }
    }

    fn embedded(&self) -> Option<Arc<Embedded>> {
        self.bases.get().map(|bases| bases.trading())
    }

    /// `embedded`: the one that was open when the posting was sent; nothing reaches one that was closed.
    fn post_now(&self, posting: &Posting, embedded: Option<&Embedded>) -> PostingOutcome {
        let operation = &posting.operation;
        if lock(&self.forgotten).contains(&operation.login) {
            return self.refuse(posting, ReasonCode::AccountNotFound, embedded);
        }
        if let Some(embedded) = embedded {
            return wait(embedded.post(Durable::assertion(posting.clone()))).outcome();
        }
        if !self.unkeyed.load(Ordering::SeqCst)
            && let Some(known) = self.known(&posting.key())
        {
            return known;
        }
        let mut posted = lock(&self.posted);
        posted.push((posting.key(), operation.transaction_id, operation.amount.minor));
        PostingOutcome::posted(posted.len() as u64)
    }

    /// The refusal, unless the key has an outcome.
    fn refuse(&self, posting: &Posting, reason: ReasonCode, embedded: Option<&Embedded>) -> PostingOutcome {
        if let Some(embedded) = embedded {
            return match wait(embedded.void(Durable::assertion(posting.clone()), reason)) {
                Ok(Voiding::Settled(outcome)) => outcome,
                Ok(Voiding::Undecided { .. }) | Err(_) => PostingOutcome::Unknown,
            };
        }
        let refused = || {
            let reason = lock(&self.refused).entry(posting.key()).or_insert_with(|| reason.name().into()).clone();
            PostingOutcome::Refused { reason }
        };
        self.known(&posting.key()).unwrap_or_else(refused)
    }

    fn known(&self, key: &OperationKey) -> Option<PostingOutcome> {
        let place = lock(&self.posted).iter().position(|(known, ..)| known == key);
        let refused = lock(&self.refused).get(key).map(|reason| PostingOutcome::Refused { reason: reason.clone() });
        place.map(|place| PostingOutcome::posted(place as u64 + 1)).or(refused)
    }
}

pub(super) struct TradingPort(pub(super) Arc<TestTrading>);

impl TradingPort {
    fn group(&self) -> Group {
        Group {
            group: "real".into(),
            brand: "ion4".into(),
            currency: usd(0).currency,
            account_mode: if self.0.demo.load(Ordering::SeqCst) { AccountMode::Demo } else { AccountMode::Real },
            enabled: true,
        }
    }
}

impl TradingServer for TradingPort {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        self.0.lookups.fetch_add(1, Ordering::SeqCst);
        if self.0.lookups_fail.load(Ordering::SeqCst) {
            return Box::pin(ready(Err(Fault::new("account lookups fail"))));
        }
        if lock(&self.0.forgotten).contains(&login) {
            return Box::pin(ready(Ok(None)));
        }
        if let Some(embedded) = self.0.embedded() {
            return embedded.account(login);
        }
        let (customer_id, enabled) = match login.0 {
            2_000_009 | 2_000_012 => (CUSTOMER, true),
            2_000_010 => (CUSTOMER, false),
            2_000_011 => (CustomerId(6), true),
            2_000_500 => return Box::pin(ready(Err(Fault::new("CANARY: the trading server is down")))),
            _ => return Box::pin(ready(Ok(None))),
        };
        let customer = Customer {
            customer_id,
            country: "DE".into(),
            brand: "ion4".into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        };
        let group = self.group();
        let balance = usd(self.0.balance());
        let account = Account { login, customer_id, group: "real".into(), enabled, balance };
        Box::pin(ready(Ok(Some(AccountFacts {
            customer,
            account,
            group,
            server: lock(&self.0.servers).get(&login).cloned().unwrap_or_default(),
            age_seconds: 0,
        }))))
    }

    fn differences(&self) -> Vec<(ServerName, Arc<ServerDifferences>)> {
        lock(&self.0.differences).clone()
    }

    fn account_kinds(&self) -> Result<Vec<AccountFacts>, Fault> {
        let group = |brand: &str, code: &str| {
            let currency = Currency::from_code(code).unwrap_or(usd(0).currency);
            account_of(brand, Group { brand: brand.into(), currency, ..self.group() })
        };
        Ok(vec![group("ion4", "USD"), group("ion4", "EUR"), group("other", "USD")])
    }

    fn customer_brand(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        Ok([CUSTOMER, CustomerId(6)].contains(&customer).then(|| "ion4".into()))
    }

    fn judge_roster(&self, text: Arc<str>) -> BoxFuture<'static, Result<RosterPlan, RosterRefusal>> {
        match self.0.embedded() {
            Some(embedded) => Box::pin(ready(wait(embedded.judge_roster(text)))),
            None => Box::pin(ready(Err(RosterRefusal::Unsupported))),
        }
    }

    fn import_roster(
        &self,
        text: Arc<str>,
        judged: RosterPlan,
    ) -> BoxFuture<'static, Result<ImportReport, RosterRefusal>> {
        match self.0.embedded() {
            Some(embedded) => Box::pin(ready(wait(embedded.import_roster(text, judged)))),
            None => Box::pin(ready(Err(RosterRefusal::Unsupported))),
        }
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        let (trading, embedded) = (Arc::clone(&self.0), self.0.embedded());
        let next = lock(&trading.next_posts).pop_front().unwrap_or(OnPost::Accept);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            if lock(&trading.hanging).contains(&posting.get().server) {
                tokio::time::sleep(Duration::from_secs(5)).await;
                return PostingOutcome::Unknown.into();
            }
            if trading.in_two_phases.load(Ordering::SeqCst) {
                let requests = lock(&trading.approved).len() as u64;
                match posting.get().operation.request_order {
                    0 => return PostStep::Prepared { request_order: 500 + requests },
                    recorded => lock(&trading.approved).push(recorded),
                }
            }
            let outcome = match next {
                OnPost::NotSent => return PostStep::NotSent,
                OnPost::Accept => trading.post_now(posting.get(), embedded.as_deref()),
                OnPost::NeverArrives => PostingOutcome::Unknown,
                OnPost::Refuse => {
                    lock(&trading.refused).insert(posting.get().key(), "NO".into());
                    PostingOutcome::Refused { reason: "NO".into() }
                }
                OnPost::RefuseFor(reason) => trading.refuse(posting.get(), reason, embedded.as_deref()),
                OnPost::AnswerLost => {
                    trading.post_now(posting.get(), embedded.as_deref());
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    PostingOutcome::Unknown
                }
                OnPost::Slow(seconds) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    trading.post_now(posting.get(), embedded.as_deref())
                }
                OnPost::ArrivesLate(seconds) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(seconds)).await;
                        trading.post_now(posting.get(), embedded.as_deref())
                    });
                    PostingOutcome::Unknown
                }
                OnPost::Flawed(flaw) => match trading.post_now(posting.get(), embedded.as_deref()) {
                    PostingOutcome::Posted { trade_order, .. } => {
                        PostingOutcome::Posted { trade_order, flaw: Some(flaw) }
                    }
                    other => other,
                },
            };
            outcome.into()
        })
    }

    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        Box::pin(ready(match self.0.embedded() {
            Some(embedded) => wait(embedded.find(posting)),
            None => Ok(self.0.known(&posting.key())),
        }))
    }

    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        if self.0.voids_fail.load(Ordering::SeqCst) {
            return Box::pin(ready(Err(Fault::new("voids fail"))));
        }
        let posting = posting.get();
        let is_hidden = self.0.hides_requests.load(Ordering::SeqCst) && posting.operation.request_order != 0;
        if (is_hidden || self.0.unkeyed.load(Ordering::SeqCst)) && self.0.known(&posting.key()).is_none() {
            return Box::pin(ready(Ok(Voiding::Undecided { closed_for: *lock(&self.0.closed_for) })));
        }
        let embedded = self.0.embedded();
        Box::pin(ready(Ok(Voiding::Settled(self.0.refuse(posting, reason, embedded.as_deref())))))
    }

    fn rate(
        &self,
        server: &ServerName,
        from: Currency,
        to: Currency,
    ) -> BoxFuture<'static, Result<Option<StatedRate>, Fault>> {
        if let Some(embedded) = self.0.embedded() {
            return embedded.rate(server, from, to);
        }
        let stated = match self.0.rates_fail.load(Ordering::SeqCst) {
            true => Err(Fault::new("rates fail")),
            false => Ok(lock(&self.0.rates).get(&(from, to)).cloned()),
        };
        Box::pin(ready(stated))
    }

    fn may_convert(&self, _: &ServerName, from: Currency, to: Currency) -> bool {
        lock(&self.0.rates).contains_key(&(from, to))
    }

    fn keyed_by_operation(&self, _: &ServerName) -> bool {
        !self.0.unkeyed.load(Ordering::SeqCst)
    }

    fn proves_postings(&self, server: &ServerName) -> bool {
        self.keyed_by_operation(server)
    }

    fn states_ready(&self, _: &ServerName) -> Result<(), Fault> {
        (*lock(&self.0.takes_no_postings)).map_or(Ok(()), |problem| Err(Fault::new(problem)))
    }

    fn readiness(&self) -> Result<(), Fault> {
        (*lock(&self.0.not_ready)).map_or(Ok(()), |problem| Err(Fault::new(problem)))
    }
}
