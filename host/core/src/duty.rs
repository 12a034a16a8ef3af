//! The due work of a transaction, determined here alone: what is due now, what will become due, which query an update
//! requires, and how an unpaid order ends at its expiry. When a failed attempt is retried is the janitor's backoff.

pub(crate) mod next_command;
mod unconfirmed;
mod work_list;

pub use self::next_command::REVIEW_ANSWER_SECONDS;
pub(crate) use self::unconfirmed::wants_advance;
pub use self::unconfirmed::{CLOSED_QUERY_SECONDS, ENDING_SECONDS, is_expired};
use self::unconfirmed::{asks_provider, end_of_queries, is_unstated, may_be_paid_late, went_back_unconfirmed};
pub(crate) use self::work_list::why_not_posted;
pub use self::work_list::{UNKNOWN_EVENT_SECONDS, WaitsFor, WorkItem, WorkKind, of_event, of_transaction};
use crate::aggregate::Aggregate;
use crate::facts::{ProviderFact, RefundPhase, ReviewHold};
use crate::ids::{ConfigId, Seq};
use crate::operation::{self, BalanceOperation};
use crate::reason::ReasonCode;
use crate::standing;
use crate::status::{ProviderStatus, Source, TransactionStatus};
use crate::time::UnixTime;
use crate::transaction::{FirstAnswer, Transaction};

/// A payment that did not change for this long is queried: longer than most customers take to pay, so that a webhook
/// nearly always makes the query unnecessary.
pub const QUIET_SECONDS: i64 = 60;

/// The part of a provider's idempotency window that is not used: its clock is not ours
/// (docs/life-of-a-transaction.md).
pub const WINDOW_MARGIN_SECONDS: i64 = 60 * 60;

/// What a transaction needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// An operation waits for the trading server, or is to be planned.
    Settle,
    /// A call to the provider is due.
    Provider(ProviderDuty),
    /// Owed differs from posted, and a person must permit it: the newest posting was refused, a reversal waits, or a written status
    /// stopped the money, also one that was released.
    AwaitRetry,
}

/// Which call to the provider is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderDuty {
    /// The create call was started and its end was not recorded, or it got no answer.
    RepeatCreate,
    /// An update requires a call that moves money, such as a capture.
    Advance,
    /// Nothing changed for [`QUIET_SECONDS`], the provider's statement is incomplete, or an event required the query.
    Query,
    /// A manager's refund is to be sent to the provider, or its end is not known.
    Refund,
    /// The order is past its expiry: it is closed, or one that was closed before is queried for the last time.
    Expire,
}

/// What is due for a transaction at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub duty: Option<Duty>,
    /// The expiry begins as soon as the clock is plausible.
    pub expiry_postponed: bool,
    /// Seconds until the expiry, when something else is due; `i64::MAX` without one.
    pub pause_max: i64,
    /// Seconds until time alone may make something else due; `i64::MAX` where it never does.
    pub next_look: i64,
}

pub fn schedule(aggregate: &Aggregate, now: UnixTime) -> Schedule {
    let Aggregate { transaction, operations } = aggregate;
    let left = end_of_queries(transaction).map_or(0, |end| end.0.saturating_sub(now.0));
    let pause_max = if left > 0 { left } else { i64::MAX };
    let quiet = transaction.updated_time.plus(QUIET_SECONDS).0.saturating_sub(now.0);
    let next_look = if quiet > 0 { quiet.min(pause_max) } else { pause_max };
    Schedule {
        duty: due(transaction, operations, now),
        expiry_postponed: transaction.expiry_is_postponed(),
        pause_max,
        next_look,
    }
}

/// What is due now, from the transaction's state alone. Once something is due, something remains due until the state
/// changes: time alone never ends it.
pub fn due(transaction: &Transaction, operations: &[BalanceOperation], now: UnixTime) -> Option<Duty> {
    if operations.iter().any(BalanceOperation::is_unsettled) {
        return Some(Duty::Settle);
    }
    if is_refund_due(transaction, operations, now) {
        return Some(Duty::Provider(ProviderDuty::Refund));
    }
    if let Some(duty) = provider_duty(transaction, now) {
        return Some(Duty::Provider(duty));
    }
    let owed = owes(transaction, operations);
    // A provider that does not answer keeps no posting waiting.
    if transaction.query_wanted > Seq(0) && owed != Some(Duty::Settle) {
        return Some(Duty::Provider(ProviderDuty::Query));
    }
    owed
}

/// A refund waits for a call to the provider: its debit is posted, or the call was made and its end is not known. One that the
/// provider accepted is asked about while nothing is received.
fn is_refund_due(transaction: &Transaction, operations: &[BalanceOperation], now: UnixTime) -> bool {
    // Nearly every row has no fact of a person.
    if transaction.facts.persons.is_empty() {
        return false;
    }
    let refunds = transaction.facts.refunds();
    let Some(pending) = refunds.iter().rfind(|refund| refund.phase.is_pending()) else { return false };
    match pending.phase {
        RefundPhase::Requested => {
            let posted = operation::posted(transaction, operations);
            let standing = standing::derive(transaction.nature(), transaction.ordered(), &transaction.facts, posted);
            posted.minor <= standing.owed_minor
        }
        RefundPhase::Sent(_) => true,
        RefundPhase::Accepted => transaction.updated_time.plus(QUIET_SECONDS) <= now,
        RefundPhase::Done | RefundPhase::Failed | RefundPhase::Resolved | RefundPhase::Refused { .. } => false,
    }
}

