//! How many connections a listener has, for whom, and how long they may wait. It counts nothing.

use std::time::Duration;

use super::known_addresses::Trust;

/// How long the head of a request may take from its first byte: a half-sent request must not hold a connection for long.
pub(super) const HEADER_TIME_MAX: Duration = Duration::from_secs(5);

/// Half-sent heads of one address at once. A head usually comes in one packet, so that many at once are no browser's, nor those
/// of the customers behind one address.
pub(super) const HEADS_PER_ADDRESS_MAX: usize = 64;

/// How long a new connection or a head, the next part of a body, or of an answer, may take before the connection may end for
/// another: most take one round trip.
pub(super) const GRACE_TIME_MAX: Duration = Duration::from_secs(1);

/// How much of a body or of an answer goes on from one sweep to the next where its client is on time.
pub(super) const PROGRESS_BYTES_MIN: usize = 16 * 1024;

/// Connections of one address that were of no use yet and are on time; beyond it the oldest may end at once.
pub(super) const YOUNG_PER_ADDRESS_MAX: usize = 64;

/// Which part of a listener such connections of all addresses may be.
const YOUNG_PART: usize = 4;

/// At least.
const YOUNG_MIN: usize = 16;

/// Which part of a listener is for providers: they open a connection for a webhook, and some leave it open.
const PROVIDERS_PART: usize = 2;

/// How often connections are judged by their time.
pub(super) const SWEEP_PAUSE: Duration = Duration::from_millis(500);

/// Which part of the places that are not reserved one unknown address may have: so that a small listener is not one address's.
const UNKNOWN_ADDRESS_PART: usize = 4;

/// Which part of the reserve is for providers, managers and proxies alone.
const NO_CUSTOMERS_PART: usize = 4;

/// Which part of the reserve an address that only customers' sessions proved may use: one customer has up to eight of them.
const CUSTOMER_ADDRESS_PART: usize = 64;

/// At least: a browser opens some at once.
const CUSTOMER_CONNECTIONS_MIN: usize = 4;

/// The limits of one listener.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Open connections.
    pub all: usize,
    /// How many of them addresses alone may use that proved lately who they are.
    pub reserved: usize,
    /// Connections of one address, and requests of one at once where a proxy reports it; 0 is no limit.
    pub per_address: usize,
    /// How long a connection may wait for a request.
    pub idle: Duration,
}

impl ConnectionLimits {
    /// Connections of one address that proved this.
    pub(super) fn of_address(&self, proved: Trust) -> usize {
        let part = self.of_trust(Trust::Unknown) / UNKNOWN_ADDRESS_PART;
        match (self.per_address, proved) {
            // One that sends again what was not answered has many at once.
            (0, _) | (_, Trust::Provider | Trust::Proxy) => usize::MAX,
            (most, Trust::Unknown) => most.min(part.max(1)),
            (most, Trust::Customer | Trust::Manager) => most,
        }
    }

    /// Connections of all addresses up to this trust.
    pub(super) fn of_trust(&self, trust: Trust) -> usize {
        let kept = match trust {
            Trust::Unknown => self.reserved,
            Trust::Customer => self.reserved / NO_CUSTOMERS_PART,
            Trust::Manager | Trust::Provider | Trust::Proxy => 0,
        };
        self.all.saturating_sub(kept)
    }

    /// Connections of all providers.
    pub(super) fn of_providers(&self) -> usize {
        (self.all / PROVIDERS_PART).max(1)
    }

    /// Connections of all addresses that were of no use yet and are on time.
    pub(super) fn young(&self) -> usize {
        (self.all / YOUNG_PART).max(YOUNG_MIN)
    }

    /// What a proof is worth with so many connections: customers' sessions are no key to the whole reserve.
    pub(super) fn trust(&self, proved: Trust, connections: usize) -> Trust {
        let most = (self.reserved / CUSTOMER_ADDRESS_PART).max(CUSTOMER_CONNECTIONS_MIN);
        match proved {
            Trust::Customer if connections > most => Trust::Unknown,
            Trust::Unknown | Trust::Customer | Trust::Manager | Trust::Provider | Trust::Proxy => proved,
        }
    }
}
