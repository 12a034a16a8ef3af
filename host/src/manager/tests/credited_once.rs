//! A payment that a person credited by ending a review is that transaction's, and money that went back at its provider is credited
//! by no other: what the review, the retry and the processing of another transaction ask before they credit.

mod beside;
mod further;
mod returned;

use std::sync::atomic::Ordering;

use cashier_core::duty::CLOSED_QUERY_SECONDS;
use cashier_core::ids::{Reference, TransactionId};
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::operation::OperationKey;
use cashier_core::status::ProviderStatus;

use super::manual::{DEPOSIT, PROCESS, REJECT, by_id, entry, rejection};
use super::manual_money::resolution;
use super::review::{RESOLVE, RETRY};
use super::*;
use crate::test_cashier::{AMOUNT, OnPost, lock, paid, update};

/// What the provider states of a payment beside the amount that was ordered; its module lists the payment among no ids.
fn stated(event: &str, own: &Reference, payment: &str, minor: i64) -> Update {
    let amount = Some(StatedAmount::Exact(usd(minor)));
    Update { payment_id: payment.into(), amount, ..paid(event, own) }
}

impl ManagerApi {
    async fn receives(&self, update: Update) {
        self.env.notice(Some(1), vec![update]).await.unwrap();
        self.env.run_for(1).await;
    }

