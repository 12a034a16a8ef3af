//! Random runs over real databases that are put back meanwhile: an older one beside a newer one, both, or none in place of
//! cashier.db. A pair that differs is refused and reconciled; then each payment that the books have is credited exactly
//! once, and what they lost stands as it was posted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cashier_core::ids::Reference;
use cashier_core::operation::OperationKey;
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationStatus, ProcessingStatus, Source};
use tempfile::TempDir;

use super::{LOGINS, Run, number_of_runs};
use crate::guarded_clock::GuardedClock;
use crate::ports::Clock;
use crate::test_cashier::{Bases, TestCashier, paid, wait};

/// Histories of a run; the variable asks for more.
const HISTORIES: u64 = 20;
const HISTORIES_VARIABLE: &str = "CASHIER_HISTORIES";

/// Rounds of random steps, each with a restore at its end.
const ROUNDS: u64 = 3;

type Postings = BTreeSet<(OperationKey, i64)>;

/// What two databases hold, as far as it decides whether they match, and what a restore loses.
#[derive(Debug, Clone, Default)]
struct Held {
    books: HeldBooks,
    postings: HeldPostings,
}

#[derive(Debug, Clone, Default)]
struct HeldBooks {
    /// The transactions that providers' statements reach.
    own: BTreeSet<Reference>,
    recorded: Postings,
    /// Planned, and perhaps posted.
    unrecorded: Postings,
    /// The highest operation id, and whose books they are.
    operation: u64,
    identity: Box<str>,
}

#[derive(Debug, Clone, Default)]
struct HeldPostings {
    posted: Postings,
    /// The highest operation id that was seen, also of refused ones, and whose books they belong to.
    operation: u64,
    owner: Box<str>,
}

impl Held {
    fn read(bases: &Bases) -> Self {
        let (loaded, mark) = (bases.loaded(), wait(bases.trading().mark()).unwrap());
        let (operation, identity) = (loaded.books.counters().operation, loaded.identity);
        let mut books = HeldBooks { operation, identity, ..HeldBooks::default() };
        for known in loaded.books.aggregates() {
            let own = known.transaction;
            for operation in &known.operations {
                let row = (OperationKey::of(&own.reference, operation), operation.amount.minor);
                match operation.status {
                    OperationStatus::Posted => drop(books.recorded.insert(row)),
                    OperationStatus::Planned | OperationStatus::Unknown => drop(books.unrecorded.insert(row)),
                    OperationStatus::Refused => {}
                }
            }
            if own.source == Source::Provider {
                books.own.insert(own.reference);
            }
        }
        let made = bases.postings().into_iter().filter(|posting| posting.is_posted());
        let posted = made.map(|posting| (posting.key, posting.amount.minor)).collect();
        Self { books, postings: HeldPostings { posted, operation: mark.operation, owner: mark.identity } }
    }

    fn match_each_other(&self) -> bool {
        let (books, HeldPostings { posted, operation, owner }) = (&self.books, &self.postings);
        let belongs = books.identity == *owner || owner.is_empty() || *operation == 0;
        let expected: Postings = books.recorded.iter().chain(books.unrecorded.intersection(posted)).cloned().collect();
        belongs && *posted == expected && *operation <= books.operation
    }
}

impl HeldPostings {
    fn sum(&self, reference: &Reference) -> i64 {
        let own = self.posted.iter().filter(|(key, _)| key.parts().is_some_and(|(of, _)| of == *reference));
        own.map(|(_, minor)| minor).sum()
    }
}

/// A backup with what it holds.
struct Saved {
    files: TempDir,
    held: Held,
}

struct History {
    run: Run,
    bases: Arc<Bases>,
    saved: Vec<Saved>,
    mismatches: u64,
}

impl History {
    async fn new(seed: u64) -> Self {
        let env = TestCashier::with_bases(&[1, 2]).await;
        let bases = Arc::clone(env.trading.bases.get().unwrap());
        Self { run: Run::new(env, seed), bases, saved: Vec::new(), mismatches: 0 }
    }

    fn back_up(&mut self) {
        let files = self.bases.backup(self.run.env.clock.now());
        self.saved.push(Saved { files, held: Held::read(&self.bases) });
    }

    /// Puts older copies back, reconciles a pair that differs, and starts.
    async fn restore(&mut self) {
        let Self { run, bases, saved, .. } = self;
        run.requests.abort_all();
        run.drain().await;
        let mut held = Held::read(bases);
        let orders: BTreeSet<Reference> = run.env.provider.references().into_iter().collect();
        let missing = orders.iter().find(|own| !held.books.own.contains(*own) && !run.lost.contains_key(*own));
        assert_eq!(missing, None, "an order that reached the provider is not durable");
        run.env.power_off().await;
        let which = run.random.below(8);
        let mut draw = || &saved[run.random.below(saved.len() as u64) as usize];
        let (older, other) = (draw(), draw());
        if matches!(which, 0..=2 | 5 | 6) {
            bases.put_back(&older.files, true, false);
            held.books = older.held.books.clone();
        }
        if matches!(which, 3..=6) {
            let copy = if which == 6 { other } else { older };
            bases.put_back(&copy.files, false, true);
            held.postings = copy.held.postings.clone();
        }
        if which == 7 {
            bases.lose_the_books();
            held.books = HeldBooks::default();
        }
        if run.random.below(2) == 0 {
            run.env.clock.reboot();
        }
        run.lost = orders
            .into_iter()
            .filter(|reference| !held.books.own.contains(reference))
            .map(|reference| (reference.clone(), held.postings.sum(&reference)))
            .collect();
        self.reconcile(&held);
        self.run.env.power_on().await;
    }

