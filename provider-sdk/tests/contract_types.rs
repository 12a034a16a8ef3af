//! What the contract types validate for every provider: idempotency keys, ids in URL paths, secret keys, the kinds of
//! failures and the status of a created payment.

use cashier_provider_sdk::FailureKind::{
    CredentialsRefused, Declined, NotFound, RefusedRequest, StaleReply, Temporary, UnreadableAnswer,
};
use cashier_provider_sdk::{
    CallTarget, HttpReply, NextAction, NormalizedStatus, PaymentCreated, PaymentOrder, PaymentRef, ProviderConfig,
    ProviderRef, StatusUpdate,
};

#[test]
fn an_idempotency_key_that_no_header_can_carry_is_refused() {
    let longest = "k".repeat(255);
    let too_long = "k".repeat(256);
    for (key, valid) in [
        ("0f9bb0e7-642d", true),
        (longest.as_str(), true),
        ("", false),
        (too_long.as_str(), false),
        ("k k", false),
        ("k\r\nx: y", false),
        ("ключ", false),
    ] {
        let order = PaymentOrder { idempotency_key: key.into(), ..PaymentOrder::default() };
        let read = order.checked_idempotency_key();
        assert_eq!(read.is_ok(), valid, "{key:?}");
        assert!(read.is_ok_and(|read| read == key) || !valid, "{key:?}");
    }
}

#[test]
fn a_required_secret_key_must_be_set_and_visible_ascii() {
    for (key, valid) in [("sk_1", true), ("", false), ("sk_1\n", false), ("sk 1", false), ("sk\u{e9}", false)] {
        let config = ProviderConfig { secret_key: key.into(), ..ProviderConfig::default() };
        assert_eq!(config.required_secret_key().map_err(|error| error.field).is_ok(), valid, "{key:?}");
    }
}

#[test]
fn the_latest_id_of_a_kind_is_usable_in_a_path_or_refused() {
    let payment = |ids: &[&str]| PaymentRef {
        refs: ids.iter().map(|id| ProviderRef::new("order", *id)).collect(),
        ..PaymentRef::default()
    };
    assert_eq!(payment(&["a", "5O190127TN364715T-b_2"]).path_id_of("order"), Ok(Some("5O190127TN364715T-b_2")));
    assert_eq!(payment(&["a"]).path_id_of("capture"), Ok(None));
    for id in ["", "../refunds", "a?expand=x", "a%2f", "a b", "é"] {
        let failure = payment(&["a", id]).path_id_of("order").expect_err("not usable in a path");
        assert_eq!((failure.kind, failure.code.as_str()), (RefusedRequest, "id_unusable"), "{id:?}");
    }
}

#[test]
fn the_failure_kind_follows_from_the_http_status_and_the_call_target() {
    // status, kind at creation, kind about a payment, retryable
    let table = [
        (302, UnreadableAnswer, UnreadableAnswer, false),
        (400, RefusedRequest, RefusedRequest, false),
        (401, CredentialsRefused, CredentialsRefused, false),
        (402, Declined, Declined, false),
        (403, CredentialsRefused, CredentialsRefused, false),
        (404, RefusedRequest, NotFound, false),
        (409, Temporary, Temporary, true),
        (429, Temporary, Temporary, true),
        (503, Temporary, Temporary, true),
    ];
    for (status, at_creation, about_a_payment, retryable) in table {
        let headers = vec![("Retry-After".to_owned(), " 7 ".to_owned())];
        let reply = HttpReply { headers, ..HttpReply::new(status, "") };
        let created = reply.failure_for(CallTarget::Creation, Some("no"), "message");
        let queried = reply.failure_for(CallTarget::Payment, Some("no"), "message");
        assert_eq!((created.kind, queried.kind), (at_creation, about_a_payment), "{status}");
        assert_eq!((created.retryable, created.retry_after_seconds), (retryable, Some(7)), "{status}");
        assert_eq!((created.code.as_str(), created.message.as_str()), ("no", "message"));
    }
    let too_long = "x".repeat(65);
    for code in [None, Some(""), Some(too_long.as_str())] {
        assert_eq!(HttpReply::new(400, "").failure_for(CallTarget::Payment, code, "").code, "http_400");
    }
}

#[test]
fn a_failure_with_another_kind_is_retryable_as_that_kind_is() {
    let busy = HttpReply::new(429, "").failure("busy", "message");
    assert_eq!((busy.kind, busy.retryable), (Temporary, true));
    let known = busy.clone().with_kind(Declined);
    assert_eq!((known.kind, known.retryable, known.code), (Declined, false, busy.code));
    assert!(
        known.retry_after_seconds.is_none() && HttpReply::new(400, "").failure("", "").with_kind(StaleReply).retryable
    );
}

#[test]
fn a_created_payment_carries_an_update_unless_it_is_pending() {
    let created = |status| {
        let update = StatusUpdate::new(status, "raw").with_ref("order", "1");
        PaymentCreated::from_update(update, NextAction::Wait)
    };
    let pending = created(NormalizedStatus::Pending).expect("a pending payment");
    assert_eq!((pending.status, pending.update), (NormalizedStatus::Pending, None));
    let confirmed = created(NormalizedStatus::Confirmed).expect("a confirmed payment");
    assert_eq!(confirmed.update.map(|update| update.status), Some(NormalizedStatus::Confirmed));
    assert_eq!(confirmed.refs, [ProviderRef::new("order", "1")]);
    let unknown = created(NormalizedStatus::Unknown).expect_err("an unknown status");
    assert_eq!(unknown.kind, UnreadableAnswer);
}
