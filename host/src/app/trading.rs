//! The trading servers as the settings name them: opened, and compared with the books beside everything else, so that one that is
//! down holds up no start.

mod comparing;

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::comparing::{Comparing, DifferenceMark};
use crate::file_access::{FileUse, judge};
use crate::flows::Cashier;
use crate::pair::offline::ServerElsewhere;
use crate::ports::{Clock, Entropy, Fault, Spawn, TradingServer};
use crate::settings::{PlatformTable, TradingServerKind, TradingServerSettings, TradingSettings};
use crate::trading::embedded::Embedded;
use crate::trading::http::{HttpServerSettings, HttpTradingServer, InstanceFile, SigningSecrets};
use crate::trading::kept_kind;
use crate::trading::platform::{
    PlatformKeyForm, PlatformPhases, PlatformSearch, PlatformServer, PlatformSettings, PlatformTls,
};
use crate::trading::servers::port::TradingPorts;
use crate::trading::servers::{NamedServer, Server, ServerRoute, TradingServers};

/// What servers elsewhere are opened with.
pub(super) struct ServerDependencies<'b> {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Where the instance of each is kept.
    pub(super) bases: &'b Path,
    pub(super) spawn: &'b dyn Spawn,
    /// Whether a secret that other users may read is refused.
    pub(super) strict: bool,
    /// Whether they are posted to; else they are asked alone.
    pub(super) posts: bool,
}

/// The port, and what runs beside it until the cashier stops.
pub(super) struct OpenTrading {
    pub(super) port: Arc<dyn TradingServer>,
    servers: Option<Arc<TradingServers>>,
}

impl OpenTrading {
    /// One in place of those of the settings.
    pub(super) fn given(port: Arc<dyn TradingServer>) -> Self {
        Self { port, servers: None }
    }

    /// Opens the servers of the settings; none is waited for.
    ///
    /// # Errors
    /// A setting or a file of one cannot be used.
    pub(super) fn open(
        settings: &TradingSettings,
        embedded: &Arc<Embedded>,
        beside: &ServerDependencies<'_>,
    ) -> Result<Self, Fault> {
        let named = |server: &TradingServerSettings| {
            let named = |opened| NamedServer {
                name: server.name.clone(),
                server: opened,
                route: ServerRoute { groups: server.groups.clone(), brands: server.brands.clone() },
            };
            open(server, Some(embedded), beside)
                .and_then(|opened| admitted(server, opened, beside))
                .map(named)
                .map_err(|fault| Fault::new(format!("trading server {}: {fault}", server.name)))
        };
        let servers = settings.servers.iter().map(named).collect::<Result<Vec<_>, _>>()?;
        let servers = TradingServers::new(servers, settings.account_age, Arc::clone(&beside.clock));
        Ok(Self { port: Arc::new(TradingPorts(Arc::clone(&servers))), servers: Some(servers) })
    }

    /// What runs beside it: groups and changes are followed, and each server elsewhere is compared with the books once it answers,
    /// and again.
    pub(super) fn background(self, cashier: &Arc<Cashier>, bases: &Path) -> Vec<BoxFuture<'static, ()>> {
        let Some(servers) = self.servers else { return Vec::new() };
        let mut tasks = servers.background();
        for (name, server) in servers.elsewhere() {
            let mark = DifferenceMark::of(bases, &name);
            let (servers, cashier) = (Arc::clone(&servers), Arc::clone(cashier));
            tasks.push(Box::pin(Comparing { servers, cashier, name, server, mark }.compare()));
        }
        tasks
    }
}

/// The trading servers of the settings that are elsewhere, or why one cannot be opened.
pub(super) fn open_elsewhere(settings: &TradingSettings, beside: &ServerDependencies<'_>) -> Vec<ServerElsewhere> {
    let remote = |server: &TradingServerSettings| {
        let opened = match open(server, None, beside).and_then(|opened| admitted(server, opened, beside)) {
            Ok(Server::Remote { server, .. }) => Ok(server),
            Ok(Server::Embedded(_)) => return None,
            Err(fault) => Err(fault),
        };
        Some(ServerElsewhere { name: server.name.clone(), opened })
    };
    let elsewhere = settings.servers.iter().filter(|server| !matches!(server.kind, TradingServerKind::Embedded));
    elsewhere.filter_map(remote).collect()
}

/// A name keeps its protocol.
fn admitted(server: &TradingServerSettings, opened: Server, beside: &ServerDependencies<'_>) -> Result<Server, Fault> {
    match &opened {
        Server::Remote { protocol, .. } => kept_kind::admit(beside.bases, &server.name, protocol).map(|()| opened),
        Server::Embedded(_) => Ok(opened),
    }
}

