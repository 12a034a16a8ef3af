//! Every no this service has, with its published word and HTTP status.

use crate::wire::{ErrorBody, ErrorDetail};

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCode {
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

impl RefusalCode {
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

    /// The published word.
    pub const fn word(self) -> &'static str {
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

/// A refusal with what the asker may know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    pub message: String,
    pub payment: Option<String>,
}

impl Refusal {
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), payment: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RefusalCode::InvalidRequest, message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(RefusalCode::NotFound, "there is no such thing here")
    }

    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(RefusalCode::NotAllowed, message)
    }

    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code.word().to_owned(),
                message: self.message.clone(),
                payment: self.payment.clone(),
            },
        }
    }
}
