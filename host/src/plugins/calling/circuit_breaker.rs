//! Stops context a provider that cannot be reached, and asks again a little at a time. Pure: the time comes as an
//! argument. Counts network failures alone, not answers of any status.

use std::time::Duration;

/// Failures in a row that open it: fewer would open on one lost packet at small traffic.
const FAILURES_TO_OPEN: u32 = 5;
/// While open, one exchange in this time is let through to see whether the provider is back.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Successes in a row that close it: one may be luck.
const SUCCESSES_TO_CLOSE: u32 = 2;

/// A circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CircuitBreaker {
    Closed { failures: u32 },
    Open { probe_at: Duration, successes: u32 },
}

/// What an outcome did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Stayed,
    Opened,
    Closed,
}

impl CircuitBreaker {
    pub(super) const fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    /// Whether an exchange may use the network at `now`, a monotonic time.
    pub(super) fn admits(&mut self, now: Duration) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Open { probe_at, .. } if now < *probe_at => false,
            Self::Open { probe_at, .. } => {
                *probe_at = now.saturating_add(PROBE_EVERY);
                true
            }
        }
    }

    /// An answer came, whatever it said.
    pub(super) fn answered(&mut self) -> Turn {
        match self {
            Self::Closed { failures } => {
                *failures = 0;
                Turn::Stayed
            }
            Self::Open { successes, .. } if *successes + 1 < SUCCESSES_TO_CLOSE => {
                *successes += 1;
                Turn::Stayed
            }
            Self::Open { .. } => {
                *self = Self::new();
                Turn::Closed
            }
        }
    }

    /// No answer came.
    pub(super) fn failed(&mut self, now: Duration) -> Turn {
        match self {
            Self::Closed { failures } if *failures + 1 < FAILURES_TO_OPEN => {
                *failures += 1;
                Turn::Stayed
            }
            Self::Closed { .. } => {
                *self = Self::Open { probe_at: now.saturating_add(PROBE_EVERY), successes: 0 };
                Turn::Opened
            }
            Self::Open { successes, .. } => {
                *successes = 0;
                Turn::Stayed
            }
        }
    }

    pub(super) fn is_open(self) -> bool {
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
            assert_eq!(breaker.failed(now), Turn::Stayed);
        }
        assert_eq!(breaker.failed(now), Turn::Opened);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_answer_between_them_does_not_let_it() {
        let mut breaker = CircuitBreaker::new();
        for _ in 0..20 {
            for _ in 1..FAILURES_TO_OPEN {
                assert_eq!(breaker.failed(ms(0)), Turn::Stayed);
            }
            assert_eq!(breaker.answered(), Turn::Stayed);
        }
        assert!(breaker.admits(ms(0)) && open_at(ms(0)).is_open());
    }

    #[test]
    fn an_open_one_lets_one_through_a_second() {
        let mut breaker = open_at(ms(500));
        let admitted: Vec<u64> = (500..4_000).step_by(100).filter(|now| breaker.admits(ms(*now))).collect();
        assert_eq!(admitted, [1_500, 2_500, 3_500]);
    }

    #[test]
    fn two_answers_in_a_row_close_it() {
        let mut breaker = open_at(ms(0));
        assert_eq!(breaker.answered(), Turn::Stayed);
        assert_eq!(breaker.failed(ms(1)), Turn::Stayed);
        assert_eq!(breaker.answered(), Turn::Stayed);
        assert_eq!((breaker.answered(), breaker.is_open()), (Turn::Closed, false));
    }
}
