//! A live gateway: one module under one config, with a thread, a line to its provider and limits of its own.
//! Decides nothing: it asks the module through `exchange` and says through `outcomes` what the end means.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cashier_core::notice::ReceivingConfig;
use cashier_core::provider_config::ProviderConfig as Row;
use cashier_core::time::UnixTime;
use cashier_provider_sdk::host::Instance;
use cashier_provider_sdk::{HttpReply, PaymentOrder, PaymentRef, StatusUpdate, Step, WebhookNotice};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::convert::{self, Masks};
use super::exchange::{Allowed, Line};
use super::module_thread::ModuleThread;
use super::outcomes::{self, Question};
use crate::plugins::loading::registry::Loaded;
use crate::plugins::thread_slots::STUCK_MAX;
use crate::ports::{
    Clock, CreateAnswer, Durable, Entropy, Gateway, Order, PaymentQuery, QueryAnswer, RawNotice, Verdict,
};

/// Longest reason a configuration is refused with.
const REFUSAL_LENGTH_MAX: usize = 512;

/// How a gateway, or all gateways of a module, are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plugins) enum Health {
    Ok,
    Degraded,
    Unavailable,
}

impl Health {
    pub(in crate::plugins) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A module under one config.
pub(in crate::plugins) struct Live {
    receiver: ReceivingConfig,
    loaded: Arc<Loaded>,
    row: Row,
    notify_url: String,
    masks: Masks,
    thread: ModuleThread,
    line: Line,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// When the next replaced secret stops verifying, Unix seconds.
    secrets_hold_until: AtomicI64,
}

/// The port's view of a [`Live`] gateway.
struct LiveGateway(Arc<Live>);

/// What a gateway is made of besides its config.
pub(in crate::plugins) struct Parts {
    pub(in crate::plugins) loaded: Arc<Loaded>,
    pub(in crate::plugins) notify_url: String,
    pub(in crate::plugins) clock: Arc<dyn Clock>,
    pub(in crate::plugins) entropy: Arc<dyn Entropy>,
}

/// Asks the module whether it would work under `row`.
///
/// # Errors
/// The first setting that cannot work, in the module's words or, where the module's descriptor suffices, in the host's.
pub(in crate::plugins) async fn validate(row: &Row, parts: &Parts) -> Result<(), String> {
    configured(row, parts).await.map(drop)
}

/// A live gateway for `row`.
///
/// # Errors
/// As [`validate`].
pub(in crate::plugins) async fn open(row: &Row, parts: Parts) -> Result<(Arc<Live>, Arc<dyn Gateway>), String> {
    let (thread, masks) = configured(row, &parts).await?;
    let Parts { loaded, notify_url, clock, entropy } = parts;
    let receiver = ReceivingConfig {
        config_id: row.id,
        provider: row.provider.clone(),
        brand: row.brand.clone(),
        sandbox: row.sandbox,
        primary_ref_kind: loaded.generation.descriptor.primary_ref_kind.as_str().into(),
        module_hash: loaded.generation.copied.sha256.as_str().into(),
    };
    let line = Line::new(
        format!("{} {}", row.provider, row.id),
        loaded.listed.limits,
        Arc::clone(&clock),
        Arc::clone(&loaded.network),
    );
    let secrets_hold_until = AtomicI64::new(next_expiry(row, clock.now()));
    let row = row.clone();
    let live = Live { receiver, loaded, row, notify_url, masks, thread, line, clock, entropy, secrets_hold_until };
    let live = Arc::new(live);
    let gateway = Arc::new(LiveGateway(Arc::clone(&live)));
    Ok((live, gateway))
}

async fn configured(row: &Row, parts: &Parts) -> Result<(ModuleThread, Masks), String> {
    let (loaded, clock) = (&parts.loaded, &parts.clock);
    let config = convert::config(row, parts.notify_url.clone(), clock.now())?;
    if let Some(spec) = convert::missing_required(&config, &loaded.generation.descriptor).filter(|_| row.enabled) {
        return Err(format!("{}: is required", spec.key));
    }
    for (key, url) in convert::endpoints(&config, &loaded.generation.descriptor) {
        loaded.network.permits(url).map_err(|reason| format!("{key}: {reason}"))?;
    }
    let masks = Masks::of(&config, &loaded.generation.descriptor);
    let (limits, places) = (loaded.listed.limits, loaded.generation.places.clone());
    match ModuleThread::start(loaded.generation.module, config, limits, Arc::clone(clock), places).await {
        Ok(thread) => Ok((thread, masks)),
        Err(failure) => Err(masks.text(&failure.to_string(), REFUSAL_LENGTH_MAX).into_string()),
    }
}

fn next_expiry(row: &Row, now: UnixTime) -> i64 {
    let holding = row.replaced_webhook_secrets.iter().map(|replaced| replaced.until).filter(|until| *until > now);
    holding.min().map_or(i64::MAX, |until| until.0)
}

impl Live {
    pub(in crate::plugins) fn health(&self) -> Health {
        match self.thread.stuck() {
            0 if !self.line.is_broken() => Health::Ok,
            stuck if stuck < STUCK_MAX => Health::Degraded,
            _ => Health::Unavailable,
        }
    }

