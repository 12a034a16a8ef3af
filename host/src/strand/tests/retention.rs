//! Old bodies are deleted in bounded turns; what is still to be read stays, and so do length, hash and time of what is gone.

use std::collections::BTreeSet;

use cashier_core::change::Change;
use cashier_core::ids::{NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::status::{ProcessingStatus, SignatureStatus, TransactionStatus};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::super::archive::ArchiveReader;
use super::super::retention::{RETIRED_AT_ONCE_MAX, RetentionKind, RetentionOrder, RetentionPlace, Retired, needed};
use super::*;
use crate::ports::{Archive, Recorder};

/// When the notices of [`plain`] were received.
const RECEIVED: UnixTime = UnixTime(1_779_270_000);

/// Runs turns until nothing more is due; returns how many rows each deleted.
pub(super) fn round(strand: &Strand, kind: RetentionKind, before: UnixTime) -> Vec<u64> {
    let needed = Arc::new(needed(strand.path()).unwrap());
    let (mut next, mut turns) = (Some(RetentionPlace::Kept(0)), Vec::new());
    while let Some(place) = next {
        let order = RetentionOrder { kind, place, before, now: before.plus(5), needed: Arc::clone(&needed) };
        let turn: Retired = block_on(strand.retire(order)).unwrap();
        turns.push(turn.rows);
        next = turn.next;
    }
    turns
}

fn event(id: u64, status: ProcessingStatus) -> Change {
    Change::Event(Box::new(ProviderEvent { processing_status: status, ..plain::confirmation(id) }))
}

fn bodies(path: &Path, table: &str) -> BTreeSet<u64> {
    let connection = Connection::open(path).unwrap();
    let sql = format!("SELECT id FROM {table} WHERE length(body) > 0");
    let mut statement = connection.prepare(&sql).unwrap();
    let ids = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
    ids.map(|id| id.unwrap().cast_unsigned()).collect()
}

#[test]
fn old_bodies_go_in_bounded_turns_and_say_what_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    for id in 1..=40 {
        strand.submit(commit(id, vec![event(id, ProcessingStatus::Processed)], vec![plain::notice(id, b"the body")]));
    }
    listener.wait_for_synced(40);
    assert!(round(&strand, RetentionKind::Events, RECEIVED).iter().all(|rows| *rows == 0), "they are not older");
    assert_eq!(bodies(strand.path(), "notice").len(), 40);
    let most = u64::try_from(RETIRED_AT_ONCE_MAX).unwrap();
    assert_eq!(round(&strand, RetentionKind::Events, RECEIVED.plus(1)), [0, most, most, 40 - 2 * most]);
    assert!(bodies(strand.path(), "notice").is_empty());
    let connection = Connection::open(strand.path()).unwrap();
    let sql = "SELECT body_bytes, sha256, deleted_time, headers_json, path FROM notice WHERE id = 7";
    let left = connection.query_row(sql, [], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, Vec<u8>>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, String>(3)?,
            row.get::<_, String>(4)?,
        ))
    });
    let (bytes, hash, time, headers, path) = left.unwrap();
    assert_eq!((bytes, time, &*headers, &*path), (8, RECEIVED.0 + 6, "[]", "/cashier/webhook/stripe/1"));
    assert_eq!(hash, plain_hash(7), "the hash of what was received stays as it was");
    let reader = ArchiveReader::open(strand.path()).unwrap();
    assert_eq!(block_on(reader.notice(NoticeId(7))).unwrap(), None, "it is not read as an empty body");
    assert_eq!(round(&strand, RetentionKind::Events, RECEIVED.plus(1)), [0, 0], "nothing is deleted twice");
}

#[test]
fn a_turn_deletes_a_mebibyte_or_one_row() {
    const KIB: usize = 1024;
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    // Ten of 300 KiB, then two of a mebibyte and some.
    let length = |id| if id <= 10 { 300 * KIB } else { 1024 * KIB };
    let waiting = [1, 2, 3, 4, 5];
    for id in 1..=12 {
        let status = if waiting.contains(&id) { ProcessingStatus::Pending } else { ProcessingStatus::Processed };
        let body = vec![b'x'; length(id)];
        strand.submit(commit(id, vec![event(id, status)], vec![plain::notice(id, &body)]));
    }
    listener.wait_for_synced(12);
    assert_eq!(round(&strand, RetentionKind::Events, RECEIVED.plus(1)), [0, 3, 2, 1, 1]);
    assert_eq!(bodies(strand.path(), "notice"), BTreeSet::from(waiting));
    let read = waiting.map(|id| event(id, ProcessingStatus::Processed));
    strand.submit(commit(13, read.into(), Vec::new()));
    listener.wait_for_synced(13);
    assert_eq!(round(&strand, RetentionKind::Events, RECEIVED.plus(1)), [3, 2, 0], "those that had to stay");
    assert!(bodies(strand.path(), "notice").is_empty());
}

