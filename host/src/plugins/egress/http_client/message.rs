//! A request as a module states it, checked and made ready to send; and an answer read within its limits.

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use super::target::Target;
use super::{EgressReply, EgressRequest, Unknown};

/// Largest request body. Payment orders take a few KiB; 1 MiB is the host's own limit for bodies (API.md section 3).
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Largest answer body. A payment's answer takes a few KiB, a list of a day's some hundred.
pub const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Header lines of a request and their bytes; servers commonly refuse more than 100 lines or 16 KiB.
const REQUEST_HEADERS_MAX: usize = 64;
const REQUEST_HEADER_BYTES_MAX: usize = 16 * 1024;

/// Who asks, where the module does not say: some firewalls refuse requests without it.
const USER_AGENT: &str = concat!("cashier/", env!("CARGO_PKG_VERSION"));

/// What a provider module may ask.
const METHODS: &[Method] = &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];

/// Headers about the connection and the framing, which are the host's alone.
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
/// Why it may not be sent; header values are not told.
pub(super) fn outgoing(request: EgressRequest, target: &Target) -> Result<Request<Full<Bytes>>, String> {
    let method = Method::from_bytes(request.method.as_bytes())
        .ok()
        .filter(|method| METHODS.contains(method))
        .ok_or("the method is none that a provider is asked with")?;
    if request.body.len() > REQUEST_BYTES_MAX {
        return Err(format!("the body of {} bytes is larger than {REQUEST_BYTES_MAX}", request.body.len()));
    }
    // Servers expect a body of these (RFC 9110, 8.6), and hyper tells the length only of one that is there.
    let says_empty = request.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method);
    let mut outgoing = Request::new(Full::new(request.body));
    *outgoing.method_mut() = method;
    *outgoing.version_mut() = Version::HTTP_11;
    *outgoing.uri_mut() = target.request_target.parse().map_err(|_| "the path or query is not valid")?;
    *outgoing.headers_mut() = headers(&request.headers, target)?;
    if says_empty {
        outgoing.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(outgoing)
}

fn headers(stated: &[(Box<str>, Box<str>)], target: &Target) -> Result<HeaderMap, String> {
    let bytes: usize = stated.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
    if stated.len() > REQUEST_HEADERS_MAX || bytes > REQUEST_HEADER_BYTES_MAX {
        return Err(format!("the headers are more than {REQUEST_HEADERS_MAX} or {REQUEST_HEADER_BYTES_MAX} bytes"));
    }
    let mut headers = HeaderMap::with_capacity(stated.len().saturating_add(3));
    let host = HeaderValue::from_str(&target.authority).map_err(|_| "the host cannot be a header")?;
    headers.insert(header::HOST, host);
    for (name, value) in stated {
        // The text may be a value that slipped into the name's place, so it is not told either.
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header's name is not valid")?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(format!("the header {name} is the host's"));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| format!("the value of header {name} is not valid"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    // Modules read bytes as sent; an answer that unpacks to gigabytes has no limit of its size.
    headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    Ok(headers)
}

/// Reads an answer to its end.
pub(super) async fn incoming(answer: Response<Incoming>) -> Result<EgressReply, Unknown> {
    let (head, mut body) = answer.into_parts();
    if head.status.is_informational() {
        return Err(Unknown::Garbage(format!("status {} ends no answer", head.status.as_u16())));
    }
    if body.size_hint().lower() > ANSWER_BYTES_MAX as u64 {
        return Err(Unknown::TooLarge);
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unknown(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len().saturating_add(data.len()) > ANSWER_BYTES_MAX {
            return Err(Unknown::TooLarge);
        }
        read.extend_from_slice(&data);
    }
    let lossy = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().into(), lossy(value))).collect();
    Ok(EgressReply { status: head.status.as_u16(), headers, body: read.freeze() })
}

/// What went wrong with a request that may have left. Neither hyper's errors nor a socket's tell what was read.
pub(super) fn unknown(error: &hyper::Error) -> Unknown {
    if error.is_parse() {
        return Unknown::Garbage(error.to_string());
    }
    match std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>()) {
        Some(cause) => Unknown::Broken(format!("{error}: {cause}")),
        None => Unknown::Broken(error.to_string()),
    }
}
