//! The cashier is killed (SIGKILL) at random times under the load of 64 depositors with webhooks, refunds and withdrawals: every
//! answered order exists with its id, nothing is posted twice, and every order is settled. A requested stop completes the flows
//! in progress.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::clock::DeploymentClock;
use cashier_tests::customer::order;
use cashier_tests::depositors::{self, AnsweredOrder, KillPlan};
use cashier_tests::http::Http;
use cashier_tests::roster::{self, LOGIN};
use cashier_tests::sandbox::{self, TestSandbox};
use cashier_tests::stripe_stub::{self, StripeStub, StubMode};
use cashier_tests::waiting::eventually;
use rusqlite::Connection;
use serde_json::json;

const KILLS: u64 = 20;

/// The times of the kills come from this; another seed is another run.
const SEED: u64 = 0x5eed_cafe;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_under_load_lose_no_order_and_double_no_posting() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Arc::new(TestSandbox::start_with(DeploymentClock::system_time(), 1, &sandbox::LONG_RETRIES).await);
    let mut process = CashierProcess::prepare(folder.path(), &[sandbox.url()], &roster::standard()).await;
    let plan = KillPlan::of_embedded(KILLS, SEED);
    let ended = depositors::kill_under_load(&mut process, &sandbox, plan, async |_| {}).await;
    ended.until_settled(&sandbox, |_| false).await;
    let health = Http::new().get(&format!("http://{}/readyz?verbose", ended.watch), &[]).await;
    assert_eq!((health.text().as_str(), folder.path().join("var/quarantine.json").exists()), ("ready\n", false), "c1");
    process.kill().await;
    posted_exactly_once(folder.path(), &ended.answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_stop_completes_flows_in_progress_and_exits_with_zero() {
    let folder = tempfile::tempdir().unwrap();
    let stripe = StripeStub::start(false).await;
    let mut process = CashierProcess::prepare(folder.path(), &[stripe.url()], &roster::standard()).await;
    let addresses = process.start().await;
    let (customer, manager) = process.clients(addresses);
    let config = json!({"provider": "stripe", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "secret_key": stripe_stub::SECRET_KEY, "webhook_secret": stripe_stub::WEBHOOK_SECRET,
        "settings_json": json!({"api_base": stripe.url(), "flow": "payment_intents"}).to_string()});
    manager.save_config(&config).await;

    stripe.set_mode(StubMode::Holding);
    let mut request = order("stripe", "50");
    request["idempotency_key"] = json!("last");
    let depositing = tokio::spawn({
        let (customer, request) = (customer.clone(), request.clone());
        async move { customer.deposit(&request).await }
    });
    eventually("the create call", async || (!stripe.requests().is_empty()).then_some(())).await;
    let answering = async {
        // The provider answers while the cashier is already stopping.
        tokio::time::sleep(Duration::from_millis(300)).await;
        stripe.set_mode(StubMode::Answering);
    };
    let (code, ()) = tokio::join!(process.terminate(), answering);
    assert_eq!(code, Some(0), "{}", process.log());
    let answer = depositing.await.unwrap().expect_ok();
    assert_eq!(answer["next_action"], json!("INSTRUCTIONS"), "the waiting client was answered: {answer}");

    process.start().await;
    let again = customer.deposit(&request).await.expect_ok();
    assert_eq!(again, answer, "the same answer after the next start");
    assert_eq!(stripe.requests().len(), 1);
}

/// Checks the trading server's database: the postings of each order, of its amount, and nothing else.
fn posted_exactly_once(folder: &std::path::Path, answered: &[AnsweredOrder]) {
    let trading = Connection::open(folder.join("bases/trading.db")).unwrap();
    let mut postings = trading
        .prepare("SELECT transaction_id, count(*), sum(amount_minor) FROM posting WHERE refusal = '' GROUP BY 1")
        .unwrap();
    let posted: BTreeMap<u64, (u64, i64)> = postings
        .query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, (row.get::<_, i64>(1)? as u64, row.get(2)?))))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected = depositors::postings(answered);
    assert_eq!(posted, expected, "the postings of each order, of its amount");
    let balance: i64 = trading
        .query_row("SELECT balance_minor FROM account WHERE login = ?1", [LOGIN as i64], |row| row.get(0))
        .unwrap();
    assert_eq!(balance, expected.values().map(|(_, minor)| minor).sum::<i64>());
}
