//! Classifies network addresses: a pure table. It does not know names, ports or TLS.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressKind {
    /// Routed on the internet.
    Public,
    Loopback,
    /// RFC 1918, RFC 4193, and the carrier's RFC 6598.
    Private,
    /// The machine's own network segment; also where clouds serve credentials (169.254.169.254).
    LinkLocal,
    /// A cloud's own service behind a public-looking address.
    Metadata,
    /// Documentation, benchmarks, tunnels, mappings: no provider is there.
    Reserved,
    /// Not a host: unspecified, multicast, broadcast.
    NotAHost,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a metadata service",
            Self::Reserved => "reserved",
            Self::NotAHost => "not a host",
        })
    }
}

/// Classifies an address by IANA's special-purpose registries (RFC 6890 and its updates).
pub(super) fn kind(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        [0, ..] | [224..=239, ..] | [255, 255, 255, 255] => AddressKind::NotAHost,
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => AddressKind::Private,
        [169, 254, ..] => AddressKind::LinkLocal,
        // Azure's agent; the others' are link-local, in 100.64/10 or in 192.0.0/24.
        [168, 63, 129, 16] => AddressKind::Metadata,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            AddressKind::Reserved
        }
        [240..=255, ..] => AddressKind::Reserved,
        [_, _, _, _] => AddressKind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> AddressKind {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => AddressKind::NotAHost,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        // NAT64: the network translates, so the IPv4 address behind it decides.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            match kind_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))) {
                AddressKind::Public => AddressKind::Public,
                AddressKind::Loopback
                | AddressKind::Private
                | AddressKind::LinkLocal
                | AddressKind::Metadata
                | AddressKind::Reserved
                | AddressKind::NotAHost => AddressKind::Reserved,
            }
        }
        // Teredo and other protocol assignments, documentation, 6to4.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => {
            AddressKind::Reserved
        }
        // Only 2000::/3 is global unicast: mapped, compatible, site-local and unassigned addresses are not.
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        [_, _, _, _, _, _, _, _] => AddressKind::Reserved,
    }
}

/// A range of addresses: `10.1.0.0/16`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressRange {
    first: IpAddr,
    prefix: u8,
}

impl AddressRange {
    /// Reads CIDR notation; `None` when the prefix is too long, or bits beyond it are set, which is a typing error.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (first, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
        let (bits, width) = bits(first);
        let beyond = u32::from(width.checked_sub(prefix)?);
        let clean = beyond == 0 || bits.trailing_zeros() >= beyond || bits == 0;
        clean.then_some(Self { first, prefix })
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        let ((first, first_width), (other, other_width)) = (bits(self.first), bits(address));
        let beyond = u32::from(first_width.saturating_sub(self.prefix));
        first_width == other_width && first.checked_shr(beyond).unwrap_or(0) == other.checked_shr(beyond).unwrap_or(0)
    }
}

fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_classified() {
        use AddressKind::*;
        let table = [
            ("8.8.8.8", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("192.0.1.1", Public),
            ("198.20.0.0", Public),
            ("223.255.255.255", Public),
            ("0.0.0.0", NotAHost),
            ("0.1.2.3", NotAHost),
            ("224.0.0.1", NotAHost),
            ("239.255.255.255", NotAHost),
            ("255.255.255.255", NotAHost),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("10.0.0.0", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("100.64.0.1", Private),
            ("100.100.100.200", Private),
            ("100.127.255.255", Private),
            ("169.254.169.254", LinkLocal),
            ("168.63.129.16", Metadata),
            ("192.0.0.192", Reserved),
            ("192.0.2.1", Reserved),
            ("192.88.99.1", Reserved),
            ("198.18.0.1", Reserved),
            ("198.19.255.255", Reserved),
            ("198.51.100.1", Reserved),
            ("203.0.113.1", Reserved),
            ("240.0.0.1", Reserved),
            ("255.255.255.254", Reserved),
            ("2606:4700::1111", Public),
            ("2a00:1450::1", Public),
            ("64:ff9b::8.8.8.8", Public),
            ("::", NotAHost),
            ("ff02::1", NotAHost),
            ("::1", Loopback),
            ("fc00::1", Private),
            ("fd00:ec2::254", Private),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fec0::1", Reserved),
            ("::ffff:8.8.8.8", Reserved),
            ("::ffff:127.0.0.1", Reserved),
            ("::127.0.0.1", Reserved),
            ("64:ff9b::10.0.0.1", Reserved),
            ("64:ff9b::169.254.169.254", Reserved),
            ("64:ff9b:1::1", Reserved),
            ("100::1", Reserved),
            ("2001::1", Reserved),
            ("2001:1ff::1", Reserved),
            ("2001:200::1", Public),
            ("2001:db8::1", Reserved),
            ("2002:7f00:1::", Reserved),
            ("3fff::1", Reserved),
            ("4000::1", Reserved),
        ];
        for (address, expected) in table {
            assert_eq!(kind(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_range_contains_the_addresses_of_its_prefix() {
        let contains =
            |range: &str, address: &str| AddressRange::parse(range).unwrap().contains(address.parse().unwrap());
        assert!(contains("10.1.0.0/16", "10.1.255.255") && !contains("10.1.0.0/16", "10.2.0.0"));
        assert!(contains("10.1.2.3/32", "10.1.2.3") && !contains("10.1.2.3/32", "10.1.2.2"));
        assert!(contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fe00::1"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "::1"), "families are not mixed");
        assert!(contains("::/0", "ffff::1"));
        for wrong in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "fd00::/129", "x/8", "10.0.0.0/", "10.0.0.0/-1", "::1/0"]
        {
            assert_eq!(AddressRange::parse(wrong), None, "{wrong}");
        }
    }
}
