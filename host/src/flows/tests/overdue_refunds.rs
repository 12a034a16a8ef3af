//! Refunds that cannot go on: without a module, after a call that ended the process, accepted and never reported, or without an
//! answer beside another that the provider's total may be of. Each ends, or waits for a person who can end it.

use std::sync::atomic::Ordering;

use cashier_core::edit::ConfigEdit;
use cashier_core::facts::PersonFact;
use cashier_core::ids::ConfigId;
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::reason::ReasonCode;
use cashier_core::status::ProviderStatus;

use super::config_edits::{first, save};
use super::refunds::{DAY, ID, PART, calls, credited, is_open, notice, request, requested_for, states_total, sums};
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnPost, OnRefund, TestCashier, lock, paid, stated_refund, update, usd};

/// What the transaction's reason says, and whether it is under review.
fn shown(env: &TestCashier) -> (u8, String) {
    (env.status(ID), env.aggregate(ID).transaction.reason.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_debited_refund_that_no_module_can_send_is_posted_back() {
    for disabled in [true, false] {
        let mut env = credited().await;
        lock(&env.trading.next_posts).push_back(OnPost::ArrivesLate(3));
        requested_for(&env, 1).await;
        if disabled {
            env.provider.is_disabled.store(true, Ordering::SeqCst);
        } else {
            lock(&env.provider.not_loaded).push(ConfigId(1));
        }
        env.crash().await;
        env.run_for(1_800).await;
        assert_eq!((sums(&env), is_open(&env)), ((0, 0, AMOUNT - PART), true), "the module may come back");
        env.run_for(DAY).await;
        assert_eq!((sums(&env), is_open(&env)), ((0, 0, AMOUNT), false));
        let refused = "REFUND_REFUSED: refund 1 of 30.0 USD was not sent: no module works that could send it";
        assert_eq!(shown(&env), (3, refused.to_owned()));
        env.provider.is_disabled.store(false, Ordering::SeqCst);
        lock(&env.provider.not_loaded).clear();
        env.crash().await;
        env.run_for(600).await;
        assert_eq!(request(&env).await, Ok(3), "another can be requested");
        assert_eq!(sums(&env), (1, 1, AMOUNT - PART));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sent_refund_without_a_module_waits_for_a_person() {
    let mut env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::AnswerLost);
    env.provider.window_seconds.store(0, Ordering::SeqCst);
    assert_eq!(request(&env).await, Ok(3));
    lock(&env.provider.not_loaded).push(ConfigId(1));
    env.crash().await;
    env.run_for(1_800).await;
    assert_eq!(env.status(ID), 3);
    env.run_for(DAY).await;
    assert_eq!((env.status(ID), env.aggregate(ID).transaction.reason.code), (9, ReasonCode::ProviderReview));
    assert_eq!((is_open(&env), env.trading.balance()), (true, AMOUNT - PART), "unknown is not posted back");
    env.decide(ID, PersonFact::Resolved { minor: AMOUNT - PART }).await;
    assert_eq!((env.status(ID), is_open(&env), env.trading.balance()), (3, false, AMOUNT - PART));
}

#[tokio::test(start_paused = true)]
async fn an_accepted_refund_that_is_never_reported_waits_for_a_person() {
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Accepted);
    assert_eq!(request(&env).await, Ok(3));
    states_total(&env, 0);
    env.run_for(DAY).await;
    assert_eq!(shown(&env).0, 3);
    env.clock.jump(30 * 86_400);
    env.clock.accept();
    env.run_for(DAY).await;
    let (status, reason) = shown(&env);
    assert_eq!(status, 9, "{reason}");
    assert!(reason.starts_with("PROVIDER_REVIEW: refund 1 of 30.0 USD was accepted by the provider"), "{reason}");
    assert_eq!(env.trading.balance(), AMOUNT - PART);
    // The bank returned it: everything is owed again.
    env.decide(ID, PersonFact::Resolved { minor: AMOUNT }).await;
    env.run_for(DAY).await;
    assert_eq!((shown(&env), env.trading.balance()), ((3, String::new()), AMOUNT));
    assert_eq!(env.unfinished(), 0, "it is not asked about any more");
    notice(&env, ProviderStatus::Refunded).await;
    env.run_for(60).await;
    assert_eq!(env.trading.balance(), AMOUNT, "what is stated afterwards, the person had counted");
    let (status, reason) = shown(&env);
    assert_eq!(status, 9, "but as not made: the customer has the money twice");
    assert!(reason.starts_with("BEYOND_CONFIRMED: a refund was made that a person"), "{reason}");
    env.decide(ID, PersonFact::Resolved { minor: AMOUNT - PART }).await;
    env.run_for(60).await;
    assert_eq!((env.status(ID), env.trading.balance()), (3, AMOUNT - PART));
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_a_person_counted_as_made_and_that_is_made_then_needs_nobody() {
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Accepted);
    assert_eq!(request(&env).await, Ok(3));
    env.decide(ID, PersonFact::Resolved { minor: AMOUNT - PART }).await;
    notice(&env, ProviderStatus::Refunded).await;
    env.run_for(60).await;
    assert_eq!((env.status(ID), env.trading.balance()), (3, AMOUNT - PART));
}

#[tokio::test(start_paused = true)]
async fn n5_the_end_of_a_refund_that_a_person_resolved_meanwhile_waits_for_a_person() {
    let refused =
        "PROVIDER_REVIEW: refund 1 of 30.0 USD was refused by the provider: charge_disputed; a person had resolved";
    let made = "BEYOND_CONFIRMED: a refund was made that a person";
    for (answer, words, counted, right) in [
        (OnRefund::DeclineSlowly(20), refused, AMOUNT - PART, AMOUNT),
        (OnRefund::Slow(20), made, AMOUNT, AMOUNT - PART),
    ] {
        let env = credited().await;
        lock(&env.provider.next_refunds).push_back(answer.clone());
        requested_for(&env, 5).await;
        assert_eq!(calls(&env), 1);
        env.decide(ID, PersonFact::Resolved { minor: counted }).await;
        env.run_for(60).await;
        let (status, reason) = shown(&env);
        assert_eq!((status, env.trading.balance()), (9, counted), "{answer:?}: {reason}");
        assert!(reason.starts_with(words), "{reason}");
        env.decide(ID, PersonFact::Resolved { minor: right }).await;
        env.run_for(60).await;
        assert_eq!((env.status(ID), env.trading.balance()), (3, right), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_disabled_config_keeps_its_gateway_for_a_refund_without_an_end() {
    let mut env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Accepted);
    assert_eq!(request(&env).await, Ok(3));
    save(&env, ConfigEdit { enabled: Some(false), ..first() }).await.unwrap();
    env.clock.jump(541 * 86_400);
    env.clock.accept();
    env.crash().await;
    let is_open = |env: &TestCashier| env.cashier.snapshot().config(ConfigId(1)).unwrap().gateway.is_ok();
    assert!(is_open(&env));
    notice(&env, ProviderStatus::Refunded).await;
    env.run_for(60).await;
    assert_eq!((shown(&env).1, env.trading.balance()), ("PARTLY_REFUNDED".to_owned(), AMOUNT - PART));
    env.crash().await;
    assert!(!is_open(&env));
}

#[tokio::test(start_paused = true)]
async fn a_total_that_is_no_fact_of_the_transaction_ends_no_refund() {
    let env = credited().await;
    env.provider.window_seconds.store(0, Ordering::SeqCst);
    lock(&env.provider.next_refunds).push_back(OnRefund::AnswerLost);
    assert_eq!(request(&env).await, Ok(3));
    let reference = env.aggregate(ID).transaction.reference;
    let refund = RefundStatement {
        id: Box::default(),
        amount: StatedAmount::Exact(usd(PART)),
        reach: Reach::TotalSoFar,
        requested: Box::default(),
    };
    // The module does not know the payment's status, and reads the total beside it.
    let stated = Update { refund: Some(refund), status: ProviderStatus::Unknown, ..paid("", &reference) };
    env.on_query(&reference, QueryAnswer::Stated(Box::new(stated)));
    env.run_for(DAY).await;
    assert_eq!((is_open(&env), env.trading.balance()), (true, AMOUNT - PART), "nothing is posted back");
    states_total(&env, PART);
    env.run_for(DAY).await;
    assert_eq!((is_open(&env), env.trading.balance()), (false, AMOUNT - PART));
}

#[tokio::test(start_paused = true)]
async fn a_dispute_after_a_call_without_an_answer_stops_its_repetition() {
    for (lost, won) in [(OnRefund::Lost, false), (OnRefund::AnswerLost, false), (OnRefund::Lost, true)] {
        let env = credited().await;
        lock(&env.provider.next_refunds).push_back(lost.clone());
        assert_eq!(request(&env).await, Ok(3));
        let reference = env.aggregate(ID).transaction.reference;
        let dispute = |event: &str, status| Update {
            reference: Some(reference.clone()),
            payment_id: format!("pay_{reference}").into(),
            dispute: Some(DisputeStatement { id: "dp_1".into(), amount: None }),
            ..update(event, status)
        };
        let made = usize::from(lost == OnRefund::AnswerLost);
        env.notice(Some(1), vec![dispute("e_dp", ProviderStatus::Chargeback)]).await.unwrap();
        env.run_for(3_600).await;
        assert_eq!((sums(&env), env.status(ID)), ((1, made, 0), 8), "{lost:?}");
        if won {
            env.notice(Some(1), vec![dispute("e_won", ProviderStatus::ChargebackReversed)]).await.unwrap();
            env.run_for(DAY).await;
            assert_eq!((calls(&env), lock(&env.provider.refunded).len()), (2, 1), "repeated inside the window");
            assert_eq!(env.trading.balance(), AMOUNT - PART);
        } else {
            env.run_for(2 * DAY).await;
            assert_eq!((calls(&env), env.status(ID)), (1, 9), "a person looks at its end");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_in_the_providers_dashboard_does_not_end_ours() {
    let env = credited().await;
    env.provider.window_seconds.store(0, Ordering::SeqCst);
    lock(&env.provider.next_refunds).push_back(OnRefund::Lost);
    assert_eq!(request(&env).await, Ok(3));
    let reference = env.aggregate(ID).transaction.reference;
    let statement = RefundStatement {
        id: "re_dashboard".into(),
        amount: StatedAmount::Exact(usd(PART)),
        reach: Reach::Delta,
        requested: Box::default(),
    };
    let stated = Update {
        reference: Some(reference.clone()),
        payment_id: format!("pay_{reference}").into(),
        refund: Some(statement),
        ..update("e_dashboard", ProviderStatus::Refunded)
    };
    env.notice(Some(1), vec![stated]).await.unwrap();
    assert_eq!(env.trading.balance(), AMOUNT - 2 * PART, "both are taken until ours is known");
    // The dashboard's may have failed since, and the total be of ours.
    states_total(&env, PART);
    env.run_for(DAY).await;
    assert_eq!((calls(&env), is_open(&env), env.trading.balance()), (1, true, AMOUNT - 2 * PART));
    assert_eq!((env.status(ID), env.aggregate(ID).transaction.reason.code), (9, ReasonCode::ProviderReview));
    env.decide(ID, PersonFact::Resolved { minor: AMOUNT - PART }).await;
    env.run_for(DAY).await;
    assert_eq!((env.status(ID), is_open(&env), env.trading.balance()), (3, false, AMOUNT - PART));
}

#[tokio::test(start_paused = true)]
async fn a_lost_refund_beside_one_that_fails_later_is_not_posted_back_by_the_total_of_one() {
    let env = credited().await;
    env.provider.window_seconds.store(0, Ordering::SeqCst);
    assert_eq!(request(&env).await, Ok(3));
    let first = lock(&env.provider.refunds)[0].clone();
    lock(&env.provider.next_refunds).push_back(OnRefund::AnswerLost);
    assert_eq!(request(&env).await, Ok(3));
    assert_eq!(lock(&env.provider.refunded).len(), 2, "the provider made both");
    // The first failed since, and its webhook is late: the total is of the second.
    states_total(&env, PART);
    env.run_for(3_000).await;
    assert_eq!((env.status(ID), is_open(&env), env.trading.balance()), (3, true, AMOUNT - 2 * PART));
    env.run_for(DAY).await;
    assert_eq!((env.status(ID), is_open(&env), env.trading.balance()), (9, true, AMOUNT - 2 * PART));
    let reason = env.aggregate(ID).transaction.reason;
    assert_eq!(reason.code, ReasonCode::ProviderReview);
    assert!(reason.detail.starts_with("refund 2 of 30.0 USD was sent"), "{reason}");
    env.notice(Some(1), vec![stated_refund(&first, 1, ProviderStatus::RefundFailed)]).await.unwrap();
    env.run_for(DAY).await;
    assert_eq!((env.status(ID), env.trading.balance()), (9, AMOUNT - PART), "the customer has the second");
}
