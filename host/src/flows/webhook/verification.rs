//! Which gateway verifies a webhook. Several configs of one provider may be addressed at once; among those that verify it,
//! the one under which the transaction was made is the receiver, else the one with the lowest config id.

use std::sync::Arc;
use std::time::Duration;

use cashier_core::ids::{ConfigId, Reference};
use cashier_core::notice::{ReceivingConfig, UnreadableNotice, VerifiedNotice};
use cashier_core::provider_call::ProviderCall;
use cashier_core::status::SignatureStatus;

use super::ownership::Ownership;
use super::received::{CaptureLimits, Received};
use super::tries::Tries;
use crate::flows::Cashier;
use crate::flows::notice_limits::{NoticeFailure, NoticeSender, NoticeTurn};
use crate::ports::{Acknowledgement, Called, Gateway, RawNotice, Verdict};
use crate::snapshot::{NoGateway, Served};

/// Words of an unreadable notice that are looked up as references; a word of that form is nearly always one of ours.
const MENTIONED_MAX: usize = 64;

/// Configs whose providers are asked to verify one notice that names no config: one request must not make us call many, and
/// a provider with more configs needs the path of one config.
const NETWORK_CONFIGS_MAX: usize = 16;

/// Why a config was not asked.
const NOT_SHOWN: &str = "not shown to every config: too many forged webhooks of this provider";

/// Why its provider was not asked.
const BEYOND_PACE: &str = "the config's or the sender's limit of network verifications is reached";

/// A notice that a gateway verified, with the body as it will be stored.
pub(super) struct VerifiedWebhook {
    pub(super) notice: VerifiedNotice,
    pub(super) received: Received,
    pub(super) acknowledgement: Option<Acknowledgement>,
    pub(super) asked: AskedProvider,
}

/// What it took to verify a notice with its provider; nothing where its bytes sufficed.
#[derive(Default)]
pub(super) struct AskedProvider {
    pub(super) time: Duration,
    /// The requests to the provider of the config that verified it.
    pub(super) calls: Vec<ProviderCall>,
}

/// An authentic notice that its module could not read, with the body as it will be stored.
pub(super) struct UnreadableWebhook {
    pub(super) receiver: ReceivingConfig,
    pub(super) notice: UnreadableNotice,
    pub(super) received: Received,
    pub(super) acknowledgement: Option<Acknowledgement>,
    pub(super) asked: AskedProvider,
}

pub(super) enum Verification {
    Verified(Box<VerifiedWebhook>),
    /// Authentic, and not understood.
    Unreadable(Box<UnreadableWebhook>),
    NotVerified {
        config_id: ConfigId,
        /// `Unknown` where a module is not working or not every config was asked, so that the provider must send the notice
        /// again.
        signature: SignatureStatus,
        /// `Rejected` where every config that was asked rejected it, also if a limit of ours kept others from being asked.
        failure: NoticeFailure,
        reason: String,
    },
}

/// Lets the gateways that the webhook may be meant for verify it, and says how many did. Their verdicts count in the order of
/// the config ids, whichever were asked first; where too much was spent, only those that it probably belongs to are asked.
pub(super) async fn verify(
    cashier: &Cashier,
    provider: &str,
    addressed: Option<ConfigId>,
    raw: &RawNotice,
    sender: &NoticeSender,
    mut turn: NoticeTurn,
) -> (Verification, usize) {
    let candidates = candidates(cashier, provider);
    let configs: Vec<ConfigId> = candidates.iter().map(config_of).collect();
    let meant = || candidates.iter().filter(|candidate| addressed.is_none_or(|id| config_of(candidate) == id));
    let mut tries = Tries::likely_first(cashier, meant().flatten().collect(), raw, sender).await;
    let mut round = Round::default();
    let mut by_network = Vec::new();
    for candidate in meant() {
        match candidate {
            Ok(gateway) if round.accepts(gateway.receiver().config_id) => match tries.verdict(&**gateway).await {
                Some(Verdict::NeedsNetwork) => by_network.push(gateway),
                Some(verdict) => {
                    round.take(cashier, &configs, cashier.receiver(&**gateway), verdict, AskedProvider::default());
                }
                None => round.not_asked(gateway.receiver().config_id, NOT_SHOWN.into()),
            },
            Ok(_) => {}
            Err(config_id) => round.unavailable(*config_id, "the module is not loaded".into()),
        }
        if round.is_settled() {
            break;
        }
    }
    turn.end_judging();
    let mut asked = 0;
    for gateway in by_network {
        let config_id = gateway.receiver().config_id;
        if round.is_settled() || !round.accepts(config_id) {
            continue;
        }
        if asked == NETWORK_CONFIGS_MAX {
            tracing::warn!(
                provider,
                configs = asked,
                "webhook may belong to further configs: register the path of one config"
            );
            round.not_asked(config_id, "its provider was not asked: too many configs verify with theirs".into());
            break;
        }
        asked += 1;
        let Some((verdict, provider)) = verify_with_provider(cashier, &**gateway, raw, sender).await else {
            round.not_asked(config_id, BEYOND_PACE.into());
            continue;
        };
        round.take(cashier, &configs, cashier.receiver(&**gateway), verdict, provider);
    }
    for candidate in &candidates {
        match candidate {
            Ok(gateway) if round.wants(gateway.receiver().config_id) => {
                let verdict = gateway.verify(raw, true).await.answer;
                round.take_further(cashier.receiver(&**gateway), verdict);
            }
            Err(config_id) if round.wants(*config_id) => round.unavailable.push(*config_id),
            Ok(_) | Err(_) => {}
        }
    }
    let calls = tries.calls();
    (round.result(cashier, raw), calls)
}

