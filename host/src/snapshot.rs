//! The immutable snapshot of configs, overrides, gateways and catalog that requests read without a lock. Only
//! `flows/configure` publishes a new one.

mod merchants;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cashier_core::account::AccountFacts;
use cashier_core::approval::{APPROVALS_MAX, APPROVALS_OF_BRAND_MAX, APPROVALS_OPEN_MAX, Approval, ApprovalState};
use cashier_core::customer_override::CustomerOverride;
use cashier_core::eligibility::{ConfigCandidate, EligibilityContext, ModuleFitness};
use cashier_core::ids::{ApprovalId, ConfigId, CustomerId, OverrideId};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::time::UnixTime;

use crate::ports::{CatalogLine, FingerprintKey, Gateway, UnreadableRow, unreadable_rows};

use merchants::Marks;

/// A config with its gateway, which stays open while updates of its payments may still arrive.
#[derive(Clone)]
pub struct Served {
    pub config: Arc<ProviderConfig>,
    pub gateway: Result<Arc<dyn Gateway>, NoGateway>,
}

/// Why a config has no gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoGateway {
    /// Disabled, and no update of its payments may still arrive.
    Closed,
    /// Opening it failed for this reason, given by the module; it is retried.
    Broken(Arc<str>),
}

/// Everything that a request may need of the configuration.
#[derive(Clone, Default)]
pub struct Snapshot {
    configs: BTreeMap<ConfigId, Served>,
    by_provider: BTreeMap<Box<str>, Vec<ConfigId>>,
    marks: BTreeMap<ConfigId, Arc<Marks>>,
    merchant_accounts: BTreeMap<ConfigId, Arc<[ConfigId]>>,
    /// By customer, each list by id: a new snapshot copies pointers, and the row that an edit changes.
    overrides: BTreeMap<CustomerId, Arc<[CustomerOverride]>>,
    /// The customer of each override, which never changes.
    owners: BTreeMap<OverrideId, CustomerId>,
    /// The newest ones, decided or open.
    approvals: BTreeMap<ApprovalId, Arc<Approval>>,
    catalog: Arc<[CatalogLine]>,
    money_modes: MoneyModes,
    fingerprints: Arc<FingerprintKey>,
    closed_keys: Arc<[String]>,
}

/// The brands for which the server's settings let money of one mode reach accounts of the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoneyModes {
    /// Sandbox money on real accounts.
    pub allow_sandbox_credit: Arc<[Box<str>]>,
    /// Real money on demo accounts.
    pub allow_live_on_demo: Arc<[Box<str>]>,
}

/// The cell that holds the current snapshot.
pub type SnapshotCell = ArcSwap<Snapshot>;

impl Snapshot {
    pub fn new(catalog: Arc<[CatalogLine]>, money_modes: MoneyModes, fingerprints: FingerprintKey) -> Self {
        Self { catalog, money_modes, fingerprints: Arc::new(fingerprints), ..Self::default() }
    }

    /// The snapshot with these keys of fingerprints that do not open.
    pub fn with_closed_keys(self, closed_keys: Vec<String>) -> Self {
        Self { closed_keys: closed_keys.into(), ..self }
    }

    /// Rows with encrypted columns that do not open.
    pub fn unreadable_rows(&self) -> Vec<UnreadableRow> {
        unreadable_rows(self.configs().map(|served| &*served.config), self.approvals(), &self.closed_keys)
    }

    /// The snapshot with one config served differently.
    pub fn with_config(mut self, served: Served) -> Self {
        let (id, provider) = (served.config.id, served.config.provider.clone());
        self.marks.insert(id, Arc::new(Marks::of(&served.config, &self.fingerprints)));
        if let Some(before) = self.configs.insert(id, served)
            && before.config.provider != provider
            && let Some(ids) = self.by_provider.get_mut(&before.config.provider)
        {
            ids.retain(|known| *known != id);
        }
        let ids = self.by_provider.entry(provider).or_default();
        if let Err(at) = ids.binary_search(&id) {
            ids.insert(at, id);
        }
        let marks = |id: &ConfigId| Some((*id, self.marks.get(id)?.clone()));
        let configs: Vec<(ConfigId, Arc<Marks>)> = ids.iter().filter_map(marks).collect();
        self.merchant_accounts.extend(merchants::accounts(&configs));
        self
    }

    /// The snapshot without one config, which is gone.
    pub fn without_config(mut self, id: ConfigId) -> Self {
        self.marks.remove(&id);
        self.merchant_accounts.remove(&id);
        if let Some(gone) = self.configs.remove(&id)
            && let Some(ids) = self.by_provider.get_mut(&gone.config.provider)
        {
            ids.retain(|known| *known != id);
            let marks = |id: &ConfigId| Some((*id, self.marks.get(id)?.clone()));
            let configs: Vec<(ConfigId, Arc<Marks>)> = ids.iter().filter_map(marks).collect();
            self.merchant_accounts.extend(merchants::accounts(&configs));
        }
        self
    }

