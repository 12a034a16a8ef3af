//! The list of audit records, as a manager sees it.

use cashier_core::filter::{AuditField, Filter, RowPage};
use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;

use super::Cashier;
use super::list_reader::ManagerReader;
use super::list_time::within_list_time;
use crate::ledger::storage_unavailable;
use crate::ports::AuditRow;

/// A page of the records that this session sees: those of its brand's sessions, or all.
///
/// # Errors
/// 400 where the page is too large; the records cannot be read.
pub async fn list(
    cashier: &Cashier,
    session: &ManagerSession,
    filter: Filter<AuditField>,
) -> Result<RowPage<AuditRow>, Refusal> {
    let reading = cashier.archive.audit(filter, session.brand().map(Into::into));
    let read = within_list_time(cashier, &ManagerReader::of(session), reading).await?.map_err(|fault| {
        tracing::error!(%fault, "reading audit records failed");
        storage_unavailable()
    })?;
    read.ok_or_else(|| Refusal::too_large("the page is too large: ask for fewer records with limit"))
}
