//! A roster of groups, customers and accounts that a manager gives to the embedded trading server: judged, recorded in the
//! chain of who changed what, then applied whole or not at all, then its outcome recorded. Whether its rows fit together is
//! judged by the trading server; here, whether an order is under way that was taken under what it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::change::{AuditRecord, Body};
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ConfigId, Login, TransactionId};
use cashier_core::operation::{self, BalanceOperation};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::roster::{ImportReport, RosterPlan};
use cashier_core::session::{Actor, ManagerSession};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::flows::{Cashier, RequestContext};
use crate::ledger::Estimate;
use crate::ports::{RosterMistake, RosterRefusal};

/// Changes that are recorded one by one; beyond them the record has their number and the roster's hash. A record of as
/// many takes some 40 KiB.
pub const CHANGES_RECORDED_MAX: usize = 256;

/// Transactions that are looked at under one hold of the ledger's lock, about a millisecond.
const LOOKED_AT_ONCE_MAX: usize = 256;

/// A roster as a manager sent it.
pub struct RosterRequest {
    pub session: ManagerSession,
    pub command: &'static str,
    /// The JSON text of the roster.
    pub text: Arc<str>,
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
    let RosterRequest { session, command, text, .. } = &request;
    let by = session.manager_id();
    let judged = match cashier.trading.judge_roster(Arc::clone(text)).await {
        Ok(judged) => judged,
        Err(refusal) => return refused(refusal, &request),
    };
    let held = held(cashier, &judged)?;
    if !held.is_empty() {
        return Ok(Err(held));
    }
    if judged.changes.is_empty() {
        return Ok(Ok(judged.report));
    }
    let _admitted = [cashier.ledger.admit(Estimate::single(0))?, cashier.ledger.admit(Estimate::single(0))?];
    // Before anything of it is in force, so that no failure leaves a change that nobody is named for.
    record(cashier, &request, "to be applied", intended(&judged, text)).await?;
    let applied = cashier.trading.import_roster(Arc::clone(text), judged).await;
    let (outcome, changes) = match &applied {
        Ok(report) => ("applied", counted(report)),
        Err(RosterRefusal::Fault(_)) => ("not known", Vec::new()),
        Err(_) => ("not applied", Vec::new()),
    };
    if let Err(refusal) = record(cashier, &request, outcome, changes).await {
        tracing::error!(
            target: "security", command, %by, outcome, why = refusal.message,
            "outcome of a roster was not recorded: the record before it says what it changes"
        );
    }
    match applied {
        Ok(report) => {
            let [groups, customers, accounts] = report.lists().map(|(_, tally)| tally.to_string());
            tracing::info!(target: "security", command, %by, groups, customers, accounts, "roster was applied");
            Ok(Ok(report))
        }
        Err(refusal) => refused(refusal, &request),
    }
}

fn refused(refusal: RosterRefusal, request: &RosterRequest) -> Result<RosterResult, Refusal> {
    match refusal {
        RosterRefusal::Mistakes(mistakes) => Ok(Err(mistakes)),
        RosterRefusal::Unsupported => {
            Err(Refusal::new(RefusalCode::NotFound, "the trading server keeps customers, accounts and groups itself"))
        }
        RosterRefusal::Stale => Err(Refusal::new(
            RefusalCode::StorageUnavailable,
            "nothing was imported: rows changed in between, try again",
        )),
        RosterRefusal::Fault(fault) => {
            let (command, by) = (request.command, request.session.manager_id());
            tracing::error!(%fault, command, %by, "roster was not applied");
            Err(Refusal::new(RefusalCode::StorageUnavailable, "the trading server does not answer, try again"))
        }
    }
}

