//! Addresses from which a webhook verified lately.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses that are remembered because a webhook of theirs verified; providers send from tens.
const KNOWN_ADDRESSES_MAX: usize = 4_096;

/// How long an address is known after a webhook of it verified: a provider with one payment a day stays known.
const KNOWN_ADDRESS_TIME: Duration = Duration::from_hours(24);

/// When a webhook from each address last verified.
#[derive(Debug, Default)]
pub(super) struct KnownSenders(BTreeMap<IpAddr, Duration>);

impl KnownSenders {
    pub(super) fn is_known(&self, address: IpAddr, now: Duration) -> bool {
        self.0.get(&address).is_some_and(|at| is_recent(*at, now))
    }

    pub(super) fn proved(&mut self, address: IpAddr, now: Duration) {
        if self.0.len() >= KNOWN_ADDRESSES_MAX && !self.0.contains_key(&address) {
            let oldest = self.0.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address);
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(address, now);
    }

    pub(super) fn forget_idle(&mut self, now: Duration) {
        self.0.retain(|_, at| is_recent(*at, now));
    }
}

fn is_recent(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) < KNOWN_ADDRESS_TIME
}
