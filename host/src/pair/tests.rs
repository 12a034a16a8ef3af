//! Random histories of deposits, refunds, crashes and restores of either database, beside a model that knows only what was
//! paid, what each file holds and which transactions a restore made undecidable. A pair that differs is refused, reconciled
//! and then exact.

use std::collections::{BTreeMap, BTreeSet};
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
use super::offline::reconcile;
use super::*;
use crate::ledger::{Admission, Ledger, Watermark};
use crate::ports::{Durable, Entropy, Posting, Recorder};
use crate::strand::seal::SealKeys;
use crate::strand::{BatchLimits, Strand, StrandSettings};
use crate::system::SystemEntropy;
use crate::trading::import::import_text;

const RING: &str = "7:0707070707070707070707070707070707070707070707070707070707070707";
const NOW: UnixTime = UnixTime(1_779_270_000);
const LOGINS: [u64; 2] = [100, 101];
const FILES: [&str; 2] = ["cashier.db", "trading.db"];

/// Histories of a run; the environment may ask for more.
const HISTORIES: u64 = 20;
const HISTORIES_VARIABLE: &str = "CASHIER_HISTORIES";

const ROSTER: &str = r#"{
  "groups": [{"group": "real", "brand": "alpha", "currency": "USD", "account_mode": 1, "enable": 1}],
  "customers": [{"customer_id": 5, "country": "DE", "brand": "alpha", "status": 0, "deposit_allowed": 1, "withdrawal_allowed": 1}],
  "accounts": [{"login": 100, "customer_id": 5, "group": "real", "enable": 1},
               {"login": 101, "customer_id": 5, "group": "real", "enable": 1}]
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
    Planned,
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
            if how == Settle::Planned {
                continue;
            }
            let outcome = self.trading.post(Durable::assertion(posting(&aggregate.transaction, operation))).await;
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

    fn balance(&self, login: u64) -> i64 {
        self.trading.durable_account(Login(login)).unwrap().unwrap().account.balance.minor
    }
}

