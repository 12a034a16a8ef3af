//! "Planned" means "may have been sent": whatever changes between a posting and its record, what is recorded is what the
//! trading server says, and a person's retry never pays twice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::facts::PersonFact;
use cashier_core::ids::{ManagerId, Reference, TransactionId};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::reason::ReasonCode;
use cashier_core::session::Actor;
use cashier_core::status::{OperationStatus, ProviderStatus, TransactionStatus};

use crate::test_cashier::{AMOUNT, LOGIN, OnPost, TestCashier, lock, paid, update, usd};

async fn pending(env: &TestCashier) -> (TransactionId, Reference) {
    let transaction = env.deposit("k").await.unwrap().transaction;
    (transaction.id, transaction.reference)
}

fn forget(env: &TestCashier) {
    lock(&env.trading.forgotten).insert(LOGIN);
}

fn remember(env: &TestCashier) {
    lock(&env.trading.forgotten).clear();
}

/// The newest operation: its status and the reason of a refusal.
fn newest(env: &TestCashier, id: TransactionId) -> (OperationStatus, String) {
    let known = env.aggregate(id).operations.pop().unwrap();
    (known.status, known.failure_reason.into())
}

fn refund(reference: &Reference, minor: i64) -> Update {
    let refund = RefundStatement {
        id: "re_1".into(),
        amount: StatedAmount::Exact(usd(minor)),
        reach: Reach::Delta,
        requested: Box::default(),
    };
    Update { reference: Some(reference.clone()), refund: Some(refund), ..update("refunded", ProviderStatus::Refunded) }
}

fn dispute(reference: &Reference, id: &str, minor: i64) -> Update {
    let dispute = DisputeStatement { id: id.into(), amount: Some(StatedAmount::Exact(usd(minor))) };
    let opened = update(&format!("{id} opened"), ProviderStatus::Chargeback);
    Update { reference: Some(reference.clone()), dispute: Some(dispute), ..opened }
}

fn dispute_won(reference: &Reference, id: &str) -> Update {
    let dispute = DisputeStatement { id: id.into(), amount: None };
    let won = update(&format!("{id} won"), ProviderStatus::ChargebackReversed);
    Update { reference: Some(reference.clone()), dispute: Some(dispute), ..won }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    AccountForgotten,
    LookupsFail,
    GroupTurnedReal,
    SandboxPermissionWithdrawn,
    Held,
    Rejected,
}

impl Meanwhile {
    const ALL: [Self; 6] = [
        Self::AccountForgotten,
        Self::LookupsFail,
        Self::GroupTurnedReal,
        Self::SandboxPermissionWithdrawn,
        Self::Held,
        Self::Rejected,
    ];

    async fn happens(self, env: &TestCashier, id: TransactionId) {
        match self {
            Self::AccountForgotten => forget(env),
            Self::LookupsFail => env.trading.lookups_fail.store(true, Ordering::SeqCst),
            Self::GroupTurnedReal => env.trading.demo.store(false, Ordering::SeqCst),
            Self::SandboxPermissionWithdrawn => lock(&env.trading.allow_sandbox_credit).clear(),
            Self::Held => env.decide(id, PersonFact::Held(TransactionStatus::ManualReview)).await,
            Self::Rejected => env.decide(id, PersonFact::Rejected).await,
        }
    }

    /// A sandbox deposit on an account that may receive it.
    async fn env(self) -> TestCashier {
        let mut env = TestCashier::sandbox().await;
        if self == Self::SandboxPermissionWithdrawn {
            env.trading.demo.store(false, Ordering::SeqCst);
            lock(&env.trading.allow_sandbox_credit).push("ion4".into());
            env.crash().await;
        }
        env
    }
}

#[tokio::test(start_paused = true)]
async fn m15_a_posting_made_before_a_crash_is_recorded_as_posted_whatever_changed_meanwhile() {
    for meanwhile in Meanwhile::ALL {
        let mut env = meanwhile.env().await;
        let (id, reference) = pending(&env).await;
        lock(&env.trading.next_posts).push_back(OnPost::AnswerLost);
        let request = tokio::spawn(env.notice(Some(1), vec![paid("e1", &reference)]));
        env.run_for(1).await;
        assert_eq!(newest(&env, id).0, OperationStatus::Planned, "{meanwhile:?}: posted and not recorded");
        meanwhile.happens(&env, id).await;
        env.crash().await;
        request.abort();
        env.run_for(300).await;
        assert_eq!(newest(&env, id).0, OperationStatus::Posted, "{meanwhile:?}");
        assert_eq!(env.trading.balance(), AMOUNT, "{meanwhile:?}");
        let expected = if matches!(meanwhile, Meanwhile::Held | Meanwhile::Rejected) { 9 } else { 3 };
        assert_eq!(env.status(id), expected, "{meanwhile:?}");
        env.decide(id, PersonFact::Retried).await;
        env.run_for(60).await;
        assert_eq!(env.trading.balance(), AMOUNT, "{meanwhile:?}: a retry pays nothing more");
    }
}

