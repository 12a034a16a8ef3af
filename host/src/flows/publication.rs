//! What the one publisher of configuration is given to do, in its queue. How it is done is `configure`.

use cashier_core::customer_override::CustomerOverride;
use cashier_core::edit::{ConfigEdit, OverrideEdit};
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use tokio::sync::oneshot;

/// Where the outcome of an edit goes.
pub(super) type OutcomeSender<T> = oneshot::Sender<Result<T, Refusal>>;

/// One entry of the queue; edits carry the id of their request.
pub(super) enum Publication {
    Config(ManagerSession, Box<ConfigEdit>, Box<str>, OutcomeSender<ProviderConfig>),
    Override(ManagerSession, Box<OverrideEdit>, Box<str>, OutcomeSender<CustomerOverride>),
    /// A config that should have a gateway and has none.
    Reopen(ConfigId),
    /// The rows on disk after a failed commit, which may have reached the disk all the same.
    Reloaded(Vec<ProviderConfig>, Vec<CustomerOverride>),
}
