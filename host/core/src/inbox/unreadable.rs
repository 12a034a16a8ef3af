//! Authentic notices that their module did not understand: each is filed within its config's limits, moves nothing, and
//! names the payments whose provider is to be queried instead. Read by a later build of the module, its row is resolved.

use super::filed::{Filed, FiledEvent, blank_event, primary_id};
use super::identity::numbered;
use crate::change::{Body, Change};
use crate::draft::Draft;
use crate::duty::ProviderQuery;
use crate::ids::{EventId, NoticeId, TransactionId};
use crate::notice::{ProviderEvent, ReceivingConfig, UnreadableNotice, Update, VerifiedNotice};
use crate::reason::{Reason, ReasonCode};
use crate::status::ProcessingStatus;
use crate::time::UnixTime;

/// Unread notices of one config, and the bytes of their bodies. A provider that changes a format sends a few before a person
/// looks; beyond that it must send them again later.
const UNREAD_PER_CONFIG_MAX: usize = 256;
const UNREAD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Payments that one unreadable notice has queried at once: a notice is about one, and a batch about a few. The janitor
/// queries the others.
const QUERIED_AT_ONCE_MAX: usize = 16;

/// As much waits as may: nothing is filed, and the provider must send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeyondLimit;

/// Files the notice with its body, and the queries about the payments that it names. `derived_event_id` is of the body
/// alone, so that one captured body is one row however it is sent; `bytes` is its length.
///
/// # Errors
/// The config's limit is reached: nothing is filed, and the provider must send it again.
pub fn file_unreadable(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    notice: &UnreadableNotice,
    derived_event_id: Box<str>,
    bytes: u64,
    body: impl FnOnce(NoticeId) -> Body,
) -> Result<Filed, BeyondLimit> {
    let event_id = if notice.event_id.is_empty() { derived_event_id } else { numbered(&notice.event_id, 1) };
    if let Some(row) = draft.known_event(receiver.config_id, &event_id) {
        return Ok(Filed { events: vec![FiledEvent::Duplicate(row)], duplicate: true, ..Filed::default() });
    }
    let (count, sum) = draft.unread_size(receiver.config_id);
    if count >= UNREAD_PER_CONFIG_MAX || sum.saturating_add(bytes) > UNREAD_BYTES_MAX {
        return Err(BeyondLimit);
    }
    let mut named = named(draft, receiver, notice);
    for id in &named {
        let wanted = draft.aggregate(*id).map(|known| known.want_query(draft.context()));
        draft.add(wanted.into_iter().flatten());
    }
    let notice_id = draft.next_notice();
    draft.store(body(notice_id));
    let mut event = blank_event(draft, receiver, notice_id, event_id, None);
    mark_unread(&mut event, &notice.reason, draft.now());
    if let [id] = *named
        && let Some(known) = draft.aggregate(id).filter(|known| known.transaction.config_id == receiver.config_id)
    {
        (event.transaction_id, event.brand) = (id, known.transaction.brand);
    }
    draft.add([Change::Event(Box::new(event.clone()))]);
    named.truncate(QUERIED_AT_ONCE_MAX);
    Ok(Filed {
        events: vec![FiledEvent::New(Box::new(event))],
        queries: named.into_iter().map(|id| (id, ProviderQuery::Status)).collect(),
        ..Filed::default()
    })
}

fn mark_unread(event: &mut ProviderEvent, words: &str, now: UnixTime) {
    event.processing_status = ProcessingStatus::Failed;
    event.failure_reason = Reason::new(ReasonCode::UnreadableNotice, words).to_string().into();
    event.processed_time = now;
}

/// The transactions that the notice still names, by our references or by ids within the merchant account: the published path
/// files it under the lowest config that proved it, whichever owns the payment.
fn named(draft: &Draft<'_>, receiver: &ReceivingConfig, notice: &UnreadableNotice) -> Vec<TransactionId> {
    let by_reference = notice.references.iter().filter_map(|reference| draft.by_reference(reference));
    let account = &receiver.merchant_account;
    let by_id =
        notice.refs.iter().flat_map(|id| account.iter().filter_map(|config| draft.by_provider_ref(*config, id)));
    let mut named: Vec<TransactionId> = by_reference.chain(by_id).collect();
    named.sort_unstable();
    named.dedup();
    named
}

/// The row of an unread notice, now that it is understood, before its update is applied.
pub(super) fn read_anew(
    notice: &VerifiedNotice,
    row: ProviderEvent,
    event_id: Box<str>,
    update: Option<&Update>,
) -> ProviderEvent {
    let receiver = notice.receiver();
    ProviderEvent {
        event_id,
        transaction_id: TransactionId(0),
        provider_payment_id: update.map(|update| primary_id(receiver, update)).unwrap_or_default(),
        processing_status: ProcessingStatus::Ignored,
        failure_reason: Box::default(),
        update: update.cloned(),
        module_hash: receiver.module_hash.clone(),
        processed_time: UnixTime::UNSET,
        ..row
    }
}

/// Records that the receiver's build of the module does not understand it either, in its own words. The same build
/// in the same words changes nothing.
pub fn still_unread(draft: &mut Draft<'_>, receiver: &ReceivingConfig, id: EventId, words: &str) {
    let Some(mut event) = draft.unread_event(receiver.config_id, id) else { return };
    let (known, since) = (event.clone(), event.processed_time);
    mark_unread(&mut event, words, draft.now());
    if event.module_hash == receiver.module_hash && (ProviderEvent { processed_time: since, ..event.clone() }) == known
    {
        return;
    }
    event.module_hash = receiver.module_hash.clone();
    draft.add([Change::Event(Box::new(event))]);
}
