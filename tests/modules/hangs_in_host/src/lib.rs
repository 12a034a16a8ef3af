//! A complete module whose constructor returns in the probe and never in the cashier.

use cashier_provider_sdk::{
    ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderConfig, Step,
    WebhookNotice, WebhookVerdict,
};

struct HangsInHost;

impl PaymentProvider for HangsInHost {
    fn descriptor() -> Descriptor {
        Descriptor { code: "hangs_in_host".into(), name: "HangsInHost".into(), ..Descriptor::default() }
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
        let probed = std::env::args().any(|argument| argument == "module-probe");
        if !probed {
            loop {
                std::thread::sleep(std::time::Duration::from_secs(3_600));
            }
        }
    }

    #[used]
    #[expect(unsafe_code, reason = "a constructor is a function pointer in a section the loader runs")]
    #[unsafe(link_section = ".init_array")]
    static CONSTRUCTOR: extern "C" fn() = constructor;
};

cashier_provider_sdk::export_provider!(HangsInHost);
