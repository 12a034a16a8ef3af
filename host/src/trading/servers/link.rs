//! One trading server with what is known of how it works: nothing is sent to one that does not answer, but for one try from time to
//! time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cashier_core::account::{AccountFacts, Group};
use cashier_core::conversion::StatedRate;
use cashier_core::eligibility::account_of;
use cashier_core::ids::{CustomerId, Login, ServerName};
use cashier_core::money::Currency;
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::time::UnixTime;
use futures_util::future::{BoxFuture, Either, select};
use tokio::sync::Notify;

use super::answering::{Answering, HealthTurn};
use crate::circuit_breaker::BreakerChange;
use crate::ports::{Clock, Durable, Fault, PostStep, Posting, ServerDifferences, TradingServer, Voiding};
use crate::trading::embedded::Embedded;
use crate::trading::remote::RemoteServer;

/// How long an answer to the question how a server is is waited for, less than for any other: a customer waits for both.
const HEALTH_WAIT: Duration = Duration::from_secs(2);

/// Where a trading server is.
#[derive(Clone)]
pub enum Server {
    Embedded(Arc<Embedded>),
    Remote { protocol: &'static str, server: Arc<dyn RemoteServer> },
}

pub(super) struct ServerLink {
    pub(super) name: ServerName,
    pub(super) server: Server,
    pub(super) clock: Arc<dyn Clock>,
    state: Mutex<LinkState>,
    /// As they were last read of a server elsewhere.
    groups: ArcSwapOption<Vec<Group>>,
    /// It may be another server than before: its postings are compared with the books again.
    pub(super) again: Notify,
}

pub(super) struct LinkState {
    pub(super) answering: Answering,
    pub(super) comparison: ComparisonState,
}

/// Whether the postings of a server elsewhere were compared with the books since the start.
pub(super) enum ComparisonState {
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
        let state = Mutex::new(LinkState { answering: Answering::new(), comparison });
        Self { name, server, clock, state, groups: ArcSwapOption::empty(), again: Notify::new() }
    }

    /// As [`RemoteServer::account`](crate::trading::remote::RemoteServer::account), of this server's own accounts and others.
    pub(super) async fn account(&self, login: Login) -> Result<Option<AccountFacts>, Fault> {
        match &self.server {
            Server::Embedded(server) => server.account(login).await,
            Server::Remote { server, .. } => self.ask(server, || server.account(login)).await,
        }
    }

    /// The brand that this server states of a customer, if it has one.
    pub(super) async fn customer_brand(&self, customer: CustomerId) -> Result<Option<Box<str>>, Fault> {
        match &self.server {
            Server::Embedded(server) => server.customer_brand(customer),
            Server::Remote { server, .. } => {
                Ok(self.ask(server, || server.customer(customer)).await?.map(|customer| customer.brand))
            }
        }
    }

    pub(super) async fn post(&self, posting: Durable<Posting>) -> PostStep {
        let server = match &self.server {
            Server::Embedded(server) => return server.post(posting).await,
            Server::Remote { server, .. } => server,
        };
        if self.awaits_comparison().is_some() || !server.pause().is_zero() || !self.admits(server).await {
            return PostStep::NotSent;
        }
        let step = server.post(posting).await;
        match &step {
            PostStep::NotSent => self.unanswered(server, "it cannot be reached").await,
            PostStep::Done(PostingOutcome::Unknown) => self.unanswered(server, "a posting got no answer").await,
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
            Server::Remote { server, .. } => self.ask(server, || server.find(posting)).await,
        }
    }

