//! Reviews and reversals from the notice to the balance: a slow trading server, disputes that are won, a provider that has
//! not decided, reversals that wait for a person.

use cashier_core::facts::PersonFact;
use cashier_core::ids::{Reference, TransactionId};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::session::Actor;
use cashier_core::status::ProviderStatus as P;

use crate::flows::settle;
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnPost, TestCashier, config, lock, paid, update, usd};

async fn pending(env: &TestCashier) -> (TransactionId, Reference) {
    let transaction = env.deposit("k").await.unwrap().transaction;
    (transaction.id, transaction.reference)
}

fn about(event_id: &str, status: P, reference: &Reference) -> Update {
    Update { reference: Some(reference.clone()), ..update(event_id, status) }
}

fn refunded(id: &str, minor: i64, reference: &Reference) -> Update {
    let amount = StatedAmount::Exact(usd(minor));
    let refund = RefundStatement { id: id.into(), amount, reach: Reach::Delta, requested: "".into() };
    Update { refund: Some(refund), ..about(id, P::Refunded, reference) }
}

fn disputed(id: &str, minor: i64, reference: &Reference) -> Update {
    let dispute = DisputeStatement { id: id.into(), amount: Some(StatedAmount::Exact(usd(minor))) };
    Update { dispute: Some(dispute), ..about(&format!("{id}-{minor}"), P::Chargeback, reference) }
}

fn won(id: &str, reference: &Reference) -> Update {
    let dispute = DisputeStatement { id: id.into(), amount: None };
    Update { dispute: Some(dispute), ..about(&format!("{id}-won"), P::ChargebackReversed, reference) }
}

fn reason(env: &TestCashier, id: TransactionId) -> String {
    env.aggregate(id).transaction.reason.to_string()
}

/// The trading server takes nothing for a while.
fn trading_is_slow(env: &TestCashier) {
    lock(&env.trading.next_posts).extend([OnPost::NeverArrives, OnPost::NeverArrives, OnPost::Slow(30)]);
}

#[tokio::test(start_paused = true)]
async fn m29_a_slow_posting_beside_a_refund_and_a_won_dispute_ends_credited_by_itself() {
    for dispute_before_posting in [true, false] {
        let env = TestCashier::new().await;
        let (id, reference) = pending(&env).await;
        trading_is_slow(&env);
        env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        env.notice(Some(1), vec![refunded("r1", 4_000, &reference)]).await.unwrap();
        if !dispute_before_posting {
            env.run_for(300).await;
        }
        env.notice(Some(1), vec![disputed("d1", AMOUNT, &reference)]).await.unwrap();
        assert!(reason(&env, id).starts_with("BEYOND_CONFIRMED"), "{}", reason(&env, id));
        env.run_for(if dispute_before_posting { 1 } else { 300 }).await;
        env.notice(Some(1), vec![won("d1", &reference)]).await.unwrap();
        env.run_for(600).await;
        assert_eq!((env.status(id), env.trading.balance(), env.unsettled_operations(id)), (3, 6_000, 0));
        assert_eq!(reason(&env, id), "PARTLY_REFUNDED");
    }
}

#[tokio::test(start_paused = true)]
async fn m30_two_disputes_and_a_slow_trading_server_leave_the_open_one_taken() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
    trading_is_slow(&env);
    env.notice(Some(1), vec![disputed("d1", AMOUNT, &reference)]).await.unwrap();
    env.notice(Some(1), vec![disputed("d2", 2_000, &reference)]).await.unwrap();
    env.notice(Some(1), vec![won("d1", &reference)]).await.unwrap();
    env.run_for(600).await;
    assert_eq!((env.status(id), env.trading.balance(), env.unsettled_operations(id)), (8, AMOUNT - 2_000, 0));
}

#[tokio::test(start_paused = true)]
async fn m4_a_dispute_larger_than_the_payment_takes_it_back_whole() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.notice(Some(1), vec![disputed("d1", AMOUNT + 50, &reference)]).await.unwrap();
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (9, 0));
    assert!(reason(&env, id).ends_with("disputed 100.5 USD (d1)"), "{}", reason(&env, id));
}

#[tokio::test(start_paused = true)]
async fn m9_a_payment_that_the_provider_reviews_is_queried_until_it_has_decided() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    let reviewing = Update { raw_status: "processing".into(), ..about("e1", P::InReview, &reference) };
    env.notice(Some(1), vec![reviewing.clone()]).await.unwrap();
    assert_eq!((env.status(id), &*reason(&env, id)), (9, "PROVIDER_IN_REVIEW: processing"));
    env.on_query(&reference, QueryAnswer::Stated(Box::new(Update { event_id: "".into(), ..reviewing.clone() })));
    env.run_for(600).await;
    assert_eq!((env.status(id), env.trading.balance()), (9, 0));
    env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    env.run_for(3_600).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
    env.notice(Some(1), vec![Update { event_id: "e2".into(), ..reviewing }]).await.unwrap();
    assert_eq!(env.status(id), 3, "a late word of the review changes nothing");
}

#[tokio::test(start_paused = true)]
async fn m9_a_payment_that_a_person_must_decide_is_credited_and_stays_in_review() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    env.notice(Some(1), vec![about("e1", P::ManualReview, &reference)]).await.unwrap();
    env.notice(Some(1), vec![paid("e2", &reference)]).await.unwrap();
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (9, AMOUNT));
    let expected = "PROVIDER_REVIEW: manual_review; also stated: confirmed 100.0 USD (pay_";
    assert!(reason(&env, id).starts_with(expected), "{}", reason(&env, id));
}

#[tokio::test(start_paused = true)]
async fn a_reversal_waits_for_a_person_where_the_config_says_so_when_the_deposit_is_made() {
    for settings in [r#"{"reversal":"review"}"#, r#"{"reversal":"post"}"#, "{}"] {
        let waits = settings.contains("review");
        let env = TestCashier::with_rows(vec![ProviderConfig { settings_json: settings.into(), ..config(1) }]).await;
        let (id, reference) = pending(&env).await;
        env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        env.run_for(5).await;
        env.notice(Some(1), vec![disputed("d1", 3_000, &reference)]).await.unwrap();
        env.run_for(600).await;
        let listed = env.cashier.ledger.peek(|books| books.unsettled()).unwrap();
        if waits {
            assert_eq!((env.status(id), env.trading.balance(), &listed[..]), (9, AMOUNT, &[id][..]));
            assert!(reason(&env, id).starts_with("REVERSAL_WAITS: posted 100.0 USD, owed 70.0 USD; "));
            let stamp = env.cashier.stamp(Actor::System, "a person");
            let decided = env.cashier.ledger.decide(&stamp, |draft| {
                let changes = draft.aggregate(id).unwrap().decide(PersonFact::Approved, draft.context());
                draft.add(changes);
            });
            decided.unwrap().durable().await.unwrap();
            settle::start(&env.cashier, id);
            env.run_for(5).await;
        }
        assert_eq!((env.status(id), env.trading.balance()), (8, AMOUNT - 3_000), "{settings}");
    }
}
