//! Random histories of two orders with manual deposits beside them, by the decisions that the commands make: of an order and a
//! manual deposit that carries its payment one is credited, and after each step what is posted is what is owed, or it is listed.

use cashier_core::credited_once;

use super::crossed::KINDS;
use super::*;

mod converted;
mod further;
mod model;
pub(super) mod steps;
mod truth;

use self::model::AtEntry;
use self::steps::{Step, any_crossed_step, any_step};
use self::truth::Truth;

const ORDERS: u64 = 2;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn of_an_order_and_a_manual_deposit_with_its_payment_one_is_credited_and_what_differs_is_listed(
        steps in prop::collection::vec(any_step(), 1..30),
    ) {
        let mut ledger = Ledger::with(&[1; ORDERS as usize]);
        let mut at_entry = AtEntry::new();
        for step in steps {
            let before: Vec<i64> = ledger.all().iter().take(ORDERS as usize).map(model::posted_minor).collect();
            let newest = ledger.books.transactions() as u64;
            ledger.play(step);
            if ledger.books.transactions() as u64 > newest {
                at_entry.insert(TransactionId(newest + 1), before);
            }
            model::check(&ledger.all(), &ledger.books)?;
            model::check_linked(&ledger.all(), &at_entry)?;
            model::check_kept(&ledger)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_references_come_with_what_goes_back_no_order_is_credited_too_much_and_none_is_short_unlisted(
        kind in prop::sample::select(KINDS.to_vec()),
        steps in prop::collection::vec(any_crossed_step(), 1..30),
    ) {
        play_crossed(kind, steps)?;
    }
}

fn play_crossed(kind: &str, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut ledger = Ledger::default();
    ledger.open(kind);
    ledger.open("");
    let mut truth = Truth::default();
    for step in steps {
        let before = ledger.all();
        let is_stated = matches!(step, Step::Stated { .. } | Step::Credited { .. });
        ledger.play(step);
        truth.follow(&before, &ledger)?;
        if truth.is_lost() {
            break;
        }
        if is_stated {
            truth.check_rise(&before, &ledger.all())?;
        }
        truth.check(&ledger.all())?;
    }
    Ok(())
}

#[test]
fn an_order_whose_payment_was_entered_by_hand_has_what_a_person_decided_beside_that() {
    use self::steps::Naming;
    let stated = |what| Step::Stated { id: 1, what, event: 0, naming: Naming::OWN };
    let steps = vec![
        Step::Enter { payment: "", minor: 9_500, force: false, process: true },
        stated("other amount"),
        stated("won"),
        Step::Settled,
        Step::Resolve(1, 5_000),
        Step::Credited { id: 1, is_back: false },
    ];
    play_crossed("opened later", steps).unwrap();
}

/// Few by default; the variable asks for more.
fn cases() -> u32 {
    std::env::var("CASHIER_CORE_HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(400)
}