    /// The answer's code, with the transaction that its message names.
    async fn duplicates(&self, command: &str, data: &str, named: u64) {
        let (number, answer) = self.command("manager", command, data).await;
        assert_eq!((number, answer["error"].as_str()), (409, Some("RET_ERR_DUPLICATE")), "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(&format!("transaction {named}")), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn n2_a_payment_credited_by_resolution_is_not_entered_by_hand() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.receives(stated("e1", &reference, "pay_1", 9_500)).await;
    let by_hand = entry(r#""provider_payment_id":"pay_1","force":1"#);
    api.duplicates(DEPOSIT, &by_hand, open).await;
    assert_eq!(api.command("manager", RESOLVE, &resolution(open, "credit", Some("95.0"))).await.0, 200);
    api.duplicates(DEPOSIT, &by_hand, open).await;
    assert_eq!(api.env.trading.balance(), 9_500);
}

#[tokio::test(start_paused = true)]
async fn n2_a_payment_credited_by_resolution_is_not_credited_to_the_order_that_confirms_it_later() {
    let api = ManagerApi::open().await;
    let (first, reference) = api.pending("k1").await;
    let (second, other) = api.pending("k2").await;
    api.receives(stated("e1", &reference, "pay_1", 9_500)).await;
    assert_eq!(api.command("manager", RESOLVE, &resolution(first, "credit", Some("95.0"))).await.0, 200);
    api.confirmed("e2", &other, "pay_1").await;
    let (status, reason) = api.reason(second).await;
    assert_eq!((status, api.env.trading.balance()), (9, 9_500), "{reason}");
    assert!(reason.contains(&format!("confirmed transaction {first} before")), "{reason}");
    // What goes back of it is taken from the one that has it, whatever reference comes with it.
    let back = Update { status: ProviderStatus::Chargeback, ..stated("e3", &other, "pay_1", 9_500) };
    api.receives(back).await;
    assert_eq!((api.reason(first).await.0, api.env.trading.balance()), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn n2_a_review_does_not_credit_what_was_confirmed_for_another_order_meanwhile() {
    let api = ManagerApi::open().await;
    let (first, reference) = api.pending("k1").await;
    let (second, other) = api.pending("k2").await;
    api.receives(stated("e1", &reference, "pay_1", 9_500)).await;
    api.confirmed("e2", &other, "pay_1").await;
    assert_eq!((api.reason(first).await.0, api.reason(second).await.0), (9, 3));
    api.duplicates(RESOLVE, &resolution(first, "credit", Some("95.0")), second).await;
    assert_eq!(api.command("manager", RESOLVE, &resolution(first, "refuse", None)).await.0, 200);
    assert_eq!(api.env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn n9_a_payment_whose_review_was_refused_is_entered_by_hand_and_comes_once() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.receives(stated("e1", &reference, "pay_1", 9_500)).await;
    assert_eq!(api.command("manager", RESOLVE, &resolution(open, "refuse", None)).await.0, 200);
    let manual = api.entered(DEPOSIT, r#""provider_payment_id":"pay_1","force":1,"process_now":1"#).await;
    assert_eq!(api.posted(manual), AMOUNT);
    api.confirmed("e2", &reference, "pay_1").await;
    let (status, reason) = api.reason(open).await;
    assert_eq!((status, api.env.trading.balance()), (9, AMOUNT), "{reason}");
    assert!(reason.contains(&format!("transaction {manual} ")), "{reason}");
    api.duplicates(RESOLVE, &resolution(open, "credit", Some("95.0")), manual).await;
}

#[tokio::test(start_paused = true)]
async fn n9_an_order_that_cannot_be_credited_is_closed_and_its_money_entered_by_hand() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.confirmed("e1", &reference, "pay_1").await;
    assert_eq!(api.reason(open).await.0, 4);
    let (_, answer) = api.command("manager", DEPOSIT, &entry(r#""force":1"#)).await;
    assert!(answer["message"].as_str().unwrap().contains("MngResolveCashierDoubt"), "the way on is named: {answer}");
    let credit = api.command("manager", RESOLVE, &resolution(open, "credit", Some("100.0"))).await;
    assert_eq!(credit.0, 409, "a retry credits it, not a review");
    assert_eq!(api.command("manager", RESOLVE, &resolution(open, "refuse", None)).await.0, 200);
    assert_eq!(api.reason(open).await.0, 6);
    let manual = api.entered(DEPOSIT, r#""provider_payment_id":"pay_1","process_now":1"#).await;
    assert_eq!((api.posted(manual), api.env.trading.balance()), (AMOUNT, AMOUNT));
    assert_eq!(api.command("manager", RETRY, &by_id(open)).await.0, 409);
}

#[tokio::test(start_paused = true)]
async fn what_the_trading_server_refused_and_made_all_the_same_is_not_posted_anew() {
    let api = ManagerApi::open().await;
    let (id, reference) = api.pending("k").await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.confirmed("e1", &reference, "pay_1").await;
    assert_eq!(api.reason(id).await.0, 4);
    let key = OperationKey::of(&reference, &api.env.aggregate(TransactionId(id)).operations[0]);
    lock(&api.env.trading.posted).push((key.clone(), TransactionId(id), AMOUNT));
    let (number, answer) = api.command("manager", RETRY, &by_id(id)).await;
    assert_eq!((number, &answer["error"]), (409, &json!("RET_ERR_DUPLICATE")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains(&format!("{key} (trade order 1)")), "{answer}");
    let (number, answer) = api.command("manager", RESOLVE, &resolution(id, "refuse", None)).await;
    assert_eq!((number, &answer["error"]), (409, &json!("RET_ERR_DUPLICATE")), "{answer}");
    assert_eq!(api.env.trading.balance(), AMOUNT, "once");
    // It was taken back there. As long as nothing certain is said of it, nothing is posted anew.
    lock(&api.env.trading.posted).clear();
    api.env.trading.voids_fail.store(true, Ordering::SeqCst);
    let (number, answer) = api.command("manager", RETRY, &by_id(id)).await;
    assert_eq!((number, &answer["error"]), (503, &json!("STORAGE_UNAVAILABLE")), "{answer}");
    api.env.trading.voids_fail.store(false, Ordering::SeqCst);
    assert_eq!(api.command("manager", RETRY, &by_id(id)).await.0, 200);
    assert_eq!(api.env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn n8_a_manual_deposit_whose_payment_went_back_is_not_processed() {
    for more in [r#""provider_payment_id":"pay_1","force":1"#, r#""force":1"#] {
        for back in [ProviderStatus::Refunded, ProviderStatus::Chargeback] {
            let api = ManagerApi::open().await;
            let (open, reference) = api.pending("k").await;
            let manual = api.entered(DEPOSIT, more).await;
            api.confirmed("e1", &reference, "pay_1").await;
            api.receives(Update { payment_id: "pay_1".into(), ..Update { status: back, ..paid("e2", &reference) } })
                .await;
            api.duplicates(PROCESS, &by_id(manual), open).await;
            assert_eq!(api.command("manager", REJECT, &rejection(manual)).await.0, 200);
            assert_eq!(api.env.trading.balance(), 0, "{more}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn n10_a_confirmation_after_the_order_ended_is_held_beside_a_manual_deposit_entered_since() {
    for processed in [true, false] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        let ended = Update { reference: Some(reference.clone()), ..update("e1", ProviderStatus::Cancelled) };
        api.receives(ended).await;
        // Nothing is asked about it any more, and nothing names it.
        api.env.clock.advance(std::time::Duration::from_secs(CLOSED_QUERY_SECONDS.cast_unsigned() + 1));
        let manual = api.entered(DEPOSIT, r#""provider_payment_id":"BANK-7""#).await;
        if processed {
            assert_eq!(api.command("manager", PROCESS, &by_id(manual)).await.0, 200);
        }
        api.confirmed("e2", &reference, "pay_1").await;
        let (status, reason) = api.reason(open).await;
        assert_eq!((status, api.posted(open)), (9, 0), "{reason}");
        assert!(reason.contains(&format!("transaction {manual} ")), "{reason}");
        let credit = resolution(open, "credit", Some("100.0"));
        if processed {
            assert_eq!(api.command("manager", RESOLVE, &credit).await.0, 200, "a person states that it is other money");
            assert_eq!(api.env.trading.balance(), 2 * AMOUNT);
        } else {
            api.duplicates(RESOLVE, &credit, manual).await;
            assert_eq!(api.command("manager", REJECT, &rejection(manual)).await.0, 200);
            assert_eq!(api.command("manager", RESOLVE, &credit).await.0, 200);
            assert_eq!(api.env.trading.balance(), AMOUNT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn n10_a_late_confirmation_is_credited_where_no_manual_deposit_came_since() {
    let api = ManagerApi::open().await;
    let before = api.entered(DEPOSIT, r#""process_now":1"#).await;
    api.env.clock.advance(std::time::Duration::from_secs(60));
    let (open, reference) = api.pending("k").await;
    api.receives(Update { reference: Some(reference.clone()), ..update("e1", ProviderStatus::Cancelled) }).await;
    let rejected = api.entered(DEPOSIT, r#""force":1"#).await;
    assert_eq!(api.command("manager", REJECT, &rejection(rejected)).await.0, 200);
    api.confirmed("e2", &reference, "pay_1").await;
    assert_eq!((api.posted(before), api.posted(open), api.reason(open).await.0), (AMOUNT, AMOUNT, 3));
}

#[tokio::test(start_paused = true)]
async fn n10_what_else_the_provider_states_before_the_late_confirmation_changes_nothing() {
    // The same two statements in either order, and one of another amount before the right one.
    let review = |own: &Reference| Update {
        amount: None,
        payment_id: "".into(),
        status: ProviderStatus::ManualReview,
        ..paid("review", own)
    };
    let half = |own: &Reference| stated("half", own, "pay_1", 5_000);
    for before in ["nothing", "a review", "half of it"] {
        let api = ManagerApi::open().await;
        let (open, reference) = api.pending("k").await;
        api.receives(Update { reference: Some(reference.clone()), ..update("e1", ProviderStatus::Failed) }).await;
        api.env.clock.advance(std::time::Duration::from_secs(CLOSED_QUERY_SECONDS.cast_unsigned() + 1));
        let manual = api.entered(DEPOSIT, r#""process_now":1"#).await;
        match before {
            "a review" => api.receives(review(&reference)).await,
            "half of it" => api.receives(half(&reference)).await,
            _ => {}
        }
        api.confirmed("e2", &reference, "pay_1").await;
        let (status, reason) = api.reason(open).await;
        assert_eq!((status, api.env.trading.balance()), (9, AMOUNT), "{before}: {reason}");
        assert!(reason.contains(&format!("transaction {manual} ")), "{before}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn n10_a_late_payment_of_another_amount_names_the_manual_deposit_before_anybody_credits_it() {
    let api = ManagerApi::open().await;
    let (open, reference) = api.pending("k").await;
    api.receives(Update { reference: Some(reference.clone()), ..update("e1", ProviderStatus::Failed) }).await;
    api.env.clock.advance(std::time::Duration::from_secs(CLOSED_QUERY_SECONDS.cast_unsigned() + 1));
    let manual = api.entered(DEPOSIT, "").await;
    api.receives(stated("e2", &reference, "pay_1", 9_500)).await;
    let (_, reason) = api.reason(open).await;
    assert!(reason.contains(&format!("transaction {manual} ")), "{reason}");
    let credit = resolution(open, "credit", Some("95.0"));
    api.duplicates(RESOLVE, &credit, manual).await;
    assert_eq!(api.command("manager", REJECT, &rejection(manual)).await.0, 200);
    let beyond = api.command("manager", RESOLVE, &resolution(open, "credit", Some("100.01"))).await;
    assert_eq!((beyond.0, beyond.1["error"].as_str()), (400, Some("AMOUNT_OUT_OF_RANGE")));
    assert_eq!(api.command("manager", RESOLVE, &credit).await.0, 200);
    assert_eq!(api.env.trading.balance(), 9_500);
    assert_eq!(api.command("manager", PROCESS, &by_id(manual)).await.0, 409, "it stays rejected");
}
