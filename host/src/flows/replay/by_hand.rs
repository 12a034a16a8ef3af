//! Stored events are shown to their modules again because a person asks: one of them, or all of a config since a time, in turns.
//! It judges none itself.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::filter::{Clause, EventField, Field, Filter, FilterBuilder};
use cashier_core::ids::{ConfigId, EventId};
use cashier_core::inbox;
use cashier_core::notice::ProviderEvent;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::SignatureStatus;
use cashier_core::time::UnixTime;

use super::judging::{self, ReplayMode, ReplayedEvent};
use super::reading::{self, NoticeProof, Reading};
use super::verdict::ReplayVerdict;
use super::{is_whole, no_such_event, raw, unreadable_storage};
use crate::flows::Cashier;
use crate::flows::manager_act::ManagerAct;
use crate::ledger::storage_unavailable;
use crate::ports::EventPage;

/// Events that one request looks at: some hundred milliseconds of a module's time. The answer says where to go on.
pub const RECOVERED_AT_ONCE_MAX: usize = 128;

/// How long one request goes on: a module that answers slowly ends it earlier.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(20);

/// Bytes of the rows that are looked at, their bodies aside; they are far smaller.
const TURN_ROWS_BYTES: usize = 4 * 1024 * 1024;

/// A replay of all events since a time.
#[derive(Debug)]
pub struct Recovery {
    pub replayed: Vec<ReplayedEvent>,
    /// Where to go on: behind the event of this time and id; `None` when no event is left.
    pub next: Option<(UnixTime, EventId)>,
}

/// Shows one event to its module again.
///
/// # Errors
/// 404: there is no such event for this session, or its body was deleted. 503: its module is not working, as much waits as may, or
/// the storage is not working.
pub async fn one(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    id: EventId,
    mode: ReplayMode,
) -> Result<ReplayedEvent, Refusal> {
    let event = cashier.archive.event(id).await.map_err(|fault| unreadable_storage(&fault))?;
    let event = event.filter(|event| act.session.sees(&event.brand)).ok_or_else(no_such_event)?;
    let found = judging::show(cashier, act, &event, mode).await?;
    if found.verdict == ReplayVerdict::BodyDeleted {
        let why = "the body of this event is not stored any more: have the provider send it again";
        return Err(Refusal::new(RefusalCode::NotFound, why));
    }
    Ok(found)
}

/// Shows the events of a config since a time to its module again, oldest first, a turn of them; after `after` where an earlier
/// turn ended there.
///
/// # Errors
/// 404: there is no such config for this session. 503: the module is working for none of them, or the storage is not.
pub async fn since(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    (config, since, after): (ConfigId, UnixTime, EventId),
    mode: ReplayMode,
) -> Result<Recovery, Refusal> {
    let snapshot = cashier.snapshot();
    let own = snapshot.config(config).filter(|known| act.session.sees(&known.config.brand));
    let provider = own.map(|known| known.config.provider.clone());
    drop(snapshot);
    let provider = provider.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "there is no such config"))?;
    let mut events = page(cashier, &provider, [("created_time", "=", since.0), ("id", ">", id_number(after))]).await?;
    let later = page(cashier, &provider, [("created_time", ">", since.0), ("id", ">", 0)]).await?;
    events.extend(later);
    let is_more = events.len() > RECOVERED_AT_ONCE_MAX;
    events.truncate(RECOVERED_AT_ONCE_MAX);
    let began = cashier.clock.monotonic();
    let mut recovery = Recovery { replayed: Vec::new(), next: None };
    let mut refused = None;
    let count = events.len();
    for (place, event) in events.into_iter().enumerate() {
        let is_last = place + 1 == count;
        let position = (event.created_time, event.id);
        if let Some(found) = recover(cashier, act, config, event, mode, &mut refused).await? {
            recovery.replayed.push(found);
        }
        let is_late = cashier.clock.monotonic().saturating_sub(began) > RECOVERY_TIME_MAX;
        if (is_last && is_more) || (is_late && !is_last) {
            recovery.next = Some(position);
        }
        if is_late {
            break;
        }
    }
    let works = recovery.replayed.iter().any(|found| found.verdict != ReplayVerdict::NotWorking);
    match refused {
        Some(refusal) if !works => Err(refusal),
        Some(_) | None => Ok(recovery),
    }
}

/// One event of a recovery. Of webhooks that another config rejected, those alone that this one verifies are its own.
async fn recover(
    cashier: &Arc<Cashier>,
    act: &ManagerAct,
    config: ConfigId,
    listed: ProviderEvent,
    mode: ReplayMode,
    refused: &mut Option<Refusal>,
) -> Result<Option<ReplayedEvent>, Refusal> {
    let is_own = listed.config_id == config;
    let is_quarantined = listed.signature_status != SignatureStatus::Valid;
    // A webhook of another brand that shares the merchant account arrives at this config too.
    if !act.session.sees(&listed.brand) {
        return Ok(None);
    }
    if !is_own && (!is_quarantined || inbox::is_recovered(&listed)) {
        return Ok(None);
    }
    let id = listed.id;
    // A list has parts of the updates.
    let Some(event) = cashier.archive.event(id).await.map_err(|fault| unreadable_storage(&fault))? else {
        return Ok(None);
    };
    if !is_own {
        let stored = cashier.archive.notice(event.notice_id).await.map_err(|fault| unreadable_storage(&fault))?;
        let Some(stored) = stored.filter(is_whole) else { return Ok(None) };
        let read = reading::read(cashier, &act.session, &event, &raw(stored), true).await;
        match read.map(|read| read.reading) {
            Ok(Reading::Understood(notice)) if notice.receivers().any(|own| own.config_id == config) => {}
            Ok(_) | Err(_) => return Ok(None),
        }
    }
    match judging::show(cashier, act, &event, mode).await {
        Ok(found) => Ok(Some(found)),
        // It is about another brand's money.
        Err(refusal) if refusal.code == RefusalCode::NotFound => Ok(None),
        Err(refusal) if refusal.code == RefusalCode::ProviderUnavailable => {
            let reason = refusal.message.to_string().into();
            refused.get_or_insert(refusal);
            let proof = NoticeProof::None;
            Ok(Some(ReplayedEvent::without_effect(id, ReplayVerdict::NotWorking, proof, reason, Vec::new())))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Events of a provider in the order of their time, one more than a request looks at.
async fn page(
    cashier: &Cashier,
    provider: &str,
    conditions: [(&str, &str, i64); 2],
) -> Result<Vec<ProviderEvent>, Refusal> {
    let mut builder = FilterBuilder::<EventField>::new();
    builder.flat(Clause::Where, &[EventField::Provider.name(), "=", provider])?;
    for (field, operator, value) in conditions {
        builder.flat(Clause::Where, &[field, operator, &value.to_string()])?;
    }
    builder.order_by(EventField::CreatedTime.name(), "asc")?;
    builder.limit(&(RECOVERED_AT_ONCE_MAX + 1).to_string())?;
    let filter: Filter<EventField> = builder.build();
    match cashier.archive.events(filter, TURN_ROWS_BYTES).await.map_err(|fault| unreadable_storage(&fault))? {
        EventPage::Found { rows, .. } => Ok(rows),
        EventPage::TooLarge(_) => Err(storage_unavailable()),
    }
}

fn id_number(id: EventId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}
