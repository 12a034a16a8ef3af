//! A commit that cannot be written is reported as failed, takes what is queued with it, and shuts the strand until a
//! reload.

use cashier_core::change::Change;

use super::super::thread::{Line, Store};
use super::*;
use crate::ports::{Loaded, Recorder};

/// Where the store's next write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Write,
    Sync,
    Panic,
}

/// A disk in memory: what was synced is on it, and a test sets its trouble.
#[derive(Default)]
struct Disk {
    synced: Mutex<Vec<u64>>,
    trouble: Mutex<Option<Trouble>>,
    unreadable: Mutex<bool>,
}

impl Disk {
    fn trouble(&self) -> Trouble {
        self.trouble.lock().unwrap().unwrap_or(Trouble::None)
    }

    fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = Some(trouble);
    }
}

struct Ailing {
    disk: Arc<Disk>,
    open: Vec<u64>,
    abandoned: bool,
}

impl Store for Ailing {
    fn write_batch(&mut self, batch: &[Arc<Commit>]) -> Result<(), Fault> {
        assert!(!self.abandoned, "written to between a failure and a reload");
        self.open = batch.iter().map(|commit| commit.seq.0).collect();
        match self.disk.trouble() {
            Trouble::Write => Err(Fault::new("disk full")),
            Trouble::Panic => panic!("a defect in the store"),
            Trouble::None | Trouble::Sync => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<(), Fault> {
        if self.disk.trouble() == Trouble::Sync {
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

fn ailing() -> (Line, Arc<Disk>, Arc<Listening>) {
    let (disk, listening) = (Arc::new(Disk::default()), Arc::new(Listening::default()));
    let store = Ailing { disk: disk.clone(), open: Vec::new(), abandoned: false };
    let line = Line::start(Box::new(store), BatchLimits::default(), listening.clone()).unwrap();
    (line, disk, listening)
}

fn empty(seq: u64) -> Arc<Commit> {
    commit(seq, Vec::new(), Vec::new())
}

#[test]
fn a_failed_batch_is_never_called_synced_and_later_ones_are_dropped_until_a_reload() {
    for (trouble, words) in [(Trouble::Write, "disk full"), (Trouble::Sync, "sync failed")] {
        let (line, disk, listening) = ailing();
        line.submit(empty(1));
        listening.wait_for_synced(1);
        disk.set(trouble);
        line.submit(empty(2));
        listening.wait_for(|told| told.contains(&Told::Failed(words.into())));
        disk.set(Trouble::None);
        line.submit(empty(3));
        assert_eq!(line.backlog().commits, 0, "{trouble:?}: what comes after a failure is dropped");

        *disk.unreadable.lock().unwrap() = true;
        assert_eq!(block_on(line.reload()).err().unwrap(), Fault::new("unreadable"));
        line.submit(empty(3));
        assert_eq!(line.backlog().commits, 0, "{trouble:?}: a failed reload opens nothing");

        *disk.unreadable.lock().unwrap() = false;
        assert_eq!(block_on(line.reload()).unwrap().books.counters().seq, 1);
        line.submit(empty(2));
        line.submit(empty(3));
        line.close().unwrap();
        assert_eq!(*disk.synced.lock().unwrap(), [1, 2, 3]);
        let told = listening.told();
        assert_eq!(told.iter().filter(|told| matches!(told, Told::Failed(_))).count(), 1, "{told:?}");
        assert_eq!(told[..2], [Told::Synced(1), Told::Failed(words.into())]);
    }
}

#[test]
fn a_panic_in_the_store_is_a_failure_and_nobody_waits_for_the_dead_thread() {
    let (line, disk, listening) = ailing();
    disk.set(Trouble::Panic);
    line.submit(empty(1));
    listening.wait_for(|told| told == [Told::Failed("the strand's thread panicked".into())]);
    assert_eq!(block_on(line.reload()).err().unwrap(), Fault::new("the strand is closed"));
    line.submit(empty(2));
    assert_eq!(line.close().unwrap_err(), Fault::new("the strand's thread panicked"));
}

#[test]
fn closing_writes_what_is_queued_and_takes_nothing_more() {
    let (line, disk, listening) = ailing();
    (1..=50).for_each(|seq| line.submit(empty(seq)));
    line.close().unwrap();
    assert_eq!(*disk.synced.lock().unwrap(), (1..=50).collect::<Vec<_>>());
    assert_eq!(listening.told().last(), Some(&Told::Synced(50)));
    line.submit(empty(51));
    assert_eq!(line.backlog().commits, 0);
    assert_eq!(block_on(line.reload()).err().unwrap(), Fault::new("the strand is closed"));
    line.close().unwrap();
}

#[test]
fn on_a_real_disk_a_failed_batch_leaves_no_trace_and_a_reload_mends() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listening) = opened(folder.path());
    let deposit = |seq, id| commit(seq, vec![Change::Transaction(Box::new(plain::deposit(id)))], Vec::new());
    strand.submit(deposit(1, 1));
    listening.wait_for_synced(1);
    // The seq of an earlier commit: two deciders, which the journal refuses after the row was written.
    strand.submit(deposit(1, 2));
    listening.wait_for(|told| told.iter().any(|told| matches!(told, Told::Failed(_))));
    let told = listening.told();
    assert!(matches!(&told[1], Told::Failed(why) if why.contains("commit_journal.seq")), "{told:?}");
    strand.submit(deposit(2, 3));

    let expected = vec![Change::Transaction(Box::new(plain::deposit(1)))];
    assert_eq!(block_on(strand.reload()).unwrap().books.counters().seq, 1);
    assert_eq!(Rows::on_disk(strand.path()).rows, expected);
    strand.submit(deposit(2, 4));
    listening.wait_for_synced(2);
    assert_eq!(block_on(strand.reload()).unwrap().books.transactions(), 2);
}

#[test]
fn one_event_is_never_filed_twice_whatever_the_books_believe() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listening) = opened(folder.path());
    let again = ProviderEvent { id: EventId(2), ..plain::confirmation(1) };
    strand.submit(commit(1, vec![Change::Event(Box::new(plain::confirmation(1)))], Vec::new()));
    listening.wait_for_synced(1);
    strand.submit(commit(2, vec![Change::Event(Box::new(again))], Vec::new()));
    listening.wait_for(|told| told.iter().any(|told| matches!(told, Told::Failed(why) if why.contains("event_id"))));
}
