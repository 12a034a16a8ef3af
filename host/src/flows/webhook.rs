//! A webhook: raw bytes → a gateway finds them genuine → dedup, match, facts, planned operation in one commit with the
//! body → on disk → trading server → answer. What is not genuine is kept in a bounded ring and moves nothing.

mod filing;
mod quarantine;
mod received;

use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::ConfigId;
use cashier_core::notice::ProviderEvent;
use cashier_core::notice::{ReceivingConfig, Update, VerifiedNotice};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::SignatureStatus;
use cashier_core::transaction::Transaction;
use tokio::sync::oneshot;

use self::filing::Filed;
pub(super) use self::quarantine::QUARANTINE_WAITING_MAX;
use super::{Cashier, RequestContext, provider_query, settle};
use crate::ledger::Estimate;
use crate::ports::{Acknowledgement, Gateway, RawNotice, Verdict};
use crate::snapshot::{NoGateway, Served};

/// Webhooks of one config that may be verified by context its provider, each minute.
pub(super) const NETWORK_VERIFICATIONS_PER_MINUTE: u32 = 120;

/// What the provider's sender is told.
#[derive(Debug, Clone)]
pub struct WebhookOutcome {
    /// In the order of the updates; at least one.
    pub events: Vec<ProviderEvent>,
    /// The last event's transaction, if it is known.
    pub transaction: Option<Transaction>,
    /// Every event had been heard before; nothing moved.
    pub duplicate: bool,
    /// The module's own answer, where its provider needs one.
    pub acknowledgement: Option<Acknowledgement>,
    /// Time spent waiting for the provider's network; not the cashier's own.
    pub provider_time: Duration,
}

/// Receives a webhook for a provider, or for one config of it.
pub async fn receive(
    cashier: &Arc<Cashier>,
    provider: &str,
    addressed: Option<ConfigId>,
    raw: RawNotice,
    context: RequestContext,
) -> Result<WebhookOutcome, Refusal> {
    let (sender, outcome) = oneshot::channel();
    let (flow, provider) = (Arc::clone(cashier), Box::<str>::from(provider));
    cashier.spawn.spawn(Box::pin(async move {
        // The sender may have hung up, already while its notice was verified; what was sent is heard all the same.
        let _ = sender.send(take_in(&flow, &provider, addressed, raw, &context).await);
    }));
    outcome.await.unwrap_or_else(|_| Err(Refusal::new(RefusalCode::Internal, "the notice was interrupted")))
}

async fn take_in(
    cashier: &Arc<Cashier>,
    provider: &str,
    addressed: Option<ConfigId>,
    raw: RawNotice,
    context: &RequestContext,
) -> Result<WebhookOutcome, Refusal> {
    let gateways = listening(cashier, provider, addressed);
    match judge(cashier, &gateways, &raw, addressed.is_some()).await {
        Judged::Genuine(accepted) => {
            let _admitted = cashier.ledger.admit(Estimate::notice(raw.body.len() as u64))?;
            hear(cashier, accepted, raw, context).await
        }
        Judged::Suspect { config_id, signature, reason } => {
            quarantine::keep(cashier, provider, config_id, signature, &reason, &raw, context);
            Err(match signature {
                SignatureStatus::Unknown => {
                    Refusal::new(RefusalCode::ProviderUnavailable, "the payment module is not working, try again")
                }
                SignatureStatus::Invalid | SignatureStatus::Valid => invalid_signature(),
            })
        }
    }
}

/// One and the same answer for a bad signature, no secret, an unknown provider and an unknown config.
fn invalid_signature() -> Refusal {
    Refusal::new(RefusalCode::InvalidSignature, "the notice could not be verified")
}

