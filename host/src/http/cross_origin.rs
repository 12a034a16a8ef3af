//! Which pages of other origins may call the customer paths: none, unless the settings name their origins. Webhooks are called
//! by providers, not by pages, but a page of a listed origin reads the same answers there.

use cashier_core::refusal::{Refusal, RefusalCode};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, Method};
use warp::cors::CorsForbidden;
use warp::filters::BoxedFilter;
use warp::reject::Rejection;
use warp::reply::Response;
use warp::{Filter, Reply as _};

use crate::http::answering::{OWN_LATENCY, REQUEST_ID, SERVER_TIMING};
use crate::http::reply::Reply;

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
    routes.with(cors).recover(refused).map(|answered: _| reply(answered)).boxed()
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
