//! Instances that do not return from configuring or from being let go, behind the real border and on the real clock.

use std::sync::LazyLock;
use std::time::Duration;

use cashier_provider_sdk as sdk;
use cashier_provider_sdk::{
    Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderRef, Settings, Step,
};

use super::*;
use crate::system::SystemClock;

/// Sleeps while it is configured and let go, as long as its settings say.
struct Sleepy {
    letting_go: Duration,
    name: String,
}

fn length(config: &ProviderConfig, key: &str) -> Result<Duration, ConfigError> {
    let length = config.settings.integer(key)?.and_then(|length| u64::try_from(length).ok());
    Ok(Duration::from_millis(length.unwrap_or(0)))
}

/// Longer than any test runs.
const FOR_EVER_MS: u64 = 3_600_000;

impl PaymentProvider for Sleepy {
    fn descriptor() -> Descriptor {
        Descriptor::default()
    }

    fn configure(config: &ProviderConfig) -> Result<Self, ConfigError> {
        std::thread::sleep(length(config, "configure_ms")?);
        Ok(Self { letting_go: length(config, "drop_ms")?, name: config.provider.clone() })
    }

    fn create_payment(&self, _order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        Step::Done(PaymentCreated { refs: vec![ProviderRef::new("name", &self.name)], ..PaymentCreated::default() })
    }

    fn normalize_status(&self, _notice: &sdk::WebhookNotice, _replies: &[HttpReply]) -> Step<sdk::WebhookVerdict> {
        Step::Unsupported
    }
}

fn config(name: &str, settings: &str) -> ProviderConfig {
    let settings = Settings::parse(settings).unwrap();
    ProviderConfig { provider: name.to_owned(), settings, ..ProviderConfig::default() }
}

fn never_lets_go() -> ProviderConfig {
    config("old", &format!("{{\"drop_ms\":{FOR_EVER_MS}}}"))
}

/// One for all threads: what they hold is measured by it.
fn clock() -> Arc<SystemClock> {
    static CLOCK: LazyLock<Arc<SystemClock>> = LazyLock::new(|| Arc::new(SystemClock::new()));
    Arc::clone(&CLOCK)
}

/// What a thread that does nothing surely manages, on however busy a machine.
const AMPLE_MS: u64 = 1_000;

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn limits(call_ms: u64) -> Limits {
    Limits { call: Duration::from_millis(call_ms), ..Limits::default() }
}

async fn start(config: ProviderConfig, limits: Limits, places: &ThreadSlots) -> Result<ModuleThread, StartFailure> {
    ModuleThread::start(ModuleV1::of::<Sleepy>(), config, limits, clock(), places.clone()).await
}

/// Which instance answers.
async fn name(thread: &ModuleThread) -> Result<String, CallFailure> {
    let step = thread.call(|instance| instance.create_payment(&PaymentOrder::default(), &[])).await?;
    let Step::Done(PaymentCreated { refs, .. }) = step else { panic!("{step:?}") };
    Ok(refs.into_iter().map(|named| named.value).collect())
}

