//! Random days of a cashier against a simple model: deposits, notices in any order and number, lost answers, failing
//! disks, crashes and clocks that jump. However they mix: what a provider was told is on disk, every answer was on disk
//! when it was given, what was paid is credited once, what was not is not, and nothing stays pending.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::books::Books;
use cashier_core::ids::{ConfigId, Reference, TransactionId};
use cashier_core::notice::{Reach, RefundStatement, StatedAmount, Update};
use cashier_core::refs::ProviderRef;
use cashier_core::status::{OperationStatus, ProviderStatus};
use tokio::task::JoinSet;

use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnCreate, OnPost, TestCashier, lock, paid, update, usd};

/// Days per run; a day is some hundred commits.
const SEEDS: u64 = 24;
const STEPS: usize = 60;

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// What truly happened to a payment at the provider, and what it has still to tell.
#[derive(Default)]
struct Truth {
    paid: bool,
    refunded: bool,
    events: Vec<Update>,
}

struct Day {
    env: TestCashier,
    dice: Dice,
    truths: BTreeMap<Reference, Truth>,
    /// Requests under way; each checks its own answer against the disk.
    context: JoinSet<Option<String>>,
}

impl Day {
    fn begin_deposit(&mut self) {
        let create = match self.dice.roll(10) {
            0 => OnCreate::AnswerLost,
            1 => OnCreate::NeverSent,
            2 => OnCreate::Decline,
            3 => OnCreate::Slow(self.dice.roll(5)),
            _ => OnCreate::Redirect,
        };
        lock(&self.env.provider.next_creates).push_back(create);
        let (asked, disk) = (self.env.deposit(&format!("k{}", self.dice.roll(8))), Arc::clone(&self.env.disk));
        self.context.spawn(async move {
            if let Ok(outcome) = asked.await {
                let shown = &outcome.transaction;
                assert!(disk.version_of(shown.id) >= Some(shown.version), "transaction {} shown before disk", shown.id);
            }
            None
        });
    }

    /// The provider takes in what it was told since, and lives on a little.
    fn live(&mut self) {
        for reference in self.env.provider.references() {
            self.truths.entry(reference).or_default();
        }
        let pick = self.dice.roll(self.truths.len().max(1) as u64) as usize;
        let what = self.dice.roll(6);
        let Some((reference, truth)) = self.truths.iter_mut().nth(pick) else { return };
        let about = |kind: &str| format!("{kind}-{reference}").into_boxed_str();
        let said = |kind: &str, status| Update { reference: Some(reference.clone()), ..update(&about(kind), status) };
        let intent = ProviderRef::new("intent", &about("pi"));
        match what {
            0 | 1 if !truth.paid => {
                truth.paid = true;
                let confirmed = Update { payment_id: about("pay"), ..paid(&about("paid"), reference) };
                // The same payment told twice: by our reference, and by an id that another event teaches.
                let named = Update { reference: None, refs: vec![intent.clone()], ..confirmed.clone() };
                truth.events.push(Update { event_id: about("charged"), ..named });
                truth.events.push(confirmed.clone());
                self.env.on_query(reference, QueryAnswer::Stated(Box::new(confirmed)));
            }
            2 if truth.paid && !truth.refunded => {
                truth.refunded = true;
                let amount = StatedAmount::Exact(usd(AMOUNT));
                let refund = RefundStatement { id: about("re"), amount, reach: Reach::Delta };
                truth.events.push(Update { refund: Some(refund), ..said("refund", ProviderStatus::Refunded) });
            }
            3 => truth.events.push(Update { refs: vec![intent], ..said("opened", ProviderStatus::Pending) }),
            4 => truth.events.push(said("declined", ProviderStatus::Failed)),
            _ => {}
        }
    }

