//! Which pages of other origins may call the customer paths: none, unless the settings name their origins. An origin decides what
//! a browser shows to a page, and nothing else: the paths of webhooks have none of it, and a request whose origin is not listed
//! (a page of this server's own origin, an app, a client that is no browser) is answered as if it named none.

use std::future;
use std::sync::Arc;

use cashier_core::refusal::{Refusal, RefusalCode};
use http::Method;
use http::header::{
    ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN, RETRY_AFTER,
};
use warp::cors::CorsForbidden;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::reject::Rejection;
use warp::reply::Response;
use warp::{Filter, Reply as _};

use crate::http::answering::{OWN_LATENCY, REQUEST_ID, SERVER_TIMING};
use crate::http::reply::Reply;
use crate::http::webhook;

/// How long a browser may rely on what a preflight was answered, in seconds: a page that pays asks a few times in a minute.
const PREFLIGHT_SECONDS: u32 = 600;

/// The same routes, which also answer pages of these origins.
pub(super) fn allowing(routes: BoxedFilter<(Reply,)>, origins: &[Box<str>]) -> BoxedFilter<(Response,)> {
    if origins.is_empty() {
        return routes.map(Reply::into_response).boxed();
    }
    let cors = warp::cors()
        .allow_origins(origins.iter().map(|origin| &**origin))
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE, REQUEST_ID, HeaderName::from_static("idempotency-key")])
        .expose_headers([REQUEST_ID, OWN_LATENCY, SERVER_TIMING, RETRY_AFTER])
        .max_age(PREFLIGHT_SECONDS);
    let for_pages = routes.clone().with(cors).recover(refused).map(reply);
    let others = routes.map(Reply::into_response);
    concerned(origins).and(for_pages).or(others).unify().boxed()
}

/// Passes preflights, and the requests of pages of these origins, but none on the path of a webhook.
fn concerned(origins: &[Box<str>]) -> BoxedFilter<()> {
    let origins: Arc<[Box<str>]> = origins.into();
    warp::method()
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and_then(move |method: Method, path: FullPath, headers: HeaderMap| {
            let is_preflight = method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
            let is_listed = |origin: &[u8]| origins.iter().any(|listed| listed.as_bytes() == origin);
            let origin = headers.get(ORIGIN).filter(|origin| is_preflight || is_listed(origin.as_bytes()));
            let concerns = origin.is_some() && !path.as_str().starts_with(webhook::PATHS);
            future::ready(if concerns { Ok(()) } else { Err(warp::reject::not_found()) })
        })
        .untuple_one()
        .boxed()
}

fn reply(answered: impl warp::Reply) -> Response {
    answered.into_response()
}

async fn refused(rejection: Rejection) -> Result<Reply, Rejection> {
    match rejection.find::<CorsForbidden>() {
        Some(forbidden) => Ok(Reply::refused(&Refusal::new(RefusalCode::PermissionDenied, forbidden.to_string()))),
        None => Err(rejection),
    }
}
