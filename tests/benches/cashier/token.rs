//! Session tokens and provider signatures, made here from the shared keys and not by the cashier's code.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The session key of every measured cashier.
pub(crate) const SESSION_KEY: [u8; 32] = *b"a bench key, not one of a broker";
/// Published session numbers.
pub(crate) const CUSTOMER: u8 = 9;
pub(crate) const ADMIN: u8 = 3;
/// 2100-01-01.
const EXPIRES: u64 = 4_102_444_800;

/// A JWT, HS256.
pub(crate) fn token(role: u8, id: u64) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"id":{id},"role":{role},"exp":{EXPIRES}}}"#));
    let message = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(mac(&SESSION_KEY, message.as_bytes()));
    format!("{message}.{signature}")
}

/// The value of `Stripe-Signature`.
pub(crate) fn stripe_signature(secret: &str, unix: u64, body: &str) -> String {
    let signed = format!("{unix}.{body}");
    format!("t={unix},v1={}", hex::encode(mac(secret.as_bytes(), signed.as_bytes())))
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes any key"));
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}
