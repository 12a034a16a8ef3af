//! The table approval. The request is sealed, because it may hold secrets.

use cashier_core::approval::Approval;
use cashier_core::provider_config::Secret;

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::ColumnReader;
use crate::strand::seal::{Seal, SealContext};

pub(in crate::strand) const TABLE: &str = "approval";

macro_rules! columns {
    () => {
        "id, command, config_id, brand, config_version, request_sealed, fields, asked_by, asked_time, expires_time, \
         state, decided_by, decided_time"
    };
}

const PUT: &str = concat!("REPLACE INTO approval (", columns!(), ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)");

/// Rows that still may be decided, and those decided lately: as many as a person reads.
pub(in crate::strand) const READ_NEWEST: &str =
    concat!("SELECT ", columns!(), " FROM (SELECT * FROM approval ORDER BY id DESC LIMIT ?) ORDER BY id");

fn context(id: u64) -> SealContext {
    SealContext { table: TABLE, column: "request", row: id }
}

pub(super) fn put(writer: &mut RowWriter<'_>, row: &Approval) -> Result<(), Fault> {
    writer.touch('p', row.id.0);
    let request = writer.seal.seal(context(row.id.0), row.request.expose())?;
    writer.put(TABLE, PUT, |put| {
        put.with(&row.id)
            .with(&row.command)
            .with(&row.config_id)
            .with(&row.brand)
            .with(&row.config_version)
            .sql(request)
            .with(&row.fields)
            .with(&row.asked_by)
            .with(&row.asked_time)
            .with(&row.expires_time)
            .with(&row.state)
            .with(&row.decided_by)
            .with(&row.decided_time)
    })
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>, seal: &Seal) -> Result<Approval, Fault> {
    let id: cashier_core::ids::ApprovalId = columns.value()?;
    Ok(Approval {
        id,
        command: columns.value()?,
        config_id: columns.value()?,
        brand: columns.value()?,
        config_version: columns.value()?,
        // Empty once it was deleted for its age.
        request: match columns.blob()? {
            [] => Secret::default(),
            sealed => Secret::new(&seal.open(context(id.0), sealed)?),
        },
        fields: columns.value()?,
        asked_by: columns.value()?,
        asked_time: columns.value()?,
        expires_time: columns.value()?,
        state: columns.value()?,
        decided_by: columns.value()?,
        decided_time: columns.value()?,
    })
}
