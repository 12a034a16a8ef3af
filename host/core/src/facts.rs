//! What was heard about a payment, kept as facts (API.md section 5). Provider facts form a set: their order and
//! repetition never show. Where the payment stands by them is derived in `standing`.

use crate::ids::Seq;
use crate::status::TransactionStatus;
use crate::time::UnixTime;

/// What a provider, or the attempt to reach it, established. Amounts are minor units of the transaction's currency,
/// compared before they become facts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderFact {
    /// The provider has the order and the customer may pay.
    Accepted,
    /// The provider was asked and no answer was heard; the truth is still to be found.
    Unanswered,
    /// The payment waits for a call of ours that moves money (a capture), named by the event that asked.
    AdvanceWanted {
        event: Box<str>,
    },
    /// Paid. `payment` is the provider's stable id of the payment, so that two events about it are one fact; empty where
    /// it names none, which speaks of whichever payment is named.
    Confirmed {
        payment: Box<str>,
        minor: i64,
    },
    /// A definite no; a second attempt under the same reference may still succeed.
    Declined {
        reason: Box<str>,
    },
    /// Closed without payment, by the customer, the provider or time.
    Cancelled {
        reason: Box<str>,
    },
    /// One refund by its own id.
    Refund {
        id: Box<str>,
        minor: i64,
    },
    /// The sum of all refunds as the provider counts them.
    RefundedTotal {
        minor: i64,
    },
    Chargeback {
        id: Box<str>,
        minor: i64,
    },
    ChargebackReversed {
        id: Box<str>,
    },
    ReviewHold(ReviewHold),
}

/// Why money must wait for a second look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReviewHold {
    /// Asked, unanswered, and not askable: cured by any definite provider fact.
    OutcomeUnknown,
    /// Confirmed without an amount; cured by a full confirmation of the same payment.
    AmountUnstated { payment: Box<str> },
    /// The provider states another amount, currency, brand or mode than was ordered.
    Mismatch { what: Box<str>, expected: Box<str>, stated: Box<str>, stated_minor: Option<i64> },
    /// The provider asks for a person.
    Requested { status: Box<str> },
}

/// What a person decided. The latest of a kind wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonFact {
    /// A status written by hand; it holds until released.
    Held(TransactionStatus),
    /// The display follows the facts again; money waits for approval, resolution or a retry.
    Released,
    Approved,
    Rejected,
    /// The doubt is settled: exactly this much is owed; zero closes.
    Resolved {
        minor: i64,
    },
    /// A refused, waiting or unknown posting may be tried again.
    Retried,
    RefundAsked {
        id: Box<str>,
        minor: i64,
    },
    RefundRefused {
        id: Box<str>,
    },
    /// The asked refund is the provider's refund of this id.
    RefundDone {
        id: Box<str>,
        refund: Box<str>,
    },
}

/// A fact with the commit in which it was first heard.
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

/// Of these, declines, captures wanted and other words may take this many: a customer who tries a card a hundred times
/// must leave room for the payment that succeeds. The first of each sort has room always, so that no flood of one sort
/// hides that the order was accepted, declined or closed.
pub const PROVIDER_WORDS_MAX: usize = 64;

/// The outcome of adding a provider fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    Added,
    Duplicate,
    /// The set is at [`PROVIDER_FACTS_MAX`], or at [`PROVIDER_WORDS_MAX`] for what moves no money; a fact was not added.
    Full,
}

impl Facts {
    /// Adds a provider fact to the set.
    pub fn record(&mut self, seq: Seq, at: UnixTime, fact: ProviderFact) -> Recording {
        let sort = std::mem::discriminant(&fact);
        let first_of_its_sort = || !self.provider.iter().any(|known| std::mem::discriminant(&known.fact) == sort);
        let room = if moves_money(&fact) { PROVIDER_FACTS_MAX } else { PROVIDER_WORDS_MAX };
        if self.provider.iter().any(|known| known.fact == fact) {
            Recording::Duplicate
        } else if self.provider.len() >= room && !first_of_its_sort() {
            Recording::Full
        } else {
            self.provider.push(Recorded { seq, at, fact });
            Recording::Added
        }
    }

    pub fn decide(&mut self, seq: Seq, at: UnixTime, fact: PersonFact) {
        self.persons.push(Recorded { seq, at, fact });
    }
}

fn moves_money(fact: &ProviderFact) -> bool {
    match fact {
        ProviderFact::Confirmed { .. }
        | ProviderFact::Refund { .. }
        | ProviderFact::RefundedTotal { .. }
        | ProviderFact::Chargeback { .. }
        | ProviderFact::ChargebackReversed { .. }
        // ReviewHold stops money, which is as weighty as moving it; the provider's own words alone can be many.
        | ProviderFact::ReviewHold(ReviewHold::AmountUnstated { .. } | ReviewHold::Mismatch { .. } | ReviewHold::OutcomeUnknown) => true,
        ProviderFact::Accepted
        | ProviderFact::Unanswered
        | ProviderFact::AdvanceWanted { .. }
        | ProviderFact::Declined { .. }
        | ProviderFact::Cancelled { .. }
        | ProviderFact::ReviewHold(ReviewHold::Requested { .. }) => false,
    }
}

/// Why a transaction stands where it does: a code for everyone, the values behind it for managers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    pub code: Box<str>,
    pub detail: Box<str>,
}

impl Reason {
    pub fn new(code: &str, detail: impl Into<Box<str>>) -> Self {
        Self { code: code.into(), detail: detail.into() }
    }
}
