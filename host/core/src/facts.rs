//! The facts of a payment (docs/life-of-a-transaction.md). Provider facts form a set: their order and repetition never
//! show. This file holds all properties of a fact: its tag in packed rows, its stored name, its fields and its classes. The
//! enums, the row codec of the books and the stored JSON of the host are made from its tables, so that a new fact is one
//! entry here. `standing` derives status and owed amount from the facts.

mod decision_limits;
mod names;
mod open;
mod payments;
mod person_decisions;
mod refunds;
mod resolved;
mod reversed;

pub use self::decision_limits::{DECISION_PAUSE_SECONDS, DECISIONS_MAX, DECISIONS_WITH_REVIEWS_MAX, TEXTS_WRITTEN_MAX};
pub use self::refunds::{ManagerRefund, RefundPhase, RefundSending, RefusedBy};
pub(crate) use self::resolved::ResolvedCredit;
use crate::ids::{ManagerId, Seq, TransactionId};
use crate::reason::ReasonCode;
use crate::status::TransactionStatus;
use crate::time::UnixTime;

/// Declares the enum of one table.
macro_rules! declare {
    ($(#[$meta:meta])* $name:ident { $(
        $(#[$doc:meta])* $tag:literal $stored:literal $variant:ident
        $({ $($(#[$fdoc:meta])* $field:ident $(as $as:literal)? $(or $absent:literal)? : $ty:ty),* $(,)? })?
        $(( $inner:ident : $innerty:ty ))?
    );* $(;)? }) => {
        $(#[$meta])*
        pub enum $name { $(
            $(#[$doc])*
            $variant $({ $($(#[$fdoc])* $field: $ty),* })? $(( $innerty ))?
        ),* }
    };
}

/// Hands the table of provider facts to the macro `$then`, after any further tokens.
#[macro_export]
#[doc(hidden)]
macro_rules! provider_fact_table { ($then:ident! $($more:tt)*) => { $then! { $($more)*
    /// What a provider, or the attempt to reach it, established. Amounts are minor units of the transaction's currency,
    /// compared before they become facts. The `payment` of a refund or dispute is the one that it takes back, empty where the
    /// provider names none. A field `or "absent"` is not stored while it is empty, as it was not before it existed.
    #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    ProviderFact {
        /// The provider has the order and the customer may pay.
        0 "accepted" Accepted;
        /// The create call got no answer; its outcome is not known yet.
        1 "unanswered" Unanswered;
        /// The payment waits for a call of ours that moves money (a capture), named by the event that wants it.
        2 "advance_wanted" AdvanceWanted { event: Box<str> };
        /// Paid. `payment` is the provider's stable id of the payment, so that two events about it are one fact; empty
        /// where it names none, which stands for any payment.
        3 "confirmed" Confirmed { payment: Box<str>, minor: i64 };
        /// Declined; a second attempt under the same reference may still succeed.
        4 "declined" Declined { reason: Box<str> };
        /// Closed without payment, by the customer, the provider or time.
        5 "cancelled" Cancelled { reason: ReasonCode };
        /// One refund by its own id.
        6 "refund" Refund { id: Box<str>, payment or "absent": Box<str>, minor: i64 };
        /// The sum of all refunds of the payment as the provider counts them.
        7 "refunded_total" RefundedTotal { payment or "absent": Box<str>, minor: i64 };
        /// One dispute by its own id.
        8 "chargeback" Chargeback { id: Box<str>, payment or "absent": Box<str>, minor: i64 };
        /// The dispute of this id was reversed.
        9 "chargeback_reversed" ChargebackReversed { id: Box<str>, payment or "absent": Box<str> };
        /// Something that a person or a definite answer must clear up; it moves and stops no money.
        10 "doubt" ReviewHold(hold: ReviewHold);
        /// The provider of an order that was declined or closed was queried once more at its expiry; states nothing.
        11 "last_query" LastQuery;
        /// The refund of this id did not reach the customer; 0 where its amount is not stated.
        12 "refund_failed" RefundFailed { id: Box<str>, payment or "absent": Box<str>, minor: i64 };
        /// The refund of this id is the one that we requested under our own id.
        13 "refund_of_request" RefundOfRequest { id: Box<str>, requested: Box<str> };
    }
} } }

/// Hands the table of review holds to the macro `$then`, after any further tokens.
#[macro_export]
#[doc(hidden)]
macro_rules! review_hold_table { ($then:ident! $($more:tt)*) => { $then! { $($more)*
    /// Why a review is due.
    #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    ReviewHold {
        /// Sent, unanswered, and the provider cannot be queried: ended by any definite provider fact.
        0 "outcome_unknown" OutcomeUnknown;
        /// Confirmed without an amount; ended by a full confirmation of the same payment.
        1 "amount_unstated" AmountUnstated { payment: Box<str> };
        /// The provider states another amount, currency, brand or mode than was ordered, of this payment.
        2 "mismatch" Mismatch {
            what: MismatchKind,
            expected: Box<str>,
            stated: Box<str>,
            stated_minor: Option<i64>,
            payment or "absent": Box<str>,
        };
        /// The provider requests that a person decides, and only a person ends it; `status` is its own status.
        3 "look" Requested { status as "word": Box<str> };
        /// The provider's payment was confirmed for another transaction of the same merchant account, `owner`, before: one
        /// payment is credited once.
        10 "payment_reused" PaymentReused { payment: Box<str>, owner: Box<str> };
        /// A statement that moves money, or an id that came with one, exceeded what is stored.
        11 "not_stored" NotStored;
        /// What went back of the payment was stated with this order, where it counts until a person decides, and the payment is
        /// stated as paid for the transaction `owner`; empty where that is of another brand.
        12 "misplaced" Misplaced { payment: Box<str>, owner: Box<str> };
        /// What went back of this order's payment was stated with the transaction `order`, and could not be recorded here; empty
        /// where that is of another brand.
        13 "counted_elsewhere" CountedElsewhere { payment: Box<str>, order: Box<str> };
        /// Beside this manual deposit more became owed again than when it was entered: nothing more is posted until a person has
        /// decided it.
        14 "return_beside" ReturnBeside { deposit: Box<str> };
        /// Something that states no payment of this order came beside this manual deposit: whoever credits it sees both.
        15 "beside" Beside { deposit: Box<str> };
        /// The provider itself has not decided yet; ended by any fact that says how the payment ended, in any order.
        4 "in_review" InReview { status: Box<str> };
    }
} } }

/// Hands the table of persons' facts to the macro `$then`, after any further tokens.
#[macro_export]
#[doc(hidden)]
macro_rules! person_fact_table { ($then:ident! $($more:tt)*) => { $then! { $($more)*
    /// What a person decided. The latest of a kind wins.
    #[derive(Debug, Clone, PartialEq, Eq)]
    PersonFact {
        /// A status set by hand; it holds until released.
        0 "held" Held(status: TransactionStatus);
        /// The status follows the facts again; money waits for approval, resolution or a retry.
        1 "released" Released;
        2 "approved" Approved;
        3 "rejected" Rejected;
        /// The review hold is resolved: exactly this amount is owed, whatever was reversed before; zero closes.
        4 "resolved" Resolved { minor: i64 };
        /// A refused, waiting or unknown posting may be retried.
        5 "retried" Retried;
        /// Of the payment of this id; empty where the order has one payment.
        6 "refund_asked" RefundRequested { id: Box<str>, payment or "absent": Box<str>, minor: i64 };
        7 "refund_refused" RefundRefused { id: Box<str> };
        /// The requested refund is the provider's refund of this id.
        8 "refund_done" RefundDone { id: Box<str>, refund: Box<str> };
        /// The config under which it was made wants a person to permit each reversal; recorded when it is made.
        9 "reversals_wait" ReversalsWait;
        /// A manager entered this manual transaction.
        10 "entered" Entered { by: ManagerId };
        /// The customer took the own withdrawal request back.
        11 "cancelled" CancelledByCustomer;
        /// A manager entered the manual deposit of this id beside this order: it may be the same money.
        12 "entered_beside" EnteredBeside { deposit: TransactionId };
        /// Why, in a manager's own words; empty takes earlier ones back.
        13 "explained" Explained { words: Box<str> };
        /// A manager wrote another comment of a transaction that persons process: it may say where the money goes, so who
        /// read the one before does not decide about this one. What it says is no fact.
        14 "comment_written" CommentWritten { by: ManagerId };
        /// The same of its metadata.
        15 "metadata_written" MetadataWritten { by: ManagerId };
        /// What the requested refund came with: the key of its request, which may be empty, and why.
        20 "refund_reason" RefundReason { id: Box<str>, key: Box<str>, reason: Box<str> };
        /// The call to the provider may have left from here on, under the config's terms of this version; `before` was
        /// refunded by then, in minor units.
        21 "refund_sent" RefundSent { id: Box<str>, terms: i64, before: i64 };
        /// That call ended the process: it is never made again.
        22 "refund_crashed" RefundCrashed { id: Box<str> };
        /// The provider accepted it, under its own id where it states one, and has not reported the result.
        23 "refund_accepted" RefundAccepted { id: Box<str>, refund: Box<str> };
        /// The provider's total of refunds, which is a fact of its own, includes it.
        24 "refund_in_total" RefundInTotal { id: Box<str> };
        /// Why it was refused, and by whom: see [`RefusedBy`].
        25 "refund_refusal" RefundRefusal { id: Box<str>, by: Box<str>, reason: Box<str> };
    }
} } }

provider_fact_table!(declare!);
review_hold_table!(declare!);
person_fact_table!(declare!);

/// A fact with the commit that recorded it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded<F> {
    pub seq: Seq,
    pub at: UnixTime,
    pub fact: F,
}

/// All facts of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub provider: Vec<Recorded<ProviderFact>>,
    pub persons: Vec<Recorded<PersonFact>>,
}

/// More distinct provider facts than this do not belong to one payment.
pub const PROVIDER_FACTS_MAX: usize = 128;

/// Of these, at most this many declines and other facts that move no money: a customer who tries a card a hundred times
/// must leave capacity for the payment that succeeds. The first fact of each kind is always added, so that many facts of
/// one kind exclude neither the acceptance, the decline nor the closing of the order; and so is the hold that reports
/// what was not stored.
pub const PROVIDER_OTHER_FACTS_MAX: usize = 64;

/// The outcome of adding a provider fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recording {
    Duplicate,
    Added,
    /// The set is at [`PROVIDER_FACTS_MAX`], or at [`PROVIDER_OTHER_FACTS_MAX`] for what moves no money; a fact was not added.
    Full,
}

impl Facts {
    /// Adds a provider fact to the set.
    pub fn record(&mut self, seq: Seq, at: UnixTime, fact: ProviderFact) -> Recording {
        let kind = std::mem::discriminant(&fact);
        let first_of_its_kind = || {
            // What reports a loss, and what stops money, always has a place.
            matches!(&fact, ProviderFact::ReviewHold(hold) if *hold == ReviewHold::NotStored || hold.stops_return())
                || !self.provider.iter().any(|known| std::mem::discriminant(&known.fact) == kind)
        };
        let count_max = if fact.affects_money() { PROVIDER_FACTS_MAX } else { PROVIDER_OTHER_FACTS_MAX };
        if self.has(&fact) {
            Recording::Duplicate
        } else if self.provider.len() >= count_max && !first_of_its_kind() {
            Recording::Full
        } else {
            self.provider.push(Recorded { seq, at, fact });
            Recording::Added
        }
    }

    /// Those that were known when this commit was made.
    pub(crate) fn until(&self, seq: Seq) -> Self {
        Self {
            provider: self.provider.iter().filter(|known| known.seq <= seq).cloned().collect(),
            persons: self.persons.iter().filter(|known| known.seq <= seq).cloned().collect(),
        }
    }

    /// Adds a person's decision.
    pub fn record_person(&mut self, seq: Seq, at: UnixTime, fact: PersonFact) {
        self.persons.push(Recorded { seq, at, fact });
    }

    fn has(&self, fact: &ProviderFact) -> bool {
        self.provider.iter().any(|known| known.fact == *fact)
    }

    /// Whether the payment of this id was confirmed. Without an id, none was.
    pub fn confirms(&self, id: &str) -> bool {
        let same = |fact: &ProviderFact| matches!(fact, ProviderFact::Confirmed { payment, .. } if **payment == *id);
        !id.is_empty() && self.any(same)
    }

    /// Whether any provider fact passes the test.
    pub fn any(&self, test: impl Fn(&ProviderFact) -> bool) -> bool {
        self.provider.iter().any(|known| test(&known.fact))
    }
}

impl ProviderFact {
    /// Money came in, went back or is disputed.
    pub fn is_money(&self) -> bool {
        match self {
            Self::Confirmed { .. }
            | Self::Refund { .. }
            | Self::RefundedTotal { .. }
            | Self::RefundFailed { .. }
            | Self::RefundOfRequest { .. }
            | Self::Chargeback { .. }
            | Self::ChargebackReversed { .. } => true,
            Self::Accepted
            | Self::AdvanceWanted { .. }
            | Self::Unanswered
            | Self::Declined { .. }
            | Self::Cancelled { .. }
            | Self::ReviewHold(_)
            | Self::LastQuery => false,
        }
    }

    /// About money, as the cashier's own review holds are. A review of the provider does not count: a provider may state it
    /// many times.
    pub(crate) fn affects_money(&self) -> bool {
        let own = |hold: &ReviewHold| match hold {
            ReviewHold::AmountUnstated { .. }
            | ReviewHold::Mismatch { .. }
            | ReviewHold::OutcomeUnknown
            | ReviewHold::PaymentReused { .. }
            | ReviewHold::Misplaced { .. }
            | ReviewHold::CountedElsewhere { .. }
            | ReviewHold::ReturnBeside { .. }
            | ReviewHold::Beside { .. }
            | ReviewHold::NotStored => true,
            ReviewHold::Requested { .. } | ReviewHold::InReview { .. } => false,
        };
        self.is_money() || matches!(self, Self::ReviewHold(hold) if own(hold))
    }

    /// The provider said how the payment, or an attempt at it, ended.
    pub fn is_decision(&self) -> bool {
        self.is_money() || matches!(self, Self::Declined { .. } | Self::Cancelled { .. })
    }

    /// The provider stated it; a missing answer states nothing.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Unanswered | Self::LastQuery | Self::ReviewHold(ReviewHold::OutcomeUnknown))
    }

    /// The provider has the order, and the customer may pay it.
    pub fn is_acceptance(&self) -> bool {
        matches!(self, Self::Accepted | Self::AdvanceWanted { .. })
    }

    /// Paid in full.
    pub fn is_confirmation(&self) -> bool {
        matches!(self, Self::Confirmed { .. })
    }

    /// The payment waits for a call of ours that moves money.
    pub fn wants_advance(&self) -> bool {
        matches!(self, Self::AdvanceWanted { .. })
    }
}

impl ReviewHold {
    /// The provider's payment that it is about, and that is not credited because of it; empty where it names none.
    pub fn payment(&self) -> &str {
        match self {
            Self::AmountUnstated { payment } | Self::Mismatch { payment, .. } | Self::PaymentReused { payment, .. } => {
                payment
            }
            Self::OutcomeUnknown
            | Self::Requested { .. }
            | Self::NotStored
            | Self::Misplaced { .. }
            | Self::CountedElsewhere { .. }
            | Self::ReturnBeside { .. }
            | Self::Beside { .. }
            | Self::InReview { .. } => "",
        }
    }

    /// While it is open nothing more is credited.
    pub(crate) fn stops_return(&self) -> bool {
        matches!(self, Self::ReturnBeside { .. })
    }
}

/// What differs between the order and the provider's statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MismatchKind {
    Amount,
    Brand,
    Currency,
    Mode,
}

impl MismatchKind {
    pub const ALL: &'static [Self] = &[Self::Amount, Self::Brand, Self::Currency, Self::Mode];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Brand => "brand",
            Self::Currency => "currency",
            Self::Mode => "mode",
        }
    }

    pub const fn reason(self) -> ReasonCode {
        match self {
            Self::Amount => ReasonCode::AmountMismatch,
            Self::Brand => ReasonCode::BrandMismatch,
            Self::Currency => ReasonCode::CurrencyMismatch,
            Self::Mode => ReasonCode::ModeMismatch,
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}
