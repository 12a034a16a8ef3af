//! The published numbers (API.md section 1) as enums whose discriminants are the wire values.

macro_rules! numbered {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// Every value, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The published number.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The published word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value behind a published number.
            pub const fn from_number(number: i64) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

numbered! {
    /// Where a transaction stands.
    TransactionStatus {
        Created = 0 "created",
        PendingPayment = 1 "pending_payment",
        ProviderConfirmed = 2 "provider_confirmed",
        Credited = 3 "credited",
        CreditFailed = 4 "credit_failed",
        Failed = 5 "failed",
        Cancelled = 6 "cancelled",
        Refunded = 7 "refunded",
        Chargeback = 8 "chargeback",
        ManualReview = 9 "manual_review",
    }
    /// Which way the money goes.
    TransactionType {
        Deposit = 0 "deposit",
        Withdrawal = 1 "withdrawal",
    }
    /// Who began it: a provider's payment or a person's entry.
    Source {
        Provider = 0 "provider",
        Manual = 1 "manual",
    }
    /// What became of a provider event.
    ProcessingStatus {
        Pending = 0 "pending",
        Processed = 1 "processed",
        Failed = 2 "failed",
        Ignored = 3 "ignored",
    }
    /// What is known of a provider event's signature.
    SignatureStatus {
        Unknown = 0 "unknown",
        Valid = 1 "valid",
        Invalid = 2 "invalid",
    }
    /// The balance command sent to the trading server.
    OperationCmd {
        BalanceIn = 6 "BALANCE_IN",
        BalanceOut = 8 "BALANCE_OUT",
    }
    /// What became of a balance operation.
    OperationStatus {
        Planned = 0 "planned",
        Posted = 1 "posted",
        Refused = 2 "refused",
        /// Sent, and no answer was heard: it may or may not have happened.
        Unknown = 3 "unknown",
    }
    /// The trading balance reason.
    OperationReason {
        Deposit = 100 "cashier deposit",
        Withdrawal = 101 "cashier withdrawal",
        Reversal = 102 "cashier reversal",
    }
    /// What a provider says of a payment, in the module's normalized words; numbers are the border's codes.
    ProviderStatus {
        Unknown = 0 "unknown",
        Pending = 1 "pending",
        Confirmed = 2 "confirmed",
        Failed = 3 "failed",
        Cancelled = 4 "cancelled",
        Refunded = 5 "refunded",
        Chargeback = 6 "chargeback",
        ChargebackReversed = 7 "chargeback_reversed",
        ManualReview = 8 "manual_review",
    }
}

impl TransactionStatus {
    /// The provider's part is over: nothing more is expected, though late news may still change it.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Credited | Self::Failed | Self::Cancelled | Self::Refunded | Self::Chargeback => true,
            Self::Created
            | Self::PendingPayment
            | Self::ProviderConfirmed
            | Self::CreditFailed
            | Self::ManualReview => false,
        }
    }
}
