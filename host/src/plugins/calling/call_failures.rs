//! Why a module's code gave no instance and no result, in the words that reach operators. What is done about it is
//! `module_thread`; what it means for a payment is `outcomes`.

use std::fmt;

use cashier_provider_sdk::ConfigError;

/// Why a call brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallFailure {
    /// Too many calls wait, or this one waited too long; it was not begun.
    Busy,
    /// It was begun and did not return in time.
    Late,
    /// Too many calls never returned, or the host's own side of the call failed.
    Unavailable,
}

/// Too many of a module's calls never returned, wherever that is found.
const NEVER_RETURNED: &str = "the module is unavailable: too many of its calls never returned";

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the module is overloaded: too many calls wait for it",
            Self::Late => "the module did not return from a call in time",
            Self::Unavailable => NEVER_RETURNED,
        })
    }
}

/// Why there is no instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StartFailure {
    /// The module refuses the configuration, in its own words.
    Refused(ConfigError),
    Late,
    /// Too many times this module never returned from configuring, or from letting an instance go.
    AllStuck,
    NoThread(String),
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) if error.field.is_empty() => f.write_str(&error.message),
            Self::Refused(error) => error.fmt(f),
            Self::Late => f.write_str("the module did not return from configuring in time"),
            Self::AllStuck => f.write_str(NEVER_RETURNED),
            Self::NoThread(error) => write!(f, "no thread for the module: {error}"),
        }
    }
}
