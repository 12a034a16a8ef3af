//! Large rows by id, and the bounded area of what was not found genuine.

use bytes::Bytes;
use cashier_core::change::Change;
use cashier_core::ids::{EventId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::status::SignatureStatus;

use super::super::bodies::Reader;
use super::super::sqlite::connect_read_only;
use super::super::unproven::{UNPROVEN_BYTES_MAX, UNPROVEN_ROWS_MAX};
use super::*;
use crate::ports::{Archive, Recorder, StoredAnswer, StoredNotice};

fn forged(id: u64) -> Change {
    Change::Event(Box::new(ProviderEvent {
        signature_status: SignatureStatus::Invalid,
        update: None,
        ..values::confirmation(id)
    }))
}

#[test]
fn large_rows_are_found_by_id() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listening) = opened(folder.path());
    let reader = Reader::open(strand.path()).unwrap();
    let genuine = Change::Event(Box::new(values::confirmation(1)));
    let bodies = vec![
        values::notice(1, b"\x00\xffbytes"),
        Body::Answer {
            transaction_id: TransactionId(1),
            redirect_url: "https://pay.example/1".into(),
            instructions_json: "{\"iban\":\"DE\"}".into(),
        },
        Body::Order { transaction_id: TransactionId(1), order_json: "{\"amount\":250.00}".into() },
    ];
    strand.submit(commit(1, vec![genuine], bodies));
    strand.submit(commit(2, vec![forged(2)], vec![values::notice(2, b"forged")]));
    listening.wait_for_synced(2);

    let answer =
        StoredAnswer { redirect_url: "https://pay.example/1".into(), instructions_json: "{\"iban\":\"DE\"}".into() };
    assert_eq!(block_on(reader.answer(TransactionId(1))).unwrap(), Some(answer));
    assert_eq!(block_on(reader.order(TransactionId(1))).unwrap().as_deref(), Some("{\"amount\":250.00}"));
    let notice = StoredNotice {
        id: NoticeId(1),
        received_time: UnixTime(1_779_270_000),
        method: "POST".into(),
        path: "/cashier/webhook/stripe/1".into(),
        raw_query: Box::default(),
        headers_json: r#"[["content-type","application/json"]]"#.into(),
        body: Bytes::from_static(b"\x00\xffbytes"),
    };
    assert_eq!(block_on(reader.notice(NoticeId(1))).unwrap(), Some(notice));
    assert_eq!(block_on(reader.notice(NoticeId(2))).unwrap().unwrap().body, "forged");
    assert_eq!(block_on(reader.event(EventId(1))).unwrap(), Some(values::confirmation(1)));
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
fn a_forged_event_takes_no_part_in_dedup() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listening) = opened(folder.path());
    // The forged one came first, under the very event id of the genuine one.
    let genuine = ProviderEvent { id: EventId(2), ..values::confirmation(1) };
    strand.submit(commit(1, vec![forged(1)], Vec::new()));
    strand.submit(commit(2, vec![Change::Event(Box::new(genuine.clone()))], Vec::new()));
    listening.wait_for_synced(2);
    let keys = block_on(strand.reload()).unwrap().event_keys;
    assert_eq!(keys, [(genuine.config_id, genuine.event_id, genuine.id)]);
}

#[test]
fn an_open_door_cannot_fill_the_disk() {
    const COMMITS: u64 = 200;
    let (batch, body) = (UNPROVEN_ROWS_MAX / 80, vec![0; 6_000]);
    let folder = tempfile::tempdir().unwrap();
    let (strand, listening) = opened(folder.path());
    strand.submit(commit(
        1,
        vec![Change::Event(Box::new(values::confirmation(1)))],
        vec![values::notice(1, b"genuine")],
    ));
    for seq in 2..=COMMITS {
        let ids = (seq * batch)..(seq * batch + batch);
        let events = ids.clone().map(forged).collect();
        strand.submit(commit(seq, events, ids.map(|id| values::notice(id, &body)).collect()));
    }
    listening.wait_for_synced(COMMITS);
    let reader = connect_read_only(strand.path()).unwrap();
    let number = |sql| reader.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
    let events = number("SELECT count(*) FROM unproven_event");
    let bytes = number("SELECT sum(length(body)) FROM unproven_notice");
    assert!(events <= UNPROVEN_ROWS_MAX && events > UNPROVEN_ROWS_MAX / 2, "{events}");
    assert!(bytes <= UNPROVEN_BYTES_MAX && bytes > UNPROVEN_BYTES_MAX / 4, "{bytes}");
    // The newest are kept, and the genuine one is not touched.
    assert_eq!(number("SELECT max(id) FROM unproven_notice"), COMMITS * batch + batch - 1);
    assert_eq!(number("SELECT count(*) FROM notice") + number("SELECT count(*) FROM provider_event"), 2);
}
