//! Encrypts credential columns: `version | key id | nonce | ciphertext`, bound to table, column and row and to the clear terms
//! of the row as they are stored, so that a sealed value does not open in another cell, nor beside other terms. It does not
//! decide which columns are secret; `rows` does.

mod keys;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use cashier_core::provider_config::UnreadableColumn;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

pub(super) use self::keys::sealed_by;
pub use self::keys::{SealKeys, SealRing};
use crate::ports::{Entropy, Fault};

/// The layout that is written, as the first byte of every sealed value.
pub(super) const VERSION: u8 = 2;
/// The layout before it, which is bound to no terms: it opens, and is resealed.
const UNBOUND: u8 = 1;
/// Version and key id.
const KEYED_BYTES: usize = 1 + 4;
/// The same and nonce, before the ciphertext.
const HEADER_BYTES: usize = KEYED_BYTES + NONCE_BYTES;
/// What the cipher adds to a text.
const TAG_BYTES: usize = 16;
/// XChaCha20's nonce: long enough that random ones never collide.
const NONCE_BYTES: usize = 24;

/// Clear columns of a row that its sealed ones are bound to, as they are stored.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms(Vec<u8>);

impl Terms {
    /// Each with its length before it, so that no two lists have the same bytes.
    pub(super) fn of(columns: &[&str]) -> Self {
        let mut bytes = Vec::new();
        for column in columns {
            bytes.extend_from_slice(&(column.len() as u64).to_be_bytes());
            bytes.extend_from_slice(column.as_bytes());
        }
        Self(bytes)
    }
}

/// The cell that a sealed value belongs to, and the terms of its row: the associated data of its encryption.
#[derive(Debug, Clone, Copy)]
pub(super) struct SealContext<'t> {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) row: u64,
    pub(super) terms: &'t Terms,
}

impl SealContext<'_> {
    /// The associated data of a layout.
    fn bytes(self, version: u8) -> Vec<u8> {
        let mut cell = format!("{}/{}/{}", self.table, self.column, self.row).into_bytes();
        if version != UNBOUND {
            cell.extend_from_slice(b"/terms ");
            cell.extend_from_slice(&self.terms.0);
        }
        cell
    }
}

/// The ring together with the source of nonces.
pub(super) struct Seal {
    ring: Arc<SealRing>,
    entropy: Arc<dyn Entropy>,
    /// Keys of audit fingerprints that were reported not to open: they are looked at with every secret that is recorded.
    reported: Mutex<BTreeSet<u64>>,
}

impl Seal {
    pub(super) fn new(ring: Arc<SealRing>, entropy: Arc<dyn Entropy>) -> Self {
        Self { ring, entropy, reported: Mutex::default() }
    }

    /// Whether this key of audit fingerprints was not reported yet.
    pub(super) fn is_first_report(&self, audit_key: u64) -> bool {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(audit_key)
    }

    /// As many random bits as a key has.
    pub(super) fn random_key(&self) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let (head, tail) = key.split_at_mut(16);
        head.copy_from_slice(&self.entropy.bits().to_le_bytes());
        tail.copy_from_slice(&self.entropy.bits().to_le_bytes());
        key
    }

    /// What every value begins with that is sealed now.
    pub(super) fn newest(&self) -> [u8; KEYED_BYTES] {
        keyed(VERSION, self.ring.newest())
    }

    pub(super) fn seal(&self, context: SealContext<'_>, text: &str) -> Result<Vec<u8>, Fault> {
        self.seal_in(VERSION, context, text)
    }

    /// As an earlier release sealed.
    #[cfg(test)]
    pub(super) fn seal_unbound(&self, context: SealContext<'_>, text: &str) -> Vec<u8> {
        self.seal_in(UNBOUND, context, text).unwrap_or_default()
    }

    fn seal_in(&self, version: u8, context: SealContext<'_>, text: &str) -> Result<Vec<u8>, Fault> {
        let fault = |why| Fault::new(format!("{} {}: {}: {why}", context.table, context.row, context.column));
        let keys = self.ring.keys();
        let Some((id, key)) = keys.newest() else { return Err(fault("the ring is empty")) };
        let mut nonce = [0; NONCE_BYTES];
        let (head, tail) = nonce.split_at_mut(16);
        head.copy_from_slice(&self.entropy.bits().to_le_bytes());
        let more = self.entropy.bits().to_le_bytes();
        tail.iter_mut().zip(more).for_each(|(to, from)| *to = from);
        let payload = Payload { msg: text.as_bytes(), aad: &context.bytes(version) };
        let ciphertext = XChaCha20Poly1305::new(&Key::from(*key))
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| fault("the text is too long to seal"))?;
        let mut sealed = Vec::with_capacity(HEADER_BYTES + ciphertext.len());
        sealed.extend_from_slice(&keyed(version, id));
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// The text, or why it does not open.
    pub(super) fn open(&self, context: SealContext<'_>, sealed: &[u8]) -> Result<Zeroizing<String>, String> {
        let short = || "the sealed value is cut short".to_owned();
        let (&[version], rest) = sealed.split_first_chunk::<1>().ok_or_else(short)?;
        if !matches!(version, UNBOUND | VERSION) {
            return Err(format!("sealed in layout {version}, this program knows {UNBOUND} and {VERSION}"));
        }
        let (id, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(short)?;
        let id = u32::from_be_bytes(*id);
        let keys = self.ring.keys();
        let Some(key) = keys.find(id) else {
            return Err(format!("sealed with key {id}, which is not in the key ring"));
        };
        let payload = Payload { msg: ciphertext, aad: &context.bytes(version) };
        let text = XChaCha20Poly1305::new(&Key::from(*key)).decrypt(&XNonce::from(*nonce), payload).map_err(|_| {
            format!("key {id} does not open it: another key, changed bytes, or changed terms of its row")
        })?;
        String::from_utf8(text).map(Zeroizing::new).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            "the opened value is not text".to_owned()
        })
    }
}

