//! A platform that goes wrong at random, and a client that crashes at any moment: each key moves the balance at most once, and one
//! that is believed to be refused never does.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::reason::ReasonCode;
use cashier_core::status::OperationStatus;
use cashier_fake_platform::{FakePlatform, next};
use proptest::prelude::*;

use super::TokioClock;
use super::flow::{MINOR, open, posting, settings, settle};
use crate::ports::{Clock, Posting};
use crate::trading::platform::{PlatformKeyForm, PlatformPhases, PlatformSearch, PlatformSettings};

/// Operations of one run, on two accounts.
const OPERATIONS: u32 = 3;

/// Drawn runs; each takes some milliseconds. `CASHIER_PLATFORM_RUNS` draws more.
fn cases() -> u32 {
    std::env::var("CASHIER_PLATFORM_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(48)
}

async fn run(seed: u64, settings: PlatformSettings, has_dealer: bool) {
    let (fake, clock, mut draws) = (FakePlatform::new(), TokioClock::arc(), seed);
    fake.state().chaos = Some(seed);
    fake.state().delays_requests = has_dealer;
    let mut due: Vec<Posting> =
        (1..=OPERATIONS).map(|ordinal| posting(ordinal, 100 + u64::from(ordinal % 2), MINOR)).collect();
    // Whether the flow does not want it any more.
    let mut withheld = [false; OPERATIONS as usize];
    for _ in 0..12 {
        let running = open(&fake, settings.clone(), &clock, next(&mut draws));
        let life = Duration::from_millis(next(&mut draws) % 90_000);
        let crash = tokio::time::sleep(life);
        tokio::select! {
            biased;
            () = crash => {}
            () = settle_all(&running.server, &mut due, &mut withheld, &mut draws) => {}
        }
        if next(&mut draws).is_multiple_of(6) {
            fake.restart(true);
        }
        if has_dealer && next(&mut draws).is_multiple_of(3) {
            let wanted = due.iter().filter(|due| due.operation.is_unsettled()).map(|due| due.key());
            let keys: Vec<String> = wanted.map(|key| key.to_string()).collect();
            fake.state().dealer_approves(|order| keys.contains(&order.uuid));
        }
    }
    judge(&fake, &clock, settings, &mut due, &withheld, (seed, has_dealer)).await;
}

async fn settle_all(
    server: &crate::trading::platform::server::PlatformServer,
    due: &mut [Posting],
    withheld: &mut [bool],
    draws: &mut u64,
) {
    for _ in 0..6 {
        for (operation, withheld) in due.iter_mut().zip(withheld.iter_mut()) {
            *withheld |= next(draws).is_multiple_of(12);
            if operation.operation.is_unsettled() {
                settle(server, operation, *withheld).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(next(draws) % 30_000)).await;
    }
}

/// The platform is well again; what is unsettled is settled where that can be.
async fn judge(
    fake: &Arc<FakePlatform>,
    clock: &Arc<dyn Clock>,
    settings: PlatformSettings,
    due: &mut [Posting],
    withheld: &[bool],
    (seed, has_dealer): (u64, bool),
) {
    tokio::time::sleep(Duration::from_secs(120)).await;
    fake.state().chaos = None;
    let keyed = settings.phases == PlatformPhases::Two;
    let running = open(fake, settings, clock, seed);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(40)).await;
        for (operation, withheld) in due.iter_mut().zip(withheld) {
            if operation.operation.is_unsettled() {
                settle(&running.server, operation, *withheld).await;
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(200)).await;
    let mut moved = 0;
    for operation in due.iter() {
        let (key, status) = (operation.key(), operation.operation.status);
        let executed = fake.executed(key.as_str());
        let orders = fake.state().orders.clone();
        let seen = format!("seed {seed}: {key} is {status:?}, executed {executed} times of {orders:?}");
        match status {
            OperationStatus::Posted if *operation.operation.failure_reason == *ReasonCode::PostedTwice.name() => {
                assert!(executed > 1 && has_dealer, "{seen}");
            }
            OperationStatus::Posted => assert_eq!(executed, 1, "{seen}"),
            OperationStatus::Refused => assert_eq!(executed, 0, "{seen}"),
            OperationStatus::Planned | OperationStatus::Unknown => assert!(!keyed && executed <= 1, "{seen}"),
        }
        moved += executed as i64 * MINOR;
    }
    assert_eq!(fake.balance(100) + fake.balance(101), moved, "seed {seed}");
}

fn drive(seed: u64, settings: PlatformSettings, has_dealer: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(seed, settings, has_dealer));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn in_two_phases_each_key_is_posted_at_most_once_whatever_goes_wrong(seed in any::<u64>()) {
        drive(seed, settings(PlatformPhases::Two), false);
    }

    #[test]
    fn in_two_phases_without_a_search_by_key_each_key_is_posted_at_most_once(seed in any::<u64>(), uuid in any::<bool>()) {
        let settings = settings(PlatformPhases::Two);
        let search = settings.search.clone().map(|search| PlatformSearch { by_uuid: false, ..search });
        let key_form = if uuid { PlatformKeyForm::Uuid } else { PlatformKeyForm::Key };
        drive(seed, PlatformSettings { search, key_form, ..settings }, false);
    }

    #[test]
    fn where_a_dealer_approves_what_waits_a_key_is_posted_once_or_is_a_review(seed in any::<u64>()) {
        drive(seed, settings(PlatformPhases::Two), true);
    }

    #[test]
    fn in_one_phase_each_key_is_posted_at_most_once_whatever_goes_wrong(seed in any::<u64>()) {
        drive(seed, settings(PlatformPhases::One), false);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let drawn = |mut seed: u64| (0..8).map(|_| next(&mut seed)).collect::<Vec<_>>();
    assert_eq!(drawn(5), drawn(5));
    assert_ne!(drawn(5), drawn(6));
}
