//! Instances that do not return from being configured or dropped, behind the real module ABI and on the real clock.

use std::sync::LazyLock;
use std::time::Duration;

use cashier_provider_sdk as sdk;
use cashier_provider_sdk::{
    Descriptor, HttpReply, PaymentCreated, PaymentOrder, PaymentProvider, ProviderRef, ProviderSettings, Step,
};

use super::*;
use crate::system::SystemClock;

/// Sleeps while it is configured and dropped, for as long as its settings state.
struct Sleepy {
    drop_time: Duration,
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
        Ok(Self { drop_time: length(config, "drop_ms")?, name: config.provider.clone() })
    }

    fn create_payment(&self, _order: &PaymentOrder, _replies: &[HttpReply]) -> Step<PaymentCreated> {
        Step::Done(PaymentCreated { refs: vec![ProviderRef::new("name", &self.name)], ..PaymentCreated::default() })
    }

    fn normalize_status(&self, _notice: &sdk::WebhookNotice, _replies: &[HttpReply]) -> Step<sdk::WebhookVerdict> {
        Step::Unsupported
    }
}

fn config(name: &str, settings: &str) -> ProviderConfig {
    let settings = ProviderSettings::parse(settings).unwrap();
    ProviderConfig { provider: name.to_owned(), settings, ..ProviderConfig::default() }
}

fn never_drops() -> ProviderConfig {
    config("old", &format!("{{\"drop_ms\":{FOR_EVER_MS}}}"))
}

/// One for all tests: slots measure by it how long they are held.
fn clock() -> Arc<SystemClock> {
    static CLOCK: LazyLock<Arc<SystemClock>> = LazyLock::new(|| Arc::new(SystemClock::new()));
    Arc::clone(&CLOCK)
}

/// Enough for a thread without work, on any busy machine.
const AMPLE_MS: u64 = 3_000;

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn limits(call_ms: u64) -> GatewayLimits {
    GatewayLimits { call: Duration::from_millis(call_ms), ..GatewayLimits::default() }
}

async fn start(
    config: ProviderConfig,
    limits: GatewayLimits,
    slots: &ThreadSlots,
) -> Result<ModuleThread, StartFailure> {
    ModuleThread::start(ModuleV1::of::<Sleepy>(), config, limits, clock(), slots.clone(), CallSite::default()).await
}

/// The name of the instance that answers.
async fn name(thread: &ModuleThread) -> Result<String, CallFailure> {
    let step = thread.call(|instance| instance.create_payment(&PaymentOrder::default(), &[])).await?;
    let Step::Done(PaymentCreated { refs, .. }) = step else { panic!("{step:?}") };
    Ok(refs.into_iter().map(|named| named.value).collect())
}

