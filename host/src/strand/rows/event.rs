//! The tables provider_event and unproven_event: same columns, but verified events are permanent and unique under
//! (config, event id), while quarantined ones are bounded and take no part in deduplication.

use cashier_core::ids::{ConfigId, EventId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::status::{ProcessingStatus, SignatureStatus};

use super::writer::{Area, RowWriter, text};
use crate::ports::Fault;
use crate::strand::columns::{ColumnReader, Put, sql_fault};
use crate::strand::json;

pub(in crate::strand) const TABLE: &str = "provider_event";

macro_rules! columns {
    () => {
        "id, notice_id, config_id, provider, brand, event_id, transaction_id, provider_payment_id, signature_status, \
         processing_status, failure_reason, update_json, module_hash, created_time, processed_time"
    };
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
            ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET \
             notice_id = excluded.notice_id, config_id = excluded.config_id, provider = excluded.provider, \
             brand = excluded.brand, event_id = excluded.event_id, transaction_id = excluded.transaction_id, \
             provider_payment_id = excluded.provider_payment_id, signature_status = excluded.signature_status, \
             processing_status = excluded.processing_status, failure_reason = excluded.failure_reason, \
             update_json = excluded.update_json, module_hash = excluded.module_hash, \
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

/// The verified events that wait for their transaction.
pub(in crate::strand) const READ_PENDING: &str =
    concat!("SELECT ", columns!(), " FROM provider_event WHERE id IN (SELECT id FROM pending_event) ORDER BY id");

/// Read from the index alone, without visiting a row; the keys too.
pub(in crate::strand) const COUNT_KEYS: &str = "SELECT count(*) FROM provider_event INDEXED BY provider_event_key";

pub(in crate::strand) const READ_KEYS: &str =
    "SELECT config_id, event_id, id FROM provider_event INDEXED BY provider_event_key";

pub(super) fn put(writer: &mut RowWriter<'_>, row: &ProviderEvent) -> Result<(), Fault> {
    writer.touch('e', row.id.0);
    match Area::of(row.signature_status) {
        Area::Verified => {
            put_row(writer, PUT_VERIFIED, row)?;
            let pending = match row.processing_status {
                ProcessingStatus::Pending => PUT_PENDING,
                ProcessingStatus::Processed | ProcessingStatus::Failed | ProcessingStatus::Ignored => DROP_PENDING,
            };
            let mark = Put::prepare(writer.connection, pending).and_then(|put| put.id(row.id.0).run());
            mark.map_err(sql_fault("pending_event"))
        }
        Area::Quarantine => {
            put_row(writer, PUT_QUARANTINED, row)?;
            writer.quarantine.add_event();
            Ok(())
        }
    }
}

fn put_row(writer: &mut RowWriter<'_>, sql: &str, row: &ProviderEvent) -> Result<(), Fault> {
    let [update, ..] = &mut writer.scratch.json;
    update.clear();
    json::write_update(row.update.as_ref(), update)
        .map_err(|error| Fault::new(format!("{TABLE} {}: {error}", row.id)))?;
    let put = || {
        Put::prepare(writer.connection, sql)?
            .id(row.id.0)
            .id(row.notice_id.0)
            .id(row.config_id.0)
            .text(&row.provider)
            .text(&row.brand)
            .text(&row.event_id)
            .id(row.transaction_id.0)
            .text(&row.provider_payment_id)
            .number(row.signature_status.number())
            .number(row.processing_status.number())
            .text(&row.failure_reason)
            .text(text(update)?)
            .text(&row.module_hash)
            .time(row.created_time)
            .time(row.processed_time)
            .run()
    };
    put().map_err(sql_fault(TABLE))
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>) -> Result<ProviderEvent, Fault> {
    Ok(ProviderEvent {
        id: EventId(columns.id()?),
        notice_id: NoticeId(columns.id()?),
        config_id: ConfigId(columns.id()?),
        provider: columns.text()?,
        brand: columns.text()?,
        event_id: columns.text()?,
        transaction_id: TransactionId(columns.id()?),
        provider_payment_id: columns.text()?,
        signature_status: columns.number(SignatureStatus::from_number)?,
        processing_status: columns.number(ProcessingStatus::from_number)?,
        failure_reason: columns.text()?,
        update: columns.json(json::read_update)?,
        module_hash: columns.text()?,
        created_time: columns.time()?,
        processed_time: columns.time()?,
    })
}
