//! Which transaction an update is about, and whether the payment that it confirms was confirmed for another transaction
//! before. It changes nothing.

use crate::draft::Draft;
use crate::facts::{ProviderFact, ReviewHold};
use crate::ids::TransactionId;
use crate::notice::{ReceivingConfig, Update, VerifiedNotice};
use crate::reason::{Reason, ReasonCode};
use crate::refs::ProviderRef;
use crate::status::ProviderStatus;
use crate::transaction::Transaction;

/// Which transaction an update is about.
pub(super) enum Matched {
    Found(TransactionId),
    Unknown,
    /// The reference and an id, or two ids, belong to different transactions; both are named.
    Conflict(Reason),
}

/// Our reference takes precedence; without it an id finds the transaction within the configs that verified the notice
/// (docs/api/webhooks.md, rule 3). A transaction of another config of the merchant account is found last: nothing is applied
/// to it, and its own provider is queried.
pub(super) fn match_update(draft: &Draft<'_>, notice: &VerifiedNotice, update: &Update) -> Matched {
    let mut found = None;
    if let Some(reference) = &update.reference {
        match draft.by_reference(reference) {
            Some(id) => found = Some((id, format!("reference {reference}"))),
            None => return Matched::Unknown,
        }
    }
    let reused =
        found.as_ref().is_some_and(|(id, _)| confirmed_elsewhere(draft, notice.receiver(), *id, update).is_some());
    for id in &update.refs {
        for known in notice.receivers().filter_map(|own| draft.by_provider_ref(own.config_id, id)) {
            match &found {
                None => found = Some((known, format!("{} {}", id.kind, id.value))),
                Some((first, _)) if *first == known || reused => {}
                Some((first, how)) => {
                    let detail =
                        format!("{how} is transaction {first}, {} {} is transaction {known}", id.kind, id.value);
                    return Matched::Conflict(Reason::new(ReasonCode::ProviderRefMismatch, detail));
                }
            }
        }
    }
    let account = &notice.receiver().merchant_account;
    let confirmed = || draft.by_confirmed_payment(account, &update.payment_id);
    let shared =
        || account.iter().find_map(|config| update.refs.iter().find_map(|id| draft.by_provider_ref(*config, id)));
    let found = found.map(|(id, _)| id).or_else(confirmed).or_else(shared);
    found.map_or(Matched::Unknown, Matched::Found)
}

/// Whether nothing in the update names another transaction than this one. An answer that confirms another transaction's
/// payment is about the one that was asked about: it is held for review.
pub(super) fn is_about(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    transaction: &Transaction,
    update: &Update,
) -> bool {
    let named = update.reference.as_ref().is_none_or(|reference| *reference == transaction.reference);
    let mut owners = update.refs.iter().filter_map(|id| draft.by_provider_ref(receiver.config_id, id));
    named
        && (owners.all(|owner| owner == transaction.id)
            || confirmed_elsewhere(draft, receiver, transaction.id, update).is_some())
}

/// The other transaction that the update's payment was confirmed for, where the update confirms it again.
fn confirmed_elsewhere(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    update: &Update,
) -> Option<TransactionId> {
    let confirms = update.status == ProviderStatus::Confirmed;
    let owner = draft.by_confirmed_payment(&receiver.merchant_account, &update.payment_id).filter(|_| confirms);
    owner.filter(|owner| *owner != id)
}

/// A provider's payment credits one transaction of its merchant account, the first one: a second confirmation of it becomes
/// a review hold that names both, and the ids stay with the first. `payment` is the one that the statement is about.
pub(super) fn once_credited(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    transaction: &Transaction,
    payment: &str,
    (mut facts, mut refs): (Vec<ProviderFact>, Vec<ProviderRef>),
) -> (Vec<ProviderFact>, Vec<ProviderRef>) {
    let owner = draft.by_confirmed_payment(&receiver.merchant_account, payment);
    let Some(owner) = owner.filter(|owner| *owner != transaction.id && !transaction.facts.confirms(payment)) else {
        return (facts, refs);
    };
    if let Some(first) = draft.aggregate(owner) {
        refs.retain(|id| !first.transaction.refs.iter().any(|own| own == id));
    }
    for fact in &mut facts {
        let unstated = matches!(fact, ProviderFact::ReviewHold(ReviewHold::AmountUnstated { .. }));
        if fact.is_confirmation() || unstated {
            let hold = ReviewHold::PaymentReused { payment: payment.into(), owner: owner.to_string().into() };
            *fact = ProviderFact::ReviewHold(hold);
        }
    }
    (facts, refs)
}
