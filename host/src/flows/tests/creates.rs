//! Create calls: same-key callers, crashes, repeats, lost answers and failing commits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::refusal::RefusalCode;
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::{FirstAnswer, NextAction};

use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnCreate, OnPost, TestCashier, config, lock, paid, receiver, update};

#[tokio::test(start_paused = true)]
async fn same_key_callers_share_one_create_call_and_its_answer() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
    let (first, second) = tokio::join!(env.deposit("k"), env.deposit("k"));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.transaction.id, second.transaction.id);
    assert_eq!((first.next_action(), second.next_action()), (Ok(NextAction::Redirect), Ok(NextAction::Redirect)));
    assert_eq!(&*second.answer.redirect_url, "https://pay.example/c/1");
    assert_eq!(env.provider.references().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_before_the_create_answer_credits_and_the_answer_shows_it() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    let reference = env.provider.references()[0].clone();
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    let outcome = request.await.unwrap().unwrap();
    assert_eq!(outcome.transaction.status.number(), 3);
    assert_eq!(env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn a_create_cut_by_a_crash_is_never_recorded_as_unsent() {
    let mut env = TestCashier::new().await;
    lock(&env.provider.next_creates).extend([OnCreate::Slow(3), OnCreate::NeverSent]);
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    assert_eq!(env.provider.references().len(), 1, "the provider has the order");
    env.crash().await;
    request.abort();
    env.run_for(2).await;
    let earlier = env.aggregate(cashier_core::ids::TransactionId(1)).transaction;
    assert_eq!(earlier.first_answer, FirstAnswer::Unknown, "the first call may have arrived");
    assert_eq!(earlier.status.number(), 1);
    let again = env.deposit("k").await.unwrap();
    assert_eq!(again.transaction.id, earlier.id, "the key stays bound");
    env.run_for(300).await;
    assert_eq!(
        env.aggregate(earlier.id).transaction.first_answer,
        FirstAnswer::Accepted,
        "the answer of a later repeat is recorded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_end_of_a_repeated_create_does_not_change_the_first_answer() {
    let env = TestCashier::new().await;
    let outcome = env.deposit("k").await.unwrap();
    let before = env.aggregate(outcome.transaction.id);
    let receiver = receiver(&config(1));
    let at = cashier_core::aggregate::DecisionContext {
        seq: cashier_core::ids::Seq(99),
        now: env.cashier.clock.now(),
        next_operation: cashier_core::ids::OperationId(9),
    };
    for ending in [
        CreateEnding::NeverSent { reason: "unreachable".into() },
        CreateEnding::Unknown,
        CreateEnding::Declined { reason: "duplicate order".into() },
        CreateEnding::Accepted(NextAction::Wait),
    ] {
        assert!(before.end_create(&receiver, &ending, &[], &[], at).is_empty(), "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_is_not_answered_before_its_state_is_durable() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
    lock(&env.trading.next_posts).push_back(OnPost::Slow(3));
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    let reference = env.provider.references()[0].clone();
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    // At 3 s the create call ends and waits for the posting in progress; at 4 s that is posted, and the disk is held.
    tokio::time::sleep(Duration::from_millis(500)).await;
    env.disk.held.store(true, Ordering::SeqCst);
    env.run_for(5).await;
    assert_eq!(env.trading.balance(), AMOUNT);
    assert!(!request.is_finished(), "an answer must wait for the disk");
    env.disk.held.store(false, Ordering::SeqCst);
    let outcome = request.await.unwrap().unwrap();
    assert_eq!(outcome.transaction.status.number(), 3);
    assert!(env.disk.has_transaction(outcome.transaction.id, 3));
}

#[tokio::test(start_paused = true)]
async fn a_failed_commit_of_the_opening_calls_no_provider_and_frees_the_key() {
    let env = TestCashier::new().await;
    env.disk.fail_in.store(1, Ordering::SeqCst);
    assert_eq!(env.deposit("k").await.unwrap_err().code, RefusalCode::StorageUnavailable);
    assert_eq!(env.provider.references().len(), 0);
    env.run_for(3).await;
    assert_eq!(env.deposit("k").await.unwrap().next_action(), Ok(NextAction::Redirect));
    assert_eq!(env.provider.references().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_outcome_was_not_committed_is_repeated_under_the_same_reference() {
    let env = TestCashier::new().await;
    env.disk.fail_in.store(2, Ordering::SeqCst);
    assert_eq!(env.deposit("k").await.unwrap_err().code, RefusalCode::StorageUnavailable);
    env.run_for(10).await;
    let outcome = env.deposit("k").await.unwrap();
    assert_eq!(outcome.next_action(), Ok(NextAction::Redirect));
    let references = env.provider.references();
    assert!(references.len() == 2 && references[0] == references[1], "{references:?}");
}

#[tokio::test(start_paused = true)]
async fn a_create_cut_by_a_crash_after_its_payment_was_confirmed_is_not_repeated() {
    let mut env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    let reference = env.provider.references()[0].clone();
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.crash().await;
    request.abort();
    env.run_for(600).await;
    assert_eq!(env.provider.references().len(), 1, "a confirmed payment is not created again");
    assert_eq!(env.cashier.ledger.peek(|books| books.unsettled()).unwrap(), [], "nothing is left to do");
    let again = env.deposit("k").await.unwrap();
    assert_eq!((again.transaction.status.number(), again.next_action()), (3, Ok(NextAction::None)));
}

#[tokio::test(start_paused = true)]
async fn a_cut_create_confirmed_without_an_amount_is_queried() {
    let mut env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    let reference = env.provider.references()[0].clone();
    let unstated = cashier_core::notice::Update { amount: None, ..paid("e1", &reference) };
    env.notice(Some(1), vec![unstated]).await.unwrap();
    env.crash().await;
    request.abort();
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    env.run_for(120).await;
    assert_eq!(env.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_create_is_found_by_a_status_query_after_the_window() {
    let env = TestCashier::new().await;
    env.provider.window_seconds.store(0, Ordering::SeqCst);
    lock(&env.provider.next_creates).push_back(OnCreate::AnswerLost);
    let outcome = env.deposit("k").await.unwrap();
    assert_eq!(outcome.next_action(), Ok(NextAction::Wait));
    let reference = outcome.transaction.reference.clone();
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    env.run_for(200).await;
    assert_eq!((env.status(outcome.transaction.id), env.trading.balance()), (3, AMOUNT));
    assert_eq!(env.provider.references().len(), 1, "never repeated outside the window");
}

#[tokio::test(start_paused = true)]
async fn a_missing_module_does_not_cancel_an_accepted_payment() {
    let mut env = TestCashier::new().await;
    let id = env.deposit("k").await.unwrap().transaction.id;
    let reference = env.aggregate(id).transaction.reference.clone();
    env.on_query(&reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    lock(&env.provider.not_loaded).push(cashier_core::ids::ConfigId(1));
    env.crash().await;
    env.run_for(100_000).await;
    assert_eq!(env.status(id), 1, "no status query was possible, so the payment may still arrive");
    lock(&env.provider.not_loaded).clear();
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    env.crash().await;
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_trading_server_that_says_it_takes_no_postings_begins_no_deposit_and_earlier_ones_are_answered() {
    let env = TestCashier::new().await;
    let earlier = env.deposit("k").await.unwrap().transaction;
    *lock(&env.trading.takes_no_postings) = Some("it takes no postings now: nightly maintenance");
    let refused = env.deposit("other").await.unwrap_err();
    let said = "the trading server takes no postings now, try again";
    assert_eq!((refused.code, &*refused.message), (RefusalCode::StorageUnavailable, said));
    assert_eq!(env.provider.references().len(), 1);
    assert_eq!(env.deposit("k").await.unwrap().transaction.id, earlier.id);
    // What is paid meanwhile is not lost.
    env.notice(Some(1), vec![paid("e", &earlier.reference)]).await.unwrap();
    assert_eq!(env.trading.balance(), AMOUNT);
    *lock(&env.trading.takes_no_postings) = None;
    env.deposit("other").await.unwrap();
    assert_eq!(env.provider.references().len(), 2);
}
