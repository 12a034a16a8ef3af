//! Random histories in which persons do whatever the manager API lets them, beside customers, providers that state things in any
//! order, lost answers and crashes. A simple model of the payments at the provider says after each step and at the end what must
//! hold: no payment is credited twice, and what is not as it should be is on the work list. At the end persons work the list off.

mod at_provider;
mod closing;
mod commands;
mod model;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::approval::RefundLimits;
use cashier_core::edit::SecondPerson;
use cashier_core::ids::TransactionId;
use cashier_core::reason::ReasonCode;

use super::{Run, number_of_runs};
use crate::test_cashier::{OnPost, OnRefund, TestCashier, lock, usd};

/// Histories of the test, each of some hundred commits; the variable draws more, from the seed of the other one on.
const HISTORIES: u64 = 16;
const HISTORIES_VARIABLE: &str = "CASHIER_MANAGER_HISTORIES";
const FIRST_VARIABLE: &str = "CASHIER_MANAGER_HISTORIES_FROM";
const STEPS: usize = 70;

/// Refunds of more than this wait for a second person where the settings ask for one.
const REFUND_LIMIT: i64 = 4_000;

/// What the commands of all histories were answered: by name and number.
type Answered = Arc<Mutex<BTreeMap<(&'static str, u16), usize>>>;

struct History {
    run: Run,
    seed: u64,
    answered: Answered,
    /// Approvals that wait.
    asked: Arc<Mutex<Vec<u64>>>,
    /// What persons who worked the list off made owed of each order.
    closed: BTreeMap<TransactionId, i64>,
    /// What happened, for the message of a failure.
    steps: Vec<String>,
}

impl History {
    async fn new(seed: u64, answered: Answered) -> Self {
        let mut env = TestCashier::with_configs(&[1]).await;
        *lock(&env.provider.payments) = Some(crate::test_cashier::ProviderPayments::default());
        if seed.is_multiple_of(3) {
            lock(&env.trading.rights).1 = RefundLimits::new([usd(REFUND_LIMIT)]);
            let names = ["manual", "refunds", "resolving"];
            env.ask_for_second_person(SecondPerson::from_names(names).unwrap()).await;
        }
        let run = Run::new(env, seed);
        let (asked, closed, steps) = Default::default();
        Self { run, seed, answered, asked, closed, steps }
    }

    fn note(&mut self, step: String) {
        self.steps.push(step);
    }

    async fn random_steps(&mut self) {
        for _ in 0..STEPS {
            match self.run.random.below(32) {
                0..=3 => self.run.begin_deposit(),
                4..=8 => self.something_happens_at_the_provider(),
                9..=13 => self.run.send_notice(),
                14..=26 => self.a_person_acts(),
                27 => {
                    if self.run.random.below(3) == 0 {
                        self.run.forget_or_restore_an_account();
                    }
                    let refused = [ReasonCode::InsufficientBalance, ReasonCode::AccountDisabled].map(OnPost::RefuseFor);
                    let posts = [refused[0], refused[1], OnPost::AnswerLost, OnPost::NeverArrives];
                    let post = posts[self.run.random.below(4) as usize];
                    lock(&self.run.env.trading.next_posts).push_back(post);
                }
                28 => self.run.disturb(),
                29 => {
                    let is_silent = self.run.random.below(2) == 0;
                    if let Some(payments) = &mut *lock(&self.run.env.provider.payments) {
                        payments.is_silent = is_silent;
                    }
                    let seconds = [0, 86_400][self.run.random.below(2) as usize];
                    self.run.env.provider.window_seconds.store(seconds, Ordering::SeqCst);
                    self.note(format!("provider silent: {is_silent}, window {seconds}"));
                }
                30 => {
                    let length = [20_000, 3_600_000][self.run.random.below(2) as usize];
                    tokio::time::sleep(Duration::from_millis(self.run.random.below(length))).await;
                }
                _ if self.run.random.below(2) == 0 => {
                    self.note("crash".to_owned());
                    self.run.crash().await;
                }
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(self.run.random.below(60))).await;
            self.check_step();
        }
    }

    /// Disk, servers and providers recover, everything is stated again, and time passes.
    async fn recover(&mut self) {
        self.note("recover".to_owned());
        lock(&self.run.env.provider.next_refunds).clear();
        if let Some(payments) = &mut *lock(&self.run.env.provider.payments) {
            (payments.is_silent, payments.refuses_cancel) = (false, false);
        }
        // So that what was not refunded is certain an hour after the call.
        self.run.env.provider.window_seconds.store(0, Ordering::SeqCst);
        self.run.heal().await;
        self.check_step();
        self.end_what_was_accepted();
        self.fail_dashboard_refunds();
        self.run.state_everything_again().await;
        self.check_step();
        self.run.env.run_for(16 * 3_600).await;
        self.check_step();
        self.run.mend_the_disk().await;
    }
}

/// What the provider does with a refund call.
fn any_refund(number: u64) -> OnRefund {
    let all = [
        OnRefund::Done,
        OnRefund::Accepted,
        OnRefund::Decline,
        OnRefund::AnswerLost,
        OnRefund::Lost,
        OnRefund::NotSent,
        OnRefund::Failed,
        OnRefund::Slow(5),
    ];
    all[number as usize % all.len()].clone()
}

async fn play(seed: u64, answered: &Answered) -> History {
    let mut history = History::new(seed, Arc::clone(answered)).await;
    history.random_steps().await;
    history.recover().await;
    history.check_at_rest();
    history.work_the_list_off().await;
    history.check_end();
    history
}

#[tokio::test(start_paused = true)]
async fn whatever_persons_do_no_payment_is_credited_twice_and_what_differs_is_listed() {
    let answered = Answered::default();
    let (first, count) = (number_of_runs(FIRST_VARIABLE, 0), number_of_runs(HISTORIES_VARIABLE, HISTORIES));
    for seed in first..first + count {
        play(seed, &answered).await;
    }
    if count < HISTORIES {
        return;
    }
    let answered = lock(&answered).clone();
    for name in commands::NAMES.into_iter().chain(at_provider::HAPPENED.map(|(_, what)| what)) {
        let with = |number| answered.get(&(name, number)).copied().unwrap_or_default();
        assert!(with(200) > 0, "{name}: never: {answered:?}");
    }
    let waited: usize = answered.iter().filter(|((_, number), _)| *number == 202).map(|(_, count)| count).sum();
    assert!(waited > 0, "nothing waited for a second person");
}
