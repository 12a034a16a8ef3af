//! The settings after every value of `cashier.toml` was checked. Secret keys are read here and nowhere else; without them
//! the server does not start, and its error says how to make them.

mod conversion;
mod file;
mod listening;
mod retention;
mod rights;
mod session;
#[cfg(test)]
mod tests;
mod trading;
mod trading_file;
mod values;
mod wrong;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cashier_core::approval::RefundLimits;
use cashier_core::conversion::ConversionTerms;
use cashier_core::edit::SecondPerson;
use cashier_core::rights::Rights;
use ipnet::IpNet;
use zeroize::Zeroizing;

pub use self::file::SettingsFile;
pub use self::retention::RetentionDays;
pub use self::session::SessionSettings;
use self::session::lifetime;
pub use self::trading::{TradingServerKind, TradingServerSettings, TradingSettings};
pub use self::trading_file::{PlatformSearchTable, PlatformTable, TradingServerTable, TradingTable};
pub use self::values::{SEAL_KEYS_VARIABLE, SESSION_KEYS_VARIABLE};
use self::values::{address, base_url, brands, byte_count, key_source, keys, names, path, second_person, tls_files};
pub use self::wrong::SettingsError;
use self::wrong::{Wrong, read_toml};
use crate::text_file;

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
    pub allow_live_on_demo: Vec<Box<str>>,
    pub second_person: SecondPerson,
    pub refund_limits: RefundLimits,
    pub rights: Rights,
    pub trading: TradingSettings,
    /// The text of the session key file.
    pub session_keys: Zeroizing<String>,
    /// `None` where the keys came from the environment.
    pub session_keys_file: Option<PathBuf>,
    /// Further keys of tokens and what is asked of them.
    pub session: SessionSettings,
    /// Whether a key file that other users may use is refused.
    pub strict_key_permissions: bool,
    /// The text of the seal key file.
    pub seal_keys: Zeroizing<String>,
    pub trusted_proxies: Vec<IpNet>,
    /// 0 is no limit.
    pub connections_per_address: usize,
    pub idle: Duration,
    pub stop_delay: Duration,
    pub cors_origins: Vec<Box<str>>,
    pub return_hosts: BTreeMap<Box<str>, Vec<Box<str>>>,
    pub conversion: ConversionTerms,
    pub deposits_per_minute: Option<u32>,
    pub failed_notices_per_minute: Option<u32>,
    /// `None` where the keys came from the environment.
    pub seal_keys_file: Option<PathBuf>,
    /// The settings file itself, if there is one.
    pub file: Option<PathBuf>,
    pub open_deposits_max: Option<u32>,
    pub stored_bytes_per_customer_max: Option<u64>,
    pub retention: RetentionDays,
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

