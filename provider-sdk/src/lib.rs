//! Write a payment provider for the cashier: one trait, one macro.
//!
//! A provider module builds requests and reads replies. It opens no socket, reads no clock and stores nothing:
//! the cashier owns the network, the time, the money and the storage.
//!
//! # How a call works
//!
//! The cashier calls again with all replies so far, until the exchange ends:
//!
//! ```text
//! create_payment(order, [])       -> Send(POST /payments)       the cashier sends it
//! create_payment(order, [reply])  -> Done(redirect to the payment page)
//! ```
//!
//! One request takes two arms of a `match`; a token request before it makes three. A result is [`Step::Done`],
//! a failure is [`Step::Failed`] with what is known about the money ([`FailureKind`]), and a call that a provider
//! does not implement returns [`Step::Unsupported`] by default.
//!
//! # A complete provider
//!
//! In a crate of type `["cdylib", "rlib"]` this builds to a library that the cashier loads:
//!
//! ```
//! #![forbid(unsafe_code)]
//! use cashier_provider_sdk::serde_json::{Value, json};
//! use cashier_provider_sdk::signature::{Keys, TimestampedHeader};
//! use cashier_provider_sdk::*;
//!
//! const API_BASE: &str = "https://api.acme.example";
//!
//! /// Minor units of this provider: two decimals, none for JPY.
//! const EXPONENTS: Exponents = Exponents::new(2, &[("JPY", 0)]);
//!
//! /// `acme-signature: t=<unix time>,v1=<hex>`; two v1 while a secret is being replaced.
//! const SIGNATURE: TimestampedHeader = TimestampedHeader { name: "Acme-Signature", signatures_max: 2 };
//!
//! pub struct Acme {
//!     api: Endpoint,
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
//!                 SettingSpec::endpoint("api_base", "API address", API_BASE),
//!             ],
//!             ..Descriptor::default()
//!         }
//!     }
//!
//!     // Errors in the settings form are refused here, before any customer is affected.
//!     fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
//!         Ok(Self {
//!             api: config.settings.endpoint("api_base", API_BASE)?,
//!             secret_key: config.required_secret_key()?,
//!             webhook_keys: Keys::text(&config.webhook_secrets()),
//!         })
//!     }
//!
//!     fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
//!         match replies {
//!             [] => match self.request(order) {
//!                 Ok(request) => Step::send(request),
//!                 Err(failure) => Step::Failed(failure),
//!             },
//!             [created, ..] => self.read_created(created).into(),
//!         }
//!     }
//!
//!     fn normalize_status(&self, notice: &WebhookNotice, _: &[HttpReply]) -> Step<WebhookVerdict> {
//!         match SIGNATURE.verify(&self.webhook_keys, notice) {
//!             // What fails once the signature is proven is "authentic, not understood": the cashier keeps it.
//!             Ok(proof) => notice.json(&proof).and_then(|event| read_event(&event)).into(),
//!             Err(unverified) => Step::Done(unverified.into()),
//!         }
//!     }
//!
//!     fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
//!         match replies {
//!             [] => Step::send(
//!                 HttpRequest::get(self.api.at(&format!("/payments/by-order/{}", payment.reference)))
//!                     .bearer(self.secret_key.expose()),
//!             ),
//!             [found, ..] => read_reply(found, CallTarget::Payment).and_then(|body| read_payment(&body)).into(),
//!         }
//!     }
//! }
//!
//! impl Acme {
//!     fn request(&self, order: &PaymentOrder) -> Result<HttpRequest, ProviderFailure> {
//!         let amount = EXPONENTS
//!             .express(&order.amount)
//!             .map_err(|error| ProviderFailure::refused_request("amount", error.to_string()))?;
//!         Ok(HttpRequest::post(self.api.at("/payments"))
//!             .bearer(self.secret_key.expose())
//!             .idempotency_key(order.checked_idempotency_key()?)
//!             .json(&json!({
//!                 "order": order.reference,
//!                 "amount": amount.minor,
//!                 "currency": amount.currency,
//!                 "notify_url": order.notify_url,
//!                 "return_url": order.success_url,
//!             })))
//!     }
//!
//!     fn read_created(&self, reply: &HttpReply) -> Result<PaymentCreated, ProviderFailure> {
//!         let body = read_reply(reply, CallTarget::Creation)?;
//!         let update = read_payment(&body)?;
//!         let next = match update.status {
//!             NormalizedStatus::Pending => NextAction::Redirect { url: self.api.page(body.text_at("/url")?)? },
//!             _ => NextAction::None,
//!         };
//!         PaymentCreated::from_update(update, next)
//!     }
//! }
//!
//! fn read_event(event: &Value) -> Result<WebhookVerdict, ProviderFailure> {
//!     if event.at("/payment").is_null() {
//!         return Ok(WebhookVerdict::no_updates());
//!     }
//!     Ok(WebhookVerdict::updates(vec![StatusUpdate {
//!         event_id: event.text_at("/id")?.map(str::to_owned),
//!         ..read_payment(event.at("/payment"))?
//!     }]))
//! }
//!
//! fn read_payment(payment: &Value) -> Result<StatusUpdate, ProviderFailure> {
//!     let raw_status = payment.text_at("/status")?.unwrap_or_default();
//!     let status = match raw_status {
//!         "open" => NormalizedStatus::Pending,
//!         "paid" => NormalizedStatus::Confirmed,
//!         "declined" => NormalizedStatus::Failed,
//!         "expired" => NormalizedStatus::Cancelled,
//!         _ => NormalizedStatus::Unknown,
//!     };
//!     let id = payment.required_text_at("/id")?;
//!     let currency = payment.text_at("/currency")?.unwrap_or_default();
//!     Ok(StatusUpdate {
//!         reference: payment.text_at("/order")?.map(str::to_owned),
//!         payment_id: Some(id.into()),
//!         amount: Some(EXPONENTS.read_minor(payment.at("/amount"), currency)?),
//!         ..StatusUpdate::new(status, raw_status).with_ref("payment", id)
//!     })
//! }
//!
//! fn read_reply(reply: &HttpReply, target: CallTarget) -> Result<Value, ProviderFailure> {
//!     let body = reply.json();
//!     if reply.is_success() {
//!         return body;
//!     }
//!     let body = body.unwrap_or_default();
//!     Err(reply.failure_for(target, body.note_at("/error"), format!("Acme answered {}", reply.status)))
//! }
//!
//! export_provider!(Acme);
//! # // The example above works as written.
//! # fn main() {
//! #     let config = ProviderConfig { secret_key: "sk_1".into(), ..ProviderConfig::default() };
//! #     let acme = host::ModuleV1::of::<Acme>().configure(&config).expect("a valid config");
//! #     let order = PaymentOrder {
//! #         reference: "K7Q2".into(), amount: Amount::new(2_500, 2, "USD"), idempotency_key: "k1".into(),
//! #         ..PaymentOrder::default()
//! #     };
//! #     let Step::Send { request, cache: None } = acme.create_payment(&order, &[]) else { panic!("nothing sent") };
//! #     assert_eq!(request.url, "https://api.acme.example/payments");
//! #     let url = "https://pay.acme.example/p1";
//! #     let body = json!({"id": "p1", "order": "K7Q2", "status": "open", "amount": 2500, "currency": "USD", "url": url});
//! #     let reply = HttpReply::new(201, body.to_string());
//! #     let Step::Done(created) = acme.create_payment(&order, &[reply]) else { panic!("not created") };
//! #     assert_eq!(created.next, NextAction::Redirect { url: url.into() });
//! #     let refused = acme.create_payment(&order, &[HttpReply::new(404, "")]);
//! #     assert!(matches!(refused, Step::Failed(failure) if failure.kind == FailureKind::RefusedRequest));
//! #     let verdict = acme.normalize_status(&WebhookNotice::default(), &[]);
//! #     assert!(matches!(verdict, Step::Done(WebhookVerdict::Undetermined(_))));
//! # }
//! ```
//!
//! # What the SDK does for every provider
//!
//! - [`signature`] verifies webhooks: HMAC and plain hashes, several keys at once, timestamps in both directions, and
//!   headers of the form `t=…,v1=…`. It returns a proof, which [`WebhookNotice::json`] requires, or a verdict.
//! - Amounts are integers with the provider's own exponents: [`Exponents`], [`Amount`]. There are no floats.
//! - [`json::parse`] (behind `HttpReply::json` and `WebhookNotice::json`) and [`JsonRead`] read JSON by pointer and treat
//!   null as absent. Numbers keep the text they were sent in. A field that cannot be read (a customer's name with half an
//!   emoji or a Latin-1 byte, `NaN`, a key written twice, a thousand nested lists) is an error where you read it and does
//!   not matter elsewhere: read only the fields you need, and read those with the methods that return a `Result`. Do not
//!   parse a provider's body with `serde_json` directly.
//! - The guard turns a panic into a failure, masks secrets in every text for people, and then cuts the text. A failure
//!   or panic after every byte of a webhook was proven authentic becomes [`WebhookVerdict::Unreadable`].
//!
//! # Before you release it
//!
//! `cashier-provider-testing` runs the conformance tests that every provider must pass, with one line in
//! `tests/conformance.rs`: forged, old, modified and unsigned webhooks, unreadable replies, secret leaks, random
//! bytes. A folder of JSON cases states what each of the provider's bodies means.
#![warn(missing_docs)]

mod boundary;
pub mod export;
mod guard;
pub mod host;
pub mod http;
pub mod json;
mod layout;
mod mask;
pub mod money;
pub mod provider;
pub mod signature;
pub mod types;

pub use http::{CallTarget, Form, HttpMethod, HttpReply, HttpRequest};
pub use json::JsonRead;
pub use money::{Amount, Exponents, MoneyError};
pub use provider::{CachePolicy, PaymentProvider, Step};
/// The JSON crate of the contract, with numbers that keep the text they were sent in.
pub use serde_json;
pub use types::{
    Acknowledgement, Capabilities, ConfigError, Descriptor, Dispute, Endpoint, FailureKind, NextAction,
    NormalizedStatus, Pairs, PaymentCreated, PaymentMode, PaymentOrder, PaymentRef, ProviderConfig, ProviderFailure,
    ProviderRef, ProviderSettings, Refund, RefundOrder, RefundReach, Secret, SettingKind, SettingSpec, StatusUpdate,
    Unreadable, WebhookNotice, WebhookVerdict,
};
