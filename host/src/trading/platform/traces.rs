//! Which connection carried the calls of a posting, so that it is known how long nothing of it can be under way any more. Of what it
//! does not know, an earlier process may have sent it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::operation::OperationKey;

use super::client::CallTrace;

/// Calls of postings whose connection is remembered; of one that is forgotten, it is the last connection of those forgotten.
const TRACES_KEPT_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct PostingTraces(Mutex<TraceList>);

#[derive(Default)]
struct TraceList {
    kept: VecDeque<(OperationKey, CallTrace)>,
    /// The last connection of those that were forgotten; 0: none was.
    forgotten: u64,
}

/// While it lives, a call of its posting may be written.
pub(super) struct RunningTrace {
    traces: Arc<PostingTraces>,
    pub(super) trace: CallTrace,
}

impl PostingTraces {
    /// To be held from before anything is asked about the posting until nothing of it can be written any more.
    pub(super) fn begin(self: &Arc<Self>, key: OperationKey) -> RunningTrace {
        let trace = CallTrace::default();
        self.with(|list| {
            if list.kept.len() >= TRACES_KEPT_MAX
                // Those under way are no more than there are flows.
                && let Some(at) = list.kept.iter().position(|(_, trace)| trace.connection().is_some())
                && let Some((_, forgotten)) = list.kept.remove(at)
            {
                list.forgotten = list.forgotten.max(forgotten.connection().unwrap_or_default());
            }
            list.kept.push_back((key, trace.clone()));
        });
        RunningTrace { traces: Arc::clone(self), trace }
    }

    /// The one of a posting that ends last: one that is not written yet, else that of the latest connection.
    pub(super) fn of(&self, key: &OperationKey) -> Option<CallTrace> {
        self.with(|list| {
            let known = list.kept.iter().filter(|(known, _)| known == key).map(|(_, trace)| trace.clone());
            let last = known.max_by_key(|trace| trace.connection().unwrap_or(u64::MAX));
            last.or_else(|| (list.forgotten > 0).then(|| CallTrace::of_connection(list.forgotten)))
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut TraceList) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for RunningTrace {
    /// A call that is not written by now never is, and nothing of it is kept.
    fn drop(&mut self) {
        if self.trace.take_back() {
            self.traces.with(|list| list.kept.retain(|(_, trace)| !trace.is_same(&self.trace)));
        }
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::Reference;

    use super::*;

    #[test]
    fn a_forgotten_trace_counts_as_carried_by_the_last_connection_of_those_forgotten() {
        let key = |number: u128| OperationKey::read(&format!("{}:1", Reference::from_random(number))).unwrap();
        let traces: Arc<PostingTraces> = Arc::default();
        drop(traces.begin(key(1)));
        assert!(traces.of(&key(1)).is_none(), "it was never written");
        let running = traces.begin(key(2));
        for number in 0..TRACES_KEPT_MAX {
            assert!(traces.begin(key(number as u128 + 10)).trace.written_to(7));
        }
        assert_eq!(traces.of(&key(10)).unwrap().connection(), Some(7));
        assert_eq!(traces.of(&key(2)).unwrap().connection(), None, "one that runs is never forgotten");
        assert!(running.trace.written_to(9));
        let both = (traces.begin(key(2)), traces.of(&key(2)));
        assert_eq!(both.1.unwrap().connection(), None);
        drop(both.0);
        assert_eq!(traces.of(&key(2)).unwrap().connection(), Some(9));
    }
}
