//! A person's decision against what the provider states before it, in its commit and after it.

use cashier_core::duty::{self, WaitsFor, WorkKind};
use cashier_core::facts::{Facts, PersonFact, ProviderFact, ReviewHold};
use cashier_core::ids::{ManagerId, OperationId, Seq};
use cashier_core::operation::PostingOutcome;
use cashier_core::reason::ReasonCode as R;
use cashier_core::standing::{Nature, Posted, Standing, derive};
use cashier_core::status::TransactionStatus as S;

use crate::samples::*;

/// Each fact with the number of its commit.
fn facts(provider: &[(u64, ProviderFact)], persons: &[(u64, PersonFact)]) -> Facts {
    let mut all = Facts::default();
    for (seq, fact) in provider {
        all.record(Seq(*seq), NOW.plus(*seq as i64), fact.clone());
    }
    for (seq, fact) in persons {
        all.record_person(Seq(*seq), NOW.plus(*seq as i64), fact.clone());
    }
    all
}

fn deposited(facts: &Facts, posted_minor: i64) -> Standing {
    derive(Nature::ProviderDeposit, usd(10_000), facts, Posted { minor: posted_minor, ..Posted::default() })
}

fn confirmed(payment: &str) -> ProviderFact {
    ProviderFact::Confirmed { payment: payment.into(), minor: 10_000 }
}

fn refund(id: &str, minor: i64) -> ProviderFact {
    ProviderFact::Refund { id: id.into(), payment: "".into(), minor }
}

fn refund_of(payment: &str, minor: i64) -> ProviderFact {
    ProviderFact::Refund { id: "re_1".into(), payment: payment.into(), minor }
}

fn chargeback(id: &str) -> ProviderFact {
    ProviderFact::Chargeback { id: id.into(), payment: "".into(), minor: 4_000 }
}

fn reversed(id: &str) -> ProviderFact {
    ProviderFact::ChargebackReversed { id: id.into(), payment: "".into() }
}

/// What waits for a person of an order of 100.00 with these facts, of which all or nothing is posted.
fn work(provider: &[(u64, ProviderFact)], persons: &[(u64, PersonFact)], is_posted: bool) -> Vec<WorkKind> {
    let mut known = aggregate(deposit(15));
    if is_posted {
        known.transaction.facts = facts(&[(1, confirmed("pi_1"))], &[]);
        known = applied(&known, &known.resume(at(1)));
        let posted = PostingOutcome::posted(1);
        known = applied(&known, &known.end_posting(OperationId(1), &posted, ManagerId(3), at(2)));
    }
    known.transaction.facts = facts(provider, persons);
    known.transaction.status = known.standing().status;
    let kinds = duty::of_transaction(&known, NOW).into_iter().map(|item| item.kind);
    kinds.filter(|kind| kind.waits_for() == WaitsFor::Person).collect()
}

#[test]
fn no_status_that_a_person_wrote_hides_money_that_is_owed() {
    let paid = || (1, confirmed("pi_1"));
    let declined = [(1, ProviderFact::Declined { reason: "no".into() })];
    for written in S::ALL {
        let held = [(3, PersonFact::Held(*written))];
        let expected: &[WorkKind] = match written {
            S::ManualReview => &[WorkKind::Review],
            // It was settled outside.
            S::Credited => &[],
            _ => &[WorkKind::PostingStopped],
        };
        assert_eq!(work(&[paid()], &held, false), expected, "{written:?}");
        let released = [held[0].clone(), (4, PersonFact::Released)];
        assert_eq!(work(&[paid()], &released, false), [WorkKind::PostingReleased], "{written:?} was released");
        // Held before the payment was stated, then written again: no operation was ever planned.
        let again = [(0, PersonFact::Held(S::Credited)), held[0].clone()];
        assert_eq!(work(&[paid()], &again, false), expected, "{written:?} after a 3");
        let is_final = !written.is_unpaid() && *written != S::ManualReview;
        assert!(!is_final || work(&declined, &held, false).is_empty(), "{written:?}: nothing is owed");
    }
}

#[test]
fn what_is_posted_beyond_a_refund_is_listed_under_a_written_3() {
    let held = [(3, PersonFact::Held(S::Credited))];
    assert_eq!(work(&[(1, confirmed("pi_1"))], &held, true), []);
    assert_eq!(work(&[(1, confirmed("pi_1")), (4, refund("re_1", 4_000))], &held, true), [WorkKind::PostingStopped]);
}

