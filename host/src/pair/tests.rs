//! Each way in which two databases may differ: refused, reconciled, exact. The flows' random runs draw others.

mod earlier_releases;
mod elsewhere;
mod keys;
mod taken_over;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cashier_core::change::{Change, Stamp};
use cashier_core::facts::ProviderFact;
use cashier_core::ids::{ConfigId, Login, ManagerId, Reference, TransactionId};
use cashier_core::money::{Currency, Money};
use cashier_core::operation::BalanceOperation;
use cashier_core::reason::ReasonCode;
use cashier_core::session::Actor;
use cashier_core::status::Source;
use cashier_core::time::UnixTime;
use cashier_core::transaction::{Fresh, Transaction};
use tempfile::TempDir;

use super::backup::backup;
use super::offline::{TakeOver, reconcile};
use super::*;
use crate::ledger::{Admission, Ledger, Watermark};
use crate::ports::{Durable, Entropy, Posting, Recorder, TradingServer};
use crate::strand::seal::SealKeys;
use crate::strand::{BatchLimits, Strand, StrandSettings};
use crate::system::SystemEntropy;
use crate::trading::import::import_text;

const RING: &str = "7:0707070707070707070707070707070707070707070707070707070707070707";
const NOW: UnixTime = UnixTime(1_779_270_000);
const FILES: [&str; 2] = ["cashier.db", "trading.db"];

const ROSTER: &str = r#"{
  "groups": [{"group": "real", "brand": "alpha", "currency": "USD", "account_mode": 1, "enable": 1}],
  "customers": [{"customer_id": 5, "country": "DE", "brand": "alpha", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}],
  "accounts": [{"login": 100, "customer_id": 5, "group": "real", "enable": 1}]
}"#;

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::from_code("USD").unwrap())
}

/// An open pair.
struct Cashier {
    ledger: Ledger,
    strand: Arc<Strand>,
    trading: Embedded,
}

/// How far the settlement of an operation comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settle {
    Recorded,
    /// Posted, and the process ends before that is recorded.
    Posted,
}

impl Cashier {
    async fn open(folder: &Path) -> Result<Self, Fault> {
        let watermark = Arc::new(Watermark::new());
        let settings = StrandSettings {
            path: folder.join("cashier.db"),
            keys: SealKeys::parse(RING)?,
            entropy: Arc::new(SystemEntropy),
            batch: BatchLimits::default(),
        };
        let strand = Arc::new(crate::strand::open(settings, Arc::clone(&watermark) as _)?);
        let trading = Embedded::open(folder)?;
        let loaded = strand.reload().await?;
        check(&loaded, &trading).await?;
        let recorder = Arc::clone(&strand) as Arc<dyn Recorder>;
        let ledger = Ledger::new(recorder, watermark, loaded.books, Admission::new(Admission::DEFAULT_LIMIT));
        Ok(Self { ledger, strand, trading })
    }

    fn close(self) {
        self.trading.close();
        self.strand.close().unwrap();
    }

