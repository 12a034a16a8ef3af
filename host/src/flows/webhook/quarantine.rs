//! Notices that were not verified: stored as quarantined events in the strand's bounded area, because senders who are not
//! authenticated must not fill the disk. They take no part in deduplication or matching.

use std::sync::Arc;

use cashier_core::change::Change;
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use cashier_core::time::UnixTime;

use super::received::{CaptureLimits, Received, cut};
use crate::flows::{Cashier, RequestContext};
use crate::ledger::Estimate;
use crate::ports::RawNotice;
use crate::security_log::{self, RejectedWebhook};

/// Bytes of a quarantined body that are stored: enough to see who sends it and why it failed.
const BODY_MAX: usize = 16 * 1024;

/// Bytes stored of everything else the sender chose: path, query, provider and each list of headers. Longer ones are cut.
const TEXT_MAX: usize = 256;
const HEADERS_MAX: usize = 4 * 1024;

impl CaptureLimits {
    /// What is stored of a request that anybody may have sent.
    const QUARANTINED: Self = Self { body: BODY_MAX, text: TEXT_MAX, headers: HEADERS_MAX };
}

/// Why a notice is quarantined, and for which config.
pub(in crate::flows) struct Quarantined<'a> {
    pub(in crate::flows) provider: &'a str,
    pub(in crate::flows) config_id: ConfigId,
    pub(in crate::flows) signature: SignatureStatus,
    pub(in crate::flows) reason: &'a str,
}

/// Stores a notice if the write queue has capacity at all; its sender is not owed that it is durable.
pub(in crate::flows) fn store(
    cashier: &Arc<Cashier>,
    why: &Quarantined<'_>,
    raw: &RawNotice,
    context: &RequestContext,
) {
    let Quarantined { provider, config_id, signature, reason } = *why;
    let provider = cut(provider, TEXT_MAX);
    let message = match signature {
        SignatureStatus::Unknown => "webhook could not be verified: quarantined, to be sent again",
        SignatureStatus::Invalid | SignatureStatus::Valid => "webhook was rejected: quarantined",
    };
    let (name, from) = (signature.name(), &*context.ip);
    let rejected = RejectedWebhook { provider, config: config_id, signature: name, message, reason, from };
    security_log::webhook_rejected(&rejected, &cashier.rejected_webhooks, cashier.clock.now());
    let Ok(permit) = Arc::clone(&cashier.quarantine).try_acquire_owned() else { return };
    let Ok(admitted) = cashier.ledger.admit(Estimate::single((BODY_MAX + HEADERS_MAX) as u64)) else { return };
    let received = Received::of(raw, &CaptureLimits::QUARANTINED);
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
            signature_status: signature,
            processing_status: ProcessingStatus::Failed,
            failure_reason: cut(reason, TEXT_MAX).into(),
            update: None,
            module_hash: Box::default(),
            also_verified_by: Box::default(),
            created_time: draft.now(),
            processed_time: UnixTime::UNSET,
        };
        draft.store(received.into_body(notice_id));
        draft.add([Change::Event(Box::new(event))]);
    });
    match recorded {
        // The permits are released when the disk has it, so that what waits stays bounded.
        Ok(ticket) => cashier.spawn.spawn(Box::pin(async move {
            if ticket.durable().await.is_err() {
                tracing::warn!("storing a quarantined webhook failed");
            }
            drop((permit, admitted));
        })),
        Err(refusal) => tracing::warn!(%refusal, "storing a quarantined webhook failed"),
    }
}
