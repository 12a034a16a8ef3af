//! A running service with a client, a webhook receiver and a clock, for one test.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cashier_sandbox_service::{
    RunningSandbox, SandboxClock, SandboxService, SandboxSettings, SeededEntropy, ServiceSecret,
};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub(crate) const API_KEY: &str = "sk_canary_7Qm2";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_canary_x9L4";
pub(crate) const NOW: i64 = 1_795_160_000;
/// Ends a broken test; no assertion depends on it.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct ServiceFixture {
    pub(crate) service: RunningSandbox,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) receiver: WebhookReceiver,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl HttpAnswer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap().to_owned())
    }
}

impl ServiceFixture {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut SandboxSettings)) -> Self {
        let clock = Arc::new(ManualClock::new());
        let mut settings = SandboxSettings::new(ServiceSecret::new(API_KEY), ServiceSecret::new(WEBHOOK_SECRET));
        settings.clock = clock.clone();
        settings.entropy = Arc::new(SeededEntropy::new(7));
        adjust(&mut settings);
        let service = SandboxService::start(settings).await.unwrap();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { service, clock, receiver: WebhookReceiver::open().await, client }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> HttpAnswer {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.service.base_url()) };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let answer = with_timeout(self.client.request(request)).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let text = String::from_utf8(with_timeout(body.collect()).await.unwrap().to_bytes().to_vec()).unwrap();
        HttpAnswer { status: head.status.as_u16(), headers: head.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> HttpAnswer {
        self.send(Method::GET, path, &[("authorization", &bearer())], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> HttpAnswer {
        self.send(Method::POST, path, &[("authorization", &bearer())], body.to_string()).await
    }

    pub(crate) async fn post_keyed(&self, path: &str, key: &str, body: Value) -> HttpAnswer {
        self.send(Method::POST, path, &[("authorization", &bearer()), ("idempotency-key", key)], body.to_string()).await
    }

    /// A payment of 250.00 EUR with these switches; its answer must be 201.
    pub(crate) async fn payment(&self, reference: &str, switches: &[&str]) -> Value {
        let answer = self.create(reference, reference, switches).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn create(&self, key: &str, reference: &str, switches: &[&str]) -> HttpAnswer {
        self.post_keyed("/v1/payments", key, self.order(reference, switches)).await
    }

    pub(crate) fn order(&self, reference: &str, switches: &[&str]) -> Value {
        json!({
            "reference": reference, "amount": "250.00", "currency": "EUR", "method": "card",
            "notify_url": self.receiver.url, "switches": switches,
        })
    }

    /// Presses a button without a browser.
    pub(crate) async fn press(&self, payment: &Value, button: &str) -> HttpAnswer {
        let path = format!("{}/{button}", payment["payment_url"].as_str().unwrap());
        self.send(Method::POST, &path, &[("accept", "application/json")], "").await
    }

    pub(crate) async fn status(&self, payment: &Value) -> String {
        let answer = self.get(&format!("/v1/payments/{}", id(payment))).await;
        answer.json()["status"].as_str().unwrap().to_owned()
    }

    /// The delivery log of a payment when no delivery is waiting.
    pub(crate) async fn settled_deliveries(&self, payment: &Value) -> Vec<Value> {
        let path = format!("/_control/deliveries?payment={}", id(payment));
        with_timeout(async {
            loop {
                let log = self.get(&path).await.json()["deliveries"].as_array().unwrap().clone();
                if !log.is_empty() && log.iter().all(|delivery| delivery["state"] != "waiting") {
                    return log;
                }
                tokio::task::yield_now().await;
            }
        })
        .await
    }

    /// The raw bytes answered before the connection was closed.
    pub(crate) async fn raw(&self, request: &str) -> Vec<u8> {
        raw(self.service.addr(), request).await
    }

    pub(crate) fn raw_create(&self, key: &str, order: &Value) -> String {
        let body = order.to_string();
        format!(
            "POST /v1/payments HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\nidempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            bearer(),
            body.len()
        )
    }
}

pub(crate) async fn raw(addr: SocketAddr, request: &str) -> Vec<u8> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    with_timeout(stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

pub(crate) fn bearer() -> String {
    format!("Bearer {API_KEY}")
}

pub(crate) fn id(payment: &Value) -> &str {
    payment["id"].as_str().unwrap()
}

pub(crate) async fn with_timeout<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, work).await.expect("the test timed out")
}

/// A stopped clock; sleeps are recorded and end at once, or are held until released.
pub(crate) struct ManualClock {
    sleeps_ms: Mutex<Vec<u128>>,
    held: watch::Sender<bool>,
}

impl ManualClock {
    fn new() -> Self {
        Self { sleeps_ms: Mutex::default(), held: watch::Sender::new(false) }
    }

    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    pub(crate) fn sleeps_ms(&self) -> Vec<u128> {
        self.sleeps_ms.lock().unwrap().clone()
    }

    /// Returns when the first sleep was requested.
    pub(crate) async fn wait_for_sleep(&self) {
        with_timeout(async {
            while self.sleeps_ms().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

impl SandboxClock for ManualClock {
    fn now_unix(&self) -> i64 {
        NOW
    }

    fn sleep(&self, delay: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.sleeps_ms.lock().unwrap().push(delay.as_millis());
        let mut held = self.held.subscribe();
        Box::pin(async move {
            let _ = held.wait_for(|held| !held).await;
        })
    }
}

/// The merchant's side of webhooks.
pub(crate) struct WebhookReceiver {
    pub(crate) url: String,
    received: tokio::sync::Mutex<mpsc::UnboundedReceiver<ReceivedWebhook>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

#[derive(Debug)]
pub(crate) struct ReceivedWebhook {
    pub(crate) signature: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl WebhookReceiver {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?of=test", listener.local_addr().unwrap());
        let (sender, received) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<u16>>> = Arc::default();
        let script = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, script) = (sender.clone(), Arc::clone(&script));
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (sender, script) = (sender.clone(), Arc::clone(&script));
                    async move {
                        assert_eq!(request.uri().path_and_query().unwrap(), "/hook?of=test");
                        assert_eq!(request.headers()["content-type"], "application/json");
                        let signature =
                            request.headers().get("Sandbox-Signature").map(|v| v.to_str().unwrap().to_owned());
                        let body = request.into_body().collect().await?.to_bytes().to_vec();
                        let status = script.lock().unwrap().pop_front().unwrap_or(204);
                        let _ = sender.send(ReceivedWebhook { signature, body });
                        let mut answer = Response::new(Full::<Bytes>::default());
                        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                        Ok::<_, hyper::Error>(answer)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { url, received: tokio::sync::Mutex::new(received), answers }
    }

    /// The statuses that answer the next webhooks; then 204 again.
    pub(crate) fn will_answer(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }

    pub(crate) async fn next(&self) -> ReceivedWebhook {
        with_timeout(async { self.received.lock().await.recv().await }).await.unwrap()
    }

    /// The next webhook, whose signature must be valid.
    pub(crate) async fn event(&self) -> Value {
        let webhook = self.next().await;
        assert!(webhook.has_valid_signature(), "{webhook:?}");
        webhook.json()
    }

    pub(crate) async fn is_empty(&self) -> bool {
        self.received.lock().await.is_empty()
    }
}

impl ReceivedWebhook {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The signed time, and the signature.
    pub(crate) fn parts(&self) -> (i64, String) {
        let header = self.signature.as_deref().unwrap();
        let (t, v1) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        (t.parse().unwrap(), v1.to_owned())
    }

    /// Recomputed as the README describes it.
    pub(crate) fn has_valid_signature(&self) -> bool {
        let (t, v1) = self.parts();
        let signed = [format!("{t}.").as_bytes(), &self.body].concat();
        let mac = Hmac::<sha2::Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap().chain_update(signed);
        v1 == hex::encode(mac.finalize().into_bytes())
    }
}
