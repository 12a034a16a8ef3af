//! A stub of Stripe on loopback: answers the calls that the cashier makes and records each request. It holds no money and
//! sends no webhooks: tests sign those.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use warp::Filter;

use crate::signing;

pub const SECRET_KEY: &str = "sk_test_9d2b61c07e";
pub const LIVE_SECRET_KEY: &str = "sk_live_9d2b61c07e";
pub const WEBHOOK_SECRET: &str = "whsec_stripe_71f0ce28";

/// A request as received.
#[derive(Debug, Clone)]
pub struct StubRequest {
    pub path: String,
    pub authorization: String,
    pub idempotency_key: String,
    pub form: BTreeMap<String, String>,
}

/// How the stub answers the requests that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StubMode {
    Answering,
    /// 402 `card_declined`.
    Declining,
    /// 401 with a message that quotes the whole key of the request.
    QuotingKey,
    /// Accepts the request and answers when the mode changes.
    Holding,
    /// The same for status queries; creations are answered.
    HoldingQueries,
    /// Refuses refunds for good; anything else is answered.
    RefusingRefunds,
    /// Accepts refunds, which are on their way.
    PendingRefunds,
    /// Makes refunds and answers 500.
    LosingRefunds,
}

#[derive(Debug)]
struct StubData {
    live: bool,
    requests: Vec<StubRequest>,
    /// Ids whose status was queried.
    queried: Vec<String>,
    /// The id of the next payment intent; otherwise a running number makes it.
    next_intent: Option<String>,
    objects: BTreeMap<String, Value>,
    /// What a list of disputes answers.
    disputes: Vec<Value>,
    /// Created objects by idempotency key, returned again for the same key.
    by_key: BTreeMap<String, Value>,
}

type SharedStub = Arc<(Mutex<StubData>, watch::Sender<StubMode>)>;

/// The running stub. Dropping it closes its listener.
pub struct StripeStub {
    url: String,
    state: SharedStub,
    _stop: oneshot::Sender<()>,
}

