//! A stored notice that was shown to its module again: each of its events is judged as if it had just been received, in the row
//! that it has. Facts are a set, so that what is established already changes nothing.

use super::filed::{Filed, FiledEvent, blank_event, ignored};
use super::identity::identified;
use super::unreadable::read_anew;
use super::{add_event, apply_event};
use crate::change::Change;
use crate::draft::Draft;
use crate::ids::{EventId, NoticeId};
use crate::notice::{ProviderEvent, Update, VerifiedNotice};
use crate::reason::{Reason, ReasonCode};
use crate::status::ProcessingStatus;

/// Applies a notice that was filed before. `rows` are its events as they are stored; those that wait for something are taken
/// from the books. An event that it did not have then gets a row of its own.
pub fn file_again(
    draft: &mut Draft<'_>,
    notice: &VerifiedNotice,
    derived_event_id: &str,
    notice_id: NoticeId,
    rows: &[ProviderEvent],
) -> Filed {
    let mut filed = Filed::default();
    for (event_id, update) in identified(notice, derived_event_id) {
        let known = notice.receivers().find_map(|own| draft.known_event(own.config_id, &event_id));
        let Some(id) = known else {
            let event = blank_event(draft, notice.receiver(), notice_id, event_id, update);
            add_event(draft, notice, event, &mut filed);
            continue;
        };
        // A row that waited when it was read and does not any more was closed meanwhile.
        let closed = || rows.iter().find(|row| row.id == id && !row.waits()).cloned();
        match draft.waiting_event(id).or_else(closed) {
            Some(row) => judge_again(draft, notice, row, update, &mut filed),
            None => filed.events.push(FiledEvent::Duplicate(id)),
        }
    }
    filed.duplicate = filed.events.iter().all(|event| matches!(event, FiledEvent::Duplicate(_)));
    filed
}

fn judge_again(
    draft: &mut Draft<'_>,
    notice: &VerifiedNotice,
    row: ProviderEvent,
    update: Option<&Update>,
    filed: &mut Filed,
) {
    let mut event = read_anew(notice, row.clone(), row.event_id.clone(), update);
    if event.update.is_none() {
        event.failure_reason = ignored(notice.ignored());
    }
    apply_event(draft, notice, &mut event, filed);
    if is_kept(&row, &event) {
        filed.events.push(FiledEvent::Duplicate(row.id));
        return;
    }
    draft.add([Change::Event(Box::new(event.clone()))]);
    filed.events.push(FiledEvent::New(Box::new(event)));
}

/// Whether the row stays as it is: nothing in it changed; what was given up begins to wait no second time; and what was applied
/// once stays applied, also where it is read otherwise now.
fn is_kept(row: &ProviderEvent, event: &ProviderEvent) -> bool {
    use ProcessingStatus::{Failed, Pending, Processed};
    let unchanged =
        ProviderEvent { processed_time: row.processed_time, module_hash: row.module_hash.clone(), ..event.clone() };
    let is_applied = row.processing_status == Processed && event.processing_status != Processed;
    let is_given_up = row.processing_status == Failed && event.processing_status == Pending;
    unchanged == *row || is_applied || is_given_up
}

/// Marks the row of a quarantined notice that was verified after all: its events are these.
pub fn recovered(draft: &mut Draft<'_>, row: ProviderEvent, filed: &Filed) {
    let first = filed.events.first().map_or(EventId(0), |event| match event {
        FiledEvent::New(event) => event.id,
        FiledEvent::Duplicate(id) => *id,
    });
    let why = Reason::new(ReasonCode::Ignored, format!("{RECOVERED} {first}")).to_string().into();
    let processed_time = draft.now();
    let marked = ProviderEvent {
        processing_status: ProcessingStatus::Ignored,
        failure_reason: why,
        processed_time,
        transaction_id: filed.transaction().unwrap_or_default(),
        ..row
    };
    draft.add([Change::Event(Box::new(marked))]);
}

/// How the reason of such a row begins, behind its code.
const RECOVERED: &str = "recovered as event";

/// Whether a quarantined row was marked so.
pub fn is_recovered(row: &ProviderEvent) -> bool {
    row.processing_status == ProcessingStatus::Ignored && row.failure_reason.contains(RECOVERED)
}
