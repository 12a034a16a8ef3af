//! What is read from the disk is durable: before rows are read, the log is moved into the database and synced, however often
//! that failed before. A log that cannot be moved is reported.

use cashier_core::change::Change;
use rusqlite::Connection;

use super::super::log_watch::{LogState, LogWatch};
use super::*;
use crate::ports::FaultKind;

fn opened_store(folder: &Path) -> Sqlite {
    let seal = sealing(RING);
    Sqlite::open(&folder.join("cashier.db"), seal).unwrap()
}

fn deposit(id: u64) -> Arc<Commit> {
    commit(id, vec![Change::Transaction(Box::new(plain::deposit(id)))], Vec::new())
}

/// Another program that goes on reading the present state.
fn reader(folder: &Path) -> Connection {
    let reader = connect_read_only(&folder.join("cashier.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM cashier_transaction").unwrap();
    reader
}

/// The transactions in the database file alone, as after a power cut that takes the log.
fn without_log(folder: &Path) -> i64 {
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("cashier.db");
    std::fs::copy(folder.join("cashier.db"), &file).unwrap();
    Connection::open(file).unwrap().query_row("SELECT count(*) FROM cashier_transaction", [], |row| row.get(0)).unwrap()
}

#[test]
fn s9_a_reload_whose_log_could_not_be_synced_leaves_that_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = opened_store(folder.path());
    assert_eq!(store.load().unwrap().books.transactions(), 0);
    write_all(&mut store, &[deposit(1)]);
    let reading = reader(folder.path());
    write_all(&mut store, &[deposit(2)]);
    store.abandon();
    for failed in 1..=2 {
        let fault = store.load().err().unwrap();
        assert_eq!(fault.kind, FaultKind::Busy, "{failed}: {fault}");
        assert!(without_log(folder.path()) < 2, "{failed}");
    }
    drop(reading);
    assert_eq!(store.load().unwrap().books.transactions(), 2);
    assert_eq!(without_log(folder.path()), 2, "every row that was read is durable");
    write_all(&mut store, &[deposit(3)]);
    store.close().unwrap();
}

#[test]
fn s9_a_start_makes_durable_what_a_killed_process_left_in_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = opened_store(folder.path());
    write_all(&mut killed, &[deposit(1)]);
    let left = tempfile::tempdir().unwrap();
    for name in ["cashier.db", "cashier.db-wal"] {
        std::fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
    }
    let mut store = opened_store(left.path());
    assert_eq!(store.load().unwrap().books.transactions(), 1);
    assert_eq!(without_log(left.path()), 1);
}

#[test]
fn s9_a_start_beside_a_reader_of_an_older_state_is_not_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = opened_store(folder.path());
    let _reading = reader(folder.path());
    write_all(&mut before, &[deposit(1)]);
    let mut store = opened_store(folder.path());
    assert_eq!(store.load().unwrap().books.transactions(), 1, "no sync has failed in this process");
}

#[test]
fn a_log_that_a_reader_holds_is_reported_once_for_each_doubling_and_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let mut store = opened_store(folder.path());
    let own = Connection::open(&path).unwrap();
    own.pragma_update(None, "journal_size_limit", 0).unwrap();
    let mut watch = LogWatch::reporting_at(&path, 800_000);
    let mut next = 0;
    let mut grow = |store: &mut Sqlite, commits| {
        let batch: Vec<_> = (next + 1..=next + commits).map(deposit).collect();
        next += commits;
        write_all(store, &batch);
    };
    let reading = reader(folder.path());
    assert_eq!(watch.look(&own), LogState::Unchanged);
    while std::fs::metadata(folder.path().join("cashier.db-wal")).unwrap().len() < 800_000 {
        grow(&mut store, 50);
    }
    assert!(matches!(watch.look(&own), LogState::Held { .. }));
    assert_eq!(watch.look(&own), LogState::Unchanged, "reported once");
    drop(reading);
    // The next write after the log was moved begins it anew.
    own.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    grow(&mut store, 1);
    assert_eq!(watch.look(&own), LogState::Released);
    assert_eq!(watch.look(&own), LogState::Unchanged);
}
