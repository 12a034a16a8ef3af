//! What was wiped, replaced or resealed is in no file of the database afterwards; what is noted of a wiped request stays.

use std::time::Instant;

use cashier_core::approval::ApprovalState;
use cashier_core::ids::{ApprovalId, EventId, ManagerId};
use cashier_core::provider_config::Secret;
use rusqlite::Connection;

use super::super::archive::ArchiveReader;
use super::super::audit_key;
use super::super::connection::{BUSY_WAIT, TRY_WAIT};
use super::super::reseal::ResealCursor;
use super::super::retention::{RetentionKind, RetentionOrder, RetentionPlace};
use super::super::stale_log::{EMPTY_PAUSE, StaleLog};
use super::sealing::{BOTH, ONE, TWO, a_config, approval, config, read, reseal_all, stored};
use super::*;
use crate::ports::Archive;
use crate::test_cashier::wait;

/// The end of each sealed value, which is in no other one.
fn tags(path: &Path, rows: &str) -> Vec<Vec<u8>> {
    let columns = ["secret_key_sealed", "webhook_secret_sealed", "replaced_secrets_sealed", "config_json_sealed"];
    let of_configs = columns.map(|column| format!("SELECT {column} FROM provider_config WHERE {rows}"));
    let others = ["request_sealed FROM approval", "key_sealed FROM audit_key"];
    let others = others.map(|column| format!("SELECT {column} WHERE {rows}"));
    let connection = Connection::open(path).unwrap();
    let mut found = Vec::new();
    for sql in of_configs.into_iter().chain(others) {
        let mut statement = connection.prepare(&sql).unwrap();
        let values = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        found.extend(values.map(|value| value.unwrap()).map(|value| value[value.len().saturating_sub(16)..].to_vec()));
    }
    found
}

/// How many of them the database or its log have anywhere.
fn in_files(path: &Path, tags: &[Vec<u8>]) -> usize {
    let log = path.with_file_name("cashier.db-wal");
    let files = [path, &log].map(|file| std::fs::read(file).unwrap_or_default());
    let has = |tag: &&Vec<u8>| files.iter().any(|bytes| bytes.windows(16).any(|part| part == &tag[..]));
    tags.iter().filter(has).count()
}

fn an_approval(row: Approval) -> Change {
    Change::Approval(Box::new(row))
}

