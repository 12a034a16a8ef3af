//! The trading servers after every value was checked: their names, what is routed to them, and how they are reached. Who speaks
//! with them checks the rest when it opens.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cashier_core::ids::ServerName;
use url::{Host, Url};

use super::trading_file::{PlatformTable, TradingServerTable, TradingTable};
use super::values::{base_url, names, path};
use super::wrong::Wrong;
use crate::text_file::trimmed;

/// Half a minute: a page that a customer opens again costs no look-up, and an account that is disabled is served no longer than that.
const ACCOUNT_AGE_DEFAULT: u32 = 30;
/// An hour: beyond it eligibility is judged by what was.
const ACCOUNT_AGE_MAX: u32 = 3_600;

/// The name of the first server where the settings give it none.
const MAIN: &str = "main";

/// The trading servers, the first one first.
#[derive(Clone)]
pub struct TradingSettings {
    pub servers: Vec<TradingServerSettings>,
    pub account_age: Duration,
}

/// One trading server.
#[derive(Clone)]
pub struct TradingServerSettings {
    pub name: ServerName,
    pub groups: Vec<Box<str>>,
    pub brands: Vec<Box<str>>,
    pub kind: TradingServerKind,
}

/// How a trading server is reached.
#[derive(Clone)]
pub enum TradingServerKind {
    Embedded,
    Http {
        url: Box<str>,
        secret_file: PathBuf,
        ca_file: Option<PathBuf>,
        plain_allowed: bool,
        instance: Option<Box<str>>,
    },
    Platform {
        /// `host:port`.
        address: Box<str>,
        /// The name in its certificate; `None` for a connection in the clear.
        tls_name: Option<Box<str>>,
        ca_file: Option<PathBuf>,
        token_file: PathBuf,
        table: Box<PlatformTable>,
    },
}

impl TradingServerKind {
    /// Where it is; the embedded one is in this process.
    fn address(&self) -> &str {
        match self {
            Self::Embedded => ServerName::EMBEDDED,
            Self::Http { url, .. } => url,
            Self::Platform { address, .. } => address,
        }
    }
}

impl TradingSettings {
    pub(super) fn checked(written: Option<TradingTable>, folder: &Path) -> Result<Self, Wrong> {
        let mut table = written.unwrap_or_default();
        let age = table.account_age_seconds.unwrap_or(ACCOUNT_AGE_DEFAULT);
        if age > ACCOUNT_AGE_MAX {
            let what = format!("= {age} is more than {ACCOUNT_AGE_MAX}");
            return Err(Wrong::new("account_age_seconds", what).under(&["trading"]));
        }
        let further = table.servers.take().unwrap_or_default();
        let (name, is_named) = (table.name.take().unwrap_or_else(|| MAIN.to_owned()), table.server.is_some());
        let first = server(&name, table.into(), folder, !is_named).map_err(|wrong| wrong.under(&["trading"]))?;
        let mut servers = vec![first];
        for (name, table) in further {
            let within = ["trading", "servers", name.as_str()];
            let server = server(&name, table, folder, false).map_err(|wrong| wrong.under(&within))?;
            if servers.iter().any(|known| known.name == server.name) {
                let what = format!("is of a server named {} like another one", server.name);
                return Err(Wrong::new("server", what).under(&within));
            }
            if let Some(same) = servers.iter().find(|known| known.kind.address() == server.kind.address()) {
                let what =
                    format!("is where the server {} is too: give that one the groups and brands of both", same.name);
                return Err(Wrong::new("server", what).under(&within));
            }
            for (key, own, others) in [
                ("groups", &server.groups, servers.iter().flat_map(|known| &known.groups).collect::<Vec<_>>()),
                ("brands", &server.brands, servers.iter().flat_map(|known| &known.brands).collect::<Vec<_>>()),
            ] {
                if let Some(twice) = own.iter().find(|name| others.contains(name)) {
                    return Err(Wrong::new(key, format!("has {twice:?}, which is another server's")).under(&within));
                }
            }
            servers.push(server);
        }
        Ok(Self { servers, account_age: Duration::from_secs(age.into()) })
    }
}

