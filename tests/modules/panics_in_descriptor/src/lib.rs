//! Panics when its descriptor is read.

use cashier_provider_sdk::{
    ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderConfig, Step,
    WebhookNotice, WebhookVerdict,
};

struct PanicsInDescriptor;

impl PaymentProvider for PanicsInDescriptor {
    #[expect(clippy::panic, reason = "this module exists to panic")]
    fn descriptor() -> Descriptor {
        panic!("before anything is configured")
    }

    fn configure(_config: &ProviderConfig) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn create_payment(&self, _order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        Step::Unsupported
    }

    fn normalize_status(&self, _notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        Step::Unsupported
    }
}

cashier_provider_sdk::export_provider!(PanicsInDescriptor);
