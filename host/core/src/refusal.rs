//! Every expected refusal with its published code and number. A refusal is for the client; a failure of the cashier or its
//! environment is a `Fault` of the host and is never shown to a client.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal $text:literal,)*) => {
        /// The published error codes (API.md sections 3 and 4).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RefusalCode { $($(#[$doc])* $variant,)* }

        impl RefusalCode {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The wire name.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The published number, which is also the HTTP status.
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }
        }
    };
}

codes! {
    InvalidData = 400 "INVALID_DATA",
    CurrencyConversionRequired = 400 "CURRENCY_CONVERSION_REQUIRED",
    MethodNotAvailable = 400 "METHOD_NOT_AVAILABLE",
    AmountOutOfRange = 400 "AMOUNT_OUT_OF_RANGE",
    /// Bad signature, no secret, unknown provider or config: one body for all of them.
    InvalidSignature = 401 "INVALID_SIGNATURE",
    Unauthorized = 401 "RET_UNAUTHORIZED",
    PermissionDenied = 403 "PERMISSION_DENIED",
    DepositNotAllowed = 403 "DEPOSIT_NOT_ALLOWED",
    WithdrawalNotAllowed = 403 "WITHDRAWAL_NOT_ALLOWED",
    AccountDisabled = 403 "ACCOUNT_DISABLED",
    NotFound = 404 "RET_ERR_NOTFOUND",
    MethodNotAllowed = 405 "METHOD_NOT_ALLOWED",
    RequestTimeout = 408 "REQUEST_TIMEOUT",
    IdempotencyConflict = 409 "IDEMPOTENCY_CONFLICT",
    Duplicate = 409 "RET_ERR_DUPLICATE",
    /// The approval is expired, or what it was asked for changed since.
    ApprovalStale = 409 "APPROVAL_STALE",
    /// What was shown of the transaction with the ground of the request is not all that is known by now.
    TransactionChanged = 409 "TRANSACTION_CHANGED",
    /// A config that served, or may have, cannot be deleted for good.
    ConfigInUse = 409 "CONFIG_IN_USE",
    /// A manual deposit beside a provider deposit that may be the same money.
    OpenDepositExists = 409 "OPEN_DEPOSIT_EXISTS",
    /// The account holds less than the posting takes.
    InsufficientBalance = 409 "INSUFFICIENT_BALANCE",
    /// The trading server refused the posting for another reason than the balance.
    PostingRefused = 409 "POSTING_REFUSED",
    /// Another refund of the transaction has not ended.
    RefundUnderWay = 409 "REFUND_UNDER_WAY",
    /// The transaction is at a status that does not permit it.
    WrongStatus = 409 "WRONG_STATUS",
    /// Persons decided about the transaction as often as may be.
    TooManyDecisions = 409 "TOO_MANY_DECISIONS",
    BodyTooLarge = 413 "BODY_TOO_LARGE",
    Frequent = 429 "RET_ERR_FREQUENT",
    Internal = 500 "INTERNAL_ERROR",
    ProviderDeclined = 502 "PROVIDER_DECLINED",
    ProviderUnavailable = 503 "PROVIDER_UNAVAILABLE",
    StorageUnavailable = 503 "STORAGE_UNAVAILABLE",
}

/// An expected refusal: a published code and a sentence for the client. Never holds a secret or an internal detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    pub message: String,
    /// When a repetition may succeed, where that is known; 0 is as soon as can be.
    pub retry_after_seconds: u64,
    /// The rows of the page take more bytes than they may: a page of fewer may have an answer.
    pub fewer_rows: bool,
}

impl Refusal {
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_seconds: 0, fewer_rows: false }
    }

    /// 400 INVALID_DATA naming the field that is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(RefusalCode::InvalidData, message)
    }

    /// 400 INVALID_DATA for a page whose rows take too many bytes.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self { fewer_rows: true, ..Self::invalid(message) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.text(), self.message)
    }
}

impl std::error::Error for Refusal {}
