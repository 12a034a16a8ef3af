//! Random runs of a cashier against a simple model: deposits, notices in any order and number, lost answers, failing disks,
//! crashes, also between posting and recording, clock changes, and a trading server that forgets accounts or executes a
//! posting late. In every run each order that reached the provider is durable, each answer was durable when it
//! was given, each payment is credited exactly once, nothing else is credited, and nothing stays pending. `restores` has
//! the same runs over real databases that are put back meanwhile.

mod managers;
mod payments;
mod replay;
mod restores;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::deposit::DepositRequest;
use cashier_core::facts::PersonFact;
use cashier_core::ids::Reference;
use cashier_core::notice::Update;
use cashier_core::operation::{BalanceOperation, OperationKey};
use cashier_core::reason::ReasonCode;
use cashier_core::status::{OperationStatus, ProviderStatus, Source};
use tokio::task::JoinSet;

use self::payments::{ProviderPayment, Random};
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, LOGINS, OnCreate, OnPost, TestCashier, deposit_request, lock, update};

/// Runs of the test, each of some hundred commits; the variable draws more.
const SEEDS: u64 = 24;
const SEEDS_VARIABLE: &str = "CASHIER_CHAOS_RUNS";
const STEPS: usize = 60;

struct Run {
    env: TestCashier,
    random: Random,
    payments: BTreeMap<Reference, ProviderPayment>,
    /// Requests in progress; each checks that its own answer is durable.
    requests: JoinSet<Option<String>>,
    /// Postings that were executed and not yet recorded when the cashier was killed.
    unrecorded: usize,
    /// Payments that the books lost in a restore, with what was posted of each: that stays as it is.
    lost: BTreeMap<Reference, i64>,
}

impl Run {
    fn new(env: TestCashier, seed: u64) -> Self {
        env.provider.expiry_seconds.store(2 * 3600, Ordering::SeqCst);
        let (payments, requests, lost) = Default::default();
        Self { env, random: Random(seed), payments, requests, unrecorded: 0, lost }
    }

    fn begin_deposit(&mut self) {
        let create = match self.random.below(10) {
            0 => OnCreate::AnswerLost,
            1 => OnCreate::NeverSent,
            2 => OnCreate::Decline,
            3 => OnCreate::Slow(self.random.below(5)),
            _ => OnCreate::Redirect,
        };
        lock(&self.env.provider.next_creates).push_back(create);
        let key = self.random.below(8);
        let login = LOGINS[key as usize % 2];
        let request = self.env.deposit_as(DepositRequest { login, ..deposit_request(&format!("k{key}")) });
        let disk = Arc::clone(&self.env.disk);
        self.requests.spawn(async move {
            if let Ok(outcome) = request.await {
                let shown = &outcome.transaction;
                assert!(
                    disk.version_of(shown.id) >= Some(shown.version),
                    "transaction {} answered before it was durable",
                    shown.id
                );
            }
            None
        });
    }

    /// Sends one or two random events as a notice; what is answered with 200 must be durable.
    fn send_notice(&mut self) {
        let all: Vec<&Update> = self.payments.values().flat_map(|payment| &payment.events).collect();
        if all.is_empty() {
            return;
        }
        let mut updates = Vec::new();
        for _ in 0..=self.random.below(2) {
            let one = all[self.random.below(all.len() as u64) as usize].clone();
            if !updates.contains(&one) {
                updates.push(one);
            }
        }
        let addressed = (self.random.below(2) == 0).then_some(1);
        self.send(addressed, updates);
    }

    fn send(&mut self, addressed: Option<u64>, updates: Vec<Update>) {
        let (request, disk) = (self.env.notice(addressed, updates), Arc::clone(&self.env.disk));
        self.requests.spawn(async move {
            let outcome = request.await;
            for event in outcome.iter().flat_map(|outcome| &outcome.events) {
                assert!(disk.event_row(event.id).is_some(), "event {} answered before it was durable", event.id);
            }
            outcome.err().map(|refusal| refusal.to_string())
        });
    }

