//! Which transactions may be about the same money as one that a person enters: by an id of the payment within a brand, or by
//! customer and amount.

use super::rows::Row;
use super::{Books, row_codec};
use crate::aggregate::Aggregate;
use crate::ids::{CustomerId, TransactionId};
use crate::money::Money;
use crate::status::{Source, TransactionStatus, TransactionType};
use crate::transaction::Transaction;

/// How many of a customer's transactions, the newest first, are compared with a manual deposit: they are looked at while the
/// books are held.
pub const COMPARED_DEPOSITS_MAX: usize = 10_000;

impl Books {
    /// The first transaction of this brand that carries this id of a payment, of any kind and config.
    pub fn by_payment_id(&self, brand: &str, value: &str) -> Option<TransactionId> {
        self.by_carried(brand, value, |_| true)
    }

    /// The manual deposit of this brand that a person entered with this id of a payment, and did not reject.
    pub fn manual_deposit_of(&self, brand: &str, value: &str) -> Option<TransactionId> {
        self.by_carried(brand, value, |row| row.source == Source::Manual && row.kind == TransactionType::Deposit)
    }

    fn by_carried(&self, brand: &str, value: &str, test: impl Fn(&Transaction) -> bool) -> Option<TransactionId> {
        let is_match = |row: &Row| {
            row_codec::unpack(row, &self.interner).is_some_and(|Aggregate { transaction, .. }| {
                *transaction.brand == *brand && transaction.carries_payment(value) && test(&transaction)
            })
        };
        self.id_of(self.by_provider_id.find(value, self.row_matching(is_match)))
    }

    /// Deposits of the customer through a provider, of this amount, that are not final, the newest first.
    pub fn open_deposits_like(&self, customer: CustomerId, amount: Money) -> Vec<TransactionId> {
        let is_open = |row: &Row| {
            let status = TransactionStatus::from_number(row.status.into());
            row.kind == TransactionType::Deposit.number()
                && row.source == Source::Provider.number()
                && status.is_some_and(|status| !status.is_final())
        };
        let head = self.customers.get(&customer.0).map(|head| head.newest);
        let chain = std::iter::successors(head, |slot| self.rows.get(*slot).map(|row| row.earlier.customer));
        let rows = chain.map_while(|slot| self.rows.get(slot)).take(COMPARED_DEPOSITS_MAX).filter(|row| is_open(row));
        let rows = rows.filter_map(|row| row_codec::unpack(row, &self.interner));
        rows.map(|known| known.transaction).filter(|row| row.amount == amount).map(|row| row.id).collect()
    }
}
