//! Asking what became of a payment: what is sent, and how each standing is read.

mod support;

use cashier_provider_sdk::{
    FailureKind, HttpReply, NormalizedStatus, PaymentProvider, RefundReach, StatusUpdate, Step,
};
use expect_test::expect;
use support::{done, failed, payment, sent, shown, stripe};

const SESSION: &[(&str, &str)] = &[("checkout_session", "cs_test_a1B2c3")];
const INTENT: &[(&str, &str)] = &[("payment_intent", "pi_3S1aZ")];
const BOTH: &[(&str, &str)] = &[("payment_intent", "pi_3S1aZ"), ("checkout_session", "cs_test_a1B2c3")];

#[test]
fn the_session_is_asked_with_its_intent_beside() {
    let request = shown(&sent(stripe().query_status(&payment(BOTH), &[])));
    expect![[r#"
        GET https://api.stripe.com/v1/checkout/sessions/cs_test_a1B2c3?expand%5B%5D=payment_intent.latest_charge
        authorization: Bearer sk_test_canary7Q2M9X4T1B8
        stripe-version: 2025-01-27.acacia
        safe to repeat: true"#]]
    .assert_eq(&request);
    assert_eq!(request, shown(&sent(stripe().query_status(&payment(SESSION), &[]))));
}

#[test]
fn without_a_session_the_intent_is_asked() {
    expect![[r#"
        GET https://api.stripe.com/v1/payment_intents/pi_3S1aZ?expand%5B%5D=latest_charge
        authorization: Bearer sk_test_canary7Q2M9X4T1B8
        stripe-version: 2025-01-27.acacia
        safe to repeat: true"#]]
    .assert_eq(&shown(&sent(stripe().query_status(&payment(INTENT), &[]))));
}

#[test]
fn what_stripe_named_no_id_for_cannot_be_asked() {
    for payment in [payment(&[]), payment(&[("charge", "ch_1")])] {
        assert_eq!(stripe().query_status(&payment, &[]), Step::Unsupported);
    }
}

#[test]
fn what_has_no_sound_id_is_not_asked() {
    let table = [
        ("another path", payment(&[("payment_intent", "../refunds")])),
        ("a query", payment(&[("checkout_session", "cs_1?expand=x")])),
        ("an empty id", payment(&[("checkout_session", "")])),
    ];
    for (label, payment) in table {
        let failure = failed(stripe().query_status(&payment, &[]));
        assert_eq!(failure.kind, FailureKind::RefusedRequest, "{label}");
    }
}

fn heard(refs: &[(&str, &str)], body: &str) -> StatusUpdate {
    done(stripe().query_status(&payment(refs), &[HttpReply::new(200, body)]))
}

#[test]
fn a_session_is_read_by_both_of_its_words() {
    let null = "null";
    let asking = r#"{"id":"pi_3S1aZ","status":"requires_payment_method"}"#;
    let gone = r#"{"id":"pi_3S1aZ","status":"canceled"}"#;
    let working = r#"{"id":"pi_3S1aZ","status":"processing"}"#;
    // status, payment_status, the intent beside, what it means
    let table = [
        ("open", "unpaid", null, "pending"),
        ("open", "unpaid", asking, "pending"),
        ("complete", "paid", "\"pi_3S1aZ\"", "confirmed"),
        ("complete", "no_payment_required", null, "confirmed"),
        ("complete", "unpaid", "\"pi_3S1aZ\"", "pending"),
        ("complete", "unpaid", working, "pending"),
        ("complete", "unpaid", asking, "failed"),
        ("complete", "unpaid", gone, "failed"),
        ("expired", "unpaid", null, "cancelled"),
        ("complete", "half_paid", null, "unknown"),
        ("ajar", "paid", null, "unknown"),
    ];
    for (status, paid, intent, expected) in table {
        let body = format!(
            r#"{{"id":"cs_test_a1B2c3","status":"{status}","payment_status":"{paid}","payment_intent":{intent},"amount_total":25000,"currency":"usd","client_reference_id":"D7K2M9QX4T","livemode":false}}"#
        );
        let update = heard(SESSION, &body);
        assert_eq!(update.status.as_str(), expected, "{body}");
        assert_eq!(update.raw_status, format!("{status}/{paid}"));
        assert_eq!(update.reference.as_deref(), Some("D7K2M9QX4T"));
        assert_eq!(update.sandbox, Some(true));
        let payment_id = if intent == null { "cs_test_a1B2c3" } else { "pi_3S1aZ" };
        assert_eq!(update.payment_id.as_deref(), Some(payment_id));
    }
}

#[test]
fn an_intent_is_read_by_its_word() {
    let table = [
        ("succeeded", "confirmed", "249.99 USD"),
        ("processing", "pending", "250.00 USD"),
        ("requires_payment_method", "pending", "250.00 USD"),
        ("requires_confirmation", "pending", "250.00 USD"),
        ("requires_action", "pending", "250.00 USD"),
        ("requires_capture", "pending", "250.00 USD"),
        ("canceled", "cancelled", "250.00 USD"),
        ("levitating", "unknown", "250.00 USD"),
    ];
    for (word, expected, amount) in table {
        let body = format!(
            r#"{{"id":"pi_3S1aZ","status":"{word}","amount":25000,"amount_received":24999,"currency":"usd","metadata":{{"transaction_id":"D7K2M9QX4T"}},"livemode":false}}"#
        );
        let update = heard(INTENT, &body);
        assert_eq!(update.status.as_str(), expected, "{word}");
        assert_eq!(update.amount.unwrap().to_string(), amount, "{word}");
        assert_eq!(update.reference.as_deref(), Some("D7K2M9QX4T"), "{word}");
        assert_eq!(update.payment_id.as_deref(), Some("pi_3S1aZ"), "{word}");
    }
}

#[test]
fn what_went_back_stands_beside_being_paid() {
    let charge =
        |refunded: &str| format!(r#"{{"id":"ch_1","amount":25000,"amount_refunded":{refunded},"currency":"usd"}}"#);
    // the intent's word, its charge, what went back
    let table = [
        ("succeeded", charge("10000"), Some("100.00 USD")),
        ("succeeded", charge("25000"), Some("250.00 USD")),
        ("succeeded", charge("0"), None),
        ("succeeded", "\"ch_1\"".to_owned(), None),
        ("succeeded", "null".to_owned(), None),
        ("processing", charge("10000"), None),
    ];
    for (word, charge, expected) in table {
        let intent = format!(
            r#"{{"id":"pi_3S1aZ","status":"{word}","amount":25000,"amount_received":25000,"currency":"usd","latest_charge":{charge}}}"#
        );
        let paid = if word == "succeeded" { "paid" } else { "unpaid" };
        let session = format!(
            r#"{{"id":"cs_test_a1B2c3","status":"complete","payment_status":"{paid}","payment_intent":{intent},"amount_total":25000,"currency":"usd"}}"#
        );
        for update in [heard(INTENT, &intent), heard(SESSION, &session)] {
            let status = if word == "succeeded" { NormalizedStatus::Confirmed } else { NormalizedStatus::Pending };
            assert_eq!(update.status, status, "{intent}");
            let refund = update.refund;
            assert!(refund.as_ref().is_none_or(|refund| refund.reach == RefundReach::TotalSoFar), "{intent}");
            assert_eq!(refund.map(|refund| refund.amount.to_string()).as_deref(), expected, "{intent}");
        }
    }
    let unreadable = r#"{"id":"pi_3S1aZ","status":"succeeded","amount":25000,"currency":"usd","latest_charge":{"amount_refunded":"x","currency":"usd"}}"#;
    let failure = failed(stripe().query_status(&payment(INTENT), &[HttpReply::new(200, unreadable)]));
    assert_eq!(failure.kind, FailureKind::UnreadableAnswer);
}

#[test]
fn an_answer_about_another_payment_is_not_believed() {
    let body = r#"{"id":"pi_other","status":"succeeded","amount":25000,"amount_received":25000,"currency":"usd"}"#;
    let failure = failed(stripe().query_status(&payment(INTENT), &[HttpReply::new(200, body)]));
    assert_eq!(failure.kind, FailureKind::UnreadableAnswer);
}
