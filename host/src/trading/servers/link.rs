//! One trading server with what is known of how it works: nothing is sent to one that does not answer, but for one try from time to
//! time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use cashier_core::account::{AccountFacts, Group};
use cashier_core::conversion::StatedRate;
use cashier_core::eligibility::account_of;
use cashier_core::ids::{CustomerId, Login, ServerName};
use cashier_core::money::Currency;
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::circuit_breaker::{BreakerChange, CircuitBreaker};
use crate::ports::{
    Clock, Durable, Fault, PostStep, Posting, ServerDifferences, TradingServer, TradingStatus, Voiding,
};
use crate::trading::embedded::Embedded;
use crate::trading::remote::RemoteServer;

/// Why nothing is posted to a server whose database a person accepted in place of the one before.
const OTHER_DATABASE: &str = "it has another database of postings than before";

/// Where a trading server is.
#[derive(Clone)]
pub enum Server {
    Embedded(Arc<Embedded>),
    Remote { protocol: &'static str, server: Arc<dyn RemoteServer> },
}

pub(super) struct ServerLink {
    pub(super) name: ServerName,
    pub(super) server: Server,
    clock: Arc<dyn Clock>,
    state: Mutex<LinkState>,
    /// As they were last read of a server elsewhere.
    groups: ArcSwapOption<Vec<Group>>,
    /// It may be another server than before: its postings are compared with the books again.
    again: Notify,
}

struct LinkState {
    breaker: CircuitBreaker,
    /// Of the newest call that got no answer, and of the first one in a row.
    failing: Option<(Box<str>, UnixTime)>,
    comparison: ComparisonState,
}

/// Whether the postings of a server elsewhere were compared with the books since the start.
enum ComparisonState {
    /// Not yet: nothing is posted there before, so that the counts of both stand still.
    Due(Box<str>),
    /// When it was, and what differs, for a person: what is posted is keyed, and goes on.
    Compared(UnixTime, Option<Arc<ServerDifferences>>),
}

impl ServerLink {
    pub(super) fn new(name: ServerName, server: Server, clock: Arc<dyn Clock>) -> Self {
        let comparison = match &server {
            Server::Embedded(_) => ComparisonState::Compared(UnixTime::UNSET, None),
            Server::Remote { .. } => ComparisonState::Due("the start has only begun".into()),
        };
        let state = Mutex::new(LinkState { breaker: CircuitBreaker::new(), failing: None, comparison });
        Self { name, server, clock, state, groups: ArcSwapOption::empty(), again: Notify::new() }
    }

    /// As [`RemoteServer::account`](crate::trading::remote::RemoteServer::account), of this server's own accounts and others.
    pub(super) async fn account(&self, login: Login) -> Result<Option<AccountFacts>, Fault> {
        match &self.server {
            Server::Embedded(server) => server.account(login).await,
            Server::Remote { server, .. } => self.ask(|| server.account(login)).await,
        }
    }

    /// The brand that this server states of a customer, if it has one.
    pub(super) async fn customer_brand(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        match &self.server {
            Server::Embedded(server) => server.customer_brand(customer),
            Server::Remote { server, .. } => {
                Ok(self.ask(|| server.customer(customer)).await?.map(|customer| customer.brand))
            }
        }
    }

    pub(super) async fn post(&self, posting: Durable<Posting>) -> PostStep {
        let server = match &self.server {
            Server::Embedded(server) => return server.post(posting).await,
            Server::Remote { server, .. } => server,
        };
        if self.awaits_comparison().is_some() || !self.admits() {
            return PostStep::NotSent;
        }
        let step = server.post(posting).await;
        match &step {
            PostStep::NotSent => self.unanswered("it cannot be reached"),
            PostStep::Done(PostingOutcome::Unknown) => self.unanswered("a posting got no answer"),
            PostStep::Prepared { .. }
            | PostStep::Done(
                PostingOutcome::Posted { .. } | PostingOutcome::Refused { .. } | PostingOutcome::Conflict,
            ) => self.succeeded(),
        }
        step
    }

    pub(super) async fn find(&self, posting: &Posting) -> Result<Option<PostingOutcome>, Fault> {
        match &self.server {
            Server::Embedded(server) => server.find(posting).await,
            Server::Remote { server, .. } => self.ask(|| server.find(posting)).await,
        }
    }

