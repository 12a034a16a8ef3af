//! A call through the ABI returns the same as a plain call, for every record and every step. A panic becomes a failure
//! that states its location, never its message.
#![expect(clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod echo;

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{
    Amount, ConfigError, FailureKind, HttpReply, PaymentOrder, PaymentProvider, PaymentRef, ProviderConfig,
    ProviderFailure, ProviderRef, ProviderSettings, RefundOrder, Secret, Step, WebhookNotice,
};
use echo::{CANARY, Echo};

const STEPS: [&str; 13] = [
    "done",
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "declined",
    "refused",
    "not found",
    "unreadable",
    "temporary",
    "stale",
    "unsupported",
];

#[test]
fn the_descriptor_is_the_same_through_the_abi() {
    let through = ModuleV1::of::<Echo>().descriptor();
    assert_eq!(through, Ok(Echo::descriptor()));
}

#[test]
fn every_create_step_is_the_same_through_the_abi() {
    let (plain, through) = both();
    let methods = ["redirect", "instructions", "wait", "none"];
    for method in methods.into_iter().chain(STEPS) {
        let order = order(method);
        for replies in [vec![], replies()] {
            assert_eq!(through.create_payment(&order, &replies), plain.create_payment(&order, &replies), "{method}");
        }
    }
}

#[test]
fn every_order_check_is_the_same_through_the_abi_and_refuses_what_the_first_step_refuses() {
    let (plain, through) = both();
    for method in ["redirect"].into_iter().chain(STEPS) {
        let order = order(method);
        assert_eq!(through.check_order(&order), plain.check_order(&order), "{method}");
        assert_eq!(through.check_order(&order).is_err(), method == "refused", "{method}");
    }
    let refused = through.check_order(&order("refused")).expect_err("refused");
    assert_eq!((refused.kind, refused.field.as_str()), (FailureKind::RefusedRequest, "amount"));
}

#[test]
fn every_verdict_is_the_same_through_the_abi() {
    let (plain, through) = both();
    let paths = ["/verified", "/no_updates", "/ignored", "/unreadable", "/rejected", "/undetermined"];
    for path in paths.into_iter().chain(STEPS) {
        let notice = notice(path);
        assert_eq!(
            through.normalize_status(&notice, &replies()),
            plain.normalize_status(&notice, &replies()),
            "{path}"
        );
    }
}

#[test]
fn every_call_about_a_payment_is_the_same_through_the_abi() {
    let (plain, through) = both();
    let replies = replies();
    for step in STEPS {
        let payment = payment(step);
        let refund = refund(step);
        assert_eq!(through.advance_payment(&payment, &replies), plain.advance_payment(&payment, &replies));
        assert_eq!(through.query_status(&payment, &replies), plain.query_status(&payment, &replies));
        assert_eq!(through.cancel_payment(&payment, &replies), plain.cancel_payment(&payment, &replies));
        assert_eq!(through.refund_payment(&refund, &replies), plain.refund_payment(&refund, &replies));
    }
}

#[test]
fn a_secret_in_a_failure_message_is_masked() {
    let through = ModuleV1::of::<Echo>()
        .configure(&ProviderConfig {
            secret_key: Secret::new("sk_live_planted_1"),
            webhook_secret: Secret::new("whsec_planted_2"),
            previous_webhook_secrets: vec![Secret::new("whsec_planted_2_older")],
            ..config()
        })
        .expect("a valid config");
    let Step::Failed(failure) = through.create_payment(&order("declined"), &[]) else {
        panic!("the echo returns a failure");
    };
    assert!(!failure.message.contains("planted"), "{failure}");
    assert!(!failure.message.contains("_older"), "{failure}");
    // The echo quotes each secret once.
    assert_eq!(failure.message.matches("\"***\"").count(), 3, "{failure}");
}

#[test]
fn a_refused_config_carries_the_modules_message() {
    let refused = configure(ProviderConfig { merchant_id: "bad".into(), ..config() });
    assert_eq!(refused, Err(ConfigError::new("merchant_id", "is bad")));
}

#[test]
fn a_panic_in_any_entry_is_a_failure_without_its_message() {
    let (_, through) = both();
    let payment = payment("panic");
    panicked("check_order", Step::<()>::from(through.check_order(&order("panic"))));
    panicked("create_payment", through.create_payment(&order("panic"), &[]));
    panicked("normalize_status", through.normalize_status(&notice("panic"), &[]));
    panicked("advance_payment", through.advance_payment(&payment, &[]));
    panicked("query_status", through.query_status(&payment, &[]));
    panicked("cancel_payment", through.cancel_payment(&payment, &[]));
    panicked("refund_payment", through.refund_payment(&refund("panic"), &[]));
    // The instance still answers.
    assert_eq!(through.query_status(&self::payment("unsupported"), &[]), Step::Unsupported);
}

