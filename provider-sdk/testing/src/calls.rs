//! Checks of the descriptor, the config and the calls of a provider.

use cashier_provider_sdk::host::{Instance, ModuleV1};
use cashier_provider_sdk::{
    Amount, Descriptor, FailureKind, HttpMethod, HttpReply, HttpRequest, NextAction, PaymentCreated, PaymentOrder,
    PaymentProvider, ProviderConfig, ProviderFailure, RefundOrder, Step,
};

use crate::harness::{ConformanceError, Harness, ensure, sample_payment, sample_refund};

/// Most steps of an exchange: a token, the call and one more are usual; more than eight is a loop.
const STEPS_MAX: usize = 8;

/// The descriptor has what the host needs, without contradictions.
pub fn the_descriptor_is_complete<P: PaymentProvider>(_: &Harness) -> Result<(), ConformanceError> {
    let descriptor = descriptor::<P>()?;
    let code = &descriptor.code;
    let in_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    ensure((1..=64).contains(&code.len()) && code.chars().all(in_code), || {
        format!("code {code:?} is not 1 to 64 of a-z, 0-9, _")
    })?;
    ensure(!descriptor.name.is_empty(), || "name is empty".into())?;
    ensure(!descriptor.version.is_empty(), || "version is empty".into())?;
    ensure(!descriptor.methods.is_empty(), || "no methods".into())?;
    ensure(!descriptor.primary_ref_kind.is_empty(), || "primary_ref_kind is empty".into())?;
    for currency in &descriptor.currencies {
        let upper = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit();
        ensure(!currency.is_empty() && currency.bytes().all(upper), || {
            format!("currency {currency:?} is not an upper-case code")
        })?;
    }
    for host in &descriptor.hosts {
        ensure(!host.is_empty() && !host.contains('/'), || format!("host {host:?} is not a bare host name"))?;
    }
    for (at, setting) in descriptor.settings.iter().enumerate() {
        let key = &setting.key;
        ensure(!key.is_empty() && !setting.label.is_empty(), || format!("setting {key:?} has no key or no label"))?;
        ensure(!setting.secret || setting.default.is_none(), || format!("the secret setting {key:?} has a default"))?;
        let twice = descriptor.settings.iter().skip(at.saturating_add(1)).any(|other| other.key == *key);
        ensure(!twice, || format!("setting {key:?} is named twice"))?;
    }
    for (at, event) in descriptor.webhook_events.iter().enumerate() {
        let twice = descriptor.webhook_events.iter().skip(at.saturating_add(1)).any(|other| other == event);
        ensure(!event.is_empty() && !twice, || format!("webhook event {event:?} is empty or named twice"))?;
    }
    ensure(descriptor.capabilities.refund || !descriptor.capabilities.partial_refund, || {
        "partial refunds without refunds".into()
    })
}

/// The provider accepts the harness's config.
pub fn the_configuration_is_accepted<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    harness.instance::<P>().map(|_| ())
}

/// The canned replies create a payment, and none is left over.
pub fn the_canned_replies_create_a_payment<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let created = created(&harness.instance::<P>()?, harness)?;
    match &created.next {
        NextAction::Redirect { url } => ensure(url.starts_with("https://") || loopback(url), || {
            format!("the redirect {url:?} is neither https nor loopback")
        }),
        NextAction::Instructions { json_text } => {
            let object = serde_json::from_str::<serde_json::Map<_, _>>(json_text);
            ensure(object.is_ok(), || "the instructions are not a JSON object".into())
        }
        NextAction::Wait | NextAction::None => Ok(()),
    }
}

/// What creates a payment passes the check of the order, and an order of no amount does not.
pub fn the_order_check_agrees_with_the_creation<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    let nothing =
        PaymentOrder { amount: Amount::new(0, 2, harness.order.amount.currency.clone()), ..harness.order.clone() };
    for order in [&harness.order, &nothing] {
        let checked = instance.check_order(order);
        let refused = match instance.create_payment(order, &[]) {
            Step::Failed(failure) if failure.kind == FailureKind::RefusedRequest => Err(failure),
            Step::Send { .. } | Step::Done(_) | Step::Failed(_) | Step::Unsupported => Ok(()),
        };
        // A check may refuse more than the first step does, and never less.
        ensure(checked.is_err() || refused.is_ok(), || {
            format!("create refuses what the check lets pass: {refused:?}")
        })?;
        let allowed = |failure: &ProviderFailure| failure.kind == FailureKind::RefusedRequest;
        ensure(checked.as_ref().err().is_none_or(allowed), || format!("the check failed: {checked:?}"))?;
    }
    ensure(instance.check_order(&harness.order).is_ok(), || "the order that creates a payment is refused".into())
}

