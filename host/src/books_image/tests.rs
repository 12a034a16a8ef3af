//! Books from an image against books from the rows of the same database, over random histories with kills and restores, and
//! images that are damaged, of others, or edited under. What a start logs is not looked at: only what it has loaded.

use std::path::PathBuf;

use cashier_core::account::{Account, AccountFacts, AccountMode, Customer, Group};
use cashier_core::books::Books;
use cashier_core::change::{Change, Stamp};
use cashier_core::draft::Draft;
use cashier_core::ids::{ConfigId, CustomerId, EventId, Login, OperationId, Reference, ServerName, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::notice::ProviderEvent;
use cashier_core::operation::BalanceOperation;
use cashier_core::refs::ProviderRef;
use cashier_core::session::Actor;
use cashier_core::status::{
    OperationCmd, OperationReason, OperationStatus, ProcessingStatus, SignatureStatus, TransactionStatus,
};
use cashier_core::time::UnixTime;
use cashier_core::transaction::{Fresh, KeySpace, Transaction};

use sha2::{Digest, Sha256};

use super::*;
use crate::ledger::{Admission, Watermark};
use crate::ports::{Loaded, Recorder};
use crate::strand::seal::SealKeys;
use crate::strand::{BatchLimits, Strand, StrandSettings};
use crate::system::SystemEntropy;

const RING: &str = "1:0101010101010101010101010101010101010101010101010101010101010101";
const NOW: UnixTime = UnixTime(1_779_270_000);

/// Whether a start may use the image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Image,
    Rows,
}

struct Open {
    ledger: Arc<Ledger>,
    strand: Arc<Strand>,
    database: PathBuf,
    numbers: u64,
}

async fn load(folder: &Path, from: From) -> (Arc<Strand>, Arc<Watermark>, Loaded) {
    if from == From::Rows {
        let _ = std::fs::remove_file(folder.join("cashier.image"));
    }
    let watermark = Arc::new(Watermark::new());
    let settings = StrandSettings {
        path: folder.join("cashier.db"),
        keys: SealKeys::parse(RING).unwrap(),
        entropy: Arc::new(SystemEntropy),
        batch: BatchLimits::default(),
    };
    let strand = Arc::new(crate::strand::open(settings, Arc::clone(&watermark) as _).unwrap());
    let loaded = strand.reload().await.unwrap();
    (strand, watermark, loaded)
}

/// All that is in a folder, as a kill at this moment leaves it.
fn killed(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with("lock") && !name.ends_with("shm") {
            std::fs::copy(entry.path(), copy.path().join(name)).unwrap();
        }
    }
    copy
}

fn facts(loaded: &Loaded) -> Vec<String> {
    let mut unrecorded: Vec<String> = loaded.unrecorded.iter().map(|known| format!("{known:?}")).collect();
    unrecorded.sort();
    let mut all = answers(&loaded.books);
    all.extend([format!("{:?} {unrecorded:?}", loaded.posted)]);
    all
}

fn answers(books: &Books) -> Vec<String> {
    let counters = books.counters();
    let mut all = vec![format!("{} {counters:?} {:?}", books.transactions(), books.unsettled())];
    for known in (1..=counters.transaction).filter_map(|id| books.aggregate(TransactionId(id))) {
        let row = &known.transaction;
        let found = (
            books.by_reference(&row.reference),
            books.by_key(row.customer_id, KeySpace::Customer, &row.idempotency_key),
            row.refs.iter().map(|id| books.by_provider_ref(row.config_id, id)).collect::<Vec<_>>(),
        );
        all.push(format!("{known:?} {found:?}"));
    }
    all.extend((0..20).map(|id| format!("{:?}", books.of_customer(CustomerId(id)).collect::<Vec<_>>())));
    all.extend((0..4).map(|id| format!("{:?}", books.config_activity(ConfigId(id)))));
    let event = |id| books.known_event(ConfigId(1), &format!("evt_{id}"));
    all.extend((0..=counters.event).map(|id| format!("{:?}", event(id))));
    all
}

