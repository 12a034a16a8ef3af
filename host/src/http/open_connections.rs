//! The connections of one listener: whose they are, what they are doing, and in which order they end for others. Every change
//! keeps that order, so that admitting one costs the same however many there are. It has no lock and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::client_address::{AddressKey, TrustedProxies};
use super::connection_counts::{Ending, ListenerCounts};
use super::connection_limits::{ConnectionLimits, HEADER_TIME_MAX, HEADS_PER_ADDRESS_MAX, YOUNG_PER_ADDRESS_MAX};
use super::connection_order::{AddressRank, AddressUse, OpenConnection, Places, oldest_beyond};
use super::known_addresses::{KnownAddresses, SESSION_TIME_MAX, Trust};
use super::phase::Phase;
use super::sender::Proof;
use super::sending::Sending;

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

/// A connection that got a place.
pub(super) struct AdmittedPlace {
    pub(super) id: u64,
    pub(super) end: Arc<Notify>,
    pub(super) sending: Arc<Sending>,
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
    /// Those that were of no use yet and are on time.
    young: BTreeSet<(Duration, u64)>,
    /// How many connections addresses of each trust have.
    taken: BTreeMap<Trust, usize>,
}

impl OpenConnections {
    pub(super) fn new(limits: ConnectionLimits, counts: &'static ListenerCounts) -> Self {
        let (connections, addresses, order) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (known, young, taken) = (KnownAddresses::default(), BTreeSet::new(), BTreeMap::new());
        Self { limits, counts, known, next: 0, connections, addresses, order, young, taken }
    }

    /// Takes a new connection in; another may end for it. Its notice says that it is to end.
    pub(super) fn admit(&mut self, newcomer: Newcomer, now: Duration) -> Result<AdmittedPlace, NoPlace> {
        self.forget_old(now);
        self.make_place(newcomer, true, now)?;
        self.next += 1;
        let (id, entry) = (self.next, OpenConnection::new(newcomer.key(), newcomer.limited, now));
        let admission = AdmittedPlace { id, end: Arc::clone(&entry.end), sending: Arc::clone(&entry.sending) };
        self.join(id, &entry, now);
        self.connections.insert(id, entry);
        self.counts.opened();
        self.limit_young(newcomer.key(), newcomer.limited);
        Ok(admission)
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
        self.change(id, |entry| entry.enter(phase, now));
        let Some(OpenConnection { address, peer, limited, .. }) = self.connections.get(&id) else { return false };
        let (address, peer, limited) = (*address, *peer, *limited);
        if phase == Phase::Idle && address != peer {
            self.move_to(id, peer, now);
        }
        let used = self.addresses.get(&address).filter(|_| limited);
        if let Some(oldest) = used.and_then(|used| used.head_beyond(HEADS_PER_ADDRESS_MAX)) {
            self.end(oldest, Ending::OfItsAddress);
        }
        self.limit_young(address, limited);
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
            let went_on = entry.sending.went_on(entry.phase == Phase::Sending);
            if is_over {
                over.push(*id);
            } else if forgets || entry.in_grace || went_on {
                changed.push((*id, forgets, went_on));
            }
        }
        over.into_iter().for_each(|id| self.end(id, Ending::OfItsTime));
        for (id, forgets, went_on) in changed {
            self.change(id, |entry| {
                entry.judge(went_on, now);
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
            let first = self.addresses.get(&address).and_then(AddressUse::first).ok_or(NoPlace::Address)?;
            self.end(first, Ending::OfItsAddress);
            after = used;
        }
        let trust = self.limits.trust(proved, after);
        let of_providers = self.taken.get(&Trust::Provider).copied().unwrap_or_default();
        if trust == Trust::Provider && of_providers >= self.limits.of_providers() {
            let first = self.order.get(&Trust::Provider).and_then(BTreeSet::first);
            let first = first.and_then(|rank| rank.to_end(after)).ok_or(NoPlace::All)?;
            self.end(first, Ending::ForAnother);
        }
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

    /// Of addresses up to this trust the connection that others need least.
    fn first_to_end(&self, within: Trust, newcomer: usize) -> Option<u64> {
        self.order.range(..=within).find_map(|(_, ranks)| ranks.first()?.to_end(newcomer))
    }

    /// Those beyond a number lose their grace, the oldest first: a flood of new connections ends its own, and not all that idle.
    fn limit_young(&mut self, address: AddressKey, limited: bool) {
        let used = self.addresses.get(&address).filter(|_| limited);
        let of_address = used.and_then(|used| used.young_beyond(YOUNG_PER_ADDRESS_MAX));
        let of_all = oldest_beyond(&self.young, self.limits.young());
        for id in of_address.into_iter().chain(of_all) {
            self.change(id, |entry| entry.in_grace = false);
        }
    }

    fn end(&mut self, id: u64, ending: Ending) {
        let Some(entry) = self.connections.get(&id) else { return };
        entry.end.notify_one();
        self.counts.ended(ending);
        self.remove(id);
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut OpenConnection)) {
        let Some(entry) = self.connections.get_mut(&id) else { return };
        let before = Places::of(id, entry);
        change(entry);
        let (after, address) = (Places::of(id, entry), entry.address);
        self.of_address(address, |used| {
            used.take(&before);
            used.put(&after);
        });
        before.young.map(|at| self.young.remove(&at));
        self.young.extend(after.young);
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
            self.addresses.insert(entry.address, AddressUse::new(proved));
        }
        let places = Places::of(id, entry);
        self.of_address(entry.address, |used| {
            used.connections += 1;
            used.put(&places);
        });
        self.young.extend(places.young);
    }

    fn leave(&mut self, id: u64, entry: &OpenConnection) {
        let places = Places::of(id, entry);
        self.of_address(entry.address, |used| {
            used.connections -= 1;
            used.take(&places);
        });
        places.young.map(|at| self.young.remove(&at));
    }

    /// What the address proved may have changed.
    fn judge(&mut self, address: AddressKey, now: Duration) {
        let proved = self.proved_of(address, now);
        self.of_address(address, |used| used.proved = proved);
    }

    fn proved_of(&self, address: AddressKey, now: Duration) -> Trust {
        if address.is_proxy() { Trust::Proxy } else { self.known.trust(address, now) }
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
