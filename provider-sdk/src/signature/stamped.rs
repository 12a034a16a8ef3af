//! The header `t=<unix time>,v1=<hex>[,v1=<hex>…]` that several providers sign their notices with:
//! HMAC-SHA256 over the time as written, a dot and the body as received.
//! What the body says is not read here.

use super::{Digest, Doubt, Genuine, Keys, Signature, fresh, signed_time, verify_hmac};
use crate::WebhookNotice;

/// One provider's header of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StampedHeader {
    /// As the provider writes it; found in any case.
    pub name: &'static str,
    /// How many `v1` the provider writes at most: one for each secret in force. A header with more
    /// is somebody making us compare.
    pub signatures_max: usize,
}

impl StampedHeader {
    /// Proves that exactly this body was signed with one of the keys, within
    /// [`TOLERANCE_SECONDS`](super::TOLERANCE_SECONDS) of its receipt. Elements other than `t` and
    /// `v1` are those of other schemes and prove nothing.
    ///
    /// # Errors
    /// `CannotTell` without a key, `NotGenuine` for everything else that does not fit.
    pub fn prove(&self, keys: &Keys, notice: &WebhookNotice) -> Result<Genuine, Doubt> {
        if keys.is_empty() {
            return Err(Doubt::CannotTell("no webhook secret is configured".into()));
        }
        let Stamp { time, signatures } = self.stamp(only_header(notice, self.name)?)?;
        let message = [time.as_bytes(), b".", notice.body.as_slice()];
        let genuine = verify_hmac(Digest::Sha256, keys, &message, &signatures)?;
        fresh(signed_time(time)?, notice.received_unix)?;
        Ok(genuine)
    }

    /// One `t`, because with two it is anyone's guess which of them was signed; and some `v1`, of
    /// which the unreadable ones match nothing.
    fn stamp<'a>(&self, header: &'a str) -> Result<Stamp<'a>, Doubt> {
        let not_genuine = |what: &str| Err(Doubt::NotGenuine(format!("the {} header {what}", self.name)));
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
/// `NotGenuine` where it is absent or there more than once.
pub fn only_header<'a>(notice: &'a WebhookNotice, name: &str) -> Result<&'a str, Doubt> {
    let mut found = notice.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        (Some(_), Some(_)) => Err(Doubt::NotGenuine(format!("more than one {name} header"))),
        (None, _) => Err(Doubt::NotGenuine(format!("no {name} header"))),
    }
}
