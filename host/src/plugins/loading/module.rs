//! One build of a module in memory, the module as plugins.toml lists it, and what the catalog shows of both. It does not
//! open libraries and does not call into a configured module.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cashier_provider_sdk::host::ModuleV1;
use cashier_provider_sdk::{Descriptor, SettingSpec};

use super::copies::ModuleCopy;
use super::declaration::declaration;
use super::library::LoadError;
use super::plugins_toml::ModuleOptions;
use super::symbols::Symbols;
use crate::plugins::egress::port::Network;
use crate::plugins::thread_slots::{STUCK_MAX, ThreadSlots};
use crate::ports::{CatalogLine, ModuleHealth};

/// Every module runs in the cashier's own process.
const ISOLATION: &str = "in-process";

/// One build of one module, opened once and never closed.
pub(in crate::plugins) struct Generation {
    pub(super) number: u32,
    pub(in crate::plugins) copy: ModuleCopy,
    pub(super) symbols: Symbols,
    pub(in crate::plugins) module: ModuleV1,
    pub(in crate::plugins) descriptor: Descriptor,
    loaded_time: i64,
    /// Threads on which instances are configured and dropped.
    pub(in crate::plugins) slots: ThreadSlots,
    gateways: Mutex<Vec<Weak<dyn ReportsHealth>>>,
}

/// A gateway, as far as the health of its module goes.
pub(in crate::plugins) trait ReportsHealth: Send + Sync {
    /// How its calls end, whatever the provider answers.
    fn health(&self) -> ModuleHealth;
    /// The provider refuses the credentials of its config.
    fn credentials_are_refused(&self) -> bool;
    /// What does not work, a sentence each, with the config.
    fn problems(&self) -> Vec<String>;
}

/// A module as plugins.toml lists it, ready to be configured.
pub(in crate::plugins) struct LoadedModule {
    pub(super) name: String,
    /// The file that plugins.toml names; the library was opened from a private copy of it.
    pub(super) path: PathBuf,
    pub(in crate::plugins) options: ModuleOptions,
    pub(in crate::plugins) generation: Arc<Generation>,
    pub(in crate::plugins) network: Arc<dyn Network>,
}

impl Generation {
    pub(super) fn new(
        number: u32,
        copy: ModuleCopy,
        symbols: Symbols,
        module: ModuleV1,
        descriptor: Descriptor,
        loaded_time: i64,
    ) -> Self {
        let (slots, gateways) = (ThreadSlots::default(), Mutex::default());
        Self { number, copy, symbols, module, descriptor, loaded_time, slots, gateways }
    }

    /// Counts a gateway into the module's health for as long as it lives.
    pub(in crate::plugins) fn count(&self, gateway: Weak<dyn ReportsHealth>) {
        let mut gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        gateways.retain(|known| known.strong_count() > 0);
        gateways.push(gateway);
    }

    /// Unavailable when all gateways are, degraded when any is not ok. A configure call that does not return degrades the
    /// module as well, and makes it unavailable where no gateway was opened before. `now` is a monotonic time.
    fn health(&self, call: Duration, now: Duration) -> ModuleHealth {
        let gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        let each: Vec<ModuleHealth> =
            gateways.iter().filter_map(Weak::upgrade).map(|gateway| gateway.health()).collect();
        let stuck = self.slots.stuck(call, now);
        match (each.iter().min(), each.iter().max()) {
            (Some(ModuleHealth::Unavailable), _) => ModuleHealth::Unavailable,
            (None, _) if stuck >= STUCK_MAX => ModuleHealth::Unavailable,
            (_, Some(ModuleHealth::Degraded | ModuleHealth::Unavailable)) => ModuleHealth::Degraded,
            (_, Some(ModuleHealth::Ok) | None) if stuck > 0 => ModuleHealth::Degraded,
            (_, Some(ModuleHealth::Ok) | None) => ModuleHealth::Ok,
        }
    }
}

impl Generation {
    fn credentials_are_refused(&self) -> bool {
        let gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        gateways.iter().filter_map(Weak::upgrade).any(|gateway| gateway.credentials_are_refused())
    }
}

impl Generation {
    fn problems(&self, call: Duration, now: Duration) -> Vec<Box<str>> {
        let gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        let of_gateways = gateways.iter().filter_map(Weak::upgrade).flat_map(|gateway| gateway.problems());
        let stuck = self.slots.stuck(call, now);
        let configuring = (stuck > 0).then(|| format!("{stuck} calls that configure the module do not return"));
        of_gateways.chain(configuring).map(|problem| CatalogLine::text(&problem)).collect()
    }
}

impl LoadedModule {
    pub(super) fn code(&self) -> &str {
        &self.generation.descriptor.code
    }

    /// The module's line in the catalog; it is available when there is no failure reason.
    pub(super) fn line(&self, failure_reason: &str, now: Duration) -> CatalogLine {
        let Generation { number, copy, symbols, descriptor, loaded_time, .. } = &*self.generation;
        let keys = |wanted: fn(&SettingSpec) -> bool| {
            descriptor.settings.iter().filter(|spec| wanted(spec)).map(|spec| spec.key.as_str().into()).collect()
        };
        let call_health = self.generation.health(self.options.limits.call, now);
        let refused = self.generation.credentials_are_refused();
        CatalogLine {
            code: descriptor.code.as_str().into(),
            name: CatalogLine::text(&descriptor.name),
            description: CatalogLine::text(&descriptor.description),
            payment_mode: descriptor.payment_mode.as_str().into(),
            methods: boxed(&descriptor.methods),
            currencies: boxed(&descriptor.currencies),
            module_name: CatalogLine::text(&self.name),
            path: CatalogLine::text(&self.path.to_string_lossy()),
            api_version: symbols.contract,
            available: failure_reason.is_empty(),
            refused: false,
            failure_reason: CatalogLine::text(failure_reason),
            generation: *number,
            isolation: ISOLATION.into(),
            health: if refused { call_health.max(ModuleHealth::Degraded) } else { call_health },
            call_health,
            problems: self.generation.problems(self.options.limits.call, now),
            sha256: copy.sha256.as_str().into(),
            brands: self.options.brands.as_deref().map(boxed),
            settings: keys(|_| true),
            endpoint_settings: keys(|spec| spec.endpoint),
            secret_settings: keys(|spec| spec.secret),
            declared: declaration(descriptor, *loaded_time),
        }
    }
}

/// The catalog line of an entry that was not loaded, with the reason.
pub(super) fn refused_line(
    name: &str,
    path: Option<&Path>,
    options: Option<&ModuleOptions>,
    error: &LoadError,
) -> CatalogLine {
    CatalogLine {
        module_name: CatalogLine::text(name),
        path: path.map_or_else(Box::default, |path| CatalogLine::text(&path.to_string_lossy())),
        api_version: error.contract.unwrap_or_default(),
        failure_reason: CatalogLine::text(&error.reason),
        refused: options.is_none_or(|options| options.enabled),
        sha256: error.quarantined.as_str().into(),
        isolation: ISOLATION.into(),
        brands: options.and_then(|options| options.brands.as_deref()).map(boxed),
        ..CatalogLine::default()
    }
}

fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}
