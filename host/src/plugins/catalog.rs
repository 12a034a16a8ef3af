//! The plugin host as the flows see it: the catalog, validation, new gateways, and reloading plugins.toml while the
//! cashier runs. Which file came to what is `shelf`; what a gateway does is `gateways`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use cashier_core::provider_config::ProviderConfig;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::loading::plugins_toml::PluginsToml;
use super::loading::probe::Probe;
use crate::plugins::calling::gateway::{self, Parts};
use crate::plugins::egress::port::Networks;
use crate::plugins::loading::registry::{Loader, ModuleRegistry, Outcome, Report};
use crate::ports::{CatalogLine, Clock, Entropy, Gateway, Modules};

/// Where things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSettings {
    /// plugins.toml itself.
    pub file: PathBuf,
    /// A private folder; copies of modules live in its `modules`.
    pub var: PathBuf,
    /// Folders in which modules given by name alone are looked for, after those that the file names.
    pub module_folders: Vec<PathBuf>,
    /// The program that knows `module-probe`: this one.
    pub program: PathBuf,
    /// What providers reach the cashier under, without a slash at the end; config n's notices arrive at
    /// `<public_url>/cashier/webhook/<provider>/<n>`.
    pub public_url: String,
}

/// What the plugin host takes from the world.
#[derive(Clone)]
pub struct World {
    pub networks: Arc<dyn Networks>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// The plugin host.
pub struct Plugins {
    settings: PluginSettings,
    world: World,
    shelf: ArcSwap<ModuleRegistry>,
    /// One load at a time.
    loading: Mutex<()>,
}

impl Plugins {
    /// Loads what plugins.toml lists. Blocks on disk and on one probe process per module. A module that does not load
    /// is a line of the catalog, not an error.
    ///
    /// # Errors
    /// plugins.toml itself cannot be read.
    pub fn open(settings: PluginSettings, world: World) -> Result<(Self, Vec<Report>), String> {
        let plugins = Self { settings, world, shelf: ArcSwap::default(), loading: Mutex::new(()) };
        let reports = plugins.reload()?;
        Ok((plugins, reports))
    }

    /// Reads plugins.toml again. A changed file is a new generation: gateways opened from here on use it, those that
    /// live drain on the old one. Blocks as [`Plugins::open`] does; libraries are never unloaded.
    ///
    /// # Errors
    /// plugins.toml itself cannot be read; nothing changed then.
    pub fn reload(&self) -> Result<Vec<Report>, String> {
        let _one = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let file = PluginsToml::read(&self.settings.file, &self.settings.module_folders)?;
        let folder = self.settings.var.join("modules");
        let folder = std::path::absolute(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let probe = Probe { program: self.settings.program.clone() };
        let loader = Loader { folder: &folder, probe: &probe, networks: &*self.world.networks };
        let (next, reports) = self.shelf.load().next(file, &loader);
        self.shelf.store(Arc::new(next));
        reports.iter().for_each(tell);
        Ok(reports)
    }

    fn parts(&self, config: &ProviderConfig) -> Option<Parts> {
        let loaded = Arc::clone(self.shelf.load().of(&config.provider)?);
        let notify_url = format!("{}/cashier/webhook/{}/{}", self.settings.public_url, config.provider, config.id);
        let (clock, entropy) = (Arc::clone(&self.world.clock), Arc::clone(&self.world.entropy));
        Some(Parts { loaded, notify_url, clock, entropy })
    }
}

fn tell(report: &Report) {
    let Report { module_name, code, generation, outcome } = report;
    match outcome {
        Outcome::Loaded | Outcome::Unchanged | Outcome::Replaced { .. } | Outcome::Delisted => {
            tracing::info!(module_name, code, generation, ?outcome, "module");
        }
        Outcome::Refused { reason, .. } => tracing::error!(module_name, code, generation, reason, "module refused"),
    }
}

impl Modules for Plugins {
    fn catalog(&self) -> Arc<[CatalogLine]> {
        self.shelf.load().lines(self.world.clock.monotonic())
    }

    /// A config whose module is not loaded has nobody to object to it.
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
        let (config, generation) = (config.clone(), Arc::clone(&parts.loaded.generation));
        async move {
            let (live, gateway) = gateway::open(&config, parts).await?;
            generation.joined(&live);
            Ok(gateway)
        }
        .boxed()
    }
}
