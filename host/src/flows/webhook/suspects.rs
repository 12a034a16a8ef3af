//! Notices that were not genuine or could not be judged: the newest are kept in a ring of fixed size, because an open
//! door must not fill the disk. Also how headers are written down, secrets masked.

use cashier_core::change::{Body, SUSPECT_BODY_MAX, Suspect};
use cashier_core::ids::ConfigId;
use cashier_core::session::Actor;
use cashier_core::status::SignatureStatus;

use crate::flows::{Asking, House};
use crate::ledger::Estimate;
use crate::ports::RawNotice;

/// Header values longer than this are cut; signatures and ids are far shorter.
const HEADER_VALUE_MAX: usize = 1024;

/// Headers whose values open doors.
const MASKED_HEADERS: &[&str] =
    &["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token"];

/// Keeps a suspect if there is room to write at all; its sender is not owed that it is on disk.
pub(super) fn keep(
    house: &House,
    provider: &str,
    config_id: ConfigId,
    signature_status: SignatureStatus,
    reason: &str,
    raw: &RawNotice,
    asking: &Asking,
) {
    tracing::warn!(provider, config = %config_id, signature = signature_status.word(), reason, "a webhook was refused");
    let Ok(_room) = house.ledger.admit(Estimate::single(SUSPECT_BODY_MAX as u64)) else { return };
    let kept = raw.body.get(..SUSPECT_BODY_MAX).unwrap_or(&raw.body);
    let stamp = house.stamp(Actor::House, &asking.request_id);
    let recorded = house.ledger.decide(&stamp, |draft| {
        let suspect = Suspect {
            slot: draft.next_suspect_slot(),
            received_time: raw.received_time,
            provider: provider.into(),
            config_id,
            signature_status,
            reason: reason.into(),
            headers_json: headers_json(raw),
            body: kept.into(),
        };
        draft.keep(Body::Suspect(Box::new(suspect)));
    });
    if let Err(refusal) = recorded {
        tracing::warn!(%refusal, "a suspect webhook was not kept");
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
