//! The rows of the table, and the cases of the field that they mend.

use cashier_core::facts::{MismatchKind, ProviderFact as F, ReviewHold as H};
use cashier_core::inbox::verify;
use cashier_core::money::Money;
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::reason::ReasonCode as R;
use cashier_core::status::{ProviderStatus as P, TransactionStatus as S};

use super::*;

fn paid(payment: &str) -> F {
    F::Confirmed { payment: payment.into(), minor: 10_000 }
}

fn refund(id: &str, minor: i64) -> F {
    F::Refund { id: id.into(), payment: "".into(), minor }
}

fn total(minor: i64) -> F {
    F::RefundedTotal { payment: "".into(), minor }
}

fn failed(id: &str, minor: i64) -> F {
    F::RefundFailed { id: id.into(), payment: "".into(), minor }
}

fn dispute(id: &str, minor: i64) -> F {
    F::Chargeback { id: id.into(), payment: "".into(), minor }
}

fn reversed(id: &str) -> F {
    F::ChargebackReversed { id: id.into(), payment: "".into() }
}

fn declined() -> F {
    F::Declined { reason: "no funds".into() }
}

fn must_decide() -> F {
    F::ReviewHold(H::Requested { status: "review".into() })
}

fn deciding() -> F {
    F::ReviewHold(H::InReview { status: "processing".into() })
}

fn unstated(payment: &str) -> F {
    F::ReviewHold(H::AmountUnstated { payment: payment.into() })
}

fn mismatch(what: MismatchKind) -> F {
    F::ReviewHold(H::Mismatch {
        what,
        expected: "100.0 USD".into(),
        stated: "30.0 EUR".into(),
        stated_minor: None,
        payment: "".into(),
    })
}

/// Each set in every order; also the model must agree.
#[track_caller]
fn check(rows: &[(&[F], i64, S, R)]) {
    for (facts, posted, status, code) in rows {
        let rest = rest(facts);
        assert_eq!((rest.posted, rest.status, rest.code), (*posted, *status, *code), "{facts:?}");
    }
}

#[test]
fn m4_a_dispute_or_refund_larger_than_what_is_left_takes_all_of_it_and_flags_the_rest() {
    check(&[
        (&[paid("p"), dispute("d", 12_000)], 0, S::ManualReview, R::BeyondConfirmed),
        (&[paid("p"), refund("r", 10_001)], 0, S::ManualReview, R::BeyondConfirmed),
        (&[paid("p"), total(12_000)], 0, S::ManualReview, R::BeyondConfirmed),
        (&[paid("p"), refund("r", 3_000), dispute("d", 8_000)], 0, S::ManualReview, R::BeyondConfirmed),
        (&[paid("p"), refund("1", 6_000), refund("2", 6_000)], 0, S::ManualReview, R::BeyondConfirmed),
        (&[paid("p"), dispute("1", 6_000), dispute("2", i64::MAX)], 0, S::ManualReview, R::BeyondConfirmed),
    ]);
}

#[test]
fn m4_a_dispute_or_refund_in_another_currency_is_flagged_and_takes_nothing() {
    let eur = || StatedAmount::Exact(Money::new(3_000, currency("EUR")));
    let unreadable = || StatedAmount::Unreadable("3e1".into());
    for (amount, code) in [(eur(), R::CurrencyMismatch), (unreadable(), R::AmountMismatch)] {
        let dispute = DisputeStatement { id: "d".into(), amount: Some(amount.clone()) };
        let refund = RefundStatement { id: "r".into(), amount, reach: Reach::Delta, requested: "".into() };
        let disputed = Update { dispute: Some(dispute), ..update(P::Chargeback) };
        for stated in [disputed, Update { refund: Some(refund), ..update(P::Refunded) }] {
            let mut facts = verify(&deposit(15), &receiver(), &stated).unwrap();
            facts.push(paid("p"));
            check(&[(&facts, 10_000, S::ManualReview, code)]);
        }
    }
}

