//! Numbered schema files: a new database gets all of them, a current one none, and a newer or foreign one stays untouched.

use cashier_core::texts::Texts;
use rusqlite::Connection;

use super::super::archive::ArchiveReader;
use super::super::schema::STEPS;
use super::*;
use crate::ports::Archive;

const NEWEST: i64 = STEPS.len() as i64;

fn refused(folder: &Path) -> String {
    open(settings(folder), Arc::new(TestListener::default())).err().unwrap().to_string()
}

/// Creates the strand's database file with these statements.
fn plant(folder: &Path, sql: &str) {
    std::fs::create_dir_all(folder.join("bases")).unwrap();
    Connection::open(folder.join("bases/cashier.db")).unwrap().execute_batch(sql).unwrap();
}

fn whole(folder: &Path, sql: &str) -> i64 {
    let connection = Connection::open(folder.join("bases/cashier.db")).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_empty_file_gets_the_schema_and_a_current_one_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), "");
    drop(opened(folder.path()));
    assert_eq!(whole(folder.path(), "PRAGMA user_version"), NEWEST);
    let objects = whole(folder.path(), "SELECT count(*) FROM sqlite_schema");
    drop(opened(folder.path()));
    assert_eq!(whole(folder.path(), "PRAGMA user_version"), NEWEST);
    assert_eq!(whole(folder.path(), "SELECT count(*) FROM sqlite_schema"), objects);
    assert_eq!(whole(folder.path(), "SELECT opened FROM counters"), 2);
}

#[test]
fn m1_an_operation_stored_by_the_first_schema_keeps_its_id_as_key() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), STEPS[0]);
    plant(
        folder.path(),
        "PRAGMA user_version = 1; UPDATE counters SET operation = 7;
         INSERT INTO balance_operation VALUES (7, 3, 100, 0, 6, 2550, 'USD', 100, 0, '', 1700000000, 1700000000)",
    );
    drop(opened(folder.path()));
    let stored = Rows::stored(&folder.path().join("bases/cashier.db"));
    let [Change::Operation(operation)] = &stored.rows[..] else { panic!("{:?}", stored.rows) };
    let reference = cashier_core::ids::Reference::from_random(1);
    let key = cashier_core::operation::OperationKey::of(&reference, operation);
    assert_eq!((key.as_str(), operation.status), ("7", cashier_core::status::OperationStatus::Planned));
}

#[test]
fn m18_an_event_stored_by_the_first_schema_waits_for_the_config_that_it_was_filed_under() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), STEPS[0]);
    plant(
        folder.path(),
        "PRAGMA user_version = 1; UPDATE counters SET event = 4, notice = 2;
         INSERT INTO provider_event VALUES (4, 2, 7, 'stripe', '', 'x/1', 0, 'pi_1', 1, 0, '', '', '', 1700000000, 0);
         INSERT INTO pending_event VALUES (4)",
    );
    drop(opened(folder.path()));
    let stored = Rows::stored(&folder.path().join("bases/cashier.db"));
    let events = stored.rows.iter().filter_map(|row| match row {
        Change::Event(event) => Some((event.config_id.0, &*event.event_id, event.also_verified_by.len())),
        _ => None,
    });
    assert_eq!(events.collect::<Vec<_>>(), [(7, "x/1", 0)]);
}

#[test]
fn a_config_that_was_disabled_under_an_earlier_version_has_its_credentials_approved_when_it_is_enabled() {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(STEPS[0]).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    for enabled in [0, 1] {
        let row = format!(
            "INSERT INTO provider_config VALUES ({enabled},'stripe','','','','','acct','pk',x'',x'',x'','{{}}',x'',0,0,0,
             {enabled},0,1,1,1,1)"
        );
        connection.execute_batch(&row).unwrap();
    }
    super::super::schema::bring_up_to_date(&mut connection).unwrap();
    let stored = |enabled: i64| -> String {
        let sql = "SELECT unapproved_json FROM provider_config WHERE enabled = ?1";
        connection.query_row(sql, [enabled], |row| row.get(0)).unwrap()
    };
    assert_eq!(stored(1), "", "what serves is served on");
    let names = super::super::json::read_names(&stored(0)).unwrap();
    for field in ["provider", "secret_key", "webhook_secret", "settings_json", "config_json"] {
        assert!(names.iter().any(|name| **name == *field), "{field}: {names:?}");
    }
}

