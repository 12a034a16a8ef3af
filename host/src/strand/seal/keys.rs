//! The key ring: every key that may still open a row; the one with the highest number seals. It is replaced while the server
//! runs, and seals nothing itself.

use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::key_file::{self, KeyEntry};
use crate::ports::Fault;

/// A file with more keys than this is no key ring.
const KEYS_MAX: usize = 64;

/// The keys of a file. No Debug: it holds keys.
#[derive(Clone)]
pub struct SealKeys {
    /// Ascending by id, never empty.
    keys: Vec<(u32, Zeroizing<[u8; 32]>)>,
}

impl SealKeys {
    /// Reads `<id>:<64 hex digits>` entries, separated by line ends or commas; `#` begins a comment line. A key is
    /// rotated by adding one with a higher id.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut keys: Vec<(u32, Zeroizing<[u8; 32]>)> = Vec::new();
        for KeyEntry { line, key } in key_file::entries(text, &[',']) {
            let malformed = |place: String| Fault::new(format!("{place}: a seal key is '<id>:<64 hex digits>'"));
            let (id, secret) = key.ok_or_else(|| malformed(format!("line {line}")))?;
            let place = key_file::place(line, id);
            let id: u32 = id.parse().map_err(|_| malformed(format!("line {line}")))?;
            let key = <[u8; 32]>::try_from(secret.as_slice()).map_err(|_| malformed(place.clone()))?;
            let key = Zeroizing::new(key);
            if keys.len() >= KEYS_MAX {
                return Err(Fault::new(format!("{place}: the seal key ring holds more than {KEYS_MAX} keys")));
            }
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(Fault::new(format!("{place}: the seal key ring names it twice")));
            }
            keys.push((id, key));
        }
        if keys.is_empty() {
            return Err(Fault::new("the seal key ring is empty: it needs at least one '<id>:<64 hex digits>' entry"));
        }
        keys.sort_unstable_by_key(|(id, _)| *id);
        Ok(Self { keys })
    }

    pub(super) fn newest(&self) -> Option<(u32, &[u8; 32])> {
        self.keys.last().map(|(id, key)| (*id, &**key))
    }

    /// The numbers of the keys, ascending.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.keys.iter().map(|(id, _)| *id)
    }

    pub(super) fn find(&self, id: u32) -> Option<&[u8; 32]> {
        let index = self.keys.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        self.keys.get(index).map(|(_, key)| &**key)
    }
}

/// The ring in use. A key that is taken out of the file opens what it sealed for as long as the process runs, so that a key
/// which was removed too early loses nothing: what it sealed is resealed.
pub struct SealRing {
    keys: RwLock<Arc<Ring>>,
}

/// The keys of the file, and those that were taken out of it.
pub(super) struct Ring {
    current: SealKeys,
    removed: Vec<(u32, Zeroizing<[u8; 32]>)>,
}

impl Ring {
    pub(super) fn newest(&self) -> Option<(u32, &[u8; 32])> {
        self.current.newest()
    }

    pub(super) fn find(&self, id: u32) -> Option<&[u8; 32]> {
        let removed = || self.removed.iter().find(|(known, _)| *known == id).map(|(_, key)| &**key);
        self.current.find(id).or_else(removed)
    }
}

impl SealRing {
    pub fn new(keys: SealKeys) -> Self {
        Self { keys: RwLock::new(Arc::new(Ring { current: keys, removed: Vec::new() })) }
    }

    pub(super) fn keys(&self) -> Arc<Ring> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the key is there that sealed this value.
    pub fn has_key_of(&self, sealed: &[u8]) -> bool {
        sealed_by(sealed).is_some_and(|(_, key)| self.keys().find(key).is_some())
    }

    /// The number of the key that seals.
    pub fn newest(&self) -> u32 {
        self.keys().newest().map_or(0, |(id, _)| id)
    }

    /// The numbers of the file's keys, ascending.
    pub fn ids(&self) -> Vec<u32> {
        self.keys().current.ids().collect()
    }

    /// Takes the keys of the file as it is now.
    ///
    /// # Errors
    /// A known number has another key: then one of them opens nothing, and the ring stays as it was.
    pub fn replace(&self, keys: SealKeys) -> Result<(), Fault> {
        let before = self.keys();
        let known = before.current.keys.iter().chain(&before.removed);
        if let Some((id, _)) = known.clone().find(|(id, key)| keys.find(*id).is_some_and(|new| *new != **key)) {
            return Err(Fault::new(format!("seal key {id} is another key than before: a new key needs a new number")));
        }
        let removed = known.filter(|(id, _)| keys.find(*id).is_none()).cloned().collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Ring { current: keys, removed });
        Ok(())
    }
}

/// The layout and the key of a sealed value, by its first bytes.
pub(in crate::strand) fn sealed_by(sealed: &[u8]) -> Option<(u8, u32)> {
    let (&[version], rest) = sealed.split_first_chunk::<1>()?;
    rest.first_chunk::<4>().map(|id| (version, u32::from_be_bytes(*id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1:1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "2:2222222222222222222222222222222222222222222222222222222222222222";

    #[test]
    fn a_malformed_key_ring_is_refused_without_showing_its_text() {
        let nearly = &ONE[..ONE.len() - 1];
        let twice = format!("{ONE}\n{ONE}");
        for text in ["", "# nothing", "canary", "x:11", "1:canary", nearly, &twice] {
            let refused = SealKeys::parse(text).err().unwrap().to_string();
            assert!(!refused.contains("canary") && !refused.contains("1111"), "{refused}");
        }
    }

    #[test]
    fn i11_what_is_wrong_with_the_ring_is_said_with_its_line_and_number() {
        let table = [
            (format!("# ring\n{ONE}\n2:22"), "line 3, key 2: a seal key is"),
            (format!("{ONE}\n\n{ONE}"), "line 3, key 1: the seal key ring names it twice"),
            (format!("{ONE},two:{}", &TWO[2..]), "line 1: a seal key is"),
        ];
        for (text, expected) in table {
            let refused = SealKeys::parse(&text).err().unwrap().to_string();
            assert!(refused.starts_with(expected) && !refused.contains("2222"), "{refused}");
        }
    }

    #[test]
    fn k1_a_key_that_left_the_file_opens_on_and_a_number_keeps_its_key() {
        let parsed = |text: &str| SealKeys::parse(text).unwrap();
        let ring = SealRing::new(parsed(ONE));
        ring.replace(parsed(&format!("{ONE}\n{TWO}"))).unwrap();
        assert_eq!((ring.newest(), ring.ids()), (2, vec![1, 2]));
        ring.replace(parsed(TWO)).unwrap();
        assert_eq!((ring.newest(), ring.ids()), (2, vec![2]));
        assert!(ring.keys().find(1).is_some() && ring.keys().find(3).is_none());
        for other in [TWO.replace("2:", "1:"), ONE.replace("1:", "2:")] {
            let refused = ring.replace(parsed(&other)).unwrap_err().to_string();
            assert!(refused.ends_with("is another key than before: a new key needs a new number"), "{refused}");
        }
        ring.replace(parsed(ONE)).unwrap();
        assert_eq!((ring.newest(), ring.keys().find(2).is_some()), (1, true), "the file's highest number seals");
    }
}
