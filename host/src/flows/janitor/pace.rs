//! How many calls to one peer may be under way: more while it answers, fewer while it does not, and only a few a second
//! while it answers none. Pure: the time comes as an argument. It knows no transactions.

use std::time::Duration;

use cashier_core::duty::{Duty, ProviderDuty};
use cashier_core::ids::{ConfigId, ServerName};
use cashier_core::transaction::Transaction;

/// Calls under way before anything is known of a peer, and while it does not answer.
const PROBES_AT_ONCE_MAX: usize = 8;

/// While a peer does not answer, calls are begun at this interval, so that its return is noticed within it.
pub(super) const PROBE_PAUSE: Duration = Duration::from_millis(250);

/// Calls begun at each such time: eight a second.
const PROBES_IN_PAUSE_MAX: usize = 2;

/// Calls in a row without an answer after which a peer is taken to be down: fewer may be the fault of their payments.
const UNANSWERED_TO_STOP: u32 = 6;

/// Whom a duty needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    /// Each of several has its own queue and pace: one that is down or slow holds up its own accounts alone.
    TradingServer(ServerName),
    Creates(ConfigId),
    Queries(ConfigId),
}

impl Peer {
    /// None for what waits for a person.
    pub(super) fn of(transaction: &Transaction, duty: Duty) -> Option<Self> {
        match duty {
            Duty::Settle => Some(Self::TradingServer(transaction.server.clone())),
            Duty::Provider(ProviderDuty::RepeatCreate) => Some(Self::Creates(transaction.config_id)),
            Duty::Provider(
                ProviderDuty::Advance | ProviderDuty::Query | ProviderDuty::Refund | ProviderDuty::Expire,
            ) => Some(Self::Queries(transaction.config_id)),
            Duty::AwaitRetry => None,
        }
    }
}

/// The calls to one peer.
#[derive(Debug)]
pub(super) struct Pace {
    under_way: usize,
    /// Calls that may be under way; it never exceeds `most`.
    window: usize,
    most: usize,
    unanswered_in_a_row: u32,
    /// Calls begun while the peer is down, since when.
    probes: (usize, Duration),
    /// It answered again: from when on what it left unanswered is made due.
    release_from: Option<Duration>,
}

impl Pace {
    pub(super) fn new(most: usize) -> Self {
        Self {
            under_way: 0,
            window: most.min(PROBES_AT_ONCE_MAX),
            most,
            unanswered_in_a_row: 0,
            probes: (0, Duration::ZERO),
            release_from: None,
        }
    }

    /// Whether another call may begin at `now`, a monotonic time; it is counted then.
    pub(super) fn begin(&mut self, now: Duration) -> bool {
        if self.is_down() {
            let (begun, since) = self.probes;
            let begun = if since.saturating_add(PROBE_PAUSE) <= now { 0 } else { begun };
            if begun >= PROBES_IN_PAUSE_MAX || self.under_way >= PROBES_AT_ONCE_MAX {
                return false;
            }
            self.probes = (begun + 1, if begun == 0 { now } else { since });
        } else if self.under_way >= self.window {
            return false;
        }
        self.under_way += 1;
        true
    }

    /// A call ended; `answered` is none where it says nothing about the peer.
    pub(super) fn end(&mut self, answered: Option<bool>, now: Duration) {
        self.under_way = self.under_way.saturating_sub(1);
        match answered {
            // What was queued has ended meanwhile: that tried no peer.
            None if self.is_down() => self.probes.0 = self.probes.0.saturating_sub(1),
            None => {}
            // One answer after many failures may be luck: then the window grows from one.
            Some(true) if self.is_down() => {
                (self.window, self.unanswered_in_a_row, self.release_from) = (1, 0, Some(Duration::ZERO));
            }
            Some(true) => {
                self.unanswered_in_a_row = 0;
                self.window = (self.window + 1).min(self.most);
            }
            Some(false) => {
                let was_down = self.is_down();
                self.unanswered_in_a_row = self.unanswered_in_a_row.saturating_add(1);
                self.window = (self.window / 2).max(1);
                if self.is_down() && !was_down {
                    // The first probe waits like the others.
                    self.probes = (PROBES_IN_PAUSE_MAX, now);
                }
            }
        }
    }

    /// Whether what got no answer while the peer was down is to be made due now.
    pub(super) fn releases(&mut self, now: Duration) -> bool {
        let releases = !self.is_down() && self.release_from.is_some_and(|from| from <= now);
        if releases {
            self.release_from = None;
        }
        releases
    }

