//! A webhook: raw bytes → a gateway verifies them → one commit files the notice and applies its updates → durable → trading
//! server → answer. A notice that is not verified goes to a bounded quarantine and changes nothing.

mod ownership;
mod quarantine;
mod received;
mod tries;
mod verification;

use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::{ConfigId, EventId};
use cashier_core::inbox::{self, BeyondLimit, Filed, FiledEvent};
use cashier_core::notice::{ProviderEvent, Update};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::Actor;
use cashier_core::status::{ProcessingStatus, SignatureStatus};
use cashier_core::transaction::Transaction;
use tokio::sync::oneshot;

pub(super) use self::quarantine::{Quarantined, store as store_quarantined};
pub(super) use self::received::{CaptureLimits, Received};
use self::verification::{UnreadableWebhook, Verification, VerifiedWebhook};
use super::notice_limits::{NoNoticeTurn, NoticeScope, NoticeSender, SMALL_NOTICE_LENGTH_MAX};
use super::settle::{self, Settled};
use super::{Cashier, RequestContext, provider_query};
use crate::ledger::{Estimate, storage_unavailable};
use crate::ports::{Acknowledgement, RawNotice};

/// What the provider is answered.
#[derive(Debug, Clone)]
pub struct WebhookOutcome {
    /// In the order of the updates; at least one.
    pub events: Vec<ProviderEvent>,
    /// The last event's transaction, if it is known.
    pub transaction: Option<Transaction>,
    /// Whether the config that verified it is a sandbox: more people have its secret.
    pub is_sandbox: bool,
    /// Every event was received before; nothing moved.
    pub duplicate: bool,
    /// It recorded something that was not known: a provider is known by that, because others may repeat what it sent.
    pub is_news: bool,
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
        // The sender may have disconnected, already while its notice was verified; what was sent is processed all the same.
        let _ = sender.send(process(&flow, &provider, addressed, raw, &context).await);
    }));
    outcome.await.unwrap_or_else(|_| Err(Refusal::new(RefusalCode::Internal, "the notice was interrupted")))
}

/// Who sends a webhook, before its body is read.
pub fn sender(
    cashier: &Cashier,
    provider: &str,
    addressed: Option<ConfigId>,
    context: &RequestContext,
) -> NoticeSender {
    let snapshot = cashier.snapshot();
    let mut meant = snapshot.configs_of(provider).filter(|known| addressed.is_none_or(|id| known.config.id == id));
    // One that may be meant for a live config is counted with those.
    let is_sandbox = meant.next().is_some_and(|first| first.config.sandbox) && meant.all(|known| known.config.sandbox);
    cashier.limits.notices.sender(NoticeScope::new(provider, is_sandbox), &context.ip)
}

/// Notes a webhook whose body did not arrive whole.
pub fn count_unfinished(cashier: &Cashier, sender: &NoticeSender) {
    cashier.limits.notices.unfinished(sender);
}

/// The answer to a webhook beyond a limit.
pub fn beyond_limit() -> Refusal {
    Refusal::new(RefusalCode::Frequent, "too many webhooks failed verification lately, send it again later")
}

/// Counts a webhook that is answered so.
pub fn count_limited(cashier: &Cashier) {
    cashier.limits.notices.limited();
}

fn limited(cashier: &Cashier) -> Refusal {
    count_limited(cashier);
    beyond_limit()
}

