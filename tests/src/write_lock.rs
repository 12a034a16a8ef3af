//! A second connection to the cashier's database: while it holds the write lock, decisions cannot become durable, and after
//! the strand has tried for long enough (some 15 s) a commit fails. It reads and writes no row of its own.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How long it waits for the strand to end its transaction.
const WAIT: Duration = Duration::from_secs(30);

/// Holds SQLite's write lock until it is dropped.
pub struct WriteLock(Connection);

impl WriteLock {
    /// Takes the lock on the database in a deployment's folder.
    pub fn take(folder: &Path) -> Self {
        let file = folder.join("bases").join("cashier.db");
        let connection = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("the database");
        connection.busy_timeout(WAIT).expect("a connection takes options");
        connection.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
        Self(connection)
    }

    /// Runs a statement and releases the lock.
    pub fn commit(self, statement: &str) {
        self.0.execute_batch(statement).expect("the statement");
        self.0.execute_batch("COMMIT").expect("a transaction can be committed");
    }

    pub fn release(self) {
        self.0.execute_batch("ROLLBACK").expect("a transaction can be rolled back");
    }
}