fn posting(transaction: &Transaction, operation: &BalanceOperation) -> Posting {
    Posting {
        operation: operation.clone(),
        reference: transaction.reference.clone(),
        customer_id: transaction.customer_id,
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
    reconcile(folder, RING, Arc::new(SystemEntropy), NOW, apply).await.unwrap()
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

/// What was paid and refunded at the provider.
#[derive(Debug, Clone)]
struct Paid {
    login: u64,
    minor: i64,
    refunded: i64,
}

/// Keys with amounts.
type Postings = BTreeMap<(Reference, u32), i64>;

/// What the files hold, as the model knows it.
#[derive(Debug, Clone, Default)]
struct Held {
    /// The transactions of the books.
    transactions: BTreeSet<Reference>,
    recorded: Postings,
    unrecorded: Postings,
    posted: Postings,
    /// Which identity each file has.
    books: u64,
    owner: u64,
    /// Transactions that stand where they stood when a restore was reconciled: a person decides.
    frozen: BTreeSet<Reference>,
}

impl Held {
    fn matches(&self) -> bool {
        let belongs = self.books == self.owner || self.posted.is_empty();
        let known = self.unrecorded.keys().filter(|key| self.posted.contains_key(*key));
        belongs && self.recorded.keys().chain(known).eq_by_set(self.posted.keys())
    }

    fn sum(&self, of: &Reference) -> i64 {
        self.posted.iter().filter(|((reference, _), _)| reference == of).map(|(_, minor)| minor).sum()
    }
}

trait EqualAsSets<'k>: Iterator<Item = &'k (Reference, u32)> + Sized {
    fn eq_by_set(self, others: impl Iterator<Item = &'k (Reference, u32)>) -> bool {
        self.collect::<BTreeSet<_>>() == others.collect::<BTreeSet<_>>()
    }
}

impl<'k, I: Iterator<Item = &'k (Reference, u32)>> EqualAsSets<'k> for I {}

struct History {
    folder: TempDir,
    random: u64,
    payments: BTreeMap<Reference, Paid>,
    held: Held,
    saved: Vec<(TempDir, Held)>,
    mismatches: usize,
    identities: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (payments, held) = (BTreeMap::new(), Held::default());
        Self { folder: folder(), random, payments, held, saved: Vec::new(), mismatches: 0, identities: 0 }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 8) % below
    }

    async fn open(&self) -> Cashier {
        Cashier::open(self.folder.path()).await.unwrap_or_else(|fault| panic!("{fault}: {:?}", self.held))
    }

    /// Payments, refunds and settlement, with a crash at the end or without one.
    async fn serve(&mut self) {
        let cashier = self.open().await;
        // What an earlier crash left is finished first, and webhooks come again.
        self.state_all(&cashier).await;
        self.settle(&cashier, Settle::Recorded).await;
        for _ in 0..1 + self.draw(3) {
            let open: Vec<_> =
                self.payments.iter().filter(|(_, paid)| paid.refunded == 0).map(|(own, _)| own.clone()).collect();
            if self.draw(3) == 0 && !open.is_empty() {
                let reference = &open[self.draw(open.len() as u64) as usize];
                let refunded = 1 + self.draw(1_000) as i64;
                self.payments.get_mut(reference).unwrap().refunded = refunded;
            } else {
                let (login, minor) = (LOGINS[self.draw(2) as usize], [2_550, 2_550, 9_000][self.draw(3) as usize]);
                let reference = cashier.deposit(login, minor).await;
                self.held.transactions.insert(reference.clone());
                self.payments.insert(reference, Paid { login, minor, refunded: 0 });
            }
            self.state_all(&cashier).await;
            let how = [Settle::Recorded, Settle::Recorded, Settle::Posted, Settle::Planned][self.draw(4) as usize];
            self.settle(&cashier, how).await;
            if how != Settle::Recorded {
                break;
            }
        }
        cashier.close();
    }

    /// The provider states everything about every payment, again and again.
    async fn state_all(&self, cashier: &Cashier) {
        for (reference, paid) in &self.payments {
            let payment = || format!("pi_{reference}").into();
            cashier.state(reference, ProviderFact::Confirmed { payment: payment(), minor: paid.minor }).await;
            if paid.refunded > 0 {
                let id = format!("re_{reference}").into();
                cashier.state(reference, ProviderFact::Refund { id, minor: paid.refunded }).await;
            }
        }
    }

    /// Settles, and takes what was planned and posted into the model.
    async fn settle(&mut self, cashier: &Cashier, how: Settle) {
        loop {
            let due: Vec<_> = cashier.ledger.peek(|books| books.aggregates().collect()).unwrap();
            let due = due.into_iter().flat_map(|aggregate| {
                let reference = aggregate.transaction.reference;
                let unsettled = aggregate.operations.into_iter().filter(|known| known.is_unsettled());
                unsettled.map(move |known| ((reference.clone(), known.ordinal), known.amount.minor))
            });
            let due: Postings = due.collect();
            cashier.settle(how).await;
            if how != Settle::Planned {
                self.held.posted.extend(due.clone());
            }
            if how != Settle::Recorded || due.is_empty() {
                self.held.unrecorded = due;
                return;
            }
            self.held.recorded.extend(due);
        }
    }

    fn save(&mut self) {
        let copies = tempfile::tempdir().unwrap();
        FILES.iter().for_each(|name| copy(self.folder.path(), copies.path(), name));
        self.saved.push((copies, self.held.clone()));
    }

    /// Puts an older copy of one or both files back, or removes cashier.db.
    fn restore(&mut self) {
        let which = self.draw(8);
        let chosen = self.draw(self.saved.len() as u64) as usize;
        let (copies, then) = &self.saved[chosen];
        let now = &mut self.held;
        if matches!(which, 0..=2 | 6) {
            copy(copies.path(), self.folder.path(), "cashier.db");
            let Held { posted, owner, .. } = std::mem::take(now);
            *now = Held { posted, owner, ..then.clone() };
        }
        if matches!(which, 3..=5 | 6) {
            copy(copies.path(), self.folder.path(), "trading.db");
            now.posted = then.posted.clone();
            now.owner = then.owner;
        }
        if which == 7 {
            std::fs::remove_file(self.folder.path().join("cashier.db")).unwrap();
            let Held { posted, owner, books, .. } = std::mem::take(now);
            self.identities += 1;
            self.held = Held { posted, owner, books: books + 1_000 * self.identities, ..Held::default() };
        }
    }

    /// A pair that differs is refused and reconciled; one that matches starts as it is.
    async fn reconcile(&mut self) {
        let opened = Cashier::open(self.folder.path()).await;
        if self.held.matches() {
            opened.unwrap_or_else(|fault| panic!("a matching pair was refused: {fault}: {:?}", self.held)).close();
            self.held.owner = self.held.books;
            return;
        }
        self.mismatches += 1;
        let fault = opened.err().unwrap_or_else(|| panic!("a pair that differs was opened: {:?}", self.held));
        assert!(fault.to_string().contains("cashier db reconcile"), "{fault}");
        let listed = reconciled(self.folder.path(), false).await;
        assert!(!listed.differences.is_empty() && listed.applied.is_none());
        let applied = reconciled(self.folder.path(), true).await;
        assert_eq!(applied.differences, listed.differences, "listing changes nothing");
        let again = reconciled(self.folder.path(), true).await;
        assert_eq!((&*again.differences, again.applied), ("", None), "once is enough");
        let held = &mut self.held;
        held.owner = held.books;
        let lost = held.recorded.keys().filter(|key| !held.posted.contains_key(*key));
        let lost: Vec<_> = lost.map(|(reference, _)| reference.clone()).collect();
        let vanished =
            held.posted.keys().map(|(reference, _)| reference).filter(|own| !held.transactions.contains(own));
        held.frozen.extend(vanished.cloned());
        held.frozen.extend(lost);
        held.transactions.extend(held.posted.keys().map(|(reference, _)| reference.clone()));
        held.recorded = held.posted.clone();
        held.unrecorded.retain(|key, _| !held.recorded.contains_key(key));
    }

    /// Everything that may move has moved: each balance is what was paid less what was refunded, except where a person must
    /// decide, which stands as it was posted.
    async fn check(&mut self, seed: u64) {
        let cashier = self.open().await;
        for _ in 0..3 {
            self.state_all(&cashier).await;
            self.settle(&cashier, Settle::Recorded).await;
        }
        for login in LOGINS {
            let expected: i64 = self
                .payments
                .iter()
                .filter(|(_, paid)| paid.login == login)
                .map(|(reference, paid)| match self.held.transactions.contains(reference) {
                    true if !self.held.frozen.contains(reference) => paid.minor - paid.refunded,
                    _ => self.held.sum(reference),
                })
                .sum();
            assert_eq!(cashier.balance(login), expected, "seed {seed}, login {login}: {:?}", self.held);
        }
        cashier.close();
    }
}

