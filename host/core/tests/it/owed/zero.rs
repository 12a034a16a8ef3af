//! Reversals of nothing, of less than nothing, and of more than can be counted: none gives money, none hides another.

use cashier_core::duty::ProviderDuty;
use cashier_core::facts::{PersonFact, ProviderFact as F, Recording};
use cashier_core::ids::Seq;
use cashier_core::inbox::verify;
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::reason::ReasonCode as R;
use cashier_core::status::{ProviderStatus as P, TransactionStatus as S};
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;

use super::*;

fn paid() -> F {
    F::Confirmed { payment: "pi_123".into(), minor: 10_000 }
}

fn refunded(status: P, id: &str, minor: i64, reach: Reach) -> Vec<F> {
    let amount = StatedAmount::Exact(usd(minor));
    let refund = RefundStatement { id: id.into(), amount, reach, requested: "own".into() };
    stated(Update { refund: Some(refund), ..update(status) })
}

fn disputed(status: P, id: &str, minor: i64) -> Vec<F> {
    let dispute = DisputeStatement { id: id.into(), amount: Some(StatedAmount::Exact(usd(minor))) };
    stated(Update { dispute: Some(dispute), ..update(status) })
}

fn of_all(status: P, minor: i64) -> Vec<F> {
    stated(Update { amount: Some(StatedAmount::Exact(usd(minor))), ..update(status) })
}

fn stated(update: Update) -> Vec<F> {
    verify(&deposit(15), &receiver(), &update).unwrap()
}

/// The facts in every order, beside a payment; the model must agree.
#[track_caller]
fn check(facts: &[Vec<F>], posted: i64, status: S, code: R) {
    let all = [vec![paid()], facts.concat()].concat();
    let rest = rest(&all);
    assert_eq!((rest.posted, rest.status, rest.code), (posted, status, code), "{facts:?}");
}

#[test]
fn a_refund_of_zero_is_no_fact_in_any_form_and_beside_any_other() {
    let nothing = [refunded(P::Refunded, "re_0", 0, Reach::Delta), refunded(P::Refunded, "", 0, Reach::TotalSoFar)];
    assert!(nothing.concat().is_empty(), "{nothing:?}");
    for zero in nothing {
        check(std::slice::from_ref(&zero), 10_000, S::Credited, R::None);
        let one = refunded(P::Refunded, "re_0", 4_000, Reach::Delta);
        check(&[zero.clone(), one], 6_000, S::Credited, R::PartlyRefunded);
        check(&[zero, disputed(P::Chargeback, "du", 10_000)], 0, S::Chargeback, R::Chargeback);
    }
    // Beside a confirmation and a review it leaves these alone.
    for status in [P::Confirmed, P::InReview, P::ManualReview] {
        assert_eq!(refunded(status, "re_0", 0, Reach::TotalSoFar), stated(update(status)), "{status:?}");
    }
}

#[test]
fn a_failed_refund_of_zero_failed_and_its_amount_is_what_the_refund_states_or_unknown() {
    // Every order of the facts is tried: without the links to a request there are few.
    let refunded = |status, id, minor, reach| {
        let mut facts = refunded(status, id, minor, reach);
        facts.retain(|fact| !matches!(fact, F::RefundOfRequest { .. }));
        facts
    };
    for reach in [Reach::Delta, Reach::TotalSoFar] {
        let failed = refunded(P::RefundFailed, "re", 0, reach);
        assert_eq!(failed, [F::RefundFailed { id: "re".into(), payment: "pi_123".into(), minor: 0 }]);
        check(std::slice::from_ref(&failed), 10_000, S::ManualReview, R::RefundFailed);
        let refund = refunded(P::Refunded, "re", 4_000, Reach::Delta);
        check(&[failed.clone(), refund.clone()], 10_000, S::ManualReview, R::RefundFailed);
        let other = refunded(P::Refunded, "re_2", 1_000, Reach::Delta);
        check(&[failed.clone(), refund.clone(), other], 9_000, S::ManualReview, R::RefundFailed);
        let total = |minor| refunded(P::Refunded, "", minor, Reach::TotalSoFar);
        check(&[failed.clone(), total(4_000)], 10_000, S::ManualReview, R::RefundFailed);
        check(&[failed, refund, total(5_000)], 9_000, S::ManualReview, R::RefundFailed);
    }
    let unreadable = Update {
        refund: Some(RefundStatement {
            id: "re".into(),
            amount: StatedAmount::Unreadable("nothing".into()),
            reach: Reach::Delta,
            requested: "".into(),
        }),
        ..update(P::RefundFailed)
    };
    assert_eq!(stated(unreadable), [F::RefundFailed { id: "re".into(), payment: "pi_123".into(), minor: 0 }]);
}