    fn disturb(&mut self) {
        let late = OnPost::ArrivesLate(self.random.below(400));
        let posts = [OnPost::AnswerLost, OnPost::NeverArrives, OnPost::Slow(4), OnPost::Accept, late];
        let post = posts[self.random.below(5) as usize];
        match self.random.below(7) {
            5 => self.env.trading.lookups_fail.store(self.random.below(2) == 0, Ordering::SeqCst),
            0 | 1 => lock(&self.env.trading.next_posts).push_back(post),
            2 => {
                self.env.disk.fail_in.store(1 + self.random.below(3) as u32, Ordering::SeqCst);
                self.env.disk.fails_after_writing.store(self.random.below(2) == 0, Ordering::SeqCst);
            }
            3 => self.env.disk.held.store(true, Ordering::SeqCst),
            4 => self.env.disk.held.store(false, Ordering::SeqCst),
            _ => {
                // Minutes, hours or weeks, in both directions; some clocks are set right again at once.
                let reach = [1_800, 7_200, 60 * 86_400][self.random.below(3) as usize];
                self.env.clock.jump(self.random.below(reach) as i64 - reach as i64 / 2);
                if self.random.below(3) == 0 {
                    self.env.clock.set_right();
                }
            }
        }
    }

    /// A broker removes the account, or restores it.
    fn forget_or_restore_an_account(&mut self) {
        let login = LOGINS[self.random.below(2) as usize];
        let mut forgotten = lock(&self.env.trading.forgotten);
        if !forgotten.insert(login) {
            forgotten.remove(&login);
        }
    }

    /// How many postings the trading server executed that are not recorded durably: the books learn of them by asking.
    fn executed_and_not_recorded(&self) -> usize {
        let recorded = self.env.disk.loaded().books;
        let operations = recorded.aggregates().flat_map(|known| known.operations);
        let posted = operations.filter(|operation| operation.status == OperationStatus::Posted).count();
        self.env.trading.postings().len() - posted
    }

    async fn crash(&mut self) {
        self.unrecorded += self.executed_and_not_recorded();
        self.requests.abort_all();
        self.drain().await;
        self.env.crash().await;
    }

