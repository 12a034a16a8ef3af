//! Turns decisions into HTTP answers, and marks those that are never to be given.

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use warp::reply::Response;

use crate::keys::Answer;
use crate::refusal::{Refusal, RefusalCode};

/// A mark on an answer that the door does not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Close the connection.
    Drop,
    /// Keep it open for `HANG`, then close it.
    Hang,
}

pub(crate) fn silent(silence: Silence) -> Response {
    let mut response = Response::new(Vec::new().into());
    response.extensions_mut().insert(silence);
    response
}

pub(crate) fn json(status: u16, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => raw(status, "application/json", body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            raw(
                500,
                "application/json",
                br#"{"error":{"code":"internal","message":"no answer could be written"}}"#.to_vec(),
            )
        }
    }
}

pub(crate) fn raw(status: u16, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) fn kept(answer: &Answer, replay: bool) -> Response {
    let mut response = raw(answer.status, "application/json", answer.body.to_vec());
    if replay {
        response.headers_mut().insert("idempotent-replay", HeaderValue::from_static("true"));
    }
    response
}

pub(crate) fn refusal(refusal: &Refusal) -> Response {
    let mut response = json(refusal.code.status(), &refusal.body());
    match refusal.code {
        RefusalCode::Busy => {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        RefusalCode::Unauthorized => {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        RefusalCode::InvalidRequest
        | RefusalCode::Declined
        | RefusalCode::NotFound
        | RefusalCode::MethodNotAllowed
        | RefusalCode::NotAllowed
        | RefusalCode::IdempotencyConflict
        | RefusalCode::TooLarge
        | RefusalCode::Internal => {}
    }
    response
}

/// The value as JSON, or the refusal.
pub(crate) fn of<T: Serialize>(status: u16, outcome: Result<T, Refusal>) -> Response {
    match outcome {
        Ok(value) => json(status, &value),
        Err(no) => refusal(&no),
    }
}
