//! What a start does about calls into modules that ended the process: their create calls are recorded as crashed, so that the
//! provider is queried and the order is never sent again, and their notices are stored as not verified. The plugin host
//! refuses the builds; nothing here opens a module.

use std::sync::Arc;

use cashier_core::ids::TransactionId;
use cashier_core::refund;
use cashier_core::session::Actor;
use cashier_core::status::SignatureStatus;

use super::webhook::{Quarantined, store_quarantined};
use super::{Cashier, RequestContext};
use crate::ports::EndedNotice;

/// Request id of the commits of a start.
const REQUEST_ID: &str = "start";

/// Takes over what the plugin host found. Called before the janitor begins, which would repeat an open create call; each start
/// does it again for the calls that are kept, so that one that could not be recorded is recorded by the next.
pub async fn take_over(cashier: &Arc<Cashier>) {
    let found = cashier.modules.ended_calls();
    for (id, reference) in found.creates {
        crash_create(cashier, id, &reference).await;
    }
    for (id, refund) in found.refunds {
        crash_refund(cashier, id, &refund).await;
    }
    let context = RequestContext { request_id: REQUEST_ID.into(), ip: Box::default(), locale: Box::default() };
    for EndedNotice { provider, config_id, reason, notice } in found.notices {
        let (provider, reason) = (&*provider, format!("the notice is barred: {reason}"));
        let signature = SignatureStatus::Unknown;
        let quarantined = Quarantined { provider, config_id, signature, reason: &reason };
        store_quarantined(cashier, &quarantined, &notice, &context);
    }
}

async fn crash_create(cashier: &Cashier, id: TransactionId, reference: &str) {
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let recorded = cashier.ledger.decide(&stamp, |draft| {
        let known = draft.aggregate(id).filter(|known| known.transaction.reference.as_str() == reference);
        let changes = known.map(|known| known.crash_create(draft.context())).unwrap_or_default();
        let changed = !changes.is_empty();
        draft.add(changes);
        changed
    });
    let recorded = match recorded {
        Ok(ticket) => ticket.durable().await.map(|changed| *changed.get()),
        Err(refusal) => Err(refusal),
    };
    match recorded {
        Ok(true) => {
            tracing::warn!(transaction = %id, "create call ended the process: its outcome is unknown, it is not repeated")
        }
        Ok(false) => {}
        Err(refusal) => {
            tracing::error!(%refusal, transaction = %id, "recording a create call that ended the process failed")
        }
    }
}

async fn crash_refund(cashier: &Cashier, id: TransactionId, refund: &str) {
    let stamp = cashier.stamp(Actor::System, REQUEST_ID);
    let recorded = cashier.ledger.decide(&stamp, |draft| refund::crashed(draft, id, refund));
    let recorded = match recorded {
        Ok(ticket) => ticket.durable().await.map(|changed| *changed.get()),
        Err(refusal) => Err(refusal),
    };
    match recorded {
        Ok(true) => tracing::warn!(transaction = %id, refund, "refund call ended the process: it is not repeated"),
        Ok(false) => {}
        Err(refusal) => {
            tracing::error!(%refusal, transaction = %id, refund, "recording a refund call that ended the process failed")
        }
    }
}
