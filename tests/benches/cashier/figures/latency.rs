//! The cashier's own latency at a steady rate: what a customer waits for in addition to the provider.

use std::rc::Rc;
use std::time::Instant;

use serde_json::json;

use super::deposits::Deposits;
use crate::full_server::BenchServer;
use crate::load;
use crate::table::{FigureRow, quantile};
use crate::{BenchResult, Effort};

/// Deposits per second.
const RATE: u32 = 1_000;
/// More than are ever in flight at this rate: an answer would have to take a quarter of a second.
const CONNECTIONS: usize = 256;
/// Microseconds.
const P50_AIM: f64 = 1_000.0;
const P99_AIM: f64 = 5_000.0;
/// Syncs measured for the limit.
const SYNCS: usize = 500;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let server = BenchServer::open(&["echo"], None)?;
    server.configure("echo", &json!({"method": "card"}))?;
    let work = Rc::new(Deposits::of("echo"));
    let syncs = syncs()?;
    let seen = load::open_loop(server.customer, RATE, CONNECTIONS, effort.round * 3, work)?;
    let (p50, p99) = (quantile(seen.own.clone(), 0.5), quantile(seen.own, 0.99));
    let (seen_p50, seen_p99) = (quantile(seen.seen.clone(), 0.5), quantile(seen.seen, 0.99));
    let (sync_p50, sync_p99) = (quantile(syncs.clone(), 0.5), quantile(syncs, 0.99));
    Ok(vec![FigureRow {
        figure: "own latency at 1,000 deposits/s, open loop",
        measured: format!("p50 {}, p99 {} (client: p50 {}, p99 {})", ms(p50), ms(p99), ms(seen_p50), ms(seen_p99)),
        limit: format!("the two syncs it awaits, alone: p50 {}, p99 {}", ms(sync_p50), ms(sync_p99)),
        ratio: None,
        aim: "p50 ≤ 1 ms, p99 ≤ 5 ms",
        met: Some(p50 <= P50_AIM && p99 <= P99_AIM),
    }])
}

/// Two appends with a sync each, in microseconds: the disk's share of a deposit.
fn syncs() -> BenchResult<Vec<f64>> {
    use std::io::Write;
    let mut file = tempfile::tempfile()?;
    let page = [7_u8; 8192];
    let mut seen = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        for _ in 0..2 {
            file.write_all(&page)?;
            file.sync_data()?;
        }
        seen.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(seen)
}

fn ms(micros: f64) -> String {
    format!("{:.2} ms", micros / 1000.0)
}
