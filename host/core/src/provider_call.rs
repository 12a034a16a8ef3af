//! The log of requests to providers, a short list for each transaction: what was sent when, to which host, and how it ended.
//! Never a path, a query, a header or a body, which may hold secrets.

use crate::numbered::numbered;
use crate::time::UnixTime;

numbered! {
    /// What a request to a provider was for.
    CallPurpose {
        Create = 0 "create",
        Query = 1 "query",
        Advance = 2 "advance",
        Cancel = 3 "cancel",
        Refund = 4 "refund",
        /// Verifies a webhook, or reads a stored one again.
        Verify = 5 "verify",
    }
    /// How a request to a provider ended.
    CallOutcome {
        /// The provider replied, with whatever status.
        Answered = 0 "answered",
        /// No byte of it left: no connection, no capacity, or the circuit breaker was open.
        NeverSent = 1 "never_sent",
        /// It may have arrived, and the connection broke.
        NoAnswer = 2 "no_answer",
        /// It may have arrived, and no reply came in time.
        TimedOut = 3 "timed_out",
        /// The cashier itself did not send it: the host is not allowed, or the call may not send such a request.
        Refused = 4 "refused",
    }
}

/// One request that a module made the host send, or try to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderCall {
    pub at: UnixTime,
    pub purpose: CallPurpose,
    /// The HTTP method.
    pub method: Box<str>,
    /// Name or address, and the port where it is not the scheme's.
    pub host: Box<str>,
    /// The HTTP status; 0 without a reply.
    pub status: u16,
    pub duration_ms: u32,
    pub outcome: CallOutcome,
}

/// Requests of one purpose that are kept for a transaction. A payment that is queried for months keeps its newest queries, and
/// still the requests that created it.
pub const CALLS_KEPT_MAX: usize = 32;

/// The requests that stay when some are added, in the order of their time: the newest of each purpose.
pub fn kept(mut calls: Vec<ProviderCall>, added: &[ProviderCall]) -> Vec<ProviderCall> {
    calls.extend_from_slice(added);
    for purpose in CallPurpose::ALL {
        let known = calls.iter().filter(|call| call.purpose == *purpose).count();
        let mut beyond = known.saturating_sub(CALLS_KEPT_MAX);
        calls.retain(|call| {
            let is_old = call.purpose == *purpose && beyond > 0;
            beyond -= usize::from(is_old);
            !is_old
        });
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(purpose: CallPurpose, at: i64) -> ProviderCall {
        let outcome = CallOutcome::Answered;
        let (method, host) = ("GET".into(), "p.test".into());
        ProviderCall { at: UnixTime(at), purpose, method, host, status: 200, duration_ms: 12, outcome }
    }

    #[test]
    fn the_newest_requests_of_each_purpose_are_kept() {
        let mut calls = kept(Vec::new(), &[call(CallPurpose::Create, 1)]);
        for at in 2..200 {
            calls = kept(calls, &[call(CallPurpose::Query, at)]);
        }
        calls = kept(calls, &[call(CallPurpose::Cancel, 200)]);
        let times: Vec<i64> = calls.iter().map(|call| call.at.0).collect();
        let expected: Vec<i64> = [1].into_iter().chain(168..200).chain([200]).collect();
        assert_eq!(times, expected);
    }
}
