//! The module and the running service together: create, pay on the page, receive the webhook, with and
//! without the failures that the client's metadata selects.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue must stop"
)]

mod fixture;
mod harness;

use cashier_provider_sdk::{
    Amount, FailureKind, NextAction, NormalizedStatus, PaymentCreated, PaymentRef, StatusUpdate, Step, WebhookNotice,
    WebhookVerdict,
};
use fixture::ModuleFixture;
use serde_json::json;

fn payment_of(fixture: &ModuleFixture, created: &PaymentCreated) -> PaymentRef {
    PaymentRef { reference: fixture.order("").reference, refs: created.refs.clone(), ..PaymentRef::default() }
}

fn page_of(created: &PaymentCreated) -> String {
    match &created.next {
        NextAction::Redirect { url } => url.clone(),
        other => panic!("expected a redirect, got {other:?}"),
    }
}

fn only_update(step: Step<WebhookVerdict>) -> StatusUpdate {
    match step {
        Step::Done(WebhookVerdict::Verified { mut updates, acknowledgement: None, .. }) if updates.len() == 1 => {
            updates.remove(0)
        }
        other => panic!("expected one update, got {other:?}"),
    }
}

#[tokio::test]
async fn a_payment_is_created_paid_received_and_queried() {
    let mut fixture = ModuleFixture::open(None).await;
    let created = fixture.create(&fixture.order("")).await.done();
    assert_eq!(created.status, NormalizedStatus::Pending);
    let payment = payment_of(&fixture, &created);
    assert_eq!(fixture.query(&payment).await.done().status, NormalizedStatus::Pending);

    fixture.press(&page_of(&created), "pay").await;
    let notice = fixture.notice().await;
    let update = only_update(fixture.verify(&notice));
    assert_eq!(update.status, NormalizedStatus::Confirmed);
    assert_eq!(update.reference.as_deref(), Some("K7Q2M9X4T1B8"));
    assert_eq!(update.refs, created.refs);
    assert_eq!(update.payment_id.as_deref(), created.refs.first().map(|id| id.value.as_str()));
    assert_eq!(update.amount, Some(Amount::new(25_000, 2, "USD")));
    assert_eq!(update.sandbox, Some(true));

    let queried = fixture.query(&payment).await.done();
    assert_eq!(queried.status, NormalizedStatus::Confirmed);
    assert_eq!((&queried.payment_id, &queried.amount), (&update.payment_id, &update.amount));
    let by_reference = PaymentRef { refs: Vec::new(), ..payment };
    assert_eq!(fixture.query(&by_reference).await.done(), queried);
    fixture.close().await;
}

#[tokio::test]
async fn two_refunds_have_two_ids_and_a_duplicate_webhook_repeats_one() {
    let mut fixture = ModuleFixture::open(None).await;
    let created = fixture.create(&fixture.order("webhook_twice")).await.done();
    fixture.press(&page_of(&created), "pay").await;
    let id = created.refs[0].value.clone();
    for amount in ["10.00", "15.00"] {
        fixture.apply_event(&id, json!({"type": "refunded", "amount": amount})).await;
    }
    let mut updates = Vec::new();
    for _ in 0..6 {
        let notice = fixture.notice().await;
        updates.push(only_update(fixture.verify(&notice)));
    }
    let mut refunds: Vec<(Option<String>, String)> = updates
        .iter()
        .filter_map(|update| update.refund.as_ref())
        .map(|refund| (refund.id.clone(), refund.amount.to_string()))
        .collect();
    assert_eq!(refunds.len(), 4, "{updates:?}");
    refunds.sort();
    refunds.dedup();
    let mut amounts: Vec<&str> = refunds.iter().map(|(_, amount)| amount.as_str()).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, ["10.00 USD", "15.00 USD"]);
    let mut events: Vec<_> = updates.iter().map(|update| update.event_id.clone()).collect();
    events.sort();
    events.dedup();
    assert_eq!(events.len(), 3, "each event twice under one id");
    fixture.close().await;
}

/// A retry under the same key returns the same payment, so a lost answer can be requested again.
#[tokio::test]
async fn a_creation_with_a_lost_answer_is_found_or_repeated() {
    // the switch, the failure of the first attempt, whether the payment was recorded
    let table = [
        ("create_drop", None, true),
        ("create_garbage", Some(FailureKind::UnreadableAnswer), true),
        ("create_lost:1", None, false),
        ("create_500:1", Some(FailureKind::Temporary), false),
        ("create_busy:1", Some(FailureKind::Temporary), false),
    ];
    for (switch, kind, recorded) in table {
        let fixture = ModuleFixture::open(None).await;
        let order = fixture.order(switch);
        let lost = fixture.create(&order).await;
        let ended = match &lost.step {
            None => None,
            Some(Step::Failed(failure)) => Some(failure.kind),
            Some(other) => panic!("{switch}: {other:?}"),
        };
        assert_eq!(ended, kind, "{switch}");
        let by_reference = PaymentRef { reference: order.reference.clone(), ..PaymentRef::default() };
        let found = fixture.query(&by_reference).await;
        if recorded {
            assert_eq!(found.done().status, NormalizedStatus::Pending, "{switch}");
        } else {
            assert_eq!(found.failed().kind, FailureKind::NotFound, "{switch}");
        }
        let again = fixture.create(&order).await.done();
        assert_eq!(again.status, NormalizedStatus::Pending, "{switch}");
        let queried = fixture.query(&by_reference).await.done();
        assert_eq!(queried.refs, again.refs, "{switch}: one payment, not two");
        fixture.close().await;
    }
}

