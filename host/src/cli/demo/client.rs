//! The demo's HTTP client: sends JSON, shows what was sent and what came back.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::cli::{CliError, say};

/// The demo's own answers are a few kilobytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct Teller {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A request of the story.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    /// The name under which the token is shown, and the token.
    pub(super) token: Option<(&'a str, &'a str)>,
    pub(super) body: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub(super) fn get(url: &'a str, token: Option<(&'a str, &'a str)>) -> Self {
        Self { method: Method::GET, url, token, body: None }
    }

    pub(super) fn post(url: &'a str, token: Option<(&'a str, &'a str)>, body: &'a str) -> Self {
        Self { method: Method::POST, url, token, body: Some(body) }
    }
}

impl Teller {
    pub(super) fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Sends a request and prints it with its answer; anything but 200 ends the story.
    pub(super) async fn tell(&self, call: Call<'_>) -> Result<Value, CliError> {
        say(&format!("  > {} {}", call.method, call.url));
        if let Some((name, _)) = call.token {
            say(&format!("  > Authorization: <{name}>"));
        }
        if let Some(body) = call.body {
            say(&format!("  > {body}"));
        }
        let (status, body) = self.send(&call).await?;
        let value: Value = serde_json::from_slice(&body)
            .map_err(|error| CliError(format!("{} answered {status} and no JSON: {error}", call.url)))?;
        say(&format!("  < {status} {}", String::from_utf8_lossy(&body)));
        if status == 200 { Ok(value) } else { Err(CliError(format!("{} answered {status}", call.url))) }
    }

    /// Sends without printing.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<(u16, Bytes), CliError> {
        let broken = |error: &dyn std::fmt::Display| CliError(format!("{}: {error}", call.url));
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(call.url)
            .header("accept", "application/json")
            .header("content-type", "application/json");
        if let Some((_, token)) = call.token {
            request = request.header("authorization", token);
        }
        let body = Full::new(Bytes::copy_from_slice(call.body.unwrap_or("").as_bytes()));
        let request = request.body(body).map_err(|error| broken(&error))?;
        let answer = self.client.request(request).await.map_err(|error| broken(&error))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|error| broken(&error))?;
        Ok((status, body.to_bytes()))
    }
}
