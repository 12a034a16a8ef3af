//! From the start of the program to open listeners with a million credited deposits, against reading the same rows without
//! using them.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use cashier_core::change::Change;
use cashier_core::ids::Seq;
use cashier_host::ports::{DurabilityListener, Fault, Recorder};
use cashier_host::strand::seal::SealKeys;
use cashier_host::strand::{self, BatchLimits, StrandSettings};
use cashier_host::system::SystemEntropy;

use crate::bare::commit;
use crate::full_server::{BenchServer, SEAL_RING};
use crate::table::{FigureRow, median};
use crate::{BenchResult, Effort, report, rows};

/// Seconds.
const AIM: f64 = 3.0;
/// Deposits written in one commit: writing is not measured.
const DEPOSITS_PER_COMMIT: u64 = 100;
/// Commits queued at most while writing.
const BACKLOG_MAX: usize = 2_000;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let (mut starts, mut scans) = (Vec::new(), Vec::new());
    let template = tempfile::tempdir()?;
    write(template.path(), effort.rows)?;
    for _ in 0..effort.rounds.min(3) {
        scans.push(scan(&template.path().join("bases/cashier.db"))?);
        let folder = tempfile::tempdir()?;
        std::fs::create_dir_all(folder.path().join("bases"))?;
        std::fs::copy(template.path().join("bases/cashier.db"), folder.path().join("bases/cashier.db"))?;
        let server = BenchServer::open_in(folder, &["echo"], None)?;
        starts.push(server.opened_in.as_secs_f64());
        report(&format!(
            "  opened in {:.2} s with {} MB resident",
            server.opened_in.as_secs_f64(),
            server.program.resident_bytes()? / 1_000_000
        ));
    }
    let (start, scan) = (median(starts.into_iter()), median(scans.into_iter()));
    Ok(vec![FigureRow {
        figure: "start with 1,000,000 transactions",
        measured: format!("{start:.2} s for {} transactions, operations and events", effort.rows),
        limit: format!("reading the rows alone: {scan:.2} s"),
        ratio: Some(start / scan),
        aim: "≤ 3 s",
        met: (effort.rows == Effort::FULL.rows).then_some(start <= AIM),
    }])
}

/// A database as that many credited deposits leave it, without the bodies that a start does not read.
fn write(folder: &Path, count: u64) -> BenchResult<()> {
    let progress = Arc::new(SyncProgress::default());
    let strand = strand::open(
        StrandSettings {
            path: folder.join("bases/cashier.db"),
            keys: SealKeys::parse(SEAL_RING)?,
            entropy: Arc::new(SystemEntropy),
            batch: BatchLimits::default(),
        },
        Arc::clone(&progress) as _,
    )?;
    let mut seq = 0;
    for first in (1..=count).step_by(usize::try_from(DEPOSITS_PER_COMMIT)?) {
        let last = count.min(first + DEPOSITS_PER_COMMIT - 1);
        let changes = (first..=last).flat_map(|id| {
            [
                Change::Transaction(Box::new(rows::deposit(id))),
                Change::Operation(Box::new(rows::credit(id))),
                Change::Event(Box::new(rows::confirmation(id))),
            ]
        });
        seq += 1;
        let mut commit = commit(seq, changes.collect(), Vec::new());
        commit.counters = rows::counters(last);
        commit.counters.seq = seq;
        strand.submit(Arc::new(commit));
        if strand.backlog().commits > BACKLOG_MAX {
            progress.wait_for(seq - (BACKLOG_MAX as u64) / 2);
        }
    }
    progress.wait_for(seq);
    strand.close()?;
    Ok(())
}

/// The last commit that the strand has synced.
#[derive(Default)]
struct SyncProgress {
    up_to: Mutex<u64>,
    changed: Condvar,
}

impl SyncProgress {
    fn wait_for(&self, seq: u64) {
        let up_to = self.up_to.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(up_to, |up_to| *up_to < seq));
    }

    fn advance_to(&self, seq: u64) {
        *self.up_to.lock().unwrap_or_else(PoisonError::into_inner) = seq;
        self.changed.notify_all();
    }
}

impl DurabilityListener for SyncProgress {
    fn synced(&self, up_to: Seq) {
        self.advance_to(up_to.0);
    }

    fn failed(&self, fault: &Fault) {
        report(&format!("the strand failed: {fault}"));
        self.advance_to(u64::MAX);
    }
}

/// Reads every value that a start reads, once.
fn scan(database: &Path) -> BenchResult<f64> {
    let begun = Instant::now();
    let connection = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut touched = 0_usize;
    for query in [
        "SELECT * FROM cashier_transaction",
        "SELECT * FROM balance_operation",
        "SELECT config_id, event_id, id FROM provider_event",
    ] {
        let mut statement = connection.prepare(query)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                touched += usize::from(row.get_ref(column)?.data_type() != rusqlite::types::Type::Null);
            }
        }
    }
    std::hint::black_box(touched);
    Ok(begun.elapsed().as_secs_f64())
}
