//! Logins that more than one trading server has: nobody's, also while one of these servers does not answer.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cashier_core::ids::Login;

/// Logins that are remembered; more of them are wrong routes, not wrong accounts, and every look-up of one finds it again.
const CONTESTED_MAX: usize = 4_096;

#[derive(Default)]
pub(super) struct ContestedLogins(Mutex<BTreeSet<Login>>);

impl ContestedLogins {
    /// Several servers have it; true, as it is contested.
    pub(super) fn note(&self, login: Login) -> bool {
        let mut known = self.lock();
        if known.len() < CONTESTED_MAX {
            known.insert(login);
        }
        true
    }

    /// Every server answered, and at most one has it; false, as it is not contested.
    pub(super) fn forget(&self, login: Login) -> bool {
        self.lock().remove(&login);
        false
    }

    pub(super) fn contains(&self, login: Login) -> bool {
        self.lock().contains(&login)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Login>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
