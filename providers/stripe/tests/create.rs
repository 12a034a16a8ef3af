//! Creating a payment: the requests as they are sent, and how Stripe's answers are read.

mod fixture;

use cashier_provider_sdk::{Amount, HttpReply, NextAction, PaymentCreated, PaymentOrder, PaymentProvider};
use expect_test::{Expect, expect};
use fixture::{configured, done, failed, module, order, row_with, sent, shown, stripe};

const INTENTS: &str = r#"{"flow":"payment_intents"}"#;

const SESSION: &str = r#"{
  "id": "cs_test_a1B2c3", "object": "checkout.session", "amount_total": 25000, "currency": "usd",
  "client_reference_id": "D7K2M9QX4T", "metadata": {"transaction_id": "D7K2M9QX4T"},
  "expires_at": 1795246400, "livemode": false, "mode": "payment", "payment_intent": null,
  "payment_status": "unpaid", "status": "open",
  "url": "https://checkout.stripe.com/c/pay/cs_test_a1B2c3#fid"
}"#;

const INTENT: &str = r#"{
  "id": "pi_3S1aZ", "object": "payment_intent", "amount": 25000, "amount_received": 0, "currency": "usd",
  "client_secret": "pi_3S1aZ_secret_0oQ", "livemode": false, "last_payment_error": null,
  "metadata": {"transaction_id": "D7K2M9QX4T"}, "status": "requires_payment_method"
}"#;

fn check_request(settings_json: &str, order: &PaymentOrder, expected: &Expect) {
    let stripe = configured(&row_with(settings_json));
    expected.assert_eq(&shown(&sent(stripe.create_payment(order, &[]))));
}

