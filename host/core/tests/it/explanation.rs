//! What happened to a payment: the replay, the entries and their order, and a sentence for every status and reason.

use cashier_core::aggregate::Aggregate;
use cashier_core::explanation::{
    DetailValue, EntryKind, ExplainedEntry, NextTry, PaymentHistory, StoredAct, UnverifiedEvent, customer_sentence,
    explain, manager_sentence,
};
use cashier_core::facts::{MismatchKind, PersonFact, ProviderFact, ReviewHold};
use cashier_core::ids::{ManagerId, OperationId};
use cashier_core::operation::PostingOutcome;
use cashier_core::provider_call::{CallOutcome, CallPurpose, ProviderCall};
use cashier_core::reason::{ReasonCode, ReasonScope};
use cashier_core::session::Role;
use cashier_core::status::{ProcessingStatus, SignatureStatus, TransactionStatus, TransactionType};
use cashier_core::time::UnixTime;

use crate::samples::*;

fn confirmed() -> ProviderFact {
    ProviderFact::Confirmed { payment: "pi_1".into(), minor: 10_000 }
}

/// Records a fact in commit `seq`, at that many seconds after [`NOW`].
fn record(known: &Aggregate, seq: u64, fact: ProviderFact) -> Aggregate {
    let (changes, _) = known.record(&receiver(), &[fact], &[], at(seq));
    applied(known, &changes)
}

fn posted(known: &Aggregate, seq: u64) -> Aggregate {
    let id = known.operations.last().unwrap().id;
    applied(known, &known.end_posting(id, &PostingOutcome::posted(77), ManagerId(0), at(seq)))
}

fn lines(entries: &[ExplainedEntry]) -> Vec<String> {
    entries.iter().map(|entry| format!("{} {}: {}", entry.time.0 - NOW.0, entry.kind.name(), entry.title)).collect()
}

fn detail<'e>(entry: &'e ExplainedEntry, name: &str) -> Option<&'e DetailValue> {
    entry.details.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn changed(entry: &ExplainedEntry) -> Vec<String> {
    let Some(DetailValue::Changes(changes)) = detail(entry, "changes") else { return Vec::new() };
    changes.iter().map(|[field, before, after]| format!("{field}: {before} -> {after}")).collect()
}

fn call(seconds: i64, purpose: CallPurpose, status: u16, outcome: CallOutcome) -> ProviderCall {
    let (method, host) = ("POST".into(), "api.stripe.com".into());
    ProviderCall { at: NOW.plus(seconds), purpose, method, host, status, duration_ms: 412, outcome }
}

