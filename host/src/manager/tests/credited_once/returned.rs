//! Orders of which money went back: what is credited for a further payment, what comes back in parts, and what is posted again.

use cashier_core::notice::{Reach, RefundStatement};

use super::*;

const LESS: i64 = 9_500;

fn refund(event: &str, own: &Reference, id: &str, status: ProviderStatus, minor: i64) -> Update {
    let amount = StatedAmount::Exact(usd(minor));
    let refund = RefundStatement { id: id.into(), amount, reach: Reach::Delta, requested: "".into() };
    Update { refund: Some(refund), amount: None, status, ..stated(event, own, "pay_own", minor) }
}

impl ManagerApi {
    /// An order whose own payment was credited and is disputed.
    async fn disputed(&self, key: &str) -> (u64, Reference) {
        let (id, reference) = self.pending(key).await;
        self.confirmed(&format!("own {key}"), &reference, "pay_own").await;
        let dispute = Update { status: ProviderStatus::Chargeback, ..stated("dispute", &reference, "pay_own", AMOUNT) };
        self.receives(dispute).await;
        assert_eq!((self.reason(id).await.0, self.posted(id)), (8, 0));
        (id, reference)
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_own_payment_went_back_is_not_credited_for_one_that_is_credited_as_another_order() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.disputed("k1").await;
    let (other, of_other) = api.pending("k2").await;
    api.receives(stated("e1", &reference, "pay_2", LESS)).await;
    api.confirmed("e2", &of_other, "pay_2").await;
    assert_eq!((api.reason(open).await.0, api.posted(other)), (9, AMOUNT));
    api.duplicates(RESOLVE, &resolution(open, "credit", Some("95.0")), other).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "refuse", None)).await, 200);
    assert_eq!(api.env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_own_payment_went_back_is_not_credited_for_one_that_was_entered_by_hand() {
    for process in [true, false] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.disputed("k").await;
        let more = if process { r#","process_now":1"# } else { "" };
        let manual = api.entered(DEPOSIT, &format!(r#""provider_payment_id":"pay_2","force":1{more}"#)).await;
        api.confirmed("e2", &reference, "pay_2").await;
        assert_eq!(api.reason(open).await.0, 9);
        api.duplicates(RESOLVE, &resolution(open, "credit", Some("100.0")), manual).await;
        assert_eq!((api.posted(open), api.posted(manual)), (0, if process { AMOUNT } else { 0 }));
        assert_eq!(api.number(RESOLVE, &resolution(open, "refuse", None)).await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn what_went_back_in_parts_is_alike_part_by_part() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.confirmed("e1", &reference, "pay_own").await;
    api.receives(refund("e2", &reference, "re_1", ProviderStatus::Refunded, 6_000)).await;
    api.receives(refund("e3", &reference, "re_2", ProviderStatus::Refunded, 4_000)).await;
    assert_eq!((api.reason(open).await.0, api.env.trading.balance()), (7, 0));
    // The first bounces at the bank, and the customer is helped by hand.
    let part = r#"{"login":2000009,"amount":60.0,"currency":"USD","process_now":1}"#;
    let (number, error) = api.error("manager", DEPOSIT, part).await;
    assert_eq!((number, &*error), (409, "OPEN_DEPOSIT_EXISTS"));
    let forced = part.replace('}', r#","force":1}"#);
    assert_eq!(api.number(DEPOSIT, &forced).await, 200);
    api.receives(refund("e4", &reference, "re_1", ProviderStatus::RefundFailed, 6_000)).await;
    assert_eq!((api.reason(open).await.0, api.posted(open), api.env.trading.balance()), (9, 0, 6_000));
}

#[tokio::test(start_paused = true)]
async fn what_was_owed_before_an_entry_is_posted_again_without_a_question() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.confirmed("e1", &reference, "pay_own").await;
    api.receives(refund("e2", &reference, "re_1", ProviderStatus::Refunded, 3_000)).await;
    assert_eq!(api.posted(open), 7_000);
    let manual = api.entered(DEPOSIT, r#""force":1,"process_now":1"#).await;
    // A refund of the rest is refused by the provider, and its post-back by the trading server.
    lock(&api.env.provider.next_refunds).push_back(crate::test_cashier::OnRefund::Decline);
    lock(&api.env.trading.next_posts).extend([OnPost::Accept, OnPost::Refuse]);
    api.command("manager", "MngRefundCashierTransaction", &format!(r#"{{"id":{open},"reason":"r"}}"#)).await;
    assert_eq!((api.reason(open).await.0, api.posted(open)), (4, 0));
    assert_eq!(api.number(RETRY, &by_id(open)).await, 200);
    assert_eq!((api.posted(open), api.posted(manual)), (7_000, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_review_that_credits_nothing_makes_nothing_of_what_waits() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.confirmed("e1", &reference, "pay_own").await;
    api.confirmed("e2", &reference, "pay_2").await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200);
    // The second one is left by that, and entered by hand.
    let manual = api.entered(DEPOSIT, "").await;
    let review = Update { amount: None, status: ProviderStatus::ManualReview, ..stated("e3", &reference, "", AMOUNT) };
    api.receives(review).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200);
    assert_eq!(api.number(PROCESS, &by_id(manual)).await, 200);
    assert_eq!((api.posted(open), api.posted(manual)), (AMOUNT, AMOUNT));
}
