//! A webhook: raw bytes → a gateway finds them genuine → dedup, match, facts, planned operation in one commit with the
//! body → on disk → trading server → answer. What is not genuine is kept in a bounded ring and moves nothing.

mod filing;
mod received;
mod suspects;

use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::ConfigId;
use cashier_core::notice::ProviderEvent;
use cashier_core::notice::{Listener, Update, VerifiedNotice};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::status::SignatureStatus;
use cashier_core::transaction::Transaction;
use tokio::sync::oneshot;

use self::filing::Filed;
pub(super) use self::suspects::SUSPECTS_WAITING_MAX;
use super::{Asking, House, inquiry, settle};
use crate::ledger::Estimate;
use crate::ports::{Acknowledgement, Gateway, RawNotice, Verdict};
use crate::snapshot::{NoGateway, Served};

/// Webhooks of one config that may be verified by asking its provider, each minute.
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
    /// Time spent waiting for the provider's network; not the house's own.
    pub provider_time: Duration,
}

/// Receives a webhook for a provider, or for one config of it.
pub async fn receive(
    house: &Arc<House>,
    provider: &str,
    addressed: Option<ConfigId>,
    raw: RawNotice,
    asking: Asking,
) -> Result<WebhookOutcome, Refusal> {
    let (sender, outcome) = oneshot::channel();
    let (flow, provider) = (Arc::clone(house), Box::<str>::from(provider));
    house.spawn.spawn(Box::pin(async move {
        // The sender may have hung up, already while its notice was verified; what was sent is heard all the same.
        let _ = sender.send(take_in(&flow, &provider, addressed, raw, &asking).await);
    }));
    outcome.await.unwrap_or_else(|_| Err(Refusal::new(RefusalCode::Internal, "the notice was interrupted")))
}

async fn take_in(
    house: &Arc<House>,
    provider: &str,
    addressed: Option<ConfigId>,
    raw: RawNotice,
    asking: &Asking,
) -> Result<WebhookOutcome, Refusal> {
    let gateways = listening(house, provider, addressed);
    match judge(house, &gateways, &raw, addressed.is_some()).await {
        Judged::Genuine(accepted) => {
            let _admitted = house.ledger.admit(Estimate::notice(raw.body.len() as u64))?;
            hear(house, accepted, raw, asking).await
        }
        Judged::Suspect { config_id, signature, reason } => {
            suspects::keep(house, provider, config_id, signature, &reason, &raw, asking);
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
fn listening(house: &House, provider: &str, addressed: Option<ConfigId>) -> Vec<Result<Arc<dyn Gateway>, ConfigId>> {
    let picture = house.picture();
    let meant = picture.configs_of(provider).filter(|served| addressed.is_none_or(|id| served.config.id == id));
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
    /// Time spent asking the provider whether the notice is its own.
    provider_time: Duration,
}

enum Judged {
    Genuine(Accepted),
    Suspect { config_id: ConfigId, signature: SignatureStatus, reason: String },
}

/// Asks the gateways. Among several that accept, the one under which the transaction was made is the receiver, else the
/// one with the lowest config id (API.md section 3, unaddressed form).
async fn judge(
    house: &House,
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
        let listener = gateway.listener();
        if accepted.is_some() && owner != Some(listener.config_id) {
            continue;
        }
        asked.push(listener.config_id);
        let (verdict, provider_time) = verify(house, &**gateway, raw, addressed).await;
        match verdict {
            Verdict::Genuine { updates, acknowledgement } => {
                owner = owner_of(house, gateways, listener, &updates);
                let notice = VerifiedNotice::assertion(listener.clone(), updates);
                accepted = Some(Accepted { notice, acknowledgement, provider_time });
                if owner.is_none_or(|owner| asked.contains(&owner)) {
                    break;
                }
            }
            Verdict::NotGenuine(reason) | Verdict::CannotTell(reason) => {
                if suspect.1 != SignatureStatus::Unknown {
                    suspect = (listener.config_id, SignatureStatus::Invalid, reason);
                }
            }
            Verdict::NotWorking(reason) => {
                suspect = (listener.config_id, SignatureStatus::Unknown, reason);
                silent.push(listener.config_id);
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

/// Offline first. What a module cannot tell offline it may ask its provider, on the addressed form and at a pace, so that
/// an open door does not make us call providers. The time that took is the provider's.
async fn verify(house: &House, gateway: &dyn Gateway, raw: &RawNotice, addressed: bool) -> (Verdict, Duration) {
    let offline = gateway.verify(raw, true).await;
    match &offline {
        Verdict::CannotTell(_) if addressed => {}
        Verdict::Genuine { .. } | Verdict::NotGenuine(_) | Verdict::CannotTell(_) | Verdict::NotWorking(_) => {
            return (offline, Duration::ZERO);
        }
    }
    if house.network_verifications.check(gateway.listener().config_id).is_err() {
        return (offline, Duration::ZERO);
    }
    let began = house.clock.monotonic();
    let verdict = gateway.verify(raw, false).await;
    (verdict, house.clock.monotonic().saturating_sub(began))
}

/// The config of the transaction that the updates name, by our reference or else by an id known under one of the
/// configs that may have been meant; `None` when that is the listener's own or there is none.
fn owner_of(
    house: &House,
    gateways: &[Result<Arc<dyn Gateway>, ConfigId>],
    listener: &Listener,
    updates: &[Update],
) -> Option<ConfigId> {
    let meant = |gateway: &Result<Arc<dyn Gateway>, ConfigId>| match gateway {
        Ok(gateway) => gateway.listener().config_id,
        Err(config_id) => *config_id,
    };
    let found = house.ledger.glance(|books| {
        let named = updates.iter().find_map(|update| books.by_reference(update.reference.as_ref()?));
        let unnamed = || updates.iter().filter(|update| update.reference.is_none()).flat_map(|update| &update.refs);
        let known = || {
            let own = unnamed().any(|id| books.by_provider_ref(listener.config_id, id).is_some());
            let others = gateways.iter().map(meant).filter(|_| !own);
            others
                .flat_map(|config| unnamed().map(move |id| (config, id)))
                .find_map(|(config, id)| books.by_provider_ref(config, id))
        };
        named.or_else(known).and_then(|id| books.transaction(id)).map(|transaction| transaction.config_id)
    });
    found.ok().flatten().filter(|owner| *owner != listener.config_id)
}

async fn hear(
    house: &Arc<House>,
    accepted: Accepted,
    raw: RawNotice,
    asking: &Asking,
) -> Result<WebhookOutcome, Refusal> {
    let filed = filing::file(house, &accepted.notice, &raw, asking)?.durable().await?.into_inner();
    for id in &filed.due {
        settle::start(house, *id);
    }
    for (id, question) in &filed.to_ask {
        inquiry::start(house, *id, *question);
    }
    if let Some(id) = filed.due.last() {
        settle::within_patience(house, *id).await;
    }
    let outcome = answer(house, filed, accepted.acknowledgement).await?;
    Ok(WebhookOutcome { provider_time: accepted.provider_time, ..outcome })
}

async fn answer(
    house: &House,
    filed: Filed,
    acknowledgement: Option<Acknowledgement>,
) -> Result<WebhookOutcome, Refusal> {
    let mut events = Vec::with_capacity(filed.events.len());
    for event in filed.events {
        events.push(match event {
            filing::FiledEvent::New(event) => *event,
            filing::FiledEvent::Repeated(id) => match house.archive.event(id).await {
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
            let ticket = house.ledger.read(|books| (books.transaction(id), books.touched(id)))?;
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
