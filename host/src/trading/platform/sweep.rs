//! Declines finance requests that arrived late: pending ones whose key another order already won, or that is void; and names what moved
//! the balance all the same. A pending one that may still be wanted is left alone. It posts nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::finance_order::{FinanceOrder, OrderKey};
use super::late_keys::{KeyMistake, WatchedKey};
use super::late_orders;
use super::two_phases::{DUPLICATE, TwoPhases};
use crate::ports::Fault;

/// Between two sweeps: a late request moves nothing, and a dealer who would approve it takes longer than this.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// Orders that one sweep looks at, and as many keys; the next goes on behind them, and round.
const SWEPT_AT_ONCE_MAX: usize = 200;

impl TwoPhases {
    pub(super) async fn sweep_for_ever(self) {
        loop {
            self.clock.sleep(SWEEP_PAUSE).await;
            if let Err(fault) = self.sweep().await {
                tracing::warn!(%fault, "late finance requests could not be looked for");
            }
        }
    }

    async fn sweep(&self) -> Result<(), Fault> {
        let pending = self.sweep_pending().await;
        let watched = self.sweep_watched().await;
        pending.and(watched)
    }

    /// Keys that are known by heart, so that they are looked at also where what is pending cannot be listed.
    async fn sweep_watched(&self) -> Result<(), Fault> {
        for key in self.late.take_watched(self.clock.monotonic(), SWEPT_AT_ONCE_MAX) {
            match self.orders.siblings(key.login, &key.of).await {
                Ok(siblings) => {
                    self.decline_late(&siblings, &key.of).await;
                    self.name_mistakes(&key, &siblings);
                }
                Err(fault) => self.pass_over(&key.of.uuid, fault)?,
            }
        }
        Ok(())
    }

    async fn sweep_pending(&self) -> Result<(), Fault> {
        let (before, behind): (Vec<FinanceOrder>, Vec<FinanceOrder>) = {
            let swept = self.late.swept();
            self.orders.pending().await?.into_iter().partition(|order| order.order <= swept)
        };
        let now = self.clock.monotonic();
        let mut seen: BTreeSet<Box<str>> = BTreeSet::new();
        for order in behind.into_iter().chain(before).take(SWEPT_AT_ONCE_MAX) {
            self.late.set_swept(order.order);
            let of = self.orders.key_of(&order);
            if !seen.insert(of.uuid.to_ascii_lowercase().into()) {
                continue;
            }
            let key = WatchedKey { of, login: order.login, since: now };
            match self.orders.siblings(key.login, &key.of).await {
                Ok(siblings) => {
                    self.decline_late(&siblings, &key.of).await;
                    self.name_mistakes(&key, &siblings);
                }
                Err(fault) => self.pass_over(&key.of.uuid, fault)?,
            }
        }
        Ok(())
    }

    /// One that cannot be judged holds up no other one, unless nothing can be asked any more.
    fn pass_over(&self, uuid: &str, fault: Fault) -> Result<(), Fault> {
        self.orders.client.reaches()?;
        tracing::warn!(uuid, %fault, "finance orders of a key could not be looked at");
        Ok(())
    }

    async fn decline_late(&self, siblings: &[FinanceOrder], of: &OrderKey) {
        let uuid = &*of.uuid;
        for order in late_orders::late(siblings, of, self.late.is_void(of)) {
            match self.orders.decline(order, &format!("{uuid}{DUPLICATE}")).await {
                Ok(()) => tracing::warn!(order, uuid, "late finance request was declined"),
                Err(failure) => tracing::warn!(order, uuid, %failure, "declining a late finance request failed"),
            }
        }
    }

    fn name_mistakes(&self, key: &WatchedKey, orders: &[FinanceOrder]) {
        let (of, uuid) = (&key.of, &*key.of.uuid);
        let twice = late_orders::executed_twice(orders, of).map(|(order, other)| KeyMistake::Twice(order, other));
        let is_void = self.late.is_void(of);
        let moved = || late_orders::moves(orders, of).filter(|_| is_void).map(KeyMistake::Void);
        let mistake = twice.or_else(moved);
        if !self.late.note(key, mistake) {
            return;
        }
        match mistake {
            Some(KeyMistake::Twice(order, other)) => {
                tracing::error!(order, other, uuid, "a posting was made twice at the trading server");
            }
            Some(KeyMistake::Void(order)) => {
                tracing::error!(
                    order,
                    uuid,
                    "finance order of a void key was executed or approved at the trading server"
                );
            }
            None => {}
        }
    }
}
