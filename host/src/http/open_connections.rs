//! The connections of one listener: whose they are, what they are doing, and in which order they end for others. Every change
//! keeps that order, so that admitting one costs the same however many there are. It has no lock and no clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::client_address::{AddressKey, TrustedProxies};
use super::connection_counts::{Ending, ListenerCounts};
use super::connection_limits::{ConnectionLimits, GRACE_TIME_MAX, HEADER_TIME_MAX, HEADS_PER_ADDRESS_MAX};
use super::known_addresses::{KnownAddresses, SESSION_TIME_MAX, Trust};
use super::phase::{Class, Phase};
use super::sender::Proof;

/// A peer that wants a connection, or a client whose request a proxy passes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newcomer {
    pub(super) address: IpAddr,
    /// Whether the limits per address apply.
    pub(super) limited: bool,
    /// A trusted proxy, which is known and stands for many.
    pub(super) trusted: bool,
}

impl Newcomer {
    pub(super) fn of(address: IpAddr, proxies: &TrustedProxies) -> Self {
        Self { address, limited: !proxies.stands_for_many(address), trusted: proxies.contains(address) }
    }

    fn key(self) -> AddressKey {
        if self.trusted { AddressKey::of_proxy(self.address) } else { self.address.into() }
    }
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Its address has as many as it may.
    Address,
    /// Everybody together has.
    All,
}

/// When a connection ends, among those of its address: the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    in_grace: bool,
    is_proven: bool,
    class: Class,
    since: Duration,
    id: u64,
}

/// When the first connection of an address ends, among all addresses of one trust: of the address with most of them first.
type AddressRank = (bool, Reverse<usize>, Rank, AddressKey);

/// One connection.
struct OpenConnection {
    /// Whose it is.
    peer: AddressKey,
    /// For whom it counts: its peer, or the client whose request a proxy passes on.
    address: AddressKey,
    limited: bool,
    phase: Phase,
    since: Duration,
    /// Whether its body arrives, or its answer is sent, for less than the grace.
    in_grace: bool,
    /// When a request on it last proved who sent it.
    proven: Option<Duration>,
    end: Arc<Notify>,
}

impl OpenConnection {
    /// `None` while its request is in the hands of a flow.
    fn rank(&self, id: u64) -> Option<Rank> {
        let class = self.phase.class()?;
        Some(Rank { in_grace: self.in_grace, is_proven: self.proven.is_some(), class, since: self.since, id })
    }
}

/// What one address uses at present.
struct AddressUse {
    /// What it proved.
    proved: Trust,
    /// What that is worth with so many connections.
    trust: Trust,
    connections: usize,
    ranks: BTreeSet<Rank>,
    heads: BTreeSet<(Duration, u64)>,
}

impl AddressUse {
    fn rank(&self, address: AddressKey) -> Option<AddressRank> {
        let first = *self.ranks.first()?;
        Some((first.in_grace, Reverse(self.connections), first, address))
    }
}

/// All of them.
pub(super) struct OpenConnections {
    limits: ConnectionLimits,
    counts: &'static ListenerCounts,
    known: KnownAddresses,
    next: u64,
    connections: BTreeMap<u64, OpenConnection>,
    addresses: BTreeMap<AddressKey, AddressUse>,
    order: BTreeMap<Trust, BTreeSet<AddressRank>>,
    /// How many connections addresses of each trust have.
    taken: BTreeMap<Trust, usize>,
}

impl OpenConnections {
    pub(super) fn new(limits: ConnectionLimits, counts: &'static ListenerCounts) -> Self {
        let (connections, addresses, order, taken) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { limits, counts, known: KnownAddresses::default(), next: 0, connections, addresses, order, taken }
    }

    /// Takes a new connection in; another may end for it. Its notice says that it is to end.
    pub(super) fn admit(&mut self, newcomer: Newcomer, now: Duration) -> Result<(u64, Arc<Notify>), NoPlace> {
        self.forget_old(now);
        self.make_place(newcomer, true, now)?;
        self.next += 1;
        let (id, address, end) = (self.next, newcomer.key(), Arc::new(Notify::new()));
        let (limited, phase, since) = (newcomer.limited, Phase::Fresh, now);
        let entry = OpenConnection {
            peer: address,
            address,
            limited,
            phase,
            since,
            in_grace: false,
            proven: None,
            end: Arc::clone(&end),
        };
        self.join(id, &entry, now);
        self.connections.insert(id, entry);
        self.counts.opened();
        Ok((id, end))
    }

