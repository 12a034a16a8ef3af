//! The log of requests to providers, and what is read about one transaction beside its rows.

use cashier_core::change::{AuditRecord, Change};
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ConfigId, EventId, ManagerId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::provider_call::{CALLS_KEPT_MAX, CallOutcome, CallPurpose, ProviderCall};
use cashier_core::session::Role;
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::super::archive::ArchiveReader;
use super::super::retention::RetentionKind;
use super::retention::round;
use super::*;
use crate::ports::{Archive, PaymentTraces, Recorder};

fn call(at: i64, purpose: CallPurpose) -> ProviderCall {
    let (method, host, outcome) = ("POST".into(), "api.stripe.com".into(), CallOutcome::Answered);
    ProviderCall { at: UnixTime(at), purpose, method, host, status: 200, duration_ms: 412, outcome }
}

fn calls(id: u64, calls: Vec<ProviderCall>) -> Body {
    Body::Calls { transaction_id: TransactionId(id), calls }
}

fn at(seq: u64, time: i64, bodies: Vec<Body>) -> Arc<Commit> {
    Arc::new(Commit { at: UnixTime(time), ..(*commit(seq, Vec::new(), bodies)).clone() })
}

fn traces(id: u64) -> PaymentTraces {
    let row = plain::deposit(id);
    let names = vec!["pi_named".into()];
    PaymentTraces { id: row.id, reference: row.reference, names, created_time: UnixTime(0), brand: None }
}

fn stored(reader: &ArchiveReader, id: u64) -> Vec<i64> {
    let history = block_on(reader.payment_history(traces(id))).unwrap();
    history.calls.iter().map(|call| call.at.0).collect()
}

#[test]
fn requests_to_a_provider_are_added_up_to_a_bound_and_leave_no_journal_line() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let row = Change::Transaction(Box::new(plain::deposit(1)));
    strand.submit(commit(
        1,
        vec![row],
        vec![calls(1, vec![call(1, CallPurpose::Create), call(2, CallPurpose::Create)])],
    ));
    let most = CALLS_KEPT_MAX as u64;
    for seq in 2..=most + 10 {
        strand.submit(at(
            seq,
            seq.cast_signed(),
            vec![calls(1, vec![call(seq.cast_signed() + 100, CallPurpose::Query)])],
        ));
    }
    listener.wait_for_synced(most + 10);
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let newest = (most + 10 + 100).cast_signed();
    let kept: Vec<i64> = [1, 2].into_iter().chain(newest - CALLS_KEPT_MAX as i64 + 1..=newest).collect();
    assert_eq!(stored(&reader, 1), kept);
    assert!(stored(&reader, 2).is_empty());
    let connection = Connection::open(strand.path()).unwrap();
    let lines: i64 = connection.query_row("SELECT count(*) FROM commit_journal", [], |row| row.get(0)).unwrap();
    assert_eq!(lines, 1, "the commit that has rows");
    drop(reader);
    strand.close().unwrap();
    let (strand, _listener) = opened(folder.path());
    let loaded = block_on(strand.reload()).unwrap();
    assert_eq!(loaded.books.counters().seq, most + 10, "numbers of commits without a line are not used again");
}

#[test]
fn old_requests_are_deleted_also_those_that_came_after_their_place_was_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    for (seq, time) in [(1, 100), (2, 100), (3, 900)] {
        strand.submit(at(seq, time, vec![calls(seq, vec![call(time, CallPurpose::Create)])]));
    }
    listener.wait_for_synced(3);
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let kept = || [1, 2, 3].map(|id| stored(&reader, id).len());
    assert_eq!(round(&strand, RetentionKind::Calls, UnixTime(500)), [0, 2]);
    assert_eq!(kept(), [0, 0, 1]);
    strand.submit(at(4, 600, vec![calls(1, vec![call(600, CallPurpose::Query)])]));
    listener.wait_for_synced(4);
    assert_eq!(kept(), [1, 0, 1]);
    assert_eq!(round(&strand, RetentionKind::Calls, UnixTime(500)).iter().sum::<u64>(), 0, "it is young");
    assert_eq!(round(&strand, RetentionKind::Calls, UnixTime(700)).iter().sum::<u64>(), 1);
    assert_eq!(kept(), [0, 0, 1]);
}

