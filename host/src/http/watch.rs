//! The watching listener: is the process alive, may it take work, and what do its counters say. It has a listener of its
//! own, because neither customers nor providers have a use for it.

use std::sync::Arc;

use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use crate::flows::Cashier;
use crate::http::Route;
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

/// A gauge of `/metrics`.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    /// `None` where it cannot be counted: the line is left out, because a zero would be wrong.
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
        help: "Transactions with something left to do.",
        value: |cashier| cashier.ledger.peek(|books| books.unsettled().len()).ok(),
    },
];

impl Watched for Cashier {
    fn ready(&self) -> Result<(), String> {
        if self.ledger.is_open() { Ok(()) } else { Err("a commit failed: the books are being loaded anew".into()) }
    }

    fn metrics(&self) -> String {
        let line = |Metric { name, help, value }: &Metric| {
            let value = value(self)?;
            Some(format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"))
        };
        METRICS.iter().filter_map(line).collect()
    }
}

type Page = fn(&dyn Watched) -> Answer;

const fn at(path: &'static str) -> Route {
    Route { listener: "watch", method: Method::GET, path }
}

pub(super) const PAGES: &[(Route, Page)] = &[
    (at("/healthz"), |_| Answer::text(200, PLAIN, "ok\n")),
    (at("/readyz"), |watched| match watched.ready() {
        Ok(()) => Answer::text(200, PLAIN, "ready\n"),
        Err(why) => Answer::text(503, PLAIN, format!("not ready: {why}\n")),
    }),
    (at("/metrics"), |watched| Answer::text(200, PROMETHEUS, watched.metrics())),
];

/// The routes of the watch listener.
pub(super) fn routes(watched: Arc<dyn Watched>) -> BoxedFilter<(Answer,)> {
    warp::method()
        .and(warp::path::full())
        .map(move |method: Method, path: FullPath| answer(&*watched, &method, path.as_str()))
        .boxed()
}

fn answer(watched: &dyn Watched, method: &Method, path: &str) -> Answer {
    let path = path.strip_suffix('/').unwrap_or(path);
    match PAGES.iter().find(|(route, _)| route.path == path) {
        None => Answer::not_found(),
        Some((route, _)) if method != route.method => Answer::method_not_allowed(&route.method),
        Some((_, page)) => page(watched),
    }
}
