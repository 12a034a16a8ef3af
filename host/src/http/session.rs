//! Session tokens: JWT, HS256 only, several keys at once (API.md section 7). The only file that asserts a session. The
//! clock is handed in and nothing is cached: a check costs two hashes of a short text, finding a token in a cache costs
//! one, and removing a key must invalidate its tokens at once.

pub mod reload;

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

use crate::key_file;
use crate::ports::Fault;
use crate::wire::envelope::TOKEN_LENGTH_MAX;

/// Keys valid at once: an old one and a new one, with a margin for several issuers.
const KEYS_MAX: usize = 8;

/// Shortest secret, in bytes: HS256 needs as many bits as its hash has (RFC 7518, section 3.2).
const SECRET_LENGTH_MIN: usize = 32;

/// How far clocks of issuers may run ahead, in seconds; for `nbf` and `iat`, never for `exp`.
const CLOCK_SKEW_SECONDS: i64 = 30;

/// The only algorithm; a token that names another is rejected unread.
const ALGORITHM: &str = "HS256";

/// A key that signs and verifies session tokens. It has no Debug.
pub struct SessionKey {
    kid: Box<str>,
    secret: Zeroizing<Vec<u8>>,
}

impl SessionKey {
    /// A key under its id; tokens without a `kid` are tried with every key.
    pub fn new(kid: &str, secret: &[u8]) -> Result<Self, Fault> {
        if secret.len() < SECRET_LENGTH_MIN {
            return Err(Fault::new(format!("a session key needs at least {SECRET_LENGTH_MIN} bytes")));
        }
        Ok(Self { kid: kid.into(), secret: Zeroizing::new(secret.to_vec()) })
    }

    fn mac(&self, message: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        mac.update(message.as_bytes());
        Some(mac)
    }
}

/// The keys of a key file: lines of `kid:hex`, the signing key first.
fn parse_keys(text: &str) -> Result<Vec<SessionKey>, Fault> {
    let read = |entry: Option<(&str, Zeroizing<Vec<u8>>)>| {
        let (kid, secret) = entry.ok_or_else(|| Fault::new("a session key is a line of kid:hex"))?;
        SessionKey::new(kid.trim(), &secret)
    };
    key_file::entries(text, &[]).map(read).collect()
}

/// The valid keys. Replacing them takes effect with the next request.
pub struct SessionKeys {
    keys: ArcSwap<Vec<SessionKey>>,
}

impl SessionKeys {
    /// The first key signs what [`issue_token`] makes.
    pub fn new(keys: Vec<SessionKey>) -> Result<Self, Fault> {
        Ok(Self { keys: ArcSwap::from_pointee(validated(keys)?) })
    }

    /// The keys of a key file.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        parse_keys(text).and_then(Self::new)
    }

    pub fn replace(&self, keys: Vec<SessionKey>) -> Result<(), Fault> {
        self.keys.store(Arc::new(validated(keys)?));
        Ok(())
    }

    /// The customer of a token. Any token that is not valid is 403 PERMISSION_DENIED, as published for customer paths.
    pub fn customer(&self, authorization: Option<&str>, now: UnixTime) -> Result<CustomerSession, Refusal> {
        let denied = || Refusal::new(RefusalCode::PermissionDenied, "a valid customer session is required");
        let claims = authorization.and_then(|value| self.verify(without_scheme(value), now)).ok_or_else(denied)?;
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

    /// The manager of a token; 401 RET_UNAUTHORIZED without a valid one. Each command checks the role.
    pub fn manager(&self, token: Option<&str>, now: UnixTime) -> Result<ManagerSession, Refusal> {
        let claims = token
            .and_then(|value| self.verify(without_scheme(value), now))
            .ok_or_else(|| Refusal::new(RefusalCode::Unauthorized, "a valid manager token is required"))?;
        Ok(ManagerSession::assertion(ManagerId(claims.id), claims.role, claims.brand))
    }

    fn verify(&self, token: &str, now: UnixTime) -> Option<VerifiedClaims> {
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
        let named = |key: &&SessionKey| header.kid.as_deref().is_none_or(|kid| kid == &*key.kid);
        let signed = |key: &SessionKey| key.mac(message).is_some_and(|mac| mac.verify_slice(&signature).is_ok());
        keys.iter().filter(named).any(signed).then_some(())?;
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

fn validated(keys: Vec<SessionKey>) -> Result<Vec<SessionKey>, Fault> {
    if keys.is_empty() {
        return Err(Fault::new("at least one session key is needed"));
    }
    if keys.len() > KEYS_MAX {
        return Err(Fault::new(format!("at most {KEYS_MAX} session keys are valid at once")));
    }
    let mut ids: Vec<&str> = keys.iter().map(|key| &*key.kid).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() == keys.len() { Ok(keys) } else { Err(Fault::new("two session keys have the same id")) }
}

/// `Bearer <JWT>` and `<JWT>` are both published.
fn without_scheme(authorization: &str) -> &str {
    let value = authorization.trim();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        Some(_) | None => value,
    }
}

/// The claims of a token that passed every check.
struct VerifiedClaims {
    id: u64,
    role: Role,
    brand: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    /// Extensions that must be understood; none is supported.
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
    fn check(self, now: UnixTime) -> Option<VerifiedClaims> {
        let latest = now.plus(CLOCK_SKEW_SECONDS).0;
        let in_time =
            now.0 < self.exp && self.nbf.is_none_or(|nbf| nbf <= latest) && self.iat.is_none_or(|iat| iat <= latest);
        let known = (1..=ID_MAX).contains(&self.id);
        let role = Role::from_number(self.role).filter(|_| in_time && known)?;
        // Unset strings are empty on the wire, so an issuer's empty brand is an omitted one.
        let brand = self.brand.filter(|brand| !brand.is_empty());
        Some(VerifiedClaims { id: self.id, role, brand })
    }
}

#[cfg(test)]
mod tests;
