//! Every error that the API answers, with its published code and HTTP status.

use crate::wire::{ErrorBody, ErrorDetail};

/// The published error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiErrorCode {
    InvalidRequest,
    Unauthorized,
    Declined,
    NotFound,
    MethodNotAllowed,
    NotAllowed,
    IdempotencyConflict,
    TooLarge,
    Busy,
    Internal,
}

impl ApiErrorCode {
    pub const ALL: [Self; 10] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::Declined,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAllowed,
        Self::IdempotencyConflict,
        Self::TooLarge,
        Self::Busy,
        Self::Internal,
    ];

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::Declined => "declined",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAllowed => "not_allowed",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status it is answered with.
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthorized => 401,
            Self::Declined => 402,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAllowed | Self::IdempotencyConflict => 409,
            Self::TooLarge => 413,
            Self::Busy => 429,
            Self::Internal => 500,
        }
    }
}

/// An error as the client of the API gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub code: ApiErrorCode,
    pub message: String,
    pub payment: Option<String>,
}

impl ApiError {
    pub fn new(code: ApiErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), payment: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ApiErrorCode::InvalidRequest, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(ApiErrorCode::NotFound, "no such payment, delivery or path")
    }

    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(ApiErrorCode::NotAllowed, message)
    }

    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code.as_str().to_owned(),
                message: self.message.clone(),
                payment: self.payment.clone(),
            },
        }
    }
}
