//! What saved rows name that is not there: the warnings of an edit, and the list of enabled rows that can match nothing. It
//! looks at the configuration as it is now, so that a row leaves the list once what it names is there.

use cashier_core::customer_override::CustomerOverride;
use cashier_core::edit::check_declared;
use cashier_core::eligibility::{self, Known, KnownCustomer, ModuleFitness};
use cashier_core::ids::{ConfigId, CustomerId};
use cashier_core::provider_config::ProviderConfig;

use super::settings::{module_settings, parse_settings};
use crate::flows::Cashier;
use crate::ports::{CatalogLine, TradingServer};
use crate::snapshot::{Snapshot, fitness};

/// The configuration and the trading server at one moment.
struct KnownNow<'n> {
    snapshot: &'n Snapshot,
    trading: &'n dyn TradingServer,
    /// `None` while the trading server cannot say.
    brands: Option<Vec<Box<str>>>,
    /// A module that plugins.toml names and that is not loaded is held against its rows: the catalog has it with its reason,
    /// so it is no other work.
    counts_refused_modules: bool,
}

impl<'n> KnownNow<'n> {
    fn of(cashier: &'n Cashier, snapshot: &'n Snapshot) -> Self {
        let brands = cashier.trading.brands().ok();
        Self { snapshot, trading: &*cashier.trading, brands, counts_refused_modules: true }
    }

    /// The module of a provider; one that could not be read is known by its name alone.
    fn line(&self, provider: &str) -> Option<&CatalogLine> {
        let by_name =
            || self.snapshot.catalog().iter().find(|line| line.code.is_empty() && *line.module_name == *provider);
        self.snapshot.module(provider).or_else(by_name)
    }
}

impl Known for KnownNow<'_> {
    fn module(&self, provider: &str) -> Option<ModuleFitness<'_>> {
        const UNKNOWN: ModuleFitness<'_> = ModuleFitness::Loaded { brands: None, methods: &[], currencies: &[] };
        let line = self.line(provider)?;
        Some(if line.available || self.counts_refused_modules { fitness(line) } else { UNKNOWN })
    }

    fn providers(&self) -> Vec<&str> {
        self.snapshot.catalog().iter().map(|line| &*line.code).filter(|code| !code.is_empty()).collect()
    }

    fn has_brand(&self, brand: &str) -> Option<bool> {
        self.brands.as_ref().map(|brands| brands.iter().any(|known| **known == *brand))
    }

    fn customer(&self, id: CustomerId) -> Option<KnownCustomer> {
        let brand = self.trading.customer_brand(id).ok()?;
        Some(brand.map_or(KnownCustomer::Missing, KnownCustomer::OfBrand))
    }

    fn config(&self, id: ConfigId) -> Option<&ProviderConfig> {
        self.snapshot.config(id).map(|served| &*served.config)
    }

    fn configs_of(&self, provider: &str) -> Vec<&ProviderConfig> {
        self.snapshot.configs_of(provider).map(|served| &*served.config).collect()
    }
}

/// What a config names that is not there, each as a sentence; the settings that its module does not declare among it.
pub fn config_warnings(cashier: &Cashier, config: &ProviderConfig) -> Vec<String> {
    let snapshot = cashier.snapshot();
    let mut warnings = eligibility::config_mismatches(config, &KnownNow::of(cashier, &snapshot));
    if let Some(line) = snapshot.module(&config.provider).filter(|line| line.available) {
        let texts = [("settings_json", &*config.settings_json), ("config_json", config.config_json.expose())];
        for (source, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            let settings = parse_settings(source, text).unwrap_or_default();
            warnings.extend(check_declared(source, &settings, &module_settings(line)).err());
        }
    }
    warnings
}

/// What an override names that is not there, each as a sentence.
pub fn override_warnings(cashier: &Cashier, row: &CustomerOverride) -> Vec<String> {
    let snapshot = cashier.snapshot();
    eligibility::override_mismatches(row, &KnownNow::of(cashier, &snapshot), cashier.clock.now())
}

/// The enabled configs and overrides that can match nothing, each with its reasons.
pub fn rows_without_match(cashier: &Cashier) -> Vec<String> {
    let (snapshot, now) = (cashier.snapshot(), cashier.clock.now());
    let known = KnownNow { counts_refused_modules: false, ..KnownNow::of(cashier, &snapshot) };
    let configs =
        snapshot.configs().map(|served| &served.config).filter(|config| config.enabled).filter_map(|config| {
            let why = eligibility::config_mismatches(config, &known);
            (!why.is_empty()).then(|| format!("config {} can match nothing: {}", config.id, why.join("; ")))
        });
    let overrides = snapshot.overrides().filter(|row| row.enabled).filter_map(|row| {
        let why = eligibility::override_mismatches(row, &known, now);
        (!why.is_empty()).then(|| format!("override {} can match nothing: {}", row.id, why.join("; ")))
    });
    configs.chain(overrides).collect()
}
