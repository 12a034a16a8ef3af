//! Turns results into HTTP responses, and marks those that are never sent.

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use warp::reply::Response;

use crate::api_error::{ApiError, ApiErrorCode};
use crate::idempotency::RecordedAnswer;

/// A mark on a response that the server does not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Close the connection.
    Drop,
    /// Keep it open for `HANG`, then close it.
    Hang,
}

pub(crate) fn never_sent(how: NoAnswer) -> Response {
    let mut response = Response::new(Vec::new().into());
    response.extensions_mut().insert(how);
    response
}

pub(crate) fn json(status: u16, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => raw(status, "application/json", body),
        Err(error) => {
            tracing::error!(%error, "serializing a response failed");
            raw(
                500,
                "application/json",
                br#"{"error":{"code":"internal","message":"the answer could not be serialized"}}"#.to_vec(),
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

pub(crate) fn recorded(answer: &RecordedAnswer, replay: bool) -> Response {
    let mut response = raw(answer.status, "application/json", answer.body.to_vec());
    if replay {
        response.headers_mut().insert("idempotent-replay", HeaderValue::from_static("true"));
    }
    response
}

pub(crate) fn api_error(error: &ApiError) -> Response {
    let mut response = json(error.code.status(), &error.body());
    match error.code {
        ApiErrorCode::Busy => {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        ApiErrorCode::Unauthorized => {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        ApiErrorCode::InvalidRequest
        | ApiErrorCode::Declined
        | ApiErrorCode::NotFound
        | ApiErrorCode::MethodNotAllowed
        | ApiErrorCode::NotAllowed
        | ApiErrorCode::IdempotencyConflict
        | ApiErrorCode::TooLarge
        | ApiErrorCode::Internal => {}
    }
    response
}

/// The value as JSON, or the error.
pub(crate) fn result<T: Serialize>(status: u16, outcome: Result<T, ApiError>) -> Response {
    match outcome {
        Ok(value) => json(status, &value),
        Err(error) => api_error(&error),
    }
}
