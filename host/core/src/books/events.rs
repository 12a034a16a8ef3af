//! The keys of all verified events, permanently (`seen`); and in full the events that wait: for their transaction, or for a
//! build of the module that can read them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::seen::SeenEvents;
use crate::ids::{ConfigId, EventId};
use crate::notice::{ProviderEvent, Update};
use crate::refs::ProviderRef;
use crate::status::{ProcessingStatus, SignatureStatus};
use crate::time::UnixTime;

/// What a pending event can be found by: a provider id that a transaction may receive later, or the id of its payment. Never
/// our reference, because a transaction is durable before the provider receives it.
type PendingKey = (ConfigId, ProviderRef, EventId);

/// The texts of a row besides those of its update: provider, brand, event id, hash of the module.
const ROW_TEXTS: usize = 256;

#[derive(Default)]
pub(super) struct Events {
    pub(super) seen: SeenEvents,
    pending: BTreeMap<EventId, ProviderEvent>,
    pending_by_time: BTreeSet<(UnixTime, EventId)>,
    /// What is pending takes, of each config and in all. Bounded by what `inbox::file` accepts.
    pending_sizes: BTreeMap<ConfigId, PendingSize>,
    pending_in_all: PendingSize,
    pending_keys: BTreeSet<PendingKey>,
    /// Statements about money whose transaction never appeared; found by `pending_keys` too, should it appear after all.
    unmatched: BTreeMap<EventId, ProviderEvent>,
    /// Bounded for each config by what `inbox::file_unreadable` accepts.
    unread: BTreeMap<(ConfigId, EventId), Unread>,
}

/// An authentic notice that no build of its module has understood yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub event: ProviderEvent,
    /// Of the stored body.
    pub bytes: u64,
}

/// How many events are pending, and about how much memory they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PendingSize {
    pub events: u64,
    pub bytes: u64,
}

impl PendingSize {
    /// Of one event with this update that so many configs verified: each id is held in the row, and again as a key of each.
    pub fn of(update: &Update, configs: usize) -> Self {
        let fixed = size_of::<ProviderEvent>() + ROW_TEXTS;
        let texts = [&update.event_id, &update.payment_id, &update.raw_status, &update.reason];
        let texts = texts.iter().map(|text| text.len()).sum::<usize>();
        let ids = update.ids().map(|id| size_of::<PendingKey>() + id.kind.len() + id.value.len()).sum::<usize>();
        let bytes = fixed.saturating_add(texts).saturating_add(ids.saturating_mul(configs.saturating_add(1)));
        Self { events: 1, bytes: bytes as u64 }
    }

