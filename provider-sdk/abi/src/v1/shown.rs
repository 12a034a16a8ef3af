//! Records the host shows a module: borrowed for the length of one call, copied by the module
//! where it needs to keep them.

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RSlice, RStr};

/// A name and a value: a header, a provider id, an entry of the bag.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct PairRefV1<'a> {
    pub name: RStr<'a>,
    pub value: RStr<'a>,
}

/// Money: `minor` units of 10^-`exponent`.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AmountRefV1<'a> {
    pub minor: i64,
    pub exponent: u8,
    pub currency: RStr<'a>,
}

/// One row of credentials and settings. Holds secrets: it has no Debug.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct ConfigV1<'a> {
    pub id: i64,
    pub provider: RStr<'a>,
    pub brand: RStr<'a>,
    pub method: RStr<'a>,
    pub country: RStr<'a>,
    pub currency: RStr<'a>,
    pub merchant_id: RStr<'a>,
    pub public_key: RStr<'a>,
    pub secret_key: RStr<'a>,
    pub webhook_secret: RStr<'a>,
    pub previous_webhook_secrets: RSlice<'a, RStr<'a>>,
    pub settings_json: RStr<'a>,
    pub sandbox: bool,
    pub notify_url: RStr<'a>,
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// One payment to begin.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct OrderV1<'a> {
    pub reference: RStr<'a>,
    pub amount: AmountRefV1<'a>,
    pub customer_id: RStr<'a>,
    pub login: RStr<'a>,
    pub brand: RStr<'a>,
    pub country: RStr<'a>,
    pub locale: RStr<'a>,
    pub ip: RStr<'a>,
    pub method: RStr<'a>,
    pub idempotency_key: RStr<'a>,
    pub notify_url: RStr<'a>,
    pub success_url: RStr<'a>,
    pub failure_url: RStr<'a>,
    pub metadata_json: RStr<'a>,
    pub description: RStr<'a>,
    pub now_unix: i64,
    pub nonce: RStr<'a>,
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// One incoming notice, byte for byte.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct NoticeV1<'a> {
    pub provider: RStr<'a>,
    pub path: RStr<'a>,
    pub method: RStr<'a>,
    pub headers: RSlice<'a, PairRefV1<'a>>,
    pub body: RSlice<'a, u8>,
    pub raw_query: RStr<'a>,
    pub content_type: RStr<'a>,
    pub received_unix: i64,
    pub nonce: RStr<'a>,
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// A payment that exists.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct PaymentV1<'a> {
    pub reference: RStr<'a>,
    pub refs: RSlice<'a, PairRefV1<'a>>,
    pub payment_id: ROption<RStr<'a>>,
    pub amount: AmountRefV1<'a>,
    pub customer_id: RStr<'a>,
    pub login: RStr<'a>,
    pub brand: RStr<'a>,
    pub country: RStr<'a>,
    pub method: RStr<'a>,
    pub created_unix: i64,
    pub idempotency_key: RStr<'a>,
    pub notify_url: RStr<'a>,
    pub now_unix: i64,
    pub nonce: RStr<'a>,
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// Money to give back.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct RefundOrderV1<'a> {
    pub payment: PaymentV1<'a>,
    pub refund_reference: RStr<'a>,
    pub amount: AmountRefV1<'a>,
    pub refunded_before: AmountRefV1<'a>,
    pub completes: bool,
    pub reason: RStr<'a>,
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// One reply to an earlier request of the same exchange.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct ReplyV1<'a> {
    pub status: u16,
    pub headers: RSlice<'a, PairRefV1<'a>>,
    pub body: RSlice<'a, u8>,
    pub bag: RSlice<'a, PairRefV1<'a>>,
}
