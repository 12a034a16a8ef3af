//! The work list: what of a transaction or an event waits for a person, for somebody's answer, or for time, since when, and
//! what ends it. Derived from state by the rules of `duty` and `standing`, so that nothing waits which is not listed.

use super::next_command::{self, APPROVE, PROCESS, REJECT, REPLAY, RESOLVE, RETRY, UPDATE};
use super::unconfirmed::{end_of_queries, held_since};
use super::{Duty, ProviderDuty, QUIET_SECONDS, due, is_refund_due, owes, provider_duty};
use crate::aggregate::Aggregate;
use crate::approval::Approval;
use crate::ids::{ApprovalId, ConfigId, CustomerId, EventId, Login, ServerName, TransactionId};
use crate::money::Money;
use crate::notice::{ProviderEvent, StatedAmount};
use crate::numbered::numbered;
use crate::operation::{self, BalanceOperation};
use crate::reason::ReasonCode;
use crate::status::{OperationStatus, ProcessingStatus, Source, TransactionStatus};
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// An event whose transaction has not appeared by then never will (docs/api/webhooks.md, rule 3).
pub const UNKNOWN_EVENT_SECONDS: i64 = 24 * 60 * 60;

numbered! {
    /// What waits, with its wire name.
    WorkKind {
        /// The transaction is under review.
        Review = 0 "review",
        /// A manual transaction that nobody approved or rejected.
        ManualApproval = 1 "manual_approval",
        PostingRefused = 2 "posting_refused",
        ReversalWaits = 3 "reversal_waits",
        /// An operation waits for the trading server, or is to be planned.
        Posting = 4 "posting",
        PostingUnknown = 5 "posting_unknown",
        CreateUnanswered = 6 "create_unanswered",
        /// A call that moves money, such as a capture.
        Advance = 7 "advance",
        Query = 8 "query",
        Expiry = 9 "expiry",
        /// Nothing is due yet: it is to be paid, or to end.
        PaymentOpen = 10 "payment_open",
        UnmatchedPayment = 11 "unmatched_payment",
        UnreadableNotice = 12 "unreadable_notice",
        EventWaiting = 13 "event_waiting",
        /// A change of a config that waits for a second person.
        ConfigApproval = 14 "config_approval",
        ConfigUnreadable = 15 "config_unreadable",
        GatewayBroken = 16 "gateway_broken",
        /// A manager's refund is to be sent, or its end is not known.
        Refund = 17 "refund",
        /// A written status that holds stops what is owed, or hides the review of a payment.
        PostingStopped = 18 "posting_stopped",
        /// A written status stopped what is owed, and was released.
        PostingReleased = 19 "posting_released",
        /// A trading server elsewhere and the books do not have a posting alike, as a comparison found.
        PostingDiffers = 20 "posting_differs",
    }
    /// Whom it waits for, with the wire name.
    WaitsFor {
        Person = 0 "person",
        Provider = 1 "provider",
        TradingServer = 2 "trading_server",
        Time = 3 "time",
    }
}

/// One item of the work list. Ids are 0 where it is about no such row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkItem {
    pub kind: WorkKind,
    pub transaction_id: TransactionId,
    pub event_id: EventId,
    pub approval_id: ApprovalId,
    pub config_id: ConfigId,
    pub brand: Box<str>,
    pub provider: Box<str>,
    pub customer_id: CustomerId,
    pub login: Login,
    /// The trading server that it waits for, or whose posting differs; `None` where it is about none.
    pub server: Option<ServerName>,
    pub amount: Option<Money>,
    pub code: ReasonCode,
    /// The code with the values behind it, or why a gateway does not open; for managers.
    pub reason: Box<str>,
    /// The command with which a person ends it, or looks into it; empty where nobody need do anything, or no command does.
    pub command: &'static str,
    pub since: UnixTime,
    /// When the cashier itself acts next, or when it ends by itself; at or before now it is tried, unset is never.
    pub due_time: UnixTime,
    /// On what a decision about the transaction rests: see [`Aggregate::ground`].
    pub ground: Option<u64>,
}

