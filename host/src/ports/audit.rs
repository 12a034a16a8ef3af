//! A stored record of who did what, as a list shows it, and the newest one's hash.

use cashier_core::filter::{AuditField, FilterRow, FilterValue};
use cashier_core::ids::{ApprovalId, ConfigId, ManagerId, TransactionId};
use cashier_core::time::UnixTime;

/// One record of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub id: u64,
    pub created_time: UnixTime,
    /// 0 is the cashier itself.
    pub manager_id: ManagerId,
    /// The published number of the session's type.
    pub role: u8,
    /// The brand of the session; empty means all.
    pub brand: Box<str>,
    pub address: Box<str>,
    pub request_id: Box<str>,
    pub command: Box<str>,
    pub config_id: ConfigId,
    pub transaction_id: TransactionId,
    pub approval_id: ApprovalId,
    pub outcome: Box<str>,
    /// Field, value before and value after; secrets are fingerprints.
    pub changes: Vec<[Box<str>; 3]>,
    /// Hex, over the record and its predecessor's hash.
    pub hash: Box<str>,
}

/// The newest record that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestAudit {
    pub record: u64,
    /// Hex: the anchor of the whole chain.
    pub hash: Box<str>,
}

impl FilterRow<AuditField> for AuditRow {
    fn value(&self, field: AuditField) -> FilterValue<'_> {
        use AuditField as F;
        match field {
            F::Id => FilterValue::id(self.id),
            F::CreatedTime => FilterValue::Int(self.created_time.0),
            F::ManagerId => FilterValue::id(self.manager_id.0),
            F::Role => FilterValue::Int(self.role.into()),
            F::Brand => FilterValue::Text(&self.brand),
            F::Command => FilterValue::Text(&self.command),
            F::ProviderConfigId => FilterValue::id(self.config_id.0),
            F::TransactionId => FilterValue::id(self.transaction_id.0),
            F::ApprovalId => FilterValue::id(self.approval_id.0),
            F::Outcome => FilterValue::Text(&self.outcome),
            F::RequestId => FilterValue::Text(&self.request_id),
        }
    }
}
