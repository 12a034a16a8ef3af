//! Refused sign-ins: why, and the one place that logs them. The answer is the same whatever the reason, so that nothing is
//! learned from it; a request without a token is no sign-in. Lines are bounded for each address and in all, because tokens
//! that are refused cost their sender nothing; what is not logged is counted.

use std::net::IpAddr;

use cashier_core::time::UnixTime;

use crate::security_log::AnonymousLines;

/// Longest `kid` or `jti` that is logged: it is the sender's text.
const LOGGED_LENGTH_MAX: usize = 64;

/// Why a token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenProblem {
    Malformed,
    Algorithm,
    UnknownKey,
    Signature,
    Claims,
    Expired,
    NotYetValid,
    Lifetime,
    Issuer,
    Audience,
    EmptyBrand,
    MissingBrand,
    TokenId,
    Revoked,
    Identity,
    KeyScope,
    NotACustomer,
}

impl TokenProblem {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Malformed => "it is no token of three parts with a readable header",
            Self::Algorithm => "its algorithm is not supported, or it has a critical extension",
            Self::UnknownKey => "no key has its kid and algorithm",
            Self::Signature => "its signature is wrong",
            Self::Claims => "its claims cannot be read",
            Self::Expired => "it expired",
            Self::NotYetValid => "its nbf or iat is in the future",
            Self::Lifetime => "its lifetime is longer than session_lifetime_max",
            Self::Issuer => "its issuer is not one of session_issuers",
            Self::Audience => "its audience is none of session_audiences",
            Self::EmptyBrand => "its brand is empty",
            Self::MissingBrand => "it has no brand, which require_brand_claim asks for",
            Self::TokenId => "its jti is none that a line of revoked_tokens_file can name",
            Self::Revoked => "its jti is revoked",
            Self::Identity => "its id or role does not exist",
            Self::KeyScope => "its key may not sign for this role",
            Self::NotACustomer => "it is not a customer's",
        }
    }
}

/// A token that was refused, with what is known of it; id, role and jti only where its signature was right.
pub(super) struct RefusedToken {
    pub(super) reason: TokenProblem,
    pub(super) kid: Option<Box<str>>,
    pub(super) id: Option<u64>,
    pub(super) role: Option<i64>,
    pub(super) jti: Option<Box<str>>,
}

impl From<TokenProblem> for RefusedToken {
    fn from(reason: TokenProblem) -> Self {
        Self { reason, kid: None, id: None, role: None, jti: None }
    }
}

/// Logs refused sign-ins.
#[derive(Default)]
pub(super) struct RefusedSignIns(AnonymousLines);

impl RefusedSignIns {
    /// Logs one, unless its address had its lines of this minute. `listener` is customer or manager.
    pub(super) fn log(&self, listener: &'static str, refused: &RefusedToken, from: IpAddr, now: UnixTime) {
        let (admitted, suppressed) = self.0.admit(&from.to_string(), now);
        if suppressed > 0 {
            tracing::warn!(target: "security", suppressed, "refused sign-ins were not logged one by one");
        }
        if admitted {
            let RefusedToken { reason, kid, id, role, jti } = refused;
            let text = |text: &Option<Box<str>>| text.as_deref().map(cut);
            let (kid, jti, reason) = (text(kid), text(jti), reason.sentence());
            tracing::warn!(target: "security", listener, %from, reason, kid, id, role, jti, "sign-in was refused");
        }
    }
}

/// Printable ASCII of bounded length: it is the sender's text.
fn cut(text: &str) -> String {
    let shown = |letter: char| if letter.is_ascii_graphic() { letter } else { '?' };
    text.chars().take(LOGGED_LENGTH_MAX).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_senders_text_is_cut_and_made_printable() {
        assert_eq!(cut("a\u{202e}\n\u{85}b"), "a???b");
        assert_eq!(cut(&"k".repeat(200)).len(), 64);
    }
}
