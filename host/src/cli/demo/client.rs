//! The demo's HTTP client: sends JSON, prints each request and its response.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::cli::terminal::{CliError, print_queued};

/// The responses of the demo are a few kilobytes.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct DemoClient {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A request of the demo.
pub(super) struct DemoRequest<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    /// The name that is printed for the token, and the token.
    pub(super) token: Option<(&'a str, &'a str)>,
    pub(super) body: Option<&'a str>,
}

impl<'a> DemoRequest<'a> {
    pub(super) fn get(url: &'a str, token: Option<(&'a str, &'a str)>) -> Self {
        Self { method: Method::GET, url, token, body: None }
    }

    pub(super) fn post(url: &'a str, token: Option<(&'a str, &'a str)>, body: &'a str) -> Self {
        Self { method: Method::POST, url, token, body: Some(body) }
    }
}

impl DemoClient {
    pub(super) fn new() -> Self {
        // Few requests, with waits between them in which a server would close an unused connection.
        Self { client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http() }
    }

    /// Sends a request and prints it with its response; any status but 200 is an error.
    pub(super) async fn show(&self, request: DemoRequest<'_>) -> Result<Value, CliError> {
        print_queued(&format!("  > {} {}", request.method, request.url));
        if let Some((name, _)) = request.token {
            print_queued(&format!("  > Authorization: <{name}>"));
        }
        if let Some(body) = request.body {
            print_queued(&format!("  > {body}"));
        }
        let (status, body) = self.send(&request).await?;
        let value: Value = serde_json::from_slice(&body)
            .map_err(|error| CliError(format!("{} answered {status} without JSON: {error}", request.url)))?;
        print_queued(&format!("  < {status} {}", String::from_utf8_lossy(&body)));
        if status == 200 { Ok(value) } else { Err(CliError(format!("{} answered {status}", request.url))) }
    }

    /// Sends without printing.
    pub(super) async fn send(&self, request: &DemoRequest<'_>) -> Result<(u16, Bytes), CliError> {
        let failed = |error: &dyn std::fmt::Display| CliError(format!("{}: {error}", request.url));
        let mut outgoing = Request::builder()
            .method(request.method.clone())
            .uri(request.url)
            .header("accept", "application/json")
            .header("content-type", "application/json");
        if let Some((_, token)) = request.token {
            outgoing = outgoing.header("authorization", token);
        }
        let body = Full::new(Bytes::copy_from_slice(request.body.unwrap_or("").as_bytes()));
        let outgoing = outgoing.body(body).map_err(|error| failed(&error))?;
        let response = self.client.request(outgoing).await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX);
        let body = body.collect().await.map_err(|error| failed(&error))?;
        Ok((status, body.to_bytes()))
    }
}
