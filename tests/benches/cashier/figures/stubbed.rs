//! Deposits through the stripe module and a provider stub on this machine, against the yardstick's two commits.

use std::rc::Rc;

use serde_json::{Value, json};

use super::deposits::Deposits;
use crate::full_server::{BenchServer, ChildProgram};
use crate::load;
use crate::postgres::{CREATE, Postgres};
use crate::table::{FigureRow, alternate, per_second};
use crate::{BenchResult, Effort, bare};

/// The yardstick's own number of clients.
pub(crate) const CLIENTS: usize = 16;
const AIM: f64 = 2.0;
const FIGURE: &str = "deposits through a provider stub, 16 clients";

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let Some(postgres) = Postgres::start()? else {
        return Ok(vec![FigureRow::skipped(FIGURE, "≥ 2", "no postgresql")]);
    };
    let (server, _stub) = with_stub()?;
    let work = Rc::new(Deposits::of("stripe"));
    let pair = alternate(
        effort.rounds,
        || load::throughput(server.customer, CLIENTS, effort.round, Rc::clone(&work)),
        || postgres.rate(CREATE, CLIENTS, effort.round),
    )?;
    Ok(vec![FigureRow {
        figure: FIGURE,
        measured: per_second(pair.ours),
        limit: format!("PostgreSQL 15, create.sql: {}", per_second(pair.limit)),
        ratio: Some(pair.ratio),
        aim: "≥ 2",
        met: Some(pair.ratio >= AIM),
    }])
}

/// A cashier whose stripe config uses a stub; both end with their owner.
pub(crate) fn with_stub() -> BenchResult<(BenchServer, ChildProgram)> {
    let (stub, address) = bare::start(&["serve-stub"])?;
    let server = BenchServer::open(&["stripe"], Some(address))?;
    server.configure("stripe", &config(&json!({"api_base": format!("http://{address}")})))?;
    Ok((server, stub))
}

fn config(settings: &Value) -> Value {
    json!({"method": "card", "secret_key": "sk_test_bench", "settings_json": settings.to_string()})
}
