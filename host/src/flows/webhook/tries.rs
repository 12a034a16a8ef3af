//! Which configs a webhook is shown to, and in which order: first those that it names, then those that verified one lately. Each
//! is asked once, and counted when it is asked, so that webhooks sent at once cost no more than one after the other. While nobody
//! has proven that the webhook is authentic, its sender decides what it costs; once a config has, the others are asked as they are
//! needed. It judges no verdict.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cashier_core::ids::{ConfigId, Reference};

use crate::flows::Cashier;
use crate::flows::notice_limits::{NoticeSender, SMALL_NOTICE_LENGTH_MAX};
use crate::ports::{Gateway, RawNotice, Verdict};

/// Configs that a webhook is shown to while forged ones of the provider may cost no more.
const LIKELY_CONFIGS_MAX: usize = 8;

/// Words of a webhook that are looked up as references, and as ids of the provider.
const NAMES_LOOKED_UP_MAX: usize = 64;

/// Bytes of a provider's id: shorter words are everywhere.
const ID_WORD_LENGTH_MIN: usize = 6;
const ID_WORD_LENGTH_MAX: usize = 128;

/// The offline verdicts on one webhook.
pub(super) struct Tries<'n> {
    cashier: &'n Cashier,
    sender: &'n NoticeSender,
    raw: &'n RawNotice,
    verdicts: BTreeMap<ConfigId, Verdict>,
    calls: usize,
    /// Configs that were not asked yet may be.
    is_open: bool,
}

impl<'n> Tries<'n> {
    /// Asks one gateway after the other until one finds the webhook authentic, or enough were asked.
    pub(super) async fn likely_first(
        cashier: &'n Cashier,
        mut gateways: Vec<&Arc<dyn Gateway>>,
        raw: &'n RawNotice,
        sender: &'n NoticeSender,
    ) -> Self {
        let mut tries = Self { cashier, sender, raw, verdicts: BTreeMap::new(), calls: 0, is_open: true };
        if gateways.len() > 1 {
            let configs: Vec<ConfigId> = gateways.iter().map(|gateway| gateway.receiver().config_id).collect();
            let verified = cashier.limits.notices.last_verified(&configs);
            let verified: BTreeMap<_, _> = configs.into_iter().zip(verified).collect();
            let named = named(cashier, raw);
            gateways.sort_by_key(|gateway| {
                let config = gateway.receiver().config_id;
                (!named.contains(&config), Reverse(verified.get(&config).copied().flatten()), config)
            });
        }
        for (place, gateway) in gateways.into_iter().enumerate() {
            if place >= LIKELY_CONFIGS_MAX && cashier.limits.notices.is_spent(sender) {
                tries.is_open = false;
                break;
            }
            let config = gateway.receiver().config_id;
            let verdict = tries.ask(&**gateway).await;
            let is_authentic = matches!(verdict, Verdict::Verified { .. } | Verdict::Unreadable { .. });
            tries.verdicts.insert(config, verdict);
            if is_authentic {
                break;
            }
        }
        tries
    }

    /// The verdict of this gateway; `None` where it is not asked.
    pub(super) async fn verdict(&mut self, gateway: &dyn Gateway) -> Option<Verdict> {
        match self.verdicts.remove(&gateway.receiver().config_id) {
            Some(verdict) => Some(verdict),
            None if self.is_open => Some(self.ask(gateway).await),
            None => None,
        }
    }

    /// How many gateways were asked.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    async fn ask(&mut self, gateway: &dyn Gateway) -> Verdict {
        self.calls += 1;
        self.cashier.limits.notices.charge(self.sender, self.raw.body.len());
        gateway.verify(self.raw, true).await.answer
    }
}

/// The configs of the transactions that a webhook names, by our reference or by an id of the provider, whatever its format. Anybody
/// may write such a name: it decides who is asked first, and nothing else.
fn named(cashier: &Cashier, raw: &RawNotice) -> BTreeSet<ConfigId> {
    let body = raw.body.get(..SMALL_NOTICE_LENGTH_MAX).unwrap_or(&raw.body);
    let parts = [body, raw.raw_query.as_bytes()];
    let words = |is_part: fn(&u8) -> bool| {
        let split = parts.into_iter().flat_map(move |part| part.split(move |byte| !is_part(byte)));
        split.filter_map(|word| std::str::from_utf8(word).ok())
    };
    let references: Vec<Reference> =
        words(u8::is_ascii_alphanumeric).filter_map(Reference::read).take(NAMES_LOOKED_UP_MAX).collect();
    let is_id = |word: &&str| {
        (ID_WORD_LENGTH_MIN..=ID_WORD_LENGTH_MAX).contains(&word.len())
            && word.bytes().any(|byte| byte.is_ascii_digit())
    };
    let ids: BTreeSet<&str> = words(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
        .filter(is_id)
        .take(NAMES_LOOKED_UP_MAX)
        .collect();
    let found = cashier.ledger.peek(|books| {
        let of_reference = |reference| books.transaction(books.by_reference(reference)?).map(|known| known.config_id);
        let by_reference = references.iter().filter_map(of_reference);
        by_reference.chain(ids.iter().flat_map(|id| books.configs_with_id(id))).collect()
    });
    found.unwrap_or_default()
}
