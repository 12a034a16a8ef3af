//! Builds the cashier in order (lock, strand, books, catalog, gateways, flows, listeners) and drains it in reverse. The only
//! module that knows all modules.

mod images;
mod key_files;
mod listeners;
mod offline;
mod open_files;
mod retention;
mod tls_files;
mod trading;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub use self::key_files::session_rules;
pub use self::listeners::Listeners;
use self::listeners::{Limits, RoutesOfAll, Serving, Sockets};
pub use self::offline::{audit_head, check_release, erase_customer, reconcile, unrecorded_operations, verify_audit};
use self::trading::{OpenTrading, ServerDependencies};
use crate::clock_file::ClockFiles;
use crate::flows::{
    Cashier, CustomerLimits, NoticeRules, Ports, Rules, approvals, configure, ended_calls, janitor, refusals,
};
use crate::followed_file;
use crate::guarded_clock::GuardedClock;
use crate::http;
use crate::http::answering::ListenerContext;
use crate::http::session::SessionKeys;
use crate::http::session::files::{KeyFiles, open as open_session_keys};
use crate::ledger::{Admission, Ledger, Watermark};
use crate::pair;
use crate::plugins::http_client::{EgressSettings, HttpClient};
use crate::plugins::{self, PluginDependencies, PluginSettings, Plugins};
use crate::ports::{CatalogLine, Clock, Entropy, Fault, Recorder, Spawn, StartPhase, StartProgress, TradingServer};
use crate::private_files;
use crate::reload_signal::ReloadSignal;
use crate::sealing::{self, seal_keys};
pub use crate::sealing::{ResealReport, reseal, seal_use};
use crate::settings::Settings;
use crate::snapshot::MoneyModes;
use crate::strand::archive::ArchiveReader;
use crate::strand::seal::SealKeys;
pub use crate::strand::unrecorded::UnrecordedOperations;
use crate::strand::{self, BatchLimits, Strand, StrandSettings};
use crate::system::{SystemClock, SystemEntropy, Tasks};
use crate::trading::embedded::Embedded;

/// How long requests and flows in progress may take to end when the cashier stops.
const DRAIN: Duration = Duration::from_secs(10);

/// How long a start that is given up waits for its parts to end in order; the rest ends with the process. Rows are read in
/// blocks of milliseconds, and a part that takes longer has written nothing that a kill would leave half done.
const CANCEL_TIME_MAX: Duration = Duration::from_secs(1);

/// How often the clock is judged without a request: a person who accepts it is still looking at the screen.
const CLOCK_PAUSE: Duration = Duration::from_secs(5);

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

/// Where what runs beside a command, or the server, is started.
fn background_tasks() -> Tasks {
    Tasks::new(Handle::current())
}

/// The running cashier with everything that must be stopped.
pub struct CashierManager {
    parts: Parts,
    serving: Serving,
    reload: Arc<ReloadSignal>,
    /// Whether `/readyz` says that no more work should be sent.
    stopping: Arc<AtomicBool>,
    stop_delay: Duration,
}

