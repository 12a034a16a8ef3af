//! Creating: same-key callers, cut and repeated create calls, answers and the disk.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::refusal::RefusalCode;
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::{FirstAnswer, NextAction};

use super::provider::{Create, receiver};
use super::trading::Post;
use super::world::{AMOUNT, World, lock, paid, update};
use crate::ports::QueryAnswer;

#[tokio::test(start_paused = true)]
async fn same_key_callers_share_one_create_call_and_its_answer() {
    let world = World::new().await;
    lock(&world.provider.creates).push_back(Create::Slow(3));
    let (first, second) = tokio::join!(world.deposit("k"), world.deposit("k"));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.transaction.id, second.transaction.id);
    assert_eq!((first.next_action(), second.next_action()), (NextAction::Redirect, NextAction::Redirect));
    assert_eq!(&*second.answer.redirect_url, "https://pay.example/");
    assert_eq!(world.provider.told(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_before_the_create_answer_credits_and_the_answer_keeps_it() {
    let world = World::new().await;
    lock(&world.provider.creates).push_back(Create::Slow(3));
    let asked = tokio::spawn(world.deposit("k"));
    world.pass(1).await;
    let reference = lock(&world.provider.told)[0].clone();
    world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    let outcome = asked.await.unwrap().unwrap();
    assert_eq!(outcome.transaction.status.number(), 3);
    assert_eq!(world.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_a_crash_cut_is_never_taken_for_unsent() {
    let mut world = World::new().await;
    lock(&world.provider.creates).extend([Create::Slow(3), Create::NeverSent]);
    let asked = tokio::spawn(world.deposit("k"));
    world.pass(1).await;
    assert_eq!(world.provider.told(), 1, "the provider has the order");
    world.crash().await;
    asked.abort();
    world.pass(2).await;
    let earlier = world.known(cashier_core::ids::TransactionId(1)).transaction;
    assert_eq!(earlier.first_answer, FirstAnswer::Unknown, "the first call may have arrived");
    assert_eq!(earlier.status.number(), 1);
    let again = world.deposit("k").await.unwrap();
    assert_eq!(again.transaction.id, earlier.id, "the key stays bound");
    world.pass(300).await;
    assert_eq!(world.known(earlier.id).transaction.first_answer, FirstAnswer::Accepted, "a later repeat is heard");
}

#[tokio::test(start_paused = true)]
async fn a_late_end_of_a_repeated_create_does_not_undo_the_answer_given() {
    let world = World::new().await;
    let outcome = world.deposit("k").await.unwrap();
    let before = world.known(outcome.transaction.id);
    let receiver = receiver(cashier_core::ids::ConfigId(1));
    let at = cashier_core::aggregate::DecisionContext {
        seq: cashier_core::ids::Seq(99),
        now: world.cashier.clock.now(),
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
async fn a_deposit_is_not_answered_with_what_is_not_on_disk() {
    let world = World::new().await;
    lock(&world.provider.creates).push_back(Create::Slow(3));
    lock(&world.trading.script).push_back(Post::Slow(3));
    let asked = tokio::spawn(world.deposit("k"));
    world.pass(1).await;
    let reference = lock(&world.provider.told)[0].clone();
    world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    // At 3 s the create call ends and waits for the posting that is under way; at 4 s that is posted, and the disk is stuck.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.disk.held.store(true, Ordering::SeqCst);
    world.pass(5).await;
    assert_eq!(world.trading.balance(), AMOUNT);
    assert!(!asked.is_finished(), "an answer must wait for the disk");
    world.disk.held.store(false, Ordering::SeqCst);
    let outcome = asked.await.unwrap().unwrap();
    assert_eq!(outcome.transaction.status.number(), 3);
    assert!(world.disk.has_transaction(outcome.transaction.id, 3));
}

#[tokio::test(start_paused = true)]
async fn a_failed_commit_of_the_opening_calls_nobody_and_the_key_is_free() {
    let world = World::new().await;
    world.disk.fail_in.store(1, Ordering::SeqCst);
    assert_eq!(world.deposit("k").await.unwrap_err().code, RefusalCode::StorageUnavailable);
    assert_eq!(world.provider.told(), 0);
    world.pass(3).await;
    assert_eq!(world.deposit("k").await.unwrap().next_action(), NextAction::Redirect);
    assert_eq!(world.provider.told(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_commit_of_the_end_is_found_again_under_the_same_reference() {
    let world = World::new().await;
    world.disk.fail_in.store(2, Ordering::SeqCst);
    assert_eq!(world.deposit("k").await.unwrap_err().code, RefusalCode::StorageUnavailable);
    world.pass(10).await;
    let outcome = world.deposit("k").await.unwrap();
    assert_eq!(outcome.next_action(), NextAction::Redirect);
    let told = lock(&world.provider.told).clone();
    assert!(told.len() == 2 && told[0] == told[1], "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_create_that_a_crash_cut_after_its_payment_was_told_is_over() {
    let mut world = World::new().await;
    lock(&world.provider.creates).push_back(Create::Slow(3));
    let asked = tokio::spawn(world.deposit("k"));
    world.pass(1).await;
    let reference = lock(&world.provider.told)[0].clone();
    world.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    world.crash().await;
    asked.abort();
    world.pass(600).await;
    assert_eq!(world.provider.told(), 1, "what a notice told is not asked for again");
    assert_eq!(world.cashier.ledger.peek(|books| books.unsettled()).unwrap(), [], "nothing is left to do");
    let again = world.deposit("k").await.unwrap();
    assert_eq!((again.transaction.status.number(), again.next_action()), (3, NextAction::None));
}

#[tokio::test(start_paused = true)]
async fn a_cut_create_that_was_confirmed_without_an_amount_is_asked_about() {
    let mut world = World::new().await;
    lock(&world.provider.creates).push_back(Create::Slow(3));
    let asked = tokio::spawn(world.deposit("k"));
    world.pass(1).await;
    let reference = lock(&world.provider.told)[0].clone();
    let unstated = cashier_core::notice::Update { amount: None, ..paid("e1", &reference) };
    world.notice(Some(1), vec![unstated]).await.unwrap();
    world.crash().await;
    asked.abort();
    world.answers(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    world.pass(120).await;
    assert_eq!(world.trading.balance(), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_create_is_found_by_asking_once_the_window_is_over() {
    let world = World::new().await;
    world.provider.window_seconds.store(0, Ordering::SeqCst);
    lock(&world.provider.creates).push_back(Create::Silent);
    let outcome = world.deposit("k").await.unwrap();
    assert_eq!(outcome.next_action(), NextAction::Wait);
    let reference = outcome.transaction.reference.clone();
    world.answers(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    world.pass(200).await;
    assert_eq!((world.status(outcome.transaction.id), world.trading.balance()), (3, AMOUNT));
    assert_eq!(world.provider.told(), 1, "never repeated outside the window");
}

#[tokio::test(start_paused = true)]
async fn a_module_that_is_gone_does_not_cancel_what_its_provider_accepted() {
    let mut world = World::new().await;
    let id = world.deposit("k").await.unwrap().transaction.id;
    let reference = world.known(id).transaction.reference.clone();
    world.answers(&reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    lock(&world.provider.unloaded).push(cashier_core::ids::ConfigId(1));
    world.crash().await;
    world.pass(100_000).await;
    assert_eq!(world.status(id), 1, "nobody could be asked, so nothing is known to be over");
    lock(&world.provider.unloaded).clear();
    world.answers(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    world.crash().await;
    world.pass(60).await;
    assert_eq!((world.status(id), world.trading.balance()), (3, AMOUNT));
}
