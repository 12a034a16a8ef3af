//! What the service remembers: payments, idempotency keys and default switches, all bounded, all in memory.
//! Under one short lock the door asks and the books decide; nothing here waits or sends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::button::{Button, Press, press};
use crate::conduct::{Conduct, WebhookConduct};
use crate::keys::{Answer, Keys, Presented};
use crate::life::{Happening, course, happen};
use crate::money::Amount;
use crate::ports::{Clock, Entropy};
use crate::refusal::{Refusal, RefusalCode};
use crate::settings::{LIST_MAX, Limits};
use crate::switch::{Switch, Times};
use crate::wire::{Event, EventKind, Payment, PaymentList, PaymentRequest, PaymentStatus, RefundList, RefundRequest};

pub(crate) struct Books {
    payments: HashMap<String, Entry>,
    /// Oldest first; the same ids as `payments`.
    order: VecDeque<String>,
    keys: Keys,
    defaults: Vec<Switch>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

struct Entry {
    payment: Payment,
    notify_url: String,
    conduct: Conduct,
}

/// An event on its way to the merchant.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) event: Event,
    pub(crate) url: String,
    pub(crate) conduct: WebhookConduct,
}

/// What became of a request under an idempotency key.
pub(crate) enum Keyed<T> {
    Replay(Answer),
    Recorded(T),
    /// Nothing is recorded and nobody is to hear an answer.
    Lost,
}

/// A payment that was just recorded.
pub(crate) struct Recorded {
    pub(crate) id: String,
    pub(crate) answer: Answer,
    pub(crate) conduct: Conduct,
}

impl Books {
    pub(crate) fn new(limits: Limits, defaults: Vec<Switch>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            payments: HashMap::new(),
            order: VecDeque::new(),
            keys: Keys::new(limits.keys),
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
    ) -> Result<Keyed<Recorded>, Refusal> {
        let tries = match self.keys.present(key, fingerprint)? {
            Presented::Answered(answer) => return Ok(Keyed::Replay(answer)),
            Presented::Open { tries } => tries,
        };
        let conduct = Conduct::of(&self.defaults, request.amount, own_switches);
        if strikes(conduct.create_lost, tries) {
            return Ok(Keyed::Lost);
        }
        if strikes(conduct.create_500, tries) {
            return Err(Refusal::new(RefusalCode::Internal, "switched to fail"));
        }
        if strikes(conduct.create_busy, tries) {
            return Err(Refusal::new(RefusalCode::Busy, "switched to be busy"));
        }

        let now = self.clock.now_unix();
        let id = format!("sp_{}", self.draw()?);
        let declined = conduct.create_decline;
        let payment = Payment {
            payment_url: format!("{base_url}/pay/{id}"),
            status: if declined { PaymentStatus::Failed } else { PaymentStatus::Pending },
            failure_reason: if declined { "declined".to_owned() } else { String::new() },
            refunded_total: Amount::zero_like(request.amount),
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
            let refusal = Refusal {
                code: RefusalCode::Declined,
                message: "the payment was declined".to_owned(),
                payment: Some(id.clone()),
            };
            answer(refusal.code.status(), &refusal.body())?
        } else {
            answer(201, &payment)?
        };
        self.keep(Entry { payment, notify_url: request.notify_url, conduct: conduct.clone() });
        self.keys.settle(key, &answer);
        Ok(Keyed::Recorded(Recorded { id, answer, conduct }))
    }

    pub(crate) fn refund(
        &mut self,
        key: &str,
        fingerprint: [u8; 32],
        id: &str,
        request: RefundRequest,
    ) -> Result<Keyed<(Answer, Parcel)>, Refusal> {
        self.entry(id)?;
        if let Presented::Answered(answer) = self.keys.present(key, fingerprint)? {
            return Ok(Keyed::Replay(answer));
        }
        if self.entry(id)?.conduct.refund_decline {
            return Err(Refusal {
                code: RefusalCode::Declined,
                message: "the refund was declined".to_owned(),
                payment: Some(id.to_owned()),
            });
        }
        let (payment, parcel) = self.happen(id, EventKind::Refunded, request.amount, request.reason)?;
        let answer = answer(201, &refund_list(payment, parcel.event.refund.clone()))?;
        self.keys.settle(key, &answer);
        Ok(Keyed::Recorded((answer, parcel)))
    }

    pub(crate) fn refunds(&self, id: &str) -> Result<RefundList, Refusal> {
        Ok(refund_list(self.query(id)?, None))
    }

    /// The payment as the merchant's query sees it.
    pub(crate) fn query(&self, id: &str) -> Result<Payment, Refusal> {
        let entry = self.entry(id)?;
        if entry.conduct.query_500 {
            return Err(Refusal::new(RefusalCode::Internal, "switched to fail"));
        }
        Ok(entry.payment.clone())
    }

