//! Money is moved only by what the transaction's own config states in full agreement with what was ordered; a config that
//! was disabled, or whose secret was replaced, still hears about old money.

use cashier_tests::clock::Pace;
use cashier_tests::customer::order;
use cashier_tests::pending::Pending;
use cashier_tests::roster::{LOGIN, change, home};
use cashier_tests::signing;
use cashier_tests::stripe_stub::{self, Said};
use cashier_tests::waiting::eventually;
use cashier_tests::world::Plan;
use serde_json::json;

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn another_amount_or_currency_credits_nothing_and_shows_both_values_to_managers() {
    if !signing::can_sign() {
        return;
    }
    type Change = fn(&mut Said<'_>);
    let table: [(&str, Change, [&str; 2]); 4] = [
        ("AMOUNT_MISMATCH", |said| said.amount = 24_999, ["250.0 USD", "249.99 USD"]),
        ("AMOUNT_MISMATCH", |said| said.amount = 25_001, ["250.0 USD", "250.01 USD"]),
        ("CURRENCY_MISMATCH", |said| said.currency = "eur", ["USD", "EUR"]),
        ("CURRENCY_MISMATCH", |said| said.currency = "jpy", ["USD", "JPY"]),
    ];
    for (code, change, values) in table {
        let pending = Pending::of(Plan::default()).await;
        let mut said = pending.said();
        change(&mut said);
        let heard = pending.tell("stripe", SECRET, &said).await.fine();
        assert_eq!(heard["transaction"]["status"], json!(9), "{code}: {heard}");
        for value in values {
            assert!(!heard.to_string().contains(value) || value == "USD", "the sender is told no values: {heard}");
        }
        // The truth told afterwards needs a person as well.
        pending.tell("stripe", SECRET, &Said { event_id: "evt_2", ..pending.said() }).await.fine();
        let seen = pending.not_credited().await;
        let reason = seen["failure_reason"].as_str().unwrap();
        assert!(reason.starts_with(code) && values.iter().all(|value| reason.contains(value)), "{code}: {reason}");
        assert_eq!(seen["status"], json!(9), "{seen}");
        let shown = pending.world.customer().transaction(pending.id).await;
        assert_eq!(shown["failure_reason"], json!(code), "customers see the code alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_about_live_money_is_not_genuine_under_a_sandbox_config() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(Plan::default()).await;
    let refused = pending.tell("stripe", SECRET, &Said { live: true, ..pending.said() }).await;
    assert_eq!(refused.refusal(), (401, "INVALID_SIGNATURE".into()));
    assert_eq!(pending.not_credited().await["status"], json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configs_valid_signature_leaves_the_transaction_untouched() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(Plan::default()).await;
    let mut other = pending.world.stripe_config();
    other["webhook_secret"] = json!("whsec_other_5a5a5a");
    other["sort_index"] = json!(5);
    let other = pending.world.manager().save_config(&other).await;
    let before = pending.seen().await;

    for (path, event) in [(format!("stripe/{other}"), "evt_a"), ("stripe".into(), "evt_b")] {
        let said = Said { event_id: event, ..pending.said() };
        let heard = pending.tell(&path, "whsec_other_5a5a5a", &said).await.fine();
        assert_eq!(heard["event"]["processing_status"], json!(2), "{heard}");
        assert_eq!(heard["event"]["failure_reason"], json!("PROVIDER_CONFIG_MISMATCH"), "{heard}");
        assert_eq!(pending.seen().await, before, "{path}");
    }
    // Its own provider is asked what is true.
    eventually("the question to its own gateway", async || {
        pending.world.stripe.looked_up().contains(&"pi_stub_1".to_owned()).then_some(())
    })
    .await;
    pending.not_credited().await;

    let refused = pending.tell(&format!("stripe/{}", pending.config), "whsec_other_5a5a5a", &pending.said()).await;
    assert_eq!(refused.refusal(), (401, "INVALID_SIGNATURE".into()), "addressed to its own config");
    pending.tell("stripe", SECRET, &pending.said()).await.fine();
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_that_share_one_account_file_each_event_under_the_transactions_own() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(Plan::default()).await;
    let mut twin = pending.world.stripe_config();
    twin["method"] = json!("");
    let twin = pending.world.manager().save_config(&twin).await;
    let mut asked = order("stripe", "30");
    asked["provider_config_id"] = json!(twin);
    let answer = pending.world.customer().deposit(&asked).await.fine();
    let said = Said {
        event_id: "evt_twin",
        reference: &pending.world.stripe.latest_reference(),
        intent: "pi_stub_2",
        amount: 3_000,
        ..pending.said()
    };
    // Both configs find it genuine; the one with the lower id has no part in this payment.
    let heard = pending.tell("stripe", SECRET, &said).await.fine();
    assert_eq!(heard["transaction"]["id"], answer["transaction"]["id"], "{heard}");
    assert_eq!(
        (&heard["transaction"]["status"], &heard["event"]["failure_reason"]),
        (&json!(3), &json!("")),
        "{heard}"
    );
    // The same event by the other path is the same event.
    let again = pending.tell(&format!("stripe/{twin}"), SECRET, &said).await.fine();
    assert_eq!((&again["duplicate"], &again["event"]["id"]), (&json!(true), &heard["event"]["id"]), "{again}");
    assert_eq!(pending.world.balance(LOGIN).await, "30.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_config_never_credits_an_account_that_became_real() {
    if !signing::can_sign() {
        return;
    }
    let pending = Pending::of(Plan { troubled_trading: true, ..Plan::default() }).await;
    let mut roster = home();
    change(&mut roster, "groups", "group", &json!("demo-usd"), "account_mode", json!(1));
    pending.world.change_roster(&roster).await;
    let heard = pending.tell("stripe", SECRET, &pending.said()).await.fine();
    assert_eq!(heard["transaction"]["status"], json!(4), "{heard}");
    let seen = pending.seen().await;
    let operations = &seen["balance_operations"];
    assert_eq!(operations[0]["failure_reason"], json!("SANDBOX_ON_REAL_ACCOUNT"), "{seen}");
    assert!(pending.world.troubled().asked().is_empty(), "the trading server was not even asked to post");
    assert_eq!(pending.world.balance(LOGIN).await, "0.0 USD");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_disabled_after_the_deposit_still_hears_and_credits_also_after_a_restart() {
    if !signing::can_sign() {
        return;
    }
    for restart in [false, true] {
        let mut pending = Pending::of(Plan::default()).await;
        let saved = json!({"id": pending.config, "enabled": 0});
        pending.world.manager().save_config(&saved).await;
        assert_eq!(pending.world.customer().deposit(&order("stripe", "20")).await.status, 400, "no new deposits");
        if restart {
            pending.world.restart().await;
        }
        pending.tell("stripe", SECRET, &pending.said()).await.fine();
        pending.credited_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_webhook_secret_verifies_for_seven_days_unless_revoked() {
    if !signing::can_sign() {
        return;
    }
    const DAY: u64 = 24 * 60 * 60;
    let pending = Pending::of(Plan { pace: Pace::Still, ..Plan::default() }).await;
    let addressed = format!("stripe/{}", pending.config);
    let event =
        |number: u32| json!({"id": format!("evt_{number}"), "type": "ping", "livemode": false, "data": {"object": {}}});
    let replace = json!({"id": pending.config, "webhook_secret": "whsec_next_77"});
    pending.world.manager().save_config(&replace).await;
    pending.send(&addressed, SECRET, &event(1)).await.fine();
    pending.send(&addressed, "whsec_next_77", &event(2)).await.fine();
    pending.world.clock.advance_seconds(7 * DAY - 1);
    pending.send(&addressed, SECRET, &event(3)).await.fine();
    pending.world.clock.advance_seconds(1);
    assert_eq!(pending.send(&addressed, SECRET, &event(4)).await.status, 401, "seven days are over");

    let revoke = json!({"id": pending.config, "webhook_secret": "whsec_third_88", "revoke_previous": 1});
    pending.world.manager().save_config(&revoke).await;
    assert_eq!(pending.send(&addressed, "whsec_next_77", &event(5)).await.status, 401, "revoked at once");
    pending.send(&addressed, "whsec_third_88", &event(6)).await.fine();
}
