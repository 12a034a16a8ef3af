//! The archive: large, rarely read rows, read by id over read-only connections of its own threads. Each read is one
//! SELECT that is reset at once, so that no reader delays a checkpoint. It never writes.

mod of_transaction;
mod text_cache;

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use cashier_core::change::OrderDetails;
use cashier_core::explanation::PaymentHistory;
use cashier_core::filter::{AuditField, Filter, RowPage};
use cashier_core::ids::{ConfigId, EventId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::texts::Texts;
use futures_util::future::{BoxFuture, ready};
use rusqlite::Connection;
use tokio::sync::oneshot;

use self::text_cache::TextCache;
use super::columns::{ColumnReader, for_each_row};
use super::connection::connect_read_only;
use super::filter_sql;
use super::rows::{bodies, event};
use super::{audit, audit_list};
use crate::ports::{Archive, AuditRow, ConfigHistory, Fault, PaymentTraces, StoredAnswer, StoredNotice};

/// Two readers: reading one large body does not delay the next job.
const READERS: usize = 2;
/// Jobs that wait; at some 10 µs each this many wait 20 ms, and more means that the disk does not answer.
const READS_MAX: usize = 4096;
/// Events in one answer; the next page begins at the last id of this one.
pub const EVENTS_PAGE_MAX: usize = 1000;

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// Implements [`Archive`] over a database that a strand has opened.
pub struct ArchiveReader {
    /// `None` only while dropping, which ends the threads.
    jobs: Option<SyncSender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
    texts: Arc<TextCache>,
}

impl ArchiveReader {
    /// Opens the read-only connections. The file must exist with its schema: open the strand first.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let (jobs, waiting) = sync_channel::<ReadJob>(READS_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut reader = Self { jobs: Some(jobs), threads: Vec::with_capacity(READERS), texts: Arc::default() };
        for _ in 0..READERS {
            let connection = connect_read_only(path)
                .map_err(|error| Fault::new(format!("cannot read {}: {error}", path.display())))?;
            filter_sql::prepare(&connection)?;
            let waiting = waiting.clone();
            let thread = thread::Builder::new()
                .name("archive".to_owned())
                .spawn(move || run_jobs(&connection, &waiting))
                .map_err(|error| Fault::new(format!("cannot start a reader's thread: {error}")))?;
            reader.threads.push(thread);
        }
        Ok(reader)
    }

    /// Events with an id below `before`, newest first, verified and quarantined; at most [`EVENTS_PAGE_MAX`].
    pub fn events_before(
        &self,
        before: EventId,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ProviderEvent>, Fault>> {
        let limit = i64::try_from(limit.min(EVENTS_PAGE_MAX)).unwrap_or(i64::MAX);
        self.read(move |connection| {
            let mut found = Vec::new();
            for_each_row(connection, event::READ_BEFORE, [before.0.cast_signed(), limit], event::TABLE, |columns| {
                found.push(event::read(columns)?);
                Ok(())
            })?;
            Ok(found)
        })
    }

    /// Runs a read on a reader's thread.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        let (answer, answered) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            // The caller may have gone.
            let _ = answer.send(read(connection));
        });
        let sent = match &self.jobs {
            Some(jobs) => jobs.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => Fault::new("the archive is overloaded: its queue is full"),
                TrySendError::Disconnected(_) => Fault::new("the archive's readers are gone"),
            }),
            None => Err(Fault::new("the archive is closed")),
        };
        Box::pin(async move {
            sent?;
            answered.await.unwrap_or_else(|_| Err(Fault::new("the archive is closed")))
        })
    }
}

impl Drop for ArchiveReader {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A reader that panicked has dropped its job, which its caller received as an error.
            let _ = thread.join();
        }
    }
}

impl Archive for ArchiveReader {
    fn payment_history(&self, of: PaymentTraces) -> BoxFuture<'static, Result<PaymentHistory, Fault>> {
        self.read(move |connection| of_transaction::read(connection, &of))
    }

    fn config_history(&self, id: ConfigId) -> BoxFuture<'static, Result<ConfigHistory, Fault>> {
        self.read(move |connection| audit::config_history(connection, id))
    }

    fn audit(
        &self,
        filter: Filter<AuditField>,
        brand: Option<Box<str>>,
    ) -> BoxFuture<'static, Result<Option<RowPage<AuditRow>>, Fault>> {
        self.read(move |connection| audit_list::page(connection, &filter, brand.as_deref()))
    }

    fn answer(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<StoredAnswer>, Fault>> {
        self.read(move |connection| one(connection, bodies::READ_ANSWER, id.0, "answer", bodies::read_answer))
    }

    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<ProviderEvent>, Fault>> {
        self.read(move |connection| one(connection, event::READ_ONE, id.0, event::TABLE, event::read))
    }

    fn notice(&self, id: NoticeId) -> BoxFuture<'static, Result<Option<StoredNotice>, Fault>> {
        self.read(move |connection| one(connection, bodies::READ_NOTICE, id.0, "notice", bodies::read_notice))
    }

    fn texts(&self, ids: &[TransactionId]) -> BoxFuture<'static, Result<Vec<(TransactionId, Arc<Texts>)>, Fault>> {
        let (mut found, missing) = self.texts.find(ids);
        if missing.is_empty() {
            return Box::pin(ready(Ok(found)));
        }
        let wanted = format!("[{}]", missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        let cache = Arc::clone(&self.texts);
        let read = self.read(move |connection| {
            let mut texts = Vec::new();
            for_each_row(connection, bodies::READ_TEXTS, [wanted], "transaction_text", |columns| {
                let (id, read) = bodies::read_texts(columns)?;
                texts.push((id, cache.put(id, read)));
                Ok(())
            })?;
            Ok(texts)
        });
        Box::pin(async move {
            found.extend(read.await?);
            Ok(found)
        })
    }

    fn order(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<OrderDetails>, Fault>> {
        self.read(move |connection| one(connection, bodies::READ_ORDER, id.0, "stored_order", bodies::read_order))
    }
}

fn run_jobs(connection: &Connection, waiting: &Mutex<Receiver<ReadJob>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(connection),
            Err(_) => return,
        }
    }
}

/// The row of this id, if there is one.
fn one<T>(
    connection: &Connection,
    sql: &str,
    id: u64,
    table: &'static str,
    read: impl Fn(&mut ColumnReader<'_, '_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut found = None;
    for_each_row(connection, sql, [id.cast_signed()], table, |columns| {
        if found.is_none() {
            found = Some(read(columns)?);
        }
        Ok(())
    })?;
    Ok(found)
}
