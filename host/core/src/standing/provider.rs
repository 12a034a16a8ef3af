//! The provider's statements summed up, independently of order and repetition: payments, refunds and disputes, each by its
//! id. What they leave for a review is in `review`.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{ProviderFact, Recorded, ReviewHold};
use crate::ids::Seq;
use crate::reason::ReasonCode;

#[derive(Default)]
pub(super) struct ProviderSummary<'a> {
    pub(super) accepted: bool,
    pub(super) unanswered: bool,
    /// Payment id and the seq it was first recorded at.
    pub(super) payments: BTreeMap<&'a str, Seq>,
    pub(super) declined: Option<&'a str>,
    pub(super) cancelled: Option<ReasonCode>,
    /// By refund id, the largest amount stated; failed ones included.
    pub(super) refunds: BTreeMap<&'a str, i64>,
    /// The totals that the provider stated, each with the seq it was recorded at.
    refund_totals: Vec<(Seq, i64)>,
    /// Refunds that failed, with the largest amount stated of each; 0 where none was.
    pub(super) failed: BTreeMap<&'a str, i64>,
    /// Our id of a requested refund, and the provider's id of it.
    pub(super) requested: BTreeMap<&'a str, &'a str>,
    pub(super) disputes: Disputes<'a>,
    pub(super) holds: Vec<(Seq, &'a ReviewHold)>,
    /// The provider answered at all.
    pub(super) definite: bool,
    /// It said how the payment or an attempt at it ended.
    pub(super) decided: bool,
    /// When money last went back.
    pub(super) newest_reversal: Seq,
    /// When a refund last failed.
    pub(super) newest_failure: Seq,
}

/// The disputes of one payment. A dispute that is named by no id of its own, or by the payment's, is *unnamed* and has the
/// empty id: it may be any of the named ones.
#[derive(Default)]
pub(super) struct Disputes<'a> {
    /// By dispute id, the largest amount stated.
    pub(super) opened: BTreeMap<&'a str, i64>,
    pub(super) reversed: BTreeSet<&'a str>,
    pub(super) newest: Seq,
}

impl<'a> ProviderSummary<'a> {
    pub(super) fn read(provider: &'a [Recorded<ProviderFact>]) -> Self {
        let mut read = Self::default();
        for known in provider {
            read.definite |= known.fact.is_definite();
            read.decided |= known.fact.is_decision();
            match &known.fact {
                ProviderFact::Accepted | ProviderFact::AdvanceWanted { .. } => read.accepted = true,
                ProviderFact::Unanswered => read.unanswered = true,
                ProviderFact::Confirmed { payment, .. } => {
                    let first = read.payments.entry(payment).or_insert(known.seq);
                    *first = known.seq.min(*first);
                }
                ProviderFact::Declined { reason } => read.declined = read.declined.max(Some(&**reason)),
                ProviderFact::Cancelled { reason } => read.cancelled = read.cancelled.max(Some(*reason)),
                ProviderFact::Refund { id, minor } => {
                    keep_largest(&mut read.refunds, id, *minor);
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                }
                ProviderFact::RefundedTotal { minor } => {
                    read.refund_totals.push((known.seq, *minor));
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                }
                ProviderFact::RefundFailed { id, minor } => {
                    keep_largest(&mut read.failed, id, *minor);
                    read.newest_failure = read.newest_failure.max(known.seq);
                }
                ProviderFact::RefundOfRequest { id, requested } => {
                    let linked = read.requested.entry(requested).or_insert(id);
                    *linked = (*linked).max(id);
                }
                ProviderFact::Chargeback { .. } => read.newest_reversal = read.newest_reversal.max(known.seq),
                ProviderFact::ChargebackReversed { .. } | ProviderFact::LastQuery => {}
                ProviderFact::ReviewHold(hold) => read.holds.push((known.seq, hold)),
            }
        }
        // Once every payment is known: an id of a payment names no dispute.
        read.disputes = read.read_disputes(provider);
        read
    }

    fn read_disputes(&self, provider: &'a [Recorded<ProviderFact>]) -> Disputes<'a> {
        let mut disputes = Disputes::default();
        for known in provider {
            match &known.fact {
                ProviderFact::Chargeback { id, minor } => {
                    keep_largest(&mut disputes.opened, self.dispute_id(id), *minor);
                }
                ProviderFact::ChargebackReversed { id } => {
                    disputes.reversed.insert(self.dispute_id(id));
                }
                ProviderFact::Accepted
                | ProviderFact::Unanswered
                | ProviderFact::AdvanceWanted { .. }
                | ProviderFact::Confirmed { .. }
                | ProviderFact::Declined { .. }
                | ProviderFact::Cancelled { .. }
                | ProviderFact::Refund { .. }
                | ProviderFact::RefundedTotal { .. }
                | ProviderFact::RefundFailed { .. }
                | ProviderFact::RefundOfRequest { .. }
                | ProviderFact::LastQuery
                | ProviderFact::ReviewHold(_) => continue,
            }
            disputes.newest = disputes.newest.max(known.seq);
        }
        disputes
    }

    fn dispute_id<'i>(&self, id: &'i str) -> &'i str {
        let unstated = |hold: &ReviewHold| matches!(hold, ReviewHold::AmountUnstated { payment } if **payment == *id);
        let is_payment = self.payments.contains_key(id) || self.holds.iter().any(|(_, hold)| unstated(hold));
        if is_payment { "" } else { id }
    }

    /// The ids of the payments that are named.
    pub(super) fn named_payments(&self) -> impl Iterator<Item = (&'a str, Seq)> + Clone {
        self.payments.iter().filter(|(id, _)| !id.is_empty()).map(|(id, seq)| (*id, *seq))
    }

    /// What the provider states as refunded: the larger of the sum of its refunds and its totals.
    pub(super) fn refunded(&self) -> i64 {
        self.totals().fold(self.single_refunds(), |most, (_, total)| most.max(total))
    }

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
        self.refund_totals.iter().map(move |(seq, total)| (*seq, total.saturating_sub(failed).max(0)))
    }

    /// The amount of the disputes that were not reversed. An unnamed one may be any of the named: the larger counts.
    pub(super) fn charged_back(&self) -> i64 {
        let sum = |named: bool| {
            let open = self.disputes.open().filter(|(id, _)| id.is_empty() != named);
            open.fold(0_i64, |sum, (_, minor)| sum.saturating_add(minor))
        };
        sum(true).max(sum(false))
    }
}

impl<'a> Disputes<'a> {
    pub(super) fn open(&self) -> impl Iterator<Item = (&'a str, i64)> {
        self.opened.iter().filter(|(id, _)| !self.reversed.contains(*id)).map(|(id, minor)| (*id, *minor))
    }

    /// A dispute is open, and a reversal that matches none may be its: nothing says which. The same holds where one
    /// statement names a dispute and another names none.
    pub(super) fn are_unmatched(&self) -> bool {
        let unmatched = self.reversed.iter().any(|id| !self.opened.contains_key(id));
        let mut ids = self.opened.keys().chain(&self.reversed);
        let mixed = ids.clone().any(|id| id.is_empty()) && ids.any(|id| !id.is_empty());
        self.open().next().is_some() && (unmatched || mixed)
    }
}

fn keep_largest<'a>(amounts: &mut BTreeMap<&'a str, i64>, id: &'a str, minor: i64) {
    let known = amounts.entry(id).or_insert(minor);
    *known = minor.max(*known);
}
