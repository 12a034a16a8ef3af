//! The table approval. The request is sealed, because it may hold secrets, and bound to what it asks for and who asked.

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::ids::{ManagerId, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::provider_config::Secret;
use cashier_core::time::UnixTime;
use rusqlite::OptionalExtension;
use sha2::{Digest, Sha256};

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::audit_key;
use crate::strand::columns::{ColumnReader, sql_fault};
use crate::strand::seal::{Seal, SealContext, Terms};

pub(in crate::strand) const TABLE: &str = "approval";

macro_rules! columns {
    () => {
        "id, command, config_id, brand, config_version, request_sealed, fields, asked_by, asked_time, expires_time, \
         state, decided_by, decided_time, transaction_id, amount_minor, currency"
    };
}

/// What is noted of a wiped request stays.
const PUT: &str = concat!(
    "INSERT INTO approval (",
    columns!(),
    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET command = excluded.command, \
     config_id = excluded.config_id, brand = excluded.brand, config_version = excluded.config_version, \
     request_sealed = excluded.request_sealed, fields = excluded.fields, asked_by = excluded.asked_by, \
     asked_time = excluded.asked_time, expires_time = excluded.expires_time, state = excluded.state, \
     decided_by = excluded.decided_by, decided_time = excluded.decided_time, transaction_id = excluded.transaction_id, \
     amount_minor = excluded.amount_minor, currency = excluded.currency"
);

const STORED_REQUEST: &str = "SELECT request_sealed FROM approval WHERE id = ?";
const NOTE: &str = "UPDATE approval SET body_bytes = ?, sha256 = ?, request_key = ?, deleted_time = ? WHERE id = ?";

/// What is hashed before a request, so that no other use of the key gives the same digest.
const REQUEST_HASH: &[u8] = b"cashier approval request 1";

/// Rows with a request, which wait for a decision or for its end, and the newest of the others: as many as a person reads.
pub(in crate::strand) const READ_SHOWN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM approval WHERE length(request_sealed) > 0 OR \
     id > coalesce((SELECT id FROM approval ORDER BY id DESC LIMIT 1 OFFSET ?), 0) ORDER BY id"
);

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
    let numbers = [row.config_id.0, row.ground, row.asked_by.0].map(|number| number.to_string());
    let [config, ground, asked_by] = &numbers;
    if row.transaction_id.0 == 0 {
        return Terms::of(&[&row.command, &row.brand, config, ground, asked_by]);
    }
    let (transaction, amount) = (row.transaction_id.to_string(), row.amount.map(|amount| amount.to_string()));
    let amount = amount.unwrap_or_default();
    Terms::of(&[&row.command, &row.brand, config, ground, asked_by, &transaction, &amount])
}

fn context(id: u64, terms: &Terms) -> SealContext<'_> {
    SealContext { table: TABLE, column: "request", row: id, terms }
}

pub(in crate::strand) fn put(writer: &mut RowWriter<'_>, row: &Approval) -> Result<(), Fault> {
    writer.touch('p', row.id.0);
    let stored: Option<Vec<u8>> = writer
        .connection
        .prepare_cached(STORED_REQUEST)
        .and_then(|mut find| find.query_row([row.id.0.cast_signed()], |row| row.get(0)).optional())
        .map_err(sql_fault(TABLE))?;
    let terms = terms(row);
    let context = context(row.id.0, &terms);
    let (mut wiped, mut request) = (None, Vec::new());
    match &row.unreadable {
        Some(unreadable) => request = stored.unwrap_or_else(|| unreadable.sealed.to_vec()),
        None if row.request.is_empty() => wiped = stored.filter(|sealed| !sealed.is_empty()),
        None => request = writer.seal.seal(context, row.request.expose())?,
    }
    let noted = wiped.map(|sealed| note(writer, context, &sealed)).transpose()?.flatten();
    writer.put_over(TABLE, PUT, |put| {
        put.with(&row.id)
            .with(&row.command)
            .with(&row.config_id)
            .with(&row.brand)
            .with(&row.ground)
            .sql(request)
            .with(&row.fields)
            .with(&row.asked_by)
            .with(&row.asked_time)
            .with(&row.expires_time)
            .with(&row.state)
            .with(&row.decided_by)
            .with(&row.decided_time)
            .with(&row.transaction_id)
            .with(&row.amount.map_or(0, |amount| amount.minor))
            .sql(row.amount.as_ref().map_or("", |amount| amount.currency.code()))
    })?;
    let Some((bytes, hash, key)) = noted else { return Ok(()) };
    let ended = if row.state == ApprovalState::Open { row.expires_time } else { row.decided_time };
    writer.put(TABLE, NOTE, |put| put.with(&bytes).sql(&hash[..]).with(&key).with(&ended).with(&row.id))
}

/// What is noted of a request that is wiped: its length and keyed hash with the number of the key, so that a copy of it can be
/// compared and no guess. Of one that does not open the same of what is stored, without a key.
fn note(
    writer: &RowWriter<'_>,
    context: SealContext<'_>,
    sealed: &[u8],
) -> Result<Option<(u64, [u8; 32], u64)>, Fault> {
    let Ok(text) = writer.seal.open(context, sealed) else {
        return Ok(Some((sealed.len() as u64, Sha256::digest(sealed).into(), 0)));
    };
    if text.is_empty() {
        return Ok(None);
    }
    let key = audit_key::take(writer.connection, writer.seal)?;
    Ok(Some((text.len() as u64, key.digest(REQUEST_HASH, &[&text]), key.id())))
}

pub(in crate::strand) fn read(columns: &mut ColumnReader<'_, '_>, seal: &Seal) -> Result<Approval, Fault> {
    let mut row = Approval {
        id: columns.value()?,
        command: columns.value()?,
        config_id: columns.value()?,
        transaction_id: TransactionId(0),
        amount: None,
        brand: columns.value()?,
        ground: columns.value()?,
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
    row.transaction_id = columns.value()?;
    let (minor, currency): (i64, Box<str>) = (columns.value()?, columns.value()?);
    row.amount = Currency::from_code(&currency).map(|currency| Money::new(minor, currency));
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
