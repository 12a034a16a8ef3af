//! What the flows share: the ledger, the snapshot, the ports, the rules, and the work under way. It starts nothing.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use cashier_core::account::AccountFacts;
use cashier_core::approval::RefundLimits;
use cashier_core::change::Stamp;
use cashier_core::conversion::ConversionTerms;
use cashier_core::edit::SecondPerson;
use cashier_core::ids::{ConfigId, Login};
use cashier_core::notice::ReceivingConfig;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::rights::Rights;
use cashier_core::session::{Actor, CustomerSession};
use tokio::sync::{Semaphore, mpsc};

use super::customer_limits::CustomerLimits;
use super::deciding::Deciding;
use super::list_limits::{ListLimits, ListPermit};
use super::list_reader::ListReader;
use super::list_turns::ListTurns;
use super::next_tries::NextTries;
use super::notice_limits::NoticeRules;
use super::publication::Publication;
use super::rate_limit::RateLimits;
use super::replay_turn::ReplayTurn;
use super::requeue::Requeue;
use super::return_hosts::ReturnHosts;
use super::single_flight::SingleFlight;
use super::unrecorded_refusals::UnrecordedRefusals;
use super::unshown_approvals::UnshownApprovals;
use crate::ledger::Ledger;
use crate::ports::{Archive, Clock, Entropy, Gateway, Modules, Spawn, TradingServer};
use crate::security_log::AnonymousLines;
use crate::snapshot::{Snapshot, SnapshotCell};

/// Edits that may wait; people make them, so a longer queue is a runaway client.
const EDITS_WAITING_MAX: usize = 64;

/// Quarantined notices on their way to the disk: a few batches of the strand. A flood beyond them is dropped, so that
/// payments find capacity in the write queue.
const QUARANTINE_WAITING_MAX: usize = 256;

/// The server's own settings that flows obey.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Where providers reach this server, without a trailing slash; notify URLs are made of it.
    pub public_url: Box<str>,
    /// How long a webhook waits for the trading server before it is answered; the credit goes on without it.
    pub webhook_patience: Duration,
    /// Deposits one customer may request in a minute; 0 is no limit.
    pub deposits_per_minute: u32,
    /// What webhooks that fail verification may cost.
    pub notices: NoticeRules,
    /// What one customer may have open and stored.
    pub customer_limits: CustomerLimits,
    /// What needs a second person.
    pub second_person: SecondPerson,
    /// Up to which amounts a refund does not.
    pub refund_limits: RefundLimits,
    /// Which session types may use which manager command.
    pub rights: Rights,
    /// To which hosts customers may be sent back.
    pub return_hosts: ReturnHosts,
    /// Under which terms a deposit in another currency than its account's is converted.
    pub conversion: ConversionTerms,
}

impl Rules {
    /// Two a second: no person pays that often, and a client that retries in a loop is slowed down.
    pub const DEPOSITS_PER_MINUTE: u32 = 120;

    /// Where the webhooks of a config arrive.
    pub fn notify_url(&self, provider: &str, config: ConfigId) -> Box<str> {
        format!("{}/cashier/webhook/{provider}/{config}", self.public_url).into()
    }

