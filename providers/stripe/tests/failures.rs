//! The failure kind of each of Stripe's errors, behind the guard as the host gets them; no failure
//! repeats a secret.

mod fixture;

use cashier_provider_sdk::FailureKind::{
    CredentialsRefused, Declined, NotFound, RefusedRequest, Temporary, UnreadableAnswer,
};
use cashier_provider_sdk::{HttpReply, PaymentProvider, ProviderFailure};
use fixture::{SECRET_KEY, WEBHOOK_SECRET, done, failed, module, order, payment, reply, stripe};

fn of_creation(reply: HttpReply) -> ProviderFailure {
    failed(module().create_payment(&order(), &[reply]))
}

fn of_status(reply: HttpReply) -> ProviderFailure {
    failed(module().query_status(&payment(&[("payment_intent", "pi_3S1aZ")]), &[reply]))
}

fn error(kind: &str, code: &str) -> String {
    format!(r#"{{"error":{{"type":"{kind}","code":"{code}","message":"Text.","param":"p"}}}}"#)
}

#[test]
fn each_error_reply_has_its_kind() {
    let page = "<html>bad gateway</html>";
    let declined = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"stolen_card"}}"#;
    let key_reused = r#"{"error":{"type":"idempotency_error","message":"Keys for idempotent requests…"}}"#;
    // status, body, kind at creation, kind at status, code, worth repeating
    let table = [
        (402, declined.to_owned(), Declined, Declined, "card_declined", false),
        (402, String::new(), Declined, Declined, "http_402", false),
        (
            400,
            error("invalid_request_error", "amount_too_large"),
            RefusedRequest,
            RefusedRequest,
            "amount_too_large",
            false,
        ),
        (
            401,
            error("invalid_request_error", ""),
            CredentialsRefused,
            CredentialsRefused,
            "invalid_request_error",
            false,
        ),
        (
            403,
            error("invalid_request_error", "more_permissions_required"),
            CredentialsRefused,
            CredentialsRefused,
            "more_permissions_required",
            false,
        ),
        (404, error("invalid_request_error", "resource_missing"), RefusedRequest, NotFound, "resource_missing", false),
        // Stripe does not know the path; a 404 of a proxy never reached Stripe.
        (404, error("invalid_request_error", ""), RefusedRequest, RefusedRequest, "invalid_request_error", false),
        (404, error("api_error", "resource_missing"), UnreadableAnswer, UnreadableAnswer, "resource_missing", false),
        (404, "<html>not found</html>".to_owned(), UnreadableAnswer, UnreadableAnswer, "http_404", false),
        (404, String::new(), UnreadableAnswer, UnreadableAnswer, "http_404", false),
        (404, r#"{"error":"not found"}"#.to_owned(), UnreadableAnswer, UnreadableAnswer, "http_404", false),
        // The key was used with other parameters: that request may have created a payment.
        (400, key_reused.to_owned(), UnreadableAnswer, RefusedRequest, "idempotency_error", false),
        (
            409,
            error("invalid_request_error", "idempotency_key_in_use"),
            Temporary,
            Temporary,
            "idempotency_key_in_use",
            true,
        ),
        (429, error("invalid_request_error", "rate_limit"), Temporary, Temporary, "rate_limit", true),
        (500, error("api_error", ""), Temporary, Temporary, "api_error", true),
        (502, page.to_owned(), Temporary, Temporary, "http_502", true),
        (503, String::new(), Temporary, Temporary, "http_503", true),
        (302, String::new(), UnreadableAnswer, UnreadableAnswer, "http_302", false),
        (200, page.to_owned(), UnreadableAnswer, UnreadableAnswer, "unreadable_answer", false),
        (200, "{}".to_owned(), UnreadableAnswer, UnreadableAnswer, "unreadable_answer", false),
    ];
    for (status, body, at_creation, at_status, code, retryable) in table {
        let created = of_creation(HttpReply::new(status, body.clone()));
        let queried = of_status(HttpReply::new(status, body.clone()));
        assert_eq!((created.kind, queried.kind), (at_creation, at_status), "{status} {body}");
        assert_eq!((created.code.as_str(), created.retryable), (code, retryable), "{status} {body}");
    }
}

