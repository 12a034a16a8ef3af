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
use crate::http::accept::prefers_csv;
use crate::http::openapi;
use crate::http::reply::Reply;
use crate::http::request::{BodyLimits, Request, request};
use crate::http::route::Route;
use crate::http::sender::{Proof, Sender};
use crate::http::session::SessionKeys;
use crate::manager::{self, AnswerForm, MESSAGE_LENGTH_MAX, ManagerContext, Tokens};
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
        // A token of another role is answered 403 by every command: it makes nobody known.
        if session.role().may_manage_cashier() {
            self.sender.proved(Proof::Manager(session.manager_id()));
        }
        Ok(session)
    }
}

pub(super) const ROUTE: Route = Route { listener: "manager", method: Method::POST, path: "/manager" };

pub(super) const DESCRIPTION: Route = openapi::route("manager");

/// The description of the commands, for everyone who may connect.
pub(super) fn description() -> BoxedFilter<(Reply,)> {
    warp::path(DESCRIPTION.path.trim_start_matches('/'))
        .and(warp::path::end())
        .and(warp::method())
        .map(|method: Method| openapi::reply(DESCRIPTION.listener, &method))
        .boxed()
}

/// The routes of the manager listener.
pub(super) fn routes(cashier: &Arc<Cashier>, keys: &Arc<SessionKeys>) -> BoxedFilter<(Reply,)> {
    let (cashier, keys) = (Arc::clone(cashier), Arc::clone(keys));
    warp::path(ROUTE.path.trim_start_matches('/'))
        .and(warp::path::end())
        .and(request())
        .then(move |request: Request| {
            let limits = match keys.is_managers(request.authorization(), cashier.clock.wall()) {
                true => MESSAGE_LENGTH_MAX.into(),
                // The token may be in the message.
                false => BodyLimits::of_anybody(MESSAGE_LENGTH_MAX),
            };
            let (keys, sender) = (Arc::clone(&keys), Arc::clone(&request.origin.sender));
            let tokens = Arc::new(TokensOfMessage { keys, sender });
            let context = ManagerContext { cashier: Arc::clone(&cashier), tokens };
            async move { answer(&context, request, limits).await }
        })
        .or(description())
        .unify()
        .or(warp::any().map(Reply::not_found))
        .unify()
        .boxed()
}

async fn answer(context: &ManagerContext, mut request: Request, limits: BodyLimits) -> Reply {
    if !ROUTE.takes(&request.method) {
        return Reply::method_not_allowed(ROUTE.allowed());
    }
    let message = match request.read_body(limits, &*context.cashier.clock).await {
        Ok(message) => message,
        Err(refusal) => {
            let (number, answer) = envelope::write(None, Err(refusal));
            return Reply::json(number, answer);
        }
    };
    let form = if prefers_csv(&request.headers) { AnswerForm::Csv } else { AnswerForm::Json };
    let authorization = request.authorization();
    let answer = manager::answer_as(form, context, &message, authorization, request.context()).await;
    match answer.form {
        AnswerForm::Json => Reply::json(answer.number, answer.body),
        AnswerForm::Csv => Reply::csv(answer.body),
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::ManagerId;
    use cashier_core::session::Role;

    use super::*;
    use crate::http::request::RequestOrigin;
    use crate::http::session::{SessionKey, issue_token};
    use crate::http::testing::TestListener;
    use crate::test_cashier::{TestCashier, context};

    #[tokio::test]
    async fn b4_messages_of_anybody_leave_a_part_of_the_capacity_to_managers_whose_token_is_in_the_head() {
        let env = TestCashier::published().await;
        let keys = Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap());
        let of_all = routes(&env.cashier, &keys);
        // Others send large bodies meanwhile, to all but eight of the 64 MiB.
        let routes = warp::ext::get::<RequestOrigin>()
            .map(|origin: RequestOrigin| {
                Arc::new(Arc::clone(&origin.large_bodies).try_acquire_many_owned(56 * 1024).unwrap())
            })
            .and(of_all)
            .map(|_others, reply: Reply| reply);
        let listener = TestListener::open(routes.boxed(), env.clock.clone()).await;
        let token = |role| issue_token(&keys, role, 7, None, 60, env.cashier.clock.now()).unwrap();
        let (manager, customer) = (token(Role::Manager), token(Role::Customer));
        let pad = "x".repeat(200 * 1024);
        let message = format!(r#"{{"command":"MngGetCashierPaymentModules","pad":"{pad}"}}"#);
        let in_message = format!(r#"{{"command":"MngGetCashierPaymentModules","__token":"{manager}","pad":"{pad}"}}"#);
        let small = format!(r#"{{"command":"MngGetCashierPaymentModules","__token":"{manager}"}}"#);
        let table = [
            (&*manager, &*message, 200),
            ("", &*message, 429),
            ("forged", &*message, 429),
            (&*customer, &*message, 429),
            ("", &*in_message, 429),
            ("", &*small, 200),
        ];
        for (token, message, status) in table {
            let response = listener.send("POST /manager", &format!("authorization: {token}\r\n"), message).await;
            assert_eq!(response.status, status, "{token}: {}", response.body);
        }
    }

    #[tokio::test]
    async fn i10_a_list_is_csv_for_who_accepts_it_and_a_refusal_is_json() {
        let env = TestCashier::published().await;
        let keys = Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap());
        let listener = TestListener::open(routes(&env.cashier, &keys), env.clock.clone()).await;
        let token = issue_token(&keys, Role::Manager, 7, None, 60, env.cashier.clock.now()).unwrap();
        let list = |data: &str| format!(r#"{{"command":"MngGetCashierProviderConfigsByFilter","data":{data}}}"#);
        let (csv, json) = ("text/csv; charset=utf-8; header=present", "application/json");
        let configs = env.cashier.snapshot().configs().count();
        let table = [
            ("text/csv", list("{}"), 200, csv),
            ("text/csv", list(r#"{"limit":5000000}"#), 200, csv),
            ("text/csv", list(r#"{"limit":5000001}"#), 400, json),
            ("text/csv", list(r#"{"limit":60000,"offset":"x"}"#), 400, json),
            ("application/json", list("{}"), 200, json),
            ("application/json", list(r#"{"limit":60000}"#), 400, json),
        ];
        for (accepted, message, status, sent_as) in table {
            let head = format!("authorization: {token}\r\naccept: {accepted}\r\n");
            let response = listener.send("POST /manager", &head, &message).await;
            let shown = (response.status, response.header("content-type"));
            assert_eq!(shown, (status, Some(sent_as)), "{message}: {}", response.body);
            if sent_as == csv {
                assert!(response.body.starts_with("id,provider,"), "{}", response.body);
                assert!(configs > 0 && response.body.matches("\r\n").count() == configs + 1, "{}", response.body);
            }
        }
    }

    #[test]
    fn b6_a_token_of_a_role_that_no_command_takes_makes_no_address_a_managers() {
        let keys = Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap());
        let now = UnixTime(1_800_000_000);
        for role in (0..=255).filter_map(Role::from_number) {
            let sender = Arc::new(Sender::default());
            let tokens = TokensOfMessage { keys: Arc::clone(&keys), sender: Arc::clone(&sender) };
            let token = issue_token(&keys, role, 7, None, 60, now).unwrap();
            assert_eq!(tokens.manager(Some(&token), &context(), now).unwrap().role(), role);
            let is_managers = sender.proof() == Proof::Manager(ManagerId(7));
            assert_eq!(
                (is_managers, keys.is_managers(Some(&token), now)),
                (role.may_manage_cashier(), is_managers),
                "{role:?}"
            );
        }
    }

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
