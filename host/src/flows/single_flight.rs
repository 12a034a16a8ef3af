//! Work under way for one transaction, so that it is done once: a second caller waits for the first to end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cashier_core::ids::TransactionId;
use tokio::sync::watch;

type Open = Arc<Mutex<BTreeMap<TransactionId, watch::Receiver<()>>>>;

/// The calls of one kind that are under way.
#[derive(Debug, Default)]
pub(super) struct SingleFlight {
    open: Open,
}

/// Held while the work goes on; dropping it, also by a panic, ends the flight.
#[derive(Debug)]
pub(super) struct Flight {
    id: TransactionId,
    open: Open,
    _waiters: watch::Sender<()>,
}

impl SingleFlight {
    /// Begins the work, unless it is under way.
    pub(super) fn begin(&self, id: TransactionId) -> Option<Flight> {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if open.contains_key(&id) {
            return None;
        }
        let (sender, receiver) = watch::channel(());
        open.insert(id, receiver);
        Some(Flight { id, open: Arc::clone(&self.open), _waiters: sender })
    }

    pub(super) fn is_under_way(&self, id: TransactionId) -> bool {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).contains_key(&id)
    }

    /// Resolves when no such work is under way.
    pub(super) async fn ended(&self, id: TransactionId) {
        let receiver = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&id).cloned();
        if let Some(mut receiver) = receiver {
            // The sender never sends: an error means that it was dropped, which ends the flight.
            while receiver.changed().await.is_ok() {}
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_comer_waits_for_the_first_to_land() {
        let single_flight = SingleFlight::default();
        let flight = single_flight.begin(TransactionId(1));
        assert!(flight.is_some());
        assert!(single_flight.begin(TransactionId(1)).is_none());
        assert!(single_flight.begin(TransactionId(2)).is_some());
        let waiting = single_flight.ended(TransactionId(1));
        drop(flight);
        waiting.await;
        single_flight.ended(TransactionId(1)).await;
        assert!(single_flight.begin(TransactionId(1)).is_some());
    }
}
