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

use http::Method;
use warp::filters::BoxedFilter;

use crate::flows::Cashier;
use crate::http::customers::Customers;
use crate::http::reply::Answer;
use crate::http::session::SessionKeys;
use crate::manager::Desk;

pub use watch::{METRICS, Metric};

/// A path with the one method it takes. Other methods on it are answered 405.
#[derive(Debug, Clone)]
pub struct Route {
    /// `customer`, `manager` or `watch`.
    pub listener: &'static str,
    pub method: Method,
    /// A segment in braces is a parameter.
    pub path: &'static str,
}

impl Route {
    /// The values of the parameters of `path`, if the path is this route's.
    fn parameters<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let (mut parameters, mut segments) = (Vec::new(), path.split('/'));
        for expected in self.path.split('/') {
            let segment = segments.next()?;
            if expected.starts_with('{') {
                parameters.push(segment);
            } else if expected != segment {
                return None;
            }
        }
        segments.next().is_none().then_some(parameters)
    }
}

/// Every route of the three listeners.
pub fn routes() -> impl Iterator<Item = Route> {
    let customer = customers::ENDPOINTS.iter().map(|(route, _)| route);
    let watch = watch::PAGES.iter().map(|(route, _)| route);
    customer.chain([&managers::ROUTE]).chain(watch).cloned()
}

/// Everything under `/cashier`, for customers and providers.
pub fn customer_routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Answer,)> {
    customers::routes(Arc::new(Customers { cashier: Arc::clone(cashier), keys: Arc::clone(keys) }))
}

/// `POST /manager`, for BackOffice.
pub fn manager_routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Answer,)> {
    managers::routes(Arc::new(Desk { cashier: Arc::clone(cashier), tokens: Arc::clone(keys) as _ }))
}

/// `/healthz`, `/readyz` and `/metrics`, for the operator's monitoring.
pub fn watch_routes(cashier: &Arc<Cashier>) -> BoxedFilter<(Answer,)> {
    watch::routes(Arc::clone(cashier) as _)
}