/// Every request goes over TLS to a host of the descriptor or of an endpoint setting; what verifies and queries sends
/// only requests that are safe to repeat.
pub fn requests_go_only_to_declared_hosts<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let descriptor = descriptor::<P>()?;
    let instance = harness.instance::<P>()?;
    let mut allowed = descriptor.hosts.clone();
    allowed.extend(endpoint_hosts(&descriptor, &harness.config));
    for request in first_requests(&instance, harness, &descriptor) {
        let url = &request.url;
        let host = host_of(url).unwrap_or_default();
        ensure(allowed.iter().any(|name| name == host), || {
            format!("a request goes to {host:?}, which is not one of {allowed:?}")
        })?;
        ensure(url.starts_with("https://") || loopback(url), || format!("{url:?} is neither https nor loopback"))?;
        for (name, value) in &request.headers {
            let token = !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
            let clean = value.bytes().all(|c| c == b'\t' || (b' '..=b'~').contains(&c));
            ensure(token && clean, || format!("the header {name:?} is malformed"))?;
        }
    }
    // Verifying a webhook and querying a status must not move money.
    let payment = sample_payment(&harness.order, &descriptor.primary_ref_kind);
    let mut queries = vec![sent(&instance.query_status(&payment, &[]))];
    for notice in harness.signed() {
        queries.push(sent(&instance.normalize_status(&notice, &[])));
    }
    for request in queries.into_iter().flatten() {
        ensure(request.safe_to_repeat, || {
            format!("{request:?} verifies or queries, but is not marked as safe to repeat")
        })?;
    }
    Ok(())
}

/// The request that creates the payment carries the cashier's reference and, if the provider supports keys, the
/// idempotency key. It is not marked as safe to repeat: if its reply is lost, a payment may exist.
pub fn a_creating_request_carries_key_and_reference<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    let descriptor = descriptor::<P>()?;
    let instance = harness.instance::<P>()?;
    let mut requests = Vec::new();
    for count in 0..harness.create_replies.len() {
        let replies = harness.create_replies.get(..count).unwrap_or_default();
        requests.extend(sent(&instance.create_payment(&harness.order, replies)));
    }
    if requests.is_empty() {
        // The provider creates instructions without any request.
        return Ok(());
    }
    let Harness { order, .. } = harness;
    let carry = |text: &str| requests.iter().any(|request| request.carries(text));
    ensure(carry(&order.reference), || "no request carries the reference".into())?;
    ensure(descriptor.idempotency_window_seconds == 0 || carry(&order.idempotency_key), || {
        "the descriptor declares an idempotency window, but no request carries the key".into()
    })?;
    // A GET may query the order before it is created, but at least one of the requests must create it.
    let about_order = || {
        requests
            .iter()
            .filter(|request| [&order.reference, &order.idempotency_key].into_iter().any(|text| request.carries(text)))
    };
    let marked = about_order().find(|request| request.safe_to_repeat && request.method != HttpMethod::Get);
    let marked = marked.or(about_order().next().filter(|_| about_order().all(|request| request.safe_to_repeat)));
    ensure(marked.is_none(), || format!("{marked:?} creates a payment, but is marked as safe to repeat"))
}

