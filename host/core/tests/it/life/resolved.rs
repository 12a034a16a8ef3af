//! What goes back of the payments that a person credited by ending a review, of those that stay uncredited, and of those where nothing
//! says whether they were.

use super::payments::*;
use super::*;

const CREDITED: TransactionStatus = TransactionStatus::Credited;
const REVIEW: TransactionStatus = TransactionStatus::ManualReview;

/// A hold of `pi_2`, and what that paid.
fn holds() -> [(Step, i64); 3] {
    [(mismatch("pi_2", 9_500), 9_500), (unstated("pi_2"), 10_000), (reused("pi_2"), 10_000)]
}

/// The whole of a payment, by each statement of it.
fn backs(payment: &str, minor: i64) -> [Step; 4] {
    [
        refund_of(payment, &format!("re_{payment}"), minor),
        total_of(payment, minor),
        dispute_of(payment, &format!("d_{payment}"), minor),
        dispute_of(payment, payment, minor),
    ]
}

/// Each step, and the posting that it made due.
fn posted(steps: &[Step]) -> Vec<Step> {
    steps.iter().flat_map(|step| [step.clone(), Post]).collect()
}

#[test]
fn what_goes_back_of_a_payment_that_a_person_credited_is_taken_whatever_hold_brought_it() {
    for (hold, paid_2) in holds() {
        let credit = resolved(10_000 + paid_2);
        for (back_2, back_1) in backs("pi_2", paid_2).into_iter().zip(backs("pi_1", 10_000)) {
            for known in [[paid("pi_1"), hold.clone()], [hold.clone(), paid("pi_1")]] {
                let then = |more: &[Step]| posted(&[&known[..], std::slice::from_ref(&credit), more].concat());
                ends(then(&[]), 10_000 + paid_2);
                ends(then(std::slice::from_ref(&back_2)), 10_000);
                ends(then(std::slice::from_ref(&back_1)), paid_2);
                for both in [[back_1.clone(), back_2.clone()], [back_2.clone(), back_1.clone()]] {
                    ends(then(&both), 0);
                }
            }
        }
        let refunded = [paid("pi_1"), hold, credit, refund_of("pi_2", "re_1", paid_2)];
        ends_at(posted(&refunded), 10_000, CREDITED);
        // One that failed is given back, and a person looks at it.
        ends_at(posted(&[&refunded[..], &[failed_of("pi_2", "re_1", paid_2)]].concat()), 10_000 + paid_2, REVIEW);
    }
}

#[test]
fn of_a_payment_that_a_person_credited_at_most_what_it_paid_is_taken() {
    for (hold, paid_2) in holds() {
        let credited = [paid("pi_1"), hold, resolved(10_000 + paid_2)];
        ends_at(posted(&[&credited[..], &[dispute_of("pi_2", "d", paid_2 + 700)]].concat()), 10_000, REVIEW);
    }
    // Without a stated amount it paid what a person credited for it.
    let part = [paid("pi_1"), unstated("pi_2"), resolved(13_000)];
    ends_at(posted(&[&part[..], &[refund_of("pi_2", "r", 3_000)]].concat()), 10_000, CREDITED);
    ends_at(posted(&[&part[..], &[refund_of("pi_2", "r", 10_000)]].concat()), 10_000, REVIEW);
    // Of which a part had gone back before.
    let part = [paid("pi_1"), mismatch("pi_2", 9_500), refund_of("pi_2", "r1", 3_000), resolved(16_500)];
    ends_at(posted(&[&part[..], &[refund_of("pi_2", "r2", 6_500)]].concat()), 10_000, CREDITED);
}

#[test]
fn what_goes_back_of_a_payment_that_a_person_did_not_credit_leaves_the_credit_of_the_other() {
    for (hold, paid_2) in holds() {
        let status = if matches!(&hold, Provider(ProviderFact::ReviewHold(ReviewHold::PaymentReused { .. }))) {
            REVIEW
        } else {
            CREDITED
        };
        for back in backs("pi_2", paid_2) {
            for known in [[paid("pi_1"), hold.clone()], [hold.clone(), paid("pi_1")]] {
                let steps = [&known[..], &[resolved(10_000), back.clone()]].concat();
                ends_at(posted(&steps), 10_000, status);
                let steps = [&known[..], &[back.clone(), resolved(10_000)]].concat();
                ends_at(posted(&steps), 10_000, CREDITED);
            }
        }
    }
}

