//! Large rows by id, and the bounds of the quarantine.

use bytes::Bytes;
use cashier_core::change::{Change, OrderDetails};
use cashier_core::ids::{EventId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use cashier_core::texts::Texts;

use super::super::archive::ArchiveReader;
use super::super::connection::connect_read_only;
use super::super::quarantine::{QUARANTINE_BYTES_MAX, QUARANTINE_ROWS_MAX};
use super::*;
use crate::ports::{Archive, Recorder, StoredAnswer, StoredNotice};

fn forged(id: u64) -> Change {
    Change::Event(Box::new(ProviderEvent {
        signature_status: SignatureStatus::Invalid,
        update: None,
        ..plain::confirmation(id)
    }))
}

fn order() -> OrderDetails {
    OrderDetails {
        notify_url: "https://cashier.example/cashier/webhook/stripe/1".into(),
        success_url: "https://broker.example/paid".into(),
        failure_url: "https://broker.example/failed".into(),
        locale: "de".into(),
        ip: "203.0.113.7".into(),
        nonce: u128::MAX - 5,
        terms_version: 7,
    }
}

fn texts(comment: &str) -> Texts {
    Texts { comment: comment.into(), metadata_json: r#"{"order":"A-1"}"#.into() }
}

#[test]
fn b1_texts_are_read_from_the_disk_once_and_then_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let ids: Vec<TransactionId> = (1..=64).map(TransactionId).collect();
    let bodies = ids.iter().map(|id| Body::Texts { transaction_id: *id, texts: texts(&id.to_string()) });
    strand.submit(commit(1, vec![Change::Event(Box::new(plain::confirmation(1)))], bodies.collect()));
    listener.wait_for_synced(1);
    let read = || {
        let mut found = block_on(reader.texts(&ids)).unwrap();
        found.sort_by_key(|(id, _)| *id);
        found
    };
    let first = read();
    assert_eq!(first.len(), 64);
    for (id, found) in &first {
        assert_eq!(**found, texts(&id.to_string()));
    }
    assert!(read().iter().zip(&first).all(|((_, again), (_, before))| Arc::ptr_eq(again, before)));
}

#[test]
fn large_rows_are_found_by_id() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let verified = Change::Event(Box::new(plain::confirmation(1)));
    let bodies = vec![
        plain::notice(1, b"\x00\xffbytes"),
        Body::Answer {
            transaction_id: TransactionId(1),
            redirect_url: "https://pay.example/1".into(),
            instructions_json: "{\"iban\":\"DE\"}".into(),
        },
        Body::Order { transaction_id: TransactionId(1), details: order() },
        Body::Texts { transaction_id: TransactionId(1), texts: texts("first") },
    ];
    strand.submit(commit(1, vec![verified], bodies));
    strand.submit(commit(2, vec![forged(2)], vec![plain::notice(2, b"forged")]));
    listener.wait_for_synced(2);

    let answer =
        StoredAnswer { redirect_url: "https://pay.example/1".into(), instructions_json: "{\"iban\":\"DE\"}".into() };
    assert_eq!(block_on(reader.answer(TransactionId(1))).unwrap(), Some(answer));
    assert_eq!(block_on(reader.order(TransactionId(1))).unwrap(), Some(order()));
    let found = block_on(reader.texts(&[TransactionId(2), TransactionId(1)])).unwrap();
    assert_eq!(found, [(TransactionId(1), Arc::new(texts("first")))]);
    let notice = StoredNotice {
        id: NoticeId(1),
        received_time: UnixTime(1_779_270_000),
        method: "POST".into(),
        path: "/cashier/webhook/stripe/1".into(),
        raw_query: Box::default(),
        headers_json: r#"[["content-type","application/json"]]"#.into(),
        sha256: [7; 32],
        body: Bytes::from_static(b"\x00\xffbytes"),
    };
    assert_eq!(block_on(reader.notice(NoticeId(1))).unwrap(), Some(notice));
    assert_eq!(block_on(reader.notice(NoticeId(2))).unwrap().unwrap().body, "forged");
    assert_eq!(block_on(reader.event(EventId(1))).unwrap(), Some(plain::confirmation(1)));
    assert_eq!(block_on(reader.event(EventId(2))).unwrap().unwrap().signature_status, SignatureStatus::Invalid);
    assert_eq!(block_on(reader.answer(TransactionId(2))).unwrap(), None);
    assert_eq!(block_on(reader.order(TransactionId(2))).unwrap(), None);
    assert_eq!(block_on(reader.notice(NoticeId(3))).unwrap(), None);
    assert_eq!(block_on(reader.event(EventId(3))).unwrap(), None);

    let page = |before, limit| {
        let page = block_on(reader.events_before(EventId(before), limit)).unwrap();
        page.iter().map(|event| event.id.0).collect::<Vec<_>>()
    };
    assert_eq!((page(100, 10), page(100, 1), page(2, 10), page(1, 10)), (vec![2, 1], vec![2], vec![1], vec![]));
}

