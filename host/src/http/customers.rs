//! The customer listener: every path under `/cashier` with the one method it takes. What each does is in its own file.

use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;
use futures_util::future::BoxFuture;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::flows::Cashier;
use crate::http::Route;
use crate::http::reply::Answer;
use crate::http::request::{Request, request};
use crate::http::session::SessionKeys;
use crate::http::{deposit, methods, transactions, webhook, withdrawal};

/// Bytes of a JSON body: 16 KiB of metadata with every letter escaped take 96 KiB, the other fields less than 8 KiB.
pub(super) const JSON_LENGTH_MAX: usize = 128 * 1024;

/// What the endpoints of this listener need.
pub(super) struct Customers {
    pub(super) cashier: Arc<Cashier>,
    pub(super) keys: Arc<SessionKeys>,
}

impl Customers {
    /// Who asks; the refusal is the published 403.
    pub(super) fn session(&self, request: &Request) -> Result<CustomerSession, Refusal> {
        self.keys.customer(request.authorization(), self.cashier.clock.now())
    }
}

/// The routes of the customer listener.
pub(super) fn routes(customers: Arc<Customers>) -> BoxedFilter<(Answer,)> {
    warp::path("cashier")
        .and(request())
        .then(move |request| {
            let customers = Arc::clone(&customers);
            async move { answer(&customers, request).await }
        })
        .or(warp::any().map(Answer::not_found))
        .unify()
        .boxed()
}

type Handler = for<'a> fn(&'a Customers, Request, &[&'a str]) -> BoxFuture<'a, Result<Answer, Refusal>>;

const fn at(method: Method, path: &'static str) -> Route {
    Route { listener: "customer", method, path }
}

/// What each path does. The handler gets the values of the path's parameters.
pub(super) const ENDPOINTS: &[(Route, Handler)] = &[
    (at(Method::GET, "/cashier/methods"), |to, request, _| Box::pin(methods::answer(to, request))),
    (at(Method::POST, "/cashier/deposit"), |to, request, _| Box::pin(deposit::answer(to, request))),
    (at(Method::POST, "/cashier/withdrawal"), |to, request, _| Box::pin(withdrawal::answer(to, request))),
    (at(Method::GET, "/cashier/transactions"), |to, request, _| Box::pin(transactions::answer(to, request))),
    (at(Method::POST, "/cashier/webhook/{provider}"), webhook),
    (at(Method::POST, "/cashier/webhook/{provider}/{provider_config_id}"), webhook),
];

fn webhook<'a>(to: &'a Customers, request: Request, of: &[&'a str]) -> BoxFuture<'a, Result<Answer, Refusal>> {
    let (provider, config) = (of.first().copied().unwrap_or_default(), of.get(1).copied());
    Box::pin(webhook::answer(to, request, provider, config))
}

async fn answer(customers: &Customers, request: Request) -> Answer {
    let path = request.path.clone();
    let found = ENDPOINTS.iter().find_map(|(route, handler)| Some((route, handler, route.parameters(&path)?)));
    match found {
        None => Answer::not_found(),
        Some((route, _, _)) if request.method != route.method => Answer::method_not_allowed(&route.method),
        Some((_, handler, parameters)) => handler(customers, request, &parameters).await.into(),
    }
}

#[cfg(test)]
mod tests;
