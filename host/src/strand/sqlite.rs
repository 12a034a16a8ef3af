//! The store on a real disk: one SQLite connection with WAL and `synchronous=FULL`, so that a transaction whose COMMIT
//! returned survives a power cut. It checkpoints as SQLite does by default, and decides nothing about rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cashier_core::change::Commit;
use rusqlite::{Connection, OpenFlags};

use super::columns::sql_fault;
use super::quarantine::Unproven;
use super::rows::{Scratch, Writer, counters};
use super::seal::Seal;
use super::thread::Store;
use super::{load, schema};
use crate::ports::{Fault, Loaded};
use crate::private_files;

/// Readers hold a page for one SELECT; a checkpoint that waits longer for them than this has met something stuck.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// More than the number of different statements of this room, so that none is ever prepared twice.
const STATEMENTS_MAX: usize = 32;

pub(super) struct Sqlite {
    path: PathBuf,
    seal: Seal,
    /// Absent after a failed write, until a reload opens the file anew: what SQLite had in memory is not trusted then.
    connection: Option<Connection>,
    unproven: Unproven,
    scratch: Scratch,
}

impl Sqlite {
    /// Opens the database, creating the file where there is none, and brings its schema up to date.
    pub(super) fn open(path: &Path, seal: Seal) -> Result<Self, Fault> {
        let mut opened = Self {
            path: path.to_owned(),
            seal,
            connection: None,
            unproven: Unproven::default(),
            scratch: Scratch::default(),
        };
        // The log beside it takes over its mode.
        private_files::open(path)?;
        opened.connect()?;
        Ok(opened)
    }

    fn connect(&mut self) -> Result<&Connection, Fault> {
        let connection =
            connect(&self.path).map_err(|fault| Fault::new(format!("cannot open {}: {fault}", self.path.display())))?;
        self.unproven = Unproven::count(&connection).map_err(sql_fault("counting unproven rows"))?;
        Ok(self.connection.insert(connection))
    }
}

impl Store for Sqlite {
    fn write_batch(&mut self, batch: &[Arc<Commit>]) -> Result<(), Fault> {
        let connection = self.connection.as_ref().ok_or_else(unopened)?;
        run(connection, "BEGIN IMMEDIATE")?;
        let Self { seal, unproven, scratch, .. } = self;
        let mut writer = Writer { connection, seal, unproven, scratch };
        for commit in batch {
            writer.commit(commit).map_err(|fault| Fault::new(format!("commit {}: {fault}", commit.seq)))?;
        }
        if let Some(last) = batch.last() {
            counters::put(connection, &last.counters).map_err(sql_fault(counters::TABLE))?;
        }
        self.unproven.make_room(connection).map_err(sql_fault("making room for unproven rows"))
    }

    fn sync(&mut self) -> Result<(), Fault> {
        run(self.connection.as_ref().ok_or_else(unopened)?, "COMMIT")
    }

    fn abandon(&mut self) {
        self.connection = None;
    }

    fn load(&mut self) -> Result<Loaded, Fault> {
        if self.connection.is_none() {
            let connection = self.connect()?;
            settle(connection)?;
        }
        let connection = self.connection.as_ref().ok_or_else(unopened)?;
        let mut loaded = Loaded::default();
        load::everything(connection, &self.path, &self.seal, &mut loaded)?;
        Ok(loaded)
    }

    fn close(&mut self) -> Result<(), Fault> {
        match self.connection.take().map(Connection::close) {
            None | Some(Ok(())) => Ok(()),
            Some(Err((_, error))) => Err(Fault::new(format!("closing {}: {error}", self.path.display()))),
        }
    }
}

fn unopened() -> Fault {
    Fault::new("the database is shut since a failed write, until it is reloaded")
}

fn run(connection: &Connection, sql: &str) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(sql).map_err(sql_fault(sql))?;
    statement.execute([]).map(|_| ()).map_err(sql_fault(sql))
}

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

/// Some file systems cannot share memory, and then SQLite stays with its older journal without an error.
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

/// Brings the log into the database file and syncs it. A write whose sync failed may have left pages in the system's
/// cache that never reached the disk; what is read from here on is what was synced here.
fn settle(connection: &Connection) -> Result<(), Fault> {
    let blocked: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(sql_fault("syncing the log after a failed write"))?;
    if blocked == 0 {
        Ok(())
    } else {
        Err(Fault::new("the log cannot be synced after a failed write: something else reads the database for long"))
    }
}

/// A connection that can only read; for the loader and the archive.
pub(super) fn connect_read_only(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}
