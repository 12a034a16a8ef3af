//! What plugins.toml came to: for each entry a loaded module of some generation, or why there is none. A pure value but
//! for the loading itself; `catalog` publishes it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cashier_provider_sdk::Descriptor;
use cashier_provider_sdk::host::ModuleV1;

use super::library::{self, Copied, Opened, Unfit};
use super::plugins_toml::{Entry, Listed, PluginsToml};
use super::probe::Probe;
use super::symbols::Symbols;
use crate::plugins::calling::gateway::{Health, Live};
use crate::plugins::egress::port::{EgressPolicy, Network, Networks};
use crate::plugins::thread_slots::{STUCK_MAX, ThreadSlots};
use crate::ports::CatalogLine;

/// One build of one module, opened once and never closed.
pub(in crate::plugins) struct Generation {
    pub(in crate::plugins) number: u32,
    pub(in crate::plugins) copied: Copied,
    pub(in crate::plugins) symbols: Symbols,
    pub(in crate::plugins) module: ModuleV1,
    pub(in crate::plugins) descriptor: Descriptor,
    /// Where its instances are configured and let go.
    pub(in crate::plugins) places: ThreadSlots,
    gateways: Mutex<Vec<Weak<Live>>>,
}

/// A module as plugins.toml lists it, ready to be configured.
pub(in crate::plugins) struct Loaded {
    name: String,
    /// Where ops put it.
    path: PathBuf,
    pub(in crate::plugins) listed: Listed,
    pub(in crate::plugins) generation: Arc<Generation>,
    pub(in crate::plugins) network: Arc<dyn Network>,
}

/// One line of the shelf.
#[derive(Clone)]
pub(in crate::plugins) enum Place {
    Serving(Arc<Loaded>),
    /// Not for new payments any more, but old ones may still be heard about.
    Delisted(Arc<Loaded>),
    Refused(Box<CatalogLine>),
}

/// What became of an entry of plugins.toml.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Loaded,
    Unchanged,
    Replaced {
        generation_before: u32,
    },
    /// Nothing of it serves; or, with a generation, what served before still does.
    Refused {
        reason: String,
        still_serving: Option<u32>,
    },
    /// No entry names it any more.
    Delisted,
}

/// What became of one module in a load or reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub module_name: String,
    /// Empty where it could not be read.
    pub code: String,
    /// 0 where nothing is loaded.
    pub generation: u32,
    pub outcome: Outcome,
}

/// What loading needs of the world.
pub(in crate::plugins) struct Loader<'a> {
    pub(in crate::plugins) folder: &'a Path,
    pub(in crate::plugins) probe: &'a Probe,
    pub(in crate::plugins) networks: &'a dyn Networks,
}

/// Everything that was found, in the order of plugins.toml, delisted modules last.
#[derive(Clone, Default)]
pub(in crate::plugins) struct ModuleRegistry {
    places: Vec<Place>,
}

impl ModuleRegistry {
    /// The shelf after this one: entries loaded anew where their file changed. Blocks on disk and probe processes.
    pub(in crate::plugins) fn next(&self, file: PluginsToml, loader: &Loader<'_>) -> (Self, Vec<Report>) {
        let mut next = Self::default();
        let mut reports = Vec::new();
        for entry in file.modules {
            let (place, report) = self.arrive(&next, entry, loader);
            next.places.push(place);
            reports.push(report);
        }
        for place in &self.places {
            let (loaded, served) = match place {
                Place::Serving(loaded) => (loaded, true),
                Place::Delisted(loaded) => (loaded, false),
                Place::Refused(_) => continue,
            };
            if next.of(&loaded.generation.descriptor.code).is_none() {
                next.places.push(Place::Delisted(Arc::clone(loaded)));
                reports.extend(served.then(|| Report::of(loaded, Outcome::Delisted)));
            }
        }
        (next, reports)
    }

