//! Stripe as a module of the cashier: hosted Checkout, or PaymentIntents for the broker's own page.
//! It builds requests and reads replies; it opens no connection and stores no state.
#![forbid(unsafe_code)]

mod amounts;
mod cancel;
mod config;
mod create;
mod disputes;
mod events;
mod failure;
mod objects;
mod refs;
mod refund;
mod status;
mod webhook;

use cashier_provider_sdk::{
    Capabilities, ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentMode, PaymentOrder, PaymentProvider,
    PaymentRef, ProviderConfig, ProviderFailure, RefundOrder, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

pub use config::Stripe;

/// Stripe stores a key and its first answer for at least 24 hours.
const IDEMPOTENCY_WINDOW_SECONDS: u32 = 24 * 60 * 60;

/// Stripe's default: a Checkout Session expires 24 hours after its creation.
const EXPIRY_SECONDS: u32 = 24 * 60 * 60;

impl PaymentProvider for Stripe {
    fn descriptor() -> Descriptor {
        Descriptor {
            code: "stripe".into(),
            name: "Stripe".into(),
            description: "Cards by Stripe Checkout, or by PaymentIntents in the broker's own page.".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            payment_mode: PaymentMode::Redirect,
            methods: vec!["card".into()],
            currencies: amounts::currencies(),
            capabilities: Capabilities {
                query: true,
                cancel: true,
                refund: true,
                partial_refund: true,
                ..Capabilities::default()
            },
            primary_ref_kind: refs::PAYMENT_INTENT.into(),
            hosts: vec!["api.stripe.com".into()],
            idempotency_window_seconds: IDEMPOTENCY_WINDOW_SECONDS,
            expiry_seconds: EXPIRY_SECONDS,
            settings: config::settings_schema(),
            webhook_events: events::SUBSCRIBED.iter().map(|&name| name.into()).collect(),
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        config::configure(config)
    }

    fn check_order(&self, order: &PaymentOrder) -> Result<(), ProviderFailure> {
        create::check_order(self, order)
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

cashier_provider_sdk::export_provider!(Stripe);
