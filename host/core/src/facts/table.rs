//! The table of facts: of each its tag in packed rows, its stored name and its fields. The enums, the row codec of the
//! books and the stored JSON of the host are made from it, so that a new fact is one entry here.

use crate::reason::ReasonCode;
use crate::status::TransactionStatus;

/// Declares the enum of one table.
macro_rules! declare {
    ($(#[$meta:meta])* $name:ident { $(
        $(#[$doc:meta])* $tag:literal $stored:literal $variant:ident
        $({ $($(#[$fdoc:meta])* $field:ident $(as $as:literal)? : $ty:ty),* $(,)? })?
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
    /// compared before they become facts.
    #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    ProviderFact {
        /// The provider has the order and the customer may pay.
        0 "accepted" Accepted;
        /// The create call got no answer; its outcome is still to be found.
        1 "unanswered" Unanswered;
        /// The payment waits for a call of ours that moves money (a capture), named by the event that wants it.
        2 "advance_wanted" AdvanceWanted { event: Box<str> };
        /// Paid. `payment` is the provider's stable id of the payment, so that two events about it are one fact; empty
        /// where it names none, which speaks of whichever payment is named.
        3 "confirmed" Confirmed { payment: Box<str>, minor: i64 };
        /// A definite no; a second attempt under the same reference may still succeed.
        4 "declined" Declined { reason: Box<str> };
        /// Closed without payment, by the customer, the provider or time.
        5 "cancelled" Cancelled { reason: ReasonCode };
        /// One refund by its own id.
        6 "refund" Refund { id: Box<str>, minor: i64 };
        /// The sum of all refunds as the provider counts them.
        7 "refunded_total" RefundedTotal { minor: i64 };
        /// One dispute by its own id.
        8 "chargeback" Chargeback { id: Box<str>, minor: i64 };
        /// The dispute of this id was lifted.
        9 "chargeback_reversed" ChargebackReversed { id: Box<str> };
        /// Money waits for a person or for a definite answer.
        10 "doubt" ReviewHold(hold: ReviewHold);
    }
} } }

/// Hands the table of review holds to the macro `$then`, after any further tokens.
#[macro_export]
#[doc(hidden)]
macro_rules! review_hold_table { ($then:ident! $($more:tt)*) => { $then! { $($more)*
    /// Why money must wait for a review.
    #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    ReviewHold {
        /// Sent, unanswered, and the provider cannot be queried: ended by any definite provider fact.
        0 "outcome_unknown" OutcomeUnknown;
        /// Confirmed without an amount; ended by a full confirmation of the same payment.
        1 "amount_unstated" AmountUnstated { payment: Box<str> };
        /// The provider states another amount, currency, brand or mode than was ordered.
        2 "mismatch" Mismatch { what: MismatchKind, expected: Box<str>, stated: Box<str>, stated_minor: Option<i64> };
        /// The provider requests a manual review; `status` is its own status.
        3 "look" Requested { status as "word": Box<str> };
    }
} } }

/// Hands the table of persons' facts to the macro `$then`, after any further tokens.
#[macro_export]
#[doc(hidden)]
macro_rules! person_fact_table { ($then:ident! $($more:tt)*) => { $then! { $($more)*
    /// What a person decided. The latest of a kind wins.
    #[derive(Debug, Clone, PartialEq, Eq)]
    PersonFact {
        /// A status written by hand; it holds until released.
        0 "held" Held(status: TransactionStatus);
        /// The display follows the facts again; money waits for approval, resolution or a retry.
        1 "released" Released;
        2 "approved" Approved;
        3 "rejected" Rejected;
        /// The review hold is settled: exactly this much is owed; zero closes.
        4 "resolved" Resolved { minor: i64 };
        /// A refused, waiting or unknown posting may be tried again.
        5 "retried" Retried;
        6 "refund_asked" RefundAsked { id: Box<str>, minor: i64 };
        7 "refund_refused" RefundRefused { id: Box<str> };
        /// The requested refund is the provider's refund of this id.
        8 "refund_done" RefundDone { id: Box<str>, refund: Box<str> };
    }
} } }

provider_fact_table!(declare!);
review_hold_table!(declare!);
person_fact_table!(declare!);

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