    async fn decide(&self, decision: impl FnOnce(&mut cashier_core::draft::Draft<'_>)) {
        let stamp = Stamp { actor: Actor::System, request_id: "test".into(), now: NOW };
        self.ledger.decide(&stamp, decision).unwrap().durable().await.unwrap();
    }

    /// Opens a deposit and returns its reference.
    async fn deposit(&self, login: u64, minor: i64) -> Reference {
        let account = self.trading.account(Login(login)).await.unwrap().unwrap();
        let reference = Reference::from_random(SystemEntropy.bits());
        let own = reference.clone();
        self.decide(move |draft| {
            let fresh = Fresh { id: draft.next_transaction(), reference: own, now: NOW };
            let blank = Transaction::blank(fresh, Login(login), usd(minor), &account);
            let row = Transaction { config_id: ConfigId(1), provider: "stub".into(), ..blank };
            draft.add([Change::Transaction(Box::new(row))]);
        })
        .await;
        reference
    }

    /// A provider's statement; those about lost or recovered transactions change nothing.
    async fn state(&self, reference: &Reference, fact: ProviderFact) {
        let Some(id) = self.ledger.peek(|books| books.by_reference(reference)).unwrap() else { return };
        self.decide(move |draft| {
            let aggregate = draft.aggregate(id).unwrap();
            if aggregate.transaction.source == Source::Provider {
                let at = draft.context();
                draft.add(aggregate.establish(fact, at));
            }
        })
        .await;
    }

    /// Settles what is due.
    async fn settle(&self, how: Settle) {
        let due: Vec<_> = self.ledger.peek(|books| books.aggregates().collect()).unwrap();
        for aggregate in due {
            let Some(operation) = aggregate.operations.iter().find(|known| known.is_unsettled()) else { continue };
            let outcome =
                self.trading.post(Durable::assertion(posting(&aggregate.transaction, operation))).await.outcome();
            if how == Settle::Posted {
                continue;
            }
            let (id, operation) = (aggregate.transaction.id, operation.id);
            self.decide(move |draft| {
                let (aggregate, at) = (draft.aggregate(id).unwrap(), draft.context());
                draft.add(aggregate.end_posting(operation, &outcome, ManagerId(0), at));
            })
            .await;
        }
    }

    /// Plans a credit, and something else is posted under its key.
    async fn post_other_values(&self) {
        let reference = self.deposit(100, 2_550).await;
        self.state(&reference, ProviderFact::Confirmed { payment: "pi".into(), minor: 2_550 }).await;
        let planned = self.ledger.peek(|books| books.aggregate(TransactionId(1))).unwrap().unwrap();
        let mut other = posting(&planned.transaction, &planned.operations[0]);
        other.operation.amount = usd(7);
        assert!(matches!(self.trading.post(Durable::assertion(other)).await.outcome(), PostingOutcome::Posted { .. }));
    }

    fn balance(&self, login: u64) -> i64 {
        self.trading.durable_account(Login(login)).unwrap().unwrap().account.balance.minor
    }
}

fn posting(transaction: &Transaction, operation: &BalanceOperation) -> Posting {
    Posting {
        operation: operation.clone(),
        reference: transaction.reference.clone(),
        server: transaction.server.clone(),
        customer_id: transaction.customer_id,
        only_on: None,
        comment: "test".into(),
    }
}

/// A folder with a roster and no books yet.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let trading = Embedded::open(folder.path()).unwrap();
    std::thread::scope(|scope| scope.spawn(|| import_text(ROSTER, &trading).unwrap()).join()).unwrap();
    trading.close();
    folder
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

async fn reconciled(folder: &Path, apply: bool) -> Reconciliation {
    let taken = if apply { TakeOver::Differences } else { TakeOver::Nothing };
    reconcile(folder, RING, Arc::new(SystemEntropy), || NOW, taken, None).await.unwrap()
}

fn refused(folder: &Path) -> String {
    run(Cashier::open(folder)).err().expect("the pair is refused").to_string()
}

fn copy(from: &Path, to: &Path, name: &str) {
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(to.join(format!("{name}{suffix}")));
    }
    std::fs::copy(from.join(name), to.join(name)).unwrap();
}

/// Two equal deposits, with copies of both files after the first.
fn two_deposits() -> (TempDir, TempDir) {
    let (folder, copies) = (folder(), tempfile::tempdir().unwrap());
    run(async {
        for _ in 0..2 {
            let cashier = Cashier::open(folder.path()).await.unwrap();
            pay(&cashier, 2_550).await;
            cashier.close();
            for name in FILES.iter().filter(|name| !copies.path().join(name).exists()) {
                copy(folder.path(), copies.path(), name);
            }
        }
    });
    (folder, copies)
}

async fn pay(cashier: &Cashier, minor: i64) -> Reference {
    let reference = cashier.deposit(100, minor).await;
    cashier.state(&reference, ProviderFact::Confirmed { payment: "pi".into(), minor }).await;
    cashier.settle(Settle::Recorded).await;
    reference
}

fn reviews(cashier: &Cashier) -> Vec<(TransactionId, ReasonCode)> {
    let all: Vec<_> = cashier.ledger.peek(|books| books.aggregates().collect()).unwrap();
    let reviews = all.iter().map(|known| (known.transaction.id, known.transaction.reason.code));
    reviews.filter(|(_, code)| *code != ReasonCode::None).collect()
}

#[test]
fn m1_an_older_cashier_db_is_refused_and_after_reconcile_each_new_deposit_is_credited_once() {
    let (folder, copies) = two_deposits();
    copy(copies.path(), folder.path(), "cashier.db");
    let why = refused(folder.path());
    assert!(
        why.starts_with("cashier.db is older than trading.db: 1 postings are not in the books (the first: posting"),
        "{why}"
    );
    run(async {
        let applied = reconciled(folder.path(), true).await.applied;
        assert_eq!(applied, Some(Applied { imported: 0, recovered: 1, lost: 0 }));
        let cashier = Cashier::open(folder.path()).await.unwrap();
        assert_eq!(reviews(&cashier), [(TransactionId(2), ReasonCode::PostingImported)]);
        pay(&cashier, 2_550).await;
        assert_eq!(cashier.balance(100), 3 * 2_550);
        assert_eq!(reviews(&cashier).len(), 1);
        let ids: Vec<_> =
            cashier.ledger.peek(|books| books.aggregates().map(|known| known.transaction.id.0).collect()).unwrap();
        assert_eq!(ids, [1, 2, 3], "no id is handed out again");
        cashier.close();
    });
}

