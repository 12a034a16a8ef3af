//! Which transactions may be about the same money as one that a person enters: by an id of the payment within a brand, or by
//! customer and amount.

use super::rows::Row;
use super::{Books, row_codec};
use crate::aggregate::Aggregate;
use crate::conversion::Ordered;
use crate::facts::Facts;
use crate::ids::{CustomerId, TransactionId};
use crate::money::Money;
use crate::status::{Source, TransactionType};
use crate::transaction::Transaction;

/// How many of a customer's transactions, the newest first, are compared with a manual deposit: they are looked at while the
/// books are held.
pub const COMPARED_DEPOSITS_MAX: usize = 10_000;

impl Books {
    /// A transaction of this brand that carries this id of a payment and passes the test.
    pub fn by_carried(&self, brand: &str, value: &str, test: impl Fn(&Aggregate) -> bool) -> Option<TransactionId> {
        let is_match = |row: &Row| {
            row_codec::unpack(row, &self.interner).is_some_and(|known| {
                *known.transaction.brand == *brand && known.transaction.carries_payment(value) && test(&known)
            })
        };
        self.id_of(self.by_provider_id.find(value, self.row_matching(is_match)))
    }

    /// Manual deposits of the customer of a transaction, of an amount that passes the test, that were made later than that, the
    /// newest first. Only what is newer is looked at.
    pub fn manual_deposits_since(&self, of: &Transaction, is_like: impl Fn(Money) -> bool) -> Vec<Transaction> {
        let is_meant = |row: &Row| {
            row.kind == TransactionType::Deposit.number()
                && row.source == Source::Manual.number()
                && self.amount_of(row).is_some_and(&is_like)
        };
        let newer = self.newest_of(of.customer_id).take_while(|row| row.id > of.id.0).take(COMPARED_DEPOSITS_MAX);
        let known = newer.filter(|row| is_meant(row)).filter_map(|row| row_codec::unpack(row, &self.interner));
        known.map(|known| known.transaction).collect()
    }

    fn amount_of(&self, row: &Row) -> Option<Money> {
        Some(Money::new(row.amount_minor(), *self.interner.currency(row.currency)?))
    }

    /// The rows of a customer, the newest first.
    fn newest_of(&self, customer: CustomerId) -> impl Iterator<Item = &Row> {
        let head = self.customers.get(&customer.0).map(|head| head.newest);
        let chain = std::iter::successors(head, |slot| self.rows.get(*slot).map(|row| row.earlier.customer));
        chain.map_while(|slot| self.rows.get(slot))
    }

    /// The provider deposits of a customer whose order and facts pass the test, the newest first.
    pub fn provider_deposits_where(
        &self,
        customer: CustomerId,
        test: impl Fn(&Ordered, &Facts) -> bool,
    ) -> Vec<Aggregate> {
        let is_meant = |row: &Row| {
            row.kind == TransactionType::Deposit.number()
                && row.source == Source::Provider.number()
                && row_codec::unpack_facts(row, &self.interner).is_some_and(|(ordered, facts)| test(&ordered, &facts))
        };
        let rows = self.newest_of(customer).take(COMPARED_DEPOSITS_MAX).filter(|row| is_meant(row));
        rows.filter_map(|row| row_codec::unpack(row, &self.interner)).collect()
    }
}
