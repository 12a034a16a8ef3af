//! The slowest hold of the books while decisions take them past the sizes at which tables used to double: past a million
//! rows and past four million.

use std::time::{Duration, Instant};

use cashier_core::books::Books;
use cashier_core::change::Change;

use crate::bare::commit;
use crate::full_server::ChildProgram;
use crate::table::FigureRow;
use crate::{BenchResult, Effort, print, rows};

/// Milliseconds.
const AIM: f64 = 5.0;

/// Rows before, and rows after which the slowest hold is read.
const CROSSINGS: [(&str, u64, u64); 2] = [
    ("slowest hold of the books while crossing 1M", 800_000, 1_100_000),
    ("slowest hold of the books while crossing 4M", 3_500_000, 4_100_000),
];

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    // A process of its own, which returns the memory.
    let scale = if effort.rows == Effort::FULL.rows { 1 } else { 20 };
    let mut program = ChildProgram::role(&["measure-holds", &scale.to_string()])?;
    CROSSINGS
        .iter()
        .map(|(figure, from, to)| {
            let line = program.line()?;
            let slowest: f64 = line.parse()?;
            Ok(FigureRow {
                figure,
                measured: format!("{slowest:.2} ms for rows {} to {}", from / scale, to / scale),
                limit: String::new(),
                ratio: None,
                aim: "≤ 5 ms",
                met: (scale == 1).then_some(slowest <= AIM),
            })
        })
        .collect()
}

/// The child process: applies deposits, and prints the slowest in milliseconds for each range.
pub(crate) fn measure_here(scale: &str) -> BenchResult<()> {
    let scale: u64 = scale.parse()?;
    let mut books = Books::new();
    let mut next = 1;
    for (_, from, to) in CROSSINGS {
        let mut slowest = Duration::ZERO;
        while next <= to / scale {
            let id = next;
            next += 1;
            let changes = vec![
                Change::Transaction(Box::new(rows::deposit(id))),
                Change::Operation(Box::new(rows::credit(id))),
                Change::Event(Box::new(rows::confirmation(id))),
            ];
            let mut decided = commit(id, changes, Vec::new());
            decided.counters = rows::counters(id);
            let begun = Instant::now();
            books.apply(&decided);
            if id >= from / scale {
                slowest = slowest.max(begun.elapsed());
            }
        }
        print(&format!("{:.3}", slowest.as_secs_f64() * 1e3));
    }
    // Not measured: the end of the process frees the books.
    std::mem::forget(books);
    Ok(())
}
