//! Records that the host passes to a module: borrowed for the duration of one call. The module copies what it needs
//! beyond that. The SDK's types of the same fields document the values.

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RSlice, RStr};

/// A name and a value: a header, a provider id (kind and value), an entry of a bag.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct PairRefV1<'a> {
    /// The name.
    pub name: RStr<'a>,
    /// The value.
    pub value: RStr<'a>,
}

/// An amount: `minor` units of 10^-`exponent`.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct AmountRefV1<'a> {
    /// Minor units.
    pub minor: i64,
    /// 0..=18.
    pub exponent: u8,
    /// Upper case.
    pub currency: RStr<'a>,
}

/// One provider config: credentials and settings. It contains secrets, so it has no Debug.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct ConfigV1<'a> {
    /// The config's id in the cashier.
    pub id: i64,
    /// The provider code.
    pub provider: RStr<'a>,
    /// Empty for every brand.
    pub brand: RStr<'a>,
    /// Empty for every method.
    pub method: RStr<'a>,
    /// ISO 3166 alpha-2; empty for every country.
    pub country: RStr<'a>,
    /// Empty for every currency.
    pub currency: RStr<'a>,
    /// The merchant's id at the provider.
    pub merchant_id: RStr<'a>,
    /// The key that is not secret.
    pub public_key: RStr<'a>,
    /// The API key; secret.
    pub secret_key: RStr<'a>,
    /// The secret that signs webhooks now.
    pub webhook_secret: RStr<'a>,
    /// Replaced webhook secrets that still verify, newest first.
    pub previous_webhook_secrets: RSlice<'a, RStr<'a>>,
    /// The settings: a JSON object, or empty. Values may be secret.
    pub settings_json: RStr<'a>,
    /// Whether this config is for test money.
    pub sandbox: bool,
    /// The URL that receives this config's webhooks.
    pub notify_url: RStr<'a>,
    /// Extension pairs.
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// One payment to create.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct OrderV1<'a> {
    /// The cashier's reference, at most 20 characters.
    pub reference: RStr<'a>,
    /// What the customer is to pay.
    pub amount: AmountRefV1<'a>,
    /// The customer's id at the broker.
    pub customer_id: RStr<'a>,
    /// The trading account.
    pub login: RStr<'a>,
    /// The broker's brand.
    pub brand: RStr<'a>,
    /// ISO 3166 alpha-2, or empty.
    pub country: RStr<'a>,
    /// Such as `de-AT`, or empty.
    pub locale: RStr<'a>,
    /// The customer's IP address, or empty.
    pub ip: RStr<'a>,
    /// The payment method.
    pub method: RStr<'a>,
    /// To be sent with every request that moves money.
    pub idempotency_key: RStr<'a>,
    /// The URL that receives webhooks.
    pub notify_url: RStr<'a>,
    /// Where the browser goes after a payment.
    pub success_url: RStr<'a>,
    /// Where the browser goes after a failed or cancelled payment.
    pub failure_url: RStr<'a>,
    /// The client's JSON object, or empty.
    pub metadata_json: RStr<'a>,
    /// A description for the customer.
    pub description: RStr<'a>,
    /// The time of this exchange, Unix seconds.
    pub now_unix: i64,
    /// Unguessable text, fixed for this exchange.
    pub nonce: RStr<'a>,
    /// Extension pairs.
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// One webhook as received, byte for byte.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct NoticeV1<'a> {
    /// The provider code of the path.
    pub provider: RStr<'a>,
    /// The request path.
    pub path: RStr<'a>,
    /// The HTTP method, upper case.
    pub method: RStr<'a>,
    /// Names in lower case, in the order received.
    pub headers: RSlice<'a, PairRefV1<'a>>,
    /// The body.
    pub body: RSlice<'a, u8>,
    /// The query string without its question mark, not decoded.
    pub raw_query: RStr<'a>,
    /// The content-type header, or empty.
    pub content_type: RStr<'a>,
    /// When it was first received, Unix seconds.
    pub received_unix: i64,
    /// Unguessable text, fixed for this webhook.
    pub nonce: RStr<'a>,
    /// Extension pairs.
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// An existing payment.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct PaymentV1<'a> {
    /// The cashier's reference.
    pub reference: RStr<'a>,
    /// Every provider id received for it so far, kind and value, oldest first.
    pub refs: RSlice<'a, PairRefV1<'a>>,
    /// The provider's id of the payment itself.
    pub payment_id: ROption<RStr<'a>>,
    /// The ordered amount.
    pub amount: AmountRefV1<'a>,
    /// The customer's id at the broker.
    pub customer_id: RStr<'a>,
    /// The trading account.
    pub login: RStr<'a>,
    /// The broker's brand.
    pub brand: RStr<'a>,
    /// ISO 3166 alpha-2, or empty.
    pub country: RStr<'a>,
    /// The payment method.
    pub method: RStr<'a>,
    /// When the cashier created it, Unix seconds.
    pub created_unix: i64,
    /// The idempotency key of this call.
    pub idempotency_key: RStr<'a>,
    /// The URL that receives webhooks.
    pub notify_url: RStr<'a>,
    /// The time of this exchange, Unix seconds.
    pub now_unix: i64,
    /// Unguessable text, fixed for this exchange.
    pub nonce: RStr<'a>,
    /// Extension pairs.
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// One refund to make.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct RefundOrderV1<'a> {
    /// The payment to refund.
    pub payment: PaymentV1<'a>,
    /// The cashier's id of this refund.
    pub refund_reference: RStr<'a>,
    /// How much to refund by this call.
    pub amount: AmountRefV1<'a>,
    /// How much was refunded before.
    pub refunded_before: AmountRefV1<'a>,
    /// Whether the payment is fully refunded after this call.
    pub completes: bool,
    /// Why; may be empty.
    pub reason: RStr<'a>,
    /// Extension pairs.
    pub bag: RSlice<'a, PairRefV1<'a>>,
}

/// The reply to an earlier request of the same exchange.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct ReplyV1<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: RSlice<'a, PairRefV1<'a>>,
    /// The body.
    pub body: RSlice<'a, u8>,
    /// Extension pairs.
    pub bag: RSlice<'a, PairRefV1<'a>>,
}
