//! Texts that many rows share (providers, methods, brands, kinds of ids), stored once and identified by a small number.

use super::chunked::Chunked;
use super::growing_table::GrowingTable;
use super::hash_index::key_hash;
use crate::money::Currency;

/// Provider, method and brand of a row, as interned texts, and its config; together they take one number, because few
/// combinations occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Labels {
    pub(super) provider: u32,
    pub(super) method: u32,
    pub(super) brand: u32,
    pub(super) config: u64,
}

/// Append-only: a number always stands for the same text.
#[derive(Default)]
pub(super) struct Interner {
    texts: Chunked<Box<str>>,
    numbers: GrowingTable<u32>,
    labels: Chunked<Labels>,
    label_numbers: GrowingTable<u32>,
    currencies: Vec<Currency>,
}

impl Interner {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.known(text) {
            return number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        let texts = &self.texts;
        self.numbers
            .insert_new(key_hash(text), number, |known| texts.get(*known as usize).map_or(0, |text| key_hash(&**text)));
        number
    }

    pub(super) fn known(&self, text: &str) -> Option<u32> {
        self.numbers.find(key_hash(text), |known| self.text(*known) == text).copied()
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    pub(super) fn labels_number(&mut self, provider: &str, method: &str, brand: &str, config: u64) -> u32 {
        let [provider, method, brand] = [provider, method, brand].map(|text| self.number(text));
        let labels = Labels { provider, method, brand, config };
        let known = self.label_numbers.find(key_hash(labels), |known| self.labels(*known) == labels).copied();
        if let Some(number) = known {
            return number;
        }
        self.push_labels(labels)
    }

    /// Adds labels that have no number yet.
    pub(super) fn push_labels(&mut self, labels: Labels) -> u32 {
        let number = self.labels.len() as u32;
        self.labels.push(labels);
        let all = &self.labels;
        self.label_numbers.insert_new(key_hash(labels), number, |known| all.get(*known as usize).map_or(0, key_hash));
        number
    }

    pub(super) fn labels(&self, number: u32) -> Labels {
        self.labels.get(number as usize).copied().unwrap_or_default()
    }

    /// How many texts there are, and how many labels; numbers begin at 0.
    pub(super) fn texts(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn label_numbers(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn currencies(&self) -> &[Currency] {
        &self.currencies
    }

    /// How many entries growth has moved so far.
    pub(super) fn moved(&self) -> u64 {
        self.texts.moved() + self.numbers.moved() + self.labels.moved() + self.label_numbers.moved()
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
