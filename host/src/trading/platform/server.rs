//! The adapter: a trading server that speaks the platform's protocol, behind the trait of remote servers. Money moves in `two_phases`
//! or `one_phase`, whichever the settings say.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cashier_core::account::{AccountFacts, Customer, Group};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode;
use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

use super::accounts::PlatformAccounts;
use super::changes;
use super::client::PlatformClient;
use super::connection::LinkParts;
use super::dial::{PlatformDial, TcpDial};
use super::link;
use super::listed_accounts::ListedAccounts;
use super::one_phase::OnePhase;
use super::order_search::OrderSearch;
use super::orders::FinanceOrders;
use super::search_sizes::SearchSizes;
use super::settings::{PlatformPhases, PlatformSettings};
use super::two_phases::TwoPhases;
use crate::ports::{Clock, Durable, Entropy, Fault, PostStep, Posting, Spawn, Voiding};
use crate::trading::remote::{AccountChange, PostingsPage, RemoteServer};

/// A running client of the platform. Its background tasks end with `Spawn`'s.
pub struct PlatformServer {
    accounts: PlatformAccounts,
    orders: FinanceOrders,
    listed: ListedAccounts,
    poster: Poster,
    changes: broadcast::Sender<AccountChange>,
}

#[derive(Clone)]
enum Poster {
    Two(TwoPhases),
    One(OnePhase),
}

impl PlatformServer {
    /// Connects in the background; what is asked before waits a little.
    ///
    /// # Errors
    /// A setting, the token's file or a certificate cannot be used.
    pub fn open(
        settings: PlatformSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        spawn: &dyn Spawn,
    ) -> Result<Self, Fault> {
        let dial = TcpDial::new(&settings.address, &settings.tls, &settings.token_file)?;
        Self::over(Arc::new(dial), settings, clock, entropy, spawn)
    }

    pub(super) fn over(
        dial: Arc<dyn PlatformDial>,
        settings: PlatformSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        spawn: &dyn Spawn,
    ) -> Result<Self, Fault> {
        settings.check()?;
        let settings = Arc::new(settings);
        let heartbeat = settings.heartbeat.clone();
        let expected = settings.missing_account.iter().chain(&settings.refusals).cloned().collect();
        let client = link::open(LinkParts { dial, clock: Arc::clone(&clock), entropy, heartbeat, expected }, spawn);
        let changes = changes::follow(&client, spawn);
        let accounts = PlatformAccounts { client: client.clone(), settings: Arc::clone(&settings) };
        let sizes = Arc::new(SearchSizes::new(settings.search.is_some()));
        let searches = OrderSearch { client: client.clone(), settings: Arc::clone(&settings), sizes };
        let orders = FinanceOrders {
            client,
            settings: Arc::clone(&settings),
            uuid_fails: Arc::new(AtomicBool::new(false)),
            contradictions: Arc::default(),
            searches,
        };
        let poster = match settings.phases {
            PlatformPhases::Two => {
                let (accounts, orders) = (accounts.clone(), orders.clone());
                let (late, unanswered, traces) = Default::default();
                let phases = TwoPhases { accounts, orders, late, unanswered, traces, clock };
                Poster::Two(phases)
            }
            PlatformPhases::One => {
                let (accounts, orders) = (accounts.clone(), orders.clone());
                Poster::One(OnePhase { accounts, orders, traces: Arc::default() })
            }
        };
        Ok(Self { accounts, orders, listed: ListedAccounts::default(), poster, changes })
    }

    /// Declines requests that nobody needs any more, for ever. A command that only asks does not.
    pub fn sweep(&self, spawn: &dyn Spawn) {
        match &self.poster {
            Poster::Two(phases) => spawn.background(Box::pin(phases.clone().sweep_for_ever())),
            Poster::One(_) => {}
        }
    }

    pub(super) fn client(&self) -> &PlatformClient {
        &self.accounts.client
    }
}

impl RemoteServer for PlatformServer {
    fn account(&self, login: Login) -> BoxFuture<'static, Result<Option<AccountFacts>, Fault>> {
        let accounts = self.accounts.clone();
        Box::pin(async move { accounts.facts(login).await })
    }

    fn groups(&self) -> BoxFuture<'static, Result<Vec<Group>, Fault>> {
        let accounts = self.accounts.clone();
        Box::pin(async move { accounts.groups().await })
    }

    fn customer(&self, customer: CustomerId) -> BoxFuture<'static, Result<Option<Customer>, Fault>> {
        let accounts = self.accounts.clone();
        Box::pin(async move { accounts.customer(customer).await })
    }

    fn post(&self, posting: Durable<Posting>) -> BoxFuture<'static, PostStep> {
        match self.poster.clone() {
            Poster::Two(phases) => Box::pin(async move { phases.post(posting.get()).await }),
            Poster::One(phase) => Box::pin(async move { phase.post(posting.get()).await }),
        }
    }

    fn find(&self, posting: &Posting) -> BoxFuture<'static, Result<Option<PostingOutcome>, Fault>> {
        let posting = posting.clone();
        match self.poster.clone() {
            Poster::Two(phases) => Box::pin(async move { phases.find(&posting).await }),
            Poster::One(phase) => Box::pin(async move { phase.find(&posting).await }),
        }
    }

    fn void(&self, posting: Durable<Posting>, reason: ReasonCode) -> BoxFuture<'static, Result<Voiding, Fault>> {
        match self.poster.clone() {
            Poster::Two(phases) => Box::pin(async move { phases.void(posting.get(), reason).await }),
            Poster::One(phase) => Box::pin(async move { phase.void(posting.get()).await }),
        }
    }

    fn keyed_by_operation(&self) -> bool {
        match self.poster {
            Poster::Two(_) => true,
            Poster::One(_) => false,
        }
    }

    fn postings(&self, after: Box<str>, limit: usize) -> BoxFuture<'static, Result<PostingsPage, Fault>> {
        let (accounts, listed, orders) = (self.accounts.clone(), self.listed.clone(), self.orders.clone());
        Box::pin(async move { super::listing::page((&accounts, &listed), &orders, &after, limit).await })
    }

    fn cursor_at(&self, time: UnixTime) -> Box<str> {
        let Some(search) = &self.orders.settings.search else { return Box::default() };
        super::listing::cursor_at(if search.in_milliseconds { time.0.saturating_mul(1_000) } else { time.0 })
    }

    fn changes(&self) -> Option<broadcast::Receiver<AccountChange>> {
        Some(self.changes.subscribe())
    }

    fn answers(&self) -> BoxFuture<'static, Result<(), Fault>> {
        let accounts = self.accounts.clone();
        Box::pin(async move { accounts.answers().await })
    }

    fn reaches(&self) -> Result<(), Fault> {
        self.client().reaches()
    }

    fn health(&self) -> Result<(), Fault> {
        self.client().health()?;
        self.orders.contradictions.problem()?;
        match &self.poster {
            Poster::Two(phases) => phases.late.problem().and_then(|()| phases.unanswered.problem())?,
            Poster::One(_) => {}
        }
        self.orders.searches.sizes.problem()
    }
}