impl Settings {
    /// Reads a settings file; every value may be omitted, the keys may come from the environment. Relative paths start
    /// at the file's folder.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let named = |what: String| SettingsError(format!("settings file {what}"));
        let text = text_file::read_text(path).map_err(named)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let settings = Self::parse(&text, folder, &text_file::environment)
            .map_err(|SettingsError(what)| named(format!("{}: {what}", path.display())))?;
        Ok(Self { file: Some(path.into()), ..settings })
    }

    /// The scheme of the customer and manager listeners.
    pub fn scheme(&self) -> &'static str {
        if self.tls_files.is_some() { "https" } else { "http" }
    }

    /// The settings without a file: everything by default, keys from the environment.
    pub fn by_default() -> Result<Self, SettingsError> {
        Self::parse("", Path::new(""), &text_file::environment)
    }

    /// Reads settings; `environment` gives the value of a variable.
    pub fn parse(
        text: &str,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        Self::checked(read_toml(text)?, folder, environment).map_err(|wrong| wrong.in_text(text))
    }

    /// Where the session keys are from, as an error about them begins.
    pub fn session_key_source(&self) -> String {
        key_source("session_keys_file", self.session_keys_file.as_deref(), SESSION_KEYS_VARIABLE)
    }

    pub fn seal_key_source(&self) -> String {
        key_source("seal_keys_file", self.seal_keys_file.as_deref(), SEAL_KEYS_VARIABLE)
    }

    fn checked(file: SettingsFile, folder: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Wrong> {
        let retention = RetentionDays::checked(&file)?;
        let customer_listen = address("customer_listen", file.customer_listen, "127.0.0.1:8080")?;
        let public_url = file.public_url.as_deref().map(|url| base_url("public_url", url)).transpose()?;
        if public_url.is_none() && customer_listen.ip().is_unspecified() {
            let needed = format!("is needed: no provider can send webhooks to {customer_listen}");
            return Err(Wrong::new("public_url", needed));
        }
        let here =
            |key, written: Option<PathBuf>, default: &str| path(key, folder, written.unwrap_or_else(|| default.into()));
        let named = |key, written: Option<PathBuf>| written.map(|written| path(key, folder, written)).transpose();
        let session_file = named("session_keys_file", file.session_keys_file)?;
        let seal_file = named("seal_keys_file", file.seal_keys_file)?;
        let jwks_file = named("session_jwks_file", file.session_jwks_file)?;
        // Where other issuers sign, the cashier needs no secret of its own.
        let without_secret = jwks_file.is_some() && session_file.is_none();
        let session = SessionSettings {
            jwks_file,
            revoked_file: named("revoked_tokens_file", file.revoked_tokens_file)?,
            issuers: names("session_issuers", file.session_issuers)?,
            audiences: names("session_audiences", file.session_audiences)?,
            lifetime_max: lifetime("session_lifetime_max", file.session_lifetime_max)?,
            require_brand: file.require_brand_claim.unwrap_or_default(),
        };
        let certificate = named("tls_certificate_file", file.tls_certificate_file)?;
        let tls_files = tls_files(certificate, named("tls_key_file", file.tls_key_file)?)?;
        let manager_listen = address("manager_listen", file.manager_listen, "127.0.0.1:8081")?;
        let watch_listen = address("watch_listen", file.watch_listen, "127.0.0.1:8082")?;
        let manager = ("manager_listen", "manager", manager_listen, tls_files.is_some());
        let watch = ("watch_listen", "watch", watch_listen, false);
        listening::plain_listeners("allow_plain_listeners", file.allow_plain_listeners, [manager, watch])?;
        let conversion = conversion::terms(file.trading.as_ref())?;
        Ok(Self {
            customer_listen,
            manager_listen,
            watch_listen,
            public_url,
            bases: here("bases", file.bases, "bases")?,
            var: here("var", file.var, "var")?,
            plugins: here("plugins", file.plugins, "plugins.toml")?,
            allow_sandbox_credit: brands("allow_sandbox_credit", file.allow_sandbox_credit)?,
            allow_live_on_demo: brands("allow_live_on_demo", file.allow_live_on_demo)?,
            second_person: second_person("second_person", file.second_person)?,
            refund_limits: rights::refund_limits("second_person_refund_above", file.second_person_refund_above)?,
            rights: rights::rights("manager_rights", file.manager_rights)?,
            trading: TradingSettings::checked(file.trading, folder)?,
            session_keys_file: session_file.clone(),
            session_keys: match keys("session", "session_keys_file", session_file, SESSION_KEYS_VARIABLE, environment) {
                Err(_) if without_secret => Zeroizing::default(),
                read => read?,
            },
            session,
            strict_key_permissions: file.strict_key_permissions.unwrap_or_default(),
            seal_keys_file: seal_file.clone(),
            seal_keys: keys("seal", "seal_keys_file", seal_file, SEAL_KEYS_VARIABLE, environment)?,
            trusted_proxies: listening::ranges(file.trusted_proxies),
            connections_per_address: listening::per_address(file.connections_per_address),
            idle: listening::idle("idle_seconds", file.idle_seconds)?,
            stop_delay: listening::stop_delay("stop_delay_seconds", file.stop_delay_seconds)?,
            cors_origins: listening::origins("cors_origins", file.cors_origins)?,
            return_hosts: listening::return_hosts("return_hosts", file.return_hosts)?,
            conversion,
            file: None,
            deposits_per_minute: file.deposits_per_minute,
            failed_notices_per_minute: file.failed_notices_per_minute,
            open_deposits_max: file.open_deposits_max,
            stored_bytes_per_customer_max: byte_count(
                "stored_bytes_per_customer_max",
                file.stored_bytes_per_customer_max,
            )?,
            retention,
            tls_files,
        })
    }
}
