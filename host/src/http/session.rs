//! Session tokens: JWT, HS256 alone, several keys at once (API.md section 7). The only file that asserts who is context.
//! The clock is handed in and nothing is cached: a check costs two hashes of a short text, finding a token in a cache
//! costs one, and a key that was removed must end its tokens at once.

pub mod following;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cashier_core::ids::{CustomerId, ID_MAX, ManagerId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{CustomerSession, ManagerSession, Role};
use cashier_core::time::UnixTime;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ports::Fault;
use crate::wire::envelope::TOKEN_LENGTH_MAX;

/// Keys valid at once: an old one, a new one, and room for one per issuer.
const KEYS_MAX: usize = 8;

/// Shortest secret, in bytes: HS256 asks for as many bits as its hash has (RFC 7518, section 3.2).
const SECRET_LENGTH_MIN: usize = 32;

/// How far clocks of issuers may run ahead, in seconds; for `nbf` and `iat`, never for `exp`.
const CLOCK_SKEW_SECONDS: i64 = 30;

/// The one algorithm; a token that names another is not read further.
const ALGORITHM: &str = "HS256";

/// A key that signs and verifies session tokens. It has no Debug.
pub struct SessionKey {
    kid: Box<str>,
    secret: Zeroizing<Vec<u8>>,
}

impl SessionKey {
    /// A key under its id; an empty id serves tokens that name none.
    pub fn new(kid: &str, secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < SECRET_LENGTH_MIN {
            return Err(KeyError::Short);
        }
        Ok(Self { kid: kid.into(), secret: Zeroizing::new(secret.to_vec()) })
    }

    fn mac(&self, message: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        mac.update(message.as_bytes());
        Some(mac)
    }
}

/// Reads the text of a key file: lines of `kid:hex`, the signing key first; empty lines and `#` comments pass.
pub fn parse_keys(text: &str) -> Result<Vec<SessionKey>, KeyError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let (kid, secret) = line.split_once(':').ok_or(KeyError::NotALine)?;
        let secret = Zeroizing::new(hex::decode(secret.trim()).map_err(|_| KeyError::NotALine)?);
        SessionKey::new(kid.trim(), &secret)
    };
    lines.map(read).collect()
}

/// Why keys cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyError {
    NotALine,
    Short,
    None,
    TooMany,
    SameId,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotALine => f.write_str("a session key is a line of kid:hex"),
            Self::Short => write!(f, "a session key needs at least {SECRET_LENGTH_MIN} bytes"),
            Self::None => f.write_str("at least one session key is needed"),
            Self::TooMany => write!(f, "at most {KEYS_MAX} session keys are valid at once"),
            Self::SameId => f.write_str("two session keys have the same id"),
        }
    }
}

impl std::error::Error for KeyError {}

/// The keys that are valid. Replacing them takes effect with the next request.
pub struct SessionKeys {
    keys: ArcSwap<Vec<SessionKey>>,
}

impl SessionKeys {
    /// The first key signs what [`issue_token`] prints.
    pub fn new(keys: Vec<SessionKey>) -> Result<Self, KeyError> {
        Ok(Self { keys: ArcSwap::from_pointee(sound(keys)?) })
    }

    pub fn replace(&self, keys: Vec<SessionKey>) -> Result<(), KeyError> {
        self.keys.store(Arc::new(sound(keys)?));
        Ok(())
    }

    /// Who the customer is. Every doubt is 403 PERMISSION_DENIED, as published for customer paths.
    pub fn customer(&self, authorization: Option<&str>, now: UnixTime) -> Result<CustomerSession, Refusal> {
        let denied = || Refusal::new(RefusalCode::PermissionDenied, "a valid customer session is required");
        let claims = authorization.and_then(|value| self.verify(bare(value), now)).ok_or_else(denied)?;
        match claims.role {
            Role::Customer => Ok(CustomerSession::assertion(CustomerId(claims.id), claims.brand)),
            Role::User
            | Role::Manager
            | Role::Dealer
            | Role::Admin
            | Role::System
            | Role::Fix
            | Role::CrmManager
            | Role::CrmAdmin => Err(denied()),
        }
    }