    fn arrive(&self, next: &Self, entry: Entry, loader: &Loader<'_>) -> (Place, Report) {
        let Entry { name, meaning, .. } = entry;
        let listed = match meaning {
            Ok(listed) => listed,
            Err(reason) => return refused(&name, None, None, Unfit::new(reason)),
        };
        let path = listed.source.path();
        let before = self.loaded().find(|loaded| loaded.name == name);
        let (generation, outcome) = match (self.load(&listed, &path, loader), before) {
            (Ok((generation, outcome)), _) => (generation, outcome),
            (Err(unfit), None) => return refused(&name, Some(&path), Some(&listed), unfit),
            // A file that came out worse than the one it was to replace does not take the place of what serves.
            (Err(Unfit { reason, .. }), Some(before)) => {
                let generation = Arc::clone(&before.generation);
                let outcome = Outcome::Refused { reason, still_serving: Some(generation.number) };
                (generation, outcome)
            }
        };
        let contract = Some(generation.symbols.contract);
        let loaded = match next.admit(name.clone(), path.clone(), listed.clone(), generation, loader.networks) {
            Ok(loaded) => Arc::new(loaded),
            Err(reason) => return refused(&name, Some(&path), Some(&listed), Unfit { contract, reason }),
        };
        let report = Report::of(&loaded, outcome);
        (if loaded.listed.enabled { Place::Serving(loaded) } else { Place::Delisted(loaded) }, report)
    }

    /// The build at `path`: the one that is loaded already, or the next generation of its provider code.
    fn load(&self, listed: &Listed, path: &Path, loader: &Loader<'_>) -> Result<(Arc<Generation>, Outcome), Unfit> {
        let copied = library::copy(path, listed.pin.as_deref(), loader.folder).map_err(Unfit::new)?;
        if let Some(known) = self.loaded().find(|loaded| loaded.generation.copied == copied) {
            return Ok((Arc::clone(&known.generation), Outcome::Unchanged));
        }
        loader.probe.ask(&copied.path)?;
        let Opened { symbols, module, descriptor } = library::open(&copied.path)?;
        let before = self.of(&descriptor.code).map(|loaded| loaded.generation.number);
        let outcome = match before {
            None => Outcome::Loaded,
            Some(generation_before) => Outcome::Replaced { generation_before },
        };
        let number = before.unwrap_or(0).saturating_add(1);
        let (places, gateways) = (ThreadSlots::default(), Mutex::default());
        let generation = Generation { number, copied, symbols, module, descriptor, places, gateways };
        Ok((Arc::new(generation), outcome))
    }

    /// A build under its listing, if its provider code is still free on this shelf.
    fn admit(
        &self,
        name: String,
        path: PathBuf,
        listed: Listed,
        generation: Arc<Generation>,
        networks: &dyn Networks,
    ) -> Result<Loaded, String> {
        let code = &generation.descriptor.code;
        if let Some(first) = self.of(code) {
            return Err(format!("its provider code {code:?} is already served by module {:?}", first.name));
        }
        let hosts = generation.descriptor.hosts.iter().chain(&listed.allow_hosts).cloned().collect();
        let (provider, private) = (code.clone(), listed.allow_private.clone());
        let network = networks.open(EgressPolicy { provider, hosts, private })?;
        Ok(Loaded { name, path, listed, generation, network })
    }

    fn loaded(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        self.places.iter().filter_map(|place| match place {
            Place::Serving(loaded) | Place::Delisted(loaded) => Some(loaded),
            Place::Refused(_) => None,
        })
    }

    /// The module of this provider code, for new payments or only for old ones.
    pub(in crate::plugins) fn of(&self, code: &str) -> Option<&Arc<Loaded>> {
        self.loaded().find(|loaded| loaded.generation.descriptor.code == code)
    }

    /// The catalog as it stands at `now`, a monotonic time: health changes without any reload.
    pub(in crate::plugins) fn lines(&self, now: Duration) -> Arc<[CatalogLine]> {
        let line = |place: &Place| match place {
            Place::Serving(loaded) => loaded.line("", now),
            Place::Delisted(loaded) if loaded.listed.enabled => {
                loaded.line("plugins.toml does not list it; it only hears about earlier payments", now)
            }
            Place::Delisted(loaded) => {
                loaded.line("plugins.toml has it switched off; it only hears about earlier payments", now)
            }
            Place::Refused(line) => CatalogLine::clone(line),
        };
        self.places.iter().map(line).collect()
    }
}

