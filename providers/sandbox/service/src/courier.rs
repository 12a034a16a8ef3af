//! Brings events to the merchant: signs, sends, retries, keeps the delivery log, and misbehaves where switched to.
//! Knows no payments; what it carries was decided before.

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

use crate::books::Parcel;
use crate::conduct::WebhookConduct;
use crate::crew::Crew;
use crate::ports::Clock;
use crate::refusal::Refusal;
use crate::settings::{ATTEMPTS_MAX, Limits, Secret, WEBHOOK_PATIENCE};
use crate::signature::{SIGNATURE_HEADER, sign};
use crate::wire::{Attempt, Delivery, DeliveryList, DeliveryState, Event};

pub(crate) struct Courier {
    log: Mutex<VecDeque<Logged>>,
    log_max: usize,
    queue: Mutex<Arc<Semaphore>>,
    queue_max: usize,
    client: Client<HttpConnector, Full<Bytes>>,
    secret: Secret,
    retry_delays: Vec<Duration>,
    clock: Arc<dyn Clock>,
    crew: Arc<Crew>,
}

struct Logged {
    delivery: Delivery,
    event: Event,
}

/// A delivery that has its place in the queue.
struct Bound {
    delivery_id: String,
    parcel: Parcel,
    _place: OwnedSemaphorePermit,
}

