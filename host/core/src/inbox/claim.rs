//! What went back of a payment before it was confirmed, and came with the reference of another transaction: once the payment
//! is confirmed it moves to the transaction that has it, so that the order of the two shows nowhere (case 93).

use crate::aggregate::Aggregate;
use crate::draft::Draft;
use crate::facts::{MismatchKind, ProviderFact, ReviewHold};
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
            // It was compared with another order: what it states of the whole payment may be another amount.
            if !is_own_config || ordered != compared {
                draft.add(own.want_query(draft.context()));
            }
        }
    }
    claimed
}