    pub(super) async fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> Result<Voiding, Fault> {
        match &self.server {
            Server::Embedded(server) => server.void(posting, reason).await,
            Server::Remote { server, .. } => self.ask(|| server.void(posting, reason)).await,
        }
    }

    /// A server need not have prices: how it is asked for one says nothing of whether it takes postings, and is no try of a server
    /// that does not answer.
    pub(super) async fn rate(&self, from: Currency, to: Currency) -> Result<Option<StatedRate>, Fault> {
        match &self.server {
            Server::Embedded(server) => server.rate(&self.name, from, to).await,
            Server::Remote { .. } if self.is_cut_off() => Err(self.cut_off()),
            Server::Remote { server, .. } => server.rate(from, to).await,
        }
    }

    pub(super) fn keyed_by_operation(&self) -> bool {
        match &self.server {
            Server::Embedded(server) => server.keyed_by_operation(&self.name),
            Server::Remote { server, .. } => server.keyed_by_operation(),
        }
    }

    /// What its own record proves; see [`TradingServer::proves_postings`]. Of a server elsewhere it is not relied on: it may be
    /// restored, and ours waits for our disk alone.
    pub(super) fn proves_postings(&self) -> bool {
        match &self.server {
            Server::Embedded(server) => server.proves_postings(&self.name),
            Server::Remote { .. } => false,
        }
    }

    /// One account of each kind there may be.
    pub(super) fn account_kinds(&self) -> Result<Vec<AccountFacts>, Fault> {
        match &self.server {
            Server::Embedded(server) => server.account_kinds(),
            Server::Remote { .. } => {
                let groups = self.groups.load();
                let unread = || Fault::new(format!("the groups of trading server {} were not read yet", self.name));
                let groups = groups.as_deref().ok_or_else(unread)?;
                Ok(groups.iter().map(|group| account_of(&group.brand, group.clone())).collect())
            }
        }
    }

    /// Reads the groups of a server elsewhere; what was read before counts until it answers again.
    pub(super) async fn read_groups(&self) {
        let Server::Remote { server, .. } = &self.server else { return };
        match self.ask(|| server.groups()).await {
            Ok(groups) => self.groups.store(Some(Arc::new(groups))),
            Err(fault) => tracing::warn!(%fault, server = %self.name, "groups of the trading server were not read"),
        }
    }

    /// Whether something can be sent now.
    pub(super) fn reaches(&self) -> Result<(), Fault> {
        match &self.server {
            Server::Embedded(server) => server.readiness(),
            Server::Remote { .. } if self.is_cut_off() => Err(self.cut_off()),
            Server::Remote { server, .. } => match self.awaits_comparison() {
                Some(why) => Err(Fault::new(format!(
                    "postings of trading server {} were not compared with the books yet: {why}",
                    self.name
                ))),
                None => server.reaches(),
            },
        }
    }

    /// Whether it answers, as far as that is known without asking.
    pub(super) fn is_answering(&self) -> bool {
        let is_well = match &self.server {
            Server::Embedded(_) => true,
            Server::Remote { server, .. } => server.reaches().is_ok(),
        };
        let state = self.lock();
        is_well && state.failing.is_none() && !state.breaker.is_open()
    }

    fn is_cut_off(&self) -> bool {
        self.lock().breaker.is_open()
    }

    pub(super) fn status(&self) -> TradingStatus {
        let (protocol, problem) = match &self.server {
            Server::Embedded(server) => (ServerName::EMBEDDED, server.readiness()),
            Server::Remote { protocol, server } => (*protocol, server.health()),
        };
        let state = self.lock();
        let problem = problem.err().map(|fault| fault.to_string().into());
        let failing = state.failing.as_ref();
        TradingStatus {
            server: self.name.clone(),
            protocol,
            problem: problem.or_else(|| failing.map(|(what, _)| what.clone())),
            failing_since: failing.map_or(UnixTime::UNSET, |(_, since)| *since),
            is_cut_off: state.breaker.is_open(),
            not_compared: match &state.comparison {
                ComparisonState::Due(why) => Some(why.clone()),
                ComparisonState::Compared(..) if self.has_another_database() => Some(OTHER_DATABASE.into()),
                ComparisonState::Compared(_, differs) => differs.as_ref().map(|differs| differs.sentence.clone()),
            },
            compared_time: match &state.comparison {
                ComparisonState::Due(_) => UnixTime::UNSET,
                ComparisonState::Compared(at, _) => *at,
            },
        }
    }

