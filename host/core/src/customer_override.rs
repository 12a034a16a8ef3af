//! A manual allow or deny for one customer, written by CRM over the default rules (the override seed page).

use crate::ids::{ConfigId, CustomerId, OverrideId};
use crate::money::Limit;
use crate::numbered::numbered;
use crate::time::UnixTime;

numbered! {
    /// What an override does to a config it matches.
    OverrideMode {
        Allow = 0,
        Deny = 1,
    }
}

/// An override row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerOverride {
    pub id: OverrideId,
    pub customer_id: CustomerId,
    pub brand: Box<str>,
    /// `ConfigId(0)` matches by provider, method and brand.
    pub provider_config_id: ConfigId,
    pub provider: Box<str>,
    /// Empty means any.
    pub method: Box<str>,
    pub mode: OverrideMode,
    /// Zero keeps the config's value.
    pub min_amount: Limit,
    /// Zero keeps the config's value.
    pub max_amount: Limit,
    pub enabled: bool,
    pub reason: Box<str>,
    pub comment: Box<str>,
    /// Unset means no expiration.
    pub expires_time: UnixTime,
    pub created_time: UnixTime,
    pub updated_time: UnixTime,
}

impl CustomerOverride {
    /// Enabled and not expired at `now`.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.enabled && (!self.expires_time.is_set() || now < self.expires_time)
    }
}
