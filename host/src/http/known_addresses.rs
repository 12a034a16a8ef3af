//! Which addresses proved lately who they are: providers by a webhook that verified, managers and customers by a session. It
//! decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use cashier_core::ids::{CustomerId, ManagerId};
use cashier_core::recent::Recent;

use crate::flows::KNOWN_ADDRESS_TIME_MAX;
use crate::http::client_address::AddressKey;
use crate::http::sender::Proof;

/// Addresses of providers, who send from tens.
const KNOWN_PROVIDERS_MAX: usize = 4_096;

/// Addresses of managers.
const KNOWN_MANAGERS_MAX: usize = 4_096;

/// Customers' networks, at some 200 bytes each; a customer who comes back often does within the hour.
const KNOWN_CUSTOMERS_MAX: usize = 65_536;

/// Networks of one customer or manager: phone, home and work; beyond it the one goes that was used longest ago.
const NETWORKS_PER_PERSON_MAX: usize = 8;

/// How long an address is known after a session.
pub(super) const SESSION_TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// What is known of an address, as far as places go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    Unknown,
    /// By a customer's session, or as a provider's sandbox.
    Customer,
    Manager,
    Provider,
    /// A trusted proxy, which stands for all.
    Proxy,
}

impl Trust {
    pub(super) const ALL: [Self; 5] = [Self::Unknown, Self::Customer, Self::Manager, Self::Provider, Self::Proxy];
}

/// The addresses that are known.
pub(super) struct KnownAddresses {
    providers: Recent<AddressKey>,
    sandboxes: Recent<AddressKey>,
    managers: KnownNetworks<ManagerId>,
    customers: KnownNetworks<CustomerId>,
}

/// Where each of many persons is known.
struct KnownNetworks<P> {
    recent: Recent<(P, AddressKey)>,
    /// How many of them are known at each address.
    shared: BTreeMap<AddressKey, usize>,
}

impl Default for KnownAddresses {
    fn default() -> Self {
        Self {
            providers: Recent::new(KNOWN_PROVIDERS_MAX, KNOWN_ADDRESS_TIME_MAX),
            sandboxes: Recent::new(KNOWN_PROVIDERS_MAX, KNOWN_ADDRESS_TIME_MAX),
            managers: KnownNetworks::new(KNOWN_MANAGERS_MAX),
            customers: KnownNetworks::new(KNOWN_CUSTOMERS_MAX),
        }
    }
}

impl KnownAddresses {
    /// Notes a proof, and returns the address that is forgotten for it.
    pub(super) fn proved(&mut self, address: AddressKey, proof: Proof, now: Duration) -> Option<AddressKey> {
        match proof {
            Proof::Nothing => None,
            Proof::Notice => self.providers.note(address, now),
            Proof::SandboxNotice => self.sandboxes.note(address, now),
            Proof::Manager(manager) => self.managers.proved((manager, address), now),
            Proof::Customer(customer) => self.customers.proved((customer, address), now),
        }
    }

    pub(super) fn trust(&self, address: AddressKey, now: Duration) -> Trust {
        if self.providers.contains(&address, now) {
            Trust::Provider
        } else if self.managers.knows(address) {
            Trust::Manager
        } else if self.customers.knows(address) || self.sandboxes.contains(&address, now) {
            Trust::Customer
        } else {
            Trust::Unknown
        }
    }

    /// Forgets whoever proved nothing for too long, and returns one such address; `None` once all are forgotten.
    pub(super) fn forget_old(&mut self, now: Duration) -> Option<AddressKey> {
        let notice = self.providers.forget_old(now).or_else(|| self.sandboxes.forget_old(now));
        let sender = notice.or_else(|| self.managers.forget_old(now));
        sender.or_else(|| self.customers.forget_old(now))
    }
}

impl<P: Copy + Ord> KnownNetworks<P> {
    fn new(most: usize) -> Self {
        Self { recent: Recent::new(most, SESSION_TIME_MAX), shared: BTreeMap::new() }
    }

