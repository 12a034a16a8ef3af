//! Codes that cross the border: open numbers, so that a reader meets one it does not know as a
//! value, not as undefined behaviour. What an unknown code means is the reader's decision.

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
        pub struct $name(pub u8);

        impl $name {
            $( $(#[$value_doc])* pub const $value: Self = Self($number); )*
        }
    )* };
}

codes! {
    /// What a module wants next.
    StepCode {
        SEND = 0,
        DONE = 1,
        FAILED = 2,
        UNSUPPORTED = 3,
    }

    /// How an exchange failed. An unknown code is an unknown outcome.
    FailureCode {
        DECLINED = 0,
        REFUSED_REQUEST = 1,
        NOT_FOUND = 2,
        UNREADABLE_ANSWER = 3,
        TEMPORARY = 4,
        STALE_REPLY = 5,
        PANICKED = 6,
    }

    /// A payment's status in the cashier's words. An unknown code is `UNKNOWN`.
    StatusCode {
        UNKNOWN = 0,
        PENDING = 1,
        CONFIRMED = 2,
        FAILED = 3,
        CANCELLED = 4,
        REFUNDED = 5,
        CHARGEBACK = 6,
        CHARGEBACK_REVERSED = 7,
        MANUAL_REVIEW = 8,
    }

    /// Whether a notice was verified. An unknown code is `UNDETERMINED`.
    VerdictCode {
        VERIFIED = 0,
        REJECTED = 1,
        UNDETERMINED = 2,
    }

    /// What the customer does next. An unknown code is `WAIT`.
    NextCode {
        NONE = 0,
        REDIRECT = 1,
        INSTRUCTIONS = 2,
        WAIT = 3,
    }

    /// What a refund's amount counts. An unknown code makes the update one for a person.
    ReachCode {
        DELTA = 0,
        TOTAL_SO_FAR = 1,
    }

    /// The method of a request. A request of an unknown method is not sent.
    MethodCode {
        GET = 0,
        POST = 1,
        PUT = 2,
        PATCH = 3,
        DELETE = 4,
    }

    /// How the customer pays. An unknown code is `REDIRECT`.
    PaymentModeCode {
        REDIRECT = 0,
        INSTRUCTIONS = 1,
        EMBEDDED = 2,
    }

    /// What a setting may hold. An unknown code is `TEXT`.
    SettingCode {
        TEXT = 0,
        INTEGER = 1,
        FLAG = 2,
        URL = 3,
        CHOICE = 4,
    }
}

/// Declares a set of bits and its known ones; unknown bits are ignored.
macro_rules! bits {
    ($(
        $(#[$doc:meta])*
        $name:ident($number:ty) { $( $bit:ident = $value:literal, )* }
    )*) => { $(
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub $number);

        impl $name {
            pub const NONE: Self = Self(0);
            $( pub const $bit: Self = Self($value); )*

            pub fn has(self, bit: Self) -> bool {
                self.0 & bit.0 != 0
            }

            #[must_use]
            pub fn with(self, bit: Self, set: bool) -> Self {
                if set { Self(self.0 | bit.0) } else { self }
            }
        }
    )* };
}

bits! {
    /// The optional calls a module makes.
    CapabilityBits(u32) {
        ADVANCE = 1,
        QUERY = 2,
        CANCEL = 4,
        REFUND = 8,
        PARTIAL_REFUND = 16,
    }

    /// What is particular about a setting.
    SettingBits(u8) {
        SECRET = 1,
        REQUIRED = 2,
        ENDPOINT = 4,
    }
}
