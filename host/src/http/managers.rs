//! The manager door over HTTP: `POST /manager`, one message in, one message out. What a message means is `manager`'s.

use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use cashier_core::time::UnixTime;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::http::Route;
use crate::http::asked::{Asked, asked};
use crate::http::reply::Answer;
use crate::http::session::SessionKeys;
use crate::manager::{self, Desk, MESSAGE_LENGTH_MAX, Tokens};
use crate::wire::envelope;

impl Tokens for SessionKeys {
    fn manager(&self, token: Option<&str>, now: UnixTime) -> Result<ManagerSession, Refusal> {
        Self::manager(self, token, now)
    }
}

pub(super) const ROUTE: Route = Route { listener: "manager", method: Method::POST, path: "/manager" };

/// The routes of the manager door.
pub(super) fn routes(desk: Arc<Desk>) -> BoxedFilter<(Answer,)> {
    warp::path(ROUTE.path.trim_start_matches('/'))
        .and(warp::path::end())
        .and(asked())
        .then(move |asked| {
            let desk = Arc::clone(&desk);
            async move { answer(&desk, asked).await }
        })
        .or(warp::any().map(Answer::not_found))
        .unify()
        .boxed()
}

async fn answer(desk: &Desk, mut asked: Asked) -> Answer {
    if asked.method != ROUTE.method {
        return Answer::method_not_allowed(&ROUTE.method);
    }
    let (number, message) = match asked.read_body(MESSAGE_LENGTH_MAX, &*desk.house.clock).await {
        Ok(message) => manager::answer(desk, &message, asked.authorization(), asked.asking()).await,
        Err(refusal) => envelope::write("null", &Err(refusal)),
    };
    Answer::json(number, message)
}
