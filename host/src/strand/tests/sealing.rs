//! Seal keys that come and go, and sealed columns that do not open, on a real disk.

use std::collections::BTreeMap;

use cashier_core::approval::ApprovalState;
use cashier_core::ids::{ApprovalId, ManagerId};
use cashier_core::provider_config::{ReplacedSecret, Secret};
use rusqlite::Connection;

use super::super::reseal::{ResealCursor, unreadable_rows, used_keys};
use super::super::seal::{SealContext, SealRing, Terms};
use super::*;
use crate::ports::{FaultKind, FingerprintKey, Loaded, LostKey, Recorder};

pub(super) const ONE: &str = "1:0101010101010101010101010101010101010101010101010101010101010101";
pub(super) const TWO: &str = "2:0202020202020202020202020202020202020202020202020202020202020202";
pub(super) const BOTH: &str = "1:0101010101010101010101010101010101010101010101010101010101010101,2:0202020202020202020202020202020202020202020202020202020202020202";

pub(super) fn config(id: u64) -> ProviderConfig {
    ProviderConfig {
        id: ConfigId(id),
        brand: "ion4".into(),
        merchant_id: format!("acct_{id}").into(),
        secret_key: Secret::new(&format!("sk_{id}")),
        webhook_secret: Secret::new(&format!("wh_{id}")),
        replaced_webhook_secrets: vec![ReplacedSecret { secret: Secret::new("old"), until: UnixTime(9) }],
        config_json: Secret::new(r#"{"extra":"key"}"#),
        version: 5,
        terms_version: 4,
        ..ProviderConfig::blank("stripe".into(), UnixTime(1))
    }
}

pub(super) fn approval(id: u64, state: ApprovalState) -> Approval {
    Approval {
        id: ApprovalId(id),
        command: "MngUpdateCashierProviderConfig".into(),
        config_id: ConfigId(1),
        brand: "ion4".into(),
        ground: 5,
        transaction_id: cashier_core::ids::TransactionId(0),
        amount: None,
        request: Secret::new(r#"{"id":1,"secret_key":"asked"}"#),
        unreadable: None,
        fields: "secret_key".into(),
        asked_by: ManagerId(7),
        asked_time: UnixTime(1),
        expires_time: UnixTime(9),
        state,
        decided_by: ManagerId(0),
        decided_time: UnixTime::UNSET,
    }
}

/// Stores rows sealed with this ring.
pub(super) fn stored(path: &Path, ring: &str, seq: u64, changes: Vec<Change>) {
    let mut store = Sqlite::open(path, sealing(ring)).unwrap();
    write_all(&mut store, &[commit(seq, changes, Vec::new())]);
    store.close().unwrap();
}

pub(super) fn read(path: &Path, ring: &str) -> (Vec<ProviderConfig>, Vec<Approval>) {
    let mut read = Loaded::default();
    load::read_configuration(&connect_read_only(path).unwrap(), &sealing(ring), &mut read).unwrap();
    (read.configs, read.approvals)
}

pub(super) fn reseal_all(path: &Path, ring: &str) -> u64 {
    let mut store = Sqlite::open(path, sealing(ring)).unwrap();
    let (mut rows, mut cursor) = (0, Some(ResealCursor::default()));
    while let Some(place) = cursor {
        let step = store.reseal(place).unwrap();
        (rows, cursor) = (rows + step.rows, step.next);
    }
    store.close().unwrap();
    rows
}

fn keys_of(path: &Path) -> Vec<(u32, u64)> {
    used_keys(path, &BTreeMap::new()).unwrap().by_key.into_iter().collect()
}

fn ring(keys: &str) -> Arc<SealRing> {
    Arc::new(SealRing::new(SealKeys::parse(keys).unwrap()))
}

pub(super) fn a_config(row: ProviderConfig) -> Change {
    Change::Config(Box::new(row))
}

#[test]
fn k1_reseal_brings_every_row_under_the_newest_key_in_steps_and_changes_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    // More than one step of each table, and more approvals than a start reads.
    let configs: Vec<_> = (1..=40).map(config).collect();
    let approvals: Vec<_> = (1..=300).map(|id| approval(id, ApprovalState::Open)).collect();
    let changes = configs.iter().cloned().map(a_config);
    let asked = approvals.iter().cloned().map(|row| Change::Approval(Box::new(row)));
    stored(&path, ONE, 1, changes.chain(asked).collect());
    assert_eq!(keys_of(&path), [(1, 40 * 4 + 300)]);
    assert_eq!(reseal_all(&path, BOTH), 340);
    assert_eq!(keys_of(&path), [(2, 40 * 4 + 300)]);
    assert_eq!(reseal_all(&path, BOTH), 0, "there is nothing left to do");
    let (configs_after, approvals_after) = read(&path, TWO);
    assert_eq!((configs_after, approvals_after), (configs, approvals), "whatever has a request is read");
    assert!(unreadable_rows(&path, &ring(TWO), Arc::new(CountingEntropy::default())).unwrap().found.is_empty());
}

#[test]
fn k1_a_key_that_is_missing_leaves_a_row_as_it_is_stored_and_opens_it_when_it_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    stored(&path, ONE, 1, vec![a_config(config(1)), Change::Approval(Box::new(approval(1, ApprovalState::Open)))]);
    stored(&path, TWO, 2, vec![a_config(config(2))]);
    let (configs, approvals) = read(&path, TWO);
    let expected = "provider_config 1: secret_key, webhook_secret, replaced_secrets, config_json: sealed with key 1, which is \
                    not in the key ring";
    assert_eq!([configs[0].broken().as_deref(), configs[1].broken().as_deref()], [Some(expected), None]);
    assert_eq!(configs[1], config(2));
    assert!(configs[0].secret_key.is_empty() && configs[0].config_json.is_empty());
    let request = "approval 1: request: sealed with key 1, which is not in the key ring";
    assert_eq!(approvals[0].broken().as_deref(), Some(request));
    assert_eq!(
        unreadable_rows(&path, &ring(TWO), Arc::new(CountingEntropy::default())).unwrap().found,
        [expected, request]
    );
    // An edit of another field, and resealing, keep the stored bytes.
    let disabled = ProviderConfig { enabled: false, version: 6, ..configs[0].clone() };
    stored(&path, TWO, 3, vec![a_config(disabled), Change::Approval(Box::new(approvals[0].clone()))]);
    assert_eq!(reseal_all(&path, TWO), 0);
    assert_eq!(keys_of(&path), [(1, 5), (2, 4)]);
    let (configs, approvals) = read(&path, BOTH);
    assert_eq!(configs, [ProviderConfig { version: 6, ..config(1) }, config(2)]);
    assert_eq!(approvals, [approval(1, ApprovalState::Open)]);
    assert_eq!(reseal_all(&path, BOTH), 2);
    assert_eq!(keys_of(&path), [(2, 9)]);
}

