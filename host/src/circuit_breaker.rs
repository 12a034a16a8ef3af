//! Stops requests to a peer that cannot be reached, a provider or a trading server, and lets one through from time to time. Pure:
//! the time comes as an argument. Counts network failures alone; a reply of any kind is a success.

use std::time::Duration;

/// Failures in a row that open it: fewer would open on one lost packet at small traffic.
const FAILURES_TO_OPEN: u32 = 5;
/// While open, one exchange in this time is let through to find out whether the peer is back.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Successes in a row that close it: one may be luck.
const SUCCESSES_TO_CLOSE: u32 = 2;

/// A circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircuitBreaker {
    Closed { failures: u32 },
    Open { probe_at: Duration, successes: u32 },
}

/// What a result did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerChange {
    None,
    Opened,
    Closed,
}

impl CircuitBreaker {
    pub(crate) const fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    /// Whether an exchange may use the network at `now`, a monotonic time.
    pub(crate) fn admits(&mut self, now: Duration) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Open { probe_at, .. } if now < *probe_at => false,
            Self::Open { probe_at, .. } => {
                *probe_at = now.saturating_add(PROBE_EVERY);
                true
            }
        }
    }

    /// A reply came, of whatever status. The first of an open breaker admits the next exchange at once.
    pub(crate) fn succeeded(&mut self, now: Duration) -> BreakerChange {
        match self {
            Self::Closed { failures } => {
                *failures = 0;
                BreakerChange::None
            }
            Self::Open { successes, probe_at } if *successes + 1 < SUCCESSES_TO_CLOSE => {
                *successes += 1;
                *probe_at = now;
                BreakerChange::None
            }
            Self::Open { .. } => {
                *self = Self::new();
                BreakerChange::Closed
            }
        }
    }

    /// No reply came.
    pub(crate) fn failed(&mut self, now: Duration) -> BreakerChange {
        match self {
            Self::Closed { failures } if *failures + 1 < FAILURES_TO_OPEN => {
                *failures += 1;
                BreakerChange::None
            }
            Self::Closed { .. } => {
                *self = Self::Open { probe_at: now.saturating_add(PROBE_EVERY), successes: 0 };
                BreakerChange::Opened
            }
            Self::Open { successes, .. } => {
                *successes = 0;
                BreakerChange::None
            }
        }
    }

    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn open_at(now: Duration) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new();
        for _ in 1..FAILURES_TO_OPEN {
            assert_eq!(breaker.failed(now), BreakerChange::None);
        }
        assert_eq!(breaker.failed(now), BreakerChange::Opened);
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_the_breaker_and_a_success_restarts_the_count() {
        let mut breaker = CircuitBreaker::new();
        for _ in 0..20 {
            for _ in 1..FAILURES_TO_OPEN {
                assert_eq!(breaker.failed(ms(0)), BreakerChange::None);
            }
            assert_eq!(breaker.succeeded(ms(0)), BreakerChange::None);
        }
        assert!(breaker.admits(ms(0)) && open_at(ms(0)).is_open());
    }

    #[test]
    fn an_open_breaker_admits_one_exchange_a_second() {
        let mut breaker = open_at(ms(500));
        let admitted: Vec<u64> = (500..4_000).step_by(100).filter(|now| breaker.admits(ms(*now))).collect();
        assert_eq!(admitted, [1_500, 2_500, 3_500]);
    }

    #[test]
    fn s13_the_first_success_admits_the_exchange_that_may_close_the_breaker_at_once() {
        let mut breaker = open_at(ms(0));
        assert_eq!((breaker.admits(ms(1_000)), breaker.admits(ms(1_050))), (true, false));
        assert_eq!(breaker.succeeded(ms(1_100)), BreakerChange::None);
        assert_eq!((breaker.admits(ms(1_100)), breaker.admits(ms(1_100))), (true, false));
        assert_eq!(breaker.succeeded(ms(1_200)), BreakerChange::Closed);
    }

    #[test]
    fn two_successes_in_a_row_close_an_open_breaker() {
        let mut breaker = open_at(ms(0));
        assert_eq!(breaker.succeeded(ms(0)), BreakerChange::None);
        assert_eq!(breaker.failed(ms(1)), BreakerChange::None);
        assert_eq!(breaker.succeeded(ms(0)), BreakerChange::None);
        assert_eq!((breaker.succeeded(ms(0)), breaker.is_open()), (BreakerChange::Closed, false));
    }
}
