//! One stored event: what its module reads in it today, judged under the ledger's lock like a webhook that was just received. A dry
//! run judges a draft that is dropped, and starts nothing.

use std::sync::Arc;

use cashier_core::aggregate::Aggregate;
use cashier_core::draft::{ChangedTransaction, Draft};
use cashier_core::edit::FieldChange;
use cashier_core::ids::{EventId, TransactionId};
use cashier_core::inbox::{self, BeyondLimit, Filed, FiledEvent};
use cashier_core::money::Money;
use cashier_core::notice::{ProviderEvent, VerifiedNotice};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::{SignatureStatus, TransactionStatus};

use super::reading::{self, NoticeProof, ReadNotice, Reading};
use super::verdict::{CUT, ReplayVerdict, because};
use super::{is_whole, raw, unreadable_storage};
use crate::flows::manager_act::{AuditSubject, ManagerAct, recorded};
use crate::flows::webhook::{CaptureLimits, Received, stored_event};
use crate::flows::{Cashier, provider_query, settle};
use crate::ledger::Estimate;
use crate::ports::RawNotice;

/// How events are replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayMode {
    /// Nothing is stored, posted or sent.
    pub dry_run: bool,
    /// The record that an event was verified when it was received does not suffice: after a secret leaked, its holder may have
    /// been verified too.
    pub secret_required: bool,
}

/// What showing an event to its module again came to, or would come to.
#[derive(Debug)]
pub struct ReplayedEvent {
    pub id: EventId,
    pub verdict: ReplayVerdict,
    pub proof: NoticeProof,
    /// The module's words where it was not understood.
    pub reason: Box<str>,
    /// Its events as they are now; in a dry run, those that would be new have no id.
    pub events: Vec<ProviderEvent>,
    /// A row was changed or added.
    pub changed: bool,
    /// Why nothing changed; empty where something did.
    pub because: String,
    /// The transactions that changed.
    pub transactions: Vec<ReplayedTransaction>,
}

/// What a replay changed of a transaction.
#[derive(Debug, Clone)]
pub struct ReplayedTransaction {
    pub id: TransactionId,
    /// The names of the facts that were added.
    pub facts: Vec<&'static str>,
    /// Before and after.
    pub status: [TransactionStatus; 2],
    pub owed: [Money; 2],
}

impl ReplayedEvent {
    pub(super) fn without_effect(
        id: EventId,
        verdict: ReplayVerdict,
        proof: NoticeProof,
        reason: Box<str>,
        events: Vec<ProviderEvent>,
    ) -> Self {
        let because = because(verdict, &reason, &events);
        Self { id, verdict, proof, reason, events, changed: false, because, transactions: Vec::new() }
    }
}

/// What a decision about an event came to.
struct JudgedReplay {
    filed: Filed,
    changed: bool,
    transactions: Vec<ChangedTransaction>,
}

impl JudgedReplay {
    fn of(draft: &Draft<'_>, filed: Filed) -> Self {
        Self { filed, changed: draft.is_changed(), transactions: draft.changed_transactions() }
    }

    /// As the audit record shows it.
    fn changes(&self, event: &ProviderEvent) -> Vec<FieldChange> {
        let id = event.id.to_string();
        let mut changes = vec![recorded("event", id.clone(), id)];
        for one in self.transactions.iter().filter_map(replayed) {
            let field = |name: &str| format!("transaction {} {name}", one.id);
            let ([before, after], [owed_before, owed_after]) = (one.status, one.owed.map(|owed| owed.to_string()));
            changes.push(recorded(&field("status"), before.name(), after.name()));
            changes.push(recorded(&field("owed"), owed_before, owed_after));
            changes.push(recorded(&field("facts added"), "", one.facts.join(" ")));
        }
        changes
    }
}

/// What changed of a transaction that there was.
fn replayed(changed: &ChangedTransaction) -> Option<ReplayedTransaction> {
    let (before, after) = (changed.before.as_ref()?, &changed.after);
    let known = &before.transaction.facts.provider;
    let facts = after.transaction.facts.provider.iter().filter(|one| !known.iter().any(|old| old.fact == one.fact));
    let owed = |of: &Aggregate| Money::new(of.standing().owed_minor, of.transaction.account_currency);
    Some(ReplayedTransaction {
        id: after.transaction.id,
        facts: facts.map(|one| one.fact.stored_name()).collect(),
        status: [before, after].map(|of| of.transaction.status),
        owed: [before, after].map(owed),
    })
}

/// Why nothing was stored.
enum NotReplayed {
    BeyondLimit,
    OfAnotherBrand,
}

