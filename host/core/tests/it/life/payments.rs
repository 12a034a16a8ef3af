//! Several payments of one order, and a person's resolution, beside what went back before and after.

use cashier_core::facts::MismatchKind;

use super::*;

pub(super) fn paid(payment: &str) -> Step {
    Provider(ProviderFact::Confirmed { payment: payment.into(), minor: 10_000 })
}

pub(super) fn unstated(payment: &str) -> Step {
    Provider(ProviderFact::ReviewHold(ReviewHold::AmountUnstated { payment: payment.into() }))
}

/// Another amount than the ordered one was confirmed.
pub(super) fn mismatch(payment: &str, minor: i64) -> Step {
    Provider(ProviderFact::ReviewHold(ReviewHold::Mismatch {
        what: MismatchKind::Amount,
        expected: "100.0 USD".into(),
        stated: usd(minor).to_string().into(),
        stated_minor: Some(minor),
        payment: payment.into(),
    }))
}

/// The payment was credited to another transaction before.
pub(super) fn reused(payment: &str) -> Step {
    Provider(ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment: payment.into(), owner: "1".into() }))
}

pub(super) fn refund_of(payment: &str, id: &str, minor: i64) -> Step {
    Provider(ProviderFact::Refund { id: id.into(), payment: payment.into(), minor })
}

pub(super) fn total_of(payment: &str, minor: i64) -> Step {
    Provider(ProviderFact::RefundedTotal { payment: payment.into(), minor })
}

pub(super) fn failed_of(payment: &str, id: &str, minor: i64) -> Step {
    Provider(ProviderFact::RefundFailed { id: id.into(), payment: payment.into(), minor })
}

pub(super) fn dispute_of(payment: &str, id: &str, minor: i64) -> Step {
    Provider(ProviderFact::Chargeback { id: id.into(), payment: payment.into(), minor })
}

fn lifted(id: &str) -> Step {
    Provider(ProviderFact::ChargebackReversed { id: id.into(), payment: "pi_1".into() })
}

pub(super) fn resolved(minor: i64) -> Step {
    Person(PersonFact::Resolved { minor })
}

pub(super) fn requested(payment: &str, minor: i64) -> Step {
    Person(PersonFact::RefundRequested { id: "own".into(), payment: payment.into(), minor })
}

fn done() -> Step {
    Person(PersonFact::RefundDone { id: "own".into(), refund: "re_1".into() })
}

/// Posts whatever is due and returns what is posted, and the status.
#[track_caller]
pub(super) fn end(mut steps: Vec<Step>) -> (i64, TransactionStatus, String) {
    steps.extend([Post, Post, Post]);
    let (end, lines) = lines_of(deposit(15), steps);
    (cashier_core::operation::posted(&end.transaction, &end.operations).minor, end.transaction.status, lines)
}

#[track_caller]
pub(super) fn ends(steps: Vec<Step>, expected: i64) {
    let (posted, _, lines) = end(steps);
    assert_eq!(posted, expected, "\n{lines}");
}

#[track_caller]
pub(super) fn ends_at(steps: Vec<Step>, expected: i64, expected_status: TransactionStatus) {
    let (posted, status, lines) = end(steps);
    assert_eq!((posted, status), (expected, expected_status), "\n{lines}");
}

#[test]
fn what_goes_back_of_a_payment_that_was_not_credited_leaves_the_credit_of_another() {
    let holds: [&dyn Fn(&str) -> Step; 3] = [&unstated, &|payment| mismatch(payment, 15_000), &reused];
    for hold in holds {
        for back in [
            refund_of("pi_2", "re_1", 10_000),
            refund_of("pi_2", "re_1", 15_000),
            total_of("pi_2", 15_000),
            dispute_of("pi_2", "d1", 15_000),
            dispute_of("pi_2", "pi_2", 15_000),
        ] {
            ends_at(vec![paid("pi_1"), Post, hold("pi_2"), back.clone()], 10_000, TransactionStatus::ManualReview);
            ends_at(vec![back.clone(), hold("pi_2"), paid("pi_1"), Post], 10_000, TransactionStatus::ManualReview);
            // Of the credited payment as before.
            ends(vec![paid("pi_1"), Post, hold("pi_2"), back, refund_of("pi_1", "re_2", 3_000)], 7_000);
        }
    }
}

