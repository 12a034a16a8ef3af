//! Windows that a wrong clock stamped: a replaced webhook secret is accepted for its whole week from when the clock is right,
//! and no longer, whichever way the clock was wrong.

use std::sync::Arc;

use cashier_core::edit::ConfigEdit;
use cashier_core::ids::{ConfigId, ManagerId};
use cashier_core::provider_config::{REPLACED_SECRET_SECONDS, Secret};
use cashier_core::session::{ManagerSession, Role};

use crate::flows::configure::{self, ConfigRequest};
use crate::ports::Clock;
use crate::test_cashier::{TestCashier, context};

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

async fn replace(env: &TestCashier, secret: &str) {
    let edit = ConfigEdit { id: Some(ConfigId(1)), webhook_secret: Some(Secret::new(secret)), ..ConfigEdit::default() };
    let request = ConfigRequest {
        session: ManagerSession::assertion(ManagerId(1), Role::Admin, None),
        command: "MngUpdateCashierProviderConfig",
        edit,
        data: Secret::new("{}"),
        context: context(),
    };
    configure::save_config(&Arc::clone(&env.cashier), request).await.unwrap();
}

/// How many replaced secrets the config's gateway is given.
fn accepted(env: &TestCashier) -> usize {
    let snapshot = env.cashier.snapshot();
    let now = env.cashier.clock.now();
    snapshot
        .config(ConfigId(1))
        .unwrap()
        .config
        .replaced_webhook_secrets
        .iter()
        .filter(|old| old.is_accepted(now))
        .count()
}

/// A start with the clock this far from the right time; `recorded`: an earlier start recorded the time.
async fn started(apart: i64, recorded: bool) -> TestCashier {
    let mut env = TestCashier::new().await;
    env.run_for(100).await;
    env.clock.jump(apart);
    if !recorded {
        env.clock.forget();
    }
    env.clock.reboot();
    env.crash().await;
    env
}

async fn lasts_a_week_from_now(env: &mut TestCashier) {
    env.run_for(60).await;
    assert!(env.cashier.clock.is_plausible());
    assert!(accepted(env) > 0);
    let until = env.disk.configs()[0].replaced_webhook_secrets[0].until;
    let latest = env.clock.wall().plus(REPLACED_SECRET_SECONDS);
    assert!(until <= latest && until > latest.plus(-120), "stored as a time: {until}");
    env.crash().await;
    assert!(accepted(env) > 0, "also after a restart");
    assert_eq!(env.disk.configs()[0].replaced_webhook_secrets[0].until, until);
}

#[tokio::test(start_paused = true)]
async fn a_secret_replaced_under_a_clock_that_is_behind_or_ahead_is_accepted_a_whole_week_after_it_is_right() {
    for apart in [-400 * DAY, -56 * YEAR, 400 * DAY, 50 * YEAR] {
        let mut env = started(apart, true).await;
        assert!(!env.cashier.clock.is_plausible());
        replace(&env, "whsec_2").await;
        env.run_for(100).await;
        assert_eq!(accepted(&env), 1, "{apart}");
        env.clock.set_right();
        lasts_a_week_from_now(&mut env).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_replaced_at_a_first_start_in_1970_or_in_the_far_future_is_accepted_a_week_after_it_is_right() {
    for apart in [-56 * YEAR, 30 * YEAR] {
        let mut env = started(apart, false).await;
        // Without a record a time in the future is not known to be wrong.
        assert_eq!(env.cashier.clock.is_plausible(), apart > 0);
        replace(&env, "whsec_2").await;
        env.run_for(10).await;
        env.clock.set_right();
        env.clock.accept();
        lasts_a_week_from_now(&mut env).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_not_dropped_while_the_clock_is_wrong_for_longer_than_its_window() {
    let mut env = started(-400 * DAY, true).await;
    replace(&env, "whsec_2").await;
    env.run_for(REPLACED_SECRET_SECONDS as u64 + 60).await;
    assert_eq!(accepted(&env), 1);
    replace(&env, "whsec_3").await;
    assert_eq!(accepted(&env), 2, "nor by another edit");
    env.clock.set_right();
    lasts_a_week_from_now(&mut env).await;
}

#[tokio::test(start_paused = true)]
async fn under_a_right_clock_the_window_begins_with_the_replacement_and_the_row_is_not_written_again() {
    let mut env = TestCashier::new().await;
    env.run_for(100).await;
    replace(&env, "whsec_2").await;
    let stored = env.disk.configs();
    env.run_for(3 * DAY as u64).await;
    assert_eq!(env.disk.configs(), stored);
    // It ends in its time, whatever the clock did meanwhile.
    env.clock.jump(60 * DAY);
    env.run_for(100).await;
    assert_eq!(accepted(&env), 1);
    env.clock.set_right();
    env.run_for(100).await;
    env.crash().await;
    assert_eq!((env.disk.configs(), accepted(&env)), (stored, 1));
    env.run_for(4 * DAY as u64).await;
    assert_eq!(accepted(&env), 0);
}