#[test]
fn a_panic_in_configure_is_an_error_without_its_message() {
    let error = configure(ProviderConfig { merchant_id: "panic".into(), ..config() }).expect_err("the echo panics");
    assert!(error.message.starts_with("the module panicked in configure at "), "{error}");
    assert!(!error.to_string().contains(CANARY));
}

#[test]
fn a_panic_while_dropping_an_instance_is_caught() {
    configure(ProviderConfig { merchant_id: "panics when dropped".into(), ..config() }).expect("a valid config");
}

/// The host moves instances between threads and calls them from many at once.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<ModuleV1>();
    shared::<Instance>();
};

fn panicked<T: std::fmt::Debug>(entry: &str, step: Step<T>) {
    let Step::Failed(ProviderFailure { kind, message, .. }) = &step else {
        panic!("{entry}: {step:?}");
    };
    assert_eq!(*kind, FailureKind::Panicked);
    assert!(message.starts_with(&format!("the module panicked in {entry} at ")), "{message}");
    assert!(message.contains("echo"), "states the location: {message}");
    assert!(!format!("{step:?}").contains(CANARY));
}

fn both() -> (Echo, Instance) {
    let plain = Echo::configure(&config()).expect("a valid config");
    let through = ModuleV1::of::<Echo>().configure(&config()).expect("a valid config");
    (plain, through)
}

fn configure(config: ProviderConfig) -> Result<(), ConfigError> {
    ModuleV1::of::<Echo>().configure(&config).map(drop)
}

fn config() -> ProviderConfig {
    ProviderConfig {
        id: 7,
        provider: "echo".into(),
        brand: "b".into(),
        method: "m".into(),
        country: "DE".into(),
        currency: "EUR".into(),
        merchant_id: "merchant".into(),
        public_key: "public".into(),
        secret_key: Secret::new("secret"),
        webhook_secret: Secret::new("new"),
        previous_webhook_secrets: vec![Secret::new("old"), Secret::new("older")],
        settings: ProviderSettings::parse(r#"{"api_base":"https://echo.example","n":1.50}"#).expect("a JSON object"),
        sandbox: true,
        notify_url: "https://cashier.example/hook".into(),
        bag: bag(),
    }
}

fn order(method: &str) -> PaymentOrder {
    PaymentOrder {
        reference: "R".into(),
        amount: Amount::new(25_000, 2, "USD"),
        customer_id: "5".into(),
        login: "100".into(),
        brand: "b".into(),
        country: "DE".into(),
        locale: "de-AT".into(),
        ip: "203.0.113.9".into(),
        method: method.into(),
        idempotency_key: "key".into(),
        notify_url: "https://cashier.example/hook/7".into(),
        success_url: "https://broker.example/yes".into(),
        failure_url: "https://broker.example/no".into(),
        metadata_json: r#"{"a":1}"#.into(),
        description: "Wörter".into(),
        now_unix: 1_795_160_000,
        nonce: "nonce".into(),
        bag: bag(),
    }
}

fn notice(path: &str) -> WebhookNotice {
    WebhookNotice {
        provider: "echo".into(),
        path: path.into(),
        method: "POST".into(),
        headers: vec![("x-sign".into(), "1".into()), ("x-sign".into(), "2".into())],
        body: vec![0, 255, 13, 10],
        raw_query: "a=1".into(),
        content_type: "application/json".into(),
        received_unix: 1_795_160_001,
        nonce: "n".into(),
        bag: bag(),
    }
}

fn payment(method: &str) -> PaymentRef {
    PaymentRef {
        reference: "R".into(),
        refs: vec![ProviderRef::new("tid", "1"), ProviderRef::new("tid", "2")],
        payment_id: Some("pay".into()),
        amount: Amount::new(-5, 3, "KWD"),
        customer_id: "5".into(),
        login: "100".into(),
        brand: "b".into(),
        country: "KW".into(),
        method: method.into(),
        created_unix: 1_795_160_000,
        idempotency_key: "key".into(),
        notify_url: "https://cashier.example/hook/7".into(),
        now_unix: 1_795_160_002,
        nonce: "n".into(),
        bag: bag(),
    }
}

fn refund(method: &str) -> RefundOrder {
    RefundOrder {
        payment: PaymentRef { payment_id: None, ..payment(method) },
        refund_reference: "RR".into(),
        amount: Amount::new(5, 2, "USD"),
        refunded_before: Amount::new(1, 2, "USD"),
        completes: true,
        reason: "requested".into(),
        bag: bag(),
    }
}

fn replies() -> Vec<HttpReply> {
    let mut first = HttpReply::new(200, r#"{"token":"t"}"#);
    first.headers.push(("content-type".into(), "application/json".into()));
    first.headers.push(("date".into(), "today".into()));
    let mut third = HttpReply::new(429, "");
    third.headers.push(("retry-after".into(), "7".into()));
    vec![first, HttpReply::new(500, vec![0, 255]), third]
}

fn bag() -> Vec<(String, String)> {
    vec![("k".into(), "v".into())]
}
