//! The provider's statements summed up, independently of order and repetition. What went back of a payment is in
//! `reversals`, what is left for a review in `review`.

use std::collections::BTreeMap;

use super::reversals::{Disputes, Reversals, by_payment};
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
    /// By payment id where several payments were confirmed, else all under the empty one.
    pub(super) reversals: BTreeMap<&'a str, Reversals<'a>>,
    /// Our id of a requested refund, and the provider's id of it.
    pub(super) requested: BTreeMap<&'a str, &'a str>,
    pub(super) holds: Vec<(Seq, &'a ReviewHold)>,
    /// The provider answered at all.
    pub(super) definite: bool,
    /// It said how the payment or an attempt at it ended.
    pub(super) decided: bool,
    /// When money last went back.
    pub(super) newest_reversal: Seq,
    /// When a refund last failed.
    pub(super) newest_failure: Seq,
    /// When a dispute was last opened or reversed.
    pub(super) newest_dispute: Seq,
}

impl<'a> ProviderSummary<'a> {
    pub(super) fn read(provider: impl Iterator<Item = &'a Recorded<ProviderFact>>) -> Self {
        let mut read = Self::default();
        let mut reversing = Vec::new();
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
                ProviderFact::Refund { .. } | ProviderFact::RefundedTotal { .. } => {
                    reversing.push(known);
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                }
                ProviderFact::RefundFailed { .. } => {
                    reversing.push(known);
                    read.newest_failure = read.newest_failure.max(known.seq);
                }
                ProviderFact::Chargeback { .. } => {
                    reversing.push(known);
                    read.newest_reversal = read.newest_reversal.max(known.seq);
                    read.newest_dispute = read.newest_dispute.max(known.seq);
                }
                ProviderFact::ChargebackReversed { .. } => {
                    reversing.push(known);
                    read.newest_dispute = read.newest_dispute.max(known.seq);
                }
                ProviderFact::RefundOfRequest { id, requested } => {
                    let linked = read.requested.entry(requested).or_insert(id);
                    *linked = (*linked).max(id);
                }
                ProviderFact::LastQuery => {}
                ProviderFact::ReviewHold(hold) => read.holds.push((known.seq, hold)),
            }
        }
        // Once every payment is known.
        read.reversals = by_payment(&reversing, |id| read.one_of_several(id), |id| read.is_payment(id));
        read
    }

    /// Whether an id is that of a payment, also of one that was confirmed without an amount.
    fn is_payment(&self, id: &str) -> bool {
        let unstated = |hold: &ReviewHold| matches!(hold, ReviewHold::AmountUnstated { payment } if **payment == *id);
        self.payments.contains_key(id) || self.holds.iter().any(|(_, hold)| unstated(hold))
    }

    /// The ids of the payments that are named.
    pub(super) fn named_payments(&self) -> impl Iterator<Item = (&'a str, Seq)> + Clone {
        self.payments.iter().filter(|(id, _)| !id.is_empty()).map(|(id, seq)| (*id, *seq))
    }

    /// How many payments of the ordered amount were confirmed. One without an id may be any of the named.
    pub(super) fn payment_count(&self) -> usize {
        self.named_payments().count().max(usize::from(!self.payments.is_empty()))
    }

    /// The id, where it is one of several confirmed payments: each has its own reversals.
    pub(super) fn one_of_several<'i>(&self, id: &'i str) -> Option<&'i str> {
        (self.payment_count() > 1 && !id.is_empty() && self.payments.contains_key(id)).then_some(id)
    }

    /// The disputes of every payment.
    pub(super) fn disputes(&self) -> impl Iterator<Item = &Disputes<'a>> {
        self.reversals.values().map(|of_one| &of_one.disputes)
    }

    /// The ids of the refunds that failed.
    pub(super) fn failed_refunds(&self) -> impl Iterator<Item = &'a str> {
        self.reversals.values().flat_map(|of_one| of_one.failed.keys().copied())
    }

    /// A dispute is open and it is not known which was reversed. A reversal that names no payment may be of any.
    pub(super) fn disputes_are_unmatched(&self) -> bool {
        let is_open = || self.disputes().any(|disputes| disputes.open().next().is_some());
        let unnamed = self.reversals.get("").is_some_and(|unnamed| unnamed.disputes.has_stray_reversal());
        self.disputes().any(Disputes::are_unmatched) || unnamed && is_open()
    }
}
