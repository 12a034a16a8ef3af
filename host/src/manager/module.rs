//! Commands about payment modules, and the catalog lines that `MngGetCashierProviders` lists.

use std::sync::Arc;

use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{ManagerSession, Role};
use cashier_core::time::UnixTime;

use crate::flows::Rules;
use crate::flows::trading_servers::{self, TradingServerState};
use crate::json_object::{Described, answer};
use crate::manager::command::{Command, CommandCall, Effect, NoFields};
use crate::ports::{CatalogLine, ModuleSetting, TradingStatus};
use crate::snapshot::Snapshot;
use crate::wire::answer_values::OrNull;
use crate::wire::envelope::{self, CommandResult};
use crate::wire::values::{Flag, Id, Time};

pub const LIST: Command = Command {
    name: "MngGetCashierPaymentModules",
    may: Role::may_manage_cashier,
    effect: Effect::Reads,
    errors: &[],
    request: NoFields::schema,
    answer: ModulesAnswer::schema,
    run: |call| Box::pin(list(call)),
};

answer! {
    /// A module of plugins.toml; its runtime state is in MngGetCashierProviders alone.
    pub struct ModuleRecord<'a>(line: &'a CatalogLine, running: bool) {
        code: &'a str = &line.code, "provider code";
        name: &'a str = &line.name, "name to show";
        description: &'a str = &line.description, "description to show";
        payment_mode: &'a str = &line.payment_mode, "how the customer pays";
        module_name: &'a str = &line.module_name, "name in plugins.toml";
        path: &'a str = &line.path, "file; empty for a session of one brand";
        api_version: u32 = line.api_version, "contract version of the file; 0 when it could not be read";
        available: Flag = Flag(line.available), "1 when it is loaded";
        failure_reason: &'a str = &line.failure_reason, "why it is not available";
        generation: Option<u32> = running.then_some(line.generation), "how often the module was replaced";
        isolation: Option<&'a str> = running.then_some(&*line.isolation), "where it runs";
        health: Option<&'a str> = running.then(|| line.health.name()), "ok, degraded or unavailable";
        problems: Option<Vec<&'a str>> = running.then(|| line.problems.iter().map(|problem| &**problem).collect()), "what of its gateways does not work, with the config";
        version: &'a str = &line.declared.version, "the module's own version; empty, like all that follows, while it is not loaded";
        sha256: &'a str = &line.sha256, "SHA-256 of the file that is loaded, or was refused for ending the process, hex";
        loaded_time: Time = Time(UnixTime(line.declared.loaded_time)), "when this build was loaded";
        methods: Vec<&'a str> = texts(&line.methods), "payment methods; the first is the default";
        currencies: Vec<&'a str> = texts(&line.currencies), "currencies that it takes; empty for every one";
        capabilities: Vec<&'a str> = line.declared.capabilities.clone(), "optional calls: advance, query, cancel, refund, partial_refund";
        hosts: Vec<&'a str> = texts(&line.declared.hosts), "hosts that its requests may go to";
        settings: Vec<SettingRecord<'a>> = line.declared.settings.iter().map(SettingRecord::new).collect(), "settings that a config may have";
        webhook_events: Vec<&'a str> = texts(&line.declared.webhook_events), "events to subscribe to at the provider; empty where none need be chosen";
    }

    /// The modules, and the configs that they serve.
    pub struct ModulesAnswer<'a>(modules: &'a [CatalogLine], snapshot: &'a Snapshot, rules: &'a Rules, servers: &'a [TradingServerState]) {
        rows: Vec<ModuleRecord<'a>> = modules.iter().map(|line| ModuleRecord::new(line, false)).collect(), "the modules";
        count: u64 = modules.len() as u64, "how many there are";
        webhooks: Vec<WebhookSetup<'a>> =
            snapshot.configs().map(|served| WebhookSetup::new(&served.config, modules, rules)).collect(),
            "for each config, what its webhook is set up with at the provider";
        trading_servers: Vec<TradingServerRecord<'a>> = servers.iter().map(TradingServerRecord::new).collect(),
            "where accounts and balances are, in the order of the settings";
    }

    /// A trading server, and what waits for it.
    pub struct TradingServerRecord<'a>(server: &'a TradingServerState) {
        name: String = server.name.to_string(), "its name in the settings";
        protocol: &'static str = server.status.as_ref().map_or("", |known| known.protocol), "embedded, http or tcp; empty where the settings do not name it any more";
        takes_postings: Flag = Flag(server.status.as_ref().is_some_and(TradingStatus::takes_postings)), "1 while it does";
        problem: &'a str = server.status.as_ref().map_or("the settings do not name it", |known| known.problem.as_deref().unwrap_or_default()), "why it takes none";
        remark: &'a str = server.status.as_ref().and_then(|known| known.remark.as_deref()).unwrap_or_default(), "what of it is to be looked at although it answers, such as a call that failed";
        failing_since: Time = Time(server.status.as_ref().map_or(UnixTime::UNSET, |known| known.failing_since)), "since when it has not answered; 0 while it does";
        cut_off: Flag = Flag(server.status.as_ref().is_some_and(|known| known.is_cut_off)), "1 while its circuit breaker is open: nothing is sent but one try a second";
        compared_time: Time = Time(server.status.as_ref().map_or(UnixTime::UNSET, |known| known.compared_time)), "when its postings were compared with the books last; 0 for the embedded one, and before that was done since the start";
        not_compared: &'a str = server.status.as_ref().and_then(|known| known.not_compared.as_deref()).unwrap_or_default(), "why they were not compared, or what differs; empty where they agree";
        differences: u64 = server.differences.as_ref().map_or(0, |known| known.known()), "postings that differ, each in the work list";
        waiting_postings: u64 = server.waiting.count, "operations that wait for it";
        waiting_since: Time = Time(server.waiting.since), "when the oldest of them was planned; 0 where none waits";
    }

    /// What a config's webhook is set up with at its provider.
    pub struct WebhookSetup<'a>(row: &'a ProviderConfig, modules: &'a [CatalogLine], rules: &'a Rules) {
        provider_config_id: Id = Id(row.id.0), "provider config id";
        notify_url: Box<str> = rules.notify_url(&row.provider, row.id), "the address that the provider sends to";
        events: Vec<&'a str> = events(modules, &row.provider), "events to subscribe to; empty where none need be chosen, or the module is not loaded";
    }

    /// A setting that a module declares.
    pub struct SettingRecord<'a>(setting: &'a ModuleSetting) {
        key: &'a str = &setting.key, "key: a field of the config, or in its settings";
        label: &'a str = &setting.label, "label to show";
        kind: &'a str = setting.kind, "text, integer, flag, url or choice";
        choices: Vec<&'a str> = texts(&setting.choices), "the values of a choice";
        secret: Flag = Flag(setting.secret), "1 where it is stored encrypted and never shown";
        required: Flag = Flag(setting.required), "1 where an enabled config needs it";
        endpoint: Flag = Flag(setting.endpoint), "1 where it decides to which host requests go";
        default: OrNull<&'a str> = OrNull(setting.default.as_deref()), "the value where none is set; null where there is none";
    }
}

