//! A system clock that is wrong: nothing is done that cannot be taken back, and all is done once the clock is right.

use std::sync::atomic::Ordering;

use cashier_core::ids::{EventId, TransactionId};
use cashier_core::status::{ProcessingStatus, ProviderStatus};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{FirstAnswer, Transaction};

use crate::ports::{Clock, QueryAnswer};
use crate::test_cashier::{AMOUNT, OnCreate, TestCashier, TestClock, lock, paid, update};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// Sets the wall clock to 1970.
fn to_1970(clock: &TestClock) {
    clock.jump(5 - clock.wall().0);
}

fn pending(env: &TestCashier, transaction: &Transaction) {
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
}

fn cancels(env: &TestCashier) -> u64 {
    env.provider.cancels.load(Ordering::SeqCst)
}

/// How often the provider was sent an order.
fn orders(env: &TestCashier) -> usize {
    env.provider.references().len()
}

#[tokio::test(start_paused = true)]
async fn m23_a_month_ahead_for_seventy_seconds_expires_and_cancels_nothing() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    pending(&env, &transaction);
    let stray = cashier_core::ids::Reference::from_random(3);
    let event = env.notice(Some(1), vec![paid("e1", &stray)]).await.unwrap().events[0].id;
    env.run_for(100).await;
    env.clock.jump(30 * DAY);
    env.run_for(70).await;
    assert_eq!((env.status(transaction.id), cancels(&env)), (1, 0));
    assert_eq!(pending_event(&env, event), ProcessingStatus::Pending);
    let meanwhile = env.deposit("l").await.unwrap().transaction;
    assert!(meanwhile.created_time < transaction.created_time.plus(HOUR), "stamps go on from the last plausible time");
    env.clock.set_right();
    env.run_for(600).await;
    assert_eq!((env.status(transaction.id), env.status(meanwhile.id), cancels(&env)), (1, 1, 0));
    assert!(env.cashier.clock.is_plausible());
    pending(&env, &meanwhile);
    env.run_for(2 * DAY as u64).await;
    assert_eq!((env.status(transaction.id), env.status(meanwhile.id), cancels(&env)), (6, 6, 2), "in their time");
    assert_eq!(pending_event(&env, event), ProcessingStatus::Failed);
}

