//! A list of provider events as it is sent: a row with its body becomes JSON when the reader has taken those before.

use cashier_core::refusal::Refusal;
use futures_util::future::BoxFuture;

use crate::flows::events::EventRows;
use crate::wire::answer_values::ListingOf;
use crate::wire::event::EventRecord;
use crate::wire::pieces::{AnswerBody, Pieces, SendTime, around_rows};
use crate::wire::write;

/// Bytes from which on a piece is sent.
const PIECE_BYTES: usize = 128 * 1024;

/// Bytes of a piece that has the longest body last: each of its bytes may take six as JSON.
const LONGEST_PIECE_BYTES: usize = 7 * 1024 * 1024;

/// The answer to a manager.
pub async fn listing(rows: EventRows) -> Result<AnswerBody, Refusal> {
    let (before, after) = around_rows(&ListingOf::<EventRecord<'_>>::new(std::iter::empty(), rows.count()))?;
    AnswerBody::of(Box::new(EventList { rows, before, after: Some(after), has_rows: false })).await
}

struct EventList {
    rows: EventRows,
    before: Vec<u8>,
    after: Option<Vec<u8>>,
    has_rows: bool,
}

impl EventList {
    async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        if self.after.is_none() {
            return Ok(None);
        }
        let mut piece = std::mem::take(&mut self.before);
        while piece.len() < PIECE_BYTES {
            let Some((row, notice)) = self.rows.next_row().await.map_err(|fault| fault.to_string())? else {
                piece.extend(self.after.take().unwrap_or_default());
                break;
            };
            if std::mem::replace(&mut self.has_rows, true) {
                piece.push(b',');
            }
            let (body, headers) = notice.as_ref().map_or((&b""[..], ""), |known| (&known.body, &known.headers_json));
            let record = write::json(&EventRecord::for_manager(&row, body, headers));
            piece.extend(record.map_err(|refusal| refusal.message.to_string())?);
        }
        Ok(Some(piece))
    }
}

impl Pieces for EventList {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(self.piece())
    }

    fn is_done(&self) -> bool {
        self.after.is_none()
    }

    fn send_time(&self) -> SendTime {
        SendTime::of_list(self.rows.time_left())
    }

    fn holds(&mut self, bytes: usize) -> BoxFuture<'_, Result<(), Refusal>> {
        let next = if self.rows.is_finished() { 0 } else { LONGEST_PIECE_BYTES };
        Box::pin(self.rows.holds(bytes + next))
    }
}
