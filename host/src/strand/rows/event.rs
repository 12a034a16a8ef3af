//! The tables provider_event and unproven_event: same columns, but verified events are permanent and unique under
//! (config, event id), while quarantined ones are bounded and take no part in deduplication.

use cashier_core::notice::ProviderEvent;

use super::writer::{Area, RowWriter};
use crate::ports::Fault;
use crate::strand::columns::table;

table! {
    ProviderEvent "provider_event" {
        notice_id; config_id; provider; brand; event_id; transaction_id; provider_payment_id; signature_status;
        processing_status; failure_reason; update: "update_json"; module_hash; also_verified_by; created_time; processed_time;
    }
}

/// An upsert by id alone: a second row under the same (config, event id) is an error, where REPLACE would delete the
/// first.
macro_rules! put {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (",
            columns!(),
            ") VALUES (",
            values!(),
            ") ON CONFLICT (id) DO UPDATE SET \
             notice_id = excluded.notice_id, config_id = excluded.config_id, provider = excluded.provider, \
             brand = excluded.brand, event_id = excluded.event_id, transaction_id = excluded.transaction_id, \
             provider_payment_id = excluded.provider_payment_id, signature_status = excluded.signature_status, \
             processing_status = excluded.processing_status, failure_reason = excluded.failure_reason, \
             update_json = excluded.update_json, module_hash = excluded.module_hash, \
             also_verified_by = excluded.also_verified_by, \
             created_time = excluded.created_time, processed_time = excluded.processed_time"
        )
    };
}

const PUT_VERIFIED: &str = put!("provider_event");
const PUT_QUARANTINED: &str = put!("unproven_event");
const PUT_PENDING: &str = "INSERT OR IGNORE INTO pending_event (id) VALUES (?)";
const DROP_PENDING: &str = "DELETE FROM pending_event WHERE id = ?";

/// One event by id; at most one of the tables has it.
pub(in crate::strand) const READ_ONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM provider_event WHERE id = ?1 UNION ALL SELECT ",
    columns!(),
    " FROM unproven_event WHERE id = ?1"
);

/// Events below an id, newest first.
pub(in crate::strand) const READ_BEFORE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM provider_event WHERE id < ?1 UNION ALL SELECT ",
    columns!(),
    " FROM unproven_event WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
);

/// The events of a transaction, newest first.
pub(in crate::strand) const READ_OF_TRANSACTION: &str =
    concat!("SELECT ", columns!(), " FROM provider_event WHERE transaction_id = ?1 ORDER BY id DESC LIMIT ?2");

/// Events about a payment of this id that are not of this transaction, newest first; of one brand, where it is given, as of all that name it.
pub(in crate::strand) const READ_OF_PAYMENT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM provider_event WHERE provider_payment_id = ?1 AND transaction_id <> ?2 AND (?4 IS NULL OR brand = ?4) \
     ORDER BY id DESC LIMIT ?3"
);

/// Events that wait, and are not of this transaction, newest first.
pub(in crate::strand) const READ_WAITING_ELSEWHERE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM provider_event WHERE id IN (SELECT id FROM pending_event) AND transaction_id <> ?1 \
     AND (?3 IS NULL OR brand = ?3) ORDER BY id DESC LIMIT ?2"
);

/// Quarantined events, newest first; of one brand, where it is given.
pub(in crate::strand) const READ_QUARANTINED: &str =
    concat!("SELECT ", columns!(), " FROM unproven_event WHERE ?1 IS NULL OR brand = ?1 ORDER BY id DESC");

/// The verified events that wait, each with the length of its notice's body where that counts: those without their
/// transaction, also those given up, and those that no build of their module has understood.
pub(in crate::strand) const READ_WAITING: &str = concat!(
    "SELECT ",
    columns!(),
    ", CASE processing_status WHEN 0 THEN 0 ELSE \
     coalesce((SELECT length(body) FROM notice WHERE notice.id = provider_event.notice_id), 0) END \
     FROM provider_event WHERE id IN (SELECT id FROM pending_event) ORDER BY id"
);

/// One verified event by the ends of an id range, with the length of its notice's body as in [`READ_WAITING`].
pub(in crate::strand) const READ_STORED: &str = concat!(
    "SELECT ",
    columns!(),
    ", CASE processing_status WHEN 0 THEN 0 ELSE \
     coalesce((SELECT length(body) FROM notice WHERE notice.id = provider_event.notice_id), 0) END \
     FROM provider_event WHERE id BETWEEN ? AND ?"
);

/// The row that holds a deduplication key.
pub(in crate::strand) const FIND_KEY: &str = "SELECT id FROM provider_event WHERE config_id = ? AND event_id = ?";

/// Read from the index alone, without visiting a row; the keys too.
pub(in crate::strand) const COUNT_KEYS: &str = "SELECT count(*) FROM provider_event INDEXED BY provider_event_key";

pub(in crate::strand) const READ_KEYS: &str =
    "SELECT config_id, event_id, id FROM provider_event INDEXED BY provider_event_key";

/// The keys of events above an id.
pub(in crate::strand) const READ_KEYS_ABOVE: &str =
    "SELECT config_id, event_id, id FROM provider_event WHERE id > ? ORDER BY id";

pub(super) fn put(writer: &mut RowWriter<'_>, row: &ProviderEvent) -> Result<(), Fault> {
    writer.touch('e', row.id.0);
    match Area::of(row.signature_status) {
        Area::Verified => {
            writer.put(TABLE, PUT_VERIFIED, |put| bind(put, row))?;
            writer.put("pending_event", if row.waits() { PUT_PENDING } else { DROP_PENDING }, |put| put.with(&row.id))
        }
        Area::Quarantine => {
            writer.quarantine.add_event();
            writer.put(TABLE, PUT_QUARANTINED, |put| bind(put, row))
        }
    }
}