#[test]
fn a_refund_of_zero_does_not_end_a_review_nor_stand_for_a_payment() {
    let mut order = Transaction { status: S::Failed, ..deposit(15) };
    let zero = refunded(P::Refunded, "re_0", 0, Reach::Delta);
    for fact in stated(update(P::InReview)).into_iter().chain(zero.clone()) {
        assert_eq!(order.facts.record(Seq(2), NOW, fact), Recording::Added);
    }
    let rest = rest(&order.facts.provider.iter().map(|known| known.fact.clone()).collect::<Vec<_>>());
    assert_eq!((rest.posted, rest.status, rest.code), (0, S::ManualReview, R::ProviderInReview));
    // A declined order beyond its expiry is queried on where money went back of it, and only there.
    for (facts, duty) in [(zero, None), (refunded(P::Refunded, "re", 1, Reach::Delta), Some(ProviderDuty::Query))] {
        let mut declined = Transaction { status: S::Failed, expires_time: UnixTime(1), ..deposit(15) };
        for fact in [F::LastQuery].into_iter().chain(facts) {
            declined.facts.record(Seq(2), NOW, fact);
        }
        assert_eq!(duty::due(&declined, &[], UnixTime(i64::MAX)), duty.map(Duty::Provider));
    }
}

#[test]
fn a_refund_of_zero_after_a_persons_permission_asks_for_no_other() {
    let mut order = deposit(15);
    let waits = PersonFact::ReversalsWait;
    order.facts.record_person(Seq(1), NOW, waits);
    for (seq, facts) in [(2, vec![paid()]), (3, refunded(P::Refunded, "re", 4_000, Reach::Delta))] {
        for fact in facts {
            order.facts.record(Seq(seq), NOW, fact);
        }
    }
    order.facts.record_person(Seq(4), NOW, PersonFact::Approved);
    for fact in refunded(P::Refunded, "re_0", 0, Reach::Delta) {
        order.facts.record(Seq(5), NOW, fact);
    }
    let posted = cashier_core::standing::Posted { minor: 10_000, ..Default::default() };
    let standing = cashier_core::standing::derive(order.nature(), order.amount, &order.facts, posted);
    assert!(!standing.reversal_waits && standing.owed_minor == 6_000, "{standing:?}");
}

#[test]
fn a_negative_reversal_and_a_dispute_of_zero_are_a_review_and_move_nothing() {
    for minor in [-1, -4_000, i64::MIN] {
        for facts in [
            refunded(P::Refunded, "re", minor, Reach::Delta),
            refunded(P::Refunded, "", minor, Reach::TotalSoFar),
            refunded(P::Confirmed, "re", minor, Reach::Delta),
            disputed(P::Chargeback, "du", minor),
            of_all(P::Refunded, minor),
            of_all(P::Chargeback, minor),
        ] {
            check(std::slice::from_ref(&facts), 10_000, S::ManualReview, R::AmountMismatch);
            // It gives back nothing that another one took.
            check(
                &[facts.clone(), refunded(P::Refunded, "r2", 4_000, Reach::Delta)],
                6_000,
                S::ManualReview,
                R::AmountMismatch,
            );
            check(&[facts, disputed(P::Chargeback, "d2", 10_000)], 0, S::ManualReview, R::AmountMismatch);
        }
        let failed = refunded(P::RefundFailed, "re", minor, Reach::Delta);
        check(&[failed], 10_000, S::ManualReview, R::RefundFailed);
    }
    for facts in [disputed(P::Chargeback, "du", 0), of_all(P::Refunded, 0), of_all(P::Chargeback, 0)] {
        check(&[facts], 10_000, S::ManualReview, R::AmountMismatch);
    }
    // A dispute that was lifted took nothing, whatever its amount.
    check(&[disputed(P::ChargebackReversed, "du", 0)], 10_000, S::Credited, R::None);
}

#[test]
fn amounts_below_zero_that_an_earlier_version_recorded_give_nothing() {
    let refund = |id: &str, minor: i64| F::Refund { id: id.into(), payment: "".into(), minor };
    let dispute = |id: &str, minor: i64| F::Chargeback { id: id.into(), payment: "".into(), minor };
    for minor in [-4_000, i64::MIN] {
        let total = F::RefundedTotal { payment: "".into(), minor };
        for facts in [
            vec![refund("a", minor)],
            vec![dispute("a", minor)],
            vec![total],
            vec![refund("a", minor), dispute("b", minor)],
        ] {
            check(std::slice::from_ref(&facts), 10_000, S::Credited, R::None);
            check(&[facts.clone(), vec![refund("r", 4_000)]], 6_000, S::Credited, R::PartlyRefunded);
            check(&[facts, vec![dispute("d", 10_000)]], 0, S::Chargeback, R::Chargeback);
        }
    }
}

#[test]
fn sums_that_cannot_be_counted_take_all_that_is_left() {
    let refund = |id: &str| refunded(P::Refunded, id, i64::MAX, Reach::Delta);
    let total = refunded(P::Refunded, "", i64::MAX, Reach::TotalSoFar);
    let dispute = |id: &str| disputed(P::Chargeback, id, i64::MAX);
    for facts in [
        vec![refund("1"), refund("2"), refund("3")],
        vec![refund("1"), dispute("1"), total.clone()],
        vec![dispute("1"), dispute("2"), refunded(P::Refunded, "r", 1, Reach::Delta)],
    ] {
        check(&facts, 0, S::ManualReview, R::BeyondConfirmed);
    }
    let lifted = disputed(P::ChargebackReversed, "1", i64::MAX);
    check(&[dispute("1"), lifted], 10_000, S::Credited, R::None);
    let failed = refunded(P::RefundFailed, "1", i64::MAX, Reach::Delta);
    check(&[refund("1"), failed, total], 10_000, S::ManualReview, R::RefundFailed);
}
