//! One sentence that a support agent can read to the customer. It names no code, no other payment and nobody's decision but
//! "our staff", and says of the trading account what is posted there: a status alone does not.

use crate::aggregate::Aggregate;
use crate::facts::PersonFact;
use crate::ids::Seq;
use crate::operation;
use crate::reason::ReasonCode as R;
use crate::standing;
use crate::status::{OperationStatus, Source, TransactionStatus as S, TransactionType};

/// What the sentence rests on.
struct SentenceBasis {
    status: S,
    code: R,
    /// What the account has of it, in minor units, with sign.
    posted_minor: i64,
    owed_minor: i64,
    /// The account had it once.
    was_posted: bool,
    /// A person approved it: a manual transaction.
    is_approved: bool,
    /// A person wrote the status.
    is_held: bool,
    /// What the status and its reason would be without a written one.
    derived: (S, R),
    /// A person wrote a status, and none has permitted postings since.
    is_stopped: bool,
    /// Its provider stated that something was paid.
    is_stated: bool,
    /// Something of it was paid back, is to be, or is disputed.
    went_back: bool,
    is_of_provider: bool,
}

impl SentenceBasis {
    fn of(known: &Aggregate) -> Self {
        let row = &known.transaction;
        let was_posted = known.operations.iter().any(|known| known.status == OperationStatus::Posted);
        Self {
            status: row.status,
            code: row.reason.code,
            posted_minor: operation::posted(row, &known.operations).minor,
            owed_minor: known.standing().owed_minor,
            was_posted,
            is_approved: row.source == Source::Manual && row.approved_time.is_set(),
            is_held: row.facts.is_held(),
            derived: derived(known),
            is_stopped: row.facts.money_is_stopped(),
            is_stated: row.facts.stated_as_paid().next().is_some(),
            went_back: standing::taken_minor(row.amount, &row.facts) > 0,
            is_of_provider: row.source == Source::Provider,
        }
    }

    /// It was approved, and the trading server has not answered about its posting yet.
    fn is_being_posted(&self) -> bool {
        self.is_approved && !self.is_held && self.code == R::None
    }

    /// A written status keeps from the account what it never had, and nobody decided that it is refused.
    fn stops_unposted(&self) -> bool {
        self.is_of_provider && self.is_stopped && self.posted_minor == 0 && !self.was_posted && self.code != R::Rejected
    }

    /// A person wrote that it is not paid or not credited, whatever is known of it.
    fn is_written_as_open_or_closed(&self) -> bool {
        self.is_held
            && match self.status {
                S::Credited | S::Refunded | S::Chargeback | S::ManualReview => false,
                S::Created | S::PendingPayment | S::ProviderConfirmed | S::CreditFailed | S::Failed | S::Cancelled => {
                    true
                }
            }
    }

    /// The account has more than it should: a debit is due, under way, refused, or waits for a person.
    fn is_debit_open(&self) -> bool {
        self.posted_minor > self.owed_minor
    }
}

/// The status and its reason as they are once a written status is released.
fn derived(known: &Aggregate) -> (S, R) {
    let mut released = known.clone();
    let row = &mut released.transaction;
    if row.facts.is_held() {
        row.facts.record_person(Seq(u64::MAX), row.updated_time, PersonFact::Released);
    }
    let standing = released.standing();
    (standing.status, standing.reason.code)
}

/// The sentence for the customer.
pub fn customer_sentence(known: &Aggregate) -> String {
    let (amount, basis) = (known.transaction.amount, SentenceBasis::of(known));
    match known.transaction.kind {
        TransactionType::Deposit => format!("Your deposit of {amount}: {}", deposit(&basis)),
        TransactionType::Withdrawal => format!("Your withdrawal of {amount}: {}", withdrawal(&basis)),
    }
}

