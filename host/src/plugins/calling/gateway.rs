//! The gateway of one provider config: the configured module on its thread, and the network it may use. It runs each call
//! through `exchange` and lets `outcomes` decide what the end means.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cashier_core::ids::TransactionId;
use cashier_core::notice::ReceivingConfig;
use cashier_core::provider_call::CallPurpose;
use cashier_core::provider_config::ProviderConfig as ConfigRow;
use cashier_core::refund::{PaymentAbilities, RefundAnswer};
use cashier_core::time::UnixTime;
use cashier_provider_sdk::host::{Instance, PROVEN_BEFORE};
use cashier_provider_sdk::{
    Capabilities, HttpReply, PaymentMode, PaymentOrder, PaymentRef, RefundOrder, StatusUpdate, Step, WebhookNotice,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::convert::{self, SecretMasks};
use super::exchange::{AllowedRequests, ExchangeDriver};
use super::module_thread::ModuleThread;
use super::outcomes::{self, PaymentCall};
use super::sent_requests::logged;
use crate::plugins::crash::{About, AboutNotice, CallEntry, CallSite, ModuleQuarantine, is_cut, notice_digest};
use crate::plugins::loading::module::{LoadedModule, ReportsHealth};
use crate::plugins::thread_slots::STUCK_MAX;
use crate::ports::{
    Called, Clock, CreateAnswer, Durable, Entropy, Gateway, ModuleHealth, NoticeBody, Order, OrderCheck, PaymentQuery,
    QueryAnswer, RawNotice, RefundQuery, Verdict,
};
use crate::web_url;

/// Longest reason for which a configuration is refused.
const REFUSAL_LENGTH_MAX: usize = 512;

/// What a gateway is made of besides its config.
pub(in crate::plugins) struct GatewayParts {
    pub(in crate::plugins) loaded: Arc<LoadedModule>,
    pub(in crate::plugins) notify_url: String,
    pub(in crate::plugins) clock: Arc<dyn Clock>,
    pub(in crate::plugins) entropy: Arc<dyn Entropy>,
    pub(in crate::plugins) site: CallSite,
    pub(in crate::plugins) quarantine: Arc<ModuleQuarantine>,
}

/// Validates `row` with the module: configures an instance and drops it.
///
/// # Errors
/// The first setting that cannot work, in the module's words or, where its descriptor suffices, in the host's.
pub(in crate::plugins) async fn validate(row: &ConfigRow, parts: &GatewayParts) -> Result<(), String> {
    configured(row, parts).await.map(drop)
}

/// Opens the gateway of `row` and counts it into the health of its module.
///
/// # Errors
/// As [`validate`].
pub(in crate::plugins) async fn open(row: &ConfigRow, parts: GatewayParts) -> Result<Arc<dyn Gateway>, String> {
    let (thread, masks, payment_mode) = configured(row, &parts).await?;
    let GatewayParts { loaded, notify_url, clock, entropy, site, quarantine } = parts;
    let receiver = ReceivingConfig {
        config_id: row.id,
        provider: row.provider.clone(),
        brand: row.brand.clone(),
        sandbox: row.sandbox,
        primary_ref_kind: loaded.generation.descriptor.primary_ref_kind.as_str().into(),
        module_hash: loaded.generation.copy.sha256.as_str().into(),
        // The snapshot knows the other configs; a flow adds them.
        merchant_account: Arc::new([row.id]),
    };
    let driver = ExchangeDriver::new(
        format!("{} {}", row.provider, row.id),
        loaded.options.limits,
        Arc::clone(&clock),
        Arc::clone(&loaded.network).for_config(),
    );
    let secrets_valid_until = AtomicI64::new(next_expiry(row, clock.now()));
    let row = row.clone();
    let gateway = Arc::new(ConfiguredModule {
        receiver,
        loaded,
        row,
        notify_url,
        payment_mode,
        masks,
        thread,
        driver,
        clock,
        entropy,
        site,
        quarantine,
        secrets_valid_until,
    });
    let weak = Arc::downgrade(&gateway);
    gateway.loaded.generation.count(weak);
    Ok(Arc::new(ModuleGateway(gateway)))
}

async fn configured(row: &ConfigRow, parts: &GatewayParts) -> Result<(ModuleThread, SecretMasks, PaymentMode), String> {
    let (loaded, clock) = (&parts.loaded, &parts.clock);
    let config = convert::config(row, parts.notify_url.clone(), clock.now())?;
    if let Some(spec) = convert::missing_required(&config, &loaded.generation.descriptor).filter(|_| row.enabled) {
        return Err(format!("{}: is required", spec.key));
    }
    for (key, url) in convert::endpoints(&config, &loaded.generation.descriptor) {
        web_url::base(url).map_err(|reason| format!("{key}: {reason}"))?;
        loaded.network.permits(url).map_err(|reason| format!("{key}: {reason}"))?;
    }
    let masks = SecretMasks::of(&config, &loaded.generation.descriptor);
    let payment_mode = convert::payment_mode(&config, &loaded.generation.descriptor);
    let (limits, slots) = (loaded.options.limits, loaded.generation.slots.clone());
    let (module, site) = (loaded.generation.module, parts.site.clone());
    match ModuleThread::start(module, config, limits, Arc::clone(clock), slots, site).await {
        Ok(thread) => Ok((thread, masks, payment_mode)),
        Err(failure) => Err(masks.text(&failure.to_string(), REFUSAL_LENGTH_MAX).into_string()),
    }
}

/// When the next replaced secret stops being valid, Unix seconds.
fn next_expiry(row: &ConfigRow, now: UnixTime) -> i64 {
    let valid = row.replaced_webhook_secrets.iter().map(|replaced| replaced.until).filter(|until| *until > now);
    valid.min().map_or(i64::MAX, |until| until.0)
}

/// A module under one config.
struct ConfiguredModule {
    receiver: ReceivingConfig,
    loaded: Arc<LoadedModule>,
    row: ConfigRow,
    notify_url: String,
    payment_mode: PaymentMode,
    masks: SecretMasks,
    thread: ModuleThread,
    driver: ExchangeDriver,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    site: CallSite,
    quarantine: Arc<ModuleQuarantine>,
    /// When the module must be configured anew, without a replaced secret; Unix seconds.
    secrets_valid_until: AtomicI64,
}

impl ReportsHealth for ConfiguredModule {
    fn credentials_are_refused(&self) -> bool {
        self.driver.credentials.are_refused()
    }

    fn problems(&self) -> Vec<String> {
        let stuck = self.thread.stuck();
        let problems = [
            self.driver.circuit_is_open().then(|| "circuit breaker open: its provider does not answer".to_owned()),
            self.credentials_are_refused().then(|| "its provider refuses the credentials".to_owned()),
            (stuck > 0).then(|| format!("{stuck} calls into the module do not return")),
        ];
        problems.into_iter().flatten().map(|problem| format!("config {}: {problem}", self.row.id)).collect()
    }

    fn health(&self) -> ModuleHealth {
        match self.thread.stuck() {
            0 if !self.driver.circuit_is_open() => ModuleHealth::Ok,
            stuck if stuck < STUCK_MAX => ModuleHealth::Degraded,
            _ => ModuleHealth::Unavailable,
        }
    }
}

impl ConfiguredModule {
    /// Configures the module anew once a replaced secret has expired, which an implausible clock does not show.
    async fn drop_expired_secrets(&self) -> Result<(), String> {
        let now = self.clock.now();
        if now.0 < self.secrets_valid_until.load(Ordering::Acquire) || !self.clock.is_plausible() {
            return Ok(());
        }
        let config = convert::config(&self.row, self.notify_url.clone(), now)?;
        let configured = self.thread.reconfigure(self.loaded.generation.module, config).await;
        configured
            .map_err(|failure| failure.to_string())?
            .map_err(|error| self.masks.text(&error.to_string(), REFUSAL_LENGTH_MAX).into_string())?;
        self.secrets_valid_until.store(next_expiry(&self.row, now), Ordering::Release);
        Ok(())
    }

    /// Runs on the module's thread under the limits of any call; it needs no place in the queue for the network.
    async fn check_order(&self, order: PaymentOrder) -> OrderCheck {
        let site = self.site.clone();
        let call = move |instance: &Instance| {
            let about = About { reference: &order.reference, ..About::default() };
            let _call = site.enter(CallEntry::CheckOrder, &about);
            instance.check_order(&order)
        };
        outcomes::check_order(self.thread.call(call).await, &self.masks)
    }

    async fn create(&self, order: PaymentOrder, transaction: TransactionId) -> Called<CreateAnswer> {
        let (reference, key) = (order.reference.clone(), order.idempotency_key.clone());
        let allowed = AllowedRequests::Creating { order_keys: &[&reference, &key] };
        let site = self.site.clone();
        let call = move |instance: &Instance, replies: &[HttpReply]| {
            let (transaction, reference) = (transaction.0, &*order.reference);
            let about = About { transaction, reference, phase: replies.len(), notice: None };
            let _call = site.enter(CallEntry::CreatePayment, &about);
            instance.create_payment(&order, replies)
        };
        let outcome = self.driver.exchange(&self.thread, allowed, call).await;
        let calls = logged(&outcome.requests, CallPurpose::Create, &self.masks);
        Called { answer: outcomes::create(outcome, &self.masks), calls }
    }

    async fn verify(&self, notice: WebhookNotice, body: NoticeBody, offline: bool) -> Called<Verdict> {
        if let Err(reason) = self.drop_expired_secrets().await {
            return Verdict::NotWorking(reason).into();
        }
        let site = self.site.clone();
        let barring = self.quarantine.bars_any(&site.build);
        let cut = is_cut(&notice.raw_query, &body);
        let digest = (barring || cut).then(|| body.digest_with(&notice.raw_query, notice_digest));
        if let Some(call) = digest.as_deref().and_then(|digest| self.quarantine.bars(&site.build, digest)) {
            return Verdict::NotWorking(format!("the notice is barred: {call}")).into();
        }
        let allowed = if offline { AllowedRequests::None } else { AllowedRequests::SafeOnly };
        let call = move |instance: &Instance, replies: &[HttpReply]| {
            let about = AboutNotice { notice: &notice, body: &body, sha256: digest.as_deref() };
            let _call = site.enter(CallEntry::NormalizeStatus, &About { notice: Some(about), ..About::after(replies) });
            instance.normalize_shared(&notice, &body, replies)
        };
        let outcome = self.driver.exchange(&self.thread, allowed, call).await;
        let calls = logged(&outcome.requests, CallPurpose::Verify, &self.masks);
        Called { answer: outcomes::verify(outcome, &self.masks, self.clock.is_plausible()), calls }
    }

    async fn refund(&self, refund: RefundOrder, transaction: TransactionId) -> Called<RefundAnswer> {
        let key = refund.refund_reference.clone();
        let allowed = AllowedRequests::Creating { order_keys: &[&key] };
        let site = self.site.clone();
        let call = move |instance: &Instance, replies: &[HttpReply]| {
            let (transaction, reference) = (transaction.0, &*refund.refund_reference);
            let about = About { transaction, reference, phase: replies.len(), notice: None };
            let _call = site.enter(CallEntry::RefundPayment, &about);
            instance.refund_payment(&refund, replies)
        };
        let outcome = self.driver.exchange(&self.thread, allowed, call).await;
        let calls = logged(&outcome.requests, CallPurpose::Refund, &self.masks);
        Called { answer: outcomes::refund(outcome, &self.masks), calls }
    }

    async fn call(&self, call: PaymentCall, payment: &PaymentQuery) -> Called<QueryAnswer> {
        let capabilities = self.loaded.generation.descriptor.capabilities;
        let (supported, allowed, entry_point, entry): (bool, AllowedRequests<'_>, EntryPoint, CallEntry) = match call {
            PaymentCall::Query => {
                (capabilities.query, AllowedRequests::SafeOnly, Instance::query_status, CallEntry::QueryStatus)
            }
            PaymentCall::Advance => {
                (capabilities.advance, AllowedRequests::All, Instance::advance_payment, CallEntry::AdvancePayment)
            }
            PaymentCall::Cancel => {
                (capabilities.cancel, AllowedRequests::All, Instance::cancel_payment, CallEntry::CancelPayment)
            }
        };
        if !supported {
            return QueryAnswer::Unsupported.into();
        }
        let payment = convert::payment(payment, &self.receiver.brand, &self.notify_url);
        let site = self.site.clone();
        let step = move |instance: &Instance, replies: &[HttpReply]| {
            let _call = site.enter(entry, &About { reference: &payment.reference, ..About::after(replies) });
            entry_point(instance, &payment, replies)
        };
        let outcome = self.driver.exchange(&self.thread, allowed, step).await;
        let calls = logged(&outcome.requests, call.purpose(), &self.masks);
        Called { answer: outcomes::query(call, outcome, &self.masks), calls }
    }
}

/// An entry point of a module for a payment that exists.
type EntryPoint = fn(&Instance, &PaymentRef, &[HttpReply]) -> Step<StatusUpdate>;

/// The port's view of a [`ConfiguredModule`].
struct ModuleGateway(Arc<ConfiguredModule>);

impl ModuleGateway {
    /// Runs where the caller awaits it; the module's own code runs on the module's thread.
    fn with<T, F>(&self, work: impl FnOnce(Arc<ConfiguredModule>) -> F) -> BoxFuture<'static, T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        work(Arc::clone(&self.0)).boxed()
    }
}