#[test]
fn b1_texts_leave_the_rows_of_an_earlier_version_and_are_found_by_id() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), STEPS[0]);
    plant(folder.path(), "PRAGMA user_version = 1; UPDATE counters SET cashier_transaction = 4");
    let long = format!(r#"{{"note":"{}"}}"#, "é".repeat(8_000));
    let texts = [("", "{}"), ("rent", "{}"), ("", &*long), ("für Öl", r#"{"a":1}"#)];
    for (id, (comment, metadata)) in (1..).zip(texts) {
        let row = format!(
            "INSERT INTO cashier_transaction VALUES ({id},5,9,0,0,'stripe','card','','',100,'USD','USD',3,
             '','','k','{comment}','{metadata}',0,0,0,0,'',100,200,1,'ion4','DE',0,'r000000000000000000{id}',0,0,'','','',
             1,1,0,1)"
        );
        plant(folder.path(), &row);
    }
    let (strand, _listener) = opened(folder.path());
    let stored = Rows::stored(strand.path());
    let reader = ArchiveReader::open(strand.path()).unwrap();
    let rows = stored.rows.iter().filter_map(|row| match row {
        Change::Transaction(row) => Some(row),
        _ => None,
    });
    let rows = rows.collect::<Vec<_>>();
    assert_eq!(rows.len(), texts.len());
    for (row, (comment, metadata_json)) in rows.into_iter().zip(texts) {
        let expected = Texts { comment: comment.into(), metadata_json: metadata_json.into() };
        let found = block_on(reader.texts(&[row.id])).unwrap();
        assert_eq!(row.has_texts, !expected.is_default(), "{}", row.id);
        assert_eq!(row.stored_bytes as usize, expected.len(), "{}", row.id);
        let found: Vec<Texts> = found.iter().map(|(_, texts)| (**texts).clone()).collect();
        assert_eq!(found.first(), row.has_texts.then_some(&expected), "{}", row.id);
    }
    assert_eq!(whole(folder.path(), "SELECT sum(length(comment) + length(metadata_json)) FROM cashier_transaction"), 8);
}

#[test]
fn a_newer_database_is_refused_and_stays_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()));
    let newer = NEWEST + 1;
    plant(folder.path(), &format!("PRAGMA user_version = {newer}"));
    let why = refused(folder.path());
    let expected =
        format!("its schema version is {newer}, and this program knows versions up to {NEWEST}: start a newer program");
    assert!(why.ends_with(&expected), "{why}");
    assert_eq!(whole(folder.path(), "SELECT opened FROM counters"), 1);
}

#[test]
fn another_programs_file_is_refused_and_stays_untouched() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path(), "CREATE TABLE theirs (a)");
    let why = refused(folder.path());
    assert!(why.contains("another program's database"), "{why}");
    assert_eq!(whole(folder.path(), "SELECT count(*) FROM sqlite_schema"), 1);

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("bases")).unwrap();
    let path = folder.path().join("bases/cashier.db");
    std::fs::write(&path, "no database at all, only text that is long enough to be a header").unwrap();
    let why = refused(folder.path());
    assert!(why.contains("not a database"), "{why}");
    assert!(std::fs::read(&path).unwrap().starts_with(b"no database"));
}

#[test]
fn i10_what_was_stored_under_an_earlier_version_is_counted() {
    let mut connection = Connection::open_in_memory().unwrap();
    STEPS.iter().take(17).for_each(|step| connection.execute_batch(step).unwrap());
    connection.pragma_update(None, "user_version", 17).unwrap();
    for (id, status) in [(1, 1), (2, 1), (3, 2)] {
        let event = format!(
            "INSERT INTO provider_event (id, notice_id, config_id, provider, brand, event_id, transaction_id,
               provider_payment_id, signature_status, processing_status, failure_reason, update_json, module_hash,
               created_time, processed_time)
             VALUES ({id}, {id}, 7, 'stripe', 'ion4', 'evt_{id}', 5, 'pi_1', 1, {status}, '', '', '', 1700000000, 0);
             INSERT INTO audit_record (id, at, manager_id, role, brand, address, request_id, command, config_id, approval_id,
               outcome, changes_json, previous_hash, hash)
             VALUES ({id}, 0, 77, 1, 'ion4', '', '', 'MngRetryCashierCredit', 0, 0, 'saved', '[]', x'', x'')"
        );
        connection.execute_batch(&event).unwrap();
    }
    super::super::schema::bring_up_to_date(&mut connection).unwrap();
    let counted = |sql: &str| -> Vec<(i64, i64)> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.try_into()).unwrap().map(Result::unwrap).collect()
    };
    let events = "SELECT processing_status, rows FROM provider_event_count WHERE config_id = 7 AND brand = 'ion4'";
    assert_eq!(counted(events), [(1, 2), (2, 1)]);
    assert_eq!(counted("SELECT role, rows FROM audit_record_count WHERE outcome = 'saved'"), [(1, 3)]);
}

#[test]
fn only_the_tables_that_lists_are_read_from_have_more_than_one_index() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()));
    let connection = Connection::open(folder.path().join("bases/cashier.db")).unwrap();
    let mut indexes =
        connection.prepare("SELECT tbl_name, count(*) FROM sqlite_schema WHERE type = 'index' GROUP BY 1").unwrap();
    let read = |row: &rusqlite::Row<'_>| <(String, i64)>::try_from(row);
    let indexes: Vec<_> = indexes.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap();
    // Each costs every commit to its table: docs/decisions/0023 says what they are for.
    assert_eq!(indexes, [("audit_record".to_owned(), 8), ("provider_event".to_owned(), 8)]);
}