    fn proved(&mut self, key: (P, AddressKey), now: Duration) -> Option<AddressKey> {
        let (person, address) = key;
        let networks = || self.recent.range((person, AddressKey::FIRST), (person, AddressKey::LAST));
        let is_new = networks().all(|(other, _)| other != key);
        let is_beyond = is_new && networks().count() >= NETWORKS_PER_PERSON_MAX;
        let oldest = is_beyond.then(|| networks().min_by_key(|(_, at)| *at)).flatten();
        oldest.iter().for_each(|(oldest, _)| self.recent.forget(oldest));
        if is_new {
            *self.shared.entry(address).or_default() += 1;
        }
        let beyond_all = self.recent.note(key, now);
        oldest.map(|(oldest, _)| oldest).or(beyond_all).map(|(_, address)| self.release(address))
    }

    fn knows(&self, address: AddressKey) -> bool {
        self.shared.contains_key(&address)
    }

    fn forget_old(&mut self, now: Duration) -> Option<AddressKey> {
        self.recent.forget_old(now).map(|(_, address)| self.release(address))
    }

    fn release(&mut self, address: AddressKey) -> AddressKey {
        if let Some(customers) = self.shared.get_mut(&address) {
            *customers -= 1;
            if *customers == 0 {
                self.shared.remove(&address);
            }
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn key(text: &str) -> AddressKey {
        AddressKey::from(text.parse::<IpAddr>().unwrap())
    }

    fn network(number: usize) -> AddressKey {
        key(&format!("2001:db8:0:{number:x}::1"))
    }

    #[test]
    fn b3_one_customer_is_known_at_eight_networks_and_a_provider_at_its_own_for_a_day() {
        let mut known = KnownAddresses::default();
        let (customer, other) = (Proof::Customer(CustomerId(1)), Proof::Customer(CustomerId(2)));
        assert_eq!(known.proved(key("203.0.113.7"), Proof::Notice, MINUTE), None);
        assert_eq!(known.proved(network(3), other, MINUTE), None);
        for number in 0..65_536 {
            known.proved(network(number), customer, 2 * MINUTE + Duration::from_millis(number as u64));
        }
        let is_known = |known: &KnownAddresses, number| known.trust(network(number), 4 * MINUTE) == Trust::Customer;
        let of_all: Vec<usize> = (0..65_536).filter(|number| is_known(&known, *number)).collect();
        let last = 65_536 - NETWORKS_PER_PERSON_MAX..65_536;
        assert_eq!(of_all, [3].into_iter().chain(last).collect::<Vec<_>>(), "the third is another customer's too");
        let later = Duration::from_hours(23);
        assert!(std::iter::from_fn(|| known.forget_old(later)).count() > NETWORKS_PER_PERSON_MAX);
        assert!(known.customers.shared.is_empty() && known.managers.shared.is_empty());
        assert_eq!(known.trust(key("203.0.113.7"), later), Trust::Provider);
        assert_eq!(known.trust(key("203.0.113.7"), Duration::from_hours(25)), Trust::Unknown);
    }
    #[test]
    fn b6_one_manager_is_known_at_eight_networks_and_pushes_no_other_one_out() {
        let mut known = KnownAddresses::default();
        let (manager, other) = (Proof::Manager(ManagerId(1)), Proof::Manager(ManagerId(2)));
        known.proved(key("203.0.113.7"), other, MINUTE);
        known.proved(network(3), other, MINUTE);
        for number in 0..2 * KNOWN_MANAGERS_MAX {
            known.proved(network(number), manager, 2 * MINUTE + Duration::from_millis(number as u64));
        }
        let of_all =
            (0..2 * KNOWN_MANAGERS_MAX).filter(|number| known.trust(network(*number), 3 * MINUTE) == Trust::Manager);
        let last = 2 * KNOWN_MANAGERS_MAX - NETWORKS_PER_PERSON_MAX..2 * KNOWN_MANAGERS_MAX;
        assert_eq!(of_all.collect::<Vec<_>>(), [3].into_iter().chain(last).collect::<Vec<_>>());
        assert_eq!(known.trust(key("203.0.113.7"), 3 * MINUTE), Trust::Manager);
    }
}
