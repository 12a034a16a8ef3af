//! The platform as a test holds it: its state behind a lock, what it received, and restarts. How it is reached is `listener`'s and
//! `connection`'s.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::state::{EXECUTED, FakeAccount, FakeOrder, FakeState, Manner};

/// Clones of its `Arc` are one platform.
pub struct FakePlatform {
    state: Mutex<FakeState>,
    /// Raised to cut every connection.
    cut: watch::Sender<u64>,
}

impl FakePlatform {
    /// With the accounts 100 (customer 5, real), 101 (customer 5, demo) and 102 (customer 6, real), in USD and without money.
    pub fn new() -> Arc<Self> {
        let account = |customer, group| FakeAccount { customer, group, currency: "USD", enabled: true, balance: 0 };
        let state = FakeState {
            accounts: [(100, account(5, "real")), (101, account(5, "demo")), (102, account(6, "real"))].into(),
            groups: [("real", ("USD", 1, true)), ("demo", ("USD", 0, true))].into(),
            ..FakeState::default()
        };
        Arc::new(Self { state: Mutex::new(state), cut: watch::Sender::new(0) })
    }

    /// Everything that it is; no connection is served meanwhile.
    pub fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to the next requests: each step to the next one of its command.
    pub fn script(&self, steps: &[(&'static str, Manner)]) {
        self.state().script.extend(steps.iter().copied());
    }

    /// In minor units.
    pub fn balance(&self, login: u64) -> i64 {
        self.state().accounts[&login].balance
    }

    /// How often a command was received.
    pub fn received(&self, command: &str) -> usize {
        self.state().received.get(command).copied().unwrap_or_default()
    }

    /// How often each command was received: each is a round trip, unless a manner says otherwise.
    pub fn round_trips(&self) -> BTreeMap<String, usize> {
        self.state().received.clone()
    }

    /// How many orders with this key in their comment moved the balance.
    pub fn executed(&self, key: &str) -> usize {
        let has_key = |order: &&FakeOrder| order.comment.split(' ').any(|word| word == key);
        self.state().orders.iter().filter(|order| order.state == EXECUTED).filter(has_key).count()
    }

    /// How many orders are in a state.
    pub fn in_state(&self, state: i64) -> usize {
        self.state().orders.iter().filter(|order| order.state == state).count()
    }

    /// Cuts every connection; what was posted is gone where it is not kept.
    pub fn restart(&self, keeps_orders: bool) {
        if !keeps_orders {
            let mut state = self.state();
            state.orders.clear();
            state.accounts.values_mut().for_each(|account| account.balance = 0);
        }
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Changes when the connections are to be cut.
    pub(crate) fn cuts(&self) -> watch::Receiver<u64> {
        self.cut.subscribe()
    }

    /// Does a request; the order that is to be executed after a while goes to a task.
    pub(crate) fn perform(self: &Arc<Self>, command: &str, data: &Value) -> Result<Value, (i64, &'static str)> {
        let done = self.state().perform(command, data);
        if let Ok(value) = &done
            && command == "MngApproveFinanceRequest"
        {
            self.execute_later(value["order"].as_u64().unwrap());
        }
        done
    }

    fn execute_later(self: &Arc<Self>, order: u64) {
        let fake = Arc::clone(self);
        tokio::spawn(async move {
            let length = fake.state().execution;
            tokio::time::sleep(length).await;
            fake.state().execute(order);
        });
    }
}
