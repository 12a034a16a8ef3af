//! Which gateway verifies a webhook. Several configs of one provider may be addressed at once; among those that verify it,
//! the one under which the transaction was made is the receiver, else the one with the lowest config id.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::{ConfigId, Reference};
use cashier_core::notice::{ReceivingConfig, UnreadableNotice, Update, VerifiedNotice};
use cashier_core::status::SignatureStatus;

use super::received::{CaptureLimits, Received};
use crate::flows::Cashier;
use crate::ports::{Acknowledgement, Gateway, RawNotice, Verdict};
use crate::snapshot::{NoGateway, Served};

/// Words of an unreadable notice that are looked up as references; a word of that form is nearly always one of ours.
const MENTIONED_MAX: usize = 64;

/// A notice that a gateway verified, with the body as it will be stored.
pub(super) struct VerifiedWebhook {
    pub(super) notice: VerifiedNotice,
    pub(super) received: Received,
    pub(super) acknowledgement: Option<Acknowledgement>,
    /// Time spent on verifying the notice with the provider.
    pub(super) provider_time: Duration,
}

/// An authentic notice that its module could not read, with the body as it will be stored.
pub(super) struct UnreadableWebhook {
    pub(super) receiver: ReceivingConfig,
    pub(super) notice: UnreadableNotice,
    pub(super) received: Received,
    pub(super) acknowledgement: Option<Acknowledgement>,
    pub(super) provider_time: Duration,
}

pub(super) enum Verification {
    Verified(Box<VerifiedWebhook>),
    /// Authentic, and not understood.
    Unreadable(Box<UnreadableWebhook>),
    NotVerified {
        config_id: ConfigId,
        /// `Unknown` where a module is not working, so that the provider must send the notice again.
        signature: SignatureStatus,
        reason: String,
    },
}

/// Lets the gateways that the webhook may be meant for verify it, lowest config id first.
pub(super) async fn verify(
    cashier: &Cashier,
    provider: &str,
    addressed: Option<ConfigId>,
    raw: &RawNotice,
) -> Verification {
    let candidates = candidates(cashier, provider, addressed);
    let mut round = Round::default();
    for candidate in &candidates {
        match candidate {
            Ok(gateway) if round.accepts(gateway.receiver().config_id) => {
                let (verdict, provider_time) = verdict(cashier, &**gateway, raw, addressed.is_some()).await;
                round.take(cashier, &candidates, &cashier.receiver(&**gateway), verdict, provider_time);
            }
            Ok(_) => {}
            Err(config_id) => round.unavailable(*config_id, "the module is not loaded".into()),
        }
        if round.is_settled() {
            break;
        }
    }
    round.result(raw)
}

/// A config whose gateway may verify; `Err` is one whose module is not working.
type Candidate = Result<Arc<dyn Gateway>, ConfigId>;

/// Configs that receive nothing any more are left out.
fn candidates(cashier: &Cashier, provider: &str, addressed: Option<ConfigId>) -> Vec<Candidate> {
    let snapshot = cashier.snapshot();
    let meant = snapshot.configs_of(provider).filter(|served| addressed.is_none_or(|id| served.config.id == id));
    let open = |served: &Served| match &served.gateway {
        Ok(gateway) => Some(Ok(Arc::clone(gateway))),
        Err(NoGateway::Broken(_)) => Some(Err(served.config.id)),
        Err(NoGateway::Closed) => None,
    };
    meant.filter_map(open).collect()
}

/// What a gateway accepts of a notice that it reads nothing from.
enum Accepted {
    Ignored(VerifiedNotice),
    Unreadable(ReceivingConfig, UnreadableNotice),
}

/// What the gateways have answered so far.
#[derive(Default)]
struct Round {
    verified: Option<(VerifiedNotice, Option<Acknowledgement>, Duration)>,
    /// Accepted without content, by the first gateway that did: taken if no other one reads more.
    accepted: Option<(Accepted, Option<Acknowledgement>, Duration)>,
    /// The config of the transaction that the verified updates name, where it is another than the receiver.
    owner: Option<ConfigId>,
    tried: Vec<ConfigId>,
    unavailable: Vec<ConfigId>,
    /// Why it is not verified; an unavailable module weighs more than a rejection, since the notice may be valid.
    rejection: Option<(ConfigId, SignatureStatus, String)>,
}

impl Round {
    /// Before a notice is verified every gateway is tried, afterwards only the owner's.
    fn accepts(&self, config_id: ConfigId) -> bool {
        self.verified.is_none() || self.owner == Some(config_id)
    }

    /// It is verified, and the owner's gateway, if there is one, was tried.
    fn is_settled(&self) -> bool {
        self.verified.is_some() && self.owner.is_none_or(|owner| self.tried.contains(&owner))
    }

    fn take(
        &mut self,
        cashier: &Cashier,
        candidates: &[Candidate],
        receiver: &ReceivingConfig,
        verdict: Verdict,
        provider_time: Duration,
    ) {
        self.tried.push(receiver.config_id);
        match verdict {
            Verdict::Verified { updates, event_id, ignored, acknowledgement } => {
                let without_content = updates.is_empty() && !ignored.is_empty();
                let owner = owner_of(cashier, candidates, receiver, &updates);
                let notice = VerifiedNotice::assertion(receiver.clone(), updates).described(event_id, ignored);
                if without_content {
                    self.accepted.get_or_insert((Accepted::Ignored(notice), acknowledgement, provider_time));
                } else {
                    self.owner = owner;
                    self.verified = Some((notice, acknowledgement, provider_time));
                }
            }
            Verdict::Unreadable { notice, acknowledgement } => {
                let unreadable = (Accepted::Unreadable(receiver.clone(), notice), acknowledgement, provider_time);
                match &self.accepted {
                    Some((Accepted::Unreadable(..), ..)) => {}
                    Some((Accepted::Ignored(_), ..)) | None => self.accepted = Some(unreadable),
                }
            }
            Verdict::NeedsNetwork => {
                self.rejected(receiver, "it can be verified with the provider alone, on the path of one config".into());
            }
            Verdict::Rejected(reason) | Verdict::Undetermined(reason) => self.rejected(receiver, reason),
            Verdict::NotWorking(reason) => self.unavailable(receiver.config_id, reason),
        }
    }