fn deposit(basis: &SentenceBasis) -> &'static str {
    let code = basis.code;
    match basis.status {
        _ if basis.is_written_as_open_or_closed() && !basis.is_of_provider => written_of_manual(basis),
        _ if basis.is_written_as_open_or_closed() && (basis.is_stated || basis.went_back) => written(basis),
        S::Created if basis.stops_unposted() => UNPAID_AND_STOPPED,
        S::Created => "it was recorded and is being sent to the payment provider.",
        S::PendingPayment | S::Failed | S::Cancelled if basis.stops_unposted() => UNPAID_AND_STOPPED,
        S::PendingPayment => {
            "the payment provider has not reported the payment yet. If you have paid, it is credited by itself as soon as the provider reports it; please do not pay again."
        }
        S::ProviderConfirmed if basis.is_stopped => stopped(basis),
        S::ProviderConfirmed if basis.posted_minor > 0 => {
            "a part of it is in your trading account, and the rest is being credited."
        }
        S::ProviderConfirmed => "the payment has arrived and is being credited to your trading account.",
        S::Credited if code == R::PartlyRefunded && basis.is_debit_open() => {
            "it was credited to your trading account, and a part of it was paid back to you. That part is still in your trading account and is to be taken from it."
        }
        S::Credited if code == R::PartlyRefunded => {
            "it was credited to your trading account, and a part of it was paid back to you."
        }
        S::Credited if code == R::RefundPending => {
            "it was credited to your trading account, and a refund of it is under way. The refunded amount has left the trading account or is about to."
        }
        S::Credited if code == R::RefundRefused => {
            "it was credited to your trading account. A refund was requested and could not be made; the money is in your trading account."
        }
        S::Credited => "it was credited to your trading account.",
        S::CreditFailed if basis.posted_minor > 0 => {
            "a part of it is in your trading account, and the rest could not be credited yet. Our staff are taking care of it; please do not pay again."
        }
        S::CreditFailed => {
            "the payment has arrived and could not be credited to your trading account yet. Our staff are taking care of it; please do not pay again."
        }
        S::Failed | S::Cancelled if basis.posted_minor > 0 => {
            "it was closed. What was credited is still in your trading account, and our staff are checking it."
        }
        S::Failed if code == R::ProviderUnavailable => {
            "the payment provider could not be reached, so the payment was never started. Please try again."
        }
        S::Failed => {
            "the payment provider declined the payment. Please try again or use another method; if the provider still reports a payment, it is credited by itself."
        }
        S::Cancelled if code == R::Expired => {
            "it was not paid in time and was closed. If you have paid all the same, it is credited as soon as the provider reports it."
        }
        S::Cancelled if code == R::Rejected => closed_by_staff(basis),
        S::Cancelled => {
            "it was closed without being paid. If you have paid all the same, it is credited as soon as the provider reports it."
        }
        S::Refunded if basis.is_debit_open() => {
            "the whole amount was paid back to you. It is still in your trading account and is to be taken from it."
        }
        S::Refunded => "the whole amount was paid back to you.",
        S::Chargeback if basis.is_debit_open() => {
            "the payment is disputed at your bank or card company. The disputed amount is to be taken back from your trading account until the dispute is decided."
        }
        S::Chargeback if basis.was_posted => {
            "the payment is disputed at your bank or card company. The disputed amount was taken back from your trading account until the dispute is decided."
        }
        S::Chargeback => {
            "the payment is disputed at your bank or card company. The disputed amount is not in your trading account until the dispute is decided."
        }
        S::ManualReview if basis.is_being_posted() => "it is being credited to your trading account.",
        S::ManualReview => reviewed(code),
    }
}

/// Nothing is credited by itself then, whatever the provider reports.
const UNPAID_AND_STOPPED: &str =
    "it is not paid as far as we know. If you have paid all the same, our staff check it once the provider reports it.";

/// A status that a person wrote over what the provider stated: the sentence follows what was paid and went back. What else would be
/// posted is stopped.
fn written(basis: &SentenceBasis) -> &'static str {
    let (status, code) = basis.derived;
    match status {
        S::Refunded if basis.posted_minor > 0 => {
            "the whole amount was paid back to you. It is still in your trading account, and our staff are checking it."
        }
        S::Refunded => "the whole amount was paid back to you.",
        S::Chargeback => "the payment is disputed at your bank or card company, and our staff are checking it.",
        S::Credited if code == R::RefundPending => "a refund of it is under way, and our staff are checking it.",
        S::Cancelled if code == R::Rejected && basis.posted_minor <= 0 => closed_by_staff(basis),
        S::ProviderConfirmed | S::CreditFailed => stopped(basis),
        S::ManualReview if basis.went_back => WENT_BACK,
        S::Created | S::PendingPayment | S::Credited | S::Failed | S::Cancelled | S::ManualReview => match () {
            () if basis.posted_minor > 0 => STILL_CREDITED,
            () if basis.went_back => WENT_BACK,
            () => ARRIVED_AND_STOPPED,
        },
    }
}