/// Accounts that change owner, currency or mode while money may still come or go by itself under what they are: it would be
/// refused, or be another kind of money.
fn held(cashier: &Cashier, judged: &RosterPlan) -> Result<Vec<RosterMistake>, Refusal> {
    if judged.rebound.is_empty() {
        return Ok(Vec::new());
    }
    let rebound: BTreeMap<Login, &'static str> =
        judged.rebound.iter().map(|rebound| (rebound.login, rebound.field)).collect();
    let mut held: BTreeMap<Login, TransactionId> = BTreeMap::new();
    let mut after = TransactionId(0);
    loop {
        let (last, found) = cashier.ledger.peek(|books| {
            let ids = books.unsettled_after(after, LOOKED_AT_ONCE_MAX);
            let known = ids.iter().filter_map(|id| books.aggregate(*id));
            let found = known.filter(|known| rebound.contains_key(&known.transaction.login) && is_under_way(known));
            (
                ids.last().copied(),
                found.map(|known| (known.transaction.login, known.transaction.id)).collect::<Vec<_>>(),
            )
        })?;
        for (login, id) in found {
            held.entry(login).or_insert(id);
        }
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    let mistake = |(login, id): (&Login, &TransactionId)| {
        let field = rebound.get(login).copied().unwrap_or_default();
        let what = format!(
            "{field} of account {login} cannot change while transaction {id} is not settled: let it be paid or expire, or \
             cancel it"
        );
        RosterMistake { with_row: what.clone(), what }
    };
    Ok(held.iter().map(mistake).take(MISTAKES_MAX).collect())
}

/// Mistakes of one answer that name accounts with an order under way.
const MISTAKES_MAX: usize = 50;

/// An order that may still be paid, or an operation that is due. What waits for a person is neither: a refused posting is
/// mended by such a change.
fn is_under_way(known: &Aggregate) -> bool {
    let due = || operation::due_minor(&known.transaction, &known.standing(), &known.operations);
    known.transaction.status.is_unpaid()
        || known.operations.iter().any(BalanceOperation::is_unsettled)
        || due().is_some()
}

async fn record(
    cashier: &Cashier,
    request: &RosterRequest,
    outcome: &'static str,
    changes: Vec<FieldChange>,
) -> Result<(), Refusal> {
    let RosterRequest { session, command, context, .. } = request;
    let record = AuditRecord {
        manager_id: session.manager_id(),
        role: session.role(),
        brand: session.brand().unwrap_or_default().into(),
        address: context.ip.clone(),
        command: (*command).into(),
        config_id: ConfigId(0),
        approval: ApprovalId(0),
        outcome,
        changes,
    };
    let stamp = cashier.stamp(Actor::Manager(session.manager_id()), &context.request_id);
    cashier.ledger.decide(&stamp, |draft| draft.store(Body::Audit(Box::new(record))))?.durable().await?;
    Ok(())
}

/// Each field of each row, before and after.
fn intended(judged: &RosterPlan, text: &str) -> Vec<FieldChange> {
    let recorded = judged.changes.iter().take(CHANGES_RECORDED_MAX);
    let mut changes: Vec<FieldChange> =
        recorded.map(|known| change(known.field.clone(), known.before.clone(), known.after.clone())).collect();
    let further = judged.changes.len().saturating_sub(CHANGES_RECORDED_MAX);
    if further > 0 {
        let hash = hex::encode(Sha256::digest(text));
        let after = format!("{further}, of the roster whose SHA-256 is {hash}");
        changes.push(change("further changes".into(), Box::default(), after.into()));
    }
    changes
}

/// How many rows of which list changed.
fn counted(report: &ImportReport) -> Vec<FieldChange> {
    let changed = report.lists().into_iter().filter(|(_, tally)| tally.added > 0 || tally.updated > 0);
    changed.map(|(name, tally)| change(name.into(), Box::default(), tally.to_string().into())).collect()
}

fn change(field: Box<str>, before: Box<str>, after: Box<str>) -> FieldChange {
    let [before, after] = [before, after].map(AuditedValue::Clear);
    FieldChange { field, class: FieldClass::Other, before, after }
}
