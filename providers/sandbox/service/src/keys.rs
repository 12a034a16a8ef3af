//! Idempotency keys: which request came under a key, how often, and what it was answered. Bounded; the oldest gives way.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::refusal::{Refusal, RefusalCode};

pub(crate) struct Keys {
    entries: HashMap<String, Entry>,
    /// Oldest first; the same keys as `entries`.
    order: VecDeque<String>,
    most: usize,
}

struct Entry {
    fingerprint: [u8; 32],
    /// Requests that came under this key.
    tries: u32,
    answer: Option<Answer>,
}

/// An answer as it is kept for its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// What is known of a request's key.
pub(crate) enum Presented {
    Answered(Answer),
    /// Nothing is recorded under it yet; the first request is try 1.
    Open {
        tries: u32,
    },
}

impl Keys {
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), most }
    }

    /// Counts a request under its key; another request under the same key is refused.
    pub(crate) fn present(&mut self, key: &str, fingerprint: [u8; 32]) -> Result<Presented, Refusal> {
        if let Some(entry) = self.entries.get_mut(key) {
            if entry.fingerprint != fingerprint {
                return Err(Refusal::new(
                    RefusalCode::IdempotencyConflict,
                    "this `Idempotency-Key` was used with another request",
                ));
            }
            entry.tries = entry.tries.saturating_add(1);
            return Ok(match &entry.answer {
                Some(answer) => Presented::Answered(answer.clone()),
                None => Presented::Open { tries: entry.tries },
            });
        }
        self.entries.insert(key.to_owned(), Entry { fingerprint, tries: 1, answer: None });
        self.order.push_back(key.to_owned());
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        Ok(Presented::Open { tries: 1 })
    }

    /// From here on the key is answered so.
    pub(crate) fn settle(&mut self, key: &str, answer: &Answer) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some(answer.clone());
        }
    }
}