/// A cashier that is whole, without its listeners.
struct Parts {
    cashier: Arc<Cashier>,
    keys: Arc<SessionKeys>,
    tasks: Arc<Tasks>,
    strand: Arc<Strand>,
    trading: Arc<Embedded>,
    /// Origins whose pages may call the customer paths.
    origins: Vec<Box<str>>,
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
        let opened = Self::open_unless(settings, machine, trading_server, std::future::pending()).await?;
        opened.ok_or_else(|| Fault::new("the start was given up"))
    }

    /// Opens the cashier unless `stop` resolves before it is whole: then the start is given up, and nothing is returned. The
    /// listeners answer from the first moment, and end with a start that fails or is given up.
    pub async fn open_unless(
        settings: Settings,
        machine: Machine,
        trading_server: Option<Arc<dyn TradingServer>>,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Self>, Fault> {
        key_files::warn_of_access(&settings);
        let (keys, key_files) = open_session_keys(key_files::session_sources(&settings))?;
        let seal_keys = seal_keys(&settings)?;
        let strict = settings.strict_key_permissions;
        let tls = settings.tls_files.clone().map(|files| tls_files::open(files, strict, keys.file_problems()));
        let (served, tls_file) = tls.transpose()?.unzip();
        let sockets = Sockets::bind(Listeners {
            customer: settings.customer_listen,
            manager: settings.manager_listen,
            watch: settings.watch_listen,
        })?;
        let own_url = || format!("{}://{}", settings.scheme(), sockets.addresses.customer).into();
        let public_url = settings.public_url.clone().unwrap_or_else(own_url);
        let progress = Arc::new(StartProgress::default());
        let context = ListenerContext {
            clock: Arc::clone(&machine.clock),
            entropy: Arc::clone(&machine.entropy),
            trusted_proxies: settings.trusted_proxies.clone().into(),
        };
        let reload = Arc::new(ReloadSignal::default());
        let mut serving = sockets.serve(served, context, Limits::of(&settings), &settings.cors_origins, &progress)?;
        if let Some(file) = tls_file {
            serving.beside(followed_file::follow(vec![file], Arc::clone(&machine.clock), reload.part("TLS files")));
        }
        let stop_delay = settings.stop_delay;
        let stopping = Arc::new(AtomicBool::new(false));
        let (progress_of_start, reload_of_start) = (Arc::clone(&progress), Arc::clone(&reload));
        let start = Start {
            settings,
            machine,
            trading_server,
            keys,
            key_files,
            public_url,
            progress: progress_of_start,
            reload: reload_of_start,
        };
        // A task of its own, so that a part that cannot be interrupted does not hold up the end of a start.
        let mut opening = JoinSet::new();
        opening.spawn(start.parts(seal_keys));
        let stopped = async {
            stop.await;
            None
        };
        let opened = match select(pin!(opening.join_next()), pin!(stopped)).await {
            Either::Left((opened, _)) | Either::Right((opened, _)) => opened,
        };
        match opened.map(|opened| opened.unwrap_or_else(|_| Err(Fault::new("the start was interrupted")))) {
            Some(Ok(parts)) => {
                serving.switch(parts.routes(&stopping));
                tracing::info!("cashier started");
                Ok(Some(Self { parts, serving, reload, stopping, stop_delay }))
            }
            Some(Err(fault)) => {
                serving.end(Duration::ZERO).await;
                Err(fault)
            }
            None => {
                serving.end(Duration::ZERO).await;
                let phase = progress.phase();
                progress.cancel();
                opening.abort_all();
                let ended = tokio::time::timeout(CANCEL_TIME_MAX, opening.join_next()).await.is_ok();
                tracing::info!(%phase, ended, "start was given up");
                Ok(None)
            }
        }
    }

    pub fn listeners(&self) -> Listeners {
        self.serving.addresses
    }

    pub fn cashier(&self) -> &Arc<Cashier> {
        &self.parts.cashier
    }

    /// Lets everything that follows a file look at it now.
    pub fn reload(&self) {
        let parts = self.reload.ask().join(", ");
        tracing::info!(parts, "files are read again; settings and plugins.toml are read at a start");
    }

    /// Says on `/readyz` that no more work should be sent, and serves on for the set time or until `skip`.
    pub async fn leave_service(&self, skip: impl Future<Output = ()>) {
        self.stopping.store(true, Ordering::Release);
        tracing::info!(serves_on_s = self.stop_delay.as_secs(), "readiness was withdrawn");
        if !self.stop_delay.is_zero() {
            select(pin!(skip), pin!(tokio::time::sleep(self.stop_delay))).await;
        }
    }

    /// Closes the listeners, drains flows in progress, lets the strand write its queue.
    ///
    /// # Errors
    /// The queue could not be written: what was decided last is not on disk.
    pub async fn stop(self) -> Result<(), Fault> {
        let connections_cut = self.serving.end(DRAIN).await;
        let Parts { cashier, tasks, strand, trading, .. } = self.parts;
        let flows_drained = tasks.drain(DRAIN).await;
        refusals::record_counted(&cashier).await;
        images::at_stop(&cashier, strand.path()).await;
        let closed = tokio::task::spawn_blocking(move || {
            trading.close();
            strand.close()
        });
        let closed = closed.await.unwrap_or_else(|_| Err(Fault::new("closing the databases was interrupted")));
        let closed = match cashier.ledger.is_open() {
            true => closed,
            false => closed.and(Err(Fault::new("a commit failed"))),
        };
        match &closed {
            Ok(()) => tracing::info!(connections_cut, flows_drained, "cashier stopped"),
            Err(fault) => {
                tracing::error!(%fault, connections_cut, flows_drained, "writing the strand's queue failed during the stop")
            }
        }
        closed.map_err(|fault| Fault::new(format!("what was decided last is not on disk: {fault}")))
    }
}

