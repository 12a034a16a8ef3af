//! Addresses from which a webhook verified lately, for each provider, and for its live and its sandbox configs apart: who has the
//! secret of a test is known by no live config.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use cashier_core::recent::Recent;
use sha2::{Digest, Sha256};

/// Addresses that are remembered for one provider because a webhook of theirs verified; providers send from tens.
const KNOWN_ADDRESSES_MAX: usize = 1_024;

/// How long an address is known after a webhook of it verified, here and where places for connections are reserved: a provider
/// with one payment a day stays known.
pub const KNOWN_ADDRESS_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The configs that a webhook may be meant for: those of one provider and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoticeScope {
    provider: u16,
    is_sandbox: bool,
}

impl NoticeScope {
    /// A name that nobody configured is counted like a provider's, in a table of limited size.
    pub(in crate::flows) fn new(provider: &str, is_sandbox: bool) -> Self {
        let [first, second, ..] = <[u8; 32]>::from(Sha256::digest(provider));
        Self { provider: u16::from_be_bytes([first, second]), is_sandbox }
    }

    pub(super) fn of_mode(self, is_sandbox: bool) -> Self {
        Self { is_sandbox, ..self }
    }
}

/// When a webhook from each address last verified.
#[derive(Debug, Default)]
pub(super) struct KnownSenders(BTreeMap<NoticeScope, Recent<IpAddr>>);

impl KnownSenders {
    pub(super) fn is_known(&self, scope: NoticeScope, address: IpAddr, now: Duration) -> bool {
        self.0.get(&scope).is_some_and(|known| known.contains(&address, now))
    }

    pub(super) fn proved(&mut self, scope: NoticeScope, address: IpAddr, now: Duration) {
        let known = self.0.entry(scope).or_insert_with(|| Recent::new(KNOWN_ADDRESSES_MAX, KNOWN_ADDRESS_TIME_MAX));
        known.note(address, now);
    }

    pub(super) fn forget_idle(&mut self, now: Duration) {
        self.0.retain(|_, known| {
            while known.forget_old(now).is_some() {}
            !known.is_empty()
        });
    }
}