#[test]
fn what_goes_back_is_a_review_where_nothing_says_which_payment_was_credited() {
    let both = [mismatch("pi_1", 9_500), mismatch("pi_2", 5_000)];
    let swapped = [both[1].clone(), both[0].clone()];
    // The only confirmed payment had gone back.
    let confirmed = |back: Step| [paid("pi_1"), back, mismatch("pi_2", 9_500)];
    let refunded = confirmed(refund_of("pi_1", "re_0", 10_000));
    let lost = confirmed(dispute_of("pi_1", "d_0", 10_000));
    let requested = [paid("pi_1"), Post, requested("", 10_000), mismatch("pi_2", 9_500)];
    let beside = [paid("pi_1"), mismatch("pi_2", 9_500)];
    let cases: [&[Step]; 6] = [&both, &swapped, &refunded, &lost, &requested, &beside];
    let backs = backs("pi_1", 9_500).into_iter().chain(backs("pi_2", 5_000)).chain([refund_of("", "re_9", 5_000)]);
    for (known, back) in cases.iter().flat_map(|known| backs.clone().map(move |back| (known, back))) {
        let steps = [known, &[resolved(9_500)][..]].concat();
        ends_at(posted(&steps), 9_500, CREDITED);
        let steps = [&steps[..], &[back]].concat();
        let (end, lines) = lines_of(deposit(15), posted(&steps));
        assert_eq!(end.transaction.facts.open_holds().count(), known.iter().filter(|step| is_hold(step)).count());
        assert!(end.transaction.reason.to_string().contains("AMOUNT_MISMATCH"), "\n{lines}");
        ends_at(posted(&steps), 9_500, REVIEW);
        // A person ends it, with whatever is left.
        for minor in [9_500, 4_500] {
            ends_at(posted(&[&steps[..], &[resolved(minor)]].concat()), minor, CREDITED);
        }
        let closed = played(deposit(15), posted(&[&steps[..], &[resolved(0)]].concat()));
        assert_eq!((closed.standing().owed_minor, closed.transaction.facts.open_holds().count()), (0, 0));
    }
    // All of both was credited: then it is known.
    let all = [&both[..], &[resolved(14_500)]].concat();
    ends_at(posted(&[&all[..], &[refund_of("pi_2", "r", 5_000)]].concat()), 9_500, CREDITED);
    ends(posted(&[&all[..], &[refund_of("pi_1", "r", 9_500)]].concat()), 5_000);
}

fn is_hold(step: &Step) -> bool {
    matches!(step, Provider(ProviderFact::ReviewHold(_)))
}

#[test]
fn what_was_paid_beyond_a_resolution_goes_back_first() {
    for payment in ["", "pi_1"] {
        let credited = [mismatch(payment, 15_000), resolved(10_000)];
        let then = |minor| posted(&[&credited[..], &[refund_of(payment, "r", minor)]].concat());
        ends_at(then(5_000), 10_000, CREDITED);
        ends_at(then(7_000), 8_000, CREDITED);
        ends_at(then(15_000), 0, TransactionStatus::Refunded);
    }
    // Of an amount that the provider corrected, the smaller counts.
    let corrected = [mismatch("pi_1", 15_000), mismatch("pi_1", 9_500), resolved(9_500)];
    ends_at(posted(&[&corrected[..], &[refund_of("pi_1", "r", 9_500)]].concat()), 0, TransactionStatus::Refunded);
}

