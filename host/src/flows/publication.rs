//! What the one publisher of configuration is given to do, in its queue. How it is done is `configure`.

use cashier_core::approval::Approval;
use cashier_core::customer_override::CustomerOverride;
use cashier_core::edit::{ConfigEdit, OverrideEdit};
use cashier_core::ids::{ApprovalId, ConfigId};
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use tokio::sync::oneshot;

use super::request_context::RequestContext;
use crate::snapshot::Served;

/// Where the outcome of an edit goes.
pub(super) type OutcomeSender<T> = oneshot::Sender<Result<T, Refusal>>;

/// A manager's request to change a config.
pub struct ConfigRequest {
    pub session: ManagerSession,
    /// The name of the command.
    pub command: &'static str,
    pub edit: ConfigEdit,
    /// The request's `data` as received: what a second person approves.
    pub data: Secret,
    pub context: RequestContext,
}

/// A manager's request to change a customer override.
pub struct OverrideRequest {
    pub session: ManagerSession,
    /// The name of the command.
    pub command: &'static str,
    pub edit: OverrideEdit,
    pub context: RequestContext,
}

/// A manager's request to delete a config for good.
pub struct DeletionRequest {
    pub session: ManagerSession,
    /// The name of the command.
    pub command: &'static str,
    pub id: ConfigId,
    pub context: RequestContext,
}

/// A second person's decision about a change that was asked for.
pub struct ApprovalRequest {
    pub session: ManagerSession,
    pub id: ApprovalId,
    pub decision: ApprovalDecision,
    pub context: RequestContext,
}

pub enum ApprovalDecision {
    /// With the edit that was asked for.
    Approve(Box<ConfigEdit>),
    Reject,
}

/// What became of a request to change a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOutcome {
    Saved(Box<ProviderConfig>),
    /// Nothing changed: it waits for a second person.
    Waits(Box<Approval>),
}

/// One entry of the queue; edits carry who makes them.
pub(super) enum Publication {
    Config(Box<ConfigRequest>, OutcomeSender<ConfigOutcome>),
    Approval(Box<ApprovalRequest>, OutcomeSender<Approval>),
    Deletion(Box<DeletionRequest>, OutcomeSender<()>),
    Override(Box<OverrideRequest>, OutcomeSender<CustomerOverride>),
    /// Shows an approval about a transaction.
    Asked(Box<Approval>, oneshot::Sender<()>),
    /// The gateway of a config that had none, opened at another try.
    Reopened(Served),
    /// Wipes the secrets of deleted configs and the requests of expired approvals.
    EndSecrets,
    /// Reads what did not open again: its key is there now.
    Reread,
    /// Begins the windows of replaced secrets that a wrong clock stamped.
    BeginWindows,
    /// The rows on disk after a failed commit, which may have reached the disk all the same.
    Reloaded,
}
