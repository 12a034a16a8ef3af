//! The stored state: payments, idempotency keys and default switches, all bounded, all in memory.
//! Decides under one short lock; nothing here waits or sends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::api_error::{ApiError, ApiErrorCode};
use crate::behavior::{PaymentBehavior, WebhookBehavior};
use crate::button::{Button, ButtonEffect, button_effect};
use crate::decimal_amount::DecimalAmount;
use crate::event_kind::EventKind;
use crate::idempotency::{IdempotencyKeys, KeyLookup, RecordedAnswer};
use crate::lifecycle::{EventInput, apply_event, lifecycle_order};
use crate::ports::{SandboxClock, SandboxEntropy};
use crate::settings::{LIST_MAX, ServiceLimits};
use crate::switch::{Switch, Times};
use crate::wire::{
    Payment, PaymentEvent, PaymentList, PaymentRefund, PaymentRequest, PaymentStatus, RefundList, RefundRequest,
};

pub(crate) struct PaymentStore {
    payments: HashMap<String, StoredPayment>,
    /// Oldest first; the same ids as `payments`.
    order: VecDeque<String>,
    keys: IdempotencyKeys,
    defaults: Vec<Switch>,
    limits: ServiceLimits,
    clock: Arc<dyn SandboxClock>,
    entropy: Arc<dyn SandboxEntropy>,
}

struct StoredPayment {
    payment: Payment,
    notify_url: String,
    behavior: PaymentBehavior,
}

/// An event to send to the merchant.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingEvent {
    pub(crate) event: PaymentEvent,
    pub(crate) url: String,
    pub(crate) behavior: WebhookBehavior,
}

/// The result of a request under an idempotency key.
pub(crate) enum KeyedOutcome<T> {
    Replay(RecordedAnswer),
    Recorded(T),
    /// Nothing is recorded and no answer is sent.
    Lost,
}

/// A payment that was just recorded.
pub(crate) struct RecordedPayment {
    pub(crate) id: String,
    pub(crate) answer: RecordedAnswer,
    pub(crate) behavior: PaymentBehavior,
}

/// A refund that was recorded now, or under its key before.
pub(crate) struct RefundRecorded {
    pub(crate) answer: RecordedAnswer,
    /// `None` where it was recorded before.
    pub(crate) outgoing: Option<OutgoingEvent>,
    /// The connection is closed without an answer.
    pub(crate) dropped: bool,
    pub(crate) behavior: PaymentBehavior,
}

impl PaymentStore {
    pub(crate) fn new(
        limits: ServiceLimits,
        defaults: Vec<Switch>,
        clock: Arc<dyn SandboxClock>,
        entropy: Arc<dyn SandboxEntropy>,
    ) -> Self {
        Self {
            payments: HashMap::new(),
            order: VecDeque::new(),
            keys: IdempotencyKeys::new(limits.keys),
            defaults,
            limits,
            clock,
            entropy,
        }
    }

    pub(crate) fn create(
        &mut self,
        key: &str,
        fingerprint: [u8; 32],
        request: PaymentRequest,
        own_switches: &[Switch],
        base_url: &str,
    ) -> Result<KeyedOutcome<RecordedPayment>, ApiError> {
        let tries = match self.keys.look_up(key, fingerprint)? {
            KeyLookup::Answered { answer, .. } => return Ok(KeyedOutcome::Replay(answer)),
            KeyLookup::Open { tries } => tries,
        };
        let behavior = PaymentBehavior::from_switches(&self.defaults, request.amount, own_switches);
        if applies(behavior.create_lost, tries) {
            return Ok(KeyedOutcome::Lost);
        }
        if applies(behavior.create_500, tries) {
            return Err(ApiError::new(ApiErrorCode::Internal, "failed by a switch"));
        }
        if applies(behavior.create_busy, tries) {
            return Err(ApiError::new(ApiErrorCode::Busy, "busy by a switch"));
        }

        let now = self.clock.now_unix();
        let id = format!("sp_{}", self.draw()?);
        let declined = behavior.create_decline;
        let payment = Payment {
            payment_url: format!("{base_url}/pay/{id}"),
            status: if declined { PaymentStatus::Failed } else { PaymentStatus::Pending },
            failure_reason: if declined { "declined".to_owned() } else { String::new() },
            refunded_total: DecimalAmount::zero_like(request.amount),
            amount: request.amount,
            currency: request.currency,
            reference: request.reference,
            method: request.method,
            description: request.description,
            success_url: request.success_url,
            failure_url: request.failure_url,
            metadata: request.metadata,
            refunds: Vec::new(),
            dispute: None,
            livemode: false,
            created: now,
            updated: now,
            id: id.clone(),
        };
        let answer = if declined {
            let error = ApiError {
                code: ApiErrorCode::Declined,
                message: "the payment was declined".to_owned(),
                payment: Some(id.clone()),
            };
            recorded_answer(error.code.status(), &error.body())?
        } else {
            recorded_answer(201, &payment)?
        };
        self.insert(StoredPayment { payment, notify_url: request.notify_url, behavior: behavior.clone() });
        self.keys.record_answer(key, &answer);
        Ok(KeyedOutcome::Recorded(RecordedPayment { id, answer, behavior }))
    }

