//! A roster of groups, customers and accounts that a manager gives to the embedded trading server: judged, recorded in the
//! chain of who changed what, then applied whole or not at all, then its outcome recorded. Whether its rows fit together is
//! judged by the trading server; here, whether an order is under way that was taken under what it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::change::{AuditRecord, Body};
use cashier_core::duty;
use cashier_core::edit::{AuditedValue, FieldChange, FieldClass};
use cashier_core::ids::{ApprovalId, ConfigId, Login, TransactionId};
use cashier_core::operation::{self, BalanceOperation};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::roster::{ImportReport, RosterPlan};
use cashier_core::session::{Actor, ManagerSession};
use cashier_core::time::UnixTime;
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
    let Unsettled { held, left, further } = unsettled(cashier, &judged).await?;
    if !held.is_empty() {
        return Ok(Err(held));
    }
    if judged.changes.is_empty() {
        return Ok(Ok(judged.report));
    }
    let _admitted = [cashier.ledger.admit(Estimate::single(0))?, cashier.ledger.admit(Estimate::single(0))?];
    // Before anything of it is in force, so that no failure leaves a change that nobody is named for.
    let mut changes = intended(&judged, text);
    changes.extend(disregarded(&left, further));
    record(cashier, &request, "to be applied", changes).await?;
    // What was ordered while that was written was ordered under what it changes.
    let held = unsettled(cashier, &judged).await.map(|unsettled| unsettled.held);
    let applied = match &held {
        Ok(held) if held.is_empty() => Some(cashier.trading.import_roster(Arc::clone(text), judged).await),
        Ok(_) | Err(_) => None,
    };
    let (outcome, changes) = match &applied {
        Some(Ok(report)) => ("applied", counted(report)),
        Some(Err(RosterRefusal::Fault(_))) => ("not known", Vec::new()),
        Some(Err(_)) | None => ("not applied", Vec::new()),
    };
    if let Err(refusal) = record(cashier, &request, outcome, changes).await {
        tracing::error!(
            target: "security", command, %by, outcome, why = refusal.message,
            "outcome of a roster was not recorded: the record before it says what it changes"
        );
    }
    match applied {
        Some(Ok(report)) => {
            let [groups, customers, accounts, rates] = report.lists().map(|(_, tally)| tally.to_string());
            tracing::info!(target: "security", command, %by, groups, customers, accounts, rates, "roster was applied");
            Ok(Ok(report))
        }
        Some(Err(refusal)) => refused(refusal, &request),
        None => held.map(Err),
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

/// Transactions of accounts that change owner, currency or mode.
#[derive(Default)]
struct Unsettled {
    /// Accounts where money may still come or go by itself under what they are: it would be refused, or be another kind of
    /// money. At most [`MISTAKES_MAX`].
    held: Vec<RosterMistake>,
    /// Orders that nothing is expected of in time any more, although their provider is still asked: they hold nothing and are
    /// recorded.
    left: Vec<TransactionId>,
    /// How many more of them there are than [`CHANGES_RECORDED_MAX`].
    further: usize,
}

/// Why a transaction holds its account. The greater one is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// It may be paid, or end, until this time.
    Awaited(UnixTime),
    /// While the clock is not plausible, nothing is over.
    Untimed,
    OperationDue,
}

async fn unsettled(cashier: &Cashier, judged: &RosterPlan) -> Result<Unsettled, Refusal> {
    let mut unsettled = Unsettled::default();
    if judged.rebound.is_empty() {
        return Ok(unsettled);
    }
    let rebound: BTreeMap<Login, &'static str> =
        judged.rebound.iter().map(|rebound| (rebound.login, rebound.field)).collect();
    let mut held: BTreeMap<Login, (Hold, TransactionId)> = BTreeMap::new();
    let mut after = TransactionId(0);
    loop {
        let now = cashier.clock.is_plausible().then(|| cashier.clock.now());
        let (last, found) = cashier.ledger.peek(|books| {
            let ids = books.unsettled_after(after, LOOKED_AT_ONCE_MAX);
            let known = ids.iter().filter_map(|id| books.aggregate(*id));
            let known = known.filter(|known| rebound.contains_key(&known.transaction.login));
            let found = known.map(|known| {
                (
                    known.transaction.login,
                    known.transaction.id,
                    hold(&known, now),
                    duty::awaited_until(&known.transaction).is_some(),
                )
            });
            (ids.last().copied(), found.collect::<Vec<_>>())
        })?;
        for (login, id, hold, is_open) in found {
            match hold {
                Some(hold) => {
                    let named = held.entry(login).or_insert((hold, id));
                    *named = (*named).max((hold, id));
                }
                None if !is_open => {}
                None if unsettled.left.len() < CHANGES_RECORDED_MAX => unsettled.left.push(id),
                None => unsettled.further += 1,
            }
        }
        match last {
            Some(last) => after = last,
            None => break,
        }
        // Between two holds, whatever else waits for this thread.
        tokio::task::yield_now().await;
    }
    let mistake = |(login, (hold, id)): (&Login, &(Hold, TransactionId))| {
        let field = rebound.get(login).copied().unwrap_or_default();
        let until = match hold {
            Hold::Awaited(end) => format!("it holds the account until it is paid or has ended, at most until {end}"),
            Hold::Untimed => "it holds the account until it is paid, or the clock is plausible again".into(),
            Hold::OperationDue => "it holds the account until its operation is posted or refused".into(),
        };
        let what = format!("{field} of account {login} cannot change while transaction {id} is not settled: {until}");
        RosterMistake { with_row: what.clone(), what }
    };
    unsettled.held = held.iter().map(mistake).take(MISTAKES_MAX).collect();
    Ok(unsettled)
}

/// Mistakes of one answer that name accounts with an order under way.
const MISTAKES_MAX: usize = 50;

/// An order that may still be paid by itself, as long as its provider is asked about it, or an operation that is due. What
/// waits for a person alone is neither: a refused
/// posting is mended by such a change. `now` is `None` while the clock is not plausible.
fn hold(known: &Aggregate, now: Option<UnixTime>) -> Option<Hold> {
    let due = || operation::due_minor(&known.transaction, &known.standing(), &known.operations);
    if known.operations.iter().any(BalanceOperation::is_unsettled) || due().is_some() {
        return Some(Hold::OperationDue);
    }
    let end = duty::awaited_until(&known.transaction)?;
    match now {
        None => Some(Hold::Untimed),
        Some(_) if known.transaction.expiry_is_postponed() => Some(Hold::Untimed),
        Some(now) => (now < end).then_some(Hold::Awaited(end)),
    }
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
        transaction_id: TransactionId(0),
        approval: ApprovalId(0),
        outcome: outcome.into(),
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

/// The orders under way that the roster is applied in spite of.
fn disregarded(left: &[TransactionId], further: usize) -> Option<FieldChange> {
    let mut ids: Vec<String> = left.iter().map(ToString::to_string).collect();
    if further > 0 {
        ids.push(format!("and {further} further"));
    }
    (!ids.is_empty()).then(|| change("transactions not settled".into(), Box::default(), ids.join(", ").into()))
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
