//! The journeys: each reads from top to bottom as a story, knows no socket, disk or library, and outlives the request
//! that began it. What they share is the [`Cashier`]: the ledger, the snapshot and the ports.

pub mod configure;
pub mod deposit;
mod hearing;
pub mod janitor;
pub mod methods;
mod provider_query;
mod rate_limit;
mod requeue;
pub mod settle;
mod single_flight;
pub mod transactions;
pub mod webhook;
pub mod withdrawal;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use cashier_core::account::AccountFacts;
use cashier_core::ids::{ConfigId, CustomerId, Login};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{Actor, CustomerSession};
use tokio::sync::{Semaphore, mpsc};

use self::rate_limit::RateLimit;
use self::requeue::Requeue;
use self::single_flight::SingleFlight;
use crate::ledger::{Ledger, Stamp};
use crate::ports::{Archive, Clock, Entropy, Gateway, Modules, Spawn, TradingServer};
use crate::snapshot::{Snapshot, SnapshotCell};

/// The server's own settings that flows obey.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where providers reach this server, without a trailing slash; notify URLs are made of it.
    pub public_url: Box<str>,
    /// How long a webhook waits for the trading server before it is answered; the credit goes on without it.
    pub webhook_patience: Duration,
    /// Deposits one customer may ask for in a minute; 0 is no limit.
    pub deposits_per_minute: u32,
}

impl Rules {
    /// Two a second: no person pays that often, and a retrying client is told to wait.
    pub const DEPOSITS_PER_MINUTE: u32 = 120;

    /// NOWPayments gives up after 3 s, so the answer leaves within 2 s; a fifth of a second is for the disk before the wait
    /// and the way out after it.
    pub const WEBHOOK_PATIENCE: Duration = Duration::from_millis(1_800);
}

/// Everything a flow may use.
pub struct Cashier {
    pub ledger: Ledger,
    pub snapshot: SnapshotCell,
    pub archive: Arc<dyn Archive>,
    pub trading: Arc<dyn TradingServer>,
    pub modules: Arc<dyn Modules>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub spawn: Arc<dyn Spawn>,
    pub rules: Rules,
    /// Create calls under way; same-key callers wait on them.
    creating: SingleFlight,
    /// Transactions whose postings are being performed.
    settling: SingleFlight,
    /// Transactions whose provider is being asked.
    querying: SingleFlight,
    /// What flows of requests left requeue, for the janitor.
    requeue: Requeue,
    /// Room for notices that were not genuine and are not on disk yet.
    quarantine: Arc<Semaphore>,
    configure: mpsc::Sender<configure::Order>,
    /// Deposits of one customer.
    rate_limit: RateLimit<CustomerId>,
    /// Withdrawal requests of one customer.
    withdrawals: RateLimit<CustomerId>,
    /// Network verifications of one config's webhooks.
    network_verifications: RateLimit<ConfigId>,
}

/// The adapters a cashier is built of.
pub struct Ports {
    pub archive: Arc<dyn Archive>,
    pub trading: Arc<dyn TradingServer>,
    pub modules: Arc<dyn Modules>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub spawn: Arc<dyn Spawn>,
}

/// Where a request came from, as far as flows care.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub request_id: Box<str>,
    /// The customer's address as the door knows it; may be empty.
    pub ip: Box<str>,
    /// A BCP 47 tag; may be empty.
    pub locale: Box<str>,
}

impl Cashier {
    /// Builds the cashier around its ports and starts its publisher of configuration.
    pub fn new(ledger: Ledger, snapshot: Snapshot, ports: Ports, rules: Rules) -> Arc<Self> {
        let (configure, orders) = mpsc::channel(configure::QUEUE_MAX);
        let Ports { archive, trading, modules, clock, entropy, spawn } = ports;
        let house_clock = Arc::clone(&clock);
        let rate_limit = RateLimit::new(rules.deposits_per_minute, Arc::clone(&clock));
        let cashier = Arc::new(Self {
            ledger,
            snapshot: SnapshotCell::from_pointee(snapshot),
            archive,
            trading,
            modules,
            clock,
            entropy,
            spawn,
            rules,
            creating: SingleFlight::default(),
            settling: SingleFlight::default(),
            querying: SingleFlight::default(),
            requeue: Requeue::default(),
            quarantine: Arc::new(Semaphore::new(webhook::QUARANTINE_WAITING_MAX)),
            configure,
            rate_limit,
            withdrawals: RateLimit::new(withdrawal::PER_MINUTE, Arc::clone(&house_clock)),
            network_verifications: RateLimit::new(webhook::NETWORK_VERIFICATIONS_PER_MINUTE, Arc::clone(&house_clock)),
        });
        configure::start(&cashier, orders);
        cashier
    }

    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The gateway that a config keeps while it may still hear something.
    fn gateway(&self, config: ConfigId) -> Option<Arc<dyn Gateway>> {
        self.snapshot().config(config)?.gateway.as_ref().ok().cloned()
    }

    fn stamp(&self, actor: Actor, request_id: &str) -> Stamp {
        Stamp { actor, request_id: request_id.into(), now: self.clock.now() }
    }

    /// The facts of a login that belongs to this customer. Another's login and none at all look the same.
    pub async fn own_account(&self, session: &CustomerSession, login: Login) -> Result<AccountFacts, Refusal> {
        let foreign = || Refusal::new(RefusalCode::PermissionDenied, "login does not belong to the customer");
        let facts = self.account(login).await?.ok_or_else(foreign)?;
        let own = facts.account.customer_id == session.customer_id()
            && facts.customer.customer_id == session.customer_id()
            && session.brand().is_none_or(|brand| brand == &*facts.customer.brand);
        if own { Ok(facts) } else { Err(foreign()) }
    }

    async fn account(&self, login: Login) -> Result<Option<AccountFacts>, Refusal> {
        self.trading.account(login).await.map_err(|fault| {
            tracing::warn!(%fault, %login, "the trading server did not tell about a login");
            Refusal::new(RefusalCode::StorageUnavailable, "the trading server does not answer, try again")
        })
    }
}
