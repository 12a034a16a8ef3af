//! Whose address a request counts for: the peer's, or the one that a trusted proxy reports. It counts nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use cashier_core::network::network_of;
use http::HeaderMap;
use ipnet::IpNet;

/// An address as limits count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AddressKey {
    /// A trusted proxy counts for itself, whoever else has its network.
    is_proxy: bool,
    network: IpAddr,
}

impl AddressKey {
    pub(super) const FIRST: Self = Self { is_proxy: false, network: IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    pub(super) const LAST: Self = Self { is_proxy: true, network: IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)) };

    pub(super) fn of_proxy(address: IpAddr) -> Self {
        Self { is_proxy: true, network: address.to_canonical() }
    }

    pub(super) fn is_proxy(self) -> bool {
        self.is_proxy
    }
}

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        Self { is_proxy: false, network: network_of(address) }
    }
}

/// Proxies whose `x-forwarded-for` is believed.
#[derive(Debug, Clone)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl From<Vec<IpNet>> for TrustedProxies {
    fn from(ranges: Vec<IpNet>) -> Self {
        Self(ranges.into())
    }
}

impl TrustedProxies {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }

    /// Whether the peer stands for many clients, so that its connections count for no limit per address. A peer on this machine
    /// is taken for a proxy until the settings say which ones are.
    pub(super) fn stands_for_many(&self, peer: IpAddr) -> bool {
        self.contains(peer) || self.is_unset_proxy(peer)
    }

    /// A peer on this machine while no proxy is set: every client behind it has one address.
    pub(super) fn is_unset_proxy(&self, peer: IpAddr) -> bool {
        self.0.is_empty() && peer.to_canonical().is_loopback()
    }

    /// The client's address: the peer's, or the last hop that is not a trusted proxy. Hops before one that cannot be read
    /// may be forged.
    pub(super) fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.contains(nearest) {
            return nearest;
        }
        let lines = headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or_default());
        let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop_address(hop) else { return nearest };
            nearest = hop.to_canonical();
            if !self.contains(nearest) {
                return nearest;
            }
        }
        nearest
    }
}

/// An address with or without a port; an IPv6 address also in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse() {
        return Some(address);
    }
    if let Ok(address) = hop.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    let inside = hop.strip_prefix('[')?.strip_suffix(']')?;
    inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies(ranges: &[&str]) -> TrustedProxies {
        ranges.iter().map(|range| range.parse().unwrap()).collect::<Vec<IpNet>>().into()
    }

    #[test]
    fn b3_only_trusted_proxies_set_the_client_address() {
        let trusted = proxies(&["10.0.0.1/32", "10.0.0.2/32", "172.16.0.0/12", "2001:db8:ffff::/48"]);
        let table = [
            ("192.0.2.9", "203.0.113.5", "192.0.2.9"),
            ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
            ("10.0.0.1", "198.51.100.1, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
            ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
            ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
            ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
            ("10.0.0.1", "6.6.6.6, [2001:db8::1]:4711, 172.31.255.255", "2001:db8::1"),
            ("172.20.1.1", "203.0.113.5", "203.0.113.5"),
            ("172.32.1.1", "203.0.113.5", "172.32.1.1"),
            ("2001:db8:ffff:1::7", "203.0.113.5", "203.0.113.5"),
            ("10.0.0.1", "garbage", "10.0.0.1"),
            ("10.0.0.1", "[203.0.113.5]", "10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "6.6.6.6, garbage, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "6.6.6.6, 203.0.113.5:4711", "203.0.113.5"),
            ("::ffff:10.0.0.1", "::ffff:203.0.113.5", "203.0.113.5"),
            ("::ffff:192.0.2.9", "203.0.113.5", "192.0.2.9"),
        ];
        for (peer, forwarded, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", HeaderValue::from_static(forwarded));
            assert_eq!(trusted.client_of(ip(peer), &headers), ip(expected), "{peer} {forwarded}");
        }
    }

    #[test]
    fn b3_loopback_stands_for_many_until_a_proxy_is_set() {
        let (unset, set) = (proxies(&[]), proxies(&["10.0.0.1/32"]));
        let table = [
            ("127.0.0.1", true, false),
            ("127.0.0.2", true, false),
            ("::1", true, false),
            ("::ffff:127.0.0.1", true, false),
            ("192.0.2.9", false, false),
            ("10.0.0.1", false, true),
        ];
        for (peer, while_unset, once_set) in table {
            assert_eq!(unset.stands_for_many(ip(peer)), while_unset, "{peer}");
            assert_eq!(set.stands_for_many(ip(peer)), once_set, "{peer}");
        }
    }

    #[test]
    fn b3_addresses_of_one_ipv6_network_count_as_one() {
        let key = |text| AddressKey::from(ip(text));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.9"), key("192.0.2.9"));
        assert_ne!(key("192.0.2.9"), key("192.0.2.10"));
    }
}
