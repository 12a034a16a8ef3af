//! Which addresses are one sender's: every limit and count by address uses this rule.

use std::net::{IpAddr, Ipv6Addr};

/// The address of IPv4, in IPv6 spelling too; the first 64 bits of any other IPv6 address, since a subscriber has a network of
/// that size (RFC 6177) and could use a new address for each request.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        one => one,
    }
}
