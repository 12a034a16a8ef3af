//! What went back of a payment: its refunds and its disputes, each by its id. Where several payments of one order are known,
//! each has its own reversals, and what names none of them is kept apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{ProviderFact as Fact, Recorded};
use crate::ids::Seq;

/// The reversals by payment id; under the empty id what names no payment, and everything where one payment is known.
pub(super) type ByPayment<'a> = BTreeMap<&'a str, Reversals<'a>>;

/// The reversals of one payment.
#[derive(Default)]
pub(super) struct Reversals<'a> {
    /// By refund id, the largest amount stated, of those that did not fail.
    pub(super) refunds: BTreeMap<&'a str, i64>,
    /// The totals that the provider stated, each with the seq it was recorded at, without the refunds that failed.
    pub(super) totals: Vec<(Seq, i64)>,
    pub(super) disputes: Disputes<'a>,
}

/// The disputes of one payment. A dispute that is named by no id of its own, or by the payment's, is *unnamed* and has the
/// empty id: it may be any of the named ones.
#[derive(Default)]
pub(super) struct Disputes<'a> {
    /// By dispute id, the largest amount stated.
    pub(super) opened: BTreeMap<&'a str, i64>,
    pub(super) reversed: BTreeSet<&'a str>,
}

/// Which payment each refund and dispute takes back: the one that any of its statements names.
#[derive(Default)]
pub(super) struct Attribution<'a> {
    facts: Vec<&'a Recorded<Fact>>,
    /// The payments with reversals of their own; none where one payment is known.
    pub(super) several: BTreeSet<&'a str>,
    /// The ids of payments: they name no dispute.
    payment_ids: BTreeSet<&'a str>,
    pub(super) refunds: BTreeMap<&'a str, &'a str>,
    disputes: BTreeMap<&'a str, &'a str>,
    /// Refunds that failed, with the largest amount stated of each; 0 where none was.
    pub(super) failed: BTreeMap<&'a str, i64>,
}

impl<'a> Attribution<'a> {
    pub(super) fn new(
        facts: Vec<&'a Recorded<Fact>>,
        several: BTreeSet<&'a str>,
        payment_ids: BTreeSet<&'a str>,
    ) -> Self {
        let mut new = Self { several, payment_ids, ..Self::default() };
        for recorded in &facts {
            if let Fact::Chargeback { payment, .. } | Fact::ChargebackReversed { payment, .. } = &recorded.fact {
                new.payment_ids.insert(payment);
            }
        }
        let mut amounts = BTreeMap::new();
        for recorded in &facts {
            match &recorded.fact {
                Fact::Refund { id, payment, minor } => {
                    keep_largest(&mut new.refunds, id, one_of(&new.several, payment));
                    keep_largest(&mut amounts, id, *minor);
                }
                Fact::RefundFailed { id, payment, minor } => {
                    keep_largest(&mut new.refunds, id, one_of(&new.several, payment));
                    keep_largest(&mut amounts, id, *minor);
                    new.failed.insert(id, 0);
                }
                Fact::Chargeback { id, payment, .. } | Fact::ChargebackReversed { id, payment } => {
                    keep_largest(&mut new.disputes, id, one_of(&new.several, payment));
                }
                _ => {}
            }
        }
        for (id, minor) in &mut new.failed {
            *minor = amounts.get(id).copied().unwrap_or_default();
        }
        Self { facts, ..new }
    }

