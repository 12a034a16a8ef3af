//! The published numbers (API.md section 1) as enums whose discriminants are the wire values.

use crate::numbered::numbered;

numbered! {
    /// The status of a transaction.
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
    /// The direction of the money.
    TransactionType {
        Deposit = 0,
        Withdrawal = 1,
    }
    /// Its origin: a provider's payment or a person's entry.
    Source {
        Provider = 0,
        Manual = 1,
    }
    /// The processing state of a provider event.
    ProcessingStatus {
        Pending = 0 "pending",
        Processed = 1 "processed",
        Failed = 2 "failed",
        Ignored = 3 "ignored",
    }
    /// The result of checking a provider event's signature.
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
    /// The state of a balance operation.
    OperationStatus {
        Planned = 0 "planned",
        Posted = 1 "posted",
        Refused = 2 "refused",
        /// Sent and not answered: it may or may not have been posted.
        Unknown = 3 "unknown",
    }
    /// The trading balance reason.
    OperationReason {
        Deposit = 100,
        Withdrawal = 101,
        Reversal = 102,
    }
    /// A provider's status of a payment, normalized by the module; the numbers are the SDK's codes.
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
        InReview = 9 "in_review",
        RefundFailed = 10 "refund_failed",
    }
}

impl TransactionStatus {
    /// The provider has not stated that the payment was made or ended.
    pub const fn is_unpaid(self) -> bool {
        match self {
            Self::Created | Self::PendingPayment => true,
            Self::ProviderConfirmed
            | Self::Credited
            | Self::CreditFailed
            | Self::Failed
            | Self::Cancelled
            | Self::Refunded
            | Self::Chargeback
            | Self::ManualReview => false,
        }
    }

    /// Nothing more is expected from the provider, though a late update may still change it.
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