    /// Counts the request that is being answered for the client whose it is, until its answer was sent.
    pub(super) fn count_for(&mut self, id: u64, client: Newcomer, now: Duration) -> Result<(), NoPlace> {
        self.forget_old(now);
        self.make_place(client, false, now)?;
        self.move_to(id, client.key(), now);
        Ok(())
    }

    /// What the connection is doing from now on; false where it was ended.
    pub(super) fn enter(&mut self, id: u64, phase: Phase, now: Duration) -> bool {
        self.change(id, |entry| {
            (entry.phase, entry.since, entry.in_grace) = (phase, now, phase.class() == Some(Class::Slow));
        });
        let Some(OpenConnection { address, peer, limited, .. }) = self.connections.get(&id) else { return false };
        let (address, peer, limited) = (*address, *peer, *limited);
        if phase == Phase::Idle && address != peer {
            self.move_to(id, peer, now);
        }
        let oldest = self.addresses.get(&address).filter(|used| limited && used.heads.len() > HEADS_PER_ADDRESS_MAX);
        if let Some(oldest) = oldest.and_then(|used| used.heads.first().map(|(_, id)| *id)) {
            self.end(oldest, Ending::OfItsAddress);
        }
        true
    }

    #[cfg(test)]
    pub(super) fn phase(&self, id: u64) -> Option<Phase> {
        self.connections.get(&id).map(|entry| entry.phase)
    }

    /// The sender of its request proved who they are.
    pub(super) fn proved(&mut self, id: u64, proof: Proof, now: Duration) {
        let Some(address) = self.connections.get(&id).map(|entry| entry.address) else { return };
        let forgotten = self.known.proved(address, proof, now);
        self.change(id, |entry| entry.proven = Some(now));
        for address in [Some(address), forgotten].into_iter().flatten() {
            self.judge(address, now);
        }
    }

    /// A connection is gone.
    pub(super) fn remove(&mut self, id: u64) {
        if let Some(entry) = self.connections.remove(&id) {
            self.leave(id, &entry);
            self.counts.closed();
        }
    }

    /// Ends what has waited too long; what is slow beyond its grace may end for others from now on.
    pub(super) fn sweep(&mut self, now: Duration) {
        self.forget_old(now);
        let (mut over, mut changed) = (Vec::new(), Vec::new());
        for (id, entry) in &self.connections {
            let took = now.saturating_sub(entry.since);
            let is_over = match entry.phase {
                Phase::Fresh | Phase::Idle => took >= self.limits.idle,
                Phase::Head => took >= HEADER_TIME_MAX,
                Phase::Handshake | Phase::Receiving | Phase::Answering | Phase::Sending => false,
            };
            let forgets = entry.proven.is_some_and(|at| now.saturating_sub(at) >= SESSION_TIME_MAX);
            if is_over {
                over.push(*id);
            } else if forgets || (entry.in_grace && took >= GRACE_TIME_MAX) {
                changed.push((*id, forgets, took < GRACE_TIME_MAX));
            }
        }
        over.into_iter().for_each(|id| self.end(id, Ending::OfItsTime));
        for (id, forgets, in_grace) in changed {
            self.change(id, |entry| {
                entry.in_grace &= in_grace;
                entry.proven = entry.proven.filter(|_| !forgets);
            });
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.connections.len(), self.addresses.len())
    }

    /// Ends another connection where one more of this newcomer would be beyond a limit. A request on a connection that is
    /// open already needs no place among all.
    fn make_place(&mut self, newcomer: Newcomer, is_new: bool, now: Duration) -> Result<(), NoPlace> {
        let address = newcomer.key();
        let proved = self.proved_of(address, now);
        let used = self.addresses.get(&address).map_or(0, |used| used.connections);
        let mut after = used + 1;
        if newcomer.limited && used >= self.limits.of_address(proved) {
            self.counts.at_limit(newcomer.address, now);
            let first = self.addresses.get(&address).and_then(|used| used.ranks.first()).filter(|rank| !rank.in_grace);
            let first = first.map(|rank| rank.id).ok_or(NoPlace::Address)?;
            self.end(first, Ending::OfItsAddress);
            after = used;
        }
        let trust = self.limits.trust(proved, after);
        for within in Trust::ALL.into_iter().filter(|within| *within >= trust) {
            let is_judged = is_new || within < Trust::Provider;
            let taken: usize = self.taken.range(..=within).map(|(_, taken)| taken).sum();
            if is_judged && taken >= self.limits.of_trust(within) {
                let first = self.first_to_end(within, after).ok_or(NoPlace::All)?;
                self.end(first, Ending::ForAnother);
            }
        }
        Ok(())
    }

