//! How many refused commands have no record: those of unknown callers, and refused reads and what is beyond the limits, by brand
//! and sender until a record says how many they were. It records nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use cashier_core::ids::ManagerId;
use cashier_core::session::Role;

/// Senders that one record of counts names; the rest are one number, so that a record stays below 2 KiB.
pub(super) const SENDERS_NAMED_MAX: usize = 16;

/// Brands that are counted one by one between two records of counts; more are counted with the sessions of every brand.
const BRANDS_COUNTED_MAX: usize = 256;

/// Refusals that have no record.
#[derive(Debug, Default)]
pub(super) struct UnrecordedRefusals {
    /// Messages without a valid token.
    pub(super) anonymous: AtomicU64,
    /// Refused reads, and those beyond the limits or that could not be written, since the start.
    beyond: AtomicU64,
    /// The same by the brand of their sessions, until a record says how many; empty is every brand.
    waiting: Mutex<BTreeMap<Box<str>, CountedRefusals>>,
}

/// Refusals of the sessions of one brand.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CountedRefusals {
    pub(super) by: BTreeMap<(Role, ManagerId), u64>,
    /// Of further senders.
    pub(super) others: u64,
}

impl UnrecordedRefusals {
    pub(super) fn count(&self, brand: &str, sender: (Role, ManagerId)) {
        self.beyond.fetch_add(1, Ordering::Relaxed);
        let mut counted = CountedRefusals::default();
        counted.by.insert(sender, 1);
        self.add(brand, counted);
    }

    /// Since the start.
    pub(super) fn beyond(&self) -> u64 {
        self.beyond.load(Ordering::Relaxed)
    }

    /// What is to be recorded, by brand. What cannot be is given back.
    pub(super) fn take(&self) -> BTreeMap<Box<str>, CountedRefusals> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds counts that no record holds.
    pub(super) fn add(&self, brand: &str, counted: CountedRefusals) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_counted = waiting.contains_key(brand) || waiting.len() < BRANDS_COUNTED_MAX;
        let of_brand = waiting.entry(if is_counted { brand.into() } else { Box::default() }).or_default();
        of_brand.others = of_brand.others.saturating_add(counted.others);
        for (sender, refusals) in counted.by {
            let is_named = of_brand.by.contains_key(&sender) || of_brand.by.len() < SENDERS_NAMED_MAX;
            let number = if is_named { of_brand.by.entry(sender).or_default() } else { &mut of_brand.others };
            *number = number.saturating_add(refusals);
        }
    }
}

impl CountedRefusals {
    pub(super) fn total(&self) -> u64 {
        self.by.values().copied().fold(self.others, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_bounded_by_senders_and_brands_and_none_is_lost() {
        let counts = UnrecordedRefusals::default();
        for number in 0..2_000 {
            counts.count("loud", (Role::Manager, ManagerId(number)));
            counts.count(&format!("brand {}", number % 1_000), (Role::Dealer, ManagerId(1)));
        }
        let taken = counts.take();
        assert!(counts.take().is_empty(), "taken once");
        assert_eq!(taken["loud"].by.len(), SENDERS_NAMED_MAX);
        assert_eq!(taken["loud"].total(), 2_000);
        assert_eq!(taken["brand 7"].by, BTreeMap::from([((Role::Dealer, ManagerId(1)), 2)]));
        assert_eq!(taken.len(), BRANDS_COUNTED_MAX + 1, "and those of every brand");
        assert_eq!(taken.values().map(CountedRefusals::total).sum::<u64>(), 4_000);
        for (brand, counted) in taken {
            counts.add(&brand, counted);
        }
        assert_eq!(counts.take().values().map(CountedRefusals::total).sum::<u64>(), 4_000, "given back");
        assert_eq!(counts.beyond(), 4_000);
    }
}
