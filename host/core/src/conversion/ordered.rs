//! An order's amount beside the account's currency: what a part of it is there, and which amounts may be the same money. It knows
//! no transaction.

use super::{Conversion, Rate};
use crate::money::{Currency, Money};

/// An amount in the account's currency that is so near to what an order in another one becomes may be the same money: more than any
/// margin (`MARGIN_PERCENT_END`) and what a rate moves in days, together.
const ALIKE_PERCENT: i128 = 20;

/// What was ordered, and what amounts of its currency become in the account's: everything that a provider or a person states is of
/// the order, everything that is posted is of the account. This is the one place where one becomes the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    pub amount: Money,
    account: Currency,
    /// None where order and account have one currency.
    rate: Option<Rate>,
}

impl From<Money> for Ordered {
    /// An order in the account's own currency.
    fn from(amount: Money) -> Self {
        Self { amount, account: amount.currency, rate: None }
    }
}

impl Ordered {
    pub fn new(amount: Money, account: Currency, conversion: Option<&Conversion>) -> Self {
        Self { amount, account, rate: conversion.map(|conversion| conversion.rate) }
    }

    /// Of one that names its rate alone.
    pub fn at_rate(amount: Money, account: Currency, rate: Option<Rate>) -> Self {
        Self { amount, account, rate }
    }

    /// Minor units of the order's currency in the account's. To be applied to what is owed in all, never to a part of it.
    pub fn to_account(&self, minor: i64) -> i64 {
        match self.rate {
            Some(rate) => rate.convert(minor, self.amount.currency, self.account),
            None if self.amount.currency == self.account => minor,
            // Nothing says what it is worth there.
            None => 0,
        }
    }

    /// The least of the order's minor units that so much of the account's currency is posted for.
    pub fn from_account(&self, minor: i64) -> i64 {
        match self.rate {
            Some(rate) => rate.convert_back(minor, self.amount.currency, self.account),
            None => minor,
        }
    }

    /// Minor units of the order's currency as an amount.
    pub fn stated(&self, minor: i64) -> Money {
        Money::new(minor, self.amount.currency)
    }

    /// Minor units of the account's currency as an amount.
    pub fn posted(&self, minor: i64) -> Money {
        Money::new(minor, self.account)
    }

    /// Whether an amount may be the money of so much of the order: it is the same, or near to it in the account's currency, where
    /// whoever enters it may use a rate of their own.
    pub fn is_worth(&self, minor: i64, amount: Money) -> bool {
        let near = || {
            let converted = i128::from(self.to_account(minor));
            let apart = (converted - i128::from(amount.minor)).abs();
            apart * 100 <= converted.abs() * ALIKE_PERCENT
        };
        amount == self.stated(minor) || (self.rate.is_some() && amount.currency == self.account && near())
    }
}
