//! The one immutable picture of configs, overrides, gateways and catalog that requests read without a lock.
//! It has one publisher, `flows/configure`; nothing else stores into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cashier_core::account::AccountFacts;
use cashier_core::customer_override::CustomerOverride;
use cashier_core::eligibility::{Asker, Candidate, ModuleFitness};
use cashier_core::ids::{ConfigId, CustomerId, OverrideId};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::time::UnixTime;

use crate::ports::{CatalogLine, Gateway};

/// A config with the gateway it keeps while it may still hear something.
#[derive(Clone)]
pub struct Served {
    pub config: Arc<ProviderConfig>,
    /// Why there is none is the module's own sentence.
    pub gateway: Result<Arc<dyn Gateway>, Arc<str>>,
}

/// Everything a request may need to know about configuration.
#[derive(Clone, Default)]
pub struct Snapshot {
    configs: BTreeMap<ConfigId, Served>,
    by_provider: BTreeMap<Box<str>, Vec<ConfigId>>,
    overrides: BTreeMap<OverrideId, Arc<CustomerOverride>>,
    by_customer: BTreeMap<CustomerId, Vec<CustomerOverride>>,
    catalog: Arc<[CatalogLine]>,
    allow_sandbox_credit: Arc<[Box<str>]>,
}

/// The cell that holds the current picture.
pub type SnapshotCell = ArcSwap<Snapshot>;

impl Snapshot {
    pub fn new(catalog: Arc<[CatalogLine]>, allow_sandbox_credit: Arc<[Box<str>]>) -> Self {
        Self { catalog, allow_sandbox_credit, ..Self::default() }
    }

    /// The picture with one config served differently.
    pub fn with_config(mut self, served: Served) -> Self {
        let (id, provider) = (served.config.id, served.config.provider.clone());
        if let Some(before) = self.configs.insert(id, served)
            && before.config.provider != provider
            && let Some(ids) = self.by_provider.get_mut(&before.config.provider)
        {
            ids.retain(|known| *known != id);
        }
        let ids = self.by_provider.entry(provider).or_default();
        if let Err(place) = ids.binary_search(&id) {
            ids.insert(place, id);
        }
        self
    }

    /// The picture with one override written.
    pub fn with_override(mut self, row: CustomerOverride) -> Self {
        let of_customer = self.by_customer.entry(row.customer_id).or_default();
        of_customer.retain(|known| known.id != row.id);
        of_customer.push(row.clone());
        of_customer.sort_by_key(|known| known.id);
        self.overrides.insert(row.id, Arc::new(row));
        self
    }

    pub fn config(&self, id: ConfigId) -> Option<&Served> {
        self.configs.get(&id)
    }

    /// Every config, by id.
    pub fn configs(&self) -> impl Iterator<Item = &Served> {
        self.configs.values()
    }

    /// The configs of a provider, by id.
    pub fn configs_of<'a>(&'a self, provider: &str) -> impl Iterator<Item = &'a Served> + use<'a> {
        let ids = self.by_provider.get(provider).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.configs.get(id))
    }

    pub fn customer_override(&self, id: OverrideId) -> Option<&Arc<CustomerOverride>> {
        self.overrides.get(&id)
    }

    /// Every override, by id.
    pub fn overrides(&self) -> impl Iterator<Item = &Arc<CustomerOverride>> {
        self.overrides.values()
    }

    pub fn overrides_of(&self, customer: CustomerId) -> &[CustomerOverride] {
        self.by_customer.get(&customer).map_or(&[], Vec::as_slice)
    }

    pub fn catalog(&self) -> &Arc<[CatalogLine]> {
        &self.catalog
    }

    pub fn module(&self, code: &str) -> Option<&CatalogLine> {
        let lines = || self.catalog.iter().filter(|line| &*line.code == code);
        lines().find(|line| line.available).or_else(|| lines().next())
    }

    /// Whether the server's own settings let sandbox money reach this brand's real accounts.
    pub fn allows_sandbox_credit(&self, brand: &str) -> bool {
        self.allow_sandbox_credit.iter().any(|allowed| &**allowed == brand)
    }

    /// Who asks, as eligibility wants to know it.
    pub fn asker<'a>(&self, account: &'a AccountFacts, now: UnixTime) -> Asker<'a> {
        Asker { account, sandbox_credit_allowed: self.allows_sandbox_credit(&account.customer.brand), now }
    }

    /// What serves, as eligibility wants to know it.
    pub fn candidate<'a>(&'a self, served: &'a Served) -> Candidate<'a> {
        let module = match (self.module(&served.config.provider), &served.gateway) {
            (None, _) => ModuleFitness::NotLoaded { reason: "no module of this provider is listed in plugins.toml" },
            (Some(line), _) if !line.available => ModuleFitness::NotLoaded { reason: &line.failure_reason },
            (Some(_), Err(reason)) if served.config.enabled => ModuleFitness::NotLoaded { reason },
            // A disabled config of which nothing may still be heard has no gateway; that it is disabled is the reason.
            (Some(line), Ok(_) | Err(_)) => {
                ModuleFitness::Loaded { brands: line.brands.as_deref(), methods: line.methods.as_slice() }
            }
        };
        Candidate { config: &served.config, module }
    }
}
