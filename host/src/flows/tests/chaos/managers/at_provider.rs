//! What happens to the payments of a history at the provider: paid, refunded in its dashboard, disputed, closed, reviewed, and how
//! refunds of managers end. Each leaves events, which are sent later, in any order and number.

use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::status::ProviderStatus as P;

use super::History;
use crate::test_cashier::{AMOUNT, HeldPayment, RefundFate, lock, paid, stated_refund, update, usd};

/// What happens in every few histories, by the status that states it.
pub(super) const HAPPENED: [(P, &str); 2] =
    [(P::RefundFailed, "a dashboard refund failed"), (P::ChargebackReversed, "a dispute was reversed")];

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
        let known = self.run.payments.get(&reference).map(|known| &known.events[..]).unwrap_or_default();
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
            4 | 5 | 8 | 9
                if draw.is_multiple_of(2)
                    && let Some((refund, minor)) = not_failed(known) =>
            {
                held.refunded -= minor;
                let failed = stated(&format!("failed {}", refund.id), P::RefundFailed);
                vec![of_payment(Update { refund: Some(refund), ..failed })]
            }
            4 | 5 if held.left(AMOUNT) >= AMOUNT / 2 => {
                let minor = if draw.is_multiple_of(2) { held.left(AMOUNT) } else { AMOUNT / 2 };
                held.refunded += minor;
                // One that failed is not made again: the next has an id of its own.
                let number = known.len();
                vec![of_payment(dashboard_refund(stated(&format!("back{number}"), P::Refunded), minor))]
            }
            6 | 7 if held.left(AMOUNT) > 0 && held.disputed == 0 && !held.dispute_won => {
                held.disputed = held.left(AMOUNT);
                let amount = Some(StatedAmount::Exact(usd(held.disputed)));
                let dispute = Some(DisputeStatement { id: about("dp"), amount });
                vec![of_payment(Update { dispute, ..stated("disputed", P::Chargeback) })]
            }
            6 | 7 if held.disputed > 0 => {
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
        for event in &events {
            if let Some(what) = HAPPENED.into_iter().find(|(status, _)| *status == event.status) {
                *lock(&self.answered).entry((what.1, 200)).or_default() += 1;
            }
        }
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

    /// Of the refunds of the dashboard that have not failed, some fail late.
    pub(super) fn fail_dashboard_refunds(&mut self) {
        let provider = std::sync::Arc::clone(&self.run.env.provider);
        let mut payments = lock(&provider.payments);
        for (reference, known) in &mut self.run.payments {
            let Some((refund, minor)) = not_failed(&known.events) else { continue };
            let held = payments.as_mut().and_then(|payments| payments.held.get_mut(reference));
            if let Some(held) = held.filter(|_| self.run.random.below(2) == 0) {
                held.refunded -= minor;
                let event = update(&format!("failed {}-{reference}", refund.id), P::RefundFailed);
                let payment_id = format!("pay_{reference}").into();
                let event = Update { reference: Some(reference.clone()), payment_id, refund: Some(refund), ..event };
                self.steps.push(format!("at the provider: {}", event.event_id));
                *lock(&self.answered).entry((HAPPENED[0].1, 200)).or_default() += 1;
                known.events.push(event);
            }
        }
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

/// The newest refund of the dashboard that has not failed, with its amount.
fn not_failed(events: &[Update]) -> Option<(RefundStatement, i64)> {
    let of =
        |status| events.iter().filter(move |event| event.status == status).filter_map(|event| event.refund.as_ref());
    let has_failed = |id: &str| of(P::RefundFailed).any(|refund| *refund.id == *id);
    let made = of(P::Refunded).rfind(|refund| refund.requested.is_empty() && !has_failed(&refund.id))?;
    match &made.amount {
        StatedAmount::Exact(amount) => Some((made.clone(), amount.minor)),
        StatedAmount::Unreadable(_) => None,
    }
}

/// A refund that nobody requested here.
fn dashboard_refund(stated: Update, minor: i64) -> Update {
    let id = format!("re-{}", stated.event_id).into();
    let amount = StatedAmount::Exact(usd(minor));
    let refund = RefundStatement { id, amount, reach: Reach::Delta, requested: "".into() };
    Update { refund: Some(refund), ..stated }
}