#[test]
fn m8_a_confirmation_without_a_payment_id_and_one_with_it_are_one_payment() {
    check(&[
        (&[paid(""), paid("p")], 10_000, S::Credited, R::None),
        (&[paid("")], 10_000, S::Credited, R::None),
        (&[paid(""), paid("p"), refund("r", 3_000)], 7_000, S::Credited, R::PartlyRefunded),
        (&[paid(""), paid("p"), paid("q")], 10_000, S::ManualReview, R::SecondPayment),
        (&[paid("p"), paid("q")], 10_000, S::ManualReview, R::SecondPayment),
        (&[unstated(""), paid("p")], 10_000, S::Credited, R::None),
    ]);
}

#[test]
fn m9_a_review_that_a_person_must_decide_stays_and_one_of_the_provider_itself_ends() {
    let cancelled = F::Cancelled { reason: R::Cancelled };
    check(&[
        (&[must_decide()], 0, S::ManualReview, R::ProviderReview),
        (&[must_decide(), paid("p")], 10_000, S::ManualReview, R::ProviderReview),
        (&[must_decide(), declined()], 0, S::ManualReview, R::ProviderReview),
        (&[must_decide(), deciding(), paid("p")], 10_000, S::ManualReview, R::ProviderReview),
        (&[deciding()], 0, S::ManualReview, R::ProviderInReview),
        (&[deciding(), F::Accepted], 0, S::ManualReview, R::ProviderInReview),
        (&[deciding(), paid("p")], 10_000, S::Credited, R::None),
        (&[deciding(), declined()], 0, S::Failed, R::ProviderDeclined),
        (&[deciding(), cancelled], 0, S::Cancelled, R::Cancelled),
        (&[deciding(), total(10_000)], 0, S::Refunded, R::None),
        (&[deciding(), paid("p"), dispute("d", 10_000)], 0, S::Chargeback, R::Chargeback),
        (&[deciding(), F::ReviewHold(H::OutcomeUnknown)], 0, S::ManualReview, R::ProviderInReview),
    ]);
}

#[test]
fn m9_a_review_shows_what_else_was_stated_in_a_fixed_order() {
    let stated = |facts: &[F]| rest(facts).detail;
    assert_eq!(
        &*stated(&[must_decide(), paid("pi_1"), refund("re_1", 500), dispute("dp_1", 1_000)]),
        "review; also stated: confirmed 100.0 USD (pi_1), refunded 5.0 USD, disputed 10.0 USD (dp_1)"
    );
    assert_eq!(&*stated(&[must_decide(), declined()]), "review; also stated: declined (no funds)");
    assert_eq!(
        &*stated(&[mismatch(MismatchKind::Amount), must_decide()]),
        "expected 100.0 USD, the provider states 30.0 EUR; also stated: PROVIDER_REVIEW: review"
    );
    assert_eq!(&*stated(&[paid("p"), paid("q")]), "p and q; also stated: confirmed 100.0 USD each");
    assert_eq!(&*stated(&[must_decide()]), "review");
    assert_eq!(
        &*stated(&[paid("p"), paid("q"), unstated("x")]),
        "payment x was confirmed without an amount; also stated: confirmed 100.0 USD (p and q), SECOND_PAYMENT: p and q"
    );
    assert_eq!(&*stated(&[paid("p"), failed("r", 1)]), "r; also stated: confirmed 100.0 USD (p)");
    assert_eq!(
        &*stated(&[refund("s", 20_000), failed("r", 1), reversed("d")]),
        "refunds and disputes exceed the ordered amount; also stated: refunded 200.0 USD, refund failed (r), \
         dispute reversed (d)"
    );
    let of_length = |length: usize| stated(&[F::ReviewHold(H::Requested { status: "x".repeat(length).into() })]);
    assert_eq!((of_length(512).len(), &of_length(512)[509..]), (512, "xxx"));
    assert_eq!((of_length(513).len(), &of_length(513)[508..]), (512, "x…"));
    let long: Vec<F> = (0..5).map(|n| dispute(&format!("{n}{}", "ü".repeat(100)), 1)).collect();
    let cut = stated(&[&long[..], &[must_decide()]].concat());
    assert!(cut.len() <= 512 && cut.ends_with('…'), "{cut}");
}