fn events<'a>(modules: &'a [CatalogLine], provider: &str) -> Vec<&'a str> {
    let declared = modules.iter().filter(|line| &*line.code == provider).flat_map(|line| &line.declared.webhook_events);
    declared.map(|event| &**event).collect()
}

fn texts(of: &[Box<str>]) -> Vec<&str> {
    of.iter().map(|text| &**text).collect()
}

impl<'a> ModuleRecord<'a> {
    /// With its runtime state.
    pub(super) fn running(line: &'a CatalogLine) -> Self {
        Self::new(line, true)
    }
}

/// Modules belong to the whole server, so this needs a session that is not scoped to a brand.
async fn list(call: CommandCall) -> CommandResult {
    let NoFields {} = call.read()?;
    if call.session.brand().is_some() {
        return Err(Refusal::new(RefusalCode::PermissionDenied, "module commands are for sessions of every brand"));
    }
    // Read now: a module's health changes between two snapshots.
    let lines = call.cashier.modules.catalog();
    let servers = trading_servers::states(&call.cashier).await?;
    let snapshot = Arc::clone(&call.cashier.snapshot());
    envelope::success(&ModulesAnswer::new(&lines, &snapshot, &call.cashier.rules, &servers))
}

/// The lines that a session may see: with a brand, the modules that may serve it, without their paths and without what is
/// wrong with other brands' configs.
pub(super) fn visible(catalog: &[CatalogLine], session: &ManagerSession) -> Vec<CatalogLine> {
    let Some(brand) = session.brand() else { return catalog.to_vec() };
    let serves = |line: &&CatalogLine| line.brands.as_ref().is_none_or(|brands| brands.iter().any(|b| **b == *brand));
    catalog
        .iter()
        .filter(serves)
        .map(|line| CatalogLine { path: Box::default(), problems: Vec::new(), ..line.clone() })
        .collect()
}