#[tokio::test(start_paused = true)]
async fn m15_a_reversal_posted_before_a_crash_is_recorded_as_posted_although_the_account_is_gone() {
    for meanwhile in [Meanwhile::AccountForgotten, Meanwhile::LookupsFail, Meanwhile::Held] {
        let mut env = meanwhile.env().await;
        let (id, reference) = pending(&env).await;
        env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        env.run_for(5).await;
        lock(&env.trading.next_posts).push_back(OnPost::AnswerLost);
        let request = tokio::spawn(env.notice(Some(1), vec![refund(&reference, AMOUNT)]));
        env.run_for(1).await;
        meanwhile.happens(&env, id).await;
        env.crash().await;
        request.abort();
        env.run_for(300).await;
        assert_eq!((newest(&env, id).0, env.trading.balance()), (OperationStatus::Posted, 0), "{meanwhile:?}");
        env.decide(id, PersonFact::Retried).await;
        env.run_for(60).await;
        assert_eq!((env.trading.balance(), env.aggregate(id).operations.len()), (0, 2), "{meanwhile:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn m15_an_account_that_is_gone_before_anything_was_posted_is_a_refusal_that_no_late_posting_undoes() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).push_back(OnPost::ArrivesLate(100));
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    forget(&env);
    env.run_for(30).await;
    assert_eq!((env.status(id), newest(&env, id).1.as_str()), (4, "ACCOUNT_NOT_FOUND"));
    remember(&env);
    env.decide(id, PersonFact::Retried).await;
    env.run_for(200).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT), "the late posting of the voided key is refused");
}

#[tokio::test(start_paused = true)]
async fn m15_nothing_is_recorded_while_the_trading_server_cannot_be_asked() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).push_back(OnPost::ArrivesLate(100));
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    forget(&env);
    env.trading.voids_fail.store(true, Ordering::SeqCst);
    env.run_for(60).await;
    assert_eq!((env.status(id), newest(&env, id).0), (2, OperationStatus::Unknown));
    env.run_for(200).await;
    // The posting arrived, and its answer is found by its key.
    assert_eq!((env.status(id), newest(&env, id).1.as_str(), env.trading.balance()), (4, "ACCOUNT_NOT_FOUND", 0));
}

const TROUBLES: [OnPost; 4] = [OnPost::NeverArrives, OnPost::Slow(90), OnPost::ArrivesLate(90), OnPost::AnswerLost];

