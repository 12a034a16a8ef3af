//! Opens SQLite connections: WAL and `synchronous=FULL`, so that a transaction whose COMMIT returned survives a power cut.
//! It reads and writes no rows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::columns::sql_fault;
use super::schema;
use crate::ports::{Fault, FaultKind};
use crate::private_files;

/// Readers hold a page for one SELECT; a checkpoint that waits longer than this waits for a reader that hangs.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);
/// How long one try to write waits for another program that holds the database: the thread looks up from time to time.
pub(super) const TRY_WAIT: Duration = Duration::from_millis(250);
/// What the log keeps of its size once it was moved into the database: SQLite moves it at 4 MiB, and a batch of bodies
/// adds 8; without a limit the file stays as large as it ever was.
pub(super) const LOG_BYTES_KEPT: u64 = 64 * 1024 * 1024;
/// More than the number of different statements of the strand, so that each is prepared once.
const STATEMENTS_MAX: usize = 32;

/// Opens a database that exists. No link is followed in its place, also where one was put there a moment ago.
pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let path = private_files::without_links(path).map_err(|fault| rusqlite::Error::InvalidPath(fault.what.into()))?;
    Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NOFOLLOW)
}

/// The writing connection, with its schema up to date.
pub(super) fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = open(path, flags).map_err(sql_fault("opening"))?;
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
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT.cast_signed())?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// Has SQLite overwrite what a statement frees, or not: pages of large bodies would cost as much again, encrypted columns do not.
pub(super) fn overwrite_freed(connection: &Connection, overwrite: bool) -> Result<(), rusqlite::Error> {
    connection.pragma_update_and_check(None, "secure_delete", overwrite, |_| Ok(()))
}

/// Empties the log, which holds what was overwritten in the database; whether no reader kept it from that for so long.
pub(super) fn try_empty_log(connection: &Connection, waits: Duration) -> Result<bool, rusqlite::Error> {
    let wait: u32 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
    connection.busy_timeout(waits)?;
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0));
    connection.busy_timeout(Duration::from_millis(wait.into()))?;
    emptied
}

/// The log's file beside the database.
pub(super) fn log_file(database: &Path) -> PathBuf {
    let mut file = database.as_os_str().to_owned();
    file.push("-wal");
    file.into()
}

/// Moves the whole log into the database file and syncs that. A write whose sync failed, or of a process that was killed
/// before its sync, may have left pages in the system's cache that never reached the disk; after this call, every row that
/// is read is durable. Readers of an older state are waited for.
pub(super) fn settle(connection: &Connection) -> Result<(), Fault> {
    let fault = sql_fault("moving the log into the database");
    let wait = |length| connection.busy_timeout(length).map_err(&fault);
    wait(BUSY_WAIT)?;
    let moved = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    wait(TRY_WAIT)?;
    match moved.map_err(&fault)? {
        (0, pages, moved) if pages == moved => Ok(()),
        _ => Err(Fault::of(
            FaultKind::Busy,
            "the log cannot be moved into the database: another program has been reading an older state for too long",
        )),
    }
}

/// Syncs the log's file, where there is one.
pub(super) fn sync_log(database: &Path) -> Result<(), Fault> {
    match std::fs::File::open(log_file(database)).and_then(|log| log.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Fault::of(FaultKind::Io, format!("syncing the log: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Moves what no reader needs; returns the pages of the log and how many of them are in the database.
pub(super) fn move_log(connection: &Connection) -> Result<(i64, i64), Fault> {
    let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)));
    moved.map_err(sql_fault("moving the log into the database"))
}

/// A connection that can only read, for the loader and the archive.
pub(super) fn connect_read_only(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// There is no connection between a failed write and the next reload.
pub(super) fn unopened() -> Fault {
    Fault::new("the database is closed after a failed write, until it is reloaded")
}
