//! The settings file `cashier.toml`: as written, and after every value was checked. Secret keys are read here and nowhere
//! else; without them the server does not start, and its error says how to make them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use cashier_core::edit::SecondPerson;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::json_object::described;

/// Environment variables that carry keys where no file does.
pub const SESSION_KEYS_VARIABLE: &str = "CASHIER_SESSION_KEYS";
pub const SEAL_KEYS_VARIABLE: &str = "CASHIER_SEAL_KEYS";

/// The command that makes one line of a key file.
const MAKE_KEY: &str = r#"echo "1:$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')""#;

described! {
    /// The settings file `cashier.toml`. Every key may be omitted; relative paths start at the file's folder.
    [derive(Debug, Default, Deserialize), serde(default, deny_unknown_fields)]
    pub struct SettingsFile<> {
        customer_listen: Option<String>, "listener for customers and providers; 127.0.0.1:8080 by default";
        manager_listen: Option<String>, "listener for BackOffice; 127.0.0.1:8081 by default";
        watch_listen: Option<String>, "listener for health and metrics; 127.0.0.1:8082 by default";
        public_url: Option<String>, "URL at which providers reach the customer listener; its own address by default";
        bases: Option<PathBuf>, "folder of cashier.db and trading.db; bases by default";
        var: Option<PathBuf>, "folder of private copies of modules; var by default";
        plugins: Option<PathBuf>, "file that lists the modules; plugins.toml by default";
        allow_sandbox_credit: Option<Vec<String>>, "brands whose real accounts sandbox money may reach";
        second_person: Option<Vec<String>>, "changes of a config that a second person must approve: credentials, endpoints, enabling";
        session_keys_file: Option<PathBuf>, "file of session keys, lines of `kid:hex`; followed while the server runs";
        seal_keys_file: Option<PathBuf>, "file of seal keys, lines of `number:hex`; the highest number seals; followed while the server runs";
        trusted_proxies: Option<Vec<IpAddr>>, "proxies whose x-forwarded-for is trusted";
        deposits_per_minute: Option<u32>, "deposits of one customer in a minute; 0 is no limit, 120 by default";
        tls_certificate_file: Option<PathBuf>, "PEM file: certificate chain of the customer and manager listeners";
        tls_key_file: Option<PathBuf>, "PEM file: its private key; without both, the listeners speak plain HTTP";
    }
}

/// The settings after every value was checked, each as [`SettingsFile`] describes it.
#[derive(Clone)]
pub struct Settings {
    pub customer_listen: SocketAddr,
    pub manager_listen: SocketAddr,
    pub watch_listen: SocketAddr,
    /// Without a trailing slash; `None` is the listener's own address.
    pub public_url: Option<Box<str>>,
    pub bases: PathBuf,
    pub var: PathBuf,
    pub plugins: PathBuf,
    pub allow_sandbox_credit: Vec<Box<str>>,
    pub second_person: SecondPerson,
    /// The text of the session key file.
    pub session_keys: Zeroizing<String>,
    /// `None` where the keys came from the environment.
    pub session_keys_file: Option<PathBuf>,
    /// The text of the seal key file.
    pub seal_keys: Zeroizing<String>,
    /// `None` where the keys came from the environment.
    pub seal_keys_file: Option<PathBuf>,
    pub trusted_proxies: Vec<IpAddr>,
    pub deposits_per_minute: Option<u32>,
    /// Certificate chain and private key.
    pub tls_files: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("customer_listen", &self.customer_listen)
            .field("manager_listen", &self.manager_listen)
            .field("watch_listen", &self.watch_listen)
            .field("public_url", &self.public_url)
            .field("bases", &self.bases)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the settings, as a sentence for the operator.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingsError(pub String);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads a settings file; every value may be omitted, the keys may come from the environment. Relative paths start
    /// at the file's folder.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| SettingsError(format!("settings file {}: {error}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder, &|variable| std::env::var(variable).ok())
            .map_err(|SettingsError(what)| SettingsError(format!("settings file {}: {what}", path.display())))
    }

    /// The scheme of the customer and manager listeners.
    pub fn scheme(&self) -> &'static str {
        if self.tls_files.is_some() { "https" } else { "http" }
    }

    /// The settings without a file: everything by default, keys from the environment.
    pub fn by_default() -> Result<Self, SettingsError> {
        Self::parse("", Path::new(""), &|variable| std::env::var(variable).ok())
    }

    /// Reads settings; `environment` gives the value of a variable.
    pub fn parse(
        text: &str,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let written: SettingsFile = toml::from_str(text).map_err(|error| SettingsError(error.message().to_owned()))?;
        let customer_listen = address("customer_listen", written.customer_listen, "127.0.0.1:8080")?;
        let public_url = written.public_url.as_deref().map(base_url).transpose()?;
        if public_url.is_none() && customer_listen.ip().is_unspecified() {
            return Err(SettingsError(format!(
                "public_url is needed: no provider can send webhooks to {customer_listen}"
            )));
        }
        let here = |path: Option<PathBuf>, default: &str| folder.join(path.unwrap_or_else(|| default.into()));
        let session_file = written.session_keys_file.map(|path| folder.join(path));
        let seal_file = written.seal_keys_file.map(|path| folder.join(path));
        Ok(Self {
            customer_listen,
            manager_listen: address("manager_listen", written.manager_listen, "127.0.0.1:8081")?,
            watch_listen: address("watch_listen", written.watch_listen, "127.0.0.1:8082")?,
            public_url,
            bases: here(written.bases, "bases"),
            var: here(written.var, "var"),
            plugins: here(written.plugins, "plugins.toml"),
            allow_sandbox_credit: written.allow_sandbox_credit.into_iter().flatten().map(Box::from).collect(),
            second_person: second_person(written.second_person.as_deref().unwrap_or_default())?,
            session_keys_file: session_file.clone(),
            session_keys: keys("session", "session_keys_file", session_file, SESSION_KEYS_VARIABLE, environment)?,
            seal_keys_file: seal_file.clone(),
            seal_keys: keys("seal", "seal_keys_file", seal_file, SEAL_KEYS_VARIABLE, environment)?,
            trusted_proxies: written.trusted_proxies.unwrap_or_default(),
            deposits_per_minute: written.deposits_per_minute,
            tls_files: both(folder, written.tls_certificate_file, written.tls_key_file)?,
        })
    }
}

