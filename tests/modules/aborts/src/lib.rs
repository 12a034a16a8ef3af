//! A complete module that reports `panic = "abort"` as a build with that setting does.

use cashier_provider_sdk::{
    ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderConfig, Step,
    WebhookNotice, WebhookVerdict,
};

struct Aborts;

impl PaymentProvider for Aborts {
    fn descriptor() -> Descriptor {
        Descriptor { code: "aborts".into(), name: "Aborts".into(), ..Descriptor::default() }
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

cashier_provider_sdk::export_symbols!(contract = cashier_provider_sdk::export::CONTRACT, unwinds = false);
cashier_provider_sdk::export_root!(cashier_provider_sdk::export::header::<Aborts>());
