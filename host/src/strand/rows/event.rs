//! The tables provider_event and unproven_event: same columns, but genuine events stay for ever and are unique under
//! (config, event id), while the others are bounded and take no part in dedup.

use cashier_core::ids::{ConfigId, EventId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::status::{ProcessingStatus, SignatureStatus};

use super::{Standing, Writer, text};
use crate::ports::Fault;
use crate::strand::columns::{Cells, Put, sql_fault};
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

const PUT_GENUINE: &str = put!("provider_event");
const PUT_UNPROVEN: &str = put!("unproven_event");
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

/// The genuine events that wait for their transaction.
pub(in crate::strand) const READ_PENDING: &str =
    concat!("SELECT ", columns!(), " FROM provider_event WHERE id IN (SELECT id FROM pending_event) ORDER BY id");

/// Answered from the index alone, without visiting a row; the keys too.
pub(in crate::strand) const COUNT_KEYS: &str = "SELECT count(*) FROM provider_event INDEXED BY provider_event_key";

pub(in crate::strand) const READ_KEYS: &str =
    "SELECT config_id, event_id, id FROM provider_event INDEXED BY provider_event_key";

pub(super) fn put(writer: &mut Writer<'_>, row: &ProviderEvent) -> Result<(), Fault> {
    writer.touch('e', row.id.0);
    let standing = match row.signature_status {
        SignatureStatus::Valid => Standing::Genuine,
        SignatureStatus::Unknown | SignatureStatus::Invalid => Standing::Unproven,
    };
    match standing {
        Standing::Genuine => {
            put_row(writer, PUT_GENUINE, row)?;
            let pending = match row.processing_status {
                ProcessingStatus::Pending => PUT_PENDING,
                ProcessingStatus::Processed | ProcessingStatus::Failed | ProcessingStatus::Ignored => DROP_PENDING,
            };
            let mark = Put::prepare(writer.connection, pending).and_then(|put| put.id(row.id.0).run());
            mark.map_err(sql_fault("pending_event"))
        }
        Standing::Unproven => {
            put_row(writer, PUT_UNPROVEN, row)?;
            writer.unproven.filed_event();
            Ok(())
        }
    }
}

fn put_row(writer: &mut Writer<'_>, sql: &str, row: &ProviderEvent) -> Result<(), Fault> {
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

pub(in crate::strand) fn read(cells: &mut Cells<'_, '_>) -> Result<ProviderEvent, Fault> {
    Ok(ProviderEvent {
        id: EventId(cells.id()?),
        notice_id: NoticeId(cells.id()?),
        config_id: ConfigId(cells.id()?),
        provider: cells.text()?,
        brand: cells.text()?,
        event_id: cells.text()?,
        transaction_id: TransactionId(cells.id()?),
        provider_payment_id: cells.text()?,
        signature_status: cells.number(SignatureStatus::from_number)?,
        processing_status: cells.number(ProcessingStatus::from_number)?,
        failure_reason: cells.text()?,
        update: cells.json(json::read_update)?,
        module_hash: cells.text()?,
        created_time: cells.time()?,
        processed_time: cells.time()?,
    })
}
