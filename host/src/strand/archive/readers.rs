//! Threads that read the database, each over a read-only connection of its own. They run whole jobs and know no table.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::ports::Fault;
use crate::strand::columns::sql_fault;
use crate::strand::connection::connect_read_only;
use crate::strand::filter_sql;

/// How often a long read looks whether anybody still waits for it: SQLite makes so many steps in some 100 µs.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

type ReadJob = Box<dyn FnOnce(&mut Connection) + Send>;

pub(super) struct Readers {
    /// `None` only while dropping, which ends the threads.
    jobs: Option<SyncSender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts so many threads; of the jobs, `waiting_max` may wait for one of them.
    pub(super) fn open(path: &Path, name: &str, count: usize, waiting_max: usize) -> Result<Self, Fault> {
        let (jobs, waiting) = sync_channel::<ReadJob>(waiting_max);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut readers = Self { jobs: Some(jobs), threads: Vec::with_capacity(count) };
        for _ in 0..count {
            let mut connection = connect_read_only(path)
                .map_err(|error| Fault::new(format!("cannot read {}: {error}", path.display())))?;
            filter_sql::prepare(&connection)?;
            let waiting = waiting.clone();
            let thread = thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || run_jobs(&mut connection, &waiting))
                .map_err(|error| Fault::new(format!("cannot start a reader's thread: {error}")))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs a read on one of the threads.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        self.run(move |connection, _| read(connection))
    }

    /// The same for a read that may be long: it ends soon after the future is dropped.
    pub(super) fn read_while_awaited<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        self.run(move |connection, awaited| {
            let is_abandoned = || Fault::new("nobody waits for this read any more");
            if awaited.strong_count() == 0 {
                return Err(is_abandoned());
            }
            let fault = sql_fault("watching a read");
            connection
                .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || awaited.strong_count() == 0))
                .map_err(&fault)?;
            let found = read(connection);
            connection.progress_handler(0, None::<fn() -> bool>).map_err(&fault)?;
            found
        })
    }

    fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection, Weak<()>) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Fault>> {
        let (answer, answered) = oneshot::channel();
        let awaited = Arc::new(());
        let watched = Arc::downgrade(&awaited);
        let job: ReadJob = Box::new(move |connection| {
            // The caller may have gone.
            let _ = answer.send(read(connection, watched));
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
            let found = answered.await.unwrap_or_else(|_| Err(Fault::new("the archive is closed")));
            drop(awaited);
            found
        })
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A reader that panicked has dropped its job, which its caller received as an error.
            let _ = thread.join();
        }
    }
}

fn run_jobs(connection: &mut Connection, waiting: &Mutex<Receiver<ReadJob>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(connection),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::test_cashier::wait;

    /// It would never end.
    const ENDLESS: &str =
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number) SELECT count(*) FROM number";

    #[test]
    fn f2_a_long_read_ends_once_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let readers = Readers::open(&path, "test", 1, 8).unwrap();
        let count = |connection: &Connection, sql: &str| {
            connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(sql_fault("counting"))
        };
        let (started, starts) = std::sync::mpsc::channel();
        let mut endless = readers.read_while_awaited(move |connection| {
            started.send(()).unwrap();
            count(connection, ENDLESS)
        });
        assert!((&mut endless).now_or_never().is_none());
        starts.recv().unwrap();
        drop(endless);
        let after = readers.read_while_awaited(move |connection| count(connection, "SELECT count(*) FROM t"));
        assert_eq!(wait(after).unwrap(), 0, "the thread is free, and its next read is not interrupted");
        let never_begun = readers.read_while_awaited(move |connection| count(connection, ENDLESS));
        drop(never_begun);
        assert_eq!(wait(readers.read(move |connection| count(connection, "SELECT 7"))).unwrap(), 7);
    }
}
