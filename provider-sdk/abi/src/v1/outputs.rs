//! Records that a module returns: owned, and freed by the host through the module's allocator. None has a Debug,
//! because requests contain secrets. The SDK's types of the same fields document the values.

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RString, RVec};

use crate::codes::{
    CapabilityBits, FailureCode, MethodCode, NextCode, PaymentModeCode, ReachCode, SettingBits, SettingCode,
    StatusCode, StepCode, VerdictCode,
};

/// What a call returns. The field that `kind` names is set, the others are not.
#[repr(C)]
#[derive(StableAbi)]
pub struct StepV1<T> {
    /// Which step.
    pub kind: StepCode,
    /// The request to send.
    pub send: ROption<RequestV1>,
    /// The cache policy for its reply.
    pub keep: ROption<KeepV1>,
    /// The result.
    pub done: ROption<T>,
    /// The failure.
    pub failed: ROption<FailureV1>,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// One request to send.
#[repr(C)]
#[derive(StableAbi)]
pub struct RequestV1 {
    /// The HTTP method.
    pub method: MethodCode,
    /// Absolute.
    pub url: RString,
    /// Headers.
    pub headers: RVec<PairV1>,
    /// The body.
    pub body: RVec<u8>,
    /// Whether it moves no money and changes no payment, however often it is sent.
    pub safe_to_repeat: bool,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// The cache policy of a reply that later exchanges may reuse.
#[repr(C)]
#[derive(StableAbi)]
pub struct KeepV1 {
    /// The cache key within one instance.
    pub name: RString,
    /// How long after its arrival it may be reused.
    pub seconds: u32,
}

/// The answer to a new payment.
#[repr(C)]
#[derive(StableAbi)]
pub struct CreatedV1 {
    /// The status that it states.
    pub status: StatusCode,
    /// Provider ids, kind and value.
    pub refs: RVec<PairV1>,
    /// What the customer does next.
    pub next: NextCode,
    /// The URL of a redirect, the JSON text of instructions, else empty.
    pub next_text: RString,
    /// An outcome that the answer already states.
    pub update: ROption<UpdateV1>,
    /// When the provider closes an unpaid payment, Unix seconds.
    pub expires_unix: ROption<i64>,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// The verdict on a webhook.
#[repr(C)]
#[derive(StableAbi)]
pub struct VerdictV1 {
    /// Which verdict.
    pub kind: VerdictCode,
    /// What a verified webhook reports; of an unreadable one at most one update, with the ids that could be read. Else
    /// empty.
    pub updates: RVec<UpdateV1>,
    /// The provider's id of the webhook itself.
    pub event_id: ROption<RString>,
    /// The response the provider requires.
    pub acknowledgement: ROption<AcknowledgementV1>,
    /// Why it is unreadable, rejected or undetermined, or why nothing is to be done; else empty.
    pub reason: RString,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// The HTTP response that a provider requires to its webhook.
#[repr(C)]
#[derive(StableAbi)]
pub struct AcknowledgementV1 {
    /// The HTTP status, 200..=599.
    pub status: u16,
    /// Headers.
    pub headers: RVec<PairV1>,
    /// The body.
    pub body: RVec<u8>,
}

/// What a provider reports about one payment: a status, and beside it a refund and a dispute.
#[repr(C)]
#[derive(StableAbi)]
pub struct UpdateV1 {
    /// The provider's id of this event.
    pub event_id: ROption<RString>,
    /// The cashier's reference.
    pub reference: ROption<RString>,
    /// Provider ids, kind and value.
    pub refs: RVec<PairV1>,
    /// The normalized status.
    pub status: StatusCode,
    /// The provider's id of the payment itself; of a refund or dispute, that of the payment which it takes back.
    pub payment_id: ROption<RString>,
    /// The amount that it states.
    pub amount: ROption<AmountV1>,
    /// A refund.
    pub refund: ROption<RefundV1>,
    /// A dispute.
    pub dispute: ROption<DisputeV1>,
    /// The provider's own name of the status.
    pub raw_status: RString,
    /// Why, for managers.
    pub reason: ROption<RString>,
    /// Whether the provider marks it as test money.
    pub sandbox: ROption<bool>,
    /// Whether the provider states two modes.
    pub mode_conflict: bool,
    /// Whether the host is to call `advance_payment`.
    pub advance: bool,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// Money returned to the customer.
#[repr(C)]
#[derive(StableAbi)]
pub struct RefundV1 {
    /// The provider's id of this refund.
    pub id: ROption<RString>,
    /// How much.
    pub amount: AmountV1,
    /// What the amount counts.
    pub reach: ReachCode,
    /// The cashier's id of this refund.
    pub requested: ROption<RString>,
}

/// Money that the customer's bank disputes.
#[repr(C)]
#[derive(StableAbi)]
pub struct DisputeV1 {
    /// The provider's id of the dispute.
    pub id: RString,
    /// How much; everything if absent.
    pub amount: ROption<AmountV1>,
}

/// An amount: `minor` units of 10^-`exponent`.
#[repr(C)]
#[derive(StableAbi)]
pub struct AmountV1 {
    /// Minor units.
    pub minor: i64,
    /// 0..=18.
    pub exponent: u8,
    /// Upper case.
    pub currency: RString,
}

/// A failed exchange.
#[repr(C)]
#[derive(StableAbi)]
pub struct FailureV1 {
    /// What is known about the money.
    pub kind: FailureCode,
    /// The provider's code, or a short snake_case code.
    pub code: RString,
    /// The field of the order that cannot be paid with, else empty.
    pub field: RString,
    /// One sentence for the operator, without secrets.
    pub message: RString,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// How long to wait before a retry, in seconds.
    pub retry_after_seconds: ROption<u32>,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// A config that cannot work.
#[repr(C)]
#[derive(StableAbi)]
pub struct ConfigErrorV1 {
    /// The config field or settings key that is wrong.
    pub field: RString,
    /// What is wrong with it, without secrets.
    pub message: RString,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// A module's description of itself.
#[repr(C)]
#[derive(StableAbi)]
pub struct DescriptorV1 {
    /// The provider's code, 1 to 64 of `[a-z0-9_]`.
    pub code: RString,
    /// The name shown to customers.
    pub name: RString,
    /// One sentence; may be empty.
    pub description: RString,
    /// The module's version.
    pub version: RString,
    /// How the customer pays.
    pub payment_mode: PaymentModeCode,
    /// Payment methods; the first is the default.
    pub methods: RVec<RString>,
    /// Currencies that it can be paid in, upper case; any if empty.
    pub currencies: RVec<RString>,
    /// The optional calls it implements.
    pub capabilities: CapabilityBits,
    /// The kind of id that is displayed as the provider's payment id.
    pub primary_ref_kind: RString,
    /// Hosts that requests may go to.
    pub hosts: RVec<RString>,
    /// How long a repeated idempotency key returns the first answer; 0 if never.
    pub idempotency_window_seconds: u32,
    /// How long the customer may take to pay; 0 for the host's default.
    pub expiry_seconds: u32,
    /// The settings a config may have.
    pub settings: RVec<SettingV1>,
    /// Events that a merchant subscribes to at the provider; empty if none need be chosen.
    pub webhook_events: RVec<RString>,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// One field of the settings form.
#[repr(C)]
#[derive(StableAbi)]
pub struct SettingV1 {
    /// The key in the config.
    pub key: RString,
    /// The form's label.
    pub label: RString,
    /// What values it takes.
    pub kind: SettingCode,
    /// The choices of a `CHOICE`, else empty.
    pub choices: RVec<RString>,
    /// Secret, required, endpoint.
    pub bits: SettingBits,
    /// The value if nothing is set.
    pub default: ROption<RString>,
    /// Extension pairs.
    pub bag: RVec<PairV1>,
}

/// A name and a value: a header, a provider id (kind and value), an entry of a bag.
#[repr(C)]
#[derive(StableAbi)]
pub struct PairV1 {
    /// The name.
    pub name: RString,
    /// The value.
    pub value: RString,
}