/// What starts over this folder load, with the image and without.
async fn both(folder: &Path) -> (Vec<String>, Vec<String>, bool) {
    let (with, without) = (killed(folder), killed(folder));
    let (strand, _, loaded) = load(with.path(), From::Image).await;
    let from_image = facts(&loaded);
    let used = loaded.is_from_image;
    assert_eq!(
        with.path().join("cashier.image").exists(),
        used,
        "an image that cannot be used is in the way of another"
    );
    strand.close().unwrap();
    let (strand, _, loaded) = load(without.path(), From::Rows).await;
    let from_rows = facts(&loaded);
    strand.close().unwrap();
    (from_image, from_rows, used)
}

async fn assert_equal(folder: &Path, is_used: bool, context: &str) {
    let (from_image, from_rows, used) = both(folder).await;
    for (image, rows) in from_image.iter().zip(&from_rows) {
        assert_eq!(image, rows, "{context}");
    }
    assert_eq!(from_image.len(), from_rows.len(), "{context}");
    assert_eq!(used, is_used, "{context}: whether the image was used");
}

impl Open {
    async fn at(folder: &Path, seed: u64) -> Self {
        let (strand, watermark, loaded) = load(folder, From::Image).await;
        let recorder = Arc::clone(&strand) as Arc<dyn Recorder>;
        let ledger = Ledger::new(recorder, watermark, loaded.books, Admission::new(Admission::DEFAULT_LIMIT));
        Self { ledger: Arc::new(ledger), strand, database: folder.join("cashier.db"), numbers: seed }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.numbers = self.numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.numbers >> 33) % limit
    }

    fn decide(&self, decision: impl FnOnce(&mut Draft<'_>)) -> Ticket<()> {
        let stamp = Stamp { actor: Actor::System, request_id: "test".into(), now: NOW };
        self.ledger.decide(&stamp, decision).unwrap()
    }

    /// A row that is opened or changed, an operation, or an event.
    fn step(&mut self) -> Ticket<()> {
        let (choice, pick, customer, status) = (self.below(4), self.below(1 << 30), self.below(20), self.below(3));
        self.decide(|draft| {
            let last = draft.books().counters().transaction;
            let known = draft.aggregate(TransactionId(1 + pick % last.max(1)));
            let status = [OperationStatus::Planned, OperationStatus::Posted, OperationStatus::Refused][status as usize];
            match (choice, known) {
                (1, Some(mut known)) => {
                    known.transaction.status = TransactionStatus::Credited;
                    known.transaction.refs =
                        [ProviderRef::new("ch", &format!("ch_{}", pick % 500))].into_iter().collect();
                    draft.add([Change::Transaction(Box::new(known.transaction))]);
                }
                (2, Some(known)) => {
                    let id = draft.context().next_operation;
                    let fresh = || operation(id, known.transaction.id, status);
                    let changed = known.operations.first().map(|old| BalanceOperation { status, ..old.clone() });
                    draft.add([Change::Operation(Box::new(changed.unwrap_or_else(fresh)))]);
                }
                (3, _) => {
                    let event = event(draft.next_event());
                    draft.add([Change::Event(Box::new(event))]);
                }
                _ => {
                    let id = draft.next_transaction();
                    let fresh = Fresh {
                        id,
                        reference: Reference::from_random(u128::from(pick) << 40 | u128::from(id.0)),
                        now: NOW,
                    };
                    let blank = Transaction::blank(fresh, Login(customer), usd(2_550), &account(customer));
                    let row = Transaction {
                        config_id: ConfigId(1 + pick % 3),
                        provider: "stripe".into(),
                        idempotency_key: format!("key-{}", id.0).into(),
                        ..blank
                    };
                    draft.add([Change::Transaction(Box::new(row))]);
                }
            }
        })
    }

    async fn steps(&mut self, count: usize) {
        let mut last = None;
        for _ in 0..count {
            last = Some(self.step());
        }
        if let Some(last) = last {
            last.durable().await.unwrap();
        }
    }

    fn copied(&self) -> Result<CopiedImage, Fault> {
        copy(&self.ledger, &self.database, &SystemEntropy, &CopyPace { is_background: false, given_up: Arc::default() })
    }

    async fn image(&self) {
        place(&self.ledger, &self.database, self.copied().unwrap()).await.unwrap();
    }

    fn close(self) {
        self.strand.close().unwrap();
    }
}

