//! Webhooks: notices in any order, duplicates, early events, other configs' payments, and unavailable gateways.

use std::sync::atomic::Ordering;

use cashier_core::ids::{ConfigId, Reference, TransactionId};
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::refusal::RefusalCode;
use cashier_core::status::{ProcessingStatus, ProviderStatus};

use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnPost, TestCashier, deposit_request, lock, paid, update, usd};

async fn pending(env: &TestCashier) -> (TransactionId, Reference) {
    let transaction = env.deposit("k").await.unwrap().transaction;
    (transaction.id, transaction.reference)
}

fn by_intent(update: Update, id: &str) -> Update {
    Update { refs: vec![ProviderRef::new("intent", id)], ..update }
}

fn unreferenced(update: Update) -> Update {
    Update { reference: None, ..update }
}

#[tokio::test(start_paused = true)]
async fn two_concurrent_copies_of_a_notice_credit_once() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    let notice = vec![paid("e1", &reference)];
    let (one, two) = tokio::join!(env.notice(Some(1), notice.clone()), env.notice(Some(1), notice));
    assert_ne!(one.unwrap().duplicate, two.unwrap().duplicate);
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_early_event_of_the_same_notice_is_applied() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    let early = by_intent(unreferenced(paid("e1", &reference)), "pi_1");
    let named = by_intent(Update { reference: Some(reference), ..update("e2", ProviderStatus::Pending) }, "pi_1");
    let outcome = env.notice(Some(1), vec![early, named]).await.unwrap();
    env.run_for(1).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
    let row = env.disk.event_row(outcome.events[0].id).unwrap();
    assert_eq!((row.processing_status, row.transaction_id), (ProcessingStatus::Processed, id));
}

