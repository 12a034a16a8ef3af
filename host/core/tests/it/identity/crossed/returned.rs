//! What was found by reading: money that comes back beside a manual deposit, payments that a person refused, and statements that
//! look like a reversal of another order's payment and are none.

use super::*;

fn status(ledger: &Ledger, id: u64) -> u8 {
    ledger.aggregate(id).transaction.status.number()
}

#[test]
fn what_comes_back_beside_a_manual_deposit_that_carries_an_id_of_the_payment_waits() {
    for what in ["dispute", "refund"] {
        let mut ledger = Ledger::default();
        let id = ledger.open("");
        // Of another amount: it is linked by the id alone.
        ledger.enter(&account(), &request("ch_1", 9_700, true), true).unwrap();
        ledger.play(Step::Settled);
        ledger.confirm(id, "pi_1", false);
        assert_eq!(ledger.posted(id), 10_000, "{what}");
        ledger.state(id, with_ref(under(id, back(what, "pi_1", 10_000)), "ch_1"));
        assert_eq!(ledger.posted(id), 0, "{what}");
        ledger.state(id, with_ref(under(id, lifted(what, "pi_1", 10_000)), "ch_1"));
        assert!(ledger.posted(id) == 0 && ledger.is_reviewed(id) && ledger.names(id, 2), "{what}");
    }
}

#[test]
fn what_comes_back_once_more_waits_again_whatever_was_retried_before() {
    let mut ledger = Ledger::default();
    let id = ledger.open("");
    ledger.confirm(id, "pi_1", true);
    ledger.state(id, under(id, back("refund", "pi_1", 4_000)));
    ledger.enter(&account(), &request("", 4_000, true), true).unwrap();
    ledger.play(Step::Settled);
    ledger.state(id, under(id, lifted("refund", "pi_1", 4_000)));
    assert!(ledger.posted(id) == 6_000 && ledger.is_reviewed(id));
    ledger.play(Step::Retry(id));
    ledger.play(Step::Settled);
    assert_eq!(ledger.posted(id), 6_000, "a retry is no end of the review");
    ledger.resolve(id, 10_000).unwrap();
    ledger.play(Step::Settled);
    assert_eq!(ledger.posted(id), 10_000, "who saw the manual deposit credits it");
}

#[test]
fn a_manual_deposit_that_was_rejected_stops_no_credit_of_an_order_of_which_a_part_went_back_early() {
    let mut ledger = Ledger::default();
    let id = ledger.open("");
    ledger.enter(&account(), &request("", 10_000, true), false).unwrap();
    ledger.state(id, under(id, back("refund", "pi_1", 3_000)));
    ledger.play(Step::Reject(2));
    ledger.confirm(id, "pi_1", false);
    assert_eq!(ledger.posted(id), 7_000);
}

#[test]
fn what_goes_back_of_a_payment_that_a_person_refused_is_where_it_is_stated_and_reviewed() {
    for what in BACK {
        let (mut ledger, a, b) = held_and_back(what, "other amount", false, (true, true));
        ledger.resolve(a, 0).unwrap();
        ledger.resolve(b, 500).unwrap();
        ledger.play(Step::Settled);
        assert!(!ledger.is_reviewed(a) && !ledger.is_reviewed(b), "{what}");
        let again = Update { event_id: "again".into(), ..under(b, back("refund", "pi_1", 400)) };
        let again = Update { refund: refunded("another", 400).refund, ..again };
        ledger.state(b, again);
        assert!(ledger.is_reviewed(b), "{what}");
    }
}

#[test]
fn an_order_of_which_a_payment_was_refused_is_not_reviewed_when_that_is_confirmed_for_another() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.state(1, Update { amount: Some(StatedAmount::Exact(usd(9_500))), ..paid("other", 1, "pi_9") });
    ledger.resolve(1, 0).unwrap();
    ledger.confirm(2, "pi_9", false);
    assert_eq!((status(&ledger, 1), ledger.posted(1), ledger.posted(2)), (6, 0, 10_000));
}

