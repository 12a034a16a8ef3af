//! In which order connections end for others: among those of one address, and among addresses. It ends nothing.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::client_address::AddressKey;
use super::connection_limits::GRACE_TIME_MAX;
use super::known_addresses::Trust;
use super::phase::{Class, Phase};
use super::sending::Sending;

/// When a connection ends, among those of its address: the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) in_grace: bool,
    is_proven: bool,
    pub(super) class: Class,
    since: Duration,
    pub(super) id: u64,
}

/// When the first connection of an address ends, among all addresses of one trust: the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AddressRank {
    in_grace: bool,
    is_proven: bool,
    /// Of the address with most of them.
    connections: Reverse<usize>,
    class: Class,
    since: Duration,
    id: u64,
    address: AddressKey,
}

impl AddressRank {
    /// The connection that ends for a newcomer whose address then has so many. One within its grace ends only where its own
    /// address has more.
    pub(super) fn to_end(self, newcomer: usize) -> Option<u64> {
        (!self.in_grace || self.connections.0 > newcomer).then_some(self.id)
    }
}

/// One connection.
pub(super) struct OpenConnection {
    /// Whose it is.
    pub(super) peer: AddressKey,
    /// For whom it counts: its peer, or the client whose request a proxy passes on.
    pub(super) address: AddressKey,
    pub(super) limited: bool,
    pub(super) phase: Phase,
    /// When that began, or, of a body or an answer, when it last went on.
    pub(super) since: Duration,
    /// Whether its client is on time.
    pub(super) in_grace: bool,
    /// When a request on it last proved who sent it.
    pub(super) proven: Option<Duration>,
    pub(super) sending: Arc<Sending>,
    pub(super) end: Arc<Notify>,
}

impl OpenConnection {
    pub(super) fn new(address: AddressKey, limited: bool, now: Duration) -> Self {
        let (sending, end) = (Arc::default(), Arc::new(Notify::new()));
        let (phase, in_grace, proven) = (Phase::Fresh, true, None);
        Self { peer: address, address, limited, phase, since: now, in_grace, proven, sending, end }
    }

    pub(super) fn enter(&mut self, phase: Phase, now: Duration) {
        (self.phase, self.since) = (phase, now);
        self.in_grace = matches!(phase.class(), Some(Class::Unused | Class::Slow));
    }

    /// What the time says about its grace; `went_on`: its body or its answer went on since the last time.
    pub(super) fn judge(&mut self, went_on: bool, now: Duration) {
        if went_on && self.phase.class() == Some(Class::Slow) {
            (self.since, self.in_grace) = (now, true);
        }
        self.in_grace &= now.saturating_sub(self.since) < GRACE_TIME_MAX;
    }

    /// Whether it was of no use yet and is on time.
    fn is_young(&self) -> bool {
        self.in_grace && self.phase.class() == Some(Class::Unused)
    }

    /// `None` while its request is in the hands of a flow.
    fn rank(&self, id: u64) -> Option<Rank> {
        let class = self.phase.class()?;
        Some(Rank { in_grace: self.in_grace, is_proven: self.proven.is_some(), class, since: self.since, id })
    }
}

/// Where one connection stands among the others.
pub(super) struct Places {
    rank: Option<Rank>,
    head: Option<(Duration, u64)>,
    pub(super) young: Option<(Duration, u64)>,
}

impl Places {
    pub(super) fn of(id: u64, entry: &OpenConnection) -> Self {
        let at = (entry.since, id);
        let (is_head, is_young) = (entry.phase == Phase::Head, entry.is_young());
        Self { rank: entry.rank(id), head: is_head.then_some(at), young: is_young.then_some(at) }
    }
}

/// What one address uses at present.
pub(super) struct AddressUse {
    /// What it proved.
    pub(super) proved: Trust,
    /// What that is worth with so many connections.
    pub(super) trust: Trust,
    pub(super) connections: usize,
    ranks: BTreeSet<Rank>,
    heads: BTreeSet<(Duration, u64)>,
    young: BTreeSet<(Duration, u64)>,
}

impl AddressUse {
    pub(super) fn new(proved: Trust) -> Self {
        let (ranks, heads, young) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { proved, trust: proved, connections: 0, ranks, heads, young }
    }

    pub(super) fn put(&mut self, places: &Places) {
        self.ranks.extend(places.rank);
        self.heads.extend(places.head);
        self.young.extend(places.young);
    }

    pub(super) fn take(&mut self, places: &Places) {
        places.rank.map(|rank| self.ranks.remove(&rank));
        places.head.map(|at| self.heads.remove(&at));
        places.young.map(|at| self.young.remove(&at));
    }

    pub(super) fn rank(&self, address: AddressKey) -> Option<AddressRank> {
        let Rank { in_grace, is_proven, class, since, id } = *self.ranks.first()?;
        // Of two addresses with as many, where nothing is known of both, the slow client loses before one that idles.
        let class = match (class, is_proven) {
            (Class::Slow, false) => Class::Idle,
            (Class::Idle, false) => Class::Slow,
            (class, _) => class,
        };
        Some(AddressRank { in_grace, is_proven, connections: Reverse(self.connections), class, since, id, address })
    }

    /// The connection that ends for another of the same address. A body or an answer that is on time does not.
    pub(super) fn first(&self) -> Option<u64> {
        self.ranks.first().filter(|rank| !rank.in_grace || rank.class == Class::Unused).map(|rank| rank.id)
    }

    /// The oldest half-sent head where there are more than that.
    pub(super) fn head_beyond(&self, most: usize) -> Option<u64> {
        oldest_beyond(&self.heads, most)
    }

    pub(super) fn young_beyond(&self, most: usize) -> Option<u64> {
        oldest_beyond(&self.young, most)
    }
}

/// The oldest where there are more than that.
pub(super) fn oldest_beyond(among: &BTreeSet<(Duration, u64)>, most: usize) -> Option<u64> {
    among.first().filter(|_| among.len() > most).map(|(_, id)| *id)
}
