//! The machine as the flows use it: its clocks, its randomness, its tasks.

use std::time::Duration;

use cashier_core::time::UnixTime;
use futures_util::future::BoxFuture;

/// The clock of stamps, the system's clock and the monotonic one.
pub trait Clock: Send + Sync {
    /// The time of stamps and of what is due. While the system's clock is implausible it goes on from the last plausible time.
    fn now(&self) -> UnixTime;
    /// The system's clock as it stands; for session tokens and signatures, which others date.
    fn wall(&self) -> UnixTime {
        self.now()
    }
    /// Why the system's clock is not believed: then nothing is done that cannot be taken back.
    fn implausible(&self) -> Option<Box<str>> {
        None
    }
    fn is_plausible(&self) -> bool {
        self.implausible().is_none()
    }
    /// Stamps up to this one may be later than what they stamp, because the clock was set back since: they begin no window.
    fn stamped_ahead_until(&self) -> UnixTime {
        UnixTime::UNSET
    }
    /// When the system's clock was last found plausible after it was not: stamps before it may be far too old.
    fn plausible_since(&self) -> UnixTime {
        UnixTime::UNSET
    }
    /// A provider's reply over TLS bore this `Date`, in Unix seconds.
    fn peer_stated(&self, _host: &str, _date: i64) {}
    /// Time since the machine's boot, suspended time included.
    fn since_boot(&self) -> Duration {
        self.monotonic()
    }
    /// The boot that [`Clock::since_boot`] counts from; empty where it is not known.
    fn boot_id(&self) -> Box<str> {
        Box::default()
    }
    /// Time since some fixed moment of this process; for measuring and waiting.
    fn monotonic(&self) -> Duration;
    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()>;
}

/// Unguessable bits, for references and nonces.
pub trait Entropy: Send + Sync {
    fn bits(&self) -> u128;
}

/// Starts work that outlives the request which started it.
pub trait Spawn: Send + Sync {
    /// A flow: it ends by itself and is awaited when the cashier stops.
    fn spawn(&self, flow: BoxFuture<'static, ()>);
    /// A background task: it runs until the cashier stops and is dropped then.
    fn background(&self, task: BoxFuture<'static, ()>);
}
