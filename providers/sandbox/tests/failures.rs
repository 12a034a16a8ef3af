//! The failure kind of each error of the service, and of replies of other servers; no failure repeats a
//! secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue must stop"
)]

mod harness;

use cashier_provider_sandbox::Sandbox;
use cashier_provider_sdk::FailureKind::{
    CredentialsRefused, Declined, NotFound, RefusedRequest, Temporary, UnreadableAnswer,
};
use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{FailureKind, HttpReply, PaymentRef, ProviderFailure, Step};
use cashier_provider_testing::sample_order;
use cashier_sandbox_service::ApiErrorCode;
use harness::{SECRET_KEY, WEBHOOK_SECRET, row};
use serde_json::json;

fn module() -> Instance {
    ModuleV1::of::<Sandbox>().configure(&row("")).unwrap_or_else(|error| panic!("{error}"))
}

fn of_creation(reply: HttpReply) -> ProviderFailure {
    failed(module().create_payment(&sample_order(), &[reply]))
}

fn of_status(reply: HttpReply) -> ProviderFailure {
    let payment = PaymentRef { reference: "K7Q2M9X4T1B8".into(), ..PaymentRef::default() };
    failed(module().query_status(&payment, &[reply]))
}

fn failed<T: std::fmt::Debug>(step: Step<T>) -> ProviderFailure {
    match step {
        Step::Failed(failure) => failure,
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn error(code: &str) -> String {
    json!({"error": {"code": code, "message": "text"}}).to_string()
}

/// Kinds at creation and at status of every error code that the service publishes.
fn expected(code: ApiErrorCode) -> (FailureKind, FailureKind) {
    match code {
        ApiErrorCode::Unauthorized => (CredentialsRefused, CredentialsRefused),
        ApiErrorCode::InvalidRequest
        | ApiErrorCode::MethodNotAllowed
        | ApiErrorCode::NotAllowed
        | ApiErrorCode::TooLarge => (RefusedRequest, RefusedRequest),
        ApiErrorCode::Declined => (Declined, Declined),
        // A creation cannot be "not found": the address is wrong.
        ApiErrorCode::NotFound => (RefusedRequest, NotFound),
        // The key was used with another body: that request may have created a payment.
        ApiErrorCode::IdempotencyConflict => (UnreadableAnswer, UnreadableAnswer),
        ApiErrorCode::Busy | ApiErrorCode::Internal => (Temporary, Temporary),
    }
}

#[test]
fn every_published_error_code_has_its_kind() {
    for code in ApiErrorCode::ALL {
        let reply = || HttpReply::new(code.status(), error(code.as_str()));
        let (created, queried) = (of_creation(reply()), of_status(reply()));
        assert_eq!((created.kind, queried.kind), expected(code), "{code:?}");
        assert_eq!(created.code, code.as_str());
        assert_eq!(created.retryable, created.kind == Temporary, "{code:?}");
    }
}

#[test]
fn a_reply_of_another_server_has_the_kind_of_its_http_status() {
    let page = "<html>bad gateway</html>";
    // status, body, kind at creation, kind at status, code
    let table = [
        (302, "", UnreadableAnswer, UnreadableAnswer, "http_302"),
        (400, page, RefusedRequest, RefusedRequest, "http_400"),
        // Another server at this address does not know whether the payment exists.
        (404, page, RefusedRequest, UnreadableAnswer, "http_404"),
        (404, &error("no_such_route"), RefusedRequest, UnreadableAnswer, "no_such_route"),
        // A published code under another status is not from the service.
        (500, &error("declined"), Temporary, Temporary, "declined"),
        (503, &error("not_found"), Temporary, Temporary, "not_found"),
        (502, page, Temporary, Temporary, "http_502"),
        (503, "", Temporary, Temporary, "http_503"),
        (200, page, UnreadableAnswer, UnreadableAnswer, "unreadable_answer"),
        (200, "{}", UnreadableAnswer, UnreadableAnswer, "unreadable_answer"),
    ];
    for (status, body, at_creation, at_status, code) in table {
        let created = of_creation(HttpReply::new(status, body));
        let queried = of_status(HttpReply::new(status, body));
        assert_eq!((created.kind, queried.kind), (at_creation, at_status), "{status} {body}");
        assert_eq!(created.code, code, "{status} {body}");
    }
}

#[test]
fn a_list_without_exactly_one_payment_of_the_reference_is_refused() {
    let payment = |reference: &str| json!({"id": "sp_1", "status": "pending", "reference": reference});
    let ours = "K7Q2M9X4T1B8";
    let table = [
        ("none", json!({"payments": [], "count": 0}), NotFound),
        ("two", json!({"payments": [payment(ours), payment(ours)], "count": 2}), UnreadableAnswer),
        ("another reference", json!({"payments": [payment("R-2")], "count": 1}), UnreadableAnswer),
        ("no list", json!({"payments": {}}), UnreadableAnswer),
    ];
    for (label, body, kind) in table {
        assert_eq!(of_status(HttpReply::new(200, body.to_string())).kind, kind, "{label}");
    }
}

#[test]
fn the_message_contains_the_services_details() {
    let body = json!({"error": {"code": "declined", "message": "the payment was declined", "payment": "sp_9f86"}});
    assert_eq!(
        of_creation(HttpReply::new(402, body.to_string())).to_string(),
        "declined: the sandbox answered 402: the payment was declined [payment sp_9f86]"
    );
    let page = json!({"error": {"code": "x".repeat(65), "message": "x".repeat(10_000)}});
    let failure = of_creation(HttpReply::new(400, page.to_string()));
    assert_eq!((failure.code.as_str(), failure.message.len()), ("http_400", 300));
}

#[test]
fn no_failure_repeats_a_secret() {
    let quoting = format!("bearer key {SECRET_KEY} is wrong, {WEBHOOK_SECRET}");
    let everywhere = json!({"error": {"code": SECRET_KEY, "message": quoting, "payment": WEBHOOK_SECRET}}).to_string();
    for status in [200, 302, 400, 401, 402, 404, 409, 429, 500, 503] {
        for body in [&everywhere, &quoting] {
            for failure in
                [of_creation(HttpReply::new(status, body.clone())), of_status(HttpReply::new(status, body.clone()))]
            {
                assert!(!format!("{failure:?} {failure}").contains("canary"), "{status} {body}: {failure}");
            }
        }
    }
}
