//! What a signed event means, behind the ABI and its guard as the host calls it: fields that are not needed may be
//! anything, each event of a dispute or a refund counts alone, and the mode must agree.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may fail loudly")]

mod fixture;

use cashier_provider_sdk::serde_json::{Value, json};
use cashier_provider_sdk::signature::{Digest, hmac, to_hex};
use cashier_provider_sdk::{FailureKind, HttpReply, NormalizedStatus, StatusUpdate, Step, WebhookVerdict};
use fixture::{NOW, WEBHOOK_SECRET, done, failed, module, notice, order, payment};

fn verdict_of_bytes(body: &[u8]) -> Step<WebhookVerdict> {
    let signature = hmac(Digest::Sha256, WEBHOOK_SECRET.as_bytes(), &[NOW.to_string().as_bytes(), b".", body]);
    module().normalize_status(&notice(&format!("t={NOW},v1={}", to_hex(&signature)), body), &[])
}

fn verdict(event: &Value) -> Step<WebhookVerdict> {
    verdict_of_bytes(event.to_string().as_bytes())
}

/// The only update of a verified event.
fn update(step: Step<WebhookVerdict>) -> StatusUpdate {
    match step {
        Step::Done(WebhookVerdict::Verified { mut updates, .. }) if updates.len() == 1 => updates.remove(0),
        other => panic!("expected one update, got {other:?}"),
    }
}

fn event(kind: &str, object: Value) -> Value {
    json!({"id": "evt_1", "object": "event", "type": kind, "livemode": false, "data": {"object": object}})
}

fn paid_session() -> Value {
    json!({
        "id": "cs_1", "object": "checkout.session", "amount_total": 2550, "currency": "usd", "livemode": false,
        "payment_status": "paid", "payment_intent": "pi_1", "client_reference_id": "K7Q2M9X4T1B8",
        "metadata": {"transaction_id": "K7Q2M9X4T1B8"},
    })
}

#[test]
fn m28_two_references_that_differ_in_letter_case_are_one() {
    let read = |by_client: &str| {
        let mut session = paid_session();
        session["client_reference_id"] = by_client.into();
        update(verdict(&event("checkout.session.completed", session))).reference
    };
    for same in ["K7Q2M9X4T1B8", "k7q2m9x4t1b8", " k7Q2m9X4t1B8\n"] {
        assert!(read(same).is_some_and(|read| read.trim().eq_ignore_ascii_case("K7Q2M9X4T1B8")), "{same:?}");
    }
    for other in ["K7Q2M9X4T1B9", "K7Q2 M9X4T1B8"] {
        assert_eq!(read(other), None, "{other:?}: a payment link's, which a customer can edit");
    }
}

/// A paid session with a further member, which is written as it is.
fn with_member(member: &[u8]) -> Vec<u8> {
    let text = event("checkout.session.completed", paid_session()).to_string();
    let (head, tail) = text.split_once("\"metadata\":{").unwrap();
    [head.as_bytes(), b"\"odd\":", member, b",\"metadata\":{\"odd\":", member, b",", tail.as_bytes()].concat()
}

#[test]
fn m2_an_odd_field_that_is_not_needed_leaves_the_payment_readable() {
    let deep = ["[".repeat(1000), "]".repeat(1000)].concat();
    let members: [&[u8]; 11] = [
        br#""caf\ud83d""#,
        br#""\udc00\ud83d""#,
        b"\"caf\xe9\"",
        b"\"\x01\n\"",
        br#""\x""#,
        b"1e400",
        b"2549.9999999999995",
        b"-NaN",
        deep.as_bytes(),
        br#"{"\ud83d": 1, "caf\u00e9": {"a": 1, "a": 2}}"#,
        b"99999999999999999999999999999999999999999999",
    ];
    for member in members {
        let body = with_member(member);
        let paid = update(verdict_of_bytes(&body));
        let shown = String::from_utf8_lossy(&body);
        assert_eq!(paid.status, NormalizedStatus::Confirmed, "{shown}");
        assert_eq!(paid.amount.map(|amount| amount.to_string()).as_deref(), Some("25.50 USD"), "{shown}");
        assert_eq!(paid.reference.as_deref(), Some("K7Q2M9X4T1B8"), "{shown}");
    }
    let body = event("checkout.session.completed", paid_session()).to_string();
    let wrapped = [b"\xef\xbb\xbf", body.as_bytes(), b"\r\n\0\0"].concat();
    assert_eq!(update(verdict_of_bytes(&wrapped)).payment_id.as_deref(), Some("pi_1"));
}