    pub(crate) fn refund(
        &mut self,
        key: &str,
        fingerprint: [u8; 32],
        id: &str,
        request: RefundRequest,
    ) -> Result<RefundRecorded, ApiError> {
        let behavior = self.entry(id)?.behavior.clone();
        let dropped = |tries| applies(behavior.refund_drop, tries);
        let tries = match self.keys.look_up(key, fingerprint)? {
            KeyLookup::Answered { answer, tries } => {
                return Ok(RefundRecorded { answer, outgoing: None, dropped: dropped(tries), behavior });
            }
            KeyLookup::Open { tries } => tries,
        };
        if behavior.refund_decline {
            return Err(ApiError {
                code: ApiErrorCode::Declined,
                message: "the refund was declined".to_owned(),
                payment: Some(id.to_owned()),
            });
        }
        let RefundRequest { amount, reason, reference } = request;
        let (payment, outgoing) = self.apply(id, EventKind::Refunded, amount, reason, reference)?;
        let answer = recorded_answer(201, &refund_list(payment, outgoing.event.refund.clone()))?;
        self.keys.record_answer(key, &answer);
        Ok(RefundRecorded { answer, outgoing: Some(outgoing), dropped: dropped(tries), behavior })
    }

    pub(crate) fn refunds(&self, id: &str) -> Result<RefundList, ApiError> {
        Ok(refund_list(self.query(id)?, None))
    }

    /// The payment as the merchant's query returns it.
    pub(crate) fn query(&self, id: &str) -> Result<Payment, ApiError> {
        let entry = self.entry(id)?;
        if entry.behavior.query_500 {
            return Err(ApiError::new(ApiErrorCode::Internal, "failed by a switch"));
        }
        Ok(entry.payment.clone())
    }

    pub(crate) fn query_reference(&self, reference: &str) -> Result<PaymentList, ApiError> {
        let found = || {
            self.order.iter().rev().filter_map(|id| self.payments.get(id)).filter(|e| e.payment.reference == reference)
        };
        if found().any(|entry| entry.behavior.query_500) {
            return Err(ApiError::new(ApiErrorCode::Internal, "failed by a switch"));
        }
        Ok(PaymentList {
            payments: found().take(LIST_MAX).map(|e| e.payment.clone()).collect(),
            count: found().count(),
        })
    }

    /// The payment as its own page shows it; no switch makes this fail.
    pub(crate) fn show(&self, id: &str) -> Result<Payment, ApiError> {
        Ok(self.entry(id)?.payment.clone())
    }

    /// The merchant's cancel call.
    pub(crate) fn cancel(&mut self, id: &str) -> Result<(Payment, Vec<OutgoingEvent>), ApiError> {
        if self.entry(id)?.behavior.cancel_refuse {
            return Err(ApiError::not_allowed("cancelling is refused by a switch"));
        }
        self.press(id, Button::Cancel)
    }

