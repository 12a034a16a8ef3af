//! The module and the running service together: create, pay on the page, hear the webhook; and what
//! becomes of it where the service is asked, by the client's own metadata, to fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod harness;
mod world;

use cashier_provider_sdk::{
    Amount, FailureKind, NextAction, NormalizedStatus, PaymentCreated, PaymentRef, StatusUpdate, Step, WebhookNotice,
    WebhookVerdict,
};
use serde_json::json;
use world::World;

fn payment_of(world: &World, created: &PaymentCreated) -> PaymentRef {
    PaymentRef { reference: world.order("").reference, refs: created.refs.clone(), ..PaymentRef::default() }
}

fn page_of(created: &PaymentCreated) -> String {
    match &created.next {
        NextAction::Redirect { url } => url.clone(),
        other => panic!("expected a redirect, got {other:?}"),
    }
}

fn only_update(step: Step<WebhookVerdict>) -> StatusUpdate {
    match step {
        Step::Done(WebhookVerdict::Verified { mut updates, acknowledgement: None }) if updates.len() == 1 => {
            updates.remove(0)
        }
        other => panic!("expected one update, got {other:?}"),
    }
}

#[tokio::test]
async fn a_payment_is_created_paid_heard_and_asked_about() {
    let mut world = World::open(None).await;
    let created = world.create(&world.order("")).await.done();
    assert_eq!(created.status, NormalizedStatus::Pending);
    let payment = payment_of(&world, &created);
    assert_eq!(world.query(&payment).await.done().status, NormalizedStatus::Pending);

    world.press(&page_of(&created), "pay").await;
    let notice = world.notice().await;
    let heard = only_update(world.judge(&notice));
    assert_eq!(heard.status, NormalizedStatus::Confirmed);
    assert_eq!(heard.reference.as_deref(), Some("K7Q2M9X4T1B8"));
    assert_eq!(heard.refs, created.refs);
    assert_eq!(heard.payment_id.as_deref(), created.refs.first().map(|id| id.value.as_str()));
    assert_eq!(heard.amount, Some(Amount::new(25_000, 2, "USD")));
    assert_eq!(heard.sandbox, Some(true));

    let asked = world.query(&payment).await.done();
    assert_eq!(asked.status, NormalizedStatus::Confirmed);
    assert_eq!((&asked.payment_id, &asked.amount), (&heard.payment_id, &heard.amount));
    let by_reference = PaymentRef { refs: Vec::new(), ..payment };
    assert_eq!(world.query(&by_reference).await.done(), asked);
    world.close().await;
}

#[tokio::test]
async fn two_refunds_are_two_facts_and_a_repetition_is_none() {
    let mut world = World::open(None).await;
    let created = world.create(&world.order("webhook_twice")).await.done();
    world.press(&page_of(&created), "pay").await;
    let id = created.refs[0].value.clone();
    for amount in ["10.00", "15.00"] {
        world.happen(&id, json!({"type": "refunded", "amount": amount})).await;
    }
    let mut updates = Vec::new();
    for _ in 0..6 {
        let notice = world.notice().await;
        updates.push(only_update(world.judge(&notice)));
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
    assert_eq!(events.len(), 3, "twice each, under one id");
    world.close().await;
}

/// The same key again brings the same payment: a lost answer may be asked for once more.
#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_found_or_repeated() {
    // the switch, how the first attempt ends, whether the payment was recorded
    let table = [
        ("create_drop", None, true),
        ("create_garbage", Some(FailureKind::UnreadableAnswer), true),
        ("create_lost:1", None, false),
        ("create_500:1", Some(FailureKind::Temporary), false),
        ("create_busy:1", Some(FailureKind::Temporary), false),
    ];
    for (switch, kind, recorded) in table {
        let world = World::open(None).await;
        let order = world.order(switch);
        let lost = world.create(&order).await;
        let ended = match &lost.step {
            None => None,
            Some(Step::Failed(failure)) => Some(failure.kind),
            Some(other) => panic!("{switch}: {other:?}"),
        };
        assert_eq!(ended, kind, "{switch}");
        let by_reference = PaymentRef { reference: order.reference.clone(), ..PaymentRef::default() };
        let found = world.query(&by_reference).await;
        if recorded {
            assert_eq!(found.done().status, NormalizedStatus::Pending, "{switch}");
        } else {
            assert_eq!(found.failed().kind, FailureKind::NotFound, "{switch}");
        }
        let again = world.create(&order).await.done();
        assert_eq!(again.status, NormalizedStatus::Pending, "{switch}");
        let asked = world.query(&by_reference).await.done();
        assert_eq!(asked.refs, again.refs, "{switch}: one payment, not two");
        world.close().await;
    }
}

