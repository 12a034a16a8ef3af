//! Refunds by a manager in every order of answers, webhooks, crashes and lost answers: the provider makes each at most once,
//! and what is posted is what is owed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cashier_core::edit::ConfigEdit;
use cashier_core::facts::{PersonFact, RefundPhase};
use cashier_core::ids::{ConfigId, ManagerId, TransactionId};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::provider_config::Secret;
use cashier_core::reason::ReasonCode;
use cashier_core::refund::ManagerRefundRequest;
use cashier_core::refusal::Refusal;
use cashier_core::session::{ManagerSession, Role};
use cashier_core::status::ProviderStatus;

use super::config_edits::{first, save};
use crate::flows::{ManagerAct, refund};
use crate::ports::{EndedCalls, QueryAnswer};
use crate::test_cashier::{AMOUNT, OnPost, OnRefund, TestCashier, context, lock, paid, stated_refund, update, usd};

pub(super) const ID: TransactionId = TransactionId(1);
pub(super) const PART: i64 = 3_000;
pub(super) const DAY: u64 = 86_400;

/// A cashier whose only transaction is credited.
pub(super) async fn credited() -> TestCashier {
    let env = TestCashier::new().await;
    env.deposit("k").await.unwrap();
    let reference = env.aggregate(ID).transaction.reference;
    env.notice(Some(1), vec![paid("e_paid", &reference)]).await.unwrap();
    assert_eq!((env.status(ID), env.trading.balance()), (3, AMOUNT));
    env
}

/// A manager refunds a part.
pub(super) fn request(env: &TestCashier) -> impl Future<Output = Result<u8, Refusal>> + Send + 'static {
    let session = ManagerSession::assertion(ManagerId(7), Role::Manager, None);
    let act = ManagerAct {
        session,
        command: "MngRefundCashierTransaction",
        context: context(),
        approval: None,
        ground: None,
    };
    let request =
        ManagerRefundRequest { amount: Some("30".into()), reason: "goodwill".into(), idempotency_key: Box::default() };
    let cashier = Arc::clone(&env.cashier);
    async move {
        match refund::refund(&cashier, &act, ID, request).await? {
            refund::RefundOutcome::Made(known) => Ok(known.transaction.status.number()),
            refund::RefundOutcome::Waits { amount, .. } => panic!("{amount} waits for a second person"),
        }
    }
}

/// The same, and the answer is not waited for longer than this.
pub(super) async fn requested_for(env: &TestCashier, seconds: u64) {
    let asked = tokio::spawn(request(env));
    env.run_for(seconds).await;
    asked.abort();
}

pub(super) fn calls(env: &TestCashier) -> usize {
    let calls = lock(&env.provider.refunds);
    assert!(calls.iter().all(|call| call.refund == calls[0].refund), "every call is the same: {calls:?}");
    assert!(calls.iter().all(|call| call.payment.idempotency_key == call.refund.id), "under the refund's own key");
    calls.len()
}

/// Calls, refunds that the provider made, and the balance.
pub(super) fn sums(env: &TestCashier) -> (usize, usize, i64) {
    (calls(env), lock(&env.provider.refunded).len(), env.trading.balance())
}

pub(super) fn is_open(env: &TestCashier) -> bool {
    env.aggregate(ID).transaction.facts.open_refund().is_some()
}

/// The notice about the refund that was called last.
pub(super) async fn notice(env: &TestCashier, status: ProviderStatus) {
    let call = lock(&env.provider.refunds).last().unwrap().clone();
    env.notice(Some(1), vec![stated_refund(&call, 1, status)]).await.unwrap();
}

/// The provider answers queries with this total.
pub(super) fn states_total(env: &TestCashier, minor: i64) {
    let reference = env.aggregate(ID).transaction.reference;
    let refund = RefundStatement {
        id: Box::default(),
        amount: StatedAmount::Exact(usd(minor)),
        reach: Reach::TotalSoFar,
        requested: Box::default(),
    };
    let answer = Update { refund: Some(refund), ..paid("", &reference) };
    env.on_query(&reference, QueryAnswer::Stated(Box::new(answer)));
}