/// What a start is made from.
struct Start {
    settings: Settings,
    machine: Machine,
    trading_server: Option<Arc<dyn TradingServer>>,
    keys: Arc<SessionKeys>,
    key_files: KeyFiles,
    public_url: Box<str>,
    progress: Arc<StartProgress>,
    reload: Arc<ReloadSignal>,
}

impl Start {
    fn enter(&self, phase: StartPhase) {
        tracing::info!(%phase, "start went on");
        self.progress.enter(phase);
    }

    /// Opens everything behind the listeners, in order.
    async fn parts(self, seal_keys: SealKeys) -> Result<Parts, Fault> {
        let watermark = Arc::new(Watermark::new());
        let (strand, archive, trading, clock) = self.bases(seal_keys, Arc::clone(&watermark)).await?;
        let machine = Machine { clock: Arc::clone(&clock) as _, ..self.machine.clone() };
        let seal_file = sealing::key_file(&self.settings, strand.ring(), self.keys.file_problems())?;
        self.enter(StartPhase::Loading(strand.load_progress()));
        let loaded = strand.reload().await?;
        // Another trading server keeps its postings elsewhere.
        if self.trading_server.is_none() {
            self.enter(StartPhase::ComparingDatabases);
            pair::check(&loaded, &trading).await?;
        }
        let tasks = Arc::new(background_tasks());
        let opened = match self.trading_server.clone() {
            Some(given) => OpenTrading::given(given),
            None => {
                let beside = ServerDependencies {
                    clock: Arc::clone(&machine.clock),
                    entropy: Arc::clone(&machine.entropy),
                    spawn: &*tasks,
                    bases: &self.settings.bases,
                    strict: self.settings.strict_key_permissions,
                    posts: true,
                };
                OpenTrading::open(&self.settings.trading, &trading, &beside)?
            }
        };
        let (books, configuration) = loaded.split();
        let ledger = Ledger::new(Arc::clone(&strand) as _, watermark, books, Admission::new(Admission::DEFAULT_LIMIT));

        self.enter(StartPhase::OpeningModules);
        let modules = open_plugins(&self.settings, &machine, &self.public_url).await?;
        self.enter(StartPhase::OpeningGateways);
        let Self { settings, keys, key_files, public_url, reload, .. } = self;
        let money_modes = MoneyModes {
            allow_sandbox_credit: settings.allow_sandbox_credit.clone().into(),
            allow_live_on_demo: settings.allow_live_on_demo.clone().into(),
        };
        let now = machine.clock.now();
        let snapshot = configure::initial_snapshot(&ledger, &*modules, configuration, money_modes, now).await;
        let ports = Ports {
            archive,
            trading: Arc::clone(&opened.port),
            modules,
            clock: Arc::clone(&machine.clock),
            entropy: machine.entropy,
            spawn: Arc::clone(&tasks) as Arc<dyn Spawn>,
        };
        let rules = Rules {
            public_url,
            webhook_patience: Rules::WEBHOOK_PATIENCE,
            deposits_per_minute: settings.deposits_per_minute.unwrap_or(Rules::DEPOSITS_PER_MINUTE),
            notices: NoticeRules::new(settings.failed_notices_per_minute, settings.trusted_proxies.is_empty()),
            customer_limits: CustomerLimits::of_settings(
                settings.open_deposits_max,
                settings.stored_bytes_per_customer_max,
            ),
            second_person: settings.second_person,
            refund_limits: settings.refund_limits,
            rights: settings.rights,
            return_hosts: settings.return_hosts.into(),
            conversion: settings.conversion,
        };
        let cashier = crate::flows::open(ledger, snapshot, ports, rules);
        for task in opened.background(&cashier, &settings.bases) {
            cashier.spawn.background(task);
        }
        cashier.report_limits();
        configure::report_rows_without_match(&cashier);
        ended_calls::take_over(&cashier).await;
        janitor::start(&cashier);
        cashier.spawn.background(Box::pin(keep_clock(clock)));
        cashier.spawn.background(Box::pin(approvals::watch_managers(Arc::clone(&cashier))));
        for (command, sessions) in cashier.rules.rights.narrowed() {
            tracing::info!(command, sessions = sessions.join(" "), "manager command is for these sessions alone");
        }
        cashier.spawn.background(Box::pin(images::keep(Arc::clone(&cashier), strand.path().to_owned())));
        let kept = settings.retention;
        cashier.spawn.background(Box::pin(retention::keep(Arc::clone(&cashier), Arc::clone(&strand), kept)));
        let asked = reload.part("session keys");
        cashier.spawn.background(Box::pin(key_files.follow(machine.clock, asked)));
        let seal_file = seal_file.map(|file| (file, reload.part("seal keys")));
        cashier.spawn.background(Box::pin(sealing::keep(Arc::clone(&cashier), Arc::clone(&strand), seal_file)));
        Ok(Parts { cashier, keys, tasks, strand, trading, origins: settings.cors_origins })
    }

