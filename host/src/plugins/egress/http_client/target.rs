//! Where a provider's requests may go: its allowed hosts and the operator's exceptions, applied to a URL and to each address
//! that its host resolves to. Pure; it resolves and connects nothing.

use std::net::IpAddr;

use url::{Host, Position, Url};

use super::address::{AddressKind, AddressRange, kind};
use crate::web_url;

/// Longest URL sent; servers commonly refuse longer ones.
const URL_LENGTH_MAX: usize = 8 * 1024;

/// Where one provider's requests may go, read from the module's descriptor and `plugins.toml`, never from a config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressRules {
    allowed: Vec<HostPattern>,
    exceptions: Vec<Exception>,
    ranges: Vec<AddressRange>,
}

impl EgressRules {
    /// Reads allowed hosts and private exceptions.
    ///
    /// An allowed host is `api.example.com` (port 443), `api.example.com:8443`, or `*.example.com`, where the star stands
    /// for exactly one label. An exception is `host:port` or `host` (443), which is allowed and may be loopback or
    /// private, with plain HTTP where it is loopback; `http://host:port`, which may also be plain HTTP on a private
    /// network; or a range such as `10.1.0.0/16` that allowed hosts may resolve into. Link-local, metadata and reserved
    /// addresses need a range.
    ///
    /// # Errors
    /// Quotes the text that is none of these.
    pub fn read<A: AsRef<str>, E: AsRef<str>>(allowed_hosts: &[A], exceptions: &[E]) -> Result<Self, String> {
        let mut rules = Self::default();
        for text in allowed_hosts.iter().map(AsRef::as_ref) {
            let pattern =
                HostPattern::parse(text).ok_or_else(|| format!("{text:?} is not a host that can be allowed"))?;
            rules.allowed.push(pattern);
        }
        for text in exceptions.iter().map(AsRef::as_ref) {
            if let Some(range) = AddressRange::parse(text) {
                rules.ranges.push(range);
            } else {
                let exception = Exception::parse(text)
                    .ok_or_else(|| format!("{text:?} is neither host:port nor a range of addresses"))?;
                rules.exceptions.push(exception);
            }
        }
        Ok(rules)
    }

    /// Checks a URL by its scheme, host and port; its addresses are checked when it is dialed.
    ///
    /// # Errors
    /// Why requests may not go there; without its path, query or user.
    pub(super) fn target(&self, text: &str) -> Result<Target, String> {
        if text.len() > URL_LENGTH_MAX {
            return Err(format!("the URL is longer than {URL_LENGTH_MAX}"));
        }
        let url = Url::parse(text).map_err(|error| format!("the URL is not valid: {error}"))?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err("the URL is not https".into()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds a user or a password".into());
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err("the URL has no host".into());
        };
        let host = host.to_owned();
        let exception = self.exceptions.iter().find(|exception| exception.host == host && exception.port == port);
        let plain = match exception {
            Some(exception) if exception.plain_http => Plain::NotPublic,
            Some(_) => Plain::Loopback,
            None => Plain::Never,
        };
        if !tls && plain == Plain::Never {
            return Err(format!("{host}:{port} is allowed over https only; {}", cure(&host, port, tls)));
        }
        if exception.is_none() && !self.allowed.iter().any(|pattern| pattern.admits(&host, port)) {
            return Err(format!("{host}:{port} is not among the hosts of this provider; {}", cure(&host, port, tls)));
        }
        Ok(Target {
            tls,
            port,
            authority: url[Position::BeforeHost..Position::AfterPort].into(),
            request_target: url[Position::BeforePath..Position::AfterQuery].into(),
            path: url.path().into(),
            host,
            plain,
            excepted: exception.is_some(),
            ranges: self.ranges.clone(),
        })
    }
}

/// What permits a host: the line of plugins.toml, which goes to the `[[module]]` of this provider.
fn cure(host: &Host, port: u16, tls: bool) -> String {
    match host {
        Host::Ipv4(address) => cure_at(kind((*address).into()), host, port, tls),
        Host::Ipv6(address) => cure_at(kind((*address).into()), host, port, tls),
        Host::Domain(name) if name == "localhost" => cure_at(AddressKind::Loopback, host, port, tls),
        Host::Domain(_) => {
            let public = if tls { cure_at(AddressKind::Public, host, port, tls) } else { "use https".to_owned() };
            let private = cure_at(AddressKind::Private, host, port, tls);
            format!("{public}, or where it is a private address: {private}")
        }
    }
}

