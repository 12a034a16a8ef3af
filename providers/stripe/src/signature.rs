//! Whether Stripe signed a notice: `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>…][,v0=…]`,
//! HMAC-SHA256 over `t`, a dot and the body as received, keyed with the whole `whsec_…` text.
//! What the body says is not read here.

use cashier_provider_sdk::WebhookNotice;
use cashier_provider_sdk::signature::{Digest, Doubt, Genuine, Keys, Signature, fresh, signed_time, verify_hmac};

const HEADER: &str = "stripe-signature";

/// Stripe writes one v1 per secret in force, and two while a secret is rolled. More than this is
/// somebody making us compare.
const SIGNATURES_MAX: usize = 16;

/// Proves that Stripe signed exactly this body, at a time close to its receipt.
///
/// # Errors
/// `CannotTell` without a secret, `NotGenuine` for everything else that does not fit.
pub(crate) fn prove(keys: &Keys, notice: &WebhookNotice) -> Result<Genuine, Doubt> {
    if keys.is_empty() {
        return Err(Doubt::CannotTell("no webhook signing secret is configured".into()));
    }
    let Parts { time, signatures } = parts(only_header(notice)?)?;
    let message = [time.as_bytes(), b".", notice.body.as_slice()];
    let genuine = verify_hmac(Digest::Sha256, keys, &message, &signatures)?;
    fresh(signed_time(time)?, notice.received_unix)?;
    Ok(genuine)
}

/// Stripe sends the header once. With two, which of them a proxy looked at is anyone's guess.
fn only_header(notice: &WebhookNotice) -> Result<&str, Doubt> {
    let mut found = notice.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HEADER));
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        (Some(_), Some(_)) => Err(not_genuine("more than one Stripe-Signature header")),
        (None, _) => Err(not_genuine("no Stripe-Signature header")),
    }
}

struct Parts<'a> {
    /// As written, because these very letters were signed.
    time: &'a str,
    /// The readable v1 ones; v0 is a scheme for test traffic that proves nothing.
    signatures: Vec<Signature>,
}

fn parts(header: &str) -> Result<Parts<'_>, Doubt> {
    let mut times = Vec::new();
    let mut signatures = Vec::new();
    for element in header.split(',') {
        match element.trim().split_once('=') {
            Some(("t", time)) => times.push(time),
            Some(("v1", hex)) => signatures.extend(Signature::hex(hex)),
            Some(_) | None => {}
        }
    }
    let [time] = times.as_slice() else {
        return Err(not_genuine("the Stripe-Signature header needs one t"));
    };
    if time.is_empty() {
        return Err(not_genuine("the Stripe-Signature header's t is empty"));
    }
    if signatures.len() > SIGNATURES_MAX {
        return Err(not_genuine("too many v1 signatures"));
    }
    Ok(Parts { time, signatures })
}

fn not_genuine(reason: &str) -> Doubt {
    Doubt::NotGenuine(reason.to_owned())
}
