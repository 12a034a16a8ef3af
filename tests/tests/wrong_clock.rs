//! A server whose system clock is wrong: what it answers meanwhile, and that nothing is lost by it.

use cashier_tests::clock::ClockSpeed;
use cashier_tests::deployment::DeploymentPlan;
use cashier_tests::pending_deposit::PendingDeposit;
use cashier_tests::signing;
use cashier_tests::stripe_stub;
use cashier_tests::waiting::eventually;
use serde_json::json;

const SECRET: &str = stripe_stub::WEBHOOK_SECRET;
const DAY: i64 = 24 * 60 * 60;

#[tokio::test(flavor = "multi_thread")]
async fn m23_on_a_wrong_clock_a_signed_webhook_is_answered_503_a_forged_one_401_and_nothing_expires() {
    if !signing::can_sign() {
        return;
    }
    let plan = DeploymentPlan { clock_speed: ClockSpeed::Times(1), ..DeploymentPlan::default() };
    let mut pending = PendingDeposit::of(plan).await;
    let path = format!("stripe/{}", pending.config);
    for (jump, restart) in [(30 * DAY, false), (-400 * DAY, false), (30 * DAY, true)] {
        pending.deployment.clock.jump(jump);
        if restart {
            pending.deployment.restart().await;
        }
        let listed = pending.deployment.watch("readyz?verbose").await;
        assert!(listed.status == 200 && listed.text().contains("clock implausible: "), "{jump}: {}", listed.text());
        assert_eq!(pending.send_event(&path, SECRET, &pending.event()).await.status, 503, "{jump}");
        assert_eq!(pending.send_event(&path, "whsec_other", &pending.event()).await.status, 401, "{jump}");
        let known = pending.deployment.decided(pending.id).expect("the deposit").transaction;
        assert_eq!(known.status.number(), 1, "{jump}");
        pending.deployment.clock.jump(-jump);
    }
    assert_eq!(pending.deployment.watch("readyz?verbose").await.text(), "ready\n");
    let accepted = pending.send_event(&path, SECRET, &pending.event()).await;
    assert_eq!(accepted.status, 200);
    eventually("the credit", async || (pending.seen().await["transaction"]["status"] == json!(3)).then_some(())).await;
    pending.credited_once().await;
}
