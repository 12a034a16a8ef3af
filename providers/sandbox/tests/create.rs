//! Creating and querying a payment: the requests as they are sent, and which metadata they carry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot continue must stop"
)]

mod harness;

use cashier_provider_sandbox::Sandbox;
use cashier_provider_sdk::{
    Amount, HttpReply, HttpRequest, NextAction, PaymentOrder, PaymentProvider, PaymentRef, ProviderFailure,
    ProviderRef, Step,
};
use cashier_provider_testing::sample_order;
use expect_test::{Expect, expect};
use harness::{harness, row};
use serde_json::{Value, json};

fn sandbox() -> Sandbox {
    Sandbox::configure(&row("")).unwrap_or_else(|error| panic!("{error}"))
}

fn sent<T: std::fmt::Debug>(step: Step<T>) -> HttpRequest {
    match step {
        Step::Send { request, cache: None } => request,
        other => panic!("expected a request, got {other:?}"),
    }
}

fn failed<T: std::fmt::Debug>(step: Step<T>) -> ProviderFailure {
    match step {
        Step::Failed(failure) => failure,
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn check(request: &HttpRequest, expected: &Expect) {
    let mut lines = vec![format!("{} {}", request.method.as_str(), request.url)];
    lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("safe to repeat: {}", request.safe_to_repeat));
    if let Ok(body) = serde_json::from_slice::<Value>(&request.body) {
        lines.push(format!("{body:#}"));
    }
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn a_creation_sends_the_order() {
    let order = PaymentOrder {
        metadata_json: r#"{"campaign":"autumn","sandbox_switches":"webhook_twice,create_slow:500"}"#.into(),
        ..sample_order()
    };
    check(
        &sent(sandbox().create_payment(&order, &[])),
        &expect![[r#"
        POST http://127.0.0.1:8900/v1/payments
        authorization: Bearer sk_canary7Q2M9X4T1B8
        idempotency-key: idem-7f3a9c
        content-type: application/json
        safe to repeat: false
        {
          "amount": "250.00",
          "currency": "USD",
          "description": "Deposit 10005",
          "failure_url": "https://broker.example/unpaid",
          "metadata": {
            "campaign": "autumn",
            "sandbox_switches": "webhook_twice,create_slow:500"
          },
          "method": "card",
          "notify_url": "https://cashier.example/cashier/webhook/x/7",
          "reference": "K7Q2M9X4T1B8",
          "success_url": "https://broker.example/paid"
        }"#]],
    );
}

#[test]
fn a_payment_is_queried_by_its_id() {
    let payment = PaymentRef { refs: vec![ProviderRef::new("sandbox_payment", "sp_9f86")], ..PaymentRef::default() };
    check(
        &sent(sandbox().query_status(&payment, &[])),
        &expect![[r#"
        GET http://127.0.0.1:8900/v1/payments/sp_9f86
        authorization: Bearer sk_canary7Q2M9X4T1B8
        safe to repeat: true"#]],
    );
}

#[test]
fn a_payment_without_an_id_is_queried_by_our_reference() {
    let payment = PaymentRef {
        reference: "K7 &=#/?M9".into(),
        refs: vec![ProviderRef::new("another_kind", "x")],
        ..PaymentRef::default()
    };
    check(
        &sent(sandbox().query_status(&payment, &[])),
        &expect![[r#"
        GET http://127.0.0.1:8900/v1/payments?reference=K7+%26%3D%23%2F%3FM9
        authorization: Bearer sk_canary7Q2M9X4T1B8
        safe to repeat: true"#]],
    );
}

#[test]
fn a_query_with_an_unsafe_or_missing_id_is_refused() {
    let with_id = |id: &str| PaymentRef {
        reference: "K7".into(),
        refs: vec![ProviderRef::new("sandbox_payment", id)],
        ..PaymentRef::default()
    };
    let table =
        [with_id("../_control/reset"), with_id("sp_1?x"), with_id("sp_1/refunds"), with_id(""), PaymentRef::default()];
    for payment in table {
        let failure = failed(sandbox().query_status(&payment, &[]));
        assert!(failure.kind.is_definite(), "{payment:?}: {failure}");
    }
}

#[test]
fn metadata_is_sent_as_far_as_the_service_accepts_it() {
    let long = "x".repeat(501);
    // the client's metadata, and the part that is sent
    let table = [
        ("", Some(json!({}))),
        ("{}", Some(json!({}))),
        (r#"{"a":"b","":""}"#, Some(json!({"a": "b", "": ""}))),
        (r#"{"n":1.50,"yes":true,"e":1E5}"#, Some(json!({"n": "1.50", "yes": "true", "e": "1e+5"}))),
        (r#"{"null":null,"list":[1],"nested":{"sandbox_switches":"webhook_twice"}}"#, Some(json!({}))),
        (&format!(r#"{{"long":"{long}","short":"s","{}":"key"}}"#, "k".repeat(65)), Some(json!({"short": "s"}))),
        (r#"{"sandbox_switches":"webhook_twice"}"#, Some(json!({"sandbox_switches": "webhook_twice"}))),
        // The service refuses these by name, so a test of failures does not run without them.
        (r#"{"sandbox_switches":""}"#, Some(json!({"sandbox_switches": ""}))),
        (&format!(r#"{{"sandbox_switches":"{long}"}}"#), Some(json!({"sandbox_switches": long}))),
        (r#"{"sandbox_switches":["webhook_twice"]}"#, None),
        (r#"{"sandbox_switches":null}"#, None),
        ("[]", None),
        ("{", None),
    ];
    for (given, expected) in table {
        let order = PaymentOrder { metadata_json: given.to_owned(), ..sample_order() };
        let step = sandbox().create_payment(&order, &[]);
        match expected {
            Some(expected) => {
                let body: Value = serde_json::from_slice(&sent(step).body).unwrap();
                assert_eq!(body["metadata"], expected, "{given}");
            }
            None => assert!(failed(step).kind.is_definite(), "{given}"),
        }
    }
}

#[test]
fn switches_are_sent_even_above_the_limit_of_pairs() {
    let mut given: serde_json::Map<String, Value> = (0..80).map(|at| (format!("a{at:02}"), Value::from("x"))).collect();
    given.insert("sandbox_switches".into(), "pay_decline".into());
    let order = PaymentOrder { metadata_json: Value::Object(given).to_string(), ..sample_order() };
    let request = sent(sandbox().create_payment(&order, &[]));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["metadata"]["sandbox_switches"], "pay_decline");
    assert_eq!(body["metadata"].as_object().unwrap().len(), 50);
}

#[test]
fn the_description_is_cut_to_the_services_limit() {
    let order = PaymentOrder { description: format!("a\nb{}", "\u{fc}".repeat(300)), ..sample_order() };
    let request = sent(sandbox().create_payment(&order, &[]));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["description"], format!("ab{}", "\u{fc}".repeat(198)));
}

#[test]
fn an_invalid_order_is_refused_before_sending() {
    let table = [
        ("a zero amount", PaymentOrder { amount: Amount::new(0, 2, "USD"), ..sample_order() }),
        ("a negative amount", PaymentOrder { amount: Amount::new(-1, 2, "USD"), ..sample_order() }),
        ("no currency", PaymentOrder { amount: Amount::new(1, 2, ""), ..sample_order() }),
        ("no key", PaymentOrder { idempotency_key: String::new(), ..sample_order() }),
        ("a key of 256 bytes", PaymentOrder { idempotency_key: "k".repeat(256), ..sample_order() }),
        ("a key that ends the header", PaymentOrder { idempotency_key: "k\r\nx: y".into(), ..sample_order() }),
        ("a key with a space", PaymentOrder { idempotency_key: "k k".into(), ..sample_order() }),
    ];
    for (label, order) in table {
        let failure = failed(sandbox().create_payment(&order, &[]));
        assert!(failure.kind.is_definite(), "{label}: {failure}");
    }
}

/// The harness's own answer with one field changed.
fn answer(pointer: &str, value: Value) -> HttpReply {
    let mut body = harness().create_replies[0].json().unwrap();
    *body.pointer_mut(pointer).unwrap() = value;
    HttpReply::new(201, body.to_string())
}

#[test]
fn an_unusable_answer_leaves_the_outcome_unknown() {
    let table = [
        ("no id", answer("/id", Value::Null)),
        ("no page", answer("/payment_url", Value::Null)),
        ("a script as page", answer("/payment_url", "javascript:alert(1)".into())),
        ("another reference", answer("/reference", "R-2".into())),
        ("a new status", answer("/status", "levitating".into())),
        ("an amount as a number", answer("/amount", 250.into())),
        ("no currency", answer("/currency", "".into())),
        ("no mode", answer("/livemode", Value::Null)),
        ("a chargeback without its dispute", answer("/status", "chargeback".into())),
    ];
    for (label, reply) in table {
        let failure = failed(sandbox().create_payment(&sample_order(), &[reply]));
        assert!(!failure.kind.is_definite(), "{label}: {failure}");
    }
}

#[test]
fn an_answer_with_an_outcome_states_the_fact_without_a_redirect() {
    // the service's status, the cashier's
    let table =
        [("confirmed", "confirmed"), ("failed", "failed"), ("cancelled", "cancelled"), ("refunded", "refunded")];
    for (stated, status) in table {
        let step = sandbox().create_payment(&sample_order(), &[answer("/status", stated.into())]);
        let Step::Done(created) = step else { panic!("{stated}: {step:?}") };
        assert_eq!((created.status.as_str(), &created.next), (status, &NextAction::None), "{stated}");
        assert_eq!(created.update.map(|update| update.status), Some(created.status), "{stated}");
    }
}

#[test]
fn a_plain_http_page_is_accepted_only_on_loopback() {
    let behind_tls =
        Sandbox::configure(&row(r#"{"api_base":"https://sandbox.example"}"#)).unwrap_or_else(|e| panic!("{e}"));
    let failure = failed(behind_tls.create_payment(&sample_order(), &harness().create_replies));
    assert!(!failure.kind.is_definite(), "{failure}");
    let page = answer("/payment_url", "https://sandbox.example/pay/sp_1".into());
    let step = behind_tls.create_payment(&sample_order(), &[page]);
    assert!(matches!(&step, Step::Done(created) if matches!(created.next, NextAction::Redirect { .. })), "{step:?}");
}