/// Rows of many sizes, some longer than a page.
fn filled(path: &Path) {
    let long = |id: u64| "x".repeat((id * id * 7 % 9_000) as usize);
    let configs = (1..=40).map(|id| {
        a_config(ProviderConfig { config_json: Secret::new(&format!(r#"{{"a":"{}"}}"#, long(id))), ..config(id) })
    });
    let approvals = (1..=40)
        .map(|id| an_approval(Approval { request: Secret::new(&long(id + 3)), ..approval(id, ApprovalState::Open) }));
    stored(path, ONE, 1, configs.chain(approvals).collect());
    let mut store = Sqlite::open(path, sealing(ONE)).unwrap();
    write_all(&mut store, &[commit(2, Vec::new(), vec![audit::record(1, "secret")])]);
    store.close().unwrap();
}

#[test]
fn k1_what_was_resealed_is_in_no_file_under_its_old_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    filled(&path);
    let before = tags(&path, "1 = 1");
    assert_eq!((before.len(), in_files(&path, &before)), (201, 201));
    let mut store = Sqlite::open(&path, sealing(BOTH)).unwrap();
    let mut cursor = Some(ResealCursor::default());
    while let Some(place) = cursor {
        cursor = store.reseal(place).unwrap().next;
    }
    assert_eq!(store.rest(Instant::now()), None);
    assert_eq!(in_files(&path, &before), 0, "while it is open");
    store.close().unwrap();
    assert_eq!(in_files(&path, &before), 0);
    assert_eq!(reseal_all(&path, TWO), 0);
}

/// How often the database and its log have them.
fn copies(path: &Path, tags: &[Vec<u8>]) -> usize {
    let log = path.with_file_name("cashier.db-wal");
    let files = [path, &log].map(|file| std::fs::read(file).unwrap_or_default());
    let parts = files.iter().flat_map(|bytes| bytes.windows(16));
    parts.filter(|part| tags.iter().any(|tag| &tag[..] == *part)).count()
}

#[test]
fn b6_marks_that_a_start_stores_leave_no_copy_of_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    filled(&path);
    let mut store = Sqlite::open(&path, sealing(ONE)).unwrap();
    let before = tags(&path, "id = 7")[..4].to_vec();
    let loaded = store.load().unwrap();
    assert!(loaded.configs.iter().all(|row| row.account_marks.len() == 2), "marked");
    let now = Instant::now();
    assert_eq!((store.rest(now), copies(&path, &before)), (None, 4));
    write_all(&mut store, &[commit(3, vec![a_config(config(7).without_secrets(UnixTime(5)))], Vec::new())]);
    assert_eq!((store.rest(now + EMPTY_PAUSE), copies(&path, &before)), (None, 0));
    store.close().unwrap();
}

#[test]
fn b6_a_request_that_its_age_deletes_and_a_resealed_audit_key_are_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    stored(&path, ONE, 1, vec![an_approval(approval(1, ApprovalState::Open))]);
    let mut store = Sqlite::open(&path, sealing(BOTH)).unwrap();
    let mut now = Instant::now();
    let order = RetentionOrder {
        kind: RetentionKind::Approvals,
        place: RetentionPlace::New,
        before: UnixTime(10),
        now: UnixTime(1_000),
        needed: Arc::default(),
    };
    store.rest(now);
    let request = tags(&path, "1 = 1");
    assert_eq!(store.retire(&order).unwrap().rows, 1);
    now += EMPTY_PAUSE;
    assert_eq!((store.rest(now), request.len(), copies(&path, &request)), (None, 1, 0));
    store.close().unwrap();
    let mut store = Sqlite::open(&path, sealing(ONE)).unwrap();
    write_all(&mut store, &[commit(2, Vec::new(), vec![audit::record(1, "secret")])]);
    store.close().unwrap();
    let mut store = Sqlite::open(&path, sealing(BOTH)).unwrap();
    store.rest(now);
    let key = tags(&path, "1 = 1").pop().into_iter().collect::<Vec<_>>();
    assert_eq!(copies(&path, &key), 1);
    let mut cursor = Some(ResealCursor::default());
    while let Some(place) = cursor {
        cursor = store.reseal(place).unwrap().next;
    }
    assert_eq!((store.rest(now + EMPTY_PAUSE), copies(&path, &key)), (None, 0));
    store.close().unwrap();
}

#[test]
fn k1_what_was_wiped_replaced_or_deleted_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    filled(&path);
    let decided = |id| Approval {
        state: ApprovalState::Rejected,
        decided_by: ManagerId(8),
        decided_time: UnixTime(7),
        ..approval(id, ApprovalState::Open).without_request()
    };
    let replaced = ProviderConfig { secret_key: Secret::new("another"), ..config(9) };
    let changes = [
        ("id = 7", a_config(config(7).without_secrets(UnixTime(5)))),
        ("id = 9", a_config(replaced)),
        ("id = 31", Change::ConfigDeleted(ConfigId(31))),
        ("id = 33", an_approval(decided(33))),
    ];
    let mut store = Sqlite::open(&path, sealing(ONE)).unwrap();
    let mut now = Instant::now();
    for (seq, (rows, change)) in (3..).zip(changes) {
        let table = if matches!(change, Change::Approval(_)) { 4..5 } else { 0..4 };
        let before = tags(&path, rows)[table].to_vec();
        assert_eq!(in_files(&path, &before), before.len(), "{rows}");
        write_all(&mut store, &[commit(seq, vec![change], Vec::new())]);
        now += EMPTY_PAUSE;
        assert_eq!(store.rest(now), None);
        assert_eq!(in_files(&path, &before), 0, "{rows}");
    }
    store.close().unwrap();
}

