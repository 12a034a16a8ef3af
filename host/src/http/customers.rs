//! The customer listener: every path under `/cashier` with the methods it takes. Each endpoint is in its own file.

use std::future;
use std::sync::Arc;

use cashier_core::refusal::Refusal;
use futures_util::future::BoxFuture;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::http::customer_context::CustomerContext;
use crate::http::reply::Reply;
use crate::http::request::{Request, request};
use crate::http::route::Route;
use crate::http::{cross_origin, deposit, methods, openapi, transactions, webhook, withdrawal};

/// The routes of the customer listener.
pub(super) fn routes(context: Arc<CustomerContext>, origins: &[Box<str>]) -> BoxedFilter<(Response,)> {
    let first_segment = warp::path("cashier").or(warp::path(openapi::PATH.trim_start_matches('/'))).unify();
    let routes = first_segment
        .and(request())
        .then(move |request| {
            let context = Arc::clone(&context);
            async move { answer(&context, request).await }
        })
        .or(warp::any().map(Reply::not_found))
        .unify()
        .boxed();
    cross_origin::allowing(routes, origins)
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
    (at(Method::POST, "/cashier/withdrawal/{id}/cancel"), |context, request, of| {
        Box::pin(withdrawal::cancel(context, request, of.first().copied().unwrap_or_default()))
    }),
    (at(Method::GET, "/cashier/transactions"), |context, request, _| Box::pin(transactions::answer(context, request))),
    (at(Method::POST, "/cashier/webhook/{provider}"), webhook),
    (at(Method::POST, "/cashier/webhook/{provider}/{provider_config_id}"), webhook),
    (openapi::route("customer"), |_, request, _| {
        Box::pin(future::ready(Ok(openapi::reply("customer", &request.method))))
    }),
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
    match found(&request.method, &path) {
        Err(refused) => refused,
        // Providers look first whether the address answers; it is the same for every one, known or not.
        Ok(Found { is_webhook: true, .. }) if request.method != Method::POST => {
            Reply::json(200, b"{\"data\":\"OK\"}".to_vec())
        }
        Ok(Found { handler, parameters, .. }) => handler(context, request, &parameters).await.into(),
    }
}

/// The endpoint of a request.
pub(super) struct Found<'p> {
    handler: Handler,
    parameters: Vec<&'p str>,
    is_webhook: bool,
}

/// The endpoint at this path, if it takes the method. Providers' dashboards put a slash behind the path of a webhook.
pub(super) fn found<'p>(method: &Method, path: &'p str) -> Result<Found<'p>, Reply> {
    let is_webhook = path.starts_with(webhook::PATHS);
    let named = path.strip_suffix('/').filter(|_| is_webhook).unwrap_or(path);
    let matching = ENDPOINTS.iter().find_map(|(route, handler)| Some((route, *handler, route.parameters(named)?)));
    let (route, handler, parameters) = matching.ok_or_else(Reply::not_found)?;
    if !is_webhook && !route.takes(method) {
        return Err(Reply::method_not_allowed(route.allowed()));
    }
    if is_webhook && ![Method::POST, Method::GET, Method::HEAD].contains(method) {
        return Err(Reply::method_not_allowed("GET, HEAD, POST"));
    }
    Ok(Found { handler, parameters, is_webhook })
}

#[cfg(test)]
mod tests;
