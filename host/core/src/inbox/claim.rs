//! What went back of a payment that the provider states with two orders: with one that it is paid, with another that money of it
//! went back (case 93). Where the payment is confirmed and no person decided anything meanwhile, it moves to the order that has
//! the payment, so that the order of the two shows nowhere. Else both orders show it, and a person decides: nothing is credited
//! or taken by itself where a person acted on what was stated before.

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::Aggregate;
use crate::credited_once;
use crate::draft::Draft;
use crate::facts::{MismatchKind, PROVIDER_FACTS_MAX, ProviderFact, ReviewHold};
use crate::ids::TransactionId;
use crate::notice::{ReceivingConfig, Update};
use crate::refs::ProviderRef;
use crate::transaction::Transaction;

use super::matching::owner_of;

/// Returns what other transactions have of reversals of the payments that these facts state as paid for `id`. Of a payment that
/// is confirmed, and about which no person decided meanwhile, they give it up, with the ids that came with the confirmation; else
/// they keep it and are held for review.
pub(super) fn claim(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    facts: &[ProviderFact],
    refs: &[ProviderRef],
) -> Vec<ProviderFact> {
    let mut claimed = Vec::new();
    for (payment, is_confirmed) in paid_in(facts) {
        // What is held because it was confirmed for another transaction is that one's.
        if !is_confirmed && owner_of(draft, receiver, Some(id), payment).is_some() {
            continue;
        }
        for other in draft.by_reversed_payment(&receiver.merchant_account, payment) {
            let Some(known) = draft.aggregate(other).filter(|_| other != id) else { continue };
            let Some(own) = draft.aggregate(id) else { continue };
            let shown = shown_at(&own, &known, payment);
            let at = draft.context();
            if is_confirmed && !known.transaction.facts.is_decided_with_reversals_of(payment) {
                draft.add(known.give_up_reversals(receiver, payment, refs, at));
            } else if !shown.is_empty() || (is_confirmed && known.transaction.facts.any(ProviderFact::is_confirmation))
            {
                let holds = holds_at(draft, &known, &own.transaction, payment);
                let ids = if is_confirmed { refs } else { &[] };
                draft.add(known.keep_reversals(receiver, holds, ids, at));
            }
            // It was compared with another order: what it states of the whole payment may be another amount. What was confirmed
            // before was asked about then.
            let has_capacity = own.transaction.facts.provider.len() < PROVIDER_FACTS_MAX;
            let is_known = |fact: &ProviderFact| !has_capacity || own.transaction.facts.any(|known| known == fact);
            let is_news = !shown.iter().all(is_known) || (is_confirmed && !own.transaction.facts.confirms(payment));
            if is_news && (!is_of_one_config(&own, &known) || own.transaction.amount != known.transaction.amount) {
                draft.add(own.want_query(draft.context()));
            }
            claimed.extend(shown);
        }
    }
    claimed
}

/// Shows what these facts state of reversals of payments at the other orders that they concern: those for which such a payment is
/// stated as paid and under review too, and, of what failed or was lifted, those where the payment's reversal counts.
pub(super) fn share(draft: &mut Draft<'_>, receiver: &ReceivingConfig, id: TransactionId, facts: &[ProviderFact]) {
    let payments: BTreeSet<&str> =
        facts.iter().map(ProviderFact::reversed_payment).filter(|payment| !payment.is_empty()).collect();
    for payment in payments {
        let account = &receiver.merchant_account;
        let is_open = draft.owner_of_payment(account, payment).is_none();
        let holders = if is_open { draft.by_held_payment(account, payment) } else { Vec::new() };
        // The named order is shown too, where it is not known to be its payment.
        let stated = if is_open { draft.by_stated_payment(account, payment) } else { Vec::new() };
        let first = stated.first().filter(|_| !stated.contains(&id)).and_then(|holder| draft.aggregate(*holder));
        if let (Some(holder), Some(known)) = (first, draft.aggregate(id)) {
            let holds = holds_at(draft, &known, &holder.transaction, payment);
            draft.add(known.keep_reversals(receiver, holds, &[], draft.context()));
        }
        let keepers = draft.by_reversed_payment(account, payment);
        let others: BTreeSet<TransactionId> =
            holders.iter().chain(&keepers).copied().filter(|other| *other != id).collect();
        for other in others {
            let (Some(own), Some(known)) = (draft.aggregate(other), draft.aggregate(id)) else { continue };
            let is_holder = holders.contains(&other);
            let mut shown = if is_holder { shown_at(&own, &known, payment) } else { Vec::new() };
            let is_alike =
                is_of_one_config(&own, &known) && own.transaction.amount.currency == known.transaction.amount.currency;
            if !is_holder && is_alike {
                let returned = facts.iter().filter(|fact| fact.reversed_payment() == payment && !fact.is_reversal());
                shown.extend(returned.cloned());
            }
            shown.splice(0..0, credited_once::return_beside(draft, &own, &shown));
            let (changes, _) = own.record(receiver, &shown, &[], draft.context());
            draft.add(changes);
        }
    }
}