/// A log that holds what was overwritten, a reader that holds the log, and what the log must not hold.
fn held(path: &Path) -> (Sqlite, Connection, Vec<Vec<u8>>) {
    filled(path);
    let mut store = Sqlite::open(path, sealing(ONE)).unwrap();
    // The log has the row.
    write_all(&mut store, &[commit(3, vec![a_config(config(50))], Vec::new())]);
    let before = tags(path, "id = 50");
    let reader = Connection::open(path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM provider_config").unwrap();
    let again = ProviderConfig { sort_index: 4, ..config(50) };
    write_all(&mut store, &[commit(4, vec![a_config(again)], Vec::new())]);
    assert!(in_files(path, &before) > 0, "the reader may still want it");
    (store, reader, before)
}

#[test]
fn b4_a_log_that_a_reader_holds_is_waited_for_by_no_commit_and_emptied_some_seconds_after_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let (mut store, reader, before) = held(&path);
    // A connection that was not loaded waits so long for others, and longer than a loaded one.
    let (begun, second) = (Instant::now(), Duration::from_secs(1));
    assert_eq!(store.rest(begun), Some(EMPTY_PAUSE));
    for seq in 5..15 {
        write_all(&mut store, &[commit(seq, Vec::new(), Vec::new())]);
        assert_eq!(store.rest(begun + second), Some(EMPTY_PAUSE - second), "not with each commit");
    }
    assert!(begun.elapsed() < BUSY_WAIT, "no reader is waited for");
    reader.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.rest(begun + EMPTY_PAUSE), None, "no commit is needed for it");
    assert_eq!(in_files(&path, &before), 0);
    store.close().unwrap();
}

#[test]
fn b4_a_store_that_is_closed_leaves_nothing_overwritten_in_the_log_beside_readers_of_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    filled(&path);
    let archive = ArchiveReader::open(&path).unwrap();
    let mut store = Sqlite::open(&path, sealing(ONE)).unwrap();
    let (now, mut overwritten) = (Instant::now(), Vec::new());
    for (seq, id) in [(3, 7), (4, 9)] {
        overwritten.extend(tags(&path, &format!("id = {id}"))[..4].to_vec());
        write_all(&mut store, &[commit(seq, vec![a_config(config(id).without_secrets(UnixTime(5)))], Vec::new())]);
        assert!(wait(archive.event(EventId(1))).unwrap().is_none(), "its readers have read the database");
        assert_eq!(store.rest(now).is_some(), id == 9, "the last try was a moment ago");
    }
    assert!(in_files(&path, &overwritten) > 0);
    store.close().unwrap();
    assert!(path.with_file_name("cashier.db-wal").exists(), "the archive is open");
    assert_eq!(in_files(&path, &overwritten), 0);
    // A reader of an old state keeps it: the next start empties it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let (mut store, reader, before) = held(&path);
    let (mut log, own) = (StaleLog::of(&path), Connection::open(&path).unwrap());
    assert!(!log.close(Some(&own)) && !log.close(None));
    store.close().unwrap();
    reader.execute_batch("ROLLBACK").unwrap();
    assert!(in_files(&path, &before) > 0 && log.close(Some(&own)));
    assert_eq!(in_files(&path, &before), 0);
}

#[test]
fn b4_a_stale_log_is_emptied_after_a_failure_and_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let (mut store, reader, before) = held(&path);
    let now = Instant::now();
    store.abandon();
    assert_eq!(store.rest(now), None, "nothing is open");
    // It stays open, so that SQLite does not remove the log.
    reader.execute_batch("ROLLBACK").unwrap();
    let left = tempfile::tempdir().unwrap();
    let copied = left.path().join("cashier.db");
    for name in ["cashier.db", "cashier.db-wal"] {
        std::fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
    }
    let mut killed = Sqlite::open(&copied, sealing(ONE)).unwrap();
    for (store, path) in [(&mut store, &path), (&mut killed, &copied)] {
        assert!(in_files(path, &before) > 0);
        store.load().unwrap();
        assert_eq!(store.rest(now), None);
        assert_eq!(in_files(path, &before), 0);
    }
}

