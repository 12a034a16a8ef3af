//! Records a module answers with: owned, freed by whoever ends up with them through the allocator
//! they came from. None has a Debug: requests and descriptors of settings travel beside secrets.

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RString, RVec};

use crate::codes::{
    CapabilityBits, FailureCode, MethodCode, NextCode, PaymentModeCode, ReachCode, SettingBits, SettingCode,
    StatusCode, StepCode, VerdictCode,
};

/// What a module wants next. The field that `kind` names is set, the others are not.
#[repr(C)]
#[derive(StableAbi)]
pub struct StepV1<T> {
    pub kind: StepCode,
    pub send: ROption<RequestV1>,
    pub keep: ROption<KeepV1>,
    pub done: ROption<T>,
    pub failed: ROption<FailureV1>,
    pub bag: RVec<PairV1>,
}

/// One request to send.
#[repr(C)]
#[derive(StableAbi)]
pub struct RequestV1 {
    pub method: MethodCode,
    pub url: RString,
    pub headers: RVec<PairV1>,
    pub body: RVec<u8>,
    pub safe_to_repeat: bool,
    pub bag: RVec<PairV1>,
}

/// Names a reply that may be shown again.
#[repr(C)]
#[derive(StableAbi)]
pub struct KeepV1 {
    pub name: RString,
    pub seconds: u32,
}

/// What a provider said to a new payment.
#[repr(C)]
#[derive(StableAbi)]
pub struct CreatedV1 {
    pub status: StatusCode,
    pub refs: RVec<PairV1>,
    pub next: NextCode,
    /// The URL of a redirect, the JSON text of instructions, else empty.
    pub next_text: RString,
    pub update: ROption<UpdateV1>,
    pub expires_unix: ROption<i64>,
    pub bag: RVec<PairV1>,
}

/// Whether a notice is genuine, and what it says.
#[repr(C)]
#[derive(StableAbi)]
pub struct VerdictV1 {
    pub kind: VerdictCode,
    pub updates: RVec<UpdateV1>,
    pub acknowledgement: ROption<AcknowledgementV1>,
    /// Why it is not genuine or cannot be told, else empty.
    pub reason: RString,
    pub bag: RVec<PairV1>,
}

/// The answer a provider wants to its notice.
#[repr(C)]
#[derive(StableAbi)]
pub struct AcknowledgementV1 {
    pub status: u16,
    pub headers: RVec<PairV1>,
    pub body: RVec<u8>,
}

/// What is said about one payment: a status, and beside it what went back and what is disputed.
#[repr(C)]
#[derive(StableAbi)]
pub struct UpdateV1 {
    pub event_id: ROption<RString>,
    pub reference: ROption<RString>,
    pub refs: RVec<PairV1>,
    pub status: StatusCode,
    pub payment_id: ROption<RString>,
    pub amount: ROption<AmountV1>,
    pub refund: ROption<RefundV1>,
    pub dispute: ROption<DisputeV1>,
    pub raw_status: RString,
    pub reason: ROption<RString>,
    pub sandbox: ROption<bool>,
    pub advance: bool,
    pub bag: RVec<PairV1>,
}

/// Money that went back.
#[repr(C)]
#[derive(StableAbi)]
pub struct RefundV1 {
    pub id: ROption<RString>,
    pub amount: AmountV1,
    pub reach: ReachCode,
}

/// Money that is disputed.
#[repr(C)]
#[derive(StableAbi)]
pub struct DisputeV1 {
    pub id: RString,
    pub amount: ROption<AmountV1>,
}

/// Money: `minor` units of 10^-`exponent`.
#[repr(C)]
#[derive(StableAbi)]
pub struct AmountV1 {
    pub minor: i64,
    pub exponent: u8,
    pub currency: RString,
}

/// A failed exchange.
#[repr(C)]
#[derive(StableAbi)]
pub struct FailureV1 {
    pub kind: FailureCode,
    pub code: RString,
    pub message: RString,
    pub retryable: bool,
    pub retry_after_seconds: ROption<u32>,
    pub bag: RVec<PairV1>,
}

/// A configuration that cannot work.
#[repr(C)]
#[derive(StableAbi)]
pub struct ConfigErrorV1 {
    pub field: RString,
    pub message: RString,
    pub bag: RVec<PairV1>,
}

/// What a module says of itself.
#[repr(C)]
#[derive(StableAbi)]
pub struct DescriptorV1 {
    pub code: RString,
    pub name: RString,
    pub description: RString,
    pub version: RString,
    pub payment_mode: PaymentModeCode,
    pub methods: RVec<RString>,
    pub capabilities: CapabilityBits,
    pub primary_ref_kind: RString,
    pub hosts: RVec<RString>,
    pub idempotency_window_seconds: u32,
    pub expiry_seconds: u32,
    pub settings: RVec<SettingV1>,
    pub bag: RVec<PairV1>,
}

/// One line of the settings form.
#[repr(C)]
#[derive(StableAbi)]
pub struct SettingV1 {
    pub key: RString,
    pub label: RString,
    pub kind: SettingCode,
    pub choices: RVec<RString>,
    pub bits: SettingBits,
    pub default: ROption<RString>,
    pub bag: RVec<PairV1>,
}

/// A name and a value: a header, a provider id, an entry of the bag.
#[repr(C)]
#[derive(StableAbi)]
pub struct PairV1 {
    pub name: RString,
    pub value: RString,
}
