//! When the janitor tries each transaction again. It knows nothing of a duty but how long its pauses are.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use cashier_core::duty::{Duty, ProviderDuty};
use cashier_core::ids::TransactionId;

use super::pace::Peer;
use crate::flows::requeue::Unfinished;

/// The first pause between queries of one payment; then the pause doubles.
const QUERY_PAUSE_MIN: i64 = 60;
/// A payment that is pending for days is still queried four times a day.
const QUERY_PAUSE_MAX: i64 = 6 * 60 * 60;
/// A duty that failed is tried again after this long at first.
const RETRY_PAUSE_MIN: i64 = 2;
/// A trading server that is down for hours is still tried every minute.
const RETRY_PAUSE_MAX: i64 = 60;
/// A create call whose answer is missing is repeated soon at first: a customer waits for the payment page.
const REPEAT_PAUSE_MIN: i64 = 5;
/// A transaction without a duty is examined again after this long, or when time makes something due: flows start what they
/// make due, and the janitor finds the rest.
const IDLE_PAUSE: Duration = Duration::from_secs(60);

/// What a peer left unanswered while it was down is due again when it answers, each at most once in this time: a peer that
/// answers one payment and none of the others must not be sent all of them every second.
const RELEASE_PAUSE: Duration = Duration::from_secs(60);

/// When each transaction is tried again, and how often its duty was tried. Pauses are counted by the monotonic clock:
/// setting the system clock back must not delay a credit.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pauses: BTreeMap<TransactionId, Pause>,
}

#[derive(Debug)]
struct Pause {
    /// What was tried last; none when nothing ever was.
    duty: Option<Duty>,
    until: Duration,
    tries: u32,
    /// Who did not answer the last try.
    unanswered: Option<Peer>,
    /// From when on the peer's next answer ends this pause.
    release_from: Duration,
}

impl Backoff {
    pub(super) fn is_due(&self, id: TransactionId, now: Duration) -> bool {
        self.pauses.get(&id).is_none_or(|pause| pause.until <= now)
    }

    /// Until when a duty that was tried pauses, and how often it was tried in a row.
    pub(super) fn next_try(&self, id: TransactionId) -> Option<(Duration, u32)> {
        let pause = self.pauses.get(&id).filter(|pause| pause.duty.is_some() && pause.tries > 0)?;
        Some((pause.until, pause.tries))
    }

    /// `most` is the longest pause, in seconds, that misses no moment known in advance, such as an expiry.
    pub(super) fn tried(&mut self, id: TransactionId, duty: Duty, now: Duration, most: i64) {
        let tries = self.tries(id, duty);
        let (least, longest) = match duty {
            Duty::Settle => (RETRY_PAUSE_MIN, RETRY_PAUSE_MAX),
            Duty::Provider(ProviderDuty::RepeatCreate | ProviderDuty::Refund) => (REPEAT_PAUSE_MIN, QUERY_PAUSE_MAX),
            Duty::Provider(_) | Duty::AwaitRetry => (QUERY_PAUSE_MIN, QUERY_PAUSE_MAX),
        };
        let pause = least.saturating_mul(1_i64 << tries.min(20)).min(longest).min(most.max(least));
        let until = now.saturating_add(Duration::from_secs(pause.unsigned_abs()));
        let release_from = self.pauses.get(&id).map_or(Duration::ZERO, |pause| pause.release_from);
        let tries = tries.saturating_add(1);
        self.pauses.insert(id, Pause { duty: Some(duty), until, tries, unanswered: None, release_from });
    }

    /// `most` is the longest pause, in seconds, that misses no moment at which time alone makes something due.
    pub(super) fn nothing_due(&mut self, id: TransactionId, now: Duration, most: i64) {
        let before = self.pauses.get(&id);
        let (duty, tries) = before.map_or((None, 0), |pause| (pause.duty, pause.tries));
        let release_from = before.map_or(Duration::ZERO, |pause| pause.release_from);
        let due_in = Duration::from_secs(most.unsigned_abs());
        let until = now.saturating_add(IDLE_PAUSE.min(due_in));
        self.pauses.insert(id, Pause { duty, until, tries, unanswered: None, release_from });
    }

