//! A provider's statements about payments, normalized by its module from a verified notice. `inbox` matches, verifies and
//! applies them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::ids::{ConfigId, EventId, NoticeId, Reference, TransactionId};
use crate::money::Money;
use crate::reason::ReasonCode;
use crate::refs::ProviderRef;
use crate::status::{ProcessingStatus, ProviderStatus, SignatureStatus};
use crate::time::UnixTime;

/// An amount as the provider states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatedAmount {
    Exact(Money),
    /// Text that is no amount of a known currency: always a mismatch.
    Unreadable(Box<str>),
}

impl fmt::Display for StatedAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(money) => money.fmt(f),
            Self::Unreadable(stated) => f.write_str(stated),
        }
    }
}

/// Whether a refund statement is one refund or the sum so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Delta,
    TotalSoFar,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundStatement {
    /// Empty when the provider names none; needed to distinguish a [`Reach::Delta`] from its repetition.
    pub id: Box<str>,
    pub amount: StatedAmount,
    pub reach: Reach,
    /// Our id of a refund that we requested; empty for any other.
    pub requested: Box<str>,
}

impl RefundStatement {
    /// A refund of zero, or zero refunded so far, in whatever currency: nothing happened, so it is no fact. Recorded, it would count
    /// as a reversal that is newer than what a person decided, and as a sign that the payment was paid.
    pub fn is_nothing(&self) -> bool {
        matches!(&self.amount, StatedAmount::Exact(money) if money.minor == 0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeStatement {
    pub id: Box<str>,
    /// `None` disputes the whole payment.
    pub amount: Option<StatedAmount>,
}

/// One normalized status update: what one event, or the answer to one query, states about one payment. `refund` and
/// `dispute` add their facts to that of the status: refunded money, and disputed money unless the status is a reversed
/// dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The provider's id of the event; empty when it has none.
    pub event_id: Box<str>,
    /// Our reference, where the provider returns it.
    pub reference: Option<Reference>,
    pub refs: Vec<ProviderRef>,
    pub status: ProviderStatus,
    /// The provider's stable id of the payment; empty when not stated.
    pub payment_id: Box<str>,
    pub amount: Option<StatedAmount>,
    pub refund: Option<RefundStatement>,
    pub dispute: Option<DisputeStatement>,
    /// The provider's own status.
    pub raw_status: Box<str>,
    /// The provider's own reason, short and without secrets.
    pub reason: Box<str>,
    /// The mode that the provider states, if it does.
    pub sandbox: Option<bool>,
    /// The provider states two modes, one of the event and another of the payment in it.
    pub mode_conflict: bool,
    /// The payment waits for a call that moves money (a capture).
    pub advance: bool,
}

impl Update {
    /// What its transaction can be found by: its ids, and that of the payment.
    pub fn ids(&self) -> impl Iterator<Item = ProviderRef> {
        self.refs.iter().cloned().chain(ProviderRef::of_payment(&self.payment_id))
    }

    /// It states that money was paid, went back, or came back.
    pub fn states_money(&self) -> bool {
        let by_status = match self.status {
            ProviderStatus::Confirmed
            | ProviderStatus::Refunded
            | ProviderStatus::RefundFailed
            | ProviderStatus::Chargeback
            | ProviderStatus::ChargebackReversed => true,
            ProviderStatus::Unknown
            | ProviderStatus::Pending
            | ProviderStatus::Failed
            | ProviderStatus::Cancelled
            | ProviderStatus::ManualReview
            | ProviderStatus::InReview => false,
        };
        by_status || self.refund.is_some() || self.dispute.is_some()
    }

    /// It states by its status that money went back, or came back.
    pub fn is_reversal(&self) -> bool {
        match self.status {
            ProviderStatus::Refunded
            | ProviderStatus::RefundFailed
            | ProviderStatus::Chargeback
            | ProviderStatus::ChargebackReversed => true,
            ProviderStatus::Unknown
            | ProviderStatus::Pending
            | ProviderStatus::Confirmed
            | ProviderStatus::Failed
            | ProviderStatus::Cancelled
            | ProviderStatus::ManualReview
            | ProviderStatus::InReview => false,
        }
    }

    /// What a list shows of it: the normalized status, the provider's own and the amount. Nothing can be matched or applied by the rest.
    #[must_use]
    pub fn shown(self) -> Self {
        let Self { status, raw_status, amount, .. } = self;
        Self {
            event_id: Box::default(),
            reference: None,
            refs: Vec::new(),
            status,
            payment_id: Box::default(),
            amount,
            refund: None,
            dispute: None,
            raw_status,
            reason: Box::default(),
            sandbox: None,
            mode_conflict: false,
            advance: false,
        }
    }

    /// What it states about the order, and what went back of the payment, each on its own.
    pub fn divided(&self) -> (Option<Self>, Option<Self>) {
        if self.is_reversal() {
            return (None, Some(self.clone()));
        }
        let is_refunded = self.refund.as_ref().is_some_and(|refund| !refund.is_nothing());
        let status = if is_refunded { ProviderStatus::Refunded } else { ProviderStatus::Chargeback };
        let went_back = is_refunded || self.dispute.is_some();
        let reversal = went_back.then(|| Self { status, ..self.clone() });
        (Some(Self { refund: None, dispute: None, ..self.clone() }), reversal)
    }
}

/// The config under which a notice or an answer was received. Its signature authorises that config's transactions alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivingConfig {
    pub config_id: ConfigId,
    pub provider: Box<str>,
    /// Empty serves every brand.
    pub brand: Box<str>,
    pub sandbox: bool,
    /// The kind of id that becomes `provider_payment_id`.
    pub primary_ref_kind: Box<str>,
    /// SHA-256 of the module file, hex; stored with events so that a replay knows which module normalized them.
    pub module_hash: Box<str>,
    /// The configs of this provider and mode that share its merchant account, itself included: a payment id names one
    /// payment among all of them.
    pub merchant_account: Arc<[ConfigId]>,
}

/// An authentic notice that its module did not understand, with what could be read of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreadableNotice {
    /// The module's words.
    pub reason: Box<str>,
    /// The provider's id of the notice; empty when it could not be read.
    pub event_id: Box<str>,
    /// Our references that occur in it.
    pub references: Vec<Reference>,
    pub refs: Vec<ProviderRef>,
}

