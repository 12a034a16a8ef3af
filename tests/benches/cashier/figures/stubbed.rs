//! Deposits through the stripe module and a provider stub on this machine, against the yardstick's two commits.

use std::rc::Rc;

use serde_json::{Value, json};

use super::deposits::Deposits;
use crate::full_server::{House, Program};
use crate::load;
use crate::postgres::{CREATE, Postgres};
use crate::table::{Line, alternate, per_second};
use crate::{Effort, Outcome, bare};

/// The yardstick's own number of clients.
pub(crate) const CLIENTS: usize = 16;
const AIM: f64 = 2.0;
const FIGURE: &str = "deposits through a provider stub, 16 clients";

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Line>> {
    let Some(postgres) = Postgres::start()? else { return Ok(vec![Line::skipped(FIGURE, "≥ 2", "no postgresql")]) };
    let (house, _stub) = with_stub()?;
    let work = Rc::new(Deposits::of("stripe"));
    let pair = alternate(
        effort.rounds,
        || load::throughput(house.customer, CLIENTS, effort.stretch, Rc::clone(&work)),
        || postgres.rate(CREATE, effort.stretch),
    )?;
    Ok(vec![Line {
        figure: FIGURE,
        measured: per_second(pair.ours),
        limit: format!("PostgreSQL 15, create.sql: {}", per_second(pair.limit)),
        ratio: Some(pair.ratio),
        aim: "≥ 2",
        met: Some(pair.ratio >= AIM),
    }])
}

/// A house whose stripe config talks to a stub; both end with their owner.
pub(crate) fn with_stub() -> Outcome<(House, Program)> {
    let (stub, address) = bare::start(&["serve-stub"])?;
    let house = House::open(&["stripe"], Some(address))?;
    house.configure("stripe", &config(&json!({"api_base": format!("http://{address}")})))?;
    Ok((house, stub))
}

fn config(settings: &Value) -> Value {
    json!({"method": "card", "secret_key": "sk_test_bench", "settings_json": settings.to_string()})
}
