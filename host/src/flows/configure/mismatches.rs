//! What saved rows name that is not there: the warnings of an edit, and the list of enabled rows that can match nothing. It
//! looks at the configuration as it is now, so that a row leaves the list once what it names is there.

use cashier_core::account::AccountFacts;
use cashier_core::customer_override::{CustomerOverride, OverrideMode};
use cashier_core::edit::check_declared;
use cashier_core::eligibility::{self, EligibilityContext, Known, KnownCustomer, ModuleFitness};
use cashier_core::ids::{ConfigId, CustomerId};
use cashier_core::money::Currency;
use cashier_core::printable::Printable;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::time::UnixTime;

use super::settings::{module_settings, parse_settings};
use crate::flows::Cashier;
use crate::ports::{CatalogLine, TradingServer};
use crate::snapshot::{Snapshot, fitness};

/// Rows that a start logs one by one; more are counted.
const ROWS_LOGGED_MAX: usize = 16;

/// The configuration and the trading server at one moment.
struct KnownNow<'n> {
    snapshot: &'n Snapshot,
    trading: &'n dyn TradingServer,
    /// One of each kind; `None` while the trading server cannot say.
    accounts: Option<Vec<AccountFacts>>,
    now: UnixTime,
    /// A module that plugins.toml names and that is not loaded is held against its rows: the catalog has it with its reason,
    /// so it is no other work.
    counts_refused_modules: bool,
}

impl<'n> KnownNow<'n> {
    fn of(cashier: &'n Cashier, snapshot: &'n Snapshot) -> Self {
        let (accounts, now) = (cashier.trading.account_kinds().ok(), cashier.clock.now());
        Self { snapshot, trading: &*cashier.trading, accounts, now, counts_refused_modules: true }
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

    fn accounts(&self) -> Option<&[AccountFacts]> {
        self.accounts.as_deref()
    }

    fn context<'a>(&self, account: &'a AccountFacts) -> EligibilityContext<'a> {
        self.snapshot.eligibility_context(account, self.now)
    }

    fn allows(&self, provider: &str) -> Vec<&CustomerOverride> {
        let allows = |row: &&CustomerOverride| {
            row.mode == OverrideMode::Allow && *row.provider == *provider && row.is_live(self.now)
        };
        self.snapshot.overrides().filter(allows).collect()
    }

    fn converts(&self, from: Currency, account: &AccountFacts) -> bool {
        self.trading.may_convert(&account.server, from, account.group.currency)
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
    let known = KnownNow::of(cashier, &snapshot);
    let mut warnings = eligibility::config_mismatches(config, &known);
    warnings.extend(eligibility::limits_without_currency(config, &known));
    if config.enabled {
        let unmatched = eligibility::config_unmatched(config, &known);
        warnings.extend(unmatched.into_iter().filter(|why| !warnings.contains(why)).collect::<Vec<_>>());
    }
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

/// The enabled configs and overrides that can match nothing, each with its reasons. An override that is over has done what it
/// was made for.
pub fn rows_without_match(cashier: &Cashier) -> Vec<String> {
    let snapshot = cashier.snapshot();
    let known = KnownNow { counts_refused_modules: false, ..KnownNow::of(cashier, &snapshot) };
    let listed = |what: String, why: Vec<String>| {
        (!why.is_empty()).then(|| format!("{what} can match nothing: {}", why.join("; ")))
    };
    let configs = snapshot.configs().map(|served| &served.config).filter(|config| config.enabled);
    let configs = configs
        .filter_map(|config| listed(format!("config {}", config.id), eligibility::config_unmatched(config, &known)));
    let overrides = snapshot.overrides().filter(|row| row.is_live(known.now));
    let overrides = overrides
        .filter_map(|row| listed(format!("override {}", row.id), eligibility::override_unmatched(row, &known)));
    configs.chain(overrides).collect()
}

/// Brands that the settings name and that no group and no customer has: what is set for them is set for nobody. Nothing where
/// there is no group yet.
pub fn unknown_brands(cashier: &Cashier) -> Vec<String> {
    let known = cashier.trading.account_kinds().unwrap_or_default();
    let (snapshot, hosts) = (cashier.snapshot(), &cashier.rules.return_hosts);
    let named = snapshot.brands_of_settings().chain(hosts.brands().map(|brand| ("return_hosts", brand)));
    let is_unknown = |brand: &str| !known.is_empty() && known.iter().all(|one| *one.customer.brand != *brand);
    named
        .filter(|(_, brand)| is_unknown(brand))
        .map(|(setting, brand)| {
            format!(
                "{setting} names brand {}, which no group and no customer of the trading server has",
                Printable(brand)
            )
        })
        .collect()
}

/// Logs them at a start: what served under an earlier version may serve nobody under this one.
pub fn report_rows_without_match(cashier: &Cashier) {
    for sentence in unknown_brands(cashier) {
        tracing::warn!("{sentence}");
    }
    let rows = rows_without_match(cashier);
    for row in rows.iter().take(ROWS_LOGGED_MAX) {
        tracing::warn!("{row}");
    }
    let further = rows.len().saturating_sub(ROWS_LOGGED_MAX);
    if further > 0 {
        tracing::warn!(further, "further rows can match nothing: /readyz?verbose lists them");
    }
}
