//! Closing an unpaid payment: the requests, and the status query after a refusal.

mod fixture;

use cashier_provider_sdk::{FailureKind, HttpReply, NormalizedStatus, PaymentProvider, Step};
use expect_test::expect;
use fixture::{done, failed, payment, sent, shown, stripe};

const SESSION: &[(&str, &str)] = &[("checkout_session", "cs_test_a1B2c3")];
const INTENT: &[(&str, &str)] = &[("payment_intent", "pi_3S1aZ")];
const REFUSED: &str = r#"{"error":{"type":"invalid_request_error","message":"Only open ones."}}"#;

#[test]
fn the_session_is_expired_or_the_intent_cancelled() {
    let request = sent(stripe().cancel_payment(&payment(SESSION), &[]));
    expect![[r#"
        POST https://api.stripe.com/v1/checkout/sessions/cs_test_a1B2c3/expire
        authorization: Bearer sk_test_canary7Q2M9X4T1B8
        stripe-version: 2025-01-27.acacia
        content-type: application/x-www-form-urlencoded
        safe to repeat: false"#]]
    .assert_eq(&shown(&request));
    let intent = sent(stripe().cancel_payment(&payment(INTENT), &[]));
    assert_eq!(intent.url, "https://api.stripe.com/v1/payment_intents/pi_3S1aZ/cancel");
}

#[test]
fn a_missing_or_unsafe_id_sends_nothing() {
    assert_eq!(stripe().cancel_payment(&payment(&[]), &[]), Step::Unsupported);
    let unsafe_id = payment(&[("checkout_session", "../x")]);
    assert_eq!(failed(stripe().cancel_payment(&unsafe_id, &[])).kind, FailureKind::RefusedRequest);
}

#[test]
fn a_closed_payment_is_cancelled() {
    let session = r#"{"id":"cs_test_a1B2c3","status":"expired","payment_status":"unpaid","payment_intent":null}"#;
    let intent = r#"{"id":"pi_3S1aZ","status":"canceled","amount":25000,"currency":"usd"}"#;
    for (refs, body) in [(SESSION, session), (INTENT, intent)] {
        let update = done(stripe().cancel_payment(&payment(refs), &[HttpReply::new(200, body)]));
        assert_eq!(update.status, NormalizedStatus::Cancelled, "{body}");
    }
}

#[test]
fn a_refused_cancel_is_followed_by_a_status_query() {
    let refused = HttpReply::new(400, REFUSED);
    let query = sent(stripe().cancel_payment(&payment(SESSION), std::slice::from_ref(&refused)));
    assert_eq!(query, sent(stripe().query_status(&payment(SESSION), &[])));
    let paid = r#"{"id":"cs_test_a1B2c3","status":"complete","payment_status":"paid","payment_intent":"pi_3S1aZ","amount_total":25000,"currency":"usd"}"#;
    let update = done(stripe().cancel_payment(&payment(SESSION), &[refused, HttpReply::new(200, paid)]));
    assert_eq!((update.status, update.payment_id.as_deref()), (NormalizedStatus::Confirmed, Some("pi_3S1aZ")));
}

#[test]
fn an_unusable_answer_leaves_the_outcome_unknown() {
    for (status, kind) in
        [(500, FailureKind::Temporary), (429, FailureKind::Temporary), (404, FailureKind::UnreadableAnswer)]
    {
        assert_eq!(failed(stripe().cancel_payment(&payment(SESSION), &[HttpReply::new(status, "")])).kind, kind);
    }
}
