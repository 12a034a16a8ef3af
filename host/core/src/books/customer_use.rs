//! What each customer takes of what is limited: deposits that are open, and bytes that the customer's requests stored. Derived
//! from the rows, so that it is right after a start, an image and a row that was put back, and found in one step.

use super::growing_table::GrowingTable;
use super::hash_index::key_hash;
use super::rows::Row;
use crate::ids::CustomerId;
use crate::status::{Source, TransactionStatus, TransactionType};

/// What one customer, or one row of a customer, takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CustomerUse {
    /// Deposits through a provider of which no payment or end is known.
    pub open_deposits: u32,
    /// Comments, metadata and return URLs.
    pub stored_bytes: u64,
}

#[derive(Default)]
pub(super) struct CustomerUses(GrowingTable<(u64, CustomerUse)>);

impl CustomerUses {
    pub(super) fn of(&self, customer: CustomerId) -> CustomerUse {
        self.0
            .find(key_hash(customer.0), |(known, _)| *known == customer.0)
            .map(|(_, taken)| *taken)
            .unwrap_or_default()
    }

    /// One row of a customer takes `after` in place of `before`.
    pub(super) fn replace(&mut self, customer: u64, before: CustomerUse, after: CustomerUse) {
        if before == after {
            return;
        }
        let hash = key_hash(customer);
        match self.0.find_mut(hash, |(known, _)| *known == customer) {
            Some((_, taken)) => {
                taken.open_deposits = (taken.open_deposits + after.open_deposits).saturating_sub(before.open_deposits);
                taken.stored_bytes = (taken.stored_bytes + after.stored_bytes).saturating_sub(before.stored_bytes);
            }
            None => self.0.insert_new(hash, (customer, after), |(known, _)| key_hash(known)),
        }
    }

    pub(super) fn moved(&self) -> u64 {
        self.0.moved()
    }
}

impl Row {
    pub(super) fn taken(&self) -> CustomerUse {
        let is_open = self.kind == TransactionType::Deposit.number()
            && self.source == Source::Provider.number()
            && TransactionStatus::from_number(self.status.into()).is_some_and(TransactionStatus::is_unpaid);
        CustomerUse { open_deposits: is_open.into(), stored_bytes: self.stored_bytes().into() }
    }
}
