//! The journeys: each reads from top to bottom as a story, knows no socket, disk or library, and outlives the request
//! that began it. What they share is the [`House`]: the ledger, the snapshot and the ports.

pub mod configure;
pub mod deposit;
mod flights;
mod hearing;
mod inquiry;
pub mod janitor;
pub mod methods;
mod pace;
pub mod settle;
pub mod transactions;
mod undone;
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

use self::flights::Flights;
use self::pace::Pace;
use self::undone::Undone;
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
pub struct House {
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
    creating: Flights,
    /// Transactions whose postings are being performed.
    settling: Flights,
    /// Transactions whose provider is being asked.
    asking: Flights,
    /// What flows of requests left undone, for the janitor.
    undone: Undone,
    /// Room for notices that were not genuine and are not on disk yet.
    suspects: Arc<Semaphore>,
    configure: mpsc::Sender<configure::Order>,
    /// Deposits of one customer.
    pace: Pace<CustomerId>,
    /// Withdrawal requests of one customer.
    withdrawals: Pace<CustomerId>,
    /// Network verifications of one config's webhooks.
    network_verifications: Pace<ConfigId>,
}

/// The adapters a house is built of.
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
pub struct Asking {
    pub request_id: Box<str>,
    /// The customer's address as the door knows it; may be empty.
    pub ip: Box<str>,
    /// A BCP 47 tag; may be empty.
    pub locale: Box<str>,
}

impl House {
    /// Builds the house around its ports and starts its publisher of configuration.
    pub fn new(ledger: Ledger, snapshot: Snapshot, ports: Ports, rules: Rules) -> Arc<Self> {
        let (configure, orders) = mpsc::channel(configure::QUEUE_MAX);
        let Ports { archive, trading, modules, clock, entropy, spawn } = ports;
        let house_clock = Arc::clone(&clock);
        let pace = Pace::new(rules.deposits_per_minute, Arc::clone(&clock));
        let house = Arc::new(Self {
            ledger,
            snapshot: SnapshotCell::from_pointee(snapshot),
            archive,
            trading,
            modules,
            clock,
            entropy,
            spawn,
            rules,
            creating: Flights::default(),
            settling: Flights::default(),
            asking: Flights::default(),
            undone: Undone::default(),
            suspects: Arc::new(Semaphore::new(webhook::SUSPECTS_WAITING_MAX)),
            configure,
            pace,
            withdrawals: Pace::new(withdrawal::PER_MINUTE, Arc::clone(&house_clock)),
            network_verifications: Pace::new(webhook::NETWORK_VERIFICATIONS_PER_MINUTE, Arc::clone(&house_clock)),
        });
        configure::start(&house, orders);
        house
    }

    pub fn picture(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The gateway that a config keeps while it may still hear something.
    fn gateway(&self, config: ConfigId) -> Option<Arc<dyn Gateway>> {
        self.picture().config(config)?.gateway.as_ref().ok().cloned()
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
