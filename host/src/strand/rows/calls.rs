//! The table provider_call: one row for each transaction, a bounded list of the requests that were sent to its provider.

use cashier_core::change::Commit;
use cashier_core::ids::TransactionId;
use cashier_core::provider_call::{ProviderCall, kept};
use rusqlite::Connection;

use super::writer::RowWriter;
use crate::ports::Fault;
use crate::strand::columns::for_each_row;
use crate::strand::json;
use crate::strand::retention::RetentionKind;

const TABLE: &str = "provider_call";

const READ: &str = "SELECT transaction_id, calls_json FROM provider_call WHERE transaction_id = ?";
const PUT: &str = "REPLACE INTO provider_call (transaction_id, at, calls_json) VALUES (?,?,?)";
/// A row that comes after its place was looked through would stay for ever.
const PUT_LATE: &str =
    "INSERT OR IGNORE INTO retention_kept (kind, id) SELECT kind, ?1 FROM retention WHERE kind = ?2 AND up_to >= ?1";

/// Adds the requests of a commit to those of the transaction.
pub(super) fn put(
    writer: &mut RowWriter<'_>,
    commit: &Commit,
    id: TransactionId,
    calls: &[ProviderCall],
) -> Result<(), Fault> {
    let known = read(writer.connection, id)?;
    if known.is_empty() {
        writer.put("retention_kept", PUT_LATE, |put| put.with(&id).sql(RetentionKind::Calls.number()))?;
    }
    let calls = kept(known, calls);
    writer.put(TABLE, PUT, |put| put.with(&id).with(&commit.at).json(|out| json::write_calls(&calls, out)))
}

/// The requests of a transaction, in the order of their time.
pub(in crate::strand) fn read(connection: &Connection, id: TransactionId) -> Result<Vec<ProviderCall>, Fault> {
    let mut calls = Vec::new();
    for_each_row(connection, READ, [id.0.cast_signed()], TABLE, |columns| {
        columns.value::<TransactionId>()?;
        calls = columns.json(json::read_calls)?;
        Ok(())
    })?;
    Ok(calls)
}
