//! When old bodies are deleted: soon after a start, and once an hour while the clock is plausible, a few rows at a time with pauses, so that nothing
//! waits for it. What is deleted, and what must stay, is `strand/retention`.

use std::sync::Arc;
use std::time::Duration;

use crate::flows::Cashier;
use crate::ports::Fault;
use crate::settings::RetentionDays;
use crate::strand::Strand;
use crate::strand::retention::{self, RetentionKind, RetentionOrder, RetentionPlace, Retired};

/// Between two rounds.
const ROUND_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Before the first: a start has better to do, and a server may be restarted more often than once an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Between two turns of the strand's thread: at most a twentieth of its time.
const TURN_PAUSE: Duration = Duration::from_millis(20);

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// Deletes for ever.
pub(super) async fn keep(cashier: Arc<Cashier>, strand: Arc<Strand>, kept: RetentionDays) {
    let mut pause = FIRST_PAUSE;
    loop {
        cashier.clock.sleep(std::mem::replace(&mut pause, ROUND_PAUSE)).await;
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
        RetentionKind::Events | RetentionKind::Calls => kept.event_bodies,
        RetentionKind::Quarantine => kept.quarantine_bodies,
        RetentionKind::Answers => kept.answers,
        RetentionKind::Approvals => kept.approvals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::DurabilityListener;
    use crate::strand::seal::SealKeys;
    use crate::strand::{self, BatchLimits, StrandSettings};
    use crate::system::SystemEntropy;
    use crate::test_cashier::TestCashier;

    struct Nobody;

    impl DurabilityListener for Nobody {
        fn synced(&self, _: cashier_core::ids::Seq) {}

        fn failed(&self, fault: &Fault) {
            panic!("{fault}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn old_bodies_are_deleted_also_where_no_server_runs_for_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let settings = StrandSettings {
            path: folder.path().join("bases/cashier.db"),
            keys: SealKeys::parse(&format!("1:{}", "07".repeat(32))).unwrap(),
            entropy: Arc::new(SystemEntropy),
            batch: BatchLimits::default(),
        };
        let strand = Arc::new(strand::open(settings, Arc::new(Nobody)).unwrap());
        let connection = rusqlite::Connection::open(strand.path()).unwrap();
        let row = "INSERT INTO unproven_notice (id, received_time, method, path, raw_query, headers_json, sha256, body) \
                   VALUES (1, 100, '', '', '', '[]', x'', x'01')";
        connection.execute_batch(row).unwrap();
        let env = TestCashier::new().await;
        let kept = RetentionDays { event_bodies: 30, quarantine_bodies: 30, answers: 30, approvals: 30 };
        let (began, keeping) =
            (tokio::time::Instant::now(), tokio::spawn(keep(Arc::clone(&env.cashier), strand, kept)));
        let left = || connection.query_row("SELECT length(body) FROM unproven_notice", [], |row| row.get::<_, i64>(0));
        while left().unwrap() > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(began.elapsed() < ROUND_PAUSE);
            if began.elapsed() > FIRST_PAUSE {
                // The strand's thread knows no paused time.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert!(began.elapsed() > FIRST_PAUSE, "a start has better to do");
        keeping.abort();
    }
}