#[tokio::test(start_paused = true)]
async fn m29_a_credit_that_was_slow_while_reversals_came_is_right_once_the_dispute_is_won() {
    for trouble in TROUBLES {
        let env = TestCashier::new().await;
        let (id, reference) = pending(&env).await;
        lock(&env.trading.next_posts).push_back(trouble);
        env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        env.notice(Some(1), vec![refund(&reference, 1_600)]).await.unwrap();
        env.notice(Some(1), vec![dispute(&reference, "dp_1", AMOUNT)]).await.unwrap();
        env.run_for(120).await;
        env.notice(Some(1), vec![dispute_won(&reference, "dp_1")]).await.unwrap();
        env.run_for(120).await;
        assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT - 1_600), "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn m30_a_reversal_that_was_slow_while_a_dispute_was_won_leaves_what_is_owed() {
    for trouble in TROUBLES {
        let env = TestCashier::new().await;
        let (id, reference) = pending(&env).await;
        env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        env.run_for(5).await;
        lock(&env.trading.next_posts).push_back(trouble);
        env.notice(Some(1), vec![dispute(&reference, "dp_1", AMOUNT)]).await.unwrap();
        env.notice(Some(1), vec![dispute(&reference, "dp_2", 2_000)]).await.unwrap();
        env.run_for(10).await;
        env.notice(Some(1), vec![dispute_won(&reference, "dp_1")]).await.unwrap();
        env.run_for(240).await;
        assert_eq!((env.status(id), env.trading.balance()), (8, AMOUNT - 2_000), "{trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn m29_a_posting_withheld_by_a_person_is_planned_again_once_they_let_money_move_and_its_first_key_is_dead() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).push_back(OnPost::ArrivesLate(100));
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.decide(id, PersonFact::Held(TransactionStatus::ManualReview)).await;
    env.run_for(30).await;
    assert_eq!(newest(&env, id), (OperationStatus::Refused, "WITHHELD".into()));
    env.decide(id, PersonFact::Released).await;
    env.decide(id, PersonFact::Approved).await;
    env.run_for(200).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
    assert_eq!(env.aggregate(id).operations.len(), 2, "planned again under another key");
}

#[tokio::test(start_paused = true)]
async fn m15_a_server_that_can_neither_key_nor_void_leaves_the_decision_to_a_person_after_a_minute() {
    let env = TestCashier::new().await;
    env.trading.unkeyed.store(true, Ordering::SeqCst);
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).push_back(OnPost::NeverArrives);
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    forget(&env);
    env.run_for(300).await;
    assert_eq!(newest(&env, id).0, OperationStatus::Unknown, "no local refusal over a posting that may be in flight");
    remember(&env);
    let absent = async |closed_seconds| {
        let stamp = env.cashier.stamp(Actor::Manager(ManagerId(3)), "test");
        let decided = env.cashier.ledger.decide(&stamp, |draft| {
            let (known, at) = (draft.aggregate(id).unwrap(), draft.context());
            let operation = known.operations.last().unwrap().id;
            draft.add(known.confirm_absent(operation, closed_seconds, ManagerId(3), at));
        });
        decided.unwrap().durable().await.unwrap();
        env.run_for(60).await;
        (env.aggregate(id).operations.len(), env.trading.balance())
    };
    assert_eq!(absent(None).await, (1, 0), "the connection is open");
    assert_eq!(absent(Some(59)).await, (1, 0), "it was closed less than a minute ago");
    assert_eq!(absent(Some(60)).await, (2, AMOUNT), "planned anew and posted once");
    assert_eq!(env.status(id), 3);
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_certainly_did_not_leave_is_sent_later_by_itself_also_to_a_server_that_cannot_key() {
    for unkeyed in [false, true] {
        let mut env = TestCashier::new().await;
        env.trading.unkeyed.store(unkeyed, Ordering::SeqCst);
        let (id, reference) = pending(&env).await;
        lock(&env.trading.next_posts).extend([OnPost::NotSent, OnPost::NotSent]);
        env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
        assert_eq!(newest(&env, id), (OperationStatus::Planned, "".into()), "unkeyed {unkeyed}");
        env.crash().await;
        env.run_for(300).await;
        assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT), "unkeyed {unkeyed}");
        assert_eq!(env.aggregate(id).operations.len(), 1, "unkeyed {unkeyed}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_may_have_been_sent_before_stays_so_when_it_is_not_sent_again() {
    let env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).extend([OnPost::NeverArrives, OnPost::NotSent]);
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.run_for(6).await;
    assert_eq!(newest(&env, id).0, OperationStatus::Unknown);
    env.run_for(300).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn the_request_that_is_recorded_first_is_the_only_one_that_is_approved_whatever_crashes() {
    let mut env = TestCashier::new().await;
    env.trading.in_two_phases.store(true, Ordering::SeqCst);
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).extend([OnPost::Accept, OnPost::NeverArrives, OnPost::NeverArrives]);
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    assert_eq!(env.aggregate(id).operations[0].request_order, 500, "on disk before it is approved");
    env.crash().await;
    env.run_for(300).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
    let approved = lock(&env.trading.approved).clone();
    assert!(approved.len() > 1 && approved.iter().all(|request| *request == 500), "{approved:?}");
}

#[tokio::test(start_paused = true)]
async fn the_account_of_a_request_that_is_held_is_left_to_the_server_that_approves_it() {
    let env = TestCashier::new().await;
    env.trading.in_two_phases.store(true, Ordering::SeqCst);
    let (id, reference) = pending(&env).await;
    let before = env.trading.lookups.load(Ordering::SeqCst);
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    assert_eq!((env.status(id), lock(&env.trading.approved).len()), (3, 1));
    assert_eq!(env.trading.lookups.load(Ordering::SeqCst) - before, 1, "before the request alone");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_found_and_not_wanted_any_more_is_left_to_a_person() {
    let env = TestCashier::new().await;
    env.trading.in_two_phases.store(true, Ordering::SeqCst);
    env.trading.hides_requests.store(true, Ordering::SeqCst);
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).extend([OnPost::Accept, OnPost::NotSent]);
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    assert_eq!((newest(&env, id).0, env.aggregate(id).operations[0].request_order), (OperationStatus::Planned, 500));
    Meanwhile::Held.happens(&env, id).await;
    env.run_for(300).await;
    assert_eq!(newest(&env, id).0, OperationStatus::Unknown, "who may say that it is absent");
    assert_eq!(env.trading.balance(), 0);
}

/// A history of one deposit: postings in flight, local refusals, retries, crashes; every second one is refunded in between.
/// At no moment is more than one credit posted, or more taken back than was credited.
async fn random_history(seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let mut env = TestCashier::sandbox().await;
    let (id, reference) = pending(&env).await;
    let mut requests = tokio::task::JoinSet::new();
    requests.spawn(env.notice(Some(1), vec![paid("e1", &reference)]));
    let refunded = seed.is_multiple_of(2);
    let refund_at = below(24);
    for step in 0..24 {
        if refunded && step == refund_at {
            requests.spawn(env.notice(Some(1), vec![refund(&reference, AMOUNT)]));
        }
        match below(12) {
            0 => forget(&env),
            1 => remember(&env),
            2 => env.trading.demo.store(below(2) == 0, Ordering::SeqCst),
            3 => env.trading.lookups_fail.store(below(2) == 0, Ordering::SeqCst),
            4 => env.trading.voids_fail.store(below(2) == 0, Ordering::SeqCst),
            5 => env.decide(id, PersonFact::Held(TransactionStatus::ManualReview)).await,
            6 => env.decide(id, PersonFact::Retried).await,
            7 => {
                env.decide(id, PersonFact::Released).await;
                env.decide(id, PersonFact::Retried).await;
            }
            8 => env.crash().await,
            _ => lock(&env.trading.next_posts).push_back(
                [OnPost::AnswerLost, OnPost::NeverArrives, OnPost::ArrivesLate(40), OnPost::Slow(9)][below(4) as usize],
            ),
        }
        tokio::time::sleep(Duration::from_millis(below(20_000))).await;
        let credited = env.trading.credited(id);
        assert!(credited == 0 || credited == AMOUNT, "seed {seed}, step {step}: {credited} credited");
    }
    lock(&env.trading.next_posts).clear();
    remember(&env);
    env.trading.demo.store(true, Ordering::SeqCst);
    env.trading.lookups_fail.store(false, Ordering::SeqCst);
    env.trading.voids_fail.store(false, Ordering::SeqCst);
    env.run_for(300).await;
    let mut notices = vec![paid("e1", &reference)];
    notices.extend(refunded.then(|| refund(&reference, AMOUNT)));
    env.notice(Some(1), notices).await.unwrap();
    env.decide(id, PersonFact::Released).await;
    // The credit may be refused once and the reversal once.
    for _ in 0..2 {
        env.decide(id, PersonFact::Retried).await;
        env.run_for(300).await;
    }
    let expected = if refunded { (7, 0) } else { (3, AMOUNT) };
    assert_eq!((env.status(id), env.trading.credited(id)), expected, "seed {seed}");
    assert_eq!(env.unsettled_operations(id), 0, "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn m15_in_random_histories_of_refusals_and_retries_a_deposit_is_credited_exactly_once() {
    // Any number by hand: POSTING_HISTORIES=1000.
    let histories = std::env::var("POSTING_HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(60);
    for seed in 1..=histories {
        random_history(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_withheld_before_the_rules_changed_is_planned_again_after_a_start() {
    let mut env = TestCashier::new().await;
    let (id, reference) = pending(&env).await;
    lock(&env.trading.next_posts).push_back(OnPost::NeverArrives);
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    // A rule of an earlier version refused it: nothing else will be recorded about this payment.
    let stamp = env.cashier.stamp(Actor::System, "test");
    let withheld = env.cashier.ledger.decide(&stamp, |draft| {
        let known = draft.aggregate(id).unwrap();
        let mut operation = known.operations[0].clone();
        operation.status = OperationStatus::Refused;
        operation.failure_reason = ReasonCode::Withheld.name().into();
        draft.add(vec![cashier_core::change::Change::Operation(Box::new(operation))]);
    });
    withheld.unwrap().durable().await.unwrap();
    env.crash().await;
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}