/// A config whose gateway may verify; `Err` is one whose module is not working.
type Candidate = Result<Arc<dyn Gateway>, ConfigId>;

fn config_of(candidate: &Candidate) -> ConfigId {
    match candidate {
        Ok(gateway) => gateway.receiver().config_id,
        Err(config_id) => *config_id,
    }
}

/// The provider's configs, lowest id first. Those that receive nothing any more are left out.
fn candidates(cashier: &Cashier, provider: &str) -> Vec<Candidate> {
    let snapshot = cashier.snapshot();
    let open = |served: &Served| match &served.gateway {
        Ok(gateway) => Some(Ok(Arc::clone(gateway))),
        Err(NoGateway::Broken(_)) => Some(Err(served.config.id)),
        Err(NoGateway::Closed) => None,
    };
    snapshot.configs_of(provider).filter_map(open).collect()
}

/// What a gateway accepts of a notice that it reads nothing from.
enum Accepted {
    Ignored(VerifiedNotice),
    Unreadable(ReceivingConfig, UnreadableNotice),
}

/// What the gateways have answered so far.
#[derive(Default)]
struct Round {
    verified: Option<(VerifiedNotice, Option<Acknowledgement>, AskedProvider)>,
    /// Accepted without content, by the first gateway that did: taken if no other one reads more.
    accepted: Option<(Accepted, Option<Acknowledgement>, AskedProvider)>,
    /// Further configs whose gateways verified it, besides the receiver.
    others: Vec<ReceivingConfig>,
    /// Which configs may own what the verified updates are about.
    ownership: Ownership,
    tried: Vec<ConfigId>,
    unavailable: Vec<ConfigId>,
    /// Some gateway rejected it.
    is_rejected: bool,
    /// Some module could not judge it.
    is_unjudged: bool,
    /// Why it is not verified; an unavailable module weighs more than a rejection, since the notice may be valid.
    rejection: Option<(ConfigId, SignatureStatus, String)>,
}

impl Round {
    /// Before a notice is verified every gateway is tried, afterwards only the owner's.
    fn accepts(&self, config_id: ConfigId) -> bool {
        self.verified.is_none() || self.ownership.owner == Some(config_id)
    }

    /// It is verified, and the owner's gateway, if there is one, was tried.
    fn is_settled(&self) -> bool {
        self.verified.is_some() && self.ownership.owner.is_none_or(|owner| self.tried.contains(&owner))
    }

    /// It is verified, and this gateway was not shown it, whose config may own what it is about.
    fn wants(&self, config_id: ConfigId) -> bool {
        self.verified.is_some() && !self.tried.contains(&config_id) && self.ownership.others.contains(&config_id)
    }

    fn take(
        &mut self,
        cashier: &Cashier,
        configs: &[ConfigId],
        receiver: ReceivingConfig,
        verdict: Verdict,
        asked: AskedProvider,
    ) {
        self.tried.push(receiver.config_id);
        match verdict {
            Verdict::Verified { updates, event_id, ignored, acknowledgement } => {
                let without_content = updates.is_empty() && !ignored.is_empty();
                let ownership = Ownership::of(cashier, configs, receiver.config_id, &updates);
                let notice = VerifiedNotice::assertion(receiver, updates).described(event_id, ignored);
                if without_content {
                    self.accepted.get_or_insert((Accepted::Ignored(notice), acknowledgement, asked));
                } else {
                    self.ownership = ownership;
                    let before = self.verified.replace((notice, acknowledgement, asked));
                    self.others.extend(before.map(|(notice, ..)| notice.receiver().clone()));
                }
            }
            Verdict::Unreadable { notice, acknowledgement } => {
                let unreadable = (Accepted::Unreadable(receiver, notice), acknowledgement, asked);
                match &self.accepted {
                    Some((Accepted::Unreadable(..), ..)) => {}
                    Some((Accepted::Ignored(_), ..)) | None => self.accepted = Some(unreadable),
                }
            }
            // A module that wants a network although it has one.
            Verdict::NeedsNetwork => self.unavailable(receiver.config_id, "it needs another request".into()),
            Verdict::Rejected(reason) | Verdict::Undetermined(reason) => self.rejected(&receiver, reason),
            Verdict::NotWorking(reason) => self.unavailable(receiver.config_id, reason),
        }
    }

