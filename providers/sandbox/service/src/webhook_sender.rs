//! Sends events to the merchant: signs, sends, retries, writes the delivery log, and simulates the failures of switches.
//! Decides nothing about payments.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::api_error::ApiError;
use crate::background::BackgroundTasks;
use crate::behavior::WebhookBehavior;
use crate::payments::OutgoingEvent;
use crate::ports::SandboxClock;
use crate::settings::{ServiceLimits, ServiceSecret, WEBHOOK_TIMEOUT};
use crate::signature::{SIGNATURE_HEADER, sign};
use crate::wire::{DeliveryAttempt, DeliveryList, DeliveryState, PaymentEvent, WebhookDelivery};

pub(crate) struct WebhookSender {
    log: Mutex<VecDeque<LoggedDelivery>>,
    log_max: usize,
    queue: Mutex<Arc<Semaphore>>,
    queue_max: usize,
    client: Client<HttpConnector, Full<Bytes>>,
    secret: ServiceSecret,
    retry_delays: Vec<Duration>,
    clock: Arc<dyn SandboxClock>,
    tasks: Arc<BackgroundTasks>,
}

struct LoggedDelivery {
    delivery: WebhookDelivery,
    event: PaymentEvent,
}

/// A delivery that holds a permit of the queue.
struct QueuedDelivery {
    delivery_id: String,
    outgoing: OutgoingEvent,
    _permit: OwnedSemaphorePermit,
}

