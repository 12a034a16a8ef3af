//! Only a verified webhook of the transaction's own config that agrees with the order in every field moves money; a disabled
//! config, or one whose secret was replaced, still receives webhooks about earlier payments.

use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::DeploymentPlan;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::{LOGIN, change, standard};
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, StripeEventFields};
use cashier_tests::waiting::eventually;
use serde_json::json;

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_or_currency_mismatch_credits_nothing_by_itself_and_shows_both_values_to_managers() {
    if !signing::can_sign() {
        return;
    }
    type Change = fn(&mut StripeEventFields<'_>);
    let table: [(&str, Change, [&str; 2]); 4] = [
        ("AMOUNT_MISMATCH", |event| event.amount = 24_999, ["250.0 USD", "249.99 USD"]),
        ("AMOUNT_MISMATCH", |event| event.amount = 25_001, ["250.0 USD", "250.01 USD"]),
        ("CURRENCY_MISMATCH", |event| event.currency = "eur", ["USD", "EUR"]),
        ("CURRENCY_MISMATCH", |event| event.currency = "jpy", ["USD", "JPY"]),
    ];
    for (code, change, values) in table {
        let pending = PendingDeposit::of(DeploymentPlan::default()).await;
        let mut event = pending.event();
        change(&mut event);
        let accepted = pending.send_event("stripe", SECRET, &event).await.expect_ok();
        assert_eq!(accepted["transaction"]["status"], json!(9), "{code}: {accepted}");
        for value in values {
            assert!(!accepted.to_string().contains(value) || value == "USD", "the sender gets no values: {accepted}");
        }
        pending.not_credited().await;
        // A correct event afterwards is credited, as it would have been before; the review stays for a manager.
        pending
            .send_event("stripe", SECRET, &StripeEventFields { event_id: "evt_2", ..pending.event() })
            .await
            .expect_ok();
        let seen = pending.posted_once().await;
        let reason = seen["failure_reason"].as_str().unwrap();
        assert!(reason.starts_with(code) && values.iter().all(|value| reason.contains(value)), "{code}: {reason}");
        assert_eq!(seen["status"], json!(9), "{seen}");
        let shown = pending.deployment.customer().transaction(pending.id).await;
        assert_eq!(shown["failure_reason"], json!(code), "customers see the code alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_webhook_is_ignored_under_a_sandbox_config() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let live = StripeEventFields { live: true, ..pending.event() };
    let ignored = pending.send_event("stripe", SECRET, &live).await.expect_ok();
    assert_eq!(ignored["event"]["processing_status"], json!(3), "{ignored}");
    assert_ne!(ignored["event"]["failure_reason"], json!(""), "the reason is named: {ignored}");
    assert_eq!(pending.not_credited().await["status"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configs_valid_signature_leaves_the_transaction_untouched() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let mut other = pending.deployment.stripe_config();
    other["webhook_secret"] = json!("whsec_other_5a5a5a");
    other["sort_index"] = json!(5);
    let other = pending.deployment.manager().save_config(&other).await;
    let before = pending.seen().await;

    for (path, event_id) in [(format!("stripe/{other}"), "evt_a"), ("stripe".into(), "evt_b")] {
        let event = StripeEventFields { event_id, ..pending.event() };
        let accepted = pending.send_event(&path, "whsec_other_5a5a5a", &event).await.expect_ok();
        assert_eq!(accepted["event"]["processing_status"], json!(2), "{accepted}");
        assert_eq!(accepted["event"]["failure_reason"], json!("PROVIDER_CONFIG_MISMATCH"), "{accepted}");
        assert_eq!(pending.seen().await, before, "{path}");
    }
    // Its own config's provider is queried.
    eventually("the status query by its own gateway", async || {
        pending.deployment.stripe.queried().contains(&"pi_stub_1".to_owned()).then_some(())
    })
    .await;
    pending.not_credited().await;

    let refused =
        pending.send_event(&format!("stripe/{}", pending.config), "whsec_other_5a5a5a", &pending.event()).await;
    assert_eq!(refused.refusal(), (401, "INVALID_SIGNATURE".into()), "addressed to its own config");
    pending.send_event("stripe", SECRET, &pending.event()).await.expect_ok();
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m18_a_dispute_that_another_config_reports_is_taken_back_once_its_own_provider_answers_after_a_restart() {
    if !signing::can_sign() {
        return;
    }
    let mut pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let mut other = pending.deployment.stripe_config();
    other["webhook_secret"] = json!("whsec_other_5a5a5a");
    let other = pending.deployment.manager().save_config(&other).await;
    pending.send_event("stripe", SECRET, &pending.event()).await.expect_ok();
    pending.credited_once().await;

    // Of the query that this requires the answer cannot be read.
    let stub = &pending.deployment.stripe;
    stub.amend("pi_stub_1", "status", json!(7));
    let event = StripeEventFields { event_id: "evt_a", ..pending.event() };
    pending.send_event(&format!("stripe/{other}"), "whsec_other_5a5a5a", &event).await.expect_ok();
    eventually("the first query", async || (!stub.queried().is_empty()).then_some(())).await;
    pending.credited_once().await;

    stub.amend("pi_stub_1", "status", json!("succeeded"));
    stub.amend("pi_stub_1", "amount_received", json!(25_000));
    stub.dispute(
        "pi_stub_1",
        &json!({
            "id": "du_1", "object": "dispute", "amount": 10_000, "charge": "ch_stub_1", "currency": "usd",
            "livemode": false, "payment_intent": "pi_stub_1", "reason": "fraudulent", "status": "lost",
        }),
    );
    pending.deployment.restart().await;
    eventually("what the dispute left", async || {
        (pending.deployment.balance(LOGIN).await == "150.0 USD").then_some(())
    })
    .await;
    let duties = async || {
        let metrics = pending.deployment.watch("metrics").await.text();
        metrics.lines().any(|line| line == "cashier_duties 0").then_some(())
    };
    eventually("nothing to be left to do", duties).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_that_share_one_provider_account_file_each_event_under_the_transactions_config() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let mut twin = pending.deployment.stripe_config();
    twin["method"] = json!("");
    let twin = pending.deployment.manager().save_config(&twin).await;
    let mut request = order("stripe", "30");
    request["provider_config_id"] = json!(twin);
    let answer = pending.deployment.customer().deposit(&request).await.expect_ok();
    let event = StripeEventFields {
        event_id: "evt_twin",
        reference: &pending.deployment.stripe.latest_reference(),
        intent: "pi_stub_2",
        amount: 3_000,
        ..pending.event()
    };
    // Both configs verify it; the one with the lower id does not own this payment.
    let accepted = pending.send_event("stripe", SECRET, &event).await.expect_ok();
    assert_eq!(accepted["transaction"]["id"], answer["transaction"]["id"], "{accepted}");
    assert_eq!(
        (&accepted["transaction"]["status"], &accepted["event"]["failure_reason"]),
        (&json!(2), &json!("")),
        "{accepted}"
    );
    // The same event by the other path is the same event.
    let again = pending.send_event(&format!("stripe/{twin}"), SECRET, &event).await.expect_ok();
    assert_eq!((&again["duplicate"], &again["event"]["id"]), (&json!(true), &accepted["event"]["id"]), "{again}");
    assert_eq!(pending.deployment.balance(LOGIN).await, "30.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_config_never_credits_an_account_that_became_real() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan { faulty_trading: true, ..DeploymentPlan::default() }).await;
    let mut roster = standard();
    change(&mut roster, "groups", "group", &json!("demo-usd"), "account_mode", json!(1));
    pending.deployment.change_roster(&roster).await;
    let accepted = pending.send_event("stripe", SECRET, &pending.event()).await.expect_ok();
    assert_eq!(accepted["transaction"]["status"], json!(4), "{accepted}");
    let seen = pending.seen().await;
    let operations = &seen["balance_operations"];
    assert_eq!(operations[0]["failure_reason"], json!("SANDBOX_ON_REAL_ACCOUNT"), "{seen}");
    assert!(pending.deployment.faulty_server().postings().is_empty(), "no posting was sent to the trading server");
    assert_eq!(pending.deployment.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_disabled_after_the_deposit_still_receives_and_credits_also_after_a_restart() {
    if !signing::can_sign() {
        return;
    }
    for restart in [false, true] {
        let mut pending = PendingDeposit::of(DeploymentPlan::default()).await;
        let saved = json!({"id": pending.config, "enabled": 0});
        pending.deployment.manager().save_config(&saved).await;
        assert_eq!(pending.deployment.customer().deposit(&order("stripe", "20")).await.status, 400, "no new deposits");
        if restart {
            pending.deployment.restart().await;
        }
        pending.send_event("stripe", SECRET, &pending.event()).await.expect_ok();
        pending.credited_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_webhook_secret_verifies_for_seven_days_unless_revoked() {
    if !signing::can_sign() {
        return;
    }
    const DAY: u64 = 24 * 60 * 60;
    let pending =
        PendingDeposit::of(DeploymentPlan { clock_speed: ClockSpeed::Stopped, ..DeploymentPlan::default() }).await;
    let addressed = format!("stripe/{}", pending.config);
    let event =
        |number: u32| json!({"id": format!("evt_{number}"), "type": "ping", "livemode": false, "data": {"object": {}}});
    let replace = json!({"id": pending.config, "webhook_secret": "whsec_next_77"});
    pending.deployment.manager().save_config(&replace).await;
    pending.send(&addressed, SECRET, &event(1)).await.expect_ok();
    pending.send(&addressed, "whsec_next_77", &event(2)).await.expect_ok();
    pending.deployment.clock.advance_seconds(7 * DAY - 1);
    pending.send(&addressed, SECRET, &event(3)).await.expect_ok();
    pending.deployment.clock.advance_seconds(1);
    assert_eq!(pending.send(&addressed, SECRET, &event(4)).await.status, 401, "seven days are over");

    let revoke = json!({"id": pending.config, "webhook_secret": "whsec_third_88", "revoke_previous": 1});
    pending.deployment.manager().save_config(&revoke).await;
    assert_eq!(pending.send(&addressed, "whsec_next_77", &event(5)).await.status, 401, "revoked at once");
    pending.send(&addressed, "whsec_third_88", &event(6)).await.expect_ok();
}
