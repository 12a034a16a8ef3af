//! The facts about what went back of one payment, found and given up by the id of the payment: before it is confirmed it may
//! be stated under the reference of another transaction. It knows no transaction.

use std::collections::BTreeSet;

use super::{Facts, ManagerRefund, ProviderFact, Recorded, RefundPhase, ReviewHold};

impl ProviderFact {
    /// Money went back, or is disputed.
    pub fn is_reversal(&self) -> bool {
        match self {
            Self::Refund { .. } | Self::RefundedTotal { .. } | Self::Chargeback { .. } => true,
            Self::RefundFailed { .. }
            | Self::RefundOfRequest { .. }
            | Self::ChargebackReversed { .. }
            | Self::Accepted
            | Self::Unanswered
            | Self::AdvanceWanted { .. }
            | Self::Confirmed { .. }
            | Self::Declined { .. }
            | Self::Cancelled { .. }
            | Self::ReviewHold(_)
            | Self::LastQuery => false,
        }
    }

    /// The payment that this is a refund or dispute of, or the failure or end of one; empty where it names none.
    pub fn reversed_payment(&self) -> &str {
        match self {
            Self::Refund { payment, .. }
            | Self::RefundedTotal { payment, .. }
            | Self::RefundFailed { payment, .. }
            | Self::Chargeback { payment, .. }
            | Self::ChargebackReversed { payment, .. } => payment,
            Self::Accepted
            | Self::Unanswered
            | Self::AdvanceWanted { .. }
            | Self::Confirmed { .. }
            | Self::Declined { .. }
            | Self::Cancelled { .. }
            | Self::RefundOfRequest { .. }
            | Self::ReviewHold(_)
            | Self::LastQuery => "",
        }
    }
}

fn is_reversal_of(fact: &ProviderFact, payment: &str, ids: &BTreeSet<(bool, Box<str>)>) -> bool {
    let named = fact.reversed_payment();
    let by_id = || fact.reversal_id().is_some_and(|(is_dispute, id)| ids.contains(&(is_dispute, id.into())));
    (named == payment && !payment.is_empty()) || (named.is_empty() && by_id())
}

/// Something was stated of this payment that does not fit the order.
fn is_misfit(fact: &ProviderFact, payment: &str) -> bool {
    matches!(fact, ProviderFact::ReviewHold(hold @ ReviewHold::Mismatch { .. }) if hold.payment() == payment)
}

impl ProviderFact {
    /// Whether it is of a dispute, and its id or that of the refund; `None` where it has none of its own.
    fn reversal_id(&self) -> Option<(bool, &str)> {
        let (is_dispute, id) = match self {
            Self::Refund { id, .. } | Self::RefundFailed { id, .. } => (false, &**id),
            Self::Chargeback { id, .. } | Self::ChargebackReversed { id, .. } => (true, &**id),
            _ => return None,
        };
        (!id.is_empty()).then_some((is_dispute, id))
    }
}

impl Facts {
    /// Whether something went back of this payment, or was stated of it that does not fit this order, while it is not known to
    /// be this order's.
    pub fn reverses_unconfirmed(&self, payment: &str) -> bool {
        let is_about = |fact: &ProviderFact| fact.reversed_payment() == payment || is_misfit(fact, payment);
        !payment.is_empty() && !self.has_payment(payment) && self.any(is_about)
    }

    /// What went back of this payment, with what failed or was lifted of it; also by a statement of the same refund or dispute
    /// that names no payment.
    pub(crate) fn reversals_of<'a>(&'a self, payment: &'a str) -> impl Iterator<Item = &'a Recorded<ProviderFact>> {
        let ids = self.reversal_ids(payment);
        self.provider.iter().filter(move |known| is_reversal_of(&known.fact, payment, &ids))
    }

    /// The ids of the refunds and disputes that a statement says are of this payment.
    fn reversal_ids(&self, payment: &str) -> BTreeSet<(bool, Box<str>)> {
        let named = self.provider.iter().filter(|known| known.fact.reversed_payment() == payment);
        named.filter_map(|known| known.fact.reversal_id()).map(|(is_dispute, id)| (is_dispute, id.into())).collect()
    }

    /// A person decided something while what went back of this payment counted or was reviewed here.
    pub(crate) fn is_decided_with_reversals_of(&self, payment: &str) -> bool {
        let misfits = self.provider.iter().filter(|known| is_misfit(&known.fact, payment));
        let since = self.reversals_of(payment).chain(misfits).map(|known| known.seq).min();
        since.is_some_and(|since| self.persons.iter().any(|known| known.seq >= since && known.fact.is_decision()))
    }

    /// Whether something went back, or was requested to, that is of this payment or may be: it names that one, or no statement of it
    /// names any.
    pub fn may_reverse(&self, payment: &str) -> bool {
        let names = |id: &str, other: &ProviderFact| match other {
            ProviderFact::Refund { id: own, payment, .. } | ProviderFact::Chargeback { id: own, payment, .. } => {
                !id.is_empty() && **own == *id && !payment.is_empty()
            }
            _ => false,
        };
        let may_be_of = |fact: &ProviderFact| match fact {
            ProviderFact::Refund { id, payment: own, .. } | ProviderFact::Chargeback { id, payment: own, .. } => {
                **own == *payment || (own.is_empty() && !self.any(|other| names(id, other)))
            }
            fact => fact.is_reversal() && (fact.reversed_payment().is_empty() || fact.reversed_payment() == payment),
        };
        let requested = |refund: &ManagerRefund<'_>| {
            (refund.payment.is_empty() || refund.payment == payment)
                && !matches!(refund.phase, RefundPhase::Refused { .. } | RefundPhase::Failed)
        };
        self.any(may_be_of) || self.refunds().iter().any(requested)
    }

    /// Removes what went back of this payment, and the review of it.
    pub(crate) fn drop_reversals(&mut self, payment: &str) {
        let is_review = |fact: &ProviderFact| matches!(fact, ProviderFact::ReviewHold(ReviewHold::Misplaced { payment: of, .. }) if **of == *payment);
        let ids = self.reversal_ids(payment);
        self.provider.retain(|known| !is_reversal_of(&known.fact, payment, &ids) && !is_review(&known.fact));
    }
}
