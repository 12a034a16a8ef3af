//! Why a transaction has its status, why a balance operation was refused and why a webhook event was not applied: every
//! code with its number, wire name and meaning. docs/reasons.md lists the same table and adds who acts.

use std::fmt;

/// Which row shows a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonScope {
    /// `failure_reason` of a transaction.
    Transaction,
    /// `failure_reason` of a balance operation.
    Operation,
    /// `failure_reason` of a webhook event.
    Event,
}

macro_rules! reasons {
    ($($scope:ident: { $($variant:ident = $number:literal $name:literal $meaning:literal,)* })*) => {
        /// A published reason code. Numbers and names never change their meaning; the order has none.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum ReasonCode {
            /// The status needs no explanation; the wire name is empty.
            #[default]
            None = 0,
            $($(#[doc = $meaning] $variant = $number,)*)*
        }

        impl ReasonCode {
            /// Every code but [`ReasonCode::None`].
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// The wire name; empty for [`ReasonCode::None`].
            pub const fn name(self) -> &'static str {
                match self { Self::None => "", $($(Self::$variant => $name,)*)* }
            }

            /// One sentence for an operator.
            pub const fn meaning(self) -> &'static str {
                match self { Self::None => "", $($(Self::$variant => $meaning,)*)* }
            }

            /// The row that shows the code first of all; a code may appear as the detail of another row.
            pub const fn scope(self) -> ReasonScope {
                match self { Self::None => ReasonScope::Transaction, $($(Self::$variant => ReasonScope::$scope,)*)* }
            }

            pub const fn number(self) -> u8 {
                self as u8
            }

            pub const fn from_number(number: u8) -> Option<Self> {
                match number { 0 => Some(Self::None), $($($number => Some(Self::$variant),)*)* _ => None }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { "" => Some(Self::None), $($($name => Some(Self::$variant),)*)* _ => None }
            }
        }
    };
}

