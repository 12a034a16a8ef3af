//! The image of the books beside the database: what the database notes of it, and its file. The books are copied by
//! `books_image`, and a start loads them through `image/loading`. The database decides: a seal that it does not hold is no
//! image of it.

mod file;
pub(super) mod loading;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

pub use self::file::ImageDraft;
use self::file::ImageFile;
use super::columns::sql_fault;
use super::connection::{self, BUSY_WAIT};
use crate::ports::Fault;

/// Notes that are deleted in one transaction: the strand waits for it some milliseconds.
const NOTES_PER_DELETION: i64 = 2_000;

/// An image that is being made, and what the database will know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageMark {
    identity: Box<str>,
    seal: Box<str>,
    generation: i64,
    event: i64,
}

/// What a start would read of the database beside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageState {
    /// The next start will take it for one of this database; its blocks are not looked at.
    pub has_image: bool,
    /// Transactions and operations that were noted since.
    pub changed: u64,
}

/// Where the image of a database is.
pub fn path_of(database: &Path) -> PathBuf {
    database.with_extension("image")
}

/// Removes the image of a database and drafts of it: the next start reads every row.
pub(super) fn remove(database: &Path) -> Result<(), Fault> {
    let image = path_of(database);
    file::remove_drafts(&image)?;
    match std::fs::remove_file(&image) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Fault::new(format!("removing {}: {error}", image.display())))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn connect(database: &Path) -> Result<Connection, Fault> {
    let open = || {
        let connection = connection::open(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    open().map_err(sql_fault("opening the database for an image"))
}

pub fn state(database: &Path) -> Result<ImageState, Fault> {
    let fault = sql_fault("counting changed rows");
    let connection = connect(database)?;
    let whole = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(&fault);
    let transactions = whole("SELECT count(*) FROM changed_transaction")?;
    let operations = whole("SELECT count(*) FROM changed_operation")?;
    let has_image = match ImageFile::open(&path_of(database)) {
        Ok(Some(file)) => *file.origin == *origin(&connection)? && sealed(&connection, &file.seal)?.is_some(),
        Ok(None) | Err(_) => false,
    };
    Ok(ImageState { has_image, changed: transactions.saturating_add(operations).cast_unsigned() })
}

/// Begins an image: whatever is committed from now on is noted for it. The books are copied afterwards, so that they hold all
/// that was committed before.
pub fn begin(database: &Path, seal: u128) -> Result<ImageMark, Fault> {
    let mut connection = connect(database)?;
    let mut begin = || {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction
            .execute("UPDATE books_generation SET value = value + 1, event = (SELECT event FROM counters)", [])?;
        let mark = transaction.query_row(
            "SELECT identity.value, books_generation.value, counters.event FROM identity, books_generation, counters",
            [],
            |row| {
                let seal = format!("{seal:032x}").into();
                Ok(ImageMark { identity: row.get(0)?, seal, generation: row.get(1)?, event: row.get(2)? })
            },
        )?;
        transaction.commit()?;
        Ok(mark)
    };
    begin().map_err(sql_fault("beginning an image"))
}

impl ImageMark {
    /// The file that the image is written to, until it is whole.
    pub fn draft(&self, database: &Path) -> Result<ImageDraft, Fault> {
        ImageDraft::create(&path_of(database), &self.identity, &self.seal)
    }

    /// Puts a whole image in the place of the one before, once every commit that it holds is durable. Killed at any moment,
    /// the database knows the image that is in the place, or none that is.
    pub fn place(&self, database: &Path, draft: ImageDraft) -> Result<(), Fault> {
        let mut connection = connect(database)?;
        let draft = draft.finish(&origin(&connection)?)?;
        let values = (&*self.seal, self.generation, self.event);
        let sql = "INSERT INTO books_image (seal, generation, event) SELECT ?1, ?2, ?3 FROM books_generation WHERE value = ?2";
        if connection.execute(sql, values).map_err(sql_fault("sealing an image"))? == 0 {
            return Err(Fault::new("rows were deleted or renamed while the image was made"));
        }
        draft.rename_to(&path_of(database))?;
        connection
            .execute("DELETE FROM books_image WHERE seal <> ?", [&*self.seal])
            .map_err(sql_fault("dropping the seal of an image"))?;
        self.drop_notes(&mut connection).map_err(sql_fault("deleting notes of an earlier image"))
    }

    /// A start reads none of them any more.
    fn drop_notes(&self, connection: &mut Connection) -> Result<(), rusqlite::Error> {
        for sql in [
            "DELETE FROM changed_transaction WHERE id IN (SELECT id FROM changed_transaction WHERE generation < ? LIMIT ?)",
            "DELETE FROM changed_operation WHERE id IN (SELECT id FROM changed_operation WHERE generation < ? LIMIT ?)",
        ] {
            while connection.execute(sql, [self.generation, NOTES_PER_DELETION])? > 0 {}
        }
        Ok(())
    }
}

/// What makes images of this database now: this release of the program, whose rules say what is due and what a row is found by;
/// and the tables, which are counted whenever a statement makes some again. A database that was vacuumed or recovered has made
/// all of them again, and no trigger noted what became of the rows.
fn origin(connection: &Connection) -> Result<String, Fault> {
    let tables = connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0));
    let tables = tables.map_err(sql_fault("reading the version of the tables"))?;
    Ok(format!("{} {tables}", env!("CARGO_PKG_VERSION")))
}

/// What the database holds of a seal: its generation and its event.
fn sealed(connection: &Connection, seal: &str) -> Result<Option<(i64, i64)>, Fault> {
    let sql = "SELECT generation, event FROM books_image WHERE seal = ?";
    let found = connection.query_row(sql, [seal], |row| Ok((row.get(0)?, row.get(1)?)));
    found.optional().map_err(sql_fault("reading the seals of images"))
}
