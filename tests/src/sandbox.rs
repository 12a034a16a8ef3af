//! The sandbox payment service of a deployment and what tests do with it: press buttons, query payments, trigger events, and
//! write the webhooks that the service itself never sends.

use std::sync::Arc;
use std::time::Duration;

use cashier_sandbox_service::{RunningSandbox, SandboxService, SandboxSettings, SeededEntropy, ServiceSecret};
use http::Method;
use serde_json::{Value, json};

use crate::clock::DeploymentClock;
use crate::http::{Http, HttpAnswer};
use crate::signing;

pub const API_KEY: &str = "sk_sandbox_4c1f7a90";
pub const WEBHOOK_SECRET: &str = "whsec_sandbox_b2d80e65";

/// Delays of retries that go on for some seventy seconds: longer than a cashier is away in a test, and more than a minute,
/// after which the payment is found by a query.
pub const LONG_RETRIES: [u64; 15] =
    [100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400, 6400, 6400, 6400, 6400, 6400, 6400];

/// A running service with the test's clock and randomness.
pub struct TestSandbox {
    running: Option<RunningSandbox>,
    http: Http,
    url: String,
}

impl TestSandbox {
    pub async fn start(clock: DeploymentClock, seed: u64) -> Self {
        Self::start_with(clock, seed, &[1000, 2000, 4000, 8000]).await
    }

    /// With other delays before the second, third … attempt of a webhook, in milliseconds.
    pub async fn start_with(clock: DeploymentClock, seed: u64, retry_delays_ms: &[u64]) -> Self {
        let settings = SandboxSettings {
            merchant: "ion4".into(),
            retry_delays: retry_delays_ms.iter().copied().map(Duration::from_millis).collect(),
            clock: Arc::new(clock),
            entropy: Arc::new(SeededEntropy::new(seed)),
            ..SandboxSettings::new(ServiceSecret::new(API_KEY), ServiceSecret::new(WEBHOOK_SECRET))
        };
        let running = SandboxService::start(settings).await.expect("the sandbox service starts");
        let url = running.base_url().to_owned();
        Self { running: Some(running), http: Http::new(), url }
    }

    /// `http://127.0.0.1:port`
    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Presses a button of a hosted page: `pay`, `decline` or `cancel`.
    pub async fn press(&self, page: &str, button: &str) -> HttpAnswer {
        self.http.post(&format!("{page}/{button}"), &[("accept", "application/json")], "").await
    }

    /// The payment behind a hosted page.
    pub async fn payment(&self, page: &str) -> Value {
        self.call(Method::GET, &format!("/v1/payments/{}", id_of(page)), None).await.expect_ok()
    }

    /// Every payment under one of our references.
    pub async fn payments_of(&self, reference: &str) -> Value {
        self.call(Method::GET, &format!("/v1/payments?reference={reference}"), None).await.expect_ok()
    }

    /// Triggers an event, as the service's control page does.
    pub async fn trigger(&self, page: &str, event: &Value) -> HttpAnswer {
        self.call(Method::POST, &format!("/_control/payments/{}/events", id_of(page)), Some(event)).await
    }

    /// The switches of every payment created from now on.
    pub async fn switch(&self, switches: &[&str]) {
        self.call(Method::POST, "/_control/defaults", Some(&json!({"switches": switches}))).await.expect_ok();
    }

    /// The delivery log of a payment.
    pub async fn deliveries(&self, page: &str) -> Value {
        self.call(Method::GET, &format!("/_control/deliveries?payment={}", id_of(page)), None).await.expect_ok()
    }

    pub async fn redeliver(&self, delivery: &str) -> HttpAnswer {
        self.call(Method::POST, &format!("/_control/deliveries/{delivery}/redeliver"), None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> HttpAnswer {
        let bearer = format!("Bearer {API_KEY}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        let body = body.map(Value::to_string).unwrap_or_default();
        self.http.send(method, &format!("{}{path}", self.url), &headers, body).await
    }
}

/// The payment id in the address of a hosted page.
pub fn id_of(page: &str) -> &str {
    page.rsplit('/').next().unwrap_or_default()
}

/// An event as the service writes it: `kind` such as `payment.confirmed`, `payment` as the service returns it.
pub fn event(id: &str, kind: &str, payment: &Value) -> Value {
    let mut payment = payment.clone();
    if let Some(status) = kind.strip_prefix("payment.") {
        payment["status"] = json!(status);
    }
    json!({"id": id, "type": kind, "created": payment["created"], "livemode": payment["livemode"], "data": payment})
}

/// A body with the header that signs it with `secret` at `at`.
pub fn signed(secret: &str, at: i64, event: &Value) -> (Vec<u8>, (&'static str, String)) {
    let body = event.to_string().into_bytes();
    let signature = signing::timed_signature(secret, at, &body);
    (body, (cashier_sandbox_service::SIGNATURE_HEADER, signature))
}