#[test]
fn a_confirmation_without_an_id_may_be_of_a_payment_that_was_not_credited() {
    ends(vec![paid(""), Post, unstated("pi_2"), refund_of("pi_2", "re_1", 10_000)], 0);
    ends(vec![paid(""), paid("pi_1"), Post, unstated("pi_2"), refund_of("pi_2", "re_1", 10_000)], 0);
}

#[test]
fn m31_a_refund_that_failed_is_taken_out_of_each_total_that_may_contain_it() {
    let both = || vec![paid("pi_1"), paid("pi_2")];
    let and = |more: Vec<Step>| both().into_iter().chain(more).collect::<Vec<_>>();
    ends(and(vec![total_of("pi_1", 10_000), total_of("pi_2", 10_000), failed_of("", "r", 10_000)]), 10_000);
    ends(and(vec![total_of("", 10_000), failed_of("pi_1", "r", 10_000)]), 10_000);
    ends(and(vec![total_of("pi_1", 10_000), total_of("pi_2", 10_000), failed_of("pi_1", "r", 4_000)]), 4_000);
    ends(and(vec![total_of("pi_1", 10_000), failed_of("pi_1", "r", 4_000), refund_of("pi_2", "s", 10_000)]), 4_000);
    // A second confirmation takes nothing back.
    ends(
        vec![paid("pi_1"), Post, total_of("", 10_000), Post, failed_of("pi_1", "re_1", 10_000), Post, paid("pi_2")],
        10_000,
    );
    // A total of no named payment may be that of the other one.
    ends(and(vec![total_of("", 3_000), refund_of("pi_2", "r", 10_000)]), 7_000);
    ends(and(vec![total_of("", 3_000), requested("pi_2", 10_000)]), 7_000);
}

#[test]
fn m6_a_requested_refund_and_its_total_are_one_also_beside_a_second_payment() {
    ends(
        vec![paid("pi_1"), Post, requested("", 10_000), Post, done(), paid("pi_2"), Post, total_of("pi_1", 10_000)],
        10_000,
    );
    ends(
        vec![paid("pi_1"), Post, requested("", 6_000), Post, total_of("pi_1", 6_000), done(), paid("pi_2"), Post],
        10_000,
    );
    ends(
        vec![paid("pi_1"), paid("pi_2"), Post, requested("", 10_000), Post, total_of("pi_2", 10_000), Post, done()],
        10_000,
    );
    ends(
        vec![
            paid("pi_1"),
            Post,
            requested("", 4_000),
            Post,
            total_of("pi_1", 4_000),
            failed_of("pi_1", "re_1", 4_000),
            done(),
            Post,
        ],
        10_000,
    );
}

#[test]
fn a_refund_that_names_no_payment_was_requested_of_the_only_one_that_was_confirmed() {
    // What is stated of a later payment is another refund.
    ends(vec![paid("pi_1"), Post, requested("", 10_000), Post, paid("pi_2"), Post, total_of("pi_2", 10_000)], 0);
    ends(vec![paid("pi_1"), Post, requested("", 10_000), Post, paid("pi_2"), Post, total_of("pi_1", 10_000)], 10_000);
    // It gives back at most what that one paid.
    let beyond = [paid("pi_2"), Post, refund_of("pi_1", "re_9", 10_000)];
    ends([paid("pi_1"), Post, requested("", 4_000), Post].into_iter().chain(beyond).collect(), 10_000);
}

