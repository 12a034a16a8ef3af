//! The state of a running service, and the calls that need more than one part of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use subtle::ConstantTimeEq;
use tokio::sync::oneshot;

use crate::api_error::ApiError;
use crate::background::BackgroundTasks;
use crate::button::Button;
use crate::event_kind::EventKind;
use crate::idempotency::RecordedAnswer;
use crate::payments::{KeyedOutcome, OutgoingEvent, PaymentStore, RecordedPayment, RefundRecorded};
use crate::settings::SandboxSettings;
use crate::validation;
use crate::webhook_sender::WebhookSender;
use crate::wire::{EventRequest, Payment, WebhookDelivery};

pub(crate) struct ServiceState {
    pub(crate) settings: SandboxSettings,
    /// Start of payment URLs, without a slash at its end.
    pub(crate) base_url: String,
    store: Mutex<PaymentStore>,
    pub(crate) sender: Arc<WebhookSender>,
    pub(crate) tasks: Arc<BackgroundTasks>,
}

/// What the caller of a create or refund call gets.
pub(crate) enum CreateOutcome {
    Answer(RecordedAnswer),
    Replay(RecordedAnswer),
    /// Recorded, answered with a body that is not JSON.
    Garbage,
    /// The connection is closed without an answer.
    Drop,
    /// The connection is held open for a long time, then closed without an answer.
    Hang,
}

impl ServiceState {
    pub(crate) fn new(settings: SandboxSettings, base_url: String) -> Arc<Self> {
        let tasks = Arc::new(BackgroundTasks::new());
        let clock = Arc::clone(&settings.clock);
        let store = PaymentStore::new(
            settings.limits,
            settings.default_switches.clone(),
            Arc::clone(&clock),
            Arc::clone(&settings.entropy),
        );
        let sender = Arc::new(WebhookSender::new(
            settings.webhook_secret.clone(),
            &settings.retry_delays,
            clock,
            Arc::clone(&tasks),
            settings.limits,
        ));
        Arc::new(Self { settings, base_url, store: Mutex::new(store), sender, tasks })
    }

