//! Opens SQLite connections: WAL and `synchronous=FULL`, so that a transaction whose COMMIT returned survives a power cut.
//! It reads and writes no rows.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::columns::sql_fault;
use super::schema;
use crate::ports::Fault;

/// Readers hold a page for one SELECT; a checkpoint that waits longer than this waits for a reader that hangs.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);
/// More than the number of different statements of the strand, so that each is prepared once.
const STATEMENTS_MAX: usize = 32;

/// The writing connection, with its schema up to date.
pub(super) fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sql_fault("opening"))?;
    schema::version(&connection)?;
    write_ahead(&connection)?;
    prepare(&connection).map_err(sql_fault("setting the pragmas"))?;
    schema::bring_up_to_date(&mut connection)?;
    // A write before anything is accepted: a read-only or full disk shows here, not in the first deposit.
    connection.execute("UPDATE counters SET opened = opened + 1", []).map_err(sql_fault("writing to the database"))?;
    Ok(connection)
}

/// Some file systems cannot share memory; SQLite then stays with its older journal and reports no error.
fn write_ahead(connection: &Connection) -> Result<(), Fault> {
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(sql_fault("turning on the write-ahead log"))?;
    if mode == "wal" {
        Ok(())
    } else {
        Err(Fault::new(format!("this file system allows no write-ahead log: the journal mode stays {mode}")))
    }
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS fsync alone leaves data in the drive's cache; elsewhere these change nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// Moves the log into the database file and syncs it. A write whose sync failed may have left pages in the system's
/// cache that never reached the disk; after this call, every row that is read is durable.
pub(super) fn settle(connection: &Connection) -> Result<(), Fault> {
    let blocked: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(sql_fault("syncing the log after a failed write"))?;
    if blocked == 0 {
        Ok(())
    } else {
        Err(Fault::new("the log cannot be synced after a failed write: another reader holds the database for too long"))
    }
}

/// A connection that can only read, for the loader and the archive.
pub(super) fn connect_read_only(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// There is no connection between a failed write and the next reload.
pub(super) fn unopened() -> Fault {
    Fault::new("the database is closed after a failed write, until it is reloaded")
}
