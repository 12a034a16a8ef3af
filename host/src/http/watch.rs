//! The watching listener: is the process alive, may it take work, and what do its counters say. It has a listener of its
//! own, because neither customers nor providers have a use for it.

use std::sync::Arc;

use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::flows::Cashier;
use crate::http::reply::Answer;

/// What the watching listener asks.
pub(super) trait Watched: Send + Sync {
    /// `Err` says in one sentence why no work can be taken.
    fn ready(&self) -> Result<(), String>;
    /// Counters in the Prometheus text format.
    fn metrics(&self) -> String;
}

const PLAIN: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Watched for Cashier {
    fn ready(&self) -> Result<(), String> {
        if self.ledger.is_open() { Ok(()) } else { Err("a commit failed: the books are being loaded anew".into()) }
    }

    fn metrics(&self) -> String {
        let open = u8::from(self.ledger.is_open());
        let opened = format!(
            "# HELP cashier_ledger_open Whether decisions can be made.\n# TYPE cashier_ledger_open gauge\n\
             cashier_ledger_open {open}\n"
        );
        // What cannot be counted is left out: a zero would be a lie.
        let counted = self.ledger.peek(|books| (books.transactions(), books.unsettled().len()));
        let Ok((transactions, duties)) = counted else { return opened };
        format!(
            "{opened}\
             # HELP cashier_transactions Transactions in memory.\n# TYPE cashier_transactions gauge\n\
             cashier_transactions {transactions}\n\
             # HELP cashier_duties Transactions with something left to do.\n# TYPE cashier_duties gauge\n\
             cashier_duties {duties}\n"
        )
    }
}

/// `GET /healthz`, `/readyz` and `/metrics`.
pub(super) fn routes(watched: Arc<dyn Watched>) -> BoxedFilter<(Answer,)> {
    warp::method()
        .and(warp::path::param::<String>())
        .and(warp::path::end())
        .map(move |method: Method, page: String| answer(&*watched, &method, &page))
        .or(warp::any().map(Answer::not_found))
        .unify()
        .boxed()
}

fn answer(watched: &dyn Watched, method: &Method, page: &str) -> Answer {
    let page: fn(&dyn Watched) -> Answer = match page {
        "healthz" => |_| Answer::text(200, PLAIN, "ok\n"),
        "readyz" => |watched| match watched.ready() {
            Ok(()) => Answer::text(200, PLAIN, "ready\n"),
            Err(why) => Answer::text(503, PLAIN, format!("not ready: {why}\n")),
        },
        "metrics" => |watched| Answer::text(200, PROMETHEUS, watched.metrics()),
        _ => return Answer::not_found(),
    };
    if method == Method::GET { page(watched) } else { Answer::method_not_allowed(&Method::GET) }
}
