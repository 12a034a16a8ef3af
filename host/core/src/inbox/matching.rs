//! Which transaction an update is about, and what of it concerns a payment that was confirmed for another transaction before.
//! It changes nothing.

use crate::aggregate::Aggregate;
use crate::credited_once;
use crate::draft::Draft;
use crate::facts::{ProviderFact, ReviewHold};
use crate::ids::TransactionId;
use crate::notice::{ReceivingConfig, Update, VerifiedNotice};
use crate::reason::{Reason, ReasonCode};
use crate::refs::ProviderRef;
use crate::status::ProviderStatus;
use crate::transaction::Transaction;

use super::verify;

/// Which transaction an update is about.
pub(super) enum Matched {
    Found(TransactionId),
    Unknown,
    /// The reference and an id, or two ids, belong to different transactions; both are named.
    Conflict(Reason),
}

/// Our reference takes precedence; without it an id finds the transaction within the configs that verified the notice
/// (docs/api/webhooks.md, rule 3). What went back of a payment is about the transaction that it was confirmed for, else about one
/// for which it is stated as paid, whatever reference comes with it (case 86). A transaction of another config of the merchant account is found last: nothing
/// is applied to it, and its own provider is queried.
pub(super) fn match_update(draft: &Draft<'_>, notice: &VerifiedNotice, update: &Update) -> Matched {
    let named = update.reference.as_ref().map(|reference| (draft.by_reference(reference), reference));
    let by_reference = named.and_then(|(id, _)| id);
    let elsewhere = paid_elsewhere(draft, notice.receiver(), by_reference, update)
        .or_else(|| held_elsewhere(draft, notice.receiver(), by_reference, update));
    let mut found = match (named, elsewhere) {
        (_, Some(owner)) if update.is_reversal() => Some((owner, format!("payment {}", update.payment_id))),
        (Some((Some(id), reference)), _) => Some((id, format!("reference {reference}"))),
        (Some((None, _)), _) => return Matched::Unknown,
        (None, _) => None,
    };
    // What went back is about its payment's transaction, whatever other id comes with it.
    let account = &notice.receiver().merchant_account;
    let owner = elsewhere.or(by_reference);
    let is_certain =
        update.is_reversal() && owner.is_some() && draft.owner_of_payment(account, &update.payment_id) == owner;
    let ids = if is_certain { &[][..] } else { &update.refs };
    for id in ids {
        for known in notice.receivers().filter_map(|own| draft.by_provider_ref(own.config_id, id)) {
            match &found {
                None => found = Some((known, format!("{} {}", id.kind, id.value))),
                Some((first, _))
                    if *first == known
                        || [elsewhere, by_reference].contains(&Some(known))
                        || is_misplaced(draft, known, by_reference.or(elsewhere), update, id) => {}
                Some((first, how)) => {
                    let detail =
                        format!("{how} is transaction {first}, {} {} is transaction {known}", id.kind, id.value);
                    return Matched::Conflict(Reason::new(ReasonCode::ProviderRefMismatch, detail));
                }
            }
        }
    }
    let confirmed = || draft.owner_of_payment(account, &update.payment_id);
    let shared =
        || account.iter().find_map(|config| update.refs.iter().find_map(|id| draft.by_provider_ref(*config, id)));
    let held = || draft.by_held_payment(account, &update.payment_id).first().copied();
    let found = found.map(|(id, _)| id).or_else(confirmed).or_else(held).or_else(shared);
    found.map_or(Matched::Unknown, Matched::Found)
}

