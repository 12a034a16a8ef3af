//! Commits are written in the order of their submission, many under one sync, and reported as synced only afterwards.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use cashier_core::books::Books;
use cashier_core::change::Change;
use cashier_core::dependence::Refusals;
use cashier_core::ids::TransactionId;

use super::super::batch::Backlog;
use super::super::connection::connect_read_only;
use super::super::reseal::{ResealCursor, ResealStep};
use super::super::retention::{RetentionKind, RetentionOrder, RetentionPlace, Retired};
use super::super::thread::CommitQueue;
use super::super::writing::{Store, commit_bytes};
use super::*;
use crate::ports::{Configuration, Loaded, Recorder, Refused};

/// Calls of the store and reports to the ledger, in one order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Wrote(Vec<u64>),
    Synced,
    Reported(u64),
    /// What is done between two batches.
    Between(&'static str),
}

#[derive(Default)]
struct Trace(Mutex<Vec<Step>>);

impl Trace {
    fn note(&self, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

impl DurabilityListener for Trace {
    fn synced(&self, up_to: Seq) {
        self.note(Step::Reported(up_to.0));
    }

    fn failed(&self, fault: &Fault) {
        panic!("no commit fails here: {fault}");
    }
}

/// Stores nothing; its first sync waits until the test releases it, so that more commits queue behind it.
struct Slow {
    trace: Arc<Trace>,
    gate: Receiver<()>,
    entered: Sender<()>,
    wrote: Vec<u64>,
    /// How often it is to be called again though nothing is asked for.
    rests: u32,
}

impl Store for Slow {
    fn begin(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn write(&mut self, commit: &Commit) -> Result<(), Fault> {
        self.wrote.push(commit.seq.0);
        Ok(())
    }

    fn write_alone(&mut self, _: &Commit) -> Result<(), Fault> {
        unreachable!("no commit violates anything here")
    }

    fn undo(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn stored(&mut self, _: &Refusals, _: &Books) -> Result<Refused, Fault> {
        unreachable!("no commit is refused here")
    }

    fn sync(&mut self, _: Option<&Counters>) -> Result<(), Fault> {
        self.trace.note(Step::Wrote(std::mem::take(&mut self.wrote)));
        let _ = self.entered.send(());
        let _ = self.gate.recv();
        self.trace.note(Step::Synced);
        Ok(())
    }

    fn abandon(&mut self) {}

    fn rest(&mut self, _: Instant) -> Option<Duration> {
        self.rests = self.rests.checked_sub(1)?;
        self.trace.note(Step::Between("rest"));
        Some(Duration::from_millis(1))
    }

    fn reseal(&mut self, _: ResealCursor) -> Result<ResealStep, Fault> {
        self.trace.note(Step::Between("reseal"));
        Ok(ResealStep::default())
    }

    fn retire(&mut self, _: &RetentionOrder) -> Result<Retired, Fault> {
        self.trace.note(Step::Between("retire"));
        Ok(Retired::default())
    }

    fn configuration(&mut self) -> Result<Configuration, Fault> {
        self.trace.note(Step::Between("configuration"));
        Ok(Configuration::default())
    }

    fn load(&mut self) -> Result<Loaded, Fault> {
        Ok(Loaded::default())
    }

    fn close(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// A queue over a [`Slow`] store; the receiver gets a message at the start of each sync, and dropping the sender releases
/// all of them.
fn slow(limits: BatchLimits) -> (CommitQueue, Arc<Trace>, Receiver<()>, Sender<()>) {
    slow_with_rests(limits, 0)
}

fn slow_with_rests(limits: BatchLimits, rests: u32) -> (CommitQueue, Arc<Trace>, Receiver<()>, Sender<()>) {
    let trace = Arc::new(Trace::default());
    let (go, gate) = channel();
    let (entered, at_sync) = channel();
    let store = Slow { trace: trace.clone(), gate, entered, wrote: Vec::new(), rests };
    let commits = CommitQueue::start(Box::new(store), limits, trace.clone()).unwrap();
    (commits, trace, at_sync, go)
}

/// Submits commit 1, waits for the start of its sync, submits the rest, releases the sync, and closes.
fn traced(limits: BatchLimits, rest: &[Arc<Commit>]) -> Vec<Step> {
    let (commits, trace, at_sync, go) = slow(limits);
    commits.submit(commit(1, Vec::new(), Vec::new()));
    at_sync.recv().unwrap();
    rest.iter().for_each(|commit| commits.submit(commit.clone()));
    let backlog = commits.backlog();
    assert_eq!((backlog.commits, backlog.bytes), (rest.len(), rest.iter().map(|commit| commit_bytes(commit)).sum()));
    drop(go);
    commits.close().unwrap();
    trace.0.lock().unwrap().clone()
}

#[test]
fn a_reload_drops_queued_commits_and_refuses_more_until_it_is_answered() {
    let (commits, trace, at_sync, go) = slow(BatchLimits::default());
    commits.submit(commit(1, Vec::new(), Vec::new()));
    at_sync.recv().unwrap();
    commits.submit(commit(2, Vec::new(), Vec::new()));
    let reload = commits.reload();
    commits.submit(commit(3, Vec::new(), Vec::new()));
    assert_eq!(commits.backlog(), Backlog::default());
    drop(go);
    block_on(reload).unwrap();
    commits.submit(commit(4, Vec::new(), Vec::new()));
    commits.close().unwrap();
    use Step::*;
    assert_eq!(*trace.0.lock().unwrap(), [Wrote(vec![1]), Synced, Reported(1), Wrote(vec![4]), Synced, Reported(4)]);
}

#[test]
fn b4_what_nobody_waits_for_is_done_after_the_report_and_again_though_nothing_is_asked_for() {
    let (commits, trace, at_sync, go) = slow_with_rests(BatchLimits::default(), 3);
    commits.submit(commit(1, Vec::new(), Vec::new()));
    at_sync.recv().unwrap();
    drop(go);
    let steps = || trace.0.lock().unwrap().clone();
    let begun = Instant::now();
    while steps().len() < 6 && begun.elapsed() < TIMEOUT {
        std::thread::yield_now();
    }
    use Step::*;
    let rest = || Between("rest");
    assert_eq!(steps(), [Wrote(vec![1]), Synced, Reported(1), rest(), rest(), rest()]);
    commits.submit(commit(2, Vec::new(), Vec::new()));
    commits.close().unwrap();
    assert_eq!(steps()[6..], [Wrote(vec![2]), Synced, Reported(2)]);
}

#[test]
fn commits_queued_during_a_sync_share_the_next_one() {
    let rest: Vec<_> = (2..=5).map(|seq| commit(seq, Vec::new(), Vec::new())).collect();
    let steps = traced(BatchLimits::default(), &rest);
    use Step::*;
    assert_eq!(steps, [Wrote(vec![1]), Synced, Reported(1), Wrote(vec![2, 3, 4, 5]), Synced, Reported(5)]);
}

#[test]
fn a_batch_ends_at_the_limit_of_commits() {
    let rest: Vec<_> = (2..=6).map(|seq| commit(seq, Vec::new(), Vec::new())).collect();
    let steps = traced(BatchLimits { commits: 2, bytes: usize::MAX }, &rest);
    use Step::*;
    assert_eq!(
        steps,
        [
            Wrote(vec![1]),
            Synced,
            Reported(1),
            Wrote(vec![2, 3]),
            Synced,
            Reported(3),
            Wrote(vec![4, 5]),
            Synced,
            Reported(5),
            Wrote(vec![6]),
            Synced,
            Reported(6)
        ]
    );
}

#[test]
fn a_batch_ends_at_the_limit_of_bytes_and_a_larger_commit_is_a_batch_of_its_own() {
    let with = |seq, bytes| commit(seq, Vec::new(), vec![plain::notice(seq, &vec![0; bytes])]);
    let rest = [with(2, 10), with(3, 10), with(4, 100_000), with(5, 10)];
    let steps = traced(BatchLimits { commits: 100, bytes: 8_000 }, &rest);
    let wrote: Vec<_> = steps
        .into_iter()
        .filter_map(|step| match step {
            Step::Wrote(batch) => Some(batch),
            Step::Synced | Step::Reported(_) | Step::Between(_) => None,
        })
        .collect();
    assert_eq!(wrote, [vec![1], vec![2, 3], vec![4], vec![5]]);
}

#[test]
fn what_is_done_between_batches_gets_its_turn_while_commits_never_cease() {
    const COMMITS: u64 = 20;
    let (commits, trace, at_sync, go) = slow(BatchLimits { commits: 1, bytes: usize::MAX });
    let submit = |seq| commits.submit(commit(seq, Vec::new(), Vec::new()));
    let order = RetentionOrder {
        kind: RetentionKind::Events,
        place: RetentionPlace::New,
        before: UnixTime(1),
        now: UnixTime(1),
        needed: Arc::default(),
    };
    submit(1);
    at_sync.recv().unwrap();
    (2..=3).for_each(submit);
    let (retired, read) = (commits.retire(order), commits.configuration());
    (4..=5).for_each(submit);
    let resealed = commits.reseal(ResealCursor::default());
    // From here on a commit waits whenever one is written.
    for seq in 6..=COMMITS {
        submit(seq);
        go.send(()).unwrap();
        at_sync.recv().unwrap();
    }
    let done: Vec<Step> = trace.0.lock().unwrap().clone();
    let between = |name| done.iter().position(|step| *step == Step::Between(name));
    let wrote = |seq| done.iter().position(|step| *step == Step::Wrote(vec![seq]));
    assert!(wrote(1) < between("reseal") && between("reseal") < wrote(2), "{done:?}");
    assert!(wrote(3) < between("configuration") && between("configuration") < wrote(4), "{done:?}");
    assert!(wrote(8) < between("retire") && between("retire") < wrote(10), "{done:?}");
    drop(go);
    block_on(async {
        retired.await.unwrap();
        read.await.unwrap();
        resealed.await.unwrap();
    });
    commits.close().unwrap();
}

/// On every report a second connection reads the newest commit: it must be the reported one.
struct Verifier {
    reader: Mutex<Option<rusqlite::Connection>>,
    reports: TestListener,
}

impl DurabilityListener for Verifier {
    fn synced(&self, up_to: Seq) {
        let reader = self.reader.lock().unwrap();
        let seen = reader.as_ref().map(|reader| {
            reader.query_row("SELECT max(seq) FROM commit_journal", [], |row| row.get::<_, i64>(0)).unwrap()
        });
        match seen {
            Some(seen) if seen == up_to.0.cast_signed() => self.reports.add(Report::Synced(up_to.0)),
            other => self.reports.add(Report::Failed(format!("reported {up_to}, stored {other:?}"))),
        }
    }

    fn failed(&self, fault: &Fault) {
        self.reports.add(Report::Failed(fault.to_string()));
    }
}

#[test]
fn on_a_real_disk_a_commit_is_reported_in_order_and_after_it_is_readable() {
    const COMMITS: u64 = 400;
    let folder = tempfile::tempdir().unwrap();
    let verifier = Arc::new(Verifier { reader: Mutex::new(None), reports: TestListener::default() });
    let strand = open(
        StrandSettings { batch: BatchLimits { commits: 7, ..BatchLimits::default() }, ..settings(folder.path()) },
        verifier.clone(),
    )
    .unwrap();
    *verifier.reader.lock().unwrap() = Some(connect_read_only(strand.path()).unwrap());
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
    verifier.reports.wait_for_synced(COMMITS);
    let reports = verifier.reports.reports();
    let seqs: Vec<u64> = reports
        .iter()
        .map(|report| match report {
            Report::Synced(up_to) => *up_to,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(seqs.is_sorted() && seqs.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= 7), "{seqs:?}");

    let loaded = Rows::stored(strand.path());
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
