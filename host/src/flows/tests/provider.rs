//! A provider in memory with its gateways: what it takes, what it tells and what it forgets is the test's to say.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::ids::{ConfigId, Reference};
use cashier_core::money::Limit;
use cashier_core::notice::{ReceivingConfig, Update};
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refs::ProviderRef;
use cashier_core::time::UnixTime;
use cashier_core::transaction::NextAction;
use futures_util::future::BoxFuture;

use super::world::lock;
use crate::ports::{
    CatalogLine, CreateAnswer, Durable, Gateway, ModuleHealth, Modules, Order, PaymentQuery, QueryAnswer, RawNotice,
    Verdict,
};

/// What the provider does with the next create call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Create {
    Redirect,
    /// Taken after this many seconds.
    Slow(u64),
    /// Taken; the answer is lost.
    Silent,
    NeverSent,
    Decline,
}

/// A provider with what tests make it say; survives crashes.
#[derive(Default)]
pub(super) struct Provider {
    pub(super) creates: Mutex<VecDeque<Create>>,
    /// References in the order the provider was told them, repeats included.
    pub(super) told: Mutex<Vec<Reference>>,
    /// What a query answers, by our reference.
    pub(super) states: Mutex<BTreeMap<Reference, QueryAnswer>>,
    pub(super) cancel: Mutex<Option<QueryAnswer>>,
    pub(super) advance: Mutex<Option<QueryAnswer>>,
    pub(super) queries: AtomicU64,
    pub(super) advances: AtomicU64,
    pub(super) cancels: AtomicU64,
    /// The updates of each notice; a notice's body is its number.
    pub(super) notices: Mutex<Vec<Vec<Update>>>,
    /// Configs whose module is not working.
    pub(super) broken: Mutex<Vec<ConfigId>>,
    /// Configs whose gateways find nothing genuine.
    pub(super) deaf: Mutex<Vec<ConfigId>>,
    pub(super) expiry_seconds: AtomicI64,
    pub(super) window_seconds: AtomicI64,
    /// Configs that have no gateway.
    pub(super) unloaded: Mutex<Vec<ConfigId>>,
}

impl Provider {
    pub(super) fn told(&self) -> usize {
        lock(&self.told).len()
    }
}

struct Line {
    receiver: ReceivingConfig,
    provider: Arc<Provider>,
}

impl Gateway for Line {
    fn receiver(&self) -> &ReceivingConfig {
        &self.receiver
    }

    fn expiry_seconds(&self) -> i64 {
        self.provider.expiry_seconds.load(Ordering::SeqCst)
    }

    fn idempotency_window_seconds(&self) -> i64 {
        self.provider.window_seconds.load(Ordering::SeqCst)
    }