fn server(
    name: &str,
    table: TradingServerTable,
    folder: &Path,
    embedded_by_default: bool,
) -> Result<TradingServerSettings, Wrong> {
    let TradingServerTable { groups, brands, server, secret_file, ca_file, allow_plain, instance, platform } = table;
    let (groups, brands) = (names("groups", groups)?, names("brands", brands)?);
    let written = match server {
        Some(text) => trimmed(&text).to_owned(),
        None if embedded_by_default => ServerName::EMBEDDED.to_owned(),
        None => return Err(Wrong::new("server", "is needed: embedded, or where it is")),
    };
    let secret = |secret_file: Option<PathBuf>| match secret_file {
        Some(file) => path("secret_file", folder, file),
        None => Err(Wrong::new("secret_file", "is needed to reach the server")),
    };
    let ca = |ca_file: Option<PathBuf>| ca_file.map(|file| path("ca_file", folder, file)).transpose();
    let plain = allow_plain.unwrap_or_default();
    let refused = |given: bool, key: &'static str, of: &str| match given {
        true => Err(Wrong::new(key, format!("is of a server at {of} alone"))),
        false => Ok(()),
    };
    let (name, kind) = match written.split_once("://") {
        None if written == ServerName::EMBEDDED => {
            refused(secret_file.is_some(), "secret_file", "another place")?;
            refused(ca_file.is_some(), "ca_file", "another place")?;
            refused(platform.is_some(), "platform", "tcps")?;
            (ServerName::EMBEDDED, TradingServerKind::Embedded)
        }
        Some(("http" | "https", _)) => {
            refused(platform.is_some(), "platform", "tcps")?;
            let url = base_url("server", &written)?;
            let plain_allowed = plain || is_this_machine(&url);
            if url.starts_with("http://") && !plain_allowed {
                return Err(in_the_clear());
            }
            let instance = instance.map(|id| trimmed(&id).into());
            (
                name,
                TradingServerKind::Http {
                    url,
                    secret_file: secret(secret_file)?,
                    ca_file: ca(ca_file)?,
                    plain_allowed,
                    instance,
                },
            )
        }
        Some((scheme @ ("tcp" | "tcps"), address)) => {
            refused(instance.is_some(), "instance", "https")?;
            let host = address.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            let Some((host, _)) = host else {
                return Err(Wrong::new("server", "must be tcps://HOST:PORT"));
            };
            let is_secure = scheme == "tcps";
            if !is_secure && !plain && !is_this_machine(&format!("http://{address}")) {
                return Err(in_the_clear());
            }
            let kind = TradingServerKind::Platform {
                address: address.into(),
                tls_name: is_secure.then(|| host.trim_matches(['[', ']']).into()),
                ca_file: ca(ca_file)?,
                token_file: secret(secret_file)?,
                table: Box::new(platform.unwrap_or_default()),
            };
            (name, kind)
        }
        Some(_) | None => {
            let what = "must be embedded, https://HOST/PATH or tcps://HOST:PORT";
            return Err(Wrong::new("server", what));
        }
    };
    let shown = trimmed(name);
    let is_usable = !shown.is_empty() && (shown != ServerName::EMBEDDED || matches!(kind, TradingServerKind::Embedded));
    let known = ServerName::read(shown).filter(|_| is_usable);
    let wrong = || {
        let what =
            format!("= {shown:?} must have 1 to {} of a-z, 0-9, - and _, and not be embedded", ServerName::LENGTH_MAX);
        Wrong::new("name", what)
    };
    Ok(TradingServerSettings { name: known.ok_or_else(wrong)?, groups, brands, kind })
}

fn in_the_clear() -> Wrong {
    let what = "would be reached in the clear: use https or tcps, or allow_plain = true where a tunnel protects it";
    Wrong::new("server", what)
}