#[test]
fn a_payment_is_explained_in_the_order_of_time_with_what_each_fact_changed() {
    let opened = aggregate(cashier_core::transaction::Transaction { created_time: NOW, ..deposit(15) });
    let accepted = record(&opened, 1, ProviderFact::Accepted);
    let paid = record(&accepted, 10, confirmed());
    let credited = posted(&paid, 12);
    let refund = ProviderFact::Refund { id: "re_1".into(), payment: "pi_1".into(), minor: 5_000 };
    let refunded = posted(&record(&credited, 90, refund), 92);
    let received = |id, seconds, signature_status| cashier_core::notice::ProviderEvent {
        transaction_id: refunded.transaction.id,
        created_time: NOW.plus(seconds),
        signature_status,
        ..event(id, ProcessingStatus::Processed)
    };
    let calls = vec![
        call(1, CallPurpose::Create, 200, CallOutcome::Answered),
        call(70, CallPurpose::Query, 0, CallOutcome::TimedOut),
    ];
    let events = vec![received(1, 10, SignatureStatus::Valid)];
    let forged = received(2, 11, SignatureStatus::Invalid);
    let recovered = cashier_core::notice::ProviderEvent {
        processing_status: ProcessingStatus::Ignored,
        failure_reason: "IGNORED: recovered as event 9".into(),
        ..received(3, 11, SignatureStatus::Invalid)
    };
    let unverified = |event, is_cut| UnverifiedEvent { event, is_cut };
    let unverified = vec![unverified(forged.clone(), false), unverified(forged, true), unverified(recovered, false)];
    let act = |role, outcome: &str| StoredAct {
        seq: cashier_core::ids::Seq(0),
        at: NOW.plus(91),
        manager_id: ManagerId(7),
        role,
        brand: "".into(),
        command: "MngUpdateCashierTransaction".into(),
        outcome: outcome.into(),
        changes: Vec::new(),
    };
    let acts = vec![act(Role::Manager, "done"), act(Role::Customer, "refused: PERMISSION_DENIED")];
    let history = PaymentHistory { calls, events, more_events: false, unverified, unverified_count: 40, acts };
    let found = explain(refunded, &history, &[], None, NOW.plus(100));
    let expected = [
        "0 request: deposit of 100.0 USD requested for login 2000009",
        "1 provider_call: create call to api.stripe.com: answered 200 after 412 ms",
        "1 fact: order accepted by the provider: the customer may pay",
        "10 event: verified event confirmed: applied",
        "10 fact: paid: 100.0 USD (payment pi_1)",
        "11 event: NOT VERIFIED, changed nothing: webhook that names this payment",
        "11 event: NOT VERIFIED, changed nothing: webhook that names this payment, of which only the beginning is stored",
        "11 event: NOT VERIFIED when it came, recovered since: webhook that names this payment",
        "12 operation: BALANCE_IN of 100.0 USD: posted by the trading server",
        "70 provider_call: query call to api.stripe.com: timed out after 412 ms",
        "90 fact: refunded: 50.0 USD (refund re_1, payment pi_1)",
        "91 record: MngUpdateCashierTransaction by manager 7: done",
        "91 record: MngUpdateCashierTransaction by customer 7: refused: PERMISSION_DENIED",
        "92 operation: BALANCE_OUT of -50.0 USD: posted by the trading server",
    ];
    assert_eq!(lines(&found.entries), expected);
    let cut: Vec<_> = found.entries.iter().map(|entry| detail(entry, "body_cut")).collect();
    let expected = [None, None, None, None, None, None, Some(&DetailValue::Number(1))];
    assert_eq!((&cut[..7], found.unverified_count), (&expected[..], 40));
    let of = |kind| found.entries.iter().filter(move |entry: &&ExplainedEntry| entry.kind == kind);
    let facts: Vec<_> = of(EntryKind::Fact).map(changed).collect();
    let expected = [
        vec!["status: created -> pending_payment".to_owned()],
        vec!["status: pending_payment -> provider_confirmed".to_owned(), "owed: 0.0 USD -> 100.0 USD".to_owned()],
        vec!["failure_reason:  -> PARTLY_REFUNDED".to_owned(), "owed: 100.0 USD -> 50.0 USD".to_owned()],
    ];
    assert_eq!(facts, expected);
    let operations: Vec<_> = of(EntryKind::Operation).map(changed).collect();
    assert_eq!(operations, [vec!["status: provider_confirmed -> credited".to_owned()], Vec::new()]);
    let paid = of(EntryKind::Fact).nth(1).unwrap();
    assert_eq!(detail(paid, "payment"), Some(&DetailValue::Text("pi_1".to_owned())));
    assert_eq!(detail(paid, "amount"), Some(&DetailValue::Amount(usd(10_000))));
    assert!(found.for_customer.contains("a part of it was paid back"), "{}", found.for_customer);
    assert_eq!((found.command, found.next), ("", Vec::new()));
}

#[test]
fn decisions_of_persons_and_reviews_are_explained_too() {
    let opened = aggregate(deposit(15));
    let hold = ReviewHold::Mismatch {
        what: MismatchKind::Amount,
        expected: "100.0".into(),
        stated: "90.0".into(),
        stated_minor: Some(9_000),
        payment: "pi_1".into(),
    };
    let held = record(&opened, 10, ProviderFact::ReviewHold(hold));
    let (sentence, command) = manager_sentence(&held, NOW.plus(10));
    assert_eq!(command, "MngResolveCashierDoubt");
    assert!(sentence.starts_with("Status 9 (manual_review), AMOUNT_MISMATCH: "), "{sentence}");
    let resolved = applied(&held, &held.decide(PersonFact::Resolved { minor: 9_000 }, at(20)));
    let found = explain(resolved, &PaymentHistory::default(), &[], None, NOW.plus(21));
    let decision = found.entries.iter().find(|entry| entry.kind == EntryKind::Decision).unwrap();
    assert_eq!(changed(decision)[0], "status: manual_review -> provider_confirmed");
    let fact = found.entries.iter().find(|entry| entry.kind == EntryKind::Fact).unwrap();
    assert_eq!(detail(fact, "stated_amount"), Some(&DetailValue::Amount(usd(9_000))));
    assert_eq!(found.next[0].what, "post to the trading server");
}