#[test]
fn k1_a_sealed_column_opens_beside_the_clear_terms_alone_that_it_was_sealed_with() {
    let swaps = [
        ("UPDATE provider_config SET provider = 'sandbox'", "provider_config 1"),
        ("UPDATE provider_config SET brand = ''", "provider_config 1"),
        ("UPDATE provider_config SET sandbox = 1", "provider_config 1"),
        ("UPDATE provider_config SET merchant_id = 'acct_2'", "provider_config 1"),
        ("UPDATE provider_config SET brand = 'acct_1', merchant_id = 'ion4'", "provider_config 1"),
        ("UPDATE approval SET asked_by = 8", "approval 1"),
        ("UPDATE approval SET config_id = 2", "approval 1"),
        ("UPDATE approval SET brand = 'other'", "approval 1"),
        ("UPDATE approval SET config_version = 6", "approval 1"),
        ("UPDATE approval SET command = 'MngAddCashierProviderConfig'", "approval 1"),
        ("UPDATE provider_config SET secret_key_sealed = webhook_secret_sealed", "provider_config 1"),
        ("UPDATE provider_config SET secret_key_sealed = x''", "provider_config 1"),
        ("UPDATE provider_config SET secret_key_sealed = substr(secret_key_sealed, 1, 20)", "provider_config 1"),
        ("UPDATE provider_config SET replaced_secrets_sealed = x'0300000001'", "provider_config 1"),
    ];
    for (swap, broken) in swaps {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cashier.db");
        stored(&path, ONE, 1, vec![a_config(config(1)), Change::Approval(Box::new(approval(1, ApprovalState::Open)))]);
        Connection::open(&path).unwrap().execute_batch(swap).unwrap();
        let found = unreadable_rows(&path, &ring(ONE), Arc::new(CountingEntropy::default())).unwrap().found;
        assert_eq!(found.len(), 1, "{swap}: {found:?}");
        assert!(found[0].starts_with(broken), "{swap}: {found:?}");
        let (configs, _) = read(&path, ONE);
        assert!(configs[0].unreadable.iter().all(|unreadable| unreadable.holds_text), "{swap}");
    }
    // What is not bound may be edited.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    stored(&path, ONE, 1, vec![a_config(config(1))]);
    Connection::open(&path).unwrap().execute_batch("UPDATE provider_config SET sort_index = 9").unwrap();
    assert_eq!(read(&path, ONE).0, [ProviderConfig { sort_index: 9, ..config(1) }]);
}