/// Whether `owner` may have this id from a statement about what went back of the payment that the update is about, and that is
/// not known to be its own: then the id does not contradict what the update names.
fn is_misplaced(
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

/// Whether nothing in the update names another transaction than this one. An answer that confirms another transaction's
/// payment is about the one that was asked about: it is held for review.
pub(super) fn is_about(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    transaction: &Transaction,
    update: &Update,
) -> bool {
    let named = update.reference.as_ref().is_none_or(|reference| *reference == transaction.reference);
    let own = |id: &ProviderRef| {
        let owner = draft.by_provider_ref(receiver.config_id, id);
        owner
            .is_none_or(|owner| owner == transaction.id || is_misplaced(draft, owner, Some(transaction.id), update, id))
    };
    let is_its_payment =
        || draft.owner_of_payment(&receiver.merchant_account, &update.payment_id) == Some(transaction.id);
    named
        && (update.refs.iter().all(own)
            || is_its_payment()
            || held_elsewhere(draft, receiver, Some(transaction.id), update).is_some()
            || paid_elsewhere(draft, receiver, Some(transaction.id), update).is_some())
}

/// The other transaction that the payment was confirmed for, where the update states money of it.
fn paid_elsewhere(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    named: Option<TransactionId>,
    update: &Update,
) -> Option<TransactionId> {
    owner_of(draft, receiver, named, &update.payment_id).filter(|_| update.states_money())
}

/// The other transaction for which the payment is stated as paid and under review, where the update states what went back of it and
/// the payment is no other transaction's, nor stated as paid for the named one.
fn held_elsewhere(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    named: Option<TransactionId>,
    update: &Update,
) -> Option<TransactionId> {
    let (account, payment) = (&receiver.merchant_account, &*update.payment_id);
    // The end of a dispute that states the whole payment confirms it for the order that it names.
    let confirms =
        update.status == ProviderStatus::ChargebackReversed && update.amount.is_some() && update.dispute.is_some();
    let is_open =
        update.is_reversal() && !confirms && !payment.is_empty() && draft.owner_of_payment(account, payment).is_none();
    let stated = if is_open { draft.by_held_payment(account, payment) } else { Vec::new() };
    // A payment of the named order that has no id may be this one.
    let is_unnamed =
        |fact: &ProviderFact| matches!(fact, ProviderFact::Confirmed { payment, .. } if payment.is_empty());
    let keeps = |named: TransactionId| {
        stated.contains(&named) || draft.aggregate(named).is_some_and(|known| known.transaction.facts.any(is_unnamed))
    };
    stated.first().copied().filter(|_| !named.is_some_and(keeps))
}

/// The transaction that a payment was confirmed for first, if it is another than the named one and that one was not
/// credited for it as well, by an earlier version.
pub(super) fn owner_of(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    named: Option<TransactionId>,
    payment: &str,
) -> Option<TransactionId> {
    let owner = draft.owner_of_payment(&receiver.merchant_account, payment)?;
    let is_credited = |id| draft.aggregate(id).is_some_and(|known| known.credits());
    // Where the owner is credited for it and the named one is not any more, a person decided whose it is.
    let keeps =
        |known: Aggregate| known.transaction.facts.has_payment(payment) && (known.credits() || !is_credited(owner));
    (named != Some(owner) && !named.and_then(|id| draft.aggregate(id)).is_some_and(keeps)).then_some(owner)
}

/// The ids without those of another transaction of the config, and of the one that the payment was confirmed for before.
pub(super) fn own_refs(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    payment: &str,
    mut refs: Vec<ProviderRef>,
) -> Vec<ProviderRef> {
    if let Some(first) = owner_of(draft, receiver, Some(id), payment).and_then(|owner| draft.aggregate(owner)) {
        refs.retain(|id| !first.transaction.refs.iter().any(|own| own == id));
    }
    refs.retain(|known| draft.by_provider_ref(receiver.config_id, known).is_none_or(|owner| owner == id));
    refs
}

/// What an update establishes about a transaction.
#[derive(Default)]
pub(super) struct Stated {
    pub(super) facts: Vec<ProviderFact>,
    /// What went back of a payment that was confirmed for another transaction, and that transaction.
    pub(super) elsewhere: Option<(TransactionId, Update)>,
}

/// Verifies what an update states about a transaction. A provider's payment belongs to one transaction of its merchant
/// account, the first that it was confirmed for: a second confirmation of it becomes a review hold that names both, and what
/// went back of it is taken from the first. So is what went back of one that is under review for another transaction alone.
///
/// # Errors
/// As [`verify`].
pub(super) fn stated(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    transaction: &Transaction,
    update: &Update,
) -> Result<Stated, Reason> {
    if let Some(holder) = held_elsewhere(draft, receiver, Some(transaction.id), update) {
        let order = draft.aggregate(holder).map(|known| known.transaction.number_at(transaction));
        let hold =
            ReviewHold::CountedElsewhere { payment: update.payment_id.clone(), order: order.unwrap_or_default() };
        let facts = vec![ProviderFact::ReviewHold(hold)];
        return Ok(Stated { facts, elsewhere: Some((holder, update.clone())) });
    }
    let Some(owner) = owner_of(draft, receiver, Some(transaction.id), &update.payment_id) else {
        let mut facts = verify(transaction, receiver, update)?;
        credited_once::hold_entered(draft, transaction, update, &mut facts);
        return Ok(Stated { facts, elsewhere: None });
    };
    let (own, reversal) = update.divided();
    let mut facts = own.map_or_else(|| Ok(Vec::new()), |own| verify(transaction, receiver, &own))?;
    let hold = ReviewHold::PaymentReused { payment: update.payment_id.clone(), owner: owner.to_string().into() };
    let reused = ProviderFact::ReviewHold(hold);
    // Whoever credits another amount that was paid sees whose payment it is, too.
    let mut is_shown = reversal.is_some();
    for fact in &mut facts {
        let unstated = matches!(fact, ProviderFact::ReviewHold(ReviewHold::AmountUnstated { .. }));
        if fact.is_confirmation() || unstated {
            *fact = reused.clone();
        }
        is_shown |= matches!(fact, ProviderFact::ReviewHold(ReviewHold::Mismatch { .. }));
    }
    if is_shown && !facts.contains(&reused) {
        facts.push(reused);
    }
    Ok(Stated { facts, elsewhere: reversal.map(|reversal| (owner, reversal)) })
}