fn provider_duty(transaction: &Transaction, now: UnixTime) -> Option<ProviderDuty> {
    let unpaid = transaction.source == Source::Provider && transaction.is_unpaid();
    // An update may already have stated the outcome of the create call: then it is not repeated.
    if unpaid && transaction.first_answer == FirstAnswer::Open && !transaction.facts.is_held() {
        return Some(ProviderDuty::RepeatCreate);
    }
    if unpaid && is_expired(transaction, now) {
        return Some(ProviderDuty::Expire);
    }
    let late = may_be_paid_late(transaction);
    if late && end_of_queries(transaction).is_some_and(|end| end <= now) {
        return Some(ProviderDuty::Expire);
    }
    if wants_advance(transaction) {
        return Some(ProviderDuty::Advance);
    }
    // Also where an update has named the payment: the customer waits for the page that only a repeated call brings.
    if unpaid && transaction.first_answer == FirstAnswer::Unknown && !transaction.facts.is_held() {
        return Some(ProviderDuty::RepeatCreate);
    }
    let quiet = transaction.updated_time.plus(QUIET_SECONDS) <= now;
    let unexplained = transaction.reason.code == ReasonCode::PostingImported && transaction.source == Source::Provider;
    let open = unpaid || late || went_back_unconfirmed(transaction);
    ((open && quiet) || unexplained || asks_provider(transaction)).then_some(ProviderDuty::Query)
}

/// Until when a provider may be expected to state by itself that an order is paid, or ended: at the end of time while its expiry
/// is postponed. `None` where it is never asked again and nothing of it waits for an answer.
pub fn awaited_until(transaction: &Transaction) -> Option<UnixTime> {
    let end = match transaction.expires_time {
        _ if transaction.expiry_is_postponed() => UnixTime(i64::MAX),
        UnixTime::UNSET => transaction.created_time.plus(CLOSED_QUERY_SECONDS),
        expires => expires.plus(ENDING_SECONDS),
    };
    let is_asked = provider_duty(transaction, UnixTime(i64::MAX)).is_some() || transaction.query_wanted > Seq(0);
    is_asked.then_some(end)
}

/// Whether an identical create call is safe: inside the provider's idempotency window, less a margin, at both of its ends.
/// A creation time that lies ahead was stamped by a wrong clock and proves nothing; without a window nothing is repeated.
pub fn may_repeat_create(transaction: &Transaction, window_seconds: i64, now: UnixTime) -> bool {
    let created = transaction.created_time;
    created.is_set() && created <= now && now < created.plus(window_seconds.saturating_sub(WINDOW_MARGIN_SECONDS))
}

/// Owed differs from posted, may be posted or waits for a person, and no operation is planned for it: a person must retry a
/// refused one, a withheld one is planned again. So does a payment under review that a written status hides.
fn owes(transaction: &Transaction, operations: &[BalanceOperation]) -> Option<Duty> {
    use TransactionStatus as S;
    // Nearly every row is decided here, without deriving its standing: credited in full, or never confirmed.
    let settled = match transaction.status {
        S::Credited => transaction.reason.code == ReasonCode::None && transaction.facts.persons.is_empty(),
        S::Created | S::PendingPayment | S::Failed | S::Cancelled => {
            operations.is_empty() && !transaction.facts.is_held()
        }
        S::ProviderConfirmed | S::CreditFailed | S::Refunded | S::Chargeback | S::ManualReview => false,
    };
    if settled {
        return None;
    }
    let posted = operation::posted(transaction, operations);
    let standing = standing::derive(transaction.nature(), transaction.ordered(), &transaction.facts, posted);
    if standing.hides_review {
        return Some(Duty::AwaitRetry);
    }
    if standing.owed_minor == posted.minor {
        return None;
    }
    // What stops it is a review of its own.
    let is_returned = || transaction.facts.open_holds().any(ReviewHold::stops_return);
    if standing.owed_minor > posted.minor && !transaction.facts.is_held() && is_returned() {
        return None;
    }
    // A status that was written stops the money, also after it was released: a person must permit it. While it holds, a review is
    // listed as such, and a 3 states that what is owed was settled outside.
    let is_answered = || match transaction.status {
        S::ManualReview => true,
        S::Credited => standing.owed_minor > posted.minor,
        S::Created
        | S::PendingPayment
        | S::ProviderConfirmed
        | S::CreditFailed
        | S::Failed
        | S::Cancelled
        | S::Refunded
        | S::Chargeback => false,
    };
    let facts = &transaction.facts;
    let stopped = || if facts.is_held() { !is_answered() } else { facts.money_is_stopped() };
    if !(standing.may_post || standing.reversal_waits || stopped()) {
        return None;
    }
    let plannable = operation::due_minor(transaction, &standing, operations).is_some();
    Some(if plannable { Duty::Settle } else { Duty::AwaitRetry })
}