impl From<BeyondLimit> for NotReplayed {
    fn from(_: BeyondLimit) -> Self {
        Self::BeyondLimit
    }
}

/// What an event states may be about a transaction of another brand that shares the merchant account: a session that does not see
/// it neither learns of it nor moves it.
fn check_brand(act: &ManagerAct, draft: &Draft<'_>, filed: &Filed) -> Result<(), NotReplayed> {
    let changed = draft.changed_transactions().into_iter().map(|one| one.after.transaction.id);
    let of_events = filed.events.iter().filter_map(|event| match event {
        FiledEvent::New(row) => Some(row.transaction_id),
        FiledEvent::Duplicate(_) => None,
    });
    let acted_on = filed.due.iter().copied().chain(filed.queries.iter().map(|(id, _)| *id));
    let mut touched = changed.chain(of_events).chain(acted_on).filter_map(|id| draft.aggregate(id));
    match touched.all(|known| act.session.sees(&known.transaction.brand)) {
        true => Ok(()),
        false => Err(NotReplayed::OfAnotherBrand),
    }
}

/// Shows the notice of a stored event to its module and judges what it states.
///
/// # Errors
/// 503: the module is not working, as much waits as may, or the storage is not working.
pub(super) async fn show(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    event: &ProviderEvent,
    ReplayMode { dry_run, secret_required }: ReplayMode,
) -> Result<ReplayedEvent, Refusal> {
    let without = |verdict, proof, reason| {
        Ok(ReplayedEvent::without_effect(event.id, verdict, proof, reason, vec![event.clone()]))
    };
    let is_quarantined = event.signature_status != SignatureStatus::Valid;
    if is_quarantined && inbox::is_recovered(event) {
        return without(ReplayVerdict::Recovered, NoticeProof::None, event.failure_reason.clone());
    }
    let stored = cashier.archive.notice(event.notice_id).await.map_err(|fault| unreadable_storage(&fault))?;
    let Some(stored) = stored else { return without(ReplayVerdict::BodyDeleted, NoticeProof::None, Box::default()) };
    let is_whole = is_whole(&stored);
    if !is_quarantined && !is_whole {
        tracing::error!(event = %event.id, "stored body of a verified webhook is not the one that was received: its digest is another");
        return without(ReplayVerdict::BodyAltered, NoticeProof::None, Box::default());
    }
    // Not even where a module verifies it: what it does not sign may be the body, and the rest of that is nowhere.
    if !is_whole {
        return without(ReplayVerdict::Rejected, NoticeProof::None, CUT.into());
    }
    let raw = raw(stored);
    let ReadNotice { reading, proof, calls } = reading::read(cashier, &act.session, event, &raw, dry_run).await?;
    if secret_required && proof == NoticeProof::Record {
        return without(ReplayVerdict::SecretGone, proof, Box::default());
    }
    let (verdict, reason) = match &reading {
        Reading::Understood(_) => (ReplayVerdict::Understood, Box::default()),
        Reading::Unreadable(_, notice) => (ReplayVerdict::Unreadable, notice.reason.clone()),
        Reading::Rejected(reason) => return without(ReplayVerdict::Rejected, proof, reason.clone()),
    };
    if verdict == ReplayVerdict::Unreadable && !is_quarantined && !event.is_unread() {
        // An earlier build understood it, and what that read stays.
        return without(verdict, proof, reason);
    }
    let rows = match &reading {
        Reading::Understood(notice) if !is_quarantined => rows_of(cashier, event, notice, &raw).await?,
        Reading::Understood(_) | Reading::Unreadable(..) | Reading::Rejected(_) => Vec::new(),
    };
    let judge = |draft: &mut Draft<'_>| judge(draft, event, &reading, &raw, &rows);
    let (judged, newest) = if dry_run {
        let now = cashier.clock.now();
        cashier.ledger.peek(|books| {
            let mut draft = Draft::new(books, now);
            let filed = judge(&mut draft)?;
            check_brand(act, &draft, &filed)?;
            Ok::<_, NotReplayed>((JudgedReplay::of(&draft, filed), books.counters().event))
        })?
    } else {
        let _admitted = cashier.ledger.admit(Estimate::notice(raw.body.len() as u64))?;
        let ticket = cashier.ledger.decide(&act.stamp(cashier), |draft| {
            let mut trial = draft.anew();
            let filed = judge(&mut trial)?;
            check_brand(act, &trial, &filed)?;
            *draft = trial;
            let judged = JudgedReplay::of(draft, filed);
            judged.filed.log_calls(draft, &calls);
            if judged.changed {
                let transaction = judged.filed.transaction().unwrap_or(event.transaction_id);
                let subject = AuditSubject { config: event.config_id, transaction, ..AuditSubject::default() };
                draft.store(act.record(subject, "replayed", judged.changes(event)));
            }
            Ok::<_, NotReplayed>((judged, u64::MAX))
        })?;
        ticket.durable().await?.into_inner()
    }
    .map_err(|why| match why {
        NotReplayed::BeyondLimit => super::not_working("as many events wait as may: nothing was stored"),
        NotReplayed::OfAnotherBrand => super::no_such_event(),
    })?;
    let JudgedReplay { filed, changed, transactions } = judged;
    if !dry_run {
        for id in &filed.due {
            settle::start(cashier, *id);
        }
        for (id, query) in &filed.queries {
            provider_query::start(cashier, *id, *query);
        }
        tracing::info!(event = %event.id, manager = %act.session.manager_id(), verdict = verdict.name(), changed, "stored event was shown to its module again");
    }
    let mut events = Vec::with_capacity(filed.events.len());
    for row in filed.events {
        events.push(match row {
            FiledEvent::New(row) if row.id.0 > newest => ProviderEvent { id: EventId(0), ..*row },
            FiledEvent::New(row) => *row,
            FiledEvent::Duplicate(id) => stored_event(cashier, id).await?,
        });
    }
    events.retain(|row| act.session.sees(&row.brand));
    let seen = transactions.iter().filter(|one| act.session.sees(&one.after.transaction.brand));
    let transactions = seen.filter_map(replayed).collect();
    let because = if changed { String::new() } else { because(verdict, &reason, &events) };
    Ok(ReplayedEvent { id: event.id, verdict, proof, reason, events, changed, because, transactions })
}

