//! Checks with hostile input: no call panics, for any webhook and any reply.

use cashier_provider_sdk::host::Instance;
use cashier_provider_sdk::{FailureKind, HttpReply, PaymentProvider, Step, WebhookNotice, WebhookVerdict};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::strategy::Just;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::Value;

use crate::calls::descriptor;
use crate::harness::{ConformanceError, Harness, ensure, sample_payment, sample_refund};
use crate::json::mutations;

/// Random inputs per check: enough to reach each branch of a parser, in well under a second.
const CASES: u32 = 256;

/// Random bytes as body and random texts as headers, signed and unsigned.
pub fn random_notice_bytes_never_panic<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    let names: Vec<String> = harness
        .signed()
        .iter()
        .flat_map(|notice| notice.headers.iter().map(|(name, _)| name.clone()))
        .chain(["content-type".to_owned()])
        .collect();
    let header = (proptest::sample::select(names), texts());
    let input = (bytes(), vec(header, 0..4), texts(), any::<i64>());
    run(&input, |(body, headers, query, received_unix)| {
        for notice in harness.notices.iter().take(1) {
            let mut notice =
                WebhookNotice { body: body.clone(), raw_query: query.clone(), received_unix, ..notice.clone() };
            (harness.sign)(&mut notice, harness.secret(), received_unix);
            no_panic_at_notice("a signed webhook", &instance.normalize_status(&notice, &[]))?;
            notice.headers.splice(0..0, headers.clone());
            no_panic_at_notice("a webhook", &instance.normalize_status(&notice, &[]))?;
            notice.headers.clone_from(&headers);
            no_panic_at_notice("an unsigned webhook", &instance.normalize_status(&notice, &[]))?;
        }
        Ok(())
    })
}

/// A signed webhook in which one JSON value is replaced, at any position.
pub fn mutated_signed_notices_never_panic<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    for notice in &harness.notices {
        let Ok(value) = serde_json::from_slice::<Value>(&notice.body) else {
            continue;
        };
        for other in mutations(&value) {
            let mut notice = notice.clone();
            notice.body = other.to_string().into_bytes();
            let now = notice.received_unix;
            (harness.sign)(&mut notice, harness.secret(), now);
            let step = instance.normalize_status(&notice, &[]);
            no_panic_at_notice(&String::from_utf8_lossy(&notice.body), &step)?;
        }
    }
    Ok(())
}

/// Any reply to any call, at any step: random bytes, and the canned replies with one JSON value replaced.
pub fn mutated_and_random_replies_never_panic<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let kind = descriptor::<P>()?.primary_ref_kind;
    let instance = harness.instance::<P>()?;
    for (at, canned) in harness.create_replies.iter().enumerate() {
        let Ok(value) = serde_json::from_slice::<Value>(&canned.body) else {
            continue;
        };
        for other in mutations(&value) {
            let mut replies = harness.create_replies.clone();
            if let Some(reply) = replies.get_mut(at) {
                reply.body = other.to_string().into_bytes();
            }
            every_call(&instance, harness, &kind, &replies)?;
            every_call(&instance, harness, &kind, replies.get(at..).unwrap_or_default())?;
        }
    }
    let header = (texts(), texts());
    let status = prop_oneof![Just(200), Just(400), Just(500), any::<u16>()];
    let reply =
        (status, vec(header, 0..3), bytes()).prop_map(|(status, headers, body)| HttpReply { status, headers, body });
    run(&vec(reply, 0..4), |replies| every_call(&instance, harness, &kind, &replies))
}

fn every_call(
    instance: &Instance,
    harness: &Harness,
    primary_ref_kind: &str,
    replies: &[HttpReply],
) -> Result<(), ConformanceError> {
    let payment = sample_payment(&harness.order, primary_ref_kind);
    let refund = sample_refund(payment.clone());
    no_panic("create", &instance.create_payment(&harness.order, replies))?;
    no_panic("advance", &instance.advance_payment(&payment, replies))?;
    no_panic("query", &instance.query_status(&payment, replies))?;
    no_panic("cancel", &instance.cancel_payment(&payment, replies))?;
    no_panic("refund", &instance.refund_payment(&refund, replies))?;
    for notice in harness.signed() {
        no_panic_at_notice("webhook", &instance.normalize_status(&notice, replies))?;
    }
    Ok(())
}

fn no_panic<T>(call: &str, step: &Step<T>) -> Result<(), ConformanceError> {
    match step {
        Step::Failed(failure) => {
            ensure(failure.kind != FailureKind::Panicked, || format!("{call}: {}", failure.message))
        }
        Step::Send { .. } | Step::Done(_) | Step::Unsupported => Ok(()),
    }
}

/// A panic over proven bytes comes as an unreadable webhook.
fn no_panic_at_notice(call: &str, step: &Step<WebhookVerdict>) -> Result<(), ConformanceError> {
    match step {
        Step::Done(WebhookVerdict::Unreadable(unreadable)) => {
            ensure(!unreadable.reason.contains("panicked in normalize_status"), || {
                format!("{call}: {}", unreadable.reason)
            })
        }
        Step::Done(_) | Step::Send { .. } | Step::Failed(_) | Step::Unsupported => no_panic(call, step),
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        r#"[\{\}\[\]",:a-z0-9\.\-e ]{0,80}"#.prop_map(String::into_bytes),
        "[a-z_=&%0-9]{0,60}".prop_map(String::into_bytes),
    ]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", "[a-z]{1,3}=[0-9a-f]{0,70},?(v1=)?[0-9a-f]{0,70}"]
}

/// The same inputs in every run, so that a failure is reproducible.
fn run<S: Strategy>(
    input: &S,
    check: impl Fn(S::Value) -> Result<(), ConformanceError>,
) -> Result<(), ConformanceError> {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng)
        .run(input, |value| check(value).map_err(|error| TestCaseError::fail(error.to_string())))
        .map_err(|error| ConformanceError::new(error.to_string()))
}