fn cure_at(kind: AddressKind, host: &Host, port: u16, tls: bool) -> String {
    const IN_PLUGINS_TOML: &str = "in its [[module]] of plugins.toml permits it";
    match kind {
        AddressKind::Public if tls => format!("allow_hosts = [\"{host}:{port}\"] {IN_PLUGINS_TOML}"),
        AddressKind::Public => "use https".to_owned(),
        AddressKind::Private if !tls => format!("allow_private = [\"http://{host}:{port}\"] {IN_PLUGINS_TOML}"),
        AddressKind::Loopback | AddressKind::Private => {
            format!("allow_private = [\"{host}:{port}\"] {IN_PLUGINS_TOML}")
        }
        AddressKind::LinkLocal | AddressKind::Metadata | AddressKind::Reserved => {
            format!("a range in allow_private, such as \"10.1.0.0/16\", {IN_PLUGINS_TOML}")
        }
        AddressKind::NotAHost => "nothing permits it".to_owned(),
    }
}

/// Whether plain HTTP is allowed, and to which addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    Never,
    Loopback,
    NotPublic,
}

/// A URL that requests may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) tls: bool,
    pub(super) host: Host,
    pub(super) port: u16,
    /// The value of the `host` header: the host, and the port where it is not the scheme's default.
    pub(super) authority: Box<str>,
    /// Path and query as sent.
    pub(super) request_target: Box<str>,
    /// The path alone, for the log: a query may hold a secret.
    pub(super) path: Box<str>,
    plain: Plain,
    excepted: bool,
    ranges: Vec<AddressRange>,
}

impl Target {
    /// Checks one address that the host resolves to.
    ///
    /// # Errors
    /// Why it may not be connected to.
    pub(super) fn permits(&self, address: IpAddr) -> Result<(), String> {
        let kind = kind(address);
        let in_range = self.ranges.iter().any(|range| range.contains(address));
        let reachable = match kind {
            AddressKind::Public => true,
            AddressKind::Loopback | AddressKind::Private => self.excepted || in_range,
            AddressKind::LinkLocal | AddressKind::Metadata | AddressKind::Reserved => in_range,
            AddressKind::NotAHost => false,
        };
        if !reachable {
            let cure = cure_at(kind, &self.host, self.port, self.tls);
            return Err(format!("{} is at {address}, which is {kind}; {cure}", self.host));
        }
        let readable_by_others = !self.tls
            && match self.plain {
                Plain::Never => true,
                Plain::Loopback => kind != AddressKind::Loopback,
                Plain::NotPublic => kind == AddressKind::Public,
            };
        if readable_by_others {
            return Err(format!("{} is at {address}, which is {kind}: plain http may not go there", self.host));
        }
        Ok(())
    }
}

/// A host that requests may go to, on one port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostPattern {
    host: Host,
    /// The host is a parent domain; exactly one label must precede it.
    any_label: bool,
    port: u16,
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        let (any_label, bare) = match text.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, text),
        };
        let (host, port) = authority(&format!("https://{bare}"))?;
        let is_parent = matches!(&host, Host::Domain(name) if name.contains('.'));
        (is_parent || !any_label).then_some(Self { host, any_label, port })
    }

    fn admits(&self, host: &Host, port: u16) -> bool {
        let matches = match (&self.host, host) {
            (Host::Domain(parent), Host::Domain(name)) if self.any_label => name
                .strip_suffix(parent.as_str())
                .and_then(|start| start.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
            (own, other) => own == other,
        };
        matches && self.port == port
    }
}

/// A host that the operator allows to be private.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    host: Host,
    port: u16,
    plain_http: bool,
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let plain_http = text.starts_with("http://");
        let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let (host, port) = authority(&url)?;
        Some(Self { host, port, plain_http })
    }
}

