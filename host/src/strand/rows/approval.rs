//! The table approval. The request is sealed, because it may hold secrets, and bound to what it asks for and who asked.

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::ids::ManagerId;
use cashier_core::provider_config::Secret;
use cashier_core::time::UnixTime;

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::ColumnReader;
use crate::strand::seal::{Seal, SealContext, Terms};

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

/// Approvals above an id whose request's first bytes are not these.
pub(in crate::strand) const READ_STALE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM approval WHERE id > ?1 AND length(request_sealed) > 0 AND substr(request_sealed, 1, 5) <> ?2 ORDER BY id LIMIT ?3"
);

/// The first bytes of every request, with the row.
pub(in crate::strand) const READ_HEADERS: &str =
    "SELECT id, substr(request_sealed, 1, 5) FROM approval WHERE length(request_sealed) > 0 ORDER BY id";

fn terms(row: &Approval) -> Terms {
    let numbers = [row.config_id.0, row.config_version, row.asked_by.0].map(|number| number.to_string());
    let [config, version, asked_by] = &numbers;
    Terms::of(&[&row.command, &row.brand, config, version, asked_by])
}

fn context(id: u64, terms: &Terms) -> SealContext<'_> {
    SealContext { table: TABLE, column: "request", row: id, terms }
}

pub(in crate::strand) fn put(writer: &mut RowWriter<'_>, row: &Approval) -> Result<(), Fault> {
    writer.touch('p', row.id.0);
    let request = match &row.unreadable {
        Some(unreadable) => unreadable.sealed.to_vec(),
        None => writer.seal.seal(context(row.id.0, &terms(row)), row.request.expose())?,
    };
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
    let mut row = Approval {
        id: columns.value()?,
        command: columns.value()?,
        config_id: columns.value()?,
        brand: columns.value()?,
        config_version: columns.value()?,
        request: Secret::default(),
        unreadable: None,
        fields: Box::default(),
        asked_by: ManagerId(0),
        asked_time: UnixTime::UNSET,
        expires_time: UnixTime::UNSET,
        state: ApprovalState::Open,
        decided_by: ManagerId(0),
        decided_time: UnixTime::UNSET,
    };
    let sealed = columns.blob()?;
    row.fields = columns.value()?;
    row.asked_by = columns.value()?;
    row.asked_time = columns.value()?;
    row.expires_time = columns.value()?;
    row.state = columns.value()?;
    row.decided_by = columns.value()?;
    row.decided_time = columns.value()?;
    let terms = terms(&row);
    let context = context(row.id.0, &terms);
    match seal.read(context, sealed, "") {
        // Wiped.
        _ if sealed.is_empty() => {}
        Ok(text) => row.request = Secret::new(&text),
        Err(lost) => row.unreadable = Some(lost),
    }
    Ok(row)
}