    fn of_row(event: &ProviderEvent) -> Self {
        let of = |update| Self::of(update, event.also_verified_by.len().saturating_add(1));
        event.update.as_ref().map_or(Self { events: 1, bytes: 0 }, of)
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { events: self.events.saturating_add(other.events), bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn minus(self, other: Self) -> Self {
        Self { events: self.events.saturating_sub(other.events), bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

impl Events {
    /// Quarantined events take no part in deduplication or matching.
    /// `bytes` is the length of the notice's body, where the caller knows it.
    pub(super) fn put(&mut self, event: &ProviderEvent, bytes: Option<u64>) {
        match event.signature_status {
            SignatureStatus::Valid => {}
            SignatureStatus::Unknown | SignatureStatus::Invalid => return,
        }
        self.seen.remember(event.config_id, &event.event_id, event.id);
        let known = self.take_pending(event.id).or_else(|| self.unmatched.remove(&event.id));
        if let Some(known) = known {
            for key in pending_keys_of(&known) {
                self.pending_keys.remove(&key);
            }
        }
        let before = self.unread.remove(&(event.config_id, event.id));
        if event.is_unread() {
            let bytes = bytes.or(before.map(|known| known.bytes)).unwrap_or_default();
            self.unread.insert((event.config_id, event.id), Unread { event: event.clone(), bytes });
        }
        if event.is_unmatched_payment() {
            self.pending_keys.extend(pending_keys_of(event));
            self.unmatched.insert(event.id, event.clone());
        }
        match event.processing_status {
            ProcessingStatus::Pending => {
                self.pending_keys.extend(pending_keys_of(event));
                self.pending_by_time.insert((event.created_time, event.id));
                self.pending.insert(event.id, event.clone());
                let (size, own) = (PendingSize::of_row(event), self.pending_sizes.entry(event.config_id).or_default());
                *own = own.plus(size);
                self.pending_in_all = self.pending_in_all.plus(size);
            }
            ProcessingStatus::Processed | ProcessingStatus::Failed | ProcessingStatus::Ignored => {}
        }
    }

    pub(super) fn unmatched(&self) -> impl ExactSizeIterator<Item = &ProviderEvent> {
        self.unmatched.values()
    }

    pub(super) fn unread(&self) -> impl ExactSizeIterator<Item = &Unread> {
        self.unread.values()
    }

    pub(super) fn waiting_after(&self, id: EventId, most: usize) -> Vec<&ProviderEvent> {
        let after = (Bound::Excluded(id), Bound::Unbounded);
        let next = |events: &'_ BTreeMap<EventId, ProviderEvent>| -> Vec<EventId> {
            events.range(after).take(most).map(|(id, _)| *id).collect()
        };
        let mut ids = [next(&self.pending), next(&self.unmatched)].concat();
        ids.sort_unstable();
        ids.truncate(most);
        ids.iter().filter_map(|id| self.pending.get(id).or_else(|| self.unmatched.get(id))).collect()
    }

    pub(super) fn unread_after(&self, key: (ConfigId, EventId), most: usize) -> Vec<&ProviderEvent> {
        let after = (Bound::Excluded(key), Bound::Unbounded);
        self.unread.range(after).take(most).map(|(_, known)| &known.event).collect()
    }

    pub(super) fn unread_of(&self, config: ConfigId) -> impl Iterator<Item = &Unread> {
        self.unread.range((config, EventId(0))..=(config, EventId(u64::MAX))).map(|(_, known)| known)
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty() || !self.unmatched.is_empty()
    }

    /// Takes back what is known of a row; its key belongs to `owner` from now on.
    pub(super) fn restore(&mut self, (id, config, event_id): (EventId, ConfigId, &str), owner: Option<EventId>) {
        if let Some(known) = self.take_pending(id).or_else(|| self.unmatched.remove(&id)) {
            pending_keys_of(&known).for_each(|key| {
                self.pending_keys.remove(&key);
            });
        }
        self.unread.remove(&(config, id));
        self.seen.restore(config, event_id, owner);
    }

    fn take_pending(&mut self, id: EventId) -> Option<ProviderEvent> {
        let known = self.pending.remove(&id)?;
        self.pending_by_time.remove(&(known.created_time, id));
        let size = PendingSize::of_row(&known);
        self.pending_in_all = self.pending_in_all.minus(size);
        let left = self.pending_size_of(known.config_id).minus(size);
        if left.events == 0 {
            self.pending_sizes.remove(&known.config_id);
        } else {
            self.pending_sizes.insert(known.config_id, left);
        }
        Some(known)
    }

    pub(super) fn pending_size_of(&self, config: ConfigId) -> PendingSize {
        self.pending_sizes.get(&config).copied().unwrap_or_default()
    }

    pub(super) fn pending_in_all(&self) -> PendingSize {
        self.pending_in_all
    }

    /// Those received before a time, the oldest first.
    pub(super) fn pending_before(&self, time: UnixTime) -> impl Iterator<Item = &ProviderEvent> {
        let old = self.pending_by_time.range(..(time, EventId(0)));
        old.filter_map(|(_, id)| self.pending.get(id))
    }

    pub(super) fn pending_by_id(&self, id: EventId) -> Option<&ProviderEvent> {
        self.pending.get(&id)
    }

    /// Whether so many wait under a config for a transaction with this id, or are listed without one.
    pub(super) fn wait_for(&self, config: ConfigId, id: &ProviderRef, count: usize) -> bool {
        if self.pending_keys.len() < count {
            return false;
        }
        let key = |event| -> PendingKey { (config, id.clone(), event) };
        self.pending_keys.range(key(EventId(0))..=key(EventId(u64::MAX))).take(count).count() == count
    }

    pub(super) fn pending_for<'r>(
        &self,
        config: ConfigId,
        refs: impl Iterator<Item = &'r ProviderRef>,
    ) -> Vec<ProviderEvent> {
        let mut found: BTreeSet<EventId> = BTreeSet::new();
        for known in refs {
            let key = |id| -> PendingKey { (config, known.clone(), id) };
            found.extend(self.pending_keys.range(key(EventId(0))..=key(EventId(u64::MAX))).map(|(.., id)| *id));
        }
        found.iter().filter_map(|id| self.pending.get(id).or_else(|| self.unmatched.get(id))).cloned().collect()
    }
}

fn pending_keys_of(event: &ProviderEvent) -> impl Iterator<Item = PendingKey> {
    let configs = move || std::iter::once(event.config_id).chain(event.also_verified_by.iter().copied());
    let ids = event.update.iter().flat_map(Update::ids);
    ids.flat_map(move |known| configs().map(move |config| (config, known.clone(), event.id)))
}
