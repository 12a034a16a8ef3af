//! The header `t=<unix time>,v1=<hex>[,v1=<hex>…]` that several providers sign their notices with:
//! HMAC-SHA256 over the time as written, a dot and the body as received.
//! What the body says is not read here.

use super::{Digest, Keys, Signature, SignatureProof, Unverified, check_timestamp, parse_timestamp, verify_hmac};
use crate::WebhookNotice;

/// One provider's header of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedHeader {
    /// As the provider writes it; found in any case.
    pub name: &'static str,
    /// How many `v1` the provider writes at most: one for each secret in force. A header with more
    /// is somebody making us compare.
    pub signatures_max: usize,
}

impl TimestampedHeader {
    /// Proves that exactly this body was signed with one of the keys, within
    /// [`TOLERANCE_SECONDS`](super::TOLERANCE_SECONDS) of its receipt. Elements other than `t` and
    /// `v1` are those of other schemes and prove nothing.
    ///
    /// # Errors
    /// `Undetermined` without a key, `Rejected` for everything else that does not fit.
    pub fn verify(&self, keys: &Keys, notice: &WebhookNotice) -> Result<SignatureProof, Unverified> {
        if keys.is_empty() {
            return Err(Unverified::Undetermined("no webhook secret is configured".into()));
        }
        let Stamp { time, signatures } = self.stamp(single_header(notice, self.name)?)?;
        let message = [time.as_bytes(), b".", notice.body.as_slice()];
        let genuine = verify_hmac(Digest::Sha256, keys, &message, &signatures)?;
        check_timestamp(parse_timestamp(time)?, notice.received_unix)?;
        Ok(genuine)
    }

    /// One `t`, because with two it is anyone's guess which of them was signed; and some `v1`, of
    /// which the unreadable ones match nothing.
    fn stamp<'a>(&self, header: &'a str) -> Result<Stamp<'a>, Unverified> {
        let not_genuine = |what: &str| Err(Unverified::Rejected(format!("the {} header {what}", self.name)));
        let named = |name: &'static str| {
            let elements = header.split(',').filter_map(|element| element.trim().split_once('='));
            elements.filter(move |(key, _)| *key == name).map(|(_, value)| value)
        };
        let mut times = named("t");
        let (Some(time), None) = (times.next().filter(|time| !time.is_empty()), times.next()) else {
            return not_genuine("needs one t");
        };
        if named("v1").count() > self.signatures_max {
            return not_genuine("has too many v1");
        }
        let signatures: Vec<Signature> = named("v1").filter_map(Signature::hex).collect();
        if signatures.is_empty() {
            return not_genuine("needs a v1 in hex");
        }
        Ok(Stamp { time, signatures })
    }
}

/// What one header of this form says.
struct Stamp<'a> {
    /// As written, because these very letters were signed.
    time: &'a str,
    signatures: Vec<Signature>,
}

/// The value of a header that a provider sends once. With two, which of them a proxy looked at is
/// anyone's guess.
///
/// # Errors
/// `Rejected` where it is absent or there more than once.
pub fn single_header<'a>(notice: &'a WebhookNotice, name: &str) -> Result<&'a str, Unverified> {
    let mut found = notice.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        (Some(_), Some(_)) => Err(Unverified::Rejected(format!("more than one {name} header"))),
        (None, _) => Err(Unverified::Rejected(format!("no {name} header"))),
    }
}
