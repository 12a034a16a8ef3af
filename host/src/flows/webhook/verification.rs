//! Which gateway verifies a webhook. Several configs of one provider may be addressed at once; among those that verify it,
//! the one under which the transaction was made is the receiver, else the one with the lowest config id.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::ConfigId;
use cashier_core::notice::{ReceivingConfig, Update, VerifiedNotice};
use cashier_core::status::SignatureStatus;

use super::received::{CaptureLimits, Received};
use crate::flows::Cashier;
use crate::ports::{Acknowledgement, Gateway, RawNotice, Verdict};
use crate::snapshot::{NoGateway, Served};

/// A notice that a gateway verified, with the body as it will be stored.
pub(super) struct VerifiedWebhook {
    pub(super) notice: VerifiedNotice,
    pub(super) received: Received,
    pub(super) acknowledgement: Option<Acknowledgement>,
    /// Time spent on verifying the notice with the provider.
    pub(super) provider_time: Duration,
}

pub(super) enum Verification {
    Verified(Box<VerifiedWebhook>),
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

/// What the gateways have answered so far.
#[derive(Default)]
struct Round {
    verified: Option<(VerifiedNotice, Option<Acknowledgement>, Duration)>,
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
            Verdict::Verified { updates, acknowledgement } => {
                self.owner = owner_of(cashier, candidates, receiver, &updates);
                let notice = VerifiedNotice::assertion(receiver.clone(), updates);
                self.verified = Some((notice, acknowledgement, provider_time));
            }
            Verdict::Rejected(reason) | Verdict::Undetermined(reason) => {
                let weightier = matches!(&self.rejection, Some((_, SignatureStatus::Unknown, _)));
                if !weightier {
                    self.rejection = Some((receiver.config_id, SignatureStatus::Invalid, reason));
                }
            }
            Verdict::NotWorking(reason) => self.unavailable(receiver.config_id, reason),
        }
    }

    fn unavailable(&mut self, config_id: ConfigId, reason: String) {
        self.unavailable.push(config_id);
        self.rejection = Some((config_id, SignatureStatus::Unknown, reason));
    }

    fn result(self, raw: &RawNotice) -> Verification {
        let unavailable_owner = self.owner.filter(|owner| self.unavailable.contains(owner));
        let (config_id, signature, reason) = match (self.verified, unavailable_owner) {
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

/// Offline first. What a module cannot determine offline it may verify with its provider, on the addressed form and within
/// a rate limit, so that unauthenticated senders cannot make us call providers. That time is the provider's.
async fn verdict(cashier: &Cashier, gateway: &dyn Gateway, raw: &RawNotice, addressed: bool) -> (Verdict, Duration) {
    let offline = gateway.verify(raw, true).await;
    match &offline {
        Verdict::Undetermined(_) if addressed => {}
        Verdict::Verified { .. } | Verdict::Rejected(_) | Verdict::Undetermined(_) | Verdict::NotWorking(_) => {
            return (offline, Duration::ZERO);
        }
    }
    if cashier.limits.network_verifications.check(gateway.receiver().config_id).is_err() {
        return (offline, Duration::ZERO);
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