    /// How often this very duty was tried in a row.
    fn tries(&self, id: TransactionId, duty: Duty) -> u32 {
        self.pauses.get(&id).filter(|pause| pause.duty == Some(duty)).map_or(0, |pause| pause.tries)
    }

    /// Makes due at once what a flow left unfinished, unless the pause was caused by trying that very duty.
    pub(super) fn requeue(&mut self, id: TransactionId, unfinished: Unfinished) {
        let own_pause = self.pauses.get(&id).is_some_and(|pause| match unfinished {
            Unfinished::Posting => pause.duty == Some(Duty::Settle),
            Unfinished::Query => false,
        });
        if !own_pause {
            self.pauses.remove(&id);
        }
    }

    /// The peer did not answer the last try.
    pub(super) fn unanswered(&mut self, id: TransactionId, peer: &Peer) {
        if let Some(pause) = self.pauses.get_mut(&id) {
            pause.unanswered = Some(peer.clone());
        }
    }

    /// Ends the pauses of what this peer did not answer, and names it; each keeps the number of its tries. The time is when the
    /// first of those that were released too lately may be.
    pub(super) fn release(&mut self, peer: &Peer, now: Duration) -> (Vec<TransactionId>, Option<Duration>) {
        let (mut released, mut later) = (Vec::new(), None);
        for (id, pause) in self.pauses.iter_mut().filter(|(_, pause)| pause.unanswered.as_ref() == Some(peer)) {
            if pause.release_from <= now {
                (pause.until, pause.unanswered) = (Duration::ZERO, None);
                pause.release_from = now.saturating_add(RELEASE_PAUSE);
                released.push(*id);
            } else {
                later = Some(later.map_or(pause.release_from, |known: Duration| known.min(pause.release_from)));
            }
        }
        (released, later)
    }

    /// Forgets the transactions after `after` that are not `open`, up to `last` or, without it, to the end.
    pub(super) fn keep_only(&mut self, after: TransactionId, open: &[TransactionId], last: Option<TransactionId>) {
        let end = last.map_or(Bound::Unbounded, Bound::Included);
        let known = self.pauses.range((Bound::Excluded(after), end));
        let gone: Vec<_> = known.map(|(id, _)| *id).filter(|id| open.binary_search(id).is_err()).collect();
        for id in gone {
            self.pauses.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use cashier_core::ids::ServerName;

    use super::*;

    #[test]
    fn s7_what_a_peer_left_unanswered_is_released_at_once_and_each_once_a_minute() {
        let mut backoff = Backoff::default();
        let (peer, seconds) = (&Peer::TradingServer(ServerName::default()), Duration::from_secs);
        let fail = |backoff: &mut Backoff, ids: &[u64], now| {
            for id in ids.iter().copied().map(TransactionId) {
                backoff.tried(id, Duty::Settle, now, i64::MAX);
                backoff.unanswered(id, peer);
            }
        };
        let ids = |ids: &[u64]| ids.iter().copied().map(TransactionId).collect::<Vec<_>>();
        fail(&mut backoff, &[1, 2], seconds(0));
        assert_eq!(backoff.release(peer, seconds(1)), (ids(&[1, 2]), None));
        // The next outage, within the minute, has others and one that was released.
        fail(&mut backoff, &[2, 3], seconds(5));
        assert_eq!(backoff.release(peer, seconds(6)), (ids(&[3]), Some(seconds(61))));
        assert!(!backoff.is_due(TransactionId(2), seconds(7)), "its own pause holds");
        assert_eq!(backoff.release(peer, seconds(61)), (ids(&[2]), None));
    }
}