impl WorkKind {
    /// Whom such an item waits for; of one item see [`WorkItem::waits_for`].
    pub const fn waits_for(self) -> WaitsFor {
        match self {
            Self::Review
            | Self::ManualApproval
            | Self::PostingRefused
            | Self::PostingStopped
            | Self::PostingReleased
            | Self::PostingDiffers
            | Self::ReversalWaits
            | Self::UnmatchedPayment
            | Self::UnreadableNotice
            | Self::ConfigApproval
            | Self::ConfigUnreadable
            | Self::GatewayBroken => WaitsFor::Person,
            Self::CreateUnanswered | Self::Advance | Self::Query | Self::Expiry | Self::Refund => WaitsFor::Provider,
            Self::Posting | Self::PostingUnknown => WaitsFor::TradingServer,
            Self::PaymentOpen | Self::EventWaiting => WaitsFor::Time,
        }
    }

    /// The command with which a person ends such an item, whatever its transaction is like.
    const fn command(self) -> &'static str {
        match self {
            Self::Review => RESOLVE,
            Self::ManualApproval => PROCESS,
            Self::PostingRefused | Self::PostingReleased | Self::ReversalWaits | Self::PostingUnknown => RETRY,
            Self::PostingStopped => UPDATE,
            Self::UnmatchedPayment | Self::UnreadableNotice => REPLAY,
            Self::ConfigApproval => APPROVE,
            Self::ConfigUnreadable | Self::GatewayBroken => "MngUpdateCashierProviderConfig",
            Self::Posting
            | Self::CreateUnanswered
            | Self::Advance
            | Self::Query
            | Self::Expiry
            | Self::PaymentOpen
            | Self::Refund
            | Self::PostingDiffers
            | Self::EventWaiting => "",
        }
    }
}

impl WorkItem {
    /// Whom it waits for: a review that nobody ends by a command ends with what the provider states.
    pub fn waits_for(&self) -> WaitsFor {
        match self.kind {
            WorkKind::Review if self.command.is_empty() => WaitsFor::Provider,
            kind => kind.waits_for(),
        }
    }

    /// An item without a subject.
    pub fn new(kind: WorkKind, since: UnixTime) -> Self {
        Self {
            kind,
            transaction_id: TransactionId(0),
            event_id: EventId(0),
            approval_id: ApprovalId(0),
            config_id: ConfigId(0),
            brand: Box::default(),
            provider: Box::default(),
            customer_id: CustomerId(0),
            login: Login(0),
            server: None,
            amount: None,
            code: ReasonCode::None,
            reason: Box::default(),
            command: kind.command(),
            since,
            due_time: UnixTime::UNSET,
            ground: None,
        }
    }

    /// Of an item that names this transaction by its id: whose it is, and what is known of it.
    #[must_use]
    pub fn about(self, known: &Aggregate) -> Self {
        let row = &known.transaction;
        Self { customer_id: row.customer_id, login: row.login, ground: Some(known.ground()), ..self }
    }

    /// Of this approval, on the ground as it is now: one whose ground changed can only be rejected, and asked for again.
    #[must_use]
    pub fn on_ground(self, approval: &Approval, ground: u64) -> Self {
        if approval.is_grounded(ground) { self } else { Self { command: REJECT, ..self } }
    }

