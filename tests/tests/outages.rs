//! A trading server that is down, slow, refusing or losing its answers delays a credit and never loses or doubles it: the
//! sender is answered in time, the event is stored, and the credit follows without another webhook.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::time::Duration;

use cashier_host::flows::Rules;
use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::faulty_trading::TradingMode;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::{LOGIN, account, standard};
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, StubMode};
use cashier_tests::waiting::{WAIT_MAX, eventually};
use futures_util::future::join_all;
use serde_json::json;

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

/// A clock at this speed and a faulty trading server.
fn plan(clock_speed: ClockSpeed) -> DeploymentPlan {
    DeploymentPlan { faulty_trading: true, clock_speed, ..DeploymentPlan::default() }
}

async fn is_credited(pending: &PendingDeposit) {
    eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(())).await;
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_while_the_trading_server_is_down_is_stored_answered_and_credited_later_without_another() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(plan(ClockSpeed::Times(30))).await;
    pending.deployment.faulty_server().set_mode(TradingMode::Down);
    let accepted = pending.send_event_until_accepted("stripe", SECRET, &pending.event()).await.expect_ok();
    assert_eq!((&accepted["data"], &accepted["event"]["processing_status"]), (&json!("OK"), &json!(1)), "{accepted}");
    assert_eq!(accepted["transaction"]["status"], json!(2), "confirmed, and not yet credited: {accepted}");
    assert_eq!(pending.deployment.balance(LOGIN).await, "0.0 USD");
    let again = pending.send_event_until_accepted("stripe", SECRET, &pending.event()).await.expect_ok();
    assert_eq!(again["duplicate"], json!(true), "the event is stored: {again}");

    pending.deployment.faulty_server().set_mode(TradingMode::Working);
    is_credited(&pending).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_attempt_of_a_webhook_is_accepted_while_the_trading_server_is_down() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(plan(ClockSpeed::Times(1))).await;
    pending.deployment.faulty_server().set_mode(TradingMode::Down);
    let accepted = pending.send_event("stripe", SECRET, &pending.event()).await.expect_ok();
    assert_eq!((&accepted["data"], &accepted["duplicate"]), (&json!("OK"), &json!(false)), "{accepted}");
    assert_eq!(accepted["transaction"]["status"], json!(2), "confirmed, and not yet credited: {accepted}");

    // The event outlives the process: the cashier starts again on the same database and credits without another webhook.
    let PendingDeposit { mut deployment, id, .. } = pending;
    deployment.restart().await;
    let seen = deployment.manager().transaction(id).await;
    assert_eq!(seen["transaction"]["status"], json!(2), "{seen}");
    assert_eq!(
        (&seen["balance_operations"][0]["status"], deployment.balance(LOGIN).await),
        (&json!(0), "0.0 USD".into())
    );
    deployment.faulty_server().set_mode(TradingMode::Working);
    eventually("the credit", async || {
        (deployment.manager().transaction(id).await["transaction"]["status"] == json!(3)).then_some(())
    })
    .await;
    assert_eq!(deployment.balance(LOGIN).await, "250.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_answered_after_two_seconds_at_most_while_the_posting_continues() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(plan(ClockSpeed::Stopped)).await;
    pending.deployment.faulty_server().set_mode(TradingMode::Slow(Duration::from_secs(3600)));
    let event = pending.event();
    let mut sending = Box::pin(pending.send_event("stripe", SECRET, &event));
    tokio::select! {
        early = &mut sending => panic!("answered before the wait was over: {}", early.text()),
        () = eventually("the posting", async || (!pending.deployment.faulty_server().postings().is_empty()).then_some(())) => {}
    }
    pending.deployment.clock.advance(Rules::WEBHOOK_PATIENCE - Duration::from_millis(1));
    tokio::select! {
        early = &mut sending => panic!("answered before the wait was over: {}", early.text()),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    pending.deployment.clock.advance(Duration::from_millis(1));
    let accepted = sending.await.expect_ok();
    assert_eq!(accepted["transaction"]["status"], json!(2), "{accepted}");
    pending.deployment.faulty_server().set_mode(TradingMode::Working);
    is_credited(&pending).await;
    assert_eq!(pending.deployment.faulty_server().postings().len(), 1, "the posting in flight was the only one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posting_with_a_lost_answer_is_queried_and_counts_once() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(plan(ClockSpeed::Times(30))).await;
    pending.deployment.faulty_server().set_mode(TradingMode::LosingAnswers);
    let accepted = pending.send_event_until_accepted("stripe", SECRET, &pending.event()).await.expect_ok();
    assert_eq!(accepted["transaction"]["status"], json!(2), "the outcome is unknown yet: {accepted}");
    is_credited(&pending).await;
    assert_eq!(pending.deployment.faulty_server().postings().len(), 1, "a known posting is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owed_credit_survives_a_restart() {
    if !signing::can_sign() {
        return;
    }
    for mode in [TradingMode::Down, TradingMode::LosingAnswers] {
        let mut pending = PendingDeposit::of(plan(ClockSpeed::Times(30))).await;
        pending.deployment.faulty_server().set_mode(mode);
        pending.send_event_until_accepted("stripe", SECRET, &pending.event()).await.expect_ok();
        pending.deployment.stop().await;
        pending.deployment.faulty_server().set_mode(TradingMode::Working);
        pending.deployment.start_again().await;
        is_credited(&pending).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credit_is_shown_and_waits_for_a_manager() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(plan(ClockSpeed::Times(30))).await;
    pending.deployment.faulty_server().set_mode(TradingMode::Refusing("CLOSED_FOR_THE_DAY"));
    pending.send_event_until_accepted("stripe", SECRET, &pending.event()).await.expect_ok();
    // The answer does not wait for a posting that takes long.
    eventually("the refusal", async || (pending.seen().await["transaction"]["status"] == json!(4)).then_some(())).await;
    pending.deployment.faulty_server().set_mode(TradingMode::Working);
    pending.deployment.clock.advance_seconds(3600);
    pending.send_event_until_accepted("stripe", SECRET, &pending.event()).await.expect_ok();
    let seen = pending.seen().await;
    assert_eq!(seen["transaction"]["status"], json!(4), "a refused operation is final: {seen}");
    assert_eq!(seen["balance_operations"][0]["failure_reason"], json!("CLOSED_FOR_THE_DAY"), "{seen}");
    assert_eq!(pending.deployment.faulty_server().postings().len(), 1);
    assert_eq!(pending.deployment.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_changed_its_owner_is_not_credited() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(plan(ClockSpeed::Times(1))).await;
    let mut roster = standard();
    roster["accounts"][0] = account(LOGIN, 6, "demo-usd");
    pending.deployment.change_roster(&roster).await;
    let accepted = pending.send_event("stripe", SECRET, &pending.event()).await.expect_ok();
    assert_eq!(accepted["transaction"]["status"], json!(4), "{accepted}");
    assert_eq!(pending.seen().await["balance_operations"][0]["failure_reason"], json!("OWNER_MISMATCH"));
    assert_eq!(pending.deployment.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_deposit_begins_while_the_owner_of_the_account_is_unknown() {
    let deployment = Deployment::of(plan(ClockSpeed::Times(1))).await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment.faulty_server().set_mode(TradingMode::Down);
    let refused = deployment.customer().deposit(&order("sandbox", "50")).await;
    assert_eq!(refused.refusal(), (503, "STORAGE_UNAVAILABLE".into()));
    assert!(!refused.header("retry-after").is_empty());
    deployment.faulty_server().set_mode(TradingMode::Working);
    deployment.customer().deposit(&order("sandbox", "50")).await.expect_ok();
    let all = deployment.customer().transactions("").await.expect_ok();
    assert_eq!(all["count"], json!(1), "{all}");
    assert_eq!(all["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_with_slow_status_queries_still_gets_new_deposits() {
    let deployment =
        Deployment::of(DeploymentPlan { clock_speed: ClockSpeed::Stopped, ..DeploymentPlan::default() }).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    let customer = deployment.customer();
    for _ in 0..6 {
        let answers = join_all((0..50).map(|_| async { customer.deposit(&order("stripe", "20")).await })).await;
        answers.iter().for_each(|answer| drop(answer.expect_ok()));
    }
    // None is paid for a minute, so the cashier queries their status; no query is answered.
    deployment.stripe.set_mode(StubMode::HoldingQueries);
    deployment.clock.advance_seconds(61);
    eventually("the status queries", async || (!deployment.stripe.queried().is_empty()).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = tokio::time::timeout(WAIT_MAX, customer.deposit(&order("stripe", "20"))).await;
    answer.expect("a deposit does not wait for status queries about others").expect_ok();
    deployment.stripe.set_mode(StubMode::Answering);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_call_without_answer_ends_in_review_when_its_status_cannot_be_queried() {
    let deployment =
        Deployment::of(DeploymentPlan { clock_speed: ClockSpeed::Times(30), ..DeploymentPlan::default() }).await;
    deployment.manager().save_config(&deployment.stripe_config()).await;
    deployment.stripe.set_mode(StubMode::Holding);
    let begun = deployment.customer().deposit(&order("stripe", "50")).await.expect_ok();
    let id = begun["transaction"]["id"].as_u64().unwrap();
    // Stripe is queried by its own ids, and there is none. After the key and the payment have expired no attempt is left.
    deployment.clock.advance_seconds(2 * 24 * 60 * 60);
    let seen = eventually("the review", async || {
        let seen = deployment.manager().transaction(id).await;
        (seen["transaction"]["status"] != json!(1)).then_some(seen)
    })
    .await;
    let reason = seen["transaction"]["failure_reason"].as_str().unwrap_or_default();
    assert_eq!(seen["transaction"]["status"], json!(9), "{seen}");
    assert!(reason.starts_with("OUTCOME_UNKNOWN"), "{seen}");
    deployment.stripe.set_mode(StubMode::Answering);
}