impl Gateway for ModuleGateway {
    fn receiver(&self) -> &ReceivingConfig {
        &self.0.receiver
    }

    fn expiry_seconds(&self) -> i64 {
        i64::from(self.0.loaded.generation.descriptor.expiry_seconds)
    }

    fn payment_mode(&self) -> Option<&'static str> {
        Some(self.0.payment_mode.as_str())
    }

    fn idempotency_window_seconds(&self) -> i64 {
        i64::from(self.0.loaded.generation.descriptor.idempotency_window_seconds)
    }

    fn check_order(&self, order: &Order) -> BoxFuture<'static, OrderCheck> {
        let order = convert::payment_order(order);
        self.with(|module| async move { module.check_order(order).await })
    }

    fn create(&self, order: Durable<Arc<Order>>) -> BoxFuture<'static, Called<CreateAnswer>> {
        let (transaction, order) = (order.get().transaction_id, convert::payment_order(order.get()));
        self.with(|module| async move { module.create(order, transaction).await })
    }

    fn verify(&self, notice: &RawNotice, offline: bool) -> BoxFuture<'static, Called<Verdict>> {
        let body = notice.body.clone();
        let notice = convert::notice(notice, &self.0.receiver.provider, self.0.entropy.bits());
        self.with(|module| async move { module.verify(notice, body, offline).await })
    }

    fn read_proven(&self, notice: &RawNotice, offline: bool) -> BoxFuture<'static, Called<Verdict>> {
        let body = notice.body.clone();
        let mut notice = convert::notice(notice, &self.0.receiver.provider, self.0.entropy.bits());
        notice.bag.push((PROVEN_BEFORE.to_owned(), String::new()));
        self.with(|module| async move { module.verify(notice, body, offline).await })
    }

    fn query(&self, payment: PaymentQuery) -> BoxFuture<'static, Called<QueryAnswer>> {
        self.with(|module| async move { module.call(PaymentCall::Query, &payment).await })
    }

    fn advance(&self, payment: Durable<PaymentQuery>) -> BoxFuture<'static, Called<QueryAnswer>> {
        self.with(|module| async move { module.call(PaymentCall::Advance, payment.get()).await })
    }

    fn cancel(&self, payment: Durable<PaymentQuery>) -> BoxFuture<'static, Called<QueryAnswer>> {
        self.with(|module| async move { module.call(PaymentCall::Cancel, payment.get()).await })
    }

    fn abilities(&self) -> PaymentAbilities {
        let declared = &self.0.loaded.generation.descriptor.capabilities;
        let Capabilities { refund, partial_refund, cancel, .. } = *declared;
        PaymentAbilities { refund, partial_refund: refund && partial_refund, cancel }
    }

    fn refund(&self, refund: Durable<RefundQuery>) -> BoxFuture<'static, Called<RefundAnswer>> {
        let transaction = refund.get().transaction_id;
        let order = convert::refund_order(refund.get(), &self.0.receiver.brand, &self.0.notify_url);
        self.with(|module| async move { module.refund(order, transaction).await })
    }
}