fn account(customer: u64) -> AccountFacts {
    let customer_id = CustomerId(customer);
    AccountFacts {
        customer: Customer {
            customer_id,
            country: "DE".into(),
            brand: "ion4".into(),
            status: 0,
            deposit_allowed: true,
            withdrawal_allowed: true,
        },
        account: Account { login: Login(customer), customer_id, group: "real".into(), enabled: true, balance: usd(0) },
        group: Group {
            group: "real".into(),
            brand: "ion4".into(),
            currency: usd(0).currency,
            account_mode: AccountMode::Real,
            enabled: true,
        },
        server: ServerName::default(),
        age_seconds: 0,
    }
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("USD").unwrap())
}

fn operation(id: OperationId, of: TransactionId, status: OperationStatus) -> BalanceOperation {
    BalanceOperation {
        id,
        transaction_id: of,
        ordinal: 1,
        login: Login(3),
        trade_order: 0,
        request_order: 0,
        cmd: OperationCmd::BalanceIn,
        amount: usd(2_550),
        reason: OperationReason::Deposit,
        status,
        failure_reason: "".into(),
        created_time: NOW,
        updated_time: NOW,
    }
}

fn event(id: EventId) -> ProviderEvent {
    ProviderEvent {
        id,
        notice_id: cashier_core::ids::NoticeId(0),
        config_id: ConfigId(1),
        provider: "stripe".into(),
        brand: "".into(),
        event_id: format!("evt_{}", id.0).into(),
        transaction_id: TransactionId(0),
        provider_payment_id: "".into(),
        signature_status: SignatureStatus::Valid,
        processing_status: ProcessingStatus::Ignored,
        failure_reason: "".into(),
        update: None,
        module_hash: "".into(),
        also_verified_by: Box::default(),
        created_time: NOW,
        processed_time: NOW,
    }
}