#[test]
fn m22_a_reversal_that_matches_no_open_dispute_is_a_review_and_gives_nothing_back() {
    check(&[
        (&[paid("p"), dispute("", 10_000), reversed("d")], 0, S::ManualReview, R::DisputeUnmatched),
        // The id of the payment names no dispute.
        (&[paid("p"), dispute("p", 10_000), reversed("d")], 0, S::ManualReview, R::DisputeUnmatched),
        (&[paid("p"), dispute("d", 4_000), reversed("p")], 6_000, S::ManualReview, R::DisputeUnmatched),
        (&[paid("p"), dispute("d", 4_000), reversed("e")], 6_000, S::ManualReview, R::DisputeUnmatched),
        (&[paid("p"), dispute("p", 4_000), reversed("")], 10_000, S::Credited, R::None),
        // The id of a payment whose amount is not stated names none either.
        (&[paid("q"), unstated("p"), dispute("p", 4_000), reversed("")], 10_000, S::ManualReview, R::AmountUnstated),
        (&[paid("p"), dispute("", 4_000), dispute("d", 4_000)], 6_000, S::ManualReview, R::DisputeUnmatched),
        (
            &[paid("p"), dispute("", 4_000), dispute("d", 4_000), reversed("d")],
            6_000,
            S::ManualReview,
            R::DisputeUnmatched,
        ),
    ]);
}

#[test]
fn m22_a_reversal_before_its_dispute_needs_no_review_once_the_dispute_is_there() {
    check(&[
        (&[paid("p"), reversed("d")], 10_000, S::Credited, R::None),
        (&[paid("p"), reversed("d"), dispute("d", 10_000)], 10_000, S::Credited, R::None),
        (&[paid("p"), reversed("d"), dispute("d", 10_000), dispute("e", 2_000)], 8_000, S::Chargeback, R::Chargeback),
    ]);
}

#[test]
fn m29_a_part_refund_and_a_won_dispute_beside_a_slow_posting_end_credited_by_themselves() {
    let won = [paid("p"), refund("r", 1_600), dispute("d", 10_000), reversed("d")];
    check(&[
        (&won, 8_400, S::Credited, R::PartlyRefunded),
        (&won[..3], 0, S::ManualReview, R::BeyondConfirmed),
        (&[paid("p"), total(1_600), dispute("d", 10_000), reversed("d")], 8_400, S::Credited, R::PartlyRefunded),
    ]);
}

#[test]
fn m30_two_disputes_of_which_one_is_won_leave_the_other_taken() {
    check(&[
        (&[paid("p"), dispute("1", 10_000), dispute("2", 2_000), reversed("1")], 8_000, S::Chargeback, R::Chargeback),
        (&[paid("p"), dispute("1", 10_000), dispute("2", 2_000), reversed("2")], 0, S::Chargeback, R::Chargeback),
        (&[paid("p"), dispute("1", 9_000), dispute("2", 2_000)], 0, S::ManualReview, R::BeyondConfirmed),
    ]);
}

