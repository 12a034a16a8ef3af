//! Numbered schema files: a new database gets all of them, a current one none, and a newer or foreign one stays untouched.

use rusqlite::Connection;

use super::*;

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
    let newest = whole(folder.path(), "PRAGMA user_version");
    let objects = whole(folder.path(), "SELECT count(*) FROM sqlite_schema");
    drop(opened(folder.path()));
    assert_eq!(whole(folder.path(), "PRAGMA user_version"), newest);
    assert_eq!(whole(folder.path(), "SELECT count(*) FROM sqlite_schema"), objects);
    assert_eq!(whole(folder.path(), "SELECT opened FROM counters"), 2);
}

#[test]
fn a_newer_database_is_refused_and_stays_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()));
    let known = whole(folder.path(), "PRAGMA user_version");
    let newer = known + 1;
    plant(folder.path(), &format!("PRAGMA user_version = {newer}"));
    let why = refused(folder.path());
    let expected =
        format!("its schema version is {newer}, and this program knows versions up to {known}: start a newer program");
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
fn every_table_has_its_primary_key_and_at_most_one_more_index() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()));
    let connection = Connection::open(folder.path().join("bases/cashier.db")).unwrap();
    let mut indexes =
        connection.prepare("SELECT tbl_name, count(*) FROM sqlite_schema WHERE type = 'index' GROUP BY 1").unwrap();
    let read = |row: &rusqlite::Row<'_>| <(String, i64)>::try_from(row);
    let indexes: Vec<_> = indexes.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(indexes, [("provider_event".to_owned(), 1)]);
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