fn second_person(names: &[String]) -> Result<SecondPerson, SettingsError> {
    SecondPerson::from_names(names.iter().map(String::as_str)).map_err(|unknown| {
        let known = SecondPerson::NAMES.join(", ");
        SettingsError(format!("second_person names \"{unknown}\": it may name {known}"))
    })
}

/// A certificate needs its key and the other way round.
fn both(
    folder: &Path,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, SettingsError> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((folder.join(certificate), folder.join(key)))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(SettingsError("tls_certificate_file needs tls_key_file".into())),
        (None, Some(_)) => Err(SettingsError("tls_key_file needs tls_certificate_file".into())),
    }
}

fn address(field: &str, written: Option<String>, default: &str) -> Result<SocketAddr, SettingsError> {
    let text = written.unwrap_or_else(|| default.to_owned());
    text.parse().map_err(|_| SettingsError(format!("{field} = \"{text}\" is not an address such as \"{default}\"")))
}

fn base_url(text: &str) -> Result<Box<str>, SettingsError> {
    let trimmed = text.trim_end_matches('/');
    let url = Url::parse(trimmed).map_err(|error| SettingsError(format!("public_url \"{text}\": {error}")))?;
    match url.scheme() {
        "https" | "http" if url.query().is_none() && url.fragment().is_none() => Ok(trimmed.into()),
        _ => Err(SettingsError(format!("public_url \"{text}\" must be a plain http or https URL"))),
    }
}

/// Keys from the file that the settings name, else from the environment; never from a default.
fn keys(
    what: &str,
    field: &str,
    file: Option<PathBuf>,
    variable: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Zeroizing<String>, SettingsError> {
    if let Some(path) = file {
        return std::fs::read_to_string(&path)
            .map(Zeroizing::new)
            .map_err(|error| SettingsError(format!("{field} {}: {error}", path.display())));
    }
    environment(variable).filter(|text| !text.trim().is_empty()).map(Zeroizing::new).ok_or_else(|| {
        SettingsError(format!(
            "there is no {what} key: name a file as {field} or set {variable}. One line `id:64 hex digits` is a key; \
             make one with\n  {MAKE_KEY} > {what}.key"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(text, Path::new("/srv"), &|_| Some(KEY.into()))
    }

    #[test]
    fn every_setting_but_the_keys_has_a_default() {
        let settings = parse("").unwrap();
        assert_eq!(settings.customer_listen.port(), 8080);
        assert_eq!(settings.bases, Path::new("/srv/bases"));
        assert!(settings.manager_listen.ip().is_loopback() && settings.watch_listen.ip().is_loopback());
        assert!(!format!("{settings:?}").contains("0102030405"), "keys are not shown");
    }

    #[test]
    fn a_missing_key_is_an_error_that_says_how_to_make_one() {
        let error = Settings::parse("", Path::new(""), &|_| None).unwrap_err().0;
        assert!(error.contains("CASHIER_SESSION_KEYS") && error.contains("/dev/urandom"), "{error}");
        let blank = Settings::parse("", Path::new(""), &|_| Some(" ".into()));
        assert!(blank.is_err(), "a blank key is no key");
    }

    #[test]
    fn a_wrong_value_is_refused_by_key() {
        let table = [
            ("customer_listen = \"nowhere\"", "customer_listen"),
            ("public_url = \"ftp://x\"", "public_url"),
            ("public_urll = \"http://x\"", "public_urll"),
            ("session_keys_file = \"absent.key\"", "session_keys_file"),
            ("customer_listen = \"0.0.0.0:8080\"", "public_url is needed"),
            ("second_person = [\"secrets\"]", "second_person names \"secrets\""),
            ("tls_key_file = \"key.pem\"", "tls_certificate_file"),
        ];
        for (text, named) in table {
            let error = parse(text).unwrap_err().0;
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
