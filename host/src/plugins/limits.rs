//! Time, concurrency and queue lengths of one gateway, each with its reason; `plugins.toml` may change them per module.
//! `convert` limits the sizes of what a module returns.

use std::time::Duration;

/// The limits of one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayLimits {
    /// How long one call into the module may take. A pure call takes microseconds; after two seconds it is stuck.
    pub call: Duration,
    /// How long a whole exchange may take, network included. Providers advise 30 s, and customers give up sooner.
    pub exchange: Duration,
    /// Exchanges that use the network at one time; a provider that answers in 1 s then takes 256 payments a second.
    pub concurrency_max: usize,
    /// Calls that may wait for the module's thread, and exchanges that may wait for the network, each.
    pub waiting_max: usize,
    /// Requests of one exchange. A token, a call and a confirmation are three; a module that sends many more loops.
    pub steps_max: usize,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(2),
            exchange: Duration::from_secs(30),
            concurrency_max: 256,
            waiting_max: 4096,
            steps_max: 8,
        }
    }
}

impl GatewayLimits {
    /// Longest time limit that may be set: an operator's mistake must not block flows for hours.
    const TIME_MAX: Duration = Duration::from_secs(300);
    /// Largest count that may be set.
    const COUNT_MAX: usize = 65_536;
    /// Most requests of one exchange that may be set.
    const STEPS_MAX: usize = 32;

    /// The same limits, if each is within its range.
    ///
    /// # Errors
    /// Names the limit that is not, and its range.
    pub fn checked(self) -> Result<Self, String> {
        let times = [("call_ms", self.call), ("exchange_ms", self.exchange)];
        for (name, time) in times {
            if time.is_zero() || time > Self::TIME_MAX {
                return Err(format!("{name} must be 1 to {}", Self::TIME_MAX.as_millis()));
            }
        }
        let counts = [
            ("concurrency_max", self.concurrency_max, Self::COUNT_MAX),
            ("waiting_max", self.waiting_max, Self::COUNT_MAX),
            ("steps_max", self.steps_max, Self::STEPS_MAX),
        ];
        for (name, count, most) in counts {
            if count == 0 || count > most {
                return Err(format!("{name} must be 1 to {most}"));
            }
        }
        Ok(self)
    }
}