/// Makes every page unreadable that holds a part of a body of `Z` and nothing else; returns how many there were.
fn break_pages_of_bodies(path: &Path) -> usize {
    const PAGE: usize = 4096;
    let mut file = std::fs::read(path).unwrap();
    let mut broken = 0;
    for page in file.chunks_mut(PAGE).filter(|page| page.len() == PAGE) {
        if page.iter().skip(4).all(|byte| *byte == b'Z') {
            // The number of the next page of the body: none has this one.
            page[..4].copy_from_slice(&[0x7F; 4]);
            broken += 1;
        }
    }
    std::fs::write(path, file).unwrap();
    broken
}

#[test]
fn bodies_that_stay_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    for id in 1..=3 {
        let status = if id == 3 { ProcessingStatus::Processed } else { ProcessingStatus::Pending };
        let body = if id == 3 { vec![b'x'; 10] } else { vec![b'Z'; 100_000] };
        strand.submit(commit(id, vec![event(id, status)], vec![plain::notice(id, &body)]));
    }
    listener.wait_for_synced(3);
    let path = strand.path().to_owned();
    drop(strand);
    assert!(break_pages_of_bodies(&path) > 40);
    let (strand, _) = opened(folder.path());
    // As rows that were never looked at, and as rows that had to stay.
    for rows in [[0, 1], [0, 0]] {
        assert_eq!(round(&strand, RetentionKind::Events, RECEIVED.plus(1)), rows);
    }
}

fn plain_hash(id: u64) -> Vec<u8> {
    match plain::notice(id, b"the body") {
        Body::Notice { sha256, .. } => sha256.to_vec(),
        _ => Vec::new(),
    }
}

#[test]
fn bodies_of_events_that_wait_stay_until_they_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let waiting = [3, 70];
    for id in 1..=100 {
        let status = if waiting.contains(&id) { ProcessingStatus::Pending } else { ProcessingStatus::Processed };
        strand.submit(commit(id, vec![event(id, status)], vec![plain::notice(id, b"the body")]));
    }
    listener.wait_for_synced(100);
    round(&strand, RetentionKind::Events, RECEIVED.plus(1));
    assert_eq!(bodies(strand.path(), "notice"), BTreeSet::from(waiting));
    // A start between two rounds changes nothing.
    drop(strand);
    let (strand, listener) = opened(folder.path());
    round(&strand, RetentionKind::Events, RECEIVED.plus(1));
    assert_eq!(bodies(strand.path(), "notice"), BTreeSet::from(waiting));
    strand.submit(commit(101, vec![event(3, ProcessingStatus::Processed)], Vec::new()));
    listener.wait_for_synced(101);
    assert_eq!(round(&strand, RetentionKind::Events, RECEIVED.plus(1)), [1, 0]);
    assert_eq!(bodies(strand.path(), "notice"), BTreeSet::from([70]));
}

#[test]
fn quarantined_bodies_have_an_age_of_their_own_and_make_place() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let forged = |id| {
        let row = ProviderEvent { signature_status: SignatureStatus::Invalid, update: None, ..plain::confirmation(id) };
        Change::Event(Box::new(row))
    };
    strand.submit(commit(1, vec![event(1, ProcessingStatus::Processed)], vec![plain::notice(1, b"verified")]));
    strand.submit(commit(2, vec![forged(2)], vec![plain::notice(2, b"forged")]));
    listener.wait_for_synced(2);
    assert_eq!(round(&strand, RetentionKind::Quarantine, RECEIVED.plus(1)), [0, 1]);
    assert_eq!((bodies(strand.path(), "notice").len(), bodies(strand.path(), "unproven_notice").len()), (1, 0));
}

