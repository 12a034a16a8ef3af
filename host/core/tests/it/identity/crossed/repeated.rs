//! What goes back once more of a payment that is not confirmed, with the reference of an order beside which a deposit was entered for
//! what it lost: the review that it becomes credits nothing.

use super::*;

#[test]
fn what_goes_back_once_more_beside_what_was_entered_is_reviewed_and_credits_nothing() {
    for payment in ["pi_1", "pi_2 further"] {
        let found = wrong(|what, early, late| {
            let (mut ledger, b, _) = credited_beside("of a customer");
            ledger.state(b, ids(early, under(b, back(what, payment, 5_000))));
            let entered = ledger.enter_lost(b);
            let before = ledger.posted(b);
            let again = Update { event_id: "again".into(), ..back("refund", payment, 1_000) };
            let refund = again.refund.clone().map(|refund| RefundStatement { id: "again".into(), ..refund });
            ledger.state(b, ids(late, under(b, Update { refund, ..again })));
            let (after, reviewed, named) = (ledger.posted(b), ledger.is_reviewed(b), ledger.names(b, entered));
            let holds = after <= before && reviewed && named;
            (!holds).then(|| format!("{before} became {after}, reviewed {reviewed}, named {named}"))
        });
        none_wrong([(payment.to_owned(), found)]);
    }
}
