//! What one connection is doing: waiting for a request, receiving a head, being answered. `observed_stream` reports that, and
//! `connection_limits` decides by it which connection ends. It knows neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::client_address::AddressKey;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte of a request has come on it.
    Fresh,
    /// Waits for the next request.
    Idle,
    /// A TLS handshake or the head of a request has begun.
    Head,
    /// A request is being answered.
    Busy,
    /// The whole answer was made and is being sent.
    Flushing,
    Ended,
}

/// Bits that hold the phase, below the time at which it began.
const PHASE_BITS: u32 = 3;

impl Phase {
    const ALL: [Self; 6] = [Self::Fresh, Self::Idle, Self::Head, Self::Busy, Self::Flushing, Self::Ended];

    fn of(packed: u64) -> Self {
        let number = packed & ((1 << PHASE_BITS) - 1);
        Self::ALL.into_iter().find(|phase| *phase as u64 == number).unwrap_or(Self::Ended)
    }
}

/// A connection, as its listener counts it.
pub(super) struct Connection {
    pub(super) address: AddressKey,
    /// Whether the limits per address apply to it.
    pub(super) limited: bool,
    /// When its listener opened: what times are counted from.
    epoch: Instant,
    /// Half-sent heads of its address.
    heads: Arc<AtomicUsize>,
    /// Phase, and milliseconds from the epoch to its begin: read and changed together.
    state: AtomicU64,
    /// Whether its address may use the reserve; changed under the lock of its listener alone.
    pub(super) known: AtomicBool,
    /// Whether a request on it proved who sent it.
    pub(super) proven: AtomicBool,
    ended: Notify,
}

impl Connection {
    pub(super) fn new(
        address: AddressKey,
        limited: bool,
        known: bool,
        epoch: Instant,
        heads: Arc<AtomicUsize>,
    ) -> Self {
        let state = AtomicU64::new(millis_since(epoch) << PHASE_BITS | Phase::Fresh as u64);
        let (known, proven, ended) = (AtomicBool::new(known), AtomicBool::new(false), Notify::new());
        Self { address, limited, epoch, heads, state, known, proven, ended }
    }

    /// The phase, and milliseconds from the epoch to its begin.
    pub(super) fn phase(&self) -> (Phase, u64) {
        let state = self.state.load(Ordering::Acquire);
        (Phase::of(state), state >> PHASE_BITS)
    }

    /// Goes on to `to` if it is in one of the phases `from`.
    pub(super) fn step(&self, from: &[Phase], to: Phase) -> bool {
        let mut state = self.state.load(Ordering::Acquire);
        let left = loop {
            let phase = Phase::of(state);
            if !from.contains(&phase) {
                return false;
            }
            let next = millis_since(self.epoch) << PHASE_BITS | to as u64;
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break phase,
                Err(other) => state = other,
            }
        };
        match (left, to) {
            (Phase::Head, Phase::Head) => {}
            (Phase::Head, _) => {
                self.heads.fetch_sub(1, Ordering::AcqRel);
            }
            (_, Phase::Head) => {
                self.heads.fetch_add(1, Ordering::AcqRel);
            }
            (_, _) => {}
        }
        true
    }

    /// Half-sent heads of its address.
    pub(super) fn heads(&self) -> usize {
        self.heads.load(Ordering::Acquire)
    }

    /// Ends it unless a request is being answered on it.
    pub(super) fn end_waiting(&self) -> bool {
        let ends = self.step(&[Phase::Fresh, Phase::Idle, Phase::Head], Phase::Ended);
        if ends {
            self.ended.notify_one();
        }
        ends
    }

    /// Resolves once the connection is to end.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }
}

pub(super) fn millis_since(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX >> PHASE_BITS)
}