    /// The snapshot with one override written.
    pub fn with_override(mut self, row: CustomerOverride) -> Self {
        self.owners.insert(row.id, row.customer_id);
        let of_customer = self.overrides.entry(row.customer_id).or_default();
        let mut rows: Vec<CustomerOverride> = of_customer.iter().filter(|known| known.id != row.id).cloned().collect();
        rows.push(row);
        rows.sort_by_key(|known| known.id);
        *of_customer = rows.into();
        self
    }

    /// The snapshot with one approval asked or decided; the oldest without a request is left out. One that is expired has its
    /// request until it is wiped.
    pub fn with_approval(mut self, row: Approval, now: UnixTime) -> Self {
        self.approvals.insert(row.id, Arc::new(row));
        while self.approvals.len() > APPROVALS_MAX {
            let ended =
                |approval: &Approval| approval.state_at(now) != ApprovalState::Open && !approval.holds_request();
            let oldest = self.approvals.iter().find(|(_, known)| ended(known)).map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            self.approvals.remove(&oldest);
        }
        self
    }

    pub fn approval(&self, id: ApprovalId) -> Option<&Arc<Approval>> {
        self.approvals.get(&id)
    }

    /// The newest approvals, by id.
    pub fn approvals(&self) -> impl Iterator<Item = &Approval> {
        self.approvals.values().map(|known| &**known)
    }

    /// Whether another approval may be asked about a row of this brand. `unshown`: those that are asked for and, as far as known, not
    /// shown yet.
    pub fn takes_approvals(&self, unshown: &[Approval], brand: &str, now: UnixTime) -> bool {
        let unshown = || unshown.iter().filter(|row| self.approval(row.id).is_none());
        let all = || self.approvals().chain(unshown());
        let open = || all().filter(|known| known.state_at(now) == ApprovalState::Open);
        let of_brand = open().filter(|known| *known.brand == *brand).count();
        of_brand < APPROVALS_OF_BRAND_MAX && open().count() < APPROVALS_OPEN_MAX
    }

    pub fn config(&self, id: ConfigId) -> Option<&Served> {
        self.configs.get(&id)
    }

    /// What a config is stored with, so that its merchant account is known without its secrets.
    pub fn account_marks(&self, config: &ProviderConfig) -> Vec<Box<str>> {
        self.fingerprints.account_marks(config)
    }

    /// The same of a config under which payments were made. Where it cannot be compared now, it never can.
    pub fn account_marks_of_payments(&self, config: &ProviderConfig) -> Vec<Box<str>> {
        let marks = self.account_marks(config);
        let is_unmarked = marks.is_empty() && FingerprintKey::may_be_any(config, &marks);
        if is_unmarked { FingerprintKey::with_any(marks) } else { marks }
    }

    /// Other configs that share a merchant account through this one, and would not if it were so, or gone: what was credited
    /// under one of them would be credited again under another. Only what is known links them.
    pub fn linked_by(&self, id: ConfigId, after: Option<&ProviderConfig>) -> Vec<ConfigId> {
        let Some(provider) = self.config(id).map(|served| &served.config.provider) else { return Vec::new() };
        let known = |id: ConfigId| Some((id, Arc::new(self.marks.get(&id)?.known_alone())));
        let all: Vec<(ConfigId, Arc<Marks>)> =
            self.configs_of(provider).filter_map(|served| known(served.config.id)).collect();
        let before = merchants::accounts(&all);
        let linked: Vec<ConfigId> = before
            .get(&id)
            .into_iter()
            .flat_map(|account| account.iter().copied())
            .filter(|other| *other != id)
            .collect();
        let after = after.filter(|after| after.provider == *provider);
        let own = after.map(|after| (id, Arc::new(Marks::of(after, &self.fingerprints).known_alone())));
        let marks: Vec<(ConfigId, Arc<Marks>)> = linked.iter().filter_map(|other| known(*other)).chain(own).collect();
        let accounts = merchants::accounts(&marks);
        let first = linked.first().and_then(|first| accounts.get(first));
        let is_whole = first.is_none_or(|account| linked.iter().all(|other| account.contains(other)));
        if is_whole { Vec::new() } else { linked }
    }

