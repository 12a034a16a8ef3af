//! The plugin host as the flows see it: the catalog, validation of configs, new gateways, and reloading plugins.toml while
//! the cashier runs. `loading/registry` decides what is loaded; `calling/gateway` makes calls.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::time::UnixTime;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::calling::gateway::{self, GatewayParts};
use super::crash::{self, CallEntry, CallRecorder, CallSite, EndedCall, ModuleQuarantine, Takeover};
use super::egress::port::Networks;
use super::loading::listing::ModuleListing;
use super::loading::plugins_toml::PluginsToml;
use super::loading::private_folder;
use super::loading::probe::Probe;
use super::loading::registry::{LoadOutcome, LoadReport, Loader, ModuleRegistry};
use super::loading::sweep;
use crate::ports::{CatalogLine, Clock, EndedCalls, EndedNotice, Entropy, Gateway, Modules, RawNotice};
use crate::security_log::{self, LoadedBuild};

/// Paths and URLs of the plugin host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// plugins.toml itself.
    pub file: PathBuf,
    /// A private folder; copies of modules are in its `modules`.
    pub var: PathBuf,
    /// Folders searched for modules that are given by name alone, after those that the file names.
    pub module_folders: Vec<PathBuf>,
    /// The program that has the subcommand `module-probe`: this one.
    pub program: PathBuf,
    /// Where providers reach the cashier, without a slash at the end; webhooks for config n arrive at
    /// `<public_url>/cashier/webhook/<provider>/<n>`.
    pub public_url: String,
}

/// The ports that the plugin host uses.
#[derive(Clone)]
pub struct PluginDependencies {
    pub networks: Arc<dyn Networks>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// The plugin host.
pub struct Plugins {
    settings: PluginSettings,
    dependencies: PluginDependencies,
    registry: ArcSwap<ModuleRegistry>,
    recorder: CallRecorder,
    /// Read again by a reload.
    quarantine: ArcSwap<ModuleQuarantine>,
    /// The calls that ended the run before this one.
    found: Vec<EndedCall>,
    /// One load at a time.
    loading: Mutex<()>,
}

impl Plugins {
    /// Loads what plugins.toml lists. Blocks on disk and on one probe process per module. A module that cannot be loaded is
    /// a line of the catalog, not an error.
    ///
    /// # Errors
    /// plugins.toml itself cannot be read.
    pub fn open(settings: PluginSettings, dependencies: PluginDependencies) -> Result<(Self, Vec<LoadReport>), String> {
        let PluginDependencies { clock, entropy, .. } = &dependencies;
        let Takeover { recorder, quarantine, found } = take_over(&settings.var, entropy.bits() as u64, clock.now().0);
        let (registry, loading, quarantine) = (ArcSwap::default(), Mutex::new(()), ArcSwap::from_pointee(quarantine));
        let plugins = Self { settings, dependencies, registry, recorder, quarantine, found, loading };
        let reports = plugins.load()?;
        plugins.sweep();
        Ok((plugins, reports))
    }

    /// Reads plugins.toml again. A changed file is a new generation: gateways opened from here on use it; open gateways keep
    /// the old one. Blocks as [`Plugins::open`] does; libraries are never unloaded.
    ///
    /// # Errors
    /// plugins.toml itself cannot be read; nothing was changed then.
    pub fn reload(&self) -> Result<Vec<LoadReport>, String> {
        self.quarantine.store(Arc::new(ModuleQuarantine::read_or_empty(&self.settings.var)));
        self.load()
    }

    fn load(&self) -> Result<Vec<LoadReport>, String> {
        let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let file = PluginsToml::read(&self.settings.file, &self.settings.module_folders)?;
        let folder = copies_in(&self.settings.var)?;
        let probe = Probe { program: self.settings.program.clone() };
        let (networks, quarantine) = (&*self.dependencies.networks, self.quarantine.load());
        let now = self.dependencies.clock.now().0;
        let loader =
            Loader { now, folder: &folder, probe: &probe, networks, recorder: &self.recorder, quarantine: &quarantine };
        let (next, reports) = self.registry.load().next(file, &loader);
        self.registry.store(Arc::new(next));
        reports.iter().for_each(log);
        for sentence in self.quarantine() {
            security_log::module_quarantined(&sentence);
        }
        Ok(reports)
    }

    /// Removes what earlier runs left among the copies; that of a build that is refused stays for the next start.
    fn sweep(&self) {
        let Ok(folder) = copies_in(&self.settings.var) else { return };
        // Where others may write, no file is believed to be ours.
        if private_folder::check(&folder).is_err() {
            return;
        }
        let catalog = self.catalog();
        let living = catalog.iter().map(|line| &*line.sha256).collect();
        let removed = sweep::sweep(&folder, &living);
        if removed > 0 {
            tracing::info!(removed, "stale copies of modules were removed");
        }
    }