#[test]
fn k1_an_edit_of_a_bound_term_seals_every_column_of_the_row_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    stored(&path, ONE, 1, vec![a_config(config(1))]);
    let moved = ProviderConfig { brand: "other".into(), sandbox: true, merchant_id: "acct_9".into(), ..config(1) };
    stored(&path, ONE, 2, vec![a_config(moved.clone())]);
    assert_eq!(read(&path, ONE).0, [moved]);
}

#[test]
fn k1_the_layout_without_terms_is_read_and_resealed_with_them_also_under_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    stored(&path, ONE, 1, vec![a_config(config(1)), Change::Approval(Box::new(approval(1, ApprovalState::Approved)))]);
    let seal = sealing(ONE);
    let terms = Terms::default();
    let unbound =
        |table, column, text: &str| seal.seal_unbound(SealContext { table, column, row: 1, terms: &terms }, text);
    let connection = Connection::open(&path).unwrap();
    let values = [("secret_key", "sk_1"), ("webhook_secret", "wh_1"), ("config_json", r#"{"extra":"key"}"#)];
    for (column, text) in values {
        let sql = format!("UPDATE provider_config SET {column}_sealed = ?");
        connection.execute(&sql, [unbound("provider_config", column, text)]).unwrap();
    }
    let request = unbound("approval", "request", r#"{"secret_key":"asked"}"#);
    connection.execute("UPDATE approval SET request_sealed = ?", [request]).unwrap();
    drop(connection);
    assert_eq!(read(&path, ONE).0, [config(1)], "it opens");
    let used = used_keys(&path, &BTreeMap::new()).unwrap();
    assert!(used.older_layout == 4 && !used.is_all_of(1), "{used}");
    assert_eq!(reseal_all(&path, ONE), 2);
    let used = used_keys(&path, &BTreeMap::new()).unwrap();
    assert!(used.older_layout == 0 && used.is_all_of(1), "{used}");
    let (configs, approvals) = read(&path, ONE);
    assert_eq!(configs, [config(1)]);
    assert!(approvals[0].request.is_empty(), "a decided approval keeps no request");
    Connection::open(&path).unwrap().execute_batch("UPDATE provider_config SET brand = 'other'").unwrap();
    assert_eq!(read(&path, ONE).0[0].unreadable.len(), 4, "it is bound now");
}

#[test]
fn k1_a_step_that_another_program_prevents_changes_nothing_and_may_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    strand.submit(commit(1, vec![a_config(config(1))], Vec::new()));
    listener.wait_for_synced(1);
    strand.ring().replace(SealKeys::parse(&format!("{RING}\n8{}", &RING[1..])).unwrap()).unwrap();
    let other = Connection::open(strand.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let held = block_on(strand.reseal(ResealCursor::default())).unwrap_err();
    assert_eq!(held.kind, FaultKind::Busy, "{held}");
    other.execute_batch("ROLLBACK").unwrap();
    let step = block_on(strand.reseal(ResealCursor::default())).unwrap();
    assert_eq!(step.rows, 1);
    strand.submit(commit(2, vec![a_config(config(2))], Vec::new()));
    listener.wait_for_synced(2);
    assert_eq!(keys_of(strand.path()), [(8, 8)]);
    let read = block_on(strand.configuration()).unwrap().configs;
    assert!(read.iter().all(|row| row.unreadable.is_empty() && !row.secret_key.is_empty()) && read.len() == 2);
    strand.close().unwrap();
    assert!(block_on(strand.reseal(ResealCursor::default())).is_err(), "a closed strand answers");
}

#[test]
fn k1_a_lost_key_of_audit_fingerprints_hinders_no_rotation_once_a_newer_one_is_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let recorded = |keys: &str, seq| {
        let mut store = Sqlite::open(&path, sealing(keys)).unwrap();
        write_all(&mut store, &[commit(seq, Vec::new(), vec![audit::record(1, "secret")])]);
        store.close().unwrap();
    };
    let judged = |keys: &str| {
        let rows = unreadable_rows(&path, &ring(keys), Arc::new(CountingEntropy::default())).unwrap();
        let used = used_keys(&path, &rows.lost).unwrap();
        (rows.found.len(), rows.lost.len(), used.by_key.into_iter().collect::<Vec<_>>())
    };
    recorded(ONE, 1);
    assert_eq!(judged(TWO), (1, 0, vec![(1, 1)]), "there is no newer one: the next record makes one");
    recorded(TWO, 2);
    assert_eq!(judged(TWO), (0, 1, vec![(2, 1)]));
    assert_eq!(judged(BOTH), (0, 0, vec![(1, 1), (2, 1)]), "its key is back: it is needed");
    assert_eq!(judged(ONE), (1, 0, vec![(1, 1), (2, 1)]), "what is recorded under next is not lost");
    assert_eq!(reseal_all(&path, BOTH), 1);
    assert_eq!(judged(TWO), (0, 0, vec![(2, 2)]));
}

#[test]
fn k1_a_start_marks_the_account_of_every_config_that_opens_and_the_marks_outlive_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let started = |keys: &str| {
        let mut store = Sqlite::open(&path, sealing(keys)).unwrap();
        let loaded = store.load().unwrap();
        store.close().unwrap();
        loaded
    };
    stored(&path, ONE, 1, vec![a_config(config(1)), a_config(ProviderConfig { id: ConfigId(2), ..config(1) })]);
    let marks = |row: &ProviderConfig| row.account_marks.clone();
    let loaded = started(ONE);
    let [one, two] = &loaded.configs[..] else { panic!("two rows") };
    let opened = ProviderConfig { account_marks: marks(one), ..config(1) };
    assert_eq!((one, one.account_marks.len()), (&opened, 2), "no version rises");
    assert_eq!(marks(one), marks(two));
    assert!(!FingerprintKey::may_be_any(one, &marks(one)));
    // Row 2 is brought under the new key, with the key of fingerprints; row 1 loses its own.
    reseal_all(&path, BOTH);
    let old = "UPDATE provider_config SET secret_key_sealed = CAST(x'0200000001' || substr(secret_key_sealed, 6) AS BLOB) WHERE id = 1";
    Connection::open(&path).unwrap().execute_batch(old).unwrap();
    let loaded = started(TWO);
    let [lost, _] = &loaded.configs[..] else { panic!("two rows") };
    assert_eq!((lost.unreadable.len(), marks(lost)), (1, marks(two)));
    assert!(!FingerprintKey::may_be_any(lost, &loaded.fingerprints.account_marks(lost)));
    // Without the key of fingerprints nothing can be compared with it.
    Connection::open(&path).unwrap().execute_batch("DELETE FROM audit_key").unwrap();
    stored(&path, ONE, 2, vec![a_config(lost.clone())]);
    let mut store = Sqlite::open(&path, sealing(TWO)).unwrap();
    Connection::open(&path).unwrap().execute_batch("INSERT INTO audit_key VALUES (4, x'0200000001')").unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.fingerprints.id(), 5, "a new one");
    let [lost, two] = &loaded.configs[..] else { panic!("two rows") };
    let compared =
        |row: &ProviderConfig| -> Vec<LostKey> { loaded.fingerprints.lost_keys(&marks(row)).into_values().collect() };
    assert_eq!(compared(lost), [LostKey { has_alone: true, has_more: false }], "{lost:?}");
    assert_eq!(compared(two), [LostKey { has_alone: false, has_more: false }], "its marks have successors: {two:?}");
    let of_new_key = marks(two).iter().filter(|mark| mark.starts_with("k5 ")).count();
    assert_eq!((of_new_key, marks(two).len()), (3, 5), "those of the lost key are compared with its: {two:?}");
    assert_eq!(marks(two).get(..2), marks(lost).get(..2));
    store.close().unwrap();
    let mut store = Sqlite::open(&path, sealing(TWO)).unwrap();
    assert_eq!(store.load().unwrap().configs, loaded.configs, "marked once");
    assert_eq!(store.configuration().unwrap().configs, loaded.configs, "they are stored");
    store.close().unwrap();
}