#[test]
fn the_end_of_a_dispute_that_states_the_whole_payment_takes_what_went_back_of_it_before() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.confirm(2, "pi_2", true);
    ledger.state(2, under(2, back("refund", "pi_1", 5_000)));
    assert_eq!(ledger.posted(2), 5_000);
    let amount = Some(StatedAmount::Exact(usd(10_000)));
    ledger.state(1, Update { amount, ..under(1, lifted("dispute", "pi_1", 10_000)) });
    let all = [1, 2].map(|id| (ledger.posted(id), ledger.is_reviewed(id)));
    assert!(all[1] == (10_000, false) || all[1].1, "{all:?}");
    assert!(all[0].0 <= 5_000 || all[0].1, "{all:?}");
}

#[test]
fn an_order_whose_payment_has_no_id_is_reviewed_where_what_went_back_may_be_another_orders() {
    for is_first in [true, false] {
        let mut ledger = Ledger::with(&[1, 1]);
        ledger.state(2, paid("unnamed", 2, ""));
        let held = Update { amount: Some(StatedAmount::Exact(usd(9_500))), ..paid("held", 1, "pi_1") };
        let reversal = under(2, back("refund", "pi_1", 5_000));
        for update in if is_first { [held, reversal] } else { [reversal, held] } {
            ledger.state(2, update);
        }
        assert!(ledger.is_reviewed(1) && ledger.is_reviewed(2), "{is_first}");
        assert_eq!(ledger.posted(2), 5_000, "{is_first}");
    }
}

#[test]
fn each_statement_that_another_config_alone_verified_is_looked_at() {
    let mut ledger = Ledger::with(&[1, 2]);
    ledger.confirm(1, "pi_1", false);
    let shown = |ledger: &mut Ledger, event: &str| {
        let update = Update { event_id: event.into(), ..under(2, back("refund", "pi_1", 1_000)) };
        ledger.file(2, vec![update]);
        ledger.is_reviewed(1)
    };
    assert!(shown(&mut ledger, "first"));
    ledger.resolve(1, 9_000).unwrap();
    assert!(!ledger.is_reviewed(1) && shown(&mut ledger, "second"), "the review is open again");
    ledger.play(Step::Settled);
    assert_eq!(ledger.posted(1), 9_000);
}

#[test]
fn a_reversal_of_a_payment_that_a_person_refused_is_reviewed_where_its_reference_leads() {
    let mut ledger = Ledger::with(&[1, 1]);
    ledger.confirm(1, "pi_1", false);
    ledger.state(2, Update { amount: None, ..paid("unstated", 2, "pi_2") });
    ledger.resolve(2, 0).unwrap();
    ledger.state(1, under(1, back("refund", "pi_2", 3_000)));
    assert_eq!((ledger.posted(1), ledger.is_reviewed(1)), (7_000, true));
}

#[test]
fn what_goes_back_after_a_person_refused_an_order_beside_a_manual_deposit_is_reviewed_again() {
    let mut ledger = Ledger::default();
    let id = ledger.open("");
    ledger.enter(&account(), &request("", 10_000, true), true).unwrap();
    ledger.play(Step::Settled);
    ledger.state(id, under(id, back("refund", "pi_1", 3_000)));
    ledger.resolve(id, 0).unwrap();
    assert!(!ledger.is_reviewed(id));
    let rest =
        Update { event_id: "rest".into(), refund: refunded("rest", 7_000).refund, ..back("refund", "pi_1", 7_000) };
    ledger.state(id, under(id, rest));
    assert!(ledger.is_reviewed(id) && ledger.names(id, 2));
}

#[test]
fn the_end_of_a_dispute_of_an_order_that_was_paid_less_is_reviewed_where_less_of_that_was_credited() {
    for (left, is_reviewed) in [(5_000, false), (0, true)] {
        let mut ledger = Ledger::default();
        let id = ledger.open("");
        ledger.state(id, Update { amount: Some(StatedAmount::Exact(usd(5_000))), ..paid("less", id, "pi_1") });
        ledger.state(id, under(id, back("dispute", "pi_1", 5_000)));
        ledger.resolve(id, left).unwrap();
        ledger.play(Step::Settled);
        ledger.state(id, under(id, lifted("dispute", "pi_1", 5_000)));
        assert_eq!((ledger.posted(id), ledger.is_reviewed(id)), (left, is_reviewed));
    }
}
