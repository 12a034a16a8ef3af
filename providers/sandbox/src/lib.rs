//! The sandbox payment service as a module of the cashier: hosted page, signed webhooks, no money.
//! It builds requests and reads replies; it opens no connection and stores no state.
//! The service itself is the crate in `service/`; it simulates failures on request, see README.md.
#![forbid(unsafe_code)]

mod amounts;
mod cancel;
mod config;
mod create;
mod failure;
mod payment;
mod refs;
mod refund;
mod status;
mod webhook;

use cashier_provider_sdk::{
    Capabilities, ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentMode, PaymentOrder, PaymentProvider,
    PaymentRef, ProviderConfig, RefundOrder, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

pub use config::Sandbox;

/// The service stores 20 000 keys and drops the oldest: more than a day of testing. A restart deletes
/// them, together with their payments.
const IDEMPOTENCY_WINDOW_SECONDS: u32 = 24 * 60 * 60;

/// The service closes no payment by itself; card providers usually allow a customer one day.
const EXPIRY_SECONDS: u32 = 24 * 60 * 60;

impl PaymentProvider for Sandbox {
    fn descriptor() -> Descriptor {
        Descriptor {
            code: "sandbox".into(),
            name: "Sandbox".into(),
            description: "Simulated payments on the sandbox payment service's page. No money moves.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            payment_mode: PaymentMode::Redirect,
            methods: vec!["card".into(), "bank".into()],
            currencies: Vec::new(),
            capabilities: Capabilities {
                query: true,
                cancel: true,
                refund: true,
                partial_refund: true,
                ..Capabilities::default()
            },
            primary_ref_kind: refs::SANDBOX_PAYMENT.into(),
            hosts: vec![config::DEFAULT_HOST.into()],
            idempotency_window_seconds: IDEMPOTENCY_WINDOW_SECONDS,
            expiry_seconds: EXPIRY_SECONDS,
            settings: config::settings_schema(),
            // The service sends every event to the address of the order.
            webhook_events: Vec::new(),
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        config::configure(config)
    }

    fn create_payment(&self, order: &PaymentOrder, replies: &[HttpReply]) -> Step<PaymentCreated> {
        create::create_payment(self, order, replies)
    }

    fn normalize_status(&self, notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        webhook::verify(self, notice).into()
    }

    fn query_status(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        status::query_status(self, payment, replies)
    }

    fn cancel_payment(&self, payment: &PaymentRef, replies: &[HttpReply]) -> Step<StatusUpdate> {
        cancel::cancel_payment(self, payment, replies)
    }

    fn refund_payment(&self, refund: &RefundOrder, replies: &[HttpReply]) -> Step<StatusUpdate> {
        refund::refund_payment(self, refund, replies)
    }
}

cashier_provider_sdk::export_provider!(Sandbox);