#[tokio::test]
async fn twenty_configs_of_one_module_that_are_opened_at_once_all_start() {
    let places = ThreadSlots::default();
    let slow = || config("slow", r#"{"configure_ms":20}"#);
    let started = futures_util::future::join_all((0..20).map(|_| start(slow(), limits(2_000), &places))).await;
    let failures: Vec<_> = started.iter().filter_map(|started| started.as_ref().err()).collect();
    assert_eq!((started.len(), failures), (20, Vec::new()));
}

#[tokio::test]
async fn whoever_waits_behind_configurings_that_never_return_is_told_so() {
    let places = ThreadSlots::default();
    let stuck = || config("stuck", &format!("{{\"configure_ms\":{FOR_EVER_MS}}}"));
    let started = futures_util::future::join_all((0..6).map(|_| start(stuck(), limits(50), &places))).await;
    let failures: Vec<_> = started.into_iter().filter_map(Result::err).collect();
    let all_stuck = StartFailure::AllStuck;
    let late = StartFailure::Late;
    let expected = [&late, &late, &late, &all_stuck, &all_stuck, &all_stuck];
    assert_eq!(failures.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_configuring_that_returns_late_gives_its_place_back() {
    let places = ThreadSlots::default();
    let late = || config("late", r#"{"configure_ms":300}"#);
    let started = futures_util::future::join_all((0..3).map(|_| start(late(), limits(50), &places))).await;
    assert!(started.iter().all(|started| matches!(started, Err(StartFailure::Late))));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(start(config("quick", "{}"), limits(2_000), &places).await.is_ok());
}

#[tokio::test]
async fn an_instance_that_does_not_let_go_does_not_block_the_one_that_took_its_place() {
    let thread = start(never_lets_go(), limits(AMPLE_MS), &ThreadSlots::default()).await.unwrap();
    thread.reconfigure(ModuleV1::of::<Sleepy>(), config("new", "{}")).await.unwrap().unwrap();
    // Whoever comes first waits in vain, and leaves the thread for those who come after.
    assert_eq!(name(&thread).await, Err(CallFailure::Busy));
    assert_eq!((name(&thread).await, thread.stuck()), (Ok("new".to_owned()), 1));
}

#[tokio::test]
async fn a_thread_that_nobody_waits_for_is_stuck_as_well() {
    let thread = start(never_lets_go(), limits(AMPLE_MS), &ThreadSlots::default()).await.unwrap();
    thread.reconfigure(ModuleV1::of::<Sleepy>(), config("new", "{}")).await.unwrap().unwrap();
    assert_eq!(thread.stuck(), 0, "it may still return in time");
    until(|| thread.stuck() == 1).await;
}

#[tokio::test]
async fn gateways_that_do_not_let_go_take_the_places_of_their_module() {
    let places = ThreadSlots::default();
    for _ in 0..STUCK_MAX {
        drop(start(never_lets_go(), limits(AMPLE_MS), &places).await.unwrap());
    }
    until(|| places.stuck(limits(AMPLE_MS).call, clock().monotonic()) == STUCK_MAX).await;
    let refused = start(config("new", "{}"), limits(AMPLE_MS), &places).await;
    assert_eq!(refused.err(), Some(StartFailure::AllStuck));
}

#[tokio::test]
async fn no_code_of_a_module_runs_on_the_thread_of_whoever_drops_its_gateway() {
    let places = ThreadSlots::default();
    drop(start(config("well", "{}"), limits(AMPLE_MS), &places).await.unwrap());
    let thread = start(config("stuck", "{}"), limits(500), &places).await.unwrap();
    for _ in 0..STUCK_MAX {
        let hangs = thread.call(|_| std::thread::sleep(Duration::from_millis(FOR_EVER_MS)));
        assert_eq!(hangs.await, Err(CallFailure::Late));
    }
    assert_eq!((name(&thread).await, thread.stuck()), (Err(CallFailure::Unavailable), STUCK_MAX));
    drop(thread);
    assert_eq!(DROPS.get(), 0);
}

#[tokio::test]
async fn a_queue_that_is_full_does_not_keep_an_instance_from_being_replaced_and_let_go() {
    let full = Limits { waiting_max: 1, ..limits(2_000) };
    let thread = start(config("old", "{}"), full, &ThreadSlots::default()).await.unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let mut busy = Box::pin(thread.call(move |_| wait.recv().is_ok()));
    assert!(futures_util::poll!(&mut busy).is_pending());
    while thread.shared.lock().running.is_none() {
        tokio::task::yield_now().await;
    }
    let mut anew = Box::pin(thread.reconfigure(ModuleV1::of::<Sleepy>(), config("new", "{}")));
    assert!(futures_util::poll!(&mut anew).is_pending());
    assert_eq!(name(&thread).await, Err(CallFailure::Busy));
    go.send(()).unwrap();
    assert_eq!((busy.await, anew.await), (Ok(true), Ok(Ok(()))));
    assert_eq!((name(&thread).await, DROPS.get()), (Ok("new".to_owned()), 0));
}

thread_local! {
    static DROPS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

impl Drop for Sleepy {
    fn drop(&mut self) {
        DROPS.set(DROPS.get() + 1);
        std::thread::sleep(self.letting_go);
    }
}