#[tokio::test(start_paused = true)]
async fn a_refund_whose_answer_is_lost_is_repeated_under_its_key_and_made_once() {
    for lost in [OnRefund::AnswerLost, OnRefund::Lost] {
        let env = credited().await;
        lock(&env.provider.next_refunds).extend([lost.clone(), OnRefund::Lost]);
        assert_eq!(request(&env).await, Ok(3), "under way");
        assert!(is_open(&env));
        env.run_for(600).await;
        assert_eq!((sums(&env), is_open(&env)), ((3, 1, AMOUNT - PART), false), "{lost:?}");
        env.run_for(DAY).await;
        assert_eq!(sums(&env), (3, 1, AMOUNT - PART));
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_window_a_lost_refund_is_queried_and_never_sent_again() {
    for (lost, total, balance) in [(OnRefund::AnswerLost, PART, AMOUNT - PART), (OnRefund::Lost, 0, AMOUNT)] {
        let env = credited().await;
        env.provider.window_seconds.store(0, Ordering::SeqCst);
        lock(&env.provider.next_refunds).push_back(lost.clone());
        assert_eq!(request(&env).await, Ok(3));
        env.run_for(1_800).await;
        assert_eq!((is_open(&env), env.trading.balance()), (true, AMOUNT - PART), "unknown is not posted back");
        states_total(&env, total);
        env.run_for(1_200).await;
        let early = is_open(&env);
        assert_eq!(early, total == 0, "absence is proven an hour after the call: {lost:?}");
        env.run_for(DAY).await;
        assert_eq!((calls(&env), is_open(&env), env.trading.balance()), (1, false, balance), "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_the_debit_and_one_before_the_call_leave_one_refund() {
    let mut env = credited().await;
    // The debit is on its way when the process ends.
    lock(&env.trading.next_posts).push_back(OnPost::ArrivesLate(3));
    requested_for(&env, 1).await;
    env.crash().await;
    assert_eq!(calls(&env), 0);
    // The module is not loaded when the debit is found: the call waits.
    lock(&env.provider.not_loaded).push(ConfigId(1));
    env.crash().await;
    env.run_for(300).await;
    assert_eq!(sums(&env), (0, 0, AMOUNT - PART));
    let facts = env.aggregate(ID).transaction.facts;
    assert_eq!(facts.open_refund().unwrap().phase, RefundPhase::Requested);
    lock(&env.provider.not_loaded).clear();
    env.crash().await;
    env.run_for(300).await;
    assert_eq!((sums(&env), is_open(&env)), ((1, 1, AMOUNT - PART), false));
}

#[tokio::test(start_paused = true)]
async fn a_crash_during_the_call_repeats_it_and_one_after_its_record_does_not() {
    let mut env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Slow(10));
    requested_for(&env, 2).await;
    assert_eq!(sums(&env), (1, 1, AMOUNT - PART));
    env.crash().await;
    env.run_for(60).await;
    assert_eq!((sums(&env), is_open(&env)), ((2, 1, AMOUNT - PART), false));
    env.crash().await;
    env.run_for(DAY).await;
    assert_eq!(sums(&env), (2, 1, AMOUNT - PART));
}

#[tokio::test(start_paused = true)]
async fn a_refund_call_that_ended_the_process_is_never_repeated() {
    let mut env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Slow(10));
    requested_for(&env, 2).await;
    env.power_off().await;
    let id = lock(&env.provider.refunds)[0].refund.id.clone();
    lock(&env.provider.ended_calls).refunds.extend([(ID, id), (ID, "other-refund-1".into())]);
    env.power_on().await;
    env.run_for(600).await;
    assert_eq!((sums(&env), is_open(&env)), ((1, 1, AMOUNT - PART), true), "inside the window");
    *lock(&env.provider.ended_calls) = EndedCalls::default();
    env.crash().await;
    states_total(&env, PART);
    env.run_for(DAY).await;
    assert_eq!((sums(&env), is_open(&env)), ((1, 1, AMOUNT - PART), false));
}

#[tokio::test(start_paused = true)]
async fn the_webhook_and_the_answer_are_one_refund_in_any_order() {
    // Before the answer.
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Slow(5));
    let asked = tokio::spawn(request(&env));
    env.run_for(2).await;
    notice(&env, ProviderStatus::Refunded).await;
    assert_eq!((is_open(&env), env.trading.balance()), (false, AMOUNT - PART));
    assert_eq!(asked.await.unwrap(), Ok(3));
    assert_eq!(sums(&env), (1, 1, AMOUNT - PART));
    // After it, and again.
    notice(&env, ProviderStatus::Refunded).await;
    env.run_for(DAY).await;
    assert_eq!(sums(&env), (1, 1, AMOUNT - PART));
    // Instead of it: the call is not made again.
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::AnswerLost);
    assert_eq!(request(&env).await, Ok(3));
    notice(&env, ProviderStatus::Refunded).await;
    env.run_for(DAY).await;
    assert_eq!((sums(&env), is_open(&env)), ((1, 1, AMOUNT - PART), false));
    // The provider made it although it declined the call.
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Decline);
    assert!(request(&env).await.is_err());
    assert_eq!(env.trading.balance(), AMOUNT);
    notice(&env, ProviderStatus::Refunded).await;
    env.run_for(60).await;
    assert_eq!((calls(&env), env.trading.balance()), (1, AMOUNT - PART));
}

