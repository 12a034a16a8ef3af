//! The [`Store`] on a real disk: commits as transactions of one SQLite connection, which checkpoints as SQLite does by
//! default. How it is opened is `connection`; what a row holds is `rows`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use cashier_core::books::Books;
use cashier_core::change::{Commit, Counters};
use cashier_core::dependence::Refusals;
use rusqlite::Connection;

use super::audit;
use super::columns::sql_fault;
use super::connection::{connect, settle, sync_log, unopened};
use super::load::{self, BlockLimits, RowSource};
use super::log_watch::LogWatch;
use super::quarantine::Quarantine;
use super::reseal::{self, ResealCursor, ResealStep};
use super::retention::{self, RetentionKind, RetentionOrder, Retired};
use super::rows::{self, RowWriter, Scratch, counters};
use super::seal::Seal;
use super::stale_log::StaleLog;
use super::stored;
use super::writing::Store;
use crate::ports::{Configuration, Fault, FaultKind, LoadProgress, Loaded, NewestAudit, Refused};
use crate::private_files;

pub(super) struct Sqlite {
    path: PathBuf,
    seal: Seal,
    /// Absent after a failed write, until a reload opens the file again: SQLite's memory is not trusted then.
    connection: Option<Connection>,
    /// Whether every row that this connection reads is durable.
    is_settled: bool,
    /// Whether a write has failed since the program started: then nothing short of moving the log settles it.
    has_failed: bool,
    quarantine: Quarantine,
    /// As it was before the open transaction.
    before: Quarantine,
    scratch: Scratch,
    progress: Arc<LoadProgress>,
    newest_audit: Arc<ArcSwapOption<NewestAudit>>,
    log: LogWatch,
    stale_log: StaleLog,
}

impl Sqlite {
    /// Opens the database, creating the file where there is none, and brings its schema up to date.
    pub(super) fn open(path: &Path, seal: Seal) -> Result<Self, Fault> {
        let mut opened = Self {
            path: path.to_owned(),
            seal,
            connection: None,
            is_settled: false,
            has_failed: false,
            quarantine: Quarantine::default(),
            before: Quarantine::default(),
            scratch: Scratch::default(),
            progress: Arc::default(),
            newest_audit: Arc::default(),
            log: LogWatch::new(path),
            stale_log: StaleLog::of(path),
        };
        // SQLite creates the log with the file's mode.
        private_files::open_database(path)?;
        opened.connect()?;
        Ok(opened)
    }

    /// How far [`Store::load`] has come.
    pub(super) fn progress(&self) -> Arc<LoadProgress> {
        Arc::clone(&self.progress)
    }

    /// The newest audit record that is durable, from the first load on.
    pub(super) fn newest_audit(&self) -> Arc<ArcSwapOption<NewestAudit>> {
        Arc::clone(&self.newest_audit)
    }

    fn connect(&mut self) -> Result<&Connection, Fault> {
        self.is_settled = false;
        let connection =
            connect(&self.path).map_err(|fault| fault.during(format_args!("cannot open {}", self.path.display())))?;
        self.quarantine = Quarantine::count(&connection).map_err(sql_fault("counting quarantined rows"))?;
        Ok(self.connection.insert(connection))
    }

    fn opened(&self) -> Result<&Connection, Fault> {
        self.connection.as_ref().ok_or_else(unopened)
    }

    /// After a commit that may have overwritten something.
    fn mark_log(&mut self) {
        if std::mem::take(&mut self.scratch.has_overwritten) {
            self.stale_log.mark();
        }
    }

    fn mark_accounts(&mut self, read: &mut Loaded) -> Result<(), Fault> {
        let connection = self.connection.as_ref().ok_or_else(unopened)?;
        let Self { seal, quarantine, scratch, .. } = self;
        let marked = load::mark_accounts(&mut RowWriter { connection, seal, quarantine, scratch }, read);
        self.mark_log();
        marked
    }

    /// Makes durable what a failed write or a killed process left in the system's cache.
    fn settle(&mut self) -> Result<(), Fault> {
        match settle(self.opened()?) {
            // A reader of an older state must not keep the program from starting: no sync has failed in this process.
            Err(fault) if fault.kind == FaultKind::Busy && !self.has_failed => {
                tracing::warn!(%fault, "log of the database is synced where it is");
                sync_log(&self.path)?;
            }
            settled => settled?,
        }
        self.is_settled = true;
        Ok(())
    }
}

impl Store for Sqlite {
    fn begin(&mut self) -> Result<(), Fault> {
        self.before = self.quarantine;
        self.scratch.audited.clear();
        self.scratch.has_overwritten = false;
        run(self.opened()?, "BEGIN IMMEDIATE")
    }

    fn write(&mut self, commit: &Commit) -> Result<(), Fault> {
        let connection = self.connection.as_ref().ok_or_else(unopened)?;
        let Self { seal, quarantine, scratch, .. } = self;
        let mut writer = RowWriter { connection, seal, quarantine, scratch };
        rows::write(&mut writer, commit).map_err(|fault| fault.during(format_args!("commit {}", commit.seq)))
    }

