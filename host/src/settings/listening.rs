//! What the listeners obey: proxies, origins, hosts of return URLs, and which of them may speak plain HTTP beyond this machine.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use super::values::texts;
use super::wrong::Wrong;
use crate::json_object::{Described, Schema};
use crate::text_file::trimmed;
use crate::web_url;

/// Bits before the IPv4 address in an IPv6 address that stands for one.
const MAPPED_BITS: u8 = 96;

/// Connections of one address: the customers of a carrier who share one, several connections each.
const CONNECTIONS_PER_ADDRESS: u32 = 256;

/// How long a connection may wait for a request, in seconds: longer than proxies keep theirs, which are 60 by default.
const IDLE_SECONDS: u32 = 75;

/// How long a stop serves on, in seconds: balancers ask for readiness every few.
const STOP_DELAY_SECONDS: u32 = 5;

/// Longest wait that may be set, in seconds: more is a misspelt number.
const WAIT_SECONDS_MAX: u32 = 24 * 60 * 60;

/// Addresses, as `10.0.0.1`, `10.0.0.0/8` or `2001:db8::/32`.
#[derive(Debug, Clone, Copy)]
pub struct ProxyRange(IpNet);

impl<'de> Deserialize<'de> for ProxyRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(RangeVisitor)
    }
}

/// Judges the text while the parser is at its place, so that the error has its line.
struct RangeVisitor;

impl Visitor<'_> for RangeVisitor {
    type Value = ProxyRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IP address or a range such as 10.0.0.0/8")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ProxyRange, E> {
        ProxyRange::parse(text).map_err(E::custom)
    }
}

impl ProxyRange {
    fn parse(text: &str) -> Result<Self, String> {
        let text = trimmed(text);
        let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let range = range.map_err(|_| format!("{text:?} is no IP address and no range such as 10.0.0.0/8"))?;
        if range.addr() != range.network() {
            return Err(format!("{text} is no range: the one with this address is {}", range.trunc()));
        }
        Ok(Self(match range.network() {
            IpAddr::V6(v6) if range.prefix_len() >= MAPPED_BITS => match v6.to_ipv4_mapped() {
                Some(v4) => IpNet::new(v4.into(), range.prefix_len() - MAPPED_BITS).unwrap_or(range),
                None => range,
            },
            IpAddr::V4(_) | IpAddr::V6(_) => range,
        }))
    }
}

impl Described for ProxyRange {
    fn schema() -> Schema {
        String::schema()
    }
}

pub(super) fn ranges(written: Option<Vec<ProxyRange>>) -> Vec<IpNet> {
    written.into_iter().flatten().map(|range| range.0).collect()
}

pub(super) fn per_address(written: Option<u32>) -> usize {
    usize::try_from(written.unwrap_or(CONNECTIONS_PER_ADDRESS)).unwrap_or(usize::MAX)
}

pub(super) fn idle(key: &'static str, written: Option<u32>) -> Result<Duration, Wrong> {
    match written.unwrap_or(IDLE_SECONDS) {
        0 => Err(Wrong::new(key, "= 0 would close every connection before its first request")),
        seconds => wait(key, seconds),
    }
}

pub(super) fn stop_delay(key: &'static str, written: Option<u32>) -> Result<Duration, Wrong> {
    wait(key, written.unwrap_or(STOP_DELAY_SECONDS))
}

fn wait(key: &'static str, seconds: u32) -> Result<Duration, Wrong> {
    if seconds > WAIT_SECONDS_MAX {
        return Err(Wrong::new(key, format!("= {seconds} is more than a day")));
    }
    Ok(Duration::from_secs(seconds.into()))
}

/// Origins as browsers send them, so that comparing texts is enough.
pub(super) fn origins(key: &'static str, written: Option<Vec<String>>) -> Result<Vec<Box<str>>, Wrong> {
    let entries = texts(key, written)?;
    let origin = |text: String| {
        let url = web_url::parse(&text);
        let sent = url.map(|url| url.origin().ascii_serialization());
        match sent {
            _ if text.contains('*') => Err(Wrong::new(key, format!("has {text:?}: name each origin"))),
            Ok(sent) if sent == text => Ok(sent.into()),
            Ok(sent) => Err(Wrong::new(key, format!("has {text:?}, which browsers send as {sent:?}"))),
            Err(problem) => Err(Wrong::new(key, format!("has {text:?}, which is no origin: it {problem}"))),
        }
    };
    entries.into_iter().map(origin).collect()
}

/// Hosts by brand, in lower case.
pub(super) fn return_hosts(
    key: &'static str,
    written: Option<BTreeMap<String, Vec<String>>>,
) -> Result<BTreeMap<Box<str>, Vec<Box<str>>>, Wrong> {
    let of_brand = |(brand, hosts): (String, Vec<String>)| {
        let written = brand;
        let brand = trimmed(&written);
        let of_key = |wrong: Wrong| wrong.of(&written);
        let hosts = texts(key, Some(hosts)).map_err(of_key)?.into_iter().map(|host| host.to_ascii_lowercase());
        let hosts: Vec<Box<str>> = hosts.map(Box::from).collect();
        match hosts.iter().find(|host| !is_host(host)) {
            Some(host) => {
                let what = format!(
                    "has {host:?} for {brand}: write a host such as \"shop.example\", \"shop.example:8443\" \
                                    or \"*.shop.example\""
                );
                Err(Wrong::new(key, what).of(&written))
            }
            None => Ok((brand.into(), hosts)),
        }
    };
    written.into_iter().flatten().map(of_brand).collect()
}

/// Whether a URL may have this host, as it is compared: without a dot or an empty port behind it. `*.` before it stands for
/// one label.
fn is_host(host: &str) -> bool {
    let host = host.strip_prefix("*.").unwrap_or(host);
    let url = web_url::parse(&format!("https://{host}/"));
    !host.contains('*')
        && !host.ends_with(':')
        && url.is_ok_and(|url| {
            !url.host_str().is_some_and(|name| name.ends_with('.'))
                && url.path() == "/"
                && url.query().is_none()
                && host.starts_with(url.host_str().unwrap_or("/"))
        })
}

/// Refuses a manager or watch listener that others could read, unless the settings allow that.
pub(super) fn plain_listeners(
    key: &'static str,
    written: Option<Vec<String>>,
    listeners: [(&'static str, &'static str, SocketAddr, bool); 2],
) -> Result<(), Wrong> {
    let allowed = texts(key, written)?;
    let names = listeners.map(|(_, name, _, _)| name);
    if let Some(unknown) = allowed.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Wrong::new(key, format!("names {unknown:?}: it may name {}", names.join(", "))));
    }
    for (listen, name, address, is_tls) in listeners {
        if !is_tls && !address.ip().to_canonical().is_loopback() && !allowed.iter().any(|other| other == name) {
            let cure = if name == "manager" { "set tls_certificate_file and tls_key_file, or " } else { "" };
            let what = format!(
                "= {address} is reached from other machines without TLS: {cure}say {key} = [\"{name}\"] if the network \
                 between is private"
            );
            return Err(Wrong::new(listen, what));
        }
    }
    Ok(())
}