/// An unreadable reply is never a created payment and never a definite failure: the request was sent, so money may
/// have moved.
pub fn an_unreadable_reply_leaves_the_outcome_unknown<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    let instance = harness.instance::<P>()?;
    let Some((_, before)) = harness.create_replies.split_last() else {
        return Ok(());
    };
    for (status, body) in [
        (200, ""),
        (200, "<html>welcome</html>"),
        (200, "{"),
        (200, "null"),
        (200, "{}"),
        (200, "[]"),
        (200, "\"ok\""),
        (201, "{}"),
        (302, ""),
        (500, ""),
        (500, "{}"),
        (502, "<html>bad gateway</html>"),
        (503, ""),
        (504, ""),
    ] {
        let mut replies = before.to_vec();
        replies.push(HttpReply::new(status, body));
        let step = instance.create_payment(&harness.order, &replies);
        let unknown = match &step {
            Step::Failed(failure) => !failure.kind.is_definite() && failure.kind != FailureKind::Panicked,
            Step::Send { .. } | Step::Done(_) | Step::Unsupported => false,
        };
        ensure(unknown, || format!("HTTP {status} {body:?} must leave the outcome unknown, got {step:?}"))?;
    }
    Ok(())
}

/// Where refunds are declared, each is one that its own reference keys: the request carries it and is not marked as safe to
/// repeat, two part refunds differ, and a repeat after a lost answer is the same request.
pub fn a_refund_carries_its_own_key<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let descriptor = descriptor::<P>()?;
    if !descriptor.capabilities.refund {
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    let payment = sample_payment(&harness.order, &descriptor.primary_ref_kind);
    let one = sample_refund(payment.clone());
    let other = RefundOrder { refund_reference: "R2".into(), ..one.clone() };
    let request = |refund: &RefundOrder| {
        let first = sent(&instance.refund_payment(refund, &[]));
        first.ok_or_else(|| ConformanceError::new("a refund sends nothing".to_owned()))
    };
    let (first, second) = (request(&one)?, request(&other)?);
    ensure(!first.safe_to_repeat, || format!("{first:?} refunds, but is marked as safe to repeat"))?;
    ensure(first.carries(&one.refund_reference) && second.carries(&other.refund_reference), || {
        "the request does not carry the refund's reference".into()
    })?;
    ensure(first != second, || "two refunds are one request".into())?;
    let mut later = one.clone();
    (later.payment.now_unix, later.payment.nonce) = (later.payment.now_unix.saturating_add(60), "another".into());
    let repeated = request(&later)?;
    ensure(repeated.body == first.body && repeated.url == first.url, || "a repeated refund is another request".into())
}

/// An unreadable reply to a refund is never a refund and never a definite refusal: it may have been made.
pub fn an_unreadable_reply_leaves_a_refund_unknown<P: PaymentProvider>(
    harness: &Harness,
) -> Result<(), ConformanceError> {
    let descriptor = descriptor::<P>()?;
    if !descriptor.capabilities.refund {
        return Ok(());
    }
    let instance = harness.instance::<P>()?;
    let refund = sample_refund(sample_payment(&harness.order, &descriptor.primary_ref_kind));
    for (status, body) in [(200, ""), (200, "<html>"), (200, "null"), (200, "{}"), (302, ""), (500, "{}"), (503, "")] {
        let step = instance.refund_payment(&refund, &[HttpReply::new(status, body)]);
        let unknown = match &step {
            Step::Failed(failure) => !failure.kind.is_definite() && failure.kind != FailureKind::Panicked,
            // Another request may follow before the refund itself.
            Step::Send { .. } => true,
            Step::Done(_) | Step::Unsupported => false,
        };
        ensure(unknown, || format!("HTTP {status} {body:?} must leave the refund unknown, got {step:?}"))?;
    }
    Ok(())
}

/// A declared capability does something; one that is not declared returns `Unsupported` for any replies.
pub fn an_undeclared_capability_is_unsupported<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let descriptor = descriptor::<P>()?;
    let instance = harness.instance::<P>()?;
    let payment = sample_payment(&harness.order, &descriptor.primary_ref_kind);
    let refund = sample_refund(payment.clone());
    let declared = descriptor.capabilities;
    for replies in [vec![], vec![HttpReply::new(200, "{}")]] {
        let calls = [
            ("advance", declared.advance, instance.advance_payment(&payment, &replies)),
            ("query", declared.query, instance.query_status(&payment, &replies)),
            ("cancel", declared.cancel, instance.cancel_payment(&payment, &replies)),
            ("refund", declared.refund, instance.refund_payment(&refund, &replies)),
        ];
        for (name, declared, step) in calls {
            ensure(declared != (step == Step::Unsupported), || {
                format!("{name}: declared is {declared}, the step is {step:?}")
            })?;
        }
    }
    Ok(())
}

