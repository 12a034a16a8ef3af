//! Which payments the facts of one transaction name, and which of them it is credited for. It knows no transaction.

use std::collections::{BTreeMap, BTreeSet};

use super::{Facts, MismatchKind, PersonFact, ProviderFact, Recorded, ReviewHold};
use crate::ids::Seq;

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

    /// The payments that were stated as paid, whether they are credited or under review, each with the commit of each statement;
    /// empty ids are of payments that were not named.
    pub fn stated_as_paid(&self) -> impl Iterator<Item = (&str, Seq)> {
        self.provider.iter().filter_map(|known| match &known.fact {
            ProviderFact::Confirmed { payment, .. } => Some((&**payment, known.seq)),
            ProviderFact::ReviewHold(hold) if hold.states_payment() => Some((hold.payment(), known.seq)),
            _ => None,
        })
    }

    /// When the newest of the payments that are stated as paid and not confirmed was stated first; 0 where there is none.
    pub fn unconfirmed_since(&self) -> Seq {
        let mut first: BTreeMap<&str, Seq> = BTreeMap::new();
        for (payment, seq) in self.stated_as_paid().filter(|(payment, _)| !self.confirms(payment)) {
            let known = first.entry(payment).or_insert(seq);
            *known = seq.min(*known);
        }
        first.into_values().max().unwrap_or_default()
    }

    /// The most that the provider stated as paid for an order of `ordered`, in minor units: each payment once. One of which no amount
    /// is stated that can be compared counts as the order; so does an order of which no payment is stated.
    pub fn stated_minor(&self, ordered: i64) -> i64 {
        let mut by_payment: BTreeMap<&str, i64> = BTreeMap::new();
        for known in &self.provider {
            let (payment, minor) = match &known.fact {
                ProviderFact::Confirmed { payment, minor } => (&**payment, *minor),
                ProviderFact::ReviewHold(ReviewHold::Mismatch {
                    what: MismatchKind::Amount,
                    stated_minor: Some(minor),
                    payment,
                    ..
                }) => (&**payment, *minor),
                ProviderFact::ReviewHold(hold) if hold.states_payment() => (hold.payment(), ordered),
                _ => continue,
            };
            let most = by_payment.entry(payment).or_default();
            *most = minor.max(*most);
        }
        let unnamed = by_payment.remove("").unwrap_or_default();
        let named = by_payment.into_values().fold(0, i64::saturating_add);
        match named.max(unnamed) {
            0 => ordered,
            stated => stated,
        }
    }

    /// The payments that so much is credited for: those that were confirmed, where they cover it, else all that were stated as
    /// paid.
    pub fn paid_for(&self, minor: i64) -> BTreeSet<&str> {
        let confirmed: BTreeMap<&str, i64> = self
            .provider
            .iter()
            .filter_map(|known| match &known.fact {
                ProviderFact::Confirmed { payment, minor } if !payment.is_empty() => Some((&**payment, *minor)),
                _ => None,
            })
            .collect();
        let covers = confirmed.values().copied().fold(0, i64::saturating_add) >= minor;
        if covers && !confirmed.is_empty() { confirmed.into_keys().collect() } else { self.paid().collect() }
    }

    /// The ids of the payments that any fact names: confirmed, held for review, refunded or disputed.
    pub fn payments(&self) -> impl Iterator<Item = &str> {
        self.provider.iter().map(|known| known.fact.payment()).filter(|id| !id.is_empty())
    }

    /// Other amounts than the ordered one that were stated as paid, or that a person credited, in minor units of the order's
    /// currency.
    pub fn other_amounts(&self) -> impl Iterator<Item = i64> {
        let stated = self.provider.iter().filter_map(|known| known.fact.other_amount());
        let credited = self.persons.iter().filter_map(|known| match known.fact {
            PersonFact::Resolved { minor: minor @ 1.. } => Some(minor),
            _ => None,
        });
        stated.chain(credited)
    }

    /// What went back at one time, or was to: refunds, disputes, totals, and what a manager requested, in minor units.
    pub fn returned_amounts(&self) -> impl Iterator<Item = i64> {
        let stated = self.provider.iter().filter_map(|known| match &known.fact {
            ProviderFact::Refund { minor, .. }
            | ProviderFact::RefundedTotal { minor, .. }
            | ProviderFact::Chargeback { minor, .. } => Some(*minor),
            _ => None,
        });
        let requested = self.persons.iter().filter_map(|known| match &known.fact {
            PersonFact::RefundRequested { minor, .. } => Some(*minor),
            _ => None,
        });
        stated.chain(requested)
    }

    /// When a person first credited something by ending a review.
    pub fn credited_by_person(&self) -> Option<Seq> {
        let credited = |fact: &PersonFact| matches!(fact, PersonFact::Resolved { minor: 1.. });
        self.persons.iter().filter(|known| credited(&known.fact)).map(|known| known.seq).min()
    }

    /// Whether the payment of this id is this transaction's: it was confirmed, or a person ended its review with an amount, and
    /// of whatever kind. Without an id, none is.
    pub fn has_payment(&self, id: &str) -> bool {
        self.confirms(id) || (!id.is_empty() && self.credits_by_resolution(id))
    }

    /// Whether the newest resolution came after a hold of this payment, and credits more than the other payments that were
    /// confirmed, or anything at all where one of those went back. Nearly no row has one.
    fn credits_by_resolution(&self, id: &str) -> bool {
        let Some((resolved_at, minor @ 1..)) = self.newest_resolution() else { return false };
        let is_held = |known: &Recorded<ProviderFact>| match &known.fact {
            ProviderFact::ReviewHold(hold) => hold.payment() == id && known.seq <= resolved_at,
            _ => false,
        };
        if !self.provider.iter().any(is_held) {
            return false;
        }
        let others: BTreeMap<&str, i64> = self
            .provider
            .iter()
            .filter(|known| known.seq <= resolved_at)
            .filter_map(|known| match &known.fact {
                ProviderFact::Confirmed { payment, minor } if **payment != *id => Some((&**payment, *minor)),
                _ => None,
            })
            .collect();
        minor > others.into_values().fold(0, i64::saturating_add)
            || self.went_back_beside(resolved_at, |payment| payment == id)
    }
}
