//! Makes the image of the books that the next start loads: copied in short holds of the ledger's lock while decisions go on,
//! put in its place once all that it holds is durable. It knows neither the rows nor the file
//! ([decision 0015](../../docs/decisions/0015-an-image-of-the-books.md)).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cashier_core::books::ImageCopy;
use cashier_core::ids::Seq;

use crate::ledger::{Ledger, Ticket};
use crate::ports::{Entropy, Fault};
use crate::strand::image::{self, ImageDraft, ImageMark, ImageState};

/// Between two holds of a background copy: decisions take the lock in between, and copying takes a fraction of a processor.
const HOLD_PAUSE: Duration = Duration::from_millis(1);

/// Smaller books are read from their rows within half a second.
const IMAGE_ROWS_MIN: u64 = 20_000;

/// A stop copies about a million rows in two seconds: larger books that have an image already are started with it.
const STOP_ROWS_MAX: u64 = 2_000_000;

/// When the rows that a start would read beside the image are worth another one: a part of all rows, and so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageRules {
    pub changed: u64,
    /// One in so many rows.
    pub part: u64,
    /// Larger books are not copied again; they are where there is no image.
    pub rows_max: u64,
}

impl ImageRules {
    /// An image of ten million rows is several gigabytes: it is written once a fiftieth of them has changed, which a start
    /// reads in two seconds.
    pub const BACKGROUND: Self = Self { changed: 20_000, part: 50, rows_max: u64::MAX };
    /// A stop takes as long as the copy.
    pub const AT_STOP: Self = Self { changed: 2_000, part: 200, rows_max: STOP_ROWS_MAX };

    fn wants(self, rows: u64, state: ImageState) -> bool {
        let many = state.changed >= self.changed.saturating_add(rows / self.part.max(1));
        rows >= IMAGE_ROWS_MIN && (!state.has_image || (many && rows <= self.rows_max))
    }
}

/// Whether an image is due.
pub fn is_due(ledger: &Ledger, database: &Path, rules: ImageRules) -> Result<bool, Fault> {
    let rows = ledger.peek(|books| books.transactions() as u64).map_err(closed)?;
    Ok(rows >= IMAGE_ROWS_MIN && rules.wants(rows, image::state(database)?))
}

/// An image whose blocks are copied.
pub struct CopiedImage {
    mark: ImageMark,
    draft: ImageDraft,
    /// Waits for the newest commit that may be in it.
    newest: Ticket<()>,
    epoch: u64,
}

/// How a copy goes on between holds, and whether it is given up.
pub struct CopyPace {
    pub is_background: bool,
    pub given_up: Arc<AtomicBool>,
}

/// Copies the books; blocks its thread.
pub fn copy(ledger: &Ledger, database: &Path, entropy: &dyn Entropy, pace: &CopyPace) -> Result<CopiedImage, Fault> {
    let epoch = ledger.epoch();
    let mark = image::begin(database, entropy.bits())?;
    let mut draft = mark.draft(database)?;
    let begun = ledger.peek(|books| books.begin_image()).map_err(closed)?;
    let mut copy: ImageCopy = begun.ok_or_else(|| Fault::new("an operation waits for its transaction"))?;
    let mut block = Vec::new();
    while ledger.peek(|books| books.copy_image(&mut copy, &mut block)).map_err(closed)? {
        draft.write(&block)?;
        if pace.given_up.load(Ordering::Relaxed) {
            return Err(Fault::new("the cashier stops"));
        }
        if pace.is_background {
            std::thread::sleep(HOLD_PAUSE);
        }
    }
    if !copy.is_whole() {
        return Err(Fault::new("a row of the books cannot be unpacked"));
    }
    let newest = ledger.read(|books| ((), Seq(books.counters().seq))).map_err(closed)?;
    Ok(CopiedImage { mark, draft, newest, epoch })
}

/// Puts a copied image in its place.
pub async fn place(ledger: &Ledger, database: &Path, copied: CopiedImage) -> Result<(), Fault> {
    let CopiedImage { mark, draft, newest, epoch } = copied;
    newest.durable().await.map_err(closed)?;
    if ledger.epoch() != epoch {
        return Err(Fault::new("rows were taken back while the image was made"));
    }
    let database = database.to_owned();
    let placed = tokio::task::spawn_blocking(move || mark.place(&database, draft)).await;
    placed.unwrap_or_else(|_| Err(Fault::new("placing the image was interrupted")))
}

fn closed(_: cashier_core::refusal::Refusal) -> Fault {
    Fault::new("the ledger is closed")
}

#[cfg(test)]
mod tests;
