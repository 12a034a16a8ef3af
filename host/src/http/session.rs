//! Session tokens: JWT under our own secrets (HS256) or the public keys of other issuers, several keys at once (API.md section 7).
//! The only file that asserts a session. The clock is handed in and nothing is cached: a check under a secret costs two hashes
//! of a short text, and removing a key must invalidate its tokens at once.

mod claims;
pub mod files;
mod issue;
mod keys;
mod public_keys;
mod refused;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cashier_core::ids::{CustomerId, ManagerId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{CustomerSession, ManagerSession, Role};
use cashier_core::time::UnixTime;
use hmac::Mac;
use serde::{Deserialize, Serialize};

pub use self::claims::{BREAK_GLASS_SECONDS_MAX, SessionRules};
use self::claims::{Claims, VerifiedClaims, stated};
pub use self::issue::NewToken;
pub use self::keys::SessionKey;
use self::keys::{HS256, Signs, parse_keys};
use self::public_keys::PublicKey;
use self::refused::{RefusedSignIns, RefusedToken, TokenProblem};
use crate::followed_file::FileProblems;
use crate::ports::Fault;
use crate::wire::envelope::TOKEN_LENGTH_MAX;

/// The valid keys and what is asked of every token. Replacing keys takes effect with the next request.
#[derive(Default)]
pub struct SessionKeys {
    secrets: ArcSwap<Vec<SessionKey>>,
    public: ArcSwap<Vec<PublicKey>>,
    /// The `jti` of tokens that are not valid.
    revoked: ArcSwap<BTreeSet<Box<str>>>,
    rules: SessionRules,
    refused: RefusedSignIns,
    problems: Arc<FileProblems>,
}

impl SessionKeys {
    /// Secrets alone. The first key for a role signs what [`issue_token`] makes.
    pub fn new(keys: Vec<SessionKey>) -> Result<Self, Fault> {
        let session_keys = Self::default();
        session_keys.replace(keys)?;
        Ok(session_keys)
    }

    /// The keys of a key file.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        parse_keys(text).and_then(Self::new)
    }

    pub fn with_rules(self, rules: SessionRules) -> Self {
        Self { rules, ..self }
    }

    pub fn replace(&self, keys: Vec<SessionKey>) -> Result<(), Fault> {
        if keys.is_empty() {
            return Err(Fault::new("at least one session key is needed"));
        }
        keys::distinct(keys.iter().map(|key| &*key.kid), keys::KEYS_MAX)?;
        self.secrets.store(Arc::new(keys));
        Ok(())
    }

    /// A token of these keys, signed by the first that may sign for its role.
    pub fn issue(&self, new: NewToken<'_>, now: UnixTime) -> Result<String, Fault> {
        issue::sign(&self.secrets.load(), &self.rules, new, now)
    }

    /// Where what is wrong with followed files is kept, also with those of other keys.
    pub(crate) fn file_problems(&self) -> &Arc<FileProblems> {
        &self.problems
    }

    /// What is wrong with the files that keys are followed from.
    pub fn problems(&self) -> Vec<String> {
        self.problems.sentences()
    }

    /// The customer of a token. Any token that is not valid is 403 PERMISSION_DENIED, as published for customer paths.
    /// `from` is the client's address, for the log.
    pub fn customer(
        &self,
        authorization: Option<&str>,
        from: IpAddr,
        now: UnixTime,
    ) -> Result<CustomerSession, Refusal> {
        let denied = || Refusal::new(RefusalCode::PermissionDenied, "a valid customer session is required");
        let token = presented(authorization).ok_or_else(denied)?;
        let claims = self.verify(token, now).and_then(|claims| match claims.role {
            Role::Customer => Ok(claims),
            Role::User
            | Role::Manager
            | Role::Dealer
            | Role::Admin
            | Role::System
            | Role::Fix
            | Role::CrmManager
            | Role::CrmAdmin => {
                let role = Some(claims.role.number().into());
                Err(RefusedToken { id: Some(claims.id), role, ..TokenProblem::NotACustomer.into() })
            }
        });
        match claims {
            Ok(claims) => Ok(CustomerSession::assertion(CustomerId(claims.id), claims.brand)),
            Err(refused) => {
                self.refused.log("customer", &refused, from, now);
                Err(denied())
            }
        }
    }

    /// The manager of a token; 401 RET_UNAUTHORIZED without a valid one. Each command checks the role.
    pub fn manager(&self, token: Option<&str>, from: IpAddr, now: UnixTime) -> Result<ManagerSession, Refusal> {
        let denied = || Refusal::new(RefusalCode::Unauthorized, "a valid manager token is required");
        let token = presented(token).ok_or_else(denied)?;
        match self.verify(token, now) {
            Ok(claims) => {
                let session = ManagerSession::assertion(ManagerId(claims.id), claims.role, claims.brand);
                Ok(if claims.breaks_glass { session.breaking_glass() } else { session })
            }
            Err(refused) => {
                self.refused.log("manager", &refused, from, now);
                Err(denied())
            }
        }
    }

