//! Why a module gave no instance, no result or no end of an exchange, with the sentences that reach operators.
//! `module_thread` and `exchange` make these failures; `outcomes` decides what they mean for a payment.

use std::fmt;

use cashier_provider_sdk::ConfigError;

/// Why a call gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallFailure {
    /// Too many calls wait, or this one waited too long; it was not started.
    Busy,
    /// It was started and did not return in time.
    TimedOut,
    /// Too many calls never returned, or the host's own side of the call failed.
    Unavailable,
}

/// Too many of a module's calls never returned, wherever that is found.
const NEVER_RETURNED: &str = "the module is unavailable: too many of its calls never returned";

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the module is overloaded: too many calls wait for it",
            Self::TimedOut => "the module did not return from a call in time",
            Self::Unavailable => NEVER_RETURNED,
        })
    }
}

/// Why there is no instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StartFailure {
    /// The module refuses the configuration, in its own words.
    Refused(ConfigError),
    TimedOut,
    /// Too many configure calls or drops of this module never returned.
    AllSlotsStuck,
    NoThread(String),
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) if error.field.is_empty() => f.write_str(&error.message),
            Self::Refused(error) => error.fmt(f),
            Self::TimedOut => f.write_str("the module did not return from configuring in time"),
            Self::AllSlotsStuck => f.write_str(NEVER_RETURNED),
            Self::NoThread(error) => write!(f, "no thread for the module: {error}"),
        }
    }
}

/// Why the host could not complete an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostFailure {
    Call(CallFailure),
    /// The module wants to send a request where none is allowed.
    RequestForbidden,
    /// The module wants to send a request that may move money where only safe requests are allowed.
    MoneyForbidden,
    TooManySteps(usize),
    /// Too many exchanges wait for the network.
    Overloaded,
    CircuitOpen,
    /// The last request did not leave.
    NotSent(String),
    /// The last request got no reply.
    NoReply(String),
    TimedOut,
}

impl fmt::Display for HostFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(failure) => failure.fmt(f),
            Self::RequestForbidden => f.write_str("the module wants to send a request, and this check is made offline"),
            Self::MoneyForbidden => {
                f.write_str("the module wants to send a request that may move money where only safe ones are allowed")
            }
            Self::TooManySteps(most) => write!(f, "the module wants to send more than {most} requests"),
            Self::Overloaded => f.write_str("too many exchanges with the provider are in progress"),
            Self::CircuitOpen => f.write_str("circuit breaker open: the last requests to the provider failed"),
            Self::NotSent(reason) => write!(f, "the request was not sent: {reason}"),
            Self::NoReply(reason) => write!(f, "the provider did not answer: {reason}"),
            Self::TimedOut => f.write_str("the exchange with the provider timed out"),
        }
    }
}
