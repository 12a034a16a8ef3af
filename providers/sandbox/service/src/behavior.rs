//! What a list of switches means for one payment: plain fields, one per decision.
//! Pure; `payments`, `state` and `webhook_sender` act on it.

use crate::decimal_amount::DecimalAmount;
use crate::event_kind::EventKind;
use crate::switch::{Switch, Times};

/// The whole number of an amount that acts as `create_decline`.
pub(crate) const MAGIC_CREATE_DECLINE: u128 = 402;
/// The whole number of an amount that acts as `pay_decline`.
pub(crate) const MAGIC_PAY_DECLINE: u128 = 403;

/// How one payment behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PaymentBehavior {
    pub(crate) create_lost: Option<Times>,
    pub(crate) create_500: Option<Times>,
    pub(crate) create_busy: Option<Times>,
    pub(crate) create_decline: bool,
    pub(crate) create_slow_ms: Option<u64>,
    pub(crate) create_drop: bool,
    pub(crate) create_hang: bool,
    pub(crate) create_garbage: bool,
    pub(crate) before_answer: Option<EventKind>,
    pub(crate) auto: Option<EventKind>,
    pub(crate) pay_decline: bool,
    /// In the order in which they are sent; empty is the normal sequence.
    pub(crate) pay_events: Vec<EventKind>,
    pub(crate) query_500: bool,
    pub(crate) cancel_refuse: bool,
    pub(crate) refund_decline: bool,
    pub(crate) refund_slow_ms: Option<u64>,
    pub(crate) refund_drop: Option<Times>,
    pub(crate) refund_fails_ms: Option<u64>,
    pub(crate) webhook: WebhookBehavior,
}

/// How the webhooks of one payment behave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WebhookBehavior {
    pub(crate) twice: bool,
    pub(crate) late_ms: Option<u64>,
    pub(crate) never: bool,
    /// `Some(None)`: one unit more.
    pub(crate) amount: Option<Option<DecimalAmount>>,
    /// `Some(None)`: EUR, or USD for EUR.
    pub(crate) currency: Option<Option<String>>,
    pub(crate) reference: Option<String>,
    pub(crate) livemode: bool,
    pub(crate) bad_signature: bool,
    pub(crate) no_signature: bool,
    pub(crate) old_seconds: Option<u64>,
    pub(crate) garbage: bool,
}

impl PaymentBehavior {
    /// Later switches override earlier ones of the same name.
    pub(crate) fn from_switches(defaults: &[Switch], amount: DecimalAmount, own: &[Switch]) -> Self {
        let magic = match amount.whole() {
            Some(MAGIC_CREATE_DECLINE) => Some(Switch::CreateDecline),
            Some(MAGIC_PAY_DECLINE) => Some(Switch::PayDecline),
            Some(_) | None => None,
        };
        let mut behavior = Self::default();
        for switch in defaults.iter().chain(&magic).chain(own) {
            behavior.apply(switch.clone());
        }
        behavior
    }

    fn apply(&mut self, switch: Switch) {
        let webhook = &mut self.webhook;
        match switch {
            Switch::Auto(kind) => self.auto = Some(kind),
            Switch::CreateDecline => self.create_decline = true,
            Switch::Create500(times) => self.create_500 = Some(times),
            Switch::CreateBusy(times) => self.create_busy = Some(times),
            Switch::CreateSlow(ms) => self.create_slow_ms = Some(ms),
            Switch::CreateHang => self.create_hang = true,
            Switch::CreateDrop => self.create_drop = true,
            Switch::CreateLost(times) => self.create_lost = Some(times),
            Switch::CreateGarbage => self.create_garbage = true,
            Switch::PayDecline => self.pay_decline = true,
            Switch::Query500 => self.query_500 = true,
            Switch::CancelRefuse => self.cancel_refuse = true,
            Switch::RefundDecline => self.refund_decline = true,
            Switch::RefundSlow(ms) => self.refund_slow_ms = Some(ms),
            Switch::RefundDrop(times) => self.refund_drop = Some(times),
            Switch::RefundFails(ms) => self.refund_fails_ms = Some(ms),
            Switch::WebhookBeforeAnswer(kind) => self.before_answer = Some(kind),
            Switch::WebhookEvents(kinds) => self.pay_events = kinds,
            Switch::WebhookTwice => webhook.twice = true,
            Switch::WebhookLate(ms) => webhook.late_ms = Some(ms),
            Switch::WebhookNever => webhook.never = true,
            Switch::WebhookAmount(amount) => webhook.amount = Some(amount),
            Switch::WebhookCurrency(currency) => webhook.currency = Some(currency),
            Switch::WebhookReference(reference) => webhook.reference = Some(reference),
            Switch::WebhookLivemode => webhook.livemode = true,
            Switch::WebhookBadSignature => webhook.bad_signature = true,
            Switch::WebhookNoSignature => webhook.no_signature = true,
            Switch::WebhookOld(seconds) => webhook.old_seconds = Some(seconds),
            Switch::WebhookGarbage => webhook.garbage = true,
        }
    }

    /// The events of pressing Pay, in the order in which they are sent.
    pub(crate) fn pay_button_events(&self) -> Vec<EventKind> {
        match (self.pay_events.is_empty(), self.pay_decline) {
            (false, _) => self.pay_events.clone(),
            (true, true) => vec![EventKind::Failed],
            (true, false) => vec![EventKind::Confirmed],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_switches_override_defaults_and_magic_amounts_add_switches() {
        let defaults = [Switch::CreateSlow(5), Switch::WebhookTwice];
        let behavior = PaymentBehavior::from_switches(&defaults, "402.00".parse().unwrap(), &[Switch::CreateSlow(9)]);
        assert_eq!(behavior.create_slow_ms, Some(9));
        assert!(behavior.create_decline && behavior.webhook.twice);
        assert_eq!(PaymentBehavior::from_switches(&[], "402.01".parse().unwrap(), &[]), PaymentBehavior::default());
        assert_eq!(
            PaymentBehavior::from_switches(&[], "403".parse().unwrap(), &[]).pay_button_events(),
            [EventKind::Failed]
        );
    }
}