    /// Some of that may be made due later only.
    pub(super) fn release_again(&mut self, from: Duration) {
        self.release_from = Some(self.release_from.map_or(from, |known| known.min(from)));
    }

    /// Nothing is known of the peer that a new pace would not assume.
    pub(super) fn is_fresh(&self) -> bool {
        let undisturbed = self.unanswered_in_a_row == 0 && self.release_from.is_none();
        self.under_way == 0 && undisturbed && self.window >= self.most.min(PROBES_AT_ONCE_MAX)
    }

    fn is_down(&self) -> bool {
        self.unanswered_in_a_row >= UNANSWERED_TO_STOP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 32;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Begins what may begin and returns how many calls that were.
    fn fill(pace: &mut Pace, now: Duration) -> usize {
        std::iter::repeat_with(|| pace.begin(now)).take_while(|begun| *begun).count()
    }

    fn end(pace: &mut Pace, calls: usize, answered: bool, now: Duration) {
        for _ in 0..calls {
            pace.end(Some(answered), now);
        }
    }

    #[test]
    fn a_peer_that_answers_is_sent_twice_as_much_each_time_up_to_the_most() {
        let mut pace = Pace::new(MOST);
        let mut begun = Vec::new();
        for _ in 0..4 {
            begun.push(fill(&mut pace, ms(0)));
            end(&mut pace, *begun.last().unwrap(), true, ms(0));
        }
        assert_eq!(begun, [8, 16, 32, 32]);
    }

    #[test]
    fn a_place_that_falls_free_is_used_at_once() {
        let mut pace = Pace::new(4);
        assert_eq!(fill(&mut pace, ms(0)), 4);
        pace.end(Some(true), ms(0));
        assert_eq!(fill(&mut pace, ms(0)), 1);
        pace.end(None, ms(0));
        assert_eq!(fill(&mut pace, ms(0)), 1, "also by a call that was not made");
    }

    #[test]
    fn a_peer_that_answers_nothing_is_sent_eight_calls_a_second() {
        let mut pace = Pace::new(MOST);
        for _ in 0..3 {
            let begun = fill(&mut pace, ms(0));
            end(&mut pace, begun, true, ms(0));
        }
        let begun = fill(&mut pace, ms(500));
        end(&mut pace, begun, false, ms(500));
        let mut probes = Vec::new();
        for now in (500..3_500).step_by(50) {
            let begun = fill(&mut pace, ms(now));
            end(&mut pace, begun, false, ms(now));
            probes.push(begun);
        }
        assert_eq!((begun, probes.iter().sum::<usize>(), probes.iter().max()), (32, 22, Some(&2)));
        let hanging: usize = (60..70).map(|second| fill(&mut pace, ms(1_000 * second))).sum();
        assert_eq!(hanging, PROBES_AT_ONCE_MAX, "probes that hang are not added to");
    }

    #[test]
    fn a_call_that_was_not_made_uses_up_no_probe() {
        let mut pace = Pace::new(MOST);
        end(&mut pace, UNANSWERED_TO_STOP as usize, false, ms(0));
        for _ in 0..1_000 {
            assert!(pace.begin(ms(250)));
            pace.end(None, ms(250));
        }
        assert_eq!(fill(&mut pace, ms(250)), PROBES_IN_PAUSE_MAX);
    }

    #[test]
    fn the_first_answer_after_each_outage_releases_what_got_none() {
        let mut pace = Pace::new(MOST);
        end(&mut pace, 1, false, ms(0));
        end(&mut pace, 1, true, ms(0));
        assert!(!pace.releases(ms(0)), "one failure is no outage");
        for now in [1_000, 2_000].map(ms) {
            end(&mut pace, UNANSWERED_TO_STOP as usize, false, now);
            assert!(!pace.releases(now));
            end(&mut pace, 1, true, now);
            assert_eq!((pace.releases(now), pace.releases(now)), (true, false));
            assert_eq!(fill(&mut pace, now), 1, "the window grows from one");
            end(&mut pace, 1, true, now);
        }
        pace.release_again(ms(61_000));
        assert_eq!((pace.releases(ms(60_999)), pace.releases(ms(61_000))), (false, true));
    }

    #[test]
    fn some_failures_among_answers_narrow_the_window_and_stop_nothing() {
        let mut pace = Pace::new(MOST);
        for number in 0..1_000 {
            pace.end(Some(number % 10 != 0), ms(0));
        }
        assert!((9..=MOST).contains(&fill(&mut pace, ms(0))));
    }
}