    /// Some event of some payment, perhaps with another, is sent; what was answered with 200 is on disk.
    fn send_notice(&mut self) {
        let all: Vec<&Update> = self.truths.values().flat_map(|truth| &truth.events).collect();
        if all.is_empty() {
            return;
        }
        let mut updates = Vec::new();
        for _ in 0..=self.dice.roll(2) {
            let one = all[self.dice.roll(all.len() as u64) as usize].clone();
            if !updates.contains(&one) {
                updates.push(one);
            }
        }
        let addressed = (self.dice.roll(2) == 0).then_some(1);
        self.send(addressed, updates);
    }

    fn send(&mut self, addressed: Option<u64>, updates: Vec<Update>) {
        let (asked, disk) = (self.env.notice(addressed, updates), Arc::clone(&self.env.disk));
        self.context.spawn(async move {
            let heard = asked.await;
            for event in heard.iter().flat_map(|outcome| &outcome.events) {
                assert!(disk.event_row(event.id).is_some(), "event {} answered before disk", event.id);
            }
            heard.err().map(|refusal| refusal.to_string())
        });
    }

    fn disturb(&mut self) {
        let post =
            [OnPost::AnswerLost, OnPost::NeverArrives, OnPost::Slow(4), OnPost::Accept][self.dice.roll(4) as usize];
        match self.dice.roll(6) {
            0 | 1 => lock(&self.env.trading.next_posts).push_back(post),
            2 => {
                self.env.disk.fail_in.store(1 + self.dice.roll(3) as u32, Ordering::SeqCst);
                self.env.disk.fails_after_writing.store(self.dice.roll(2) == 0, Ordering::SeqCst);
            }
            3 => self.env.disk.held.store(true, Ordering::SeqCst),
            4 => self.env.disk.held.store(false, Ordering::SeqCst),
            _ => self.env.clock.jump(self.dice.roll(7200) as i64 - 3600),
        }
    }

    async fn crash(&mut self) {
        self.context.abort_all();
        self.drain().await;
        self.env.crash().await;
    }

    /// Takes in the answers there are; a request that was cut has none.
    async fn drain(&mut self) -> Vec<String> {
        let mut refused = Vec::new();
        while let Some(answered) = self.context.join_next().await {
            match answered {
                Ok(refusal) => refused.extend(refusal),
                Err(error) => assert!(!error.is_panic(), "an answer was wrong"),
            }
        }
        refused
    }

    async fn random(&mut self) {
        for _ in 0..STEPS {
            match self.dice.roll(20) {
                0..=4 => self.begin_deposit(),
                5..=9 => self.live(),
                10..=15 => self.send_notice(),
                16..=17 => self.disturb(),
                18 => tokio::time::sleep(Duration::from_millis(self.dice.roll(20_000))).await,
                _ if self.dice.roll(3) == 0 => self.crash().await,
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(self.dice.roll(30))).await;
        }
    }

    /// Disk and servers are well again, providers send what was never taken, and days go by.
    async fn recover(&mut self) {
        self.env.disk.held.store(false, Ordering::SeqCst);
        self.env.disk.fail_in.store(0, Ordering::SeqCst);
        lock(&self.env.trading.next_posts).clear();
        lock(&self.env.provider.next_creates).clear();
        self.env.run_for(60).await;
        self.drain().await;
        let told = self.env.provider.references();
        for reference in &told {
            self.truths.entry(reference.clone()).or_default();
        }
        for (reference, truth) in &self.truths {
            if !truth.paid {
                let open = Update { reference: Some(reference.clone()), ..update("", ProviderStatus::Pending) };
                self.env.on_query(reference, QueryAnswer::Stated(Box::new(open)));
            }
        }
        let events: Vec<Update> = self.truths.values().flat_map(|truth| truth.events.clone()).collect();
        for event in events.into_iter().rev() {
            self.send(Some(1), vec![event]);
        }
        assert_eq!(self.drain().await, Vec::<String>::new(), "a well cashier takes every notice");
        self.env.run_for(16 * 3600).await;
    }

