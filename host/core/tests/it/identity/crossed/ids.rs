//! An id of a payment that came to an order with a statement about what goes back of it: it keeps no statement about the payment from
//! the order whose reference comes with it.

use super::*;

/// The statements in their order, none of which is refused.
fn refused(ledger: &mut Ledger, statements: [(u64, Update); 2]) -> Option<String> {
    let events = statements.map(|(id, update)| ledger.state(id, update));
    let failed = events.into_iter().find(|event| event.processing_status == ProcessingStatus::Failed);
    failed.map(|event| event.failure_reason.to_string())
}

/// A statement that `pi_1` of order A is paid.
fn says_paid(a: u64, amount: Option<i64>) -> Update {
    let event = format!("paid {amount:?}");
    Update { amount: amount.map(|minor| StatedAmount::Exact(usd(minor))), ..paid(&event, a, "pi_1") }
}

#[test]
fn a_confirmation_is_applied_although_its_id_came_to_another_order_with_a_reversal_or_the_failure_of_one() {
    none_wrong([false, true].map(|is_entered| {
        let found = wrong(|what, early, late| {
            let mut wrong = Vec::new();
            for (stated, is_lifted) in [(back(what, "pi_1", 10_000), false), (lifted(what, "pi_1", 10_000), true)] {
                let mut ledger = Ledger::with(&[1, 1]);
                if is_entered {
                    ledger.enter(&account(), &request("", 10_000, true), false).unwrap();
                }
                let statements = [(2, ids(early, under(2, stated))), (1, ids(late, says_paid(1, Some(10_000))))];
                let refused = refused(&mut ledger, statements);
                wrong.extend(refused.map(|why| format!("lifted {is_lifted}: {why}")));
                let known = ledger.aggregate(1).transaction;
                let is_seen = known.facts.paid().any(|payment| payment == "pi_1");
                wrong.extend((!is_seen).then(|| format!("lifted {is_lifted}: order 1 is not paid")));
            }
            (!wrong.is_empty()).then(|| wrong.join(", "))
        });
        (format!("entered beside {is_entered}"), found)
    }));
}

#[test]
fn a_confirmation_that_is_stated_again_with_its_id_is_applied_after_the_reversal_moved() {
    none_wrong([None, Some(9_500), Some(10_000)].map(|again| {
        let found = wrong(|what, early, late| {
            let (mut ledger, b, a) = credited_beside("of a customer");
            ledger.state(b, ids(early, under(b, back(what, "pi_1", 5_000))));
            ledger.confirm(a.unwrap(), "pi_1", late);
            let stated = |event: &str| Update { event_id: event.into(), ..says_paid(a.unwrap(), again) };
            let statements = [(a.unwrap(), ids(true, stated("e1"))), (a.unwrap(), ids(false, stated("e2")))];
            refused(&mut ledger, statements)
        });
        (format!("stated again as {again:?}"), found)
    }));
}
