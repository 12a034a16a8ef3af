//! How long a list may take: its search, and for a customer or a manager's screen its sending too. It knows no list.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::refusal::Refusal;
use futures_util::future::{self, Either};

use super::Cashier;
use super::list_reader::{ListReader, ManagerReader};
use crate::ledger::storage_unavailable;
use crate::ports::Clock;

/// How long a list may take in all, to a customer or a manager's screen: the largest page takes a phone half of it.
pub(super) const LIST_TIME_MAX: Duration = Duration::from_secs(120);

/// The time of one list, which begins with its request.
pub(super) struct ListTime {
    clock: Arc<dyn Clock>,
    began: Duration,
    reader: ListReader,
}

impl ListTime {
    pub(super) fn begin(clock: &Arc<dyn Clock>, reader: ListReader) -> Self {
        Self { clock: Arc::clone(clock), began: clock.monotonic(), reader }
    }

    fn passed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.began)
    }

    /// Whether its search took too long.
    pub(super) fn is_over(&self) -> bool {
        self.passed() > LIST_TIME_MAX
    }

    /// How much of it is left; `None` where the list is an export, whose reader has a pace to keep instead.
    pub(super) fn left(&self) -> Option<Duration> {
        match self.reader {
            ListReader::Customer(_) | ListReader::Manager(_) => Some(LIST_TIME_MAX.saturating_sub(self.passed())),
            ListReader::Export(_) => None,
        }
    }
}

/// What is read in the time of a list, once it is the manager's turn; dropped where that is over, which ends the read.
pub(super) async fn within_list_time<T>(
    cashier: &Cashier,
    reader: &ManagerReader,
    reading: impl Future<Output = T>,
) -> Result<T, Refusal> {
    let in_turn = async {
        let _turn = cashier.list_turns.begin(reader).await;
        reading.await
    };
    match future::select(Box::pin(in_turn), cashier.clock.sleep(LIST_TIME_MAX)).await {
        Either::Left((found, _)) => Ok(found),
        Either::Right(_) => Err(storage_unavailable()),
    }
}
