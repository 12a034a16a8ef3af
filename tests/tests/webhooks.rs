//! One payment is credited once, for duplicate, reordered, concurrent and early webhooks on either path.

use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::http::HttpAnswer;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, StripeEventFields, StubMode, signed};
use cashier_tests::waiting::eventually;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

/// Whole deployments that a table makes at one time.
const DEPLOYMENTS_AT_ONCE: usize = 4;

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_duplicate_webhooks_on_both_paths_credit_once_and_all_get_200() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let now = pending.deployment.clock.unix();
    let (body, (name, signature)) = signed(SECRET, now, &pending.event().intent_succeeded(now));
    let addressed = format!("stripe/{}", pending.config);
    let paths = (0..50).map(|at| if at % 2 == 0 { "stripe" } else { &*addressed });
    let answers = join_all(paths.map(|path| pending.deployment.webhook(path, (name, &signature), &body))).await;
    let answers: Vec<Value> = answers.iter().map(HttpAnswer::expect_ok).collect();
    let first = answers.iter().filter(|answer| answer["duplicate"] == json!(false)).count();
    assert_eq!(first, 1, "exactly one is not a duplicate");
    let events: Vec<&Value> = answers.iter().map(|answer| &answer["event"]["id"]).collect();
    assert!(events.iter().all(|id| *id == events[0]), "all are the same event: {events:?}");
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_events_about_one_payment_credit_once() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let ids: Vec<String> = (0..8).map(|at| format!("evt_{at}")).collect();
    let event = pending.event();
    let events = ids.iter().map(|id| StripeEventFields { event_id: id, ..event.clone() });
    let answers = join_all(events.map(|event| {
        let pending = &pending;
        async move { pending.send_event("stripe", SECRET, &event).await }
    }))
    .await;
    for answer in answers {
        assert_eq!(answer.expect_ok()["duplicate"], json!(false), "{}", answer.text());
    }
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_payment_under_the_same_reference_goes_to_review_and_adds_nothing() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    pending.send_event("stripe", SECRET, &pending.event()).await.expect_ok();
    pending
        .send_event("stripe", SECRET, &StripeEventFields { event_id: "evt_2", intent: "pi_other", ..pending.event() })
        .await
        .expect_ok();
    let seen = pending.seen().await;
    let reason = seen["transaction"]["failure_reason"].as_str().unwrap();
    assert_eq!(seen["transaction"]["status"], json!(9), "{seen}");
    assert!(reason.starts_with("SECOND_PAYMENT") && reason.contains("pi_stub_1") && reason.contains("pi_other"));
    assert_eq!(
        pending.deployment.balance(LOGIN).await,
        "250.0 USD",
        "the first payment stays credited, the second adds nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_before_the_answer_of_the_create_call_credits_once() {
    if !signing::can_sign() {
        return;
    }
    // With our reference it is matched at once; with Stripe's id alone it waits until the create call returns that id.
    for with_reference in [true, false] {
        let deployment = Deployment::new().await;
        deployment.manager().save_config(&deployment.stripe_config()).await;
        deployment.stripe.set_mode(StubMode::Holding);
        let customer = deployment.customer();
        let depositing = tokio::spawn(async move { customer.deposit(&order("stripe", "250")).await });
        eventually("the create call", async || (!deployment.stripe.requests().is_empty()).then_some(())).await;
        let reference = if with_reference { deployment.stripe.latest_reference() } else { String::new() };
        let event = StripeEventFields {
            event_id: "evt_1",
            reference: &reference,
            intent: "pi_stub_1",
            amount: 25_000,
            currency: "usd",
            live: false,
        };
        let now = deployment.clock.unix();
        let (body, (name, signature)) = signed(SECRET, now, &event.intent_succeeded(now));
        let accepted = deployment.webhook("stripe", (name, &signature), &body).await.expect_ok();
        let (status, balance) = if with_reference { (json!(2), "250.0 USD") } else { (Value::Null, "0.0 USD") };
        assert_eq!(accepted["transaction"]["status"], status, "{accepted}");
        assert_eq!(deployment.balance(LOGIN).await, balance, "reference: {with_reference}");

        deployment.stripe.set_mode(StubMode::Answering);
        let answer = depositing.await.unwrap().expect_ok();
        let id = answer["transaction"]["id"].as_u64().unwrap();
        assert_eq!(answer["transaction"]["status"], json!(3), "{answer}");
        assert_eq!(answer["transaction"]["provider_payment_id"], json!("pi_stub_1"));
        let again = deployment.webhook("stripe", (name, &signature), &body).await.expect_ok();
        assert_eq!((&again["duplicate"], &again["transaction"]["status"]), (&json!(true), &json!(3)), "{again}");
        let seen = deployment.manager().transaction(id).await;
        assert_eq!(seen["balance_operations"].as_array().unwrap().len(), 1, "{seen}");
        assert_eq!(deployment.balance(LOGIN).await, "250.0 USD");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_webhook_sent_before_the_create_answer_credits_once() {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment.sandbox.switch(&["webhook_before_answer:confirmed", "webhook_twice"]).await;
    let answers =
        join_all((0..8).map(|_| async { deployment.customer().deposit(&order("sandbox", "25")).await })).await;
    for answer in answers {
        let answer = answer.expect_ok();
        let id = answer["transaction"]["id"].as_u64().unwrap();
        let seen = eventually("the credit", async || {
            Some(deployment.manager().transaction(id).await).filter(|seen| seen["transaction"]["status"] == json!(3))
        })
        .await;
        assert_eq!(seen["balance_operations"].as_array().unwrap().len(), 1, "{seen}");
    }
    assert_eq!(deployment.balance(LOGIN).await, "200.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_the_sandbox_service_ends_in_its_documented_status() {
    // The switch, the final status of the transaction, and the balance.
    let table = [
        ("webhook_twice", 3, "25.0 USD"),
        ("webhook_late:300", 3, "25.0 USD"),
        ("webhook_events:pending+confirmed", 3, "25.0 USD"),
        ("webhook_events:failed+confirmed", 3, "25.0 USD"),
        ("webhook_events:confirmed+failed", 3, "25.0 USD"),
        ("webhook_events:confirmed+pending", 3, "25.0 USD"),
        ("webhook_events:refunded+confirmed", 7, "0.0 USD"),
        ("webhook_events:confirmed+refunded", 7, "0.0 USD"),
        ("webhook_events:confirmed+chargeback+chargeback_reversed", 3, "25.0 USD"),
        ("webhook_events:confirmed+chargeback", 8, "0.0 USD"),
        ("webhook_amount:24.99", 9, "0.0 USD"),
        ("webhook_currency:EUR", 9, "0.0 USD"),
        ("webhook_livemode", 9, "0.0 USD"),
        ("pay_decline", 5, "0.0 USD"),
        ("webhook_reference:D0000000000000000000", 1, "0.0 USD"),
        ("webhook_bad_signature", 1, "0.0 USD"),
        ("webhook_no_signature", 1, "0.0 USD"),
        ("webhook_old:3600", 1, "0.0 USD"),
        // m10: signed and unreadable, so the payment it mentions is queried.
        ("webhook_garbage", 3, "25.0 USD"),
        ("webhook_never", 1, "0.0 USD"),
    ];
    // Made one by one and boxed: twenty deployments by value are more than a thread's stack holds.
    let outcomes = stream::iter(table).map(|(switch, status, balance)| {
        Box::pin(async move {
            let deployment = Deployment::new().await;
            deployment.manager().save_config(&deployment.sandbox_config()).await;
            deployment.sandbox.switch(&[switch]).await;
            let answer = deployment.customer().deposit(&order("sandbox", "25")).await.expect_ok();
            let id = answer["transaction"]["id"].as_u64().unwrap();
            let page = answer["redirect_url"].as_str().unwrap().to_owned();
            deployment.sandbox.press(&page, "pay").await;
            eventually(&format!("{switch}: every delivery was attempted"), async || {
                let log = deployment.sandbox.deliveries(&page).await;
                let deliveries = log["deliveries"].as_array()?;
                let attempted = |it: &Value| {
                    it["state"] == json!("withheld") || it["attempts"].as_array().is_some_and(|all| !all.is_empty())
                };
                (!deliveries.is_empty() && deliveries.iter().all(attempted)).then_some(())
            })
            .await;
            eventually(&format!("{switch}: status {status}"), async || {
                let seen = deployment.customer().transaction(id).await;
                (seen["status"] == json!(status) && deployment.balance(LOGIN).await == balance).then_some(())
            })
            .await;
            if status == 1 {
                // No verified webhook arrived, so the provider is queried; the query finds the payment.
                deployment.clock.advance_seconds(61);
                eventually(&format!("{switch}: queried and credited"), async || {
                    (deployment.balance(LOGIN).await == "25.0 USD").then_some(())
                })
                .await;
            }
            // The balance changes a moment before the cashier has recorded the posting.
            eventually(&format!("{switch}: every operation is settled"), async || {
                let operations = deployment.manager().transaction(id).await["balance_operations"].clone();
                let unsettled = |it: &Value| it["status"] == json!(0) || it["status"] == json!(3);
                (!operations.as_array()?.iter().any(unsettled)).then_some(())
            })
            .await;
        })
    });
    outcomes.buffered(DEPLOYMENTS_AT_ONCE).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_each_of_twelve_configs_of_one_module_receives_its_own_webhooks() {
    if !signing::can_sign() {
        return;
    }
    let mut deployment = Deployment::new().await;
    let secret = |number: usize| format!("whsec_of_config_{number}");
    let mut configs = Vec::new();
    for number in 0..12 {
        let mut config = deployment.stripe_config();
        config["webhook_secret"] = json!(secret(number));
        configs.push(deployment.manager().save_config(&config).await);
    }
    deployment.restart().await;
    for (number, id) in configs.into_iter().enumerate() {
        let (event_id, now) = (format!("evt_{number}"), deployment.clock.unix());
        let event = StripeEventFields {
            event_id: &event_id,
            reference: "D7K2M9QX4T",
            intent: "pi_unknown",
            amount: 25_000,
            currency: "usd",
            live: false,
        };
        let (body, (name, signature)) = signed(&secret(number), now, &event.intent_succeeded(now));
        let answer = deployment.webhook(&format!("stripe/{id}"), (name, &signature), &body).await;
        assert_eq!(answer.expect_ok()["duplicate"], json!(false), "config {id}: {}", answer.text());
    }
}
