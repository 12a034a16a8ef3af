//! The archive: large, rarely read rows, fetched by id over read-only connections of its own threads. Each read is one
//! SELECT that is reset at once, so that no reader holds the log back. It never writes.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use cashier_core::change::OrderDetails;
use cashier_core::ids::{EventId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::columns::Cells;
use super::load::each;
use super::rows::{bodies, event};
use super::sqlite::connect_read_only;
use crate::ports::{Archive, Fault, StoredAnswer, StoredNotice};

/// Two readers: one large body being read does not hold up the next question.
const READERS: usize = 2;
/// Questions that wait; at some 10 µs each this many wait 20 ms, and more means the disk is not answering.
const QUESTIONS_MAX: usize = 4096;
/// Events one question may bring; a list asks again from where the page ended.
pub const EVENTS_PAGE_MAX: usize = 1000;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// Implements [`Archive`] over a database that a strand has opened.
pub struct Reader {
    /// `None` only while dropping, which is how the threads learn of it.
    questions: Option<SyncSender<Question>>,
    threads: Vec<JoinHandle<()>>,
}

impl Reader {
    /// Opens the read-only connections. The file must exist with its schema: open the strand first.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let (questions, waiting) = sync_channel::<Question>(QUESTIONS_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut reader = Self { questions: Some(questions), threads: Vec::with_capacity(READERS) };
        for _ in 0..READERS {
            let connection = connect_read_only(path)
                .map_err(|error| Fault::new(format!("cannot read {}: {error}", path.display())))?;
            let waiting = waiting.clone();
            let thread = thread::Builder::new()
                .name("archive".to_owned())
                .spawn(move || answer_all(&connection, &waiting))
                .map_err(|error| Fault::new(format!("cannot start a reader's thread: {error}")))?;
            reader.threads.push(thread);
        }
        Ok(reader)
    }

    /// Events with an id below `before`, newest first, genuine and not; at most [`EVENTS_PAGE_MAX`].
    pub fn events_before(
        &self,
        before: EventId,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<ProviderEvent>, Fault>> {
        let limit = i64::try_from(limit.min(EVENTS_PAGE_MAX)).unwrap_or(i64::MAX);
        self.ask(move |connection| {
            let mut found = Vec::new();
            each(connection, event::READ_BEFORE, [before.0.cast_signed(), limit], event::TABLE, |cells| {
                found.push(event::read(cells)?);
                Ok(())
            })?;
            Ok(found)
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            // Whoever asked may have gone.
            let _ = answer.send(question(connection));
        });
        let sent = match &self.questions {
            Some(questions) => questions.try_send(question).map_err(|error| match error {
                TrySendError::Full(_) => Fault::new("the archive is overloaded"),
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

impl Drop for Reader {
    fn drop(&mut self) {
        self.questions = None;
        for thread in self.threads.drain(..) {
            // A reader that panicked has already dropped its question, which told the asker.
            let _ = thread.join();
        }
    }
}

impl Archive for Reader {
    fn answer(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<StoredAnswer>, Fault>> {
        self.ask(move |connection| one(connection, bodies::READ_ANSWER, id.0, "answer", bodies::read_answer))
    }

    fn event(&self, id: EventId) -> BoxFuture<'static, Result<Option<ProviderEvent>, Fault>> {
        self.ask(move |connection| one(connection, event::READ_ONE, id.0, event::TABLE, event::read))
    }

    fn notice(&self, id: NoticeId) -> BoxFuture<'static, Result<Option<StoredNotice>, Fault>> {
        self.ask(move |connection| one(connection, bodies::READ_NOTICE, id.0, "notice", bodies::read_notice))
    }

    fn order(&self, id: TransactionId) -> BoxFuture<'static, Result<Option<OrderDetails>, Fault>> {
        self.ask(move |connection| one(connection, bodies::READ_ORDER, id.0, "stored_order", bodies::read_order))
    }
}

fn answer_all(connection: &Connection, waiting: &Mutex<Receiver<Question>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(question) => question(connection),
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
    read: impl Fn(&mut Cells<'_, '_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut found = None;
    each(connection, sql, [id.cast_signed()], table, |cells| {
        if found.is_none() {
            found = Some(read(cells)?);
        }
        Ok(())
    })?;
    Ok(found)
}