/// The review of an order of whose payment something went back that another config alone verified, with another order's
/// reference; `None` where the update names no other order.
pub(super) fn counted_elsewhere(draft: &Draft<'_>, own: &Transaction, update: &Update) -> Option<ReviewHold> {
    let named = update.reference.as_ref().filter(|reference| **reference != own.reference)?;
    let order = draft.aggregate(draft.by_reference(named)?)?;
    update.is_reversal().then(|| {
        let order = order.transaction.number_at(own);
        ReviewHold::CountedElsewhere { payment: update.payment_id.clone(), order }
    })
}

/// The payments that these facts state as paid, and whether each is confirmed.
fn paid_in(facts: &[ProviderFact]) -> BTreeMap<&str, bool> {
    let mut paid = BTreeMap::new();
    for fact in facts {
        let (payment, is_confirmed) = match fact {
            ProviderFact::Confirmed { payment, .. } => (&**payment, true),
            ProviderFact::ReviewHold(hold) if hold.states_payment() => (hold.payment(), false),
            _ => continue,
        };
        *paid.entry(payment).or_default() |= is_confirmed;
    }
    paid.remove("");
    paid
}

/// What an order shows of the reversals of its payment that another order has. Under another config, or of an order in another
/// currency, nothing is established: it is a review.
fn shown_at(own: &Aggregate, other: &Aggregate, payment: &str) -> Vec<ProviderFact> {
    let reversals = other.transaction.facts.reversals_of(payment).map(|known| known.fact.clone());
    let reversals: Vec<ProviderFact> = reversals.collect();
    let (ordered, compared) = (own.transaction.amount, other.transaction.amount);
    let hold = if reversals.is_empty() || (is_of_one_config(own, other) && ordered.currency == compared.currency) {
        return reversals;
    } else if is_of_one_config(own, other) {
        ReviewHold::Mismatch {
            what: MismatchKind::Currency,
            expected: ordered.to_string().into(),
            stated: match own.transaction.brand == other.transaction.brand {
                true => format!("a reversal of an order of {compared}").into(),
                false => "a reversal of an order of another brand".into(),
            },
            stated_minor: None,
            payment: payment.into(),
        }
    } else {
        ReviewHold::CountedElsewhere { payment: payment.into(), order: other.transaction.number_at(&own.transaction) }
    };
    vec![ProviderFact::ReviewHold(hold)]
}

/// The reviews of an order that keeps what went back of a payment of another one, with the manual deposits beside which a person
/// would credit it.
fn holds_at(draft: &Draft<'_>, known: &Aggregate, owner: &Transaction, payment: &str) -> Vec<ProviderFact> {
    let row = &known.transaction;
    let misplaced = ReviewHold::Misplaced { payment: payment.into(), owner: owner.number_at(row) };
    let misplaced = ProviderFact::ReviewHold(misplaced);
    if row.facts.any(|known| *known == misplaced) {
        return Vec::new();
    }
    let mut holds = vec![misplaced];
    holds.extend(credited_once::named_beside(draft, row));
    holds
}

fn is_of_one_config(one: &Aggregate, other: &Aggregate) -> bool {
    one.transaction.config_id == other.transaction.config_id
}