/// Equal inputs return equal steps, on the same instance and on another.
pub fn equal_inputs_give_equal_outputs<P: PaymentProvider>(harness: &Harness) -> Result<(), ConformanceError> {
    let kind = descriptor::<P>()?.primary_ref_kind;
    let (one, other) = (harness.instance::<P>()?, harness.instance::<P>()?);
    let everything = |instance: &Instance| {
        let order = &harness.order;
        let payment = sample_payment(order, &kind);
        let refund = sample_refund(payment.clone());
        let notices: Vec<_> = harness
            .signed()
            .iter()
            .chain(&harness.notices)
            .map(|notice| instance.normalize_status(notice, &[]))
            .collect();
        let created: Vec<_> = (0..=harness.create_replies.len())
            .map(|count| harness.create_replies.get(..count).unwrap_or_default())
            .map(|replies| instance.create_payment(order, replies))
            .collect();
        let about = [
            instance.advance_payment(&payment, &[]),
            instance.query_status(&payment, &[]),
            instance.cancel_payment(&payment, &[]),
            instance.refund_payment(&refund, &[]),
        ];
        (notices, created, about)
    };
    let first = everything(&one);
    ensure(first == everything(&one), || "the same instance returned another result the second time".into())?;
    ensure(first == everything(&other), || "another instance with the same config returned another result".into())
}

pub(crate) fn descriptor<P: PaymentProvider>() -> Result<Descriptor, ConformanceError> {
    ModuleV1::of::<P>().descriptor().map_err(|failure| ConformanceError::new(format!("no descriptor: {failure}")))
}

fn created(instance: &Instance, harness: &Harness) -> Result<PaymentCreated, ConformanceError> {
    let canned = &harness.create_replies;
    for count in 0..=canned.len().min(STEPS_MAX) {
        let replies = canned.get(..count).unwrap_or_default();
        match instance.create_payment(&harness.order, replies) {
            Step::Done(created) if count == canned.len() => return Ok(created),
            Step::Send { .. } if count < canned.len() => {}
            step @ (Step::Done(_) | Step::Send { .. } | Step::Failed(_) | Step::Unsupported) => {
                return Err(ConformanceError::new(format!(
                    "with {count} of {} canned replies: {step:?}",
                    canned.len()
                )));
            }
        }
    }
    Err(ConformanceError::new(format!("more than {STEPS_MAX} steps")))
}

/// What every call sends first, and what creation sends at each step.
fn first_requests(instance: &Instance, harness: &Harness, descriptor: &Descriptor) -> Vec<HttpRequest> {
    let payment = sample_payment(&harness.order, &descriptor.primary_ref_kind);
    let refund = sample_refund(payment.clone());
    let mut requests = Vec::new();
    for count in 0..=harness.create_replies.len() {
        let replies = harness.create_replies.get(..count).unwrap_or_default();
        requests.extend(sent(&instance.create_payment(&harness.order, replies)));
    }
    for notice in harness.signed() {
        requests.extend(sent(&instance.normalize_status(&notice, &[])));
    }
    requests.extend(sent(&instance.advance_payment(&payment, &[])));
    requests.extend(sent(&instance.query_status(&payment, &[])));
    requests.extend(sent(&instance.cancel_payment(&payment, &[])));
    requests.extend(sent(&instance.refund_payment(&refund, &[])));
    requests
}

pub(crate) fn sent<T>(step: &Step<T>) -> Option<HttpRequest> {
    match step {
        Step::Send { request, .. } => Some(request.clone()),
        Step::Done(_) | Step::Failed(_) | Step::Unsupported => None,
    }
}

fn endpoint_hosts(descriptor: &Descriptor, config: &ProviderConfig) -> Vec<String> {
    descriptor
        .settings
        .iter()
        .filter(|setting| setting.endpoint)
        .filter_map(|setting| config.settings.text(&setting.key).ok().flatten())
        .filter_map(host_of)
        .map(str::to_owned)
        .collect()
}

/// The host of an absolute URL, with its port if there is one.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

fn loopback(url: &str) -> bool {
    host_of(url).is_some_and(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        ["127.0.0.1", "localhost", "[::1]"].contains(&name)
    })
}
