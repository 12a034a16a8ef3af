//! What is known about a payment, kept as facts (docs/life-of-a-transaction.md). Provider facts form a set: their order
//! and repetition never show. This file holds everything a fact knows of itself: its tag in packed rows, its stored
//! name, its fields and its classes. What the facts amount to is derived in `standing`.

mod table;

use crate::ids::Seq;
use crate::time::UnixTime;

pub use self::table::{MismatchKind, PersonFact, ProviderFact, ReviewHold};

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

/// A provider that states more distinct facts than this about one payment is not speaking of one payment.
pub const PROVIDER_FACTS_MAX: usize = 128;

/// Of these, declines, captures wanted and other facts that move no money may take this many: a customer who tries a card
/// a hundred times must leave room for the payment that succeeds. The first fact of each kind always has room, so that a
/// flood of one kind hides neither the acceptance, the decline nor the closing of the order.
pub const PROVIDER_WORDS_MAX: usize = 64;

/// The outcome of adding a provider fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recording {
    Duplicate,
    Added,
    /// The set is at [`PROVIDER_FACTS_MAX`], or at [`PROVIDER_WORDS_MAX`] for what moves no money; a fact was not added.
    Full,
}

impl Facts {
    /// Adds a provider fact to the set.
    pub fn record(&mut self, seq: Seq, at: UnixTime, fact: ProviderFact) -> Recording {
        let kind = std::mem::discriminant(&fact);
        let first_of_its_kind = || !self.provider.iter().any(|known| std::mem::discriminant(&known.fact) == kind);
        let count_max = if fact.weighs_on_money() { PROVIDER_FACTS_MAX } else { PROVIDER_WORDS_MAX };
        if self.has(&fact) {
            Recording::Duplicate
        } else if self.provider.len() >= count_max && !first_of_its_kind() {
            Recording::Full
        } else {
            self.provider.push(Recorded { seq, at, fact });
            Recording::Added
        }
    }

    /// Adds a person's decision.
    pub fn record_person(&mut self, seq: Seq, at: UnixTime, fact: PersonFact) {
        self.persons.push(Recorded { seq, at, fact });
    }

    fn has(&self, fact: &ProviderFact) -> bool {
        self.provider.iter().any(|known| known.fact == *fact)
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
            | Self::Chargeback { .. }
            | Self::ChargebackReversed { .. } => true,
            Self::Accepted
            | Self::AdvanceWanted { .. }
            | Self::Unanswered
            | Self::Declined { .. }
            | Self::Cancelled { .. }
            | Self::ReviewHold(_) => false,
        }
    }

    /// Moves money, or stops it: a review hold of our own weighs as much as a confirmation. A review that the provider
    /// requests does not: a provider may request it many times.
    fn weighs_on_money(&self) -> bool {
        let stops = |hold: &ReviewHold| match hold {
            ReviewHold::AmountUnstated { .. } | ReviewHold::Mismatch { .. } | ReviewHold::OutcomeUnknown => true,
            ReviewHold::Requested { .. } => false,
        };
        self.is_money() || matches!(self, Self::ReviewHold(hold) if stops(hold))
    }

    /// The provider stated it; a missing answer states nothing.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Unanswered | Self::ReviewHold(ReviewHold::OutcomeUnknown))
    }

    /// The provider has the order, and the customer may pay it.
    pub fn is_acceptance(&self) -> bool {
        matches!(self, Self::Accepted | Self::AdvanceWanted { .. })
    }

    /// The payment waits for a call of ours that moves money.
    pub fn wants_advance(&self) -> bool {
        matches!(self, Self::AdvanceWanted { .. })
    }
}

impl PersonFact {
    /// Lets a refused posting be tried again.
    pub fn permits_retry(&self) -> bool {
        match self {
            Self::Retried | Self::Approved | Self::Resolved { .. } | Self::RefundAsked { .. } => true,
            Self::Held(_) | Self::Released | Self::Rejected | Self::RefundRefused { .. } | Self::RefundDone { .. } => {
                false
            }
        }
    }
}
