//! Measures the cashier: each figure beside a limit taken in the same run, as one table for the README.
//! `cargo bench -p cashier-tests --bench cashier -- [--quick] [--only NAME]…`. Not a test: a missed aim is printed, not a failure.

#![expect(clippy::float_arithmetic, reason = "ratios of measurements; no money is counted here")]

mod bare;
mod counting;
mod figures;
mod full_server;
mod http;
mod http_peer;
mod load;
mod platform_peer;
mod postgres;
mod rows;
mod stored;
mod stub;
mod syncs;
mod table;
mod token;
mod trading_peer;

use std::process::ExitCode;
use std::time::Duration;

use figures::FIGURES;
use table::Table;

/// A failed measurement ends with a sentence.
type BenchResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[global_allocator]
static ALLOCATOR: counting::CountingAllocator = counting::CountingAllocator;

/// How long and how often a figure is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Alternations between ours and the limit; the median of their ratios counts.
    rounds: usize,
    /// Length of one round of load.
    round: Duration,
    /// Rows of the large databases.
    rows: u64,
    /// Webhooks per round.
    webhooks: usize,
}

impl Effort {
    const FULL: Self = Self { rounds: 5, round: Duration::from_secs(4), rows: 1_000_000, webhooks: 20_000 };
    const QUICK: Self = Self { rounds: 1, round: Duration::from_millis(1500), rows: 50_000, webhooks: 2_000 };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Limits and stubs run in processes of their own, as the cashier does; they are this same program.
    let done = match texts.as_slice() {
        ["serve-bare-methods", body] => bare::serve_methods(body),
        ["serve-bare-deposits", folder, body] => bare::serve_deposits(folder.as_ref(), body),
        ["serve-stub"] => stub::serve(),
        ["serve-trading-http", stored] => http_peer::serve(stored),
        ["serve-trading-tcp"] => platform_peer::serve(),
        ["measure-memory", rows] => figures::memory::measure_here(rows),
        ["measure-backoffice", rows] => figures::backoffice::measure_here(rows),
        ["measure-holds", scale] => figures::hold::measure_here(scale),
        ["write-deposits", folder, count] => figures::start::write_here(folder.as_ref(), count),
        _ => measure(&texts),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("cashier bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[&str]) -> BenchResult<()> {
    let mut effort = Effort::FULL;
    let mut only: Vec<&str> = Vec::new();
    let mut arguments = arguments.iter().copied();
    while let Some(argument) = arguments.next() {
        match argument {
            "--quick" => effort = Effort::QUICK,
            "--only" => only.push(arguments.next().ok_or("--only wants a name")?),
            // Cargo adds it to every bench program.
            "--bench" => {}
            "--list" => {
                FIGURES.iter().for_each(|(name, _)| print(name));
                return Ok(());
            }
            _ => return Err(format!("{argument}: unknown argument; use --quick, --list and --only NAME").into()),
        }
    }
    if let Some(unknown) = only.iter().find(|wanted| !FIGURES.iter().any(|(name, _)| name == *wanted)) {
        return Err(format!("{unknown}: no such figure; see --list").into());
    }
    // Profiles use the programs that are built already.
    if std::env::var_os("CASHIER_BENCH_AS_BUILT").is_none() {
        full_server::build()?;
    }
    let mut table = Table::default();
    for (name, figure) in FIGURES.iter().filter(|(name, _)| only.is_empty() || only.contains(name)) {
        report(&format!("measuring {name} …"));
        match figure(effort) {
            Ok(lines) => table.extend(lines),
            Err(error) => table.failed(name, &*error),
        }
    }
    print(&table.to_string());
    Ok(())
}

/// The table, and the output of child processes.
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
fn print(line: &str) {
    println!("{line}");
}

/// Progress, on standard error.
#[expect(clippy::print_stderr, reason = "a program for a terminal")]
fn report(line: &str) {
    eprintln!("{line}");
}
