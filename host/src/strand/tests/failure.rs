//! A commit that cannot be written is reported as failed; the commits queued behind it are dropped, and submissions are
//! refused until a reload.

use cashier_core::books::Books;
use cashier_core::change::Change;
use cashier_core::dependence::Refusals;

use super::super::reseal::{ResealCursor, ResealStep};
use super::super::retention::{RetentionKind, RetentionOrder, RetentionPlace, Retired};
use super::super::thread::CommitQueue;
use super::super::writing::{BUSY_TRIES_MAX, Store};
use super::*;
use crate::ports::{FaultKind, Loaded, Recorder, Refused};

/// Where the store's next write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    None,
    Write,
    Sync,
    Panic,
    /// So many tries meet a database that another program holds.
    Busy(u32),
    /// What is done between two batches.
    Between(FaultKind),
}

/// A disk in memory: it holds what was synced, and a test sets its failure.
#[derive(Default)]
struct Disk {
    synced: Mutex<Vec<u64>>,
    failure: Mutex<Option<Failure>>,
    unreadable: Mutex<bool>,
    /// How often the rows were read.
    loads: Mutex<u32>,
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
    fn begin(&mut self) -> Result<(), Fault> {
        assert!(!self.abandoned, "a write between a failure and a reload");
        assert!(self.open.is_empty(), "the transaction before was ended");
        match self.disk.failure() {
            Failure::Busy(0)
            | Failure::None
            | Failure::Write
            | Failure::Sync
            | Failure::Panic
            | Failure::Between(_) => Ok(()),
            Failure::Busy(left) => {
                self.disk.set(Failure::Busy(left - 1));
                Err(Fault::of(FaultKind::Busy, "database is locked"))
            }
        }
    }

    fn write(&mut self, commit: &Commit) -> Result<(), Fault> {
        self.open.push(commit.seq.0);
        match self.disk.failure() {
            Failure::Write => Err(Fault::of(FaultKind::Full, "disk full")),
            Failure::Panic => panic!("a defect in the store"),
            Failure::None | Failure::Sync | Failure::Busy(_) | Failure::Between(_) => Ok(()),
        }
    }

    fn write_alone(&mut self, commit: &Commit) -> Result<(), Fault> {
        self.write(commit)
    }

    fn undo(&mut self) -> Result<(), Fault> {
        self.open.clear();
        Ok(())
    }

    fn stored(&mut self, _: &Refusals, _: &Books) -> Result<Refused, Fault> {
        unreachable!("no commit violates anything here")
    }

    fn sync(&mut self, _: Option<&Counters>) -> Result<(), Fault> {
        if self.disk.failure() == Failure::Sync {
            return Err(Fault::of(FaultKind::Io, "sync failed"));
        }
        self.disk.synced.lock().unwrap().append(&mut self.open);
        Ok(())
    }

    fn abandon(&mut self) {
        self.open.clear();
        self.abandoned = true;
    }

    fn reseal(&mut self, _: ResealCursor) -> Result<ResealStep, Fault> {
        self.between().map(|()| ResealStep::default())
    }

    fn retire(&mut self, _: &RetentionOrder) -> Result<Retired, Fault> {
        self.between().map(|()| Retired::default())
    }

    fn load(&mut self) -> Result<Loaded, Fault> {
        *self.disk.loads.lock().unwrap() += 1;
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

impl FailingStore {
    /// Leaves its transaction open where it fails.
    fn between(&mut self) -> Result<(), Fault> {
        self.begin()?;
        match self.disk.failure() {
            Failure::Between(kind) => {
                self.open.push(0);
                Err(Fault::of(kind, "between batches"))
            }
            Failure::None | Failure::Write | Failure::Sync | Failure::Panic | Failure::Busy(_) => Ok(()),
        }
    }
}

fn failing_store() -> (CommitQueue, Arc<Disk>, Arc<TestListener>) {
    let (disk, listener) = (Arc::new(Disk::default()), Arc::new(TestListener::default()));
    let store = FailingStore { disk: disk.clone(), open: Vec::new(), abandoned: false };
    let commits = CommitQueue::start(Box::new(store), BatchLimits::default(), listener.clone()).unwrap();
    (commits, disk, listener)
}

/// What the strand does between two batches, as its callers ask for it.
type BetweenBatches<'t> = dyn Fn(&CommitQueue) -> Result<(), Fault> + 't;

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
fn s2_a_database_that_another_program_holds_is_tried_again_and_nothing_is_reloaded() {
    for tries in [1, 28, BUSY_TRIES_MAX - 1] {
        let (commits, disk, listener) = failing_store();
        disk.set(Failure::Busy(tries));
        commits.submit(empty(1));
        listener.wait_for_synced(1);
        commits.submit(empty(2));
        commits.close().unwrap();
        assert_eq!(*disk.synced.lock().unwrap(), [1, 2], "{tries}");
        let reports = listener.reports();
        let reported = [Report::Waiting(Some("database is locked".into())), Report::Waiting(None)];
        assert_eq!(reports[..2], reported, "{tries}: reported once, and once that it ended");
        assert!(!reports.iter().any(|report| matches!(report, Report::Failed(_))), "{reports:?}");
        assert_eq!(*disk.loads.lock().unwrap(), 0, "{tries}");
    }
}

#[test]
fn s2_a_database_that_stays_held_closes_the_ledger_after_the_bound() {
    let (commits, disk, listener) = failing_store();
    disk.set(Failure::Busy(BUSY_TRIES_MAX));
    commits.submit(empty(1));
    listener.wait_for(|reports| reports.contains(&Report::Failed("database is locked".into())));
    assert_eq!(disk.failure(), Failure::Busy(0), "so often was it tried");
    assert_eq!(block_on(commits.reload()).unwrap().books.counters().seq, 0);
    commits.submit(empty(1));
    commits.close().unwrap();
    assert_eq!(*disk.synced.lock().unwrap(), [1]);
}

#[test]
fn a_full_disk_between_two_batches_is_reverted_and_a_failing_one_closes_the_ledger() {
    let order = || RetentionOrder {
        kind: RetentionKind::Events,
        place: RetentionPlace::New,
        before: UnixTime(1),
        now: UnixTime(1),
        needed: Arc::default(),
    };
    let reseal = |commits: &CommitQueue| block_on(commits.reseal(ResealCursor::default())).map(drop);
    let retire = |commits: &CommitQueue| block_on(commits.retire(order())).map(drop);
    let tasks: [&BetweenBatches<'_>; 2] = [&reseal, &retire];
    for task in tasks {
        for (kind, closes) in [
            (FaultKind::Full, false),
            (FaultKind::Busy, false),
            (FaultKind::Constraint, false),
            (FaultKind::Other, false),
            (FaultKind::Io, true),
        ] {
            let (commits, disk, listener) = failing_store();
            disk.set(Failure::Between(kind));
            assert_eq!(task(&commits).unwrap_err().kind, kind);
            disk.set(Failure::None);
            commits.submit(empty(1));
            commits.close().unwrap();
            let failed = listener.reports().contains(&Report::Failed("between batches".into()));
            let written = disk.synced.lock().unwrap().clone();
            assert_eq!((failed, written), if closes { (true, vec![]) } else { (false, vec![1]) }, "{kind:?}");
        }
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
        // This listener puts no row back, so the strand closes.
        reports.iter().any(|report| matches!(report, Report::Failed(why) if why.contains("put back")))
    });
}
