//! The [`Store`] on a real disk: commits as transactions of one SQLite connection, which checkpoints as SQLite does by
//! default. How it is opened is `connection`; what a row holds is `rows`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cashier_core::change::Commit;
use rusqlite::Connection;

use super::columns::sql_fault;
use super::connection::{connect, settle, unopened};
use super::load::{self, BlockLimits, RowSource};
use super::quarantine::Quarantine;
use super::rows::{self, RowWriter, Scratch, counters};
use super::seal::Seal;
use super::thread::Store;
use crate::ports::{Fault, LoadProgress, Loaded};
use crate::private_files;

pub(super) struct Sqlite {
    path: PathBuf,
    seal: Seal,
    /// Absent after a failed write, until a reload opens the file again: SQLite's memory is not trusted then.
    connection: Option<Connection>,
    quarantine: Quarantine,
    scratch: Scratch,
    progress: Arc<LoadProgress>,
}

impl Sqlite {
    /// Opens the database, creating the file where there is none, and brings its schema up to date.
    pub(super) fn open(path: &Path, seal: Seal) -> Result<Self, Fault> {
        let mut opened = Self {
            path: path.to_owned(),
            seal,
            connection: None,
            quarantine: Quarantine::default(),
            scratch: Scratch::default(),
            progress: Arc::default(),
        };
        // SQLite creates the log with the file's mode.
        private_files::open(path)?;
        opened.connect()?;
        Ok(opened)
    }

    /// How far [`Store::load`] has come.
    pub(super) fn progress(&self) -> Arc<LoadProgress> {
        Arc::clone(&self.progress)
    }

    fn connect(&mut self) -> Result<&Connection, Fault> {
        let connection =
            connect(&self.path).map_err(|fault| Fault::new(format!("cannot open {}: {fault}", self.path.display())))?;
        self.quarantine = Quarantine::count(&connection).map_err(sql_fault("counting quarantined rows"))?;
        Ok(self.connection.insert(connection))
    }
}

impl Store for Sqlite {
    fn write_batch(&mut self, batch: &[Arc<Commit>]) -> Result<(), Fault> {
        let connection = self.connection.as_ref().ok_or_else(unopened)?;
        run(connection, "BEGIN IMMEDIATE")?;
        let Self { seal, quarantine, scratch, .. } = self;
        let mut writer = RowWriter { connection, seal, quarantine, scratch };
        for commit in batch {
            rows::write(&mut writer, commit).map_err(|fault| Fault::new(format!("commit {}: {fault}", commit.seq)))?;
        }
        if let Some(last) = batch.last() {
            counters::put(&mut writer, &last.counters)?;
        }
        self.quarantine.trim(connection).map_err(sql_fault("deleting the oldest quarantined rows"))
    }

    fn sync(&mut self) -> Result<(), Fault> {
        run(self.connection.as_ref().ok_or_else(unopened)?, "COMMIT")
    }

    fn abandon(&mut self) {
        self.connection = None;
    }

    fn load(&mut self) -> Result<Loaded, Fault> {
        if self.connection.is_none() {
            settle(self.connect()?)?;
        }
        let connection = self.connection.as_ref().ok_or_else(unopened)?;
        let mut loaded = Loaded::default();
        let limits = BlockLimits::default();
        let source = RowSource { connection, path: &self.path, seal: &self.seal, progress: &self.progress, limits };
        load::read_all(&source, &mut loaded)?;
        Ok(loaded)
    }

    fn close(&mut self) -> Result<(), Fault> {
        match self.connection.take().map(Connection::close) {
            None | Some(Ok(())) => Ok(()),
            Some(Err((_, error))) => Err(Fault::new(format!("closing {}: {error}", self.path.display()))),
        }
    }
}

fn run(connection: &Connection, sql: &str) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(sql).map_err(sql_fault(sql))?;
    statement.execute([]).map(|_| ()).map_err(sql_fault(sql))
}