    /// What was found to differ from the books, where something was.
    pub(super) fn differences(&self) -> Option<Arc<ServerDifferences>> {
        match &self.lock().comparison {
            ComparisonState::Due(_) => None,
            ComparisonState::Compared(_, differs) => differs.clone(),
        }
    }

    /// A comparison with the books ended: what differs, or nothing. Or it could not be made, for this reason: what an earlier one
    /// found is true until it can.
    pub(super) fn note_comparison(&self, found: Result<Option<Arc<ServerDifferences>>, &Fault>) {
        let mut state = self.lock();
        match (found, &state.comparison) {
            (Ok(found), _) => state.comparison = ComparisonState::Compared(self.clock.now(), found),
            (Err(fault), ComparisonState::Due(_)) => state.comparison = ComparisonState::Due(fault.to_string().into()),
            (Err(_), ComparisonState::Compared(..)) => {}
        }
    }

    /// It is to be compared with the books again: it answers after it did not, or its connection is a new one.
    pub(super) fn note_return(&self) {
        self.again.notify_one();
    }

    /// Resolves once that was said since this resolved last.
    pub(super) async fn returned(&self) {
        self.again.notified().await;
    }

    fn awaits_comparison(&self) -> Option<Box<str>> {
        match &self.lock().comparison {
            ComparisonState::Due(why) => Some(why.clone()),
            ComparisonState::Compared(..) => self.has_another_database().then(|| OTHER_DATABASE.into()),
        }
    }

    /// It has another database of postings than the one that was compared.
    fn has_another_database(&self) -> bool {
        match &self.server {
            Server::Embedded(_) => false,
            Server::Remote { server, .. } => !server.is_compared(),
        }
    }

    async fn ask<T>(&self, question: impl FnOnce() -> BoxFuture<'static, Result<T, Fault>>) -> Result<T, Fault> {
        if !self.admits() {
            return Err(self.cut_off());
        }
        let answer = question().await;
        match &answer {
            Ok(_) => self.succeeded(),
            Err(fault) => self.unanswered(&fault.to_string()),
        }
        answer
    }

    /// A call without an answer that can be used. Where the server itself is well it has answered, whatever it was.
    fn unanswered(&self, what: &str) {
        match &self.server {
            Server::Remote { server, .. } if server.reaches().is_err() => self.failed(what),
            Server::Remote { .. } | Server::Embedded(_) => self.succeeded(),
        }
    }

    fn cut_off(&self) -> Fault {
        let state = self.lock();
        let why = state.failing.as_ref().map_or("it did not answer", |(what, _)| what);
        Fault::new(format!("trading server {} is not asked now, because its circuit breaker is open: {why}", self.name))
    }

    fn admits(&self) -> bool {
        self.lock().breaker.admits(self.clock.monotonic())
    }

    fn succeeded(&self) {
        let mut state = self.lock();
        let had_failed = state.failing.take().is_some();
        let change = state.breaker.succeeded(self.clock.monotonic());
        drop(state);
        if had_failed || self.has_another_database() {
            self.note_return();
        }
        self.report(change, "");
    }

    fn failed(&self, what: &str) {
        let mut state = self.lock();
        let since = state.failing.as_ref().map_or_else(|| self.clock.now(), |(_, since)| *since);
        state.failing = Some((what.into(), since));
        let change = state.breaker.failed(self.clock.monotonic());
        drop(state);
        self.report(change, what);
    }

    fn report(&self, change: BreakerChange, what: &str) {
        match change {
            BreakerChange::None => {}
            BreakerChange::Opened => {
                tracing::error!(server = %self.name, last = what, "trading server does not answer: its circuit breaker opened");
            }
            BreakerChange::Closed => {
                tracing::info!(server = %self.name, "trading server answers: its circuit breaker closed")
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
