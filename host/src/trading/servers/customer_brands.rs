//! Which brand a customer has, as the trading servers stated it: asked for beside whoever wants to know, which is a page of rows that
//! match nothing and cannot wait. What is too old is shown until it was asked for again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_core::ids::CustomerId;
use tokio::sync::Notify;

/// Customers that are remembered, those whom overrides name. Beyond it all are forgotten, which costs one look-up each.
const BRANDS_KEPT_MAX: usize = 16_384;

/// Customers that wait to be asked for; more are wanted again when they are looked at again.
const BRANDS_WANTED_MAX: usize = 4_096;

pub(super) struct CustomerBrands {
    age_max: Duration,
    state: Mutex<BrandsState>,
    is_wanted: Notify,
}

#[derive(Default)]
struct BrandsState {
    /// `None` where there is no such customer; with the monotonic time when it was asked for.
    known: HashMap<CustomerId, (Option<Box<str>>, Duration)>,
    wanted: BTreeSet<CustomerId>,
}

impl CustomerBrands {
    pub(super) fn new(age_max: Duration) -> Self {
        Self { age_max, state: Mutex::default(), is_wanted: Notify::new() }
    }

    /// What is known of a customer; `None` where nobody was asked yet.
    pub(super) fn get(&self, customer: CustomerId, now: Duration) -> Option<Option<Box<str>>> {
        let mut state = self.lock();
        let known = state.known.get(&customer).cloned();
        let is_fresh = known.as_ref().is_some_and(|(_, asked)| now.saturating_sub(*asked) <= self.age_max);
        if !is_fresh && state.wanted.len() < BRANDS_WANTED_MAX {
            state.wanted.insert(customer);
            self.is_wanted.notify_one();
        }
        known.map(|(brand, _)| brand)
    }

    /// The customers to ask for, once there are any.
    pub(super) async fn wanted(&self) -> BTreeSet<CustomerId> {
        loop {
            let wanted = std::mem::take(&mut self.lock().wanted);
            if !wanted.is_empty() {
                return wanted;
            }
            self.is_wanted.notified().await;
        }
    }

    pub(super) fn put(&self, customer: CustomerId, brand: Option<Box<str>>, asked: Duration) {
        let mut state = self.lock();
        if state.known.len() >= BRANDS_KEPT_MAX {
            state.known.clear();
        }
        state.known.insert(customer, (brand, asked));
    }

    fn lock(&self) -> MutexGuard<'_, BrandsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