    fn rejected(&mut self, receiver: &ReceivingConfig, reason: String) {
        let weightier = matches!(&self.rejection, Some((_, SignatureStatus::Unknown, _)));
        if !weightier {
            self.rejection = Some((receiver.config_id, SignatureStatus::Invalid, reason));
        }
    }

    fn unavailable(&mut self, config_id: ConfigId, reason: String) {
        self.unavailable.push(config_id);
        self.rejection = Some((config_id, SignatureStatus::Unknown, reason));
    }

    fn result(self, raw: &RawNotice) -> Verification {
        let unavailable_owner = self.owner.filter(|owner| self.unavailable.contains(owner));
        let (verified, accepted) = match (self.verified, self.accepted) {
            (None, Some((Accepted::Ignored(notice), acknowledgement, time))) => {
                (Some((notice, acknowledgement, time)), None)
            }
            (None, Some((Accepted::Unreadable(receiver, notice), acknowledgement, time))) => {
                (None, Some((receiver, notice, acknowledgement, time)))
            }
            (verified, _) => (verified, None),
        };
        if let Some((receiver, mut notice, acknowledgement, provider_time)) = accepted {
            notice.references.extend(references_in(&raw.body));
            let received = Received::of(raw, &CaptureLimits::WHOLE);
            let webhook = UnreadableWebhook { receiver, notice, received, acknowledgement, provider_time };
            return Verification::Unreadable(Box::new(webhook));
        }
        let (config_id, signature, reason) = match (verified, unavailable_owner) {
            (Some((notice, acknowledgement, provider_time)), None) => {
                // Hashing and copying a body takes longer than any decision: done before the ledger's lock is taken.
                let received = Received::of(raw, &CaptureLimits::WHOLE);
                let webhook = VerifiedWebhook { notice, received, acknowledgement, provider_time };
                return Verification::Verified(Box::new(webhook));
            }
            // The owning config's gateway is unavailable. Another config's signature does not authorise this payment, so
            // the provider must send the notice again.
            (Some(_), Some(owner)) => {
                (owner, SignatureStatus::Unknown, "the gateway of the payment's own config is not working".into())
            }
            (None, _) => self
                .rejection
                .unwrap_or_else(|| (ConfigId(0), SignatureStatus::Invalid, "no config of this provider".into())),
        };
        Verification::NotVerified { config_id, signature, reason }
    }
}

/// Our references that occur in a body, whatever its format.
fn references_in(body: &[u8]) -> impl Iterator<Item = Reference> {
    let words = body.split(|byte| !byte.is_ascii_alphanumeric());
    words.filter_map(|word| std::str::from_utf8(word).ok().and_then(Reference::read)).take(MENTIONED_MAX)
}

/// Offline first. What a module cannot determine offline it may verify with its provider, on the addressed form and within
/// a rate limit, so that unauthenticated senders cannot make us call providers. That time is the provider's.
async fn verdict(cashier: &Cashier, gateway: &dyn Gateway, raw: &RawNotice, addressed: bool) -> (Verdict, Duration) {
    let offline = gateway.verify(raw, true).await;
    match &offline {
        Verdict::NeedsNetwork if addressed => {}
        Verdict::Verified { .. }
        | Verdict::Unreadable { .. }
        | Verdict::Rejected(_)
        | Verdict::Undetermined(_)
        | Verdict::NeedsNetwork
        | Verdict::NotWorking(_) => return (offline, Duration::ZERO),
    }
    // Beyond its pace nothing is known about the notice: it may be the provider's, so it must come again.
    if cashier.limits.network_verifications.check(gateway.receiver().config_id).is_err() {
        let reason = "the config's limit of network verifications is reached".to_owned();
        return (Verdict::NotWorking(reason), Duration::ZERO);
    }
    let began = cashier.clock.monotonic();
    let verdict = gateway.verify(raw, false).await;
    (verdict, cashier.clock.monotonic().saturating_sub(began))
}

/// The config of the transaction that the updates name, by our reference or else by an id known under one of the
/// candidates; `None` where that is the receiver itself or there is no such transaction.
fn owner_of(
    cashier: &Cashier,
    candidates: &[Candidate],
    receiver: &ReceivingConfig,
    updates: &[Update],
) -> Option<ConfigId> {
    let config = |candidate: &Candidate| match candidate {
        Ok(gateway) => gateway.receiver().config_id,
        Err(config_id) => *config_id,
    };
    let found = cashier.ledger.peek(|books| {
        let named = updates.iter().find_map(|update| books.by_reference(update.reference.as_ref()?));
        let unnamed = || updates.iter().filter(|update| update.reference.is_none()).flat_map(|update| &update.refs);
        let known = || {
            let own = unnamed().any(|id| books.by_provider_ref(receiver.config_id, id).is_some());
            let others = candidates.iter().map(config).filter(|_| !own);
            others
                .flat_map(|config| unnamed().map(move |id| (config, id)))
                .find_map(|(config, id)| books.by_provider_ref(config, id))
        };
        named.or_else(known).and_then(|id| books.transaction(id)).map(|transaction| transaction.config_id)
    });
    found.ok().flatten().filter(|owner| *owner != receiver.config_id)
}