    fn create(&self, order: Durable<Arc<Order>>) -> BoxFuture<'static, CreateAnswer> {
        let provider = Arc::clone(&self.provider);
        let next = lock(&provider.creates).pop_front().unwrap_or(Create::Redirect);
        let reference = order.get().reference.clone();
        Box::pin(async move {
            let answer = |ending, url: &str| CreateAnswer {
                ending,
                update: None,
                refs: vec![ProviderRef::new("session", &format!("cs_{reference}"))],
                redirect_url: url.into(),
                instructions_json: Box::default(),
                provider_time: Duration::ZERO,
            };
            let wait = if let Create::Slow(seconds) = next { seconds * 1000 } else { 20 };
            if next != Create::NeverSent {
                lock(&provider.told).push(reference.clone());
            }
            tokio::time::sleep(Duration::from_millis(wait)).await;
            match next {
                Create::Redirect | Create::Slow(_) => {
                    answer(CreateEnding::Accepted(NextAction::Redirect), "https://pay.example/")
                }
                Create::Silent => {
                    let mut silent = answer(CreateEnding::Unknown, "");
                    silent.refs.clear();
                    silent
                }
                Create::NeverSent => {
                    let mut unsent = answer(CreateEnding::NeverSent { reason: "unreachable".into() }, "");
                    unsent.refs.clear();
                    unsent
                }
                Create::Decline => answer(CreateEnding::Declined { reason: "no".into() }, ""),
            }
        })
    }

    fn verify(&self, notice: &RawNotice, _offline: bool) -> BoxFuture<'static, Verdict> {
        let number: usize = std::str::from_utf8(&notice.body).unwrap_or_default().parse().unwrap_or(usize::MAX);
        let config = self.receiver.config_id;
        let verdict = if lock(&self.provider.broken).contains(&config) {
            Verdict::NotWorking("stuck".to_owned())
        } else if lock(&self.provider.deaf).contains(&config) {
            Verdict::Rejected("another's signature".to_owned())
        } else {
            match lock(&self.provider.notices).get(number) {
                Some(updates) => Verdict::Verified { updates: updates.clone(), acknowledgement: None },
                None => Verdict::Rejected("forged".to_owned()),
            }
        };
        Box::pin(std::future::ready(verdict))
    }

    fn query(&self, payment: PaymentQuery) -> BoxFuture<'static, QueryAnswer> {
        self.provider.queries.fetch_add(1, Ordering::SeqCst);
        let known = lock(&self.provider.states).get(&payment.reference).cloned();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(15)).await;
            known.unwrap_or(QueryAnswer::Unsupported)
        })
    }

    fn advance(&self, _payment: Durable<PaymentQuery>) -> BoxFuture<'static, QueryAnswer> {
        self.provider.advances.fetch_add(1, Ordering::SeqCst);
        let answer = lock(&self.provider.advance).clone().unwrap_or(QueryAnswer::Unsupported);
        Box::pin(std::future::ready(answer))
    }

    fn cancel(&self, _payment: Durable<PaymentQuery>) -> BoxFuture<'static, QueryAnswer> {
        self.provider.cancels.fetch_add(1, Ordering::SeqCst);
        let answer = lock(&self.provider.cancel).clone().unwrap_or(QueryAnswer::Unsupported);
        Box::pin(std::future::ready(answer))
    }
}

pub(super) struct Shelf(pub(super) Arc<Provider>);

impl Modules for Shelf {
    fn catalog(&self) -> Arc<[CatalogLine]> {
        Arc::new([CatalogLine {
            code: "acme".into(),
            name: "Acme".into(),
            description: Box::default(),
            payment_mode: "redirect".into(),
            methods: vec!["card".into()],
            module_name: "acme".into(),
            path: Box::default(),
            api_version: "1.0".into(),
            available: true,
            failure_reason: Box::default(),
            generation: 1,
            isolation: "in-process".into(),
            health: ModuleHealth::Ok,
            sha256: Box::default(),
            brands: None,
            endpoint_settings: vec!["api_base".into()],
            secret_settings: Vec::new(),
        }])
    }

    fn validate(&self, _config: &ProviderConfig) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        })
    }

    fn open_gateway(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<Arc<dyn Gateway>, String>> {
        if lock(&self.0.unloaded).contains(&config.id) {
            return Box::pin(std::future::ready(Err("not loaded".to_owned())));
        }
        let line = Line { receiver: receiver(config.id), provider: Arc::clone(&self.0) };
        Box::pin(std::future::ready(Ok(Arc::new(line) as Arc<dyn Gateway>)))
    }
}

pub(super) fn receiver(config_id: ConfigId) -> ReceivingConfig {
    ReceivingConfig {
        config_id,
        provider: "acme".into(),
        brand: Box::default(),
        sandbox: false,
        primary_ref_kind: "payment".into(),
        module_hash: "ab".into(),
    }
}

pub(super) fn config(id: u64) -> ProviderConfig {
    ProviderConfig {
        id: ConfigId(id),
        provider: "acme".into(),
        brand: Box::default(),
        method: Box::default(),
        country: Box::default(),
        currency: Box::default(),
        merchant_id: Box::default(),
        public_key: Box::default(),
        secret_key: Secret::new("sk"),
        webhook_secret: Secret::new("wh"),
        replaced_webhook_secrets: Vec::new(),
        settings_json: "{}".into(),
        config_json: Secret::default(),
        min_amount: Limit::NONE,
        max_amount: Limit::NONE,
        sandbox: false,
        enabled: true,
        sort_index: 0,
        created_time: UnixTime(1),
        updated_time: UnixTime(1),
        terms_version: 1,
        version: 1,
    }
}
