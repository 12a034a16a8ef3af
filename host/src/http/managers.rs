//! The manager listener over HTTP: `POST /manager`, one message in, one message out. What a message means is `manager`'s.

use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use cashier_core::time::UnixTime;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::http::Route;
use crate::http::reply::Answer;
use crate::http::request::{Request, request};
use crate::http::session::SessionKeys;
use crate::manager::{self, Desk, MESSAGE_LENGTH_MAX, Tokens};
use crate::wire::envelope::{self, ExtId};

impl Tokens for SessionKeys {
    fn manager(&self, token: Option<&str>, now: UnixTime) -> Result<ManagerSession, Refusal> {
        Self::manager(self, token, now)
    }
}

pub(super) const ROUTE: Route = Route { listener: "manager", method: Method::POST, path: "/manager" };

/// The routes of the manager listener.
pub(super) fn routes(desk: Arc<Desk>) -> BoxedFilter<(Answer,)> {
    warp::path(ROUTE.path.trim_start_matches('/'))
        .and(warp::path::end())
        .and(request())
        .then(move |request| {
            let desk = Arc::clone(&desk);
            async move { answer(&desk, request).await }
        })
        .or(warp::any().map(Answer::not_found))
        .unify()
        .boxed()
}

async fn answer(desk: &Desk, mut request: Request) -> Answer {
    if request.method != ROUTE.method {
        return Answer::method_not_allowed(&ROUTE.method);
    }
    let (number, message) = match request.read_body(MESSAGE_LENGTH_MAX, &*desk.cashier.clock).await {
        Ok(message) => manager::answer(desk, &message, request.authorization(), request.context()).await,
        Err(refusal) => envelope::write(&ExtId::default(), &Err(refusal)),
    };
    Answer::json(number, message)
}
