//! `trading.db` changed by another program while the cashier serves: it is reported, never overwritten, and a deposit that
//! was paid meanwhile is credited exactly once after a person decided.

use cashier_tests::cashier_process::run;
use cashier_tests::clock::ClockSpeed;
use cashier_tests::deployment::DeploymentPlan;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::{LOGIN, SECOND_LOGIN};
use cashier_tests::signing;
use cashier_tests::stripe_stub;
use cashier_tests::waiting::eventually;
use rusqlite::Connection;
use serde_json::json;

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

#[expect(clippy::unwrap_used, reason = "a test may fail loudly")]
fn edit(pending: &PendingDeposit, sql: &str) {
    let other = Connection::open(pending.deployment.folder().join("bases/trading.db")).unwrap();
    other.busy_timeout(std::time::Duration::from_secs(20)).unwrap();
    other.execute_batch(sql).unwrap();
}

async fn readiness(pending: &PendingDeposit, status: u16, text: &str) {
    eventually("the readiness", async || {
        let ready = pending.deployment.watch("readyz").await;
        (ready.status == status && ready.text().contains(text)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m25_an_outside_edit_of_a_balance_stops_its_account_until_a_person_decides() {
    if !signing::can_sign() {
        return;
    }
    for (put_back, after) in [(false, "249.93 USD"), (true, "250.0 USD")] {
        let plan = DeploymentPlan { clock_speed: ClockSpeed::Times(30), ..DeploymentPlan::default() };
        let mut pending = PendingDeposit::of(plan).await;
        readiness(&pending, 200, "ready").await;
        edit(&pending, &format!("UPDATE account SET balance_minor = -7 WHERE login = {LOGIN}"));
        readiness(&pending, 503, "the balance was changed from 0.0 USD to -0.07 USD").await;
        assert!(pending.deployment.watch("metrics").await.text().contains("cashier_trading_ready 0"));
        let accepted = pending.send_event_until_accepted("stripe", SECRET, &pending.event()).await.expect_ok();
        assert_eq!(accepted["transaction"]["status"], json!(2), "confirmed, and it waits: {accepted}");
        assert_eq!(pending.deployment.balance(SECOND_LOGIN).await, "0.0 USD", "other accounts are served");
        pending.deployment.restart().await;
        readiness(&pending, 503, "the balance was changed from 0.0 USD to -0.07 USD").await;
        assert_eq!(pending.seen().await["transaction"]["status"], json!(2));

        pending.deployment.stop().await;
        let folder = pending.deployment.folder().to_owned();
        let listed = run(&folder, &["trading", "accept", "--bases", "bases"]).await;
        assert_eq!(listed.out, format!("account {LOGIN}: the balance was changed from 0.0 USD to -0.07 USD\n"));
        let login = LOGIN.to_string();
        let mut command = vec!["trading", "accept", &login, "--bases", "bases"];
        command.extend(put_back.then_some("--put-back"));
        let decided = run(&folder, &command).await;
        assert_eq!(decided.code, Some(0), "{}", decided.err);
        assert!(run(&folder, &command).await.err.contains("was not changed outside the cashier"));
        pending.deployment.start_again().await;
        eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(()))
            .await;
        readiness(&pending, 200, "ready").await;
        assert_eq!(pending.deployment.balance(LOGIN).await, after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_a_trading_database_that_cannot_be_written_turns_readiness_and_the_credit_follows() {
    if !signing::can_sign() {
        return;
    }
    let plan = DeploymentPlan { clock_speed: ClockSpeed::Times(30), ..DeploymentPlan::default() };
    let pending = PendingDeposit::of(plan).await;
    let other = Connection::open(pending.deployment.folder().join("bases/trading.db")).expect("the database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let accepted = pending.send_event_until_accepted("stripe", SECRET, &pending.event()).await.expect_ok();
    assert_eq!(accepted["transaction"]["status"], json!(2), "{accepted}");
    readiness(&pending, 503, "the trading server cannot write").await;
    other.execute_batch("ROLLBACK").expect("a transaction can be rolled back");
    readiness(&pending, 200, "ready").await;
    eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(())).await;
    pending.credited_once().await;
}
