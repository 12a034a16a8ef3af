//! What filing a notice gives, and the rows of its events, blank and with their outcome. It matches and applies nothing.

use std::collections::BTreeSet;

use crate::draft::Draft;
use crate::duty::ProviderQuery;
use crate::ids::{EventId, NoticeId, TransactionId};
use crate::notice::{ProviderEvent, ReceivingConfig, Update};
use crate::provider_call::ProviderCall;
use crate::reason::{Reason, ReasonCode};
use crate::status::{ProcessingStatus, ProviderStatus, SignatureStatus};
use crate::time::UnixTime;

/// The result of filing a notice.
#[derive(Debug, Default)]
pub struct Filed {
    pub events: Vec<FiledEvent>,
    /// Transactions whose balance operation is now due.
    pub due: Vec<TransactionId>,
    /// Transactions whose own provider must be queried at once, with the query.
    pub queries: Vec<(TransactionId, ProviderQuery)>,
    /// Every event was received before; nothing changed.
    pub duplicate: bool,
    /// An update was recorded that its transaction did not have. Who repeats a statement in another form changes nothing.
    pub is_news: bool,
}

impl Filed {
    /// The transaction of the last event; none where that was received before, or belongs to none yet.
    pub fn transaction(&self) -> Option<TransactionId> {
        match self.events.last()? {
            FiledEvent::New(event) => Some(event.transaction_id).filter(|id| id.0 != 0),
            FiledEvent::Duplicate(_) => None,
        }
    }

    /// Logs the requests that it took to verify the notice with each transaction that its new events belong to. Those of a notice
    /// whose transaction is not known are of none.
    pub fn log_calls(&self, draft: &mut Draft<'_>, calls: &[ProviderCall]) {
        let transaction = |event: &FiledEvent| match event {
            FiledEvent::New(event) => Some(event.transaction_id).filter(|id| id.0 != 0),
            FiledEvent::Duplicate(_) => None,
        };
        let about: BTreeSet<TransactionId> = self.events.iter().filter_map(transaction).collect();
        for id in about {
            draft.store_calls(id, calls.to_vec());
        }
    }
}

#[derive(Debug)]
pub enum FiledEvent {
    New(Box<ProviderEvent>),
    /// Received before, in this row.
    Duplicate(EventId),
}

/// The row of a new verified event, before its update is applied.
pub(super) fn blank_event(
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
        also_verified_by: Box::default(),
        update: update.cloned(),
        module_hash: receiver.module_hash.clone(),
        created_time: draft.now(),
        processed_time: UnixTime::UNSET,
    }
}

/// The id that the receiver shows as the payment's.
pub(super) fn primary_id(receiver: &ReceivingConfig, update: &Update) -> Box<str> {
    let primary = update.refs.iter().find(|id| id.kind == receiver.primary_ref_kind);
    primary.map_or_else(|| update.payment_id.clone(), |id| id.value.clone())
}

/// Records the outcome of an event whose transaction is known. An unknown status is ignored.
pub(super) fn close(event: &mut ProviderEvent, now: UnixTime, outcome: Result<&Update, Reason>) {
    event.processed_time = now;
    event.processing_status = match outcome {
        Ok(update) if update.status == ProviderStatus::Unknown => {
            event.failure_reason = ignored(&update.reason);
            ProcessingStatus::Ignored
        }
        // It may have been given up before.
        Ok(_) => {
            event.failure_reason = Box::default();
            ProcessingStatus::Processed
        }
        Err(reason) => {
            event.failure_reason = reason.to_string().into();
            ProcessingStatus::Failed
        }
    };
}

/// The reason of an event that is ignored: the module's words, or nothing where it gives none.
pub(super) fn ignored(why: &str) -> Box<str> {
    match why {
        "" => Box::default(),
        why => Reason::new(ReasonCode::Ignored, why).to_string().into(),
    }
}