/// The gateways that may have been meant, lowest config id first. `Err` is a config whose module is not working; one that
/// hears nothing any more was not meant.
fn listening(
    cashier: &Cashier,
    provider: &str,
    addressed: Option<ConfigId>,
) -> Vec<Result<Arc<dyn Gateway>, ConfigId>> {
    let snapshot = cashier.snapshot();
    let meant = snapshot.configs_of(provider).filter(|served| addressed.is_none_or(|id| served.config.id == id));
    let open = |served: &Served| match &served.gateway {
        Ok(gateway) => Some(Ok(Arc::clone(gateway))),
        Err(NoGateway::Broken(_)) => Some(Err(served.config.id)),
        Err(NoGateway::Closed) => None,
    };
    meant.filter_map(open).collect()
}

/// A gateway's verdict that a notice is genuine.
struct Accepted {
    notice: VerifiedNotice,
    acknowledgement: Option<Acknowledgement>,
    /// Time spent context the provider whether the notice is its own.
    provider_time: Duration,
}

enum Judged {
    Genuine(Accepted),
    Suspect { config_id: ConfigId, signature: SignatureStatus, reason: String },
}

/// Asks the gateways. Among several that accept, the one under which the transaction was made is the receiver, else the
/// one with the lowest config id (API.md section 3, unaddressed form).
async fn judge(
    cashier: &Cashier,
    gateways: &[Result<Arc<dyn Gateway>, ConfigId>],
    raw: &RawNotice,
    addressed: bool,
) -> Judged {
    let mut suspect = (ConfigId(0), SignatureStatus::Invalid, String::from("no config of this provider"));
    let mut accepted: Option<Accepted> = None;
    let mut owner: Option<ConfigId> = None;
    let mut asked: Vec<ConfigId> = Vec::with_capacity(1);
    let mut silent: Vec<ConfigId> = Vec::new();
    for gateway in gateways {
        let gateway = match gateway {
            Ok(gateway) => gateway,
            Err(config_id) => {
                suspect = (*config_id, SignatureStatus::Unknown, "the module is not loaded".into());
                silent.push(*config_id);
                continue;
            }
        };
        let receiver = gateway.receiver();
        if accepted.is_some() && owner != Some(receiver.config_id) {
            continue;
        }
        asked.push(receiver.config_id);
        let (verdict, provider_time) = verify(cashier, &**gateway, raw, addressed).await;
        match verdict {
            Verdict::Verified { updates, acknowledgement } => {
                owner = owner_of(cashier, gateways, receiver, &updates);
                let notice = VerifiedNotice::assertion(receiver.clone(), updates);
                accepted = Some(Accepted { notice, acknowledgement, provider_time });
                if owner.is_none_or(|owner| asked.contains(&owner)) {
                    break;
                }
            }
            Verdict::Rejected(reason) | Verdict::Undetermined(reason) => {
                if suspect.1 != SignatureStatus::Unknown {
                    suspect = (receiver.config_id, SignatureStatus::Invalid, reason);
                }
            }
            Verdict::NotWorking(reason) => {
                suspect = (receiver.config_id, SignatureStatus::Unknown, reason);
                silent.push(receiver.config_id);
            }
        }
    }
    match accepted {
        // Whose payment it is could not judge: a neighbour's word has no power over it, so it must be sent again.
        Some(_) if owner.is_some_and(|owner| silent.contains(&owner)) => {
            let reason = "the gateway of the payment's own config is not working".into();
            Judged::Suspect { config_id: owner.unwrap_or_default(), signature: SignatureStatus::Unknown, reason }
        }
        Some(accepted) => Judged::Genuine(accepted),
        None => Judged::Suspect { config_id: suspect.0, signature: suspect.1, reason: suspect.2 },
    }
}

