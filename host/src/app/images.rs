//! When the image of the books is made: in the background once enough rows have changed, and at a stop. Failing costs the next
//! start its time and nothing else. How it is made is `books_image`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::books_image::{self, CopyPace, ImageRules};
use crate::flows::Cashier;
use crate::ports::Fault;

/// Between two looks at how many rows have changed.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

/// How long a stop makes an image: some twenty million rows. Larger books have one that was made in the background.
const STOP_COPY_MAX: Duration = Duration::from_secs(60);

/// Gives a copy up when the task that waits for it is dropped.
struct GiveUp(Arc<AtomicBool>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes images for ever.
pub(super) async fn keep(cashier: Arc<Cashier>, database: PathBuf) {
    loop {
        cashier.clock.sleep(LOOK_PAUSE).await;
        make(&cashier, &database, ImageRules::BACKGROUND).await;
    }
}

/// Makes the image that the next start loads, while nothing else goes on.
pub(super) async fn at_stop(cashier: &Arc<Cashier>, database: &std::path::Path) {
    if tokio::time::timeout(STOP_COPY_MAX, make(cashier, database, ImageRules::AT_STOP)).await.is_err() {
        tracing::warn!("image of the books was given up: the next start reads more rows");
    }
}

async fn make(cashier: &Arc<Cashier>, database: &std::path::Path, rules: ImageRules) {
    // While the ledger is closed there is nothing to copy.
    if !cashier.ledger.is_open() {
        return;
    }
    match made(cashier, database, rules).await {
        Ok(false) => {}
        Ok(true) => tracing::info!("image of the books was written"),
        Err(fault) => tracing::warn!(%fault, "image of the books was not written: the next start reads more rows"),
    }
}

/// Whether one was due, and made.
async fn made(cashier: &Arc<Cashier>, database: &std::path::Path, rules: ImageRules) -> Result<bool, Fault> {
    let given_up = Arc::new(AtomicBool::new(false));
    let _give_up = GiveUp(Arc::clone(&given_up));
    let pace = CopyPace { is_background: rules == ImageRules::BACKGROUND, given_up };
    let (own, path) = (Arc::clone(cashier), database.to_owned());
    let copying = tokio::task::spawn_blocking(move || {
        if !books_image::is_due(&own.ledger, &path, rules)? {
            return Ok(None);
        }
        books_image::copy(&own.ledger, &path, &*own.entropy, &pace).map(Some)
    });
    let copied = copying.await.unwrap_or_else(|_| Err(Fault::new("copying the books was interrupted")))?;
    let Some(copied) = copied else { return Ok(false) };
    books_image::place(&cashier.ledger, database, copied).await?;
    Ok(true)
}
