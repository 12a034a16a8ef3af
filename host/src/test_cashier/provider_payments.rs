//! What the provider of the test cashier has of each payment, where a test lets it keep count: a refund is made once and within
//! what is left, and answers to queries state what it has.

use std::collections::BTreeMap;

use cashier_core::ids::Reference;
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::status::ProviderStatus;

use super::{OnRefund, paid, update, usd};
use crate::ports::{QueryAnswer, RefundQuery};

/// One order at the provider.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldPayment {
    pub(crate) is_paid: bool,
    pub(crate) is_closed: bool,
    pub(crate) refunded: i64,
    /// Of a dispute that is open.
    pub(crate) disputed: i64,
    pub(crate) dispute_won: bool,
}

/// What became of a refund that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefundFate {
    Done,
    /// Its end is not known yet.
    Accepted,
    Failed,
    Declined,
}

#[derive(Debug, Default)]
pub(crate) struct ProviderPayments {
    pub(crate) held: BTreeMap<Reference, HeldPayment>,
    /// By our id, with the refund's number.
    pub(crate) refunds: BTreeMap<Box<str>, (RefundFate, usize, RefundQuery)>,
    /// Whether queries and cancellations, which arrive all the same, are not answered.
    pub(crate) is_silent: bool,
    /// Whether an unpaid order stays open when it is cancelled.
    pub(crate) refuses_cancel: bool,
}

impl HeldPayment {
    /// What the customer paid and did not get back.
    pub(crate) fn left(&self, amount: i64) -> i64 {
        if self.is_paid { amount - self.refunded - self.disputed } else { 0 }
    }
}

impl ProviderPayments {
    /// What becomes of a refund call, and the refund's number; `None` where nothing is answered about it.
    pub(crate) fn refund(&mut self, next: &OnRefund, order: &RefundQuery) -> Option<(RefundFate, usize)> {
        let id = &order.refund.id;
        if !self.refunds.contains_key(id) && !matches!(next, OnRefund::Lost | OnRefund::NotSent) {
            let (number, minor) = (self.refunds.len() + 1, order.refund.amount.minor);
            let held = self.held.entry(order.payment.reference.clone()).or_default();
            let is_possible = minor <= held.left(super::AMOUNT);
            let fate = match next {
                OnRefund::Failed => RefundFate::Failed,
                OnRefund::Decline | OnRefund::DeclineSlowly(_) => RefundFate::Declined,
                _ if !is_possible => RefundFate::Declined,
                OnRefund::Accepted => RefundFate::Accepted,
                OnRefund::Done | OnRefund::AnswerLost | OnRefund::Lost | OnRefund::NotSent | OnRefund::Slow(_) => {
                    RefundFate::Done
                }
            };
            if matches!(fate, RefundFate::Done | RefundFate::Accepted) {
                held.refunded += minor;
            }
            self.refunds.insert(id.clone(), (fate, number, order.clone()));
        }
        if matches!(next, OnRefund::Lost | OnRefund::AnswerLost | OnRefund::NotSent) {
            return None;
        }
        self.refunds.get(id).map(|(fate, number, _)| (*fate, *number))
    }

    /// Closes an unpaid order, and answers.
    pub(crate) fn cancel(&mut self, reference: &Reference) -> QueryAnswer {
        let held = self.held.entry(reference.clone()).or_default();
        held.is_closed |= !held.is_paid && !self.refuses_cancel;
        self.query(reference)
    }

    pub(crate) fn query(&self, reference: &Reference) -> QueryAnswer {
        if self.is_silent {
            return QueryAnswer::NoAnswer("timed out".into());
        }
        QueryAnswer::Stated(Box::new(self.stated(reference)))
    }

    fn stated(&self, reference: &Reference) -> Update {
        let held = self.held.get(reference).cloned().unwrap_or_default();
        let open = |status| Update { reference: Some(reference.clone()), ..update("", status) };
        if !held.is_paid {
            return open(if held.is_closed { ProviderStatus::Cancelled } else { ProviderStatus::Pending });
        }
        let amount = |minor| StatedAmount::Exact(usd(minor));
        let refund = Some(RefundStatement {
            id: Box::default(),
            amount: amount(held.refunded),
            reach: Reach::TotalSoFar,
            requested: Box::default(),
        });
        let id = || format!("dp-{reference}").into();
        let dispute = (held.disputed > 0).then(|| DisputeStatement { id: id(), amount: Some(amount(held.disputed)) });
        let stated = Update { refund, dispute, ..paid("", reference) };
        if held.dispute_won {
            let dispute = Some(DisputeStatement { id: id(), amount: None });
            return Update { dispute, status: ProviderStatus::ChargebackReversed, ..stated };
        }
        stated
    }
}
