//! Replays the durable commits of a random run and compares the books.

use cashier_core::books::Books;
use cashier_core::ids::{ConfigId, TransactionId};

use super::Run;

impl Run {
    /// Replaying the durable commits gives equal books, indexes included.
    pub(super) fn check_replay(&self, seed: u64) {
        let replayed = self.env.disk.replayed();
        let events = || self.payments.values().flat_map(|payment| &payment.events);
        let compare = |books: &Books| {
            assert_eq!(replayed.counters(), books.counters(), "seed {seed}");
            assert_eq!(replayed.transactions(), books.transactions(), "seed {seed}");
            assert_eq!(replayed.unsettled(), books.unsettled(), "seed {seed}");
            for id in (1..=books.counters().transaction).map(TransactionId) {
                let known = books.aggregate(id).unwrap();
                assert_eq!(replayed.aggregate(id).as_ref(), Some(&known), "seed {seed}");
                let own = &known.transaction;
                let key = |books: &Books| books.by_key(own.customer_id, own.key_space, &own.idempotency_key);
                assert_eq!(replayed.by_reference(&own.reference), Some(id), "seed {seed}");
                assert_eq!(key(&replayed), key(books), "seed {seed}");
                for name in own.refs.iter() {
                    let found = |books: &Books| books.by_provider_ref(own.config_id, name);
                    assert_eq!((found(&replayed), found(books)), (Some(id), Some(id)), "seed {seed}");
                }
            }
            for config in [1, 2].map(ConfigId) {
                assert_eq!(replayed.config_activity(config), books.config_activity(config), "seed {seed}");
                for event in events() {
                    let known = |books: &Books| books.known_event(config, &event.event_id);
                    assert_eq!(known(&replayed), known(books), "seed {seed}");
                }
            }
        };
        self.env.cashier.ledger.peek(compare).unwrap();
    }
}
