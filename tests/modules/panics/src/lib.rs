//! Panics in the entry that the setting `panic_in` names, and quotes its secret in the message: neither may leave the module.

use cashier_provider_sdk::{
    Capabilities, ConfigError, Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, PaymentRef,
    ProviderConfig, RefundOrder, Secret, SettingSpec, StatusUpdate, Step, WebhookNotice, WebhookVerdict,
};

struct Panics {
    entry: String,
    secret: Secret,
}

impl Panics {
    #[expect(clippy::panic, reason = "this module exists to panic")]
    fn maybe(&self, entry: &str) {
        if self.entry == entry {
            panic!("in {entry} with {}", self.secret.expose());
        }
    }
}

impl PaymentProvider for Panics {
    fn descriptor() -> Descriptor {
        Descriptor {
            code: "panics".into(),
            name: "Panics".into(),
            methods: vec!["card".into()],
            capabilities: Capabilities {
                advance: true,
                query: true,
                cancel: true,
                refund: true,
                ..Capabilities::default()
            },
            settings: vec![SettingSpec::text("panic_in", "Entry to panic in")],
            ..Descriptor::default()
        }
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        let entry = config.settings.text("panic_in")?.unwrap_or_default().to_owned();
        let provider = Self { entry, secret: config.secret_key.clone() };
        provider.maybe("configure");
        Ok(provider)
    }

    fn create_payment(&self, _order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        self.maybe("create_payment");
        Step::Done(PaymentCreated::default())
    }

    fn normalize_status(&self, _notice: &WebhookNotice, _replies: &[HttpReply]) -> Step<WebhookVerdict> {
        self.maybe("normalize_status");
        Step::Done(WebhookVerdict::no_updates())
    }

    fn advance_payment(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        self.maybe("advance_payment");
        Step::Done(StatusUpdate::default())
    }

    fn query_status(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        self.maybe("query_status");
        Step::Done(StatusUpdate::default())
    }

    fn refund_payment(&self, _refund: &RefundOrder, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        self.maybe("refund_payment");
        Step::Done(StatusUpdate::default())
    }

    fn cancel_payment(&self, _payment: &PaymentRef, _replies: &[HttpReply]) -> Step<StatusUpdate> {
        self.maybe("cancel_payment");
        Step::Done(StatusUpdate::default())
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.maybe("drop");
    }
}

cashier_provider_sdk::export_provider!(Panics);