/// Host and port of a URL without path, query, fragment and user.
fn authority(text: &str) -> Option<(Host, u16)> {
    let url = web_url::parse_unicode(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || text.contains('*') {
        return None;
    }
    Some((url.host()?.to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> EgressRules {
        let allowed = ["API.Example.com", "alt.example.com:8443", "*.pay.example.com", "münze.example", "9.9.9.9"];
        let exceptions =
            ["localhost:9300", "http://10.1.2.3:80", "inner.example:443", "172.16.0.0/12", "169.254.7.0/24"];
        EgressRules::read(&allowed, &exceptions).unwrap()
    }

    #[test]
    fn a_url_is_checked_by_scheme_host_and_port() {
        let table = [
            ("https://api.example.com/v1?a=b", ""),
            ("https://api.EXAMPLE.com:443/v1", ""),
            ("https://alt.example.com:8443/", ""),
            ("https://shop7.pay.example.com/", ""),
            ("https://xn--mnze-0ra.example/", ""),
            ("https://MÜNZE.example/", ""),
            ("https://9.9.9.9/", ""),
            ("https://0x9090909/", ""),
            ("http://localhost:9300/x", ""),
            ("http://10.1.2.3/", ""),
            ("https://inner.example/", ""),
            ("http://api.example.com/", "api.example.com:80 is allowed over https only"),
            ("https://api.example.com:8443/", "api.example.com:8443 is not among the hosts of this provider"),
            ("https://alt.example.com/", "alt.example.com:443 is not among the hosts of this provider"),
            ("https://pay.example.com/", "pay.example.com:443 is not among the hosts of this provider"),
            ("https://a.b.pay.example.com/", "a.b.pay.example.com:443 is not among the hosts of this provider"),
            ("https://evilpay.example.com/", "evilpay.example.com:443 is not among the hosts of this provider"),
            (
                "https://api.example.com.evil.test/",
                "api.example.com.evil.test:443 is not among the hosts of this provider",
            ),
            ("https://api.example.com./", "api.example.com.:443 is not among the hosts of this provider"),
            ("https://localhost/", "localhost:443 is not among the hosts of this provider"),
            ("https://api.example.com@evil.test/", "the URL holds a user or a password"),
            ("https://user:canary@api.example.com/", "the URL holds a user or a password"),
            ("https://:canary@api.example.com/", "the URL holds a user or a password"),
            ("https://evil.test\\@api.example.com/", "evil.test:443 is not among the hosts of this provider"),
            ("ftp://api.example.com/", "the URL is not https"),
            ("file:///etc/passwd", "the URL is not https"),
            ("https:///", "the URL is not valid: empty host"),
            ("api.example.com", "the URL is not valid: relative URL without a base"),
        ];
        for (url, expected) in table {
            let refused = rules().target(url).err().unwrap_or_default();
            // Behind it stands what permits it, see below.
            assert_eq!(refused.split_once("; ").map_or(&*refused, |(why, _)| why), expected, "{url}");
        }
        let long = format!("https://api.example.com/{}", "a".repeat(URL_LENGTH_MAX));
        assert_eq!(rules().target(&long).unwrap_err(), "the URL is longer than 8192");
    }

    #[test]
    fn i13_a_refused_address_is_named_with_the_line_that_permits_it() {
        let table = [
            (
                "http://127.0.0.1:8900/v1",
                "127.0.0.1:8900 is allowed over https only; allow_private = [\"127.0.0.1:8900\"]",
            ),
            (
                "http://localhost:8900/",
                "localhost:8900 is allowed over https only; allow_private = [\"localhost:8900\"]",
            ),
            ("http://[::1]:8900/", "[::1]:8900 is allowed over https only; allow_private = [\"[::1]:8900\"]"),
            ("http://10.9.9.9:80/", "10.9.9.9:80 is allowed over https only; allow_private = [\"http://10.9.9.9:80\"]"),
            (
                "https://10.9.9.9:8443/",
                "10.9.9.9:8443 is not among the hosts of this provider; allow_private = [\"10.9.9.9:8443\"]",
            ),
            (
                "https://new.example/",
                "new.example:443 is not among the hosts of this provider; allow_hosts = [\"new.example:443\"]",
            ),
        ];
        for (url, expected) in table {
            let refused = rules().target(url).unwrap_err();
            let (line, rest) = refused.split_once(" in its [[module]] of plugins.toml permits it").unwrap();
            assert_eq!(line, expected, "{url}: {rest}");
            // What is advised works, on its own line.
            let quoted = line.split('"').nth(1).unwrap();
            let rules = if line.contains("allow_hosts") {
                EgressRules::read::<_, &str>(&[quoted], &[])
            } else {
                EgressRules::read::<&str, _>(&[], &[quoted])
            };
            let target = rules.unwrap().target(url).unwrap();
            let literal = target.host.to_string().trim_matches(['[', ']']).parse::<IpAddr>();
            let address = literal.unwrap_or_else(|_| {
                if quoted.contains("localhost") { [127, 0, 0, 1].into() } else { [93, 184, 216, 34].into() }
            });
            assert_eq!(target.permits(address), Ok(()), "{url}");
        }
        let public = rules().target("http://93.184.216.34/").unwrap_err();
        assert_eq!(public, "93.184.216.34:80 is allowed over https only; use https");
        let resolved = rules().target("https://api.example.com/").unwrap().permits([10, 0, 0, 1].into()).unwrap_err();
        let line = "allow_private = [\"api.example.com:443\"] in its [[module]] of plugins.toml permits it";
        assert_eq!(resolved, format!("api.example.com is at 10.0.0.1, which is private; {line}"));
        let metadata = rules().target("https://api.example.com/").unwrap().permits([169, 254, 169, 254].into());
        assert!(metadata.unwrap_err().contains("a range in allow_private"));
    }

    #[test]
    fn an_address_is_checked_against_the_operators_exceptions() {
        let table = [
            ("https://api.example.com/", "93.184.216.34", true),
            ("https://api.example.com/", "127.0.0.1", false),
            ("https://api.example.com/", "10.0.0.1", false),
            ("https://api.example.com/", "::ffff:93.184.216.34", false),
            ("https://api.example.com/", "172.16.5.5", true),
            ("https://api.example.com/", "169.254.169.254", false),
            ("https://api.example.com/", "169.254.7.7", true),
            ("https://api.example.com/", "0.0.0.0", false),
            ("https://inner.example/", "10.0.0.1", true),
            ("https://inner.example/", "fd00::1", true),
            ("https://inner.example/", "93.184.216.34", true),
            ("https://inner.example/", "169.254.169.254", false),
            ("https://localhost:9300/", "127.0.0.1", true),
            ("http://localhost:9300/", "127.0.0.1", true),
            ("http://localhost:9300/", "::1", true),
            ("http://localhost:9300/", "10.0.0.1", false),
            ("http://localhost:9300/", "93.184.216.34", false),
            ("http://10.1.2.3/", "10.1.2.3", true),
        ];
        for (url, address, expected) in table {
            let verdict = rules().target(url).unwrap().permits(address.parse().unwrap());
            assert_eq!(verdict.is_ok(), expected, "{url} at {address}: {verdict:?}");
        }
        let public_plain = EgressRules::read::<&str, _>(&[], &["http://shop.example:80"]).unwrap();
        let verdict = public_plain.target("http://shop.example/").unwrap().permits("93.184.216.34".parse().unwrap());
        assert!(verdict.is_err(), "plain http never crosses the internet");
    }

    #[test]
    fn a_sent_url_omits_fragment_and_default_port() {
        let target = rules().target("https://API.example.com:443/a b/?q=ü#canary").unwrap();
        assert_eq!((&*target.authority, &*target.request_target), ("api.example.com", "/a%20b/?q=%C3%BC"));
        let target = rules().target("https://alt.example.com:8443").unwrap();
        assert_eq!((&*target.authority, &*target.request_target), ("alt.example.com:8443", "/"));
    }

    #[test]
    fn a_text_that_is_not_a_host_is_refused() {
        let no_host =
            ["", "https://a.example", "a.example/path", "u@a.example", "*.com", "*", "a.*.example", "a:99999"];
        for wrong in no_host {
            assert!(EgressRules::read::<_, &str>(&[wrong], &[]).is_err(), "{wrong}");
        }
        for wrong in ["", "10.0.0.1/8", "ftp://a:1", "http://a:1/path", "u@a:1", "*.a.example:1"] {
            assert!(EgressRules::read::<&str, _>(&[], &[wrong]).is_err(), "{wrong}");
        }
    }
}