    /// Of addresses up to this trust the connection that others need least. One within its grace ends only where its address
    /// has more than the newcomer's.
    fn first_to_end(&self, within: Trust, newcomer: usize) -> Option<u64> {
        self.order.range(..=within).find_map(|(_, ranks)| {
            let (in_grace, Reverse(connections), rank, _) = ranks.first()?;
            (!in_grace || *connections > newcomer).then_some(rank.id)
        })
    }

    fn end(&mut self, id: u64, ending: Ending) {
        let Some(entry) = self.connections.get(&id) else { return };
        entry.end.notify_one();
        self.counts.ended(ending);
        self.remove(id);
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut OpenConnection)) {
        let Some(entry) = self.connections.get_mut(&id) else { return };
        let (before, head_before) = (entry.rank(id), (entry.since, entry.phase));
        change(entry);
        let (after, head_after, address) = (entry.rank(id), (entry.since, entry.phase), entry.address);
        self.of_address(address, |used| {
            before.map(|rank| used.ranks.remove(&rank));
            used.ranks.extend(after);
            if head_before.1 == Phase::Head {
                used.heads.remove(&(head_before.0, id));
            }
            if head_after.1 == Phase::Head {
                used.heads.insert((head_after.0, id));
            }
        });
    }

    /// From now on it counts for this address.
    fn move_to(&mut self, id: u64, address: AddressKey, now: Duration) {
        let Some(mut entry) = self.connections.remove(&id) else { return };
        self.leave(id, &entry);
        (entry.address, entry.proven) = (address, None);
        self.join(id, &entry, now);
        self.connections.insert(id, entry);
    }

    fn join(&mut self, id: u64, entry: &OpenConnection, now: Duration) {
        if !self.addresses.contains_key(&entry.address) {
            let proved = self.proved_of(entry.address, now);
            let (ranks, heads) = (BTreeSet::new(), BTreeSet::new());
            let used = AddressUse { proved, trust: proved, connections: 0, ranks, heads };
            self.addresses.insert(entry.address, used);
        }
        self.of_address(entry.address, |used| {
            used.connections += 1;
            used.ranks.extend(entry.rank(id));
        });
    }

    fn leave(&mut self, id: u64, entry: &OpenConnection) {
        self.of_address(entry.address, |used| {
            used.connections -= 1;
            entry.rank(id).map(|rank| used.ranks.remove(&rank));
            used.heads.remove(&(entry.since, id));
        });
    }

    /// What the address proved may have changed.
    fn judge(&mut self, address: AddressKey, now: Duration) {
        let proved = self.proved_of(address, now);
        self.of_address(address, |used| used.proved = proved);
    }

    fn proved_of(&self, address: AddressKey, now: Duration) -> Trust {
        if address.is_proxy() { Trust::Provider } else { self.known.trust(address, now) }
    }

    fn forget_old(&mut self, now: Duration) {
        while let Some(address) = self.known.forget_old(now) {
            self.judge(address, now);
        }
    }

    /// Changes what an address uses, and everything that is derived from it.
    fn of_address(&mut self, address: AddressKey, change: impl FnOnce(&mut AddressUse)) {
        let Some(used) = self.addresses.get_mut(&address) else { return };
        let before = (used.trust, used.connections, used.rank(address));
        change(used);
        used.trust = self.limits.trust(used.proved, used.connections);
        let after = (used.trust, used.connections, used.rank(address));
        if after.1 == 0 {
            self.addresses.remove(&address);
        }
        if before != after {
            *self.taken.entry(before.0).or_default() -= before.1;
            *self.taken.entry(after.0).or_default() += after.1;
            before.2.map(|rank| self.order.entry(before.0).or_default().remove(&rank));
            self.order.entry(after.0).or_default().extend(after.2);
        }
    }
}
