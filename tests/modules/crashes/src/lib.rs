//! A complete module with a constructor that aborts: opening it ends the process that opens it.

use cashier_provider_sdk::{
    ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderConfig, Step,
    WebhookNotice, WebhookVerdict,
};

struct Crashes;

impl PaymentProvider for Crashes {
    fn descriptor() -> Descriptor {
        Descriptor { code: "crashes".into(), name: "Crashes".into(), ..Descriptor::default() }
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

#[cfg(target_os = "linux")]
const _: () = {
    extern "C" fn constructor() {
        std::process::abort();
    }

    #[used]
    #[expect(unsafe_code, reason = "a constructor is a function pointer in a section the loader runs")]
    #[unsafe(link_section = ".init_array")]
    static CONSTRUCTOR: extern "C" fn() = constructor;
};

cashier_provider_sdk::export_provider!(Crashes);