    /// The configs that share this one's merchant account, itself included, by id.
    pub fn merchant_account(&self, id: ConfigId) -> Arc<[ConfigId]> {
        self.merchant_accounts.get(&id).map_or_else(|| Arc::new([id]), Arc::clone)
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

    pub fn customer_override(&self, id: OverrideId) -> Option<&CustomerOverride> {
        self.overrides_of(*self.owners.get(&id)?).iter().find(|known| known.id == id)
    }

    /// Every override, by customer and id.
    pub fn overrides(&self) -> impl Iterator<Item = &CustomerOverride> {
        self.overrides.values().flat_map(|of_customer| of_customer.iter())
    }

    /// By id.
    pub fn overrides_of(&self, customer: CustomerId) -> &[CustomerOverride] {
        self.overrides.get(&customer).map_or(&[], |of_customer| of_customer)
    }

    pub fn catalog(&self) -> &Arc<[CatalogLine]> {
        &self.catalog
    }

    /// The configs whose gateway did not open, with the reason.
    pub fn broken_gateways(&self) -> impl Iterator<Item = (&ProviderConfig, &str)> {
        self.configs().filter_map(|served| match &served.gateway {
            Err(NoGateway::Broken(reason)) => Some((&*served.config, &**reason)),
            Err(NoGateway::Closed) | Ok(_) => None,
        })
    }

    pub fn module(&self, code: &str) -> Option<&CatalogLine> {
        let lines = || self.catalog.iter().filter(|line| &*line.code == code);
        lines().find(|line| line.available).or_else(|| lines().next())
    }

    /// Whether the server's settings allow sandbox credits on this brand's real accounts.
    pub fn allows_sandbox_credit(&self, brand: &str) -> bool {
        self.money_modes.allow_sandbox_credit.iter().any(|allowed| &**allowed == brand)
    }

    /// Whether they allow real money on this brand's demo accounts.
    pub fn allows_live_on_demo(&self, brand: &str) -> bool {
        self.money_modes.allow_live_on_demo.iter().any(|allowed| &**allowed == brand)
    }

    /// The brands that the server's settings name for money of another mode, each with its setting.
    pub fn brands_of_settings(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let MoneyModes { allow_sandbox_credit, allow_live_on_demo } = &self.money_modes;
        let sandbox = allow_sandbox_credit.iter().map(|brand| ("allow_sandbox_credit", &**brand));
        sandbox.chain(allow_live_on_demo.iter().map(|brand| ("allow_live_on_demo", &**brand)))
    }

    /// The customer's side of eligibility.
    pub fn eligibility_context<'a>(&self, account: &'a AccountFacts, now: UnixTime) -> EligibilityContext<'a> {
        let brand = &account.customer.brand;
        EligibilityContext {
            account,
            sandbox_credit_allowed: self.allows_sandbox_credit(brand),
            live_on_demo_allowed: self.allows_live_on_demo(brand),
            now,
        }
    }

    /// The config's side of eligibility.
    pub fn candidate<'a>(&'a self, served: &'a Served) -> ConfigCandidate<'a> {
        let module = match (self.module(&served.config.provider), &served.gateway) {
            (None, _) => ModuleFitness::NotLoaded { reason: "no module of this provider is listed in plugins.toml" },
            (Some(line), _) if !line.available => fitness(line),
            (Some(_), Err(NoGateway::Broken(reason))) if served.config.enabled => ModuleFitness::NotLoaded { reason },
            // For a disabled config the reason is that it is disabled, not its missing gateway.
            (Some(line), Ok(_) | Err(_)) => fitness(line),
        };
        ConfigCandidate { config: &served.config, module }
    }
}

/// The fitness of a module, whatever becomes of the gateways of its configs.
pub fn fitness(line: &CatalogLine) -> ModuleFitness<'_> {
    if !line.available {
        return ModuleFitness::NotLoaded { reason: &line.failure_reason };
    }
    let (brands, methods, currencies) = (line.brands.as_deref(), &line.methods, &line.currencies);
    ModuleFitness::Loaded { brands, methods, currencies }
}

#[cfg(test)]
mod tests {
    use cashier_core::customer_override::OverrideMode;
    use cashier_core::money::Limit;

    use super::*;

    fn row(id: u64, customer: u64, comment: &str) -> CustomerOverride {
        CustomerOverride {
            id: OverrideId(id),
            customer_id: CustomerId(customer),
            brand: "ion4".into(),
            provider_config_id: ConfigId(0),
            provider: "stripe".into(),
            method: "".into(),
            mode: OverrideMode::Deny,
            min_amount: Limit::NONE,
            max_amount: Limit::NONE,
            enabled: true,
            reason: "".into(),
            comment: comment.into(),
            expires_time: UnixTime::UNSET,
            created_time: UnixTime(1),
            updated_time: UnixTime(1),
        }
    }

    #[test]
    fn an_edited_override_replaces_its_row_and_leaves_earlier_snapshots_unchanged() {
        let rows = [row(2, 5, "b"), row(3, 6, "c"), row(1, 5, "a")];
        let before = rows.into_iter().fold(Snapshot::default(), Snapshot::with_override);
        let after = before.clone().with_override(row(1, 5, "edited"));
        let comments = |snapshot: &Snapshot| -> Vec<String> {
            snapshot.overrides_of(CustomerId(5)).iter().map(|known| known.comment.to_string()).collect()
        };
        assert_eq!(
            (comments(&before), comments(&after)),
            (vec!["a".into(), "b".into()], vec!["edited".into(), "b".into()])
        );
        let found = |id| after.customer_override(OverrideId(id)).map(|known| &*known.comment);
        assert_eq!([found(1), found(3), found(4)], [Some("edited"), Some("c"), None]);
        assert_eq!((after.overrides().count(), after.overrides_of(CustomerId(7)).len()), (3, 0));
    }
}
