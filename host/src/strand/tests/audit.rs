//! The chain of audit records on a real disk: what is recorded, and that each kind of tampering is found.

use cashier_core::change::AuditRecord;
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ManagerId, TransactionId};
use cashier_core::provider_config::Secret;
use cashier_core::session::Role;
use rusqlite::Connection;

use super::super::audit::{sole_manager, verify};
use super::super::reseal::ResealCursor;
use super::super::sqlite::Sqlite;
use super::super::writing::Store;
use super::sealing::{ONE, TWO};
use super::*;

pub(super) fn record(config: u64, secret: &str) -> Body {
    let hidden = |text: &str| AuditedValue::Hidden(Secret::new(text));
    let change = FieldChange {
        field: "webhook_secret".into(),
        class: FieldClass::Credential,
        before: hidden(""),
        after: hidden(secret),
    };
    Body::Audit(Box::new(AuditRecord {
        manager_id: ManagerId(7),
        role: Role::Dealer,
        brand: "ion4".into(),
        address: "192.0.2.1".into(),
        command: "MngUpdateCashierProviderConfig".into(),
        config_id: ConfigId(config),
        transaction_id: TransactionId(0),
        approval: ApprovalId(0),
        outcome: "saved".into(),
        changes: vec![change],
    }))
}

/// Four records about one secret that was set, replaced, and put back, and one about another config.
fn recorded(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("cashier.db");
    let seal = sealing(RING);
    let mut store = Sqlite::open(&path, seal).unwrap();
    let bodies = [record(1, "canary-a"), record(1, "canary-b"), record(1, "canary-a"), record(2, "canary-a")];
    let batch: Vec<_> = (1..).zip(bodies).map(|(seq, body)| commit(seq, Vec::new(), vec![body])).collect();
    write_all(&mut store, &batch);
    store.close().unwrap();
    path
}

#[test]
fn m14_a_secret_that_is_put_back_is_recorded_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    let connection = Connection::open(recorded(folder.path())).unwrap();
    let mut read = connection.prepare("SELECT changes_json FROM audit_record ORDER BY id").unwrap();
    let texts: Vec<String> = read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(texts.iter().all(|text| !text.contains("canary") && text.contains("fingerprint k1:")), "{texts:?}");
    assert_eq!(texts[0], texts[2], "the same secret again has the same fingerprint");
    assert_ne!(texts[0], texts[1]);
    assert_ne!(texts[0], texts[3], "equal secrets of two configs are not seen to be equal");
}

/// Hashes of the records that the log says to be on disk, in the order of the lines.
fn logged(write: impl FnOnce()) -> Vec<String> {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    crate::test_cashier::ask_each_thread();
    tracing::subscriber::with_default(subscriber, write);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let recorded = text.lines().filter(|line| line.contains("audit_recorded"));
    recorded.map(|line| line.split_once(" hash=\"").unwrap().1[..64].to_owned()).collect()
}

/// Hashes of the records that are on disk.
fn stored(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut read = connection.prepare("SELECT lower(hex(hash)) FROM audit_record ORDER BY id").unwrap();
    read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn k7_a_record_is_logged_once_its_transaction_has_ended_well_and_never_when_it_was_reverted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let mut store = Sqlite::open(&path, sealing(RING)).unwrap();
    let audit = |seq: u64| commit(seq, Vec::new(), vec![record(seq, "canary-a")]);
    let counters = audit(9).counters;
    let reverted = logged(|| {
        store.begin().unwrap();
        store.write(&audit(1)).unwrap();
        store.undo().unwrap();
    });
    assert!(reverted.is_empty() && stored(&path).is_empty(), "{reverted:?}");
    // The same record again in a batch from which the database refuses another one: its hash is another than the first time.
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER rule AFTER INSERT ON audit_record WHEN NEW.config_id = 2 \
             BEGIN SELECT RAISE(ABORT, 'a rule of the database'); END",
        )
        .unwrap();
    let before_the_end = std::cell::RefCell::new(Vec::new());
    let all = logged(|| {
        let early = logged(|| {
            store.begin().unwrap();
            store.write_alone(&audit(1)).unwrap();
            store.write_alone(&audit(2)).unwrap_err();
            store.write_alone(&audit(3)).unwrap();
        });
        before_the_end.borrow_mut().extend(early);
        store.sync(Some(&counters)).unwrap();
    });
    assert_eq!((before_the_end.take(), all.len()), (Vec::<String>::new(), 2));
    assert_eq!(all, stored(&path));
    let failed = logged(|| {
        store.begin().unwrap();
        store.write(&audit(4)).unwrap();
        store.abandon();
    });
    assert!(failed.is_empty(), "{failed:?}");
    let next = logged(|| {
        store.load().unwrap();
        write_all(&mut store, &[audit(5)]);
    });
    assert_eq!([all, next].concat(), stored(&path));
}

