//! What a provider's tests supply to the conformance tests, and the sample order, payment and refund.

use std::fmt;

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::signature::{Digest, hmac, to_hex};
use cashier_provider_sdk::{
    Amount, HttpReply, PaymentOrder, PaymentProvider, PaymentRef, ProviderConfig, ProviderRef, RefundOrder, Secret,
    WebhookNotice,
};

/// What the conformance tests need to know about a provider.
pub struct Harness {
    /// A config that the provider accepts. Its secrets are canaries: at least [`CANARY_CHARS_MIN`] characters that
    /// occur nowhere else.
    pub config: ProviderConfig,
    /// An order the provider can create a payment for.
    pub order: PaymentOrder,
    /// Webhooks of every relevant kind, unsigned, with the time of their receipt.
    pub notices: Vec<WebhookNotice>,
    /// Signs a webhook as the provider does, with this secret at this Unix time. It must accept any body; it may
    /// leave a body that is not in the provider's format unsigned.
    pub sign: fn(&mut WebhookNotice, &Secret, i64),
    /// Which secret of the config signs webhooks.
    pub signing_secret: SigningSecret,
    /// Whether the signed text contains a time. Without one only the host detects a replay.
    pub signs_time: bool,
    /// Whether the signature covers the body byte for byte, and not only selected fields.
    pub covers_every_byte: bool,
    /// The replies that turn `order` into a created payment, in order.
    pub create_replies: Vec<HttpReply>,
    /// Texts of the replies that must not leak either, such as access tokens.
    pub reply_canaries: Vec<String>,
}

/// Shortest canary: a shorter text may occur by chance.
pub const CANARY_CHARS_MIN: usize = 8;

/// Which secret signs webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningSecret {
    /// The webhook secret.
    Webhook,
    /// The API key: the provider has one secret for everything.
    SecretKey,
}

impl Harness {
    pub(crate) fn secret(&self) -> &Secret {
        match self.signing_secret {
            SigningSecret::Webhook => &self.config.webhook_secret,
            SigningSecret::SecretKey => &self.config.secret_key,
        }
    }

    /// The config without the secret that signs webhooks.
    pub(crate) fn config_without_secret(&self) -> ProviderConfig {
        let mut config = self.config.clone();
        config.previous_webhook_secrets.clear();
        match self.signing_secret {
            SigningSecret::Webhook => config.webhook_secret = Secret::default(),
            SigningSecret::SecretKey => config.secret_key = Secret::default(),
        }
        config
    }

    /// The webhooks, signed with the right secret at the time of receipt.
    pub(crate) fn signed(&self) -> Vec<WebhookNotice> {
        self.signed_with(self.secret(), 0)
    }

    /// The webhooks, signed with `secret` that many seconds after (or before) their receipt.
    pub(crate) fn signed_with(&self, secret: &Secret, seconds_after: i64) -> Vec<WebhookNotice> {
        let mut notices = self.notices.clone();
        for notice in &mut notices {
            let signed_unix = notice.received_unix.saturating_add(seconds_after);
            (self.sign)(notice, secret, signed_unix);
        }
        notices
    }

    pub(crate) fn instance<P: PaymentProvider>(&self) -> Result<Instance, ConformanceError> {
        configured::<P>(&self.config)
    }
}

pub(crate) fn configured<P: PaymentProvider>(config: &ProviderConfig) -> Result<Instance, ConformanceError> {
    ModuleV1::of::<P>()
        .configure(config)
        .map_err(|error| ConformanceError::new(format!("the config is refused: {error}")))
}

/// Why a provider does not pass a check.
#[derive(PartialEq, Eq)]
pub struct ConformanceError(String);

impl ConformanceError {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A test that returns an error prints its Debug: here the text itself, with its line breaks.
impl fmt::Debug for ConformanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ConformanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error with this text, unless `holds`.
pub(crate) fn ensure(holds: bool, text: impl FnOnce() -> String) -> Result<(), ConformanceError> {
    if holds { Ok(()) } else { Err(ConformanceError(text())) }
}

/// Signs as `TimestampedHeader` verifies: `t=<unix time>,v1=<hex>` in the header `name`, which must be in
/// lower case, as the host passes names. For a harness's `sign`.
pub fn sign_timestamped(notice: &mut WebhookNotice, name: &str, secret: &Secret, signed_unix: i64) {
    let time = signed_unix.to_string();
    let mac = hmac(Digest::Sha256, secret.expose().as_bytes(), &[time.as_bytes(), b".", &notice.body]);
    notice.headers.retain(|(present, _)| present != name);
    notice.headers.push((name.to_owned(), format!("t={time},v1={}", to_hex(&mac))));
}

/// An order of 250.00 USD by card.
pub fn sample_order() -> PaymentOrder {
    PaymentOrder {
        reference: "K7Q2M9X4T1B8".into(),
        amount: Amount::new(25_000, 2, "USD"),
        customer_id: "5".into(),
        login: "10005".into(),
        brand: "north".into(),
        country: "DE".into(),
        locale: "en".into(),
        ip: "203.0.113.7".into(),
        method: "card".into(),
        idempotency_key: "idem-7f3a9c".into(),
        notify_url: "https://cashier.example/cashier/webhook/x/7".into(),
        success_url: "https://broker.example/paid".into(),
        failure_url: "https://broker.example/unpaid".into(),
        metadata_json: r#"{"campaign":"autumn"}"#.into(),
        description: "Deposit 10005".into(),
        now_unix: 1_795_160_000,
        nonce: "9b1f0e6c2d".into(),
        bag: Vec::new(),
    }
}

/// The payment of `order`, with one id of the provider's primary kind.
pub fn sample_payment(order: &PaymentOrder, primary_ref_kind: &str) -> PaymentRef {
    PaymentRef {
        reference: order.reference.clone(),
        refs: vec![ProviderRef::new(primary_ref_kind, "prov_1")],
        payment_id: Some("pay_1".into()),
        amount: order.amount.clone(),
        customer_id: order.customer_id.clone(),
        login: order.login.clone(),
        brand: order.brand.clone(),
        country: order.country.clone(),
        method: order.method.clone(),
        created_unix: order.now_unix,
        idempotency_key: "idem-second-call".into(),
        notify_url: order.notify_url.clone(),
        now_unix: order.now_unix.saturating_add(60),
        nonce: order.nonce.clone(),
        bag: Vec::new(),
    }
}

/// A full refund.
pub fn sample_refund(payment: PaymentRef) -> RefundOrder {
    RefundOrder {
        refund_reference: "R1".into(),
        amount: payment.amount.clone(),
        refunded_before: Amount { minor: 0, ..payment.amount.clone() },
        completes: true,
        reason: "requested by customer".into(),
        bag: Vec::new(),
        payment,
    }
}
