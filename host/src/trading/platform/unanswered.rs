//! Finance requests of which no number is on record: how many of each key had no answer that could be used, so that they do not become
//! ever more where nothing of them is found, and the number that the platform stated last. In memory alone; whether a request is to be
//! made at all is decided in `next_step`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::ports::Fault;

/// Requests that are made again after one without an answer: a dealer sees each, and could approve it.
const REPEATED_MAX: u32 = 3;

/// Keys that are remembered; of one that is forgotten as many requests are made anew.
const UNANSWERED_KEPT_MAX: usize = 4096;

/// The oldest first.
#[derive(Default)]
pub(super) struct UnansweredRequests(Mutex<VecDeque<UnansweredKey>>);

struct UnansweredKey {
    key: Box<str>,
    requests: u32,
    /// 0: none was.
    stated: u64,
}

/// Whether a request may be made for a key of which nothing is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MayRequest {
    Yes,
    /// The platform stated this number, which was to be recorded.
    Stated(u64),
    /// A person finds out what became of those before it.
    TooMany,
}

impl UnansweredRequests {
    pub(super) fn may_request(&self, key: &str) -> MayRequest {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().find(|known| *known.key == *key) {
            Some(UnansweredKey { stated, .. }) if *stated != 0 => MayRequest::Stated(*stated),
            Some(known) if known.has_too_many() => MayRequest::TooMany,
            Some(_) | None => MayRequest::Yes,
        }
    }

    /// A request may have been made, and its number is not known.
    pub(super) fn note(&self, key: &str) {
        self.change(key, |known| {
            known.requests = known.requests.saturating_add(1);
            if known.has_too_many() {
                let requests = known.requests;
                tracing::error!(
                    key,
                    requests,
                    "finance requests had no answer and are not found: no other one is made"
                );
            }
        });
    }

    /// The platform stated this number for one.
    pub(super) fn note_stated(&self, key: &str, order: u64) {
        self.change(key, |known| known.stated = order);
    }

    fn change(&self, key: &str, change: impl FnOnce(&mut UnansweredKey)) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.iter_mut().find(|known| *known.key == *key) {
            return change(known);
        }
        if kept.len() >= UNANSWERED_KEPT_MAX {
            kept.pop_front();
        }
        let mut known = UnansweredKey { key: key.into(), requests: 0, stated: 0 };
        change(&mut known);
        kept.push_back(known);
    }

    /// A number is on record, or it ended.
    pub(super) fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| *known.key != *key);
    }

    /// A sentence for the operator about the first of them.
    pub(super) fn problem(&self) -> Result<(), Fault> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().find(|known| known.has_too_many()) {
            Some(UnansweredKey { key, requests, .. }) => Err(Fault::new(format!(
                "{requests} finance requests of the key {key} had no answer and are not found, so that no other one is made: a person must find out what became of them"
            ))),
            None => Ok(()),
        }
    }
}

impl UnansweredKey {
    fn has_too_many(&self) -> bool {
        self.requests > REPEATED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stated_number_counts_before_the_number_of_requests_until_it_is_on_record() {
        let requests = UnansweredRequests::default();
        (0..REPEATED_MAX).for_each(|_| requests.note("k1"));
        assert_eq!((requests.may_request("k1"), requests.problem()), (MayRequest::Yes, Ok(())));
        requests.note("k1");
        assert_eq!((requests.may_request("k1"), requests.may_request("k2")), (MayRequest::TooMany, MayRequest::Yes));
        assert!(requests.problem().unwrap_err().what.contains("4 finance requests of the key k1"));
        requests.note_stated("k1", 7);
        assert_eq!(requests.may_request("k1"), MayRequest::Stated(7));
        requests.forget("k1");
        assert_eq!((requests.may_request("k1"), requests.problem()), (MayRequest::Yes, Ok(())));
    }

    #[test]
    fn the_oldest_of_too_many_keys_is_forgotten() {
        let requests = UnansweredRequests::default();
        (0..=UNANSWERED_KEPT_MAX).for_each(|number| requests.note_stated(&number.to_string(), 7));
        assert_eq!((requests.may_request("0"), requests.may_request("1")), (MayRequest::Yes, MayRequest::Stated(7)));
    }
}
