//! Which path leads where: one warp filter per endpoint, grouped by first segment.
//! Only reads requests and picks answers; what happens is decided in `house` and `books`.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::json;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::answer::{self, Silence};
use crate::button::Button;
use crate::house::{Ending, House};
use crate::refusal::{Refusal, RefusalCode};
use crate::switch::SWITCHES;
use crate::wire::{Defaults, EventRequest, Payment, PaymentStatus};
use crate::{intake, page};

/// All of the service.
pub(crate) fn all(house: &Arc<House>) -> BoxedFilter<(Response,)> {
    merchant(house)
        .or(hosted(house))
        .unify()
        .or(control(house))
        .unify()
        .or(health())
        .unify()
        .recover(why_not)
        .unify()
        .boxed()
}

fn health() -> BoxedFilter<(Response,)> {
    warp::path!("healthz").and(warp::get()).map(|| answer::json(200, &json!({ "status": "ok" }))).boxed()
}

fn merchant(house: &Arc<House>) -> BoxedFilter<(Response,)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ByReference {
        reference: String,
    }
    let key = warp::header::optional::<String>("idempotency-key");

    let create = given(house).and(warp::path::end()).and(warp::post()).and(key).and(warp::body::bytes()).then(create);
    let list =
        given(house).and(warp::path::end()).and(warp::get()).and(warp::query::<ByReference>()).map(
            |house: Arc<House>, query: ByReference| answer::of(200, house.books().query_reference(&query.reference)),
        );
    let get = given(house)
        .and(warp::path!(String))
        .and(warp::get())
        .map(|house: Arc<House>, id: String| answer::of(200, house.books().query(&id)));
    let cancel = given(house)
        .and(warp::path!(String / "cancel"))
        .and(warp::post())
        .map(|house: Arc<House>, id: String| answer::of(200, house.cancel(&id)));
    let refund =
        given(house).and(warp::path!(String / "refunds")).and(warp::post()).and(key).and(warp::body::bytes()).map(
            |house: Arc<House>, id: String, key, body: Bytes| match house.refund(key, &id, &body) {
                Ok((kept, replay)) => answer::kept(&kept, replay),
                Err(no) => answer::refusal(&no),
            },
        );
    let refunds = given(house)
        .and(warp::path!(String / "refunds"))
        .and(warp::get())
        .map(|house: Arc<House>, id: String| answer::of(200, house.books().refunds(&id)));

    let calls = create.or(list).unify().or(get).unify().or(cancel).unify().or(refund).unify().or(refunds).unify();
    warp::path("v1").and(with_key(house)).and(warp::path("payments")).and(calls).boxed()
}

async fn create(house: Arc<House>, key: Option<String>, body: Bytes) -> Response {
    match house.create(key, &body).await {
        Ok(Ending::Answer(kept)) => answer::kept(&kept, false),
        Ok(Ending::Replay(kept)) => answer::kept(&kept, true),
        Ok(Ending::Garbage) => answer::raw(200, "text/html", b"<html><body>upstream prematurely closed".to_vec()),
        Ok(Ending::Drop) => answer::silent(Silence::Drop),
        Ok(Ending::Hang) => answer::silent(Silence::Hang),
        Err(no) => answer::refusal(&no),
    }
}

fn hosted(house: &Arc<House>) -> BoxedFilter<(Response,)> {
    let accept = warp::header::optional::<String>("accept");
    let show = given(house)
        .and(warp::path!("pay" / String))
        .and(warp::get())
        .and(accept)
        .map(|house: Arc<House>, id: String, accept| shown(&house, house.books().show(&id), accept));
    let press = given(house).and(warp::path!("pay" / String / String)).and(warp::post()).and(accept).map(
        |house: Arc<House>, id: String, action: String, accept| {
            let button = match action.as_str() {
                "pay" => Ok(Button::Pay),
                "decline" => Ok(Button::Decline),
                "cancel" => Ok(Button::Cancel),
                _other => Err(Refusal::not_found()),
            };
            match button.and_then(|button| house.press(&id, button)) {
                Ok(payment) if !wants_json(&accept) => returned(&payment),
                outcome => shown(&house, outcome, accept),
            }
        },
    );
    show.or(press).unify().boxed()
}

