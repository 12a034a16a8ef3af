//! Reads and validates what a merchant sends; an error names the wrong field. Decides nothing about payments.

use std::net::IpAddr;

use http::Uri;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api_error::ApiError;
use crate::switch::{METADATA_KEY, SWITCHES_MAX, Switch, is_currency, is_reference, read_list};
use crate::wire::{PaymentRequest, RefundRequest};

/// Bytes of a URL: browsers and proxies cut longer ones.
const URL_BYTES_MAX: usize = 500;
/// Pairs of metadata, and bytes of a key and a value: what larger providers allow.
const METADATA_PAIRS_MAX: usize = 50;
const METADATA_KEY_BYTES_MAX: usize = 64;
const METADATA_VALUE_BYTES_MAX: usize = 500;
/// Characters of a method name and of a text shown on the page.
const METHOD_CHARS_MAX: usize = 32;
const TEXT_CHARS_MAX: usize = 200;
/// Characters of an idempotency key: what larger providers allow.
const KEY_CHARS_MAX: usize = 255;

/// A request with the digest that identifies its body under an idempotency key.
pub(crate) struct Fingerprinted<T> {
    pub(crate) request: T,
    pub(crate) fingerprint: [u8; 32],
}

/// The validated body of a create call, and the switches of its metadata and of its field in one list.
pub(crate) fn payment(
    body: &[u8],
    remote_notify: bool,
) -> Result<(Fingerprinted<PaymentRequest>, Vec<Switch>), ApiError> {
    let read: Fingerprinted<PaymentRequest> = json("payments", body)?;
    let request = &read.request;
    if !is_reference(&request.reference) {
        return Err(ApiError::invalid("`reference` needs 1..=64 visible ASCII characters"));
    }
    if request.amount.is_zero() {
        return Err(ApiError::invalid("`amount` must be above zero"));
    }
    if !is_currency(&request.currency) {
        return Err(ApiError::invalid("`currency` needs 3..=10 characters A-Z0-9"));
    }
    text("method", &request.method, METHOD_CHARS_MAX)?;
    text("description", &request.description, TEXT_CHARS_MAX)?;
    notify_url(&request.notify_url, remote_notify)?;
    return_url("success_url", &request.success_url)?;
    return_url("failure_url", &request.failure_url)?;
    if request.metadata.len() > METADATA_PAIRS_MAX {
        return Err(ApiError::invalid(format!("`metadata` takes at most {METADATA_PAIRS_MAX} pairs")));
    }
    for (key, value) in &request.metadata {
        if key.len() > METADATA_KEY_BYTES_MAX || value.len() > METADATA_VALUE_BYTES_MAX {
            return Err(ApiError::invalid(format!(
                "`metadata` takes keys up to {METADATA_KEY_BYTES_MAX} and values up to {METADATA_VALUE_BYTES_MAX} bytes"
            )));
        }
    }
    let mut switches = match request.metadata.get(METADATA_KEY) {
        Some(list) => {
            read_list(list).map_err(|error| ApiError::invalid(format!("`metadata.{METADATA_KEY}`: {error}")))?
        }
        None => Vec::new(),
    };
    switches.extend(request.switches.iter().cloned());
    check_switch_count(&switches)?;
    Ok((read, switches))
}

/// Body of a refund call; an empty one refunds the remaining amount.
pub(crate) fn refund(payment: &str, body: &[u8]) -> Result<Fingerprinted<RefundRequest>, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let read: Fingerprinted<RefundRequest> = json(&format!("refunds of {payment}"), body)?;
    text("reason", &read.request.reason, TEXT_CHARS_MAX)?;
    if !read.request.reference.is_empty() && !is_reference(&read.request.reference) {
        return Err(ApiError::invalid("`reference` needs at most 64 visible ASCII characters"));
    }
    Ok(read)
}

/// Any other JSON body.
pub(crate) fn plain<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::invalid(error.to_string()))
}