#[tokio::test(start_paused = true)]
async fn an_accepted_refund_blocks_no_other_and_ends_by_a_webhook_or_a_total() {
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Accepted);
    assert_eq!(request(&env).await, Ok(3));
    let reason = env.aggregate(ID).transaction.reason.to_string();
    let accepted = "refund 1 of 30.0 USD was accepted by the provider, which has not reported its end";
    assert_eq!(reason, format!("REFUND_PENDING: {accepted}"));
    notice(&env, ProviderStatus::Refunded).await;
    assert_eq!(env.aggregate(ID).transaction.reason.to_string(), "PARTLY_REFUNDED");
    assert_eq!(sums(&env), (1, 1, AMOUNT - PART));
    // Every webhook is lost.
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Accepted);
    assert_eq!(request(&env).await, Ok(3));
    states_total(&env, PART);
    env.run_for(300).await;
    assert_eq!(env.aggregate(ID).transaction.reason.to_string(), "PARTLY_REFUNDED");
    assert_eq!(sums(&env), (1, 1, AMOUNT - PART));
    // It fails days later.
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Accepted);
    assert_eq!(request(&env).await, Ok(3));
    notice(&env, ProviderStatus::RefundFailed).await;
    env.run_for(60).await;
    assert_eq!((env.status(ID), env.trading.balance()), (9, AMOUNT), "the account has the money again");
}

