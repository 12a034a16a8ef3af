//! What is known of how a server elsewhere answers: its circuit breaker, the last failure, and when it may be asked how it is. Pure: the
//! time comes as an argument, and nothing is asked here.

use std::time::Duration;

use cashier_core::time::UnixTime;

use crate::circuit_breaker::{BreakerChange, CircuitBreaker};

/// The least between two questions how a server is that calls without an answer are the reason for.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Answering {
    breaker: CircuitBreaker,
    /// What was said of the newest call that got no answer, and since when there is none.
    failing: Option<(Box<str>, UnixTime)>,
    health: Option<HealthAsked>,
}

/// A question how the server is.
struct HealthAsked {
    /// Monotonic.
    begun: Duration,
    /// Whether it was answered that it is well; `None` until it ended.
    is_well: Option<bool>,
    /// Calls that got no answer meanwhile: it is judged with it whether they count.
    unjudged: u32,
}

/// How it is found out whether a call without an answer failed by its own key alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HealthTurn {
    /// The server is to be asked, and what it says be noted.
    Ask,
    /// It was asked just before, and was well: the call alone failed.
    Well,
    /// It was asked just before, and was not.
    NotWell,
    /// It is being asked.
    UnderWay,
}

impl Answering {
    pub(super) fn new() -> Self {
        Self { breaker: CircuitBreaker::new(), failing: None, health: None }
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.breaker.is_open()
    }

    /// As [`CircuitBreaker::admits`].
    pub(super) fn admits(&mut self, now: Duration) -> bool {
        self.breaker.admits(now)
    }

    /// Whether the last call got an answer, and the breaker is closed.
    pub(super) fn is_answering(&self) -> bool {
        self.failing.is_none() && !self.breaker.is_open()
    }

    /// In the server's own words, where it had some.
    pub(super) fn last_failure(&self) -> Box<str> {
        self.failing.as_ref().map_or_else(|| "it did not answer".into(), |(what, _)| what.clone())
    }

    pub(super) fn failing_since(&self) -> Option<UnixTime> {
        self.failing.as_ref().map(|(_, since)| *since)
    }

    /// An answer came; whether none had come before.
    pub(super) fn succeeded(&mut self, now: Duration) -> (bool, BreakerChange) {
        (self.failing.take().is_some(), self.breaker.succeeded(now))
    }

    /// No answer came; `at` is the time of day.
    pub(super) fn failed(&mut self, what: &str, now: Duration, at: UnixTime) -> BreakerChange {
        self.failing = Some((what.into(), self.failing_since().unwrap_or(at)));
        self.breaker.failed(now)
    }

    /// A call got no answer: whether the server is to be asked how it is.
    pub(super) fn health_turn(&mut self, now: Duration) -> HealthTurn {
        let recent = self.health.as_mut().filter(|asked| now.saturating_sub(asked.begun) < HEALTH_EVERY);
        match recent {
            Some(HealthAsked { is_well: Some(true), .. }) => HealthTurn::Well,
            Some(HealthAsked { is_well: Some(false), .. }) => HealthTurn::NotWell,
            Some(asked) => {
                asked.unjudged = asked.unjudged.saturating_add(1);
                HealthTurn::UnderWay
            }
            None => {
                self.health = Some(HealthAsked { begun: now, is_well: None, unjudged: 0 });
                HealthTurn::Ask
            }
        }
    }

    /// What came of that question; how many calls it was the judgement of.
    pub(super) fn note_health(&mut self, is_well: bool) -> u32 {
        let Some(asked) = &mut self.health else { return 1 };
        asked.is_well = Some(is_well);
        std::mem::take(&mut asked.unjudged).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_server_is_asked_how_it_is_once_a_second_and_what_it_says_is_about_every_call_meanwhile() {
        let mut known = Answering::new();
        assert_eq!(known.health_turn(ms(0)), HealthTurn::Ask);
        assert_eq!([known.health_turn(ms(10)), known.health_turn(ms(999))], [HealthTurn::UnderWay; 2]);
        assert_eq!(known.note_health(false), 3);
        assert_eq!(known.health_turn(ms(999)), HealthTurn::NotWell);
        assert_eq!(known.health_turn(ms(1_000)), HealthTurn::Ask);
        assert_eq!((known.note_health(true), known.health_turn(ms(1_999))), (1, HealthTurn::Well));
        // One that never ended holds nothing up.
        assert_eq!((known.health_turn(ms(2_000)), known.health_turn(ms(3_000))), (HealthTurn::Ask, HealthTurn::Ask));
    }

    #[test]
    fn a_failure_is_shown_since_the_first_in_a_row_in_the_words_of_the_last() {
        let mut known = Answering::new();
        known.failed("connection refused", ms(0), UnixTime(7));
        known.failed("timed out", ms(1), UnixTime(9));
        assert_eq!((&*known.last_failure(), known.failing_since()), ("timed out", Some(UnixTime(7))));
        assert_eq!(known.succeeded(ms(2)), (true, BreakerChange::None));
        assert_eq!((known.succeeded(ms(3)).0, known.failing_since()), (false, None));
    }
}