#[test]
fn m2_an_odd_field_leaves_the_answers_to_a_creation_and_a_query_readable() {
    let session = paid_session().to_string();
    for odd in [r#""caf\ud83d""#, "NaN", "1e400", r#"{"a":1,"a":2}"#] {
        let text = session.replacen('{', &format!(r#"{{"odd":{odd},"#), 1);
        let paid = text.replacen(r#""payment_status":"paid""#, r#""payment_status":"paid","status":"complete""#, 1);
        let reply = [HttpReply::new(200, paid)];
        let created = done(module().create_payment(&order(), &reply));
        assert_eq!(created.status, NormalizedStatus::Confirmed, "{odd}");
        let queried = done(module().query_status(&payment(&[("checkout_session", "cs_1")]), &reply));
        assert_eq!(queried.amount.map(|amount| amount.to_string()).as_deref(), Some("25.50 USD"), "{odd}");
    }
    // The code decides about an error, whatever its message holds.
    let error = br#"{"error":{"type":"card_error","code":"card_declined","message":"caf\ud83d"}}"#;
    let declined = failed(module().create_payment(&order(), &[HttpReply::new(402, error.as_slice())]));
    assert_eq!((declined.kind, declined.code.as_str()), (FailureKind::Declined, "card_declined"));
    assert!(declined.message.contains(r"caf\ud83d"), "{declined}");
}

#[test]
fn m3_a_needed_field_that_cannot_be_read_is_neither_rounded_nor_left_out() {
    let body = event("checkout.session.completed", paid_session()).to_string();
    // What is written in the place of a needed value.
    let table: [(&str, &str); 10] = [
        ("2550", "2549.9999999999995"),
        ("2550", "1e400"),
        ("2550", "-2550"),
        ("2550", "NaN"),
        ("2550", "\"2550.5\""),
        ("2550", "{}"),
        ("2550", "1,\"amount_total\":2550"),
        ("\"usd\"", r#""us\ud83d""#),
        ("\"cs_1\"", r#""cs_\ud83d""#),
        ("\"pi_1\"", r#""pi_\ud83d""#),
    ];
    for (sound, odd) in table {
        let body = body.replacen(sound, odd, 1);
        let step = verdict_of_bytes(body.as_bytes());
        let Step::Done(WebhookVerdict::Unreadable(unreadable)) = step else { panic!("{body}: {step:?}") };
        // What can still be read leads to the payment.
        assert_eq!(unreadable.event_id.as_deref(), Some("evt_1"), "{body}");
        assert_eq!(unreadable.reference.as_deref(), Some("K7Q2M9X4T1B8"), "{body}");
        assert!(!unreadable.refs.is_empty(), "{body}");
    }
}

/// The reason of an event that changes nothing.
fn ignored(step: Step<WebhookVerdict>) -> String {
    match step {
        Step::Done(WebhookVerdict::Verified { updates, event_id, ignored: Some(reason), .. }) if updates.is_empty() => {
            assert_eq!(event_id.as_deref(), Some("evt_1"));
            reason
        }
        other => panic!("expected nothing to do, got {other:?}"),
    }
}

#[test]
fn m33_an_event_with_nothing_to_do_has_its_own_id_and_a_reason() {
    let thin = json!({
        "id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered", "livemode": true,
        "related_object": {"id": "mtr_1", "type": "billing.meter"},
    });
    let thin_reason =
        "v1.billing.meter.error_report_triggered is a thin event: register the endpoint for snapshot events";
    assert_eq!(ignored(verdict(&thin)), thin_reason);
    let unknown = event("customer.updated", json!({"id": "cus_1", "livemode": false}));
    assert_eq!(ignored(verdict(&unknown)), "events of type customer.updated change no payment");
    let inquiry = event("charge.dispute.created", dispute("warning_needs_response"));
    assert_eq!(ignored(verdict(&inquiry)), "an inquiry takes no money (status warning_needs_response)");
}

#[test]
fn m11_a_signed_event_of_the_other_mode_is_ignored_with_its_reason() {
    let mut live = event("checkout.session.completed", paid_session());
    live["livemode"] = json!(true);
    live["data"]["object"]["livemode"] = json!(true);
    assert_eq!(ignored(verdict(&live)), "a live event for a sandbox configuration (checkout.session.completed)");
    // An object that states no mode of its own, and one that cannot be read.
    let mut refund = event("refund.updated", json!({"id": "re_1", "status": "succeeded"}));
    refund["livemode"] = json!(true);
    assert_eq!(ignored(verdict(&refund)), "a live event for a sandbox configuration (refund.updated)");
}

#[test]
fn m8_a_session_without_an_intent_names_no_payment_and_the_intent_names_it_later() {
    let mut session = paid_session();
    session["payment_intent"] = Value::Null;
    let first = update(verdict(&event("checkout.session.completed", session)));
    assert_eq!((first.status, first.payment_id), (NormalizedStatus::Confirmed, None));
    let intent = json!({
        "id": "pi_1", "object": "payment_intent", "amount": 2550, "amount_received": 2550, "currency": "usd",
        "livemode": false, "metadata": {"transaction_id": "K7Q2M9X4T1B8"},
    });
    let second = update(verdict(&event("payment_intent.succeeded", intent)));
    assert_eq!((second.status, second.payment_id.as_deref()), (NormalizedStatus::Confirmed, Some("pi_1")));
}

fn dispute(status: &str) -> Value {
    json!({
        "id": "du_1", "object": "dispute", "amount": 2550, "currency": "usd", "charge": "ch_1", "livemode": false,
        "payment_intent": "pi_1", "reason": "fraudulent", "status": status,
    })
}

#[test]
fn m5_each_event_of_a_dispute_states_the_dispute_when_it_is_the_only_one() {
    use NormalizedStatus::{Chargeback, ChargebackReversed, ManualReview};
    // the event, the dispute's status, what it is
    let table = [
        ("created", "needs_response", Some(Chargeback)),
        ("created", "under_review", Some(Chargeback)),
        ("created", "lost", Some(Chargeback)),
        ("updated", "needs_response", Some(Chargeback)),
        ("updated", "lost", Some(Chargeback)),
        ("funds_withdrawn", "needs_response", Some(Chargeback)),
        ("funds_withdrawn", "warning_needs_response", Some(Chargeback)),
        ("closed", "lost", Some(Chargeback)),
        ("closed", "won", Some(ChargebackReversed)),
        ("updated", "won", Some(ChargebackReversed)),
        ("funds_reinstated", "won", Some(ChargebackReversed)),
        ("funds_reinstated", "under_review", Some(ChargebackReversed)),
        ("funds_reinstated", "lost", Some(ManualReview)),
        ("funds_withdrawn", "won", Some(ChargebackReversed)),
        ("funds_withdrawn", "lost", Some(Chargeback)),
        ("created", "warning_needs_response", None),
        ("updated", "warning_under_review", None),
        ("closed", "warning_closed", None),
        ("closed", "prevented", Some(ManualReview)),
    ];
    for (kind, status, expected) in table {
        let step = verdict(&event(&format!("charge.dispute.{kind}"), dispute(status)));
        let Step::Done(WebhookVerdict::Verified { updates, .. }) = &step else { panic!("{kind} {status}: {step:?}") };
        let found: Vec<NormalizedStatus> = updates.iter().map(|update| update.status).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{kind} {status}");
        for update in updates.iter().filter(|update| update.status != ManualReview) {
            let dispute = update.dispute.as_ref().unwrap();
            assert_eq!(dispute.id, "du_1", "one dispute is one fact");
            assert_eq!(dispute.amount.as_ref().unwrap().to_string(), "25.50 USD");
        }
    }
}

#[test]
fn m6_a_refund_counts_by_its_own_id_in_each_event_that_says_it_succeeded() {
    let refund = |status: &str| {
        json!({"id": "re_1", "object": "refund", "amount": 1000, "currency": "usd", "charge": "ch_1",
               "payment_intent": "pi_1", "status": status})
    };
    for kind in ["refund.created", "refund.updated", "charge.refund.updated"] {
        let refunded = update(verdict(&event(kind, refund("succeeded"))));
        let stated = refunded.refund.unwrap();
        assert_eq!(refunded.status, NormalizedStatus::Refunded, "{kind}");
        assert_eq!((stated.id.as_deref(), stated.amount.to_string().as_str()), (Some("re_1"), "10.00 USD"), "{kind}");
        for failure in ["failed", "canceled"] {
            let failed = update(verdict(&event(kind, refund(failure))));
            assert_eq!(failed.status, NormalizedStatus::RefundFailed, "{kind} {failure}");
            assert_eq!(failed.refund.unwrap().id.as_deref(), Some("re_1"), "{kind} {failure}");
        }
        for pending in ["pending", "requires_action", "unheard_of"] {
            let step = verdict(&event(kind, refund(pending)));
            let nothing = matches!(&step, Step::Done(WebhookVerdict::Verified { updates, .. }) if updates.is_empty());
            assert!(nothing, "{kind} {pending}: {step:?}");
        }
    }
}

#[test]
fn m32_an_event_and_its_object_must_state_the_same_mode() {
    let mut session = paid_session();
    session["livemode"] = json!(true);
    let paid = update(verdict(&event("checkout.session.completed", session)));
    assert_eq!((paid.status, paid.mode_conflict), (NormalizedStatus::Confirmed, true), "no money moves in two modes");

    let mut inverse = event("charge.dispute.closed", dispute("lost"));
    inverse["livemode"] = json!(true);
    assert!(update(verdict(&inverse)).mode_conflict);

    let intent = json!({"id": "pi_1", "object": "payment_intent", "amount": 2550, "currency": "usd", "livemode": true});
    let canceled = update(verdict(&event("payment_intent.canceled", intent)));
    assert_eq!((canceled.status, canceled.mode_conflict), (NormalizedStatus::ManualReview, true));
}