    /// A button of the page.
    pub(crate) fn press(&mut self, id: &str, button: Button) -> Result<(Payment, Vec<OutgoingEvent>), ApiError> {
        let entry = self.entry(id)?;
        match button_effect(&entry.payment, button)? {
            ButtonEffect::NoChange => return Ok((entry.payment.clone(), Vec::new())),
            ButtonEffect::Change => {}
        }
        let (kinds, reason) = match button {
            Button::Pay => (entry.behavior.pay_button_events(), ""),
            Button::Decline => (vec![EventKind::Failed], "declined_by_payer"),
            Button::Cancel => (vec![EventKind::Cancelled], ""),
        };
        // Events are applied in lifecycle order and sent in the order listed.
        let mut ordered: Vec<(usize, EventKind)> = kinds.into_iter().enumerate().collect();
        ordered.sort_by_key(|(_, kind)| lifecycle_order(*kind));
        let mut outgoing = Vec::new();
        for (position, kind) in ordered {
            match self.apply_event(id, kind, None, reason.to_owned()) {
                Ok((_, event)) => outgoing.push((position, event)),
                Err(error) => {
                    tracing::debug!(payment = id, event = kind.as_str(), error = error.message, "event skipped")
                }
            }
        }
        outgoing.sort_by_key(|(position, _)| *position);
        Ok((self.show(id)?, outgoing.into_iter().map(|(_, event)| event).collect()))
    }

    pub(crate) fn apply_event(
        &mut self,
        id: &str,
        kind: EventKind,
        amount: Option<DecimalAmount>,
        reason: String,
    ) -> Result<(Payment, OutgoingEvent), ApiError> {
        self.apply(id, kind, amount, reason, String::new())
    }

    fn apply(
        &mut self,
        id: &str,
        kind: EventKind,
        amount: Option<DecimalAmount>,
        reason: String,
        reference: String,
    ) -> Result<(Payment, OutgoingEvent), ApiError> {
        let input = EventInput {
            kind,
            amount,
            reason,
            reference,
            now: self.clock.now_unix(),
            event_id: self.draw()?,
            part_id: self.draw()?,
        };
        let entry = self.payments.get_mut(id).ok_or_else(ApiError::not_found)?;
        let event = apply_event(&mut entry.payment, input)?;
        let outgoing = OutgoingEvent { event, url: entry.notify_url.clone(), behavior: entry.behavior.webhook.clone() };
        Ok((entry.payment.clone(), outgoing))
    }

    pub(crate) fn defaults(&self) -> Vec<Switch> {
        self.defaults.clone()
    }

    pub(crate) fn set_defaults(&mut self, defaults: Vec<Switch>) {
        self.defaults = defaults;
    }

    /// Deletes everything.
    pub(crate) fn reset(&mut self, defaults: Vec<Switch>) {
        *self = Self::new(self.limits, defaults, Arc::clone(&self.clock), Arc::clone(&self.entropy));
    }

    fn entry(&self, id: &str) -> Result<&StoredPayment, ApiError> {
        self.payments.get(id).ok_or_else(ApiError::not_found)
    }

    fn insert(&mut self, entry: StoredPayment) {
        let id = entry.payment.id.clone();
        self.payments.insert(id.clone(), entry);
        self.order.push_back(id);
        while self.order.len() > self.limits.payments {
            if let Some(oldest) = self.order.pop_front() {
                self.payments.remove(&oldest);
            }
        }
    }

    pub(crate) fn draw(&self) -> Result<String, ApiError> {
        self.entropy.draw().map(hex::encode).map_err(|error| {
            tracing::error!(error, "reading random bytes failed");
            ApiError::new(ApiErrorCode::Internal, "no id could be generated")
        })
    }
}

/// Whether a switch that is limited to some tries applies to this one; the first is try 1.
fn applies(switch: Option<Times>, tries: u32) -> bool {
    match switch {
        None => false,
        Some(None) => true,
        Some(Some(times)) => tries <= times,
    }
}

fn refund_list(payment: Payment, refund: Option<PaymentRefund>) -> RefundList {
    RefundList {
        payment: payment.id,
        status: payment.status,
        refund,
        refunds: payment.refunds,
        refunded_total: payment.refunded_total,
        currency: payment.currency,
    }
}

fn recorded_answer(status: u16, body: &impl serde::Serialize) -> Result<RecordedAnswer, ApiError> {
    let body = serde_json::to_vec(body)
        .map_err(|_| ApiError::new(ApiErrorCode::Internal, "the answer could not be serialized"))?;
    Ok(RecordedAnswer { status, body: body.into() })
}
