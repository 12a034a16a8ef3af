//! Queries that an event requires while the provider does not answer: each stays due, over crashes and reloads, with growing
//! pauses, until the provider answers.

use std::sync::atomic::Ordering;

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, Seq};
use cashier_core::notice::Update;
use cashier_core::refs::ProviderRef;
use cashier_core::status::{ProcessingStatus, ProviderStatus};
use cashier_core::transaction::Transaction;

use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, TestCashier, deposit_request, lock, paid, update};

const HOUR: u64 = 3_600;

/// A deposit under config 1 that was paid and credited.
async fn credited(env: &TestCashier) -> Transaction {
    let made = env.deposit("k").await.unwrap().transaction;
    env.notice_signed_by(1, Some(1), vec![paid("e1", &made.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
    made
}

fn refund(event: &str, made: &Transaction) -> Update {
    Update { reference: Some(made.reference.clone()), ..update(event, ProviderStatus::Refunded) }
}

/// The provider's answer to a query about a payment that was refunded.
fn refunded(made: &Transaction) -> QueryAnswer {
    QueryAnswer::Stated(Box::new(refund("", made)))
}

fn down() -> QueryAnswer {
    QueryAnswer::NoAnswer("connection refused".to_owned())
}

fn queries(env: &TestCashier) -> u64 {
    env.provider.queries.load(Ordering::SeqCst)
}

/// The refund comes under config 2, whose signature does not authorise config 1's payment, while the provider is down.
async fn refund_unconfirmed(env: &TestCashier) -> Transaction {
    let made = credited(env).await;
    env.on_query(&made.reference, down());
    let outcome = env.notice_signed_by(2, Some(2), vec![refund("e2", &made)]).await.unwrap();
    assert_eq!(outcome.events[0].processing_status, ProcessingStatus::Failed);
    env.run_for(1).await;
    assert_eq!((queries(env), env.trading.balance()), (1, AMOUNT));
    made
}

/// The refund is taken back, once, and nothing is left to do.
async fn assert_taken_back(env: &TestCashier, made: &Transaction) {
    assert_eq!((env.status(made.id), env.trading.balance()), (7, 0));
    assert_eq!(env.aggregate(made.id).transaction.query_wanted, Seq(0));
    assert_eq!(env.cashier.ledger.peek(|books| books.unsettled()).unwrap(), []);
    let ended = (queries(env), env.disk.commits());
    env.run_for(100_000).await;
    assert_eq!((queries(env), env.disk.commits()), ended, "it ended");
}

#[tokio::test(start_paused = true)]
async fn m18_a_refund_under_another_config_is_taken_back_although_the_provider_was_down_at_first() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = refund_unconfirmed(&env).await;
    env.run_for(20 * HOUR).await;
    let tried = queries(&env);
    assert!((8..=14).contains(&tried), "{tried} queries in 20 hours");
    env.on_query(&made.reference, refunded(&made));
    env.run_for(7 * HOUR).await;
    assert_taken_back(&env, &made).await;
}

#[tokio::test(start_paused = true)]
async fn m18_a_refund_under_another_config_is_taken_back_after_a_crash_or_a_reload() {
    for reloads in [false, true] {
        let mut env = TestCashier::with_configs(&[1, 2]).await;
        let made = refund_unconfirmed(&env).await;
        env.run_for(20 * HOUR).await;
        env.on_query(&made.reference, refunded(&made));
        if reloads {
            env.disk.fail_in.store(1, Ordering::SeqCst);
            env.deposit("lost").await.unwrap_err();
        } else {
            env.crash().await;
        }
        env.run_for(60).await;
        assert_taken_back(&env, &made).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_durable_when_the_cashier_crashes_has_its_payment_queried_after_the_start() {
    let mut env = TestCashier::with_configs(&[1, 2]).await;
    let made = credited(&env).await;
    env.on_query(&made.reference, refunded(&made));
    // Its query is under way.
    env.notice_signed_by(2, Some(2), vec![refund("e2", &made)]).await.unwrap();
    env.crash().await;
    env.run_for(60).await;
    assert_taken_back(&env, &made).await;
}

#[tokio::test(start_paused = true)]
async fn m3_the_credited_payment_that_an_unreadable_notice_names_is_queried_after_a_crash() {
    let mut env = TestCashier::new().await;
    let made = credited(&env).await;
    env.on_query(&made.reference, down());
    env.raw_notice(Some(1), format!("unreadable {}", made.reference)).await.unwrap();
    env.run_for(1).await;
    env.crash().await;
    env.run_for(60).await;
    env.on_query(&made.reference, refunded(&made));
    env.crash().await;
    env.run_for(60).await;
    assert_taken_back(&env, &made).await;
}

#[tokio::test(start_paused = true)]
async fn m18_a_payment_id_that_a_config_of_the_same_account_reports_has_the_owner_queried_after_a_crash() {
    let mut env = TestCashier::with_configs(&[1, 2]).await;
    let made = credited(&env).await;
    env.on_query(&made.reference, down());
    let payment_id = paid("", &made.reference).payment_id;
    let named = Update { reference: None, payment_id, ..refund("e2", &made) };
    let outcome = env.notice_signed_by(2, Some(2), vec![named]).await.unwrap();
    assert_eq!(outcome.events[0].transaction_id, made.id);
    env.run_for(1).await;
    env.crash().await;
    env.on_query(&made.reference, refunded(&made));
    env.run_for(120).await;
    assert_taken_back(&env, &made).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_knows_nothing_of_the_payment_and_a_module_that_cannot_ask_end_the_query() {
    for answer in [QueryAnswer::NotFound, QueryAnswer::Unsupported] {
        let env = TestCashier::with_configs(&[1, 2]).await;
        let made = refund_unconfirmed(&env).await;
        env.on_query(&made.reference, answer.clone());
        env.run_for(300).await;
        let (ended, commits) = (queries(&env), env.disk.commits());
        assert_eq!(env.aggregate(made.id).transaction.query_wanted, Seq(0), "{answer:?}");
        env.run_for(100_000).await;
        assert_eq!((queries(&env), env.disk.commits(), env.status(made.id)), (ended, commits, 3), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_another_payment_ends_no_query() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = refund_unconfirmed(&env).await;
    let stray = cashier_core::ids::Reference::from_random(3);
    let other = Update { reference: Some(stray), ..refund("", &made) };
    env.on_query(&made.reference, QueryAnswer::Stated(Box::new(other)));
    env.run_for(HOUR).await;
    assert!(queries(&env) > 3 && env.status(made.id) == 3);
    env.on_query(&made.reference, refunded(&made));
    env.run_for(2 * HOUR).await;
    assert_taken_back(&env, &made).await;
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_an_expired_order_that_is_still_under_way_at_its_provider_is_queried_until_it_is_paid() {
    for answer in [ProviderStatus::Pending, ProviderStatus::Unknown] {
        let mut env = TestCashier::with_configs(&[1, 2]).await;
        let made = env.deposit("k").await.unwrap().transaction;
        env.run_for(90_000).await;
        assert_eq!(env.status(made.id), 6);
        env.on_query(&made.reference, QueryAnswer::Stated(Box::new(update("", answer))));
        env.notice_signed_by(2, Some(2), vec![paid("e1", &made.reference)]).await.unwrap();
        env.run_for(10 * HOUR).await;
        env.crash().await;
        env.on_query(&made.reference, QueryAnswer::Stated(Box::new(paid("", &made.reference))));
        env.run_for(10).await;
        assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT), "{answer:?}");
        assert_eq!(env.aggregate(made.id).transaction.query_wanted, Seq(0));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_gateway_the_query_stays_due_and_writes_nothing() {
    let mut env = TestCashier::with_configs(&[1, 2]).await;
    let made = refund_unconfirmed(&env).await;
    lock(&env.provider.not_loaded).push(ConfigId(1));
    env.crash().await;
    let (before, commits) = (queries(&env), env.disk.commits());
    env.run_for(50_000).await;
    assert_eq!((queries(&env), env.disk.commits()), (before, commits));
    assert_eq!(env.cashier.ledger.peek(|books| books.unsettled()).unwrap(), [made.id]);
    lock(&env.provider.not_loaded).clear();
    env.on_query(&made.reference, refunded(&made));
    env.run_for(7 * HOUR).await;
    assert_taken_back(&env, &made).await;
}

#[tokio::test(start_paused = true)]
async fn a_wanted_query_is_made_while_the_clock_is_implausible() {
    let mut env = TestCashier::with_configs(&[1, 2]).await;
    let made = refund_unconfirmed(&env).await;
    env.clock.jump(-400 * 86_400);
    env.crash().await;
    assert!(!env.cashier.clock.is_plausible());
    env.on_query(&made.reference, refunded(&made));
    env.run_for(120).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_while_a_query_is_under_way_has_the_payment_queried_again() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = credited(&env).await;
    // The first answer was made before the refund.
    let before = Update { event_id: "".into(), ..paid("", &made.reference) };
    env.on_query(&made.reference, QueryAnswer::Stated(Box::new(before)));
    env.notice_signed_by(2, Some(2), vec![refund("e2", &made)]).await.unwrap();
    env.notice_signed_by(2, Some(2), vec![refund("e3", &made)]).await.unwrap();
    env.on_query(&made.reference, refunded(&made));
    env.run_for(60).await;
    assert_taken_back(&env, &made).await;
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_unpaid_and_long_unanswered_is_queried_soon_after_an_event_names_it() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = env.deposit("k").await.unwrap().transaction;
    env.on_query(&made.reference, down());
    env.run_for(10 * HOUR).await;
    env.notice_signed_by(2, Some(2), vec![paid("e1", &made.reference)]).await.unwrap();
    env.run_for(1).await;
    env.on_query(&made.reference, QueryAnswer::Stated(Box::new(paid("", &made.reference))));
    env.run_for(10).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
    assert_eq!(env.aggregate(made.id).transaction.query_wanted, Seq(0));
}

#[tokio::test(start_paused = true)]
async fn m3_an_unreadable_notice_without_a_name_has_declined_orders_queried_too_also_after_a_crash() {
    for crashes in [false, true] {
        let mut env = TestCashier::new().await;
        let (open, declined) =
            (env.deposit("k").await.unwrap().transaction, env.deposit("l").await.unwrap().transaction);
        let failed = Update { reference: Some(declined.reference.clone()), ..update("e1", ProviderStatus::Failed) };
        env.notice(Some(1), vec![failed]).await.unwrap();
        for made in [&open, &declined] {
            env.on_query(&made.reference, down());
        }
        env.run_for(10 * HOUR).await;
        env.raw_notice(Some(1), "unreadable".to_owned()).await.unwrap();
        for made in [&open, &declined] {
            env.on_query(&made.reference, QueryAnswer::Stated(Box::new(paid("", &made.reference))));
        }
        if crashes {
            env.crash().await;
        }
        env.run_for(10).await;
        let statuses = (env.status(open.id), env.status(declined.id), env.trading.balance());
        assert_eq!(statuses, (3, 3, 2 * AMOUNT), "{crashes}");
    }
}

#[tokio::test(start_paused = true)]
async fn m3_an_unreadable_notice_without_a_name_has_the_payments_of_the_whole_merchant_account_queried() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let request = DepositRequest { provider_config_id: Some(ConfigId(2)), ..deposit_request("k") };
    let made = env.deposit_as(request).await.unwrap().transaction;
    env.on_query(&made.reference, down());
    env.run_for(10 * HOUR).await;
    env.on_query(&made.reference, QueryAnswer::Stated(Box::new(paid("", &made.reference))));
    // Both configs can prove it: it is filed under the first.
    let outcome = env.raw_notice(None, "unreadable".to_owned()).await.unwrap();
    assert_eq!(outcome.events[0].config_id, ConfigId(1));
    env.run_for(10).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

fn approved(event: &str, made: &Transaction) -> Update {
    let refs = vec![ProviderRef::new("authorization", "au_1")];
    let reference = Some(made.reference.clone());
    Update { advance: true, reference, refs, ..update(event, ProviderStatus::Pending) }
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_failed_is_made_after_a_crash() {
    let mut env = TestCashier::new().await;
    let made = env.deposit("k").await.unwrap().transaction;
    env.on_query(&made.reference, down());
    *lock(&env.provider.advance_answer) = Some(down());
    env.notice(Some(1), vec![approved("e1", &made)]).await.unwrap();
    env.run_for(10 * HOUR).await;
    env.crash().await;
    *lock(&env.provider.advance_answer) = Some(QueryAnswer::Stated(Box::new(paid("", &made.reference))));
    env.run_for(10).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_an_answer_asks_for_is_made_at_once_and_not_after_the_pauses_of_the_query() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = env.deposit("k").await.unwrap().transaction;
    env.on_query(&made.reference, down());
    env.run_for(10 * HOUR).await;
    *lock(&env.provider.advance_answer) = Some(QueryAnswer::Stated(Box::new(paid("", &made.reference))));
    env.on_query(&made.reference, QueryAnswer::Stated(Box::new(approved("", &made))));
    let tried = queries(&env);
    while queries(&env) == tried {
        env.run_for(5).await;
    }
    env.run_for(10).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_approved_after_another_was_declined_is_captured_once() {
    let env = TestCashier::new().await;
    let made = env.deposit("k").await.unwrap().transaction;
    let declined = Update { reference: Some(made.reference.clone()), ..update("e1", ProviderStatus::Failed) };
    env.notice(Some(1), vec![declined]).await.unwrap();
    *lock(&env.provider.advance_answer) = Some(QueryAnswer::Stated(Box::new(paid("", &made.reference))));
    env.notice(Some(1), vec![approved("e2", &made)]).await.unwrap();
    env.run_for(10).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
    env.run_for(100_000).await;
    assert_eq!(env.provider.advances.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_is_declined_again_and_again_is_tried_with_growing_pauses_until_the_expiry() {
    let env = TestCashier::new().await;
    let made = env.deposit("k").await.unwrap().transaction;
    let declined = Update { reference: Some(made.reference.clone()), ..update("", ProviderStatus::Failed) };
    let answer = QueryAnswer::Stated(Box::new(declined.clone()));
    *lock(&env.provider.advance_answer) = Some(answer.clone());
    env.on_query(&made.reference, answer);
    env.notice(Some(1), vec![approved("e1", &made)]).await.unwrap();
    for number in 0..100 {
        let again = Update { event_id: format!("d{number}").into(), ..declined.clone() };
        env.notice(Some(1), vec![again]).await.unwrap();
    }
    env.run_for(86_000).await;
    let tried = env.provider.advances.load(Ordering::SeqCst);
    assert!((5..=14).contains(&tried), "{tried} captures in a day");
    env.run_for(100_000).await;
    assert_eq!((env.provider.advances.load(Ordering::SeqCst), env.status(made.id)), (tried, 5));
    assert_eq!(env.cashier.ledger.peek(|books| books.unsettled()).unwrap(), []);
}
