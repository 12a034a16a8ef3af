//! Which payments the facts of one transaction name, and which of them it is credited for. It knows no transaction.

use super::{Facts, MismatchKind, PersonFact, ProviderFact, ReviewHold};

impl ProviderFact {
    /// The payment that it is about, whether that was confirmed, is held for review or went back; empty where it names none.
    pub fn payment(&self) -> &str {
        match self {
            Self::Confirmed { payment, .. } => payment,
            Self::ReviewHold(hold) => hold.payment(),
            Self::Accepted
            | Self::Unanswered
            | Self::AdvanceWanted { .. }
            | Self::Declined { .. }
            | Self::Cancelled { .. }
            | Self::Refund { .. }
            | Self::RefundedTotal { .. }
            | Self::RefundFailed { .. }
            | Self::RefundOfRequest { .. }
            | Self::Chargeback { .. }
            | Self::ChargebackReversed { .. }
            | Self::LastQuery => self.reversed_payment(),
        }
    }
}

impl ProviderFact {
    /// Another amount than the ordered one that was stated as paid, in minor units of the order's currency.
    pub fn other_amount(&self) -> Option<i64> {
        match self {
            Self::ReviewHold(ReviewHold::Mismatch { what: MismatchKind::Amount, stated_minor, .. }) => *stated_minor,
            _ => None,
        }
    }
}

impl Facts {
    /// The ids of the payments that were stated as paid, credited or held for review.
    pub fn paid(&self) -> impl Iterator<Item = &str> {
        let paid = self.provider.iter().filter_map(|known| match &known.fact {
            ProviderFact::Confirmed { payment, .. } => Some(&**payment),
            ProviderFact::ReviewHold(hold) => Some(hold.payment()),
            _ => None,
        });
        paid.filter(|id| !id.is_empty())
    }

    /// The ids of the payments that any fact names: confirmed, held for review, refunded or disputed.
    pub fn payments(&self) -> impl Iterator<Item = &str> {
        self.provider.iter().map(|known| known.fact.payment()).filter(|id| !id.is_empty())
    }

    /// Other amounts than the ordered one that were stated as paid, in minor units of the order's currency.
    pub fn other_amounts(&self) -> impl Iterator<Item = i64> {
        self.provider.iter().filter_map(|known| known.fact.other_amount())
    }

    /// Whether the payment of this id is this transaction's: it was confirmed, or a person ended its review with an amount, and
    /// of whatever kind. Without an id, none is.
    pub fn has_payment(&self, id: &str) -> bool {
        self.confirms(id) || (!id.is_empty() && self.credits_by_resolution(id))
    }

    /// Whether the newest resolution credits something and came after a hold of this payment. Nearly no row has one.
    fn credits_by_resolution(&self, id: &str) -> bool {
        let resolutions = self.persons.iter().filter_map(|known| match known.fact {
            PersonFact::Resolved { minor } => Some((known.seq, minor)),
            _ => None,
        });
        let Some((resolved_at, 1..)) = resolutions.max_by_key(|(seq, _)| *seq) else { return false };
        self.provider.iter().any(|known| match &known.fact {
            ProviderFact::ReviewHold(hold) => hold.payment() == id && known.seq <= resolved_at,
            _ => false,
        })
    }
}