#[tokio::test]
async fn notices_that_the_service_spoils_are_not_genuine() {
    for switch in ["webhook_bad_signature", "webhook_no_signature", "webhook_old", "webhook_old:301"] {
        let mut world = World::open(None).await;
        let created = world.create(&world.order(switch)).await.done();
        world.press(&page_of(&created), "pay").await;
        let notice = world.notice().await;
        let step = world.judge(&notice);
        assert!(matches!(step, Step::Done(WebhookVerdict::Rejected(_))), "{switch}: {step:?}");
        world.close().await;
    }
}

#[tokio::test]
async fn an_edge_of_time_and_a_changed_byte_under_the_services_own_signature() {
    let mut world = World::open(None).await;
    let created = world.create(&world.order("webhook_old:300")).await.done();
    world.press(&page_of(&created), "pay").await;
    let notice = world.notice().await;
    assert_eq!(only_update(world.judge(&notice)).status, NormalizedStatus::Confirmed);
    let text = String::from_utf8(notice.body.clone()).unwrap();
    let edited = WebhookNotice { body: text.replace("250.00", "950.00").into_bytes(), ..notice };
    assert!(matches!(world.judge(&edited), Step::Done(WebhookVerdict::Rejected(_))));
    world.close().await;
}

#[tokio::test]
async fn a_webhook_may_come_before_the_answer_and_events_in_any_order() {
    let mut world = World::open(None).await;
    let early = world.create(&world.order("webhook_before_answer:confirmed")).await.done();
    let notice = world.notice().await;
    assert_eq!(only_update(world.judge(&notice)).refs, early.refs);
    world.close().await;

    let mut world = World::open(None).await;
    let created = world.create(&world.order("webhook_events:refunded+confirmed")).await.done();
    world.press(&page_of(&created), "pay").await;
    let mut heard = Vec::new();
    for _ in 0..2 {
        let notice = world.notice().await;
        heard.push(only_update(world.judge(&notice)).status);
    }
    assert_eq!(heard, [NormalizedStatus::Refunded, NormalizedStatus::Confirmed]);
    world.close().await;
}

/// The magic amounts work in any currency and exponent.
#[tokio::test]
async fn magic_amounts_decline() {
    let mut world = World::open(None).await;
    let order = |minor, exponent, currency: &str, key: &str| cashier_provider_sdk::PaymentOrder {
        amount: Amount::new(minor, exponent, currency),
        idempotency_key: key.into(),
        ..world.order("")
    };
    let at_once = [order(40_200, 2, "EUR", "k1"), order(402, 0, "JPY", "k2")];
    let on_the_page = order(403_000, 3, "KWD", "k3");
    for order in at_once {
        assert_eq!(world.create(&order).await.failed().kind, FailureKind::Declined);
    }
    let created = world.create(&on_the_page).await.done();
    world.press(&page_of(&created), "pay").await;
    let notice = world.notice().await;
    let heard = only_update(world.judge(&notice));
    assert_eq!((heard.status, heard.amount), (NormalizedStatus::Failed, Some(on_the_page.amount)));
    world.close().await;
}

/// The service calls back to this machine alone: an address elsewhere is refused with its name.
#[tokio::test]
async fn a_notify_url_elsewhere_is_refused_by_name() {
    let world = World::open(None).await;
    let order = cashier_provider_testing::sample_order();
    let failure = world.create(&order).await.failed();
    assert_eq!(failure.kind, FailureKind::RefusedRequest);
    assert!(failure.message.contains("notify_url"), "{failure}");
    world.close().await;
}

/// The module's README recommends switches; the service must know each of them.
#[test]
fn the_readme_names_switches_that_there_are() {
    let readme = include_str!("../README.md");
    let table = readme.split("| To see |").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let named: Vec<&str> = table.split('`').skip(1).step_by(2).filter(|word| *word != "sandbox_switches").collect();
    assert!(named.len() > 15, "{named:?}");
    for switch in named {
        assert!(switch.parse::<cashier_sandbox_service::switch::Switch>().is_ok(), "{switch}");
    }
}