    /// One sentence for the person who reads the list.
    pub fn sentence(&self) -> &'static str {
        match self.kind {
            WorkKind::Review => match self.code {
                ReasonCode::None => "A person set the status to manual review.",
                code => code.meaning(),
            },
            WorkKind::ManualApproval => "A manual transaction waits until somebody processes or rejects it.",
            WorkKind::PostingRefused => {
                "The trading server refused what is owed; it is posted again when a person asks."
            }
            WorkKind::PostingStopped => {
                "A status that a person wrote stops what is owed or hides a review: it is released first."
            }
            WorkKind::PostingReleased => {
                "A status that a person wrote stopped what is owed; it was released, and a person permits the posting."
            }
            WorkKind::ReversalWaits => "Money went back at the provider; a person permits that the account is debited.",
            WorkKind::Posting => "A posting waits for the trading server.",
            WorkKind::PostingUnknown => "A posting was sent and not answered; it is looked up before it is sent again.",
            WorkKind::CreateUnanswered => "The create call has no answer; it is repeated or the provider is queried.",
            WorkKind::Advance => "The payment waits for a call that moves the money, such as a capture.",
            WorkKind::Query => "The provider is queried about the payment until it answers.",
            WorkKind::Expiry => "The order is past its expiry; the provider is queried a last time and it is closed.",
            WorkKind::PaymentOpen => "The order is open; it is queried, and ends at its expiry.",
            WorkKind::UnmatchedPayment => "A provider reports money that belongs to no transaction.",
            WorkKind::UnreadableNotice => "An authentic webhook that no build of its module has understood.",
            WorkKind::EventWaiting => "An event waits for its transaction and is given up after a day.",
            WorkKind::ConfigApproval if *self.command == *REJECT => {
                "A change waits for a second person, and what it is about changed since: it is rejected, and asked for again."
            }
            WorkKind::ConfigApproval => "A change waits for a second person.",
            WorkKind::ConfigUnreadable => "Sealed columns of the config do not open; it serves nothing until they do.",
            WorkKind::Refund => "A refund is to be sent to the provider, or its end is not known.",
            WorkKind::PostingDiffers => {
                "A trading server and the books do not have a posting alike: operations compare them with cashier db reconcile."
            }
            WorkKind::GatewayBroken => "The module did not open the config; it serves nothing until it does.",
        }
    }

    fn of(kind: WorkKind, known: &Aggregate, since: UnixTime, now: UnixTime) -> Self {
        let row = &known.transaction;
        Self {
            transaction_id: row.id,
            config_id: row.config_id,
            brand: row.brand.clone(),
            provider: row.provider.clone(),
            amount: Some(row.amount),
            code: row.reason.code,
            reason: row.reason.to_string().into(),
            command: command(kind, row, now),
            ..Self::new(kind, since).about(known)
        }
    }
}

/// The command that ends an item of this transaction.
fn command(kind: WorkKind, row: &Transaction, now: UnixTime) -> &'static str {
    match kind.command() {
        _ if kind == WorkKind::Review => next_command::of_review(row, now),
        // A retry takes no imported posting back.
        RETRY if row.reason.code == ReasonCode::PostingImported => next_command::of_review(row, now),
        command => next_command::after_release(command, row),
    }
}

/// What waits of a transaction: for a person, and what the cashier itself does, now or later. A transaction that has work
/// ([`super::has_work`]) has an item, and so has one under review.
pub fn of_transaction(known: &Aggregate, now: UnixTime) -> Vec<WorkItem> {
    let Aggregate { transaction: row, operations } = known;
    let mut items = Vec::new();
    let unsettled = operations.iter().find(|known| known.is_unsettled());
    if unsettled.is_none() && owes(row, operations) == Some(Duty::AwaitRetry) {
        let kind = why_not_posted(known);
        let refused = operations.last().filter(|_| kind == WorkKind::PostingRefused);
        items.push(WorkItem::of(kind, known, refused.map_or(row.updated_time, |known| known.updated_time), now));
    }
    if let Some((kind, since)) = review(row, operations) {
        items.push(WorkItem::of(kind, known, since, now));
    }
    let own = |kind, since, due_time| WorkItem { due_time, ..WorkItem::of(kind, known, since, now) };
    let quiet = row.updated_time.plus(QUIET_SECONDS);
    if unsettled.is_none() && is_refund_due(row, operations, UnixTime(i64::MAX)) {
        let pending = row.facts.refunds().into_iter().rfind(|refund| refund.phase.is_pending());
        let minor = pending.as_ref().map_or(row.amount.minor, |refund| refund.minor);
        let asked = row.facts.persons.iter().find(|known| pending.as_ref().is_some_and(|own| own.seq == known.seq));
        let is_due = is_refund_due(row, operations, now);
        let item = own(WorkKind::Refund, asked.map_or(row.updated_time, |known| known.at), quiet);
        let due_time = if is_due { row.updated_time } else { quiet };
        items.push(WorkItem { amount: Some(Money::new(minor, row.amount.currency)), due_time, ..item });
    }
    items.extend(match due(row, operations, now) {
        Some(Duty::Settle) => {
            let began = unsettled.map_or(row.updated_time, |known| known.created_time);
            let is_unknown = unsettled.is_some_and(|known| known.status == OperationStatus::Unknown);
            let kind = if is_unknown { WorkKind::PostingUnknown } else { WorkKind::Posting };
            Some(WorkItem { server: Some(row.server.clone()), ..own(kind, began, began) })
        }
        Some(Duty::Provider(duty)) => match duty {
            // It is an item already, and whatever else is due comes after it.
            ProviderDuty::Refund => None,
            ProviderDuty::RepeatCreate => Some(own(WorkKind::CreateUnanswered, row.created_time, row.created_time)),
            ProviderDuty::Advance => Some(own(WorkKind::Advance, row.updated_time, row.updated_time)),
            ProviderDuty::Query => Some(own(WorkKind::Query, row.updated_time, quiet.min(now))),
            ProviderDuty::Expire => {
                let end = end_of_queries(row).unwrap_or(now);
                Some(own(WorkKind::Expiry, end, end))
            }
        },
        Some(Duty::AwaitRetry) | None => provider_duty(row, UnixTime(i64::MAX)).map(|_| {
            let end = end_of_queries(row).filter(|end| *end > now);
            let next = [Some(quiet).filter(|quiet| *quiet > now), end].into_iter().flatten().min();
            own(WorkKind::PaymentOpen, row.created_time, next.unwrap_or(now))
        }),
    });
    items
}

