//! What the kit reads and checks for every provider: the order's key, ids in paths, refusals, a
//! created payment's standing, a proven notice.

use cashier_provider_sdk::FailureKind::{Declined, NotFound, RefusedRequest, StaleReply, Temporary, UnreadableAnswer};
use cashier_provider_sdk::{
    CallTarget, HttpReply, NextAction, NormalizedStatus, PaymentCreated, PaymentOrder, PaymentRef, ProviderConfig,
    ProviderRef, StatusUpdate,
};

#[test]
fn a_key_that_cannot_stand_in_a_header_is_not_sent() {
    let longest = "k".repeat(255);
    let too_long = "k".repeat(256);
    for (key, sound) in [
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
        assert_eq!(read.is_ok(), sound, "{key:?}");
        assert!(read.is_ok_and(|read| read == key) || !sound, "{key:?}");
    }
}

#[test]
fn a_secret_key_must_be_there_and_fit_for_a_header() {
    for (key, fits) in [("sk_1", true), ("", false), ("sk_1\n", false), ("sk 1", false), ("sk\u{e9}", false)] {
        let config = ProviderConfig { secret_key: key.into(), ..ProviderConfig::default() };
        assert_eq!(config.required_secret_key().map_err(|error| error.field).is_ok(), fits, "{key:?}");
    }
}

#[test]
fn the_last_id_of_a_kind_stands_in_a_path_or_not_at_all() {
    let payment = |ids: &[&str]| PaymentRef {
        refs: ids.iter().map(|id| ProviderRef::new("order", *id)).collect(),
        ..PaymentRef::default()
    };
    assert_eq!(payment(&["a", "5O190127TN364715T-b_2"]).path_id_of("order"), Ok(Some("5O190127TN364715T-b_2")));
    assert_eq!(payment(&["a"]).path_id_of("capture"), Ok(None));
    for id in ["", "../refunds", "a?expand=x", "a%2f", "a b", "é"] {
        let failure = payment(&["a", id]).path_id_of("order").expect_err("no id for a path");
        assert_eq!((failure.kind, failure.code.as_str()), (RefusedRequest, "id_unusable"), "{id:?}");
    }
}

#[test]
fn a_refusal_has_the_kind_of_its_status_and_of_what_was_asked() {
    // status, kind at creation, kind about a payment, worth repeating
    let table = [
        (302, UnreadableAnswer, UnreadableAnswer, false),
        (400, RefusedRequest, RefusedRequest, false),
        (402, Declined, Declined, false),
        (404, RefusedRequest, NotFound, false),
        (409, Temporary, Temporary, true),
        (429, Temporary, Temporary, true),
        (503, Temporary, Temporary, true),
    ];
    for (status, at_creation, about_a_payment, retryable) in table {
        let headers = vec![("Retry-After".to_owned(), " 7 ".to_owned())];
        let reply = HttpReply { headers, ..HttpReply::new(status, "") };
        let created = reply.failure_for(CallTarget::Creation, Some("no"), "words");
        let asked = reply.failure_for(CallTarget::Payment, Some("no"), "words");
        assert_eq!((created.kind, asked.kind), (at_creation, about_a_payment), "{status}");
        assert_eq!((created.retryable, created.retry_after_seconds), (retryable, Some(7)), "{status}");
        assert_eq!((created.code.as_str(), created.message.as_str()), ("no", "words"));
    }
    let too_long = "x".repeat(65);
    for code in [None, Some(""), Some(too_long.as_str())] {
        assert_eq!(HttpReply::new(400, "").failure_for(CallTarget::Payment, code, "").code, "http_400");
    }
}

#[test]
fn another_kind_brings_its_own_word_on_repetition() {
    let busy = HttpReply::new(429, "").failure("busy", "words");
    assert_eq!((busy.kind, busy.retryable), (Temporary, true));
    let known = busy.clone().with_kind(Declined);
    assert_eq!((known.kind, known.retryable, known.code), (Declined, false, busy.code));
    assert!(
        known.retry_after_seconds.is_none() && HttpReply::new(400, "").failure("", "").with_kind(StaleReply).retryable
    );
}

#[test]
fn a_created_payment_hands_on_an_outcome_and_no_beginning() {
    let created = |status| {
        let update = StatusUpdate::new(status, "word").with_ref("order", "1");
        PaymentCreated::from_update(update, NextAction::Wait)
    };
    let pending = created(NormalizedStatus::Pending).expect("a beginning");
    assert_eq!((pending.status, pending.update), (NormalizedStatus::Pending, None));
    let confirmed = created(NormalizedStatus::Confirmed).expect("an outcome");
    assert_eq!(confirmed.update.map(|update| update.status), Some(NormalizedStatus::Confirmed));
    assert_eq!(confirmed.refs, [ProviderRef::new("order", "1")]);
    let unknown = created(NormalizedStatus::Unknown).expect_err("a word nobody knows");
    assert_eq!(unknown.kind, UnreadableAnswer);
}
