//! The validated base URL of a provider's API.
//! It does not decide whether the host may be reached: the cashier checks that at egress.

use super::{ConfigError, ProviderFailure, ProviderSettings};

/// A base URL without user, query, fragment or trailing slash: `https`, or plain `http` to loopback for
/// a test server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl ProviderSettings {
    /// The endpoint under `key`, or `default` if it is not set.
    ///
    /// # Errors
    /// Names `key` if its value is not such a URL.
    pub fn endpoint(&self, key: &str, default: &str) -> Result<Endpoint, ConfigError> {
        Endpoint::read(self.text_or(key, default)?).map_err(|reason| ConfigError::new(key, reason))
    }
}

impl Endpoint {
    fn read(text: &str) -> Result<Self, &'static str> {
        let base = text.trim_end_matches('/');
        let plain = base.bytes().all(|byte| byte.is_ascii_graphic()) && !base.contains(['?', '#', '@', '\\']);
        if !plain {
            return Err("must be a plain URL without user, query or fragment");
        }
        match base.split_once("://").map(|(scheme, rest)| (scheme, authority(rest))) {
            Some(("https", host)) if !host.is_empty() => {}
            Some(("http", host)) if is_loopback(host) => {}
            Some(("http", _)) => return Err("must be https, except on loopback"),
            Some(_) | None => return Err("must begin with https://"),
        }
        Ok(Self(base.to_owned()))
    }

    /// The URL of `path`, which must begin with a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The base URL, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of the provider's payment page, for [`NextAction::Redirect`](super::NextAction::Redirect):
    /// `https`, or `http` if the endpoint itself is `http`.
    ///
    /// # Errors
    /// `UnreadableAnswer` if the URL is absent or has another scheme.
    pub fn page(&self, url: Option<&str>) -> Result<String, ProviderFailure> {
        url.filter(|url| url.starts_with("https://") || (url.starts_with("http://") && self.0.starts_with("http://")))
            .map(str::to_owned)
            .ok_or_else(|| ProviderFailure::unreadable("the open payment has no usable page URL"))
    }
}

fn authority(rest: &str) -> &str {
    rest.split('/').next().unwrap_or_default()
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https_or_loopback() {
        let table = [
            ("https://api.acme.example", Some("https://api.acme.example")),
            ("https://api.acme.example/", Some("https://api.acme.example")),
            ("https://proxy.example/acme//", Some("https://proxy.example/acme")),
            ("https://proxy.example:8443", Some("https://proxy.example:8443")),
            ("http://127.0.0.1:8420", Some("http://127.0.0.1:8420")),
            ("http://127.0.0.1:4567/", Some("http://127.0.0.1:4567")),
            ("http://localhost", Some("http://localhost")),
            ("http://[::1]:9", Some("http://[::1]:9")),
            ("http://api.acme.example", None),
            ("http://localhost.example", None),
            ("http://127.0.0.1.evil.example", None),
            ("http://127.0.0.1@evil.example", None),
            ("http://127.0.0.1:80:80", None),
            ("https://user:pass@api.acme.example", None),
            ("https://api.acme.example?x=1", None),
            ("https://api.acme.example#x", None),
            ("https://api.acme.example\\x", None),
            ("https://api.acme.example\r\nx: y", None),
            ("https://a b", None),
            ("https://", None),
            ("https:///v1", None),
            ("ftp://127.0.0.1", None),
            ("127.0.0.1:8900", None),
            ("api.acme.example", None),
        ];
        for (text, expected) in table {
            let read = ProviderSettings::default().endpoint("api_base", text);
            assert_eq!(read.as_ref().ok().map(Endpoint::as_str), expected, "{text:?}");
            assert!(read.is_ok() || read.is_err_and(|error| error.field == "api_base"), "{text:?}");
        }
    }

    #[test]
    fn a_setting_overrides_the_default_and_must_be_a_string() {
        let settings = |text: &str| ProviderSettings::parse(text).expect("an object");
        let endpoint =
            |text| settings(text).endpoint("api_base", "https://api.acme.example").map(|base| base.at("/v1"));
        assert_eq!(endpoint("{}").as_deref(), Ok("https://api.acme.example/v1"));
        assert_eq!(endpoint(r#"{"api_base":"http://localhost:1/"}"#).as_deref(), Ok("http://localhost:1/v1"));
        assert_eq!(endpoint(r#"{"api_base":8900}"#).map_err(|error| error.field), Err("api_base".to_owned()));
    }

    #[test]
    fn a_page_is_https_unless_the_endpoint_is_http_on_loopback() {
        let endpoint = |text| ProviderSettings::default().endpoint("api_base", text).expect("an endpoint");
        let (remote, local) = (endpoint("https://api.acme.example"), endpoint("http://localhost"));
        for (url, from_remote, from_local) in [
            (Some("https://pay.acme.example/1"), true, true),
            (Some("http://localhost/1"), false, true),
            (Some("javascript:alert(1)"), false, false),
            (None, false, false),
        ] {
            assert_eq!((remote.page(url).is_ok(), local.page(url).is_ok()), (from_remote, from_local), "{url:?}");
        }
    }
}