    /// The verdict of a further gateway on a notice that is verified: an owner's replaces the receiver's.
    fn take_further(&mut self, receiver: ReceivingConfig, verdict: Verdict) {
        self.tried.push(receiver.config_id);
        match (verdict, &mut self.verified) {
            (Verdict::Verified { updates, event_id, ignored, acknowledgement }, Some((notice, current, _)))
                if self.ownership.owner == Some(receiver.config_id) && !updates.is_empty() =>
            {
                self.others.push(notice.receiver().clone());
                *notice = VerifiedNotice::assertion(receiver, updates).described(event_id, ignored);
                *current = acknowledgement;
            }
            (Verdict::Verified { .. } | Verdict::Unreadable { .. }, _) => self.others.push(receiver),
            (Verdict::Rejected(_) | Verdict::Undetermined(_) | Verdict::NeedsNetwork, _) => {}
            (Verdict::NotWorking(_), _) => self.unavailable.push(receiver.config_id),
        }
    }

    fn rejected(&mut self, receiver: &ReceivingConfig, reason: String) {
        self.is_rejected = true;
        let weightier = matches!(&self.rejection, Some((_, SignatureStatus::Unknown, _)));
        if !weightier {
            self.rejection = Some((receiver.config_id, SignatureStatus::Invalid, reason));
        }
    }

    /// Its module is not working.
    fn unavailable(&mut self, config_id: ConfigId, reason: String) {
        self.is_unjudged = true;
        self.not_asked(config_id, reason);
    }

    /// A limit of ours kept it from being judged.
    fn not_asked(&mut self, config_id: ConfigId, reason: String) {
        self.unavailable.push(config_id);
        self.rejection = Some((config_id, SignatureStatus::Unknown, reason));
    }

    fn result(self, cashier: &Cashier, raw: &RawNotice) -> Verification {
        let account = self.verified.as_ref().map(|(notice, ..)| notice.receiver().merchant_account.clone());
        let awaited =
            |config: &&ConfigId| self.ownership.awaits(cashier, **config, account.as_deref().unwrap_or_default());
        let (is_rejected, is_unjudged) = (self.is_rejected, self.is_unjudged);
        let unavailable_owner = self.unavailable.iter().find(awaited).copied();
        let (verified, accepted) = match (self.verified, self.accepted) {
            (None, Some((Accepted::Ignored(notice), acknowledgement, asked))) => {
                (Some((notice, acknowledgement, asked)), None)
            }
            (None, Some((Accepted::Unreadable(receiver, notice), acknowledgement, asked))) => {
                (None, Some((receiver, notice, acknowledgement, asked)))
            }
            (verified, _) => (verified, None),
        };
        if let Some((receiver, mut notice, acknowledgement, asked)) = accepted {
            notice.references.extend(references_in(&raw.body));
            let received = Received::of(raw, &CaptureLimits::WHOLE);
            let webhook = UnreadableWebhook { receiver, notice, received, acknowledgement, asked };
            return Verification::Unreadable(Box::new(webhook));
        }
        let is_authentic = verified.is_some();
        let (config_id, signature, reason) = match (verified, unavailable_owner) {
            (Some((notice, acknowledgement, asked)), None) => {
                // Hashing and copying a body takes longer than any decision: done before the ledger's lock is taken.
                let received = Received::of(raw, &CaptureLimits::WHOLE);
                let notice = notice.also_verified_by(self.others);
                let webhook = VerifiedWebhook { notice, received, acknowledgement, asked };
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
        let is_invalid = signature == SignatureStatus::Invalid;
        let is_failure = is_invalid || (is_rejected && !is_unjudged && !is_authentic);
        let failure = if is_failure { NoticeFailure::Rejected } else { NoticeFailure::Unjudged };
        Verification::NotVerified { config_id, signature, failure, reason }
    }
}

/// Our references that occur in a body, whatever its format.
fn references_in(body: &[u8]) -> impl Iterator<Item = Reference> {
    let words = body.split(|byte| !byte.is_ascii_alphanumeric());
    words.filter_map(|word| std::str::from_utf8(word).ok().and_then(Reference::read)).take(MENTIONED_MAX)
}

/// What a module cannot determine offline it verifies with its provider, within a rate limit, so that unauthenticated senders
/// cannot make us call providers: known ones have one of their own, and those beyond their limit of failures none. That time is
/// the provider's. `None` beyond its pace: nothing is known about the notice then, it may be the provider's, so it must come again.
async fn verify_with_provider(
    cashier: &Cashier,
    gateway: &dyn Gateway,
    raw: &RawNotice,
    sender: &NoticeSender,
) -> Option<(Verdict, AskedProvider)> {
    if sender.is_restricted() {
        return None;
    }
    cashier.limits.network_verifications.check(gateway.receiver().config_id, sender.known_address()).ok()?;
    let began = cashier.clock.monotonic();
    let Called { answer, calls } = gateway.verify(raw, false).await;
    Some((answer, AskedProvider { time: cashier.clock.monotonic().saturating_sub(began), calls }))
}
