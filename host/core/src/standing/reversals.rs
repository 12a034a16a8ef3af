//! What went back of a payment: its refunds and its disputes, each by its id. Where several payments of one order were
//! confirmed, each has its own reversals, and what names none of them is kept apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{ProviderFact as Fact, Recorded};
use crate::ids::Seq;

/// The reversals of one payment.
#[derive(Default)]
pub(super) struct Reversals<'a> {
    /// By refund id, the largest amount stated; failed ones included.
    pub(super) refunds: BTreeMap<&'a str, i64>,
    /// The totals that the provider stated, each with the seq it was recorded at.
    totals: Vec<(Seq, i64)>,
    /// Refunds that failed, with the largest amount stated of each; 0 where none was.
    pub(super) failed: BTreeMap<&'a str, i64>,
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

/// The reversals by payment id; under the empty id what names no payment, and everything where at most one was confirmed.
/// A refund or dispute belongs to the payment that any of its statements names. `one_of_several` passes the id of one of
/// several confirmed payments; an id that `is_payment` names no dispute.
pub(super) fn by_payment<'a>(
    facts: &[&'a Recorded<Fact>],
    one_of_several: impl Fn(&'a str) -> Option<&'a str>,
    is_payment: impl Fn(&str) -> bool,
) -> BTreeMap<&'a str, Reversals<'a>> {
    let known = |payment: &'a str| one_of_several(payment).unwrap_or_default();
    // A dispute under the id of its payment names that one.
    let disputed = |id: &'a str, payment: &'a str| known(payment).max(known(id));
    let dispute_id = |id: &'a str| if is_payment(id) { "" } else { id };

    let (mut refund_owners, mut dispute_owners) = (BTreeMap::new(), BTreeMap::new());
    for recorded in facts {
        match &recorded.fact {
            Fact::Refund { id, payment, .. } | Fact::RefundFailed { id, payment, .. } => {
                keep_largest(&mut refund_owners, id, known(payment));
            }
            Fact::Chargeback { id, payment, .. } | Fact::ChargebackReversed { id, payment } => {
                keep_largest(&mut dispute_owners, dispute_id(id), known(payment));
            }
            _ => {}
        }
    }
    let refund_owner = |id: &str| refund_owners.get(id).copied().unwrap_or_default();
    let dispute_owner = |id: &'a str, payment: &'a str| match dispute_id(id) {
        "" => disputed(id, payment),
        id => dispute_owners.get(id).copied().unwrap_or_default(),
    };

    // Earlier versions recorded amounts below zero; nothing is given by a reversal.
    let taken = |minor: i64| minor.max(0);
    let mut all = BTreeMap::<&str, Reversals<'_>>::new();
    for recorded in facts {
        match &recorded.fact {
            Fact::Refund { id, minor, .. } => {
                keep_largest(&mut all.entry(refund_owner(id)).or_default().refunds, id, taken(*minor));
            }
            Fact::RefundFailed { id, minor, .. } => {
                keep_largest(&mut all.entry(refund_owner(id)).or_default().failed, id, taken(*minor));
            }
            Fact::RefundedTotal { payment, minor } => {
                all.entry(known(payment)).or_default().totals.push((recorded.seq, taken(*minor)));
            }
            Fact::Chargeback { id, payment, minor } => {
                let disputes = &mut all.entry(dispute_owner(id, payment)).or_default().disputes;
                keep_largest(&mut disputes.opened, dispute_id(id), taken(*minor));
            }
            Fact::ChargebackReversed { id, payment } => {
                all.entry(dispute_owner(id, payment)).or_default().disputes.reversed.insert(dispute_id(id));
            }
            _ => {}
        }
    }
    all
}

impl Reversals<'_> {
    /// The sum of the refunds that did not fail.
    pub(super) fn single_refunds(&self) -> i64 {
        let counted = self.refunds.iter().filter(|(id, _)| !self.failed.contains_key(*id));
        counted.fold(0, |sum, (_, minor)| sum.saturating_add(*minor))
    }

    /// The totals without the refunds that failed. Where the amount of a failed one is unknown, so is what is left of a
    /// total: nothing of it counts.
    pub(super) fn totals(&self) -> impl Iterator<Item = (Seq, i64)> {
        let amounts =
            self.failed.iter().map(|(id, minor)| self.refunds.get(id).map_or(*minor, |known| *minor.max(known)));
        let failed = amounts.map(|minor| if minor == 0 { i64::MAX } else { minor }).fold(0, i64::saturating_add);
        self.totals.iter().map(move |(seq, total)| (*seq, total.saturating_sub(failed).max(0)))
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

fn keep_largest<'a, V: Ord + Copy>(values: &mut BTreeMap<&'a str, V>, id: &'a str, value: V) {
    let known = values.entry(id).or_insert(value);
    *known = value.max(*known);
}
