//! What must hold of two orders and the manual deposits beside them, by postings, facts and the moment of each entry alone.

use std::collections::BTreeMap;

use cashier_core::duty::{self, WorkKind};
use cashier_core::facts::PersonFact;
use cashier_core::operation::posted;
use cashier_core::status::{Source, TransactionStatus};
use cashier_core::transaction::Transaction;

use super::*;

/// What was posted to each order when a transaction was entered; what was under way is none of it.
pub(super) type AtEntry = BTreeMap<TransactionId, Vec<i64>>;

pub(super) fn posted_minor(known: &Aggregate) -> i64 {
    posted(&known.transaction, &known.operations).minor
}

/// Posted, or on its way.
fn credited(known: &Aggregate) -> i64 {
    let under_way = known.operations.iter().filter(|known| known.is_unsettled() && known.amount.minor > 0);
    posted_minor(known) + under_way.map(|known| known.amount.minor).sum::<i64>()
}

fn carries(row: &Transaction, payment: &str) -> bool {
    row.source == Source::Manual && *row.provider_payment_id == *payment
}

pub(super) fn check(all: &[Aggregate], books: &Books) -> Result<(), TestCaseError> {
    let listed = books.work_after(TransactionId(0), all.len() + 1);
    for known in all {
        let items = duty::of_transaction(known, NOW);
        prop_assert_eq!(!items.is_empty(), listed.contains(&known.transaction.id), "{:?} of {:?}", items, known);
        let (sum, owed) = (posted_minor(known), known.standing().owed_minor);
        let written = known.transaction.facts.persons.iter().fold(None, |written, known| match known.fact {
            PersonFact::Held(status) => Some(status),
            PersonFact::Released => None,
            _ => written,
        });
        let settled_outside = sum < owed && written == Some(TransactionStatus::Credited);
        prop_assert!(sum == owed || settled_outside || !items.is_empty(), "posted {} owed {}: {:?}", sum, owed, known);
        let is_reviewed = written.is_none() && known.transaction.facts.open_holds().next().is_some();
        let is_listed = items.iter().any(|item| item.kind == WorkKind::Review);
        prop_assert!(!is_reviewed || is_listed, "an open review is not listed: {:?}", known);
    }
    for id in 1..=ORDERS {
        let order = &all[id as usize - 1];
        let by_payment =
            |payment: &str| all.iter().filter(|known| carries(&known.transaction, payment)).collect::<Vec<_>>();
        let entered = by_payment(&format!("pi_{id}"));
        // An order that a person credited before any statement named its payment is reviewed once one does.
        let payment = format!("pi_{id}");
        let naming = order.transaction.facts.provider.iter().filter(|known| match &known.fact {
            ProviderFact::Confirmed { payment: own, .. } => **own == *payment,
            ProviderFact::ReviewHold(hold) => *hold.payment() == *payment,
            _ => false,
        });
        let named = naming.map(|known| known.seq).min();
        let credits = |fact: &PersonFact| matches!(fact, PersonFact::Resolved { minor: 1.. });
        let credited_before =
            |named| order.transaction.facts.persons.iter().any(|known| known.seq < named && credits(&known.fact));
        // What a further payment of the order pays for is not this one's.
        let further = if order.transaction.facts.confirms(&format!("{payment} further")) { 10_000 } else { 0 };
        let own = Some(order).filter(|_| named.is_some_and(|named| !credited_before(named)));
        let own = own.filter(|order| credited(order) > further);
        let money: Vec<_> = entered.iter().copied().chain(own).filter(|known| credited(known) > 0).collect();
        prop_assert!(money.len() <= 1, "the payment of order {} is credited twice: {:?}", id, money);
        // By another id of the payment: from when the order has that id, it is a review that names both.
        let linked = order.transaction.refs.iter().any(|own| *own.value == *format!("ch_{id}"));
        for entry in by_payment(&format!("ch_{id}")).into_iter().filter(|known| linked && credited(known) > 0) {
            let owner = entry.transaction.id.to_string();
            let names = order.transaction.facts.any(|fact| {
                matches!(fact, ProviderFact::ReviewHold(ReviewHold::PaymentReused { owner: of, .. } | ReviewHold::ReturnBeside { deposit: of } | ReviewHold::Beside { deposit: of }) if **of == owner)
            });
            prop_assert!(names || credited(order) == 0, "order {} is credited beside {:?}: {:?}", id, entry, order);
        }
    }
    Ok(())
}

/// A manual deposit of the order's amount, with whatever id: where the order is credited what it was not when that was entered,
/// a review named it to the person who credited it.
pub(super) fn check_linked(all: &[Aggregate], at_entry: &AtEntry) -> Result<(), TestCaseError> {
    for id in 1..=ORDERS as usize {
        let order = &all[id - 1];
        let is_confirmed = order.transaction.facts.any(ProviderFact::is_confirmation);
        for (entry, before) in at_entry {
            let known = &all[entry.0 as usize - 1];
            let (row, now, before) = (&known.transaction, credited(order), before[id - 1]);
            let is_like = match row.amount.minor {
                10_000 => now > before && (before == 0 || now > 10_000),
                minor => now == minor && before == 0 && !is_confirmed,
            };
            if row.source != Source::Manual || credited(known) <= 0 || !is_like {
                continue;
            }
            let owner = entry.to_string();
            let names = order.transaction.facts.any(|fact| {
                matches!(fact, ProviderFact::ReviewHold(ReviewHold::PaymentReused { owner: of, .. } | ReviewHold::ReturnBeside { deposit: of } | ReviewHold::Beside { deposit: of }) if **of == owner)
            });
            prop_assert!(names, "order {} is credited {} after {} beside {:?}: {:?}", id, now, before, known, order);
        }
    }
    Ok(())
}

/// An order whose own payment is credited keeps that, whatever else was paid or entered, but for what carries that payment.
pub(super) fn check_kept(ledger: &Ledger) -> Result<(), TestCaseError> {
    let all = ledger.all();
    for id in 1..=ORDERS {
        let order = &all[id as usize - 1];
        let own = [format!("pi_{id}"), format!("ch_{id}")];
        let is_carried = all.iter().any(|known| own.iter().any(|own| carries(&known.transaction, own)));
        let minor = posted_minor(order);
        let is_unsettled = order.operations.iter().any(|known| known.is_unsettled());
        // Of what went back, what a person credits all the same is not distinguished from what a further payment pays for.
        let facts = &order.transaction.facts;
        let went_back = facts.any(ProviderFact::is_reversal);
        if is_carried || is_unsettled || minor == 0 || went_back || !facts.confirms(&own[0]) {
            continue;
        }
        let draft = Draft::new(&ledger.books, NOW);
        let kept = credited_once::check_once(&draft, order, &[ConfigId(1), ConfigId(2)], Some(minor.min(10_000)));
        prop_assert!(kept.is_ok(), "order {} does not keep {}: {:?} {:?}", id, minor, kept, order);
    }
    Ok(())
}