fn pending_event(env: &TestCashier, event: EventId) -> ProcessingStatus {
    env.disk.event_row(event).unwrap().processing_status
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_is_reached_while_the_clock_is_implausible_waits() {
    let mut env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    pending(&env, &transaction);
    env.clock.jump(-2 * HOUR);
    env.run_for(2 * DAY as u64).await;
    assert_eq!((env.status(transaction.id), cancels(&env)), (1, 0));
    env.crash().await;
    env.run_for(DAY as u64).await;
    assert_eq!((env.status(transaction.id), cancels(&env)), (1, 0), "nor after a restart");
    env.clock.set_right();
    env.run_for(7 * HOUR as u64).await;
    assert_eq!((env.status(transaction.id), cancels(&env)), (6, 1));
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_two_days_is_not_hidden_by_a_restart() {
    let mut env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    pending(&env, &transaction);
    env.run_for(100).await;
    env.clock.jump(2 * DAY);
    env.crash().await;
    env.run_for(600).await;
    assert_eq!((env.status(transaction.id), cancels(&env)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn m24_a_deposit_while_the_clock_stands_at_1970_expires_its_whole_time_after_it_was_mended() {
    let mut env = TestCashier::new().await;
    to_1970(&env.clock);
    env.clock.forget();
    env.clock.reboot();
    env.crash().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    pending(&env, &transaction);
    env.run_for(2 * DAY as u64).await;
    assert_eq!(env.status(transaction.id), 1, "not while the clock is wrong");
    env.clock.set_right();
    env.run_for(7 * HOUR as u64).await;
    assert_eq!((env.status(transaction.id), cancels(&env)), (1, 0));
    let expires = env.aggregate(transaction.id).transaction.expires_time;
    assert!(expires > env.clock.wall().plus(17 * HOUR - 60), "its whole day counts from then");
    env.run_for(2 * DAY as u64).await;
    assert_eq!((env.status(transaction.id), cancels(&env)), (6, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deposit_at_1970_keeps_its_expiry_over_a_restart_that_mends_the_clock() {
    let mut env = TestCashier::new().await;
    env.run_for(100).await;
    to_1970(&env.clock);
    env.clock.reboot();
    env.crash().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    pending(&env, &transaction);
    assert!(transaction.created_time >= TestClock::START, "stamped from the recorded time");
    env.clock.set_right();
    env.run_for(6 * DAY as u64).await;
    // Two days later than recorded, so that a stamp of the old time would have expired.
    assert_eq!(env.status(transaction.id), 6);
    to_1970(&env.clock);
    env.clock.reboot();
    env.crash().await;
    let second = env.deposit("l").await.unwrap().transaction;
    pending(&env, &second);
    env.clock.set_right();
    env.clock.jump(3 * DAY);
    env.clock.reboot();
    env.crash().await;
    env.run_for(HOUR as u64).await;
    assert_eq!(env.status(second.id), 1);
    assert!(env.aggregate(second.id).transaction.expires_time > env.clock.wall());
}

#[tokio::test(start_paused = true)]
async fn m16_without_a_window_an_order_is_sent_once_whatever_the_clock_does() {
    for (jump, restart) in
        [(-2 * HOUR, false), (-2 * HOUR, true), (30 * DAY, true), (-60 * 365 * DAY, true), (-600, true)]
    {
        for accepted in [false, true] {
            let mut env = TestCashier::new().await;
            env.provider.window_seconds.store(0, Ordering::SeqCst);
            lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
            let request = tokio::spawn(env.deposit("k"));
            env.run_for(1).await;
            if restart {
                env.clock.jump(jump);
                env.clock.reboot();
                env.crash().await;
            } else {
                request.abort();
                env.clock.jump(jump);
            }
            if accepted {
                env.clock.accept();
            }
            env.run_for(DAY as u64).await;
            assert_eq!(orders(&env), 1, "jump {jump}, restart {restart}, accepted {accepted}");
            env.clock.set_right();
            env.run_for(DAY as u64).await;
            assert_eq!(orders(&env), 1, "jump {jump}, restart {restart}, accepted {accepted}, set right");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn m16_an_order_cut_by_a_crash_is_queried_where_it_may_not_be_repeated() {
    let mut env = TestCashier::new().await;
    env.provider.window_seconds.store(0, Ordering::SeqCst);
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    let reference = env.provider.references()[0].clone();
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    to_1970(&env.clock);
    env.clock.reboot();
    env.crash().await;
    request.abort();
    env.run_for(60).await;
    assert_eq!((env.status(TransactionId(1)), env.trading.balance(), orders(&env)), (3, AMOUNT, 1));
}

#[tokio::test(start_paused = true)]
async fn a_create_call_is_not_repeated_while_the_clock_is_implausible_and_is_once_it_is_right() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::AnswerLost);
    env.clock.jump(-2 * HOUR);
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.run_for(600).await;
    assert_eq!((orders(&env), env.aggregate(transaction.id).transaction.first_answer), (1, FirstAnswer::Unknown));
    env.clock.set_right();
    env.run_for(2 * HOUR as u64).await;
    assert_eq!((orders(&env), env.aggregate(transaction.id).transaction.first_answer), (2, FirstAnswer::Accepted));
}

#[tokio::test(start_paused = true)]
async fn an_order_stamped_before_an_accepted_step_back_is_never_repeated() {
    let env = TestCashier::new().await;
    env.provider.window_seconds.store(4 * HOUR, Ordering::SeqCst);
    lock(&env.provider.next_creates).extend([OnCreate::AnswerLost, OnCreate::AnswerLost]);
    let first = env.deposit("k").await.unwrap().transaction;
    env.clock.jump(-3 * HOUR);
    env.clock.accept();
    env.run_for(10).await;
    assert!(env.cashier.clock.is_plausible());
    let before = orders(&env);
    // In four hours the first order seems new: its window is long over at the provider.
    env.run_for(6 * HOUR as u64).await;
    assert_eq!(orders(&env), before);
    assert!(first.created_time <= env.cashier.clock.stamped_ahead_until());
    let again = env.deposit("l").await.unwrap().transaction;
    env.run_for(60).await;
    let repeated = env.provider.references().iter().filter(|known| **known == again.reference).count();
    assert_eq!(repeated, 2, "later orders are repeated as usual");
}

#[tokio::test(start_paused = true)]
async fn an_accepted_clock_is_the_clock() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    pending(&env, &transaction);
    env.clock.jump(30 * DAY);
    env.run_for(600).await;
    assert!(!env.cashier.clock.is_plausible());
    env.clock.accept();
    env.run_for(6).await;
    assert!(env.cashier.clock.is_plausible());
    assert_eq!(env.cashier.clock.now(), env.clock.wall());
    env.run_for(7 * HOUR as u64).await;
    assert_eq!((env.status(transaction.id), cancels(&env)), (6, 1), "expired, as the operator says");
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_credited_while_the_clock_is_implausible() {
    let env = TestCashier::new().await;
    env.clock.jump(-400 * DAY);
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
    assert_ne!(env.aggregate(transaction.id).transaction.created_time, UnixTime::UNSET);
}

#[tokio::test(start_paused = true)]
async fn an_event_stamped_by_a_wrong_clock_waits_its_whole_day_after_it_was_mended() {
    let mut env = TestCashier::new().await;
    to_1970(&env.clock);
    env.clock.forget();
    env.clock.reboot();
    env.crash().await;
    let stray = cashier_core::ids::Reference::from_random(3);
    let event = env.notice(Some(1), vec![paid("e1", &stray)]).await.unwrap().events[0].id;
    env.clock.set_right();
    env.run_for(23 * HOUR as u64).await;
    assert_eq!(pending_event(&env, event), ProcessingStatus::Pending);
    env.crash().await;
    env.run_for(1_800).await;
    assert_eq!(pending_event(&env, event), ProcessingStatus::Pending, "nor after a restart");
    env.run_for(2 * HOUR as u64).await;
    assert_eq!(pending_event(&env, event), ProcessingStatus::Failed);
}
