//! The manager listener over HTTP: `POST /manager`, one message in, one message out. What a message means is `manager`'s.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use cashier_core::time::UnixTime;
use http::Method;
use warp::Filter;
use warp::filters::BoxedFilter;

use crate::flows::{Cashier, RequestContext};
use crate::http::reply::Reply;
use crate::http::request::{Request, request};
use crate::http::route::Route;
use crate::http::sender::{Proof, Sender};
use crate::http::session::SessionKeys;
use crate::manager::{self, MESSAGE_LENGTH_MAX, ManagerContext, Tokens};
use crate::wire::envelope;

/// The keys, which note that the sender of one message has a session.
struct TokensOfMessage {
    keys: Arc<SessionKeys>,
    sender: Arc<Sender>,
}

impl Tokens for TokensOfMessage {
    fn manager(&self, token: Option<&str>, from: &RequestContext, now: UnixTime) -> Result<ManagerSession, Refusal> {
        // The listener's own text of an address.
        let from = from.ip.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let session = self.keys.manager(token, from, now)?;
        self.sender.proved(Proof::Manager(session.manager_id()));
        Ok(session)
    }
}

pub(super) const ROUTE: Route = Route { listener: "manager", method: Method::POST, path: "/manager" };

/// The routes of the manager listener.
pub(super) fn routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Reply,)> {
    let (cashier, keys) = (Arc::clone(cashier), Arc::clone(keys));
    warp::path(ROUTE.path.trim_start_matches('/'))
        .and(warp::path::end())
        .and(request())
        .then(move |request: Request| {
            let (keys, sender) = (Arc::clone(&keys), Arc::clone(&request.origin.sender));
            let tokens = Arc::new(TokensOfMessage { keys, sender });
            let context = ManagerContext { cashier: Arc::clone(&cashier), tokens };
            async move { answer(&context, request).await }
        })
        .or(warp::any().map(Reply::not_found))
        .unify()
        .boxed()
}

async fn answer(context: &ManagerContext, mut request: Request) -> Reply {
    if !ROUTE.takes(&request.method) {
        return Reply::method_not_allowed(ROUTE.allowed());
    }
    let (number, message) = match request.read_body(MESSAGE_LENGTH_MAX, &*context.cashier.clock).await {
        Ok(message) => manager::answer(context, &message, request.authorization(), request.context()).await,
        Err(refusal) => envelope::write(None, Err(refusal)),
    };
    Reply::json(number, message)
}

#[cfg(test)]
mod tests {
    use cashier_core::session::Role;

    use super::*;
    use crate::http::session::{SessionKey, issue_token};
    use crate::http::testing::TestListener;
    use crate::test_cashier::TestCashier;

    #[tokio::test]
    async fn b6_only_an_answer_to_a_managers_session_says_how_long_it_took() {
        let env = TestCashier::published().await;
        let keys = Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap());
        let listener = TestListener::open(routes(&env.cashier, &keys), env.clock.clone()).await;
        let token = |role| issue_token(&keys, role, 7, None, 60, env.cashier.clock.now()).unwrap();
        let (manager, customer) = (token(Role::Manager), token(Role::Customer));
        let get = r#"{"command":"MngGetCashierTransaction","extID":"1","data":{"id":1}}"#;
        let in_message = format!(r#"{{"command":"MngGetCashierPaymentModules","__token":"{manager}"}}"#);
        let table = [
            (&*manager, r#"{"command":"MngGetCashierPaymentModules"}"#, 200, true),
            ("", &*in_message, 200, true),
            (&manager, get, 404, true),
            (&manager, r#"{"command":"MngNothing"}"#, 404, true),
            (&manager, "{", 400, false),
            (&customer, get, 403, false),
            ("", get, 401, false),
            ("forged", get, 401, false),
        ];
        for (token, message, status, timed) in table {
            let response = listener.send("POST /manager", &format!("authorization: {token}\r\n"), message).await;
            assert_eq!(response.status, status, "{message}: {}", response.body);
            for name in ["x-own-latency-us", "server-timing"] {
                assert_eq!(response.header(name).is_some(), timed, "{status} {message} {name}");
            }
        }
    }
}
