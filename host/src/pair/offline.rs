//! `cashier db reconcile`: opens both databases under their locks, compares them, and applies what was found where that is
//! requested. Nothing else runs.

use std::path::Path;
use std::sync::Arc;

use cashier_core::time::UnixTime;

use super::{Applied, Reconciler, differences};
use crate::ledger::{Admission, Ledger, Watermark};
use crate::ports::{Entropy, Fault, Recorder};
use crate::strand::seal::SealKeys;
use crate::strand::{self, BatchLimits, StrandSettings};
use crate::trading::embedded::Embedded;

/// What a comparison found, and what was done about it.
#[derive(Debug)]
pub struct Reconciliation {
    /// One line for each difference; empty where there are none.
    pub differences: String,
    pub applied: Option<Applied>,
}

/// Compares the databases of `bases`; with `apply`, takes the differences over. `now` is asked for once both are locked.
pub async fn reconcile(
    bases: &Path,
    seal_keys: &str,
    entropy: Arc<dyn Entropy>,
    now: impl FnOnce() -> UnixTime,
    apply: bool,
) -> Result<Reconciliation, Fault> {
    let watermark = Arc::new(Watermark::new());
    let settings = StrandSettings {
        path: bases.join("cashier.db"),
        keys: SealKeys::parse(seal_keys)?,
        entropy: Arc::clone(&entropy),
        batch: BatchLimits::default(),
    };
    let strand = Arc::new(strand::open(settings, Arc::clone(&watermark) as _)?);
    let trading = Embedded::open(bases)?;
    let loaded = strand.reload().await?;
    let found = differences(&loaded, &trading).await?;
    let text = found.to_string();
    let mut applied = None;
    if apply && !found.is_empty() {
        let identity = loaded.identity;
        let recorder = Arc::clone(&strand) as Arc<dyn Recorder>;
        let ledger = Ledger::new(recorder, watermark, loaded.books, Admission::new(Admission::DEFAULT_LIMIT));
        let reconciler = Reconciler { ledger: &ledger, trading: &trading, entropy: &*entropy, now: now() };
        applied = Some(reconciler.apply(found, &identity).await?);
    }
    let closed = tokio::task::spawn_blocking(move || {
        trading.close();
        strand.close()
    });
    closed.await.unwrap_or_else(|_| Err(Fault::new("closing the databases was interrupted")))?;
    Ok(Reconciliation { differences: text, applied })
}
