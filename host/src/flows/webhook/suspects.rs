//! Notices that were not genuine or could not be judged: kept as unproven events in the strand's bounded area, because an
//! open door must not fill the disk. They take no part in dedup, matching or replay. Also how headers are written down.

use std::sync::Arc;

use cashier_core::change::{Body, Change};
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use cashier_core::time::UnixTime;
use sha2::{Digest, Sha256};

use crate::flows::{Asking, House};
use crate::ledger::Estimate;
use crate::ports::RawNotice;

/// Bytes of an unproven body that are kept: enough to see who knocks and why it failed.
const UNPROVEN_BODY_MAX: usize = 16 * 1024;

/// Header values longer than this are cut; signatures and ids are far shorter.
const HEADER_VALUE_MAX: usize = 1024;

/// Headers whose values open doors.
const MASKED_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"];

/// Suspects on their way to the disk: a few batches of the strand. A flood beyond them is counted by nobody, and real
/// money finds the write queue free.
pub(in crate::flows) const SUSPECTS_WAITING_MAX: usize = 256;

/// Keeps a suspect if there is room to write at all; its sender is not owed that it is on disk.
pub(super) fn keep(
    house: &Arc<House>,
    provider: &str,
    config_id: ConfigId,
    signature_status: SignatureStatus,
    reason: &str,
    raw: &RawNotice,
    asking: &Asking,
) {
    tracing::warn!(provider, config = %config_id, signature = signature_status.word(), reason, "a webhook was refused");
    let Ok(place) = Arc::clone(&house.suspects).try_acquire_owned() else { return };
    let Ok(room) = house.ledger.admit(Estimate::single(UNPROVEN_BODY_MAX as u64)) else { return };
    let kept = raw.body.get(..UNPROVEN_BODY_MAX).unwrap_or(&raw.body);
    let sha256: [u8; 32] = Sha256::digest(&raw.body).into();
    let brand = house.picture().config(config_id).map(|served| served.config.brand.clone()).unwrap_or_default();
    let stamp = house.stamp(Actor::House, &asking.request_id);
    let recorded = house.ledger.decide(&stamp, |draft| {
        let notice_id = draft.next_notice();
        let event = ProviderEvent {
            id: draft.next_event(),
            notice_id,
            config_id,
            provider: provider.into(),
            brand,
            event_id: format!("sha256:{}", hex::encode(sha256)).into(),
            transaction_id: TransactionId(0),
            provider_payment_id: Box::default(),
            signature_status,
            processing_status: ProcessingStatus::Failed,
            failure_reason: reason.into(),
            update: None,
            module_hash: Box::default(),
            created_time: draft.now(),
            processed_time: UnixTime::UNSET,
        };
        draft.keep(Body::Notice {
            id: notice_id,
            received_time: raw.received_time,
            method: raw.method.clone(),
            path: raw.path.clone(),
            raw_query: raw.raw_query.clone(),
            headers_json: headers_json(raw),
            sha256,
            body: kept.into(),
        });
        draft.add([Change::Event(Box::new(event))]);
    });
    match recorded {
        // The room is given back when the disk has it, so that what waits stays bounded.
        Ok(ticket) => house.spawn.spawn(Box::pin(async move {
            if ticket.durable().await.is_err() {
                tracing::warn!("an unproven webhook was not kept");
            }
            drop((place, room));
        })),
        Err(refusal) => tracing::warn!(%refusal, "an unproven webhook was not kept"),
    }
}

/// The headers as a JSON array of [name, value] pairs, secrets masked.
pub(super) fn headers_json(raw: &RawNotice) -> Box<str> {
    let shown: Vec<(&str, &str)> = raw.headers.iter().map(|(name, value)| (&**name, shown(name, value))).collect();
    serde_json::to_string(&shown).unwrap_or_default().into()
}

fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if MASKED_HEADERS.contains(&name) {
        return "***";
    }
    let end = (0..=HEADER_VALUE_MAX.min(value.len())).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    value.get(..end).unwrap_or("")
}