#[test]
fn k1_a_kept_column_is_not_written_over_what_was_resealed_since() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    stored(&path, ONE, 1, vec![a_config(config(1))]);
    let (read_without, _) = read(&path, TWO);
    assert_eq!(reseal_all(&path, BOTH), 1);
    let disabled = ProviderConfig { enabled: false, version: 6, ..read_without[0].clone() };
    stored(&path, TWO, 2, vec![a_config(disabled)]);
    assert_eq!(keys_of(&path), [(2, 4)]);
    assert_eq!(read(&path, TWO).0, [ProviderConfig { version: 6, ..config(1) }]);
}

#[test]
fn k1_what_holds_no_text_is_not_missed_with_its_key_and_is_resealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cashier.db");
    let open = ProviderConfig {
        id: ConfigId(1),
        settings_json: "{}".into(),
        ..ProviderConfig::blank("bank".into(), UnixTime(1))
    };
    let half = ProviderConfig { id: ConfigId(2), secret_key: Secret::new("sk"), ..open.clone() };
    let decided = Approval { request: Secret::default(), ..approval(1, ApprovalState::Approved) };
    let asked = approval(2, ApprovalState::Open);
    let approvals = [&decided, &asked].map(|row| Change::Approval(Box::new(row.clone())));
    stored(&path, ONE, 1, [a_config(open.clone()), a_config(half)].into_iter().chain(approvals).collect());
    let (configs, approvals) = read(&path, TWO);
    let blank = ProviderConfig { config_json: Secret::new("{}"), ..open.clone() };
    assert!(configs[0] == open || configs[0] == blank, "{:?}", configs[0]);
    let lost = |row: &ProviderConfig| row.unreadable.iter().map(|lost| lost.column).collect::<Vec<_>>();
    assert_eq!([lost(&configs[0]), lost(&configs[1])], [vec![], vec!["secret_key"]]);
    assert_eq!([approvals[0].broken().is_some(), approvals[1].broken().is_some()], [false, true]);
    assert_eq!(reseal_all(&path, TWO), 2, "the configs");
    assert_eq!(keys_of(&path), [(1, 2), (2, 7)], "a secret and a request");
    // With its key there, a value that does not open was changed.
    let swap = "UPDATE provider_config SET webhook_secret_sealed = replaced_secrets_sealed WHERE id = 1";
    Connection::open(&path).unwrap().execute_batch(swap).unwrap();
    assert_eq!(lost(&read(&path, TWO).0[0]), ["webhook_secret"]);
}
