//! A commit that cannot be written is reported as failed; the commits queued behind it are dropped, and submissions are
//! refused until a reload.

use cashier_core::change::Change;

use super::super::thread::{CommitQueue, Store};
use super::*;
use crate::ports::{Loaded, Recorder};

/// Where the store's next write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    None,
    Write,
    Sync,
    Panic,
}

/// A disk in memory: it holds what was synced, and a test sets its failure.
#[derive(Default)]
struct Disk {
    synced: Mutex<Vec<u64>>,
    failure: Mutex<Option<Failure>>,
    unreadable: Mutex<bool>,
}

impl Disk {
    fn failure(&self) -> Failure {
        self.failure.lock().unwrap().unwrap_or(Failure::None)
    }

    fn set(&self, failure: Failure) {
        *self.failure.lock().unwrap() = Some(failure);
    }
}

struct FailingStore {
    disk: Arc<Disk>,
    open: Vec<u64>,
    abandoned: bool,
}

impl Store for FailingStore {
    fn write_batch(&mut self, batch: &[Arc<Commit>]) -> Result<(), Fault> {
        assert!(!self.abandoned, "a write between a failure and a reload");
        self.open = batch.iter().map(|commit| commit.seq.0).collect();
        match self.disk.failure() {
            Failure::Write => Err(Fault::new("disk full")),
            Failure::Panic => panic!("a defect in the store"),
            Failure::None | Failure::Sync => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<(), Fault> {
        if self.disk.failure() == Failure::Sync {
            return Err(Fault::new("sync failed"));
        }
        self.disk.synced.lock().unwrap().append(&mut self.open);
        Ok(())
    }

    fn abandon(&mut self) {
        self.abandoned = true;
    }

    fn load(&mut self) -> Result<Loaded, Fault> {
        if *self.disk.unreadable.lock().unwrap() {
            return Err(Fault::new("unreadable"));
        }
        self.abandoned = false;
        let seq = self.disk.synced.lock().unwrap().last().copied().unwrap_or(0);
        let mut loaded = Loaded::default();
        loaded.books.set_counters(Counters { seq, ..Counters::default() });
        Ok(loaded)
    }

    fn close(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

fn failing_store() -> (CommitQueue, Arc<Disk>, Arc<TestListener>) {
    let (disk, listener) = (Arc::new(Disk::default()), Arc::new(TestListener::default()));
    let store = FailingStore { disk: disk.clone(), open: Vec::new(), abandoned: false };
    let commits = CommitQueue::start(Box::new(store), BatchLimits::default(), listener.clone()).unwrap();
    (commits, disk, listener)
}

fn empty(seq: u64) -> Arc<Commit> {
    commit(seq, Vec::new(), Vec::new())
}

#[test]
fn a_failed_batch_is_never_reported_as_synced_and_later_ones_are_dropped_until_a_reload() {
    for (failure, message) in [(Failure::Write, "disk full"), (Failure::Sync, "sync failed")] {
        let (commits, disk, listener) = failing_store();
        commits.submit(empty(1));
        listener.wait_for_synced(1);
        disk.set(failure);
        commits.submit(empty(2));
        listener.wait_for(|reports| reports.contains(&Report::Failed(message.into())));
        disk.set(Failure::None);
        commits.submit(empty(3));
        assert_eq!(commits.backlog().commits, 0, "{failure:?}: a commit after the failure is dropped");

        *disk.unreadable.lock().unwrap() = true;
        assert_eq!(block_on(commits.reload()).err().unwrap(), Fault::new("unreadable"));
        commits.submit(empty(3));
        assert_eq!(commits.backlog().commits, 0, "{failure:?}: a failed reload opens nothing");

        *disk.unreadable.lock().unwrap() = false;
        assert_eq!(block_on(commits.reload()).unwrap().books.counters().seq, 1);
        commits.submit(empty(2));
        commits.submit(empty(3));
        commits.close().unwrap();
        assert_eq!(*disk.synced.lock().unwrap(), [1, 2, 3]);
        let reports = listener.reports();
        assert_eq!(reports.iter().filter(|report| matches!(report, Report::Failed(_))).count(), 1, "{reports:?}");
        assert_eq!(reports[..2], [Report::Synced(1), Report::Failed(message.into())]);
    }
}

#[test]
fn a_panic_in_the_store_is_a_failure_and_no_caller_waits_for_the_dead_thread() {
    let (commits, disk, listener) = failing_store();
    disk.set(Failure::Panic);
    commits.submit(empty(1));
    listener.wait_for(|reports| reports == [Report::Failed("the strand's thread panicked".into())]);
    assert_eq!(block_on(commits.reload()).err().unwrap(), Fault::new("the strand is closed"));
    commits.submit(empty(2));
    assert_eq!(commits.close().unwrap_err(), Fault::new("the strand's thread panicked"));
}

#[test]
fn closing_writes_queued_commits_and_refuses_more() {
    let (commits, disk, listener) = failing_store();
    (1..=50).for_each(|seq| commits.submit(empty(seq)));
    commits.close().unwrap();
    assert_eq!(*disk.synced.lock().unwrap(), (1..=50).collect::<Vec<_>>());
    assert_eq!(listener.reports().last(), Some(&Report::Synced(50)));
    commits.submit(empty(51));
    assert_eq!(commits.backlog().commits, 0);
    assert_eq!(block_on(commits.reload()).err().unwrap(), Fault::new("the strand is closed"));
    commits.close().unwrap();
}

#[test]
fn on_a_real_disk_a_failed_batch_leaves_no_trace_and_a_reload_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let deposit = |seq, id| commit(seq, vec![Change::Transaction(Box::new(plain::deposit(id)))], Vec::new());
    strand.submit(deposit(1, 1));
    listener.wait_for_synced(1);
    // The seq of an earlier commit: the journal refuses it after the row was written.
    strand.submit(deposit(1, 2));
    listener.wait_for(|reports| reports.iter().any(|report| matches!(report, Report::Failed(_))));
    let reports = listener.reports();
    assert!(matches!(&reports[1], Report::Failed(why) if why.contains("commit_journal.seq")), "{reports:?}");
    strand.submit(deposit(2, 3));

    let expected = vec![Change::Transaction(Box::new(plain::deposit(1)))];
    assert_eq!(block_on(strand.reload()).unwrap().books.counters().seq, 1);
    assert_eq!(Rows::stored(strand.path()).rows, expected);
    strand.submit(deposit(2, 4));
    listener.wait_for_synced(2);
    assert_eq!(block_on(strand.reload()).unwrap().books.transactions(), 2);
}

#[test]
fn an_event_is_stored_once_even_when_the_books_do_not_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let again = ProviderEvent { id: EventId(2), ..plain::confirmation(1) };
    strand.submit(commit(1, vec![Change::Event(Box::new(plain::confirmation(1)))], Vec::new()));
    listener.wait_for_synced(1);
    strand.submit(commit(2, vec![Change::Event(Box::new(again))], Vec::new()));
    listener.wait_for(|reports| {
        reports.iter().any(|report| matches!(report, Report::Failed(why) if why.contains("event_id")))
    });
}