/// Proof that a gateway verified a notice. Made from a module's `Verified` verdict alone: by the webhook flow, and by the
/// replay of a notice that was proven when it was stored.
#[derive(Debug, Clone)]
pub struct VerifiedNotice {
    receiver: ReceivingConfig,
    others: Vec<ReceivingConfig>,
    updates: Vec<Update>,
    event_id: Box<str>,
    ignored: Box<str>,
}

impl VerifiedNotice {
    /// The caller asserts that the receiver's own gateway answered `Verified` with these updates for the raw bytes.
    pub fn assertion(receiver: ReceivingConfig, updates: Vec<Update>) -> Self {
        Self { receiver, others: Vec::new(), updates, event_id: Box::default(), ignored: Box::default() }
    }

    /// The same with the provider's id of the notice itself, and why nothing is to be done; each may be empty.
    #[must_use]
    pub fn described(self, event_id: Box<str>, ignored: Box<str>) -> Self {
        Self { event_id, ignored, ..self }
    }

    /// The caller asserts the same of the gateways of these configs. All of them share one merchant account.
    #[must_use]
    pub fn also_verified_by(mut self, others: Vec<ReceivingConfig>) -> Self {
        self.others = others;
        let accounts = self.receivers().flat_map(|receiver| &*receiver.merchant_account).copied();
        let account: Arc<[ConfigId]> = accounts.collect::<BTreeSet<_>>().into_iter().collect();
        for receiver in std::iter::once(&mut self.receiver).chain(&mut self.others) {
            receiver.merchant_account = Arc::clone(&account);
        }
        self
    }

    /// The config that the notice is filed under.
    pub fn receiver(&self) -> &ReceivingConfig {
        &self.receiver
    }

    /// Every config whose gateway verified the notice; the one that it is filed under comes first.
    pub fn receivers(&self) -> impl Iterator<Item = &ReceivingConfig> {
        std::iter::once(&self.receiver).chain(&self.others)
    }

    pub fn updates(&self) -> &[Update] {
        &self.updates
    }

    /// The provider's id of the notice itself; empty where the module names none.
    pub fn event_id(&self) -> &str {
        &self.event_id
    }

    /// Why nothing is to be done; empty where the module gives no reason.
    pub fn ignored(&self) -> &str {
        &self.ignored
    }
}

/// An event row (API.md section 2). Body and headers are stored once per notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    pub id: EventId,
    pub notice_id: NoticeId,
    pub config_id: ConfigId,
    pub provider: Box<str>,
    pub brand: Box<str>,
    /// The provider's id, or one derived from the body's SHA-256.
    pub event_id: Box<str>,
    /// `TransactionId(0)` while none is known.
    pub transaction_id: TransactionId,
    pub provider_payment_id: Box<str>,
    pub signature_status: SignatureStatus,
    pub processing_status: ProcessingStatus,
    pub failure_reason: Box<str>,
    /// The normalized update; absent for quarantined events.
    pub update: Option<Update>,
    pub module_hash: Box<str>,
    /// Further configs whose gateways verified the same bytes: a pending event is applied under whichever of them turns out
    /// to own the payment.
    pub also_verified_by: Box<[ConfigId]>,
    pub created_time: UnixTime,
    pub processed_time: UnixTime,
}

impl ProviderEvent {
    /// It is authentic and its module could not read it: of verified events, these alone fail without an update.
    pub fn is_unread(&self) -> bool {
        self.signature_status == SignatureStatus::Valid
            && self.processing_status == ProcessingStatus::Failed
            && self.update.is_none()
    }

    /// A payment that the provider confirmed, or took back, and whose transaction never appeared: money that is not accounted
    /// for. A reversal may be received days before the confirmation that names its transaction.
    pub fn is_unmatched_payment(&self) -> bool {
        self.signature_status == SignatureStatus::Valid
            && self.processing_status == ProcessingStatus::Failed
            && *self.failure_reason == *ReasonCode::TransactionNotFound.name()
            && self.update.as_ref().is_some_and(Update::states_money)
    }

    /// It is held in memory until it is applied: it waits for its transaction, or for a module that can read it.
    pub fn waits(&self) -> bool {
        self.processing_status == ProcessingStatus::Pending || self.is_unread() || self.is_unmatched_payment()
    }

    /// Whether this config's gateway verified it.
    pub fn is_verified_by(&self, config: ConfigId) -> bool {
        self.config_id == config || self.also_verified_by.contains(&config)
    }
}
