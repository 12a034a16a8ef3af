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
async fn m17_a_payment_under_a_review_that_concerns_another_one_is_found_although_its_webhook_is_lost() {
    for reviewed in ["another payment", "a failed refund", "an unmatched dispute"] {
        let env = TestCashier::new().await;
        let first = env.deposit("first").await.unwrap().transaction;
        env.notice(Some(1), vec![paid("e1", &first.reference)]).await.unwrap();
        let (id, reference) = pending(&env).await;
        let update = match reviewed {
            "another payment" => {
                vec![Update { payment_id: paid("", &first.reference).payment_id, ..paid("e2", &reference) }]
            }
            "a failed refund" => vec![Update { status: P::RefundFailed, ..refunded("r1", 4_000, &reference) }],
            _ => vec![won("d2", &reference), disputed("d1", 4_000, &reference)],
        };
        env.notice(Some(1), update).await.unwrap();
        env.run_for(5).await;
        assert_eq!((env.status(id), env.trading.balance()), (9, AMOUNT), "{reviewed}");
        env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
        env.run_for(2 * 86_400).await;
        let taken = if reviewed == "an unmatched dispute" { 4_000 } else { 0 };
        assert_eq!(env.trading.balance(), 2 * AMOUNT - taken, "{reviewed}");
    }
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

/// Where a set of statements comes to rest: status, reason and balance.
type Rest = (u8, &'static str, i64);

/// Sets of statements, each with its rest.
fn sets(reference: &Reference) -> Vec<(Vec<Update>, Rest)> {
    let paid_as = |payment: &str| Update { payment_id: payment.into(), ..paid(&format!("paid {payment}"), reference) };
    let paid = || paid_as("pay_1");
    let stated = |status: P| about(status.name(), status, reference);
    let failed_refund =
        Update { event_id: "r1 failed".into(), status: P::RefundFailed, ..refunded("r1", 4_000, reference) };
    let short = Update { amount: Some(StatedAmount::Exact(usd(1))), ..Update { event_id: "short".into(), ..paid() } };
    vec![
        (vec![paid(), stated(P::Failed), stated(P::Pending)], (3, "", AMOUNT)),
        (vec![paid(), paid_as(""), stated(P::InReview)], (3, "", AMOUNT)),
        (vec![paid(), paid_as("pay_2")], (9, "SECOND_PAYMENT", AMOUNT)),
        (vec![paid(), stated(P::ManualReview)], (9, "PROVIDER_REVIEW", AMOUNT)),
        (vec![paid(), short], (9, "AMOUNT_MISMATCH", AMOUNT)),
        (vec![paid(), refunded("r1", 4_000, reference), failed_refund], (9, "REFUND_FAILED", AMOUNT)),
        (
            vec![paid(), refunded("r1", 4_000, reference), disputed("d1", AMOUNT, reference), won("d1", reference)],
            (3, "PARTLY_REFUNDED", AMOUNT - 4_000),
        ),
        (
            vec![paid(), refunded("r1", AMOUNT, reference), disputed("d1", AMOUNT, reference)],
            (9, "BEYOND_CONFIRMED", 0),
        ),
        (
            vec![paid(), disputed("d1", AMOUNT, reference), disputed("d2", 2_000, reference), won("d1", reference)],
            (8, "CHARGEBACK", AMOUNT - 2_000),
        ),
        (
            vec![paid(), disputed("d1", 3_000, reference), won("d9", reference)],
            (9, "DISPUTE_UNMATCHED", AMOUNT - 3_000),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn m31_every_order_of_the_notices_ends_alike_whatever_the_trading_server_and_crashes_do() {
    let mut random = 20_u64;
    let mut below = |count: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % count
    };
    for number in 0..10 {
        for _ in 0..8 {
            let mut env = TestCashier::new().await;
            let (id, reference) = pending(&env).await;
            let (updates, (status, code, balance)) = sets(&reference).swap_remove(number);
            // Each at least once, in a random order.
            let mut order: Vec<Update> = updates.iter().chain(&updates).cloned().collect();
            for place in (1..order.len()).rev() {
                order.swap(place, below(place + 1));
            }
            for update in order {
                let posts = [OnPost::Accept, OnPost::AnswerLost, OnPost::NeverArrives, OnPost::Slow(20)];
                lock(&env.trading.next_posts).push_back(posts[below(4)]);
                env.notice(Some(1), vec![update]).await.unwrap();
                match below(4) {
                    0 => env.run_for(120).await,
                    1 => env.crash().await,
                    _ => {}
                }
            }
            env.run_for(900).await;
            let known = env.aggregate(id).transaction;
            let rest = (known.status.number(), known.reason.code.name(), env.trading.balance());
            assert_eq!(rest, (status, code, balance), "set {number}: {:?}", known.facts);
            assert_eq!(env.unsettled_operations(id), 0);
        }
    }
}