impl Report {
    fn of(loaded: &Loaded, outcome: Outcome) -> Self {
        let (module_name, code) = (loaded.name.clone(), loaded.generation.descriptor.code.clone());
        Self { module_name, code, generation: loaded.generation.number, outcome }
    }
}

impl Generation {
    /// Counts a gateway into the module's health.
    pub(in crate::plugins) fn joined(&self, gateway: &Arc<Live>) {
        let mut gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        gateways.retain(|known| known.strong_count() > 0);
        gateways.push(Arc::downgrade(gateway));
    }

    /// The module is as well as its gateways: unavailable when all are, degraded when any is not well. One that does not
    /// return from being configured is not well either, and unavailable where no gateway could be opened before. `now` is
    /// a monotonic time.
    fn health(&self, call: Duration, now: Duration) -> Health {
        let gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        let each: Vec<Health> = gateways.iter().filter_map(Weak::upgrade).map(|live| live.health()).collect();
        let stuck = self.places.stuck(call, now);
        match (each.iter().min(), each.iter().max()) {
            (Some(Health::Unavailable), _) => Health::Unavailable,
            (None, _) if stuck >= STUCK_MAX => Health::Unavailable,
            (_, Some(Health::Degraded | Health::Unavailable)) => Health::Degraded,
            (_, Some(Health::Ok) | None) if stuck > 0 => Health::Degraded,
            (_, Some(Health::Ok) | None) => Health::Ok,
        }
    }
}

impl Loaded {
    fn line(&self, failure_reason: &str, now: Duration) -> CatalogLine {
        let Generation { number, copied, symbols, descriptor, .. } = &*self.generation;
        let keys = |wanted: fn(&cashier_provider_sdk::SettingSpec) -> bool| {
            descriptor.settings.iter().filter(|spec| wanted(spec)).map(|spec| spec.key.as_str().into()).collect()
        };
        CatalogLine {
            code: descriptor.code.as_str().into(),
            name: descriptor.name.as_str().into(),
            description: descriptor.description.as_str().into(),
            payment_mode: descriptor.payment_mode.as_str().into(),
            methods: descriptor.methods.iter().map(|method| method.as_str().into()).collect(),
            module_name: self.name.as_str().into(),
            path: self.path.to_string_lossy().into(),
            api_version: symbols.contract.to_string().into(),
            available: failure_reason.is_empty(),
            failure_reason: failure_reason.into(),
            generation: *number,
            isolation: "in-process".into(),
            health: self.generation.health(self.listed.limits.call, now).word().into(),
            sha256: copied.sha256.as_str().into(),
            brands: boxed(self.listed.brands.as_deref()),
            endpoint_settings: keys(|spec| spec.endpoint),
            secret_settings: keys(|spec| spec.secret),
        }
    }
}

/// A line that serves nobody, and why.
fn refused(name: &str, path: Option<&Path>, listed: Option<&Listed>, unfit: Unfit) -> (Place, Report) {
    let line = refused_line(name, path, listed, &unfit);
    let outcome = Outcome::Refused { reason: unfit.reason, still_serving: None };
    (
        Place::Refused(Box::new(line)),
        Report { module_name: name.to_owned(), code: String::new(), generation: 0, outcome },
    )
}

fn refused_line(name: &str, path: Option<&Path>, listed: Option<&Listed>, unfit: &Unfit) -> CatalogLine {
    CatalogLine {
        code: "".into(),
        name: "".into(),
        description: "".into(),
        payment_mode: "".into(),
        methods: Vec::new(),
        module_name: name.into(),
        path: path.map_or_else(|| "".into(), |path| path.to_string_lossy().into()),
        api_version: unfit.contract.map_or_else(|| "".into(), |contract| contract.to_string().into()),
        available: false,
        failure_reason: unfit.reason.as_str().into(),
        generation: 0,
        isolation: "in-process".into(),
        health: Health::Unavailable.word().into(),
        sha256: "".into(),
        brands: boxed(listed.and_then(|listed| listed.brands.as_deref())),
        endpoint_settings: Vec::new(),
        secret_settings: Vec::new(),
    }
}

fn boxed(brands: Option<&[String]>) -> Option<Vec<Box<str>>> {
    brands.map(|brands| brands.iter().map(|brand| brand.as_str().into()).collect())
}
