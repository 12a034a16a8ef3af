//! An endpoint's reply: status, JSON body (or a provider's own acknowledgement), and the time spent waiting for providers.
//! The published codes become HTTP statuses here.

use std::time::Duration;

use bytes::Bytes;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::texts::Texts;
use cashier_core::transaction::Transaction;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::http::piece_stream::PieceStream;
use crate::wire::pieces::{AnswerBody, SendTime};
use crate::wire::refusal::RefusalBody;
use crate::wire::write;

/// Seconds after which a refused client may retry: long enough to let a queue drain, short enough for a person.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");

/// Time a request spent waiting for providers; the accept loop leaves it out of `x-own-latency-us`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProviderWait(pub Duration);

/// What an endpoint answers.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: ReplyBody,
    provider_wait: ProviderWait,
    send_time: SendTime,
}

#[derive(Debug)]
enum ReplyBody {
    Whole(Bytes),
    Pieces(PieceStream),
}

impl From<Bytes> for ReplyBody {
    fn from(whole: Bytes) -> Self {
        Self::Whole(whole)
    }
}

impl From<AnswerBody> for ReplyBody {
    fn from(body: AnswerBody) -> Self {
        match body {
            AnswerBody::Whole(whole) => Self::Whole(Bytes::from_owner(whole)),
            AnswerBody::Pieces(pieces) => Self::Pieces(PieceStream::new(pieces)),
        }
    }
}

impl Reply {
    /// A JSON body under a status number; a number that is no HTTP status is an error of ours and becomes 500.
    pub fn json(number: u16, body: impl Into<AnswerBody>) -> Self {
        let status = StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Replies show one customer's money; no cache on the way may store them.
        let mut headers = vec![(CONTENT_TYPE, JSON), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        // A retry can cure these.
        if matches!(number, 429 | 503) {
            headers.push((RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        let body: AnswerBody = body.into();
        let send_time = body.send_time();
        Self { status, headers, body: body.into(), provider_wait: ProviderWait::default(), send_time }
    }

    /// A list as CSV.
    pub fn csv(body: AnswerBody) -> Self {
        let mut reply = Self::json(StatusCode::OK.as_u16(), body);
        reply.headers.retain(|(name, _)| name != CONTENT_TYPE);
        reply.headers.push((CONTENT_TYPE, CSV));
        reply
    }

    /// 200 with an answer as JSON.
    pub fn success(answer: &impl Serialize) -> Self {
        write::json(answer).map(|body| Self::json(StatusCode::OK.as_u16(), body)).into()
    }

    /// The published error body under its number.
    pub fn refused(refusal: &Refusal) -> Self {
        Self::refused_with(refusal, None)
    }

    /// The same with the transaction that the refusal ended.
    pub fn refused_with(refusal: &Refusal, transaction: Option<(&Transaction, &Texts)>) -> Self {
        let body = write::json(&RefusalBody::new(refusal, transaction)).unwrap_or_default();
        let mut reply = Self::json(refusal.code.number(), body);
        if refusal.retry_after_seconds > 0 {
            reply.headers.retain(|(name, _)| name != RETRY_AFTER);
            reply.headers.push((RETRY_AFTER, refusal.retry_after_seconds.into()));
        }
        reply
    }

    /// 405 naming the methods that the path takes.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let refusal = Refusal::new(RefusalCode::MethodNotAllowed, format!("this path takes {allowed}"));
        let mut reply = Self::refused(&refusal);
        reply.headers.push((ALLOW, HeaderValue::from_static(allowed)));
        reply
    }

    pub fn not_found() -> Self {
        Self::refused(&Refusal::new(RefusalCode::NotFound, "there is nothing at this path"))
    }

    /// Plain text, for the watch listener.
    pub fn text(number: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let status = StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let body: Bytes = body.into();
        Self {
            status,
            headers,
            body: body.into(),
            provider_wait: ProviderWait::default(),
            send_time: SendTime::default(),
        }
    }

    /// The acknowledgement that a module wants its provider to receive. Headers that HTTP cannot carry are left out and
    /// logged.
    pub fn acknowledgement(status: u16, headers: &[(Box<str>, Box<str>)], body: Bytes) -> Self {
        let mut reply = Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: body.into(),
            provider_wait: ProviderWait::default(),
            send_time: SendTime::default(),
        };
        match StatusCode::from_u16(status) {
            Ok(known) if !known.is_informational() => reply.status = known,
            Ok(_) | Err(_) => {
                tracing::error!(status, "acknowledgement status of a module was invalid, sent 200 instead")
            }
        }
        for (name, value) in headers {
            let read = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
            match read {
                (Ok(name), Ok(value)) if !belongs_to_the_connection(&name) => reply.headers.push((name, value)),
                _ => tracing::error!(header = %name.escape_debug(), "acknowledgement header of a module was left out"),
            }
        }
        reply
    }

    /// Notes the time that was spent waiting for a provider.
    pub fn after(mut self, provider_time: Duration) -> Self {
        self.provider_wait = ProviderWait(provider_time);
        self
    }

    /// The response with a body that is whole.
    #[cfg(test)]
    pub(super) fn into_http(self) -> Response<Bytes> {
        let ReplyBody::Whole(body) = &self.body else { panic!("it is written piece by piece") };
        let mut response = Response::new(body.clone());
        self.write_head(&mut response);
        response
    }

    fn write_head<B>(self, response: &mut Response<B>) {
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response.extensions_mut().insert(self.provider_wait);
        response.extensions_mut().insert(self.send_time);
    }
}

/// Headers about the connection, which the accept loop sets.
fn belongs_to_the_connection(name: &HeaderName) -> bool {
    use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
    [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE].contains(name)
}

impl warp::Reply for Reply {
    fn into_response(mut self) -> warp::reply::Response {
        let mut response = match std::mem::replace(&mut self.body, ReplyBody::Whole(Bytes::new())) {
            ReplyBody::Whole(body) => Response::new(body).into_response(),
            ReplyBody::Pieces(pieces) => warp::reply::stream(pieces).into_response(),
        };
        self.write_head(&mut response);
        response
    }
}

impl From<Result<Self, Refusal>> for Reply {
    fn from(result: Result<Self, Refusal>) -> Self {
        result.unwrap_or_else(|refusal| Self::refused(&refusal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_refusal_becomes_an_http_reply_with_its_body() {
        for code in RefusalCode::ALL {
            let response = Reply::refused(&Refusal::new(*code, "why")).into_http();
            assert_eq!(response.status().as_u16(), code.number());
            assert_eq!(response.body(), format!("{{\"error\":\"{}\",\"message\":\"why\"}}", code.text()).as_bytes());
            let may_retry = response.headers().contains_key(RETRY_AFTER);
            assert_eq!(may_retry, [429, 503].contains(&code.number()), "{code:?}");
        }
    }

    #[test]
    fn an_acknowledgement_keeps_its_headers_except_those_of_the_connection() {
        let headers = [("content-type", "text/plain"), ("Content-Length", "9"), ("bad name", "x"), ("x-a", "b\r\nc")];
        let headers = headers.map(|(name, value)| (Box::from(name), Box::from(value)));
        let response = Reply::acknowledgement(202, &headers, Bytes::from_static(b"[accepted]")).into_http();
        assert_eq!((response.status().as_u16(), response.headers().len()), (202, 1));
        assert_eq!(Reply::acknowledgement(99, &[], Bytes::new()).status, StatusCode::OK);
        assert_eq!(Reply::acknowledgement(101, &[], Bytes::new()).status, StatusCode::OK);
    }
}