fn judge(
    draft: &mut Draft<'_>,
    event: &ProviderEvent,
    reading: &Reading,
    raw: &RawNotice,
    rows: &[ProviderEvent],
) -> Result<Filed, BeyondLimit> {
    let is_quarantined = event.signature_status != SignatureStatus::Valid;
    let filed = match reading {
        Reading::Understood(notice) if is_quarantined => {
            let received = Received::of(raw, &CaptureLimits::WHOLE);
            inbox::file(draft, notice, &received.derived_event_id(), |id| received.into_body(id))?
        }
        Reading::Understood(notice) => {
            return Ok(match inbox::resolve(draft, notice, event.id) {
                Some(filed) => filed,
                None => inbox::file_again(draft, notice, &derived_event_id(event, raw), event.notice_id, rows),
            });
        }
        Reading::Unreadable(receiver, notice) if is_quarantined => {
            let received = Received::of(raw, &CaptureLimits::WHOLE);
            let (derived, bytes) = (received.body_event_id(), received.body_length());
            inbox::file_unreadable(draft, receiver, notice, derived, bytes, |id| received.into_body(id))?
        }
        Reading::Unreadable(receiver, notice) => {
            inbox::still_unread(draft, receiver, event.id, &notice.reason);
            return Ok(Filed { events: vec![FiledEvent::Duplicate(event.id)], ..Filed::default() });
        }
        Reading::Rejected(_) => return Ok(Filed::default()),
    };
    inbox::recovered(draft, event.clone(), &filed);
    Ok(filed)
}

/// The id of what the module names no id for: the stored one, where that was made so, whatever was masked or cut since.
fn derived_event_id(event: &ProviderEvent, raw: &RawNotice) -> Box<str> {
    match event.event_id.starts_with("sha256:") {
        true => event.event_id.split('#').next().unwrap_or_default().into(),
        false => Received::of(raw, &CaptureLimits::WHOLE).derived_event_id(),
    }
}

/// The rows of a notice's events as they are stored.
async fn rows_of(
    cashier: &Cashier,
    event: &ProviderEvent,
    notice: &VerifiedNotice,
    raw: &RawNotice,
) -> Result<Vec<ProviderEvent>, Refusal> {
    let ids = inbox::event_ids(notice, &derived_event_id(event, raw));
    let known = cashier.ledger.peek(|books| {
        let row = |id: &str| notice.receivers().find_map(|own| books.known_event(own.config_id, id));
        ids.iter().filter_map(|id| row(id)).collect::<Vec<_>>()
    })?;
    let mut rows = Vec::with_capacity(known.len());
    for id in known {
        match stored_event(cashier, id).await {
            Ok(row) => rows.push(row),
            // Not on disk yet: it was received a moment ago and is left as it is.
            Err(refusal) if refusal.code == RefusalCode::Internal => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(rows)
}
