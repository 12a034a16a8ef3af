//! What a token states, and whether that is valid now. It knows no signature and no key; the time is handed in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cashier_core::ids::ID_MAX;
use cashier_core::printable::check_code;
use cashier_core::session::Role;
use cashier_core::time::UnixTime;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use super::refused::TokenProblem;

/// How far clocks of issuers may run ahead, in seconds; for `nbf` and `iat`, never for `exp`.
const CLOCK_SKEW_SECONDS: i64 = 30;

/// Longest life of a token by which whoever owns the host approves alone, in seconds: it is used at once.
pub const BREAK_GLASS_SECONDS_MAX: i64 = 60;

/// Digits of a time beside its exponent; more is no time of any century.
const TIME_DIGITS_MAX: usize = 64;

/// What the settings ask of every token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRules {
    /// Longest time between `iat` and `exp` in seconds, or from now where there is no `iat`.
    pub lifetime_max: i64,
    /// Where not empty: a token states one of them as `iss`.
    pub issuers: Vec<Box<str>>,
    /// Where not empty: a token states one of them as `aud`.
    pub audiences: Vec<Box<str>>,
    /// Whether a token without `brand` is refused.
    pub brand_required: bool,
}

impl SessionRules {
    /// A year and a day: a forgotten token ends.
    pub const LIFETIME_MAX: i64 = 366 * 24 * 60 * 60;
}

impl Default for SessionRules {
    fn default() -> Self {
        Self { lifetime_max: Self::LIFETIME_MAX, issuers: Vec::new(), audiences: Vec::new(), brand_required: false }
    }
}

/// The claims as written. What else a token states is for others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) id: u64,
    pub(super) role: i64,
    pub(super) exp: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<Number>,
    /// A brand that is stated is a text: one that is null would be a session of every brand by mistake.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub(super) brand: Option<Box<str>>,
    /// **Ours**: says on purpose that a manager's session has no brand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) every_brand: bool,
    /// **Ours**: whoever owns the host approves alone. Counts under a secret of the host alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) break_glass: bool,
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub(super) iss: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aud: Option<TokenAudience>,
    /// A `jti` of another kind than text could never be revoked.
    #[serde(default, deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub(super) jti: Option<Box<str>>,
}

/// A value that is there, also where it is null.
pub(super) fn stated<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// `aud` is one text or a list of them (RFC 7519, section 4.1.3).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum TokenAudience {
    One(Box<str>),
    Several(Vec<Box<str>>),
}

impl TokenAudience {
    fn names(&self) -> &[Box<str>] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// Claims that passed every check.
#[derive(Debug)]
pub(super) struct VerifiedClaims {
    pub(super) id: u64,
    pub(super) role: Role,
    pub(super) brand: Option<Box<str>>,
    pub(super) breaks_glass: bool,
}

impl Claims {
    /// The claims of a token before its signature: header and claims.
    pub(super) fn of(message: &str) -> Result<Self, TokenProblem> {
        let (_, claims) = message.split_once('.').ok_or(TokenProblem::Malformed)?;
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| TokenProblem::Malformed)?;
        serde_json::from_slice(&claims).map_err(|_| TokenProblem::Claims)
    }

    pub(super) fn check(
        &self,
        rules: &SessionRules,
        is_revoked: impl Fn(&str) -> bool,
        now: UnixTime,
    ) -> Result<VerifiedClaims, TokenProblem> {
        let ends = seconds(&self.exp).ok_or(TokenProblem::Claims)?.floor;
        let begins = self.nbf.as_ref().map(later).transpose()?;
        let issued = self.iat.as_ref().map(later).transpose()?;
        let latest = now.plus(CLOCK_SKEW_SECONDS).0;
        if now.0 >= ends {
            return Err(TokenProblem::Expired);
        }
        if [begins, issued].into_iter().flatten().any(|time| time > latest) {
            return Err(TokenProblem::NotYetValid);
        }
        let lifetime = ends.checked_sub(issued.unwrap_or(now.0));
        let lifetime_max = match self.break_glass {
            true => rules.lifetime_max.min(BREAK_GLASS_SECONDS_MAX),
            false => rules.lifetime_max,
        };
        if lifetime.is_none_or(|lifetime| lifetime > lifetime_max) {
            return Err(TokenProblem::Lifetime);
        }
        if !rules.issuers.is_empty() && !self.iss.as_ref().is_some_and(|issuer| rules.issuers.contains(issuer)) {
            return Err(TokenProblem::Issuer);
        }
        let names = self.aud.as_ref().map(TokenAudience::names).unwrap_or_default();
        if !rules.audiences.is_empty() && !names.iter().any(|name| rules.audiences.contains(name)) {
            return Err(TokenProblem::Audience);
        }
        match self.jti.as_deref() {
            Some(jti) if !is_nameable(jti) => return Err(TokenProblem::TokenId),
            Some(jti) if is_revoked(jti) => return Err(TokenProblem::Revoked),
            Some(_) | None => {}
        }
        match &self.brand {
            Some(brand) if brand.trim().is_empty() => return Err(TokenProblem::EmptyBrand),
            None if rules.brand_required && !(self.every_brand && self.role != i64::from(Role::Customer.number())) => {
                return Err(TokenProblem::MissingBrand);
            }
            Some(_) | None => {}
        }
        let known = (1..=ID_MAX).contains(&self.id);
        let role = Role::from_number(self.role).filter(|_| known).ok_or(TokenProblem::Identity)?;
        Ok(VerifiedClaims { id: self.id, role, brand: self.brand.clone(), breaks_glass: self.break_glass })
    }
}

