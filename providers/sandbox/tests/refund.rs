//! Refunding and cancelling at the running service: in part twice, after a lost answer, what is declined and what fails later.
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
    Amount, FailureKind, NormalizedStatus, PaymentRef, RefundOrder, RefundReach, StatusUpdate, Step, WebhookVerdict,
};
use fixture::ModuleFixture;

/// A payment of 250.00 USD with these switches, paid unless there are none to pay.
async fn paid(fixture: &mut ModuleFixture, switches: &str) -> PaymentRef {
    let created = fixture.create(&fixture.order(switches)).await.done();
    let id = created.refs[0].value.clone();
    fixture.press(&fixture.page_of(&id), "pay").await;
    let confirmed = notice(fixture).await;
    assert_eq!(confirmed.status, NormalizedStatus::Confirmed);
    PaymentRef { reference: fixture.order("").reference, refs: created.refs, ..PaymentRef::default() }
}

async fn notice(fixture: &mut ModuleFixture) -> StatusUpdate {
    let notice = fixture.notice().await;
    match fixture.verify(&notice) {
        Step::Done(WebhookVerdict::Verified { mut updates, .. }) if updates.len() == 1 => updates.remove(0),
        other => panic!("expected one update, got {other:?}"),
    }
}

fn order(payment: &PaymentRef, number: u32, minor: i64) -> RefundOrder {
    let refund_reference = format!("{}-refund-{number}", payment.reference);
    let amount = Amount::new(minor, 2, "USD");
    RefundOrder { payment: payment.clone(), refund_reference, amount, ..RefundOrder::default() }
}

/// The refund's id, our id of it, and its amount.
fn stated(update: &StatusUpdate) -> (String, Option<String>, String) {
    let refund = update.refund.as_ref().unwrap();
    assert_eq!(refund.reach, RefundReach::Delta);
    (refund.id.clone().unwrap(), refund.requested.clone(), refund.amount.to_string())
}

#[tokio::test]
async fn two_part_refunds_are_made_and_their_notices_name_our_ids() {
    let mut fixture = ModuleFixture::open(None).await;
    let payment = paid(&mut fixture, "").await;
    for (number, minor, shown) in [(1, 10_000, "100.00 USD"), (2, 15_000, "150.00 USD")] {
        let made = fixture.refund(&order(&payment, number, minor)).await.done();
        assert_eq!(made.status, NormalizedStatus::Refunded);
        let stated_later = notice(&mut fixture).await;
        assert_eq!((stated_later.status, stated(&stated_later)), (NormalizedStatus::Refunded, stated(&made)));
        let (_, requested, amount) = stated(&made);
        assert_eq!((requested, amount.as_str()), (Some(format!("K7Q2M9X4T1B8-refund-{number}")), shown));
    }
    let queried = fixture.query(&payment).await.done();
    assert_eq!(queried.status, NormalizedStatus::Refunded);
    assert_eq!(queried.refund.unwrap().amount, Amount::new(25_000, 2, "USD"));
    let refused = fixture.refund(&order(&payment, 3, 1)).await.failed();
    assert_eq!(refused.kind, FailureKind::RefusedRequest, "nothing is left");
    fixture.close().await;
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_the_same_when_it_is_repeated() {
    let mut fixture = ModuleFixture::open(None).await;
    let payment = paid(&mut fixture, "refund_drop:2").await;
    let refund = order(&payment, 1, 10_000);
    for _ in 0..2 {
        assert_eq!(fixture.refund(&refund).await.step, None, "no answer");
    }
    let made = fixture.refund(&refund).await.done();
    assert_eq!(stated(&notice(&mut fixture).await), stated(&made));
    let queried = fixture.query(&payment).await.done();
    assert_eq!(queried.refund.unwrap().amount, Amount::new(10_000, 2, "USD"), "made once");
    let other = fixture.refund(&order(&payment, 1, 20_000)).await.failed();
    assert_eq!(other.kind, FailureKind::UnreadableAnswer, "another refund under a used key leaves the outcome unknown");
    fixture.close().await;
}

/// What the answer to a query states as refunded so far, in minor units.
fn refunded(queried: &StatusUpdate) -> i64 {
    let refund = queried.refund.as_ref().unwrap();
    assert_eq!(refund.reach, RefundReach::TotalSoFar);
    refund.amount.minor
}

#[tokio::test]
async fn a_declined_refund_is_final_and_a_slow_one_is_answered() {
    let mut fixture = ModuleFixture::open(None).await;
    let payment = paid(&mut fixture, "refund_decline").await;
    assert_eq!(fixture.refund(&order(&payment, 1, 10_000)).await.failed().kind, FailureKind::Declined);
    assert_eq!(refunded(&fixture.query(&payment).await.done()), 0, "that proves that it was not made");
    fixture.close().await;
    let mut fixture = ModuleFixture::open(None).await;
    let payment = paid(&mut fixture, "refund_slow:100").await;
    assert_eq!(fixture.refund(&order(&payment, 1, 10_000)).await.done().status, NormalizedStatus::Refunded);
    fixture.close().await;
}

#[tokio::test]
async fn a_refund_may_fail_later_and_counts_no_more() {
    let mut fixture = ModuleFixture::open(None).await;
    let payment = paid(&mut fixture, "refund_fails:100").await;
    let made = fixture.refund(&order(&payment, 1, 25_000)).await.done();
    let mut stated_later = [notice(&mut fixture).await, notice(&mut fixture).await];
    stated_later.sort_by_key(|update| update.status == NormalizedStatus::RefundFailed);
    assert_eq!(
        stated_later.each_ref().map(|update| update.status),
        [NormalizedStatus::Refunded, NormalizedStatus::RefundFailed]
    );
    assert_eq!(stated(&stated_later[1]), stated(&made));
    let queried = fixture.query(&payment).await.done();
    assert_eq!((queried.status, refunded(&queried)), (NormalizedStatus::Confirmed, 0));
    fixture.close().await;
}

#[tokio::test]
async fn an_unpaid_payment_is_cancelled_and_a_paid_one_is_found() {
    let mut fixture = ModuleFixture::open(None).await;
    let created = fixture.create(&fixture.order("")).await.done();
    let payment = PaymentRef { refs: created.refs, ..PaymentRef::default() };
    for _ in 0..2 {
        assert_eq!(fixture.cancel(&payment).await.done().status, NormalizedStatus::Cancelled);
    }
    let payment = paid_after_another(&mut fixture).await;
    assert_eq!(fixture.cancel(&payment).await.done().status, NormalizedStatus::Confirmed);
    let unknown = PaymentRef::default();
    assert_eq!(fixture.cancel(&unknown).await.step, Some(Step::Unsupported), "no id is known");
    fixture.close().await;
}

/// A paid payment beside one that was cancelled, whose notice comes first.
async fn paid_after_another(fixture: &mut ModuleFixture) -> PaymentRef {
    assert_eq!(notice(fixture).await.status, NormalizedStatus::Cancelled);
    let other = cashier_provider_sdk::PaymentOrder {
        reference: "K7Q2M9X4T1B9".into(),
        idempotency_key: "another".into(),
        ..fixture.order("")
    };
    let created = fixture.create(&other).await.done();
    let id = created.refs[0].value.clone();
    fixture.press(&fixture.page_of(&id), "pay").await;
    assert_eq!(notice(fixture).await.status, NormalizedStatus::Confirmed);
    PaymentRef { refs: created.refs, ..PaymentRef::default() }
}
