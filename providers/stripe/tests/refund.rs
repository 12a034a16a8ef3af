//! Refunding a paid payment: the request, and what each answer of Stripe's means.

mod fixture;

use cashier_provider_sdk::{
    Amount, FailureKind, HttpReply, NormalizedStatus, PaymentProvider, PaymentRef, RefundOrder, Step,
};
use expect_test::expect;
use fixture::{done, failed, payment, sent, shown, stripe};

const OWN: &str = "D7K2M9QX4T-refund-1";

fn order(amount: Amount) -> RefundOrder {
    let payment = PaymentRef {
        payment_id: Some("pi_3S1aZ".into()),
        idempotency_key: OWN.into(),
        ..payment(&[("charge", "ch_1"), ("payment_intent", "pi_other")])
    };
    RefundOrder { payment, refund_reference: OWN.into(), amount, reason: "goodwill".into(), ..RefundOrder::default() }
}

fn part() -> RefundOrder {
    order(Amount::new(1_000, 2, "USD"))
}

fn answer(status: &str) -> HttpReply {
    let body = format!(
        r#"{{"id":"re_1","object":"refund","amount":1000,"currency":"usd","payment_intent":"pi_3S1aZ","charge":"ch_1","metadata":{{"refund_reference":"{OWN}"}},"status":"{status}"}}"#
    );
    HttpReply::new(200, body)
}

#[test]
fn a_part_of_the_confirmed_intent_is_refunded_under_our_own_id() {
    let request = sent(stripe().refund_payment(&part(), &[]));
    expect![[r#"
        POST https://api.stripe.com/v1/refunds
        authorization: Bearer sk_test_canary7Q2M9X4T1B8
        stripe-version: 2025-01-27.acacia
        idempotency-key: D7K2M9QX4T-refund-1
        content-type: application/x-www-form-urlencoded
        safe to repeat: false
          payment_intent = pi_3S1aZ
          amount = 1000
          metadata[transaction_id] = D7K2M9QX4T
          metadata[refund_reference] = D7K2M9QX4T-refund-1"#]]
    .assert_eq(&shown(&request));
    // Without a named intent, by the charge; without either, not at all.
    let by_charge = RefundOrder { payment: payment(&[("charge", "ch_1")]), ..part() };
    assert!(shown(&sent(stripe().refund_payment(&by_charge, &[]))).contains("  charge = ch_1\n"));
    let by_nothing = RefundOrder { payment: payment(&[("checkout_session", "cs_1")]), ..part() };
    assert_eq!(stripe().refund_payment(&by_nothing, &[]), Step::Unsupported);
}

#[test]
fn a_refund_has_no_least_amount_and_is_exact() {
    for (amount, units) in [(Amount::new(1, 2, "USD"), "1"), (Amount::new(5, 0, "JPY"), "5")] {
        assert!(shown(&sent(stripe().refund_payment(&order(amount), &[]))).contains(&format!("  amount = {units}\n")));
    }
    for amount in [Amount::new(0, 2, "USD"), Amount::new(-1, 2, "USD"), Amount::new(50, 2, "JPY")] {
        assert_eq!(failed(stripe().refund_payment(&order(amount), &[])).kind, FailureKind::RefusedRequest);
    }
}

#[test]
fn the_refunds_own_status_decides() {
    for (stated, status) in [
        ("succeeded", NormalizedStatus::Refunded),
        ("pending", NormalizedStatus::Pending),
        ("requires_action", NormalizedStatus::Pending),
        ("failed", NormalizedStatus::RefundFailed),
        ("canceled", NormalizedStatus::RefundFailed),
        ("dreaming", NormalizedStatus::Unknown),
    ] {
        let update = done(stripe().refund_payment(&part(), &[answer(stated)]));
        let refund = update.refund.unwrap();
        assert_eq!((update.status, update.payment_id.as_deref()), (status, Some("pi_3S1aZ")), "{stated}");
        assert_eq!((refund.id.as_deref(), refund.requested.as_deref()), (Some("re_1"), Some(OWN)), "{stated}");
        assert_eq!(refund.amount, Amount::new(1_000, 2, "USD"));
    }
}

#[test]
fn what_stripe_refuses_is_final_where_it_is_about_the_refund_and_unknown_where_a_refund_may_exist() {
    let refused = |status, kind: &str, code: &str| {
        let body = format!(r#"{{"error":{{"type":"{kind}","code":"{code}","message":"No."}}}}"#);
        failed(stripe().refund_payment(&part(), &[HttpReply::new(status, body)])).kind
    };
    let request = "invalid_request_error";
    assert_eq!(refused(400, request, "charge_already_refunded"), FailureKind::Declined);
    assert_eq!(refused(400, request, "charge_disputed"), FailureKind::Declined);
    assert_eq!(refused(400, request, "parameter_unknown"), FailureKind::RefusedRequest);
    assert_eq!(refused(404, request, "resource_missing"), FailureKind::RefusedRequest);
    assert_eq!(refused(400, "idempotency_error", ""), FailureKind::UnreadableAnswer);
    assert_eq!(refused(401, request, ""), FailureKind::CredentialsRefused);
    for status in [409, 429, 500, 503] {
        assert_eq!(refused(status, "api_error", ""), FailureKind::Temporary, "{status}");
    }
}

#[test]
fn an_answer_about_another_refund_is_not_read() {
    let other = RefundOrder { refund_reference: "D7K2M9QX4T-refund-2".into(), ..part() };
    assert_eq!(failed(stripe().refund_payment(&other, &[answer("succeeded")])).kind, FailureKind::UnreadableAnswer);
    assert_eq!(
        failed(stripe().refund_payment(&part(), &[HttpReply::new(200, "{}")])).kind,
        FailureKind::UnreadableAnswer
    );
}
