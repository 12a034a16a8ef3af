//! The watch listener: liveness, readiness and metrics. It is a listener of its own, so that it need not be reachable by
//! customers and providers.

use std::sync::Arc;

use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use crate::flows::Cashier;
use crate::http::reply::Reply;
use crate::http::route::Route;

/// What the watch listener reads.
pub(super) trait Watched: Send + Sync {
    /// `Err` is the reason why no work can be taken, as one sentence.
    fn ready(&self) -> Result<(), String>;
    /// Counters in the Prometheus text format.
    fn metrics(&self) -> String;
}

const PLAIN: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A gauge of `/metrics`.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    /// `None` when it cannot be counted: the metric is left out, because a zero would be wrong.
    value: fn(&Cashier) -> Option<usize>,
}

/// Everything that `/metrics` shows.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "cashier_ledger_open",
        help: "Whether decisions can be made.",
        value: |cashier| Some(usize::from(cashier.ledger.is_open())),
    },
    Metric {
        name: "cashier_transactions",
        help: "Transactions in memory.",
        value: |cashier| cashier.ledger.peek(|books| books.transactions()).ok(),
    },
    Metric {
        name: "cashier_duties",
        help: "Transactions with unfinished work.",
        value: |cashier| cashier.ledger.peek(|books| books.unsettled().len()).ok(),
    },
];

impl Watched for Cashier {
    fn ready(&self) -> Result<(), String> {
        if self.ledger.is_open() { Ok(()) } else { Err("a commit failed: the books are being reloaded".into()) }
    }

    fn metrics(&self) -> String {
        let line = |Metric { name, help, value }: &Metric| {
            let value = value(self)?;
            Some(format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"))
        };
        METRICS.iter().filter_map(line).collect()
    }
}

type WatchHandler = fn(&dyn Watched) -> Reply;

const fn at(path: &'static str) -> Route {
    Route { listener: "watch", method: Method::GET, path }
}

pub(super) const ENDPOINTS: &[(Route, WatchHandler)] = &[
    (at("/healthz"), |_| Reply::text(200, PLAIN, "ok\n")),
    (at("/readyz"), |watched| match watched.ready() {
        Ok(()) => Reply::text(200, PLAIN, "ready\n"),
        Err(why) => Reply::text(503, PLAIN, format!("not ready: {why}\n")),
    }),
    (at("/metrics"), |watched| Reply::text(200, PROMETHEUS, watched.metrics())),
];

/// The routes of the watch listener.
pub(super) fn routes(watched: Arc<dyn Watched>) -> BoxedFilter<(Reply,)> {
    warp::method()
        .and(warp::path::full())
        .map(move |method: Method, path: FullPath| answer(&*watched, &method, path.as_str()))
        .boxed()
}

fn answer(watched: &dyn Watched, method: &Method, path: &str) -> Reply {
    let path = path.strip_suffix('/').unwrap_or(path);
    match ENDPOINTS.iter().find(|(route, _)| route.path == path) {
        None => Reply::not_found(),
        Some((route, _)) if method != route.method => Reply::method_not_allowed(&route.method),
        Some((_, handler)) => handler(watched),
    }
}