reasons! {
    Transaction: {
        Cancelled = 1 "CANCELLED" "The deposit was closed without being paid, by the customer or the provider, or its customer took the withdrawal request back.",
        Expired = 2 "EXPIRED" "The payment was not paid before its time limit.",
        Rejected = 3 "REJECTED" "A manager rejected the transaction, or resolved it without crediting anything.",
        ProviderDeclined = 4 "PROVIDER_DECLINED" "The provider declined the payment; the detail is its reason.",
        ProviderUnavailable = 5 "PROVIDER_UNAVAILABLE" "The create call never reached the provider, or the provider refused the config's credentials; the idempotency key is free again.",
        Chargeback = 6 "CHARGEBACK" "The payment is disputed; the disputed amount is taken back from the account.",
        PartlyRefunded = 7 "PARTLY_REFUNDED" "A part of the credited payment was refunded or disputed.",
        CreditRefused = 8 "CREDIT_REFUSED" "The trading server refused the posting; the detail is its reason.",
        OutcomeUnknown = 9 "OUTCOME_UNKNOWN" "The create call was not answered and the provider cannot be queried about it.",
        AmountUnstated = 10 "AMOUNT_UNSTATED" "The provider confirmed the payment without stating an amount.",
        AmountMismatch = 11 "AMOUNT_MISMATCH" "The provider states another amount than was ordered.",
        CurrencyMismatch = 12 "CURRENCY_MISMATCH" "The provider, or the account, has another currency than the transaction.",
        BrandMismatch = 13 "BRAND_MISMATCH" "The payment was confirmed under a config of another brand.",
        ModeMismatch = 14 "MODE_MISMATCH" "A sandbox payment was confirmed for a live transaction, or the reverse.",
        ProviderReview = 15 "PROVIDER_REVIEW" "The provider asks that a person decides; the detail is its status.",
        SecondPayment = 16 "SECOND_PAYMENT" "The provider reports two payments for one order; the detail names both.",
        BeyondConfirmed = 17 "BEYOND_CONFIRMED" "Refunds and open disputes together exceed the ordered amount, and what was left is taken back; or a refund was made that a person, who resolved the transaction, had counted as not made.",
        ConfirmedButRejected = 18 "CONFIRMED_BUT_REJECTED" "The payment was confirmed and a manager rejected it, or resolved less before.",
        HeldButHeard = 19 "HELD_BUT_HEARD" "A manager set the status by hand and the provider reported something that contradicts it.",
        ProviderInReview = 20 "PROVIDER_IN_REVIEW" "The provider itself is still reviewing the payment; the detail is its status.",
        DisputeUnmatched = 21 "DISPUTE_UNMATCHED" "A dispute is open, and a reversal that names no dispute we know may be its.",
        RefundFailed = 22 "REFUND_FAILED" "A refund did not reach the customer; the detail is its id.",
        ReversalWaits = 23 "REVERSAL_WAITS" "Money went back at the provider, and the config wants a person to permit that it is taken from the account.",
        Written = 24 "WRITTEN" "A manager wrote a reason by hand; the detail is the manager's own words.",
        ReturnWaits = 25 "RETURN_WAITS" "More is owed again than when the manual deposit that the detail names was entered beside the order; nothing more is posted until a person decides.",
        DisputeLifted = 26 "DISPUTE_LIFTED" "A dispute that a person had counted when resolving the transaction was lifted, and more was paid than was resolved; nothing is posted by itself.",
        RefundPending = 27 "REFUND_PENDING" "A refund that a manager requested is under way; the detail says how far it is.",
        RefundRefused = 28 "REFUND_REFUSED" "The refund that a manager requested was refused; the detail says by whom and why, and the account has the money.",
        ReversalMisplaced = 29 "REVERSAL_MISPLACED" "Money went back of one payment that the provider states with two orders; the detail names the payment and the other order.",
        PaymentIdReused = 30 "PAYMENT_ID_REUSED" "The provider's payment was confirmed for another transaction before, or credited to it by a person, or was or may have been entered by hand; the detail names both.",
        TooManyStatements = 31 "TOO_MANY_STATEMENTS" "A statement about money, or an id of one, exceeded what is stored and is missing.",
        OperationKeyConflict = 35 "OPERATION_KEY_CONFLICT" "The trading server knows the operation's key with other values; nothing was posted.",
        PostingImported = 36 "POSTING_IMPORTED" "Reconcile found a posting that the books did not know, and the facts do not explain it.",
        PostingLost = 37 "POSTING_LOST" "The books claimed a posting that the trading server does not have.",
        PostedTwice = 38 "POSTED_TWICE" "The trading server executed two orders for one operation; the books count one, the other one must be deleted there.",
        PostedToChangedAccount = 39 "POSTED_TO_CHANGED_ACCOUNT" "The account got another owner or currency while the posting was made; the posting is at that account.",
    }
    Operation: {
        Withheld = 40 "WITHHELD" "A held status, a rejection or a reversal that waits came before the posting was made; nothing was posted under its key, and nothing will be.",
        AccountNotFound = 41 "ACCOUNT_NOT_FOUND" "The trading server has no such account.",
        SandboxOnRealAccount = 42 "SANDBOX_ON_REAL_ACCOUNT" "Sandbox money is not credited to a real account.",
        OwnerMismatch = 43 "OWNER_MISMATCH" "The account belongs to another customer.",
        AccountDisabled = 44 "ACCOUNT_DISABLED" "The account is disabled.",
        InsufficientBalance = 45 "INSUFFICIENT_BALANCE" "The account holds less than the posting takes.",
        ConfirmedAbsent = 49 "CONFIRMED_ABSENT" "A person stated that the trading server never made this posting.",
        OperationKeyReused = 46 "OPERATION_KEY_REUSED" "The trading server knows the operation's key with other values.",
        LiveOnDemoAccount = 48 "LIVE_ON_DEMO_ACCOUNT" "Real money is not credited to a demo account.",
        InvalidAmount = 47 "INVALID_AMOUNT" "The amount is zero, or has the wrong sign for the operation.",
    }
    Event: {
        TransactionNotFound = 60 "TRANSACTION_NOT_FOUND" "No transaction with this reference or provider id appeared within a day.",
        TooManyFacts = 61 "TOO_MANY_FACTS" "The transaction holds as many facts as one payment may have.",
        ProviderRefMismatch = 62 "PROVIDER_REF_MISMATCH" "The event names ids of two transactions; both are in the detail.",
        ProviderConfigMismatch = 63 "PROVIDER_CONFIG_MISMATCH" "The event was received under another config than its transaction was made under.",
        Ignored = 70 "IGNORED" "The event changes no payment; the detail is the module's reason.",
        UnreadableNotice = 71 "UNREADABLE_NOTICE" "The notice is authentic and its module could not read it; the detail is the module's words.",
    }
}

/// The wire name.
impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A code that every reader sees, with a detail for managers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason {
    pub code: ReasonCode,
    pub detail: Box<str>,
}

impl Reason {
    pub fn new(code: ReasonCode, detail: impl Into<Box<str>>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl Reason {
    /// The reason with a manager's own words behind it.
    pub fn with_words(&self, words: &str) -> Self {
        match (self.code, &*self.detail) {
            (ReasonCode::None, _) => Self::new(ReasonCode::Written, words),
            (code, "") => Self::new(code, words),
            (code, detail) => Self::new(code, format!("{detail}; {words}")),
        }
    }
}

impl From<ReasonCode> for Reason {
    fn from(code: ReasonCode) -> Self {
        Self { code, detail: Box::default() }
    }
}

/// `CODE`, or `CODE: detail`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.detail {
            "" => self.code.fmt(f),
            detail => write!(f, "{}: {detail}", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back_from_its_number_and_its_name() {
        for code in [&[ReasonCode::None], ReasonCode::ALL].concat() {
            assert_eq!(ReasonCode::from_number(code.number()), Some(code));
            assert_eq!(ReasonCode::from_name(code.name()), Some(code));
        }
        assert_eq!((ReasonCode::from_number(255), ReasonCode::from_name("NO_SUCH_CODE")), (None, None));
    }
}
