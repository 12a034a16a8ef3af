//! Builds the cashier in order (lock, strand, books, catalog, gateways, flows, listeners) and drains it in reverse. The only
//! module that knows all modules.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::clock_file::ClockFiles;
use crate::flows::{Cashier, Ports, Rules, configure, janitor};
use crate::guarded_clock::GuardedClock;
use crate::http;
use crate::http::serve::{Listener, ListenerContext};
use crate::http::session::{SessionKeys, reload};
use crate::ledger::{Admission, Ledger, Watermark};
use crate::pair::{self, Reconciliation};
use crate::plugins::http_client::{EgressSettings, HttpClient};
use crate::plugins::{PluginDependencies, PluginSettings, Plugins, opening};
use crate::ports::{CatalogLine, Clock, Entropy, Fault, Modules, Recorder, Spawn, TradingServer};
use crate::settings::Settings;
use crate::strand::archive::ArchiveReader;
use crate::strand::audit::{self, AuditChain};
use crate::strand::seal::SealKeys;
use crate::strand::{self, BatchLimits, Strand, StrandSettings};
use crate::system::{SystemClock, SystemEntropy, Tasks};
use crate::trading::embedded::Embedded;

/// How long requests and flows in progress may take to end when the cashier stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How often the clock is judged without a request: a person who accepts it is still looking at the screen.
const CLOCK_PAUSE: Duration = Duration::from_secs(5);

/// Open connections per listener; more wait in the system's queue. Customers and providers: twice the 2,000 that may idle
/// while others pay.
const CUSTOMER_CONNECTIONS_MAX: usize = 4096;
/// A back office of some hundred people with one connection each.
const MANAGER_CONNECTIONS_MAX: usize = 512;
/// A few collectors of metrics and load balancers that keep theirs open.
const WATCH_CONNECTIONS_MAX: usize = 64;

/// Connections that the system queues until they are accepted. The default of 128 overflows when customers reconnect all at
/// once after an outage, and a dropped connection waits a second for its retry.
const LISTEN_QUEUE: u32 = 1024;

/// Clock, randomness and program, handed in so that tests can replace them.
#[derive(Clone)]
pub struct Machine {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// The `cashier` binary, started as a child to probe modules; `None` is the running program.
    pub program: Option<PathBuf>,
}

impl Machine {
    /// The real ones.
    pub fn real() -> Self {
        Self { clock: Arc::new(SystemClock::new()), entropy: Arc::new(SystemEntropy), program: None }
    }
}

/// The addresses of the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listeners {
    pub customer: SocketAddr,
    pub manager: SocketAddr,
    pub watch: SocketAddr,
}

/// The running cashier with everything that must be stopped.
pub struct CashierManager {
    cashier: Arc<Cashier>,
    listeners: Listeners,
    serving: JoinSet<usize>,
    stop: watch::Sender<bool>,
    tasks: Arc<Tasks>,
    strand: Arc<Strand>,
    trading: Arc<Embedded>,
}

impl CashierManager {
    /// Opens the cashier on the real machine.
    pub async fn open(settings: Settings) -> Result<Self, Fault> {
        Self::open_with(settings, Machine::real(), None).await
    }

