//! What the answer to a webhook waits for: the posting, and the record of it only where the posting does not prove itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::test_cashier::{AMOUNT, OnPost, TestCashier, lock, paid};

#[tokio::test(start_paused = true)]
async fn a_webhook_is_answered_before_the_record_of_its_posting_and_a_crash_then_credits_once() {
    let mut env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.trading.next_posts).push_back(OnPost::Slow(1));
    let answer = tokio::spawn(env.notice(Some(1), vec![paid("e1", &transaction.reference)]));
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The notice is durable by now; from here on nothing reaches the disk.
    env.disk.held.store(true, Ordering::SeqCst);
    let outcome = answer.await.unwrap().unwrap();
    assert_eq!(outcome.transaction.map(|shown| shown.status.number()), Some(2), "3 would have to wait for the record");
    assert_eq!(env.trading.balance(), AMOUNT);
    let touched = env.cashier.ledger.read(|books| (books.transaction(transaction.id), books.touched(transaction.id)));
    let shown = tokio::time::timeout(Duration::from_secs(60), touched.unwrap().durable()).await;
    assert!(shown.is_err(), "what shows status 3 waits for the record");

    env.crash().await;
    env.disk.held.store(false, Ordering::SeqCst);
    assert_eq!(env.status(transaction.id), 2, "the record was lost");
    env.run_for(60).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn s3_a_posting_whose_record_was_refused_is_recorded_again_and_credited_once() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.trading.next_posts).push_back(OnPost::Slow(1));
    let answer = tokio::spawn(env.notice(Some(1), vec![paid("e1", &transaction.reference)]));
    tokio::time::sleep(Duration::from_millis(500)).await;
    env.disk.refuse_in.store(1, Ordering::SeqCst);
    let outcome = answer.await.unwrap().unwrap();
    assert_eq!(outcome.transaction.map(|shown| shown.status.number()), Some(2));
    env.run_for(1).await;
    assert_eq!((env.status(transaction.id), env.unsettled_operations(transaction.id)), (2, 1), "it was put back");
    env.run_for(60).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
    let again = env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    assert_eq!((again.duplicate, env.trading.balance()), (true, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_waits_for_the_record_where_the_trading_server_does_not_prove_its_postings() {
    let env = TestCashier::new().await;
    env.trading.unkeyed.store(true, Ordering::SeqCst);
    let transaction = env.deposit("k").await.unwrap().transaction;
    let outcome = env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    assert_eq!(outcome.transaction.map(|shown| shown.status.number()), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_whose_posting_is_refused_shows_the_refusal() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.trading.next_posts).push_back(OnPost::Refuse);
    let outcome = env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    assert_eq!(outcome.transaction.map(|shown| shown.status.number()), Some(4));
}
