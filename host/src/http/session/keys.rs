//! Secret keys that sign and verify session tokens (HS256), and what they may sign. It reads no claims.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key_file::{self, KeyEntry};
use crate::ports::Fault;

/// The algorithm of secrets.
pub(super) const HS256: &str = "HS256";

/// Keys valid at once: an old one and a new one, with a margin for several issuers.
pub(super) const KEYS_MAX: usize = 8;

/// Shortest secret, in bytes: HS256 needs as many bits as its hash has (RFC 7518, section 3.2).
const SECRET_LENGTH_MIN: usize = 32;

/// Whose tokens a key may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signs {
    Both,
    Customers,
    Managers,
}

impl Signs {
    /// As a key file names it.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "customer" => Some(Self::Customers),
            "manager" => Some(Self::Managers),
            _ => None,
        }
    }

    pub(super) const fn covers(self, customer: bool) -> bool {
        match self {
            Self::Both => true,
            Self::Customers => customer,
            Self::Managers => !customer,
        }
    }
}

/// A key that signs and verifies session tokens. It has no Debug.
#[derive(PartialEq)]
pub struct SessionKey {
    pub(super) kid: Box<str>,
    pub(super) signs: Signs,
    secret: Zeroizing<Vec<u8>>,
}

impl SessionKey {
    /// A key under its id, for every role; tokens without a `kid` are tried with every key.
    pub fn new(kid: &str, secret: &[u8]) -> Result<Self, Fault> {
        Self::scoped(kid, Signs::Both, secret)
    }

    pub(super) fn scoped(kid: &str, signs: Signs, secret: &[u8]) -> Result<Self, Fault> {
        if secret.len() < SECRET_LENGTH_MIN {
            return Err(Fault::new(format!("a session key needs at least {SECRET_LENGTH_MIN} bytes")));
        }
        Ok(Self { kid: kid.into(), signs, secret: Zeroizing::new(secret.to_vec()) })
    }

    pub(super) fn mac(&self, message: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        mac.update(message.as_bytes());
        Some(mac)
    }
}

/// The keys of a key file: lines of `kid:hex`, `kid:customer:hex` or `kid:manager:hex`, the first key for a role signs its
/// tokens. A text without keys has none.
pub(super) fn parse_keys(text: &str) -> Result<Vec<SessionKey>, Fault> {
    const WRONG: &str = "a session key is a line of kid:hex, kid:customer:hex or kid:manager:hex";
    let mut keys: Vec<SessionKey> = Vec::new();
    for KeyEntry { line, key } in key_file::entries(text, &[]) {
        let wrong = || Fault::new(format!("line {line}: {WRONG}"));
        let (named, secret) = key.ok_or_else(wrong)?;
        let (kid, signs) = match named.split_once(':') {
            None => (named, Signs::Both),
            Some((kid, role)) => (kid, Signs::from_name(role.trim()).ok_or_else(wrong)?),
        };
        let kid = kid.trim();
        let here = |fault: Fault| fault.during(key_file::place(line, kid));
        let key = SessionKey::scoped(kid, signs, &secret).map_err(here)?;
        if keys.iter().any(|known| known.kid == key.kid) {
            return Err(here(Fault::new("an earlier line has the same id")));
        }
        keys.push(key);
    }
    distinct(keys.iter().map(|key| &*key.kid), KEYS_MAX)?;
    Ok(keys)
}

/// Whether the keys of one file are few enough and each has an id of its own.
pub(super) fn distinct<'k>(ids: impl Iterator<Item = &'k str>, keys_max: usize) -> Result<(), Fault> {
    let mut ids: Vec<&str> = ids.collect();
    let count = ids.len();
    if count > keys_max {
        return Err(Fault::new(format!("at most {keys_max} session keys are valid at once")));
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.len() == count { Ok(()) } else { Err(Fault::new("two session keys have the same id")) }
}