    /// Whether this `Authorization` header carries the API key.
    pub(crate) fn is_authorized(&self, authorization: Option<&str>) -> bool {
        let Some((scheme, key)) = authorization.and_then(|text| text.split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && bool::from(key.trim().as_bytes().ct_eq(self.settings.api_key.bytes()))
    }

    /// A create call. What follows the recording runs in the background: a caller that disconnects changes nothing.
    pub(crate) async fn create(self: &Arc<Self>, key: Option<String>, body: &[u8]) -> Result<CreateOutcome, ApiError> {
        let key = validation::key(key)?;
        let (read, switches) = validation::payment(body, self.settings.allow_remote_notify)?;
        let keyed = self.store().create(&key, read.fingerprint, read.request, &switches, &self.base_url)?;
        let recorded = match keyed {
            KeyedOutcome::Replay(answer) => return Ok(CreateOutcome::Replay(answer)),
            KeyedOutcome::Lost => return Ok(CreateOutcome::Drop),
            KeyedOutcome::Recorded(recorded) => recorded,
        };
        let (ended, ending) = oneshot::channel();
        let state = Arc::clone(self);
        self.tasks.spawn(async move { state.follow_up(recorded, ended).await });
        // A reset or stop in between cancels the follow-up, and no answer is sent.
        Ok(ending.await.unwrap_or(CreateOutcome::Drop))
    }

    async fn follow_up(self: Arc<Self>, recorded: RecordedPayment, ended: oneshot::Sender<CreateOutcome>) {
        let RecordedPayment { id, answer, behavior } = recorded;
        if let Some(kind) = behavior.before_answer.filter(|_| !behavior.create_decline)
            && let Some(first_attempt) = self.switched_event(&id, kind)
        {
            // An error means that nothing is sent, so there is nothing to wait for.
            let _ = first_attempt.await;
        }
        if let Some(ms) = behavior.create_slow_ms {
            self.settings.clock.sleep(Duration::from_millis(ms)).await;
        }
        let ending = match (behavior.create_drop, behavior.create_hang, behavior.create_garbage) {
            (true, _, _) => CreateOutcome::Drop,
            (false, true, _) => CreateOutcome::Hang,
            (false, false, true) => CreateOutcome::Garbage,
            (false, false, false) => CreateOutcome::Answer(answer),
        };
        // The caller may have disconnected.
        let _ = ended.send(ending);
        if let Some(kind) = behavior.auto.filter(|_| !behavior.create_decline) {
            self.switched_event(&id, kind);
        }
    }

    /// An event that a switch causes; an error is logged because no caller is waiting for it.
    fn switched_event(&self, id: &str, kind: EventKind) -> Option<oneshot::Receiver<()>> {
        let applied = self.store().apply_event(id, kind, None, String::new());
        match applied.and_then(|(_, outgoing)| self.send(vec![outgoing])) {
            Ok(first_attempt) => Some(first_attempt),
            Err(error) => {
                tracing::warn!(payment = id, event = kind.as_str(), error = error.message, "switched event failed");
                None
            }
        }
    }

    /// A refund call. What follows the recording runs in the background: a caller that disconnects changes nothing.
    pub(crate) async fn refund(
        self: &Arc<Self>,
        key: Option<String>,
        id: &str,
        body: &[u8],
    ) -> Result<CreateOutcome, ApiError> {
        let key = validation::key(key)?;
        let read = validation::refund(id, body)?;
        let recorded = self.store().refund(&key, read.fingerprint, id, read.request)?;
        let RefundRecorded { answer, outgoing, dropped, behavior } = recorded;
        let is_new = outgoing.is_some();
        if let Some(outgoing) = outgoing {
            self.send(vec![outgoing])?;
            if let Some(ms) = behavior.refund_fails_ms {
                let (state, id) = (Arc::clone(self), id.to_owned());
                self.tasks.spawn(async move {
                    state.settings.clock.sleep(Duration::from_millis(ms)).await;
                    state.switched_event(&id, EventKind::RefundFailed);
                });
            }
        }
        if let Some(ms) = behavior.refund_slow_ms.filter(|_| is_new) {
            self.settings.clock.sleep(Duration::from_millis(ms)).await;
        }
        Ok(match (dropped, is_new) {
            (true, _) => CreateOutcome::Drop,
            (false, true) => CreateOutcome::Answer(answer),
            (false, false) => CreateOutcome::Replay(answer),
        })
    }

    pub(crate) fn cancel(&self, id: &str) -> Result<Payment, ApiError> {
        let (payment, outgoing) = self.store().cancel(id)?;
        self.send(outgoing)?;
        Ok(payment)
    }

    pub(crate) fn press(&self, id: &str, button: Button) -> Result<Payment, ApiError> {
        let (payment, outgoing) = self.store().press(id, button)?;
        self.send(outgoing)?;
        Ok(payment)
    }

    /// A control call that applies an event.
    pub(crate) fn apply_event(&self, id: &str, request: EventRequest) -> Result<Payment, ApiError> {
        validation::reason(&request.reason)?;
        let (payment, outgoing) = self.store().apply_event(id, request.kind, request.amount, request.reason)?;
        self.send(vec![outgoing])?;
        Ok(payment)
    }

    pub(crate) fn redeliver(&self, delivery_id: &str) -> Result<WebhookDelivery, ApiError> {
        self.sender.redeliver(delivery_id, || self.store().draw())
    }

    /// Deletes everything and cancels the running tasks.
    pub(crate) fn reset(&self) {
        self.tasks.cancel();
        self.store().reset(self.settings.default_switches.clone());
        self.sender.reset();
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, PaymentStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, outgoing: Vec<OutgoingEvent>) -> Result<oneshot::Receiver<()>, ApiError> {
        self.sender.dispatch(outgoing, || self.store().draw())
    }
}
