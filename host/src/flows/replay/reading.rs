//! What a module reads in a stored notice today. One that was verified when it was received is read as proven, on the strength of that
//! record, and what verifies it today is said beside it; one that was rejected is verified again, by the secrets that its configs have
//! and as of the time when it was received. Nothing is applied.

use std::sync::Arc;

use cashier_core::ids::ConfigId;
use cashier_core::notice::{ProviderEvent, ReceivingConfig, UnreadableNotice, VerifiedNotice};
use cashier_core::provider_call::ProviderCall;
use cashier_core::refusal::Refusal;
use cashier_core::session::ManagerSession;
use cashier_core::status::SignatureStatus;

use super::not_working;
use crate::flows::Cashier;
use crate::ports::{Called, Gateway, RawNotice, Verdict};
use crate::snapshot::NoGateway;

/// What proves that a stored notice is the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeProof {
    /// A secret that its config has today, or a replaced one that still verifies.
    Secret,
    /// The record that it was verified when it was received: no secret of today verifies it.
    Record,
    /// Nothing.
    None,
}

impl NoticeProof {
    /// The wire name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Record => "record",
            Self::None => "none",
        }
    }
}

/// A stored notice as it was read.
pub(super) struct ReadNotice {
    pub(super) reading: Reading,
    pub(super) proof: NoticeProof,
    /// Requests that the module made the host send for it.
    pub(super) calls: Vec<ProviderCall>,
}

/// What a stored notice states.
pub(super) enum Reading {
    Understood(VerifiedNotice),
    /// It is authentic, and the module does not understand it.
    Unreadable(ReceivingConfig, UnreadableNotice),
    /// No config verifies it, in the module's words.
    Rejected(Box<str>),
}

/// Shows the notice of an event to the modules that may read it, or verify it, for this session. `offline` forbids any request;
/// what was rejected is never verified with a provider.
///
/// # Errors
/// 503: a module that may have to read it is not working, or wants to send a request.
pub(super) async fn read(
    cashier: &Cashier,
    session: &ManagerSession,
    event: &ProviderEvent,
    raw: &RawNotice,
    offline: bool,
) -> Result<ReadNotice, Refusal> {
    match event.signature_status {
        SignatureStatus::Valid => read_proven(cashier, event, raw, offline).await,
        SignatureStatus::Unknown | SignatureStatus::Invalid => {
            let reading = verify_again(cashier, session, event, raw).await?;
            let proof = match reading {
                Reading::Understood(_) | Reading::Unreadable(..) => NoticeProof::Secret,
                Reading::Rejected(_) => NoticeProof::None,
            };
            Ok(ReadNotice { reading, proof, calls: Vec::new() })
        }
    }
}

async fn read_proven(
    cashier: &Cashier,
    event: &ProviderEvent,
    raw: &RawNotice,
    offline: bool,
) -> Result<ReadNotice, Refusal> {
    let gateway = cashier.gateway(event.config_id).ok_or_else(|| not_working("the module is not loaded"))?;
    let receiver = cashier.receiver(&*gateway);
    let proof = match gateway.verify(raw, true).await.answer {
        Verdict::Verified { .. } | Verdict::Unreadable { .. } => NoticeProof::Secret,
        Verdict::Rejected(_) | Verdict::Undetermined(_) | Verdict::NeedsNetwork => NoticeProof::Record,
        // A module that does not answer says nothing about its secrets.
        Verdict::NotWorking(reason) => return Err(not_working(&reason)),
    };
    let Called { answer, calls } = gateway.read_proven(raw, offline).await;
    let reading = match answer {
        Verdict::Verified { updates, event_id, ignored, acknowledgement: _ } => {
            let others = event.also_verified_by.iter().filter_map(|config| cashier.gateway(*config));
            let others = others.map(|gateway| cashier.receiver(&*gateway)).collect();
            let notice = VerifiedNotice::assertion(receiver, updates).described(event_id, ignored);
            Reading::Understood(notice.also_verified_by(others))
        }
        Verdict::Unreadable { notice, acknowledgement: _ } => Reading::Unreadable(receiver, notice),
        Verdict::Rejected(reason) | Verdict::Undetermined(reason) => {
            let notice = UnreadableNotice { reason: reason.into(), ..UnreadableNotice::default() };
            Reading::Unreadable(receiver, notice)
        }
        Verdict::NeedsNetwork => return Err(not_working("the module wants to send a request")),
        Verdict::NotWorking(reason) => return Err(not_working(&reason)),
    };
    Ok(ReadNotice { reading, proof, calls })
}