impl StripeStub {
    /// `live` is the `livemode` of its objects.
    pub async fn start(live: bool) -> Self {
        let state = StubData {
            live,
            requests: Vec::new(),
            queried: Vec::new(),
            next_intent: None,
            objects: BTreeMap::new(),
            disputes: Vec::new(),
            by_key: BTreeMap::new(),
        };
        let state: SharedStub = Arc::new((Mutex::new(state), watch::Sender::new(StubMode::Answering)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = warp::serve(routes(&state, &url)).incoming(listener).graceful(async {
            // Dropping the sender is the signal.
            let _ = stopped.await;
        });
        tokio::spawn(serving.run());
        Self { url, state, _stop: stop }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every creation received so far, in order.
    pub fn requests(&self) -> Vec<StubRequest> {
        self.state.0.lock().unwrap().requests.clone()
    }

    /// Our reference in the latest creation.
    pub fn latest_reference(&self) -> String {
        let requests = self.requests();
        let latest = requests.iter().rev().find(|it| !it.form.is_empty()).expect("something was created");
        latest.form["metadata[transaction_id]"].clone()
    }

    /// The id of the object that was created last.
    pub fn latest_id(&self) -> String {
        let state = self.state.0.lock().unwrap();
        state.objects.values().filter_map(|object| object["id"].as_str()).max().expect("an object").to_owned()
    }

    pub fn set_mode(&self, mode: StubMode) {
        self.state.1.send_replace(mode);
    }

    /// Every id whose status was queried, in order.
    pub fn queried(&self) -> Vec<String> {
        self.state.0.lock().unwrap().queried.clone()
    }

    /// Changes a field of an object, such as `("pi_stub_1", "status", "succeeded")`.
    pub fn amend(&self, id: &str, field: &str, value: Value) {
        let mut state = self.state.0.lock().unwrap();
        state.objects.get_mut(id).expect("an object of this stub")[field] = value;
    }

    /// Opens a dispute of the payment, or replaces the one with its id; no notice is sent.
    pub fn dispute(&self, intent: &str, dispute: &Value) {
        self.amend(intent, "latest_charge", json!({"id": "ch_stub_1", "object": "charge", "disputed": true}));
        let mut state = self.state.0.lock().unwrap();
        state.disputes.retain(|known| known["id"] != dispute["id"]);
        state.disputes.push(dispute.clone());
    }

    /// Sets the id of the next payment intent.
    pub fn next_intent(&self, id: &str) {
        self.state.0.lock().unwrap().next_intent = Some(id.into());
    }
}

fn routes(
    state: &SharedStub,
    url: &str,
) -> impl Filter<Extract = (warp::reply::Response,), Error = warp::Rejection> + Clone + Send + Sync + 'static {
    let (creating, querying, url) = (Arc::clone(state), Arc::clone(state), url.to_owned());
    let creation = warp::post()
        .and(warp::path::full())
        .and(warp::header::optional::<String>("authorization"))
        .and(warp::header::optional::<String>("idempotency-key"))
        .and(warp::body::form())
        .then(move |path: warp::path::FullPath, authorization: Option<String>, key: Option<String>, form| {
            let request = StubRequest {
                path: path.as_str().to_owned(),
                authorization: authorization.unwrap_or_default(),
                idempotency_key: key.unwrap_or_default(),
                form,
            };
            let (state, url) = (Arc::clone(&creating), url.clone());
            async move { create(&state, &url, request).await }
        });
    let query = warp::get().and(warp::path::full()).then(move |path: warp::path::FullPath| {
        let id = path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        let state = Arc::clone(&querying);
        async move { query_status(&state, id).await }
    });
    creation.or(query).unify()
}

async fn query_status(state: &SharedStub, id: String) -> warp::reply::Response {
    let mut mode = state.1.subscribe();
    state.0.lock().unwrap().queried.push(id.clone());
    // When the stub is dropped the mode no longer changes; the answer is sent all the same.
    let _ = mode.wait_for(|mode| *mode != StubMode::HoldingQueries).await;
    let found = {
        let state = state.0.lock().unwrap();
        let disputes = || json!({"object": "list", "has_more": false, "data": state.disputes});
        if id == "disputes" { Some(disputes()) } else { state.objects.get(&id).cloned() }
    };
    match found {
        Some(object) => reply(200, &object),
        None => reply(404, &json!({"error": {"type": "invalid_request_error", "code": "resource_missing"}})),
    }
}

async fn create(state: &SharedStub, url: &str, request: StubRequest) -> warp::reply::Response {
    if let Some(intent) = request.path.strip_suffix("/cancel").and_then(|path| path.rsplit('/').next()) {
        return cancel(state, intent);
    }
    let mut mode = state.1.subscribe();
    let present = mode.borrow_and_update().clone();
    let is_refund = request.path == "/v1/refunds";
    if is_refund && present == StubMode::RefusingRefunds {
        state.0.lock().unwrap().requests.push(request);
        let error = json!({"type": "invalid_request_error", "code": "charge_disputed", "message": "it is disputed"});
        return reply(400, &json!({"error": error}));
    }
    let object = {
        let mut state = state.0.lock().unwrap();
        let number = state.requests.len() + 1;
        state.requests.push(request.clone());
        let earlier = state.by_key.get(&request.idempotency_key).cloned();
        let object = match (earlier, request.path.as_str()) {
            (Some(earlier), _) => earlier,
            (None, "/v1/refunds") => {
                let mut refund = refund(number, state.live, &request.form);
                match present {
                    StubMode::PendingRefunds => refund["status"] = json!("pending"),
                    _ => note_refund(&mut state.objects, &refund),
                }
                refund
            }
            (None, "/v1/checkout/sessions") => session(url, number, state.live, &request.form),
            (None, _) => {
                let id = state.next_intent.take().unwrap_or_else(|| format!("pi_stub_{number}"));
                intent(&id, state.live, &request.form)
            }
        };
        if !matches!(present, StubMode::Declining | StubMode::QuotingKey) {
            let id = object["id"].as_str().unwrap_or_default().to_owned();
            state.objects.insert(id, object.clone());
            if !request.idempotency_key.is_empty() {
                state.by_key.insert(request.idempotency_key.clone(), object.clone());
            }
        }
        object
    };
    match present {
        StubMode::LosingRefunds if is_refund => reply(500, &json!({"error": {"type": "api_error"}})),
        StubMode::Answering
        | StubMode::HoldingQueries
        | StubMode::RefusingRefunds
        | StubMode::PendingRefunds
        | StubMode::LosingRefunds => reply(200, &object),
        StubMode::Declining => {
            let error = json!({"error": {"type": "card_error", "code": "card_declined", "message": "declined"}});
            reply(402, &error)
        }
        StubMode::QuotingKey => {
            let message = format!("Invalid API Key provided: {}", request.authorization);
            reply(401, &json!({"error": {"type": "invalid_request_error", "code": "api_key_bad", "message": message}}))
        }
        StubMode::Holding => {
            // When the stub is dropped the mode no longer changes; the answer is sent all the same.
            let _ = mode.changed().await;
            reply(200, &object)
        }
    }
}

/// Stripe closes an unpaid intent, and refuses to close a paid one.
fn cancel(state: &SharedStub, intent: &str) -> warp::reply::Response {
    let mut state = state.0.lock().unwrap();
    match state.objects.get_mut(intent) {
        Some(object) if object["status"] == json!("succeeded") => {
            let error = json!({"type": "invalid_request_error", "code": "payment_intent_unexpected_state"});
            reply(400, &json!({"error": error}))
        }
        Some(object) => {
            object["status"] = json!("canceled");
            reply(200, object)
        }
        None => reply(404, &json!({"error": {"type": "invalid_request_error", "code": "resource_missing"}})),
    }
}

fn session(url: &str, number: usize, live: bool, form: &BTreeMap<String, String>) -> Value {
    let id = format!("cs_stub_{number}");
    let unit: i64 = form["line_items[0][price_data][unit_amount]"].parse().unwrap_or_default();
    json!({
        "id": id, "object": "checkout.session", "amount_total": unit,
        "currency": form["line_items[0][price_data][currency]"],
        "client_reference_id": form["client_reference_id"],
        "metadata": {"transaction_id": form["metadata[transaction_id]"]},
        "livemode": live, "mode": "payment", "payment_intent": null, "payment_status": "unpaid", "status": "open",
        "url": format!("{url}/c/pay/{id}"),
    })
}

fn intent(id: &str, live: bool, form: &BTreeMap<String, String>) -> Value {
    let amount: i64 = form["amount"].parse().unwrap_or_default();
    json!({
        "id": id, "object": "payment_intent", "amount": amount, "amount_received": 0, "currency": form["currency"],
        "client_secret": format!("{id}_secret_1"), "livemode": live, "status": "requires_payment_method",
        "metadata": {"transaction_id": form["metadata[transaction_id]"]},
    })
}

fn refund(number: usize, live: bool, form: &BTreeMap<String, String>) -> Value {
    let amount: i64 = form["amount"].parse().unwrap_or_default();
    json!({
        "id": format!("re_stub_{number}"), "object": "refund", "amount": amount, "currency": "usd", "livemode": live,
        "payment_intent": form["payment_intent"], "status": "succeeded",
        "metadata": {"refund_reference": form["metadata[refund_reference]"]},
    })
}

/// The intent's charge counts what was refunded of it.
fn note_refund(objects: &mut BTreeMap<String, Value>, refund: &Value) {
    let intent = refund["payment_intent"].as_str().unwrap_or_default();
    let Some(intent) = objects.get_mut(intent) else { return };
    let before = intent["latest_charge"]["amount_refunded"].as_i64().unwrap_or_default();
    let sum = before + refund["amount"].as_i64().unwrap_or_default();
    intent["latest_charge"] =
        json!({"id": "ch_stub_1", "object": "charge", "amount_refunded": sum, "currency": "usd", "disputed": false});
}

fn reply(status: u16, body: &Value) -> warp::reply::Response {
    use warp::Reply;
    let status = http::StatusCode::from_u16(status).expect("a status");
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

/// The fields of an event about a payment; `amount` in minor units.
#[derive(Debug, Clone)]
pub struct StripeEventFields<'a> {
    pub event_id: &'a str,
    pub reference: &'a str,
    pub intent: &'a str,
    pub amount: i64,
    pub currency: &'a str,
    pub live: bool,
}

impl StripeEventFields<'_> {
    /// `payment_intent.succeeded`
    pub fn intent_succeeded(&self, created: i64) -> Value {
        json!({
            "id": self.event_id, "object": "event", "type": "payment_intent.succeeded", "created": created,
            "livemode": self.live, "api_version": "2025-01-27.acacia",
            "data": {"object": {
                "id": self.intent, "object": "payment_intent", "amount": self.amount, "amount_received": self.amount,
                "currency": self.currency, "livemode": self.live, "status": "succeeded",
                "metadata": {"transaction_id": self.reference},
            }},
        })
    }

    /// `checkout.session.completed`, paid.
    pub fn session_completed(&self, session: &str, created: i64) -> Value {
        json!({
            "id": self.event_id, "object": "event", "type": "checkout.session.completed", "created": created,
            "livemode": self.live, "api_version": "2025-01-27.acacia",
            "data": {"object": {
                "id": session, "object": "checkout.session", "amount_total": self.amount, "currency": self.currency,
                "livemode": self.live, "payment_status": "paid", "status": "complete", "payment_intent": self.intent,
                "client_reference_id": self.reference, "metadata": {"transaction_id": self.reference},
            }},
        })
    }
}

/// A body with the header that signs it with `secret` at `at`.
pub fn signed(secret: &str, at: i64, event: &Value) -> (Vec<u8>, (&'static str, String)) {
    let body = event.to_string().into_bytes();
    let signature = signing::timed_signature(secret, at, &body);
    (body, ("stripe-signature", signature))
}
