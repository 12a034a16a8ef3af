//! What is stated after a review that named something else was ended: it is not lost behind that review.

use super::*;

#[test]
fn the_failure_or_the_end_of_a_reversal_that_was_reviewed_at_another_order_is_not_lost_for_its_own() {
    for (what, kind) in ["dispute", "refund"].into_iter().flat_map(|what| KINDS.map(|kind| (what, kind))) {
        // Of these the manual deposit is compared with both orders, or the amounts are not.
        if ["opened later", "in a currency"].contains(&kind) {
            continue;
        }
        let mut ledger = Ledger::default();
        let (a, b) = (ledger.open(kind), ledger.open(""));
        ledger.enter(&account(), &request("", 10_000, true), false).unwrap();
        let minor = ledger.aggregate(a).transaction.amount.minor;
        ledger.state(b, under(b, lifted(what, "pi_1", minor)));
        ledger.confirm(a, "pi_1", false);
        ledger.state(a, under(a, back(what, "pi_1", minor)));
        let is_listed = !duty::of_transaction(&ledger.aggregate(a), NOW).is_empty();
        let posted = ledger.posted(a);
        assert!(posted == minor || is_listed, "{what}, A {kind}: {posted} of {minor}, listed {is_listed}");
    }
}

#[test]
fn an_order_that_a_person_decided_beside_a_refund_in_another_currency_is_reviewed_once_that_is_anothers() {
    let (mut ledger, b, a) = credited_beside("in a currency");
    let amount = StatedAmount::Exact(Money::new(3_000, currency("EUR")));
    let refund = back("refund", "pi_1", 3_000).refund.map(|refund| RefundStatement { amount, ..refund });
    ledger.state(b, under(b, Update { refund, ..back("refund", "pi_1", 3_000) }));
    assert!(ledger.is_reviewed(b));
    ledger.decide_by_hand(b, 5_000);
    ledger.confirm(a.unwrap(), "pi_1", false);
    assert_eq!((ledger.posted(b), ledger.is_reviewed(b)), (5_000, true));
}
