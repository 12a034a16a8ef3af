//! A roster of groups, customers and accounts that a manager gives to the embedded trading server: applied whole or not at
//! all, then recorded in the chain of who changed what. Whether its rows fit together is judged by the trading server.

use std::sync::Arc;

use cashier_core::change::{AuditRecord, Body};
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ConfigId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::roster::ImportReport;
use cashier_core::session::{Actor, ManagerSession};
use tokio::sync::oneshot;

use crate::flows::{Cashier, RequestContext};
use crate::ledger::Estimate;
use crate::ports::{RosterMistake, RosterOutcome};

/// A roster as a manager sent it.
pub struct RosterRequest {
    pub session: ManagerSession,
    pub command: &'static str,
    /// The JSON text of the roster.
    pub text: String,
    pub context: RequestContext,
}

/// What a roster changed, or everything that is wrong with it.
pub type RosterResult = Result<ImportReport, Vec<RosterMistake>>;

/// Applies a roster. It goes on where the client has disconnected.
pub async fn apply(cashier: &Arc<Cashier>, request: RosterRequest) -> Result<RosterResult, Refusal> {
    let (sender, outcome) = oneshot::channel();
    let flow = Arc::clone(cashier);
    cashier.spawn.spawn(Box::pin(async move {
        let _ = sender.send(import(&flow, request).await);
    }));
    outcome.await.unwrap_or_else(|_| Err(Refusal::new(RefusalCode::Internal, "the import was interrupted")))
}

async fn import(cashier: &Cashier, request: RosterRequest) -> Result<RosterResult, Refusal> {
    let RosterRequest { session, command, text, context } = request;
    let report = match cashier.trading.import_roster(text).await {
        RosterOutcome::Imported(report) => report,
        RosterOutcome::Mistakes(mistakes) => return Ok(Err(mistakes)),
        RosterOutcome::Unsupported => {
            return Err(Refusal::new(
                RefusalCode::NotFound,
                "the trading server keeps customers, accounts and groups itself",
            ));
        }
        RosterOutcome::Fault(fault) => {
            tracing::error!(%fault, command, by = %session.manager_id(), "roster was not applied");
            return Err(Refusal::new(RefusalCode::StorageUnavailable, "the trading server does not answer, try again"));
        }
    };
    let by = session.manager_id();
    let [groups, customers, accounts] = report.lists().map(|(_, tally)| tally.to_string());
    tracing::info!(target: "security", command, %by, groups, customers, accounts, "roster was applied");
    let changes = changes(&report);
    if !changes.is_empty() {
        let _admitted = cashier.ledger.admit(Estimate::single(0))?;
        let stamp = cashier.stamp(Actor::Manager(by), &context.request_id);
        let record = AuditRecord {
            manager_id: by,
            role: session.role(),
            brand: session.brand().unwrap_or_default().into(),
            address: context.ip,
            command: command.into(),
            config_id: ConfigId(0),
            approval: ApprovalId(0),
            outcome: "saved",
            changes,
        };
        cashier.ledger.decide(&stamp, |drafting| drafting.store(Body::Audit(Box::new(record))))?.durable().await?;
    }
    Ok(Ok(report))
}

/// What is recorded: how many rows of which list changed.
fn changes(report: &ImportReport) -> Vec<FieldChange> {
    let changed = report.lists().into_iter().filter(|(_, tally)| tally.added > 0 || tally.updated > 0);
    let change = |(name, tally): (&str, cashier_core::roster::Tally)| FieldChange {
        field: name.into(),
        class: FieldClass::Other,
        before: AuditedValue::Clear(Box::default()),
        after: AuditedValue::Clear(tally.to_string().into()),
    };
    changed.map(change).collect()
}