#[test]
fn checkout_sends_a_session_request() {
    check_request(
        "",
        &order(),
        &expect![[r#"
        POST https://api.stripe.com/v1/checkout/sessions
        authorization: Bearer sk_test_canary7Q2M9X4T1B8
        idempotency-key: 0f9bb0e7-642d-4b70-b458-62e3993c7d2d
        content-type: application/x-www-form-urlencoded
        safe to repeat: false
          mode = payment
          success_url = https://broker.example/deposit/done?tx=15&ok=1
          cancel_url = https://broker.example/deposit/cancelled
          client_reference_id = D7K2M9QX4T
          metadata[transaction_id] = D7K2M9QX4T
          payment_intent_data[metadata][transaction_id] = D7K2M9QX4T
          line_items[0][price_data][currency] = usd
          line_items[0][price_data][unit_amount] = 25000
          line_items[0][price_data][product_data][name] = Deposit to account 2000009
          line_items[0][quantity] = 1"#]],
    );
}

#[test]
fn payment_intents_sends_a_minimal_intent_request() {
    check_request(
        INTENTS,
        &order(),
        &expect![[r#"
        POST https://api.stripe.com/v1/payment_intents
        authorization: Bearer sk_test_canary7Q2M9X4T1B8
        idempotency-key: 0f9bb0e7-642d-4b70-b458-62e3993c7d2d
        content-type: application/x-www-form-urlencoded
        safe to repeat: false
          amount = 25000
          currency = usd
          metadata[transaction_id] = D7K2M9QX4T"#]],
    );
}

#[test]
fn a_session_in_yen_without_failure_url_or_description_is_sent_to_the_configured_base() {
    let order = PaymentOrder {
        amount: Amount::new(50_000, 2, "JPY"),
        failure_url: String::new(),
        description: "  ".into(),
        ..order()
    };
    check_request(
        r#"{"api_base":"http://127.0.0.1:8420/"}"#,
        &order,
        &expect![[r#"
        POST http://127.0.0.1:8420/v1/checkout/sessions
        authorization: Bearer sk_test_canary7Q2M9X4T1B8
        idempotency-key: 0f9bb0e7-642d-4b70-b458-62e3993c7d2d
        content-type: application/x-www-form-urlencoded
        safe to repeat: false
          mode = payment
          success_url = https://broker.example/deposit/done?tx=15&ok=1
          client_reference_id = D7K2M9QX4T
          metadata[transaction_id] = D7K2M9QX4T
          payment_intent_data[metadata][transaction_id] = D7K2M9QX4T
          line_items[0][price_data][currency] = jpy
          line_items[0][price_data][unit_amount] = 500
          line_items[0][price_data][product_data][name] = Deposit
          line_items[0][quantity] = 1"#]],
    );
}

/// Bracketed keys are percent-encoded, as form encoders do and Stripe accepts.
#[test]
fn the_form_is_encoded() {
    let body = sent(stripe().create_payment(&order(), &[])).body;
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("&metadata%5Btransaction_id%5D=D7K2M9QX4T&"), "{text}");
    assert!(text.contains("success_url=https%3A%2F%2Fbroker.example%2Fdeposit%2Fdone%3Ftx%3D15%26ok%3D1&"), "{text}");
    assert!(text.ends_with("&line_items%5B0%5D%5Bquantity%5D=1"), "{text}");
}

#[test]
fn a_long_description_is_cut_to_stripes_limit() {
    let order = PaymentOrder { description: "ü".repeat(300), ..order() };
    let form = cashier_provider_sdk::Form::read(&sent(stripe().create_payment(&order, &[])).body);
    let name = form.get("line_items[0][price_data][product_data][name]").unwrap();
    assert_eq!(name, "ü".repeat(250));
}

#[test]
fn an_invalid_order_is_refused_before_sending() {
    let table = [
        ("JPY with decimals", PaymentOrder { amount: Amount::new(50_050, 2, "JPY"), ..order() }),
        ("KWD with three decimals", PaymentOrder { amount: Amount::new(12_345, 3, "KWD"), ..order() }),
        ("ISK with decimals", PaymentOrder { amount: Amount::new(10_050, 2, "ISK"), ..order() }),
        ("a zero amount", PaymentOrder { amount: Amount::new(0, 2, "USD"), ..order() }),
        ("no success_url", PaymentOrder { success_url: String::new(), ..order() }),
        ("no key", PaymentOrder { idempotency_key: String::new(), ..order() }),
        ("a key of 256 bytes", PaymentOrder { idempotency_key: "k".repeat(256), ..order() }),
        ("a key that ends the header", PaymentOrder { idempotency_key: "k\r\nx: y".into(), ..order() }),
    ];
    for (label, order) in table {
        let failure = failed(stripe().create_payment(&order, &[]));
        assert!(failure.kind.is_definite(), "{label}: {failure}");
        assert_eq!(stripe().check_order(&order), Err(failure), "{label}");
    }
}

#[test]
fn m7_an_order_without_a_return_url_is_refused_by_the_hosted_page_alone() {
    let order = |success_url: &str, failure_url: &str| PaymentOrder {
        success_url: success_url.into(),
        failure_url: failure_url.into(),
        ..order()
    };
    let (page, intents) = (module(), configured(&row_with(INTENTS)));
    let refused = page.check_order(&order("", "https://broker.example/no")).unwrap_err();
    assert_eq!((refused.field.as_str(), refused.code.as_str()), ("success_url", "success_url_missing"));
    assert_eq!(page.check_order(&order("https://broker.example/ok", "")), Ok(()));
    assert_eq!(intents.check_order(&order("", "")), Ok(()));
}

#[test]
fn the_same_order_builds_the_same_request() {
    let order = order();
    let request = sent(stripe().create_payment(&order, &[]));
    assert_eq!(request, sent(stripe().create_payment(&order, &[])));
}

fn check_answer(settings_json: &str, body: &str, expected: &Expect) {
    let stripe = configured(&row_with(settings_json));
    expected.assert_debug_eq(&stripe.create_payment(&order(), &[HttpReply::new(200, body)]));
}

#[test]
fn an_open_session_is_a_redirect() {
    check_answer(
        "",
        SESSION,
        &expect![[r#"
        Done(
            PaymentCreated {
                status: Pending,
                refs: [
                    ProviderRef {
                        kind: "checkout_session",
                        value: "cs_test_a1B2c3",
                    },
                ],
                next: Redirect {
                    url: "https://checkout.stripe.com/c/pay/cs_test_a1B2c3#fid",
                },
                update: None,
                expires_unix: Some(
                    1795246400,
                ),
                bag: [],
            },
        )
    "#]],
    );
}

#[test]
fn a_session_that_is_paid_already_states_the_fact() {
    let body = SESSION
        .replace(r#""payment_intent": null"#, r#""payment_intent": "pi_3S1aZ""#)
        .replace("unpaid", "paid")
        .replace(r#""open""#, r#""complete""#);
    check_answer(
        "",
        &body,
        &expect![[r#"
            Done(
                PaymentCreated {
                    status: Confirmed,
                    refs: [
                        ProviderRef {
                            kind: "checkout_session",
                            value: "cs_test_a1B2c3",
                        },
                        ProviderRef {
                            kind: "payment_intent",
                            value: "pi_3S1aZ",
                        },
                    ],
                    next: None,
                    update: Some(
                        StatusUpdate {
                            event_id: None,
                            reference: Some(
                                "D7K2M9QX4T",
                            ),
                            refs: [
                                ProviderRef {
                                    kind: "checkout_session",
                                    value: "cs_test_a1B2c3",
                                },
                                ProviderRef {
                                    kind: "payment_intent",
                                    value: "pi_3S1aZ",
                                },
                            ],
                            status: Confirmed,
                            payment_id: Some(
                                "pi_3S1aZ",
                            ),
                            amount: Some(
                                Amount {
                                    minor: 25000,
                                    exponent: 2,
                                    currency: "USD",
                                },
                            ),
                            refund: None,
                            dispute: None,
                            raw_status: "complete/paid",
                            reason: None,
                            sandbox: Some(
                                true,
                            ),
                            mode_conflict: false,
                            advance: false,
                            bag: [],
                        },
                    ),
                    expires_unix: Some(
                        1795246400,
                    ),
                    bag: [],
                },
            )
        "#]],
    );
}

#[test]
fn an_intent_is_instructions_for_the_brokers_page() {
    check_answer(
        INTENTS,
        INTENT,
        &expect![[r#"
        Done(
            PaymentCreated {
                status: Pending,
                refs: [
                    ProviderRef {
                        kind: "payment_intent",
                        value: "pi_3S1aZ",
                    },
                ],
                next: Instructions {
                    json_text: "{\"client_secret\":\"pi_3S1aZ_secret_0oQ\",\"kind\":\"stripe_payment_intent\",\"payment_intent\":\"pi_3S1aZ\",\"publishable_key\":\"pk_test_forbrowsers\",\"return_url\":\"https://broker.example/deposit/done?tx=15&ok=1\"}",
                },
                update: None,
                expires_unix: None,
                bag: [],
            },
        )
    "#]],
    );
}

#[test]
fn a_processing_intent_is_a_wait_and_a_final_one_is_a_fact() {
    let stripe = configured(&row_with(INTENTS));
    let created = |status: &str| -> PaymentCreated {
        let body = INTENT.replace("requires_payment_method", status);
        done(stripe.create_payment(&order(), &[HttpReply::new(200, body)]))
    };
    // Stripe's status, the cashier's, the customer's next action, whether it is a fact about money
    let table = [
        ("requires_payment_method", "pending", "instructions", false),
        ("requires_confirmation", "pending", "instructions", false),
        ("requires_action", "pending", "instructions", false),
        ("processing", "pending", "wait", false),
        ("requires_capture", "pending", "wait", false),
        ("succeeded", "confirmed", "none", true),
        ("canceled", "cancelled", "none", true),
    ];
    for (stated, status, next, fact) in table {
        let created = created(stated);
        let next_name = match created.next {
            NextAction::Redirect { .. } => "redirect",
            NextAction::Instructions { .. } => "instructions",
            NextAction::Wait => "wait",
            NextAction::None => "none",
        };
        assert_eq!((created.status.as_str(), next_name, created.update.is_some()), (status, next, fact), "{stated}");
    }
}

#[test]
fn an_unusable_answer_is_a_failure() {
    // the flow's settings, the body, whether the failure is definite
    let table = [
        ("no url", "", SESSION.replace("\"url\"", "\"uri\""), false),
        ("a script as url", "", SESSION.replace("https://checkout", "javascript:checkout"), false),
        ("a plain url", "", SESSION.replace("https://checkout", "http://checkout"), false),
        ("no id", "", SESSION.replace("\"id\"", "\"ID\""), false),
        ("a new status", "", SESSION.replace("\"open\"", "\"ajar\""), false),
        ("an intent for a session", "", INTENT.into(), false),
        ("no client_secret", INTENTS, INTENT.replace("client_secret", "server_secret"), false),
        ("a session for an intent", INTENTS, SESSION.into(), false),
        ("a new status of an intent", INTENTS, INTENT.replace("requires_payment_method", "levitating"), false),
        ("a live session in sandbox mode", "", SESSION.replace("\"livemode\": false", "\"livemode\": true"), true),
        ("a live intent in sandbox mode", INTENTS, INTENT.replace("\"livemode\": false", "\"livemode\": true"), true),
    ];
    for (label, settings, body, definite) in table {
        let failure = failed(configured(&row_with(settings)).create_payment(&order(), &[HttpReply::new(200, body)]));
        assert_eq!(failure.kind.is_definite(), definite, "{label}: {failure}");
    }
}

#[test]
fn a_fake_server_on_loopback_may_use_a_plain_http_page() {
    let stripe = configured(&row_with(r#"{"api_base":"http://127.0.0.1:8420"}"#));
    let body = SESSION.replace("https://checkout.stripe.com", "http://127.0.0.1:8420");
    let created = done(stripe.create_payment(&order(), &[HttpReply::new(200, body)]));
    assert!(matches!(created.next, NextAction::Redirect { url } if url.starts_with("http://127.0.0.1:8420/")));
}

#[test]
fn without_a_publishable_key_the_instructions_leave_it_out() {
    let mut row = row_with(INTENTS);
    row.public_key = String::new();
    let created = done(configured(&row).create_payment(&order(), &[HttpReply::new(200, INTENT)]));
    assert_eq!(
        created.next,
        NextAction::Instructions {
            json_text: r#"{"client_secret":"pi_3S1aZ_secret_0oQ","kind":"stripe_payment_intent","payment_intent":"pi_3S1aZ","return_url":"https://broker.example/deposit/done?tx=15&ok=1"}"#.into()
        }
    );
}
