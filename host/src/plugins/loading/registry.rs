//! What plugins.toml came to: for each entry a loaded module of some generation, or the reason why there is none. Loading
//! gives a new registry and leaves the old one as it was; `catalog` publishes the new one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::copies;
use super::library::{LoadError, OpenedModule};
use super::module::{Generation, LoadedModule, refused_line};
use super::opening;
use super::plugins_toml::{ModuleEntry, ModuleOptions, PluginsToml};
use super::probe::Probe;
use crate::file_access::{self, FileUse};
use crate::plugins::crash::{CallRecorder, CallSite, EndedCall, ModuleQuarantine};
use crate::plugins::egress::port::{EgressPolicy, Network, Networks};
use crate::ports::CatalogLine;

/// One module or one refused entry.
#[derive(Clone)]
enum RegistryEntry {
    Serving(Arc<LoadedModule>),
    /// Takes no new payments; updates about earlier payments are still accepted.
    Delisted(Arc<LoadedModule>),
    Refused(Box<CatalogLine>),
}

/// What became of an entry of plugins.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    Loaded,
    Unchanged,
    Replaced {
        generation_before: u32,
    },
    /// Nothing of it serves; with `still_serving`, the generation loaded before still does.
    Refused {
        reason: String,
        still_serving: Option<u32>,
    },
    /// No entry names it any more.
    Delisted,
}

/// What became of one module in a load or reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    pub module_name: String,
    /// Empty where it could not be read.
    pub code: String,
    /// 0 where nothing is loaded.
    pub generation: u32,
    /// Of the file; empty where nothing is loaded.
    pub sha256: String,
    pub outcome: LoadOutcome,
}

/// What loading takes besides plugins.toml.
pub(in crate::plugins) struct Loader<'a> {
    /// Unix seconds.
    pub(in crate::plugins) now: i64,
    /// Where private copies of modules are placed.
    pub(in crate::plugins) folder: &'a Path,
    pub(in crate::plugins) probe: &'a Probe,
    pub(in crate::plugins) networks: &'a dyn Networks,
    pub(in crate::plugins) recorder: &'a CallRecorder,
    pub(in crate::plugins) quarantine: &'a ModuleQuarantine,
}

/// Every module found, in the order of plugins.toml, delisted modules last.
#[derive(Clone, Default)]
pub(in crate::plugins) struct ModuleRegistry {
    entries: Vec<RegistryEntry>,
}

impl ModuleRegistry {
    /// The registry after this one: modules whose file changed are loaded anew. Blocks on disk and probe processes.
    pub(in crate::plugins) fn next(&self, file: PluginsToml, loader: &Loader<'_>) -> (Self, Vec<LoadReport>) {
        let mut next = Self::default();
        let mut reports = Vec::new();
        for entry in file.modules {
            let (entry, report) = self.load_entry(&next, entry, loader);
            next.entries.push(entry);
            reports.push(report);
        }
        for entry in &self.entries {
            let (loaded, served) = match entry {
                RegistryEntry::Serving(loaded) => (loaded, true),
                RegistryEntry::Delisted(loaded) => (loaded, false),
                RegistryEntry::Refused(_) => continue,
            };
            if next.module(loaded.code()).is_none() {
                next.entries.push(RegistryEntry::Delisted(Arc::clone(loaded)));
                reports.extend(served.then(|| LoadReport::of(loaded, LoadOutcome::Delisted)));
            }
        }
        (next, reports)
    }

    fn load_entry(&self, next: &Self, entry: ModuleEntry, loader: &Loader<'_>) -> (RegistryEntry, LoadReport) {
        let ModuleEntry { name, options, .. } = entry;
        let options = match options {
            Ok(options) => options,
            Err(reason) => return refused(&name, None, None, LoadError::new(reason)),
        };
        let path = options.source.path();
        // Whoever may change the file decides which code runs in the cashier, at the next start.
        if let Some(sentence) = file_access::judge(&path, FileUse::Public) {
            tracing::warn!(target: "security", module = name, "{sentence}");
        }
        let before = self.loaded().find(|loaded| loaded.name == name);
        let (generation, outcome) = match (self.load(&name, &options, &path, loader), before) {
            (Ok((generation, outcome)), _) => (generation, outcome),
            (Err(error), None) => return refused(&name, Some(&path), Some(&options), error),
            // A file that cannot be loaded does not replace the generation that serves.
            (Err(LoadError { reason, .. }), Some(before)) => {
                let generation = Arc::clone(&before.generation);
                let outcome = LoadOutcome::Refused { reason, still_serving: Some(generation.number) };
                (generation, outcome)
            }
        };
        let network = match next.open_network(&generation, &options, loader.networks) {
            Ok(network) => network,
            Err(reason) => {
                let contract = Some(generation.symbols.contract);
                return refused(&name, Some(&path), Some(&options), LoadError { contract, ..LoadError::new(reason) });
            }
        };
        let loaded = Arc::new(LoadedModule { name, path, options, generation, network });
        let report = LoadReport::of(&loaded, outcome);
        let entry =
            if loaded.options.enabled { RegistryEntry::Serving(loaded) } else { RegistryEntry::Delisted(loaded) };
        (entry, report)
    }