    /// Who the manager is: 401 RET_UNAUTHORIZED without a good token. What the role may do is the command's to say.
    pub fn manager(&self, token: Option<&str>, now: UnixTime) -> Result<ManagerSession, Refusal> {
        let claims = token
            .and_then(|value| self.verify(bare(value), now))
            .ok_or_else(|| Refusal::new(RefusalCode::Unauthorized, "a valid manager token is required"))?;
        Ok(ManagerSession::assertion(ManagerId(claims.id), claims.role, claims.brand))
    }

    fn verify(&self, token: &str, now: UnixTime) -> Option<Checked> {
        if token.len() > TOKEN_LENGTH_MAX {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.alg != ALGORITHM || header.crit.is_some() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let keys = self.keys.load();
        let meant = |key: &&SessionKey| header.kid.as_deref().is_none_or(|kid| kid == &*key.kid);
        let signed = |key: &SessionKey| key.mac(message).is_some_and(|mac| mac.verify_slice(&signature).is_ok());
        keys.iter().filter(meant).any(signed).then_some(())?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        claims.check(now)
    }
}

/// Makes a token signed by the first key; for the command line and tests.
pub fn issue_token(
    keys: &SessionKeys,
    role: Role,
    id: u64,
    brand: Option<&str>,
    ttl_seconds: i64,
    now: UnixTime,
) -> Result<String, Fault> {
    let fault = || Fault::new("a token could not be signed");
    let keys = keys.keys.load();
    let key = keys.first().ok_or_else(fault)?;
    let kid = (!key.kid.is_empty()).then(|| key.kid.to_string());
    let header = Header { alg: ALGORITHM.into(), kid, crit: None };
    let claims = Claims {
        id,
        role: role.number().into(),
        exp: now.plus(ttl_seconds).0,
        nbf: None,
        iat: Some(now.0),
        brand: brand.map(Into::into),
    };
    let (header, claims) = (serde_json::to_vec(&header).ok(), serde_json::to_vec(&claims).ok());
    let (header, claims) = header.zip(claims).ok_or_else(fault)?;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.mac(&message).ok_or_else(fault)?.finalize().into_bytes();
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn sound(keys: Vec<SessionKey>) -> Result<Vec<SessionKey>, KeyError> {
    if keys.is_empty() {
        return Err(KeyError::None);
    }
    if keys.len() > KEYS_MAX {
        return Err(KeyError::TooMany);
    }
    let mut ids: Vec<&str> = keys.iter().map(|key| &*key.kid).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() == keys.len() { Ok(keys) } else { Err(KeyError::SameId) }
}

/// `Bearer <JWT>` and `<JWT>` are both published.
fn bare(authorization: &str) -> &str {
    let value = authorization.trim();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        Some(_) | None => value,
    }
}

/// What a checked token says.
struct Checked {
    id: u64,
    role: Role,
    brand: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    /// Extensions that must be understood; none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    id: u64,
    role: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<Box<str>>,
}

impl Claims {
    fn check(self, now: UnixTime) -> Option<Checked> {
        let soonest = now.plus(CLOCK_SKEW_SECONDS).0;
        let timely =
            now.0 < self.exp && self.nbf.is_none_or(|nbf| nbf <= soonest) && self.iat.is_none_or(|iat| iat <= soonest);
        let known = (1..=ID_MAX).contains(&self.id);
        let role = Role::from_number(self.role).filter(|_| timely && known)?;
        // Unset strings are empty on the wire, so an issuer's empty brand is an omitted one.
        let brand = self.brand.filter(|brand| !brand.is_empty());
        Some(Checked { id: self.id, role, brand })
    }
}

#[cfg(test)]
mod tests;