/// The same of what persons entered, of which no provider states anything.
fn written_of_manual(basis: &SentenceBasis) -> &'static str {
    let is_closed = matches!(basis.status, S::Failed | S::Cancelled) && (basis.was_posted || !basis.is_approved);
    match () {
        () if basis.posted_minor > 0 => STILL_CREDITED,
        () if is_closed => closed_by_staff(basis),
        () => CHECKED,
    }
}

const STILL_CREDITED: &str = "what was credited is still in your trading account, and our staff are checking it.";

const CHECKED: &str = "our staff are checking it. Nothing is needed from you; please do not pay again.";

const ARRIVED_AND_STOPPED: &str =
    "the payment has arrived, and our staff are checking it before it is credited. Please do not pay again.";

const WENT_BACK: &str = "money was paid back or is disputed, and our staff are checking how much. We will contact you.";

/// More is owed than posted, and a person decides about it.
fn stopped(basis: &SentenceBasis) -> &'static str {
    if basis.posted_minor > 0 {
        "a part of it is in your trading account, and our staff are checking the rest. Please do not pay again."
    } else if basis.went_back {
        "the payment has arrived, a part of it was paid back to you or is to be, and our staff are checking the rest. Please do not pay again."
    } else {
        ARRIVED_AND_STOPPED
    }
}

fn closed_by_staff(basis: &SentenceBasis) -> &'static str {
    if basis.was_posted {
        "it was closed by our staff, and what had been credited to your trading account was taken back."
    } else {
        "it was closed by our staff without being credited."
    }
}

/// A review: what is safe to say about each.
fn reviewed(code: R) -> &'static str {
    const PROVIDER_DECIDES: &[R] = &[R::ProviderInReview, R::ProviderReview];
    const UNKNOWN: &[R] = &[R::OutcomeUnknown, R::AmountUnstated];
    const REFUND: &[R] = &[
        R::RefundFailed,
        R::ReversalWaits,
        R::ReturnWaits,
        R::ReversalMisplaced,
        R::DisputeLifted,
        R::DisputeUnmatched,
        R::BeyondConfirmed,
    ];
    if PROVIDER_DECIDES.contains(&code) {
        "the payment provider is still checking the payment. Nothing is needed from you; please do not pay again."
    } else if UNKNOWN.contains(&code) {
        "we do not know yet whether the payment provider has received the payment. We are asking the provider; please do not pay again."
    } else if REFUND.contains(&code) {
        WENT_BACK
    } else {
        CHECKED
    }
}

fn withdrawal(basis: &SentenceBasis) -> &'static str {
    let code = basis.code;
    match basis.status {
        S::Created | S::PendingPayment | S::ProviderConfirmed => "it is being processed.",
        S::Credited => "it was approved, and the amount was taken from your trading account.",
        S::CreditFailed => "it could not be taken from your trading account yet. Our staff are taking care of it.",
        S::Failed | S::Cancelled if basis.posted_minor < 0 => {
            "it was closed. The amount that was taken from your trading account is to be given back; our staff are taking care of it."
        }
        S::Failed | S::Cancelled if basis.was_posted => {
            "it was closed, and the amount was given back to your trading account."
        }
        S::Failed => "it failed; nothing was taken from your trading account.",
        S::Cancelled if code == R::Rejected => "it was not approved; nothing was taken from your trading account.",
        S::Cancelled if code == R::Cancelled => {
            "you took the request back; nothing was taken from your trading account."
        }
        S::Cancelled => "it was cancelled; nothing was taken from your trading account.",
        S::Refunded | S::Chargeback => "the amount was given back to your trading account.",
        S::ManualReview if code == R::CreditRefused => {
            "it could not be taken from your trading account. Our staff are checking it."
        }
        S::ManualReview if basis.is_being_posted() => "it was approved and is being taken from your trading account.",
        S::ManualReview if basis.is_approved || basis.was_posted => "our staff are checking it.",
        S::ManualReview => "it waits to be approved by our staff.",
    }
}
