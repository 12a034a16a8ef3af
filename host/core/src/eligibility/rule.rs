//! The rules that hide a config, each with its wire name and a sentence for managers. Customers never see them.

use std::cmp::Ordering;
use std::fmt;

use crate::ids::OverrideId;
use crate::money::{Currency, Limit, Money};

/// What a line of the trace checked.
///
/// In the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    Module,
    ConfigEnabled,
    Brand,
    ModuleBrand,
    Customer,
    Account,
    Sandbox,
    ModuleCurrency,
    Method,
    Override,
    Country,
    Currency,
    Amount,
}

impl Check {
    /// The wire name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::ConfigEnabled => "config_enabled",
            Self::Brand => "brand",
            Self::ModuleBrand => "module_brand",
            Self::Customer => "customer",
            Self::Account => "account",
            Self::Sandbox => "sandbox",
            Self::ModuleCurrency => "module_currency",
            Self::Method => "method",
            Self::Override => "override",
            Self::Country => "country",
            Self::Currency => "currency",
            Self::Amount => "amount",
        }
    }
}

/// The first rule that hid a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    ModuleNotLoaded {
        reason: Box<str>,
    },
    ConfigDisabled,
    BrandMismatch {
        config: Box<str>,
        customer: Box<str>,
    },
    /// The module's list of brands does not contain the customer's.
    BrandNotEnabled {
        brand: Box<str>,
    },
    /// The customer is not active or may not deposit.
    DepositNotAllowed,
    /// The account or its group.
    AccountDisabled,
    /// A sandbox config serves demo groups only, unless the server's settings name the brand.
    SandboxOnRealAccount,
    /// A live config takes real money, which a demo group's accounts would show as play money, unless the server's settings
    /// name the brand.
    LiveOnDemoAccount,
    /// The module cannot be paid in the order's currency.
    CurrencyNotTaken {
        currency: Currency,
        account: Currency,
    },
    /// The requested method is neither the config's nor, where the config names none, one of the module's.
    MethodNotServed {
        requested: Box<str>,
    },
    DeniedByOverride {
        override_id: OverrideId,
    },
    Country {
        config: Box<str>,
        customer: Box<str>,
    },
    Currency {
        config: Box<str>,
        currency: Currency,
        account: Currency,
    },
    AmountBelow {
        min: Limit,
        max: Limit,
    },
    AmountAbove {
        min: Limit,
        max: Limit,
    },
}

impl Rule {
    /// The wire name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ModuleNotLoaded { .. } => "MODULE_NOT_LOADED",
            Self::ConfigDisabled => "CONFIG_DISABLED",
            Self::BrandMismatch { .. } => "BRAND_MISMATCH",
            Self::BrandNotEnabled { .. } => "BRAND_NOT_ENABLED_FOR_MODULE",
            Self::DepositNotAllowed => "DEPOSIT_NOT_ALLOWED",
            Self::AccountDisabled => "ACCOUNT_DISABLED",
            Self::SandboxOnRealAccount => "SANDBOX_ON_REAL_ACCOUNT",
            Self::LiveOnDemoAccount => "LIVE_ON_DEMO_ACCOUNT",
            Self::CurrencyNotTaken { .. } => "CURRENCY_NOT_TAKEN",
            Self::MethodNotServed { .. } => "METHOD_NOT_SERVED",
            Self::DeniedByOverride { .. } => "DENIED_BY_OVERRIDE",
            Self::Country { .. } => "COUNTRY",
            Self::Currency { .. } => "CURRENCY",
            Self::AmountBelow { .. } => "AMOUNT_BELOW",
            Self::AmountAbove { .. } => "AMOUNT_ABOVE",
        }
    }

    /// The check that it belongs to.
    pub const fn check(&self) -> Check {
        match self {
            Self::ModuleNotLoaded { .. } => Check::Module,
            Self::ConfigDisabled => Check::ConfigEnabled,
            Self::BrandMismatch { .. } => Check::Brand,
            Self::BrandNotEnabled { .. } => Check::ModuleBrand,
            Self::DepositNotAllowed => Check::Customer,
            Self::AccountDisabled => Check::Account,
            Self::SandboxOnRealAccount | Self::LiveOnDemoAccount => Check::Sandbox,
            Self::CurrencyNotTaken { .. } => Check::ModuleCurrency,
            Self::MethodNotServed { .. } => Check::Method,
            Self::DeniedByOverride { .. } => Check::Override,
            Self::Country { .. } => Check::Country,
            Self::Currency { .. } => Check::Currency,
            Self::AmountBelow { .. } | Self::AmountAbove { .. } => Check::Amount,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModuleNotLoaded { reason } => write!(f, "the module is not loaded: {reason}"),
            Self::ConfigDisabled => f.write_str("the config is disabled"),
            Self::BrandMismatch { config, customer } => {
                write!(f, "the config serves brand {config:?}, the customer is of {customer:?}")
            }
            Self::BrandNotEnabled { brand } => write!(f, "the module may not serve brand {brand:?}"),
            Self::DepositNotAllowed => f.write_str("the customer is not active or may not deposit"),
            Self::AccountDisabled => f.write_str("the account or its group is disabled"),
            Self::SandboxOnRealAccount => {
                f.write_str("a sandbox config serves demo groups only, and the settings do not allow it for this brand")
            }
            Self::LiveOnDemoAccount => {
                f.write_str("a live config takes real money, the account is a demo, and the settings do not allow it for this brand")
            }
            Self::CurrencyNotTaken { currency, account } if currency == account => {
                write!(f, "the module cannot be paid in {account}, the currency of the account")
            }
            Self::CurrencyNotTaken { currency, account: _ } => write!(f, "the module cannot be paid in {currency}"),
            Self::MethodNotServed { requested } => write!(f, "method {requested:?} is not served by this config"),
            Self::DeniedByOverride { override_id } => write!(f, "denied by override {override_id}"),
            Self::Country { config, customer } => {
                write!(f, "the config is for country {config:?}, the customer is from {customer:?}")
            }
            Self::Currency { config, currency, account } if currency == account => {
                write!(f, "the config is for currency {config:?}, the account is in {account}")
            }
            Self::Currency { config, currency, account: _ } => {
                write!(f, "the config is for currency {config:?}, the amount is in {currency}")
            }
            Self::AmountBelow { min, max } => {
                write!(f, "the amount is too small: it must be {}", range_text(*min, *max))
            }
            Self::AmountAbove { min, max } => {
                write!(f, "the amount is too large: it must be {}", range_text(*min, *max))
            }
        }
    }
}

/// The rule by which limits refuse an amount. Both ends are admitted; an unset end is open.
pub(super) fn amount_rule(min: Limit, max: Limit, amount: Money) -> Option<Rule> {
    if min.is_set() && min.compare(amount) == Ordering::Less {
        Some(Rule::AmountBelow { min, max })
    } else if max.is_set() && max.compare(amount) == Ordering::Greater {
        Some(Rule::AmountAbove { min, max })
    } else {
        None
    }
}

pub(super) fn range_text(min: Limit, max: Limit) -> String {
    match (min.is_set(), max.is_set()) {
        (true, true) => format!("from {} to {}", min.to_wire(), max.to_wire()),
        (true, false) => format!("at least {}", min.to_wire()),
        (false, true) => format!("at most {}", max.to_wire()),
        (false, false) => "of any size".into(),
    }
}
