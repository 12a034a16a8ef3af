//! What became of connections, for `/metrics` and the log: how many are open, were refused, and ended by which limit.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cashier_core::network::network_of;

/// How often a limit that is reached is logged.
const WARNING_PAUSE: Duration = Duration::from_mins(1);

/// Why a connection was ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// Another needed its place.
    ForAnother,
    /// Its address had too many connections or half-sent heads.
    OfItsAddress,
    /// It idled, or its head came too slowly.
    OfItsTime,
}

/// Of one listener, since the start of the process.
#[derive(Debug)]
pub struct ListenerCounts {
    pub(super) name: &'static str,
    open: AtomicUsize,
    refused: AtomicUsize,
    ended_for_another: AtomicUsize,
    ended_of_address: AtomicUsize,
    ended_of_time: AtomicUsize,
    /// When it was last logged that an address is at its limit, and that there is no place; 0 is never.
    address_logged: AtomicU64,
    full_logged: AtomicU64,
}

/// Of the listeners of this process, under their names.
pub(super) static LISTENERS: [ListenerCounts; 3] =
    [ListenerCounts::new("customer"), ListenerCounts::new("manager"), ListenerCounts::new("watch")];

impl ListenerCounts {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            open: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            ended_for_another: AtomicUsize::new(0),
            ended_of_address: AtomicUsize::new(0),
            ended_of_time: AtomicUsize::new(0),
            address_logged: AtomicU64::new(0),
            full_logged: AtomicU64::new(0),
        }
    }

    /// Those of this listener.
    pub(super) fn of(name: &str) -> &'static Self {
        /// A listener that no page shows.
        static UNSHOWN: ListenerCounts = ListenerCounts::new("other");
        LISTENERS.iter().find(|counts| counts.name == name).unwrap_or(&UNSHOWN)
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, ending: Ending) {
        let count = match ending {
            Ending::ForAnother => &self.ended_for_another,
            Ending::OfItsAddress => &self.ended_of_address,
            Ending::OfItsTime => &self.ended_of_time,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// An address has as many as it may.
    pub(super) fn at_limit(&self, address: IpAddr, now: Duration) {
        if is_due(&self.address_logged, now) {
            let address = network_of(address);
            tracing::warn!(
                listener = self.name,
                %address,
                "an address has as many connections or requests as it may: its longest waiting ones end, or new ones are refused"
            );
        }
    }

    /// A connection or a request was refused.
    pub(super) fn refused(&self, address: IpAddr, now: Duration) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        if is_due(&self.full_logged, now) {
            tracing::warn!(listener = self.name, %address, "connections are refused: there are too many");
        }
    }

    pub(super) fn open_now(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn refused_so_far(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// For another, by a limit of its address, by a time.
    pub(super) fn ended_so_far(&self) -> (usize, usize, usize) {
        let counts = [&self.ended_for_another, &self.ended_of_address, &self.ended_of_time];
        counts.map(|count| count.load(Ordering::Relaxed)).into()
    }
}

fn is_due(logged: &AtomicU64, now: Duration) -> bool {
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    let before = logged.load(Ordering::Relaxed);
    let pause = WARNING_PAUSE.as_millis();
    let is_due = before == 0 || u128::from(now.saturating_sub(before)) >= pause;
    is_due && logged.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}
