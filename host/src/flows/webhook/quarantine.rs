//! Notices that were not genuine or could not be judged: kept as unproven events in the strand's bounded area, because an
//! open door must not fill the disk. They take no part in dedup, matching or replay.

use std::sync::Arc;

use cashier_core::change::Change;
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use cashier_core::time::UnixTime;

use super::received::{Kept, Received, cut};
use crate::flows::{Cashier, RequestContext};
use crate::ledger::Estimate;
use crate::ports::RawNotice;

/// Bytes of an unproven body that are kept: enough to see who knocks and why it failed.
const UNPROVEN_BODY_MAX: usize = 16 * 1024;

/// Bytes kept of whatever else the sender chose: path, query, provider and each list of headers. Longer ones are cut.
const UNPROVEN_TEXT_MAX: usize = 256;
const UNPROVEN_HEADERS_MAX: usize = 4 * 1024;

/// Suspects on their way to the disk: a few batches of the strand. A flood beyond them is counted by nobody, and real
/// money finds the write queue free.
pub(in crate::flows) const QUARANTINE_WAITING_MAX: usize = 256;

impl Kept {
    /// What is kept of a request that anybody may have sent.
    const UNPROVEN: Self = Self { body: UNPROVEN_BODY_MAX, text: UNPROVEN_TEXT_MAX, headers: UNPROVEN_HEADERS_MAX };
}

/// Keeps a suspect if there is room to write at all; its sender is not owed that it is on disk.
pub(super) fn keep(
    cashier: &Arc<Cashier>,
    provider: &str,
    config_id: ConfigId,
    signature_status: SignatureStatus,
    reason: &str,
    raw: &RawNotice,
    context: &RequestContext,
) {
    let provider = cut(provider, UNPROVEN_TEXT_MAX);
    tracing::warn!(provider, config = %config_id, signature = signature_status.word(), reason, "a webhook was refused");
    let Ok(place) = Arc::clone(&cashier.quarantine).try_acquire_owned() else { return };
    let Ok(room) = cashier.ledger.admit(Estimate::single((UNPROVEN_BODY_MAX + UNPROVEN_HEADERS_MAX) as u64)) else {
        return;
    };
    let received = Received::of(raw, &Kept::UNPROVEN);
    let brand = cashier.snapshot().config(config_id).map(|served| served.config.brand.clone()).unwrap_or_default();
    let stamp = cashier.stamp(Actor::System, &context.request_id);
    let recorded = cashier.ledger.decide(&stamp, |draft| {
        let notice_id = draft.next_notice();
        let event = ProviderEvent {
            id: draft.next_event(),
            notice_id,
            config_id,
            provider: provider.into(),
            brand,
            event_id: received.derived_event_id(),
            transaction_id: TransactionId(0),
            provider_payment_id: Box::default(),
            signature_status,
            processing_status: ProcessingStatus::Failed,
            failure_reason: cut(reason, UNPROVEN_TEXT_MAX).into(),
            update: None,
            module_hash: Box::default(),
            created_time: draft.now(),
            processed_time: UnixTime::UNSET,
        };
        draft.keep(received.under(notice_id));
        draft.add([Change::Event(Box::new(event))]);
    });
    match recorded {
        // The room is given back when the disk has it, so that what waits stays bounded.
        Ok(ticket) => cashier.spawn.spawn(Box::pin(async move {
            if ticket.durable().await.is_err() {
                tracing::warn!("an unproven webhook was not kept");
            }
            drop((place, room));
        })),
        Err(refusal) => tracing::warn!(%refusal, "an unproven webhook was not kept"),
    }
}
