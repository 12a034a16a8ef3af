//! The janitor over days of paused time: duties end, none starves another, clocks may jump.

use std::sync::atomic::Ordering;

use cashier_core::notice::{StatedAmount, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::status::{ProcessingStatus, ProviderStatus};
use cashier_core::transaction::Transaction;

use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnCreate, OnPost, TestCashier, lock, paid, update, usd};

#[tokio::test(start_paused = true)]
async fn a_pending_payment_is_queried_with_growing_pauses() {
    let env = TestCashier::new().await;
    let reference = env.deposit("k").await.unwrap().transaction.reference;
    env.on_query(&reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    env.run_for(80_000).await;
    let queries = env.provider.queries.load(Ordering::SeqCst);
    assert!((8..=14).contains(&queries), "{queries} queries in 22 hours");
    let commits = env.disk.commits();
    env.run_for(3_000).await;
    assert!(env.disk.commits() - commits <= 1, "waiting writes nothing");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_nearly_quiet_when_the_books_are_loaded_is_queried_once_it_is() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(50).await;
    env.disk.fail_in.store(1, Ordering::SeqCst);
    env.deposit("k2").await.unwrap_err();
    // The janitor looks at all of them again, as after a start.
    env.run_for(20).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT), "its webhook is lost");
}

#[tokio::test(start_paused = true)]
async fn an_expired_order_is_queried_cancelled_and_not_queried_again() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    let still = QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending)));
    env.on_query(&transaction.reference, still);
    env.run_for(90_000).await;
    assert_eq!(
        (env.status(transaction.id), env.aggregate(transaction.id).transaction.reason.code.name()),
        (6, "EXPIRED")
    );
    assert_eq!(env.provider.cancels.load(Ordering::SeqCst), 1);
    let queries = env.provider.queries.load(Ordering::SeqCst);
    env.run_for(90_000).await;
    assert_eq!(env.provider.queries.load(Ordering::SeqCst), queries);
    env.notice(Some(1), vec![paid("late", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT), "a late payment is credited");
}

#[tokio::test(start_paused = true)]
async fn an_expiry_whose_cancel_finds_a_payment_credits_it() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    *lock(&env.provider.cancel_answer) = Some(QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(90_000).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn m17_an_expired_order_that_the_provider_does_not_cancel_is_queried_until_it_ends() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    let processing = QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending)));
    env.on_query(&transaction.reference, processing.clone());
    *lock(&env.provider.cancel_answer) = Some(processing);
    env.run_for(5 * 86_400).await;
    assert_eq!(env.status(transaction.id), 1, "a bank transfer takes days");
    // Its webhook is lost.
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(90_000).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_never_succeeds_expires() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    *lock(&env.provider.advance_answer) = Some(QueryAnswer::NoAnswer("try later".into()));
    let reference = Some(transaction.reference.clone());
    let approved = Update { advance: true, reference, ..update("e1", ProviderStatus::Pending) };
    env.notice(Some(1), vec![approved]).await.unwrap();
    env.run_for(200_000).await;
    assert_eq!(env.status(transaction.id), 6);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_never_expires_is_still_queried() {
    let env = TestCashier::new().await;
    env.provider.expiry_seconds.store(0, Ordering::SeqCst);
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(120).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_delays_no_credit() {
    let env = TestCashier::new().await;
    env.clock.jump(400 * 86_400);
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.trading.next_posts).extend([OnPost::NeverArrives, OnPost::NeverArrives, OnPost::NeverArrives]);
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(10).await;
    env.clock.jump(-400 * 86_400);
    env.run_for(120).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_backoff_of_status_queries_does_not_delay_a_credit() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    env.run_for(40_000).await;
    lock(&env.trading.next_posts).push_back(OnPost::NeverArrives);
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(20).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_capture_whose_answer_was_lost_is_found_by_a_status_query() {
    let env = TestCashier::new().await;
    env.provider.expiry_seconds.store(0, Ordering::SeqCst);
    let transaction = env.deposit("k").await.unwrap().transaction;
    *lock(&env.provider.advance_answer) = Some(QueryAnswer::NoAnswer("captured already".into()));
    let reference = Some(transaction.reference.clone());
    let approved = Update { advance: true, reference, ..update("e1", ProviderStatus::Pending) };
    env.notice(Some(1), vec![approved]).await.unwrap();
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(120).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_posting_under_review_is_repeated_and_credits_the_one_payment() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.trading.next_posts).push_back(OnPost::NeverArrives);
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    let second = Update { payment_id: "pay_2".into(), ..paid("e2", &transaction.reference) };
    env.notice(Some(1), vec![second]).await.unwrap();
    env.run_for(300).await;
    let known = env.aggregate(transaction.id).transaction;
    assert_eq!((known.status.number(), known.reason.code.name()), (9, "SECOND_PAYMENT"));
    assert_eq!((env.trading.balance(), env.unsettled_operations(transaction.id)), (AMOUNT, 0));
}

