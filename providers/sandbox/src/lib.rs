//! The sandbox payment service as a module of the cashier: hosted page, signed webhooks, no money.
//! It says what to send and reads what came back; it opens no connection and keeps no state.
//! The service itself is the crate in `service/`; a payment goes wrong there on request, see README.md.
#![forbid(unsafe_code)]

mod amounts;
mod config;
mod create;
mod failure;
mod payment;
mod status;
mod webhook;

use cashier_provider_sdk::{
    Capabilities, ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentMode, PaymentOrder, PaymentProvider,
    PaymentRef, ProviderConfig, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

pub use config::Sandbox;

/// Kinds of ids that the service gives.
mod refs {
    pub(crate) const SANDBOX_PAYMENT: &str = "sandbox_payment";
}

/// The service keeps 20 000 keys, the oldest giving way: more than a day of trying. A restart of it
/// forgets them, together with every payment they stood for.
const IDEMPOTENCY_WINDOW_SECONDS: u32 = 24 * 60 * 60;

/// The service closes nothing by itself; a day is what card providers give a customer.
const EXPIRY_SECONDS: u32 = 24 * 60 * 60;

impl PaymentProvider for Sandbox {
    fn descriptor() -> Descriptor {
        Descriptor {
            code: "sandbox".into(),
            name: "Sandbox".into(),
            description: "Pretended payments on the sandbox payment service's page. No money moves.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            payment_mode: PaymentMode::Redirect,
            methods: vec!["card".into(), "bank".into()],
            capabilities: Capabilities { query: true, ..Capabilities::default() },
            primary_ref_kind: refs::SANDBOX_PAYMENT.into(),
            hosts: vec![config::DEFAULT_HOST.into()],
            idempotency_window_seconds: IDEMPOTENCY_WINDOW_SECONDS,
            expiry_seconds: EXPIRY_SECONDS,
            settings: config::settings_schema(),
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        config::configure(config)
    }

    fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        create::create_payment(self, order, replies)
    }

    fn normalize_status(&self, notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        webhook::judge(self, notice).into()
    }

    fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        status::query_status(self, payment, replies)
    }
}

cashier_provider_sdk::export_provider!(Sandbox);
