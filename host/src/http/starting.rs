//! What the listeners answer while the cashier starts: that it lives and how far it has come, and 503 to everyone who wants
//! something of it. A request that comes during a start begins nothing.

use std::sync::Arc;

use cashier_core::refusal::{Refusal, RefusalCode};
use futures_util::future::BoxFuture;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::http::reply::Reply;
use crate::http::request::{BodyLimits, Request, request};
use crate::http::watch::{self, Metric, Page};
use crate::http::{cross_origin, customers, managers, openapi, webhook};
use crate::manager::MESSAGE_LENGTH_MAX;
use crate::ports::{Clock, StartProgress};
use crate::wire::envelope;

fn starting() -> Refusal {
    Refusal::new(RefusalCode::StorageUnavailable, "the cashier is starting, try again shortly")
}

/// What every path of the customer listener answers.
pub fn customer_routes(clock: Arc<dyn Clock>, origins: &[Box<str>]) -> BoxedFilter<(Response,)> {
    cross_origin::allowing(answered_by(clock, |clock, request| Box::pin(customer(clock, request))), origins)
}

/// What every message to the manager listener is answered.
pub fn manager_routes(clock: Arc<dyn Clock>) -> BoxedFilter<(Reply,)> {
    answered_by(clock, |clock, request| Box::pin(manager(clock, request)))
}

type StartHandler = fn(Arc<dyn Clock>, Request) -> BoxFuture<'static, Reply>;

fn answered_by(clock: Arc<dyn Clock>, handler: StartHandler) -> BoxedFilter<(Reply,)> {
    request().then(move |request| handler(Arc::clone(&clock), request)).boxed()
}

async fn customer(clock: Arc<dyn Clock>, mut request: Request) -> Reply {
    if let Err(refused) = customers::found(&request.method, &request.path) {
        return refused;
    }
    if *request.path == *openapi::PATH {
        return openapi::reply("customer", &request.method);
    }
    // A connection whose request was not read whole is closed, and its client might never see the answer.
    match request.read_body(BodyLimits::of_anybody(webhook::NOTICE_LENGTH_MAX), &*clock).await {
        Ok(_) => Reply::refused(&starting()),
        Err(refusal) => Reply::refused(&refusal),
    }
}

async fn manager(clock: Arc<dyn Clock>, mut request: Request) -> Reply {
    if request.path.strip_suffix('/').unwrap_or(&request.path) == openapi::PATH {
        return openapi::reply("manager", &request.method);
    }
    if request.path.strip_suffix('/').unwrap_or(&request.path) != managers::ROUTE.path {
        return Reply::not_found();
    }
    if !managers::ROUTE.takes(&request.method) {
        return Reply::method_not_allowed(managers::ROUTE.allowed());
    }
    let message = request.read_body(BodyLimits::of_anybody(MESSAGE_LENGTH_MAX), &*clock).await;
    let (ext_id, refusal) = match message.map(|message| envelope::read(&message)) {
        Ok(Ok(mut envelope)) => (envelope.ext_id.take(), starting()),
        Ok(Err((ext_id, refusal))) => (ext_id, refusal),
        Err(refusal) => (None, refusal),
    };
    let (number, message) = envelope::write(ext_id, Err(refusal));
    Reply::json(number, message)
}

/// The routes of the watch listener.
pub fn watch_routes(progress: Arc<StartProgress>) -> BoxedFilter<(Reply,)> {
    watch::answered_by(move |page, _| page_of(&progress, page))
}

fn page_of(progress: &StartProgress, page: Page) -> Reply {
    let phase = progress.phase();
    match page {
        Page::Liveness => watch::plain(200, format!("ok\n{phase}\n")),
        Page::Readiness => watch::plain(503, format!("not ready: the cashier is starting: {phase}\n")),
        Page::Metrics => watch::metrics(progress, METRICS),
        Page::Description => openapi::reply("watch", &Method::GET),
    }
}

/// Everything that `/metrics` shows during a start.
pub const METRICS: &[Metric<StartProgress>] = &[
    Metric { name: "cashier_ledger_open", help: "Whether decisions can be made.", value: |_| Some(0) },
    Metric {
        name: "cashier_loaded_rows",
        help: "Rows that a start has loaded; shown while it loads.",
        value: |progress| usize::try_from(progress.rows()?.0).ok(),
    },
    Metric {
        name: "cashier_stored_rows",
        help: "Rows that a start has to load; shown while it loads.",
        value: |progress| usize::try_from(progress.rows()?.1).ok(),
    },
];

#[cfg(test)]
mod tests;