#[tokio::test(start_paused = true)]
async fn thousands_of_endless_duties_do_not_starve_others() {
    let env = TestCashier::new().await;
    let mut ids = Vec::new();
    for number in 0..3_201 {
        ids.push(env.deposit(&format!("k{number}")).await.unwrap().transaction);
    }
    // No posting of the old ones arrives at the trading server: each stays due for ever.
    let newest = ids.pop().unwrap();
    lock(&env.trading.next_posts).extend(std::iter::repeat_n(OnPost::NeverArrives, 100_000));
    for old in &ids {
        env.notice(Some(1), vec![paid(&format!("e{}", old.id), &old.reference)]).await.unwrap();
    }
    env.run_for(600).await;
    env.on_query(&newest.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Failed))));
    env.run_for(600).await;
    assert_eq!(env.status(newest.id), 5, "the newest was queried within ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_refused_credit_causes_no_calls_and_no_commits() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.trading.next_posts).push_back(OnPost::Refuse);
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(transaction.id), env.unsettled_operations(transaction.id)), (4, 0));
    let (queries, commits) = (env.provider.queries.load(Ordering::SeqCst), env.disk.commits());
    env.run_for(100_000).await;
    assert_eq!((env.provider.queries.load(Ordering::SeqCst), env.disk.commits()), (queries, commits));
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_transaction_fails_after_a_day() {
    let env = TestCashier::new().await;
    let stray = cashier_core::ids::Reference::from_random(3);
    let event = env.notice(Some(1), vec![paid("e1", &stray)]).await.unwrap().events[0].id;
    assert_eq!(env.disk.event_row(event).unwrap().processing_status, ProcessingStatus::Pending);
    env.run_for(86_500).await;
    let row = env.disk.event_row(event).unwrap();
    assert_eq!((row.processing_status, &*row.failure_reason), (ProcessingStatus::Failed, "TRANSACTION_NOT_FOUND"));
}

fn unmatched(env: &TestCashier) -> Vec<u64> {
    env.cashier.ledger.peek(|books| books.unmatched().map(|event| event.id.0).collect()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_payment_without_a_transaction_is_listed_until_its_transaction_appears() {
    let mut env = TestCashier::new().await;
    let named = |event: &str, status| Update {
        refs: vec![ProviderRef::new("payment_intent", "pi_123")],
        payment_id: "pay_1".into(),
        amount: Some(StatedAmount::Exact(usd(AMOUNT))),
        ..update(event, status)
    };
    let declined = named("e2", ProviderStatus::Failed);
    env.notice(Some(1), vec![named("e1", ProviderStatus::Confirmed), declined]).await.unwrap();
    assert_eq!(unmatched(&env), [0; 0], "it may still appear");
    env.run_for(86_500).await;
    assert_eq!(unmatched(&env), [1], "the confirmed one alone");
    env.crash().await;
    env.run_for(200_000).await;
    assert_eq!(unmatched(&env), [1], "also after a restart");
    // The create answer of this order names the payment.
    let id = env.deposit("k").await.unwrap().transaction.id;
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance(), unmatched(&env).len()), (3, AMOUNT, 0));
    env.crash().await;
    assert_eq!(unmatched(&env), [0; 0]);
}

/// A deposit that was accepted and then declined, whose provider answers queries with this status.
async fn declined(env: &TestCashier, answer: ProviderStatus) -> Transaction {
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(update("", answer))));
    let declined = update("e1", ProviderStatus::Failed);
    env.notice(Some(1), vec![Update { reference: Some(transaction.reference.clone()), ..declined }]).await.unwrap();
    assert_eq!(env.status(transaction.id), 5);
    transaction
}

#[tokio::test(start_paused = true)]
async fn m17_a_decline_followed_by_a_lost_confirmation_ends_credited() {
    let env = TestCashier::new().await;
    let transaction = declined(&env, ProviderStatus::Failed).await;
    env.run_for(3_600).await;
    assert_eq!(env.status(transaction.id), 5, "still declined");
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(4 * 3_600).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_payment_after_a_cancellation_is_found_by_the_last_query_at_the_expiry() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    let cancelled =
        Update { reference: Some(transaction.reference.clone()), ..update("e1", ProviderStatus::Cancelled) };
    env.notice(Some(1), vec![cancelled.clone()]).await.unwrap();
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(cancelled)));
    env.run_for(86_000).await;
    assert_eq!(env.status(transaction.id), 6);
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(600).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_declined_order_is_not_queried_after_its_expiry() {
    let env = TestCashier::new().await;
    let transaction = declined(&env, ProviderStatus::Failed).await;
    env.run_for(86_000).await;
    let before = env.provider.queries.load(Ordering::SeqCst);
    assert!((8..=14).contains(&before), "{before} queries until the expiry");
    env.run_for(600).await;
    let last = env.provider.queries.load(Ordering::SeqCst);
    assert_eq!(last, before + 1, "one query at the expiry");
    env.run_for(400_000).await;
    assert_eq!(env.provider.queries.load(Ordering::SeqCst), last);
    assert_eq!((env.status(transaction.id), env.provider.cancels.load(Ordering::SeqCst)), (5, 0));
    assert_eq!(env.cashier.ledger.peek(|books| books.unsettled()).unwrap(), [], "nothing is left to do");
}

#[tokio::test(start_paused = true)]
async fn the_last_query_of_a_declined_order_waits_for_its_provider_over_a_crash() {
    let mut env = TestCashier::new().await;
    let transaction = declined(&env, ProviderStatus::Failed).await;
    env.on_query(&transaction.reference, QueryAnswer::NoAnswer("down".into()));
    env.run_for(300_000).await;
    env.crash().await;
    env.run_for(60).await;
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(600).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_order_that_was_declined_is_queried_until_it_is_paid() {
    let env = TestCashier::new().await;
    env.provider.window_seconds.store(0, Ordering::SeqCst);
    lock(&env.provider.next_creates).push_back(OnCreate::AnswerLost);
    let transaction = env.deposit("k").await.unwrap().transaction;
    let declined = Update { reference: Some(transaction.reference.clone()), ..update("e1", ProviderStatus::Failed) };
    env.notice(Some(1), vec![declined]).await.unwrap();
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(200).await;
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_never_reached_the_provider_is_not_queried() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).extend([OnCreate::NeverSent, OnCreate::Decline]);
    env.deposit("k").await.unwrap();
    env.deposit("l").await.unwrap();
    env.run_for(200_000).await;
    assert_eq!(env.provider.queries.load(Ordering::SeqCst), 0);
}