    /// The build at `path`: the one that is loaded already, or the next generation of its provider code.
    fn load(
        &self,
        name: &str,
        options: &ModuleOptions,
        path: &Path,
        loader: &Loader<'_>,
    ) -> Result<(Arc<Generation>, LoadOutcome), LoadError> {
        options.source.missing().map_or(Ok(()), Err).map_err(LoadError::new)?;
        let copy = copies::copy(path, options.pin.as_deref(), loader.folder).map_err(LoadError::new)?;
        if let Some(known) = self.loaded().find(|loaded| loaded.generation.copy.sha256 == copy.sha256) {
            return Ok((Arc::clone(&known.generation), LoadOutcome::Unchanged));
        }
        if let Some(call) = loader.quarantine.refuses(&copy.sha256) {
            return Err(LoadError { quarantined: copy.sha256, ..LoadError::new(quarantined(call)) });
        }
        loader.probe.check(&copy)?;
        let OpenedModule { symbols, module, descriptor } = opening::open(name, &copy, loader.site(name, &copy.sha256))?;
        let before = self.module(&descriptor.code).map(|loaded| loaded.generation.number);
        let outcome = match before {
            None => LoadOutcome::Loaded,
            Some(generation_before) => LoadOutcome::Replaced { generation_before },
        };
        let number = before.unwrap_or(0).saturating_add(1);
        Ok((Arc::new(Generation::new(number, copy, symbols, module, descriptor, loader.now)), outcome))
    }

    /// The network of a module whose provider code no earlier entry has.
    fn open_network(
        &self,
        generation: &Generation,
        options: &ModuleOptions,
        networks: &dyn Networks,
    ) -> Result<Arc<dyn Network>, String> {
        let code = &generation.descriptor.code;
        if let Some(first) = self.module(code) {
            return Err(already_served(code, &first.name));
        }
        networks.open(policy(code, &generation.descriptor.hosts, options))
    }

    fn loaded(&self) -> impl Iterator<Item = &Arc<LoadedModule>> {
        self.entries.iter().filter_map(|entry| match entry {
            RegistryEntry::Serving(loaded) | RegistryEntry::Delisted(loaded) => Some(loaded),
            RegistryEntry::Refused(_) => None,
        })
    }

    /// The module of this provider code, whether it takes new payments or not.
    pub(in crate::plugins) fn module(&self, code: &str) -> Option<&Arc<LoadedModule>> {
        self.loaded().find(|loaded| loaded.code() == code)
    }

    /// The catalog at `now`, a monotonic time: health changes without a reload.
    pub(in crate::plugins) fn lines(&self, now: Duration) -> Arc<[CatalogLine]> {
        let line = |entry: &RegistryEntry| match entry {
            RegistryEntry::Serving(loaded) => loaded.line("", now),
            RegistryEntry::Delisted(loaded) if loaded.options.enabled => {
                loaded.line("plugins.toml does not list it; it only receives updates of earlier payments", now)
            }
            RegistryEntry::Delisted(loaded) => loaded.line(DISABLED, now),
            RegistryEntry::Refused(line) => CatalogLine::clone(line),
        };
        self.entries.iter().map(line).collect()
    }
}

impl Loader<'_> {
    /// The build before its provider code is known.
    fn site(&self, module_name: &str, build: &str) -> CallSite {
        CallSite { recorder: self.recorder.clone(), code: module_name.into(), build: build.into(), config: 0 }
    }
}

/// Why a module takes no payments that plugins.toml lists with `enabled = false`.
pub(super) const DISABLED: &str = "plugins.toml disables it; it only receives updates of earlier payments";

pub(super) fn already_served(code: &str, module_name: &str) -> String {
    format!("its provider code {code:?} is already served by module {module_name:?}")
}

/// Where the requests of a module may go.
pub(super) fn policy(code: &str, hosts: &[String], options: &ModuleOptions) -> EgressPolicy {
    let hosts = hosts.iter().chain(&options.allow_hosts).cloned().collect();
    EgressPolicy { provider: code.to_owned(), hosts, private: options.allow_private.clone() }
}

/// Why a build is refused whose call ended the process.
pub(super) fn quarantined(call: &EndedCall) -> String {
    let code = &call.code;
    format!(
        "this build is quarantined: {call}; replace the file, or run `cashier module release {code}` and start again"
    )
}

impl LoadReport {
    fn of(loaded: &LoadedModule, outcome: LoadOutcome) -> Self {
        let (module_name, code) = (loaded.name.clone(), loaded.code().to_owned());
        let sha256 = loaded.generation.copy.sha256.clone();
        Self { module_name, code, generation: loaded.generation.number, sha256, outcome }
    }
}

/// An entry that was not loaded, and its report.
fn refused(
    name: &str,
    path: Option<&Path>,
    options: Option<&ModuleOptions>,
    error: LoadError,
) -> (RegistryEntry, LoadReport) {
    let line = refused_line(name, path, options, &error);
    let outcome = LoadOutcome::Refused { reason: error.reason, still_serving: None };
    let report =
        LoadReport { module_name: name.to_owned(), code: String::new(), generation: 0, sha256: String::new(), outcome };
    (RegistryEntry::Refused(Box::new(line)), report)
}
