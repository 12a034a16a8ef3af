//! Session tokens: JWT, HS256 alone, several keys at once (API.md section 7). The only file that asserts who is asking.
//! The clock is handed in and nothing is cached: a check costs two hashes of a short text, finding a token in a cache
//! costs one, and a key that was removed must end its tokens at once.

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
pub const KEYS_MAX: usize = 8;

/// Shortest secret, in bytes: HS256 asks for as many bits as its hash has (RFC 7518, section 3.2).
pub const SECRET_LENGTH_MIN: usize = 32;

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
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_779_270_000);

    fn key(kid: &str, letter: u8) -> SessionKey {
        SessionKey::new(kid, &[letter; 32]).unwrap()
    }

    fn keys() -> SessionKeys {
        SessionKeys::new(vec![key("new", b'n'), key("old", b'o')]).unwrap()
    }

    fn signed(header: &str, claims: &str, letter: u8) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mac = key("", letter).mac(&message).unwrap().finalize().into_bytes();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    fn customer(token: &str) -> Option<u64> {
        keys().customer(Some(token), NOW).ok().map(|session| session.customer_id().0)
    }

    #[test]
    fn an_issued_token_is_good_until_its_last_second_with_either_spelling() {
        let keys = keys();
        let token = issue_token(&keys, Role::Customer, 5, Some("ion4"), 3600, NOW).unwrap();
        for spelling in [token.clone(), format!("Bearer {token}"), format!("bearer  {token} ")] {
            let session = keys.customer(Some(&spelling), NOW).unwrap();
            assert_eq!((session.customer_id(), session.brand()), (CustomerId(5), Some("ion4")));
        }
        assert!(keys.customer(Some(&token), NOW.plus(3599)).is_ok());
        assert!(keys.customer(Some(&token), NOW.plus(3600)).is_err());
        let refusal = keys.customer(None, NOW).unwrap_err();
        assert_eq!(refusal.to_string(), "PERMISSION_DENIED: a valid customer session is required");
    }

    #[test]
    fn a_token_of_another_implementation_verifies() {
        // RFC 7515, appendix A.1, with its own key; its claims are not ours, so only the signature is compared.
        let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let rfc = SessionKey::new("", &URL_SAFE_NO_PAD.decode(secret).unwrap()).unwrap();
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let mac = rfc.mac(message).unwrap().finalize().into_bytes();
        assert_eq!(URL_SAFE_NO_PAD.encode(mac), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn forged_foreign_and_untimely_tokens_are_refused() {
        let fine = r#"{"id":5,"role":9,"exp":1779273600}"#;
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        let table = [
            ("no kid, the first key", signed(header, fine, b'n'), Some(5)),
            ("no kid, the second key", signed(header, fine, b'o'), Some(5)),
            ("named key", signed(r#"{"alg":"HS256","kid":"old"}"#, fine, b'o'), Some(5)),
            ("named key, signed by another", signed(r#"{"alg":"HS256","kid":"old"}"#, fine, b'n'), None),
            ("unknown key", signed(r#"{"alg":"HS256","kid":"older"}"#, fine, b'o'), None),
            ("foreign key", signed(header, fine, b'x'), None),
            ("alg none", signed(r#"{"alg":"none"}"#, fine, b'n'), None),
            ("alg HS512", signed(r#"{"alg":"HS512"}"#, fine, b'n'), None),
            ("alg in lower case", signed(r#"{"alg":"hs256"}"#, fine, b'n'), None),
            ("alg given twice", signed(r#"{"alg":"none","alg":"HS256"}"#, fine, b'n'), None),
            ("critical extension", signed(r#"{"alg":"HS256","crit":["b64"]}"#, fine, b'n'), None),
            ("no exp", signed(header, r#"{"id":5,"role":9}"#, b'n'), None),
            ("expired this second", signed(header, r#"{"id":5,"role":9,"exp":1779270000}"#, b'n'), None),
            ("exp as text", signed(header, r#"{"id":5,"role":9,"exp":"1779273600"}"#, b'n'), None),
            (
                "nbf within skew",
                signed(header, r#"{"id":5,"role":9,"exp":1779273600,"nbf":1779270030}"#, b'n'),
                Some(5),
            ),
            ("nbf beyond", signed(header, r#"{"id":5,"role":9,"exp":1779273600,"nbf":1779270031}"#, b'n'), None),
            ("iat beyond", signed(header, r#"{"id":5,"role":9,"exp":1779273600,"iat":1779270031}"#, b'n'), None),
            ("id given twice", signed(header, r#"{"id":6,"id":5,"role":9,"exp":1779273600}"#, b'n'), None),
            ("id 0", signed(header, r#"{"id":0,"role":9,"exp":1779273600}"#, b'n'), None),
            ("negative id", signed(header, r#"{"id":-5,"role":9,"exp":1779273600}"#, b'n'), None),
            ("a manager", signed(header, r#"{"id":5,"role":1,"exp":1779273600}"#, b'n'), None),
            ("unknown role", signed(header, r#"{"id":5,"role":7,"exp":1779273600}"#, b'n'), None),
            ("other claims", signed(header, r#"{"id":5,"role":9,"exp":1779273600,"x":[1]}"#, b'n'), Some(5)),
        ];
        for (what, token, expected) in table {
            assert_eq!(customer(&token), expected, "{what}");
        }
        let token = signed(header, fine, b'n');
        let (message, signature) = token.rsplit_once('.').unwrap();
        let long = format!("{token}{}", "A".repeat(TOKEN_LENGTH_MAX));
        let short = &token[..token.len() - 2];
        for wrong in ["", ".", "..", "a.b.c", message, &format!("{message}."), &format!(".{signature}"), &long, short] {
            assert_eq!(customer(wrong), None, "{wrong}");
        }
        for place in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            // The last letter of a base64 text may carry spare bits; a strict decoder refuses those too.
            assert_eq!(customer(&forged), None, "letter {place}");
        }
    }

    #[test]
    fn removing_a_key_ends_its_tokens_at_once() {
        let keys = keys();
        let token = issue_token(&keys, Role::Admin, 7, None, 60, NOW).unwrap();
        let session = keys.manager(Some(&token), NOW).unwrap();
        assert_eq!((session.manager_id(), session.role(), session.brand()), (ManagerId(7), Role::Admin, None));
        keys.replace(vec![key("old", b'o')]).unwrap();
        let refusal = keys.manager(Some(&token), NOW).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Unauthorized);
        let read =
            parse_keys(&format!("# made today\n\nnew: {}\n old:{}\n", "6e".repeat(32), "6F".repeat(32))).unwrap();
        keys.replace(read).unwrap();
        assert!(keys.manager(Some(&token), NOW).is_ok());
        for wrong in ["CANARY", "kid:CANARY", ":6", "kid 6e"] {
            assert_eq!(parse_keys(wrong).err(), Some(KeyError::NotALine), "{wrong}");
        }
        let refused = [
            parse_keys(&format!("kid:{}", "6e".repeat(31))).err(),
            SessionKey::new("a", &[1; 31]).err(),
            keys.replace(Vec::new()).err(),
            keys.replace(vec![key("a", 1), key("a", 2)]).err(),
            keys.replace((0..9).map(|n| key(&n.to_string(), n)).collect()).err(),
        ];
        assert_eq!(
            refused,
            [KeyError::Short, KeyError::Short, KeyError::None, KeyError::SameId, KeyError::TooMany].map(Some)
        );
    }
}
