//! A further payment of an order beside its own, and several manual deposits: each payment is credited once, and what the order's
//! own payment pays for is not held up by the other.

use super::*;

/// Of 95 USD, not of the order's 100.
const LESS: &str = r#"{"login":2000009,"amount":95.0,"currency":"USD"}"#;

impl ManagerApi {
    /// An order whose own payment is credited.
    async fn credited(&self, key: &str, payment: &str) -> (u64, Reference) {
        let (id, reference) = self.pending(key).await;
        self.confirmed(&format!("own {key}"), &reference, payment).await;
        assert_eq!((self.reason(id).await.0, self.posted(id)), (3, AMOUNT));
        (id, reference)
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_keeps_the_credit_of_its_own_payment_beside_a_further_one_that_was_entered_by_hand() {
    for process in [true, false] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.credited("k", "pay_own").await;
        let manual = api.entered(DEPOSIT, r#""provider_payment_id":"pay_1""#).await;
        if process {
            assert_eq!(api.number(PROCESS, &by_id(manual)).await, 200);
        }
        api.confirmed("e2", &reference, "pay_1").await;
        api.names(open, manual).await;
        api.duplicates(RESOLVE, &resolution(open, "credit", Some("200.0")), manual).await;
        assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200);
        api.confirmed("own again", &reference, "pay_own").await;
        assert_eq!(api.reason(open).await.0, 3, "what is stated of the own payment names no other");
        assert_eq!(api.number(PROCESS, &by_id(manual)).await, if process { 409 } else { 200 }, "it is other money");
        assert_eq!((api.posted(open), api.posted(manual)), (AMOUNT, AMOUNT));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_keeps_the_credit_of_its_own_payment_beside_another_orders_of_another_amount() {
    let api = ManagerApi::open().await;
    let (other, reference) = api.pending("k1").await;
    api.receives(stated("e1", &reference, "pay_1", 9_500)).await;
    assert_eq!(api.number(RESOLVE, &resolution(other, "credit", Some("95.0"))).await, 200);
    let (open, own) = api.credited("k2", "pay_own").await;
    api.receives(stated("e2", &own, "pay_1", 9_500)).await;
    api.names(open, other).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200);
    assert_eq!((api.posted(open), api.posted(other)), (AMOUNT, 9_500));
}

#[tokio::test(start_paused = true)]
async fn a_further_payment_that_was_entered_without_its_id_is_named_before_anybody_credits_it() {
    for process in [true, false] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.credited("k", "pay_own").await;
        let manual = api.entered(DEPOSIT, if process { r#""process_now":1"# } else { "" }).await;
        api.confirmed("e2", &reference, "pay_1").await;
        api.names(open, manual).await;
        let both = resolution(open, "credit", Some("200.0"));
        if !process {
            api.duplicates(RESOLVE, &both, manual).await;
        }
        assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("100.0"))).await, 200);
        assert_eq!(api.number(PROCESS, &by_id(manual)).await, if process { 409 } else { 200 });
        assert_eq!((api.posted(open), api.posted(manual)), (AMOUNT, AMOUNT));
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_payment_that_a_person_left_and_another_entered_is_asked_about_by_a_later_review() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.credited("k", "pay_own").await;
    api.confirmed("e2", &reference, "pay_1").await;
    let keep = resolution(open, "credit", Some("100.0"));
    assert_eq!(api.number(RESOLVE, &keep).await, 200);
    let manual = api.entered(DEPOSIT, r#""process_now":1"#).await;
    api.receives(Update { amount: None, status: ProviderStatus::ManualReview, ..paid("e3", &reference) }).await;
    api.duplicates(RESOLVE, &resolution(open, "credit", Some("200.0")), manual).await;
    assert_eq!(api.number(RESOLVE, &keep).await, 200);
    assert_eq!((api.posted(open), api.env.trading.balance()), (AMOUNT, 2 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn what_was_entered_between_two_payments_is_named_by_the_second_after_a_person_credited_the_first() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.receives(stated("e1", &reference, "pay_own", 9_500)).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "credit", Some("95.0"))).await, 200);
    let manual = api.entered(DEPOSIT, "").await;
    api.confirmed("e2", &reference, "pay_1").await;
    api.names(open, manual).await;
    api.duplicates(RESOLVE, &resolution(open, "credit", Some("195.0")), manual).await;
    assert_eq!(api.env.trading.balance(), 9_500);
}

#[tokio::test(start_paused = true)]
async fn every_manual_deposit_that_was_entered_beside_an_order_is_named() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    let (first, second) =
        (api.entered(DEPOSIT, r#""force":1"#).await, api.entered(DEPOSIT, r#""force":1,"process_now":1"#).await);
    api.confirmed("e1", &reference, "pay_1").await;
    api.names(open, first).await;
    api.names(open, second).await;
    let credit = resolution(open, "credit", Some("100.0"));
    api.duplicates(RESOLVE, &credit, first).await;
    assert_eq!(api.number(PROCESS, &by_id(first)).await, 200);
    assert_eq!(api.number(RESOLVE, &credit).await, 200, "a person states that it is a third payment");
    assert_eq!(api.env.trading.balance(), 3 * AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn a_manual_deposit_of_another_amount_whose_payment_went_back_is_not_processed() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.receives(Update { reference: Some(reference.clone()), ..update("e1", ProviderStatus::Failed) }).await;
    api.env.clock.advance(std::time::Duration::from_secs(CLOSED_QUERY_SECONDS.cast_unsigned() + 1));
    let (number, made) = api.command("manager", DEPOSIT, LESS).await;
    assert_eq!(number, 200, "{made}");
    let manual = made["transaction"]["id"].as_u64().unwrap();
    api.receives(stated("e2", &reference, "pay_1", 9_500)).await;
    api.names(open, manual).await;
    api.receives(Update { status: ProviderStatus::Refunded, ..stated("e3", &reference, "pay_1", 9_500) }).await;
    assert_eq!(api.number(RESOLVE, &resolution(open, "refuse", None)).await, 200);
    assert_eq!(api.reason(open).await.0, 6);
    api.duplicates(PROCESS, &by_id(manual), open).await;
    assert_eq!(api.number(REJECT, &rejection(manual)).await, 200);
    assert_eq!(api.env.trading.balance(), 0);
}
