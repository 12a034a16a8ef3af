//! Says once per listener that a peer looks like a proxy that the settings do not name: all clients behind it share the limits of
//! one address. It limits nothing.

use std::net::IpAddr;
use std::sync::Once;

use http::HeaderMap;

use super::client_address::TrustedProxies;

/// The listener that is for probes and collectors: theirs are no customers' proxies.
const PROBED: &str = "watch";

/// What one listener has said.
pub(super) struct ProxyHints {
    listener: &'static str,
    loopback: Once,
    forwarding: Once,
}

impl ProxyHints {
    pub(super) fn new(listener: &'static str) -> Self {
        Self { listener, loopback: Once::new(), forwarding: Once::new() }
    }

    /// A connection came.
    pub(super) fn connected(&self, peer: IpAddr, proxies: &TrustedProxies) {
        if self.listener != PROBED && proxies.is_unset_proxy(peer) {
            self.loopback.call_once(|| {
                tracing::warn!(
                    listener = self.listener,
                    "connections from this machine count for no limit per address: if a proxy sends them, name it in the \
                     settings, such as trusted_proxies = [\"127.0.0.1\", \"::1\"]; name any other to limit them too"
                );
            });
        }
    }

    /// A request came. Anybody may send the header, but who has a private address is near and may be a proxy.
    pub(super) fn requested(&self, peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) {
        let names_client = self.listener != PROBED && headers.contains_key("x-forwarded-for");
        if names_client && is_private(peer) && !proxies.stands_for_many(peer) {
            self.forwarding.call_once(|| {
                tracing::warn!(
                    listener = self.listener,
                    %peer,
                    "a peer with a private address sends x-forwarded-for and is not trusted: if it is a proxy, all its clients \
                     share the limits of one address; name it in the settings, such as trusted_proxies = [\"{peer}\"]"
                );
            });
        }
    }

    #[cfg(test)]
    pub(super) fn said(&self) -> (bool, bool) {
        (self.loopback.is_completed(), self.forwarding.is_completed())
    }
}

fn is_private(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use ipnet::IpNet;

    use super::*;

    #[test]
    fn b3_a_proxy_that_is_not_named_is_said_once_for_each_listener_that_has_clients() {
        let forwarded =
            HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_static("192.0.2.9"))]);
        let plain = HeaderMap::new();
        let table = [
            ("customer", "", "127.0.0.1", &plain, (true, false)),
            ("manager", "", "::1", &forwarded, (true, false)),
            ("watch", "", "127.0.0.1", &forwarded, (false, false)),
            ("customer", "", "172.18.0.5", &forwarded, (false, true)),
            ("customer", "192.0.2.1", "127.0.0.1", &forwarded, (false, true)),
            ("customer", "172.18.0.0/16", "172.18.0.5", &forwarded, (false, false)),
            ("customer", "", "172.18.0.5", &plain, (false, false)),
            ("manager", "", "fd00::7", &forwarded, (false, true)),
            ("watch", "", "172.18.0.5", &forwarded, (false, false)),
            ("customer", "", "198.51.100.9", &forwarded, (false, false)),
        ];
        for (listener, proxies, peer, headers, said) in table {
            let ranges = proxies.split_terminator(' ').map(|range| match range.parse::<IpNet>() {
                Ok(range) => range,
                Err(_) => IpNet::from(range.parse::<IpAddr>().unwrap()),
            });
            let (proxies, peer) = (TrustedProxies::from(ranges.collect::<Vec<_>>()), peer.parse().unwrap());
            let hints = ProxyHints::new(listener);
            hints.connected(peer, &proxies);
            hints.requested(peer, headers, &proxies);
            assert_eq!(hints.said(), said, "{listener} {peer}");
        }
    }
}
