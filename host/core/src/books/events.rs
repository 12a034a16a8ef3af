//! Which genuine events were heard, for ever, in 25 bytes each; and in full those that still wait.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashTable;

use super::finding::wide_hash;
use crate::ids::{ConfigId, EventId, Reference};
use crate::notice::ProviderEvent;
use crate::refs::Refs;
use crate::status::{ProcessingStatus, SignatureStatus};

/// A dedup key whose text is on disk only.
struct Heard {
    key: [u64; 2],
    id: EventId,
}

/// What a pending event can be found by: a reference (kind empty) or a provider id.
type Name = (ConfigId, Box<str>, Box<str>, EventId);

#[derive(Default)]
pub(super) struct Events {
    heard: HashTable<Heard>,
    pending: BTreeMap<EventId, ProviderEvent>,
    names: BTreeSet<Name>,
}

impl Events {
    /// Events that were not genuine take no part in dedup or matching.
    pub(super) fn put(&mut self, event: &ProviderEvent) {
        match event.signature_status {
            SignatureStatus::Valid => {}
            SignatureStatus::Unknown | SignatureStatus::Invalid => return,
        }
        self.remember(event.config_id, &event.event_id, event.id);
        if let Some(known) = self.pending.remove(&event.id) {
            for name in names_of(&known) {
                self.names.remove(&name);
            }
        }
        match event.processing_status {
            ProcessingStatus::Pending => {
                self.names.extend(names_of(event));
                self.pending.insert(event.id, event.clone());
            }
            ProcessingStatus::Processed | ProcessingStatus::Failed | ProcessingStatus::Ignored => {}
        }
    }

    pub(super) fn heard(&self, config: ConfigId, event_id: &str) -> Option<EventId> {
        let key = key_of(config, event_id);
        self.heard.find(key[0], |known| known.key == key).map(|known| known.id)
    }

    pub(super) fn remember(&mut self, config: ConfigId, event_id: &str, id: EventId) {
        let key = key_of(config, event_id);
        if self.heard.find(key[0], |known| known.key == key).is_none() {
            self.heard.insert_unique(key[0], Heard { key, id }, |known| known.key[0]);
        }
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = &ProviderEvent> {
        self.pending.values()
    }

    pub(super) fn pending_by_id(&self, id: EventId) -> Option<&ProviderEvent> {
        self.pending.get(&id)
    }

    pub(super) fn pending_for(&self, config: ConfigId, reference: &Reference, refs: &Refs) -> Vec<EventId> {
        let mut found: Vec<EventId> = Vec::new();
        let by_ref = refs.iter().map(|id| (&*id.kind, &*id.value));
        for (kind, value) in std::iter::once(("", reference.as_str())).chain(by_ref) {
            let name = |id| -> Name { (config, kind.into(), value.into(), id) };
            found.extend(self.names.range(name(EventId(0))..=name(EventId(u64::MAX))).map(|(.., id)| *id));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn key_of(config: ConfigId, event_id: &str) -> [u64; 2] {
    let hash = wide_hash((config.0, event_id));
    [(hash >> 64) as u64, hash as u64]
}

fn names_of(event: &ProviderEvent) -> Vec<Name> {
    let Some(update) = &event.update else { return Vec::new() };
    let reference = update.reference.iter().map(|reference| ("", reference.as_str()));
    let refs = update.refs.iter().map(|id| (&*id.kind, &*id.value));
    reference.chain(refs).map(|(kind, value)| (event.config_id, kind.into(), value.into(), event.id)).collect()
}