    pub(super) async fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> Result<Voiding, Fault> {
        match &self.server {
            Server::Embedded(server) => server.void(posting, reason).await,
            Server::Remote { server, .. } => self.ask(server, || server.void(posting, reason)).await,
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

    /// As [`TradingServer::may_convert`]. Which rates a server elsewhere states cannot be said at once.
    pub(super) fn may_convert(&self, from: Currency, to: Currency) -> bool {
        match &self.server {
            Server::Embedded(server) => server.may_convert(&self.name, from, to),
            Server::Remote { server, .. } => server.states_rates(),
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

    /// One account of each kind there may be, each of this server.
    pub(super) fn account_kinds(&self) -> Result<Vec<AccountFacts>, Fault> {
        match &self.server {
            Server::Embedded(server) => server.account_kinds(),
            Server::Remote { .. } => {
                let groups = self.groups.load();
                let unread = || Fault::new(format!("the groups of trading server {} were not read yet", self.name));
                let groups = groups.as_deref().ok_or_else(unread)?;
                let kind = |group: &Group| AccountFacts {
                    server: self.name.clone(),
                    ..account_of(&group.brand, group.clone())
                };
                Ok(groups.iter().map(kind).collect())
            }
        }
    }

    /// Reads the groups of a server elsewhere; what was read before counts until it answers again.
    pub(super) async fn read_groups(&self) {
        let Server::Remote { server, .. } = &self.server else { return };
        match self.ask(server, || server.groups()).await {
            Ok(groups) => self.groups.store(Some(Arc::new(groups))),
            Err(fault) => tracing::warn!(%fault, server = %self.name, "groups of the trading server were not read"),
        }
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.lock().answering.is_cut_off()
    }

    async fn ask<T>(
        &self,
        server: &Arc<dyn RemoteServer>,
        question: impl FnOnce() -> BoxFuture<'static, Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let pause = server.pause();
        if !pause.is_zero() {
            // Nothing is learned of it: neither a success nor a failure.
            let seconds = pause.as_secs() + 1;
            let why = format!("it asked not to be called for another {seconds} s");
            return Err(Fault::new(format!("trading server {} is not asked now, because {why}", self.name)));
        }
        if !self.admits(server).await {
            return Err(self.cut_off());
        }
        let answer = question().await;
        match &answer {
            Ok(_) => self.succeeded(),
            Err(fault) => self.unanswered(server, &fault.to_string()).await,
        }
        answer
    }

    /// A call without an answer that can be used. Where the server itself is well it has answered, whatever it was; and where it says
    /// that it is, the call failed by its own key alone.
    async fn unanswered(&self, server: &Arc<dyn RemoteServer>, what: &str) {
        if server.reaches().is_ok() {
            return self.succeeded();
        }
        let turn = self.lock().answering.health_turn(self.clock.monotonic());
        match turn {
            HealthTurn::Ask => {
                let is_well = self.health(server).await.is_ok();
                let calls = self.lock().answering.note_health(is_well);
                match is_well {
                    true => self.succeeded(),
                    false => (0..calls).for_each(|_| self.failed(what)),
                }
            }
            HealthTurn::NotWell => self.failed(what),
            HealthTurn::Well | HealthTurn::UnderWay => {}
        }
    }

    /// How the server is, as it says now.
    async fn health(&self, server: &Arc<dyn RemoteServer>) -> Result<(), Fault> {
        match select(server.answers(), self.clock.sleep(HEALTH_WAIT)).await {
            Either::Left((answered, _)) => answered,
            Either::Right(_) => Err(Fault::new(format!("no answer within {} s", HEALTH_WAIT.as_secs()))),
        }
    }

    pub(super) fn cut_off(&self) -> Fault {
        let why = self.lock().answering.last_failure();
        Fault::new(format!("trading server {} is not asked now, because its circuit breaker is open: {why}", self.name))
    }

    /// Whether something may be sent. While the breaker is open, the one try is the question how the server is: a call that hangs by
    /// its own key would keep it open.
    async fn admits(&self, server: &Arc<dyn RemoteServer>) -> bool {
        while self.is_cut_off() {
            if !self.lock().answering.admits(self.clock.monotonic()) {
                return false;
            }
            match self.health(server).await {
                Ok(()) => self.succeeded(),
                Err(fault) => {
                    self.failed(&fault.to_string());
                    return false;
                }
            }
        }
        true
    }

    fn succeeded(&self) {
        let (had_failed, change) = self.lock().answering.succeeded(self.clock.monotonic());
        if had_failed || self.has_another_database() {
            self.note_return();
        }
        self.report(change, "");
    }

    fn failed(&self, what: &str) {
        let change = self.lock().answering.failed(what, self.clock.monotonic(), self.clock.now());
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

    pub(super) fn lock(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