#[test]
fn m1_a_missing_cashier_db_is_refused_and_named() {
    let (folder, _copies) = two_deposits();
    std::fs::remove_file(folder.path().join("cashier.db")).unwrap();
    let why = refused(folder.path());
    assert!(why.starts_with("cashier.db is missing or empty, and trading.db holds 2 postings"), "{why}");
    run(async {
        assert_eq!(reconciled(folder.path(), true).await.applied.unwrap().recovered, 2);
        let cashier = Cashier::open(folder.path()).await.unwrap();
        pay(&cashier, 2_550).await;
        assert_eq!(cashier.balance(100), 3 * 2_550);
        cashier.close();
    });
}

#[test]
fn m1_an_older_trading_db_is_refused_and_nothing_is_credited_again() {
    let (folder, copies) = two_deposits();
    copy(copies.path(), folder.path(), "trading.db");
    let why = refused(folder.path());
    assert!(why.starts_with("trading.db is older than cashier.db: 1 postings of the books are not there"), "{why}");
    run(async {
        assert_eq!(reconciled(folder.path(), true).await.applied, Some(Applied { imported: 0, recovered: 0, lost: 1 }));
        let cashier = Cashier::open(folder.path()).await.unwrap();
        cashier.settle(Settle::Recorded).await;
        assert_eq!(reviews(&cashier), [(TransactionId(2), ReasonCode::PostingLost)]);
        assert_eq!(cashier.balance(100), 2_550);
        pay(&cashier, 2_550).await;
        assert_eq!(cashier.balance(100), 2 * 2_550);
        cashier.close();
    });
}

#[test]
fn a_trading_db_of_another_cashier_is_refused_and_its_postings_become_reviews() {
    let ((folder, _), (other, _)) = (two_deposits(), two_deposits());
    copy(other.path(), folder.path(), "trading.db");
    let why = refused(folder.path());
    assert!(why.starts_with("cashier.db and trading.db do not belong together"), "{why}");
    run(async {
        let listed = reconciled(folder.path(), false).await.differences;
        assert_eq!(listed.lines().filter(|line| line.starts_with("not in ")).count(), 4, "{listed}");
        let applied = reconciled(folder.path(), true).await.applied;
        assert_eq!(applied, Some(Applied { imported: 0, recovered: 2, lost: 2 }));
        let cashier = Cashier::open(folder.path()).await.unwrap();
        assert_eq!((reviews(&cashier).len(), cashier.balance(100)), (4, 2 * 2_550));
        cashier.close();
    });
}

#[test]
fn a_backup_made_while_deposits_are_credited_is_a_matching_pair() {
    let (folder, backups) = (folder(), tempfile::tempdir().unwrap());
    let bases: PathBuf = folder.path().to_owned();
    run(async {
        let cashier = Cashier::open(folder.path()).await.unwrap();
        pay(&cashier, 2_550).await;
        let target = backups.path().to_owned();
        let copying = std::thread::spawn(move || {
            (0..8).map(|number| backup(&bases, &target.join(number.to_string()), NOW).unwrap()).collect::<Vec<_>>()
        });
        let mut paid = 1;
        while !copying.is_finished() {
            pay(&cashier, 2_550).await;
            paid += 1;
        }
        assert!(paid > 1);
        cashier.close();
        let manifest: serde_json::Value = serde_json::from_str(&copying.join().unwrap()[0]).unwrap();
        assert_eq!(manifest["files"].as_array().unwrap().len(), 2, "{manifest}");
        for number in 0..8 {
            let restored = backups.path().join(number.to_string());
            let cashier = Cashier::open(&restored).await.unwrap();
            cashier.settle(Settle::Recorded).await;
            let before = cashier.balance(100);
            pay(&cashier, 2_550).await;
            assert_eq!(cashier.balance(100), before + 2_550);
            cashier.close();
        }
        let full = backup(folder.path(), backups.path(), NOW).err().unwrap().to_string();
        assert!(full.contains("is not empty"), "{full}");
    });
}
