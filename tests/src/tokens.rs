//! Forged session tokens: any header and claims, signed by any key or by none. Written from RFC 7515, independent of the
//! cashier's own code.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// The session key of every deployment, as `session.key` has it after the key id `test`.
pub const SESSION_KEY: [u8; 32] = [0x5e; 32];

/// A token over these parts, signed with HMAC-SHA256.
pub fn forged(header: &Value, claims: &Value, key: &[u8]) -> String {
    let message = unsigned(header, claims);
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The first two parts of a token.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}