    pub(crate) fn query_reference(&self, reference: &str) -> Result<PaymentList, Refusal> {
        let found = || {
            self.order.iter().rev().filter_map(|id| self.payments.get(id)).filter(|e| e.payment.reference == reference)
        };
        if found().any(|entry| entry.conduct.query_500) {
            return Err(Refusal::new(RefusalCode::Internal, "switched to fail"));
        }
        Ok(PaymentList {
            payments: found().take(LIST_MAX).map(|e| e.payment.clone()).collect(),
            count: found().count(),
        })
    }

    /// The payment as its own page sees it, which no switch hides.
    pub(crate) fn show(&self, id: &str) -> Result<Payment, Refusal> {
        Ok(self.entry(id)?.payment.clone())
    }

    /// The merchant's cancel call.
    pub(crate) fn cancel(&mut self, id: &str) -> Result<(Payment, Vec<Parcel>), Refusal> {
        if self.entry(id)?.conduct.cancel_refuse {
            return Err(Refusal::not_allowed("switched to refuse cancelling"));
        }
        self.press(id, Button::Cancel)
    }

    /// A button of the page.
    pub(crate) fn press(&mut self, id: &str, button: Button) -> Result<(Payment, Vec<Parcel>), Refusal> {
        let entry = self.entry(id)?;
        match press(&entry.payment, button)? {
            Press::Repeats => return Ok((entry.payment.clone(), Vec::new())),
            Press::Acts => {}
        }
        let (kinds, reason) = match button {
            Button::Pay => (entry.conduct.when_paid(), ""),
            Button::Decline => (vec![EventKind::Failed], "declined_by_payer"),
            Button::Cancel => (vec![EventKind::Cancelled], ""),
        };
        // They happen in life's order and are sent in the order written.
        let mut by_course: Vec<(usize, EventKind)> = kinds.into_iter().enumerate().collect();
        by_course.sort_by_key(|(_, kind)| course(*kind));
        let mut parcels = Vec::new();
        for (sent_as, kind) in by_course {
            match self.happen(id, kind, None, reason.to_owned()) {
                Ok((_, parcel)) => parcels.push((sent_as, parcel)),
                Err(refusal) => tracing::debug!(payment = id, event = kind.word(), why = refusal.message, "left out"),
            }
        }
        parcels.sort_by_key(|(sent_as, _)| *sent_as);
        Ok((self.show(id)?, parcels.into_iter().map(|(_, parcel)| parcel).collect()))
    }

    pub(crate) fn happen(
        &mut self,
        id: &str,
        kind: EventKind,
        amount: Option<Amount>,
        reason: String,
    ) -> Result<(Payment, Parcel), Refusal> {
        let happening = Happening {
            kind,
            amount,
            reason,
            now: self.clock.now_unix(),
            event_id: self.draw()?,
            part_id: self.draw()?,
        };
        let entry = self.payments.get_mut(id).ok_or_else(Refusal::not_found)?;
        let event = happen(&mut entry.payment, happening)?;
        let parcel = Parcel { event, url: entry.notify_url.clone(), conduct: entry.conduct.webhook.clone() };
        Ok((entry.payment.clone(), parcel))
    }

    pub(crate) fn defaults(&self) -> Vec<Switch> {
        self.defaults.clone()
    }

    pub(crate) fn set_defaults(&mut self, defaults: Vec<Switch>) {
        self.defaults = defaults;
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self, defaults: Vec<Switch>) {
        *self = Self::new(self.limits, defaults, Arc::clone(&self.clock), Arc::clone(&self.entropy));
    }

    fn entry(&self, id: &str) -> Result<&Entry, Refusal> {
        self.payments.get(id).ok_or_else(Refusal::not_found)
    }

    fn keep(&mut self, entry: Entry) {
        let id = entry.payment.id.clone();
        self.payments.insert(id.clone(), entry);
        self.order.push_back(id);
        while self.order.len() > self.limits.payments {
            if let Some(oldest) = self.order.pop_front() {
                self.payments.remove(&oldest);
            }
        }
    }

    pub(crate) fn draw(&self) -> Result<String, Refusal> {
        self.entropy.draw().map(hex::encode).map_err(|why| {
            tracing::error!(why, "no randomness");
            Refusal::new(RefusalCode::Internal, "no id could be made")
        })
    }
}

/// Whether a switch of so many times acts on this try, the first being 1.
fn strikes(switch: Option<Times>, tries: u32) -> bool {
    match switch {
        None => false,
        Some(None) => true,
        Some(Some(times)) => tries <= times,
    }
}

fn refund_list(payment: Payment, refund: Option<crate::wire::Refund>) -> RefundList {
    RefundList {
        payment: payment.id,
        status: payment.status,
        refund,
        refunds: payment.refunds,
        refunded_total: payment.refunded_total,
        currency: payment.currency,
    }
}

fn answer(status: u16, body: &impl serde::Serialize) -> Result<Answer, Refusal> {
    let body =
        serde_json::to_vec(body).map_err(|_| Refusal::new(RefusalCode::Internal, "an answer could not be written"))?;
    Ok(Answer { status, body: body.into() })
}