    fn parts(&self, config: &ProviderConfig) -> Option<GatewayParts> {
        let loaded = Arc::clone(self.registry.load().module(&config.provider)?);
        let notify_url = format!("{}/cashier/webhook/{}/{}", self.settings.public_url, config.provider, config.id);
        let (clock, entropy) = (Arc::clone(&self.dependencies.clock), Arc::clone(&self.dependencies.entropy));
        let site = CallSite {
            recorder: self.recorder.clone(),
            code: (&*config.provider).into(),
            build: loaded.generation.copy.sha256.as_str().into(),
            config: config.id.0,
        };
        let quarantine = self.quarantine.load_full();
        Some(GatewayParts { loaded, notify_url, clock, entropy, site, quarantine })
    }
}

/// Takes over what the run before left in `var`, where nobody else may write to it: who may, accuses any build. Where
/// somebody may, no module is opened either.
fn take_over(var: &Path, run: u64, now: i64) -> Takeover {
    match copies_in(var).and_then(|folder| private_folder::prepare(&folder)) {
        Ok(()) => crash::take_over(var, run, now),
        Err(reason) => {
            tracing::error!(reason, "the folder var is not used: no module is opened");
            Takeover::default()
        }
    }
}

/// The folder of `var` with the private copies of modules.
fn copies_in(var: &Path) -> Result<PathBuf, String> {
    let folder = var.join("modules");
    std::path::absolute(&folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// What plugins.toml offers, and what of it is refused: nothing of it is opened in this process, and nothing is written. The
/// server's catalog says more. Blocks as [`Plugins::open`] does.
///
/// # Errors
/// plugins.toml itself or the quarantine cannot be read.
pub fn list(settings: &PluginSettings, networks: &dyn Networks) -> Result<Vec<CatalogLine>, String> {
    let file = PluginsToml::read(&settings.file, &settings.module_folders)?;
    let folder = copies_in(&settings.var)?;
    let quarantine = ModuleQuarantine::read(&settings.var).map_err(|fault| fault.what)?;
    let probe = Probe { program: settings.program.clone() };
    Ok(ModuleListing { folder: &folder, probe: &probe, networks, quarantine: &quarantine }.lines(file))
}

fn log(report: &LoadReport) {
    let LoadReport { module_name: module, code, generation, sha256, outcome } = report;
    let build = LoadedBuild { module, code, generation: *generation, sha256 };
    match outcome {
        LoadOutcome::Loaded => security_log::module_loaded(&build, None, "module loaded"),
        LoadOutcome::Unchanged => security_log::module_loaded(&build, None, "module unchanged"),
        LoadOutcome::Replaced { generation_before } => {
            security_log::module_loaded(&build, Some(*generation_before), "module replaced");
        }
        LoadOutcome::Delisted => security_log::module_loaded(&build, None, "module delisted"),
        LoadOutcome::Refused { reason, still_serving } => {
            security_log::module_refused(module, reason, *still_serving);
        }
    }
}

impl Modules for Plugins {
    fn catalog(&self) -> Arc<[CatalogLine]> {
        self.registry.load().lines(self.dependencies.clock.monotonic())
    }

    fn ended_calls(&self) -> EndedCalls {
        let quarantine = self.quarantine.load();
        let of = |entry| {
            let calls = quarantine.calls().iter().filter(move |call| call.entry == entry);
            calls.map(|call| (TransactionId(call.transaction), call.reference.as_str().into())).collect()
        };
        EndedCalls {
            creates: of(CallEntry::CreatePayment),
            refunds: of(CallEntry::RefundPayment),
            notices: self.found.iter().filter_map(ended_notice).collect(),
        }
    }

    fn quarantine(&self) -> Vec<String> {
        let quarantine = self.quarantine.load();
        let mut sentences = Vec::new();
        for line in self.catalog().iter() {
            if !line.available && quarantine.refuses(&line.sha256).is_some() {
                sentences.push(format!("module {}: {}", line.module_name, line.failure_reason));
                continue;
            }
            let barred = quarantine.calls().iter().filter(|call| *call.build == *line.sha256);
            sentences.extend(barred.map(|call| format!("module {}: a notice is barred: {call}", line.module_name)));
        }
        sentences
    }

    /// A config whose module is not loaded is accepted: there is no module to validate it.
    fn validate(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<(), String>> {
        let Some(parts) = self.parts(config) else { return futures_util::future::ready(Ok(())).boxed() };
        let config = config.clone();
        async move { gateway::validate(&config, &parts).await }.boxed()
    }

    fn open_gateway(&self, config: &ProviderConfig) -> BoxFuture<'static, Result<Arc<dyn Gateway>, String>> {
        let Some(parts) = self.parts(config) else {
            let reason = format!("no module for provider {:?} is loaded", config.provider);
            return futures_util::future::ready(Err(reason)).boxed();
        };
        let config = config.clone();
        async move { gateway::open(&config, parts).await }.boxed()
    }
}

/// What is left of the notice of a call that ended the process.
fn ended_notice(call: &EndedCall) -> Option<EndedNotice> {
    let left = call.notice.as_ref()?;
    let notice = RawNotice {
        method: left.method.as_str().into(),
        path: left.path.as_str().into(),
        raw_query: left.query.as_str().into(),
        content_type: left.content_type.as_str().into(),
        headers: Arc::new([]),
        body: left.body.clone().into(),
        received_time: UnixTime(left.received),
    };
    let (provider, config_id) = (call.code.as_str().into(), ConfigId(call.config));
    Some(EndedNotice { provider, config_id, reason: call.to_string(), notice })
}