fn keyed(version: u8, key: u32) -> [u8; KEYED_BYTES] {
    let mut bytes = [version; KEYED_BYTES];
    bytes.iter_mut().skip(1).zip(key.to_be_bytes()).for_each(|(to, from)| *to = from);
    bytes
}

impl Seal {
    /// The text of a column; `blank` is what it holds where nothing is missed. A value of that length whose key is lost is
    /// blank: nobody can give it again. One whose key is there was changed.
    ///
    /// # Errors
    /// The column that does not open, as it is stored.
    pub(super) fn read(
        &self,
        context: SealContext<'_>,
        sealed: &[u8],
        blank: &str,
    ) -> Result<Zeroizing<String>, UnreadableColumn> {
        // Asked before: a key that comes meanwhile may open it.
        let had_key = self.ring.has_key_of(sealed);
        self.open(context, sealed).or_else(|why| {
            let lost = UnreadableColumn { had_key, ..unreadable(context, sealed, why, blank) };
            if lost.holds_text || sealed_by(sealed).is_none() || had_key {
                Err(lost)
            } else {
                Ok(Zeroizing::new(blank.to_owned()))
            }
        })
    }
}

/// A column whose key gives no text that is understood, kept as it is stored; `blank` is what it holds where nothing is missed.
pub(super) fn unreadable(context: SealContext<'_>, sealed: &[u8], why: String, blank: &str) -> UnreadableColumn {
    let text_bytes = sealed.len().saturating_sub(HEADER_BYTES + TAG_BYTES);
    let holds_text = text_bytes > blank.len() || sealed.len() < HEADER_BYTES + TAG_BYTES;
    UnreadableColumn { column: context.column, sealed: sealed.into(), holds_text, had_key: true, why: why.into() }
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
        Seal::new(Arc::new(SealRing::new(SealKeys::parse(ring).unwrap())), Arc::new(Counting(AtomicU64::new(0))))
    }

    const ONE: &str = "1:1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "2:2222222222222222222222222222222222222222222222222222222222222222";
    const CONTEXT: SealContext<'static> =
        SealContext { table: "provider_config", column: "secret_key", row: 3, terms: &Terms(Vec::new()) };

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
            SealContext { terms: &Terms::of(&["stripe"]), ..CONTEXT },
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
    fn k1_the_layout_without_terms_opens_in_its_cell_and_terms_have_one_meaning() {
        let seal = seal(ONE);
        let old = seal.seal_unbound(CONTEXT, "x");
        assert_eq!(sealed_by(&old), Some((UNBOUND, 1)));
        let bound = SealContext { terms: &Terms::of(&["stripe", "ion4"]), ..CONTEXT };
        assert_eq!(seal.open(bound, &old).unwrap().as_str(), "x");
        assert!(seal.open(SealContext { row: 4, ..CONTEXT }, &old).is_err());
        let new = seal.seal(bound, "x").unwrap();
        assert_eq!(sealed_by(&new), Some((VERSION, 1)));
        for terms in
            [&["stripeion4", ""][..], &["", "stripeion4"], &["stripe"], &["stripe", "ion4", ""], &["ion4", "stripe"]]
        {
            assert!(seal.open(SealContext { terms: &Terms::of(terms), ..CONTEXT }, &new).is_err(), "{terms:?}");
        }
        let relabelled = [&[UNBOUND][..], &new[1..]].concat();
        assert!(seal.open(bound, &relabelled).is_err(), "the layout is no way around the terms");
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
        assert_eq!(missing, "sealed with key 2, which is not in the key ring");
    }
}