impl WebhookSender {
    pub(crate) fn new(
        secret: ServiceSecret,
        retry_delays: &[Duration],
        clock: Arc<dyn SandboxClock>,
        tasks: Arc<BackgroundTasks>,
        limits: ServiceLimits,
    ) -> Self {
        // One connection per webhook: a pooled one that the merchant closed in between would count as a failure.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self {
            log: Mutex::default(),
            log_max: limits.deliveries,
            queue: Mutex::new(Arc::new(Semaphore::new(limits.delivery_queue))),
            queue_max: limits.delivery_queue,
            client,
            secret,
            retry_delays: retry_delays.to_vec(),
            clock,
            tasks,
        }
    }

    /// Sends these events one after the other. The receiver resolves after the first attempt, or when there is none.
    pub(crate) fn dispatch(
        self: &Arc<Self>,
        events: Vec<OutgoingEvent>,
        mut new_id: impl FnMut() -> Result<String, ApiError>,
    ) -> Result<oneshot::Receiver<()>, ApiError> {
        let (attempted, first_attempt) = oneshot::channel();
        let mut queued = Vec::new();
        for outgoing in events.into_iter().filter(|outgoing| !outgoing.url.is_empty()) {
            for _ in 0..if outgoing.behavior.twice { 2 } else { 1 } {
                queued.extend(self.enqueue(format!("dl_{}", new_id()?), outgoing.clone()));
            }
        }
        self.tasks.spawn(Arc::clone(self).deliver(queued, attempted));
        Ok(first_attempt)
    }

    /// Sends the event of an earlier delivery again, without any switch.
    pub(crate) fn redeliver(
        self: &Arc<Self>,
        delivery_id: &str,
        mut new_id: impl FnMut() -> Result<String, ApiError>,
    ) -> Result<WebhookDelivery, ApiError> {
        let outgoing = self
            .lock()
            .iter()
            .find(|logged| logged.delivery.id == delivery_id)
            .map(|logged| OutgoingEvent {
                event: logged.event.clone(),
                url: logged.delivery.url.clone(),
                behavior: WebhookBehavior::default(),
            })
            .ok_or_else(ApiError::not_found)?;
        let id = format!("dl_{}", new_id()?);
        let queued = self.enqueue(id.clone(), outgoing).into_iter().collect();
        let logged = self.lock().iter().find(|logged| logged.delivery.id == id).map(|logged| logged.delivery.clone());
        self.tasks.spawn(Arc::clone(self).deliver(queued, oneshot::channel().0));
        logged.ok_or_else(ApiError::not_found)
    }

    pub(crate) fn deliveries(&self, payment: Option<&str>) -> DeliveryList {
        let deliveries: Vec<WebhookDelivery> = self
            .lock()
            .iter()
            .map(|logged| &logged.delivery)
            .filter(|delivery| payment.is_none_or(|payment| delivery.payment == payment))
            .cloned()
            .collect();
        DeliveryList { count: deliveries.len(), deliveries }
    }

    /// Clears the log and releases every permit; the caller cancels the running tasks.
    pub(crate) fn reset(&self) {
        self.lock().clear();
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Semaphore::new(self.queue_max));
    }

    /// Writes a delivery to the log, and queues it when it is to be sent and the queue has capacity.
    fn enqueue(&self, delivery_id: String, outgoing: OutgoingEvent) -> Option<QueuedDelivery> {
        let queue = Arc::clone(&self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        let permit = if outgoing.behavior.never { None } else { queue.try_acquire_owned().ok() };
        let state = match (&permit, outgoing.behavior.never) {
            (Some(_), _) => DeliveryState::Waiting,
            (None, true) => DeliveryState::Withheld,
            (None, false) => DeliveryState::Dropped,
        };
        let delivery = WebhookDelivery {
            id: delivery_id.clone(),
            event: outgoing.event.id.clone(),
            kind: outgoing.event.kind,
            payment: outgoing.event.data.id.clone(),
            url: outgoing.url.clone(),
            state,
            attempts: Vec::new(),
            created: self.clock.now_unix(),
        };
        let mut log = self.lock();
        log.push_back(LoggedDelivery { delivery, event: outgoing.event.clone() });
        while log.len() > self.log_max {
            let settled = log.iter().position(|logged| logged.delivery.state != DeliveryState::Waiting);
            log.remove(settled.unwrap_or(0));
        }
        permit.map(|_permit| QueuedDelivery { delivery_id, outgoing, _permit })
    }

    async fn deliver(self: Arc<Self>, queued: Vec<QueuedDelivery>, attempted: oneshot::Sender<()>) {
        let mut attempted = Some(attempted);
        if let Some(late_ms) = queued.first().and_then(|first| first.outgoing.behavior.late_ms) {
            self.clock.sleep(Duration::from_millis(late_ms)).await;
        }
        for QueuedDelivery { delivery_id, outgoing, _permit } in queued {
            let Some(body) = body(&outgoing) else {
                self.log_attempt(&delivery_id, None, DeliveryState::Failed);
                continue;
            };
            let mut delays = self.retry_delays.iter();
            loop {
                let attempt = self.attempt(&outgoing, body.clone()).await;
                let accepted = (200..300).contains(&attempt.status);
                let delay = if accepted { None } else { delays.next() };
                let state = match (accepted, delay) {
                    (true, _) => DeliveryState::Delivered,
                    (false, Some(_)) => DeliveryState::Waiting,
                    (false, None) => DeliveryState::Failed,
                };
                let (status, error) = (attempt.status, &attempt.error);
                let event = if accepted { "webhook delivered" } else { "webhook attempt failed" };
                tracing::info!(delivery = delivery_id, status, error, ?state, "{event}");
                self.log_attempt(&delivery_id, Some(attempt), state);
                if let Some(attempted) = attempted.take() {
                    // No task may be waiting for it.
                    let _ = attempted.send(());
                }
                match delay {
                    Some(delay) => self.clock.sleep(*delay).await,
                    None => break,
                }
            }
        }
    }

    async fn attempt(&self, outgoing: &OutgoingEvent, body: Bytes) -> DeliveryAttempt {
        let at = self.clock.now_unix();
        let failed = |error: &str| DeliveryAttempt { at, status: 0, error: error.to_owned() };
        let Some(request) = self.request(outgoing, at, body) else {
            return failed("broken");
        };
        match tokio::time::timeout(WEBHOOK_TIMEOUT, self.client.request(request)).await {
            Err(_) => failed("timeout"),
            Ok(Err(error)) if error.is_connect() => failed("connect"),
            Ok(Err(_)) => failed("broken"),
            Ok(Ok(answer)) => DeliveryAttempt { at, status: answer.status().as_u16(), error: String::new() },
        }
    }

    fn request(&self, outgoing: &OutgoingEvent, at: i64, body: Bytes) -> Option<Request<Full<Bytes>>> {
        let behavior = &outgoing.behavior;
        let age = i64::try_from(behavior.old_seconds.unwrap_or(0)).unwrap_or(i64::MAX);
        let signed_at = at.saturating_sub(age);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&outgoing.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("cashier-sandbox-service/", env!("CARGO_PKG_VERSION")));
        if !behavior.no_signature {
            let signature = if behavior.bad_signature {
                sign(&self.secret.altered(), signed_at, &body)?
            } else {
                sign(&self.secret, signed_at, &body)?
            };
            request = request.header(SIGNATURE_HEADER, signature);
        }
        request.body(Full::new(body)).ok()
    }

    fn log_attempt(&self, delivery_id: &str, attempt: Option<DeliveryAttempt>, state: DeliveryState) {
        if let Some(logged) = self.lock().iter_mut().find(|logged| logged.delivery.id == delivery_id) {
            logged.delivery.attempts.extend(attempt);
            logged.delivery.state = state;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LoggedDelivery>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body as it is sent: the event with the changes that the switches ask for.
fn body(outgoing: &OutgoingEvent) -> Option<Bytes> {
    let behavior = &outgoing.behavior;
    let mut event = outgoing.event.clone();
    let data = &mut event.data;
    if let Some(amount) = behavior.amount {
        data.amount = amount.unwrap_or(data.amount.one_more());
    }
    if let Some(currency) = &behavior.currency {
        let other = if data.currency == "EUR" { "USD" } else { "EUR" };
        data.currency = currency.clone().unwrap_or_else(|| other.to_owned());
    }
    if let Some(reference) = &behavior.reference {
        data.reference.clone_from(reference);
    }
    if behavior.livemode {
        event.livemode = true;
        event.data.livemode = true;
    }
    let mut body = serde_json::to_vec(&event).ok()?;
    if behavior.garbage {
        // Cut in half, as a broken proxy does.
        body.truncate(body.len() / 2);
    }
    Some(body.into())
}
