//! The API key and the webhook secret appear in no log line, no answer, no webhook and no debug output.

use std::io::Write;
use std::sync::{Arc, Mutex};

use cashier_sandbox_service::ServiceSecret;
use http::Method;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::fixture::{API_KEY, ServiceFixture, WEBHOOK_SECRET, bearer, id};

#[derive(Clone, Default)]
struct LogCapture(Arc<Mutex<Vec<u8>>>);

impl Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogCapture {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

// One thread, so that the subscriber of this test gets the log of this service and of no other.
#[tokio::test(flavor = "current_thread")]
async fn secrets_appear_in_no_log_line_and_no_output() {
    let capture = LogCapture::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(capture.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // Tests beside this one meet log lines first that nobody wants there, and those would stay off: with one subscriber alone
    // tracing asks that of the thread, with two it asks every one.
    let _second = tracing::dispatcher::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    tracing::callsite::rebuild_interest_cache();

    let fixture = ServiceFixture::with(|settings| settings.retry_delays.clear()).await;
    fixture.receiver.will_answer(&[500]);
    let mut output = String::new();
    let payment = fixture.payment("order-1", &["auto"]).await;
    let webhook = fixture.receiver.next().await;
    output += &format!("{webhook:?} {}", String::from_utf8_lossy(&webhook.body));
    fixture.settled_deliveries(&payment).await;
    for path in ["/_control/deliveries", "/_control/defaults", "/_control/switches", "/v1/nothing", "/v1/payments"] {
        let answer = fixture.get(path).await;
        output += &format!("{:?} {}", answer.headers, answer.text);
    }
    let path = format!("/v1/payments/{}/refunds", id(&payment));
    for (key, body) in [("", json!({})), ("k", json!({ "amount": "x" })), ("k", json!({}))] {
        output += &fixture.post_keyed(&path, key, body).await.text;
    }
    let wrong = fixture.send(Method::GET, "/v1/payments/x", &[("authorization", &format!("{}x", bearer()))], "").await;
    output += &format!("{:?} {}", wrong.headers, wrong.text);
    output += &fixture.send(Method::GET, payment["payment_url"].as_str().unwrap(), &[], "").await.text;
    fixture.service.stop().await;
    output += &format!("{:?}", ServiceSecret::new(API_KEY));

    let log = String::from_utf8(capture.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("webhook") && log.contains("/v1/payments"), "the log is captured: {log}");
    for canary in [API_KEY, WEBHOOK_SECRET] {
        assert!(!log.contains(canary), "in the log: {log}");
        assert!(!output.contains(canary), "in an output: {output}");
    }
}
