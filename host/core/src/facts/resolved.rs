//! Which of the payments that were held for review the newest resolution of a person credits, as far as the amount says. It counts
//! nothing that goes back of them: `standing` does.

use std::collections::{BTreeMap, BTreeSet};

use super::{Facts, PersonFact, ProviderFact, RefundPhase, ReviewHold};
use crate::ids::Seq;

/// What the newest resolution says of the payments that were held for review when it was made and that are not confirmed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedCredit<'a> {
    /// Those that it credits, or may credit, each with what it paid at most: what it was credited for where the provider states no
    /// amount.
    pub(crate) held: BTreeMap<&'a str, i64>,
    /// What they paid together at least.
    pub(crate) paid_minor: i64,
    /// The amount fits some of the payments, and nothing says which.
    pub(crate) is_unclear: bool,
}

/// What the provider stated as paid of one payment: it may state one amount and correct it.
#[derive(Clone, Copy)]
struct StatedPaid {
    least: i64,
    most: i64,
}

impl ReviewHold {
    /// Something was paid, and is not credited because of it.
    pub(crate) fn states_payment(&self) -> bool {
        match self {
            Self::AmountUnstated { .. } | Self::Mismatch { .. } | Self::PaymentReused { .. } => true,
            Self::OutcomeUnknown
            | Self::Requested { .. }
            | Self::NotStored
            | Self::Misplaced { .. }
            | Self::CountedElsewhere { .. }
            | Self::ReturnBeside { .. }
            | Self::Beside { .. }
            | Self::InReview { .. } => false,
        }
    }
}

impl Facts {
    /// The newest end of a review, with the amount that was credited.
    pub(crate) fn newest_resolution(&self) -> Option<(Seq, i64)> {
        let resolutions = self.persons.iter().filter_map(|known| match known.fact {
            PersonFact::Resolved { minor } => Some((known.seq, minor)),
            _ => None,
        });
        resolutions.max_by_key(|(seq, _)| *seq)
    }

    /// Read from the amount: one that is that of whole confirmed payments, of which nothing had gone back, is theirs alone; one that
    /// cannot be reached without each of the held payments credits them all; any other is unclear. A confirmation without an id may
    /// be of any payment: then they are not distinguished.
    pub(crate) fn resolved_credit(&self) -> ResolvedCredit<'_> {
        let Some((resolved_at, resolved @ 1..)) = self.newest_resolution() else { return ResolvedCredit::default() };
        let (confirmed, held) = self.known_when_resolved(resolved_at);
        if held.is_empty() || confirmed.contains_key("") {
            return ResolvedCredit::default();
        }
        let ordered = confirmed.values().copied().max();
        let all_confirmed = confirmed.values().copied().fold(0, i64::saturating_add);
        let went_back = self.went_back_beside(resolved_at, |payment| held.contains_key(payment));
        if !went_back && resolved <= all_confirmed && ordered.is_some_and(|ordered| resolved % ordered.max(1) == 0) {
            return ResolvedCredit::default();
        }
        let stated = held.values().flatten().map(|stated| stated.most).fold(0, i64::saturating_add);
        let unstated = held.values().filter(|stated| stated.is_none()).count();
        let left = resolved.saturating_sub(all_confirmed).saturating_sub(stated).max(0);
        // One without an amount counts as the order, where another payment must be distinguished from it.
        let most: Option<Vec<i64>> = held.values().map(|stated| stated.map(|stated| stated.most).or(ordered)).collect();
        let is_each_needed = match &most {
            _ if held.len() == 1 => resolved > all_confirmed,
            Some(most) => {
                let all = most.iter().copied().fold(all_confirmed, i64::saturating_add);
                resolved > all.saturating_sub(most.iter().copied().min().unwrap_or_default())
            }
            None => false,
        };
        let unknown = if unstated == 1 { left } else { ordered.unwrap_or(resolved) };
        let least = held.values().map(|stated| stated.map_or(unknown, |stated| stated.least));
        let paid_minor = if unstated > 1 {
            resolved.saturating_sub(all_confirmed).max(0)
        } else {
            least.fold(0, i64::saturating_add)
        };
        let held =
            held.iter().map(|(payment, stated)| (*payment, stated.map_or(unknown, |stated| stated.most))).collect();
        ResolvedCredit { held, paid_minor, is_unclear: !is_each_needed }
    }

    /// The payments that were known then: the amounts of those that are confirmed by now, and of the others what was stated.
    /// A payment without an id is held where none has one.
    fn known_when_resolved(&self, resolved_at: Seq) -> (BTreeMap<&str, i64>, BTreeMap<&str, Option<StatedPaid>>) {
        let (mut confirmed, mut known_then) = (BTreeMap::new(), BTreeSet::new());
        let mut held: BTreeMap<&str, Option<StatedPaid>> = BTreeMap::new();
        for known in &self.provider {
            let payment = match &known.fact {
                ProviderFact::Confirmed { payment, minor } => {
                    confirmed.insert(&**payment, *minor);
                    &**payment
                }
                ProviderFact::ReviewHold(hold) if hold.states_payment() => {
                    let stated = held.entry(hold.payment()).or_default();
                    if let Some(minor @ 1..) = known.fact.other_amount() {
                        let (least, most) = stated.map_or((minor, minor), |known| (known.least, known.most));
                        *stated = Some(StatedPaid { least: least.min(minor), most: most.max(minor) });
                    }
                    hold.payment()
                }
                _ => continue,
            };
            if known.seq <= resolved_at {
                known_then.insert(payment);
            }
        }
        held.retain(|payment, _| known_then.contains(payment) && !confirmed.contains_key(payment));
        if held.len() > 1 || !confirmed.is_empty() {
            held.remove("");
        }
        confirmed.retain(|payment, _| known_then.contains(payment) || payment.is_empty());
        (confirmed, held)
    }

    /// Whether money of another payment than these had gone back by then, or may have: a refund that did not fail, a dispute that
    /// was not lifted.
    pub(super) fn went_back_beside(&self, until: Seq, is_held: impl Fn(&str) -> bool) -> bool {
        let ended = |own: &str| {
            self.any(|fact| match fact {
                ProviderFact::RefundFailed { id, .. } | ProviderFact::ChargebackReversed { id, .. } => **id == *own,
                _ => false,
            })
        };
        let stands = |fact: &ProviderFact| match fact {
            ProviderFact::Refund { id, .. } | ProviderFact::Chargeback { id, .. } => !ended(id),
            fact => fact.is_reversal(),
        };
        let stated = self
            .provider
            .iter()
            .any(|known| known.seq <= until && stands(&known.fact) && !is_held(known.fact.reversed_payment()));
        stated
            || self.refunds().iter().any(|refund| {
                let is_none = matches!(refund.phase, RefundPhase::Refused { .. } | RefundPhase::Failed);
                refund.seq <= until && !is_none && !is_held(refund.payment)
            })
    }
}
