//! How long is waited before a connection is tried again, or after the server said "too often". Pure.

use std::time::Duration;

/// The first pause; it doubles.
const LINK_PAUSE_MIN: Duration = Duration::from_millis(250);
/// A platform that is down for hours is still tried twice a minute.
const LINK_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often a limit of the server is waited out before the pause no longer grows; 250 ms doubled so often are 16 s.
const DOUBLINGS_MAX: u32 = 7;

/// The pause after so many tries in a row.
pub(super) fn doubled(tries: u32) -> Duration {
    LINK_PAUSE_MIN.saturating_mul(1 << tries.min(DOUBLINGS_MAX)).min(LINK_PAUSE_MAX)
}

/// Between half and the whole of it, so that many cashiers do not come back in the same moment.
pub(super) fn jittered(length: Duration, bits: u128) -> Duration {
    let half = length / 2;
    let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half.saturating_add(Duration::from_micros((bits as u64) % micros))
}