    /// NOWPayments gives up after 3 s, so the answer leaves within 2 s; a fifth of a second is for the disk before the wait
    /// and for sending the answer after it.
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
    pub(super) limits: RateLimits,
    /// The lists that are answered now.
    pub(super) lists: ListLimits,
    /// Whose lists are searched on the disk now.
    pub(super) list_turns: ListTurns,
    /// Create calls under way; requests with the same key wait for them.
    pub(super) creating: SingleFlight,
    /// Transactions whose postings are being performed.
    pub(super) settling: SingleFlight,
    /// Transactions whose provider is being queried.
    pub(super) querying: SingleFlight,
    /// Transactions of which a refund is being made.
    pub(super) refunding: SingleFlight,
    /// Transactions whose texts are being written by hand.
    pub(super) correcting: SingleFlight,
    /// What the flows of requests left unfinished, for the janitor.
    pub(super) requeue: Requeue,
    /// When the janitor tries again.
    pub(super) next_tries: NextTries,
    /// Which unread notices are shown to their module next, and whether some are being shown.
    pub(super) replays: ReplayTurn,
    /// Capacity for quarantined notices that are not on disk yet.
    pub(super) quarantine: Arc<Semaphore>,
    /// What was logged of notices that anyone may send.
    pub(super) rejected_webhooks: AnonymousLines,
    /// Approvals that are being decided.
    pub(super) deciding: Deciding,
    /// Approvals that are asked for and not shown yet.
    pub(super) unshown_approvals: UnshownApprovals,
    /// Refused commands that have no record.
    pub(super) unrecorded: UnrecordedRefusals,
    /// The queue of the one publisher of configuration.
    pub(super) publications: mpsc::Sender<Publication>,
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

impl Cashier {
    /// Builds the context around its ports; the receiver is for the publisher of configuration.
    pub(super) fn new(
        ledger: Ledger,
        snapshot: Snapshot,
        ports: Ports,
        rules: Rules,
    ) -> (Arc<Self>, mpsc::Receiver<Publication>) {
        let (publications, queue) = mpsc::channel(EDITS_WAITING_MAX);
        let Ports { archive, trading, modules, clock, entropy, spawn } = ports;
        let cashier = Arc::new(Self {
            ledger: ledger.measured_by(Arc::clone(&clock)),
            snapshot: SnapshotCell::from_pointee(snapshot),
            archive,
            trading,
            modules,
            limits: RateLimits::new(rules.deposits_per_minute, rules.notices, &clock),
            clock,
            entropy,
            spawn,
            rules,
            lists: ListLimits::default(),
            list_turns: ListTurns::default(),
            creating: SingleFlight::default(),
            settling: SingleFlight::default(),
            querying: SingleFlight::default(),
            correcting: SingleFlight::default(),
            refunding: SingleFlight::default(),
            replays: ReplayTurn::default(),
            requeue: Requeue::default(),
            next_tries: NextTries::default(),
            quarantine: Arc::new(Semaphore::new(QUARANTINE_WAITING_MAX)),
            rejected_webhooks: AnonymousLines::default(),
            deciding: Deciding::default(),
            unshown_approvals: UnshownApprovals::default(),
            unrecorded: UnrecordedRefusals::default(),
            publications,
        });
        (cashier, queue)
    }

    /// Webhooks that failed verification, and those that were answered 429, since the start.
    pub fn counted_notices(&self) -> (u64, u64) {
        self.limits.notices.counted()
    }

    /// Bytes that lists hold until their readers have taken them.
    pub fn list_bytes_held(&self) -> usize {
        self.lists.held_bytes()
    }

    /// Waits shortly until this reader may have another list; a list of transactions does so by itself.
    pub async fn list_permit(&self, reader: ListReader) -> Result<ListPermit, Refusal> {
        self.lists.begin(reader, &self.clock).await
    }

    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The gateway that a config keeps while updates of its payments may still arrive.
    pub(super) fn gateway(&self, config: ConfigId) -> Option<Arc<dyn Gateway>> {
        self.snapshot().config(config)?.gateway.as_ref().ok().cloned()
    }

    /// A gateway's config as a receiver, with the other configs of its merchant account.
    pub(super) fn receiver(&self, gateway: &dyn Gateway) -> ReceivingConfig {
        let receiver = gateway.receiver().clone();
        ReceivingConfig { merchant_account: self.snapshot().merchant_account(receiver.config_id), ..receiver }
    }

    pub(super) fn stamp(&self, actor: Actor, request_id: &str) -> Stamp {
        Stamp { actor, request_id: request_id.into(), now: self.clock.now() }
    }

    /// Logs, at a start, who is near a limit that a customer has.
    pub fn report_limits(&self) {
        let (limits, now) = (self.rules.customer_limits, self.clock.now());
        // A ledger that is closed already says so itself.
        let _ = self.ledger.peek(|books| limits.report(books, now));
    }

    /// The facts of a login that belongs to this customer. Another customer's login and an unknown one get the same
    /// refusal.
    pub async fn own_account(&self, session: &CustomerSession, login: Login) -> Result<AccountFacts, Refusal> {
        let foreign = || Refusal::new(RefusalCode::PermissionDenied, "login does not belong to the customer");
        let facts = self.account(login).await?.ok_or_else(foreign)?;
        let own = facts.account.customer_id == session.customer_id()
            && facts.customer.customer_id == session.customer_id()
            && session.brand().is_none_or(|brand| brand == &*facts.customer.brand);
        if own { Ok(facts) } else { Err(foreign()) }
    }

    /// Refuses to begin what an account's trading server would not post: it said that it takes no postings.
    pub(super) fn check_ready(&self, account: &AccountFacts) -> Result<(), Refusal> {
        self.trading.states_ready(&account.server).map_err(|fault| {
            tracing::warn!(%fault, server = %account.server, "deposit refused: its trading server takes no postings");
            Refusal::new(RefusalCode::StorageUnavailable, "the trading server takes no postings now, try again")
        })
    }

    /// The facts of a login, whoever owns it.
    pub(super) async fn account(&self, login: Login) -> Result<Option<AccountFacts>, Refusal> {
        self.trading.account(login).await.map_err(|fault| {
            tracing::warn!(%fault, %login, "account lookup at the trading server failed");
            Refusal::new(RefusalCode::StorageUnavailable, "the trading server does not answer, try again")
        })
    }
}