/// Every config of the provider that it may have been sent to verifies it, as when it is received.
async fn verify_again(
    cashier: &Cashier,
    session: &ManagerSession,
    event: &ProviderEvent,
    raw: &RawNotice,
) -> Result<Reading, Refusal> {
    let mut verified: Option<VerifiedNotice> = None;
    let mut others = Vec::new();
    let mut unreadable = None;
    let mut rejection = Box::<str>::from("no config of this provider can verify it");
    for gateway in verifiers(cashier, session, event, raw)? {
        let receiver = cashier.receiver(&*gateway);
        match gateway.verify(raw, true).await.answer {
            Verdict::Verified { updates, event_id, ignored, acknowledgement: _ } => match &verified {
                // One that reads nothing from it gives way to one that reads updates.
                Some(first) if updates.is_empty() || !first.updates().is_empty() => others.push(receiver),
                Some(_) | None => {
                    let notice = VerifiedNotice::assertion(receiver, updates).described(event_id, ignored);
                    others.extend(verified.replace(notice).map(|before| before.receiver().clone()));
                }
            },
            Verdict::Unreadable { notice, acknowledgement: _ } => {
                unreadable.get_or_insert((receiver, notice));
            }
            Verdict::Rejected(reason) | Verdict::Undetermined(reason) => rejection = reason.into(),
            Verdict::NeedsNetwork => {
                return Err(not_working("the module verifies with its provider: have the provider send it again"));
            }
            Verdict::NotWorking(reason) => return Err(not_working(&reason)),
        }
    }
    Ok(match (verified, unreadable) {
        (Some(notice), None) => Reading::Understood(notice.also_verified_by(others)),
        (Some(notice), Some((receiver, _))) => {
            others.push(receiver);
            Reading::Understood(notice.also_verified_by(others))
        }
        (None, Some((receiver, notice))) => Reading::Unreadable(receiver, notice),
        (None, None) => Reading::Rejected(rejection),
    })
}

/// The gateways of the configs that this session may act for, lowest id first: the one that the path names, else all of the
/// provider.
fn verifiers(
    cashier: &Cashier,
    session: &ManagerSession,
    event: &ProviderEvent,
    raw: &RawNotice,
) -> Result<Vec<Arc<dyn Gateway>>, Refusal> {
    let addressed = addressed(&raw.path);
    let snapshot = cashier.snapshot();
    let meant = snapshot
        .configs_of(&event.provider)
        .filter(|served| session.sees(&served.config.brand) && addressed.is_none_or(|id| id == served.config.id));
    let mut gateways = Vec::new();
    for served in meant {
        match &served.gateway {
            Ok(gateway) => gateways.push(Arc::clone(gateway)),
            Err(NoGateway::Broken(_)) => return Err(not_working("the module is not loaded")),
            Err(NoGateway::Closed) => {}
        }
    }
    Ok(gateways)
}

/// The config that a webhook's path names.
fn addressed(path: &str) -> Option<ConfigId> {
    let (front, id) = path.trim_end_matches('/').rsplit_once('/')?;
    // As in `/cashier/webhook/{provider}/{provider_config_id}`.
    if front.matches('/').count() == 3 { id.parse().ok().map(ConfigId) } else { None }
}
