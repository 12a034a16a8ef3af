//! Consistent copies of SQLite files that a running process writes: a hold that keeps others from writing for a moment, and
//! a snapshot that is copied at leisure. It knows no table but the identity.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::columns::sql_fault;
use super::connection::{self, BUSY_WAIT, connect_read_only};
use crate::ports::Fault;
use crate::private_files;

/// Keeps every other process from writing to a database until it is dropped; reads go on.
pub struct WriteHold {
    connection: Connection,
}

impl WriteHold {
    /// Waits for the transaction that is being written.
    pub fn take(path: &Path) -> Result<Self, Fault> {
        let hold = || {
            let connection = connection::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.busy_timeout(BUSY_WAIT)?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            Ok(Self { connection })
        };
        hold().map_err(sql_fault(&format!("holding {}", path.display())))
    }
}

impl Drop for WriteHold {
    fn drop(&mut self) {
        // Closing the connection ends its transaction too.
        let _ = self.connection.execute_batch("ROLLBACK");
    }
}

/// A database as it was at one moment, whatever is written later.
pub struct DatabaseSnapshot {
    connection: Connection,
}

impl DatabaseSnapshot {
    pub fn begin(path: &Path) -> Result<Self, Fault> {
        let begin = || {
            let connection = connect_read_only(path)?;
            connection.execute_batch("BEGIN")?;
            // The first read fixes the moment.
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            Ok(Self { connection })
        };
        begin().map_err(sql_fault(&format!("reading {}", path.display())))
    }

    /// Copies it to a file that only its owner can read, and syncs that.
    pub fn copy_to(&self, target: &Path) -> Result<(), Fault> {
        private_files::open(target)?;
        let copy = || {
            let mut to = connection::open(target, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let step = Backup::new(&self.connection, &mut to)?.step(-1)?;
            to.close().map_err(|(_, error)| error)?;
            Ok(step)
        };
        match copy().map_err(sql_fault(&format!("copying to {}", target.display())))? {
            StepResult::Done => Ok(()),
            _ => Err(Fault::new(format!("copying to {} stopped halfway", target.display()))),
        }
    }

    /// The identity that cashier.db holds.
    pub fn identity(&self) -> Result<Box<str>, Fault> {
        let read = self.connection.query_row(super::load::READ_IDENTITY, [], |row| row.get(0));
        read.map_err(sql_fault(
            "reading the identity; start the server once, so that it brings its databases up to date",
        ))
    }
}
