//! Does not return from the entry that the setting `sleep_in` names for `sleep_ms` milliseconds.

use std::time::Duration;

use cashier_provider_sdk::{
    Capabilities, ConfigError, Descriptor, HttpReply, NextAction, NormalizedStatus, PaymentCreated, PaymentOrder,
    PaymentProvider, PaymentRef, ProviderConfig, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

struct Sleeps {
    entry: String,
    length: Duration,
}

impl Sleeps {
    fn maybe(&self, entry: &str) {
        if self.entry == entry {
            std::thread::sleep(self.length);
        }
    }
}

impl PaymentProvider for Sleeps {
    fn descriptor() -> Descriptor {
        Descriptor {
            code: "sleeps".into(),
            name: "Sleeps".into(),
            methods: vec!["card".into()],
            capabilities: Capabilities { query: true, ..Capabilities::default() },
            ..Descriptor::default()
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        let entry = config.settings.text("sleep_in")?.unwrap_or_default().to_owned();
        let length = config.settings.integer("sleep_ms")?.and_then(|length| u64::try_from(length).ok());
        let provider = Self { entry, length: Duration::from_millis(length.unwrap_or_default()) };
        provider.maybe("configure");
        Ok(provider)
    }

    fn create_payment(&self, _order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        self.maybe("create_payment");
        let next = NextAction::Wait;
        Step::Done(PaymentCreated { status: NormalizedStatus::Pending, next, ..PaymentCreated::default() })
    }

    fn normalize_status(&self, _notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        self.maybe("normalize_status");
        Step::Done(WebhookVerdict::no_updates())
    }

    fn query_status(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        self.maybe("query_status");
        Step::Done(StatusUpdate::new(NormalizedStatus::Pending, "pending"))
    }
}

impl Drop for Sleeps {
    fn drop(&mut self) {
        self.maybe("drop");
    }
}

cashier_provider_sdk::export_provider!(Sleeps);
