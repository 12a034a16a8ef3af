//! The database file: one process, one owner, no secret in its bytes, and every unreadable value named.

use cashier_core::change::Change;
use cashier_core::ids::ConfigId;
use cashier_core::money::Limit;
use cashier_core::provider_config::{ProviderConfig, ReplacedSecret, Secret};

use super::*;
use crate::ports::Recorder;

const CANARIES: [&str; 4] = ["canary-secret-key", "canary-webhook", "canary-replaced", "canary-config-json"];

fn config() -> ProviderConfig {
    let [secret_key, webhook_secret, replaced, config_json] = CANARIES.map(Secret::new);
    ProviderConfig {
        id: ConfigId(1),
        provider: "stripe".into(),
        brand: "ion4".into(),
        method: Box::default(),
        country: Box::default(),
        currency: Box::default(),
        merchant_id: "acct_1".into(),
        public_key: "pk_live_visible".into(),
        secret_key,
        webhook_secret,
        replaced_webhook_secrets: vec![ReplacedSecret { secret: replaced, until: UnixTime(9) }],
        settings_json: "{\"seen\":1}".into(),
        config_json,
        min_amount: Limit::parse("25.5").unwrap(),
        max_amount: Limit::NONE,
        sandbox: false,
        enabled: true,
        sort_index: -3,
        created_time: UnixTime(1),
        updated_time: UnixTime(2),
        terms_version: 2,
        version: 3,
        unapproved: Vec::new(),
        deleted_time: UnixTime::UNSET,
        account_marks: Vec::new(),
        unreadable: Vec::new(),
    }
}

/// The bytes of every file in the folder, the log included.
fn raw_bytes(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder.join("bases")).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn no_secret_is_readable_in_the_files_and_all_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    strand.submit(commit(1, vec![Change::Config(Box::new(config()))], Vec::new()));
    listener.wait_for_synced(1);
    let check = |when: &str| {
        let bytes = raw_bytes(folder.path());
        assert!(holds(&bytes, "pk_live_visible"), "{when}: the search finds clear text");
        for canary in CANARIES {
            assert!(!holds(&bytes, canary), "{when}: {canary}");
        }
    };
    check("in the log");
    let read = block_on(strand.reload()).unwrap().configs;
    let unmarked = |row: &ProviderConfig| ProviderConfig { account_marks: Vec::new(), ..row.clone() };
    assert_eq!(read.iter().map(unmarked).collect::<Vec<_>>(), [config()]);
    strand.close().unwrap();
    check("in the database");
}

#[test]
fn k1_a_config_sealed_with_an_absent_key_names_that_key_and_the_books_load() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    strand.submit(commit(1, vec![Change::Config(Box::new(config()))], Vec::new()));
    listener.wait_for_synced(1);
    drop(strand);
    let keys = SealKeys::parse(&RING.replacen('7', "8", 1)).unwrap();
    let strand = open(StrandSettings { keys, ..settings(folder.path()) }, listener).unwrap();
    let [config] = &block_on(strand.reload()).unwrap().configs[..] else { panic!("one config") };
    let broken = config.broken().unwrap();
    assert!(
        broken.starts_with("provider_config 1: secret_key, ")
            && broken.ends_with("key 7, which is not in the key ring")
    );
    assert!(config.secret_key.is_empty() && config.public_key == "pk_live_visible".into());
}

#[test]
fn a_second_opener_is_refused_until_the_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let refused = open(settings(folder.path()), listener.clone()).err().unwrap().to_string();
    assert!(refused.contains(&format!("in use: process {} holds", std::process::id())), "{refused}");
    drop(strand);
    open(settings(folder.path()), listener).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn k6_a_second_opener_is_refused_where_the_lock_file_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    std::fs::remove_file(folder.path().join("bases/cashier.lock")).unwrap();
    let refused = open(settings(folder.path()), listener.clone()).err().unwrap().to_string();
    assert!(refused.contains("cashier.db is in use by another process"), "{refused}");
    // A reload opens the database again, and closes what it had.
    block_on(strand.reload()).unwrap();
    assert!(open(settings(folder.path()), listener.clone()).is_err());
    drop(strand);
    open(settings(folder.path()), listener).unwrap();
}

#[cfg(unix)]
#[test]
fn the_files_are_private_to_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    strand.submit(commit(1, Vec::new(), Vec::new()));
    listener.wait_for_synced(1);
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("bases"), 0o700);
    for name in ["bases/cashier.db", "bases/cashier.db-wal", "bases/cashier.db-shm", "bases/cashier.lock"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[test]
fn unreadable_values_are_faults_that_name_table_row_and_column() {
    let table = [
        ("UPDATE cashier_transaction SET status = 42", "cashier_transaction 5: status holds the unknown number 42"),
        (
            "UPDATE cashier_transaction SET key_space = -1",
            "cashier_transaction 5: key_space holds the unknown number -1",
        ),
        (
            "UPDATE cashier_transaction SET currency = 'XYZ'",
            "cashier_transaction 5: currency names an unknown currency",
        ),
        ("UPDATE cashier_transaction SET reference = '5'", "cashier_transaction 5: reference is no reference of ours"),
        (
            "UPDATE cashier_transaction SET version = -1",
            "cashier_transaction 5: version holds -1, which is out of range",
        ),
        (
            "UPDATE cashier_transaction SET provider_facts = '[[1,2,{\"held\":42}]]'",
            "cashier_transaction 5: provider_facts holds JSON that this program cannot read (column 13 of the text)",
        ),
        (
            "UPDATE cashier_transaction SET person_facts = '[[1,2,{\"held\":42}]]'",
            "cashier_transaction 5: person_facts holds JSON that this program cannot read (column 16 of the text)",
        ),
        (
            "UPDATE cashier_transaction SET reject_reason = CAST(x'ff' AS TEXT)",
            "cashier_transaction 5: reject_reason is not text",
        ),
        ("UPDATE balance_operation SET cmd = 7", "balance_operation 5: cmd holds the unknown number 7"),
        (
            "UPDATE cashier_transaction SET id = 9007199254740992",
            "cashier_transaction holds id 9007199254740992 while its counter is 9007199254740991: rows and counters are of different commits",
        ),
        ("UPDATE cashier_transaction SET id = 0", "cashier_transaction holds id 0: ids begin at 1"),
        ("DELETE FROM counters", "the counters row is missing"),
    ];
    for (damage, expected) in table {
        let folder = tempfile::tempdir().unwrap();
        let (strand, listener) = opened(folder.path());
        let rows =
            vec![Change::Transaction(Box::new(plain::deposit(5))), Change::Operation(Box::new(plain::credit(5)))];
        strand.submit(commit(1, rows, Vec::new()));
        listener.wait_for_synced(1);
        let other = rusqlite::Connection::open(strand.path()).unwrap();
        assert_eq!(other.execute(damage, []).unwrap(), 1, "{damage}");
        assert_eq!(block_on(strand.reload()).err().unwrap().to_string(), expected);
    }
}

#[test]
fn a_closed_strand_releases_the_database_while_it_is_still_referenced() {
    let folder = tempfile::tempdir().unwrap();
    let (held, _) = opened(folder.path());
    assert!(open(settings(folder.path()), Arc::new(TestListener::default())).is_err(), "it is in use");
    held.close().unwrap();
    opened(folder.path());
}
