//! A webhook secret leaked while two persons are needed for credentials: one person ends it, and what is signed with it, or with
//! the secrets that it had replaced, credits nothing from then on. What was paid is credited once the config has another secret.

use cashier_core::session::Role;
use cashier_tests::deployment::{DeploymentPlan, NO_RATE_LIMIT};
use cashier_tests::manager::ManagerClient;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::signing;
use cashier_tests::stripe_stub::WEBHOOK_SECRET;
use cashier_tests::waiting::eventually;
use serde_json::json;

const LEAKED: &str = "whsec_that_leaked";
const UPDATE: &str = "MngUpdateCashierProviderConfig";

#[tokio::test(flavor = "multi_thread")]
async fn one_person_ends_a_leaked_webhook_secret_and_nothing_signed_with_it_is_credited() {
    if !signing::can_sign() {
        return;
    }
    let mut pending = PendingDeposit::of(DeploymentPlan::default()).await;
    // The secret that leaked replaced another one lately, which verifies too for a while.
    let replaced = json!({"id": pending.config, "webhook_secret": LEAKED});
    pending.deployment.manager().run(UPDATE, &replaced).await;
    pending.deployment.settings = format!("{NO_RATE_LIMIT}second_person = [\"credentials\"]\n");
    pending.deployment.restart().await;
    let manager = pending.deployment.manager();
    let path = format!("stripe/{}", pending.config);

    let kept = manager.command(UPDATE, &json!({"id": pending.config, "wipe": ["webhook_secret"]})).await;
    assert_eq!(kept.status, 400, "an enabled config needs it: {}", kept.text());
    assert!(kept.text().contains("with enabled 0 in the same edit"), "{}", kept.text());
    let ended = json!({"id": pending.config, "enabled": 0, "wipe": ["webhook_secret"]});
    manager.run(UPDATE, &ended).await;
    for (path, secret) in [("stripe", LEAKED), (&path, LEAKED), ("stripe", WEBHOOK_SECRET), (&path, WEBHOOK_SECRET)] {
        let answer = pending.send_event(path, secret, &pending.event()).await;
        assert!(answer.status >= 400, "{path}: {} {}", answer.status, answer.text());
    }
    pending.not_credited().await;

    let renewed = json!({"id": pending.config, "enabled": 1, "webhook_secret": "whsec_of_tomorrow"});
    let asked = manager.command(UPDATE, &renewed).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let approval = asked.json()["data"]["approval"]["id"].clone();
    let second = ManagerClient { token: pending.deployment.token(Role::Manager, 2, None), ..manager };
    second.run("MngApproveCashierChange", &json!({"id": approval})).await;
    for secret in [LEAKED, WEBHOOK_SECRET] {
        let forged = pending.send_event(&path, secret, &pending.event()).await;
        assert_eq!(forged.status, 401, "{}", forged.text());
    }
    pending.not_credited().await;
    let sent = eventually("the webhook to be accepted", async || {
        let sent = pending.send_event(&path, "whsec_of_tomorrow", &pending.event()).await;
        (sent.status != 503).then_some(sent)
    });
    sent.await.expect_ok();
    pending.credited_once().await;
}