#[test]
fn the_log_is_synced_at_every_commit() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()));
    let connection = super::super::connection::connect(&folder.path().join("bases/cashier.db")).unwrap();
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).unwrap();
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    // FULL is 2; 1000 pages is SQLite's own default.
    assert_eq!((mode.as_str(), pragma("synchronous"), pragma("wal_autocheckpoint")), ("wal", 2, 1000));
}

#[test]
fn an_order_that_was_closed_and_expired_under_an_earlier_version_is_not_queried_again() {
    use cashier_core::facts::ProviderFact;

    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(include_str!("../schema/0001_books.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let accepted = r#"[[1,10,"accepted"]]"#;
    let rows = [
        // id, source, status, reason, created, updated, expires, facts, and whether the last query is recorded
        (1, 0, 5, "PROVIDER_DECLINED", 100, 200, 86_500, accepted, true),
        (2, 0, 6, "CANCELLED", 100, 200, 86_500, "", true),
        (3, 0, 6, "EXPIRED", 100, 86_500, 86_500, accepted, false),
        (4, 0, 5, "PROVIDER_DECLINED", 1_999_900, 2_000_000, 2_086_300, accepted, false),
        (5, 0, 5, "PROVIDER_DECLINED", 100, 200, 0, accepted, true),
        (6, 0, 5, "PROVIDER_DECLINED", 1_000_000, 1_000_000, 0, accepted, false),
        (7, 0, 3, "", 100, 200, 86_500, accepted, false),
        (8, 1, 6, "REJECTED", 100, 200, 0, "", false),
    ];
    for (id, source, status, reason, created, updated, expires, facts, _) in rows {
        let row = format!(
            "INSERT INTO cashier_transaction VALUES ({id},5,9,0,{source},'stripe','card','','',100,'USD','USD',{status},
             '{reason}','','k','','{{}}',0,0,0,0,'',{created},{updated},1,'ion4','DE',0,'r{id}',0,{expires},'','{facts}','',
             1,1,0,1)"
        );
        connection.execute_batch(&row).unwrap();
    }
    super::super::schema::bring_up_to_date(&mut connection).unwrap();
    for (id, .., before, recorded) in rows {
        let sql = "SELECT provider_facts FROM cashier_transaction WHERE id = ?1";
        let facts: String = connection.query_row(sql, [id], |row| row.get(0)).unwrap();
        let expected = if recorded { &[ProviderFact::LastQuery][..] } else { &[] };
        let last = facts.strip_prefix(before.trim_end_matches(']')).unwrap();
        assert_eq!(last.contains("last_query"), recorded, "{id}: {facts}");
        if recorded {
            let read = super::super::json::read_provider_facts(&facts).unwrap();
            assert_eq!(read.last().map(|known| known.fact.clone()).as_slice(), expected, "{id}");
        }
    }
}

#[test]
fn m18_a_payment_whose_query_was_dropped_under_an_earlier_version_is_queried_once_more() {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(STEPS[0]).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let rows = [
        // id, source, and its event's transaction, signature status, processing status and reason; whether it is queried
        (1, 0, 1, 1, 2, "PROVIDER_CONFIG_MISMATCH: received under config 2", true),
        (2, 0, 2, 1, 2, "UNREADABLE_NOTICE: no amount", true),
        (3, 0, 0, 1, 2, "UNREADABLE_NOTICE: no amount", false),
        (4, 0, 4, 1, 2, "TOO_MANY_FACTS", false),
        (5, 0, 5, 1, 1, "", false),
        (6, 1, 6, 1, 2, "PROVIDER_CONFIG_MISMATCH: received under config 2", false),
    ];
    for (id, source, of, signature, processing, reason, _) in rows {
        let row = format!(
            "INSERT INTO cashier_transaction VALUES ({id},5,9,0,{source},'stripe','card','','',100,'USD','USD',3,
             '','','k','','{{}}',0,0,0,0,'',100,200,1,'ion4','DE',0,'r{id}',0,0,'','','',1,1,0,1);
             INSERT INTO provider_event
             VALUES ({id},{id},2,'stripe','','evt_{id}',{of},'',{signature},{processing},'{reason}','','',100,100)"
        );
        connection.execute_batch(&row).unwrap();
    }
    super::super::schema::bring_up_to_date(&mut connection).unwrap();
    for (id, .., queried) in rows {
        let sql = "SELECT query_wanted FROM cashier_transaction WHERE id = ?1";
        let wanted: i64 = connection.query_row(sql, [id], |row| row.get(0)).unwrap();
        assert_eq!(wanted, i64::from(queried), "{id}");
    }
}
