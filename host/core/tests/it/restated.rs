//! One reversal stated in two ways: by an id and in a total, unnamed and named, before a resolution and after it.

use cashier_core::facts::{Facts, PersonFact, ProviderFact};
use cashier_core::ids::Seq;
use cashier_core::standing::{Nature, Posted, derive};

use crate::samples::*;

fn owed(provider: &[(u64, ProviderFact)], persons: &[(u64, PersonFact)]) -> (i64, u8, String) {
    let mut all = Facts::default();
    for (seq, fact) in provider {
        all.record(Seq(*seq), NOW, fact.clone());
    }
    for (seq, fact) in persons {
        all.record_person(Seq(*seq), NOW, fact.clone());
    }
    let now = derive(Nature::ProviderDeposit, usd(10_000), &all, Posted { minor: 10_000, ..Posted::default() });
    (now.owed_minor, now.status.number(), now.reason.to_string())
}

fn confirmed(payment: &str) -> ProviderFact {
    ProviderFact::Confirmed { payment: payment.into(), minor: 10_000 }
}
fn refund(id: &str, payment: &str, minor: i64) -> ProviderFact {
    ProviderFact::Refund { id: id.into(), payment: payment.into(), minor }
}
fn total(payment: &str, minor: i64) -> ProviderFact {
    ProviderFact::RefundedTotal { payment: payment.into(), minor }
}
fn dispute(id: &str, payment: &str, minor: i64) -> ProviderFact {
    ProviderFact::Chargeback { id: id.into(), payment: payment.into(), minor }
}
fn resolved(minor: i64) -> PersonFact {
    PersonFact::Resolved { minor }
}

#[test]
fn a_refund_that_a_total_included_before_a_resolution_is_not_taken_again() {
    for minor in [6_000, 10_000] {
        let now = owed(
            &[(1, confirmed("pi_1")), (2, total("pi_1", 4_000)), (4, refund("re_1", "pi_1", 4_000))],
            &[(3, resolved(minor))],
        );
        assert_eq!(now.0, minor, "{now:?}");
    }
}

#[test]
fn a_refund_that_a_total_of_one_of_two_payments_included_before_a_resolution_is_not_taken_again() {
    let now = owed(
        &[
            (1, confirmed("pi_1")),
            (1, confirmed("pi_2")),
            (2, total("pi_1", 10_000)),
            (4, refund("re_1", "pi_1", 10_000)),
        ],
        &[(3, resolved(10_000))],
    );
    assert_eq!(now.0, 10_000, "{now:?}");
}

#[test]
fn a_dispute_that_was_unnamed_before_a_resolution_and_is_named_later_is_one() {
    for (first, second) in [("", "dp_1"), ("pi_1", "dp_1"), ("dp_1", "")] {
        let now = owed(
            &[(1, confirmed("pi_1")), (2, dispute(first, "pi_1", 4_000)), (4, dispute(second, "pi_1", 4_000))],
            &[(3, resolved(10_000))],
        );
        assert_eq!(now.0, 10_000, "{first} {second} {now:?}");
    }
}

#[test]
fn a_total_after_a_resolution_includes_what_was_requested_before_it() {
    let request = PersonFact::RefundRequested { id: "own".into(), payment: "".into(), minor: 4_000 };
    let now = owed(&[(1, confirmed("pi_1")), (4, total("pi_1", 4_000))], &[(2, request), (3, resolved(10_000))]);
    assert_eq!(now.0, 10_000, "{now:?}");
}

#[test]
fn a_dispute_under_the_id_that_it_names_as_its_payment_is_unnamed() {
    for payment in ["", "pi_9"] {
        let now = owed(
            &[(1, confirmed(payment)), (2, dispute("pi_1", "pi_1", 4_000)), (3, dispute("dp_1", "pi_1", 4_000))],
            &[],
        );
        assert_eq!(now.0, 6_000, "{payment:?} {now:?}");
    }
}

#[test]
fn a_reversal_under_the_id_of_its_payment_is_unnamed() {
    let lifted = ProviderFact::ChargebackReversed { id: "pi_1".into(), payment: "pi_1".into() };
    let named = |payment| owed(&[(1, confirmed(payment)), (2, dispute("", "pi_1", 4_000)), (3, lifted.clone())], &[]);
    assert_eq!(named("").0, named("pi_1").0, "{:?} {:?}", named(""), named("pi_1"));
}