fn shown(house: &House, outcome: Result<Payment, Refusal>, accept: Option<String>) -> Response {
    if wants_json(&accept) {
        return answer::of(200, outcome);
    }
    let (status, html) = match outcome {
        Ok(payment) => (200, page::render(&payment, &house.settings.merchant)),
        Err(no) => (no.code.status(), page::says(&no.message)),
    };
    let mut response = answer::raw(status, "text/html; charset=utf-8", html.into_bytes());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::CONTENT_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The browser's way back, by what became of the payment.
fn returned(payment: &Payment) -> Response {
    let merchant_url = match payment.status {
        PaymentStatus::Confirmed | PaymentStatus::Refunded => &payment.success_url,
        PaymentStatus::Failed | PaymentStatus::Cancelled | PaymentStatus::Chargeback => &payment.failure_url,
        PaymentStatus::Pending => &payment.payment_url,
    };
    let url = if merchant_url.is_empty() { &payment.payment_url } else { merchant_url };
    let mut response = answer::raw(303, "text/plain", Vec::new());
    match HeaderValue::from_str(url) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => answer::refusal(&Refusal::new(RefusalCode::Internal, "the return URL cannot be written")),
    }
}

fn wants_json(accept: &Option<String>) -> bool {
    accept.as_deref().is_some_and(|accept| accept.to_ascii_lowercase().contains("application/json"))
}

fn control(house: &Arc<House>) -> BoxedFilter<(Response,)> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct OfPayment {
        payment: Option<String>,
    }
    let switches =
        warp::path!("switches").and(warp::get()).map(|| answer::json(200, &json!({ "switches": SWITCHES.as_slice() })));
    let defaults = given(house)
        .and(warp::path!("defaults"))
        .and(warp::get())
        .map(|house: Arc<House>| answer::json(200, &Defaults { switches: house.books().defaults() }));
    let set_defaults = given(house).and(warp::path!("defaults")).and(warp::post()).and(warp::body::bytes()).map(
        |house: Arc<House>, body: Bytes| {
            let read = intake::plain::<Defaults>(&body).and_then(|defaults| {
                intake::switches_fit(&defaults.switches)?;
                house.books().set_defaults(defaults.switches.clone());
                Ok(defaults)
            });
            answer::of(200, read)
        },
    );
    let happen =
        given(house).and(warp::path!("payments" / String / "events")).and(warp::post()).and(warp::body::bytes()).map(
            |house: Arc<House>, id: String, body: Bytes| {
                answer::of(200, intake::plain::<EventRequest>(&body).and_then(|request| house.happen(&id, request)))
            },
        );
    let deliveries = given(house).and(warp::path!("deliveries")).and(warp::get()).and(warp::query::<OfPayment>()).map(
        |house: Arc<House>, query: OfPayment| answer::json(200, &house.courier.deliveries(query.payment.as_deref())),
    );
    let redeliver = given(house)
        .and(warp::path!("deliveries" / String / "redeliver"))
        .and(warp::post())
        .map(|house: Arc<House>, id: String| answer::of(202, house.redeliver(&id)));
    let reset = given(house).and(warp::path!("reset")).and(warp::post()).map(|house: Arc<House>| {
        house.reset();
        answer::json(200, &json!({ "status": "ok" }))
    });

    let calls = switches.or(defaults).unify().or(set_defaults).unify().or(happen).unify();
    let calls = calls.or(deliveries).unify().or(redeliver).unify().or(reset).unify();
    warp::path("_control").and(with_key(house)).and(calls).boxed()
}

fn given(house: &Arc<House>) -> impl Filter<Extract = (Arc<House>,), Error = Infallible> + Clone + use<> {
    let house = Arc::clone(house);
    warp::any().map(move || Arc::clone(&house))
}

#[derive(Debug)]
struct WithoutKey;
impl warp::reject::Reject for WithoutKey {}

fn with_key(house: &Arc<House>) -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    given(house)
        .and(warp::header::optional::<String>("authorization"))
        .and_then(|house: Arc<House>, authorization: Option<String>| async move {
            if house.knows(authorization.as_deref()) { Ok(()) } else { Err(warp::reject::custom(WithoutKey)) }
        })
        .untuple_one()
}

async fn why_not(rejection: Rejection) -> Result<Response, Infallible> {
    let refusal = if rejection.find::<WithoutKey>().is_some() {
        Refusal::new(RefusalCode::Unauthorized, "bearer key missing or wrong")
    } else if rejection.find::<warp::reject::InvalidQuery>().is_some() {
        Refusal::invalid("the query string has a parameter too many, or lacks one")
    } else if rejection.find::<warp::reject::InvalidHeader>().is_some() {
        Refusal::invalid("a header is not readable text")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        Refusal::new(RefusalCode::MethodNotAllowed, "this path has no such method")
    } else if rejection.is_not_found() {
        Refusal::not_found()
    } else {
        tracing::error!("a request was rejected without a known reason");
        Refusal::new(RefusalCode::Internal, "the request could not be read")
    };
    Ok(answer::refusal(&refusal))
}
