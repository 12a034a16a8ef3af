//! Events whose transaction never appeared: they fail, and a statement about money among them stays listed as work until its
//! transaction is found. The list is bounded: a merchant account may also serve what is no business of the cashier's.

use crate::change::Change;
use crate::draft::Draft;
use crate::ids::EventId;
use crate::notice::ProviderEvent;
use crate::reason::{Reason, ReasonCode};
use crate::status::ProcessingStatus;

/// Listed payments; each is held in memory with its update, about 1 KiB. A person works through tens.
pub const UNMATCHED_PAYMENTS_MAX: usize = 4096;

/// What giving up on events came to, for the operator.
#[derive(Debug, Default)]
pub struct GivenUp {
    /// Statements about money that are listed from here on.
    pub listed: Vec<ProviderEvent>,
    /// Older ones that left the list because it is full.
    pub dropped: usize,
}

/// Closes events that still wait for their transaction.
pub fn give_up(draft: &mut Draft<'_>, events: impl IntoIterator<Item = EventId>) -> GivenUp {
    let (books, now) = (draft.books(), draft.now());
    let mut given_up = GivenUp::default();
    let mut changes = Vec::new();
    // An event that found its transaction meanwhile is left alone.
    for mut event in events.into_iter().filter_map(|id| books.pending_event(id)).cloned() {
        event.processing_status = ProcessingStatus::Failed;
        event.failure_reason = ReasonCode::TransactionNotFound.name().into();
        event.processed_time = now;
        if event.is_unmatched_payment() {
            given_up.listed.push(event.clone());
        }
        changes.push(Change::Event(Box::new(event)));
    }
    let known = books.unmatched();
    given_up.dropped = (known.len() + given_up.listed.len()).saturating_sub(UNMATCHED_PAYMENTS_MAX).min(known.len());
    for mut event in books.unmatched().take(given_up.dropped).cloned() {
        let reason = Reason::new(ReasonCode::TransactionNotFound, "no longer listed: newer payments are");
        event.failure_reason = reason.to_string().into();
        changes.push(Change::Event(Box::new(event)));
    }
    draft.add(changes);
    given_up
}
