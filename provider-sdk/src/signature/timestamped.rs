//! Verifies the header `t=<unix time>,v1=<hex>[,v1=<hex>…]` that several providers sign their webhooks with:
//! HMAC-SHA256 over the time as written, a dot and the body as received. It does not parse the body.

use super::{
    Covers, Digest, Keys, Signature, SignatureProof, Unverified, check_timestamp, hmac, is_proven_earlier, matching,
    parse_timestamp,
};
use crate::WebhookNotice;

/// One provider's header of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedHeader {
    /// The header's name; case does not matter.
    pub name: &'static str,
    /// How many `v1` the provider sends at most: one for each active secret. A header with more is rejected,
    /// because each costs a comparison.
    pub signatures_max: usize,
}

impl TimestampedHeader {
    /// Proves that exactly this body was signed with one of the keys, within
    /// [`TOLERANCE_SECONDS`](super::TOLERANCE_SECONDS) of its receipt. It ignores elements other than `t` and
    /// `v1`, which belong to other schemes.
    ///
    /// # Errors
    /// `Undetermined` without a key, `Untimely` where the signature is right and the time is not, otherwise `Rejected`.
    pub fn verify(&self, keys: &Keys, notice: &WebhookNotice) -> Result<SignatureProof, Unverified> {
        if is_proven_earlier() {
            return Ok(SignatureProof::over(Covers::EveryByte));
        }
        if keys.is_empty() {
            return Err(Unverified::Undetermined("no webhook secret is configured".into()));
        }
        let SignedHeader { time, signatures } = self.parse(single_header(notice, self.name)?)?;
        let message = [time.as_bytes(), b".", notice.body.as_slice()];
        matching(keys, &signatures, |key| hmac(Digest::Sha256, key, &message))?;
        check_timestamp(parse_timestamp(time)?, notice.received_unix)?;
        Ok(SignatureProof::over(Covers::EveryByte))
    }

    /// Reads what every official verifier of such headers reads alike, and no more: elements without blanks around them, a
    /// time without leading zeros, lower-case hex. Exactly one `t`, because of two it is not known which was signed, and at
    /// least one `v1`.
    fn parse<'a>(&self, header: &'a str) -> Result<SignedHeader<'a>, Unverified> {
        let rejected = |reason: &str| Err(Unverified::Rejected(format!("the {} header {reason}", self.name)));
        let named = |name: &'static str| {
            let elements = header.split(',').filter_map(|element| element.split_once('='));
            elements.filter(move |(key, _)| *key == name).map(|(_, value)| value)
        };
        let mut times = named("t");
        let (Some(time), None) = (times.next().filter(|time| is_canonical(time)), times.next()) else {
            return rejected("needs exactly one t, without leading zeros");
        };
        if named("v1").count() > self.signatures_max {
            return rejected("has too many v1");
        }
        let signatures: Vec<Signature> =
            named("v1").filter(|text| is_lower_hex(text)).filter_map(Signature::hex).collect();
        if signatures.is_empty() {
            return rejected("needs a v1 in lower-case hex");
        }
        Ok(SignedHeader { time, signatures })
    }
}

/// Official verifiers convert the time to a number and sign that number's digits.
fn is_canonical(time: &str) -> bool {
    !time.is_empty() && (time == "0" || !time.starts_with('0'))
}

/// Official verifiers compare the text.
fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The parsed header.
struct SignedHeader<'a> {
    /// As written, because these characters were signed.
    time: &'a str,
    signatures: Vec<Signature>,
}

/// The value of a header that must be present exactly once: of two, a proxy may have checked the other one.
///
/// # Errors
/// `Rejected` if it is absent or present more than once.
pub fn single_header<'a>(notice: &'a WebhookNotice, name: &str) -> Result<&'a str, Unverified> {
    let mut found = notice.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        (Some(_), Some(_)) => Err(Unverified::Rejected(format!("more than one {name} header"))),
        (None, _) => Err(Unverified::Rejected(format!("no {name} header"))),
    }
}
