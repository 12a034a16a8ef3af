//! Replay of stored events of a real module, by what became of the secret that they were signed with: current, replaced, wiped, or never
//! one of the config's. What was verified when it came is read on the strength of that record, and says so; what was not is verified now
//! or not at all.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use cashier_tests::deployment::DeploymentPlan;
use cashier_tests::manager::ManagerClient;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::roster::LOGIN;
use cashier_tests::signing;
use cashier_tests::stripe_stub::{StripeEventFields, WEBHOOK_SECRET};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};

const REPLAY: &str = "MngReplayCashierProviderEvent";
const UPDATE: &str = "MngUpdateCashierProviderConfig";
const NEXT_SECRET: &str = "whsec_next_5b21";
/// None of the config's until a manager enters it.
const LATE_SECRET: &str = "whsec_late_90aa";

/// The one outcome of a replay of an event.
async fn replayed(manager: &ManagerClient, id: u64, mode: &str) -> Value {
    let mut request = json!({"id": id});
    if !mode.is_empty() {
        request[mode] = json!(1);
    }
    let answer = manager.run(REPLAY, &request).await;
    assert_eq!((&answer["done"], answer["outcomes"].as_array().map(Vec::len)), (&json!(1), Some(1)), "{answer}");
    answer["outcomes"][0].clone()
}

fn proof(outcome: &Value) -> [&str; 2] {
    ["verdict", "proof"].map(|field| outcome[field].as_str().unwrap_or_default())
}

/// The newest event, once there are so many.
async fn newest(manager: &ManagerClient, count: u64) -> u64 {
    eventually("the event is stored", async || {
        let list = json!({"orderBy": [["id", "desc"]]});
        let listed = manager.run("MngGetCashierProviderEventsByFilter", &list).await;
        (listed["count"] == json!(count)).then(|| listed["rows"][0]["id"].as_u64()).flatten()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_event_is_replayed_under_a_current_a_replaced_and_a_wiped_secret_and_says_what_proves_it() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let manager = pending.deployment.manager();
    pending.send_event("stripe", WEBHOOK_SECRET, &pending.event()).await.expect_ok();
    pending.credited_once().await;
    let id = newest(&manager, 1).await;
    // Its secret becomes a replaced one, which verifies for a week.
    for next in [None, Some(json!({"id": pending.config, "webhook_secret": NEXT_SECRET}))] {
        if let Some(edit) = &next {
            manager.run(UPDATE, edit).await;
        }
        for mode in ["dry_run", "secret_required", ""] {
            let outcome = replayed(&manager, id, mode).await;
            assert_eq!(proof(&outcome), ["understood", "secret"], "{next:?} {mode}: {outcome}");
            let because = format!("event {id} was applied before, and states nothing new");
            assert_eq!((&outcome["because"], &outcome["changed"]), (&json!(because), &json!(0)), "{outcome}");
        }
    }
    let gone = [
        json!({"id": pending.config, "webhook_secret": LATE_SECRET, "revoke_previous": 1}),
        json!({"id": pending.config, "enabled": 0, "wipe": ["webhook_secret"]}),
    ];
    for edit in gone {
        manager.run(UPDATE, &edit).await;
        for mode in ["dry_run", ""] {
            let outcome = replayed(&manager, id, mode).await;
            assert_eq!(proof(&outcome), ["understood", "record"], "{edit}: {outcome}");
        }
        // Who does not trust the record, because a secret leaked, asks for a secret of today.
        let outcome = replayed(&manager, id, "secret_required").await;
        assert_eq!(proof(&outcome), ["secret gone", "record"], "{edit}: {outcome}");
        assert!(outcome["because"].as_str().is_some_and(|text| text.contains("no secret of today")), "{outcome}");
    }
    pending.credited_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_never_verified_is_replayed_with_a_secret_that_verifies_it_now_and_not_without() {
    if !signing::can_sign() {
        return;
    }
    let pending = PendingDeposit::of(DeploymentPlan::default()).await;
    let manager = pending.deployment.manager();
    assert_eq!(pending.send_event("stripe", LATE_SECRET, &pending.event()).await.status, 401);
    let id = newest(&manager, 1).await;
    // The same with more in it than the quarantine stores of a body.
    let mut long =
        StripeEventFields { event_id: "evt_2", ..pending.event() }.intent_succeeded(pending.deployment.clock.unix());
    long["padding"] = json!("x".repeat(20 * 1024));
    assert_eq!(pending.send("stripe", LATE_SECRET, &long).await.status, 401);
    let cut = newest(&manager, 2).await;
    for mode in ["dry_run", "secret_required", ""] {
        let outcome = replayed(&manager, id, mode).await;
        assert_eq!(proof(&outcome), ["rejected", "none"], "{outcome}");
        assert!(outcome["because"].as_str().is_some_and(|text| text.starts_with("no secret of today verifies it")));
    }
    pending.not_credited().await;

    manager.run(UPDATE, &json!({"id": pending.config, "webhook_secret": LATE_SECRET})).await;
    let outcome = replayed(&manager, cut, "").await;
    assert_eq!(proof(&outcome), ["rejected", "none"], "{outcome}");
    assert!(outcome["because"].as_str().is_some_and(|text| text.contains("its body was cut")), "{outcome}");
    pending.not_credited().await;

    let outcome = replayed(&manager, id, "dry_run").await;
    assert_eq!(
        (proof(&outcome), &outcome["changed"], &outcome["because"]),
        (["understood", "secret"], &json!(1), &json!(""))
    );
    let would = &outcome["transactions"][0];
    assert_eq!([&would["facts_added"], &would["owed_after"]], [&json!(["confirmed"]), &json!(250.0)], "{outcome}");
    pending.not_credited().await;
    let outcome = replayed(&manager, id, "secret_required").await;
    assert_eq!((proof(&outcome), &outcome["changed"]), (["understood", "secret"], &json!(1)), "{outcome}");
    eventually("the credit", async || (pending.deployment.balance(LOGIN).await == "250.0 USD").then_some(())).await;
    pending.credited_once().await;
    let outcome = replayed(&manager, id, "").await;
    assert_eq!(proof(&outcome), ["recovered before", "none"], "{outcome}");
}
