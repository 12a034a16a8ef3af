//! Seals credential columns: `version | key id | nonce | ciphertext`, bound to the table, column and row they belong to,
//! so that a sealed value copied elsewhere does not open. It does not decide which columns are secret; `rows` does.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::key_file;
use crate::ports::{Entropy, Fault};

/// The layout below, as the first byte of every sealed value.
const VERSION: u8 = 1;
/// Version, key id, nonce: what stands before the ciphertext.
const HEADER_BYTES: usize = 1 + 4 + NONCE_BYTES;
/// XChaCha20's nonce: long enough that random ones never meet.
const NONCE_BYTES: usize = 24;
/// A ring of this many keys is a file that holds something else.
const KEYS_MAX: usize = 64;

/// The key ring: every key that may still open a row, the one with the highest id seals. No Debug: it holds keys.
pub struct SealKeys {
    /// Ascending by id, never empty.
    keys: Vec<(u32, Zeroizing<[u8; 32]>)>,
}

impl SealKeys {
    /// Reads `<id>:<64 hex digits>` entries, separated by line ends or commas; `#` begins a comment line. A key is
    /// rotated by adding one with a higher id.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut keys: Vec<(u32, Zeroizing<[u8; 32]>)> = Vec::new();
        for entry in key_file::entries(text, &[',']) {
            let place = keys.len() + 1;
            let malformed = || Fault::new(format!("seal key entry {place} is not '<id>:<64 hex digits>'"));
            let (id, secret) = entry.ok_or_else(malformed)?;
            let id: u32 = id.parse().map_err(|_| malformed())?;
            let key = Zeroizing::new(<[u8; 32]>::try_from(secret.as_slice()).map_err(|_| malformed())?);
            if keys.len() >= KEYS_MAX {
                return Err(Fault::new(format!("the seal key ring holds more than {KEYS_MAX} keys")));
            }
            if keys.iter().any(|(known, _)| *known == id) {
                return Err(Fault::new(format!("the seal key ring names key {id} twice")));
            }
            keys.push((id, key));
        }
        if keys.is_empty() {
            return Err(Fault::new("the seal key ring is empty: it needs one '<id>:<64 hex digits>' entry at least"));
        }
        keys.sort_unstable_by_key(|(id, _)| *id);
        Ok(Self { keys })
    }

    fn find(&self, id: u32) -> Option<&[u8; 32]> {
        let place = self.keys.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        self.keys.get(place).map(|(_, key)| &**key)
    }
}

/// Where a sealed value lives; part of what is authenticated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) row: u64,
}

impl Place {
    fn bytes(self) -> Vec<u8> {
        format!("{}/{}/{}", self.table, self.column, self.row).into_bytes()
    }
}

/// The ring together with the source of nonces.
pub(super) struct Seal {
    keys: SealKeys,
    entropy: Arc<dyn Entropy>,
}

impl Seal {
    pub(super) fn new(keys: SealKeys, entropy: Arc<dyn Entropy>) -> Self {
        Self { keys, entropy }
    }

    pub(super) fn close(&self, place: Place, text: &str) -> Result<Vec<u8>, Fault> {
        let Some((id, key)) = self.keys.keys.last() else { return Err(unsealable(place, "the ring is empty")) };
        let mut nonce = [0; NONCE_BYTES];
        let (head, tail) = nonce.split_at_mut(16);
        head.copy_from_slice(&self.entropy.bits().to_le_bytes());
        let more = self.entropy.bits().to_le_bytes();
        tail.iter_mut().zip(more).for_each(|(to, from)| *to = from);
        let payload = Payload { msg: text.as_bytes(), aad: &place.bytes() };
        let ciphertext = XChaCha20Poly1305::new(&Key::from(**key))
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| unsealable(place, "the text is too long to seal"))?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&id.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    pub(super) fn open(&self, place: Place, sealed: &[u8]) -> Result<Zeroizing<String>, Fault> {
        let short = || unsealable(place, "the sealed value is cut short");
        let (&[version], rest) = sealed.split_first_chunk::<1>().ok_or_else(short)?;
        if version != VERSION {
            return Err(unsealable(place, &format!("sealed in layout {version}, this program knows {VERSION}")));
        }
        let (id, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(short)?;
        let id = u32::from_be_bytes(*id);
        let Some(key) = self.keys.find(id) else {
            return Err(unsealable(place, &format!("sealed with key {id}, which is not in the key ring")));
        };
        let payload = Payload { msg: ciphertext, aad: &place.bytes() };
        let text = XChaCha20Poly1305::new(&Key::from(*key))
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| unsealable(place, &format!("key {id} does not open it: another key or changed bytes")))?;
        match String::from_utf8(text) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(unsealable(place, "the opened value is not text"))
            }
        }
    }
}

fn unsealable(place: Place, why: &str) -> Fault {
    Fault::new(format!("{} {}: {}: {why}", place.table, place.row, place.column))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    struct Counting(AtomicU64);

    impl Entropy for Counting {
        fn bits(&self) -> u128 {
            u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 7
        }
    }

    fn seal(ring: &str) -> Seal {
        Seal::new(SealKeys::parse(ring).unwrap(), Arc::new(Counting(AtomicU64::new(0))))
    }

    const ONE: &str = "1:1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "2:2222222222222222222222222222222222222222222222222222222222222222";
    const PLACE: Place = Place { table: "provider_config", column: "secret_key", row: 3 };

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let seal = seal(ONE);
        let sealed = seal.close(PLACE, "sk_live_canary").unwrap();
        assert_eq!(sealed.len(), HEADER_BYTES + "sk_live_canary".len() + 16);
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(seal.open(PLACE, &sealed).unwrap().as_str(), "sk_live_canary");
        let elsewhere =
            [Place { row: 4, ..PLACE }, Place { column: "webhook_secret", ..PLACE }, Place { table: "other", ..PLACE }];
        for place in elsewhere {
            assert!(seal.open(place, &sealed).is_err());
        }
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(seal.open(PLACE, &changed).is_err(), "byte {place}");
            assert!(seal.open(PLACE, &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_nonce_is_used_once() {
        let seal = seal(ONE);
        assert_ne!(seal.close(PLACE, "same").unwrap(), seal.close(PLACE, "same").unwrap());
    }

    #[test]
    fn keys_rotate_by_adding_a_higher_one() {
        let old = seal(ONE).close(PLACE, "x").unwrap();
        let both = seal(&format!("# the ring\n{TWO}\n{ONE}\n"));
        assert_eq!(both.open(PLACE, &old).unwrap().as_str(), "x");
        let new = both.close(PLACE, "y").unwrap();
        assert_eq!(seal(&format!("{ONE},{TWO}")).open(PLACE, &new).unwrap().as_str(), "y");
        let missing = seal(ONE).open(PLACE, &new).unwrap_err().to_string();
        assert_eq!(missing, "provider_config 3: secret_key: sealed with key 2, which is not in the key ring");
    }

    #[test]
    fn a_ring_that_is_none_is_refused_without_showing_it() {
        let nearly = &ONE[..ONE.len() - 1];
        let twice = format!("{ONE}\n{ONE}");
        for text in ["", "# nothing", "canary", "x:11", "1:canary", nearly, &twice] {
            let refused = SealKeys::parse(text).err().unwrap().to_string();
            assert!(!refused.contains("canary") && !refused.contains("1111"), "{refused}");
        }
    }
}
