//! Deposits with a module that answers without network, against a bare warp POST that awaits two raw strand commits.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::full_server::{BenchServer, CUSTOMERS, LOGIN_BASE};
use crate::http::{self, RawReply};
use crate::load::{self, Workload};
use crate::table::{FigureRow, alternate, per_second};
use crate::token::{CUSTOMER, token};
use crate::{BenchResult, Effort, bare};

const CONNECTIONS: usize = 64;
const AIM: f64 = 0.7;

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let server = BenchServer::open(&["echo"], None)?;
    server.configure("echo", &json!({"method": "card"}))?;
    let work = Rc::new(Deposits::of("echo"));
    let first = work.next().ok_or("no request")?;
    let (status, body) = http::send_once(server.customer, &first)?;
    if status != 200 {
        return Err(format!("{status} {body}").into());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("deposit.json");
    std::fs::write(&file, &body)?;
    let strand = folder.path().to_string_lossy();
    let (_bare, limit) = bare::start(&["serve-bare-deposits", &strand, &file.to_string_lossy()])?;
    let pair = alternate(
        effort.rounds,
        || load::throughput(server.customer, CONNECTIONS, effort.round, Rc::clone(&work)),
        || load::throughput(limit, CONNECTIONS, effort.round, Rc::clone(&work)),
    )?;
    Ok(vec![FigureRow {
        figure: "deposits, module without network, 64 connections",
        measured: per_second(pair.ours),
        limit: format!("bare warp POST with two raw strand commits: {}", per_second(pair.limit)),
        ratio: Some(pair.ratio),
        aim: "≥ 0.7",
        met: Some(pair.ratio >= AIM),
    }])
}

/// Deposits of every customer in turn, each with its own idempotency key.
pub(crate) struct Deposits {
    provider: &'static str,
    tokens: Vec<String>,
    made: Cell<u64>,
    /// The most that are made.
    most: Cell<u64>,
    /// Payment pages of the answers, where they are collected.
    pages: Option<RefCell<Vec<String>>>,
}

impl Deposits {
    pub(crate) fn of(provider: &'static str) -> Self {
        let tokens = (1..=CUSTOMERS).map(|id| token(CUSTOMER, id)).collect();
        Self { provider, tokens, made: Cell::new(0), most: Cell::new(u64::MAX), pages: None }
    }

    /// The same, collecting the payment pages of the answers.
    pub(crate) fn with_pages(provider: &'static str) -> Self {
        Self { pages: Some(RefCell::default()), ..Self::of(provider) }
    }

    /// The same with keys from this number on, where deposits with lower ones exist.
    pub(crate) fn beginning_at(self, made: u64) -> Self {
        self.made.set(made);
        self
    }

    /// Allows this many more.
    pub(crate) fn allow(&self, more: usize) {
        self.most.set(self.made.get() + more as u64);
    }

    /// The provider's session ids of the payment pages collected so far, which must be so many.
    pub(crate) fn take_sessions(&self, count: usize) -> BenchResult<Vec<String>> {
        let pages = self.pages.as_ref().map(RefCell::take).unwrap_or_default();
        let sessions: Vec<String> = pages.iter().filter_map(|page| Some(page.rsplit_once('/')?.1.to_owned())).collect();
        if sessions.len() == count {
            Ok(sessions)
        } else {
            Err(format!("{} sessions of {count}", sessions.len()).into())
        }
    }
}

impl Workload for Deposits {
    fn next(&self) -> Option<Vec<u8>> {
        let made = self.made.get();
        if made >= self.most.get() {
            return None;
        }
        self.made.set(made + 1);
        let customer = made % CUSTOMERS;
        let token = self.tokens.get(usize::try_from(customer).ok()?)?;
        let body = format!(
            r#"{{"login":{},"provider":"{}","method":"card","amount":250.0,"currency":"USD","idempotency_key":"0198c0f3-5f0e-7d4b-9b0f-{made:012x}","success_url":"https://ion4.example/deposit/done","failure_url":"https://ion4.example/deposit/failed"}}"#,
            LOGIN_BASE + customer + 1,
            self.provider,
        );
        Some(http::post("/cashier/deposit", &[("authorization", &format!("Bearer {token}"))], &body))
    }

    fn is_expected(&self, reply: &RawReply<'_>) -> bool {
        let expected = reply.status == 200 && reply.has("\"next_action\":\"REDIRECT\"");
        if let Some(pages) = self.pages.as_ref().filter(|_| expected) {
            let page = serde_json::from_slice::<Value>(reply.body)
                .ok()
                .and_then(|answer| Some(answer.pointer("/redirect_url")?.as_str()?.to_owned()));
            pages.borrow_mut().extend(page);
        }
        expected
    }
}
