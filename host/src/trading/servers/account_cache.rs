//! What trading servers stated of accounts lately, so that a customer who opens a page three times is looked up once. Postings
//! never use it (case 178).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_core::account::AccountFacts;
use cashier_core::ids::Login;

use crate::trading::remote::AccountChange;

/// Accounts that are remembered, about 30 MB of them. Beyond it all are forgotten, which costs one look-up each.
const ACCOUNTS_MAX: usize = 65_536;

/// Changes that are remembered: those of a few seconds of a busy server. An answer that took longer is not remembered.
const CHANGES_MAX: usize = 1_024;

pub(super) struct AccountCache {
    age_max: Duration,
    known: Mutex<KnownAccounts>,
}

#[derive(Default)]
struct KnownAccounts {
    /// Each with the monotonic time before it was asked for.
    by_login: HashMap<Login, (AccountFacts, Duration)>,
    /// Counts changes: an answer that was under way when its account changed may be of before.
    epoch: u64,
    /// The newest changes, each with the epoch that it began.
    changes: VecDeque<(u64, AccountChange)>,
}

impl KnownAccounts {
    /// Whether something of the account changed after an epoch; also where that is not known any more.
    fn may_have_changed(&self, facts: &AccountFacts, epoch: u64) -> bool {
        let is_forgotten = self.changes.front().is_some_and(|(first, _)| *first > epoch + 1);
        let is_of = |change: &AccountChange| match change {
            AccountChange::Login(login) => facts.account.login == *login,
            AccountChange::Group(group) => facts.group.group == *group,
            AccountChange::Customer(customer) => facts.customer.customer_id == *customer,
            AccountChange::Everything => true,
        };
        is_forgotten || self.changes.iter().any(|(at, change)| *at > epoch && is_of(change))
    }
}

impl AccountCache {
    pub(super) fn new(age_max: Duration) -> Self {
        Self { age_max, known: Mutex::default() }
    }

    /// To be read before an account is asked for.
    pub(super) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// An account that is not too old, with its age.
    pub(super) fn get(&self, login: Login, now: Duration) -> Option<AccountFacts> {
        let mut known = self.lock();
        let (facts, read) = known.by_login.get(&login)?;
        let age = now.saturating_sub(*read);
        if age > self.age_max {
            known.by_login.remove(&login);
            return None;
        }
        Some(AccountFacts { age_seconds: u32::try_from(age.as_secs()).unwrap_or(u32::MAX), ..facts.clone() })
    }

    /// Remembers an answer that was asked for at this time, unless its account changed since the epoch of then.
    pub(super) fn put(&self, facts: &AccountFacts, now: Duration, epoch: u64) {
        let mut known = self.lock();
        // The embedded server answers from memory.
        if self.age_max.is_zero() || facts.server.is_embedded() || known.may_have_changed(facts, epoch) {
            return;
        }
        if known.by_login.len() >= ACCOUNTS_MAX {
            known.by_login.clear();
        }
        known.by_login.insert(facts.account.login, (facts.clone(), now));
    }

    pub(super) fn forget(&self, change: &AccountChange) {
        let mut known = self.lock();
        known.epoch += 1;
        let epoch = known.epoch;
        known.changes.push_back((epoch, change.clone()));
        if known.changes.len() > CHANGES_MAX {
            known.changes.pop_front();
        }
        match change {
            AccountChange::Login(login) => drop(known.by_login.remove(login)),
            AccountChange::Group(group) => known.by_login.retain(|_, (facts, _)| facts.group.group != *group),
            AccountChange::Customer(customer) => {
                known.by_login.retain(|_, (facts, _)| facts.customer.customer_id != *customer);
            }
            AccountChange::Everything => known.by_login.clear(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, KnownAccounts> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
