//! Checks a request as a module states it and makes it ready to send; reads a reply within its limits. Opens no connection.

use bytes::Bytes;
use cashier_provider_sdk::HttpReply;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use super::target::Target;
use super::types::{EgressRequest, REPLY_BYTES_MAX, REQUEST_BYTES_MAX, UnknownOutcome};

/// Header lines of a request and their bytes; servers commonly refuse more than 100 lines or 16 KiB.
const REQUEST_HEADERS_MAX: usize = 64;
const REQUEST_HEADER_BYTES_MAX: usize = 16 * 1024;

/// The user agent where the module states none: some firewalls refuse requests without one.
const USER_AGENT: &str = concat!("cashier/", env!("CARGO_PKG_VERSION"));

/// The methods that a module may use.
const METHODS: &[Method] = &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];

/// Headers about the connection and the framing, which the host alone sets.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Makes a request ready to send.
///
/// # Errors
/// Why it may not be sent; without header values.
pub(super) fn outgoing(request: EgressRequest, target: &Target) -> Result<Request<Full<Bytes>>, String> {
    let method = Method::from_bytes(request.method.as_bytes())
        .ok()
        .filter(|method| METHODS.contains(method))
        .ok_or("the method is not allowed")?;
    if request.body.len() > REQUEST_BYTES_MAX {
        return Err(format!("the body of {} bytes is larger than {REQUEST_BYTES_MAX}", request.body.len()));
    }
    // Servers expect a body with these (RFC 9110, 8.6), and hyper sets the length only when there is one.
    let length_zero = request.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method);
    let mut outgoing = Request::new(Full::new(request.body));
    *outgoing.method_mut() = method;
    *outgoing.version_mut() = Version::HTTP_11;
    *outgoing.uri_mut() = target.request_target.parse().map_err(|_| "the path or query is not valid")?;
    *outgoing.headers_mut() = headers(&request.headers, target)?;
    if length_zero {
        outgoing.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(outgoing)
}

fn headers(stated: &[(String, String)], target: &Target) -> Result<HeaderMap, String> {
    let bytes: usize = stated.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    if stated.len() > REQUEST_HEADERS_MAX || bytes > REQUEST_HEADER_BYTES_MAX {
        return Err(format!("the headers are more than {REQUEST_HEADERS_MAX} or {REQUEST_HEADER_BYTES_MAX} bytes"));
    }
    let mut headers = HeaderMap::with_capacity(stated.len().saturating_add(3));
    let host = HeaderValue::from_str(&target.authority).map_err(|_| "the host cannot be a header")?;
    headers.insert(header::HOST, host);
    for (name, value) in stated {
        // The text may be a value in place of the name, so the error does not quote it.
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is not valid")?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(format!("only the host sets the header {name}"));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| format!("the value of header {name} is not valid"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    // No compression: a small compressed reply could unpack to gigabytes.
    headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    Ok(headers)
}

/// Reads a reply to its end.
pub(super) async fn incoming(reply: Response<Incoming>) -> Result<HttpReply, UnknownOutcome> {
    let (head, mut body) = reply.into_parts();
    if head.status.is_informational() {
        return Err(UnknownOutcome::Malformed(format!("status {} does not end a reply", head.status.as_u16())));
    }
    if body.size_hint().lower() > REPLY_BYTES_MAX as u64 {
        return Err(UnknownOutcome::TooLarge);
    }
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unknown(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len().saturating_add(data.len()) > REPLY_BYTES_MAX {
            return Err(UnknownOutcome::TooLarge);
        }
        read.extend_from_slice(&data);
    }
    let lossy = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), lossy(value))).collect();
    Ok(HttpReply { status: head.status.as_u16(), headers, body: read })
}

/// Why a request that may have left got no reply. Errors of hyper and of sockets do not quote what was read.
pub(super) fn unknown(error: &hyper::Error) -> UnknownOutcome {
    if error.is_parse() {
        return UnknownOutcome::Malformed(error.to_string());
    }
    match std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>()) {
        Some(cause) => UnknownOutcome::Broken(format!("{error}: {cause}")),
        None => UnknownOutcome::Broken(error.to_string()),
    }
}