#[test]
fn m31_sets_that_end_in_review_end_with_one_posted_amount() {
    check(&[
        (&[paid("p"), refund("r", 10_000), failed("r", 10_000)], 10_000, S::ManualReview, R::RefundFailed),
        (&[paid("p"), refund("r", 4_000), failed("r", 4_000)], 10_000, S::ManualReview, R::RefundFailed),
        (&[paid("p"), paid("q")], 10_000, S::ManualReview, R::SecondPayment),
        (&[paid("p"), refund("r", 10_000), dispute("d", 10_000)], 0, S::ManualReview, R::BeyondConfirmed),
        // The totals of the provider contain the refund that failed.
        (&[paid("p"), total(4_000), refund("r", 4_000), failed("r", 0)], 10_000, S::ManualReview, R::RefundFailed),
        (&[paid("p"), total(7_000), refund("r", 4_000), failed("r", 0)], 7_000, S::ManualReview, R::RefundFailed),
        (&[paid("p"), total(4_000), failed("r", 0)], 10_000, S::ManualReview, R::RefundFailed),
        (&[paid("p"), failed("r", 4_000), refund("s", 3_000)], 7_000, S::ManualReview, R::RefundFailed),
        (&[failed("r", 4_000)], 0, S::ManualReview, R::RefundFailed),
    ]);
}

#[test]
fn m31_a_mismatch_contributes_nothing_and_stops_no_exact_confirmation() {
    for (what, code) in [
        (MismatchKind::Amount, R::AmountMismatch),
        (MismatchKind::Currency, R::CurrencyMismatch),
        (MismatchKind::Mode, R::ModeMismatch),
        (MismatchKind::Brand, R::BrandMismatch),
    ] {
        check(&[
            (&[mismatch(what)], 0, S::ManualReview, code),
            (&[mismatch(what), paid("p")], 10_000, S::ManualReview, code),
            (&[mismatch(what), paid("p"), refund("r", 3_000)], 7_000, S::ManualReview, code),
            (&[mismatch(what), paid("p"), dispute("d", 10_000), reversed("d")], 10_000, S::ManualReview, code),
        ]);
    }
    check(&[
        (&[unstated("p")], 0, S::ManualReview, R::AmountUnstated),
        (&[unstated("p"), paid("p")], 10_000, S::Credited, R::None),
        (&[unstated("p"), paid("q")], 10_000, S::ManualReview, R::AmountUnstated),
        (&[unstated("p"), paid("q"), paid("p")], 10_000, S::ManualReview, R::SecondPayment),
    ]);
}

#[test]
fn m5_several_events_of_one_dispute_are_one_fact_of_the_largest_amount() {
    check(&[
        (&[paid("p"), dispute("d", 4_000), dispute("d", 5_000)], 5_000, S::Chargeback, R::Chargeback),
        (&[paid("p"), dispute("d", 4_000), dispute("d", 5_000), reversed("d")], 10_000, S::Credited, R::None),
        (&[paid("p"), dispute("d", 10_000)], 0, S::Chargeback, R::Chargeback),
    ]);
}

#[test]
fn m6_several_events_of_one_refund_are_one_fact_of_the_largest_amount() {
    check(&[
        (&[paid("p"), refund("r", 3_000), refund("r", 4_000)], 6_000, S::Credited, R::PartlyRefunded),
        (&[paid("p"), refund("r", 4_000), total(4_000)], 6_000, S::Credited, R::PartlyRefunded),
        (&[paid("p"), refund("r", 4_000), refund("s", 6_000), total(10_000)], 0, S::Refunded, R::None),
        (&[refund("r", 10_000)], 0, S::Refunded, R::None),
        (&[refund("r", 4_000)], 0, S::Created, R::None),
    ]);
}

#[test]
fn m32_a_payment_in_two_modes_is_held_for_review_and_credits_nothing() {
    for status in [P::Confirmed, P::Refunded, P::Chargeback] {
        for sandbox in [None, Some(false), Some(true)] {
            let stated = Update { sandbox, mode_conflict: true, ..update(status) };
            let facts = verify(&deposit(15), &receiver(), &stated).unwrap();
            check(&[(&facts, 0, S::ManualReview, R::ModeMismatch)]);
        }
    }
    let pending = Update { mode_conflict: true, ..update(P::Pending) };
    assert_eq!(verify(&deposit(15), &receiver(), &pending), Ok(vec![F::Accepted]));
}