#[tokio::test]
async fn a_wrong_missing_or_old_signature_is_rejected() {
    for switch in ["webhook_bad_signature", "webhook_no_signature", "webhook_old", "webhook_old:301"] {
        let mut fixture = ModuleFixture::open(None).await;
        let created = fixture.create(&fixture.order(switch)).await.done();
        fixture.press(&page_of(&created), "pay").await;
        let notice = fixture.notice().await;
        let step = fixture.verify(&notice);
        let old = switch.starts_with("webhook_old");
        let rejected = match step {
            Step::Done(WebhookVerdict::Rejected(_)) => !old,
            Step::Done(WebhookVerdict::Untimely(_)) => old,
            _ => false,
        };
        assert!(rejected, "{switch}: {step:?}");
        fixture.close().await;
    }
}

#[tokio::test]
async fn a_signature_at_the_tolerance_verifies_and_a_changed_body_is_rejected() {
    let mut fixture = ModuleFixture::open(None).await;
    let created = fixture.create(&fixture.order("webhook_old:300")).await.done();
    fixture.press(&page_of(&created), "pay").await;
    let notice = fixture.notice().await;
    assert_eq!(only_update(fixture.verify(&notice)).status, NormalizedStatus::Confirmed);
    let text = String::from_utf8(notice.body.clone()).unwrap();
    let edited = WebhookNotice { body: text.replace("250.00", "950.00").into_bytes(), ..notice };
    assert!(matches!(fixture.verify(&edited), Step::Done(WebhookVerdict::Rejected(_))));
    fixture.close().await;
}

#[tokio::test]
async fn a_webhook_before_the_answer_and_events_out_of_order_are_read() {
    let mut fixture = ModuleFixture::open(None).await;
    let early = fixture.create(&fixture.order("webhook_before_answer:confirmed")).await.done();
    let notice = fixture.notice().await;
    assert_eq!(only_update(fixture.verify(&notice)).refs, early.refs);
    fixture.close().await;

    let mut fixture = ModuleFixture::open(None).await;
    let created = fixture.create(&fixture.order("webhook_events:refunded+confirmed")).await.done();
    fixture.press(&page_of(&created), "pay").await;
    let mut received = Vec::new();
    for _ in 0..2 {
        let notice = fixture.notice().await;
        received.push(only_update(fixture.verify(&notice)).status);
    }
    assert_eq!(received, [NormalizedStatus::Refunded, NormalizedStatus::Confirmed]);
    fixture.close().await;
}

/// The magic amounts work in any currency and exponent.
#[tokio::test]
async fn magic_amounts_decline() {
    let mut fixture = ModuleFixture::open(None).await;
    let order = |minor, exponent, currency: &str, key: &str| cashier_provider_sdk::PaymentOrder {
        amount: Amount::new(minor, exponent, currency),
        idempotency_key: key.into(),
        ..fixture.order("")
    };
    let at_once = [order(40_200, 2, "EUR", "k1"), order(402, 0, "JPY", "k2")];
    let on_the_page = order(403_000, 3, "KWD", "k3");
    for order in at_once {
        assert_eq!(fixture.create(&order).await.failed().kind, FailureKind::Declined);
    }
    let created = fixture.create(&on_the_page).await.done();
    fixture.press(&page_of(&created), "pay").await;
    let notice = fixture.notice().await;
    let update = only_update(fixture.verify(&notice));
    assert_eq!((update.status, update.amount), (NormalizedStatus::Failed, Some(on_the_page.amount)));
    fixture.close().await;
}

/// The service sends webhooks to loopback only: another address is refused and named.
#[tokio::test]
async fn a_remote_notify_url_is_refused_by_name() {
    let fixture = ModuleFixture::open(None).await;
    let order = cashier_provider_testing::sample_order();
    let failure = fixture.create(&order).await.failed();
    assert_eq!(failure.kind, FailureKind::RefusedRequest);
    assert!(failure.message.contains("notify_url"), "{failure}");
    fixture.close().await;
}

/// The module's README recommends switches; the service must accept each of them.
#[test]
fn the_readme_names_existing_switches() {
    let readme = include_str!("../README.md");
    let table = readme.split("| To see |").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let named: Vec<&str> = table.split('`').skip(1).step_by(2).filter(|name| *name != "sandbox_switches").collect();
    assert!(named.len() > 15, "{named:?}");
    for switch in named {
        assert!(switch.parse::<cashier_sandbox_service::switch::Switch>().is_ok(), "{switch}");
    }
}
