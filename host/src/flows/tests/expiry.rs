//! The end of an order whose provider answers with a status that its module does not know: nothing is established, so the
//! order stays open and is queried until the provider says more.

use cashier_core::notice::Update;
use cashier_core::status::ProviderStatus as P;
use cashier_core::transaction::Transaction;

use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, TestCashier, lock, paid, update};

const DAY: u64 = 86_400;

fn says(made: &Transaction, status: P) -> QueryAnswer {
    QueryAnswer::Stated(Box::new(Update { reference: Some(made.reference.clone()), ..update("", status) }))
}

/// The customer paid, and the webhook is lost.
async fn assert_found(env: &TestCashier, made: &Transaction, case: &str) {
    env.on_query(&made.reference, QueryAnswer::Stated(Box::new(paid("", &made.reference))));
    env.run_for(DAY).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT), "{case}");
    assert_eq!(env.cashier.ledger.peek(|books| books.unsettled()).unwrap(), [], "{case}");
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_left_the_payment_open_or_in_an_unknown_status_ends_no_queries() {
    for answer in [P::Unknown, P::Pending, P::InReview] {
        let env = TestCashier::new().await;
        let made = env.deposit("k").await.unwrap().transaction;
        env.on_query(&made.reference, says(&made, P::Pending));
        *lock(&env.provider.cancel_answer) = Some(says(&made, answer));
        env.run_for(2 * DAY).await;
        assert_eq!(env.status(made.id), if answer == P::InReview { 9 } else { 1 }, "{answer:?}");
        assert_found(&env, &made, &format!("{answer:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_not_closed_on_an_unknown_status_whether_or_not_it_can_be_cancelled() {
    for cancelled in [Some(P::Cancelled), None] {
        let mut env = TestCashier::new().await;
        let made = env.deposit("k").await.unwrap().transaction;
        env.on_query(&made.reference, says(&made, P::Unknown));
        *lock(&env.provider.cancel_answer) = cancelled.map(|status| says(&made, status));
        env.run_for(2 * DAY).await;
        env.crash().await;
        assert_eq!(env.status(made.id), 1, "{cancelled:?}");
        assert_found(&env, &made, &format!("{cancelled:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_status_is_not_the_last_answer_about_a_closed_order() {
    for closing in [P::Failed, P::Cancelled, P::ManualReview] {
        let env = TestCashier::new().await;
        let made = env.deposit("k").await.unwrap().transaction;
        let closed = Update { reference: Some(made.reference.clone()), ..update("e1", closing) };
        env.notice(Some(1), vec![closed]).await.unwrap();
        env.on_query(&made.reference, says(&made, P::Unknown));
        env.run_for(3 * DAY).await;
        env.on_query(&made.reference, QueryAnswer::Stated(Box::new(paid("", &made.reference))));
        env.run_for(DAY).await;
        assert_eq!(env.trading.balance(), AMOUNT, "{closing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_is_answered_with_an_unknown_status_has_the_payment_queried() {
    let env = TestCashier::new().await;
    let made = env.deposit("k").await.unwrap().transaction;
    *lock(&env.provider.advance_answer) = Some(says(&made, P::Unknown));
    env.on_query(&made.reference, QueryAnswer::Stated(Box::new(paid("", &made.reference))));
    let approved = Update { reference: Some(made.reference.clone()), advance: true, ..update("e1", P::Pending) };
    env.notice(Some(1), vec![approved]).await.unwrap();
    env.run_for(60).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}
