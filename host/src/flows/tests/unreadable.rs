//! Webhooks that are authentic and not understood, ignored with a reason, or verified over the network.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::ids::{ConfigId, EventId, Reference, TransactionId};
use cashier_core::notice::Update;
use cashier_core::refusal::RefusalCode;
use cashier_core::status::{ProcessingStatus, ProviderStatus, SignatureStatus};

use crate::flows::NETWORK_VERIFICATIONS_PER_MINUTE;
use crate::flows::replay::{self, Replayed};
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnCreate, TestCashier, lock, own_acknowledgement, paid, update};

async fn pending(env: &TestCashier, key: &str) -> (TransactionId, Reference) {
    let transaction = env.deposit(key).await.unwrap().transaction;
    (transaction.id, transaction.reference)
}

fn unread(env: &TestCashier) -> usize {
    env.cashier.ledger.peek(|books| books.unread().len()).unwrap()
}

fn understands(env: &TestCashier, body: &str, updates: Vec<Update>) {
    lock(&env.provider.understood).insert(body.to_owned(), updates);
}

/// Stores one unreadable notice and returns the row of its event.
async fn stored(env: &TestCashier, body: &str) -> EventId {
    env.raw_notice(Some(1), body.to_owned()).await.unwrap().events[0].id
}

#[tokio::test(start_paused = true)]
async fn m3_an_unreadable_notice_is_kept_as_authentic_and_the_payment_it_names_is_queried() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env, "k").await;
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    let body = format!("unreadable {{\"ref\":\"{reference}\",\"amount\":2549.9999999999995}}");
    let outcome = env.raw_notice(Some(1), body).await.unwrap();
    let event = &outcome.events[0];
    assert_eq!((event.signature_status, event.processing_status), (SignatureStatus::Valid, ProcessingStatus::Failed));
    assert_eq!((&*event.failure_reason, event.transaction_id), ("UNREADABLE_NOTICE: no amount", id));
    assert_eq!(env.disk.event_row(event.id).as_ref(), Some(event), "durable before the answer");
    env.run_for(2).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT), "the provider was asked at once");
    assert_eq!(unread(&env), 1, "still listed: what it states beyond that is not known");
}

#[tokio::test(start_paused = true)]
async fn m10_the_modules_own_acknowledgement_is_sent_for_an_unreadable_notice() {
    let env = TestCashier::new().await;
    *lock(&env.provider.acknowledgement) = Some(own_acknowledgement());
    let outcome = env.raw_notice(Some(1), "unreadable".to_owned()).await.unwrap();
    assert_eq!(outcome.acknowledgement, Some(own_acknowledgement()));
}

#[tokio::test(start_paused = true)]
async fn m3_an_unreadable_notice_that_names_no_payment_has_every_open_payment_of_its_config_queried() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let (first, reference) = pending(&env, "k").await;
    let (second, _) = pending(&env, "l").await;
    // Both were queried, without an answer, and would be left alone for hours.
    env.run_for(20_000).await;
    let before = env.provider.queries.load(Ordering::SeqCst);
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    stored(&env, "unreadable").await;
    env.run_for(10).await;
    assert_eq!(env.provider.queries.load(Ordering::SeqCst) - before, 2);
    assert_eq!((env.status(first), env.status(second)), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn m10_a_captured_unreadable_body_is_one_row_however_it_is_sent() {
    let env = TestCashier::new().await;
    stored(&env, "unreadable 1").await;
    for _ in 0..3 {
        assert!(env.raw_notice(Some(1), "unreadable 1".to_owned()).await.unwrap().duplicate);
    }
    assert_eq!(unread(&env), 1);
}

#[tokio::test(start_paused = true)]
async fn m10_unreadable_notices_beyond_the_limit_of_their_config_are_sent_again_later() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    for number in 0..256 {
        stored(&env, &format!("unreadable {number}")).await;
    }
    let refused = env.raw_notice(Some(1), "unreadable 256".to_owned()).await.unwrap_err();
    assert_eq!((refused.code, unread(&env)), (RefusalCode::ProviderUnavailable, 256));
    env.raw_notice(Some(2), "unreadable 256".to_owned()).await.unwrap();
    // Of the first config, what can be read is received as ever.
    let (id, reference) = pending(&env, "k").await;
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.run_for(2).await;
    assert_eq!(env.status(id), 3);
}

