//! Files authentic notices that their module did not understand. Such an event moves nothing; it names the payments whose
//! provider is to be queried instead.

use super::{Filed, FiledEvent, blank_event};
use crate::change::{Body, Change};
use crate::draft::Draft;
use crate::duty::ProviderQuery;
use crate::ids::{NoticeId, TransactionId};
use crate::notice::{ReceivingConfig, UnreadableNotice};
use crate::reason::{Reason, ReasonCode};
use crate::status::ProcessingStatus;

/// Payments that one unreadable notice has queried at once: a notice is about one, and a batch about a few.
const QUERIED_AT_ONCE_MAX: usize = 16;

/// Files the notice with its body, and the queries about the payments that it names. `derived_event_id` is of the body
/// alone, so that one captured body is one row however it is sent.
pub fn file_unreadable(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    notice: &UnreadableNotice,
    derived_event_id: Box<str>,
    body: impl FnOnce(NoticeId) -> Body,
) -> Filed {
    let event_id = if notice.event_id.is_empty() { derived_event_id } else { notice.event_id.clone() };
    if let Some(row) = draft.known_event(receiver.config_id, &event_id) {
        return Filed { events: vec![FiledEvent::Duplicate(row)], duplicate: true, ..Filed::default() };
    }
    let named = named(draft, receiver, notice);
    let notice_id = draft.next_notice();
    draft.store(body(notice_id));
    let mut event = blank_event(draft, receiver, notice_id, event_id, None);
    event.processing_status = ProcessingStatus::Failed;
    event.failure_reason = Reason::new(ReasonCode::UnreadableNotice, notice.reason.clone()).to_string().into();
    event.processed_time = draft.now();
    if let [id] = *named
        && let Some(known) = draft.aggregate(id).filter(|known| known.transaction.config_id == receiver.config_id)
    {
        (event.transaction_id, event.brand) = (id, known.transaction.brand);
    }
    draft.add([Change::Event(Box::new(event.clone()))]);
    Filed {
        events: vec![FiledEvent::New(Box::new(event))],
        queries: named.into_iter().map(|id| (id, ProviderQuery::Status)).collect(),
        ..Filed::default()
    }
}

/// The transactions that the notice still names, by our references or by ids within the config.
fn named(draft: &Draft<'_>, receiver: &ReceivingConfig, notice: &UnreadableNotice) -> Vec<TransactionId> {
    let by_reference = notice.references.iter().filter_map(|reference| draft.by_reference(reference));
    let by_id = notice.refs.iter().filter_map(|id| draft.by_provider_ref(receiver.config_id, id));
    let mut named: Vec<TransactionId> = by_reference.chain(by_id).take(QUERIED_AT_ONCE_MAX).collect();
    named.sort_unstable();
    named.dedup();
    named
}