    /// The databases and the clock's record in the folder of bases.
    async fn bases(&self, keys: SealKeys, watermark: Arc<Watermark>) -> Result<Bases, Fault> {
        let (folder, machine) = (self.settings.bases.clone(), self.machine.clone());
        blocking("opening the databases", move || {
            let settings = StrandSettings {
                path: folder.join("cashier.db"),
                keys,
                entropy: machine.entropy,
                batch: BatchLimits::default(),
            };
            // A first start is the first to need it where no roster was imported.
            private_files::create_folder(&folder)?;
            Embedded::check_release(&folder, true)?;
            let strand = Arc::new(strand::open(settings, watermark as _)?);
            let clock = Arc::new(GuardedClock::open(machine.clock, Arc::new(ClockFiles::in_folder(&folder))));
            let archive = Arc::new(ArchiveReader::open(strand.path())?);
            Ok((strand, archive, Arc::new(Embedded::open(&folder)?), clock))
        })
        .await
    }
}

type Bases = (Arc<Strand>, Arc<ArchiveReader>, Arc<Embedded>, Arc<GuardedClock>);

/// Runs on a thread that may wait for a disk or a child process.
async fn blocking<T: Send + 'static>(
    what: &str,
    run: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(run).await;
    done.unwrap_or_else(|_| Err(Fault::new(format!("{what} was interrupted"))))
}

impl Parts {
    fn routes(&self, stopping: &Arc<AtomicBool>) -> RoutesOfAll {
        let Self { cashier, keys, origins, .. } = self;
        RoutesOfAll {
            customer: http::customer_routes(cashier, keys, origins),
            manager: http::manager_routes(cashier, keys),
            watch: http::watch_routes(cashier, keys, stopping),
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

/// The catalog of plugins.toml, without opening the cashier or any module; see [`plugins::list`].
pub fn catalog(settings: &Settings) -> Result<Vec<CatalogLine>, Fault> {
    let public_url = settings.public_url.clone().unwrap_or_default();
    let (settings, dependencies) = plugin_host(settings, &Machine::real(), &public_url)?;
    plugins::list(&settings, &*dependencies.networks).map_err(Fault::new)
}

/// Loading probes every module in a child process. Each module's result is logged by `Plugins::open`.
async fn open_plugins(settings: &Settings, machine: &Machine, public_url: &str) -> Result<Arc<Plugins>, Fault> {
    let (settings, dependencies) = plugin_host(settings, machine, public_url)?;
    let open = move || Plugins::open(settings, dependencies).map_err(Fault::new);
    blocking("loading the modules", open).await.map(|(plugins, _)| Arc::new(plugins))
}

/// What the plugin host is made from.
fn plugin_host(
    settings: &Settings,
    machine: &Machine,
    public_url: &str,
) -> Result<(PluginSettings, PluginDependencies), Fault> {
    let this_program = || std::env::current_exe().map_err(|error| Fault::new(format!("this program: {error}")));
    let program = machine.program.clone().map_or_else(this_program, Ok)?;
    let beside: Vec<PathBuf> = program.parent().map(PathBuf::from).into_iter().collect();
    let settings = PluginSettings {
        file: settings.plugins.clone(),
        var: settings.var.clone(),
        module_folders: beside,
        program,
        public_url: public_url.to_owned(),
    };
    let networks = Arc::new(HttpClient::new(&EgressSettings::default()).map_err(Fault::new)?);
    let (clock, entropy) = (Arc::clone(&machine.clock), Arc::clone(&machine.entropy));
    Ok((settings, PluginDependencies { networks, clock, entropy }))
}
