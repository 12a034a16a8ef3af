//! When old bodies are deleted: once an hour while the clock is plausible, a few rows at a time with pauses, so that nothing
//! waits for it. What is deleted, and what must stay, is `strand/retention`.

use std::sync::Arc;
use std::time::Duration;

use crate::flows::Cashier;
use crate::ports::Fault;
use crate::settings::RetentionDays;
use crate::strand::Strand;
use crate::strand::retention::{self, RetentionKind, RetentionOrder, RetentionPlace, Retired};

/// Between two rounds, and before the first: a start has better to do.
const ROUND_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Between two turns of the strand's thread: at most a twentieth of its time.
const TURN_PAUSE: Duration = Duration::from_millis(20);

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// Deletes for ever.
pub(super) async fn keep(cashier: Arc<Cashier>, strand: Arc<Strand>, kept: RetentionDays) {
    loop {
        cashier.clock.sleep(ROUND_PAUSE).await;
        // By a wrong clock everything may be old.
        if cashier.clock.is_plausible()
            && cashier.ledger.is_open()
            && let Err(fault) = round(&cashier, &strand, kept).await
        {
            tracing::warn!(%fault, "old bodies were not deleted; they are looked at again in an hour");
        }
    }
}

async fn round(cashier: &Cashier, strand: &Strand, kept: RetentionDays) -> Result<(), Fault> {
    let path = strand.path().to_owned();
    let needed = tokio::task::spawn_blocking(move || retention::needed(&path)).await;
    let needed = Arc::new(needed.unwrap_or_else(|_| Err(Fault::new("reading which events wait was interrupted")))?);
    for kind in RetentionKind::ALL {
        let days = days_of(kept, kind);
        if days == 0 {
            continue;
        }
        let now = cashier.clock.now();
        let before = now.plus(-i64::from(days).saturating_mul(SECONDS_OF_A_DAY));
        let (mut next, mut rows, mut bytes) = (Some(RetentionPlace::Kept(0)), 0_u64, 0_u64);
        while let Some(place) = next {
            let order = RetentionOrder { kind, place, before, now, needed: Arc::clone(&needed) };
            let turn: Retired = strand.retire(order).await?;
            (next, rows, bytes) = (turn.next, rows + turn.rows, bytes.saturating_add(turn.bytes));
            cashier.clock.sleep(TURN_PAUSE).await;
        }
        if rows > 0 {
            tracing::info!(kind = kind.name(), rows, bytes, days, "old bodies were deleted");
        }
    }
    Ok(())
}

fn days_of(kept: RetentionDays, kind: RetentionKind) -> u32 {
    match kind {
        RetentionKind::Events => kept.event_bodies,
        RetentionKind::Quarantine => kept.quarantine_bodies,
        RetentionKind::Answers => kept.answers,
        RetentionKind::Approvals => kept.approvals,
    }
}
