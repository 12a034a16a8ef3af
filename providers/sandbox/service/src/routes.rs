//! The routes: one warp filter per endpoint, grouped by first segment.
//! Only reads requests and picks responses; `state` and `payments` decide.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::json;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::api_error::{ApiError, ApiErrorCode};
use crate::button::Button;
use crate::response::{self, NoAnswer};
use crate::state::{CreateOutcome, ServiceState};
use crate::switch::SWITCHES;
use crate::wire::{DefaultSwitches, EventRequest, Payment, PaymentStatus};
use crate::{page, validation};

type State = Arc<ServiceState>;

/// All routes of the service.
pub(crate) fn all(state: &State) -> BoxedFilter<(Response,)> {
    merchant(state)
        .or(hosted(state))
        .unify()
        .or(control(state))
        .unify()
        .or(health())
        .unify()
        .recover(to_api_error)
        .unify()
        .boxed()
}

fn health() -> BoxedFilter<(Response,)> {
    warp::path!("healthz").and(warp::get()).map(|| response::json(200, &json!({ "status": "ok" }))).boxed()
}

fn merchant(state: &State) -> BoxedFilter<(Response,)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ByReference {
        reference: String,
    }
    let key = warp::header::optional::<String>("idempotency-key");

    let create =
        with_state(state).and(warp::path::end()).and(warp::post()).and(key).and(warp::body::bytes()).then(create);
    let list =
        with_state(state).and(warp::path::end()).and(warp::get()).and(warp::query::<ByReference>()).map(
            |state: State, query: ByReference| response::result(200, state.store().query_reference(&query.reference)),
        );
    let get = with_state(state)
        .and(warp::path!(String))
        .and(warp::get())
        .map(|state: State, id: String| response::result(200, state.store().query(&id)));
    let cancel = with_state(state)
        .and(warp::path!(String / "cancel"))
        .and(warp::post())
        .map(|state: State, id: String| response::result(200, state.cancel(&id)));
    let refund = with_state(state)
        .and(warp::path!(String / "refunds"))
        .and(warp::post())
        .and(key)
        .and(warp::body::bytes())
        .then(
            |state: State, id: String, key, body: Bytes| async move { answered(state.refund(key, &id, &body).await) },
        );
    let refunds = with_state(state)
        .and(warp::path!(String / "refunds"))
        .and(warp::get())
        .map(|state: State, id: String| response::result(200, state.store().refunds(&id)));

    let calls = create.or(list).unify().or(get).unify().or(cancel).unify().or(refund).unify().or(refunds).unify();
    warp::path("v1").and(with_key(state)).and(warp::path("payments")).and(calls).boxed()
}

async fn create(state: State, key: Option<String>, body: Bytes) -> Response {
    answered(state.create(key, &body).await)
}

fn answered(outcome: Result<CreateOutcome, ApiError>) -> Response {
    match outcome {
        Ok(CreateOutcome::Answer(answer)) => response::recorded(&answer, false),
        Ok(CreateOutcome::Replay(answer)) => response::recorded(&answer, true),
        Ok(CreateOutcome::Garbage) => {
            response::raw(200, "text/html", b"<html><body>upstream prematurely closed".to_vec())
        }
        Ok(CreateOutcome::Drop) => response::never_sent(NoAnswer::Drop),
        Ok(CreateOutcome::Hang) => response::never_sent(NoAnswer::Hang),
        Err(error) => response::api_error(&error),
    }
}

fn hosted(state: &State) -> BoxedFilter<(Response,)> {
    let accept = warp::header::optional::<String>("accept");
    let show = with_state(state)
        .and(warp::path!("pay" / String))
        .and(warp::get())
        .and(accept)
        .map(|state: State, id: String, accept| page_or_json(&state, state.store().show(&id), accept));
    let press = with_state(state).and(warp::path!("pay" / String / String)).and(warp::post()).and(accept).map(
        |state: State, id: String, action: String, accept| {
            let button = match action.as_str() {
                "pay" => Ok(Button::Pay),
                "decline" => Ok(Button::Decline),
                "cancel" => Ok(Button::Cancel),
                _other => Err(ApiError::not_found()),
            };
            match button.and_then(|button| state.press(&id, button)) {
                Ok(payment) if !wants_json(&accept) => redirect(&payment),
                outcome => page_or_json(&state, outcome, accept),
            }
        },
    );
    show.or(press).unify().boxed()
}