/// Whether a line of the list of revoked tokens can name this `jti`.
pub(super) fn is_nameable(jti: &str) -> bool {
    !jti.is_empty() && !jti.starts_with('#') && !jti.contains(char::is_whitespace) && check_code(jti).is_ok()
}

/// A time in whole seconds, and whether a part of a second follows.
#[derive(Debug, PartialEq, Eq)]
struct Seconds {
    floor: i64,
    fraction: bool,
}

/// The first whole second that is not before the time.
fn later(number: &Number) -> Result<i64, TokenProblem> {
    let Seconds { floor, fraction } = seconds(number).ok_or(TokenProblem::Claims)?;
    Ok(floor.saturating_add(i64::from(fraction)))
}

/// A NumericDate (RFC 7519, section 2) is any JSON number, with fraction and exponent: read from its text, without a float. What
/// is larger than any time is the largest or smallest.
fn seconds(number: &Number) -> Option<Seconds> {
    let text = number.as_str();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + part.len() > TIME_DIGITS_MAX {
        return None;
    }
    let digits = format!("{whole}{part}");
    if digits.bytes().all(|digit| digit == b'0') {
        return Some(Seconds { floor: 0, fraction: false });
    }
    let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    // How many of the digits stand before the decimal point; beyond the last one zeros follow.
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let before = usize::try_from(point.max(0)).ok()?;
    let whole_digits = digits.get(..before).unwrap_or(&digits).trim_start_matches('0');
    let zeros = before.saturating_sub(digits.len());
    let fraction = digits.get(before..).is_some_and(|rest| rest.bytes().any(|digit| digit != b'0'));
    let magnitude = if whole_digits.is_empty() {
        0
    } else if whole_digits.len().saturating_add(zeros) > 18 {
        i64::MAX
    } else {
        format!("{whole_digits}{}", "0".repeat(zeros)).parse().ok()?
    };
    let floor = if negative { magnitude.checked_neg()?.saturating_sub(i64::from(fraction)) } else { magnitude };
    Some(Seconds { floor, fraction })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k5_a_numeric_date_is_read_from_its_text() {
        let at = |floor, fraction| Some(Seconds { floor, fraction });
        let table = [
            ("1795886000", at(1_795_886_000, false)),
            ("1795886000.25", at(1_795_886_000, true)),
            ("1795886000.00", at(1_795_886_000, false)),
            ("1795886000.999999999999999999999", at(1_795_886_000, true)),
            ("1.795886e9", at(1_795_886_000, false)),
            ("1.7958860005E+9", at(1_795_886_000, true)),
            ("17958860005e-1", at(1_795_886_000, true)),
            ("0.001", at(0, true)),
            ("5e-400", at(0, true)),
            ("-0.5", at(-1, true)),
            ("-10", at(-10, false)),
            ("0e999999999999999999999999", at(0, false)),
            ("1000000000000000000", at(i64::MAX, false)),
            ("1e18", at(i64::MAX, false)),
            ("1e400", at(i64::MAX, false)),
            ("-1e400", at(-i64::MAX, false)),
            ("1e99999999999999999999", None),
        ];
        for (text, expected) in table {
            let number: Number = serde_json::from_str(text).unwrap();
            assert_eq!(seconds(&number), expected, "{text}");
        }
        let long: Number = serde_json::from_str(&format!("1.{}", "0".repeat(64))).unwrap();
        assert_eq!(seconds(&long), None);
        let part: Number = serde_json::from_str("10.5").unwrap();
        assert_eq!(later(&part), Ok(11), "a token is valid no earlier than it says");
    }
}