    fn judge(&self, seed: u64) {
        let mut operations = Vec::new();
        for (reference, truth) in &self.truths {
            let id = self.env.cashier.ledger.peek(|books| books.by_reference(reference)).unwrap();
            let id = id.unwrap_or_else(|| panic!("seed {seed}: the provider was told {reference}, the disk was not"));
            let known = self.env.aggregate(id);
            let (status, credited) = (self.env.status(id), self.env.trading.credited(id));
            let expected = match (truth.paid, truth.refunded) {
                (true, true) => (vec![7], 0),
                (true, false) => (vec![3], AMOUNT),
                (false, _) => (vec![5, 6], 0),
            };
            let standing = &known.transaction.facts;
            assert_eq!(credited, expected.1, "seed {seed}, transaction {id}: {standing:?}");
            assert!(expected.0.contains(&status), "seed {seed}, transaction {id} stands at {status}: {standing:?}");
            assert_eq!(self.env.unsettled_operations(id), 0, "seed {seed}, transaction {id}");
            let posted = known.operations.iter().filter(|operation| operation.status == OperationStatus::Posted);
            operations.extend(posted.map(|operation| (operation.id, id, operation.amount.minor)));
        }
        let mut posted = lock(&self.env.trading.posted).clone();
        posted.sort();
        operations.sort();
        assert_eq!(posted, operations, "seed {seed}: both sides know the same postings");
        assert_eq!(self.env.unfinished(), 0, "seed {seed}: a transaction is still pending");
    }

    /// The recorded commits, applied anew, make the very books that stand, indexes included.
    fn judge_replay(&self, seed: u64) {
        let replayed = self.env.disk.replayed();
        let events = || self.truths.values().flat_map(|truth| &truth.events);
        let compare = |books: &Books| {
            assert_eq!(replayed.counters(), books.counters(), "seed {seed}");
            assert_eq!(replayed.transactions(), books.transactions(), "seed {seed}");
            assert_eq!(replayed.unsettled(), books.unsettled(), "seed {seed}");
            for id in (1..=books.counters().transaction).map(TransactionId) {
                let known = books.aggregate(id).unwrap();
                assert_eq!(replayed.aggregate(id).as_ref(), Some(&known), "seed {seed}");
                let own = &known.transaction;
                let key = |books: &Books| books.by_key(own.customer_id, own.key_space, &own.idempotency_key);
                assert_eq!(replayed.by_reference(&own.reference), Some(id), "seed {seed}");
                assert_eq!(key(&replayed), key(books), "seed {seed}");
                for name in own.refs.iter() {
                    let found = |books: &Books| books.by_provider_ref(own.config_id, name);
                    assert_eq!((found(&replayed), found(books)), (Some(id), Some(id)), "seed {seed}");
                }
            }
            for config in [1, 2].map(ConfigId) {
                assert_eq!(replayed.config_activity(config), books.config_activity(config), "seed {seed}");
                for event in events() {
                    let heard = |books: &Books| books.known_event(config, &event.event_id);
                    assert_eq!(heard(&replayed), heard(books), "seed {seed}");
                }
            }
        };
        self.env.cashier.ledger.peek(compare).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn however_a_day_goes_money_is_credited_once_and_nothing_is_lost() {
    let (mut credits, mut crashes) = (0, 0);
    for seed in 0..SEEDS {
        let env = TestCashier::with_configs(&[1, 2]).await;
        env.provider.expiry_seconds.store(2 * 3600, Ordering::SeqCst);
        let mut day = Day { env, dice: Dice(seed), truths: BTreeMap::new(), context: JoinSet::new() };
        day.random().await;
        if seed % 2 == 0 {
            day.crash().await;
            crashes += 1;
        }
        day.recover().await;
        day.judge(seed);
        day.judge_replay(seed);
        credits += lock(&day.env.trading.posted).len();
    }
    assert!(credits > 40 && crashes > 10, "the days were too quiet: {credits} credits");
}