#[tokio::test(start_paused = true)]
async fn m10_the_bytes_of_unreadable_notices_are_limited_too() {
    let env = TestCashier::new().await;
    let padding = "x".repeat(1024 * 1024 - "unreadable 00".len());
    for number in 0..16 {
        stored(&env, &format!("unreadable {number:02}{padding}")).await;
    }
    let refused = env.raw_notice(Some(1), "unreadable 16".to_owned()).await.unwrap_err();
    assert_eq!((refused.code, unread(&env)), (RefusalCode::ProviderUnavailable, 16));
}

#[tokio::test(start_paused = true)]
async fn m3_an_unreadable_notice_is_read_by_itself_once_another_build_of_its_module_is_loaded() {
    let mut env = TestCashier::new().await;
    let (id, reference) = pending(&env, "k").await;
    let event = stored(&env, "unreadable 1").await;
    understands(&env, "unreadable 1", vec![paid("e1", &reference)]);
    env.run_for(300).await;
    assert_eq!((env.status(id), unread(&env)), (1, 1), "the same build is not asked twice");
    *lock(&env.provider.build) = "cd".to_owned();
    env.crash().await;
    assert_eq!(unread(&env), 1, "listed again after a restart");
    env.run_for(10).await;
    assert_eq!((env.status(id), env.trading.balance(), unread(&env)), (3, AMOUNT, 0));
    let row = env.disk.event_row(event).unwrap();
    assert_eq!((row.processing_status, row.transaction_id, &*row.event_id), (ProcessingStatus::Processed, id, "e1"));
    assert_eq!((&*row.failure_reason, &*row.module_hash), ("", "cd"));
    assert!(env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap().duplicate);
}

#[tokio::test(start_paused = true)]
async fn m3_a_build_that_does_not_read_it_either_is_shown_a_notice_once() {
    let mut env = TestCashier::new().await;
    let event = stored(&env, "unreadable 1").await;
    *lock(&env.provider.build) = "cd".to_owned();
    env.crash().await;
    env.run_for(10).await;
    let commits = env.disk.commits();
    assert_eq!((unread(&env), &*env.disk.event_row(event).unwrap().module_hash), (1, "cd"));
    env.run_for(600).await;
    assert_eq!(env.disk.commits(), commits);
}

