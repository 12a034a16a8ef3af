//! Words that many rows share (providers, methods, brands, kinds of ids), kept once and named by a small number.

use std::collections::HashMap;

use super::hash_index::Fixed;
use crate::money::Currency;

/// Provider, method and brand of a row, as words; together they take one number, because few threes of them occur.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Labels {
    pub(super) provider: u32,
    pub(super) method: u32,
    pub(super) brand: u32,
}

/// Append-only: a number, once given, names its word for ever.
#[derive(Default)]
pub(super) struct Words {
    numbers: HashMap<Box<str>, u32, Fixed>,
    words: Vec<Box<str>>,
    label_numbers: HashMap<Labels, u32, Fixed>,
    labels: Vec<Labels>,
    currencies: Vec<Currency>,
}

impl Words {
    pub(super) fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.words.len() as u32;
        self.words.push(word.into());
        self.numbers.insert(word.into(), number);
        number
    }

    pub(super) fn known(&self, word: &str) -> Option<u32> {
        self.numbers.get(word).copied()
    }

    pub(super) fn word(&self, number: u32) -> &str {
        self.words.get(number as usize).map_or("", |word| word)
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

    /// There are fewer than 200 currencies, so that a search from the front is short.
    pub(super) fn currency_number(&mut self, currency: Currency) -> u16 {
        let found = self.currencies.iter().position(|known| *known == currency);
        let place = found.unwrap_or_else(|| {
            self.currencies.push(currency);
            self.currencies.len() - 1
        });
        place as u16
    }

    pub(super) fn currency(&self, number: u16) -> Option<&Currency> {
        self.currencies.get(usize::from(number))
    }
}
