//! Random histories of deposits, refunds, crashes and restores of either database, beside a model that knows only what was
//! paid, what each file holds and which transactions a restore made undecidable. A pair that differs is refused, reconciled
//! and then exact.

use std::collections::{BTreeMap, BTreeSet};

use cashier_core::facts::ProviderFact;
use cashier_core::ids::Reference;
use tempfile::TempDir;

use super::{Cashier, FILES, LOGINS, Settle, copy, folder, reconciled, run};

/// Histories of a run; the environment may ask for more.
const HISTORIES: u64 = 20;
const HISTORIES_VARIABLE: &str = "CASHIER_HISTORIES";

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
                cashier
                    .state(reference, ProviderFact::Refund { id, payment: Box::default(), minor: paid.refunded })
                    .await;
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
        if matches!(which, 3..=6) {
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
