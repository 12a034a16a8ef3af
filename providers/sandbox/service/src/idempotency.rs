//! Idempotency keys: the request sent under each key, how often, and its answer. Bounded; the oldest key is dropped.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::api_error::{ApiError, ApiErrorCode};

pub(crate) struct IdempotencyKeys {
    entries: HashMap<String, KeyRecord>,
    /// Oldest first; the same keys as `entries`.
    order: VecDeque<String>,
    keys_max: usize,
}

struct KeyRecord {
    fingerprint: [u8; 32],
    /// Requests sent under this key.
    tries: u32,
    answer: Option<RecordedAnswer>,
}

/// The answer recorded for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedAnswer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// The state of a request's key.
pub(crate) enum KeyLookup {
    Answered {
        answer: RecordedAnswer,
        tries: u32,
    },
    /// Nothing is recorded under it yet; the first request is try 1.
    Open {
        tries: u32,
    },
}

impl IdempotencyKeys {
    pub(crate) fn new(keys_max: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), keys_max }
    }

    /// Counts a request under its key; a different request under the same key is refused.
    pub(crate) fn look_up(&mut self, key: &str, fingerprint: [u8; 32]) -> Result<KeyLookup, ApiError> {
        if let Some(entry) = self.entries.get_mut(key) {
            if entry.fingerprint != fingerprint {
                return Err(ApiError::new(
                    ApiErrorCode::IdempotencyConflict,
                    "this `Idempotency-Key` was used with another request",
                ));
            }
            entry.tries = entry.tries.saturating_add(1);
            return Ok(match &entry.answer {
                Some(answer) => KeyLookup::Answered { answer: answer.clone(), tries: entry.tries },
                None => KeyLookup::Open { tries: entry.tries },
            });
        }
        self.entries.insert(key.to_owned(), KeyRecord { fingerprint, tries: 1, answer: None });
        self.order.push_back(key.to_owned());
        while self.order.len() > self.keys_max {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
        Ok(KeyLookup::Open { tries: 1 })
    }

    /// Later requests under the key get this answer.
    pub(crate) fn record_answer(&mut self, key: &str, answer: &RecordedAnswer) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some(answer.clone());
        }
    }
}