#[test]
fn events_that_name_a_payment_and_records_about_it_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let reference = plain::deposit(1).reference;
    let event = |id, change: &dyn Fn(&mut ProviderEvent)| {
        let mut row = ProviderEvent {
            transaction_id: TransactionId(0),
            provider_payment_id: "pi_other".into(),
            update: None,
            ..plain::confirmation(id)
        };
        change(&mut row);
        Change::Event(Box::new(row))
    };
    let waiting_for = |row: &mut ProviderEvent| {
        let update = plain::confirmation(1).update.unwrap();
        row.update = Some(cashier_core::notice::Update { reference: Some(reference.clone()), ..update });
        row.processing_status = ProcessingStatus::Pending;
    };
    let own = |row: &mut ProviderEvent| row.transaction_id = TransactionId(1);
    let named = |row: &mut ProviderEvent| {
        (row.provider_payment_id, row.processing_status) = ("pi_named".into(), ProcessingStatus::Failed);
    };
    let forged = |row: &mut ProviderEvent| row.signature_status = SignatureStatus::Invalid;
    let changes = vec![event(1, &own), event(2, &|_| {}), event(3, &named), event(4, &waiting_for)];
    let bodies = (1..=4).map(|id| plain::notice(id, reference.as_str().as_bytes())).collect();
    strand.submit(commit(1, changes, bodies));
    let body = format!(r#"{{"order":"{reference}"}}"#);
    strand.submit(commit(2, vec![event(5, &forged)], vec![plain::notice(5, body.as_bytes())]));
    strand.submit(commit(3, vec![event(6, &forged)], vec![plain::notice(6, b"another")]));
    let field = FieldChange {
        field: "status".into(),
        class: FieldClass::Other,
        before: AuditedValue::Clear("created".into()),
        after: AuditedValue::Clear("credited".into()),
    };
    let record = |transaction, brand: &str, command: &str, outcome: &'static str| {
        Body::Audit(Box::new(AuditRecord {
            manager_id: ManagerId(7),
            role: Role::Manager,
            brand: brand.into(),
            address: "".into(),
            command: command.into(),
            config_id: ConfigId(0),
            transaction_id: TransactionId(transaction),
            approval: ApprovalId(0),
            outcome: outcome.into(),
            changes: vec![field.clone()],
        }))
    };
    strand.submit(commit(4, Vec::new(), vec![record(1, "ion4", "MngRetryCashierCredit", "done")]));
    strand.submit(commit(5, Vec::new(), vec![record(2, "ion4", "MngOther", "done")]));
    // Whoever knows the id repeats what is refused; others forge what names the payment.
    let refused = |at: u64| commit(6 + at, Vec::new(), vec![record(1, "other", "MngCancel", "refused: NOT_FOUND")]);
    (0..300).for_each(|at| strand.submit(refused(at)));
    let of_other = |row: &mut ProviderEvent| {
        (row.brand, row.provider_payment_id) = ("other".into(), "pi_named".into());
        row.processing_status = ProcessingStatus::Failed;
    };
    strand.submit(commit(306, (10..50).map(|id| event(id, &of_other)).collect(), Vec::new()));
    listener.wait_for_synced(306);
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let found = block_on(reader.payment_history(PaymentTraces { brand: Some("ion4".into()), ..traces(1) })).unwrap();
    let ids: Vec<EventId> = found.events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [1, 3, 4].map(EventId), "its own, by payment id and by reference");
    let unverified: Vec<EventId> = found.unverified.iter().map(|known| known.event.id).collect();
    assert_eq!((unverified, found.unverified_count), (vec![EventId(5)], 1), "one that was not verified is beside them");
    assert!(!found.more_events);
    let acts: Vec<(&str, &str)> = found.acts.iter().map(|act| (&*act.command, &*act.brand)).collect();
    assert_eq!(acts, [("MngRetryCashierCredit", "ion4")]);
    assert_eq!(found.acts[0].changes, [["status", "created", "credited"].map(str::to_owned)]);
    let of_all = block_on(reader.payment_history(traces(1))).unwrap();
    let done = of_all.acts.iter().filter(|act| &*act.outcome == "done").count();
    assert_eq!((of_all.acts.len(), done), (257, 1), "refusals do not push out what was done");
}

#[test]
fn webhooks_that_were_not_verified_are_found_by_ids_and_the_newest_are_shown_with_their_count() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let quarantined = |id, brand: &str| {
        Change::Event(Box::new(ProviderEvent {
            transaction_id: TransactionId(0),
            provider_payment_id: "".into(),
            update: None,
            brand: brand.into(),
            signature_status: SignatureStatus::Invalid,
            ..plain::confirmation(id)
        }))
    };
    let whole = |id, body: &[u8]| match plain::notice(id, body) {
        Body::Notice { id, received_time, method, path, raw_query, headers_json, body, sha256: _ } => {
            let sha256 = Sha256::digest(&body).into();
            Body::Notice { id, received_time, method, path, raw_query, headers_json, sha256, body }
        }
        other => other,
    };
    let of_query = |id, query: &str| match whole(id, b"") {
        Body::Notice { id, received_time, method, path, raw_query: _, headers_json, body, sha256 } => {
            Body::Notice { id, received_time, method, path, raw_query: query.into(), headers_json, sha256, body }
        }
        other => other,
    };
    let bodies = vec![
        whole(1, br#"{"id":"pi_777777"}"#),
        of_query(2, "payment=pi_777777"),
        // Of another payment, and of one whose body was cut: its digest is that of a longer one.
        whole(3, br#"{"id":"pi_7777778"}"#),
        plain::notice(4, br#"{"id":"pi_777777", "#),
        whole(5, br#"{"id":"pi_777777"}"#),
    ];
    let brands = ["ion4", "ion4", "ion4", "ion4", "other"];
    strand.submit(commit(1, (1..=5).zip(brands).map(|(id, brand)| quarantined(id, brand)).collect(), bodies));
    listener.wait_for_synced(1);
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let found = |brand: Option<&str>| {
        let names = vec!["pi_777777".into(), "12".into()];
        let traces = PaymentTraces { names, brand: brand.map(Into::into), ..traces(1) };
        let found = block_on(reader.payment_history(traces)).unwrap();
        assert!(found.events.is_empty());
        let shown: Vec<(u64, bool)> = found.unverified.iter().map(|known| (known.event.id.0, known.is_cut)).collect();
        (shown, found.unverified_count)
    };
    assert_eq!(found(Some("ion4")), (vec![(1, false), (2, false), (4, true)], 3));
    assert_eq!(found(None).1, 4);

    // Whoever knows the id sends it as often as the quarantine stores it: the newest are shown, and how many there are.
    let flood = 10..=209;
    let bodies = flood.clone().map(|id| whole(id, br#"{"id":"pi_777777"}"#)).collect();
    strand.submit(commit(2, flood.map(|id| quarantined(id, "ion4")).collect(), bodies));
    listener.wait_for_synced(2);
    let (shown, count) = found(Some("ion4"));
    let newest: Vec<(u64, bool)> = (178..=209).map(|id| (id, false)).collect();
    assert_eq!((shown, count), (newest, 203));
}
