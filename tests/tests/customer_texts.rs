//! What a customer writes is shown as it was written, limited in amount, and erased by a command; what is kept of it is on the
//! disk alone.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]
#![expect(clippy::indexing_slicing, reason = "a missing field is null and fails the comparison")]

use std::path::Path;

use cashier_tests::cashier_process::run;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan, NO_RATE_LIMIT};
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub;
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};

/// Metadata of 16 KiB that says which deposit it is of.
fn metadata(number: usize) -> String {
    let start = format!(r#"{{"n":{number},"note":""#);
    format!("{start}{}\"}}", "x".repeat(16 * 1024 - start.len() - 2))
}

fn with_metadata(number: usize) -> Value {
    let mut request = order("sandbox", "50");
    request["metadata_json"] = json!(metadata(number));
    request["comment"] = json!(format!("deposit {number}"));
    request["idempotency_key"] = json!(format!("k-{number}"));
    request
}

async fn limited(settings: &str) -> Deployment {
    let settings = format!("deposits_per_minute = 0\n{settings}");
    let deployment = Deployment::of(DeploymentPlan { settings, ..DeploymentPlan::default() }).await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_texts_are_shown_in_every_place_before_and_after_a_restart() {
    let mut deployment = limited("open_deposits_max = 0\n").await;
    let mut made = Vec::new();
    for number in 0..70 {
        let answer = deployment.customer().deposit(&with_metadata(number)).await.expect_ok();
        assert_eq!(answer["transaction"]["metadata_json"], json!(metadata(number)));
        made.push(answer["transaction"]["id"].clone());
    }
    for _ in 0..2 {
        let page = deployment.customer().transactions("limit=100").await.expect_ok();
        let rows = page["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 70);
        for (row, number) in rows.iter().zip((0..70).rev()) {
            assert_eq!((&row["id"], &row["comment"]), (&made[number], &json!(format!("deposit {number}"))));
            assert_eq!(row["metadata_json"], json!(metadata(number)));
        }
        let again = deployment.customer().deposit(&with_metadata(3)).await.expect_ok();
        assert_eq!(again["transaction"]["metadata_json"], json!(metadata(3)), "a repeated request");
        let one = deployment.manager().run("MngGetCashierTransaction", &json!({"id": made[5]})).await;
        assert_eq!(one["transaction"]["metadata_json"], json!(metadata(5)), "a manager's single transaction");
        deployment.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_a_customer_beyond_a_limit_gets_429_naming_it_also_after_a_restart() {
    let mut deployment = limited("open_deposits_max = 2\n").await;
    for number in 0..2 {
        deployment.customer().deposit(&with_metadata(number)).await.expect_ok();
    }
    for _ in 0..2 {
        let refused = deployment.customer().deposit(&with_metadata(2)).await;
        assert_eq!(refused.refusal(), (429, "RET_ERR_FREQUENT".into()));
        let message = refused.json()["message"].clone();
        assert!(message.as_str().unwrap().starts_with("open_deposits_max: 2 deposits are not paid"), "{message}");
        deployment.customer().deposit(&with_metadata(1)).await.expect_ok();
        deployment.restart().await;
    }

    let mut deployment = limited("stored_bytes_per_customer_max = 40000\n").await;
    for number in 0..2 {
        deployment.customer().deposit(&with_metadata(number)).await.expect_ok();
    }
    deployment.restart().await;
    let refused = deployment.customer().deposit(&with_metadata(2)).await;
    assert_eq!(refused.refusal(), (429, "RET_ERR_FREQUENT".into()));
    let message = refused.json()["message"].clone();
    assert!(message.as_str().unwrap().starts_with("stored_bytes_per_customer_max: "), "{message}");
    // The two of today count in this period of 30 days and in the next one.
    let month = 30 * 24 * 60 * 60;
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((month..=2 * month).contains(&seconds), "{seconds}");
    let manager = deployment.manager();
    let withdrawal =
        json!({"login": LOGIN, "method": "bank", "amount": 5, "currency": "USD", "metadata_json": metadata(3)});
    let waiting = deployment.customer().withdraw(&withdrawal).await.expect_ok()["transaction"]["id"].clone();
    let read = manager.run("MngGetCashierTransaction", &json!({"id": waiting})).await;
    assert_eq!(read["transaction"]["metadata_json"], json!(metadata(3)), "how it is paid out is not refused for it");
    deployment.customer().deposit(&order("sandbox", "50")).await.expect_ok();
}

/// Whether any file of the databases holds this text.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder.join("bases")).unwrap().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_texts_are_erased_by_command_and_the_money_stays() {
    if !signing::can_sign() {
        return;
    }
    let mut pending =
        PendingDeposit::of(DeploymentPlan { settings: NO_RATE_LIMIT.into(), ..DeploymentPlan::default() }).await;
    let customer = pending.deployment.customer();
    let mut paid = order("stripe", "250");
    paid["comment"] = json!("canary-comment");
    paid["metadata_json"] = json!(r#"{"note":"canary-metadata"}"#);
    paid["success_url"] = json!("https://shop.example/canary-url");
    let open = customer.deposit(&paid).await.expect_ok();
    pending.id = open["transaction"]["id"].as_u64().unwrap();
    pending.reference = pending.deployment.stripe.latest_reference();
    let folder = pending.deployment.folder().to_path_buf();
    let erase = async || run(&folder, &["customer", "erase", "5", "-s", "cashier.toml"]).await;
    let in_use = erase().await;
    assert_eq!(in_use.code, Some(1));
    assert!(in_use.err.contains("the database is in use"), "{}", in_use.err);

    pending.deployment.stop().await;
    let left = erase().await;
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.err.contains("2 transactions of customer 5 have not ended"), "{}", left.err);
    assert!(holds(&folder, "canary-metadata"));

    pending.deployment.start_again().await;
    let intent = pending.deployment.stripe.latest_id();
    let event = stripe_stub::StripeEventFields { intent: &intent, ..pending.event() };
    pending.send_event("stripe", stripe_stub::WEBHOOK_SECRET, &event).await.expect_ok();
    pending.credited_once().await;
    let before = pending.seen().await;
    assert_eq!(before["transaction"]["comment"], json!("canary-comment"));
    pending.deployment.stop().await;
    let done = erase().await;
    assert!(done.out.contains("1 transactions: erased comment and metadata of 1,"), "{done:?}");
    assert_eq!(done.err.matches("texts of a customer were erased").count(), 1, "{}", done.err);
    for canary in ["canary-comment", "canary-metadata", "canary-url"] {
        assert!(!holds(&folder, canary), "{canary}");
    }
    let verified = run(&folder, &["audit", "verify", "-s", "cashier.toml"]).await;
    assert!(verified.code == Some(0), "{verified:?}");

    pending.deployment.start_again().await;
    let mut expected = before;
    expected["transaction"]["comment"] = json!("");
    expected["transaction"]["metadata_json"] = json!("{}");
    assert_eq!(pending.seen().await, expected, "amounts, states and operations stay");
}

/// Events with a body, and answers with a page.
fn bodies(folder: &Path) -> (i64, i64) {
    let connection = rusqlite::Connection::open(folder.join("bases/cashier.db")).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).unwrap();
    (
        count("SELECT count(*) FROM notice WHERE length(body) > 0"),
        count("SELECT count(*) FROM answer WHERE octet_length(redirect_url) + octet_length(instructions_json) > 0"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn old_bodies_are_deleted_while_the_server_runs_and_deposits_go_on() {
    if !signing::can_sign() {
        return;
    }
    let settings = format!("{NO_RATE_LIMIT}event_body_days = 400\nanswer_days = 10\n");
    let pending = PendingDeposit::of(DeploymentPlan { settings, ..DeploymentPlan::default() }).await;
    pending.send_event("stripe", stripe_stub::WEBHOOK_SECRET, &pending.event()).await.expect_ok();
    pending.credited_once().await;
    let folder = pending.deployment.folder().to_path_buf();
    assert_eq!(bodies(&folder), (1, 1));
    let hours = |hours: u64| pending.deployment.clock.advance_seconds(hours * 60 * 60);
    hours(9 * 24);
    hours(3 * 24);
    eventually("the answer to be deleted", async || {
        hours(2);
        (bodies(&folder).1 == 0).then_some(())
    })
    .await;
    assert_eq!(bodies(&folder).0, 1, "bodies of events have an age of their own");
    hours(400 * 24);
    eventually("the body to be deleted", async || {
        hours(2);
        (bodies(&folder).0 == 0).then_some(())
    })
    .await;
    pending.credited_once().await;
}
