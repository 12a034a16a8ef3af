//! Memory of the books per transaction and per event, counted by the allocator in a process that holds nothing else.

use cashier_core::books::Books;
use cashier_core::change::Change;
use cashier_core::ids::{ConfigId, EventId};

use crate::full_server::ChildProgram;
use crate::table::FigureRow;
use crate::{BenchResult, Effort, counting, print, rows};

const TRANSACTION_AIM: f64 = 400.0;
const EVENT_AIM: f64 = 150.0;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let mut program = ChildProgram::role(&["measure-memory", &effort.rows.to_string()])?;
    let line = program.line()?;
    let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [transaction, transaction_resident, event, event_resident] = numbers.as_slice() else {
        return Err(format!("unreadable: {line}").into());
    };
    let line = |figure, counted: f64, resident: f64, aim, most: f64| FigureRow {
        figure,
        measured: format!("{counted:.0} B ({resident:.0} B resident)"),
        limit: format!("{} rows", effort.rows),
        ratio: None,
        aim,
        met: Some(counted <= most),
    };
    Ok(vec![
        line(
            "memory per cached transaction, its operation and indexes included",
            *transaction,
            *transaction_resident,
            "≤ 400 B",
            TRANSACTION_AIM,
        ),
        line("memory per remembered event", *event, *event_resident, "≤ 150 B", EVENT_AIM),
    ])
}

/// The child process: fills books as a start does, and prints bytes per row, counted and resident.
pub(crate) fn measure_here(rows: &str) -> BenchResult<()> {
    let count: u64 = rows.parse()?;
    counting::start();
    let mut books = Books::new();
    let before = (counting::live(), resident()?);
    for id in 1..=count {
        books.load(Change::Transaction(Box::new(rows::deposit(id))));
        books.load(Change::Operation(Box::new(rows::credit(id))));
    }
    let filled = (counting::live(), resident()?);
    for id in 1..=count {
        books.remember_event_key(ConfigId(1), &rows::event_id(id), EventId(id));
    }
    let with_events = (counting::live(), resident()?);
    let each = |from: i64, to: i64| (to - from) as f64 / count as f64;
    print(&format!(
        "{:.1} {:.1} {:.1} {:.1}",
        each(before.0, filled.0),
        each(before.1, filled.1),
        each(filled.0, with_events.0),
        each(filled.1, with_events.1),
    ));
    // The books live until both are measured.
    drop(books);
    Ok(())
}

/// Resident bytes of this process.
fn resident() -> BenchResult<i64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: i64 = pages.split(' ').nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * 4096)
}