/// The fingerprints of records, in their order.
fn fingerprints(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut read = connection.prepare("SELECT changes_json FROM audit_record ORDER BY id").unwrap();
    let texts: Vec<String> = read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    texts.iter().map(|text| text.split('"').find(|part| part.starts_with("fingerprint")).unwrap().to_owned()).collect()
}

#[test]
fn k1_fingerprints_stay_comparable_when_the_seal_key_is_replaced_and_the_old_one_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let (old, new) = (RING.to_owned(), RING.replacen('7', "8", 1));
    let write = |ring: &str, seq: u64| {
        let mut store = Sqlite::open(&path, sealing(ring)).unwrap();
        write_all(&mut store, &[commit(seq, Vec::new(), vec![record(1, "canary-a")])]);
        let mut cursor = Some(ResealCursor::default());
        while let Some(place) = cursor {
            cursor = store.reseal(place).unwrap().next;
        }
        store.close().unwrap();
    };
    write(&old, 1);
    write(&format!("{old},{new}"), 2);
    write(&new, 3);
    let same = fingerprints(&path);
    assert!(same[0] == same[1] && same[1] == same[2] && same[0].starts_with("fingerprint k1:"), "{same:?}");
    // A key that was lost: another one begins, under another number, and the old bytes stay.
    write(&RING.replacen('7', "9", 1), 4);
    let after = fingerprints(&path);
    assert!(after[3].starts_with("fingerprint k2:"), "{after:?}");
    write(&format!("{new},{}", RING.replacen('7', "9", 1)), 5);
    assert_eq!(fingerprints(&path)[4], after[3], "the newest one that opens");
    verify(&path, None).unwrap();
}

#[test]
fn m14_a_changed_removed_or_moved_record_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded(folder.path());
    let chain = verify(&path, None).unwrap();
    assert_eq!((chain.records, chain.newest.len()), (4, 64));
    assert_eq!(verify(&path, Some(&chain.newest)).unwrap(), chain);
    let table = [
        ("UPDATE audit_record SET manager_id = 8 WHERE id = 2", "record 2 was changed"),
        ("UPDATE audit_record SET changes_json = '[]' WHERE id = 1", "record 1 was changed"),
        ("UPDATE audit_record SET brand = 'ion', address = '4192.0.2.1' WHERE id = 1", "record 1 was changed"),
        ("UPDATE audit_record SET transaction_id = 5 WHERE id = 2", "record 2 was changed"),
        ("UPDATE audit_record SET layout = 1 WHERE id = 2", "record 2 was changed"),
        ("UPDATE audit_record SET layout = 3 WHERE id = 2", "record 2 was changed"),
        ("DELETE FROM audit_record WHERE id = 2", "a record before record 3"),
        ("DELETE FROM audit_record WHERE id = 1", "a record before record 2"),
        ("UPDATE audit_record SET id = 9 WHERE id = 2", "a record before record 3"),
        ("DELETE FROM audit_record WHERE id = 4", "the anchor is not in the chain"),
        ("DELETE FROM audit_record", "the anchor is not in the chain"),
    ];
    for (tampering, found) in table {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(tampering).unwrap();
        let refused = verify(&copy, Some(&chain.newest)).unwrap_err().to_string();
        assert!(refused.starts_with("the audit records do not fit together: "), "{refused}");
        assert!(refused.contains(found), "{tampering}: {refused}");
        std::fs::remove_file(&copy).unwrap();
    }
    std::fs::write(folder.path().join("text.db"), "no database, and nothing that was tampered with").unwrap();
    for unreadable in ["missing.db", "text.db"] {
        let refused = verify(&folder.path().join(unreadable), None).unwrap_err().to_string();
        assert!(refused.starts_with("the audit records cannot be read: "), "{unreadable}: {refused}");
    }
    assert!(!folder.path().join("missing.db").exists());
}