    /// Kills the cashier when the trading server has executed a posting whose answer is still on its way.
    async fn crash_after_posting(&mut self) {
        self.env.disk.held.store(false, Ordering::SeqCst);
        let mut posts = vec![OnPost::AnswerLost; 8];
        posts.extend(lock(&self.env.trading.next_posts).drain(..));
        *lock(&self.env.trading.next_posts) = posts.into();
        for _ in 0..8 {
            self.begin_deposit();
            tokio::time::sleep(Duration::from_millis(30)).await;
            self.change_a_payment();
            self.send_notice();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.crash().await;
    }

    /// Waits for every answer and returns the refusals; an aborted request has no answer.
    async fn drain(&mut self) -> Vec<String> {
        let mut refused = Vec::new();
        while let Some(answered) = self.requests.join_next().await {
            match answered {
                Ok(refusal) => refused.extend(refusal),
                Err(error) => assert!(!error.is_panic(), "an answer was not durable"),
            }
        }
        refused
    }

    async fn random_steps(&mut self) {
        for _ in 0..STEPS {
            match self.random.below(20) {
                0..=4 => self.begin_deposit(),
                5..=9 => self.change_a_payment(),
                10..=15 => {
                    if self.random.below(6) == 0 {
                        self.forget_or_restore_an_account();
                    }
                    self.send_notice();
                }
                16..=17 => self.disturb(),
                18 => tokio::time::sleep(Duration::from_millis(self.random.below(20_000))).await,
                _ if self.random.below(3) == 0 => self.crash().await,
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(self.random.below(30))).await;
        }
    }

    async fn mend_the_disk(&self) {
        self.env.disk.held.store(false, Ordering::SeqCst);
        self.env.disk.fail_in.store(0, Ordering::SeqCst);
        self.env.run_for(5).await;
    }

    /// Disk, clock and servers recover.
    async fn heal(&mut self) {
        self.mend_the_disk().await;
        self.env.clock.set_right();
        // A start took a clock for right that was days ahead: an operator accepts the right one, and the days pass.
        if !self.env.cashier.clock.is_plausible() {
            self.env.clock.accept();
            self.env.run_for(10).await;
            self.env.clock.advance(Duration::from_secs(8 * 86_400));
        }
        lock(&self.env.trading.next_posts).clear();
        lock(&self.env.trading.forgotten).clear();
        self.env.trading.lookups_fail.store(false, Ordering::SeqCst);
        lock(&self.env.provider.next_creates).clear();
        self.env.run_for(60).await;
        self.drain().await;
        for reference in self.env.provider.references() {
            self.payments.entry(reference).or_default();
        }
    }

    /// The provider sends every event again, the newest first.
    async fn state_everything_again(&mut self) {
        let events: Vec<Update> = self.payments.values().flat_map(|payment| payment.events.clone()).collect();
        for event in events.into_iter().rev() {
            self.send(Some(1), vec![event]);
        }
        assert_eq!(self.drain().await, Vec::<String>::new(), "a healthy cashier accepts every notice");
    }

    /// Disk and servers recover, the provider sends every event again, and hours pass.
    async fn recover(&mut self) {
        self.heal().await;
        for (reference, payment) in &self.payments {
            if !payment.paid {
                let open = Update { reference: Some(reference.clone()), ..update("", ProviderStatus::Pending) };
                self.env.on_query(reference, QueryAnswer::Stated(Box::new(open)));
            }
        }
        self.state_everything_again().await;
        self.env.run_for(3600).await;
        self.persons_decide().await;
        self.env.run_for(15 * 3600).await;
    }

    /// Persons do their part: what was refused, because the account was forgotten when it was due, or differs after a
    /// restore, is retried, and what reconcile recovered is approved as it stands. Nothing is paid twice by it.
    async fn persons_decide(&self) {
        self.mend_the_disk().await;
        for known in self.env.aggregates() {
            let (own, newest) = (&known.transaction, known.operations.last().map(|operation| operation.status));
            let differs = [ReasonCode::PostingLost, ReasonCode::PostingImported, ReasonCode::OperationKeyConflict];
            if own.source == Source::Manual {
                let stands = !known.operations.iter().any(BalanceOperation::is_lost);
                self.env.decide(own.id, if stands { PersonFact::Approved } else { PersonFact::Rejected }).await;
            } else if newest == Some(OperationStatus::Refused) || differs.contains(&own.reason.code) {
                self.env.decide(own.id, PersonFact::Retried).await;
            }
        }
    }

    fn check(&self, seed: u64) {
        let posted = self.env.trading.postings();
        let credited = |of: &Reference| -> i64 {
            let own = posted.iter().filter(|(key, ..)| key.parts().is_some_and(|(reference, _)| reference == *of));
            own.map(|(.., minor)| minor).sum()
        };
        for (reference, payment) in &self.payments {
            if let Some(minor) = self.lost.get(reference) {
                assert_eq!(credited(reference), *minor, "seed {seed}: {reference} is lost to the books");
                continue;
            }
            let id = self.env.cashier.ledger.peek(|books| books.by_reference(reference)).unwrap();
            let id =
                id.unwrap_or_else(|| panic!("seed {seed}: order {reference} reached the provider and is not durable"));
            let (known, status) = (self.env.aggregate(id), self.env.status(id));
            let expected: &[u8] = match (payment.paid, payment.refunded) {
                (true, AMOUNT) => &[7],
                (true, _) => &[3],
                (false, _) => &[5, 6],
            };
            assert_eq!(credited(reference), payment.owed(), "seed {seed}, transaction {id}: {known:?}");
            assert!(expected.contains(&status), "seed {seed}, transaction {id} has status {status}: {known:?}");
            assert_eq!(self.env.unsettled_operations(id), 0, "seed {seed}, transaction {id}");
        }
        let mut recorded = Vec::new();
        for known in self.env.aggregates() {
            let posted = known.operations.iter().filter(|operation| operation.status == OperationStatus::Posted);
            let reference = &known.transaction.reference;
            recorded.extend(posted.map(|operation| (OperationKey::of(reference, operation), operation.amount.minor)));
        }
        let mut posted: Vec<_> = posted.into_iter().map(|(key, _, minor)| (key, minor)).collect();
        posted.sort();
        recorded.sort();
        assert_eq!(posted, recorded, "seed {seed}: postings differ");
        assert_eq!(self.env.unfinished(), 0, "seed {seed}: a transaction is still pending");
    }
}

#[tokio::test(start_paused = true)]
async fn random_runs_credit_each_payment_once_and_lose_nothing() {
    let (mut credits, mut crashes, mut unrecorded, mut retried) = (0, 0, 0, 0);
    for seed in 0..number_of_runs(SEEDS_VARIABLE, SEEDS) {
        let mut run = Run::new(TestCashier::with_configs(&[1, 2]).await, seed);
        run.random_steps().await;
        if seed % 2 == 0 {
            run.crash_after_posting().await;
            crashes += 1;
        }
        run.recover().await;
        run.check(seed);
        run.check_replay(seed);
        credits += run.env.trading.postings().len();
        unrecorded += run.unrecorded;
        let operations = run.env.aggregates().into_iter().flat_map(|known| known.operations);
        retried += operations.filter(|operation| operation.status == OperationStatus::Refused).count();
    }
    assert!(credits > 40 && crashes > 10, "too few events: {credits} credits");
    assert!(unrecorded > 3, "too few kills between posting and recording: {unrecorded}");
    assert!(retried > 3, "too few refusals by a server that forgot the account: {retried}");
}

/// As many as the environment asks for.
fn number_of_runs(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}
