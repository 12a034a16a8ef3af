//! Lists of audit records, read off the strand's thread. It never writes.

use cashier_core::filter::{AuditField, Filter, RowPage};
use rusqlite::Connection;

use super::columns::{ColumnReader, for_each_row};
use crate::ports::{AuditRow, Fault};

const TABLE: &str = "audit_record";

const READ: &str = "SELECT id, at, manager_id, role, brand, address, request_id, command, config_id, transaction_id, \
                    approval_id, outcome, changes_json, hash FROM audit_record WHERE ?1 IS NULL OR brand = ?1";

/// A page of the records; of sessions of one brand, where it is given.
pub(super) fn page(
    connection: &Connection,
    filter: &Filter<AuditField>,
    brand: Option<&str>,
) -> Result<RowPage<AuditRow>, Fault> {
    let mut matching = Vec::new();
    for_each_row(connection, READ, [brand], TABLE, |columns| {
        let row = read(columns)?;
        if filter.matches(&row) {
            matching.push(row);
        }
        Ok(())
    })?;
    Ok(filter.page(matching))
}

pub(super) fn read(columns: &mut ColumnReader<'_, '_>) -> Result<AuditRow, Fault> {
    Ok(AuditRow {
        id: columns.value()?,
        created_time: columns.value()?,
        manager_id: columns.value()?,
        role: u8::try_from(columns.value::<u32>()?).unwrap_or(u8::MAX),
        brand: columns.value()?,
        address: columns.value()?,
        request_id: columns.value()?,
        command: columns.value()?,
        config_id: columns.value()?,
        transaction_id: columns.value()?,
        approval_id: columns.value()?,
        outcome: columns.value()?,
        changes: serde_json::from_str(columns.str()?)
            .map_err(|_| Fault::new(format!("{TABLE}: the changes of a record cannot be read")))?,
        hash: hex::encode(columns.bytes::<32>()?).into(),
    })
}
