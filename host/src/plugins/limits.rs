//! How much time, room and patience one gateway gets, each with its reason; `plugins.toml` may change them per module.
//! Sizes of what crosses the border are in `convert`.

use std::time::Duration;

/// The limits of one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long one call into the module may take. A pure call takes microseconds; past two seconds it is stuck.
    pub call: Duration,
    /// How long a whole exchange may take, network included. Providers advise 30 s and customers leave before.
    pub exchange: Duration,
    /// Exchanges that hold the network at one time; a provider that answers in 1 s then takes 256 payments a second.
    pub concurrency_max: usize,
    /// Calls that may wait for the module's thread, and exchanges that may wait for the network, each.
    pub waiting_max: usize,
    /// Requests of one exchange. A token, a call and a confirmation are three; a module that wants more is looping.
    pub steps_max: usize,
}

impl Default for Limits {
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

impl Limits {
    /// The longest any limit of time may be set: an operator's slip must not hold flows for hours.
    const TIME_MAX: Duration = Duration::from_secs(300);
    /// The most of anything counted.
    const COUNT_MAX: usize = 65_536;
    /// The most requests of one exchange.
    const STEPS_MAX: usize = 32;

    /// The same, if every limit makes sense.
    ///
    /// # Errors
    /// Names the limit that does not, and its range.
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