pub(crate) fn check_switch_count(switches: &[Switch]) -> Result<(), ApiError> {
    if switches.len() > SWITCHES_MAX {
        return Err(ApiError::invalid(format!("at most {SWITCHES_MAX} switches")));
    }
    Ok(())
}

pub(crate) fn reason(reason: &str) -> Result<(), ApiError> {
    text("reason", reason, TEXT_CHARS_MAX)
}

/// The value of `Idempotency-Key`.
pub(crate) fn key(header: Option<String>) -> Result<String, ApiError> {
    let key = header.ok_or_else(|| ApiError::invalid("header `Idempotency-Key` is required"))?;
    if key.is_empty() || key.len() > KEY_CHARS_MAX || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ApiError::invalid(format!("`Idempotency-Key` needs 1..={KEY_CHARS_MAX} visible ASCII characters")));
    }
    Ok(key)
}

/// The digest is over the parsed value, so white space and field order do not change it.
fn json<T: DeserializeOwned>(purpose: &str, body: &[u8]) -> Result<Fingerprinted<T>, ApiError> {
    let request = plain(body)?;
    let value: Value = plain(body)?;
    let fingerprint =
        Sha256::new().chain_update(purpose).chain_update([0]).chain_update(value.to_string()).finalize().into();
    Ok(Fingerprinted { request, fingerprint })
}

fn text(field: &str, value: &str, chars_max: usize) -> Result<(), ApiError> {
    if value.chars().count() > chars_max || value.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "`{field}` takes at most {chars_max} characters and no control characters"
        )));
    }
    Ok(())
}

fn notify_url(url: &str, remote: bool) -> Result<(), ApiError> {
    if url.is_empty() {
        return Ok(());
    }
    let uri = absolute(url).filter(|uri| uri.scheme_str() == Some("http"));
    let Some(host) = uri.as_ref().and_then(Uri::host) else {
        return Err(ApiError::invalid(format!(
            "`notify_url` must be an absolute http:// URL of at most {URL_BYTES_MAX} bytes"
        )));
    };
    if remote || is_loopback(host) {
        return Ok(());
    }
    Err(ApiError::invalid(
        "`notify_url` must name a loopback host; the operator may allow others with --allow-remote-notify",
    ))
}

fn return_url(field: &str, url: &str) -> Result<(), ApiError> {
    let http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    if url.is_empty() || absolute(url).as_ref().is_some_and(http) {
        return Ok(());
    }
    Err(ApiError::invalid(format!("`{field}` must be an absolute http(s):// URL of at most {URL_BYTES_MAX} bytes")))
}

/// A URL with scheme and host and without a user part, which would hide the real host from a reader.
pub(crate) fn absolute(url: &str) -> Option<Uri> {
    if url.len() > URL_BYTES_MAX {
        return None;
    }
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.as_str();
    (uri.scheme().is_some() && !authority.contains('@') && uri.host().is_some_and(|host| !host.is_empty()))
        .then_some(uri)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_notify_url_is_refused_unless_allowed() {
        for url in ["", "http://127.0.0.1:9/x", "http://[::1]:9/x?a=b", "http://LOCALHOST/", "http://127.8.8.8/"] {
            assert!(notify_url(url, false).is_ok(), "{url}");
        }
        for url in [
            "http://10.0.0.1/",
            "http://localhost.example.com/",
            "http://127.0.0.1@example.com/",
            "http://0.0.0.0/",
            "http://2130706433/",
        ] {
            assert!(notify_url(url, false).is_err(), "{url}");
        }
        assert!(notify_url("http://shop.example/", true).is_ok());
        for url in ["https://127.0.0.1/", "/hook", "ftp://127.0.0.1/", "http://u@127.0.0.1/", "http:///x"] {
            assert!(notify_url(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn a_return_url_that_is_not_http_is_refused() {
        for url in
            ["javascript:alert(1)", "data:text/html,x", "//example.com", "/x", "http://a\r\nb/", "https://u:p@x/"]
        {
            assert!(return_url("success_url", url).is_err(), "{url:?}");
        }
        assert!(return_url("success_url", "https://shop.example/ok?id=1").is_ok());
    }
}