/// Why what is owed and not posted waits for a person.
pub(crate) fn why_not_posted(known: &Aggregate) -> WorkKind {
    let Aggregate { transaction: row, operations } = known;
    match known.standing().reversal_waits {
        true => WorkKind::ReversalWaits,
        false if row.facts.is_held() => WorkKind::PostingStopped,
        false if operation::posted(row, operations).refused => WorkKind::PostingRefused,
        false => WorkKind::PostingReleased,
    }
}

/// Since when a person must look at it, where nothing refused or waiting says so itself.
fn review(row: &Transaction, operations: &[BalanceOperation]) -> Option<(WorkKind, UnixTime)> {
    if row.status != TransactionStatus::ManualReview {
        return None;
    }
    if row.source == Source::Manual && !row.facts.is_held() && !operations.iter().any(BalanceOperation::is_unsettled) {
        // An approved one is to be posted, or its posting was refused: that is an item of its own.
        return match row.reason.code {
            ReasonCode::None if owes(row, operations).is_none() => Some((WorkKind::ManualApproval, row.created_time)),
            ReasonCode::None | ReasonCode::CreditRefused => None,
            ReasonCode::OperationKeyConflict
            | ReasonCode::PostingImported
            | ReasonCode::PostingLost
            | ReasonCode::PostedTwice
            | ReasonCode::PostedToChangedAccount => Some((WorkKind::ManualApproval, row.updated_time)),
            _ => Some((WorkKind::Review, row.updated_time)),
        };
    }
    // These are items of their own, but not while a written status stops what they would do.
    let has_own_item = [ReasonCode::CreditRefused, ReasonCode::ReversalWaits].contains(&row.reason.code);
    if !row.facts.is_held() && (has_own_item || row.source == Source::Manual) {
        return None;
    }
    let newest = || row.facts.provider.iter().map(|known| known.at).max();
    let since = if row.facts.is_held() { None } else { held_since(row).or_else(newest) };
    Some((WorkKind::Review, since.unwrap_or(row.updated_time)))
}

/// What waits of an event: for its transaction, for a module that reads it, or for a person.
pub fn of_event(event: &ProviderEvent) -> Option<WorkItem> {
    let (kind, due_time) = if event.is_unread() {
        (WorkKind::UnreadableNotice, UnixTime::UNSET)
    } else if event.is_unmatched_payment() {
        (WorkKind::UnmatchedPayment, UnixTime::UNSET)
    } else if event.processing_status == ProcessingStatus::Pending {
        (WorkKind::EventWaiting, event.created_time.plus(UNKNOWN_EVENT_SECONDS))
    } else {
        return None;
    };
    let stated = event.update.as_ref().and_then(|update| update.amount.as_ref());
    let amount = stated.and_then(|amount| match amount {
        StatedAmount::Exact(money) => Some(*money),
        StatedAmount::Unreadable(_) => None,
    });
    let name = event.failure_reason.split(':').next().unwrap_or_default();
    Some(WorkItem {
        transaction_id: event.transaction_id,
        event_id: event.id,
        config_id: event.config_id,
        brand: event.brand.clone(),
        provider: event.provider.clone(),
        amount,
        code: ReasonCode::from_name(name).unwrap_or_default(),
        reason: event.failure_reason.clone(),
        due_time,
        ..WorkItem::new(kind, event.created_time)
    })
}
