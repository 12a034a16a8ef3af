//! Filing a genuine notice: one commit with its body, an event row per update, and what the updates change.

use cashier_core::change::Change;
use cashier_core::facts::ProviderFact;
use cashier_core::ids::{EventId, NoticeId, TransactionId};
use cashier_core::notice::{ProviderEvent, ReceivingConfig, Update, VerifiedNotice};
use cashier_core::refusal::Refusal;
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use cashier_core::time::UnixTime;

use super::received::{Kept, Received};
use crate::flows::hearing::{self, Matched};
use crate::flows::provider_query::ProviderQuery;
use crate::flows::{Cashier, RequestContext};
use crate::ledger::{Draft, Ticket};
use crate::ports::RawNotice;

/// What filing a notice came to.
#[derive(Debug, Default)]
pub(super) struct Filed {
    pub(super) events: Vec<FiledEvent>,
    /// Transactions whose balance operation is now due.
    pub(super) due: Vec<TransactionId>,
    /// Transactions whose own provider must be asked, and what.
    pub(super) to_ask: Vec<(TransactionId, ProviderQuery)>,
    pub(super) duplicate: bool,
}

#[derive(Debug)]
pub(super) enum FiledEvent {
    New(Box<ProviderEvent>),
    /// Heard before, in this row.
    Repeated(EventId),
}

/// Files a notice in one commit.
pub(super) fn file(
    cashier: &Cashier,
    notice: &VerifiedNotice,
    raw: &RawNotice,
    context: &RequestContext,
) -> Result<Ticket<Filed>, Refusal> {
    let received = Received::of(raw, &Kept::WHOLE);
    let identified = identified(notice, received.derived_event_id());
    let receiver = notice.receiver();
    let stamp = cashier.stamp(Actor::Provider(receiver.config_id), &context.request_id);
    cashier.ledger.decide(&stamp, |draft| {
        let mut filed = Filed::default();
        let mut received = Some(received);
        let mut notice_id = None;
        for (event_id, update) in identified {
            if let Some(row) = draft.event_heard(receiver.config_id, &event_id) {
                filed.events.push(FiledEvent::Repeated(row));
                continue;
            }
            let id = *notice_id.get_or_insert_with(|| draft.next_notice());
            if let Some(received) = received.take() {
                draft.keep(received.under(id));
            }
            let blank = blank_event(draft, receiver, id, event_id, update);
            let event = hear_event(draft, receiver, blank, &mut filed);
            tracing::debug!(event = %event.id, status = event.processing_status.word(), "event filed");
            draft.add([Change::Event(Box::new(event.clone()))]);
            filed.events.push(FiledEvent::New(Box::new(event)));
        }
        filed.duplicate = notice_id.is_none();
        filed
    })
}

/// Each update with its event id; a notice without updates is one event of its own. Where a module gives one id to
/// several updates of a notice, the later ones are told apart by their place, so that none is lost.
fn identified(notice: &VerifiedNotice, derived: Box<str>) -> Vec<(Box<str>, Option<&Update>)> {
    if notice.updates().is_empty() {
        return vec![(derived, None)];
    }
    let mut identified: Vec<(Box<str>, Option<&Update>)> = Vec::with_capacity(notice.updates().len());
    for (place, update) in notice.updates().iter().enumerate() {
        let id = if update.event_id.is_empty() { &derived } else { &update.event_id };
        let taken = identified.iter().any(|(known, _)| known == id);
        let id = if taken { format!("{id}/{place}").into() } else { id.clone() };
        identified.push((id, Some(update)));
    }
    identified
}

fn blank_event(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    notice_id: NoticeId,
    event_id: Box<str>,
    update: Option<&Update>,
) -> ProviderEvent {
    ProviderEvent {
        id: draft.next_event(),
        notice_id,
        config_id: receiver.config_id,
        provider: receiver.provider.clone(),
        brand: receiver.brand.clone(),
        event_id,
        transaction_id: TransactionId(0),
        provider_payment_id: update.map(|update| primary_id(receiver, update)).unwrap_or_default(),
        signature_status: SignatureStatus::Valid,
        processing_status: ProcessingStatus::Ignored,
        failure_reason: Box::default(),
        update: update.cloned(),
        module_hash: receiver.module_hash.clone(),
        created_time: draft.now(),
        processed_time: UnixTime::UNSET,
    }
}

fn primary_id(receiver: &ReceivingConfig, update: &Update) -> Box<str> {
    let primary = update.refs.iter().find(|id| id.kind == receiver.primary_ref_kind);
    primary.map_or_else(|| update.payment_id.clone(), |id| id.value.clone())
}

/// Hears the event's update, if it has one, and says in the row what became of it.
fn hear_event(
    draft: &mut Draft<'_>,
    receiver: &ReceivingConfig,
    mut event: ProviderEvent,
    filed: &mut Filed,
) -> ProviderEvent {
    let Some(update) = event.update.take() else {
        event.processed_time = draft.now();
        return event;
    };
    let (status, reason) = match hearing::find(draft, receiver, &update) {
        Matched::Unknown => (ProcessingStatus::Pending, String::new()),
        Matched::Conflict(reason) => (ProcessingStatus::Failed, reason),
        Matched::Found(id) => {
            event.transaction_id = id;
            if let Some(known) = draft.aggregate(id) {
                event.brand = known.transaction.brand;
            }
            let heard = hearing::hear(draft, receiver, id, &update);
            hearing::catch_up(draft, receiver, id);
            follow_up(draft, receiver, id, filed);
            heard
        }
    };
    event.update = Some(update);
    event.processing_status = status;
    event.failure_reason = reason.into();
    if status != ProcessingStatus::Pending {
        event.processed_time = draft.now();
    }
    event
}

/// What hearing the event made due.
fn follow_up(draft: &Draft<'_>, receiver: &ReceivingConfig, id: TransactionId, filed: &mut Filed) {
    let Some(aggregate) = draft.aggregate(id) else { return };
    if aggregate.operations.iter().any(|operation| operation.is_unsettled()) && !filed.due.contains(&id) {
        filed.due.push(id);
    }
    let transaction = &aggregate.transaction;
    let wanted = |fact: &ProviderFact| matches!(fact, ProviderFact::AdvanceWanted { .. });
    let advance = transaction.is_unpaid() && transaction.facts.provider.iter().any(|known| wanted(&known.fact));
    let foreign = transaction.config_id != receiver.config_id;
    let question = match (foreign, advance) {
        (true, _) => ProviderQuery::Status,
        (false, true) => ProviderQuery::Advance,
        (false, false) if &*transaction.reason.code == "AMOUNT_UNSTATED" => ProviderQuery::Status,
        (false, false) => return,
    };
    if !filed.to_ask.iter().any(|(known, _)| *known == id) {
        filed.to_ask.push((id, question));
    }
}
