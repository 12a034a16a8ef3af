//! Texts that many rows share (providers, methods, brands, kinds of ids), stored once and identified by a small number.

use std::collections::HashMap;

use super::hash_index::Fixed;
use crate::money::Currency;

/// Provider, method and brand of a row, as interned texts; together they take one number, because few combinations occur.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Labels {
    pub(super) provider: u32,
    pub(super) method: u32,
    pub(super) brand: u32,
}

/// Append-only: a number always stands for the same text.
#[derive(Default)]
pub(super) struct Interner {
    numbers: HashMap<Box<str>, u32, Fixed>,
    texts: Vec<Box<str>>,
    label_numbers: HashMap<Labels, u32, Fixed>,
    labels: Vec<Labels>,
    currencies: Vec<Currency>,
}

impl Interner {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    pub(super) fn known(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    pub(super) fn labels_number(&mut self, provider: &str, method: &str, brand: &str) -> u32 {
        let labels = Labels { provider: self.number(provider), method: self.number(method), brand: self.number(brand) };
        if let Some(number) = self.label_numbers.get(&labels) {
            return *number;
        }
        let number = self.labels.len() as u32;
        self.labels.push(labels);
        self.label_numbers.insert(labels, number);
        number
    }

    pub(super) fn labels(&self, number: u32) -> Labels {
        self.labels.get(number as usize).copied().unwrap_or_default()
    }

    /// There are fewer than 200 currencies, so a linear search is short.
    pub(super) fn currency_number(&mut self, currency: Currency) -> u16 {
        let found = self.currencies.iter().position(|known| *known == currency);
        let index = found.unwrap_or_else(|| {
            self.currencies.push(currency);
            self.currencies.len() - 1
        });
        index as u16
    }

    pub(super) fn currency(&self, number: u16) -> Option<&Currency> {
        self.currencies.get(usize::from(number))
    }
}