#[tokio::test(start_paused = true)]
async fn a_refund_requested_while_an_accepted_one_is_queried_is_sent_once_that_query_ended() {
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::Accepted);
    assert_eq!(request(&env).await, Ok(3));
    states_total(&env, 0);
    // By then the pauses between queries are long.
    env.run_for(1_200).await;
    lock(&env.provider.unreachable).push(ConfigId(1));
    let before = env.provider.queries.load(Ordering::SeqCst);
    for _ in 0..DAY {
        if env.provider.queries.load(Ordering::SeqCst) > before {
            break;
        }
        env.run_for(1).await;
    }
    assert_eq!(env.provider.queries.load(Ordering::SeqCst), before + 1, "a query is under way");
    assert_eq!(request(&env).await, Ok(3));
    let sent: Vec<_> = lock(&env.provider.refunds).iter().map(|call| call.refund.id.to_string()).collect();
    let reference = env.aggregate(ID).transaction.reference;
    assert_eq!(sent, [format!("{reference}-refund-1"), format!("{reference}-refund-2")]);
    assert_eq!(env.trading.balance(), AMOUNT - 2 * PART);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_states_nothing_of_refunds_does_not_prove_that_one_was_not_made() {
    for stated in [None, Some(0)] {
        let env = credited().await;
        lock(&env.provider.next_refunds).push_back(OnRefund::AnswerLost);
        env.provider.window_seconds.store(0, Ordering::SeqCst);
        let reference = env.aggregate(ID).transaction.reference;
        match stated {
            Some(minor) => states_total(&env, minor),
            None => env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference)))),
        }
        requested_for(&env, 2 * DAY).await;
        let known = env.aggregate(ID);
        let reason = known.transaction.reason.to_string();
        match stated {
            // It was made, and the module does not read refunds: a person looks at it, and the account has nothing back.
            None => assert_eq!((env.status(ID), env.trading.balance()), (9, AMOUNT - PART), "{reason}"),
            Some(_) => assert_eq!((env.status(ID), env.trading.balance()), (3, AMOUNT), "{reason}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_failed_ends_alike_whichever_says_so_first() {
    for webhook_first in [true, false] {
        let env = credited().await;
        lock(&env.provider.next_refunds).push_back(OnRefund::Failed);
        if webhook_first {
            lock(&env.provider.next_refunds).push_front(OnRefund::AnswerLost);
        }
        let answered = request(&env).await;
        assert_eq!(answered.is_err(), !webhook_first);
        notice(&env, ProviderStatus::RefundFailed).await;
        env.run_for(600).await;
        assert_eq!((calls(&env), is_open(&env)), (1, false), "webhook first: {webhook_first}");
        assert_eq!((env.status(ID), env.trading.balance()), (9, AMOUNT));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dispute_before_the_call_stops_the_refund() {
    let env = credited().await;
    lock(&env.trading.next_posts).push_back(OnPost::Slow(5));
    let asked = tokio::spawn(request(&env));
    env.run_for(1).await;
    let reference = env.aggregate(ID).transaction.reference;
    let dispute = |event: &str, status| Update {
        reference: Some(reference.clone()),
        payment_id: format!("pay_{reference}").into(),
        dispute: Some(DisputeStatement { id: "dp_1".into(), amount: None }),
        ..update(event, status)
    };
    let filed = tokio::spawn(env.notice(Some(1), vec![dispute("e_dp", ProviderStatus::Chargeback)]));
    env.run_for(60).await;
    filed.await.unwrap().unwrap();
    let refused = asked.await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("the transaction is at 8 chargeback"), "{refused}");
    assert_eq!((sums(&env), env.status(ID)), ((0, 0, 0), 8));
    env.notice(Some(1), vec![dispute("e_won", ProviderStatus::ChargebackReversed)]).await.unwrap();
    env.run_for(60).await;
    assert_eq!((env.status(ID), env.trading.balance()), (3, AMOUNT));
    assert_eq!(request(&env).await, Ok(3));
    assert_eq!(sums(&env), (1, 1, AMOUNT - PART));
}

#[tokio::test(start_paused = true)]
async fn a_trading_server_that_does_not_answer_delays_the_call() {
    let env = credited().await;
    lock(&env.trading.next_posts).extend([OnPost::NeverArrives, OnPost::NeverArrives]);
    requested_for(&env, 30).await;
    env.run_for(300).await;
    assert_eq!((sums(&env), is_open(&env)), ((1, 1, AMOUNT - PART), false));
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_not_repeated_under_other_credentials() {
    let env = credited().await;
    lock(&env.provider.next_refunds).push_back(OnRefund::AnswerLost);
    assert_eq!(request(&env).await, Ok(3));
    let edit = ConfigEdit { secret_key: Some(Secret::new("CANARY-another")), ..first() };
    save(&env, edit).await.unwrap();
    env.run_for(3_600).await;
    assert_eq!((calls(&env), is_open(&env)), (1, true), "it is queried, and nothing states what was refunded");
    states_total(&env, PART);
    env.run_for(DAY).await;
    assert_eq!((sums(&env), is_open(&env)), ((1, 1, AMOUNT - PART), false));
}

#[tokio::test(start_paused = true)]
async fn a_lost_refund_that_nobody_can_be_asked_about_waits_for_a_person() {
    let env = credited().await;
    env.provider.window_seconds.store(0, Ordering::SeqCst);
    lock(&env.provider.next_refunds).push_back(OnRefund::AnswerLost);
    assert_eq!(request(&env).await, Ok(3));
    env.run_for(1_800).await;
    assert_eq!(env.status(ID), 3);
    env.run_for(DAY).await;
    assert_eq!((env.status(ID), env.trading.balance(), is_open(&env)), (9, AMOUNT - PART, true));
    let reason = env.aggregate(ID).transaction.reason;
    assert_eq!(reason.code, ReasonCode::ProviderReview);
    assert!(reason.detail.starts_with("refund 1 of 30.0 USD was sent"), "{reason}");
    env.decide(ID, PersonFact::Resolved { minor: AMOUNT - PART }).await;
    assert_eq!((env.status(ID), is_open(&env)), (3, false));
    // What is stated afterwards, the person had counted.
    notice(&env, ProviderStatus::Refunded).await;
    env.run_for(DAY).await;
    assert_eq!((calls(&env), env.trading.balance()), (1, AMOUNT - PART));
}