#[test]
fn the_message_contains_stripes_details() {
    let body = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","message":"Your card has insufficient funds.","param":"source"}}"#;
    let failure = of_creation(reply(402, &[("request-id", "req_8Kz")], body));
    assert_eq!(
        failure.to_string(),
        "card_declined: Stripe answered 402 (insufficient_funds): Your card has insufficient funds. [parameter source] [request req_8Kz]"
    );
}

#[test]
fn retry_after_and_stripe_should_retry_are_respected() {
    let busy = error("invalid_request_error", "rate_limit");
    let delayed = of_creation(reply(429, &[("retry-after", "7")], &busy));
    assert_eq!((delayed.retryable, delayed.retry_after_seconds), (true, Some(7)));
    let never = of_creation(reply(500, &[("stripe-should-retry", "false")], "{}"));
    assert_eq!((never.kind, never.retryable), (Temporary, false));
}

#[test]
fn no_failure_repeats_a_secret() {
    let quoting = format!("Invalid API Key provided: {SECRET_KEY}, {WEBHOOK_SECRET}");
    let everywhere = format!(
        r#"{{"error":{{"type":"{quoting}","code":"{SECRET_KEY}","decline_code":"{quoting}","message":"{quoting}","param":"{quoting}"}}}}"#
    );
    let intent = format!(r#"{{"id":"pi_3S1aZ","status":"{SECRET_KEY}","amount":"{WEBHOOK_SECRET}","currency":"usd"}}"#);
    for status in [200, 302, 400, 401, 402, 403, 404, 409, 429, 500, 503] {
        for body in [&everywhere, &intent, &quoting] {
            let headers = [("request-id", quoting.as_str()), ("retry-after", quoting.as_str())];
            for failure in [of_creation(reply(status, &headers, body)), of_status(reply(status, &headers, body))] {
                let output = format!("{failure:?} {failure}");
                assert!(!output.contains("canary"), "{status} {body}: {output}");
            }
        }
    }
}

#[test]
fn a_long_page_in_a_message_is_cut() {
    let body = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(10_000));
    assert_eq!(of_creation(reply(500, &[], &body)).message.len(), 300);
}

#[test]
fn a_cut_message_leaves_no_part_of_a_secret() {
    for filler in 240..300 {
        let body = format!(r#"{{"error":{{"message":"{}{SECRET_KEY} {WEBHOOK_SECRET}"}}}}"#, "x".repeat(filler));
        let message = of_creation(reply(401, &[], &body)).message;
        assert!(!message.contains("sk_") && !message.contains("whsec_"), "{message}");
        let intent = format!(
            r#"{{"id":"pi_3S1aZ","status":"canceled","amount":1,"currency":"usd","last_payment_error":{{"code":"{}{SECRET_KEY}"}}}}"#,
            "x".repeat(filler - 100)
        );
        let queried =
            module().query_status(&payment(&[("payment_intent", "pi_3S1aZ")]), &[HttpReply::new(200, intent)]);
        let reason = done(queried).reason.unwrap();
        assert!(reason.starts_with("xxx") && !reason.contains("sk_"), "{reason}");
    }
}

/// Logs contain the Debug text of requests, failures and verdicts.
#[test]
fn no_debug_line_repeats_a_secret() {
    let stripe = stripe();
    let lines = [
        format!("{:?}", stripe.create_payment(&order(), &[])),
        format!("{:?}", stripe.query_status(&payment(&[("payment_intent", "pi_3S1aZ")]), &[])),
        format!("{:?}", stripe.normalize_status(&fixture::notice("t=1,v1=00", b"{}"), &[])),
        format!("{:?}", fixture::row()),
    ];
    for line in lines {
        assert!(!line.contains("canary"), "{line}");
    }
}
