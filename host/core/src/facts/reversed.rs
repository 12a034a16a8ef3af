//! The facts about what went back of one payment, found and given up by the id of the payment: before it is confirmed it may
//! be stated under the reference of another transaction. It knows no transaction.

use super::{Facts, ManagerRefund, ProviderFact, RefundPhase, ReviewHold};

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

impl Facts {
    /// Whether something went back of this payment, or was stated of it that does not fit this order, while it is not known to
    /// be this order's.
    pub fn reverses_unconfirmed(&self, payment: &str) -> bool {
        let misfits = |fact: &ProviderFact| match fact {
            ProviderFact::ReviewHold(hold @ ReviewHold::Mismatch { .. }) => hold.payment() == payment,
            _ => false,
        };
        let is_about = |fact: &ProviderFact| fact.reversed_payment() == payment || misfits(fact);
        !payment.is_empty() && !self.has_payment(payment) && self.any(is_about)
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

    /// Removes what went back of this payment, and returns it.
    pub(crate) fn take_reversals(&mut self, payment: &str) -> Vec<ProviderFact> {
        let is_own = |fact: &ProviderFact| fact.reversed_payment() == payment;
        let taken = self.provider.iter().filter(|known| is_own(&known.fact)).map(|known| known.fact.clone()).collect();
        self.provider.retain(|known| !is_own(&known.fact));
        taken
    }
}