    /// Opens the cashier with the caller's clock and randomness, and a trading server in place of the embedded one.
    pub async fn open_with(
        settings: Settings,
        machine: Machine,
        trading_server: Option<Arc<dyn TradingServer>>,
    ) -> Result<Self, Fault> {
        let keys = Arc::new(SessionKeys::parse(&settings.session_keys)?);
        let tls = tls(&settings)?;
        // Bound before anything is opened, so that a port in use fails early; they serve last.
        let (customer_socket, customer) = listen("customer_listen", settings.customer_listen)?;
        let (manager_socket, manager) = listen("manager_listen", settings.manager_listen)?;
        let (watch_socket, watch) = listen("watch_listen", settings.watch_listen)?;
        let own_url = || format!("{}://{}", settings.scheme(), customer).into();
        let public_url = settings.public_url.clone().unwrap_or_else(own_url);

        let watermark = Arc::new(Watermark::new());
        let strand = Arc::new(strand::open(
            StrandSettings {
                path: settings.bases.join("cashier.db"),
                keys: SealKeys::parse(&settings.seal_keys)?,
                entropy: Arc::clone(&machine.entropy),
                batch: BatchLimits::default(),
            },
            Arc::clone(&watermark) as _,
        )?);
        let clock = Arc::new(GuardedClock::open(machine.clock, Arc::new(ClockFiles::in_folder(&settings.bases))));
        let machine = Machine { clock: Arc::clone(&clock) as _, ..machine };
        let archive = Arc::new(ArchiveReader::open(strand.path())?);
        let trading = Arc::new(Embedded::open(&settings.bases)?);
        let loaded = strand.reload().await?;
        // Another trading server keeps its postings elsewhere.
        if trading_server.is_none() {
            pair::check(&loaded, &trading).await?;
        }
        let (books, configuration) = loaded.split();
        let ledger = Ledger::new(Arc::clone(&strand) as _, watermark, books, Admission::new(Admission::DEFAULT_LIMIT));

        let plugins = plugins(&settings, &machine, &public_url).await?;
        let allow: Arc<[Box<str>]> = settings.allow_sandbox_credit.clone().into();
        let now = machine.clock.now();
        let snapshot = configure::initial_snapshot(&ledger, &*plugins, configuration, allow, now).await;
        let tasks = Arc::new(Tasks::new(Handle::current()));
        let ports = Ports {
            archive,
            trading: trading_server.unwrap_or_else(|| Arc::clone(&trading) as _),
            modules: plugins,
            clock: Arc::clone(&machine.clock),
            entropy: Arc::clone(&machine.entropy),
            spawn: Arc::clone(&tasks) as Arc<dyn Spawn>,
        };
        let rules = Rules {
            public_url,
            webhook_patience: Rules::WEBHOOK_PATIENCE,
            deposits_per_minute: settings.deposits_per_minute.unwrap_or(Rules::DEPOSITS_PER_MINUTE),
            second_person: settings.second_person,
        };
        let cashier = crate::flows::open(ledger, snapshot, ports, rules);
        janitor::start(&cashier);
        cashier.spawn.background(Box::pin(keep_clock(clock)));
        if let Some(file) = settings.session_keys_file.clone() {
            let (text, keys, clock) = (settings.session_keys.clone(), Arc::clone(&keys), Arc::clone(&machine.clock));
            cashier.spawn.background(Box::pin(reload::reload_on_change(file, text, keys, clock)));
        }

        let (stop, stopped) = watch::channel(false);
        let context = ListenerContext {
            clock: machine.clock,
            entropy: machine.entropy,
            trusted_proxies: settings.trusted_proxies.into(),
        };
        let mut serving = JoinSet::new();
        let mut serve = |name, socket, tls, connections_max, routes| {
            let listener = Listener { name, socket, tls, connections_max, routes };
            serving.spawn(http::serve::serve(listener, context.clone(), stopped.clone(), DRAIN));
        };
        let routes = http::customer_routes(&cashier, &keys);
        serve("customer", customer_socket, tls.clone(), CUSTOMER_CONNECTIONS_MAX, routes);
        serve("manager", manager_socket, tls, MANAGER_CONNECTIONS_MAX, http::manager_routes(&cashier, &keys));
        serve("watch", watch_socket, None, WATCH_CONNECTIONS_MAX, http::watch_routes(&cashier));
        tracing::info!(%customer, %manager, %watch, "listeners opened");
        let listeners = Listeners { customer, manager, watch };
        Ok(Self { cashier, listeners, serving, stop, tasks, strand, trading })
    }

    pub fn listeners(&self) -> Listeners {
        self.listeners
    }

    pub fn cashier(&self) -> &Arc<Cashier> {
        &self.cashier
    }

    /// Closes the listeners, drains flows in progress, lets the strand write its queue.
    pub async fn stop(self) {
        // The send fails when every listener has ended already.
        let _ = self.stop.send(true);
        let connections_cut: usize = self.serving.join_all().await.into_iter().sum();
        let flows_drained = self.tasks.drain(DRAIN).await;
        let (strand, trading) = (self.strand, self.trading);
        let closed = tokio::task::spawn_blocking(move || {
            trading.close();
            strand.close()
        });
        match closed.await {
            Ok(Ok(())) => tracing::info!(connections_cut, flows_drained, "cashier stopped"),
            Ok(Err(fault)) => {
                tracing::error!(%fault, connections_cut, flows_drained, "writing the strand's queue failed during the stop")
            }
            Err(_) => tracing::error!(
                connections_cut,
                flows_drained,
                "closing the databases failed: its task was interrupted"
            ),
        }
    }
}

