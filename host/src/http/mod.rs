//! The HTTP listeners: one file per endpoint, the sessions, the query strings, the accept loop. They read requests, call a
//! flow and write its answer; they decide nothing about money. `StatusCode` is used here and nowhere deeper.

mod customer_context;
mod customers;
mod deposit;
mod managers;
mod methods;
mod query;
pub mod reply;
mod request;
mod route;
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

use warp::filters::BoxedFilter;

use crate::flows::Cashier;
use crate::http::customer_context::CustomerContext;
use crate::http::reply::Reply;
use crate::http::session::SessionKeys;
use crate::manager::ManagerContext;

pub use route::Route;
pub use watch::{METRICS, Metric};

/// Every route of the three listeners.
pub fn routes() -> impl Iterator<Item = Route> {
    let customer = customers::ENDPOINTS.iter().map(|(route, _)| route);
    let watch = watch::ENDPOINTS.iter().map(|(route, _)| route);
    customer.chain([&managers::ROUTE]).chain(watch).cloned()
}

/// Everything under `/cashier`, for customers and providers.
pub fn customer_routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Reply,)> {
    customers::routes(Arc::new(CustomerContext { cashier: Arc::clone(cashier), keys: Arc::clone(keys) }))
}

/// `POST /manager`, for BackOffice.
pub fn manager_routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Reply,)> {
    managers::routes(Arc::new(ManagerContext { cashier: Arc::clone(cashier), tokens: Arc::clone(keys) as _ }))
}

/// `/healthz`, `/readyz` and `/metrics`, for load balancers and collectors of metrics.
pub fn watch_routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Reply,)> {
    watch::routes(Arc::clone(cashier), Arc::clone(keys))
}