    /// The reversals that were recorded until then. What failed or was lifted, also later, took nothing back.
    pub(super) fn until(&self, until: Seq) -> ByPayment<'a> {
        let mut all = ByPayment::new();
        for recorded in self.facts.iter().filter(|recorded| recorded.seq <= until) {
            match &recorded.fact {
                Fact::Refund { id, minor, .. } if !self.failed.contains_key(&**id) => {
                    keep_largest(&mut all.entry(self.refund_owner(id)).or_default().refunds, id, (*minor).max(0));
                }
                Fact::RefundedTotal { payment, minor } => {
                    let payment = one_of(&self.several, payment);
                    let total = minor.saturating_sub(self.failed_of(payment)).max(0);
                    all.entry(payment).or_default().totals.push((recorded.seq, total));
                }
                Fact::Chargeback { id, payment, minor } => {
                    let (payment, id) = self.dispute(id, payment);
                    keep_largest(&mut all.entry(payment).or_default().disputes.opened, id, (*minor).max(0));
                }
                _ => {}
            }
        }
        for recorded in &self.facts {
            if let Fact::ChargebackReversed { id, payment } = &recorded.fact {
                let (payment, id) = self.dispute(id, payment);
                all.entry(payment).or_default().disputes.reversed.insert(id);
            }
        }
        all
    }

    /// Whether a dispute that was known by then was lifted after it.
    pub(super) fn is_lifted_since(&self, until: Seq) -> bool {
        let opened: BTreeSet<_> = self
            .facts
            .iter()
            .filter(|known| known.seq <= until)
            .filter_map(|known| match &known.fact {
                Fact::Chargeback { id, payment, .. } => Some(self.dispute(id, payment)),
                _ => None,
            })
            .collect();
        let lifted = |known: &Recorded<Fact>| match &known.fact {
            Fact::ChargebackReversed { id, payment } => opened.contains(&self.dispute(id, payment)),
            _ => false,
        };
        self.facts.iter().filter(|known| known.seq > until).any(|known| lifted(known))
    }

    fn refund_owner(&self, id: &str) -> &'a str {
        self.refunds.get(id).copied().unwrap_or_default()
    }

    /// The payment that a dispute takes back, and the dispute's id: empty for the unnamed one.
    fn dispute(&self, id: &'a str, payment: &'a str) -> (&'a str, &'a str) {
        if id.is_empty() || self.payment_ids.contains(id) {
            // A dispute under the id of its payment names that one.
            (one_of(&self.several, payment).max(one_of(&self.several, id)), "")
        } else {
            (self.disputes.get(id).copied().unwrap_or_default(), id)
        }
    }

    /// The refunds that failed and may be part of a total of the payment. Where the amount of one is unknown, nothing of the
    /// total counts.
    fn failed_of(&self, payment: &str) -> i64 {
        let may_be_of = |id: &str| {
            let owner = self.refund_owner(id);
            owner.is_empty() || payment.is_empty() || owner == payment
        };
        let amounts = self.failed.iter().filter(|(id, _)| may_be_of(id)).map(|(_, minor)| *minor);
        amounts.map(|minor| if minor == 0 { i64::MAX } else { minor }).fold(0, i64::saturating_add)
    }
}

impl Reversals<'_> {
    /// The larger of the sum of single refunds and the largest total.
    pub(super) fn refunded(&self) -> i64 {
        let singles = self.refunds.values().copied().fold(0, i64::saturating_add);
        self.totals.iter().map(|(_, total)| *total).fold(singles, i64::max)
    }
}

impl<'a> Disputes<'a> {
    pub(super) fn open(&self) -> impl Iterator<Item = (&'a str, i64)> {
        self.opened.iter().filter(|(id, _)| !self.reversed.contains(*id)).map(|(id, minor)| (*id, *minor))
    }

    /// The amount of the disputes that were not reversed. An unnamed one may be any of the named: the larger counts.
    pub(super) fn charged_back(&self) -> i64 {
        let (mut named, mut unnamed) = (0_i64, 0_i64);
        for (id, minor) in self.open() {
            let sum = if id.is_empty() { &mut unnamed } else { &mut named };
            *sum = sum.saturating_add(minor);
        }
        named.max(unnamed)
    }

    /// A reversal matches no dispute.
    pub(super) fn has_stray_reversal(&self) -> bool {
        self.reversed.iter().any(|id| !self.opened.contains_key(id))
    }

    /// A dispute is open, and a reversal that matches none may be its: nothing says which. The same holds where one
    /// statement names a dispute and another names none.
    pub(super) fn are_unmatched(&self) -> bool {
        let mut ids = self.opened.keys().chain(&self.reversed);
        let mixed = ids.clone().any(|id| id.is_empty()) && ids.any(|id| !id.is_empty());
        self.open().next().is_some() && (self.has_stray_reversal() || mixed)
    }
}

/// The payment where it is one of several, else none.
fn one_of<'a>(several: &BTreeSet<&'a str>, payment: &'a str) -> &'a str {
    if several.contains(payment) { payment } else { "" }
}

fn keep_largest<'a, V: Ord + Copy>(values: &mut BTreeMap<&'a str, V>, id: &'a str, value: V) {
    let known = values.entry(id).or_insert(value);
    *known = value.max(*known);
}