/// Offline first. What a module cannot tell offline it may ask its provider, on the addressed form and at a rate_limit, so that
/// an open door does not make us call providers. The time that took is the provider's.
async fn verify(cashier: &Cashier, gateway: &dyn Gateway, raw: &RawNotice, addressed: bool) -> (Verdict, Duration) {
    let offline = gateway.verify(raw, true).await;
    match &offline {
        Verdict::Undetermined(_) if addressed => {}
        Verdict::Verified { .. } | Verdict::Rejected(_) | Verdict::Undetermined(_) | Verdict::NotWorking(_) => {
            return (offline, Duration::ZERO);
        }
    }
    if cashier.network_verifications.check(gateway.receiver().config_id).is_err() {
        return (offline, Duration::ZERO);
    }
    let began = cashier.clock.monotonic();
    let verdict = gateway.verify(raw, false).await;
    (verdict, cashier.clock.monotonic().saturating_sub(began))
}

/// The config of the transaction that the updates name, by our reference or else by an id known under one of the
/// configs that may have been meant; `None` when that is the receiver's own or there is none.
fn owner_of(
    cashier: &Cashier,
    gateways: &[Result<Arc<dyn Gateway>, ConfigId>],
    receiver: &ReceivingConfig,
    updates: &[Update],
) -> Option<ConfigId> {
    let meant = |gateway: &Result<Arc<dyn Gateway>, ConfigId>| match gateway {
        Ok(gateway) => gateway.receiver().config_id,
        Err(config_id) => *config_id,
    };
    let found = cashier.ledger.peek(|books| {
        let named = updates.iter().find_map(|update| books.by_reference(update.reference.as_ref()?));
        let unnamed = || updates.iter().filter(|update| update.reference.is_none()).flat_map(|update| &update.refs);
        let known = || {
            let own = unnamed().any(|id| books.by_provider_ref(receiver.config_id, id).is_some());
            let others = gateways.iter().map(meant).filter(|_| !own);
            others
                .flat_map(|config| unnamed().map(move |id| (config, id)))
                .find_map(|(config, id)| books.by_provider_ref(config, id))
        };
        named.or_else(known).and_then(|id| books.transaction(id)).map(|transaction| transaction.config_id)
    });
    found.ok().flatten().filter(|owner| *owner != receiver.config_id)
}

async fn hear(
    cashier: &Arc<Cashier>,
    accepted: Accepted,
    raw: RawNotice,
    context: &RequestContext,
) -> Result<WebhookOutcome, Refusal> {
    let filed = filing::file(cashier, &accepted.notice, &raw, context)?.durable().await?.into_inner();
    for id in &filed.due {
        settle::start(cashier, *id);
    }
    for (id, question) in &filed.to_ask {
        provider_query::start(cashier, *id, *question);
    }
    if let Some(id) = filed.due.last() {
        settle::within_patience(cashier, *id).await;
    }
    let outcome = answer(cashier, filed, accepted.acknowledgement).await?;
    Ok(WebhookOutcome { provider_time: accepted.provider_time, ..outcome })
}

async fn answer(
    cashier: &Cashier,
    filed: Filed,
    acknowledgement: Option<Acknowledgement>,
) -> Result<WebhookOutcome, Refusal> {
    let mut events = Vec::with_capacity(filed.events.len());
    for event in filed.events {
        events.push(match event {
            filing::FiledEvent::New(event) => *event,
            filing::FiledEvent::Repeated(id) => match cashier.archive.event(id).await {
                Ok(Some(event)) => event,
                Ok(None) => return Err(Refusal::new(RefusalCode::Internal, "an event row is missing")),
                Err(fault) => {
                    tracing::error!(%fault, event = %id, "a stored event could not be read");
                    return Err(crate::ledger::storage_unavailable());
                }
            },
        });
    }
    let about = events.last().map(|event| event.transaction_id).filter(|id| id.0 != 0);
    let transaction = match about {
        Some(id) => {
            let ticket = cashier.ledger.read(|books| (books.transaction(id), books.touched(id)))?;
            ticket.durable().await?.into_inner()
        }
        None => None,
    };
    Ok(WebhookOutcome {
        events,
        transaction,
        duplicate: filed.duplicate,
        acknowledgement,
        provider_time: Duration::ZERO,
    })
}
