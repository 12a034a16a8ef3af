//! Hearing what a provider says: find the transaction, weigh the update, add the facts. Shared by webhooks, create
//! answers and queries; it works on a draft, under the ledger's lock.

use cashier_core::change::Change;
use cashier_core::facts::Hearing;
use cashier_core::ids::TransactionId;
use cashier_core::notice::{Listener, ProviderEvent, Update, weigh};
use cashier_core::status::{ProcessingStatus, ProviderStatus};

use crate::ledger::Draft;

/// Which transaction an update is about.
pub(super) enum Matched {
    Found(TransactionId),
    Unknown,
    /// The reference and an id, or two ids, belong to different transactions; both are named.
    Conflict(String),
}

/// Our reference leads; without it an id within the config finds the transaction (API.md section 3, rule 3).
pub(super) fn find(draft: &Draft<'_>, listener: &Listener, update: &Update) -> Matched {
    let mut found = None;
    if let Some(reference) = &update.reference {
        match draft.by_reference(reference) {
            Some(id) => found = Some((id, format!("reference {reference}"))),
            None => return Matched::Unknown,
        }
    }
    for id in &update.refs {
        let Some(known) = draft.by_provider_ref(listener.config_id, id) else { continue };
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
    listener: &Listener,
    id: TransactionId,
    update: &Update,
) -> (ProcessingStatus, String) {
    let Some(before) = draft.aggregate(id) else {
        return (ProcessingStatus::Failed, "TRANSACTION_NOT_FOUND".into());
    };
    let facts = match weigh(&before.transaction, listener, update) {
        Ok(facts) => facts,
        Err(reason) => return (ProcessingStatus::Failed, reason),
    };
    let (changes, hearing) = before.hear(listener, &facts, &update.refs, draft.circumstances());
    draft.add(changes);
    match hearing {
        Hearing::Full => (ProcessingStatus::Failed, "TOO_MANY_FACTS".into()),
        Hearing::News | Hearing::AlreadyHeard => match update.status {
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

/// Applies events that came before their transaction was known by the ids it has since learned.
pub(super) fn catch_up(draft: &mut Draft<'_>, listener: &Listener, id: TransactionId) {
    let Some(aggregate) = draft.aggregate(id).filter(|known| known.transaction.config_id == listener.config_id) else {
        return;
    };
    let refs = aggregate.transaction.refs;
    let waiting: Vec<ProviderEvent> = draft.books().pending_events(listener.config_id, refs.iter());
    for mut event in waiting {
        let Some(update) = event.update.take() else { continue };
        let (status, reason) = hear(draft, listener, id, &update);
        event.update = Some(update);
        event.transaction_id = id;
        event.processing_status = status;
        event.failure_reason = reason.into();
        event.processed_time = draft.now();
        draft.add([Change::Event(Box::new(event))]);
    }
}
