//! `GET /cashier/methods` against a bare warp route that answers the same bytes.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::json;

use crate::full_server::{CUSTOMERS, House, LOGIN_BASE};
use crate::http::{self, Reply};
use crate::load::{self, Work};
use crate::table::{Line, alternate, per_second};
use crate::token::{CUSTOMER, token};
use crate::{Effort, Outcome, bare};

/// As many as a busy front end keeps open.
const CONNECTIONS: usize = 64;
const AIM: f64 = 0.75;

pub(crate) fn measure(effort: Effort) -> Outcome<Vec<Line>> {
    let house = House::open(&["echo"], None)?;
    house.configure("echo", &json!({"method": "card", "sort_index": 1}))?;
    house.configure("echo", &json!({"method": "card", "sort_index": 2, "min_amount": 10.0, "max_amount": 5000.0}))?;
    let work = Rc::new(Asking { requests: requests(), next: Cell::default() });
    let first = work.next().ok_or("no request")?;
    let (status, body) = http::ask_once(house.customer, &first)?;
    if status != 200 || !body.contains("\"count\":2") {
        return Err(format!("{status} {body}").into());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("methods.json");
    std::fs::write(&file, &body)?;
    let (_bare, limit) = bare::start(&["serve-bare-methods", &file.to_string_lossy()])?;
    let pair = alternate(
        effort.rounds,
        || load::throughput(house.customer, CONNECTIONS, effort.stretch, Rc::clone(&work)),
        || load::throughput(limit, CONNECTIONS, effort.stretch, Rc::clone(&work)),
    )?;
    Ok(vec![Line {
        figure: "`GET /cashier/methods`, 64 connections",
        measured: per_second(pair.ours),
        limit: format!("bare warp route, same bytes: {}", per_second(pair.limit)),
        ratio: Some(pair.ratio),
        aim: "≥ 0.75",
        met: Some(pair.ratio >= AIM),
    }])
}

fn requests() -> Vec<Vec<u8>> {
    let ask = |id| http::get(&format!("/cashier/methods?login={}", LOGIN_BASE + id), &token(CUSTOMER, id));
    (1..=CUSTOMERS).map(ask).collect()
}

/// Every customer in turn.
struct Asking {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
}

impl Work for Asking {
    fn next(&self) -> Option<Vec<u8>> {
        let place = self.next.get();
        self.next.set(place + 1);
        self.requests.get(place % self.requests.len()).cloned()
    }

    fn right(&self, reply: &Reply<'_>) -> bool {
        reply.status == 200 && reply.has("\"count\":2")
    }
}
