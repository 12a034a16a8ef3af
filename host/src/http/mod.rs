//! The HTTP listeners: one file per endpoint, the sessions, the query strings, the accept loop. They read requests, call a
//! flow and write its answer; they decide nothing about money. `StatusCode` is spoken here and nowhere deeper.

mod customers;
mod deposit;
mod managers;
mod methods;
mod query;
pub mod reply;
mod request;
pub mod serve;
pub mod session;
mod stall;
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
use crate::http::customers::Customers;
use crate::http::reply::Answer;
use crate::http::session::SessionKeys;
use crate::manager::Desk;

/// Everything under `/cashier`, for customers and providers.
pub fn customer_routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Answer,)> {
    customers::routes(Arc::new(Customers { cashier: Arc::clone(cashier), keys: Arc::clone(keys) }))
}

/// `POST /manager`, for BackOffice.
pub fn manager_routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Answer,)> {
    managers::routes(Arc::new(Desk { cashier: Arc::clone(cashier), tokens: Arc::clone(keys) as _ }))
}

/// `/healthz`, `/readyz` and `/metrics`, for whoever watches the server.
pub fn watch_routes(cashier: &Arc<Cashier>) -> BoxedFilter<(Answer,)> {
    watch::routes(Arc::clone(cashier) as _)
}
