//! The plain Rust types of the provider contract: what a module receives and what it returns.
//! None of them crosses the ABI boundary itself; `boundary` converts them to and from the frozen records.

mod config;
mod descriptor;
mod endpoint;
mod failure;
mod notice;
mod order;
mod update;

pub use config::{ProviderConfig, ProviderSettings, Secret};
pub use descriptor::{Capabilities, Descriptor, PaymentMode, SettingKind, SettingSpec};
pub use endpoint::Endpoint;
pub use failure::{ConfigError, FailureKind, ProviderFailure};
pub use notice::{Acknowledgement, Unreadable, WebhookNotice, WebhookVerdict};
pub use order::{NextAction, PaymentCreated, PaymentOrder, PaymentRef, RefundOrder};
pub use update::{Dispute, NormalizedStatus, ProviderRef, Refund, RefundReach, StatusUpdate};

/// Name and value pairs: headers, and the extension `bag` of a record. A bag carries what later contract
/// versions add; ignore the names you do not know.
pub type Pairs = Vec<(String, String)>;

/// The first value under `name`, compared exactly.
pub fn pair<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
