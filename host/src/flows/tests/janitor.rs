//! The janitor over days of paused time: duties end, none starves another, clocks may jump.

use std::sync::atomic::Ordering;

use cashier_core::notice::Update;
use cashier_core::status::{ProcessingStatus, ProviderStatus};

use super::trading::Post;
use super::world::{AMOUNT, World, lock, paid, update};
use crate::ports::QueryAnswer;

#[tokio::test(start_paused = true)]
async fn a_pending_payment_is_asked_about_with_growing_pauses() {
    let world = World::new().await;
    let reference = world.deposit("k").await.unwrap().transaction.reference;
    world.answers(&reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    world.pass(80_000).await;
    let asked = world.provider.queries.load(Ordering::SeqCst);
    assert!((8..=14).contains(&asked), "{asked} questions in 22 hours");
    let commits = world.disk.commits();
    world.pass(3_000).await;
    assert!(world.disk.commits() - commits <= 1, "waiting writes nothing");
}

#[tokio::test(start_paused = true)]
async fn an_order_past_its_time_is_asked_about_cancelled_and_left_alone() {
    let world = World::new().await;
    let transaction = world.deposit("k").await.unwrap().transaction;
    let still = QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending)));
    world.answers(&transaction.reference, still);
    world.pass(90_000).await;
    assert_eq!(
        (world.status(transaction.id), world.known(transaction.id).transaction.reason.code.name()),
        (6, "EXPIRED")
    );
    assert_eq!(world.provider.cancels.load(Ordering::SeqCst), 1);
    let asked = world.provider.queries.load(Ordering::SeqCst);
    world.pass(90_000).await;
    assert_eq!(world.provider.queries.load(Ordering::SeqCst), asked);
    world.notice(Some(1), vec![paid("late", &transaction.reference)]).await.unwrap();
    world.pass(5).await;
    assert_eq!((world.status(transaction.id), world.trading.balance()), (3, AMOUNT), "late money is money");
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_meets_a_payment_credits_it() {
    let world = World::new().await;
    let transaction = world.deposit("k").await.unwrap().transaction;
    world.answers(&transaction.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    *lock(&world.provider.cancel) = Some(QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    world.pass(90_000).await;
    assert_eq!((world.status(transaction.id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_never_succeeds_ends_at_expiry() {
    let world = World::new().await;
    let transaction = world.deposit("k").await.unwrap().transaction;
    world.answers(&transaction.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    *lock(&world.provider.advance) = Some(QueryAnswer::NoAnswer("try later".into()));
    let reference = Some(transaction.reference.clone());
    let approved = Update { advance: true, reference, ..update("e1", ProviderStatus::Pending) };
    world.notice(Some(1), vec![approved]).await.unwrap();
    world.pass(200_000).await;
    assert_eq!(world.status(transaction.id), 6);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_never_expires_is_still_asked_about() {
    let world = World::new().await;
    world.provider.expiry_seconds.store(0, Ordering::SeqCst);
    let transaction = world.deposit("k").await.unwrap().transaction;
    world.answers(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    world.pass(120).await;
    assert_eq!((world.status(transaction.id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_back_delays_no_credit() {
    let world = World::new().await;
    world.clock.jump(400 * 86_400);
    let transaction = world.deposit("k").await.unwrap().transaction;
    lock(&world.trading.script).extend([Post::Lost, Post::Lost, Post::Lost]);
    world.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    world.pass(10).await;
    world.clock.jump(-400 * 86_400);
    world.pass(120).await;
    assert_eq!((world.status(transaction.id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_pause_earned_by_asking_does_not_put_off_a_credit() {
    let world = World::new().await;
    let transaction = world.deposit("k").await.unwrap().transaction;
    world.answers(&transaction.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    world.pass(40_000).await;
    lock(&world.trading.script).push_back(Post::Lost);
    world.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    world.pass(20).await;
    assert_eq!((world.status(transaction.id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_capture_whose_answer_was_lost_is_found_by_asking() {
    let world = World::new().await;
    world.provider.expiry_seconds.store(0, Ordering::SeqCst);
    let transaction = world.deposit("k").await.unwrap().transaction;
    *lock(&world.provider.advance) = Some(QueryAnswer::NoAnswer("captured already".into()));
    let reference = Some(transaction.reference.clone());
    let approved = Update { advance: true, reference, ..update("e1", ProviderStatus::Pending) };
    world.notice(Some(1), vec![approved]).await.unwrap();
    world.answers(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    world.pass(120).await;
    assert_eq!((world.status(transaction.id), world.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_posting_is_not_sent_again_once_there_is_doubt() {
    let world = World::new().await;
    let transaction = world.deposit("k").await.unwrap().transaction;
    lock(&world.trading.script).push_back(Post::Lost);
    world.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    let second = Update { payment_id: "pay_2".into(), ..paid("e2", &transaction.reference) };
    world.notice(Some(1), vec![second]).await.unwrap();
    world.pass(300).await;
    let known = world.known(transaction.id).transaction;
    assert_eq!((known.status.number(), known.reason.code.name()), (9, "SECOND_PAYMENT"));
    assert_eq!((world.trading.balance(), world.unsettled_operations(transaction.id)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_duties_that_cannot_end_starve_no_other() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for number in 0..3_201 {
        ids.push(world.deposit(&format!("k{number}")).await.unwrap().transaction);
    }
    // The trading server takes nothing from the old ones: every posting of theirs is a duty for ever.
    let newest = ids.pop().unwrap();
    lock(&world.trading.script).extend(std::iter::repeat_n(Post::Lost, 100_000));
    for old in &ids {
        world.notice(Some(1), vec![paid(&format!("e{}", old.id), &old.reference)]).await.unwrap();
    }
    world.pass(600).await;
    world.answers(&newest.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Failed))));
    world.pass(600).await;
    assert_eq!(world.status(newest.id), 5, "the newest was asked about in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_move_costs_the_world_nothing() {
    let world = World::new().await;
    let transaction = world.deposit("k").await.unwrap().transaction;
    lock(&world.trading.script).push_back(Post::Refuse);
    world.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    world.pass(5).await;
    assert_eq!((world.status(transaction.id), world.unsettled_operations(transaction.id)), (4, 0));
    let (asked, commits) = (world.provider.queries.load(Ordering::SeqCst), world.disk.commits());
    world.pass(100_000).await;
    assert_eq!((world.provider.queries.load(Ordering::SeqCst), world.disk.commits()), (asked, commits));
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_transaction_is_given_up_after_a_day() {
    let world = World::new().await;
    let stray = cashier_core::ids::Reference::from_random(3);
    let event = world.notice(Some(1), vec![paid("e1", &stray)]).await.unwrap().events[0].id;
    assert_eq!(world.disk.event_row(event).unwrap().processing_status, ProcessingStatus::Pending);
    world.pass(86_500).await;
    let row = world.disk.event_row(event).unwrap();
    assert_eq!((row.processing_status, &*row.failure_reason), (ProcessingStatus::Failed, "TRANSACTION_NOT_FOUND"));
}