#[test]
fn what_goes_back_after_a_resolution_is_taken_whatever_was_lifted_or_failed_meanwhile() {
    use TransactionStatus as S;
    let disputed = || vec![paid("pi_1"), Post, dispute_of("pi_1", "d1", 10_000), Post, resolved(10_000), Post];
    let then = |more: Vec<Step>| disputed().into_iter().chain(more).collect::<Vec<_>>();
    ends_at(then(vec![lifted("d1"), dispute_of("pi_1", "d2", 10_000)]), 0, S::Chargeback);
    ends_at(then(vec![dispute_of("pi_1", "d2", 10_000), lifted("d1")]), 0, S::Chargeback);
    ends_at(then(vec![lifted("d1"), refund_of("pi_1", "re_1", 10_000)]), 0, S::Refunded);
    ends_at(then(vec![refund_of("pi_1", "re_1", 10_000), lifted("d1")]), 0, S::Refunded);
    ends_at(then(vec![dispute_of("pi_1", "d1", 12_000)]), 8_000, S::Chargeback);
    let refunded = || vec![paid("pi_1"), Post, refund_of("pi_1", "re_1", 10_000), Post, resolved(10_000), Post];
    let then = |more: Vec<Step>| refunded().into_iter().chain(more).collect::<Vec<_>>();
    ends(then(vec![failed_of("pi_1", "re_1", 10_000), refund_of("pi_1", "re_2", 10_000)]), 0);
    // The refund that was counted, and its total that comes later, are one.
    ends(then(vec![total_of("pi_1", 10_000)]), 10_000);
    ends(then(vec![total_of("pi_1", 13_000), refund_of("pi_1", "re_2", 3_000)]), 7_000);
}

#[test]
fn a_refund_requested_before_a_resolution_is_counted_by_it() {
    let asked = || vec![paid("pi_1"), Post, requested("", 4_000), Post, resolved(10_000), Post];
    let then = |more: Vec<Step>| asked().into_iter().chain(more).collect::<Vec<_>>();
    ends(then(vec![done(), refund_of("pi_1", "re_1", 4_000), total_of("pi_1", 4_000)]), 10_000);
    ends(then(vec![done(), refund_of("pi_1", "re_1", 4_000), refund_of("pi_1", "re_2", 1_000)]), 9_000);
    ends(vec![paid("pi_1"), Post, resolved(10_000), requested("", 4_000), Post, done()], 6_000);
}

#[test]
fn a_second_confirmation_takes_nothing_of_a_resolution() {
    ends(vec![paid("pi_1"), Post, total_of("", 10_000), Post, resolved(10_000), Post, paid("pi_2")], 10_000);
    ends(vec![paid("pi_1"), Post, total_of("", 3_000), Post, resolved(7_000), Post, paid("pi_2")], 7_000);
    let two = [refund_of("pi_2", "r1", 6_000), refund_of("pi_2", "r2", 6_000)];
    let [first, second] = two;
    ends(vec![paid("pi_1"), Post, first, second, Post, resolved(10_000), Post, paid("pi_2")], 10_000);
    // A payment gives back at most what it paid, before and after.
    ends(
        vec![
            paid("pi_1"),
            paid("pi_2"),
            Post,
            refund_of("pi_2", "r", 10_000),
            resolved(10_000),
            dispute_of("pi_2", "d", 10_000),
        ],
        10_000,
    );
    ends_at(
        vec![paid("pi_1"), paid("pi_2"), Post, resolved(10_000), dispute_of("pi_2", "d", 10_000)],
        10_000,
        TransactionStatus::Credited,
    );
}

#[test]
fn a_payment_beyond_a_resolution_is_a_review_and_moves_no_money() {
    use TransactionStatus as S;
    ends_at(vec![mismatch("", 5_000), resolved(5_000), Post, paid("pi_1")], 5_000, S::ManualReview);
    ends_at(vec![mismatch("pi_1", 5_000), resolved(5_000), Post, paid("pi_1")], 5_000, S::ManualReview);
    ends_at(vec![unstated("pi_1"), resolved(10_000), Post, paid("pi_2")], 10_000, S::ManualReview);
    // The payment that the person meant, whether named before or not.
    ends_at(vec![unstated("pi_1"), resolved(10_000), Post, paid("pi_1")], 10_000, S::Credited);
    ends_at(vec![unstated(""), resolved(10_000), Post, paid("pi_1")], 10_000, S::Credited);
    ends_at(vec![paid(""), resolved(5_000), Post, paid("pi_1")], 5_000, S::Credited);
    let second = vec![unstated("pi_1"), resolved(10_000), Post, paid("pi_2")];
    let shown = played(deposit(15), second).transaction.reason;
    assert_eq!(shown.to_string(), "SECOND_PAYMENT: pi_1 and pi_2; also stated: confirmed 100.0 USD (pi_2)");
    // A person who decides after it ends the review.
    ends_at(vec![mismatch("pi_1", 5_000), resolved(5_000), paid("pi_1"), resolved(10_000)], 10_000, S::Credited);
}
