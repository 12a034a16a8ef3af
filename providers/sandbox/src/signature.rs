//! Whether the service signed a notice: `Sandbox-Signature: t=<unix>,v1=<hex>`, HMAC-SHA256 over
//! `t`, a dot and the body as received, keyed with the whole text of the webhook secret.
//! What the body says is not read here.

use cashier_provider_sdk::WebhookNotice;
use cashier_provider_sdk::signature::{Digest, Doubt, Genuine, Keys, Signature, fresh, signed_time, verify_hmac};

const HEADER: &str = "sandbox-signature";

/// Proves that the service signed exactly this body, at a time close to its receipt.
///
/// # Errors
/// `CannotTell` without a secret, `NotGenuine` for everything else that does not fit.
pub(crate) fn prove(keys: &Keys, notice: &WebhookNotice) -> Result<Genuine, Doubt> {
    if keys.is_empty() {
        return Err(Doubt::CannotTell("no webhook secret is configured".into()));
    }
    let Parts { time, signature } = parts(only_header(notice)?)?;
    let message = [time.as_bytes(), b".", notice.body.as_slice()];
    let genuine = verify_hmac(Digest::Sha256, keys, &message, &[signature])?;
    fresh(signed_time(time)?, notice.received_unix)?;
    Ok(genuine)
}

/// The service sends the header once. With two, which of them a proxy looked at is anyone's guess.
fn only_header(notice: &WebhookNotice) -> Result<&str, Doubt> {
    let mut found = notice.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HEADER));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        (Some(_), Some(_)) => Err(not_genuine("more than one Sandbox-Signature header")),
        (None, _) => Err(not_genuine("no Sandbox-Signature header")),
    }
}

struct Parts<'a> {
    /// As written, because these very letters were signed.
    time: &'a str,
    signature: Signature,
}

/// One `t` and one `v1`: the service never sends several. Other elements are those of a later scheme.
fn parts(header: &str) -> Result<Parts<'_>, Doubt> {
    let elements = || header.split(',').filter_map(|element| element.trim().split_once('='));
    let time = only(elements(), "t").ok_or_else(|| not_genuine("the Sandbox-Signature header needs one t"))?;
    let hex = only(elements(), "v1").ok_or_else(|| not_genuine("the Sandbox-Signature header needs one v1"))?;
    let signature = Signature::hex(hex).ok_or_else(|| not_genuine("the v1 signature is not hex"))?;
    Ok(Parts { time, signature })
}

fn only<'a>(elements: impl Iterator<Item = (&'a str, &'a str)>, name: &str) -> Option<&'a str> {
    let mut values = elements.filter(|(key, _)| *key == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

fn not_genuine(reason: &str) -> Doubt {
    Doubt::NotGenuine(reason.to_owned())
}