#[test]
fn a_forged_event_takes_no_part_in_deduplication() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    // The forged event came first, under the event id of the verified one.
    let verified = ProviderEvent { id: EventId(2), ..plain::confirmation(1) };
    strand.submit(commit(1, vec![forged(1)], Vec::new()));
    strand.submit(commit(2, vec![Change::Event(Box::new(verified.clone()))], Vec::new()));
    listener.wait_for_synced(2);
    let keys = Rows::stored(strand.path()).event_keys;
    assert_eq!(keys, [(verified.config_id, verified.event_id, verified.id)]);
}

#[test]
fn unverified_webhooks_cannot_fill_the_disk() {
    // Many small ones reach the bound on rows, few large ones the bound on bytes.
    for (commits, per_commit, body_bytes) in [(120, 125, 10), (150, 1, 1024 * 1024)] {
        let body = vec![7; body_bytes];
        let folder = tempfile::tempdir().unwrap();
        let (strand, listener) = opened(folder.path());
        let verified = Change::Event(Box::new(plain::confirmation(1)));
        strand.submit(commit(1, vec![verified], vec![plain::notice(1, b"verified")]));
        for seq in 2..=commits {
            let ids = (seq * per_commit)..(seq * per_commit + per_commit);
            let events = ids.clone().map(forged).collect();
            strand.submit(commit(seq, events, ids.map(|id| plain::notice(id, &body)).collect()));
        }
        listener.wait_for_synced(commits);
        let reader = connect_read_only(strand.path()).unwrap();
        let number = |sql| reader.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
        let (events, notices) =
            (number("SELECT count(*) FROM unproven_event"), number("SELECT count(*) FROM unproven_notice"));
        let bytes = number("SELECT sum(length(body)) FROM unproven_notice");
        let sent = (commits - 1) * per_commit;
        assert!(events <= QUARANTINE_ROWS_MAX && notices <= QUARANTINE_ROWS_MAX, "{events} {notices}");
        assert!(bytes <= QUARANTINE_BYTES_MAX, "{bytes}");
        assert!(notices < sent && notices * 2 > sent.min(QUARANTINE_BYTES_MAX / (1024 * 1024)), "{notices} of {sent}");
        assert_eq!(number("SELECT count(*) FROM commit_journal"), 1, "quarantined commits have no journal line");
        // The newest remain, and the verified one is not touched.
        assert_eq!(number("SELECT max(id) FROM unproven_notice"), commits * per_commit + per_commit - 1);
        assert_eq!(number("SELECT count(*) FROM notice") + number("SELECT count(*) FROM provider_event"), 2);
    }
}

#[test]
fn m10_an_unread_notice_is_loaded_with_its_length_and_is_never_evicted() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let unread = |id: u64| ProviderEvent {
        processing_status: ProcessingStatus::Failed,
        failure_reason: "UNREADABLE_NOTICE: no amount".into(),
        update: None,
        notice_id: NoticeId(id),
        ..plain::confirmation(id)
    };
    let change = |event: ProviderEvent| Change::Event(Box::new(event));
    let bodies = vec![plain::notice(1, &[0xff; 1000]), plain::notice(2, b"")];
    strand.submit(commit(1, vec![change(unread(1)), change(unread(2))], bodies));
    let flood = (3..QUARANTINE_ROWS_MAX + 100).map(forged).collect();
    strand.submit(commit(2, flood, Vec::new()));
    listener.wait_for_synced(2);
    let stored = || {
        let loaded = block_on(strand.reload()).unwrap();
        loaded.books.unread().map(|known| (known.event.id.0, known.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(stored(), [(1, 1000), (2, 0)]);
    strand.submit(commit(3, vec![change(plain::confirmation(1))], Vec::new()));
    listener.wait_for_synced(3);
    assert_eq!(stored(), [(2, 0)], "what was read waits no longer");
}
