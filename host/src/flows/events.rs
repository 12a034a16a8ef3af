//! Lists of provider events: read from the disk, where events are that wait for nothing. A list holds its rows; their bodies are
//! read one by one while it is sent. It changes nothing.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::filter::{EventField, Filter};
use cashier_core::ids::NoticeId;
use cashier_core::notice::ProviderEvent;
use cashier_core::refusal::Refusal;
use futures_util::future::{self, Either};

use super::Cashier;
use super::list_limits::ListPermit;
use super::list_reader::ListReader;
use super::list_time::{LIST_TIME_MAX, ListTime};
use super::transactions::SIZED_BYTES;
use crate::ledger::storage_unavailable;
use crate::ports::{EventPage, Fault, StoredNotice};

/// Bytes of the rows of one list, their bodies aside: fifty thousand usual ones.
const EVENT_ROWS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The page of a list, whose bodies are read when they are sent.
pub struct EventRows {
    cashier: Arc<Cashier>,
    rows: std::vec::IntoIter<ProviderEvent>,
    count: u64,
    bytes: usize,
    time: ListTime,
    permit: ListPermit,
}

impl EventRows {
    /// Matching events before pagination.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Every row was taken.
    pub fn is_finished(&self) -> bool {
        self.rows.len() == 0
    }

    /// The next event with its notice, where that is still stored.
    ///
    /// # Errors
    /// The notice cannot be read.
    pub async fn next_row(&mut self) -> Result<Option<(ProviderEvent, Option<StoredNotice>)>, Fault> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        let notice = match row.notice_id {
            NoticeId(0) => None,
            id => self.cashier.archive.notice(id).await?,
        };
        Ok(Some((row, notice)))
    }

    /// How much of its time a list has left; `None` where it is an export, whose reader has a pace to keep instead.
    pub fn time_left(&self) -> Option<Duration> {
        self.time.left()
    }

    /// From now on it holds its rows, while any is left, and so many bytes of the answer.
    ///
    /// # Errors
    /// They are more than may be held now.
    pub async fn holds(&mut self, answer: usize) -> Result<(), Refusal> {
        let rows = if self.is_finished() { 0 } else { self.bytes };
        self.permit.hold(rows.saturating_add(answer)).await
    }
}

/// A page of events. What is not on disk yet is not in it.
///
/// # Errors
/// The limits of lists; the storage is not working, or takes too long.
pub async fn list(
    cashier: &Arc<Cashier>,
    reader: ListReader,
    filter: Filter<EventField>,
) -> Result<EventRows, Refusal> {
    let time = ListTime::begin(&cashier.clock, reader.clone());
    let manager = reader.manager().cloned();
    let mut permit = cashier.list_permit(reader).await?;
    let mut over = cashier.clock.sleep(LIST_TIME_MAX);
    let mut capacity = SIZED_BYTES;
    loop {
        permit.hold(capacity).await?;
        // While the ledger is closed, what is in the file is not known to be on disk.
        let epoch = cashier.ledger.epoch();
        cashier.ledger.peek(|_| ())?;
        // Dropped where its time is over: that ends the read.
        let in_turn = Box::pin(async {
            let _turn = match &manager {
                Some(manager) => Some(cashier.list_turns.begin(manager).await),
                None => None,
            };
            cashier.archive.events(filter.clone(), capacity).await
        });
        let found = match future::select(in_turn, &mut over).await {
            Either::Left((found, _)) => found.map_err(|fault| {
                tracing::error!(%fault, "reading a list of events failed");
                storage_unavailable()
            })?,
            Either::Right(_) => return Err(storage_unavailable()),
        };
        cashier.ledger.peek(|_| ())?;
        if cashier.ledger.epoch() != epoch {
            return Err(storage_unavailable());
        }
        match found {
            EventPage::Found { rows, count } => {
                let bytes = rows.iter().map(EventPage::row_bytes).sum();
                let (cashier, rows) = (Arc::clone(cashier), rows.into_iter());
                return Ok(EventRows { cashier, rows, count, bytes, time, permit });
            }
            EventPage::TooLarge(bytes) if bytes > EVENT_ROWS_BYTES_MAX => {
                return Err(Refusal::too_large("limit: the rows take more than 32 MiB, ask for fewer"));
            }
            // A little more than what was found, as rows are added meanwhile.
            EventPage::TooLarge(bytes) => capacity = bytes.saturating_add(bytes / 16),
        }
    }
}
