//! The webhook signature: `t=<unix>,v1=<hex hmac-sha256 of "t.rawbody">`. Makes it; the merchant checks it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::settings::Secret;

/// Name of the header, as HTTP libraries write it.
pub const SIGNATURE_HEADER: &str = "sandbox-signature";

/// The header's value for one attempt; `None` only if the MAC refuses its key, which HMAC never does.
pub(crate) fn sign(secret: &Secret, at: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).ok()?;
    mac.update(at.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(format!(
        "t={at},v1={}",
        hex::encode(mac.finalize().into_bytes())
    ))
}
