//! Which connections a listener has, and which it ends for another: limits in all and per address, a reserve for addresses that
//! have proved who they are, and the times that an idle connection and a half-sent head may take. It reads no byte.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::client_address::AddressKey;
use super::connection::{Connection, Phase, millis_since};

/// How long a TLS handshake or the head of a request may take from its first byte: a half-sent request must not hold a
/// connection for long.
pub(super) const HEADER_TIME_MAX: Duration = Duration::from_secs(5);

/// Half-sent heads of one address at once. A head usually comes in one packet, so that many at once are no browser's, nor those
/// of the customers behind one address.
pub(super) const HEADS_PER_ADDRESS_MAX: usize = 64;

/// How long an address may use the reserve after it proved who it is: a provider's next notice and a customer's next visit
/// often come within the hour.
const KNOWN_TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// Addresses that are known at once, at some 50 bytes each. More are not remembered until the oldest are forgotten.
const KNOWN_ADDRESSES_MAX: usize = 65_536;

/// Waiting connections of one unknown address that are a crowd, and which part of a crowd ends at once.
const CROWD_MIN: usize = 256;
const CROWD_PART: usize = 8;

/// In which order waiting connections end: proven, known, how many of the address, answered before, since when.
type WaitingRank = (bool, bool, Reverse<usize>, bool, u64);

/// How often connections are judged by their time.
pub(super) const SWEEP_PAUSE: Duration = Duration::from_millis(500);

/// The limits of one listener.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// OpenConnections connections.
    pub all: usize,
    /// How many of them addresses alone may use that proved who they are within the hour.
    pub reserved: usize,
    /// Connections of one address, and requests of one at once where a proxy reports it; 0 is no limit.
    pub per_address: usize,
    /// How long a connection may wait for a request.
    pub idle: Duration,
}

/// The connections of one listener.
pub(super) struct Connections {
    limits: ConnectionLimits,
    epoch: Instant,
    open: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    next: u64,
    connections: BTreeMap<u64, Arc<Connection>>,
    /// Those among them whose address may not use the reserve.
    unknown: usize,
    addresses: BTreeMap<AddressKey, AddressUse>,
    /// When each address last proved who it is.
    known: BTreeMap<AddressKey, Instant>,
}

/// What one address uses at present.
#[derive(Default)]
struct AddressUse {
    connections: usize,
    heads: Arc<AtomicUsize>,
    requests: usize,
}

