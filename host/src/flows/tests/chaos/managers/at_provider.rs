//! What happens to the payments of a history at the provider: paid, refunded in its dashboard, disputed, closed, reviewed, and how
//! refunds of managers end. Each leaves events, which are sent later, in any order and number.

use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::status::ProviderStatus as P;

use super::History;
use crate::test_cashier::{AMOUNT, HeldPayment, RefundFate, lock, paid, stated_refund, update, usd};

impl History {
    /// Something happens to a random payment.
    pub(super) fn something_happens_at_the_provider(&mut self) {
        let references = self.run.env.provider.references();
        if references.is_empty() {
            return;
        }
        let random = &mut self.run.random;
        let reference = references[random.below(references.len() as u64) as usize].clone();
        let (change, draw) = (random.below(14), random.below(1_000));
        let provider = std::sync::Arc::clone(&self.run.env.provider);
        let mut guard = lock(&provider.payments);
        let Some(payments) = &mut *guard else { return };
        let held = payments.held.entry(reference.clone()).or_default();
        let about = |kind: &str| format!("{kind}-{reference}").into_boxed_str();
        let stated = |kind: &str, status| Update { reference: Some(reference.clone()), ..update(&about(kind), status) };
        let intent = ProviderRef::new("intent", &about("pi"));
        let payment: Box<str> = format!("pay_{reference}").into();
        let of_payment = |update: Update| Update { payment_id: payment.clone(), ..update };
        let before = held.clone();
        let events = match change {
            0..=3 if !held.is_paid && !held.is_closed => {
                held.is_paid = true;
                let confirmed = paid(&about("paid"), &reference);
                let named = Update { reference: None, refs: vec![intent], ..confirmed.clone() };
                let charged = Update { event_id: about("charged"), ..named };
                let unstated = Update { event_id: about("unstated"), amount: None, ..confirmed.clone() };
                let other = StatedAmount::Exact(usd(9_500));
                let other = Update { event_id: about("other"), amount: Some(other), ..confirmed.clone() };
                let mut events = vec![charged, confirmed];
                events.extend(draw.is_multiple_of(5).then_some(unstated));
                events.extend(draw.is_multiple_of(9).then_some(other));
                events
            }
            4 | 5 if held.left(AMOUNT) >= AMOUNT / 2 => {
                let minor = if draw.is_multiple_of(2) { held.left(AMOUNT) } else { AMOUNT / 2 };
                held.refunded += minor;
                let number = held.refunded;
                vec![of_payment(dashboard_refund(stated(&format!("back{number}"), P::Refunded), minor))]
            }
            6 if held.left(AMOUNT) > 0 && held.disputed == 0 && !held.dispute_won => {
                held.disputed = held.left(AMOUNT);
                let amount = Some(StatedAmount::Exact(usd(held.disputed)));
                let dispute = Some(DisputeStatement { id: about("dp"), amount });
                vec![of_payment(Update { dispute, ..stated("disputed", P::Chargeback) })]
            }
            7 if held.disputed > 0 => {
                (held.disputed, held.dispute_won) = (0, true);
                let dispute = Some(DisputeStatement { id: about("dp"), amount: None });
                vec![of_payment(Update { dispute, ..stated("won", P::ChargebackReversed) })]
            }
            8 => vec![Update { refs: vec![intent], ..stated("opened", P::Pending) }],
            9 => vec![stated("declined", P::Failed)],
            10 if !held.is_paid && draw.is_multiple_of(3) => {
                held.is_closed = true;
                vec![stated("closed", P::Cancelled)]
            }
            11 if draw.is_multiple_of(3) => vec![stated("looked at", P::ManualReview)],
            12 if !held.is_paid => vec![stated("checked", P::InReview)],
            _ => Vec::new(),
        };
        let after = held.clone();
        drop(guard);
        self.run.payments.entry(reference.clone()).or_default().events.extend(events.clone());
        if !events.is_empty() {
            let names: Vec<&str> = events.iter().map(|event| &*event.event_id).collect();
            self.note(format!("at the provider: {names:?}, {before:?} -> {after:?}"));
        }
        if change == 13 {
            self.end_one_that_was_accepted(draw);
        }
    }

    /// A refund that the provider accepted ends.
    fn end_one_that_was_accepted(&mut self, draw: u64) {
        let provider = std::sync::Arc::clone(&self.run.env.provider);
        let mut payments = lock(&provider.payments);
        let Some(payments) = &mut *payments else { return };
        let Some((fate, number, order)) =
            payments.refunds.values_mut().find(|(fate, ..)| *fate == RefundFate::Accepted)
        else {
            return;
        };
        let reference = order.payment.reference.clone();
        let status = if draw.is_multiple_of(2) { P::Refunded } else { P::RefundFailed };
        let event = stated_refund(order, *number, status);
        *fate = if draw.is_multiple_of(2) { RefundFate::Done } else { RefundFate::Failed };
        let minor = order.refund.amount.minor;
        if !draw.is_multiple_of(2) {
            payments.held.entry(reference.clone()).and_modify(|held: &mut HeldPayment| held.refunded -= minor);
        }
        self.note(format!("at the provider: {}", event.event_id));
        self.run.payments.entry(reference).or_default().events.push(event);
    }

    /// Every refund that was accepted ends, and each that arrived is stated; an unpaid order that the provider reviewed is closed.
    pub(super) fn end_what_was_accepted(&mut self) {
        for number in 0..32 {
            let draw = self.run.random.below(1_000) + number;
            self.end_one_that_was_accepted(draw);
        }
        let provider = std::sync::Arc::clone(&self.run.env.provider);
        let mut payments = lock(&provider.payments);
        for (reference, known) in &self.run.payments {
            let is_reviewed = known.events.iter().any(|event| event.status == P::InReview);
            if let Some(held) = payments.as_mut().and_then(|payments| payments.held.get_mut(reference)) {
                held.is_closed |= is_reviewed && !held.is_paid;
            }
        }
        for (fate, number, order) in payments.iter().flat_map(|payments| payments.refunds.values()) {
            let status = match fate {
                RefundFate::Done | RefundFate::Accepted => P::Refunded,
                RefundFate::Failed => P::RefundFailed,
                RefundFate::Declined => continue,
            };
            let events = &mut self.run.payments.entry(order.payment.reference.clone()).or_default().events;
            let event = stated_refund(order, *number, status);
            if !events.contains(&event) {
                events.push(event);
            }
        }
    }
}

/// A refund that nobody requested here.
fn dashboard_refund(stated: Update, minor: i64) -> Update {
    let id = format!("re-{}", stated.event_id).into();
    let amount = StatedAmount::Exact(usd(minor));
    let refund = RefundStatement { id, amount, reach: Reach::Delta, requested: "".into() };
    Update { refund: Some(refund), ..stated }
}