/// The same fact about one payment.
fn of(payment: &str, fact: F) -> F {
    let payment = payment.into();
    match fact {
        F::Refund { id, minor, .. } => F::Refund { id, payment, minor },
        F::RefundedTotal { minor, .. } => F::RefundedTotal { payment, minor },
        F::RefundFailed { id, minor, .. } => F::RefundFailed { id, payment, minor },
        F::Chargeback { id, minor, .. } => F::Chargeback { id, payment, minor },
        F::ChargebackReversed { id, .. } => F::ChargebackReversed { id, payment },
        other => panic!("{other:?} is about no payment"),
    }
}

#[test]
fn a_second_payment_that_goes_back_leaves_the_credit_of_the_first() {
    let second = |facts: &[F], owed: i64| {
        let both = [&[paid("p"), paid("q")], facts].concat();
        check(&[(&both, owed, S::ManualReview, R::SecondPayment)]);
    };
    second(&[of("q", refund("r", 10_000))], 10_000);
    second(&[of("q", total(10_000))], 10_000);
    second(&[of("q", dispute("d", 10_000))], 10_000);
    second(&[of("q", dispute("q", 10_000))], 10_000);
    // Of either payment: what is paid beyond the order goes back first.
    second(&[of("p", refund("r", 10_000))], 10_000);
    second(&[of("p", refund("r", 3_000)), of("q", refund("s", 3_000))], 10_000);
    second(&[of("p", refund("r", 10_000)), of("q", refund("s", 3_000))], 7_000);
    second(&[of("p", total(10_000)), of("q", total(10_000))], 0);
    // The refund and the total of its payment are one.
    second(&[of("q", refund("r", 10_000)), of("q", total(10_000)), of("p", total(3_000))], 7_000);
    second(&[of("q", refund("r", 10_000)), of("p", total(10_000))], 0);
    // Of one payment more than it paid takes nothing of the other.
    second(&[of("q", refund("r", 10_000)), of("q", dispute("d", 10_000))], 10_000);
    second(&[of("q", refund("r", i64::MAX)), of("p", refund("s", 1_000))], 9_000);
    // A dispute that was reversed, and a refund that failed, took nothing.
    second(&[of("q", dispute("d", 10_000)), of("q", reversed("d")), of("p", refund("r", 10_000))], 10_000);
    second(&[of("q", refund("r", 10_000)), of("q", failed("r", 10_000)), of("p", refund("s", 10_000))], 10_000);
}

#[test]
fn a_reversal_that_names_no_payment_counts_beside_those_that_do() {
    let second = |facts: &[F], owed: i64| {
        let both = [&[paid("p"), paid("q")], facts].concat();
        check(&[(&both, owed, S::ManualReview, R::SecondPayment)]);
    };
    second(&[refund("r", 10_000)], 10_000);
    second(&[refund("r", 10_000), of("q", refund("s", 3_000))], 7_000);
    // The other statement of the same refund or dispute names the payment.
    second(&[refund("r", 10_000), of("q", refund("r", 10_000)), of("q", total(10_000))], 10_000);
    second(&[dispute("d", 10_000), of("q", dispute("d", 10_000)), of("q", refund("r", 10_000))], 10_000);
    // A payment that was never confirmed paid nothing.
    second(&[of("x", refund("r", 10_000)), of("q", refund("s", 3_000))], 7_000);
    // A total of no named payment may be that of each.
    second(&[total(3_000)], 10_000);
    second(&[total(6_000)], 8_000);
    second(&[total(10_000)], 0);
    check(&[
        (&[paid("p"), of("q", refund("r", 10_000))], 0, S::Refunded, R::None),
        (&[paid("p"), of("q", total(3_000)), of("p", refund("r", 4_000))], 6_000, S::Credited, R::PartlyRefunded),
    ]);
}
