//! BackOffice's lists through the listener: of events, audit records and the work list over a million transactions, three million
//! events and a million records, beside the same over a thousandth; and what such queries cost the deposits that are made meanwhile.
//! An index and kept counts answer them, so none may grow with the rows.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cashier_core::change::{AuditRecord, Body, Change};
use cashier_core::ids::{ApprovalId, ConfigId, EventId, ManagerId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::session::Role;
use cashier_core::status::{ProcessingStatus, TransactionStatus};
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;
use serde_json::{Value, json};

use super::deposits::Deposits;
use crate::full_server::BenchServer;
use crate::http::{self, Connection};
use crate::stored::{self, EVENTS_MAX};
use crate::table::{FigureRow, alternate, median, quantile};
use crate::token::{ADMIN, token};
use crate::{BenchResult, Effort, load, rows};

/// Transactions of the small database; the large one has as many that wait, and events that failed.
const FEW: u64 = 1_000;
/// Transactions under review, in both.
const WAITING: u64 = 300;
/// Transactions whose events are of another brand under the same config, in both: the oldest.
const OF_SMALL_BRAND: u64 = 20;
/// Runs of a list, the median of which counts.
const RUNS: usize = 9;
/// How much longer a list may take over the many rows than over the few.
const INDEX_AIM: f64 = 2.0;
/// How much the p99 of deposits may rise.
const DEPOSITS_AIM: f64 = 1.5;
/// Deposits per second, and queries of BackOffice beside them.
const DEPOSITS_PER_SECOND: u32 = 300;
const QUERIES_PER_SECOND: u32 = 10;
const CONNECTIONS: usize = 128;
/// Keys of deposits that no stored one has.
const NEW_KEYS: u64 = 1 << 40;

const EVENTS: &str = "MngGetCashierProviderEventsByFilter";
const RECORDS: &str = "MngGetCashierAuditByFilter";
const DUTIES: &str = "MngGetCashierDutiesByFilter";
const TRANSACTIONS: &str = "MngGetCashierTransactionsByFilter";

/// A list: its figure, its command, and its conditions as JSON.
type List = (&'static str, &'static str, &'static str);

/// `{id}` is a transaction in the middle, `{session}` its id at the provider, `{event}` one of its events' there, `{from}` and `{to}`
/// the seventeen minutes behind it.
const LISTS: [List; 20] = [
    ("events: newest page", EVENTS, "[]"),
    ("events: of a brand and provider", EVENTS, r#"[["brand","=","ion4"],["provider","=","stripe"]]"#),
    ("events: of a small brand", EVENTS, r#"[["brand","=","small"]]"#),
    ("events: of a config", EVENTS, r#"[["provider_config_id","=",1]]"#),
    ("events: of a transaction", EVENTS, r#"[["transaction_id","=",{id}]]"#),
    ("events: of a payment", EVENTS, r#"[["provider_payment_id","=","{session}"]]"#),
    ("events: of the provider's id", EVENTS, r#"[["event_id","=","{event}"]]"#),
    ("events: that failed", EVENTS, r#"[["processing_status","=",2]]"#),
    ("events: of a reason", EVENTS, r#"[["failure_reason","like","PROVIDER_REF%"]]"#),
    ("events: of some minutes", EVENTS, r#"[["created_time",">=",{from}],["created_time","<",{to}]]"#),
    ("events: one", EVENTS, r#"[["id","=",{id}]]"#),
    ("records: newest page", RECORDS, "[]"),
    ("records: of a transaction", RECORDS, r#"[["transaction_id","=",{id}]]"#),
    ("records: of a manager", RECORDS, r#"[["manager_id","=",77]]"#),
    ("records: of some minutes", RECORDS, r#"[["created_time",">=",{from}],["created_time","<",{to}]]"#),
    ("records: of a command that was refused", RECORDS, r#"[["outcome","like","refused%"]]"#),
    ("records: of a command", RECORDS, r#"[["command","=","MngRetryCashierCredit"]]"#),
    ("work list: all", DUTIES, "[]"),
    ("work list: for persons", DUTIES, r#"[["waits_for","=","person"]]"#),
    ("transactions: newest page", TRANSACTIONS, "[]"),
];

pub(crate) fn measure(effort: Effort) -> BenchResult<Vec<FigureRow>> {
    let (many, few) = (server(effort.rows)?, server(FEW)?);
    let mut figures = Vec::new();
    for (figure, command, conditions) in LISTS {
        let times = |server: &BenchServer, count| timed(server.manager, &request(command, conditions, count));
        let (mut of_many, mut of_few) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            of_many.push(times(&many, effort.rows)?);
            of_few.push(times(&few, FEW)?);
        }
        let (of_many, of_few) = (median(of_many.into_iter()), median(of_few.into_iter()));
        figures.push(FigureRow {
            figure,
            measured: format!("{of_many:.2} ms"),
            limit: format!("over a thousandth of the rows: {of_few:.2} ms"),
            ratio: Some(of_many / of_few),
            aim: "≤ 2 times",
            met: Some(of_many <= of_few * INDEX_AIM),
        });
    }
    figures.push(deposits(&many, effort)?);
    Ok(figures)
}

/// The p99 of deposits beside queries and without them, in turn.
fn deposits(server: &BenchServer, effort: Effort) -> BenchResult<FigureRow> {
    server.configure("echo", &json!({"method": "card"}))?;
    let work = Rc::new(Deposits::of("echo").beginning_at(NEW_KEYS));
    let p99 = || {
        let seen = load::open_loop(server.customer, DEPOSITS_PER_SECOND, CONNECTIONS, effort.round, Rc::clone(&work))?;
        Ok(quantile(seen.own, 0.99))
    };
    let beside = || {
        let queries = Queries::begin(server.manager, effort.rows);
        let found = p99();
        queries.end()?;
        found
    };
    let pair = alternate(effort.rounds, beside, p99)?;
    Ok(FigureRow {
        figure: "deposits' own p99 beside ten BackOffice queries a second",
        measured: format!("{:.2} ms", pair.ours / 1e3),
        limit: format!("without them: {:.2} ms", pair.limit / 1e3),
        ratio: Some(pair.ratio),
        aim: "≤ 1.5 times",
        met: Some(pair.ratio <= DEPOSITS_AIM),
    })
}

/// Managers who ask for every list in turn.
struct Queries {
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<BenchResult<()>>,
}

impl Queries {
    fn begin(manager: SocketAddr, count: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = Connection::open(manager).await?;
                let mut pace = tokio::time::interval(Duration::from_secs(1) / QUERIES_PER_SECOND);
                for (_, command, conditions) in LISTS.iter().cycle() {
                    pace.tick().await;
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let reply = connection.send(&request(command, conditions, count)).await?;
                    if reply.status != 200 {
                        return Err(format!("{command} {conditions}: {}", reply.text()).into());
                    }
                }
                Ok(())
            })
        });
        Self { is_over, thread }
    }

    fn end(self) -> BenchResult<()> {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the queries ended early")?
    }
}

/// The request for a list over so many transactions.
fn request(command: &str, conditions: &str, count: u64) -> Vec<u8> {
    let middle = rows::deposit(count / 2);
    // Records have the times of their transactions' commits.
    let from = if command == RECORDS { middle.created_time } else { event_time(count / 2 * EVENTS_MAX) };
    let to = (from.0 + 1_000).min(event_time(count * EVENTS_MAX).0);
    let conditions = conditions
        .replace("{id}", &middle.id.to_string())
        .replace("{session}", &middle.provider_payment_id)
        .replace("{event}", &rows::event_id(count / 2 * EVENTS_MAX))
        .replace("{from}", &from.0.to_string())
        .replace("{to}", &to.to_string());
    let data = format!(r#"{{"where":{conditions}}}"#);
    let token = token(ADMIN, 1);
    let message = format!(r#"{{"command":"{command}","data":{data},"__token":"{token}"}}"#);
    http::post("/manager", &[], &message)
}

/// Milliseconds until a list was answered, with rows.
fn timed(manager: SocketAddr, request: &[u8]) -> BenchResult<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(manager).await?;
        let begun = Instant::now();
        let reply = connection.send(request).await?;
        let taken = begun.elapsed().as_secs_f64() * 1e3;
        let answer: Value = serde_json::from_slice(reply.body)?;
        let rows = answer.pointer("/data/rows").and_then(Value::as_array).map_or(0, Vec::len);
        if reply.status != 200 || rows == 0 {
            return Err(format!("{} answered with {}", String::from_utf8_lossy(request), reply.text()).into());
        }
        Ok(taken)
    })
}

/// A cashier with so many credited deposits, three events and a record of each.
fn server(count: u64) -> BenchResult<BenchServer> {
    let folder = tempfile::tempdir()?;
    stored::write(folder.path(), count, 1, |id| {
        let mut changes =
            vec![Change::Transaction(Box::new(transaction(id, count))), Change::Operation(Box::new(rows::credit(id)))];
        let events = (id - 1) * EVENTS_MAX + 1..=id * EVENTS_MAX;
        changes.extend(events.map(|event| Change::Event(Box::new(provider_event(event, id, count)))));
        (changes, vec![notice(id), record(id, count)])
    })?;
    stored::post(&folder.path().join("bases"), count)?;
    BenchServer::open_in(folder, &["echo"], None)
}

/// Whether this is one of so many, spread over all.
fn is_one_of(some: u64, id: u64, count: u64) -> bool {
    let each = (count / some).max(1);
    id.is_multiple_of(each) && id / each <= some
}

fn transaction(id: u64, count: u64) -> Transaction {
    let is_waiting = is_one_of(WAITING, id, count);
    let status = if is_waiting { TransactionStatus::ManualReview } else { TransactionStatus::Credited };
    Transaction { status, ..rows::deposit(id) }
}

fn event_time(event: u64) -> UnixTime {
    UnixTime(rows::NOW.0 + event.cast_signed())
}

/// The first of a transaction's is a webhook, the others are answers to queries.
fn provider_event(event: u64, transaction: u64, count: u64) -> ProviderEvent {
    let has_failed = is_one_of(WAITING, event, count * EVENTS_MAX);
    let (processing_status, failure_reason): (_, &str) = match has_failed {
        true => (ProcessingStatus::Failed, "PROVIDER_REF_MISMATCH: of another transaction"),
        false => (ProcessingStatus::Processed, ""),
    };
    let is_webhook = event % EVENTS_MAX == 1;
    let brand = if transaction <= OF_SMALL_BRAND { "small" } else { "ion4" };
    ProviderEvent {
        id: EventId(event),
        brand: brand.into(),
        notice_id: if is_webhook { NoticeId(transaction) } else { NoticeId(0) },
        event_id: rows::event_id(event).into(),
        processing_status,
        failure_reason: failure_reason.into(),
        created_time: event_time(event),
        processed_time: event_time(event),
        ..rows::confirmation(transaction)
    }
}

fn notice(id: u64) -> Body {
    Body::Notice {
        id: NoticeId(id),
        received_time: rows::NOW,
        method: "POST".into(),
        path: "/cashier/webhook/stripe/1".into(),
        raw_query: Box::default(),
        headers_json: r#"[["content-type","application/json"],["stripe-signature","***"]]"#.into(),
        sha256: [7; 32],
        body: format!(r#"{{"id":"{}","type":"checkout.session.completed"}}"#, rows::event_id(id)).into_bytes().into(),
    }
}

/// A manager has ten of them, and one in a thousand was refused.
fn record(id: u64, count: u64) -> Body {
    let is_refused = is_one_of(FEW / 10, id, count);
    Body::Audit(Box::new(AuditRecord {
        manager_id: ManagerId(id % (count / 10).max(1) + 1),
        role: Role::Manager,
        brand: "ion4".into(),
        address: "192.0.2.77".into(),
        command: "MngRetryCashierCredit".into(),
        config_id: ConfigId(0),
        transaction_id: TransactionId(id),
        approval: ApprovalId(0),
        outcome: if is_refused { "refused: WRONG_STATUS" } else { "saved" }.into(),
        changes: Vec::new(),
    }))
}
