//! The payments of a random run at the provider, as the model has them, and the draws.

use cashier_core::notice::{Reach, RefundStatement, StatedAmount, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::status::ProviderStatus;

use super::Run;
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, paid, update, usd};

/// SplitMix64: small, and the same on every machine.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// The state of a payment at the provider, and the events about it.
#[derive(Default)]
pub(super) struct ProviderPayment {
    pub(super) paid: bool,
    pub(super) refunded: i64,
    pub(super) events: Vec<Update>,
}

impl ProviderPayment {
    pub(super) fn owed(&self) -> i64 {
        if self.paid { AMOUNT - self.refunded } else { 0 }
    }
}

impl Run {
    /// Something happens to a random payment at the provider.
    pub(super) fn change_a_payment(&mut self) {
        for reference in self.env.provider.references() {
            self.payments.entry(reference).or_default();
        }
        let pick = self.random.below(self.payments.len().max(1) as u64) as usize;
        let change = self.random.below(6);
        let Some((reference, payment)) = self.payments.iter_mut().nth(pick) else { return };
        let about = |kind: &str| format!("{kind}-{reference}").into_boxed_str();
        let stated = |kind: &str, status| Update { reference: Some(reference.clone()), ..update(&about(kind), status) };
        let intent = ProviderRef::new("intent", &about("pi"));
        match change {
            0 | 1 if !payment.paid => {
                payment.paid = true;
                let confirmed = Update { payment_id: about("pay"), ..paid(&about("paid"), reference) };
                // The same payment stated twice: under our reference, and under an id that another event carries.
                let named = Update { reference: None, refs: vec![intent.clone()], ..confirmed.clone() };
                payment.events.push(Update { event_id: about("charged"), ..named });
                payment.events.push(confirmed.clone());
                self.env.on_query(reference, QueryAnswer::Stated(Box::new(confirmed)));
            }
            // Once or twice the half, or all at once.
            2 if payment.paid && payment.refunded < AMOUNT => {
                let all = payment.refunded == 0 && self.random.below(2) == 0;
                let minor = if all { AMOUNT } else { AMOUNT / 2 };
                payment.refunded += minor;
                let (id, amount) = (about(&format!("re{}", payment.refunded)), StatedAmount::Exact(usd(minor)));
                let event_id = about(&format!("refund{}", payment.refunded));
                let refund = RefundStatement { id, amount, reach: Reach::Delta, requested: "".into() };
                let refunded = stated("refund", ProviderStatus::Refunded);
                payment.events.push(Update { event_id, refund: Some(refund), ..refunded });
            }
            3 => payment.events.push(Update { refs: vec![intent], ..stated("opened", ProviderStatus::Pending) }),
            4 => payment.events.push(stated("declined", ProviderStatus::Failed)),
            _ => {}
        }
    }
}
