//! Recording what a provider says: find the transaction, weigh the update, add the facts. Shared by webhooks, create
//! answers and queries; it works on a draft, under the ledger's lock.

use cashier_core::aggregate::Aggregate;
use cashier_core::change::Change;
use cashier_core::facts::{ProviderFact, Recording};
use cashier_core::ids::TransactionId;
use cashier_core::notice::{ReceivingConfig, Update, weigh};
use cashier_core::refs::ProviderRef;
use cashier_core::status::{ProcessingStatus, ProviderStatus};
use cashier_core::transaction::Transaction;

use crate::ledger::Draft;

/// Which transaction an update is about.
pub(super) enum Matched {
    Found(TransactionId),
    Unknown,
    /// The reference and an id, or two ids, belong to different transactions; both are named.
    Conflict(String),
}

/// Our reference leads; without it an id within the config finds the transaction (API.md section 3, rule 3).
pub(super) fn find(draft: &Draft<'_>, receiver: &ReceivingConfig, update: &Update) -> Matched {
    let mut found = None;
    if let Some(reference) = &update.reference {
        match draft.by_reference(reference) {
            Some(id) => found = Some((id, format!("reference {reference}"))),
            None => return Matched::Unknown,
        }
    }
    for id in &update.refs {
        let Some(known) = draft.by_provider_ref(receiver.config_id, id) else { continue };
        match &found {
            None => found = Some((known, format!("{} {}", id.kind, id.value))),
            Some((first, _)) if *first == known => {}
            Some((first, how)) => {
                return Matched::Conflict(format!(
                    "PROVIDER_REF_MISMATCH: {how} is transaction {first}, {} {} is transaction {known}",
                    id.kind, id.value
                ));
            }
        }
    }
    found.map_or(Matched::Unknown, |(id, _)| Matched::Found(id))
}

/// Hears one update about one transaction and says what became of the event.
pub(super) fn hear(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    update: &Update,
) -> (ProcessingStatus, String) {
    let Some(before) = draft.aggregate(id) else {
        return (ProcessingStatus::Failed, "TRANSACTION_NOT_FOUND".into());
    };
    let facts = match weigh(&before.transaction, receiver, update) {
        Ok(facts) => facts,
        Err(reason) => return (ProcessingStatus::Failed, reason),
    };
    let (changes, hearing) = before.record(receiver, &facts, &update.refs, draft.context());
    draft.add(changes);
    match hearing {
        Recording::Full => (ProcessingStatus::Failed, "TOO_MANY_FACTS".into()),
        Recording::Added | Recording::Duplicate => match update.status {
            ProviderStatus::Unknown => (ProcessingStatus::Ignored, String::new()),
            ProviderStatus::Pending
            | ProviderStatus::Confirmed
            | ProviderStatus::Failed
            | ProviderStatus::Cancelled
            | ProviderStatus::Refunded
            | ProviderStatus::Chargeback
            | ProviderStatus::ChargebackReversed
            | ProviderStatus::ManualReview => (ProcessingStatus::Processed, String::new()),
        },
    }
}

/// What a create answer states about its own transaction: the facts, and the ids that belong to no other.
pub(super) fn stated(
    draft: &Draft<'_>,
    receiver: &ReceivingConfig,
    transaction: &Transaction,
    update: Option<&Update>,
    refs: &[ProviderRef],
) -> (Vec<ProviderFact>, Vec<ProviderRef>) {
    let id = transaction.id;
    let facts = match update {
        Some(update) if !speaks_of(draft, receiver, transaction, update) => {
            tracing::error!(transaction = %id, "a create answer speaks of another payment");
            Vec::new()
        }
        Some(update) => weigh(transaction, receiver, update).unwrap_or_else(|reason| {
            tracing::error!(transaction = %id, reason, "a create answer was heard under another config");
            Vec::new()
        }),
        None => Vec::new(),
    };
    let free = |known: &&ProviderRef| draft.by_provider_ref(receiver.config_id, known).is_none_or(|owner| owner == id);
    (facts, refs.iter().filter(free).cloned().collect())
}

/// Hears the answer to a question about one transaction. An answer about another payment establishes nothing.
pub(super) fn hear_answer(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    id: TransactionId,
    update: &Update,
) -> bool {
    let own = draft.aggregate(id).is_some_and(|known| speaks_of(draft, receiver, &known.transaction, update));
    if own {
        let (status, reason) = hear(draft, receiver, id, update);
        if status == ProcessingStatus::Failed {
            tracing::error!(transaction = %id, reason, "an answer of the provider was not heard");
        }
        catch_up(draft, receiver, id);
    } else {
        tracing::error!(transaction = %id, "the provider answers about another payment");
    }
    own
}

/// Whether nothing in the update names another transaction than this one.
fn speaks_of(draft: &Draft<'_>, receiver: &ReceivingConfig, transaction: &Transaction, update: &Update) -> bool {
    let named = update.reference.as_ref().is_none_or(|reference| *reference == transaction.reference);
    let mut owners = update.refs.iter().filter_map(|id| draft.by_provider_ref(receiver.config_id, id));
    named && owners.all(|owner| owner == transaction.id)
}

/// Applies events that came before their transaction was known by the ids it has since learned; what they teach may
/// find further ones. An event that brought a reference of its own waits for that one alone.
pub(super) fn catch_up(draft: &mut Draft<'_>, receiver: &ReceivingConfig, id: TransactionId) {
    // Nearly always: the transaction need not be unpacked to find that nothing waits for it.
    if !draft.may_have_pending_events() {
        return;
    }
    loop {
        let known = draft.aggregate(id).filter(|known| known.transaction.config_id == receiver.config_id);
        let Some(Aggregate { transaction, .. }) = known else { return };
        let mut waiting = draft.pending_events(receiver.config_id, &transaction.refs);
        let foreign = |update: &Update| update.reference.as_ref().is_some_and(|own| *own != transaction.reference);
        waiting.retain(|event| event.update.as_ref().is_some_and(|update| !foreign(update)));
        if waiting.is_empty() {
            return;
        }
        for mut event in waiting {
            let Some(update) = event.update.take() else { continue };
            let (status, reason) = hear(draft, receiver, id, &update);
            event.update = Some(update);
            event.transaction_id = id;
            event.processing_status = status;
            event.failure_reason = reason.into();
            event.processed_time = draft.now();
            draft.add([Change::Event(Box::new(event))]);
        }
    }
}