    /// Whether a request begins with a manager's token, before anything else of it is read. It logs nothing: the message may have
    /// another token, and that is the one that counts.
    pub(in crate::http) fn is_managers(&self, authorization: Option<&str>, now: UnixTime) -> bool {
        let claims = presented(authorization).and_then(|token| self.verify(token, now).ok());
        claims.is_some_and(|claims| claims.role.may_manage_cashier())
    }

    fn verify(&self, token: &str, now: UnixTime) -> Result<VerifiedClaims, RefusedToken> {
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(TokenProblem::Malformed.into());
        }
        let header = Header::read(token).ok_or(TokenProblem::Malformed)?;
        let with_kid = |reason| RefusedToken { kid: header.kid.clone(), ..RefusedToken::from(reason) };
        if header.crit.is_some() {
            return Err(with_kid(TokenProblem::Algorithm));
        }
        let (signs, claims) = match &*header.alg {
            HS256 => self.under_a_secret(token, &header),
            other => public_keys::algorithm(other)
                .ok_or(TokenProblem::Algorithm)
                .and_then(|algorithm| self.under_a_public_key(token, &header, algorithm)),
        }
        .map_err(with_kid)?;
        let revoked = self.revoked.load();
        let checked = claims.check(&self.rules, |jti| revoked.contains(jti), now).and_then(|verified| {
            let customer = verified.role == Role::Customer;
            if signs.iter().any(|signs| signs.covers(customer)) { Ok(verified) } else { Err(TokenProblem::KeyScope) }
        });
        checked.map_err(|reason| {
            let Claims { id, role, jti, .. } = claims;
            RefusedToken { id: Some(id), role: Some(role), jti, ..with_kid(reason) }
        })
    }

    /// What the secrets that signed a token may sign, and its claims. Without `kid` every secret is tried.
    fn under_a_secret(&self, token: &str, header: &Header) -> Result<(Vec<Signs>, Claims), TokenProblem> {
        let keys = self.secrets.load();
        let named: Vec<&SessionKey> =
            keys.iter().filter(|key| header.kid.as_deref().is_none_or(|kid| kid == &*key.kid)).collect();
        if named.is_empty() {
            return Err(TokenProblem::UnknownKey);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenProblem::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenProblem::Malformed)?;
        let signed = |key: &SessionKey| key.mac(message).is_some_and(|mac| mac.verify_slice(&signature).is_ok());
        let signs: Vec<Signs> = named.into_iter().filter(|key| signed(key)).map(|key| key.signs).collect();
        if signs.is_empty() {
            return Err(TokenProblem::Signature);
        }
        Ok((signs, Claims::of(message)?))
    }

    /// The same for public keys; a token names its key.
    fn under_a_public_key(
        &self,
        token: &str,
        header: &Header,
        algorithm: jsonwebtoken::Algorithm,
    ) -> Result<(Vec<Signs>, Claims), TokenProblem> {
        let keys = self.public.load();
        let kid = header.kid.as_deref().ok_or(TokenProblem::UnknownKey)?;
        let key = keys.iter().find(|key| &*key.kid == kid && key.algorithm == algorithm);
        let key = key.ok_or(TokenProblem::UnknownKey)?;
        // Other issuers say nothing about who owns this host.
        Ok((vec![key.signs], Claims { break_glass: false, ..key.claims(token)? }))
    }
}

/// Makes a token that cannot be revoked; for the demo and tests.
pub fn issue_token(
    keys: &SessionKeys,
    role: Role,
    id: u64,
    brand: Option<&str>,
    ttl_seconds: i64,
    now: UnixTime,
) -> Result<String, Fault> {
    keys.issue(NewToken { role, id, brand, every_brand: false, break_glass: false, ttl_seconds, jti: None }, now)
}

/// The token of a header or a message; none is no sign-in.
fn presented(authorization: Option<&str>) -> Option<&str> {
    authorization.map(without_scheme).filter(|token| !token.is_empty())
}

/// `Bearer <JWT>` and `<JWT>` are both published.
fn without_scheme(authorization: &str) -> &str {
    let value = authorization.trim();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        Some(_) | None => value,
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<Box<str>>,
    /// Extensions that must be understood; none is supported, whatever is written here.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

impl Header {
    /// The header of a token of three parts.
    fn read(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let header = parts.next()?;
        if parts.count() != 2 {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
    }
}

#[cfg(test)]
mod tests;
