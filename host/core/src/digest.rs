//! A digest over posted operations, by which a start compares books and trading server without reading either's rows: in
//! any order, each posting counted once. It guards against files of different moments, not against an attacker who writes
//! them. It reads no rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Login, ServerName};
use crate::operation::{BalanceOperation, OperationKey};
use crate::status::OperationStatus;
use crate::time::UnixTime;
use crate::transaction::Transaction;

/// The FNV-1a parameters for 128 bits: a stored digest must not depend on the build, and no input is chosen by others.
const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// How many operations were posted, and a sum over their keys, logins and amounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostedDigest {
    pub count: u64,
    pub sum: u128,
}

impl PostedDigest {
    /// Adds a posting, once.
    pub fn add(&mut self, key: &OperationKey, login: Login, minor: i64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.wrapping_add(hash(key, login, minor));
    }

    /// Takes out a posting that was added.
    pub fn remove(&mut self, key: &OperationKey, login: Login, minor: i64) {
        self.count = self.count.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(hash(key, login, minor));
    }
}

/// What the books have as posted, for the comparison with each trading server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostedTotals {
    /// Over the operations of the embedded server.
    pub embedded: PostedDigest,
    pub elsewhere: TotalsElsewhere,
}

/// Postings of a server that are remembered as its newest, a hundred bytes each: those between two comparisons, at two in a second.
pub const RECENT_MAX: usize = 8192;

/// What the books have as posted at a server elsewhere, which knows no digest of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerTotal {
    pub count: u64,
    /// The operations that were recorded as posted last, at most [`RECENT_MAX`], each with when that was.
    pub recent: BTreeSet<(UnixTime, OperationKey)>,
}

/// That of each server elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TotalsElsewhere(pub BTreeMap<ServerName, ServerTotal>);

impl PostedDigest {
    /// Adds an operation of this transaction, once, where it is posted at the embedded server.
    pub fn count_in(&mut self, transaction: &Transaction, operation: &BalanceOperation) {
        if operation.status == OperationStatus::Posted && transaction.server.is_embedded() {
            let key = OperationKey::of(&transaction.reference, operation);
            self.add(&key, operation.login, operation.amount.minor);
        }
    }

    /// Takes out an operation that was counted in.
    pub fn take_out(&mut self, transaction: &Transaction, operation: &BalanceOperation) {
        if operation.status == OperationStatus::Posted && transaction.server.is_embedded() {
            let key = OperationKey::of(&transaction.reference, operation);
            self.remove(&key, operation.login, operation.amount.minor);
        }
    }
}

impl TotalsElsewhere {
    /// As [`PostedDigest::count_in`], of the servers elsewhere.
    pub fn count_in(&mut self, transaction: &Transaction, operation: &BalanceOperation) {
        if operation.status != OperationStatus::Posted || transaction.server.is_embedded() {
            return;
        }
        let total = self.0.entry(transaction.server.clone()).or_default();
        total.count = total.count.saturating_add(1);
        let is_full = total.recent.len() >= RECENT_MAX;
        // A start counts all rows in, most of them older than what is remembered.
        if is_full && total.recent.first().is_some_and(|(oldest, _)| operation.updated_time < *oldest) {
            return;
        }
        total.recent.insert((operation.updated_time, OperationKey::of(&transaction.reference, operation)));
        if total.recent.len() > RECENT_MAX {
            total.recent.pop_first();
        }
    }

    /// Takes out an operation that was counted in.
    pub fn take_out(&mut self, transaction: &Transaction, operation: &BalanceOperation) {
        if operation.status != OperationStatus::Posted {
            return;
        }
        if let Some(total) = self.0.get_mut(&transaction.server) {
            total.count = total.count.saturating_sub(1);
            total.recent.remove(&(operation.updated_time, OperationKey::of(&transaction.reference, operation)));
        }
    }
}

impl PostedTotals {
    /// Adds an operation of this transaction, once, where it is posted.
    pub fn add(&mut self, transaction: &Transaction, operation: &BalanceOperation) {
        self.embedded.count_in(transaction, operation);
        self.elsewhere.count_in(transaction, operation);
    }
}

fn hash(key: &OperationKey, login: Login, minor: i64) -> u128 {
    let numbers = login.0.to_be_bytes().into_iter().chain(minor.to_be_bytes());
    let bytes = numbers.chain(key.as_str().bytes());
    bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(postings: &[(&str, u64, i64)]) -> PostedDigest {
        let mut digest = PostedDigest::default();
        for (key, login, minor) in postings {
            digest.add(&OperationKey::read(key).unwrap(), Login(*login), *minor);
        }
        digest
    }

    #[test]
    fn the_order_of_postings_does_not_show_and_every_value_does() {
        let base = digest(&[("1", 100, 2_550), ("12", 100, -2_550)]);
        assert_eq!(base, digest(&[("12", 100, -2_550), ("1", 100, 2_550)]));
        for other in [
            digest(&[("1", 100, 2_550)]),
            digest(&[("1", 100, 2_550), ("13", 100, -2_550)]),
            digest(&[("1", 101, 2_550), ("12", 100, -2_550)]),
            digest(&[("1", 100, 2_551), ("12", 100, -2_550)]),
            digest(&[("1", 100, -2_550), ("12", 100, 2_550)]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_posting_that_is_taken_out_leaves_no_trace() {
        let mut both = digest(&[("1", 100, 2_550), ("2", 100, 7)]);
        both.remove(&OperationKey::read("2").unwrap(), Login(100), 7);
        assert_eq!(both, digest(&[("1", 100, 2_550)]));
    }

    #[test]
    fn the_stored_digest_does_not_change_between_builds() {
        let digest = digest(&[("dabcdefghjkmnpqrstvw:1", 2_000_009, 25_000)]);
        assert_eq!(format!("{:032x}", digest.sum), "b636eb4f9a989b853c36270ff1fef6c7");
    }
}