    /// What an operator does whose start is refused.
    fn reconcile(&mut self, held: &Held) {
        let refusal = match self.bases.open() {
            Ok(_) => {
                self.bases.close();
                assert!(held.match_each_other(), "a pair that differs was opened: {held:?}");
                return;
            }
            Err(fault) => fault.to_string(),
        };
        assert!(!held.match_each_other(), "a matching pair was refused: {refusal}: {held:?}");
        assert!(refusal.contains("cashier db reconcile"), "{refusal}");
        self.mismatches += 1;
        let clock = &self.run.env.clock;
        let now = GuardedClock::open(Arc::clone(clock) as _, Arc::clone(clock) as _).now();
        let listed = self.bases.reconcile(now, false);
        assert!(!listed.differences.is_empty() && listed.applied.is_none(), "{refusal}");
        let applied = self.bases.reconcile(now, true);
        assert_eq!(applied.differences, listed.differences, "listing changes nothing");
        let again = self.bases.reconcile(now, true);
        assert_eq!((&*again.differences, again.applied), ("", None), "once is enough");
    }

    /// The balance of each account is what was paid less what was refunded.
    fn check_balances(&self, seed: u64) {
        let Run { env, payments, lost, .. } = &self.run;
        let orders: BTreeMap<Reference, _> =
            env.provider.orders.lock().unwrap().iter().map(|order| (order.reference.clone(), order.login)).collect();
        for login in LOGINS {
            let own = orders.iter().filter(|(_, of)| **of == login);
            let expected: i64 =
                own.map(|(own, _)| lost.get(own).copied().unwrap_or_else(|| payments[own].owed())).sum();
            let balance = self.bases.trading().durable_account(login).unwrap().unwrap().account.balance;
            assert_eq!(balance.minor, expected, "seed {seed}, login {login}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn m1_random_runs_with_restores_credit_each_payment_of_the_books_once() {
    let (mut mismatches, mut unrecorded, mut lost) = (0, 0, 0);
    let histories = number_of_runs(HISTORIES_VARIABLE, HISTORIES);
    for seed in 0..histories {
        let mut history = History::new(seed).await;
        history.back_up();
        for _ in 0..ROUNDS {
            history.run.random_steps().await;
            match history.run.random.below(3) {
                0 => history.run.crash_after_posting().await,
                1 => history.run.persons_decide().await,
                _ => {}
            }
            if history.run.random.below(3) > 0 {
                history.back_up();
                history.run.random_steps().await;
            }
            history.restore().await;
        }
        history.run.recover().await;
        history.run.check(seed);
        history.check_balances(seed);
        mismatches += history.mismatches;
        unrecorded += history.run.unrecorded;
        lost += history.run.lost.len();
    }
    assert!(mismatches > histories, "only {mismatches} pairs differed");
    assert!(unrecorded > 3 && lost > 3, "too few events: {unrecorded} kills after posting, {lost} payments lost");
}

#[tokio::test(start_paused = true)]
async fn payments_that_a_restore_lost_are_listed_work_whether_they_were_credited_or_not() {
    let mut history = History::new(0).await;
    history.back_up();
    let env = &mut history.run.env;
    let credited = env.deposit("k").await.unwrap().transaction.reference;
    let open = env.deposit("l").await.unwrap().transaction.reference;
    env.notice(Some(1), vec![paid("e1", &credited)]).await.unwrap();
    env.power_off().await;
    history.bases.put_back(&history.saved[0].files, true, false);
    history.bases.reconcile(env.clock.now(), true);
    env.power_on().await;
    let reasons = [ReasonCode::ProviderConfigMismatch, ReasonCode::TransactionNotFound];
    for (reference, reason) in [&credited, &open].into_iter().zip(reasons) {
        let event = env.notice(Some(1), vec![paid(&format!("e-{reference}"), reference)]).await.unwrap().events[0].id;
        env.run_for(25 * 3600).await;
        let row = env.disk.event_row(event).unwrap();
        assert_eq!(row.processing_status, ProcessingStatus::Failed);
        assert!(row.failure_reason.starts_with(reason.name()), "{}", row.failure_reason);
    }
    let reviews: Vec<_> = env.aggregates().into_iter().map(|known| known.transaction.reason.code).collect();
    assert_eq!(reviews, [ReasonCode::PostingImported]);
    assert_eq!(env.trading.postings().len(), 1);
}