/// Something is due or will become due with time: the books list exactly these transactions.
pub fn has_work(transaction: &Transaction, operations: &[BalanceOperation]) -> bool {
    due(transaction, operations, UnixTime(i64::MAX)).is_some()
}

/// Whether its provider is, or will be, called about it.
pub fn is_queried(aggregate: &Aggregate) -> bool {
    matches!(due(&aggregate.transaction, &aggregate.operations, UnixTime(i64::MAX)), Some(Duty::Provider(_)))
}

/// A call to the provider about an existing payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderQuery {
    Status,
    /// The call that moves money, required by an update.
    Advance,
    Cancel,
}

impl ProviderQuery {
    /// The idempotency key of this call: providers refuse one key for two kinds of request, and a repeated call must carry
    /// the same key.
    pub fn idempotency_key(self, transaction: &Transaction) -> Box<str> {
        let own = transaction.provider_key();
        match self {
            Self::Status => own,
            Self::Advance => format!("{own}-advance").into(),
            Self::Cancel => format!("{own}-cancel").into(),
        }
    }
}

/// The query that an applied update requires at once. An update received under another config establishes nothing, so the
/// owning config's provider is queried: that stays due because it is recorded as wanted, the others because the facts show it.
/// `advance`: the update itself states that the payment waits for a call. After a decline nothing else calls at once: a
/// provider that declines each capture would be sent another for each decline.
pub fn query_after_update(transaction: &Transaction, received_under: ConfigId, advance: bool) -> Option<ProviderQuery> {
    if transaction.config_id != received_under {
        return Some(ProviderQuery::Status);
    }
    if wants_advance(transaction) && (advance || transaction.status != TransactionStatus::Failed) {
        return Some(ProviderQuery::Advance);
    }
    is_unstated(transaction).then_some(ProviderQuery::Status)
}

/// Whether an answer ends the query that an event required, by the status that it states and the transaction with that
/// applied. A payment that is still under way, or in a state that the module does not know, may yet become what the event
/// stated: it is asked about again, unless it is queried until it ends anyhow.
pub fn ends_wanted_query(transaction: &Transaction, stated: ProviderStatus) -> bool {
    use ProviderStatus as S;
    match stated {
        S::Unknown | S::Pending | S::InReview => provider_duty(transaction, UnixTime(i64::MAX)).is_some(),
        S::Confirmed
        | S::Failed
        | S::Cancelled
        | S::Refunded
        | S::RefundFailed
        | S::Chargeback
        | S::ChargebackReversed
        | S::ManualReview => true,
    }
}

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryOutcome {
    /// The provider's answer was applied.
    Answered,
    /// The module cannot make this query.
    NotQueryable,
    /// The config has no gateway: its module is not loaded.
    NoGateway,
    /// The provider does not know the payment.
    NotFound,
    NoAnswer,
}

impl QueryOutcome {
    /// Whether this ends a query that an event required: asked again, the provider would say the same.
    pub fn is_definite(self) -> bool {
        match self {
            Self::Answered | Self::NotQueryable | Self::NotFound => true,
            Self::NoGateway | Self::NoAnswer => false,
        }
    }
}

/// How an order past its expiry ends that is unpaid, or may be paid late, after its provider was queried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtExpiry {
    /// Nothing can be established yet: retry later.
    Wait,
    /// Cancel at the provider; once it has answered, record the fact.
    Cancel(ProviderFact),
    Record(ProviderFact),
}

/// An order that was never accepted and cannot be queried is held for review and never cancelled: the customer may have
/// paid (docs/life-of-a-transaction.md, unknown is never failed).
pub fn at_expiry(transaction: &Transaction, outcome: QueryOutcome) -> AtExpiry {
    if transaction.source != Source::Provider || !(transaction.is_unpaid() || may_be_paid_late(transaction)) {
        return AtExpiry::Wait;
    }
    if may_be_paid_late(transaction) {
        let last = AtExpiry::Record(ProviderFact::LastQuery);
        return if outcome.is_definite() { last } else { AtExpiry::Wait };
    }
    let expired = || ProviderFact::Cancelled { reason: ReasonCode::Expired };
    let accepted = transaction.facts.any(ProviderFact::is_acceptance);
    match outcome {
        QueryOutcome::NoAnswer => AtExpiry::Wait,
        // An accepted order stays pending until its module is loaded again.
        QueryOutcome::NoGateway if accepted => AtExpiry::Wait,
        QueryOutcome::NoGateway | QueryOutcome::NotQueryable if !accepted => {
            AtExpiry::Record(ProviderFact::ReviewHold(ReviewHold::OutcomeUnknown))
        }
        QueryOutcome::Answered | QueryOutcome::NotQueryable | QueryOutcome::NoGateway => AtExpiry::Cancel(expired()),
        QueryOutcome::NotFound => AtExpiry::Record(expired()),
    }
}
