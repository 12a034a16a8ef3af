//! A further payment of an order, entered by hand under its id: what goes back of the order's own payment is not this one's.

use super::steps::Naming;
use cashier_core::status::TransactionStatus;

use super::*;

const OWN: u64 = 1;
const ENTERED: u64 = 3;

/// Order 1 is credited for its own payment. Its further one is entered as transaction 3, then stated, and a person who read that
/// review ended it with `resolved`.
fn entered(resolved: i64) -> Ledger {
    let mut ledger = Ledger::with(&[1; ORDERS as usize]);
    ledger.play(Step::Credited { id: OWN, is_back: false });
    ledger.play(Step::Enter { payment: "pi_1 further", minor: 10_000, force: true, process: false });
    ledger.play(Step::Stated { id: OWN, what: "further", event: 0, naming: Naming::OWN });
    let named = ledger.aggregate(OWN).transaction.facts.any(|fact| {
        matches!(fact, ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment, owner })
            if **payment == *"pi_1 further" && **owner == *"3")
    });
    assert!(named, "the review names what was entered");
    ledger.play(Step::Resolve(OWN, resolved));
    ledger.play(Step::Settled);
    assert_eq!(model::posted_minor(&ledger.aggregate(OWN)), resolved.min(10_000), "more is credited twice");
    ledger
}

/// What the provider states went back of this payment of order 1.
fn back(event: &str, payment: &str, minor: i64) -> Update {
    Update { payment_id: payment.into(), refund: refunded("re_1", minor).refund, ..named(event, OWN, S::Refunded) }
}

fn disputed(payment: &str) -> Update {
    let dispute = Some(DisputeStatement { id: "dp_1".into(), amount: None });
    Update { payment_id: payment.into(), dispute, ..named("dispute", OWN, S::Chargeback) }
}

fn total(payment: &str) -> Update {
    let whole = back("total", payment, 10_000);
    Update { refund: whole.refund.map(|refund| RefundStatement { reach: Reach::TotalSoFar, ..refund }), ..whole }
}

/// Whether the entered deposit is processed after these statements, before and after what they took is posted.
#[track_caller]
fn processed(stated: &[Update]) -> [bool; 2] {
    [false, true].map(|is_settled| {
        let mut ledger = entered(10_000);
        for update in stated {
            ledger.file(1, vec![update.clone()]);
        }
        if is_settled {
            ledger.play(Step::Settled);
        }
        ledger.play(Step::Process(ENTERED));
        ledger.aggregate(ENTERED).transaction.approved_time.is_set()
    })
}

#[test]
fn a_further_payment_that_was_entered_by_hand_is_processed_whatever_goes_back_of_the_orders_own() {
    for stated in [
        vec![],
        vec![back("e", "pi_1", 3_000)],
        vec![back("e", "pi_1", 10_000)],
        vec![total("pi_1")],
        vec![disputed("pi_1")],
        // Another statement of the same refund names the payment.
        vec![back("e", "", 10_000), back("e2", "pi_1", 10_000)],
    ] {
        assert_eq!(processed(&stated), [true; 2], "{stated:?}");
    }
}

#[test]
fn a_further_payment_that_went_back_or_may_have_is_not_processed() {
    for payment in ["pi_1 further", ""] {
        for stated in [back("e", payment, 3_000), back("e", payment, 10_000), total(payment), disputed(payment)] {
            assert_eq!(processed(std::slice::from_ref(&stated)), [false; 2], "{stated:?}");
            let own = Update { refund: refunded("re_own", 3_000).refund, ..back("own", "pi_1", 3_000) };
            assert_eq!(processed(&[own, stated.clone()]), [false; 2], "beside: {stated:?}");
        }
    }
}

/// Whether the order's review of what is about this payment names what was entered.
fn is_named(ledger: &Ledger, payment: &str) -> bool {
    let is_beside = |fact: &ProviderFact| matches!(fact, ProviderFact::ReviewHold(ReviewHold::Beside { deposit }) if **deposit == *"3");
    (payment.is_empty() && ledger.aggregate(OWN).transaction.facts.any(is_beside))
        || ledger.aggregate(OWN).transaction.facts.any(|fact| {
            matches!(fact, ProviderFact::ReviewHold(ReviewHold::PaymentReused { payment: of, owner })
            if **of == *payment && **owner == *"3")
        })
}

#[test]
fn what_goes_back_of_the_orders_own_payment_asks_nobody_about_what_was_entered_for_a_further_one() {
    for (stated, status) in [
        (back("e", "pi_1", 3_000), TransactionStatus::Credited),
        (back("e", "pi_1", 10_000), TransactionStatus::Refunded),
        (total("pi_1"), TransactionStatus::Refunded),
        (disputed("pi_1"), TransactionStatus::Chargeback),
    ] {
        let mut ledger = entered(10_000);
        ledger.file(1, vec![stated.clone()]);
        ledger.play(Step::Settled);
        let order = ledger.aggregate(OWN);
        assert!(!is_named(&ledger, "pi_1"), "{stated:?}");
        assert_eq!(order.transaction.status, status, "{stated:?}");
        assert_eq!(model::posted_minor(&order), order.standing().owed_minor, "{stated:?}");
    }
    // What may be of the further one, and what would come back by itself, is asked about.
    for payment in ["pi_1 further", ""] {
        let mut ledger = entered(10_000);
        ledger.file(1, vec![back("e", payment, 3_000)]);
        assert!(is_named(&ledger, payment), "{payment}");
        assert_eq!(ledger.aggregate(OWN).transaction.status, TransactionStatus::ManualReview, "{payment}");
    }
    let mut ledger = entered(10_000);
    ledger.file(1, vec![back("e", "pi_1", 10_000)]);
    ledger.play(Step::Settled);
    let failed = Update { event_id: "failed".into(), status: S::RefundFailed, ..back("failed", "pi_1", 10_000) };
    ledger.file(1, vec![failed]);
    let order = ledger.aggregate(OWN);
    assert!(is_named(&ledger, "pi_1") && model::posted_minor(&order) == 0, "{order:?}");
    // An id that came with its own payment, then or before, may be of it.
    for is_before in [true, false] {
        let mut ledger = entered(10_000);
        let linked = with_ref(named("linked", OWN, S::Pending), "pi_1 further");
        let refunded = back("e", "pi_1", 3_000);
        let stated = if is_before { vec![linked, refunded] } else { vec![with_ref(refunded, "pi_1 further")] };
        for update in stated {
            ledger.file(1, vec![update]);
        }
        assert!(is_named(&ledger, "pi_1"), "{is_before}");
    }
}

#[test]
fn what_goes_back_of_the_orders_own_payment_names_what_carries_another_id_of_it() {
    let mut ledger = Ledger::with(&[1; ORDERS as usize]);
    ledger.play(Step::Enter { payment: "ch_1", minor: 10_000, force: true, process: true });
    ledger.play(Step::Settled);
    ledger.play(Step::Credited { id: OWN, is_back: false });
    ledger.play(Step::Stated { id: OWN, what: "linked", event: 0, naming: Naming::OWN });
    ledger.play(Step::Stated { id: OWN, what: "further", event: 0, naming: Naming::OWN });
    ledger.play(Step::Resolve(OWN, 10_000));
    ledger.file(1, vec![back("e", "pi_1", 10_000)]);
    assert!(is_named(&ledger, "pi_1"));
}
