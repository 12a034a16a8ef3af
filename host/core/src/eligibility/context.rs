//! The inputs of eligibility: the customer and their account, a config with its module, and the request.

use crate::account::AccountFacts;
use crate::ids::ConfigId;
use crate::money::{Currency, Money};
use crate::provider_config::ProviderConfig;
use crate::time::UnixTime;

/// The state of the module that a config names.
#[derive(Debug, Clone, Copy)]
pub enum ModuleFitness<'a> {
    NotLoaded {
        /// One sentence for managers.
        reason: &'a str,
    },
    Loaded {
        /// Brands it may serve; `None` means all.
        brands: Option<&'a [Box<str>]>,
        /// As its descriptor lists them; the first is recorded when neither request nor config names one.
        methods: &'a [Box<str>],
        /// Currencies that it can be paid in; empty means every one.
        currencies: &'a [Box<str>],
    },
}

/// A config with the fitness of its module.
#[derive(Debug, Clone, Copy)]
pub struct ConfigCandidate<'a> {
    pub config: &'a ProviderConfig,
    pub module: ModuleFitness<'a>,
}

impl ConfigCandidate<'_> {
    /// The currency that the config is for, where it is for one.
    pub fn own_currency(&self) -> Option<Currency> {
        Currency::from_code(&self.config.currency.to_ascii_uppercase())
    }
}

/// The customer who deposits, and when.
#[derive(Debug, Clone, Copy)]
pub struct EligibilityContext<'a> {
    /// Every brand check uses the customer's brand.
    pub account: &'a AccountFacts,
    /// The server's settings name the customer's brand in `allow_sandbox_credit`.
    pub sandbox_credit_allowed: bool,
    /// The server's settings name the customer's brand in `allow_live_on_demo`.
    pub live_on_demo_allowed: bool,
    pub now: UnixTime,
}

/// The parts of a deposit request that select a config.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub provider: &'a str,
    /// Empty leaves the choice to the config.
    pub method: &'a str,
    pub provider_config_id: Option<ConfigId>,
    pub amount: Money,
}
