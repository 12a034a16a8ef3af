//! A running service with everything around it, owned by one test.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cashier_sandbox_service::{Clock, Running, SandboxService, SandboxSettings, Secret, SeededEntropy};
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
/// Only so that a broken test ends; no verdict hangs on it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) service: Running,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) hook: Hook,
    client: Client<HttpConnector, Full<Bytes>>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and error code.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap().to_owned())
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut SandboxSettings)) -> Self {
        let clock = Arc::new(HandClock::new());
        let mut settings = SandboxSettings::new(Secret::new(API_KEY), Secret::new(WEBHOOK_SECRET));
        settings.clock = clock.clone();
        settings.entropy = Arc::new(SeededEntropy::new(7));
        adjust(&mut settings);
        let service = SandboxService::start(settings).await.unwrap();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { service, clock, hook: Hook::open().await, client }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.service.base_url()) };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let answer = in_time(self.client.request(request)).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let text = String::from_utf8(in_time(body.collect()).await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: head.status.as_u16(), headers: head.headers, text }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[("authorization", &bearer())], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[("authorization", &bearer())], body.to_string()).await
    }

    pub(crate) async fn post_keyed(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[("authorization", &bearer()), ("idempotency-key", key)], body.to_string()).await
    }

    /// A payment of 250.00 EUR with these switches; its answer must be 201.
    pub(crate) async fn payment(&self, reference: &str, switches: &[&str]) -> Value {
        let answer = self.create(reference, reference, switches).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn create(&self, key: &str, reference: &str, switches: &[&str]) -> Answer {
        self.post_keyed("/v1/payments", key, self.order(reference, switches)).await
    }

    pub(crate) fn order(&self, reference: &str, switches: &[&str]) -> Value {
        json!({
            "reference": reference, "amount": "250.00", "currency": "EUR", "method": "card",
            "notify_url": self.hook.url, "switches": switches,
        })
    }

    /// Presses a button without a browser.
    pub(crate) async fn press(&self, payment: &Value, button: &str) -> Answer {
        let path = format!("{}/{button}", payment["payment_url"].as_str().unwrap());
        self.send(Method::POST, &path, &[("accept", "application/json")], "").await
    }

    pub(crate) async fn status(&self, payment: &Value) -> String {
        let answer = self.get(&format!("/v1/payments/{}", id(payment))).await;
        answer.json()["status"].as_str().unwrap().to_owned()
    }

    /// The delivery log of a payment once nothing in it waits.
    pub(crate) async fn settled_deliveries(&self, payment: &Value) -> Vec<Value> {
        let path = format!("/_control/deliveries?payment={}", id(payment));
        in_time(async {
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
    in_time(stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

pub(crate) fn bearer() -> String {
    format!("Bearer {API_KEY}")
}

pub(crate) fn id(payment: &Value) -> &str {
    payment["id"].as_str().unwrap()
}

pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it came to an end")
}

/// A clock that stands still; sleeps are noted and over at once, or held until released.
pub(crate) struct HandClock {
    slept_ms: Mutex<Vec<u128>>,
    held: watch::Sender<bool>,
}

impl HandClock {
    fn new() -> Self {
        Self { slept_ms: Mutex::default(), held: watch::Sender::new(false) }
    }

    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    pub(crate) fn slept_ms(&self) -> Vec<u128> {
        self.slept_ms.lock().unwrap().clone()
    }

    /// Returns once somebody sleeps.
    pub(crate) async fn somebody_sleeps(&self) {
        in_time(async {
            while self.slept_ms().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

impl Clock for HandClock {
    fn now_unix(&self) -> i64 {
        NOW
    }

    fn sleep(&self, delay: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.slept_ms.lock().unwrap().push(delay.as_millis());
        let mut held = self.held.subscribe();
        Box::pin(async move {
            let _ = held.wait_for(|held| !held).await;
        })
    }
}

/// The merchant's side of webhooks.
pub(crate) struct Hook {
    pub(crate) url: String,
    heard: tokio::sync::Mutex<mpsc::UnboundedReceiver<Heard>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) signature: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Hook {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?of=test", listener.local_addr().unwrap());
        let (tell, heard) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<u16>>> = Arc::default();
        let script = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, script) = (tell.clone(), Arc::clone(&script));
                let listening = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (tell, script) = (tell.clone(), Arc::clone(&script));
                    async move {
                        assert_eq!(request.uri().path_and_query().unwrap(), "/hook?of=test");
                        assert_eq!(request.headers()["content-type"], "application/json");
                        let signature =
                            request.headers().get("Sandbox-Signature").map(|v| v.to_str().unwrap().to_owned());
                        let body = request.into_body().collect().await?.to_bytes().to_vec();
                        let status = script.lock().unwrap().pop_front().unwrap_or(204);
                        let _ = tell.send(Heard { signature, body });
                        let mut answer = Response::new(Full::<Bytes>::default());
                        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                        Ok::<_, hyper::Error>(answer)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), listening),
                );
            }
        });
        Self { url, heard: tokio::sync::Mutex::new(heard), answers }
    }

    /// The next webhooks are answered so; then 204 again.
    pub(crate) fn will_answer(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }

    pub(crate) async fn next(&self) -> Heard {
        in_time(async { self.heard.lock().await.recv().await }).await.unwrap()
    }

    /// The next webhook, which must be genuine.
    pub(crate) async fn event(&self) -> Value {
        let heard = self.next().await;
        assert!(heard.is_genuine(), "{heard:?}");
        heard.json()
    }

    pub(crate) async fn is_silent(&self) -> bool {
        self.heard.lock().await.is_empty()
    }
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The signed time, and the signature.
    pub(crate) fn parts(&self) -> (i64, String) {
        let header = self.signature.as_deref().unwrap();
        let (t, v1) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        (t.parse().unwrap(), v1.to_owned())
    }

    /// Recomputed from the README's words alone.
    pub(crate) fn is_genuine(&self) -> bool {
        let (t, v1) = self.parts();
        let signed = [format!("{t}.").as_bytes(), &self.body].concat();
        let mac = Hmac::<sha2::Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap().chain_update(signed);
        v1 == hex::encode(mac.finalize().into_bytes())
    }
}