/// The embedded one is given where it may be asked for.
fn open(
    server: &TradingServerSettings,
    embedded: Option<&Arc<Embedded>>,
    beside: &ServerDependencies<'_>,
) -> Result<Server, Fault> {
    let (clock, entropy) = (Arc::clone(&beside.clock), Arc::clone(&beside.entropy));
    match &server.kind {
        TradingServerKind::Embedded => {
            let embedded = embedded.ok_or_else(|| Fault::new("the embedded trading server is not open"))?;
            Ok(Server::Embedded(Arc::clone(embedded)))
        }
        TradingServerKind::Http { url, secret_file, ca_file, plain_allowed, instance } => {
            check_secret(secret_file, beside.strict)?;
            let secrets = SigningSecrets::read(secret_file).map_err(|why| Fault::new(format!("secret_file: {why}")))?;
            let settings = HttpServerSettings {
                url: url.clone(),
                secrets,
                ca_file: ca_file.clone(),
                plain_http_allowed: *plain_allowed,
                instance: instance.clone(),
                instance_file: Some(InstanceFile::of(beside.bases, &server.name)),
            };
            let server = HttpTradingServer::open(settings, clock, entropy)?;
            Ok(Server::Remote { protocol: "http", server: Arc::new(server) })
        }
        TradingServerKind::Platform { address, tls_name, ca_file, token_file, table } => {
            check_secret(token_file, beside.strict)?;
            let tls = match (tls_name, ca_file) {
                (None, _) => PlatformTls::Plain,
                (Some(name), None) => PlatformTls::PublicRoots { name: name.clone() },
                (Some(name), Some(file)) => PlatformTls::RootsFile { name: name.clone(), file: file.clone() },
            };
            let settings = platform(PlatformSettings::new(address, tls, token_file.clone()), (**table).clone())?;
            let server = PlatformServer::open(settings, clock, entropy, beside.spawn)?;
            if beside.posts {
                server.sweep(beside.spawn);
            }
            Ok(Server::Remote { protocol: "tcp", server: Arc::new(server) })
        }
    }
}

/// A file that lets whoever reads it move money.
fn check_secret(file: &Path, strict: bool) -> Result<(), Fault> {
    match judge(file, FileUse::Secret) {
        Some(sentence) if strict => Err(Fault::new(format!("secret_file: {sentence}"))),
        Some(sentence) => {
            tracing::warn!(target: "security", "secret_file of a trading server: {sentence}");
            Ok(())
        }
        None => Ok(()),
    }
}

fn platform(defaults: PlatformSettings, table: PlatformTable) -> Result<PlatformSettings, Fault> {
    let boxed = |texts: Option<Vec<String>>| texts.unwrap_or_default().into_iter().map(Box::from).collect();
    let text = |written: Option<String>, default: Box<str>| written.map_or(default, Box::from);
    let phases = match table.phases {
        None | Some(2) => PlatformPhases::Two,
        Some(1) => PlatformPhases::One,
        Some(other) => return Err(Fault::new(format!("platform.phases = {other} must be 1 or 2"))),
    };
    let settings = PlatformSettings {
        phases,
        source: text(table.source, defaults.source),
        key_form: if table.uuid_keys.unwrap_or_default() { PlatformKeyForm::Uuid } else { PlatformKeyForm::Key },
        executed_states: table.executed_states.unwrap_or_default(),
        declined_states: table.declined_states.unwrap_or_default(),
        refusals: boxed(table.refusals),
        missing_account: boxed(table.missing_account),
        customers_command: table.customers_command.map(Box::from),
        customers_filter: text(table.customers_filter, defaults.customers_filter),
        country_field: text(table.country_field, defaults.country_field),
        group_filter: text(table.group_filter, defaults.group_filter),
        heartbeat: text(table.heartbeat, defaults.heartbeat),
        search: table.search.map(|search| PlatformSearch {
            field: search.field.into(),
            equals: search.equals.into(),
            at_least: search.at_least.into(),
            order_by: search.order_by.unwrap_or_default().into(),
            by_uuid: search.by_uuid.unwrap_or(true),
            in_milliseconds: search.milliseconds.unwrap_or_default(),
        }),
        address: defaults.address,
        tls: defaults.tls,
        token_file: defaults.token_file,
    };
    settings.check().map_err(|fault| Fault::new(format!("platform: {fault}")))?;
    Ok(settings)
}
