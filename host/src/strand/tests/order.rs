//! Commits are written in the order of their submission, many under one sync, and called synced only afterwards.

use std::sync::mpsc::{Receiver, Sender, channel};

use cashier_core::change::Change;
use cashier_core::ids::TransactionId;

use super::super::sqlite::connect_read_only;
use super::super::thread::{Backlog, Line, Store, weight};
use super::*;
use crate::ports::{Loaded, Recorder};

/// What the store was asked and the ledger told, in one order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Wrote(Vec<u64>),
    Synced,
    Told(u64),
}

#[derive(Default)]
struct Trace(Mutex<Vec<Step>>);

impl Trace {
    fn note(&self, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

impl Synced for Trace {
    fn synced(&self, up_to: Seq) {
        self.note(Step::Told(up_to.0));
    }

    fn failed(&self, fault: &Fault) {
        panic!("no commit fails here: {fault}");
    }
}

/// Keeps nothing; its first sync waits until the test lets it go, so that more commits gather behind it.
struct Slow {
    trace: Arc<Trace>,
    gate: Receiver<()>,
    entered: Sender<()>,
}

impl Store for Slow {
    fn write_batch(&mut self, batch: &[Arc<Commit>]) -> Result<(), Fault> {
        self.trace.note(Step::Wrote(batch.iter().map(|commit| commit.seq.0).collect()));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Fault> {
        let _ = self.entered.send(());
        let _ = self.gate.recv();
        self.trace.note(Step::Synced);
        Ok(())
    }

    fn abandon(&mut self) {}

    fn load(&mut self) -> Result<Loaded, Fault> {
        Ok(Loaded::default())
    }

    fn close(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// A line over a [`Slow`] store; the receiver tells of each sync begun, and dropping the sender lets all of them go.
fn slow(limits: BatchLimits) -> (Line, Arc<Trace>, Receiver<()>, Sender<()>) {
    let trace = Arc::new(Trace::default());
    let (go, gate) = channel();
    let (entered, at_sync) = channel();
    let store = Slow { trace: trace.clone(), gate, entered };
    let line = Line::start(Box::new(store), limits, trace.clone()).unwrap();
    (line, trace, at_sync, go)
}

/// Submits commit 1, waits until it is being synced, submits the rest, lets go, and closes.
fn traced(limits: BatchLimits, rest: &[Arc<Commit>]) -> Vec<Step> {
    let (line, trace, at_sync, go) = slow(limits);
    line.submit(commit(1, Vec::new(), Vec::new()));
    at_sync.recv().unwrap();
    rest.iter().for_each(|commit| line.submit(commit.clone()));
    let backlog = line.backlog();
    assert_eq!((backlog.commits, backlog.bytes), (rest.len(), rest.iter().map(|commit| weight(commit)).sum()));
    drop(go);
    line.close().unwrap();
    trace.0.lock().unwrap().clone()
}

#[test]
fn a_reload_drops_what_is_queued_and_takes_nothing_until_it_is_answered() {
    let (line, trace, at_sync, go) = slow(BatchLimits::default());
    line.submit(commit(1, Vec::new(), Vec::new()));
    at_sync.recv().unwrap();
    line.submit(commit(2, Vec::new(), Vec::new()));
    let reload = line.reload();
    line.submit(commit(3, Vec::new(), Vec::new()));
    assert_eq!(line.backlog(), Backlog::default());
    drop(go);
    block_on(reload).unwrap();
    line.submit(commit(4, Vec::new(), Vec::new()));
    line.close().unwrap();
    use Step::*;
    assert_eq!(*trace.0.lock().unwrap(), [Wrote(vec![1]), Synced, Told(1), Wrote(vec![4]), Synced, Told(4)]);
}

#[test]
fn what_gathers_during_a_sync_shares_the_next_one() {
    let rest: Vec<_> = (2..=5).map(|seq| commit(seq, Vec::new(), Vec::new())).collect();
    let steps = traced(BatchLimits::default(), &rest);
    use Step::*;
    assert_eq!(steps, [Wrote(vec![1]), Synced, Told(1), Wrote(vec![2, 3, 4, 5]), Synced, Told(5)]);
}

#[test]
fn a_batch_ends_at_its_count() {
    let rest: Vec<_> = (2..=6).map(|seq| commit(seq, Vec::new(), Vec::new())).collect();
    let steps = traced(BatchLimits { commits: 2, bytes: usize::MAX }, &rest);
    use Step::*;
    assert_eq!(
        steps,
        [
            Wrote(vec![1]),
            Synced,
            Told(1),
            Wrote(vec![2, 3]),
            Synced,
            Told(3),
            Wrote(vec![4, 5]),
            Synced,
            Told(5),
            Wrote(vec![6]),
            Synced,
            Told(6)
        ]
    );
}

#[test]
fn a_batch_ends_at_its_bytes_and_takes_a_commit_that_is_larger_by_itself() {
    let with = |seq, bytes| commit(seq, Vec::new(), vec![plain::notice(seq, &vec![0; bytes])]);
    let rest = [with(2, 10), with(3, 10), with(4, 100_000), with(5, 10)];
    let steps = traced(BatchLimits { commits: 100, bytes: 8_000 }, &rest);
    let wrote: Vec<_> = steps
        .into_iter()
        .filter_map(|step| match step {
            Step::Wrote(batch) => Some(batch),
            Step::Synced | Step::Told(_) => None,
        })
        .collect();
    assert_eq!(wrote, [vec![1], vec![2, 3], vec![4], vec![5]]);
}

/// On every `synced` a second connection looks for the commit: it must be there, and nothing beyond the batch.
struct Witness {
    reader: Mutex<Option<rusqlite::Connection>>,
    listening: Listening,
}

impl Synced for Witness {
    fn synced(&self, up_to: Seq) {
        let reader = self.reader.lock().unwrap();
        let seen = reader.as_ref().map(|reader| {
            reader.query_row("SELECT max(seq) FROM commit_journal", [], |row| row.get::<_, i64>(0)).unwrap()
        });
        match seen {
            Some(seen) if seen == up_to.0.cast_signed() => self.listening.note(Told::Synced(up_to.0)),
            other => self.listening.note(Told::Failed(format!("told {up_to}, on disk {other:?}"))),
        }
    }

    fn failed(&self, fault: &Fault) {
        self.listening.note(Told::Failed(fault.to_string()));
    }
}

#[test]
fn on_a_real_disk_synced_comes_after_the_commit_and_in_order() {
    const COMMITS: u64 = 400;
    let folder = tempfile::tempdir().unwrap();
    let witness = Arc::new(Witness { reader: Mutex::new(None), listening: Listening::default() });
    let strand = open(
        StrandSettings { batch: BatchLimits { commits: 7, ..BatchLimits::default() }, ..settings(folder.path()) },
        witness.clone(),
    )
    .unwrap();
    *witness.reader.lock().unwrap() = Some(connect_read_only(strand.path()).unwrap());
    // Submitted by several threads in the order of their seq, as under the ledger's lock.
    let next = Mutex::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let mut next = next.lock().unwrap();
                    if *next > COMMITS {
                        return;
                    }
                    let mut row = plain::deposit(*next % 5 + 1);
                    row.version = u32::try_from(*next).unwrap();
                    strand.submit(commit(*next, vec![Change::Transaction(Box::new(row))], Vec::new()));
                    *next += 1;
                }
            });
        }
    });
    witness.listening.wait_for_synced(COMMITS);
    let told = witness.listening.told();
    let seqs: Vec<u64> = told
        .iter()
        .map(|told| match told {
            Told::Synced(up_to) => *up_to,
            Told::Failed(why) => panic!("{why}"),
        })
        .collect();
    assert!(seqs.is_sorted() && seqs.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= 7), "{seqs:?}");

    let loaded = Rows::on_disk(strand.path());
    let versions: Vec<_> = loaded
        .rows
        .iter()
        .map(|change| match change {
            Change::Transaction(row) => (row.id, row.version),
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    let last = |id: u64| (1..=COMMITS).rev().find(|seq| seq % 5 + 1 == id).unwrap();
    let expected: Vec<_> = (1..=5).map(|id| (TransactionId(id), u32::try_from(last(id)).unwrap())).collect();
    assert_eq!(versions, expected);
}