#[test]
fn a_payment_that_comes_after_a_resolution_gives_nothing_back_of_its_credit() {
    // Held for review: a person has not decided about it.
    let first = [mismatch("pi_1", 9_500), resolved(9_500)];
    for (hold, paid_2) in holds() {
        for back in backs("pi_2", paid_2) {
            ends_at(posted(&[&first[..], &[hold.clone(), back.clone()]].concat()), 9_500, REVIEW);
            ends_at(posted(&[&first[..], &[back, hold.clone()]].concat()), 9_500, REVIEW);
        }
        let of_the_first = refund_of("pi_1", "re_1", 9_500);
        ends_at(posted(&[&first[..], &[hold, of_the_first]].concat()), 0, REVIEW);
    }
    // Confirmed: what went back of the first is shown to the person who decides.
    let steps = posted(&[&first[..], &[paid("pi_2"), refund_of("pi_1", "re_1", 9_500)]].concat());
    ends_at(steps.clone(), 9_500, REVIEW);
    let reason = played(deposit(15), steps).transaction.reason;
    assert_eq!(
        reason.to_string(),
        "SECOND_PAYMENT: pi_1 and pi_2; also stated: confirmed 100.0 USD (pi_2), refunded 95.0 USD"
    );
}

#[test]
fn a_payment_that_is_stated_again_in_full_after_a_resolution_is_taken_back_as_it_was_credited() {
    for (hold, paid_2) in holds() {
        let steps = [paid("pi_1"), hold, resolved(10_000 + paid_2), paid("pi_2")];
        ends_at(posted(&steps), 10_000 + paid_2, REVIEW);
        for back in [refund_of("pi_2", "r", 10_000), refund_of("pi_1", "r", 10_000)] {
            let (left, _, lines) = end(posted(&[&steps[..], &[back]].concat()));
            assert_eq!(left, 10_000, "\n{lines}");
        }
    }
}

#[test]
fn in_any_order_no_debit_is_lost_and_no_right_money_is_taken() {
    for ((hold, paid_2), minor) in
        holds().into_iter().flat_map(|hold| [5_000, 9_500, 10_000, 19_500].map(|m| (hold.clone(), m)))
    {
        for (back_1, back_2) in backs("pi_1", 10_000).into_iter().zip(backs("pi_2", paid_2)) {
            let all = [paid("pi_1"), hold.clone(), resolved(minor), back_1, back_2];
            for order in orders(&[0, 1, 2, 3, 4]) {
                let place = |of: usize| order.iter().position(|known| *known == of).unwrap_or_default();
                if place(2) < place(0).min(place(1)) {
                    continue;
                }
                let steps: Vec<Step> = order.iter().map(|at| all[*at].clone()).collect();
                let (left, status, lines) = end(posted(&steps));
                if place(2) < place(3).min(place(4)) {
                    assert!(left == 0 || status == REVIEW, "all went back, and {left} is credited\n{lines}");
                }
                // Without what went back of the confirmed payment.
                let steps: Vec<Step> = order.iter().filter(|at| **at != 3).map(|at| all[*at].clone()).collect();
                let (left, _, lines) = end(posted(&steps));
                assert!(left >= minor.min(10_000), "{left} of 10000 that are there\n{lines}");
            }
        }
    }
}

#[test]
fn a_dispute_that_was_lifted_takes_nothing_in_any_order() {
    for ((hold, paid_2), payment) in holds().into_iter().flat_map(|hold| [(hold.clone(), "pi_1"), (hold, "pi_2")]) {
        for minor in [5_000, 9_500, 10_000, 10_000 + paid_2] {
            let of = if payment == "pi_1" { 10_000 } else { paid_2 };
            let lifted = ProviderFact::ChargebackReversed { id: "d".into(), payment: payment.into() };
            let all = [paid("pi_1"), hold.clone(), resolved(minor), dispute_of(payment, "d", of), Provider(lifted)];
            for order in orders(&[0, 1, 2, 3, 4]) {
                let place = |of: usize| order.iter().position(|known| *known == of).unwrap_or_default();
                let steps: Vec<Step> = order.iter().map(|at| all[*at].clone()).collect();
                let (left, _, lines) = end(posted(&steps));
                assert!(place(2) < place(0).min(place(1)) || left == minor, "{left} of {minor}\n{lines}");
            }
        }
    }
}

fn orders(places: &[usize]) -> Vec<Vec<usize>> {
    let [] = places else {
        let rest_of = |place: &usize| places.iter().copied().filter(|other| other != place).collect::<Vec<_>>();
        let with = |place: &usize| {
            orders(&rest_of(place)).into_iter().map(|rest| [&[*place], &rest[..]].concat()).collect::<Vec<_>>()
        };
        return places.iter().flat_map(with).collect();
    };
    vec![Vec::new()]
}
