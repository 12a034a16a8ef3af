//! What the janitor has to do, in one queue for each peer: each trading server, and each config's provider for create calls
//! and for queries. Every peer has a pace of its own, and a place that falls free is given to the next of its queue.
//! It calls nobody.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cashier_core::duty::Duty;
use cashier_core::ids::TransactionId;

use super::backoff::Backoff;
use super::pace::{Pace, Peer};

/// The janitor's postings under way at one time: in the batches of the embedded server they are 10,000 a second and more,
/// at a server that takes 100 ms still 1,280, and a webhook's own posting never waits for more than these.
const POSTINGS_AT_ONCE_MAX: usize = 128;

/// The janitor's create calls to one config's provider under way at one time, and its queries: each an eighth of what a
/// gateway carries, so that a provider which is slow to answer them still gets new deposits.
const CALLS_AT_ONCE_MAX: usize = 32;

/// Queries to one config's provider begun in one round: providers limit how often they are asked, and nobody waits for
/// the answers. Create calls have no such limit: a customer waits for the payment page.
const QUERIES_PER_ROUND_MAX: usize = 32;

/// The work of the janitor, shared with its calls under way.
#[derive(Debug, Default)]
pub(super) struct Work(Mutex<WorkState>);

#[derive(Debug, Default)]
pub(super) struct WorkState {
    pub(super) backoff: Backoff,
    lanes: BTreeMap<Peer, Lane>,
    /// Every transaction that is queued or under way.
    taken: BTreeSet<TransactionId>,
}

/// The queue of one peer.
#[derive(Debug)]
struct Lane {
    queue: VecDeque<TransactionId>,
    pace: Pace,
    /// Calls that may still begin in this round; none is no limit.
    left: Option<usize>,
}

/// A place among the calls to a peer, given back when dropped.
pub(super) struct Place {
    work: Arc<Work>,
    pub(super) peer: Peer,
    pub(super) id: TransactionId,
    /// Whether the peer answered; none where the call says nothing about it.
    answered: Option<bool>,
    at: Duration,
}

impl Work {
    pub(super) fn lock(&self) -> MutexGuard<'_, WorkState> {
        // Every change is complete before its guard is dropped.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call to this peer, if one may begin at `now`, a monotonic time.
    pub(super) fn begin(self: &Arc<Self>, peer: &Peer, now: Duration) -> Option<Place> {
        let id = self.lock().lanes.get_mut(peer)?.begin(now)?;
        Some(Place { work: Arc::clone(self), peer: peer.clone(), id, answered: None, at: now })
    }
}

impl Place {
    /// The call is made for this duty.
    pub(super) fn tried(&self, duty: Duty, now: Duration, pause_max: i64) {
        self.work.lock().backoff.tried(self.id, duty, now, pause_max);
    }

    pub(super) fn ended(mut self, answered: Option<bool>, now: Duration) {
        (self.answered, self.at) = (answered, now);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.work.lock();
        if self.answered == Some(false) {
            state.backoff.unanswered(self.id, &self.peer);
        }
        if let Some(lane) = state.lanes.get_mut(&self.peer) {
            lane.pace.end(self.answered, self.at);
        }
        state.taken.remove(&self.id);
        state.release(&self.peer, self.at);
    }
}

impl WorkState {
    /// Queues a transaction for this peer, unless it is queued or under way.
    pub(super) fn queue(&mut self, peer: Peer, id: TransactionId) {
        if self.taken.insert(id) {
            let lane = Lane::new(&peer);
            self.lanes.entry(peer).or_insert(lane).queue.push_back(id);
        }
    }

    /// Whether it is queued or under way.
    pub(super) fn is_taken(&self, id: TransactionId) -> bool {
        self.taken.contains(&id)
    }

    /// The peers for which something is queued, with what is released at `now`.
    pub(super) fn waiting(&mut self, now: Duration) -> Vec<Peer> {
        let peers: Vec<Peer> = self.lanes.keys().cloned().collect();
        peers.iter().for_each(|peer| self.release(peer, now));
        self.lanes.iter().filter(|(_, lane)| !lane.queue.is_empty()).map(|(peer, _)| peer.clone()).collect()
    }

    /// Whether anything is queued for any peer.
    pub(super) fn has_queued(&self) -> bool {
        self.lanes.values().any(|lane| !lane.queue.is_empty())
    }

    /// Begins a round. A lane of which nothing need be remembered is forgotten.
    pub(super) fn begin_round(&mut self) {
        self.lanes.retain(|_, lane| !(lane.queue.is_empty() && lane.pace.is_fresh()));
        for (peer, lane) in &mut self.lanes {
            lane.left = calls_per_round_max(peer);
        }
    }

    /// Where the peer answered again, what got no answer while it was down is queued.
    fn release(&mut self, peer: &Peer, now: Duration) {
        if self.lanes.get_mut(peer).is_some_and(|lane| lane.pace.releases(now)) {
            let (released, later) = self.backoff.release(peer, now);
            for id in released {
                self.queue(peer.clone(), id);
            }
            if let (Some(from), Some(lane)) = (later, self.lanes.get_mut(peer)) {
                lane.pace.release_again(from);
            }
        }
    }

    /// Forgets what is queued and every pause; calls under way keep their places.
    pub(super) fn clear(&mut self) {
        self.backoff = Backoff::default();
        for lane in self.lanes.values_mut() {
            for id in lane.queue.drain(..) {
                self.taken.remove(&id);
            }
        }
    }
}

impl Lane {
    fn new(peer: &Peer) -> Self {
        let most = match peer {
            Peer::TradingServer(_) => POSTINGS_AT_ONCE_MAX,
            Peer::Creates(_) | Peer::Queries(_) => CALLS_AT_ONCE_MAX,
        };
        Self { queue: VecDeque::new(), pace: Pace::new(most), left: calls_per_round_max(peer) }
    }

    fn begin(&mut self, now: Duration) -> Option<TransactionId> {
        if self.queue.is_empty() || self.left == Some(0) || !self.pace.begin(now) {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        self.queue.pop_front()
    }
}

fn calls_per_round_max(peer: &Peer) -> Option<usize> {
    match peer {
        Peer::TradingServer(_) | Peer::Creates(_) => None,
        Peer::Queries(_) => Some(QUERIES_PER_ROUND_MAX),
    }
}
