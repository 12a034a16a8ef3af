//! The customer listener: every path under `/cashier` with the one method it takes. Each endpoint is in its own file.

use std::sync::Arc;

use cashier_core::refusal::Refusal;
use futures_util::future::BoxFuture;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::http::customer_context::CustomerContext;
use crate::http::reply::Reply;
use crate::http::request::{Request, request};
use crate::http::route::Route;
use crate::http::{deposit, methods, transactions, webhook, withdrawal};

/// The routes of the customer listener.
pub(super) fn routes(context: Arc<CustomerContext>) -> BoxedFilter<(Reply,)> {
    warp::path("cashier")
        .and(request())
        .then(move |request| {
            let context = Arc::clone(&context);
            async move { answer(&context, request).await }
        })
        .or(warp::any().map(Reply::not_found))
        .unify()
        .boxed()
}

type Handler = for<'a> fn(&'a CustomerContext, Request, &[&'a str]) -> BoxFuture<'a, Result<Reply, Refusal>>;

const fn at(method: Method, path: &'static str) -> Route {
    Route { listener: "customer", method, path }
}

/// The handler of each path. It gets the values of the path parameters.
pub(super) const ENDPOINTS: &[(Route, Handler)] = &[
    (at(Method::GET, "/cashier/methods"), |context, request, _| Box::pin(methods::answer(context, request))),
    (at(Method::POST, "/cashier/deposit"), |context, request, _| Box::pin(deposit::answer(context, request))),
    (at(Method::POST, "/cashier/withdrawal"), |context, request, _| Box::pin(withdrawal::answer(context, request))),
    (at(Method::GET, "/cashier/transactions"), |context, request, _| Box::pin(transactions::answer(context, request))),
    (at(Method::POST, "/cashier/webhook/{provider}"), webhook),
    (at(Method::POST, "/cashier/webhook/{provider}/{provider_config_id}"), webhook),
];

fn webhook<'a>(
    context: &'a CustomerContext,
    request: Request,
    of: &[&'a str],
) -> BoxFuture<'a, Result<Reply, Refusal>> {
    let (provider, config) = (of.first().copied().unwrap_or_default(), of.get(1).copied());
    Box::pin(webhook::answer(context, request, provider, config))
}

async fn answer(context: &CustomerContext, request: Request) -> Reply {
    let path = request.path.clone();
    let found = ENDPOINTS.iter().find_map(|(route, handler)| Some((route, handler, route.parameters(&path)?)));
    match found {
        None => Reply::not_found(),
        Some((route, _, _)) if request.method != route.method => Reply::method_not_allowed(&route.method),
        Some((_, handler, parameters)) => handler(context, request, &parameters).await.into(),
    }
}

#[cfg(test)]
mod tests;
