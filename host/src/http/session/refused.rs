//! RefusedToken sign-ins: why, and the one place that logs them. The answer is the same whatever the reason, so that nothing is
//! learned from it; a request without a token is no sign-in. Lines are bounded for each address and in all, because tokens
//! that are refused cost their sender nothing; what is not logged is counted.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use cashier_core::time::UnixTime;

/// RefusedToken sign-ins of one address that are logged in a minute: enough to see what is wrong with a client.
const LINES_PER_ADDRESS_MAX: u32 = 10;

/// RefusedToken sign-ins that are logged in a minute, of all addresses.
const LINES_PER_MINUTE_MAX: u32 = 600;

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

/// What was logged in the current minute.
#[derive(Default)]
struct Minute {
    number: i64,
    lines: u32,
    of_address: BTreeMap<IpAddr, u32>,
    suppressed: u64,
}

impl Minute {
    /// Whether one more line of this address is logged, and how many were not in the minutes before.
    fn admit(&mut self, address: IpAddr, now: UnixTime) -> (bool, u64) {
        let number = now.0.div_euclid(60);
        let mut before = 0;
        if number != self.number {
            before = self.suppressed;
            *self = Self { number, ..Self::default() };
        }
        let of_address = self.of_address.get(&address).copied().unwrap_or_default();
        let admitted = self.lines < LINES_PER_MINUTE_MAX && of_address < LINES_PER_ADDRESS_MAX;
        if admitted {
            // Bounded with the lines: an address is remembered for a line of its own alone.
            self.lines += 1;
            self.of_address.insert(address, of_address + 1);
        } else {
            self.suppressed += 1;
        }
        (admitted, before)
    }
}

/// Logs refused sign-ins.
#[derive(Default)]
pub(super) struct RefusedSignIns(Mutex<Minute>);

impl RefusedSignIns {
    /// Logs one, unless its address had its lines of this minute. `listener` is customer or manager.
    pub(super) fn log(&self, listener: &'static str, refused: &RefusedToken, from: IpAddr, now: UnixTime) {
        let admit = || self.0.lock().unwrap_or_else(PoisonError::into_inner).admit(network(from), now);
        let (admitted, suppressed) = admit();
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

/// A subscriber to IPv6 has a network of 64 bits, so one sender could use a new address for each token.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
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
    fn k7_lines_are_bounded_for_each_address_and_in_all_and_the_rest_is_counted() {
        let mut minute = Minute::default();
        let now = UnixTime(1_779_270_000);
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let sibling: IpAddr = "2001:db8::2".parse().unwrap();
        let logged = (0..500).filter(|turn| minute.admit(network(if turn % 2 == 0 { one } else { sibling }), now).0);
        assert_eq!(logged.count(), 10, "one network, however many addresses");
        let others = (0..5_000u32).filter(|number| minute.admit(IpAddr::from(number.to_be_bytes()), now).0);
        assert_eq!(others.count(), 590);
        assert_eq!(minute.of_address.len(), 591, "memory is bounded with the lines");
        assert_eq!(minute.admit(one, now.plus(60)), (true, 4_900), "what was not logged is counted");
        assert_eq!(minute.admit(one, now.plus(60)), (true, 0), "once");
    }

    #[test]
    fn a_senders_text_is_cut_and_made_printable() {
        assert_eq!(cut("a\u{202e}\n\u{85}b"), "a???b");
        assert_eq!(cut(&"k".repeat(200)).len(), 64);
    }
}
