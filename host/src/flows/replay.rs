//! Unread notices are shown to their module again by themselves once another build of it is loaded (`by_hand`: when a person asks). What
//! it understands is applied as if it had just been received. A notice was proven when it was stored, so that it is read
//! even if its secret is gone.

mod by_hand;
mod judging;
mod reading;
mod verdict;

use std::sync::Arc;

use cashier_core::ids::{ConfigId, EventId};
use cashier_core::inbox::{self, Filed};
use cashier_core::notice::{ProviderEvent, VerifiedNotice};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Actor;
use sha2::{Digest, Sha256};

use super::{Cashier, provider_query, settle};
use crate::ledger::storage_unavailable;
use crate::ports::{Called, Fault, RawNotice, StoredNotice, Verdict};

pub use self::by_hand::{RECOVERED_AT_ONCE_MAX, Recovery, one, since};
pub use self::judging::{ReplayMode, ReplayedEvent, ReplayedTransaction};
pub use self::reading::NoticeProof;
pub use self::verdict::ReplayVerdict;

/// Unread notices shown to modules in one minute: they never delay the notices that arrive.
const REPLAYS_AT_ONCE_MAX: usize = 64;

/// Request id of what the cashier replays by itself.
const REQUEST_ID: &str = "replay";

/// What showing a notice to its module again came to.
#[derive(Debug)]
pub enum Replayed {
    /// It was understood and applied.
    Read(Filed),
    /// It was not, in the words that its event now shows.
    StillUnread(Box<str>),
}

/// Starts the replay of unread notices that were last shown to another build of their module than the one that is loaded.
pub(super) fn start_due(cashier: &Arc<Cashier>) {
    let due = due(cashier);
    if due.is_empty() || !cashier.replays.begin() {
        return;
    }
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        for (config, event) in due {
            flow.replays.passed((config, event));
            if let Err(refusal) = replay(&flow, event, REQUEST_ID).await {
                tracing::warn!(%config, %event, %refusal, "replaying an unreadable webhook failed");
            }
        }
        flow.replays.end();
    }));
}

fn due(cashier: &Cashier) -> Vec<(ConfigId, EventId)> {
    let last = cashier.replays.last();
    let snapshot = cashier.snapshot();
    let is_other = |event: &ProviderEvent| {
        let served = snapshot.config(event.config_id);
        let gateway = served.and_then(|served| served.gateway.as_ref().ok());
        gateway.is_some_and(|gateway| gateway.receiver().module_hash != event.module_hash)
    };
    let due = cashier.ledger.peek(|books| {
        let shown_before = books.unread().map(|known| &known.event).filter(|event| is_other(event));
        shown_before.map(|event| (event.config_id, event.id)).collect::<Vec<_>>()
    });
    let mut due = due.unwrap_or_default();
    let turn = due.partition_point(|key| *key <= last);
    due.rotate_left(turn);
    due.truncate(REPLAYS_AT_ONCE_MAX);
    due
}

pub(super) fn no_such_event() -> Refusal {
    Refusal::new(RefusalCode::NotFound, "there is no such event")
}

/// Shows one unread notice to its module again.
///
/// # Errors
/// There is no such unread notice, its module is not working, or the storage is not.
pub async fn replay(cashier: &Arc<Cashier>, id: EventId, request_id: &str) -> Result<Replayed, Refusal> {
    let unread = cashier.ledger.peek(|books| {
        let mut known = books.unread().map(|known| &known.event);
        known.find(|event| event.id == id).map(|event| (event.config_id, event.notice_id))
    })?;
    let missing = |what: &str| Refusal::new(RefusalCode::NotFound, what);
    let (config_id, notice_id) = unread.ok_or_else(no_such_event)?;
    let gateway = cashier.gateway(config_id).ok_or_else(|| not_working("the module is not loaded"))?;
    let stored = cashier.archive.notice(notice_id).await.map_err(|fault| {
        tracing::error!(%fault, event = %id, "reading a stored notice failed");
        storage_unavailable()
    })?;
    let stored = stored.ok_or_else(|| missing("the notice of this event is not stored"))?;
    if !is_whole(&stored) {
        return Err(missing("its stored body is not the one that was received: its digest is another"));
    }
    let raw = raw(stored);
    let receiver = cashier.receiver(&*gateway);
    let stamp = cashier.stamp(Actor::Provider(config_id), request_id);
    let Called { answer, calls } = gateway.read_proven(&raw, false).await;
    let words: Box<str> = match answer {
        Verdict::Verified { updates, event_id, ignored, acknowledgement: _ } => {
            let notice = VerifiedNotice::assertion(receiver, updates).described(event_id, ignored);
            let filed = cashier.ledger.decide(&stamp, |draft| {
                let filed = inbox::resolve(draft, &notice, id);
                filed.iter().for_each(|filed| filed.log_calls(draft, &calls));
                filed
            })?;
            let filed = filed.durable().await?.into_inner();
            let filed = filed.ok_or_else(|| missing("the event was read meanwhile"))?;
            for id in &filed.due {
                settle::start(cashier, *id);
            }
            for (id, query) in &filed.queries {
                provider_query::start(cashier, *id, *query);
            }
            tracing::info!(config = %config_id, event = %id, events = filed.events.len(), "unreadable webhook was read and applied");
            return Ok(Replayed::Read(filed));
        }
        Verdict::Unreadable { notice, acknowledgement: _ } => notice.reason,
        Verdict::Rejected(reason) | Verdict::Undetermined(reason) => reason.into(),
        Verdict::NeedsNetwork => return Err(not_working("the module wants to send a request")),
        Verdict::NotWorking(reason) => return Err(not_working(&reason)),
    };
    let ticket = cashier.ledger.decide(&stamp, |draft| inbox::still_unread(draft, &receiver, id, &words))?;
    ticket.durable().await?;
    tracing::warn!(config = %config_id, event = %id, reason = &*words, "unreadable webhook was shown to its module again: still unreadable");
    Ok(Replayed::StillUnread(words))
}

pub(super) fn unreadable_storage(fault: &Fault) -> Refusal {
    tracing::error!(%fault, "reading a stored event failed");
    storage_unavailable()
}

fn not_working(reason: &str) -> Refusal {
    Refusal::new(RefusalCode::ProviderUnavailable, reason.to_owned())
}

/// Whether the stored body is the whole one that was received, and nothing else.
fn is_whole(stored: &StoredNotice) -> bool {
    <[u8; 32]>::from(Sha256::digest(&stored.body)) == stored.sha256
}

/// The notice as it was received, but for header values that were masked or cut.
fn raw(stored: StoredNotice) -> RawNotice {
    let headers: Vec<(Box<str>, Box<str>)> = serde_json::from_str(&stored.headers_json).unwrap_or_default();
    let content_type = headers.iter().find(|(name, _)| &**name == "content-type").map(|(_, value)| value.clone());
    RawNotice {
        method: stored.method,
        path: stored.path,
        raw_query: stored.raw_query,
        content_type: content_type.unwrap_or_default(),
        headers: headers.into(),
        body: stored.body.into(),
        received_time: stored.received_time,
    }
}
