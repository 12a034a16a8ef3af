//! The real service on loopback, a place for its webhooks, and the module behind its border with the
//! least of a host around it: it sends what the module says and shows it the replies.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fmt::Debug;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cashier_provider_sandbox::Sandbox;
use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{
    HttpReply, HttpRequest, PaymentCreated, PaymentOrder, PaymentRef, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};
use cashier_provider_testing::sample_order;
use cashier_sandbox_service::{
    RunningSandbox, SandboxClock, SandboxService, SandboxSettings, SeededEntropy, ServiceSecret,
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::harness::{NOW, SECRET_KEY, WEBHOOK_SECRET, row};

/// Only so that a broken test ends; no verdict hangs on it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    service: RunningSandbox,
    hook_url: String,
    heard: mpsc::UnboundedReceiver<WebhookNotice>,
    client: Client<HttpConnector, Full<Bytes>>,
    pub(crate) module: Instance,
}

impl World {
    /// Payment pages are shown under `public_url`, or where the service listens.
    pub(crate) async fn open(public_url: Option<&str>) -> Self {
        let mut settings = SandboxSettings::new(ServiceSecret::new(SECRET_KEY), ServiceSecret::new(WEBHOOK_SECRET));
        settings.clock = Arc::new(StoppedClock);
        settings.entropy = Arc::new(SeededEntropy::new(7));
        settings.public_url = public_url.map(str::to_owned);
        let service = SandboxService::start(settings).await.unwrap();
        let config = row(&json!({"api_base": format!("http://{}", service.addr())}).to_string());
        let module = ModuleV1::of::<Sandbox>().configure(&config).unwrap();
        let (hook_url, heard) = hook().await;
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { service, hook_url, heard, client, module }
    }

    /// An order of 250.00 USD with the switches asked for as a client of the cashier asks.
    pub(crate) fn order(&self, switches: &str) -> PaymentOrder {
        let metadata = if switches.is_empty() { json!({}) } else { json!({ "sandbox_switches": switches }) };
        PaymentOrder { notify_url: self.hook_url.clone(), metadata_json: metadata.to_string(), ..sample_order() }
    }

    pub(crate) async fn create(&self, order: &PaymentOrder) -> Ending<PaymentCreated> {
        self.exchange(|replies| self.module.create_payment(order, replies)).await
    }

    pub(crate) async fn query(&self, payment: &PaymentRef) -> Ending<StatusUpdate> {
        self.exchange(|replies| self.module.query_status(payment, replies)).await
    }

    pub(crate) fn judge(&self, notice: &WebhookNotice) -> Step<WebhookVerdict> {
        self.module.normalize_status(notice, &[])
    }

    /// Calls the module with all replies so far until it wants no more, as a host does.
    async fn exchange<T: Debug>(&self, call: impl Fn(&[HttpReply]) -> Step<T>) -> Ending<T> {
        let mut replies = Vec::new();
        loop {
            match call(&replies) {
                Step::Send { request, cache: None } => match self.send(&request).await {
                    Some(reply) => replies.push(reply),
                    None => return Ending { step: None, replies },
                },
                step => return Ending { step: Some(step), replies },
            }
        }
    }

    /// None where the connection closed without an answer.
    pub(crate) async fn send(&self, request: &HttpRequest) -> Option<HttpReply> {
        let mut wire = http::Request::builder().method(request.method.as_str()).uri(&request.url);
        for (name, value) in &request.headers {
            wire = wire.header(name, value);
        }
        let wire = wire.body(Full::new(Bytes::from(request.body.clone()))).unwrap();
        let answer = in_time(self.client.request(wire)).await.ok()?;
        let (head, body) = answer.into_parts();
        let body = in_time(body.collect()).await.ok()?.to_bytes().to_vec();
        Some(HttpReply { headers: pairs(&head.headers), ..HttpReply::new(head.status.as_u16(), body) })
    }

    /// Presses a button of the hosted page; the way back is left to the browser.
    pub(crate) async fn press(&self, page_url: &str, button: &str) {
        let request = HttpRequest::post(format!("{page_url}/{button}")).header("accept", "application/json");
        let reply = self.send(&request).await.unwrap();
        assert_eq!(reply.status, 200, "{button}: {}", reply.text().unwrap());
    }

    /// Something happens at the service by its control API.
    pub(crate) async fn happen(&self, id: &str, event: Value) {
        let url = format!("http://{}/_control/payments/{id}/events", self.service.addr());
        let reply = self.send(&HttpRequest::post(url).bearer(SECRET_KEY).json(&event)).await.unwrap();
        assert_eq!(reply.status, 200, "{event}: {}", reply.text().unwrap());
    }

    /// Where the service listens, whatever it shows as its address.
    pub(crate) fn page_of(&self, id: &str) -> String {
        format!("http://{}/pay/{id}", self.service.addr())
    }

    /// The next webhook, as a host hands it to the module.
    pub(crate) async fn notice(&mut self) -> WebhookNotice {
        in_time(self.heard.recv()).await.unwrap()
    }

    pub(crate) async fn close(self) {
        in_time(self.service.stop()).await;
    }
}

/// How an exchange ended, and what was heard in it.
pub(crate) struct Ending<T> {
    /// None where a request was left without an answer.
    pub(crate) step: Option<Step<T>>,
    pub(crate) replies: Vec<HttpReply>,
}

impl<T: Debug> Ending<T> {
    pub(crate) fn done(self) -> T {
        match self.step {
            Some(Step::Done(value)) => value,
            other => panic!("expected an end, got {other:?}"),
        }
    }

    pub(crate) fn failed(self) -> cashier_provider_sdk::ProviderFailure {
        match self.step {
            Some(Step::Failed(failure)) => failure,
            other => panic!("expected a failure, got {other:?}"),
        }
    }
}

async fn hook() -> (String, mpsc::UnboundedReceiver<WebhookNotice>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/cashier/webhook/sandbox/7", listener.local_addr().unwrap());
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            let listening = service_fn(move |request: http::Request<Incoming>| {
                let tell = tell.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let notice = WebhookNotice {
                        provider: "sandbox".into(),
                        path: head.uri.path().into(),
                        method: head.method.as_str().into(),
                        headers: pairs(&head.headers),
                        body: body.collect().await?.to_bytes().to_vec(),
                        content_type: head.headers["content-type"].to_str().unwrap().into(),
                        received_unix: NOW,
                        ..WebhookNotice::default()
                    };
                    let _ = tell.send(notice);
                    Ok::<_, hyper::Error>(http::Response::new(Full::<Bytes>::default()))
                }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), listening));
        }
    });
    (url, heard)
}

fn pairs(headers: &http::HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.as_str().into(), value.to_str().unwrap().into())).collect()
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it came to an end")
}

/// Stands at [`NOW`]; every wait is over at once.
struct StoppedClock;

impl SandboxClock for StoppedClock {
    fn now_unix(&self) -> i64 {
        NOW
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(ready(()))
    }
}