/// Judges and records the clock for ever.
async fn keep_clock(clock: Arc<GuardedClock>) {
    loop {
        clock.sleep(CLOCK_PAUSE).await;
        let observed = Arc::clone(&clock);
        // The task is interrupted at a stop alone.
        let _ = tokio::task::spawn_blocking(move || observed.observe()).await;
    }
}

/// The catalog of plugins.toml, without opening the cashier.
pub fn catalog(settings: &Settings) -> Result<Arc<[CatalogLine]>, Fault> {
    let public_url = settings.public_url.clone().unwrap_or_default();
    Ok(open_plugins(settings, &Machine::real(), &public_url)?.catalog())
}

/// Compares the databases of the settings; see [`pair::offline::reconcile`]. Stamps go on from the last plausible time, as the
/// server's do.
pub async fn reconcile(settings: &Settings, apply: bool) -> Result<Reconciliation, Fault> {
    let Machine { clock, entropy, .. } = Machine::real();
    let files = Arc::new(ClockFiles::in_folder(&settings.bases));
    let now = || GuardedClock::open(clock, files).now();
    pair::offline::reconcile(&settings.bases, &settings.seal_keys, entropy, now, apply).await
}

/// Follows the chain of audit records in a folder of bases; see [`audit::verify`].
pub fn verify_audit(bases: &Path, anchor: Option<&str>) -> Result<AuditChain, Fault> {
    audit::verify(&bases.join("cashier.db"), anchor)
}

/// The certificate of the customer and manager listeners, if the settings name one.
fn tls(settings: &Settings) -> Result<Option<Arc<ServerConfig>>, Fault> {
    let Some((chain, key)) = &settings.tls_files else { return Ok(None) };
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| Fault::new(format!("{}: {error}", path.display())));
    http::tls::server_config(&read(chain)?, &Zeroizing::new(read(key)?)).map(Some)
}

/// Loading probes every module in a child process, which blocks.
async fn plugins(settings: &Settings, machine: &Machine, public_url: &str) -> Result<Arc<Plugins>, Fault> {
    let (settings, machine, public_url) = (settings.clone(), machine.clone(), public_url.to_owned());
    let opened = tokio::task::spawn_blocking(move || open_plugins(&settings, &machine, &public_url));
    opened.await.unwrap_or_else(|_| Err(Fault::new("loading the modules was interrupted"))).map(Arc::new)
}

fn open_plugins(settings: &Settings, machine: &Machine, public_url: &str) -> Result<Plugins, Fault> {
    let this_program = || std::env::current_exe().map_err(|error| Fault::new(format!("this program: {error}")));
    let program = machine.program.clone().map_or_else(this_program, Ok)?;
    let beside: Vec<PathBuf> = program.parent().map(PathBuf::from).into_iter().collect();
    // Each module's result is logged by `Plugins::open`.
    let (plugins, _) = Plugins::open(
        PluginSettings {
            file: settings.plugins.clone(),
            var: settings.var.clone(),
            module_folders: beside,
            program,
            public_url: public_url.to_owned(),
        },
        PluginDependencies {
            networks: Arc::new(HttpClient::new(&EgressSettings::default()).map_err(Fault::new)?),
            clock: Arc::clone(&machine.clock),
            entropy: Arc::clone(&machine.entropy),
        },
    )
    .map_err(Fault::new)?;
    // Another program's process is not replaced: a test has the cashier inside its own.
    if machine.program.is_none() && opening::is_stuck() {
        return Err(Fault::new("a module did not open in time; starting again without it"));
    }
    Ok(plugins)
}

/// Listens with a queue long enough for a burst; the address is reusable as soon as the cashier has stopped.
fn listen(field: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Fault> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(LISTEN_QUEUE)?;
        let bound = socket.local_addr()?;
        Ok((socket, bound))
    };
    open().map_err(|error: std::io::Error| Fault::new(format!("{field} {address}: {error}")))
}