fn page_or_json(state: &ServiceState, outcome: Result<Payment, ApiError>, accept: Option<String>) -> Response {
    if wants_json(&accept) {
        return response::result(200, outcome);
    }
    let (status, html) = match outcome {
        Ok(payment) => (200, page::render(&payment, &state.settings.merchant)),
        Err(error) => (error.code.status(), page::message_page(&error.message)),
    };
    let mut response = response::raw(status, "text/html; charset=utf-8", html.into_bytes());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CONTENT_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Redirects the browser by the status of the payment.
fn redirect(payment: &Payment) -> Response {
    let merchant_url = match payment.status {
        PaymentStatus::Confirmed | PaymentStatus::Refunded => &payment.success_url,
        PaymentStatus::Failed | PaymentStatus::Cancelled | PaymentStatus::Chargeback => &payment.failure_url,
        PaymentStatus::Pending => &payment.payment_url,
    };
    let url = if merchant_url.is_empty() { &payment.payment_url } else { merchant_url };
    let mut response = response::raw(303, "text/plain", Vec::new());
    match HeaderValue::from_str(url) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => response::api_error(&ApiError::new(ApiErrorCode::Internal, "the return URL is invalid")),
    }
}

fn wants_json(accept: &Option<String>) -> bool {
    accept.as_deref().is_some_and(|accept| accept.to_ascii_lowercase().contains("application/json"))
}

fn control(state: &State) -> BoxedFilter<(Response,)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct DeliveryFilter {
        payment: Option<String>,
    }
    let switches = warp::path!("switches")
        .and(warp::get())
        .map(|| response::json(200, &json!({ "switches": SWITCHES.as_slice() })));
    let defaults = with_state(state)
        .and(warp::path!("defaults"))
        .and(warp::get())
        .map(|state: State| response::json(200, &DefaultSwitches { switches: state.store().defaults() }));
    let set_defaults = with_state(state).and(warp::path!("defaults")).and(warp::post()).and(warp::body::bytes()).map(
        |state: State, body: Bytes| {
            let stored = validation::plain::<DefaultSwitches>(&body).and_then(|defaults| {
                validation::check_switch_count(&defaults.switches)?;
                state.store().set_defaults(defaults.switches.clone());
                Ok(defaults)
            });
            response::result(200, stored)
        },
    );
    let apply_event = with_state(state)
        .and(warp::path!("payments" / String / "events"))
        .and(warp::post())
        .and(warp::body::bytes())
        .map(|state: State, id: String, body: Bytes| {
            let payment = validation::plain::<EventRequest>(&body).and_then(|event| state.apply_event(&id, event));
            response::result(200, payment)
        });
    let deliveries =
        with_state(state).and(warp::path!("deliveries")).and(warp::get()).and(warp::query::<DeliveryFilter>()).map(
            |state: State, query: DeliveryFilter| {
                response::json(200, &state.sender.deliveries(query.payment.as_deref()))
            },
        );
    let redeliver = with_state(state)
        .and(warp::path!("deliveries" / String / "redeliver"))
        .and(warp::post())
        .map(|state: State, id: String| response::result(202, state.redeliver(&id)));
    let reset = with_state(state).and(warp::path!("reset")).and(warp::post()).map(|state: State| {
        state.reset();
        response::json(200, &json!({ "status": "ok" }))
    });

    let calls = switches.or(defaults).unify().or(set_defaults).unify().or(apply_event).unify();
    let calls = calls.or(deliveries).unify().or(redeliver).unify().or(reset).unify();
    warp::path("_control").and(with_key(state)).and(calls).boxed()
}

fn with_state(state: &State) -> impl Filter<Extract = (State,), Error = Infallible> + Clone + use<> {
    let state = Arc::clone(state);
    warp::any().map(move || Arc::clone(&state))
}

#[derive(Debug)]
struct KeyRejected;
impl warp::reject::Reject for KeyRejected {}

fn with_key(state: &State) -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    with_state(state)
        .and(warp::header::optional::<String>("authorization"))
        .and_then(|state: State, authorization: Option<String>| async move {
            if state.is_authorized(authorization.as_deref()) { Ok(()) } else { Err(warp::reject::custom(KeyRejected)) }
        })
        .untuple_one()
}

async fn to_api_error(rejection: Rejection) -> Result<Response, Infallible> {
    let error = if rejection.find::<KeyRejected>().is_some() {
        ApiError::new(ApiErrorCode::Unauthorized, "the bearer key is missing or wrong")
    } else if rejection.find::<warp::reject::InvalidQuery>().is_some() {
        ApiError::invalid("the query string has an unknown parameter or lacks a required one")
    } else if rejection.find::<warp::reject::InvalidHeader>().is_some() {
        ApiError::invalid("a header is not readable text")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        ApiError::new(ApiErrorCode::MethodNotAllowed, "this path has no such method")
    } else if rejection.is_not_found() {
        ApiError::not_found()
    } else {
        tracing::error!("request rejected without a known reason");
        ApiError::new(ApiErrorCode::Internal, "the request could not be read")
    };
    Ok(response::api_error(&error))
}