#[tokio::test]
async fn twenty_configs_of_one_module_that_are_opened_at_once_all_start() {
    let slots = ThreadSlots::default();
    let slow = || config("slow", r#"{"configure_ms":20}"#);
    let started = futures_util::future::join_all((0..20).map(|_| start(slow(), limits(20_000), &slots))).await;
    let failures: Vec<_> = started.iter().filter_map(|started| started.as_ref().err()).collect();
    assert_eq!((started.len(), failures), (20, Vec::new()));
}

#[tokio::test]
async fn a_start_behind_configure_calls_that_never_return_fails_with_that_reason() {
    let slots = ThreadSlots::default();
    let stuck = || config("stuck", &format!("{{\"configure_ms\":{FOR_EVER_MS}}}"));
    let started = futures_util::future::join_all((0..6).map(|_| start(stuck(), limits(50), &slots))).await;
    let failures: Vec<_> = started.into_iter().filter_map(Result::err).collect();
    let all_stuck = StartFailure::AllSlotsStuck;
    let timed_out = StartFailure::TimedOut;
    let expected = [&timed_out, &timed_out, &timed_out, &all_stuck, &all_stuck, &all_stuck];
    assert_eq!(failures.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn s12_configs_whose_configure_calls_never_return_leave_the_other_configs_of_their_module_theirs() {
    let slots = ThreadSlots::default();
    let stuck = |id| ProviderConfig { id, ..config("stuck", &format!("{{\"configure_ms\":{FOR_EVER_MS}}}")) };
    let started = futures_util::future::join_all((1..=40).map(|id| start(stuck(id), limits(50), &slots))).await;
    let timed_out =
        |started: &Result<ModuleThread, StartFailure>| *started.as_ref().err().unwrap() == StartFailure::TimedOut;
    assert!(started.iter().all(timed_out));
    assert_eq!(slots.stuck(limits(50).call, clock().monotonic()), 40);
    assert!(start(ProviderConfig { id: 41, ..config("well", "{}") }, limits(AMPLE_MS), &slots).await.is_ok());
}

#[tokio::test]
async fn a_configure_call_that_returns_late_releases_its_slot() {
    let slots = ThreadSlots::default();
    let late = || config("late", r#"{"configure_ms":3000}"#);
    let started = futures_util::future::join_all((0..3).map(|_| start(late(), limits(50), &slots))).await;
    assert!(started.iter().all(|started| matches!(started, Err(StartFailure::TimedOut))));
    until(|| slots.stuck(limits(50).call, clock().monotonic()) == 0).await;
    assert!(start(config("quick", "{}"), limits(20_000), &slots).await.is_ok());
}

#[tokio::test]
async fn an_instance_whose_drop_hangs_does_not_block_its_replacement() {
    let thread = start(never_drops(), limits(AMPLE_MS), &ThreadSlots::default()).await.unwrap();
    thread.reconfigure(ModuleV1::of::<Sleepy>(), config("new", "{}")).await.unwrap().unwrap();
    // The first call waits in vain; its timeout abandons the thread, and later calls get a new one.
    assert_eq!(name(&thread).await, Err(CallFailure::Busy));
    assert_eq!((name(&thread).await, thread.stuck()), (Ok("new".to_owned()), 1));
}

#[tokio::test]
async fn a_thread_without_a_waiting_caller_counts_as_stuck() {
    let thread = start(never_drops(), limits(AMPLE_MS), &ThreadSlots::default()).await.unwrap();
    thread.reconfigure(ModuleV1::of::<Sleepy>(), config("new", "{}")).await.unwrap().unwrap();
    assert_eq!(thread.stuck(), 0, "it may still return in time");
    until(|| thread.stuck() == 1).await;
}

#[tokio::test]
async fn gateways_whose_drop_hangs_hold_the_slots_of_their_module() {
    let slots = ThreadSlots::default();
    for _ in 0..STUCK_MAX {
        drop(start(never_drops(), limits(AMPLE_MS), &slots).await.unwrap());
    }
    until(|| slots.stuck(limits(AMPLE_MS).call, clock().monotonic()) == STUCK_MAX).await;
    let refused = start(config("new", "{}"), limits(AMPLE_MS), &slots).await;
    assert_eq!(refused.err(), Some(StartFailure::AllSlotsStuck));
}

#[tokio::test]
async fn no_code_of_a_module_runs_on_the_thread_that_drops_its_gateway() {
    let slots = ThreadSlots::default();
    drop(start(config("well", "{}"), limits(AMPLE_MS), &slots).await.unwrap());
    let thread = start(config("stuck", "{}"), limits(500), &slots).await.unwrap();
    for _ in 0..STUCK_MAX {
        let hangs = thread.call(|_| std::thread::sleep(Duration::from_millis(FOR_EVER_MS)));
        assert_eq!(hangs.await, Err(CallFailure::TimedOut));
    }
    assert_eq!((name(&thread).await, thread.stuck()), (Err(CallFailure::Unavailable), STUCK_MAX));
    drop(thread);
    assert_eq!(DROPS.get(), 0);
}

#[tokio::test]
async fn an_instance_is_replaced_and_dropped_while_the_queue_is_full() {
    let full = GatewayLimits { waiting_max: 1, ..limits(20_000) };
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
        std::thread::sleep(self.drop_time);
    }
}