#[test]
fn a_refused_command_is_held_by_the_chain_like_one_that_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let Body::Audit(done) = record(1, "canary-a") else { unreachable!() };
    let refused =
        AuditRecord { outcome: "refused: PERMISSION_DENIED".into(), transaction_id: TransactionId(9), ..*done };
    let mut store = Sqlite::open(&path, sealing(RING)).unwrap();
    let refused = Body::Audit(Box::new(refused));
    write_all(&mut store, &[commit(1, Vec::new(), vec![refused.clone()]), commit(2, Vec::new(), vec![refused])]);
    store.close().unwrap();
    let chain = verify(&path, None).unwrap();
    for (tampering, found) in [
        ("UPDATE audit_record SET outcome = 'done' WHERE id = 1", "record 1 was changed"),
        ("UPDATE audit_record SET transaction_id = 8 WHERE id = 2", "record 2 was changed"),
        ("DELETE FROM audit_record WHERE id = 1", "a record before record 2"),
        ("DELETE FROM audit_record WHERE id = 2", "the anchor is not in the chain"),
    ] {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(tampering).unwrap();
        let broken = verify(&copy, Some(&chain.newest)).unwrap_err().to_string();
        assert!(broken.contains(found), "{tampering}: {broken}");
        std::fs::remove_file(&copy).unwrap();
    }
}

#[test]
fn b6_a_lost_key_of_fingerprints_is_logged_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let log = folder.path().join("log");
    let writer = Arc::new(std::fs::File::create(&log).unwrap());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
    crate::test_cashier::ask_each_thread();
    tracing::subscriber::with_default(subscriber, || {
        let mut store = Sqlite::open(&path, sealing(ONE)).unwrap();
        write_all(&mut store, &[commit(1, Vec::new(), vec![record(1, "secret")])]);
        store.close().unwrap();
        let mut store = Sqlite::open(&path, sealing(TWO)).unwrap();
        store.load().unwrap();
        for id in 2..5 {
            write_all(&mut store, &[commit(id, Vec::new(), vec![record(id, "secret")])]);
            store.configuration().unwrap();
        }
        store.close().unwrap();
    });
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("does not open").count(), 1, "{text}");
}

#[test]
fn the_newest_record_is_known_once_it_is_durable_and_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let mut store = Sqlite::open(&path, sealing(RING)).unwrap();
    let cell = store.newest_audit();
    let known = || cell.load_full().map(|newest| (newest.record, newest.hash.to_string()));
    store.load().unwrap();
    assert_eq!(known(), None, "no record is there");
    let audit = |seq: u64| commit(seq, Vec::new(), vec![record(seq, "canary-a")]);
    store.begin().unwrap();
    store.write(&audit(1)).unwrap();
    assert_eq!(known(), None, "it may be reverted");
    store.undo().unwrap();
    assert_eq!(known(), None);
    write_all(&mut store, &[audit(1), audit(2)]);
    assert_eq!(known(), Some((2, stored(&path)[1].clone())));
    write_all(&mut store, &[commit(3, Vec::new(), Vec::new())]);
    assert_eq!(known(), Some((2, stored(&path)[1].clone())), "a commit without a record");
    drop(store);
    let mut store = Sqlite::open(&path, sealing(RING)).unwrap();
    store.load().unwrap();
    assert_eq!(store.newest_audit().load_full().map(|newest| newest.hash.to_string()), stored(&path).pop());
}

#[test]
fn the_one_manager_alone_is_found_among_customers_and_the_cashier_itself_and_a_second_one_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let mut store = Sqlite::open(&path, sealing(RING)).unwrap();
    let mut seq = 0;
    for (id, role, expected) in [
        (0, Role::System, None),
        (5, Role::Customer, None),
        (7, Role::Manager, Some(ManagerId(7))),
        (7, Role::CrmAdmin, Some(ManagerId(7))),
        (6, Role::Customer, Some(ManagerId(7))),
        (8, Role::Admin, None),
    ] {
        seq += 1;
        let Body::Audit(made) = record(1, "") else { unreachable!("a record is one") };
        let made = AuditRecord { manager_id: ManagerId(id), role, ..*made };
        write_all(&mut store, &[commit(seq, Vec::new(), vec![Body::Audit(Box::new(made))])]);
        assert_eq!(sole_manager(&Connection::open(&path).unwrap()).unwrap(), expected, "{id} {role:?}");
    }
}
