//! To which hosts a brand's customers may be sent back. A provider sends the customer to the URL of the request, and a page in
//! the broker's name elsewhere could ask for anything.

use std::collections::BTreeMap;

use cashier_core::deposit::DepositRequest;
use cashier_core::refusal::Refusal;
use url::Url;

/// Hosts by brand, in lower case. A brand that is not named may use any.
#[derive(Debug, Clone, Default)]
pub struct ReturnHosts(BTreeMap<Box<str>, Vec<Box<str>>>);

impl From<BTreeMap<Box<str>, Vec<Box<str>>>> for ReturnHosts {
    fn from(hosts: BTreeMap<Box<str>, Vec<Box<str>>>) -> Self {
        Self(hosts)
    }
}

impl ReturnHosts {
    pub(super) fn brands(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|brand| &**brand)
    }

    /// # Errors
    /// 400 INVALID_DATA naming the field and its host.
    pub(super) fn check(&self, brand: &str, request: &DepositRequest) -> Result<(), Refusal> {
        let Some(hosts) = self.0.get(brand) else { return Ok(()) };
        for (field, text) in [("success_url", &request.success_url), ("failure_url", &request.failure_url)] {
            if text.is_empty() {
                continue;
            }
            let url = Url::parse(text).ok();
            let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().trim_end_matches('.');
            let port = url.as_ref().and_then(Url::port_or_known_default);
            if !hosts.iter().any(|allowed| allows(allowed, host, port)) {
                return Err(Refusal::invalid(format!(
                    "{field} leads to {host:?}, to which {brand} sends no customers"
                )));
            }
        }
        Ok(())
    }
}

/// A host without a port allows every port of it; `*.` before it stands for one label.
fn allows(allowed: &str, host: &str, port: Option<u16>) -> bool {
    let (name, wanted) = match allowed.rsplit_once(':') {
        Some((name, digits)) if !digits.ends_with(']') => (name, Some(digits)),
        Some(_) | None => (allowed, None),
    };
    let same = match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => host == name,
    };
    same && wanted.is_none_or(|wanted| port.is_some_and(|port| wanted == port.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_whole_with_its_port_where_one_is_set() {
        let table = [
            ("shop.example", "https://shop.example/ok", true),
            ("shop.example", "https://SHOP.example:8443/ok?x=1#y", true),
            ("shop.example", "https://shop.example./", true),
            ("shop.example", "https://shop.example.evil.example/", false),
            ("shop.example", "https://evil.example/shop.example", false),
            ("shop.example", "https://evil.example/?@shop.example", false),
            ("shop.example", "https://notshop.example/", false),
            ("shop.example:8443", "https://shop.example:8443/", true),
            ("shop.example:8443", "https://shop.example/", false),
            ("shop.example:443", "https://shop.example/", true),
            ("*.shop.example", "https://eu.shop.example/", true),
            ("*.shop.example", "https://shop.example/", false),
            ("*.shop.example", "https://a.eu.shop.example/", false),
            ("[2001:db8::1]", "https://[2001:db8::1]:8443/", true),
            ("[2001:db8::1]:443", "https://[2001:db8::1]:8443/", false),
            ("127.0.0.1", "http://127.0.0.1:3000/done", true),
        ];
        for (allowed, text, expected) in table {
            let url = Url::parse(text).unwrap();
            let host = url.host_str().unwrap().trim_end_matches('.');
            assert_eq!(allows(allowed, host, url.port_or_known_default()), expected, "{allowed} {text}");
        }
    }
}
