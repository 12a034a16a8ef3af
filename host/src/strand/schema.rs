//! The numbered schema files, applied in order; `user_version` counts the applied ones. A database that is newer than this
//! program, or another program's, is left untouched.

use rusqlite::Connection;

use super::columns::sql_fault;
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
    include_str!("schema/0014_audit_subjects.sql"),
    include_str!("schema/0015_event_lists.sql"),
    include_str!("schema/0016_transaction_approvals.sql"),
    include_str!("schema/0017_provider_calls.sql"),
    include_str!("schema/0018_list_counts.sql"),
    include_str!("schema/0019_trading_servers.sql"),
    include_str!("schema/0020_conversion.sql"),
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
