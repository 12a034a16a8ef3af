//! What went back of a payment before it was confirmed, and came with the reference of another transaction: once the payment
//! is confirmed it moves to the transaction that has it, so that the order of the two shows nowhere (case 93).

use std::collections::BTreeSet;

use crate::aggregate::Aggregate;
use crate::draft::Draft;
use crate::facts::{Facts, MismatchKind, PROVIDER_FACTS_MAX, ProviderFact, ReviewHold};
use crate::ids::TransactionId;
use crate::notice::{ReceivingConfig, Update};
use crate::refs::ProviderRef;

/// Whether `owner` may have this id from a statement about what went back of the payment that the update is about, and that is
/// not known to be its own: then the id does not contradict what the update names.
pub(super) fn is_misplaced(
    draft: &Draft<'_>,
    owner: TransactionId,
    named: Option<TransactionId>,
    update: &Update,
    id: &ProviderRef,
) -> bool {
    let reverses = |known: Aggregate| {
        [&update.payment_id, &id.value].into_iter().any(|id| known.transaction.facts.reverses_unconfirmed(id))
    };
    named.is_some_and(|named| named != owner) && draft.aggregate(owner).is_some_and(reverses)
}

/// Takes from other transactions what went back of the payments that these facts confirm for `id`, with the ids that came with
/// them, and returns it. Under another config, or of an order in another currency, nothing is established: the own provider
/// is queried.
pub(super) fn claim(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    facts: &[ProviderFact],
    refs: &[ProviderRef],
) -> Vec<ProviderFact> {
    let mut claimed = Vec::new();
    for fact in facts {
        let ProviderFact::Confirmed { payment, .. } = fact else { continue };
        for other in draft.by_reversed_payment(&receiver.merchant_account, payment) {
            let Some(known) = draft.aggregate(other).filter(|_| other != id) else { continue };
            let (moved, changes) = known.give_up_reversals(receiver, payment, refs, draft.context());
            draft.add(changes);
            let Some(own) = draft.aggregate(id) else { continue };
            let (ordered, compared) = (own.transaction.amount, known.transaction.amount);
            let is_own_config = known.transaction.config_id == receiver.config_id;
            let had_any = !moved.is_empty();
            if is_own_config && ordered.currency == compared.currency {
                claimed.extend(moved);
            } else if is_own_config && !moved.is_empty() {
                claimed.push(ProviderFact::ReviewHold(ReviewHold::Mismatch {
                    what: MismatchKind::Currency,
                    expected: ordered.to_string().into(),
                    stated: format!("a reversal of an order of {compared}").into(),
                    stated_minor: None,
                    payment: payment.clone(),
                }));
            }
            // It was compared with another order: what it states of the whole payment may be another amount. What was confirmed
            // before was asked about then.
            let is_news = had_any || !own.transaction.facts.confirms(payment);
            if is_news && (!is_own_config || ordered != compared) {
                draft.add(own.want_query(draft.context()));
            }
        }
    }
    claimed
}

/// The other orders of the config under which something was stated that went back of a payment that this one is under review for,
/// with the payment. One of which a payment without an id was confirmed, or credited by a person, keeps it: that may be its own. So
/// does each where this one cannot store all of it.
pub fn misplaced_reversals(draft: &Draft<'_>, own: &Aggregate) -> Vec<(TransactionId, Box<str>)> {
    let row = &own.transaction;
    let held: BTreeSet<&str> = row.facts.paid().filter(|payment| !row.facts.has_payment(payment)).collect();
    let is_unnamed = |facts: &Facts| {
        let confirmed =
            |fact: &ProviderFact| matches!(fact, ProviderFact::Confirmed { payment, .. } if payment.is_empty());
        let credited = facts.newest_resolution().is_some_and(|(_, minor)| minor > 0);
        facts.any(confirmed) || (credited && facts.paid().next().is_none())
    };
    let (mut found, mut stored) = (Vec::new(), row.facts.provider.len());
    for payment in held {
        for other in draft.by_reversed_payment(&[row.config_id], payment) {
            let Some(Aggregate { transaction, .. }) = draft.aggregate(other).filter(|_| other != row.id) else {
                continue;
            };
            let facts = &transaction.facts;
            let count = facts.provider.iter().filter(|known| known.fact.reversed_payment() == payment).count();
            if count > 0 && transaction.amount.currency == row.amount.currency && !is_unnamed(facts) {
                stored += count;
                found.push((other, payment.into()));
            }
        }
    }
    if stored > PROVIDER_FACTS_MAX { Vec::new() } else { found }
}

/// Moves those statements to this order: whoever credits it sees first what went back. Returns the orders that they came from.
pub fn claim_held(draft: &mut Draft<'_>, id: TransactionId) -> BTreeSet<TransactionId> {
    let misplaced = draft.aggregate(id).map(|own| misplaced_reversals(draft, &own)).unwrap_or_default();
    for (other, payment) in &misplaced {
        let Some(known) = draft.aggregate(*other) else { continue };
        let (moved, changes) = known.lose_reversals(payment, draft.context());
        draft.add(changes);
        for fact in moved {
            let established = draft.aggregate(id).map(|own| own.establish(fact, draft.context()));
            draft.add(established.into_iter().flatten());
        }
    }
    misplaced.into_iter().map(|(other, _)| other).collect()
}
