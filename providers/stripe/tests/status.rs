//! The status query: the requests, and how each state of Stripe's objects is read.

mod fixture;

use cashier_provider_sdk::{
    FailureKind, HttpReply, NormalizedStatus, PaymentProvider, RefundReach, StatusUpdate, Step,
};
use expect_test::expect;
use fixture::{done, failed, payment, sent, shown, stripe};

const SESSION: &[(&str, &str)] = &[("checkout_session", "cs_test_a1B2c3")];
const INTENT: &[(&str, &str)] = &[("payment_intent", "pi_3S1aZ")];
const BOTH: &[(&str, &str)] = &[("payment_intent", "pi_3S1aZ"), ("checkout_session", "cs_test_a1B2c3")];

#[test]
fn a_session_is_queried_with_its_intent_expanded() {
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
fn the_intent_is_queried_without_a_session() {
    expect![[r#"
        GET https://api.stripe.com/v1/payment_intents/pi_3S1aZ?expand%5B%5D=latest_charge
        authorization: Bearer sk_test_canary7Q2M9X4T1B8
        stripe-version: 2025-01-27.acacia
        safe to repeat: true"#]]
    .assert_eq(&shown(&sent(stripe().query_status(&payment(INTENT), &[]))));
}

#[test]
fn a_query_without_an_id_of_stripe_is_unsupported() {
    for payment in [payment(&[]), payment(&[("charge", "ch_1")])] {
        assert_eq!(stripe().query_status(&payment, &[]), Step::Unsupported);
    }
}

#[test]
fn a_query_with_an_unsafe_id_is_refused() {
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

fn queried(refs: &[(&str, &str)], body: &str) -> StatusUpdate {
    done(stripe().query_status(&payment(refs), &[HttpReply::new(200, body)]))
}

#[test]
fn a_session_is_read_by_status_and_payment_status() {
    let null = "null";
    let unpaid = r#"{"id":"pi_3S1aZ","status":"requires_payment_method"}"#;
    let canceled = r#"{"id":"pi_3S1aZ","status":"canceled"}"#;
    let processing = r#"{"id":"pi_3S1aZ","status":"processing"}"#;
    // status, payment_status, the session's intent, the cashier's status
    let table = [
        ("open", "unpaid", null, "pending"),
        ("open", "unpaid", unpaid, "pending"),
        ("complete", "paid", "\"pi_3S1aZ\"", "confirmed"),
        ("complete", "no_payment_required", null, "confirmed"),
        ("complete", "unpaid", "\"pi_3S1aZ\"", "pending"),
        ("complete", "unpaid", processing, "pending"),
        ("complete", "unpaid", unpaid, "failed"),
        ("complete", "unpaid", canceled, "failed"),
        ("expired", "unpaid", null, "cancelled"),
        ("complete", "half_paid", null, "unknown"),
        ("ajar", "paid", null, "unknown"),
    ];
    for (status, paid, intent, expected) in table {
        let body = format!(
            r#"{{"id":"cs_test_a1B2c3","status":"{status}","payment_status":"{paid}","payment_intent":{intent},"amount_total":25000,"currency":"usd","client_reference_id":"D7K2M9QX4T","livemode":false}}"#
        );
        let update = queried(SESSION, &body);
        assert_eq!(update.status.as_str(), expected, "{body}");
        assert_eq!(update.raw_status, format!("{status}/{paid}"));
        assert_eq!(update.reference.as_deref(), Some("D7K2M9QX4T"));
        assert_eq!(update.sandbox, Some(true));
        let payment_id = (intent != null).then_some("pi_3S1aZ");
        assert_eq!(update.payment_id.as_deref(), payment_id, "the session's id is not the payment's");
    }
}

#[test]
fn an_intent_is_read_by_its_status() {
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
    for (intent_status, expected, amount) in table {
        let body = format!(
            r#"{{"id":"pi_3S1aZ","status":"{intent_status}","amount":25000,"amount_received":24999,"currency":"usd","metadata":{{"transaction_id":"D7K2M9QX4T"}},"livemode":false}}"#
        );
        let update = queried(INTENT, &body);
        assert_eq!(update.status.as_str(), expected, "{intent_status}");
        assert_eq!(update.amount.unwrap().to_string(), amount, "{intent_status}");
        assert_eq!(update.reference.as_deref(), Some("D7K2M9QX4T"), "{intent_status}");
        assert_eq!(update.payment_id.as_deref(), Some("pi_3S1aZ"), "{intent_status}");
    }
}

#[test]
fn a_confirmed_payment_states_its_refunded_sum() {
    let charge =
        |refunded: &str| format!(r#"{{"id":"ch_1","amount":25000,"amount_refunded":{refunded},"currency":"usd"}}"#);
    // the intent's status, its charge, the refunded sum
    let table = [
        ("succeeded", charge("10000"), Some("100.00 USD")),
        ("succeeded", charge("25000"), Some("250.00 USD")),
        ("succeeded", charge("0"), Some("0.00 USD")),
        ("succeeded", "\"ch_1\"".to_owned(), None),
        ("succeeded", "null".to_owned(), None),
        ("processing", charge("10000"), None),
    ];
    for (intent_status, charge, expected) in table {
        let intent = format!(
            r#"{{"id":"pi_3S1aZ","status":"{intent_status}","amount":25000,"amount_received":25000,"currency":"usd","latest_charge":{charge}}}"#
        );
        let paid = if intent_status == "succeeded" { "paid" } else { "unpaid" };
        let session = format!(
            r#"{{"id":"cs_test_a1B2c3","status":"complete","payment_status":"{paid}","payment_intent":{intent},"amount_total":25000,"currency":"usd"}}"#
        );
        for update in [queried(INTENT, &intent), queried(SESSION, &session)] {
            let status =
                if intent_status == "succeeded" { NormalizedStatus::Confirmed } else { NormalizedStatus::Pending };
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
fn an_answer_about_another_payment_is_unreadable() {
    let body = r#"{"id":"pi_other","status":"succeeded","amount":25000,"amount_received":25000,"currency":"usd"}"#;
    let failure = failed(stripe().query_status(&payment(INTENT), &[HttpReply::new(200, body)]));
    assert_eq!(failure.kind, FailureKind::UnreadableAnswer);
}