#[test]
fn m1_after_random_restores_every_pair_that_differs_is_refused_reconciled_and_exact() {
    let histories = std::env::var(HISTORIES_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(HISTORIES);
    let mut mismatches = 0;
    for seed in 1..=histories {
        let mut history = History::new(seed);
        run(async {
            history.serve().await;
            history.save();
            for _ in 0..6 {
                match history.draw(4) {
                    0 => history.save(),
                    1 => {
                        history.restore();
                        history.reconcile().await;
                        history.check(seed).await;
                    }
                    _ => history.serve().await,
                }
            }
            history.check(seed).await;
        });
        mismatches += history.mismatches;
    }
    assert!(mismatches as u64 > histories / 4, "only {mismatches} mismatches in {histories} histories");
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
fn a_crash_between_posting_and_recording_is_no_difference() {
    let folder = folder();
    run(async {
        let cashier = Cashier::open(folder.path()).await.unwrap();
        let reference = cashier.deposit(100, 2_550).await;
        cashier.state(&reference, ProviderFact::Confirmed { payment: "pi".into(), minor: 2_550 }).await;
        cashier.settle(Settle::Posted).await;
        cashier.close();
        assert_eq!(reconciled(folder.path(), false).await.differences, "");
        let cashier = Cashier::open(folder.path()).await.unwrap();
        cashier.settle(Settle::Recorded).await;
        assert_eq!((cashier.balance(100), reviews(&cashier)), (2_550, Vec::new()));
        cashier.close();
    });
}

#[test]
fn a_key_that_is_known_with_other_values_is_a_review() {
    let folder = folder();
    run(async {
        let cashier = Cashier::open(folder.path()).await.unwrap();
        let reference = cashier.deposit(100, 2_550).await;
        cashier.state(&reference, ProviderFact::Confirmed { payment: "pi".into(), minor: 2_550 }).await;
        let id = TransactionId(1);
        let planned = cashier.ledger.peek(|books| books.aggregate(id)).unwrap().unwrap();
        let mut other = posting(&planned.transaction, &planned.operations[0]);
        other.operation.amount = usd(7);
        assert!(matches!(cashier.trading.post(Durable::assertion(other)).await, PostingOutcome::Posted { .. }));
        cashier.settle(Settle::Recorded).await;
        assert_eq!(reviews(&cashier), [(id, ReasonCode::OperationKeyConflict)]);
        assert_eq!(cashier.balance(100), 7);
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