fn edit(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("cashier.db")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_books_from_an_image_are_those_from_the_rows_over_random_histories_and_kills() {
    for seed in 1..=4 {
        let folder = tempfile::tempdir().unwrap();
        let mut open = Open::at(folder.path(), seed).await;
        open.steps(600).await;
        assert_equal(folder.path(), false, "without an image").await;
        for round in 0..3 {
            // The copy goes on while decisions do.
            let (ledger, database) = (Arc::clone(&open.ledger), open.database.clone());
            let copying = std::thread::spawn(move || {
                copy(&ledger, &database, &SystemEntropy, &CopyPace { is_background: true, given_up: Arc::default() })
            });
            open.steps(300).await;
            let copied = tokio::task::spawn_blocking(|| copying.join().unwrap()).await.unwrap().unwrap();
            let context = format!("seed {seed}, round {round}");
            assert_equal(folder.path(), round > 0, &format!("{context}, killed before the new image is in place"))
                .await;
            place(&open.ledger, &open.database, copied).await.unwrap();
            assert_equal(folder.path(), true, &context).await;
            open.steps(200).await;
            assert_equal(folder.path(), true, &format!("{context}, killed later")).await;
            if round == 1 {
                open.close();
                open = Open::at(folder.path(), seed * 31).await;
            }
        }
        open.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_an_image_of_an_abandoned_history_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = Open::at(folder.path(), 5).await;
    open.steps(300).await;
    open.image().await;
    let before = killed(folder.path());
    open.steps(100).await;
    let copied = open.copied().unwrap();
    let between = killed(folder.path());
    open.steps(100).await;
    place(&open.ledger, &open.database, copied).await.unwrap();
    open.close();
    for (backup, context) in [(&before, "of before the image"), (&between, "of while it was copied")] {
        let restored = tempfile::tempdir().unwrap();
        for name in ["cashier.db", "cashier.db-wal"] {
            std::fs::copy(backup.path().join(name), restored.path().join(name)).unwrap();
        }
        std::fs::copy(folder.path().join("cashier.image"), restored.path().join("cashier.image")).unwrap();
        assert_equal(restored.path(), false, context).await;
        // Other commits take the numbers of those that were lost: the image still does not match.
        let mut open = Open::at(restored.path(), 6).await;
        open.steps(400).await;
        assert_equal(restored.path(), false, &format!("{context}, grown again")).await;
        open.close();
    }
    // A backup with the image of its own moment.
    assert_equal(before.path(), true, "the image that the backup knows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_a_damaged_or_foreign_image_is_a_full_load() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = Open::at(folder.path(), 7).await;
    open.steps(700).await;
    open.image().await;
    open.close();
    let path = folder.path().join("cashier.image");
    let whole = std::fs::read(&path).unwrap();
    for place in (0..whole.len()).step_by(whole.len() / 20) {
        let mut flipped = whole.clone();
        flipped[place] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_equal(folder.path(), false, &format!("byte {place} flipped")).await;
        std::fs::write(&path, &whole[..place]).unwrap();
        assert_equal(folder.path(), false, &format!("cut at {place}")).await;
    }
    let other = tempfile::tempdir().unwrap();
    let mut open = Open::at(other.path(), 8).await;
    open.steps(50).await;
    open.image().await;
    open.close();
    std::fs::copy(other.path().join("cashier.image"), &path).unwrap();
    assert_equal(folder.path(), false, "of another database").await;
    std::fs::write(&path, &whole).unwrap();
    assert_equal(folder.path(), true, "the whole file again").await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::remove_file(&path).unwrap();
        let mut open = Open::at(folder.path(), 9).await;
        open.steps(10).await;
        open.image().await;
        open.close();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_what_an_operator_edits_while_the_cashier_is_stopped_is_in_the_books() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = Open::at(folder.path(), 10).await;
    open.steps(400).await;
    open.image().await;
    open.close();
    for (sql, is_used) in [
        ("UPDATE cashier_transaction SET comment = 'by hand', status = 9 WHERE id = 3", true),
        ("UPDATE balance_operation SET status = 2 WHERE id = 1", true),
        ("UPDATE cashier_transaction SET customer_id = 7 WHERE id = 4", false),
        ("UPDATE cashier_transaction SET customer_id = 7 WHERE id = 4; DELETE FROM provider_event WHERE id = 2", false),
        ("DELETE FROM balance_operation WHERE id = 2", false),
        ("UPDATE provider_event SET event_id = 'evt_other' WHERE id = 3", false),
        ("VACUUM", false),
        // What is left of a database that was recovered: rows are gone that no trigger has seen go.
        (
            "DROP TRIGGER transaction_deleted; DELETE FROM cashier_transaction WHERE id = 5; CREATE TRIGGER transaction_deleted \
             AFTER DELETE ON cashier_transaction BEGIN DELETE FROM books_image; END",
            false,
        ),
    ] {
        let edited = killed(folder.path());
        edit(edited.path(), sql);
        assert_equal(edited.path(), is_used, sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_an_image_of_another_release_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = Open::at(folder.path(), 15).await;
    open.steps(300).await;
    open.image().await;
    open.close();
    let path = folder.path().join("cashier.image");
    let mut file = std::fs::read(&path).unwrap();
    let length_place = file.len() - 8;
    let length = u64::from_le_bytes(file[length_place..].try_into().unwrap());
    let content = length_place - usize::try_from(length).unwrap()..length_place - 32;
    let release = env!("CARGO_PKG_VERSION").as_bytes();
    let place = file[content.clone()].windows(release.len()).position(|bytes| bytes == release).unwrap();
    file[content.start + place] ^= 1;
    let checksum = Sha256::digest(&file[content.clone()]);
    file[content.end..length_place].copy_from_slice(&checksum);
    std::fs::write(&path, &file).unwrap();
    assert_equal(folder.path(), false, "the same format, other rules").await;
    let mut open = Open::at(folder.path(), 16).await;
    let has_image = || image::state(&folder.path().join("cashier.db")).unwrap().has_image;
    assert!(!has_image(), "another one is due, however little has changed");
    open.steps(1).await;
    open.image().await;
    assert!(has_image());
    open.close();
    edit(folder.path(), "VACUUM");
    assert!(!has_image());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_given_up_at_a_stop_and_after_rows_were_taken_back_and_leaves_no_draft() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = Open::at(folder.path(), 11).await;
    open.steps(300).await;
    let given_up = CopyPace { is_background: false, given_up: Arc::new(AtomicBool::new(true)) };
    assert!(copy(&open.ledger, &open.database, &SystemEntropy, &given_up).is_err());
    let copied = open.copied().unwrap();
    open.ledger.reopen().await.unwrap();
    assert!(place(&open.ledger, &open.database, copied).await.is_err());
    let drafts = || {
        let names = std::fs::read_dir(folder.path()).unwrap().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().contains("image")).count()
    };
    assert_eq!(drafts(), 0);
    std::fs::write(folder.path().join(".draft-0-cashier.image"), "left by a kill").unwrap();
    open.image().await;
    assert_eq!(drafts(), 1, "the image alone");
    assert_equal(folder.path(), true, "after the reload").await;
    open.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_an_image_is_made_and_used_after_a_deposit_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut open = Open::at(folder.path(), 12).await;
    open.steps(300).await;
    edit(
        folder.path(),
        "CREATE TRIGGER rule BEFORE INSERT ON cashier_transaction WHEN NEW.login = 777 BEGIN SELECT RAISE(ABORT, 'a rule'); END",
    );
    let refused = open.decide(|draft| {
        let id = draft.next_transaction();
        let fresh = Fresh { id, reference: Reference::from_random(1), now: NOW };
        let row = Transaction::blank(fresh, Login(777), usd(2_550), &account(7));
        draft.add([Change::Transaction(Box::new(row))]);
    });
    assert!(refused.durable().await.is_err());
    open.steps(300).await;
    open.image().await;
    assert_equal(folder.path(), true, "its slot stays empty").await;
    open.steps(50).await;
    open.close();
    let mut open = Open::at(folder.path(), 14).await;
    open.steps(50).await;
    open.image().await;
    assert_equal(folder.path(), true, "an image of books that were made from it").await;
    open.close();
}

#[test]
fn an_image_is_due_once_enough_rows_have_changed() {
    let state = |has_image, changed| ImageState { has_image, changed };
    let rules = ImageRules::BACKGROUND;
    for (rows, state, due) in [
        (IMAGE_ROWS_MIN - 1, state(false, 0), false),
        (IMAGE_ROWS_MIN, state(false, 0), true),
        (1_000_000, state(true, 39_999), false),
        (1_000_000, state(true, 40_000), true),
        (10_000_000, state(true, 200_000), false),
        (10_000_000, state(true, 220_000), true),
    ] {
        assert_eq!(rules.wants(rows, state), due, "{rows} {state:?}");
    }
    assert!(ImageRules::AT_STOP.wants(1_000_000, state(true, 7_000)));
    assert!(!ImageRules::AT_STOP.wants(STOP_ROWS_MAX + 1, state(true, 100_000)), "its start takes less than the copy");
    assert!(ImageRules::AT_STOP.wants(10_000_000, state(false, 0)), "its start takes minutes");
}