#[tokio::test(start_paused = true)]
async fn m3_an_unreadable_notice_is_replayed_by_hand_with_all_its_updates() {
    let env = TestCashier::new().await;
    let (first, one) = pending(&env, "k").await;
    let (second, two) = pending(&env, "l").await;
    let event = stored(&env, "unreadable 1").await;
    let again = replay::replay(&env.cashier, event, "r").await.unwrap();
    assert!(matches!(again, Replayed::StillUnread(words) if &*words == "no amount"));
    lock(&env.provider.not_working).push(ConfigId(1));
    assert_eq!(replay::replay(&env.cashier, event, "r").await.unwrap_err().code, RefusalCode::ProviderUnavailable);
    lock(&env.provider.not_working).clear();
    understands(&env, "unreadable 1", vec![paid("e1", &one), paid("e2", &two)]);
    assert!(matches!(replay::replay(&env.cashier, event, "r").await.unwrap(), Replayed::Read(_)));
    env.run_for(5).await;
    assert_eq!((env.status(first), env.status(second), env.trading.balance()), (3, 3, 2 * AMOUNT));
    assert_eq!(replay::replay(&env.cashier, event, "r").await.unwrap_err().code, RefusalCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn m3_a_notice_that_was_sent_again_and_understood_meanwhile_is_not_applied_twice() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env, "k").await;
    let event = stored(&env, "unreadable 1").await;
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    understands(&env, "unreadable 1", vec![paid("e1", &reference)]);
    replay::replay(&env.cashier, event, "r").await.unwrap();
    env.run_for(5).await;
    let row = env.disk.event_row(event).unwrap();
    assert_eq!(
        (row.processing_status, &*row.failure_reason),
        (ProcessingStatus::Ignored, "IGNORED: it was sent again and applied")
    );
    assert_eq!((env.trading.balance(), unread(&env), env.status(id)), (AMOUNT, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn m11_an_ignored_notice_is_answered_and_names_its_reason() {
    let env = TestCashier::new().await;
    let event = &env.raw_notice(Some(1), "ignored".to_owned()).await.unwrap().events[0];
    assert_eq!((event.signature_status, event.processing_status), (SignatureStatus::Valid, ProcessingStatus::Ignored));
    assert_eq!((&*event.event_id, &*event.failure_reason), ("evt_ignored", "IGNORED: a test event for a live config"));
    assert!(env.raw_notice(Some(1), "ignored".to_owned()).await.unwrap().duplicate);
}

#[tokio::test(start_paused = true)]
async fn m11_an_update_of_an_unknown_status_is_ignored_with_its_reason() {
    let env = TestCashier::new().await;
    let (_, reference) = pending(&env, "k").await;
    let unknown = Update {
        reference: Some(reference),
        reason: "a type of tomorrow".into(),
        ..update("e1", ProviderStatus::Unknown)
    };
    let event = &env.notice(Some(1), vec![unknown]).await.unwrap().events[0];
    assert_eq!(
        (event.processing_status, &*event.failure_reason),
        (ProcessingStatus::Ignored, "IGNORED: a type of tomorrow")
    );
}

#[tokio::test(start_paused = true)]
async fn m13_a_network_verification_beyond_its_pace_is_to_be_sent_again_and_not_rejected() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env, "k").await;
    let body = format!("network {}", env.provider.notice_body(vec![paid("e1", &reference)]));
    for _ in 0..NETWORK_VERIFICATIONS_PER_MINUTE {
        env.raw_notice(Some(1), "network 99".to_owned()).await.unwrap_err();
    }
    let refused = env.raw_notice(Some(1), body.clone()).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::ProviderUnavailable);
    env.run_for(61).await;
    env.raw_notice(Some(1), body.clone()).await.unwrap();
    env.run_for(2).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
    assert!(env.raw_notice(None, body).await.unwrap().duplicate);
}

#[tokio::test(start_paused = true)]
async fn m13_a_verification_that_its_provider_does_not_answer_is_to_be_sent_again() {
    let env = TestCashier::new().await;
    lock(&env.provider.not_working).push(ConfigId(1));
    let refused = env.raw_notice(Some(1), "network 0".to_owned()).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::ProviderUnavailable);
}

#[tokio::test(start_paused = true)]
async fn m3_a_create_answer_that_cannot_be_read_has_its_payment_queried_at_once() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::Unreadable);
    let deposit = tokio::spawn(env.deposit("k"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    let reference = env.provider.references()[0].clone();
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    let transaction = deposit.await.unwrap().unwrap().transaction;
    let (id, status) = (transaction.id, transaction.status.number());
    assert_eq!(status, 1, "unknown is never failed");
    env.run_for(2).await;
    assert_eq!((env.status(id), env.trading.balance(), env.provider.references().len()), (3, AMOUNT, 1));
}

#[tokio::test(start_paused = true)]
async fn m3_a_status_answer_that_cannot_be_read_loses_no_payment() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env, "k").await;
    env.on_query(&reference, QueryAnswer::NoAnswer("unreadable_answer: no amount".to_owned()));
    env.run_for(600).await;
    assert_eq!(env.status(id), 1);
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    env.run_for(7_200).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}
