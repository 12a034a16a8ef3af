//! Declines finance requests that arrived late: pending ones whose key another order already won, or that is void. A pending one
//! that may still be wanted is left alone. It posts nothing.

use std::time::Duration;

use super::next_step::{self, FinanceOrder};
use super::two_phases::{DUPLICATE, TwoPhases};
use crate::ports::Fault;

/// Between two sweeps: a late request moves nothing, and a dealer who would approve it takes longer than this.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// How long a key whose request had no answer is looked at: no queue keeps a message for an hour.
const UNANSWERED_WATCH_SECONDS: Duration = Duration::from_secs(60 * 60);

/// Orders that one sweep looks at; the rest waits for the next.
const SWEPT_AT_ONCE_MAX: usize = 200;

/// Pairs that are reported; a platform where more happen is wrong as a whole.
const TWICE_KEPT_MAX: usize = 1024;

impl TwoPhases {
    pub(super) async fn sweep_for_ever(self) {
        loop {
            self.clock.sleep(SWEEP_PAUSE).await;
            if let Err(fault) = self.sweep().await {
                tracing::warn!(%fault, "late finance requests could not be looked for");
            }
        }
    }

    pub(super) async fn sweep(&self) -> Result<(), Fault> {
        let mut uuids: Vec<Box<str>> = Vec::new();
        for order in self.orders.pending().await?.into_iter().take(SWEPT_AT_ONCE_MAX) {
            if !uuids.contains(&order.uuid) {
                let siblings = self.orders.siblings(&order).await?;
                self.decline_late(&siblings, &order.uuid).await;
                uuids.push(order.uuid);
            }
        }
        let now = self.clock.monotonic();
        let watched: Vec<_> = self.late.with(|lists| {
            lists.unanswered.retain(|(_, since)| now.saturating_sub(*since) < UNANSWERED_WATCH_SECONDS);
            lists.unanswered.iter().take(SWEPT_AT_ONCE_MAX).map(|(wanted, _)| wanted.clone()).collect()
        });
        for wanted in watched {
            let siblings = self.orders.about(&wanted).await?;
            self.report_twice(&siblings, &wanted.uuid);
        }
        Ok(())
    }

    async fn decline_late(&self, siblings: &[FinanceOrder], uuid: &str) {
        let is_void = self.late.with(|lists| lists.void.iter().any(|known| **known == *uuid));
        for order in next_step::late(siblings, &self.orders.settings.source, uuid, is_void) {
            match self.orders.decline(order, &format!("{uuid}{DUPLICATE}")).await {
                Ok(()) => tracing::warn!(order, uuid, "late finance request was declined"),
                Err(failure) => tracing::warn!(order, uuid, %failure, "declining a late finance request failed"),
            }
        }
        self.report_twice(siblings, uuid);
    }

    fn report_twice(&self, siblings: &[FinanceOrder], uuid: &str) {
        let Some(pair) = next_step::executed_twice(siblings, &self.orders.settings.source, uuid) else { return };
        let is_news = self.late.with(|lists| {
            let is_news = !lists.twice.contains(&pair) && lists.twice.len() < TWICE_KEPT_MAX;
            lists.twice.extend(is_news.then_some(pair));
            is_news
        });
        if is_news {
            let (order, other) = pair;
            tracing::error!(
                order,
                other,
                uuid,
                "a posting was made twice at the trading server: a dealer approved its duplicate"
            );
        }
    }
}
