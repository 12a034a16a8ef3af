//! Encrypts credential columns: `version | key id | nonce | ciphertext`, bound to table, column and row, so that a sealed
//! value copied elsewhere does not open. It does not decide which columns are secret; `rows` does.

use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit as HmacInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key_file;
use crate::ports::{Entropy, Fault};

/// The layout below, as the first byte of every sealed value.
const VERSION: u8 = 1;
/// Version, key id and nonce, before the ciphertext.
const HEADER_BYTES: usize = 1 + 4 + NONCE_BYTES;
/// XChaCha20's nonce: long enough that random ones never collide.
const NONCE_BYTES: usize = 24;
/// What a fingerprint is computed over before the secret, so that no other use of the key gives the same digest.
const FINGERPRINT: &[u8] = b"cashier secret fingerprint 1";
const FINGERPRINT_BYTES: usize = 6;
/// A file with more keys than this is no key ring.
const KEYS_MAX: usize = 64;

/// The key ring: every key that may still open a row; the one with the highest id seals. No Debug: it holds keys.
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
            let number = keys.len() + 1;
            let malformed = || Fault::new(format!("seal key entry {number} is not '<id>:<64 hex digits>'"));
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
            return Err(Fault::new("the seal key ring is empty: it needs at least one '<id>:<64 hex digits>' entry"));
        }
        keys.sort_unstable_by_key(|(id, _)| *id);
        Ok(Self { keys })
    }

    fn find(&self, id: u32) -> Option<&[u8; 32]> {
        let index = self.keys.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        self.keys.get(index).map(|(_, key)| &**key)
    }
}

/// The cell that a sealed value belongs to: the associated data of its encryption.
#[derive(Debug, Clone, Copy)]
pub(super) struct SealContext {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) row: u64,
}

impl SealContext {
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

    pub(super) fn seal(&self, context: SealContext, text: &str) -> Result<Vec<u8>, Fault> {
        let Some((id, key)) = self.keys.keys.last() else { return Err(seal_fault(context, "the ring is empty")) };
        let mut nonce = [0; NONCE_BYTES];
        let (head, tail) = nonce.split_at_mut(16);
        head.copy_from_slice(&self.entropy.bits().to_le_bytes());
        let more = self.entropy.bits().to_le_bytes();
        tail.iter_mut().zip(more).for_each(|(to, from)| *to = from);
        let payload = Payload { msg: text.as_bytes(), aad: &context.bytes() };
        let ciphertext = XChaCha20Poly1305::new(&Key::from(**key))
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| seal_fault(context, "the text is too long to seal"))?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&id.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// A keyed digest of a secret, short enough to be no substitute for it: equal secrets of one purpose are seen to be
    /// equal, and without the key ring no guess can be checked. The key's id stands before it, since another key gives
    /// another digest.
    pub(super) fn fingerprint(&self, purpose: &str, secret: &str) -> String {
        let Some((id, key)) = self.keys.keys.last() else { return String::new() };
        let Ok(mut mac) = <Hmac<Sha256> as HmacInit>::new_from_slice(&**key) else { return String::new() };
        mac.update(FINGERPRINT);
        for part in [purpose, secret] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        format!("fingerprint {id}:{}", hex::encode(digest.get(..FINGERPRINT_BYTES).unwrap_or_default()))
    }

    pub(super) fn open(&self, context: SealContext, sealed: &[u8]) -> Result<Zeroizing<String>, Fault> {
        let short = || seal_fault(context, "the sealed value is cut short");
        let (&[version], rest) = sealed.split_first_chunk::<1>().ok_or_else(short)?;
        if version != VERSION {
            return Err(seal_fault(context, &format!("sealed in layout {version}, this program knows {VERSION}")));
        }
        let (id, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(short)?;
        let id = u32::from_be_bytes(*id);
        let Some(key) = self.keys.find(id) else {
            return Err(seal_fault(context, &format!("sealed with key {id}, which is not in the key ring")));
        };
        let payload = Payload { msg: ciphertext, aad: &context.bytes() };
        let text = XChaCha20Poly1305::new(&Key::from(*key))
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| seal_fault(context, &format!("key {id} does not open it: another key or changed bytes")))?;
        match String::from_utf8(text) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(seal_fault(context, "the opened value is not text"))
            }
        }
    }
}

fn seal_fault(context: SealContext, why: &str) -> Fault {
    Fault::new(format!("{} {}: {}: {why}", context.table, context.row, context.column))
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
    const CONTEXT: SealContext = SealContext { table: "provider_config", column: "secret_key", row: 3 };

    #[test]
    fn a_sealed_value_opens_in_its_own_cell_alone() {
        let seal = seal(ONE);
        let sealed = seal.seal(CONTEXT, "sk_live_canary").unwrap();
        assert_eq!(sealed.len(), HEADER_BYTES + "sk_live_canary".len() + 16);
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(seal.open(CONTEXT, &sealed).unwrap().as_str(), "sk_live_canary");
        let elsewhere = [
            SealContext { row: 4, ..CONTEXT },
            SealContext { column: "webhook_secret", ..CONTEXT },
            SealContext { table: "other", ..CONTEXT },
        ];
        for context in elsewhere {
            assert!(seal.open(context, &sealed).is_err());
        }
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(seal.open(CONTEXT, &changed).is_err(), "byte {index}");
            assert!(seal.open(CONTEXT, &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn a_nonce_is_used_once() {
        let seal = seal(ONE);
        assert_ne!(seal.seal(CONTEXT, "same").unwrap(), seal.seal(CONTEXT, "same").unwrap());
    }

    #[test]
    fn keys_rotate_by_adding_a_higher_one() {
        let old = seal(ONE).seal(CONTEXT, "x").unwrap();
        let both = seal(&format!("# the ring\n{TWO}\n{ONE}\n"));
        assert_eq!(both.open(CONTEXT, &old).unwrap().as_str(), "x");
        let new = both.seal(CONTEXT, "y").unwrap();
        assert_eq!(seal(&format!("{ONE},{TWO}")).open(CONTEXT, &new).unwrap().as_str(), "y");
        let missing = seal(ONE).open(CONTEXT, &new).unwrap_err().to_string();
        assert_eq!(missing, "provider_config 3: secret_key: sealed with key 2, which is not in the key ring");
    }

    #[test]
    fn a_malformed_key_ring_is_refused_without_showing_its_text() {
        let nearly = &ONE[..ONE.len() - 1];
        let twice = format!("{ONE}\n{ONE}");
        for text in ["", "# nothing", "canary", "x:11", "1:canary", nearly, &twice] {
            let refused = SealKeys::parse(text).err().unwrap().to_string();
            assert!(!refused.contains("canary") && !refused.contains("1111"), "{refused}");
        }
    }
}