#[test]
fn an_answer_stays_while_its_deposit_is_unpaid_whatever_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let row = |id, status, updated| {
        let row = Transaction { status, updated_time: UnixTime(updated), ..plain::deposit(id) };
        Change::Transaction(Box::new(row))
    };
    let answer = |id| Body::Answer {
        transaction_id: TransactionId(id),
        redirect_url: "https://pay.example/1".into(),
        instructions_json: r#"{"iban":"DE02"}"#.into(),
    };
    strand.submit(commit(1, vec![row(1, TransactionStatus::PendingPayment, 100)], vec![answer(1)]));
    strand.submit(commit(2, vec![row(2, TransactionStatus::Credited, 100)], vec![answer(2)]));
    strand.submit(commit(3, vec![row(3, TransactionStatus::Credited, 900)], vec![answer(3)]));
    listener.wait_for_synced(3);
    assert_eq!(round(&strand, RetentionKind::Answers, UnixTime(500)), [0, 1]);
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let shown = |id| block_on(reader.answer(TransactionId(id))).unwrap().unwrap().redirect_url;
    assert_eq!([shown(1), shown(2), shown(3)].map(|url| !url.is_empty()), [true, false, true]);
    let connection = Connection::open(strand.path()).unwrap();
    let sql = "SELECT body_bytes, sha256 FROM answer WHERE transaction_id = 2";
    let left: (i64, Vec<u8>) = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let hash = Sha256::digest(b"https://pay.example/1\0{\"iban\":\"DE02\"}");
    assert_eq!((left.0, &*left.1), (36, &hash[..]));
    strand.submit(commit(4, vec![row(1, TransactionStatus::Cancelled, 400)], Vec::new()));
    listener.wait_for_synced(4);
    assert_eq!(round(&strand, RetentionKind::Answers, UnixTime(500)), [1, 0]);
}

#[test]
fn a_turn_that_fails_changes_nothing_and_commits_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    strand.submit(commit(1, vec![event(1, ProcessingStatus::Processed)], vec![plain::notice(1, b"the body")]));
    listener.wait_for_synced(1);
    let connection = Connection::open(strand.path()).unwrap();
    connection
        .execute_batch("CREATE TRIGGER rule BEFORE UPDATE ON notice BEGIN SELECT RAISE(ABORT, 'kept by hand'); END")
        .unwrap();
    let order = RetentionOrder {
        kind: RetentionKind::Events,
        place: RetentionPlace::New,
        before: RECEIVED.plus(1),
        now: RECEIVED,
        needed: Arc::default(),
    };
    assert!(block_on(strand.retire(order)).is_err());
    strand.submit(commit(2, vec![event(2, ProcessingStatus::Processed)], vec![plain::notice(2, b"the body")]));
    listener.wait_for_synced(2);
    assert_eq!(bodies(strand.path(), "notice"), BTreeSet::from([1, 2]));
}

#[test]
fn a_request_stays_while_it_can_be_approved_and_its_row_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    strand.submit(commit(1, vec![event(1, ProcessingStatus::Processed)], Vec::new()));
    listener.wait_for_synced(1);
    let connection = Connection::open(strand.path()).unwrap();
    // id, expires, state, decided; all were asked at 100.
    for (id, expires, state, decided) in [(1, 300, 1, 200), (2, 900, 0, 0), (3, 300, 0, 0), (4, 300, 2, 900)] {
        let row = format!(
            "INSERT INTO approval (id, command, config_id, brand, config_version, request_sealed, fields, asked_by, asked_time, \
             expires_time, state, decided_by, decided_time) \
             VALUES ({id}, 'save', 1, '', 1, x'0102030405', 'secret_key', 7, 100, {expires}, {state}, 8, {decided})"
        );
        connection.execute_batch(&row).unwrap();
    }
    assert_eq!(round(&strand, RetentionKind::Approvals, UnixTime(500)), [0, 2]);
    let left = |id: i64| {
        let sql = "SELECT length(request_sealed), body_bytes, fields FROM approval WHERE id = ?1";
        let read =
            |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
        connection.query_row(sql, [id], read).unwrap()
    };
    let (deleted, kept) = ((0, 5, "secret_key".to_owned()), (5, 0, "secret_key".to_owned()));
    assert_eq!([left(1), left(2), left(3), left(4)], [deleted.clone(), kept.clone(), deleted, kept]);
    assert_eq!(round(&strand, RetentionKind::Approvals, UnixTime(1_000)), [1, 1], "what was kept is looked at again");
    // A start reads the rows without their requests.
    let stored = Rows::stored(strand.path());
    assert_eq!(
        stored.rows.iter().filter(|row| matches!(row, Change::Approval(row) if row.request.is_empty())).count(),
        4
    );
}