#[test]
fn what_is_due_next_has_its_time() {
    let opened = record(&aggregate(deposit(15)), 1, ProviderFact::Accepted);
    let expires_time = NOW.plus(7_200);
    let transaction = cashier_core::transaction::Transaction { expires_time, ..opened.transaction.clone() };
    let pending = Aggregate { transaction, ..opened };
    let next = |now: i64, tried| {
        let found = explain(pending.clone(), &PaymentHistory::default(), &[], tried, NOW.plus(now));
        found.next.into_iter().map(|step| (step.what, step.not_before.0 - NOW.0, step.tries)).collect::<Vec<_>>()
    };
    let closing = "query the provider for the last time and close the order";
    assert_eq!(next(2, None), [("query the provider", 61, 0), (closing, 7_200, 0)], "while nothing is quiet yet");
    let tried = Some(NextTry { not_before: NOW.plus(500), tries: 3 });
    assert_eq!(next(400, tried), [("query the provider", 500, 3), (closing, 7_200, 0)]);
    assert_eq!(next(600, tried)[0], ("query the provider", 600, 3), "a pause that has passed");
    assert_eq!(next(7_300, None), [(closing, 7_300, 0)]);
    let refused = posted_refused(&record(&pending, 10, confirmed()));
    let found = explain(refused, &PaymentHistory::default(), &[], None, NOW.plus(20));
    assert_eq!((found.next[0].not_before, found.command), (UnixTime::UNSET, "MngRetryCashierCredit"));
}

fn posted_refused(known: &Aggregate) -> Aggregate {
    let id: OperationId = known.operations.last().unwrap().id;
    applied(
        known,
        &known.end_posting(id, &PostingOutcome::Refused { reason: "OWNER_MISMATCH".into() }, ManagerId(0), at(12)),
    )
}

/// Every status with every reason has a sentence for both, and the customer's says nothing that is not the customer's.
#[test]
fn every_status_and_reason_has_a_sentence_for_the_customer_and_one_for_the_manager() {
    let internal = ["config", "module", "webhook", "operator", "Mng", "owed", "posting", "transaction ", "manager"];
    for kind in [TransactionType::Deposit, TransactionType::Withdrawal] {
        for status in TransactionStatus::ALL {
            for code in [&[ReasonCode::None], ReasonCode::ALL].concat() {
                let mut row = if kind == TransactionType::Deposit { deposit(1) } else { manual(1, kind) };
                (row.status, row.reason) = (*status, code.into());
                let said = customer_sentence(&aggregate(row.clone()));
                let shown = format!("{status:?} {code:?}: {said}");
                assert!(said.starts_with("Your ") && said.ends_with('.') && said.len() > 40, "{shown}");
                assert!(!internal.iter().any(|word| said.contains(word)), "{shown}");
                assert!(code == ReasonCode::None || !said.contains(code.name()), "{shown}");
                let (sentence, command) = manager_sentence(&aggregate(row), NOW);
                assert!(sentence.contains(status.name()) && sentence.contains(code.name()), "{sentence}");
                assert_eq!(command.is_empty(), !sentence.contains(&format!("({command})")) || command.is_empty());
                assert!(command.is_empty() || command.starts_with("Mng"), "{sentence}");
            }
        }
    }
}

#[test]
fn a_review_that_a_person_ends_names_the_command() {
    let by_themselves = [ReasonCode::AmountUnstated, ReasonCode::ProviderInReview];
    let transactions = ReasonCode::ALL.iter().filter(|code| code.scope() == ReasonScope::Transaction);
    for code in transactions.filter(|code| !by_themselves.contains(code)) {
        let mut row = deposit(1);
        (row.status, row.reason) = (TransactionStatus::ManualReview, (*code).into());
        assert!(!manager_sentence(&aggregate(row), NOW).1.is_empty(), "{code}");
    }
}
