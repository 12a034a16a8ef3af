//! The one module of the test cashier and the provider behind it, which does what a test tells it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cashier_core::aggregate::CreateEnding;
use cashier_core::ids::Reference;
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{ReceivingConfig, StatedAmount, Update};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refs::ProviderRef;
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::NextAction;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::ports::{
    Acknowledgement, CatalogLine, CreateAnswer, Durable, Gateway, ModuleHealth, Modules, Order, PaymentQuery,
    QueryAnswer, RawNotice, Verdict,
};

pub(super) struct TestModules {
    pub(super) provider: Arc<TestProvider>,
}

impl Modules for TestModules {
    fn catalog(&self) -> Arc<[CatalogLine]> {
        let line = CatalogLine {
            code: "stripe".into(),
            name: "Card".into(),
            description: "Pay by card".into(),
            payment_mode: "redirect".into(),
            methods: vec!["card".into()],
            module_name: "stripe".into(),
            path: "/opt/cashier/libcashier_provider_stripe.so".into(),
            api_version: "1".into(),
            available: true,
            failure_reason: "".into(),
            generation: 1,
            isolation: "in-process".into(),
            health: ModuleHealth::Ok,
            sha256: "".into(),
            brands: None,
            endpoint_settings: Vec::new(),
            secret_settings: Vec::new(),
        };
        Arc::new([line])
    }

    fn validate(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<(), String>> {
        let refused = &*config.merchant_id == "wrong";
        ready(if refused { Err("merchant_id wrong is not an account".into()) } else { Ok(()) }).boxed()
    }

    fn open_gateway(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<Arc<dyn Gateway>, String>> {
        ready(Ok(gateway(&self.provider, config))).boxed()
    }
}

/// What the provider does, and what it was asked to do.
#[derive(Default)]
pub(crate) struct TestProvider {
    /// What the next create calls answer; without one they are accepted.
    pub(crate) ending: Mutex<Option<CreateEnding>>,
    pub(crate) orders: Mutex<Vec<Arc<Order>>>,
    pub(crate) acknowledgement: Mutex<Option<Acknowledgement>>,
}

pub(super) fn gateway(provider: &Arc<TestProvider>, config: &ProviderConfig) -> Arc<dyn Gateway> {
    let receiver = ReceivingConfig {
        config_id: config.id,
        provider: config.provider.clone(),
        brand: config.brand.clone(),
        sandbox: config.sandbox,
        primary_ref_kind: "payment_intent".into(),
        module_hash: "".into(),
    };
    Arc::new(TestGateway { provider: Arc::clone(provider), receiver })
}

struct TestGateway {
    provider: Arc<TestProvider>,
    receiver: ReceivingConfig,
}

impl Gateway for TestGateway {
    fn receiver(&self) -> &ReceivingConfig {
        &self.receiver
    }

    fn expiry_seconds(&self) -> i64 {
        3600
    }

    fn idempotency_window_seconds(&self) -> i64 {
        86_400
    }

    fn create(&self, order: Durable<Arc<Order>>) -> BoxFuture<'static, CreateAnswer> {
        self.provider.orders.lock().unwrap().push(order.into_inner());
        let ending = self.provider.ending.lock().unwrap().clone();
        let ending = ending.unwrap_or(CreateEnding::Accepted(NextAction::Redirect));
        let accepted = matches!(ending, CreateEnding::Accepted(_));
        ready(CreateAnswer {
            ending,
            update: None,
            refs: if accepted { vec![ProviderRef::new("payment_intent", "pi_123")] } else { Vec::new() },
            redirect_url: if accepted { "https://pay.example/c/1".into() } else { "".into() },
            instructions_json: "".into(),
            provider_time: Duration::from_micros(250_000),
        })
        .boxed()
    }

    /// A notice of the test cashier: `x-signature: config <id>` and a body of `<event id> <reference> <minor>`, which confirms.
    fn verify(&self, notice: &RawNotice, _: bool) -> BoxFuture<'static, Verdict> {
        let signed = format!("config {}", self.receiver.config_id);
        let genuine = notice.headers.iter().any(|(name, value)| &**name == "x-signature" && **value == *signed);
        if !genuine {
            return ready(Verdict::Rejected("another signature".into())).boxed();
        }
        let body = String::from_utf8_lossy(&notice.body).into_owned();
        let mut words = body.split_whitespace();
        let mut word = || words.next().unwrap_or_default();
        let (event_id, reference, minor) = (word().into(), Reference::read(word()), word().parse().unwrap_or(0));
        let update = Update {
            event_id,
            reference,
            refs: Vec::new(),
            status: ProviderStatus::Confirmed,
            payment_id: "pi_123".into(),
            amount: Some(StatedAmount::Exact(Money::new(minor, Currency::from_code("USD").unwrap()))),
            refund: None,
            dispute: None,
            raw_status: "succeeded".into(),
            reason: "".into(),
            sandbox: None,
            advance: false,
        };
        let acknowledgement = self.provider.acknowledgement.lock().unwrap().clone();
        ready(Verdict::Verified { updates: vec![update], acknowledgement }).boxed()
    }

    fn query(&self, _: PaymentQuery) -> BoxFuture<'static, QueryAnswer> {
        ready(QueryAnswer::Unsupported).boxed()
    }

    fn advance(&self, _: Durable<PaymentQuery>) -> BoxFuture<'static, QueryAnswer> {
        ready(QueryAnswer::Unsupported).boxed()
    }

    fn cancel(&self, _: Durable<PaymentQuery>) -> BoxFuture<'static, QueryAnswer> {
        ready(QueryAnswer::Unsupported).boxed()
    }
}

/// An acknowledgement of a provider that wants its own words.
pub(crate) fn own_words() -> Acknowledgement {
    Acknowledgement {
        status: 202,
        headers: vec![("content-type".into(), "text/plain".into())],
        body: Bytes::from_static(b"[accepted]"),
    }
}