/// Whether a URL names this machine.
fn is_this_machine(url: &str) -> bool {
    let url = Url::parse(url).ok();
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Settings, SettingsError};

    const KEY: &str = "1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn parsed(text: &str) -> Result<TradingSettings, SettingsError> {
        Settings::parse(text, Path::new("/srv"), &|_| Some(KEY.into())).map(|settings| settings.trading)
    }

    fn shown(text: &str) -> Vec<String> {
        let settings = parsed(text).unwrap();
        let line = |server: &TradingServerSettings| {
            let kind = match &server.kind {
                TradingServerKind::Embedded => "embedded".to_owned(),
                TradingServerKind::Http { url, secret_file, plain_allowed, .. } => {
                    format!("{url} {} {plain_allowed}", secret_file.display())
                }
                TradingServerKind::Platform { address, tls_name, token_file, .. } => {
                    format!("{address} {tls_name:?} {}", token_file.display())
                }
            };
            format!("{}: {kind} {:?} {:?}", server.name, server.groups, server.brands)
        };
        settings.servers.iter().map(line).collect()
    }

    #[test]
    fn the_embedded_server_is_the_default_and_always_has_its_name() {
        for text in [
            "",
            "[trading]\n",
            "[trading]\nserver = \"embedded\"\n",
            "[trading]\nserver = \" embedded \"\nname = \"main\"",
        ] {
            assert_eq!(shown(text), ["embedded: embedded [] []"], "{text}");
        }
        assert_eq!(parsed("").unwrap().account_age, Duration::from_secs(30));
    }

    #[test]
    fn several_servers_have_names_routes_and_ways_to_reach_them() {
        let text = r#"
[trading]
server = "https://trade.example/cashier/"
secret_file = "trade.secret"
[trading.servers.demo]
server = "embedded"
groups = ["demo-usd"]
[trading.servers.platform-2]
server = "tcps://platform.example:4001"
secret_file = "platform.token"
brands = ["beta"]
platform = { executed_states = [11] }
[trading.servers.near]
server = "tcp://[::1]:4001"
secret_file = "near.token"
groups = ["near"]
"#;
        assert_eq!(
            shown(text),
            [
                "main: https://trade.example/cashier /srv/trade.secret false [] []",
                "embedded: embedded [\"demo-usd\"] []",
                "near: [::1]:4001 None /srv/near.token [\"near\"] []",
                "platform-2: platform.example:4001 Some(\"platform.example\") /srv/platform.token [] [\"beta\"]",
            ]
        );
        let near = "[trading]\nserver = \"http://127.0.0.1:9000/\"\nsecret_file = \"s\"";
        assert_eq!(shown(near), ["main: http://127.0.0.1:9000 /srv/s true [] []"]);
    }

    #[test]
    fn every_mistake_about_a_server_names_its_key_and_line() {
        let table = [
            ("[trading]\naccount_age_seconds = 3601", "line 2: trading.account_age_seconds = 3601 is more than 3600"),
            (
                "[trading]\nserver = \"mt5\"",
                "line 2: trading.server must be embedded, https://HOST/PATH or tcps://HOST:PORT",
            ),
            ("[trading]\nserver = \"https://a.example\"", "line 1: trading.secret_file is needed to reach the server"),
            (
                "[trading]\nserver = \"http://a.example\"\nsecret_file = \"s\"",
                "line 2: trading.server would be reached in the clear",
            ),
            (
                "[trading]\nserver = \"tcp://a.example:1\"\nsecret_file = \"s\"",
                "line 2: trading.server would be reached in the clear",
            ),
            (
                "[trading]\nserver = \"tcps://a.example\"\nsecret_file = \"s\"",
                "line 2: trading.server must be tcps://HOST:PORT",
            ),
            ("[trading]\nserver = \"https://u:pw@a.example\"\nsecret_file = \"s\"", "line 2: trading.server "),
            ("[trading]\nsecret_file = \"s\"", "line 2: trading.secret_file is of a server at another place alone"),
            (
                "[trading]\nserver = \"https://a.example\"\nsecret_file = \"s\"\nname = \"embedded\"",
                "line 4: trading.name = \"embedded\" must have 1 to 32 of a-z",
            ),
            (
                "[trading]\nserver = \"https://a.example\"\nsecret_file = \"s\"\nname = \"A B\"",
                "line 4: trading.name = \"A B\" must have",
            ),
            (
                "[trading.servers.demo]\nserver = \"embedded\"\ngroups = [\"g\"]",
                "line 2: trading.servers.demo.server is of a server named embedded like another one",
            ),
            ("[trading.servers.x]\ngroups = [\"g\"]", "line 1: trading.servers.x.server is needed"),
            (
                "[trading]\nserver = \"https://a.example\"\nsecret_file = \"s\"\n[trading.servers.x]\nserver = \"https://a.example/\"\nsecret_file = \"s\"",
                "line 5: trading.servers.x.server is where the server main is too",
            ),
            (
                "[trading.servers.x]\nserver = \"https://a.example\"\nsecret_file = \"s\"\nbrands = [\"b\"]\n[trading.servers.y]\nserver = \"https://c.example\"\nsecret_file = \"s\"\nbrands = [\"b\"]",
                "line 8: trading.servers.y.brands has \"b\", which is another server's",
            ),
            ("[trading]\nsever = \"embedded\"", "line 2: "),
        ];
        for (text, expected) in table {
            let SettingsError(error) = parsed(text).err().unwrap();
            assert!(error.starts_with(expected), "{text}\n{error}");
            assert!(!error.contains("pw"), "a password is not repeated: {error}");
        }
    }
}
