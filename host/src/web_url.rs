//! The one set of rules for an http or https URL that a person or a client gives: `public_url`, return URLs and endpoints of
//! modules. What is wrong is said without the URL, which may have a password in it.

use url::{Host, Url};

/// A URL as given, with its parts.
///
/// It is taken only as it will be read everywhere: browsers and HTTP clients drop blanks, tabs and line ends, take `\` for `/`,
/// and find a host in `https:host` or behind a third slash.
pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
    if !text.is_ascii() {
        return Err("has a character beyond ASCII: write a host as xn--…, a path as %…");
    }
    parse_unicode(text)
}

/// The same where the host is compared and the URL is handed to nobody, so that a person may write it as it is read.
pub(crate) fn parse_unicode(text: &str) -> Result<Url, &'static str> {
    if text.is_empty() {
        return Err("is empty: it must be an http or https URL, or be left out");
    }
    if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err("has a blank, a line end or a control character in it");
    }
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    let (Some(rest), true) = (text.split_once("://").map(|(_, rest)| rest), lower.starts_with("http")) else {
        return Err("must begin with https:// or http://");
    };
    let url = Url::parse(text).map_err(|_| "is not a URL")?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("must begin with https:// or http://");
    }
    if rest.starts_with('/') || text.contains('\\') || !url.has_host() {
        return Err("must have a host after https:// and no backslash");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must have no user name and no password");
    }
    if url.port() == Some(0) {
        return Err("has port 0");
    }
    Ok(url)
}

/// A URL to which paths are added: without query, fragment and trailing slash.
pub(crate) fn base(text: &str) -> Result<Box<str>, &'static str> {
    let url = parse(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment");
    }
    Ok(text.trim_end_matches('/').into())
}

/// Whether a URL is of this machine, where plain HTTP is read by nobody else.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i1_a_url_is_taken_only_as_everything_that_follows_it_will_read_it() {
        for (text, base_of_it) in [
            ("https://pay.example", "https://pay.example"),
            ("https://pay.example/", "https://pay.example"),
            ("HTTPS://pay.example/cashier//", "HTTPS://pay.example/cashier"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://pay.example/a@b", "https://pay.example/a@b"),
        ] {
            assert_eq!(base(text).as_deref(), Ok(base_of_it), "{text}");
        }
        for (text, problem) in [
            ("", "is empty"),
            ("https://münze.example", "a character beyond ASCII"),
            ("https://pay.example/münze", "a character beyond ASCII"),
            ("https://pay.example\n", "has a blank, a line end"),
            ("https://pay. example", "has a blank, a line end"),
            ("https://pay.exa\tmple", "has a blank, a line end"),
            ("https://pay.example/\u{85}", "a character beyond ASCII"),
            ("https://pay.example/\u{2003}", "a character beyond ASCII"),
            ("https://user:password@pay.example", "no user name and no password"),
            ("https://user@pay.example", "no user name and no password"),
            ("https://@pay.example", "no user name and no password"),
            ("https:pay.example", "must begin with https://"),
            ("https:/pay.example", "must begin with https://"),
            ("https:///pay.example", "must have a host"),
            ("https://", "is not a URL"),
            ("https://:8080", "is not a URL"),
            ("https://pay.example:0", "has port 0"),
            ("https://pay.example:80:80", "is not a URL"),
            ("https://pay.example:65536", "is not a URL"),
            ("https://pay.example\\evil.example", "no backslash"),
            ("ftp://pay.example", "must begin with https://"),
            ("javascript://pay.example/%0aalert(1)", "must begin with https://"),
            ("httpx://pay.example", "must begin with https://"),
            ("pay.example", "must begin with https://"),
            ("https://pay.example?x=1", "no query and no fragment"),
            ("https://pay.example#x", "no query and no fragment"),
            ("https://pay.example/#", "no query and no fragment"),
        ] {
            let refused = base(text).expect_err(text);
            assert!(refused.contains(problem), "{text:?}: {refused}");
        }
    }
}