impl Courier {
    pub(crate) fn new(
        secret: Secret,
        retry_delays: &[Duration],
        clock: Arc<dyn Clock>,
        crew: Arc<Crew>,
        limits: Limits,
    ) -> Self {
        // A connection per webhook: a kept one that the merchant closed meanwhile would look like a failure.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self {
            log: Mutex::default(),
            log_max: limits.deliveries,
            queue: Mutex::new(Arc::new(Semaphore::new(limits.delivery_queue))),
            queue_max: limits.delivery_queue,
            client,
            secret,
            retry_delays: retry_delays.iter().copied().take(ATTEMPTS_MAX - 1).collect(),
            clock,
            crew,
        }
    }

    /// Sends these events one after the other. The receiver hears when the first attempt was made,
    /// or when none will be.
    pub(crate) fn dispatch(
        self: &Arc<Self>,
        parcels: Vec<Parcel>,
        mut new_id: impl FnMut() -> Result<String, Refusal>,
    ) -> Result<oneshot::Receiver<()>, Refusal> {
        let (tried, first_try) = oneshot::channel();
        let mut bound = Vec::new();
        for parcel in parcels.into_iter().filter(|parcel| !parcel.url.is_empty()) {
            for _ in 0..if parcel.conduct.twice { 2 } else { 1 } {
                bound.extend(self.admit(format!("dl_{}", new_id()?), parcel.clone()));
            }
        }
        if !bound.is_empty() {
            let courier = Arc::clone(self);
            self.crew.spawn(async move { courier.travel(bound, tried).await });
        }
        Ok(first_try)
    }

    /// Sends the event of an earlier delivery once more, as it truly was.
    pub(crate) fn redeliver(
        self: &Arc<Self>,
        delivery_id: &str,
        mut new_id: impl FnMut() -> Result<String, Refusal>,
    ) -> Result<Delivery, Refusal> {
        let parcel = self
            .lock()
            .iter()
            .find(|logged| logged.delivery.id == delivery_id)
            .map(|logged| Parcel {
                event: logged.event.clone(),
                url: logged.delivery.url.clone(),
                conduct: WebhookConduct::default(),
            })
            .ok_or_else(Refusal::not_found)?;
        let id = format!("dl_{}", new_id()?);
        let bound: Vec<Bound> = self.admit(id.clone(), parcel).into_iter().collect();
        let logged = self.lock().iter().find(|logged| logged.delivery.id == id).map(|logged| logged.delivery.clone());
        if !bound.is_empty() {
            let courier = Arc::clone(self);
            let (tried, _) = oneshot::channel();
            self.crew.spawn(async move { courier.travel(bound, tried).await });
        }
        logged.ok_or_else(Refusal::not_found)
    }

    pub(crate) fn deliveries(&self, payment: Option<&str>) -> DeliveryList {
        let deliveries: Vec<Delivery> = self
            .lock()
            .iter()
            .map(|logged| &logged.delivery)
            .filter(|delivery| payment.is_none_or(|payment| delivery.payment == payment))
            .cloned()
            .collect();
        DeliveryList { count: deliveries.len(), deliveries }
    }

    /// Forgets the log and gives every place back; the crew ends what is under way.
    pub(crate) fn reset(&self) {
        self.lock().clear();
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Semaphore::new(self.queue_max));
    }

    /// Enters a delivery into the log, and into the queue where it is to be sent and there is room.
    fn admit(&self, delivery_id: String, parcel: Parcel) -> Option<Bound> {
        let queue = Arc::clone(&self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        let place = if parcel.conduct.never { None } else { queue.try_acquire_owned().ok() };
        let state = match (&place, parcel.conduct.never) {
            (Some(_), _) => DeliveryState::Waiting,
            (None, true) => DeliveryState::Withheld,
            (None, false) => DeliveryState::Dropped,
        };
        let delivery = Delivery {
            id: delivery_id.clone(),
            event: parcel.event.id.clone(),
            kind: parcel.event.kind,
            payment: parcel.event.data.id.clone(),
            url: parcel.url.clone(),
            state,
            attempts: Vec::new(),
            created: self.clock.now_unix(),
        };
        let mut log = self.lock();
        log.push_back(Logged { delivery, event: parcel.event.clone() });
        while log.len() > self.log_max {
            let settled = log.iter().position(|logged| logged.delivery.state != DeliveryState::Waiting);
            log.remove(settled.unwrap_or(0));
        }
        place.map(|_place| Bound { delivery_id, parcel, _place })
    }

    async fn travel(self: Arc<Self>, bound: Vec<Bound>, tried: oneshot::Sender<()>) {
        let mut tried = Some(tried);
        if let Some(late_ms) = bound.first().and_then(|first| first.parcel.conduct.late_ms) {
            self.clock.sleep(Duration::from_millis(late_ms)).await;
        }
        for Bound { delivery_id, parcel, _place } in bound {
            let Some(body) = body(&parcel) else {
                self.note(&delivery_id, None, DeliveryState::Failed);
                continue;
            };
            let mut delays = self.retry_delays.iter();
            loop {
                let attempt = self.attempt(&parcel, body.clone()).await;
                let arrived = (200..300).contains(&attempt.status);
                let delay = if arrived { None } else { delays.next() };
                let state = match (arrived, delay) {
                    (true, _) => DeliveryState::Delivered,
                    (false, Some(_)) => DeliveryState::Waiting,
                    (false, None) => DeliveryState::Failed,
                };
                tracing::info!(
                    delivery = delivery_id,
                    status = attempt.status,
                    error = attempt.error,
                    ?state,
                    "webhook"
                );
                self.note(&delivery_id, Some(attempt), state);
                if let Some(tried) = tried.take() {
                    // Nobody may be waiting; that is fine.
                    let _ = tried.send(());
                }
                match delay {
                    Some(delay) => self.clock.sleep(*delay).await,
                    None => break,
                }
            }
        }
    }

    async fn attempt(&self, parcel: &Parcel, body: Bytes) -> Attempt {
        let at = self.clock.now_unix();
        let failed = |error: &str| Attempt { at, status: 0, error: error.to_owned() };
        let Some(request) = self.request(parcel, at, body) else {
            return failed("broken");
        };
        match tokio::time::timeout(WEBHOOK_PATIENCE, self.client.request(request)).await {
            Err(_) => failed("timeout"),
            Ok(Err(error)) if error.is_connect() => failed("connect"),
            Ok(Err(_)) => failed("broken"),
            Ok(Ok(answer)) => Attempt { at, status: answer.status().as_u16(), error: String::new() },
        }
    }

    fn request(&self, parcel: &Parcel, at: i64, body: Bytes) -> Option<Request<Full<Bytes>>> {
        let conduct = &parcel.conduct;
        let age = i64::try_from(conduct.old_seconds.unwrap_or(0)).unwrap_or(i64::MAX);
        let signed_at = at.saturating_sub(age);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&parcel.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("cashier-sandbox-service/", env!("CARGO_PKG_VERSION")));
        if !conduct.no_signature {
            let signature = if conduct.bad_signature {
                sign(&self.secret.spoilt(), signed_at, &body)?
            } else {
                sign(&self.secret, signed_at, &body)?
            };
            request = request.header(SIGNATURE_HEADER, signature);
        }
        request.body(Full::new(body)).ok()
    }

    fn note(&self, delivery_id: &str, attempt: Option<Attempt>, state: DeliveryState) {
        if let Some(logged) = self.lock().iter_mut().find(|logged| logged.delivery.id == delivery_id) {
            logged.delivery.attempts.extend(attempt);
            logged.delivery.state = state;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Logged>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body as it is sent: the event, or what the switches make of it.
fn body(parcel: &Parcel) -> Option<Bytes> {
    let conduct = &parcel.conduct;
    let mut event = parcel.event.clone();
    let data = &mut event.data;
    if let Some(amount) = conduct.amount {
        data.amount = amount.unwrap_or(data.amount.one_more());
    }
    if let Some(currency) = &conduct.currency {
        let other = if data.currency == "EUR" { "USD" } else { "EUR" };
        data.currency = currency.clone().unwrap_or_else(|| other.to_owned());
    }
    if let Some(reference) = &conduct.reference {
        data.reference.clone_from(reference);
    }
    if conduct.livemode {
        event.livemode = true;
        event.data.livemode = true;
    }
    let mut body = serde_json::to_vec(&event).ok()?;
    if conduct.garbage {
        // Cut in half, as a broken proxy does it.
        body.truncate(body.len() / 2);
    }
    Some(body.into())
}
