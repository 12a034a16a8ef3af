//! Which configs a customer may deposit through, and the first rule that hides each of the others
//! (API.md section 4, override resolution).

use crate::customer_override::OverrideMode;
use crate::ids::{ConfigId, OverrideId};
use crate::money::Limit;

/// Proof that a config may serve a customer's deposit. Made by this module's judgement alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligible {
    config_id: ConfigId,
    /// The config's version it was judged at; a changed config makes this stale.
    version: u64,
    /// The method the deposit is recorded with.
    method: Box<str>,
    sandbox: bool,
    min_amount: Limit,
    max_amount: Limit,
    matched: Option<(OverrideId, OverrideMode)>,
}

impl Eligible {
    pub fn config_id(&self) -> ConfigId {
        self.config_id
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn method(&self) -> &str {
        &self.method
    }

    pub fn sandbox(&self) -> bool {
        self.sandbox
    }

    /// The limits in force, the override's where it replaces them.
    pub fn limits(&self) -> (Limit, Limit) {
        (self.min_amount, self.max_amount)
    }

    pub fn matched_override(&self) -> Option<(OverrideId, OverrideMode)> {
        self.matched
    }
}