async fn process(
    cashier: &Arc<Cashier>,
    provider: &str,
    addressed: Option<ConfigId>,
    raw: RawNotice,
    context: &RequestContext,
) -> Result<WebhookOutcome, Refusal> {
    let (limits, length) = (&cashier.limits.notices, raw.body.len());
    let turn = match limits.turn(&sender(cashier, provider, addressed, context), length).await {
        Ok(turn) => turn,
        Err(NoNoticeTurn::TooManyWait) => return Err(limited(cashier)),
        Err(NoNoticeTurn::TooLong) => {
            let message = "webhooks of this provider take too long to verify now, send it again";
            return Err(Refusal::new(RefusalCode::ProviderUnavailable, message));
        }
    };
    // Others may have failed while it waited.
    let sender = sender(cashier, provider, addressed, context);
    if length > SMALL_NOTICE_LENGTH_MAX && !sender.may_send_large() {
        return Err(limited(cashier));
    }
    let (verification, tries) = verification::verify(cashier, provider, addressed, &raw, &sender, turn).await;
    match verification {
        Verification::Verified(webhook) => {
            limits.verified(&sender, webhook.notice.receiver().config_id, length, tries);
            let _admitted = cashier.ledger.admit(Estimate::notice(raw.body.len() as u64))?;
            let outcome = apply(cashier, *webhook, context).await?;
            if outcome.is_news {
                limits.proved(&sender, outcome.is_sandbox);
            }
            Ok(outcome)
        }
        Verification::Unreadable(webhook) => {
            limits.verified(&sender, webhook.receiver.config_id, length, tries);
            let _admitted = cashier.ledger.admit(Estimate::notice(raw.body.len() as u64))?;
            keep(cashier, *webhook, context).await
        }
        Verification::NotVerified { config_id, signature, failure, reason } => {
            limits.failed(&sender, provider, failure);
            if tries == 0 {
                limits.charge(&sender, length);
            }
            if sender.is_restricted() {
                return Err(limited(cashier));
            }
            let quarantined = Quarantined { provider, config_id, signature, reason: &reason };
            quarantine::store(cashier, &quarantined, &raw, context);
            Err(match signature {
                SignatureStatus::Unknown => {
                    let message = match addressed {
                        Some(_) => "the payment module is not working, try again",
                        None => {
                            "a payment module is not working, or too many would ask their provider: try again, or send it to \
                             /cashier/webhook/{provider}/{provider_config_id}"
                        }
                    };
                    Refusal::new(RefusalCode::ProviderUnavailable, message)
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

/// Files the notice in one commit, and starts what that made due once it is durable.
async fn apply(
    cashier: &Arc<Cashier>,
    webhook: VerifiedWebhook,
    context: &RequestContext,
) -> Result<WebhookOutcome, Refusal> {
    let VerifiedWebhook { notice, received, acknowledgement, asked } = webhook;
    let stamp = cashier.stamp(Actor::Provider(notice.receiver().config_id), &context.request_id);
    let filed = cashier.ledger.decide(&stamp, |draft| {
        let derived_event_id = received.derived_event_id();
        let filed = inbox::file(draft, &notice, &derived_event_id, |id| received.into_body(id))?;
        filed.log_calls(draft, &asked.calls);
        let transaction = filed.transaction().and_then(|id| draft.aggregate(id)).map(|known| known.transaction);
        Ok((filed, transaction))
    })?;
    let filed: Result<_, BeyondLimit> = filed.durable().await?.into_inner();
    let Ok((filed, as_filed)) = filed else {
        let config = notice.receiver().config_id;
        tracing::warn!(%config, "webhook names no known transaction: not stored, as many wait for theirs as may");
        return Err(Refusal::new(RefusalCode::ProviderUnavailable, "the notice cannot be stored now, send it again"));
    };
    for id in filed.due.iter().rev().skip(1) {
        settle::start(cashier, *id);
    }
    for (id, query) in &filed.queries {
        provider_query::start(cashier, *id, *query);
    }
    let mut as_filed = as_filed.filter(|known| filed.due == [known.id]);
    if let Some(id) = filed.due.last()
        && settle::within_patience(cashier, *id).await != Settled::Proven
    {
        as_filed = None;
    }
    let (duplicate, is_news) = (filed.duplicate, filed.is_news);
    let (events, transaction) = shown(cashier, filed, as_filed).await?;
    let is_sandbox = notice.receiver().sandbox;
    let provider_time = asked.time;
    Ok(WebhookOutcome { events, transaction, is_sandbox, duplicate, is_news, acknowledgement, provider_time })
}

/// Files an authentic notice that its module could not read, and queries the payments that it names.
async fn keep(
    cashier: &Arc<Cashier>,
    webhook: UnreadableWebhook,
    context: &RequestContext,
) -> Result<WebhookOutcome, Refusal> {
    let UnreadableWebhook { receiver, notice, received, acknowledgement, asked } = webhook;
    let stamp = cashier.stamp(Actor::Provider(receiver.config_id), &context.request_id);
    let filed = cashier.ledger.decide(&stamp, |draft| {
        let (event_id, bytes) = (received.body_event_id(), received.body_length());
        let filed = inbox::file_unreadable(draft, &receiver, &notice, event_id, bytes, |id| received.into_body(id))?;
        filed.log_calls(draft, &asked.calls);
        Ok::<_, BeyondLimit>(filed)
    })?;
    let Ok(filed) = filed.durable().await?.into_inner() else {
        let (config, reason) = (receiver.config_id, &*notice.reason);
        tracing::warn!(%config, reason, "webhook was authentic and unreadable: not stored, the config's limit is reached");
        return Err(Refusal::new(RefusalCode::ProviderUnavailable, "the notice cannot be stored now, send it again"));
    };
    for (id, query) in &filed.queries {
        provider_query::start(cashier, *id, *query);
    }
    let (duplicate, named) = (filed.duplicate, filed.queries.len());
    if named == 0 && !duplicate {
        cashier.requeue.push_configs(&receiver.merchant_account);
    }
    let (events, transaction) = shown(cashier, filed, None).await?;
    if let Some(event) = events.last().filter(|_| !duplicate) {
        let (config, reason) = (receiver.config_id, &*event.failure_reason);
        tracing::warn!(%config, event = %event.id, reason, payments = named, "webhook was authentic and unreadable: stored");
    }
    let (is_sandbox, provider_time) = (receiver.sandbox, asked.time);
    Ok(WebhookOutcome { events, transaction, is_sandbox, duplicate, is_news: false, acknowledgement, provider_time })
}

/// The events of the notice and the last one's transaction, as they are durable: as it was filed where the caller need not
/// wait for more.
async fn shown(
    cashier: &Cashier,
    filed: Filed,
    as_filed: Option<Transaction>,
) -> Result<(Vec<ProviderEvent>, Option<Transaction>), Refusal> {
    let duplicate = filed.duplicate;
    let mut events = Vec::with_capacity(filed.events.len());
    for event in filed.events {
        events.push(match event {
            FiledEvent::New(event) => *event,
            FiledEvent::Duplicate(id) => stored_event(cashier, id).await?,
        });
    }
    for event in &events {
        let (id, status, reason) = (event.id, event.processing_status.name(), &*event.failure_reason);
        let states_money = event.update.as_ref().is_some_and(Update::states_money);
        if !duplicate && states_money && event.processing_status == ProcessingStatus::Failed {
            let (transaction, payment) = (event.transaction_id, &*event.provider_payment_id);
            tracing::warn!(event = %id, %transaction, payment, reason, "webhook's statement about money was not applied");
        }
        tracing::debug!(event = %id, transaction = %event.transaction_id, status, reason, "webhook event filed");
    }
    let about = events.last().map(|event| event.transaction_id).filter(|id| id.0 != 0);
    let transaction = match about {
        Some(_) if as_filed.is_some() => as_filed,
        Some(id) => {
            let ticket = cashier.ledger.read(|books| (books.transaction(id), books.touched(id)))?;
            ticket.durable().await?.into_inner()
        }
        None => None,
    };
    Ok((events, transaction))
}

pub(super) async fn stored_event(cashier: &Cashier, id: EventId) -> Result<ProviderEvent, Refusal> {
    match cashier.archive.event(id).await {
        Ok(Some(event)) => Ok(event),
        Ok(None) => Err(Refusal::new(RefusalCode::Internal, "an event row is missing")),
        Err(fault) => {
            tracing::error!(%fault, event = %id, "reading a stored event failed");
            Err(storage_unavailable())
        }
    }
}
