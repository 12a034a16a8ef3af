//! The numbered schema files, applied in order; `user_version` counts the applied ones. A database that is newer than this
//! program, or another program's, is left untouched.

use std::path::Path;

use rusqlite::Connection;

use super::columns::sql_fault;
use super::connection;
use crate::ports::Fault;

/// Step n brings a database from version n-1 to n. Released steps are never edited.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema/0001_books.sql"),
    include_str!("schema/0002_operation_keys.sql"),
    include_str!("schema/0003_last_query.sql"),
    include_str!("schema/0004_verified_by.sql"),
    include_str!("schema/0005_evidence.sql"),
    include_str!("schema/0006_unmatched_payments.sql"),
    include_str!("schema/0007_wanted_queries.sql"),
    include_str!("schema/0008_unapproved_fields.sql"),
    include_str!("schema/0009_books_image.sql"),
    include_str!("schema/0010_texts.sql"),
    include_str!("schema/0011_retention.sql"),
    include_str!("schema/0012_sealing.sql"),
    include_str!("schema/0013_account_marks.sql"),
];

/// 'CASH', as schema 0001 writes it into the file's header.
const APPLICATION_ID: i64 = 0x4341_5348;

/// How many steps are applied to this database; refuses one that is newer or not ours.
pub(super) fn version(connection: &Connection) -> Result<usize, Fault> {
    let fault = sql_fault("reading the database header");
    let whole = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = whole("PRAGMA application_id").map_err(&fault)?;
    let version = whole("PRAGMA user_version").map_err(&fault)?;
    let objects = whole("SELECT count(*) FROM sqlite_schema").map_err(&fault)?;
    let blank = application == 0 && version == 0 && objects == 0;
    if !blank && application != APPLICATION_ID {
        return Err(Fault::new("it is another program's database: its application id is not the cashier's"));
    }
    match usize::try_from(version) {
        Ok(version) if version <= STEPS.len() => Ok(version),
        Ok(_) | Err(_) => Err(Fault::new(format!(
            "its schema version is {version}, and this program knows versions up to {}: start a newer program",
            STEPS.len()
        ))),
    }
}

/// What a command of a stopped server needs: the database of this very release. Changes nothing; a file that cannot be read is
/// left to whoever opens it next.
///
/// # Errors
/// It is newer, or another program's. Earlier ones too, if the command writes: only a start of the server brings one up to date,
/// so that no command makes a return to the earlier program impossible.
pub(crate) fn check_release(database: &Path, earlier_is_fine: bool) -> Result<(), Fault> {
    let Ok(connection) = connection::connect_read_only(database) else { return Ok(()) };
    match version(&connection).map_err(|fault| fault.during(database.display()))? {
        applied if applied < STEPS.len() && !earlier_is_fine => Err(Fault::new(format!(
            "{}: its schema version is {applied}, and this program's is {}: start the server once, which brings it up to date",
            database.display(),
            STEPS.len()
        ))),
        _ => Ok(()),
    }
}

/// Applies the missing steps, each whole or not at all.
pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), Fault> {
    let applied = version(connection)?;
    for (number, step) in (1_i64..).zip(STEPS).skip(applied) {
        let mut apply = || {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()
        };
        apply().map_err(sql_fault(&format!("applying schema step {number}")))?;
    }
    Ok(())
}
