//! Words that many rows share (providers, methods, brands, kinds of ids), kept once and named by a small number.

use std::collections::HashMap;

use super::finding::Fixed;
use crate::money::Currency;

/// Append-only: a number, once given, names its word for ever.
#[derive(Default)]
pub(super) struct Words {
    numbers: HashMap<Box<str>, u32, Fixed>,
    words: Vec<Box<str>>,
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
