//! From the start of the program until it is ready with a million and ten million credited deposits, with an image of the books
//! and without, against reading the same rows without using them; and the memory of each at its peak.

use std::path::{Path, PathBuf};
use std::time::Instant;

use cashier_core::change::Change;

use crate::full_server::{BenchServer, write_files};
use crate::stored::{self, post};
use crate::table::{FigureRow, median};
use crate::{BenchResult, Effort, report, rows};

/// Seconds.
const AIM: f64 = 3.0;
/// The rows of the table for one size of the database.
struct Size {
    /// Of transactions, each with an operation and an event.
    rows: u64,
    rounds: usize,
    /// The figures without an image, their memory, and the same with one.
    named: [&'static str; 4],
    /// Seconds without and with an image, and as the table shows them.
    aims: [Option<f64>; 2],
    shown: [&'static str; 2],
}

/// Resident memory at its peak against that of the loaded books.
const MEMORY_AIM: f64 = 1.2;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let is_full = effort.rows == Effort::FULL.rows;
    let small = Size {
        rows: effort.rows,
        rounds: effort.rounds.min(3),
        named: [
            "start with 1,000,000 transactions",
            "peak memory of that start",
            "start with 1,000,000 transactions and an image",
            "peak memory of that start with an image",
        ],
        aims: [Some(AIM), Some(1.0)],
        shown: ["≤ 3 s", "≤ 1 s"],
    };
    let large = Size {
        rows: 10 * effort.rows,
        rounds: 1,
        named: [
            "start with 10,000,000 transactions",
            "peak memory of that start",
            "start with 10,000,000 transactions and an image",
            "peak memory of that start with an image",
        ],
        aims: [None, Some(8.0)],
        shown: ["–", "≤ 8 s"],
    };
    let mut lines = figures(&small, is_full)?;
    if is_full {
        lines.extend(figures(&large, is_full)?);
    }
    Ok(lines)
}

/// Starts as they were measured, in seconds, with resident memory at the peak and afterwards.
#[derive(Default)]
struct Starts {
    seconds: Vec<f64>,
    memory: Vec<(f64, f64)>,
}

impl Starts {
    fn add(&mut self, kind: &str, server: &BenchServer) -> BenchResult<()> {
        let (seconds, peak) = (server.opened_in.as_secs_f64(), server.program.peak_bytes()? as f64);
        let resident = server.program.resident_bytes()? as f64;
        report(&format!(
            "  opened in {seconds:.2} s {kind}, {:.0} MB at the peak, {:.0} MB now",
            peak / 1e6,
            resident / 1e6
        ));
        self.seconds.push(seconds);
        self.memory.push((peak, resident));
        Ok(())
    }

    fn lines(self, size: &Size, which: usize, limit: &str, scan: f64, is_full: bool) -> [FigureRow; 2] {
        let Size { rows, named, aims, shown, .. } = size;
        let [without, memory, with, memory_with] = *named;
        let (figure, memory) = if which == 0 { (without, memory) } else { (with, memory_with) };
        let (aim, shown) = if which == 0 { (aims[0], shown[0]) } else { (aims[1], shown[1]) };
        let start = median(self.seconds.into_iter());
        let peak = median(self.memory.iter().map(|(peak, _)| *peak));
        let ratio = median(self.memory.iter().map(|(peak, resident)| peak / resident));
        [
            FigureRow {
                figure,
                measured: format!("{start:.2} s for {rows} transactions, operations and events"),
                limit: limit.to_owned(),
                ratio: Some(start / scan),
                aim: shown,
                met: aim.filter(|_| is_full).map(|aim| start <= aim),
            },
            FigureRow {
                figure: memory,
                measured: format!("{:.0} MB", peak / 1e6),
                limit: format!("the loaded books: {:.0} MB", peak / ratio / 1e6),
                ratio: Some(ratio),
                aim: "≤ 1.2 times",
                met: is_full.then_some(ratio <= MEMORY_AIM),
            },
        ]
    }
}

fn figures(size: &Size, is_full: bool) -> BenchResult<Vec<FigureRow>> {
    let (mut scans, mut without, mut with) = (Vec::new(), Starts::default(), Starts::default());
    let template = tempfile::tempdir()?;
    write(template.path(), size.rows)?;
    for round in 1..=size.rounds {
        let written = template.path().join("bases/cashier.db");
        scans.push(scan(&written)?);
        let folder = tempfile::tempdir()?;
        let bases = folder.path().join("bases");
        std::fs::create_dir_all(&bases)?;
        // Two copies of a large database would not both stay in memory.
        if round == size.rounds {
            std::fs::rename(written, bases.join("cashier.db"))?;
        } else {
            std::fs::copy(written, bases.join("cashier.db"))?;
        }
        post(&bases, size.rows)?;
        let server = BenchServer::open_in(folder, &["echo"], None)?;
        without.add("without an image", &server)?;
        // A clean stop leaves one.
        let folder = server.stop()?;
        if images(&bases)?.is_empty() {
            continue;
        }
        let server = BenchServer::open_in(folder, &["echo"], None)?;
        with.add("with an image", &server)?;
        let folder = server.stop()?;
        for image in images(&bases)? {
            std::fs::remove_file(image)?;
        }
        without.add("after its image was deleted", &BenchServer::open_in(folder, &["echo"], None)?)?;
    }
    let scan = median(scans.into_iter());
    let limit = format!("reading the rows alone: {scan:.2} s");
    let mut lines: Vec<FigureRow> = without.lines(size, 0, &limit, scan, is_full).into();
    if with.seconds.is_empty() {
        lines.push(FigureRow::skipped(size.named[2], size.shown[1], "a clean stop left no image"));
    } else {
        lines.extend(with.lines(size, 1, &limit, scan, is_full));
    }
    Ok(lines)
}

/// Leaves a folder that `cashier serve --settings FOLDER/cashier.toml` starts on, for a look at a start by hand.
pub(crate) fn write_here(folder: &Path, count: &str) -> BenchResult<()> {
    let count = count.parse()?;
    std::fs::create_dir_all(folder.join("bases"))?;
    write(folder, count)?;
    post(&folder.join("bases"), count)?;
    write_files(folder, &["echo"], None)
}

/// The images of the books in a folder of bases.
fn images(bases: &Path) -> BenchResult<Vec<PathBuf>> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(bases)? {
        let path = file?.path();
        if path.extension().is_some_and(|ends| ends == "image") {
            found.push(path);
        }
    }
    Ok(found)
}

/// A database as that many credited deposits leave it, without the bodies that a start does not read.
fn write(folder: &Path, count: u64) -> BenchResult<()> {
    stored::write(folder, count, stored::PER_COMMIT, |id| {
        let changes = vec![
            Change::Transaction(Box::new(rows::deposit(id))),
            Change::Operation(Box::new(rows::credit(id))),
            Change::Event(Box::new(rows::confirmation(id))),
        ];
        (changes, Vec::new())
    })
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
