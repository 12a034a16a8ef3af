//! `GET /cashier/methods` against a bare warp route that answers the same bytes.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::json;

use crate::full_server::{BenchServer, CUSTOMERS, LOGIN_BASE};
use crate::http::{self, RawReply};
use crate::load::{self, Workload};
use crate::table::{FigureRow, alternate, per_second};
use crate::token::{CUSTOMER, token};
use crate::{BenchResult, Effort, bare};

/// As many as a busy front end holds open.
const CONNECTIONS: usize = 64;
const AIM: f64 = 0.75;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let server = BenchServer::open(&["echo"], None)?;
    server.configure("echo", &json!({"method": "card", "sort_index": 1}))?;
    server.configure("echo", &json!({"method": "card", "sort_index": 2, "min_amount": 10.0, "max_amount": 5000.0}))?;
    let work = Rc::new(MethodRequests { requests: requests(), next: Cell::default() });
    let first = work.next().ok_or("no request")?;
    let (status, body) = http::send_once(server.customer, &first)?;
    if status != 200 || !body.contains("\"count\":2") {
        return Err(format!("{status} {body}").into());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("methods.json");
    std::fs::write(&file, &body)?;
    let (_bare, limit) = bare::start(&["serve-bare-methods", &file.to_string_lossy()])?;
    let pair = alternate(
        effort.rounds,
        || load::throughput(server.customer, CONNECTIONS, effort.round, Rc::clone(&work)),
        || load::throughput(limit, CONNECTIONS, effort.round, Rc::clone(&work)),
    )?;
    Ok(vec![FigureRow {
        figure: "`GET /cashier/methods`, 64 connections",
        measured: per_second(pair.ours),
        limit: format!("bare warp route, same bytes: {}", per_second(pair.limit)),
        ratio: Some(pair.ratio),
        aim: "≥ 0.75",
        met: Some(pair.ratio >= AIM),
    }])
}

fn requests() -> Vec<Vec<u8>> {
    let request = |id| http::get(&format!("/cashier/methods?login={}", LOGIN_BASE + id), &token(CUSTOMER, id));
    (1..=CUSTOMERS).map(request).collect()
}

/// Every customer in turn.
struct MethodRequests {
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
}

impl Workload for MethodRequests {
    fn next(&self) -> Option<Vec<u8>> {
        let place = self.next.get();
        self.next.set(place + 1);
        self.requests.get(place % self.requests.len()).cloned()
    }

    fn is_expected(&self, reply: &RawReply<'_>) -> bool {
        reply.status == 200 && reply.has("\"count\":2")
    }
}
