//! The HTTP listeners: one file per endpoint, the sessions, the query strings, the accept loop. They read requests, call a
//! flow and write its answer; they decide nothing about money. `StatusCode` is used here and nowhere deeper.

mod accept;
pub mod answering;
pub mod client_address;
mod connection_counts;
pub mod connection_limits;
mod connection_order;
mod connections;
mod cross_origin;
mod customer_context;
mod customers;
mod deposit;
mod idempotency_key;
mod known_addresses;
mod managers;
mod methods;
mod observed_stream;
mod open_connections;
pub mod openapi;
mod parser_refusals;
mod phase;
mod piece_stream;
mod proxy_hints;
mod query;
pub mod reply;
mod request;
mod route;
mod sender;
mod sending;
pub mod serve;
pub mod session;
mod stall;
pub mod starting;
pub mod switched_routes;
pub mod tls;
mod transactions;
mod watch;
mod webhook;
mod withdrawal;

#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::flows::Cashier;
use crate::http::customer_context::CustomerContext;
use crate::http::reply::Reply;
use crate::http::session::SessionKeys;

pub use route::Route;
pub use watch::{AUDIT_METRICS, CONNECTION_METRICS, METRICS, Metric, TRADING_METRICS};

/// Every route of the three listeners.
pub fn routes() -> impl Iterator<Item = Route> {
    let customer = customers::ENDPOINTS.iter().map(|(route, _)| route);
    let watch = watch::ENDPOINTS.iter().map(|(route, _)| route);
    customer.cloned().chain([managers::ROUTE, managers::DESCRIPTION]).chain(watch.cloned())
}

/// Everything under `/cashier`, for customers and providers, and for pages of these origins.
pub fn customer_routes(
    cashier: &Arc<Cashier>,
    keys: &Arc<SessionKeys>,
    origins: &[Box<str>],
) -> BoxedFilter<(Response,)> {
    let context = CustomerContext { cashier: Arc::clone(cashier), keys: Arc::clone(keys) };
    customers::routes(Arc::new(context), origins)
}

/// `POST /manager`, for BackOffice.
pub fn manager_routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Reply,)> {
    managers::routes(cashier, keys)
}

/// `/healthz`, `/readyz` and `/metrics`, for load balancers and collectors of metrics; `stopping` says that
/// no more work should be sent.
pub fn watch_routes(
    cashier: &Arc<Cashier>,
    keys: &Arc<SessionKeys>,
    stopping: &Arc<AtomicBool>,
) -> BoxedFilter<(Reply,)> {
    watch::routes(Arc::clone(cashier), Arc::clone(keys), Arc::clone(stopping))
}