#[test]
fn what_is_owed_again_beside_a_written_3_is_reviewed() {
    let held = |seq| (seq, PersonFact::Held(S::Credited));
    let requested = PersonFact::RefundRequested { id: "own".into(), payment: "".into(), minor: 3_000 };
    let refused = PersonFact::RefundRefused { id: "own".into() };
    let failed = ProviderFact::RefundFailed { id: "re_1".into(), payment: "".into(), minor: 3_000 };
    let paid = (1, confirmed("pi_1"));
    type Row = (&'static str, Vec<(u64, ProviderFact)>, Vec<(u64, PersonFact)>, i64, (S, R));
    let outside = (S::Credited, R::None);
    let again = (S::ManualReview, R::HeldButHeard);
    let table: [Row; 7] = [
        (
            "a refund of ours, refused",
            vec![paid.clone()],
            vec![(2, requested.clone()), held(3), (4, refused.clone())],
            7_000,
            again,
        ),
        (
            "asked for later",
            vec![paid.clone()],
            vec![held(2), (3, requested.clone()), (4, refused.clone())],
            0,
            outside,
        ),
        (
            "refused, and nothing was debited",
            vec![paid.clone()],
            vec![(2, requested.clone()), held(3), (4, refused.clone())],
            10_000,
            (S::Credited, R::RefundRefused),
        ),
        (
            "a refund that failed",
            vec![paid.clone(), (2, refund("re_1", 3_000)), (4, failed)],
            vec![held(3)],
            7_000,
            again,
        ),
        (
            "a dispute that was won",
            vec![paid.clone(), (2, chargeback("dp_1")), (4, reversed("dp_1"))],
            vec![held(3)],
            0,
            again,
        ),
        (
            "written again since",
            vec![paid.clone(), (2, chargeback("dp_1")), (4, reversed("dp_1"))],
            vec![held(3), held(5)],
            0,
            outside,
        ),
        ("paid since", vec![(4, confirmed("pi_1"))], vec![held(3)], 0, outside),
    ];
    for (what, provider, persons, posted, expected) in table {
        let known = deposited(&facts(&provider, &persons), posted);
        assert_eq!((known.status, known.reason.code), expected, "{what}");
        assert!(!known.may_post, "{what}");
    }
}

#[test]
fn a_statement_in_the_commit_of_a_decision_is_no_news_and_one_after_it_is() {
    let resolved = |minor| PersonFact::Resolved { minor };
    let declined = ProviderFact::Declined { reason: "no".into() };
    let look = ProviderFact::ReviewHold(ReviewHold::Requested { status: "manual".into() });
    let failed = ProviderFact::RefundFailed { id: "re_1".into(), payment: "".into(), minor: 0 };
    let table = [
        (vec![], PersonFact::Held(S::Credited), declined, (S::Credited, R::None), R::HeldButHeard),
        (vec![], resolved(10_000), look, (S::Credited, R::None), R::ProviderReview),
        (vec![], resolved(0), confirmed("pi_1"), (S::Cancelled, R::Rejected), R::ConfirmedButRejected),
        (vec![confirmed("pi_1")], resolved(10_000), confirmed("pi_2"), (S::Credited, R::None), R::SecondPayment),
        (
            vec![confirmed("pi_1"), confirmed("pi_2")],
            resolved(10_000),
            refund_of("pi_1", 12_000),
            (S::Credited, R::None),
            R::BeyondConfirmed,
        ),
        (vec![confirmed("pi_1")], resolved(10_000), failed, (S::Credited, R::None), R::RefundFailed),
        (vec![confirmed("pi_1")], resolved(10_000), refund("re_1", 12_000), (S::Credited, R::None), R::BeyondConfirmed),
        (
            vec![confirmed("pi_1"), chargeback("dp_1")],
            resolved(10_000),
            reversed("dp_2"),
            (S::Credited, R::None),
            R::DisputeUnmatched,
        ),
    ];
    for (before, decision, statement, at_once, later) in table {
        let standing = |seq| {
            let before = before.iter().map(|fact| (1, fact.clone()));
            let provider: Vec<_> = before.chain([(seq, statement.clone())]).collect();
            deposited(&facts(&provider, &[(5, decision.clone())]), 10_000)
        };
        for seq in [4, 5] {
            let Standing { status, reason, .. } = standing(seq);
            assert_eq!(
                (status, reason.code),
                at_once,
                "{decision:?} in commit 5, {statement:?} in {seq}: {}",
                reason.detail
            );
        }
        let Standing { status, reason, .. } = standing(6);
        assert_eq!((status, reason.code), (S::ManualReview, later), "{decision:?}, then {statement:?}");
    }
}

#[test]
fn what_a_person_resolved_is_owed_whatever_was_requested_back_before_it() {
    let requested = |seq| (seq, PersonFact::RefundRequested { id: "own".into(), payment: "".into(), minor: 4_000 });
    let resolved = (5, PersonFact::Resolved { minor: 10_000 });
    for (seq, owed) in [(4, 10_000), (6, 6_000)] {
        let known = facts(&[(1, confirmed("pi_1"))], &[requested(seq), resolved.clone()]);
        assert_eq!(deposited(&known, 10_000).owed_minor, owed, "requested in commit {seq}, resolved in 5");
    }
}

#[test]
fn a_refund_of_the_second_payment_takes_back_what_was_paid_beyond_the_order_and_more_of_it_is_a_review() {
    let resolved = [(3, PersonFact::Resolved { minor: 10_000 })];
    for (minor, expected) in [(4_000, S::Credited), (10_000, S::Credited), (10_001, S::ManualReview)] {
        let stated = [(1, confirmed("pi_1")), (2, confirmed("pi_2")), (4, refund_of("pi_2", minor))];
        let now = deposited(&facts(&stated, &resolved), 10_000);
        assert_eq!((now.status, now.owed_minor), (expected, 10_000), "{minor}");
    }
}

#[test]
fn a_total_includes_the_refunds_that_were_requested_before_it_and_in_its_commit() {
    let total = ProviderFact::RefundedTotal { payment: "".into(), minor: 4_000 };
    for (requested, owed) in [(4, 6_000), (5, 6_000), (6, 2_000)] {
        let request = PersonFact::RefundRequested { id: "own".into(), payment: "".into(), minor: 4_000 };
        let known = facts(&[(1, confirmed("pi_1")), (5, total.clone())], &[(requested, request)]);
        assert_eq!(deposited(&known, 10_000).owed_minor, owed, "total in commit 5, requested in {requested}");
    }
}

#[test]
fn a_total_of_one_of_two_payments_includes_a_request_that_names_none_made_before_it_and_in_its_commit() {
    let total = ProviderFact::RefundedTotal { payment: "pi_1".into(), minor: 10_000 };
    for (requested, owed) in [(4, 10_000), (5, 10_000), (6, 6_000)] {
        let request = PersonFact::RefundRequested { id: "own".into(), payment: "".into(), minor: 4_000 };
        let paid = [(1, confirmed("pi_1")), (2, confirmed("pi_2"))];
        let known = facts(&[&paid[..], &[(5, total.clone())]].concat(), &[(requested, request)]);
        assert_eq!(deposited(&known, 10_000).owed_minor, owed, "total in commit 5, requested in {requested}");
    }
}

#[test]
fn an_order_that_a_person_closed_is_refunded_once_the_whole_of_it_went_back() {
    let closed = (5, PersonFact::Resolved { minor: 0 });
    for (minor, expected) in [(0, S::Cancelled), (3_000, S::Cancelled), (9_999, S::Cancelled), (10_000, S::Refunded)] {
        let known = facts(&[(6, refund("re_1", minor))], std::slice::from_ref(&closed));
        assert_eq!((deposited(&known, 0).status, deposited(&known, 0).owed_minor), (expected, 0), "{minor}");
    }
}

#[test]
fn a_waiting_reversal_is_no_work_of_its_own_beside_a_held_status_or_a_review_of_the_postings() {
    let waits = (1, PersonFact::ReversalsWait);
    let provider = [(2, confirmed("pi_1")), (6, refund("re_1", 4_000))];
    let known = |more: &[(u64, PersonFact)]| {
        let persons: Vec<_> = [waits.clone()].into_iter().chain(more.iter().cloned()).collect();
        facts(&provider, &persons)
    };
    let state = |standing: Standing| (standing.reason.code, standing.may_post, standing.reversal_waits);
    assert_eq!(state(deposited(&known(&[]), 10_000)), (R::ReversalWaits, false, true));
    let held = |seq, status| known(&[(seq, PersonFact::Held(status))]);
    assert_eq!(state(deposited(&held(7, S::Credited), 10_000)), (R::None, false, false), "held");
    assert_eq!(
        state(deposited(&held(5, S::Failed), 10_000)),
        (R::HeldButHeard, false, false),
        "held, then contradicted"
    );
    let posted = Posted { minor: 10_000, refused: false, review: Some((Seq(6), R::PostingLost)) };
    let reviewed = derive(Nature::ProviderDeposit, usd(10_000), &known(&[]), posted);
    assert_eq!(state(reviewed), (R::PostingLost, false, false));
}

#[test]
fn of_an_approval_and_a_rejection_by_hand_the_later_holds_and_in_one_commit_the_rejection() {
    for (nature, owed) in [(Nature::ManualDeposit, 10_000), (Nature::ManualWithdrawal, -10_000)] {
        for (approved, rejected, expected) in
            [(5, 4, (S::Credited, owed)), (5, 5, (S::Cancelled, 0)), (5, 6, (S::Cancelled, 0))]
        {
            let known = facts(&[], &[(approved, PersonFact::Approved), (rejected, PersonFact::Rejected)]);
            let now = derive(nature, usd(10_000), &known, Posted { minor: owed, ..Posted::default() });
            assert_eq!((now.status, now.owed_minor), expected, "{nature:?}, approved {approved}, rejected {rejected}");
        }
    }
}