    /// Configures the module anew once a replaced secret no longer verifies.
    async fn let_go_of_old_secrets(&self) -> Result<(), String> {
        let now = self.clock.now();
        if now.0 < self.secrets_hold_until.load(Ordering::Acquire) {
            return Ok(());
        }
        let config = convert::config(&self.row, self.notify_url.clone(), now)?;
        let made = self.thread.reconfigure(self.loaded.generation.module, config).await;
        made.map_err(|failure| failure.to_string())?
            .map_err(|error| self.masks.text(&error.to_string(), REFUSAL_LENGTH_MAX).into_string())?;
        self.secrets_hold_until.store(next_expiry(&self.row, now), Ordering::Release);
        Ok(())
    }

    async fn create(&self, shown: PaymentOrder) -> CreateAnswer {
        let (reference, key) = (shown.reference.clone(), shown.idempotency_key.clone());
        let allowed = Allowed::Creating { marks: &[&reference, &key] };
        let call = move |instance: &Instance, replies: &[HttpReply]| instance.create_payment(&shown, replies);
        outcomes::create(self.line.exchange(&self.thread, allowed, call).await, &self.masks)
    }

    async fn verify(&self, shown: WebhookNotice, offline: bool) -> Verdict {
        if let Err(reason) = self.let_go_of_old_secrets().await {
            return Verdict::NotWorking(reason);
        }
        let allowed = if offline { Allowed::Nothing } else { Allowed::SafeRequests };
        let call = move |instance: &Instance, replies: &[HttpReply]| instance.normalize_status(&shown, replies);
        outcomes::verify(self.line.exchange(&self.thread, allowed, call).await, &self.masks)
    }

    async fn ask(&self, question: Question, payment: &PaymentQuery) -> QueryAnswer {
        let can = self.loaded.generation.descriptor.capabilities;
        let (able, allowed, entry): (bool, Allowed<'_>, Entry) = match question {
            Question::Query => (can.query, Allowed::SafeRequests, Instance::query_status),
            Question::Advance => (can.advance, Allowed::Everything, Instance::advance_payment),
            Question::Cancel => (can.cancel, Allowed::Everything, Instance::cancel_payment),
        };
        if !able {
            return QueryAnswer::Unsupported;
        }
        let shown = convert::payment(payment, &self.receiver.brand, &self.notify_url);
        let call = move |instance: &Instance, replies: &[HttpReply]| entry(instance, &shown, replies);
        outcomes::query(question, self.line.exchange(&self.thread, allowed, call).await, &self.masks)
    }
}

/// An entry of the module about a payment that exists.
type Entry = fn(&Instance, &PaymentRef, &[HttpReply]) -> Step<StatusUpdate>;

impl LiveGateway {
    /// Runs on whatever the caller awaits on; the module's own work is on the module's thread.
    fn with<T, F>(&self, work: impl FnOnce(Arc<Live>) -> F) -> BoxFuture<'static, T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        work(Arc::clone(&self.0)).boxed()
    }
}

impl Gateway for LiveGateway {
    fn receiver(&self) -> &ReceivingConfig {
        &self.0.receiver
    }

    fn expiry_seconds(&self) -> i64 {
        i64::from(self.0.loaded.generation.descriptor.expiry_seconds)
    }

    fn idempotency_window_seconds(&self) -> i64 {
        i64::from(self.0.loaded.generation.descriptor.idempotency_window_seconds)
    }

    fn create(&self, order: Durable<Arc<Order>>) -> BoxFuture<'static, CreateAnswer> {
        let shown = convert::payment_order(order.get());
        self.with(|live| async move { live.create(shown).await })
    }

    fn verify(&self, notice: &RawNotice, offline: bool) -> BoxFuture<'static, Verdict> {
        let shown = convert::notice(notice, &self.0.receiver.provider, self.0.entropy.bits());
        self.with(|live| async move { live.verify(shown, offline).await })
    }

    fn query(&self, payment: PaymentQuery) -> BoxFuture<'static, QueryAnswer> {
        self.with(|live| async move { live.ask(Question::Query, &payment).await })
    }

    fn advance(&self, payment: Durable<PaymentQuery>) -> BoxFuture<'static, QueryAnswer> {
        self.with(|live| async move { live.ask(Question::Advance, payment.get()).await })
    }

    fn cancel(&self, payment: Durable<PaymentQuery>) -> BoxFuture<'static, QueryAnswer> {
        self.with(|live| async move { live.ask(Question::Cancel, payment.get()).await })
    }
}