/// A peer that wants a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newcomer {
    pub(super) address: IpAddr,
    /// Whether the limits per address apply.
    pub(super) limited: bool,
    /// Whether it may use the reserve without a proof of its own: a trusted proxy.
    pub(super) trusted: bool,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, epoch: Instant::now(), open: Mutex::default() })
    }

    /// A place for a new connection. Where none is free, the connection ends that has waited longest for a request, of the address
    /// that has most of them; `None` where every one is being answered, or the free ones are reserved.
    pub(super) fn admit(self: &Arc<Self>, newcomer: Newcomer) -> Option<Arc<AdmittedConnection>> {
        let address = AddressKey::from(newcomer.address);
        let mut open = self.lock();
        let known = newcomer.trusted || open.is_known(address);
        let limited = newcomer.limited && self.limits.per_address > 0;
        let used = open.addresses.get(&address).map_or(0, |used| used.connections);
        if limited && used >= self.limits.per_address && !open.end_longest_waiting(|other| other.address == address) {
            return None;
        }
        let full = open.connections.len() >= self.limits.all;
        if !known && open.unknown >= self.limits.all.saturating_sub(self.limits.reserved) {
            if !open.free_places(|other| !other.known.load(Ordering::Relaxed)) {
                return None;
            }
        } else if full && !open.free_places(|_| true) {
            return None;
        }
        let used = open.addresses.entry(address).or_default();
        used.connections += 1;
        let heads = Arc::clone(&used.heads);
        let connection = Arc::new(Connection::new(address, limited, known, self.epoch, heads));
        open.unknown += usize::from(!known);
        open.next += 1;
        let id = open.next;
        open.connections.insert(id, Arc::clone(&connection));
        Some(Arc::new(AdmittedConnection { connections: Arc::clone(self), connection, id }))
    }

    /// A request of an address that a proxy reports; `None` where it has too many at once.
    pub(super) fn begin_request(self: &Arc<Self>, client: IpAddr) -> Option<RequestOfAddress> {
        let address = AddressKey::from(client);
        let mut open = self.lock();
        let used = open.addresses.entry(address).or_default();
        if self.limits.per_address > 0 && used.requests >= self.limits.per_address {
            return None;
        }
        used.requests += 1;
        Some(RequestOfAddress { connections: Arc::clone(self), address })
    }

    /// Ends what has waited too long, and forgets addresses that were not seen for long.
    pub(super) fn sweep(&self) {
        let now = millis_since(self.epoch);
        let mut open = self.lock();
        let over = |connection: &Connection| {
            let (phase, since) = connection.phase();
            let waits_max = match phase {
                Phase::Fresh | Phase::Idle => self.limits.idle,
                Phase::Head => HEADER_TIME_MAX,
                Phase::Busy | Phase::Flushing | Phase::Ended => return false,
            };
            u128::from(now.saturating_sub(since)) >= waits_max.as_millis()
        };
        let over: Vec<u64> =
            open.connections.iter().filter(|(_, connection)| over(connection)).map(|(id, _)| *id).collect();
        for id in over {
            open.end(id);
        }
        open.known.retain(|_, seen| seen.elapsed() < KNOWN_TIME_MAX);
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let open = self.lock();
        (open.connections.len(), open.addresses.len())
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        // Counts stay whole where a holder panicked: each change is one statement.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    fn is_known(&self, address: AddressKey) -> bool {
        self.known.get(&address).is_some_and(|seen| seen.elapsed() < KNOWN_TIME_MAX)
    }

    fn remember(&mut self, address: AddressKey) {
        if self.known.len() < KNOWN_ADDRESSES_MAX || self.known.contains_key(&address) {
            self.known.insert(address, Instant::now());
        }
    }

    /// Ends the connection among these that others need least; false where none of them waits.
    fn end_longest_waiting(&mut self, among: impl Fn(&Connection) -> bool) -> bool {
        let candidates = self.connections.iter().filter(|(_, connection)| among(connection));
        let chosen = candidates.filter_map(|(id, connection)| Some((self.rank(connection)?, *id))).min();
        // A request that began meanwhile keeps its connection; the next newcomer ends another.
        chosen.is_some_and(|(_, id)| self.end(id))
    }

    /// The same among all of these, and where they are a crowd of one unknown address a part of the crowd at once: looking at every
    /// connection for each newcomer would be slower than a flood.
    fn free_places(&mut self, among: impl Fn(&Connection) -> bool) -> bool {
        let ranked = |open: &Self, among: &dyn Fn(&Connection) -> bool| -> Vec<(WaitingRank, u64)> {
            let waiting = open.connections.iter().filter(|(_, connection)| among(connection));
            waiting.filter_map(|(id, connection)| Some((open.rank(connection)?, *id))).collect()
        };
        let all = ranked(self, &among);
        let Some((_, first)) = all.iter().min() else { return false };
        let Some(crowd) = self.connections.get(first).map(|connection| connection.address) else { return false };
        let of_crowd = |connection: &Connection| {
            connection.address == crowd && !connection.known.load(Ordering::Relaxed) && among(connection)
        };
        let mut crowd = ranked(self, &of_crowd);
        if crowd.len() < CROWD_MIN {
            return self.end_longest_waiting(among);
        }
        crowd.sort_unstable();
        crowd.truncate(crowd.len() / CROWD_PART);
        let mut ended = false;
        for (_, id) in crowd {
            ended |= self.end(id);
        }
        ended
    }

    /// Who ends first: the lowest; `None` for one that is being answered.
    fn rank(&self, connection: &Connection) -> Option<WaitingRank> {
        let (phase, since) = connection.phase();
        let answered_before = match phase {
            Phase::Fresh | Phase::Head => false,
            Phase::Idle => true,
            Phase::Busy | Phase::Flushing | Phase::Ended => return None,
        };
        let of_address = self.addresses.get(&connection.address).map_or(0, |used| used.connections);
        let (known, proven) = (connection.known.load(Ordering::Relaxed), connection.proven.load(Ordering::Relaxed));
        Some((proven, known, Reverse(of_address), answered_before, since))
    }

    fn end(&mut self, id: u64) -> bool {
        let ends = self.connections.get(&id).is_some_and(|connection| connection.end_waiting());
        if ends {
            self.remove(id);
        }
        ends
    }

    fn remove(&mut self, id: u64) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.unknown -= usize::from(!connection.known.load(Ordering::Relaxed));
        self.release(connection.address, |used| used.connections -= 1);
    }

    fn release(&mut self, address: AddressKey, give_back: impl FnOnce(&mut AddressUse)) {
        if let Some(used) = self.addresses.get_mut(&address) {
            give_back(used);
            if used.connections == 0 && used.requests == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

/// A connection that was admitted. Its place is free again once the last of these is dropped.
pub(super) struct AdmittedConnection {
    connections: Arc<Connections>,
    connection: Arc<Connection>,
    id: u64,
}

impl AdmittedConnection {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Bytes came: a head begins unless a request is being answered. Too many at once of one address end the oldest.
    pub(super) fn head_begun(&self) {
        let begun = self.connection.step(&[Phase::Fresh, Phase::Idle], Phase::Head);
        if begun && self.connection.limited && self.connection.heads() > HEADS_PER_ADDRESS_MAX {
            let address = self.connection.address;
            let half_sent = |other: &Connection| other.address == address && other.phase().0 == Phase::Head;
            self.connections.lock().end_longest_waiting(half_sent);
        }
    }

    /// The sender proved who they are: their address may use the reserve from now on.
    pub(super) fn proved(&self) {
        if self.connection.proven.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut open = self.connections.lock();
        open.remember(self.connection.address);
        let is_open = open.connections.contains_key(&self.id);
        if !self.connection.known.swap(true, Ordering::Relaxed) && is_open {
            open.unknown -= 1;
        }
    }
}

impl Drop for AdmittedConnection {
    fn drop(&mut self) {
        let all = [Phase::Fresh, Phase::Idle, Phase::Head, Phase::Busy, Phase::Flushing];
        self.connection.step(&all, Phase::Ended);
        let mut open = self.connections.lock();
        if self.connection.proven.load(Ordering::Relaxed) {
            open.remember(self.connection.address);
        }
        open.remove(self.id);
    }
}

/// A request under way that counts for the address that sent it.
pub(super) struct RequestOfAddress {
    connections: Arc<Connections>,
    address: AddressKey,
}

impl Drop for RequestOfAddress {
    fn drop(&mut self) {
        self.connections.lock().release(self.address, |used| used.requests -= 1);
    }
}

#[cfg(test)]
mod tests;
