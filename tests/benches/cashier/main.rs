//! The house measured: each figure beside a limit taken in the same run, as one table for the README.
//! `cargo bench -p cashier-tests --bench house -- [--quick] [--only NAME]…`. Not a test: it judges nothing by failing.

#![expect(clippy::float_arithmetic, reason = "ratios of measurements; no money is counted here")]

mod bare;
mod counting;
mod figures;
mod full_server;
mod http;
mod load;
mod postgres;
mod rows;
mod stub;
mod table;
mod token;

use std::process::ExitCode;
use std::time::Duration;

use figures::FIGURES;
use table::Table;

/// What goes wrong in a measurement is told as a sentence and ends it.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// How long and how often things are measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Alternations between ours and the limit; the median of their ratios counts.
    rounds: usize,
    /// One stretch of load.
    stretch: Duration,
    /// Rows of the large databases.
    rows: u64,
    /// Webhooks per stretch.
    webhooks: usize,
}

impl Effort {
    const FULL: Self = Self { rounds: 5, stretch: Duration::from_secs(4), rows: 1_000_000, webhooks: 20_000 };
    const QUICK: Self = Self { rounds: 1, stretch: Duration::from_millis(1500), rows: 50_000, webhooks: 2_000 };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Limits and stubs are measured in processes of their own, as the house is; they are this same program.
    let done = match words.as_slice() {
        ["serve-bare-methods", body] => bare::serve_methods(body),
        ["serve-bare-deposits", folder, body] => bare::serve_deposits(folder.as_ref(), body),
        ["serve-stub"] => stub::serve(),
        ["measure-memory", rows] => figures::memory::measure_here(rows),
        _ => measure(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("house bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(words: &[&str]) -> Outcome<()> {
    let mut effort = Effort::FULL;
    let mut only: Vec<&str> = Vec::new();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--quick" => effort = Effort::QUICK,
            "--only" => only.push(words.next().ok_or("--only wants a name")?),
            // Cargo adds it to every bench program.
            "--bench" => {}
            "--list" => {
                FIGURES.iter().for_each(|(name, _)| say(name));
                return Ok(());
            }
            _ => return Err(format!("{word}: know --quick, --list and --only NAME").into()),
        }
    }
    if let Some(stranger) = only.iter().find(|wanted| !FIGURES.iter().any(|(name, _)| name == *wanted)) {
        return Err(format!("{stranger}: no such figure; --list names them").into());
    }
    // A profile is taken of programs that stand beside this one already.
    if std::env::var_os("CASHIER_BENCH_AS_BUILT").is_none() {
        full_server::build()?;
    }
    let mut table = Table::default();
    for (name, figure) in FIGURES.iter().filter(|(name, _)| only.is_empty() || only.contains(name)) {
        tell(&format!("measuring {name} …"));
        match figure(effort) {
            Ok(lines) => table.extend(lines),
            Err(error) => table.failed(name, &*error),
        }
    }
    say(&table.to_string());
    Ok(())
}

/// The table, and what child processes answer.
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
fn say(line: &str) {
    println!("{line}");
}

/// Progress, beside the table.
#[expect(clippy::print_stderr, reason = "a program for a terminal")]
fn send_event(line: &str) {
    eprintln!("{line}");
}