#[tokio::test(start_paused = true)]
async fn an_early_event_is_applied_when_a_status_query_returns_its_id() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    let early = by_intent(unreferenced(paid("e1", &reference)), "pi_1");
    env.notice(Some(1), vec![early]).await.unwrap();
    assert_eq!(env.status(id), 1);
    let learned = by_intent(update("", ProviderStatus::Pending), "pi_1");
    env.on_query(&reference, QueryAnswer::Stated(Box::new(learned)));
    env.run_for(120).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_early_event_under_another_reference_is_not_matched_by_its_ids() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    let foreign = Reference::from_random(7);
    env.notice(Some(1), vec![by_intent(paid("e1", &foreign), "pi_1")]).await.unwrap();
    let named = by_intent(Update { reference: Some(reference), ..update("e2", ProviderStatus::Pending) }, "pi_1");
    env.notice(Some(1), vec![named]).await.unwrap();
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_status_query_answered_with_another_payment_credits_nothing() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    let other = env.deposit("other").await.unwrap().transaction;
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &other.reference))));
    env.on_query(&other.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    env.run_for(200).await;
    assert_eq!((env.status(id), env.status(other.id), env.trading.balance()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_notice_is_retried_when_the_owning_config_is_unavailable_though_another_verifies_it() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    lock(&env.provider.not_working).push(ConfigId(1));
    let (id, reference) = pending(&env).await;
    assert_eq!(env.aggregate(id).transaction.config_id, ConfigId(1));
    let notice = vec![paid("e1", &reference)];
    let refusal = env.notice(None, notice.clone()).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ProviderUnavailable, "the provider must send it again");
    lock(&env.provider.not_working).clear();
    env.notice(None, notice).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_id_matches_its_owning_config_among_configs_of_one_merchant() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let mut request = deposit_request("k");
    request.provider_config_id = Some(ConfigId(2));
    let made = env.deposit_as(request).await.unwrap().transaction;
    let id = ProviderRef::new("payment_intent", &made.provider_payment_id);
    let by_id = Update { reference: None, refs: vec![id], ..paid("e1", &made.reference) };
    env.notice(None, vec![by_id]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_update_of_another_config_moves_nothing_and_the_owning_gateway_is_queried() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let (id, reference) = pending(&env).await;
    env.on_query(&reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    let outcome = env.notice_signed_by(2, Some(2), vec![paid("e1", &reference)]).await.unwrap();
    assert!(outcome.events[0].failure_reason.starts_with("PROVIDER_CONFIG_MISMATCH"));
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (1, 0));
    assert_eq!(env.provider.queries.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_capture_requested_by_a_notice_runs_at_once() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    *lock(&env.provider.advance_answer) = Some(QueryAnswer::Stated(Box::new(paid("", &reference))));
    let approved = Update { advance: true, reference: Some(reference), ..update("e1", ProviderStatus::Pending) };
    env.notice(Some(1), vec![approved]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(env.provider.advances.load(Ordering::SeqCst), 1);
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_payment_after_hundreds_of_declines_is_credited() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    for attempt in 0..200 {
        let reason = format!("declined, try {attempt}").into();
        let no = Update { reference: Some(reference.clone()), reason, ..update("", ProviderStatus::Failed) };
        env.notice(Some(1), vec![Update { event_id: format!("d{attempt}").into(), ..no }]).await.unwrap();
    }
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_without_payment_id_is_not_a_second_payment() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    let unnamed = Update { payment_id: Box::default(), ..paid("e1", &reference) };
    env.notice(Some(1), vec![unnamed]).await.unwrap();
    env.notice(Some(1), vec![paid("e2", &reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_second_payment_under_one_reference_is_held_for_review_and_not_credited() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.notice(Some(1), vec![Update { payment_id: "pay_2".into(), ..paid("e2", &reference) }]).await.unwrap();
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (9, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_without_amount_is_queried_and_credited() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    let unstated = Update { amount: None, payment_id: Box::default(), ..paid("e1", &reference) };
    env.notice(Some(1), vec![unstated]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_different_amount_is_never_credited() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    let short = Update { amount: Some(StatedAmount::Exact(usd(AMOUNT - 1))), ..paid("e1", &reference) };
    env.notice(Some(1), vec![short]).await.unwrap();
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (9, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_trading_server_does_not_delay_a_webhook_and_credits_once() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).push_back(OnPost::Slow(30));
    let began = tokio::time::Instant::now();
    let outcome = env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    assert_eq!(outcome.transaction.unwrap().status.number(), 2);
    assert!(began.elapsed().as_millis() < 2_100);
    assert!(env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap().duplicate);
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_the_trading_server_is_queried_under_the_same_key() {
    for lost in [OnPost::AnswerLost, OnPost::NeverArrives] {
        let env = TestCashier::new().await;
        let (id, reference) = pending(&env).await;
        lock(&env.trading.next_posts).extend([lost, OnPost::NeverArrives]);
        env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        env.run_for(120).await;
        assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT), "{lost:?}");
        assert_eq!(env.aggregate(id).operations.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trading_server_without_deduplication_gets_each_posting_once() {
    let mut env = TestCashier::new().await;
    env.trading.unkeyed.store(true, Ordering::SeqCst);
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).push_back(OnPost::AnswerLost);
    let request = tokio::spawn(env.notice(Some(1), vec![paid("e1", &reference)]));
    env.run_for(1).await;
    assert_eq!(env.trading.balance(), AMOUNT, "posted, and the answer is on its way");
    env.crash().await;
    request.abort();
    env.run_for(120).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT), "found by a query, and never sent again");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_forged_notices_does_not_block_verified_ones() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    env.disk.held.store(true, Ordering::SeqCst);
    let before = env.cashier.ledger.peek(|books| books.counters().event).unwrap();
    for _ in 0..5_000 {
        let refusal = env.raw_notice(None, "forged".into()).await.unwrap_err();
        assert!(matches!(refusal.code, RefusalCode::InvalidSignature | RefusalCode::Frequent), "{refusal}");
    }
    let waiting = env.cashier.ledger.peek(|books| books.counters().event).unwrap() - before;
    assert!(waiting <= 256, "{waiting} forged notices are queued");
    env.disk.held.store(false, Ordering::SeqCst);
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}
