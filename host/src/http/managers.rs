//! The manager listener over HTTP: `POST /manager`, one message in, one message out. What a message means is `manager`'s.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use cashier_core::time::UnixTime;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::flows::RequestContext;
use crate::http::reply::Reply;
use crate::http::request::{Request, request};
use crate::http::route::Route;
use crate::http::session::SessionKeys;
use crate::manager::{self, MESSAGE_LENGTH_MAX, ManagerContext, Tokens};
use crate::wire::envelope;

impl Tokens for SessionKeys {
    fn manager(&self, token: Option<&str>, from: &RequestContext, now: UnixTime) -> Result<ManagerSession, Refusal> {
        // The listener's own text of an address.
        let from = from.ip.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Self::manager(self, token, from, now)
    }
}

pub(super) const ROUTE: Route = Route { listener: "manager", method: Method::POST, path: "/manager" };

/// The routes of the manager listener.
pub(super) fn routes(context: Arc<ManagerContext>) -> BoxedFilter<(Reply,)> {
    warp::path(ROUTE.path.trim_start_matches('/'))
        .and(warp::path::end())
        .and(request())
        .then(move |request| {
            let context = Arc::clone(&context);
            async move { answer(&context, request).await }
        })
        .or(warp::any().map(Reply::not_found))
        .unify()
        .boxed()
}

async fn answer(context: &ManagerContext, mut request: Request) -> Reply {
    if request.method != ROUTE.method {
        return Reply::method_not_allowed(&ROUTE.method);
    }
    let (number, message) = match request.read_body(MESSAGE_LENGTH_MAX, &*context.cashier.clock).await {
        Ok(message) => manager::answer(context, &message, request.authorization(), request.context()).await,
        Err(refusal) => envelope::write(None, Err(refusal)),
    };
    Reply::json(number, message)
}
