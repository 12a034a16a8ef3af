//! Credits that are owed while the trading database cannot be written, from its return to the last of them credited.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::deposits::Deposits;
use super::stubbed::with_stub;
use super::webhooks::{Webhooks, paid};
use crate::full_server::BenchServer;
use crate::http::RawReply;
use crate::load::{self, Workload};
use crate::table::{FigureRow, median, per_second};
use crate::{BenchResult, Effort};

const OWED: usize = 2_000;
/// Credits a second.
const AIM: f64 = 1_000.0;
/// Senders of the notices; while nothing can be posted, each waits for that before it is answered.
const CLIENTS: usize = 64;
/// How often the credited deposits are counted, and for how long at most.
const COUNT_PAUSE: Duration = Duration::from_millis(10);
const DRAIN_MAX: Duration = Duration::from_secs(300);

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let (server, _stub) = with_stub()?;
    let deposits = Rc::new(Deposits::with_pages("stripe"));
    let mut rates = Vec::new();
    for round in 1..=effort.rounds {
        let notices = Rc::new(Owed(Webhooks::about(paid(&server, &deposits, OWED)?)?));
        let trading = rusqlite::Connection::open(server.bases().join("trading.db"))?;
        trading.execute_batch("BEGIN IMMEDIATE")?;
        load::exhaust(server.customer, CLIENTS, notices)?;
        trading.execute_batch("ROLLBACK")?;
        let returned = Instant::now();
        while credited(&server)? < (round * OWED) as u64 {
            if returned.elapsed() > DRAIN_MAX {
                return Err(format!("{} of {} credited in {DRAIN_MAX:?}", credited(&server)?, round * OWED).into());
            }
            std::thread::sleep(COUNT_PAUSE);
        }
        rates.push(OWED as f64 / returned.elapsed().as_secs_f64());
    }
    let rate = median(rates.into_iter());
    Ok(vec![FigureRow {
        figure: "drain rate: 2,000 credits owed when the trading server is back, to the last of them",
        measured: per_second(rate),
        limit: String::new(),
        ratio: None,
        aim: "≥ 1,000/s",
        met: Some(rate >= AIM),
    }])
}

fn credited(server: &BenchServer) -> BenchResult<u64> {
    let answer =
        server.command("MngGetCashierTransactionsByFilter", &json!({"where": [["status", "=", 3]], "limit": 1}))?;
    answer.pointer("/data/count").and_then(Value::as_u64).ok_or_else(|| format!("{answer}").into())
}

/// Notices of payments that cannot be posted yet.
struct Owed(Webhooks);

impl Workload for Owed {
    fn next(&self) -> Option<Vec<u8>> {
        self.0.next()
    }

    fn is_expected(&self, reply: &RawReply<'_>) -> bool {
        reply.status == 200 && reply.has("\"duplicate\":false")
    }
}
