//! Ten typical BackOffice queries over a million transactions beside the same over a thousand, and how long any of them holds the
//! books. Those that an index answers must not grow with the rows; those that look at every row have so long for each million.

use std::time::{Duration, Instant};

use cashier_core::books::{Books, LIST_BYTES_MAX, Progress, Scope};
use cashier_core::filter::{Clause, Filter, FilterBuilder, TransactionField};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::status::TransactionStatus;
use cashier_core::transaction::Transaction;

use crate::full_server::ChildProgram;
use crate::table::FigureRow;
use crate::{BenchResult, Effort, print, rows};

/// Milliseconds for a million rows where every one is looked at.
const SCAN_AIM: f64 = 25.0;
/// How much longer a query by an index may take over the many rows than over the few.
const INDEX_AIM: f64 = 2.0;
/// Milliseconds for which a query may hold the books: a deposit waits for no longer.
const HOLD_AIM: f64 = 1.0;

const FEW: u64 = 1_000;
/// Runs of a query, the median of which counts.
const RUNS: usize = 9;

/// How a query finds its rows.
#[derive(Debug, Clone, Copy)]
enum Way {
    Index,
    Scan,
}

/// How the rows of each are found, and its conditions. `{reference}`, `{payment}` and `{key}` are those of a row in the middle.
const QUERIES: [(Way, &[[&str; 3]]); 10] = [
    (Way::Index, &[]),
    (Way::Index, &[["status", "=", "9"]]),
    (Way::Index, &[["customer_id", "=", "77"]]),
    (Way::Index, &[["login", "=", "2000077"], ["status", "=", "3"]]),
    (Way::Index, &[["reference", "=", "{reference}"]]),
    (Way::Index, &[["provider_payment_id", "=", "{payment}"]]),
    (Way::Scan, &[["provider_config_id", "=", "2"]]),
    (Way::Scan, &[["amount", "=", "250.37"]]),
    (Way::Scan, &[["failure_reason", "=", "EXPIRED"]]),
    (Way::Scan, &[["idempotency_key", "=", "{key}"]]),
];

/// Figures of the table, in the order of [`QUERIES`].
const FIGURES: [&str; 10] = [
    "BackOffice, by index: newest page",
    "BackOffice, by index: under review",
    "BackOffice, by index: of a customer",
    "BackOffice, by index: of an account",
    "BackOffice, by index: by our reference",
    "BackOffice, by index: by the provider's id",
    "BackOffice, every row: of a config",
    "BackOffice, every row: of an amount",
    "BackOffice, every row: of a reason",
    "BackOffice, every row: by an idempotency key alone",
];

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    // A process of its own, which returns the memory.
    let mut program = ChildProgram::role(&["measure-backoffice", &effort.rows.to_string()])?;
    let mut figures = Vec::new();
    for (figure, (way, _)) in FIGURES.iter().zip(QUERIES) {
        let line = program.line()?;
        let mut numbers = line.split(' ').map(str::parse::<f64>);
        let (many, few) = (numbers.next().ok_or("no number")??, numbers.next().ok_or("no number")??);
        let per_million = many / 1e3 / (effort.rows as f64 / 1e6);
        let (aim, met) = match way {
            Way::Index => ("≤ 2 times", many <= few * INDEX_AIM),
            Way::Scan => ("≤ 25 ms per million", per_million <= SCAN_AIM),
        };
        figures.push(FigureRow {
            figure,
            measured: format!("{:.3} ms over {} rows", many / 1e3, effort.rows),
            limit: format!("over {FEW} rows: {:.3} ms", few / 1e3),
            ratio: Some(many / few),
            aim,
            met: Some(met),
        });
    }
    let slowest: f64 = program.line()?.parse()?;
    figures.push(FigureRow {
        figure: "slowest hold of the books by these queries",
        measured: format!("{:.3} ms over {} rows", slowest / 1e3, effort.rows),
        limit: String::new(),
        ratio: None,
        aim: "≤ 1 ms",
        met: Some(slowest / 1e3 <= HOLD_AIM),
    });
    Ok(figures)
}

/// The child process: prints the microseconds of each query over the many and the few, then of the slowest hold.
pub(crate) fn measure_here(count: &str) -> BenchResult<()> {
    let count: u64 = count.parse()?;
    let (many, few) = (books_of(count), books_of(FEW));
    let mut slowest = Duration::ZERO;
    for (_, conditions) in QUERIES {
        let times = [(&many, count), (&few, FEW)].map(|(books, count)| -> BenchResult<f64> {
            let filter = filter(conditions, count)?;
            let runs = (0..RUNS).map(|_| timed(books, &filter)).collect::<BenchResult<Vec<_>>>()?;
            let (mut times, mut holds): (Vec<Duration>, Vec<Duration>) = runs.into_iter().unzip();
            times.sort_unstable();
            holds.sort_unstable();
            // The median of the slowest: one that the machine interrupts is none of ours.
            slowest = slowest.max(holds.get(RUNS / 2).copied().unwrap_or_default());
            Ok(times.get(RUNS / 2).map_or(0.0, |median| median.as_secs_f64() * 1e6))
        });
        let [many, few] = times;
        print(&format!("{:.3} {:.3}", many?, few?));
    }
    print(&format!("{:.3}", slowest.as_secs_f64() * 1e6));
    // Not measured: the end of the process frees the books.
    std::mem::forget((many, few));
    Ok(())
}

fn books_of(count: u64) -> Books {
    let mut books = Books::new();
    for id in 1..=count {
        books.load_transaction(&row(id, count), &[rows::credit(id)]);
    }
    books
}

/// A tenth of the rows is under review, and a customer has ten of them, however many there are: pages are equally long.
fn row(id: u64, count: u64) -> Transaction {
    let status = if id % 10 == 7 { TransactionStatus::ManualReview } else { TransactionStatus::Credited };
    let owner = id % (count / 10).max(1) + 1;
    Transaction { status, customer_id: CustomerId(owner), login: Login(2_000_000 + owner), ..rows::deposit(id) }
}

fn filter(conditions: &[[&str; 3]], count: u64) -> BenchResult<Filter<TransactionField>> {
    let middle = rows::deposit(count / 2);
    let mut builder = FilterBuilder::new();
    for [field, op, value] in conditions {
        let value = match *value {
            "{reference}" => middle.reference.as_str(),
            "{payment}" => &middle.provider_payment_id,
            "{key}" => &middle.idempotency_key,
            value => value,
        };
        builder.flat(Clause::Where, &[*field, *op, value]).map_err(|refusal| refusal.message)?;
    }
    Ok(builder.build())
}

/// One query from its first hold to its last row, and its slowest hold.
fn timed(books: &Books, filter: &Filter<TransactionField>) -> BenchResult<(Duration, Duration)> {
    let (begun, mut resume, mut slowest) = (Instant::now(), None, Duration::ZERO);
    loop {
        let held = Instant::now();
        let progress = books.query(filter, &Scope::default(), LIST_BYTES_MAX, resume.take());
        slowest = slowest.max(held.elapsed());
        match progress {
            Progress::More(scan) => resume = Some(scan),
            Progress::Found(mut page) => {
                while !page.is_finished() {
                    let held = Instant::now();
                    books.take_rows(filter, &mut page);
                    slowest = slowest.max(held.elapsed());
                }
                return Ok((begun.elapsed(), slowest));
            }
            Progress::TooLarge | Progress::NeedsCapacity(..) | Progress::Restless => return Err("no page".into()),
        }
    }
}