    fn write_alone(&mut self, commit: &Commit) -> Result<(), Fault> {
        let (before, audited) = (self.quarantine, self.scratch.audited.len());
        run(self.opened()?, "SAVEPOINT alone")?;
        let written = self.write(commit);
        let connection = self.opened()?;
        if connection.is_autocommit() {
            // A trigger can end the whole transaction: then the others are gone too.
            return written.map_err(|fault| fault.with_kind(FaultKind::Other));
        }
        if written.is_err() {
            run(connection, "ROLLBACK TO alone")?;
        }
        run(connection, "RELEASE alone")?;
        if written.is_err() {
            self.quarantine = before;
            self.scratch.audited.truncate(audited);
        }
        written
    }

    fn sync(&mut self, newest: Option<&Counters>) -> Result<(), Fault> {
        let connection = self.connection.as_ref().ok_or_else(unopened)?;
        let Self { seal, quarantine, scratch, .. } = self;
        if let Some(counters) = newest {
            // Without its counters no commit can be read again: a violation of theirs is nobody's alone.
            let put = counters::put(&mut RowWriter { connection, seal, quarantine, scratch }, counters);
            put.map_err(|fault| match fault.kind {
                FaultKind::Constraint => fault.with_kind(FaultKind::Other),
                FaultKind::Busy | FaultKind::Full | FaultKind::Io | FaultKind::Other => fault,
            })?;
        }
        quarantine.trim(connection).map_err(sql_fault("deleting the oldest quarantined rows"))?;
        run(connection, "COMMIT")?;
        // Not before: what is reverted, or tried again under another hash, is not in the chain.
        let mut newest = None;
        for record in scratch.audited.drain(..) {
            record.is_durable();
            newest = Some(record);
        }
        if let Some(newest) = newest {
            self.newest_audit.store(Some(Arc::new(newest.into())));
        }
        self.log.look(connection);
        self.mark_log();
        Ok(())
    }

    fn reseal(&mut self, cursor: ResealCursor) -> Result<ResealStep, Fault> {
        self.begin()?;
        let connection = self.connection.as_ref().ok_or_else(unopened)?;
        let Self { seal, quarantine, scratch, .. } = self;
        let step = reseal::step(&mut RowWriter { connection, seal, quarantine, scratch }, cursor)?;
        run(connection, "COMMIT")?;
        self.mark_log();
        Ok(step)
    }

    fn configuration(&mut self) -> Result<Configuration, Fault> {
        let mut read = Loaded::default();
        load::read_configuration(self.opened()?, &self.seal, &mut read)?;
        self.mark_accounts(&mut read)?;
        Ok(read.split().1)
    }

    fn undo(&mut self) -> Result<(), Fault> {
        self.quarantine = self.before;
        let connection = self.opened()?;
        if connection.is_autocommit() { Ok(()) } else { run(connection, "ROLLBACK") }
    }

    fn stored(&mut self, refusals: &Refusals, books: &Books) -> Result<Refused, Fault> {
        stored::read(self.opened()?, refusals, books)
    }

    fn retire(&mut self, order: &RetentionOrder) -> Result<Retired, Fault> {
        self.begin()?;
        let retired = retention::retire(self.opened()?, order)?;
        run(self.opened()?, "COMMIT")?;
        match order.kind {
            RetentionKind::Quarantine => self.quarantine.remove_bytes(retired.bytes),
            RetentionKind::Approvals if retired.rows > 0 => self.stale_log.mark(),
            RetentionKind::Approvals | RetentionKind::Events | RetentionKind::Answers | RetentionKind::Calls => {}
        }
        Ok(retired)
    }

    fn abandon(&mut self) {
        (self.connection, self.has_failed) = (None, true);
    }

    fn load(&mut self) -> Result<Loaded, Fault> {
        if self.connection.is_none() {
            tracing::info!("database is opened again after a failed write");
            self.connect()?;
        }
        if !self.is_settled {
            self.settle()?;
        }
        let mut loaded = Loaded::default();
        let limits = BlockLimits::default();
        let source = RowSource {
            connection: self.opened()?,
            path: &self.path,
            seal: &self.seal,
            progress: &self.progress,
            limits,
        };
        load::read_all(&source, &mut loaded)?;
        self.mark_accounts(&mut loaded)?;
        self.newest_audit.store(audit::newest(self.opened()?)?.map(Arc::new));
        tracing::info!(
            transactions = loaded.books.transactions(),
            seq = loaded.books.counters().seq,
            "books were read"
        );
        Ok(loaded)
    }

    fn rest(&mut self, now: Instant) -> Option<Duration> {
        self.stale_log.empty(self.connection.as_ref()?, now)
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.stale_log.close(self.connection.as_ref());
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
