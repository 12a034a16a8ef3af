//! Codes in the records: open numbers instead of enums, so that an unknown code is a value and not undefined
//! behaviour. Each code documents how the host treats an unknown value.

use abi_stable::StableAbi;

/// Declares an open code and its known values.
macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $name:ident { $( $(#[$value_doc:meta])* $value:ident = $number:literal, )* }
    )*) => { $(
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(
            /// The number in the record.
            pub u8,
        );

        impl $name {
            $( $(#[$value_doc])* pub const $value: Self = Self($number); )*
        }
    )* };
}

codes! {
    /// What a call returns. An unknown code is a failure with an unknown outcome.
    StepCode {
        /// `send` is set.
        SEND = 0,
        /// `done` is set.
        DONE = 1,
        /// `failed` is set.
        FAILED = 2,
        /// The module has no such call.
        UNSUPPORTED = 3,
    }

    /// How an exchange failed. An unknown code is an unknown outcome.
    FailureCode {
        /// The provider declined the payment; no money was taken.
        DECLINED = 0,
        /// The provider refused the request and did nothing.
        REFUSED_REQUEST = 1,
        /// The provider has no such payment.
        NOT_FOUND = 2,
        /// The reply could not be parsed; the outcome is unknown.
        UNREADABLE_ANSWER = 3,
        /// Retry with the same key; the outcome is unknown.
        TEMPORARY = 4,
        /// A cached reply no longer works.
        STALE_REPLY = 5,
        /// The module panicked; the outcome is unknown.
        PANICKED = 6,
        /// The provider refused the config's credentials and did nothing.
        CREDENTIALS_REFUSED = 7,
    }

    /// A payment's normalized status. An unknown code is `UNKNOWN`.
    StatusCode {
        /// The module does not know the provider's status.
        UNKNOWN = 0,
        /// Not paid yet.
        PENDING = 1,
        /// Paid.
        CONFIRMED = 2,
        /// This attempt failed.
        FAILED = 3,
        /// Cancelled or expired.
        CANCELLED = 4,
        /// Refunded, in full or in part.
        REFUNDED = 5,
        /// Disputed or charged back.
        CHARGEBACK = 6,
        /// The dispute was won or withdrawn.
        CHARGEBACK_REVERSED = 7,
        /// A person must decide.
        MANUAL_REVIEW = 8,
        /// The provider itself has not decided yet.
        IN_REVIEW = 9,
        /// A refund did not reach the customer.
        REFUND_FAILED = 10,
    }

    /// The verdict on a webhook. An unknown code is `UNDETERMINED`.
    VerdictCode {
        /// The signature is valid.
        VERIFIED = 0,
        /// It is not the provider's.
        REJECTED = 1,
        /// It cannot be verified.
        UNDETERMINED = 2,
        /// The signature is valid over every byte, and what matters cannot be read.
        UNREADABLE = 3,
        /// The signature is valid, and the signed time is out of tolerance.
        UNTIMELY = 4,
    }

    /// What the customer does next. An unknown code is `WAIT`.
    NextCode {
        /// Nothing: the outcome is final.
        NONE = 0,
        /// The browser goes to the URL in `next_text`.
        REDIRECT = 1,
        /// The page displays the instructions in `next_text`.
        INSTRUCTIONS = 2,
        /// Nothing yet: the result follows.
        WAIT = 3,
    }

    /// What a refund's amount counts. An unknown code makes the update `MANUAL_REVIEW`.
    ReachCode {
        /// This refund only.
        DELTA = 0,
        /// Everything refunded so far.
        TOTAL_SO_FAR = 1,
    }

    /// The method of a request. The host does not send a request with an unknown code.
    MethodCode {
        /// `GET`
        GET = 0,
        /// `POST`
        POST = 1,
        /// `PUT`
        PUT = 2,
        /// `PATCH`
        PATCH = 3,
        /// `DELETE`
        DELETE = 4,
    }

    /// How the customer pays. An unknown code is `REDIRECT`.
    PaymentModeCode {
        /// On the provider's page.
        REDIRECT = 0,
        /// By following instructions.
        INSTRUCTIONS = 1,
        /// Inside the broker's page.
        EMBEDDED = 2,
    }

    /// What values a setting takes. An unknown code is `TEXT`.
    SettingCode {
        /// Any text.
        TEXT = 0,
        /// A whole number.
        INTEGER = 1,
        /// True or false.
        FLAG = 2,
        /// A URL.
        URL = 3,
        /// One of `choices`.
        CHOICE = 4,
    }
}

/// Declares a set of bits and its known bits; unknown bits are ignored.
macro_rules! bits {
    ($(
        $(#[$doc:meta])*
        $name:ident($number:ty) { $( $(#[$bit_doc:meta])* $bit:ident = $value:literal, )* }
    )*) => { $(
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(
            /// The bits in the record.
            pub $number,
        );

        impl $name {
            /// No bit.
            pub const NONE: Self = Self(0);
            $( $(#[$bit_doc])* pub const $bit: Self = Self($value); )*

            /// Whether `bit` is set.
            pub fn has(self, bit: Self) -> bool {
                self.0 & bit.0 != 0
            }

            /// With `bit` set as well, if `set`.
            #[must_use]
            pub fn with(self, bit: Self, set: bool) -> Self {
                if set { Self(self.0 | bit.0) } else { self }
            }
        }
    )* };
}

bits! {
    /// The optional calls that a module implements.
    CapabilityBits(u32) {
        /// `advance_payment`
        ADVANCE = 1,
        /// `query_status`
        QUERY = 2,
        /// `cancel_payment`
        CANCEL = 4,
        /// `refund_payment`
        REFUND = 8,
        /// A refund may be smaller than the payment.
        PARTIAL_REFUND = 16,
    }

    /// The properties of a setting.
    SettingBits(u8) {
        /// Stored encrypted and never displayed.
        SECRET = 1,
        /// An enabled config must have it.
        REQUIRED = 2,
        /// Decides where requests go.
        ENDPOINT = 4,
    }
}
