//! Write a payment provider for the cashier: one trait, one macro.
//! A provider says what to send and reads what came back; it does no I/O of its own.
//!
//! This is a whole one. In a crate of type `["cdylib", "rlib"]` it builds to a library that the
//! cashier loads:
//!
//! ```
//! #![forbid(unsafe_code)]
//! use cashier_provider_sdk::serde_json::{Value, json};
//! use cashier_provider_sdk::signature::{Digest, Genuine, Keys, Signature, fresh, signed_time, verify_hmac};
//! use cashier_provider_sdk::*;
//!
//! /// Minor units of this provider: two decimals, none for yen.
//! const EXPONENTS: Exponents = Exponents::new(2, &[("JPY", 0)]);
//!
//! pub struct Acme {
//!     api_base: String,
//!     secret_key: Secret,
//!     webhook_keys: Keys,
//! }
//!
//! impl PaymentProvider for Acme {
//!     fn descriptor() -> Descriptor {
//!         Descriptor {
//!             code: "acme".into(),
//!             name: "Acme Pay".into(),
//!             version: env!("CARGO_PKG_VERSION").into(),
//!             methods: vec!["card".into()],
//!             capabilities: Capabilities { query: true, ..Capabilities::default() },
//!             primary_ref_kind: "payment".into(),
//!             hosts: vec!["api.acme.example".into()],
//!             idempotency_window_seconds: 24 * 3600,
//!             settings: vec![
//!                 SettingSpec::required_secret("secret_key", "API key"),
//!                 SettingSpec::required_secret("webhook_secret", "Webhook secret"),
//!                 SettingSpec::endpoint("api_base", "API address", "https://api.acme.example"),
//!             ],
//!             ..Descriptor::default()
//!         }
//!     }
//!
//!     fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
//!         Ok(Self {
//!             api_base: config.settings.text_or("api_base", "https://api.acme.example")?.into(),
//!             secret_key: config.required_secret_key()?,
//!             webhook_keys: Keys::text(&config.webhook_secrets()),
//!         })
//!     }
//!
//!     // The host calls again with the replies so far: no reply yet, then the one.
//!     fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
//!         match replies {
//!             [] => self.ask_to_pay(order),
//!             [created, ..] => read_created(created).into(),
//!         }
//!     }
//!
//!     fn normalize_status(&self, notice: &WebhookNotice, _: &[HttpReply]) -> Step<WebhookVerdict> {
//!         match self.genuine(notice) {
//!             Ok(proof) => read_notice(notice, proof).into(),
//!             Err(doubt) => Step::Done(doubt.into()),
//!         }
//!     }
//!
//!     fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
//!         match replies {
//!             [] => Step::send(
//!                 HttpRequest::get(format!("{}/payments/by-order/{}", self.api_base, payment.reference))
//!                     .bearer(self.secret_key.expose()),
//!             ),
//!             [found, ..] => read_reply(found).and_then(|body| read_payment(&body)).into(),
//!         }
//!     }
//! }
//!
//! impl Acme {
//!     fn ask_to_pay(&self, order: &PaymentOrder) -> Step<PaymentCreated> {
//!         let amount = match EXPONENTS.express(&order.amount) {
//!             Ok(amount) => amount,
//!             Err(error) => return Step::Failed(ProviderFailure::refused_request("amount", error.to_string())),
//!         };
//!         Step::send(
//!             HttpRequest::post(format!("{}/payments", self.api_base))
//!                 .bearer(self.secret_key.expose())
//!                 .idempotency_key(&order.idempotency_key)
//!                 .json(&json!({
//!                     "order": order.reference,
//!                     "amount": amount.minor,
//!                     "currency": amount.currency,
//!                     "notify_url": order.notify_url,
//!                     "return_url": order.success_url,
//!                 })),
//!         )
//!     }
//!
//!     /// `acme-signature: <unix time>:<hex of HMAC-SHA256 over time, dot, body>`
//!     fn genuine(&self, notice: &WebhookNotice) -> Result<Genuine, signature::Doubt> {
//!         let header = notice.header("acme-signature").unwrap_or_default();
//!         let (time, signature) = header.split_once(':').unwrap_or_default();
//!         let signatures: Vec<Signature> = Signature::hex(signature).into_iter().collect();
//!         let message = [time.as_bytes(), b".", notice.body.as_slice()];
//!         let genuine = verify_hmac(Digest::Sha256, &self.webhook_keys, &message, &signatures)?;
//!         fresh(signed_time(time)?, notice.received_unix)?;
//!         Ok(genuine)
//!     }
//! }
//!
//! fn read_created(reply: &HttpReply) -> Result<PaymentCreated, ProviderFailure> {
//!     let body = read_reply(reply)?;
//!     let url = body.required_text_at("/url")?;
//!     Ok(PaymentCreated {
//!         status: NormalizedStatus::Pending,
//!         refs: vec![ProviderRef::new("payment", body.required_text_at("/id")?)],
//!         next: NextAction::Redirect { url: url.into() },
//!         ..PaymentCreated::default()
//!     })
//! }
//!
//! /// Reads nothing that was not proven: the proof is an argument. A genuine notice that cannot be
//! /// read is a failure, which the host keeps; never silence.
//! fn read_notice(notice: &WebhookNotice, _: Genuine) -> Result<WebhookVerdict, ProviderFailure> {
//!     let event: Value = serde_json::from_slice(&notice.body)
//!         .map_err(|_| ProviderFailure::unreadable("the notice is not JSON"))?;
//!     if event.at("/payment").is_null() {
//!         return Ok(WebhookVerdict::nothing_to_do());
//!     }
//!     Ok(WebhookVerdict::updates(vec![StatusUpdate {
//!         event_id: event.text_at("/id").map(str::to_owned),
//!         ..read_payment(event.at("/payment"))?
//!     }]))
//! }
//!
//! fn read_payment(payment: &Value) -> Result<StatusUpdate, ProviderFailure> {
//!     let word = payment.text_at("/status").unwrap_or_default();
//!     let status = match word {
//!         "open" => NormalizedStatus::Pending,
//!         "paid" => NormalizedStatus::Confirmed,
//!         "declined" => NormalizedStatus::Failed,
//!         "expired" => NormalizedStatus::Cancelled,
//!         _ => NormalizedStatus::Unknown,
//!     };
//!     let id = payment.required_text_at("/id")?;
//!     let currency = payment.text_at("/currency").unwrap_or_default();
//!     Ok(StatusUpdate {
//!         reference: payment.text_at("/order").map(str::to_owned),
//!         payment_id: Some(id.into()),
//!         amount: Some(EXPONENTS.read_minor(payment.at("/amount"), currency)?),
//!         ..StatusUpdate::new(status, word).with_ref("payment", id)
//!     })
//! }
//!
//! fn read_reply(reply: &HttpReply) -> Result<Value, ProviderFailure> {
//!     let body = reply.json();
//!     if reply.is_success() {
//!         return body;
//!     }
//!     let code = body.ok().and_then(|body| body.text_at("/error").map(str::to_owned));
//!     Err(reply.failure(code.unwrap_or_default(), format!("Acme answered {}", reply.status)))
//! }
//!
//! export_provider!(Acme);
//! # fn main() {}
//! ```
//!
//! `cashier-provider-testing` runs the questions every provider must answer well, with one line in
//! `tests/conformance.rs`.

mod border;
pub mod export;
mod guard;
pub mod host;
pub mod http;
pub mod json;
mod mask;
pub mod money;
pub mod provider;
pub mod signature;
pub mod types;

pub use http::{Asked, Form, HttpMethod, HttpReply, HttpRequest};
pub use json::JsonRead;
pub use money::{Amount, Exponents, MoneyError};
pub use provider::{Keep, PaymentProvider, Step};
/// The JSON crate of the contract: its numbers keep the text they were written in.
pub use serde_json;
pub use types::{
    Acknowledgement, Capabilities, ConfigError, Descriptor, Dispute, Endpoint, FailureKind, NextAction,
    NormalizedStatus, Pairs, PaymentCreated, PaymentMode, PaymentOrder, PaymentRef, ProviderConfig, ProviderFailure,
    ProviderRef, Refund, RefundOrder, RefundReach, Secret, SettingKind, SettingSpec, Settings, StatusUpdate,
    WebhookNotice, WebhookVerdict,
};