#[test]
fn b4_a_log_that_is_held_for_a_minute_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let (_store, reader, _) = held(&path);
    let own = Connection::open(&path).unwrap();
    own.busy_timeout(TRY_WAIT).unwrap();
    let mut log = StaleLog::of(&path);
    let begun = Instant::now();
    let mut reported = |seconds| {
        log.empty(&own, begun + Duration::from_secs(seconds));
        log.is_reported
    };
    assert_eq!([0, 30, 59, 64, 300].map(&mut reported), [false, false, false, true, true]);
    let wait: u32 = own.pragma_query_value(None, "busy_timeout", |row| row.get(0)).unwrap();
    assert_eq!(Duration::from_millis(wait.into()), TRY_WAIT, "what writes waits as before");
    reader.execute_batch("ROLLBACK").unwrap();
    assert!(!reported(305), "it is emptied");
}

#[test]
fn m14_length_and_keyed_hash_of_a_request_are_noted_when_it_is_wiped_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let asked = |id| approval(id, ApprovalState::Open);
    let decided =
        |id| Approval { state: ApprovalState::Approved, decided_time: UnixTime(7), ..asked(id).without_request() };
    stored(&path, ONE, 1, [1, 2, 3].map(|id| an_approval(asked(id))).to_vec());
    // One is decided, one expires, one is open.
    stored(&path, ONE, 2, vec![an_approval(decided(1)), an_approval(asked(2).without_request())]);
    let noted = || {
        let connection = Connection::open(&path).unwrap();
        let sql = "SELECT length(request_sealed) > 0, body_bytes, sha256, request_key, deleted_time FROM approval ORDER BY id";
        let mut statement = connection.prepare(sql).unwrap();
        let read = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get::<_, bool>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, Vec<u8>>(2)?,
                row.get::<_, i64>(3)?,
                row.get::<_, i64>(4)?,
            ))
        };
        let rows = statement.query_map([], read).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>()
    };
    let request = asked(1).request;
    let key = audit_key::take(&Connection::open(&path).unwrap(), &sealing(ONE)).unwrap();
    let hash = key.digest(b"cashier approval request 1", &[request.expose()]).to_vec();
    let length = request.expose().len() as i64;
    let expected = [(false, length, hash.clone(), 1, 7), (false, length, hash, 1, 9), (true, 0, Vec::new(), 0, 0)];
    assert_eq!(noted(), expected);
    // Neither another write of the row nor its age changes that, and neither does another seal key.
    stored(&path, ONE, 3, vec![an_approval(decided(1))]);
    let mut store = Sqlite::open(&path, sealing(ONE)).unwrap();
    let order = RetentionOrder {
        kind: RetentionKind::Approvals,
        place: RetentionPlace::New,
        before: UnixTime(9),
        now: UnixTime(1_000),
        needed: Arc::default(),
    };
    store.retire(&order).unwrap();
    store.close().unwrap();
    reseal_all(&path, BOTH);
    assert_eq!(noted(), expected);
    // One that does not open is noted as it is stored, without a key.
    stored(
        &path,
        "3:0303030303030303030303030303030303030303030303030303030303030303",
        4,
        vec![an_approval(decided(3))],
    );
    let sealed = length + 5 + 24 + 16;
    assert_eq!((noted()[2].0, noted()[2].1, noted()[2].3), (false, sealed, 0));
}

#[test]
fn k1_every_approval_with_a_request_is_read_however_many_were_decided_since() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let row = |id: u64| match id {
        2 | 30 => approval(id, ApprovalState::Open),
        _ => Approval { request: Secret::default(), ..approval(id, ApprovalState::Rejected) },
    };
    stored(&path, ONE, 1, (1..=300).map(|id| an_approval(row(id))).collect());
    let ids: Vec<u64> = read(&path, ONE).1.into_iter().map(|row| row.id.0).collect();
    assert_eq!(ids, [2, 30].into_iter().chain(45..=300).collect::<Vec<_>>());
    assert_eq!(read(&path, ONE).1[0].id, ApprovalId(2));
}
