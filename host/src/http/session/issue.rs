//! Makes session tokens under our own secrets, for the command line, the demo and tests. What it makes passes the checks of
//! the same settings.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cashier_core::session::Role;
use cashier_core::time::UnixTime;
use hmac::Mac;
use serde::Serialize;

use super::claims::{Claims, SessionRules, TokenAudience};
use super::keys::{HS256, SessionKey};
use crate::ports::Fault;

/// Whose token it is, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'t> {
    pub role: Role,
    pub id: u64,
    pub brand: Option<&'t str>,
    /// Whether a manager's token without a brand says so; needed where the settings ask for a brand.
    pub every_brand: bool,
    pub ttl_seconds: i64,
    /// Whether whoever owns the host approves alone with it.
    pub break_glass: bool,
    /// By which it can be revoked.
    pub jti: Option<&'t str>,
}

#[derive(Serialize)]
struct HeaderOut<'t> {
    alg: &'t str,
    #[serde(skip_serializing_if = "str::is_empty")]
    kid: &'t str,
}

/// A token signed by the first of these keys that may sign for its role.
pub(super) fn sign(
    keys: &[SessionKey],
    rules: &SessionRules,
    new: NewToken<'_>,
    now: UnixTime,
) -> Result<String, Fault> {
    let fault = || Fault::new("a token could not be signed");
    let NewToken { role, id, brand, every_brand, break_glass, ttl_seconds, jti } = new;
    if brand.is_some_and(|brand| brand.trim().is_empty()) {
        return Err(Fault::new("a token's brand cannot be empty"));
    }
    let customer = role == Role::Customer;
    let every_brand = every_brand && brand.is_none() && !customer;
    if brand.is_none() && !every_brand && rules.brand_required {
        return Err(Fault::new("require_brand_claim is set: a token needs a brand"));
    }
    if ttl_seconds > rules.lifetime_max {
        let most = rules.lifetime_max;
        return Err(Fault::new(format!("a token lives for at most {most} s, which session_lifetime_max says")));
    }
    let key = keys.iter().find(|key| key.signs.covers(customer)).ok_or_else(|| {
        let whose = if customer { "a customer" } else { "a manager" };
        Fault::new(format!("no session key may sign for {whose}"))
    })?;
    let claims = Claims {
        id,
        role: role.number().into(),
        exp: now.plus(ttl_seconds).0.into(),
        nbf: None,
        iat: Some(now.0.into()),
        brand: brand.map(Into::into),
        every_brand,
        break_glass,
        iss: rules.issuers.first().cloned(),
        aud: rules.audiences.first().cloned().map(TokenAudience::One),
        jti: jti.map(Into::into),
    };
    let header = HeaderOut { alg: HS256, kid: &key.kid };
    let (header, claims) = (serde_json::to_vec(&header).ok(), serde_json::to_vec(&claims).ok());
    let (header, claims) = header.zip(claims).ok_or_else(fault)?;
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.mac(&message).ok_or_else(fault)?.finalize().into_bytes();
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
