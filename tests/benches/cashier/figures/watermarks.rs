//! What a start asks of a trading server elsewhere to know that it agrees with the books: with a thousand postings, and with many. The
//! rows of both are there; neither's are read.

use cashier_core::change::Change;
use cashier_core::ids::ServerName;
use cashier_core::transaction::Transaction;

use crate::full_server::{BenchServer, write_files};
use crate::table::FigureRow;
use crate::trading_peer::{Asked, TradingKind, TradingPeer, until_compared};
use crate::{BenchResult, Effort, report, rows, stored};

/// Postings that are few.
const FEW: u64 = 1_000;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let is_full = effort.rows == Effort::FULL.rows;
    let few = check(FEW)?;
    let mut lines = vec![line("check of a start with 1,000,000 postings at a server elsewhere", effort.rows, &few)?];
    if is_full {
        lines.push(line("check of a start with 10,000,000 postings at a server elsewhere", 10 * effort.rows, &few)?);
    }
    Ok(lines)
}

fn line(figure: &'static str, rows: u64, few: &Asked) -> BenchResult<FigureRow> {
    let many = check(rows)?;
    let ratio = all_calls(&many) as f64 / all_calls(few) as f64;
    Ok(FigureRow {
        figure,
        measured: format!("{} of {rows}", in_words(&many)),
        limit: format!("of {FEW}: {}", in_words(few)),
        ratio: Some(ratio),
        aim: "no more calls",
        met: Some(all_calls(&many) <= all_calls(few) && many.rows <= few.rows),
    })
}

fn in_words(asked: &Asked) -> String {
    format!("{} calls and {} rows in {:.1} ms", all_calls(asked), asked.rows, asked.checked_us as f64 / 1000.0)
}

/// Calls of the check; groups are read beside it.
fn all_calls(asked: &Asked) -> u64 {
    ["postings", "find"].iter().filter_map(|call| asked.calls.get(*call)).sum()
}

/// Starts a cashier whose books have so many postings at a server that has the same.
fn check(count: u64) -> BenchResult<Asked> {
    let folder = tempfile::tempdir()?;
    write_files(folder.path(), &["echo"], None)?;
    let main = ServerName::read("main").ok_or("a name")?;
    stored::write(folder.path(), count, stored::PER_COMMIT, |id| {
        let deposit = Transaction { server: main.clone(), ..rows::deposit(id) };
        (vec![Change::Transaction(Box::new(deposit)), Change::Operation(Box::new(rows::credit(id)))], Vec::new())
    })?;
    let peer = TradingPeer::start(TradingKind::Http, count)?.ok_or("no server elsewhere")?;
    peer.set_up(folder.path())?;
    let server = BenchServer::start(folder, None)?;
    let waited = until_compared(server.watch)?;
    let asked = peer.asked()?;
    report(&format!("  {count} rows: {}, {waited:.1?} after the start, {:?}", in_words(&asked), asked.calls));
    Ok(asked)
}
