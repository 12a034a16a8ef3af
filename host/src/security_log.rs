//! Security events: who changed what, which code was loaded, what was refused. Each has a name and a function here, and is
//! logged under a target of its own, whose lines are not dropped (`log_lines`). Refused sign-ins and changed key files are
//! logged under it where they are found (`http/session`, `followed_file`).

mod anonymous;

use std::fmt::Display;
use std::path::Path;

use cashier_core::ids::{ApprovalId, ConfigId, CustomerId, ManagerId, OverrideId, TransactionId};
use cashier_core::time::UnixTime;

pub use self::anonymous::AnonymousLines;

/// The log target of security events. `CASHIER_LOG` silences it only by its name.
pub const TARGET: &str = "security";

/// A config as it was saved, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct SavedConfig<'a> {
    pub config: ConfigId,
    pub provider: &'a str,
    pub by: ManagerId,
    /// The names of the fields that changed; never a value.
    pub fields: &'a str,
    /// Those of them that are credentials.
    pub credentials: &'a str,
    /// A new config has its first credentials; those of another one changed.
    pub is_new: bool,
}

/// A config was created or changed.
pub fn config_saved(saved: &SavedConfig<'_>) {
    let SavedConfig { config, provider, by, fields, credentials, is_new } = *saved;
    tracing::info!(target: TARGET, event = "config_saved", %config, provider, %by, fields, "config saved");
    if credentials.is_empty() {
        return;
    }
    let fields = credentials;
    if is_new {
        tracing::info!(
            target: TARGET, event = "credentials_set", %config, provider, %by, fields,
            "credentials of a new config were set"
        );
    } else {
        tracing::warn!(
            target: TARGET, event = "credentials_changed", %config, provider, %by, fields,
            "credentials of a config changed"
        );
    }
}

/// What a customer wrote and was shown was erased, by whom as far as the system knows it.
pub fn customer_erased(customer: CustomerId, by: &str) {
    tracing::warn!(target: TARGET, event = "customer_erased", %customer, by, "texts of a customer were erased");
}

/// Nothing can arrive under a deleted config any more: its secrets were wiped.
pub fn secrets_wiped(config: ConfigId, provider: &str, fields: &str) {
    tracing::warn!(target: TARGET, event = "secrets_wiped", %config, provider, fields, "secrets of a deleted config were wiped");
}

/// A draft was deleted for good.
pub fn config_deleted(config: ConfigId, provider: &str, by: ManagerId) {
    tracing::info!(target: TARGET, event = "config_deleted", %config, provider, %by, "config deleted");
}

/// A customer's override was created or changed.
pub fn override_saved(customer_override: OverrideId, by: ManagerId) {
    tracing::info!(target: TARGET, event = "override_saved", %customer_override, %by, "override saved");
}

/// A change waits for a second person.
pub fn approval_asked(approval: ApprovalId, config: ConfigId, by: ManagerId, fields: &str) {
    tracing::warn!(
        target: TARGET, event = "approval_asked", %approval, %config, %by, fields, "a change waits for a second person"
    );
}

/// A second person decided.
pub fn approval_decided(approval: ApprovalId, config: ConfigId, by: ManagerId, state: &str) {
    tracing::info!(target: TARGET, event = "approval_decided", %approval, %config, %by, state, "approval decided");
}

/// Whoever owns the host approved alone.
pub fn glass_broken(approval: ApprovalId, config: ConfigId, transaction: TransactionId, by: ManagerId, command: &str) {
    tracing::warn!(
        target: TARGET, event = "break_glass", %approval, %config, %transaction, %by, command,
        "a change that waits for a second person was approved by whoever owns the host alone"
    );
}

/// What needs a second person can be approved by nobody else: one manager alone was ever seen.
pub fn one_manager_alone(manager: ManagerId) {
    tracing::warn!(
        target: TARGET, event = "one_manager_alone", %manager,
        "the settings ask for a second person, and the records show one manager alone"
    );
}

/// A record of the audit chain is on disk; its hash, noted elsewhere, proves the chain up to it.
pub fn audit_recorded(record: i64, by: i64, config: i64, outcome: &str, hash: &str) {
    tracing::info!(target: TARGET, event = "audit_recorded", record, by, config, outcome, hash, "audit record written");
}

/// A build of a module as a load or reload found it.
#[derive(Debug, Clone, Copy)]
pub struct LoadedBuild<'a> {
    pub module: &'a str,
    pub code: &'a str,
    pub generation: u32,
    pub sha256: &'a str,
}

/// A module was opened for the first time, in the place of the generation before, or without a change.
pub fn module_loaded(build: &LoadedBuild<'_>, generation_before: Option<u32>, message: &str) {
    let LoadedBuild { module, code, generation, sha256 } = *build;
    tracing::info!(
        target: TARGET, event = "module_loaded", module, code, generation, generation_before, sha256, "{message}"
    );
}

/// A module that plugins.toml enables cannot be loaded.
pub fn module_refused(module: &str, reason: &str, still_serving: Option<u32>) {
    tracing::error!(target: TARGET, event = "module_refused", module, reason, still_serving, "module refused");
}

/// A call into a module ended the process before this one.
pub fn module_ended_process(call: &dyn Display) {
    tracing::error!(target: TARGET, event = "module_ended_process", %call, "a call into a module ended the process");
}

/// A build is refused, or a notice barred, because it ended the process.
pub fn module_quarantined(quarantine: &str) {
    tracing::warn!(
        target: TARGET, event = "module_quarantined", quarantine, "a call into a module ended the process: QUARANTINED"
    );
}

/// A webhook that could not be verified, of a sender who may be anyone.
#[derive(Debug, Clone, Copy)]
pub struct RejectedWebhook<'a> {
    pub provider: &'a str,
    pub config: ConfigId,
    pub signature: &'a str,
    /// What became of it.
    pub message: &'a str,
    pub reason: &'a str,
    pub from: &'a str,
}

/// A webhook went to the quarantine. One sender must not fill the channel: each address has its lines of a minute, and all of
/// them together too.
pub fn webhook_rejected(rejected: &RejectedWebhook<'_>, lines: &AnonymousLines, now: UnixTime) {
    let RejectedWebhook { provider, config, signature, message, reason, from } = *rejected;
    let (is_logged, suppressed) = lines.admit(from, now);
    if suppressed > 0 {
        tracing::warn!(
            target: TARGET, event = "webhooks_suppressed", suppressed, "rejected webhooks were not logged one by one"
        );
    }
    if is_logged {
        tracing::warn!(
            target: TARGET, event = "webhook_rejected", provider, %config, signature, reason, from, "{message}"
        );
    }
}

/// The run before could not hand over all of its security events.
pub fn overflow_file_found(file: &Path) {
    tracing::warn!(
        target: TARGET, event = "overflow_found", file = %file.display(),
        "security events that no reader of the log took are in a file: read it and remove it"
    );
}

/// Every event by its name, for the page that lists them.
pub const EVENTS: &[&str] = &[
    "config_saved",
    "credentials_set",
    "credentials_changed",
    "config_deleted",
    "secrets_wiped",
    "customer_erased",
    "override_saved",
    "approval_asked",
    "approval_decided",
    "break_glass",
    "one_manager_alone",
    "audit_recorded",
    "module_loaded",
    "module_refused",
    "module_ended_process",
    "module_quarantined",
    "webhook_rejected",
    "webhooks_suppressed",
    "overflow_found",
];
