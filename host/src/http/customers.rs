//! The customer door: every path under `/cashier` with the one method it takes. What each does is in its own file.

use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::CustomerSession;
use futures_util::future::BoxFuture;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::flows::House;
use crate::http::Route;
use crate::http::asked::{Asked, asked};
use crate::http::reply::Answer;
use crate::http::session::SessionKeys;
use crate::http::{deposit, methods, transactions, webhook, withdrawal};

/// Bytes of a JSON body: 16 KiB of metadata with every letter escaped take 96 KiB, the other fields less than 8 KiB.
pub(super) const JSON_LENGTH_MAX: usize = 128 * 1024;

/// What the endpoints of this door need.
pub(super) struct Customers {
    pub(super) house: Arc<House>,
    pub(super) keys: Arc<SessionKeys>,
}

impl Customers {
    /// Who asks; the refusal is the published 403.
    pub(super) fn session(&self, asked: &Asked) -> Result<CustomerSession, Refusal> {
        self.keys.customer(asked.authorization(), self.house.clock.now())
    }
}

/// The routes of the customer door.
pub(super) fn routes(customers: Arc<Customers>) -> BoxedFilter<(Answer,)> {
    warp::path("cashier")
        .and(asked())
        .then(move |asked| {
            let customers = Arc::clone(&customers);
            async move { answer(&customers, asked).await }
        })
        .or(warp::any().map(Answer::not_found))
        .unify()
        .boxed()
}

type Handler = for<'a> fn(&'a Customers, Asked, &[&'a str]) -> BoxFuture<'a, Result<Answer, Refusal>>;

const fn at(method: Method, path: &'static str) -> Route {
    Route { listener: "customer", method, path }
}

/// What each path does. The handler gets the values of the path's parameters.
pub(super) const ENDPOINTS: &[(Route, Handler)] = &[
    (at(Method::GET, "/cashier/methods"), |to, asked, _| Box::pin(methods::answer(to, asked))),
    (at(Method::POST, "/cashier/deposit"), |to, asked, _| Box::pin(deposit::answer(to, asked))),
    (at(Method::POST, "/cashier/withdrawal"), |to, asked, _| Box::pin(withdrawal::answer(to, asked))),
    (at(Method::GET, "/cashier/transactions"), |to, asked, _| Box::pin(transactions::answer(to, asked))),
    (at(Method::POST, "/cashier/webhook/{provider}"), webhook),
    (at(Method::POST, "/cashier/webhook/{provider}/{provider_config_id}"), webhook),
];

fn webhook<'a>(to: &'a Customers, asked: Asked, of: &[&'a str]) -> BoxFuture<'a, Result<Answer, Refusal>> {
    let (provider, config) = (of.first().copied().unwrap_or_default(), of.get(1).copied());
    Box::pin(webhook::answer(to, asked, provider, config))
}

async fn answer(customers: &Customers, asked: Asked) -> Answer {
    let path = asked.path.clone();
    let found = ENDPOINTS.iter().find_map(|(route, handler)| Some((route, handler, route.parameters(&path)?)));
    match found {
        None => Answer::not_found(),
        Some((route, _, _)) if asked.method != route.method => Answer::method_not_allowed(&route.method),
        Some((_, handler, parameters)) => handler(customers, asked, &parameters).await.into(),
    }
}

#[cfg(test)]
mod tests;
