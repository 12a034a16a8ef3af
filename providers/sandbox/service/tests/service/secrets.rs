//! The API key and the webhook secret appear in no log line, no answer, no webhook and no debug output.

use std::io::Write;
use std::sync::{Arc, Mutex};

use cashier_sandbox_service::Secret;
use http::Method;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{API_KEY, WEBHOOK_SECRET, World, bearer, id};

#[derive(Clone, Default)]
struct Ears(Arc<Mutex<Vec<u8>>>);

impl Write for Ears {
    fn write(&mut self, heard: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(heard);
        Ok(heard.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Ears {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

// One thread, so that the subscriber of this test hears all of this service and of no other.
#[tokio::test(flavor = "current_thread")]
async fn canaries_do_not_sing() {
    let ears = Ears::default();
    let listening = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(ears.clone()).finish();
    let _guard = tracing::subscriber::set_default(listening);

    let world = World::with(|settings| settings.retry_delays.clear()).await;
    world.hook.will_answer(&[500]);
    let mut told = String::new();
    let payment = world.payment("order-1", &["auto"]).await;
    let heard = world.hook.next().await;
    told += &format!("{heard:?} {}", String::from_utf8_lossy(&heard.body));
    world.settled_deliveries(&payment).await;
    for path in ["/_control/deliveries", "/_control/defaults", "/_control/switches", "/v1/nothing", "/v1/payments"] {
        let answer = world.get(path).await;
        told += &format!("{:?} {}", answer.headers, answer.text);
    }
    let path = format!("/v1/payments/{}/refunds", id(&payment));
    for (key, body) in [("", json!({})), ("k", json!({ "amount": "x" })), ("k", json!({}))] {
        told += &world.post_keyed(&path, key, body).await.text;
    }
    let wrong = world.send(Method::GET, "/v1/payments/x", &[("authorization", &format!("{}x", bearer()))], "").await;
    told += &format!("{:?} {}", wrong.headers, wrong.text);
    told += &world.send(Method::GET, payment["payment_url"].as_str().unwrap(), &[], "").await.text;
    world.service.stop().await;
    told += &format!("{:?}", Secret::new(API_KEY));

    let log = String::from_utf8(ears.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("webhook") && log.contains("/v1/payments"), "the ears are open: {log}");
    for canary in [API_KEY, WEBHOOK_SECRET] {
        assert!(!log.contains(canary), "in the log: {log}");
        assert!(!told.contains(canary), "told: {told}");
    }
}
