//! The webhook signature: `t=<unix>,v1=<hex hmac-sha256 of "t.rawbody">`. Only signs; the merchant verifies.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::settings::ServiceSecret;

/// Name of the header, as HTTP libraries write it.
pub const SIGNATURE_HEADER: &str = "sandbox-signature";

/// The header's value for one attempt; `None` only if the MAC refuses its key, which HMAC never does.
pub(crate) fn sign(secret: &ServiceSecret, at: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).ok()?;
    mac.update(at.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripe signs in the same form; this sample was accepted by an implementation other than this one.
    #[test]
    fn the_signature_equals_that_of_another_implementation() {
        let body = "{\n  \"id\": \"evt_test_1\",\n  \"object\": \"event\",\n  \"type\": \"checkout.session.completed\",\n  \"created\": 1795160000,\n  \"livemode\": false,\n  \"api_version\": \"2025-01-27.acacia\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"cs_test_1\",\n      \"object\": \"checkout.session\",\n      \"amount_total\": 25000,\n      \"currency\": \"usd\",\n      \"payment_status\": \"paid\",\n      \"status\": \"complete\",\n      \"payment_intent\": \"pi_123\",\n      \"client_reference_id\": \"15\",\n      \"metadata\": {\n        \"transaction_id\": \"15\"\n      }\n    }\n  }\n}";
        let header = sign(&ServiceSecret::new("whsec_test_secret"), 1795160000, body.as_bytes());
        assert_eq!(
            header.as_deref(),
            Some("t=1795160000,v1=0ed0520adbd99f213ce0914d947c7be8beb49ee6046416b7ca707762fde327e1")
        );
    }
}
