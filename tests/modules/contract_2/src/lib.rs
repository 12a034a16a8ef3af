//! A whole module that says it was built for contract 2.

use cashier_provider_sdk::{
    ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderConfig, Step,
    WebhookNotice, WebhookVerdict,
};

struct Later;

impl PaymentProvider for Later {
    fn descriptor() -> Descriptor {
        Descriptor { code: "contract_2".into(), name: "Contract 2".into(), ..Descriptor::default() }
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

cashier_provider_sdk::export_symbols!(contract = 2, unwinds = cfg!(panic = "unwind"));
cashier_provider_sdk::export_root!(cashier_provider_sdk::export::header::<Later>());
