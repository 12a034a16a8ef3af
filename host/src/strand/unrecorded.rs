//! Operations of one trading server that have no recorded outcome, by their keys, read from a database that a running cashier may have
//! open. It judges and changes nothing.

use std::path::Path;

use cashier_core::ids::ServerName;
use cashier_core::status::OperationStatus;
use rusqlite::{Row, params};

use super::columns::sql_fault;
use super::connection::connect_read_only;
use crate::ports::Fault;

/// Keys that are named, for a person to look for; more are counted.
const KEYS_NAMED_MAX: usize = 32;

/// A database of an earlier release has no servers.
const HAS_SERVERS: &str = "SELECT count(*) FROM pragma_table_info('cashier_transaction') WHERE name = 'server'";

const UNRECORDED: &str = "SELECT known.reference, operation.ordinal, operation.id FROM balance_operation AS operation
    JOIN cashier_transaction AS known ON known.id = operation.transaction_id
    WHERE operation.status IN (?1, ?2) AND known.server = ?3 ORDER BY operation.id";

/// What waits for an outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnrecordedOperations {
    pub count: usize,
    /// The keys of the first of them.
    pub keys: Vec<Box<str>>,
}

/// What waits for an outcome at this server.
///
/// # Errors
/// The database cannot be read.
pub fn at_server(database: &Path, server: &ServerName) -> Result<UnrecordedOperations, Fault> {
    let fault = sql_fault("reading which operations have no outcome");
    let connection = connect_read_only(database).map_err(&fault)?;
    let has_servers: i64 = connection.query_row(HAS_SERVERS, [], |row| row.get(0)).map_err(&fault)?;
    let mut found = UnrecordedOperations::default();
    if has_servers == 0 {
        return Ok(found);
    }
    let mut statement = connection.prepare(UNRECORDED).map_err(&fault)?;
    let [planned, unknown] = [OperationStatus::Planned, OperationStatus::Unknown].map(OperationStatus::number);
    let keys = statement.query_map(params![planned, unknown, server.as_str()], key).map_err(&fault)?;
    for key in keys {
        let key = key.map_err(&fault)?;
        found.count += 1;
        if found.keys.len() < KEYS_NAMED_MAX {
            found.keys.push(key);
        }
    }
    Ok(found)
}

/// As [`OperationKey::of`](cashier_core::operation::OperationKey::of).
fn key(row: &Row<'_>) -> Result<Box<str>, rusqlite::Error> {
    Ok(match row.get::<_, i64>(1)? {
        0 => row.get::<_, i64>(2)?.to_string().into(),
        ordinal => format!("{}:{ordinal}", row.get::<_, String>(0)?).into(),
    })
}
