//! Verifies that a webhook was signed with one of the config's secrets. Comparisons take constant time, an
//! absent secret verifies nothing, and the result is a proof or a verdict, never a boolean.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::types::Secret;

mod proof;
mod timestamped;

pub use proof::PROVEN_BEFORE;
use proof::is_proven_earlier;
pub use proof::{Covers, SignatureProof};
pub(crate) use proof::{every_byte_is_proven, forget_proofs};
pub use timestamped::{TimestampedHeader, single_header};

/// How far a signed timestamp may be from the time of receipt, in either direction: five minutes, the
/// tolerance that providers document, and enough for clock drift.
pub const TOLERANCE_SECONDS: u64 = 300;

/// The hash function of a scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

/// Why a webhook is not verified; converts into a [`WebhookVerdict`](crate::WebhookVerdict).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// It is not the provider's, with the reason.
    Rejected(String),
    /// The signed time is out of tolerance, with the reason.
    Untimely(String),
    /// It cannot be verified, with the reason.
    Undetermined(String),
}

/// Proves that one of the signatures is the HMAC of the message, its parts concatenated, under one of the keys.
/// `covers` states whether the body as received is one of the parts.
///
/// # Errors
/// `Undetermined` without a key, `Rejected` without a matching signature.
pub fn verify_hmac(
    digest: Digest,
    keys: &Keys,
    covers: Covers,
    message: &[&[u8]],
    signatures: &[Signature],
) -> Result<SignatureProof, Unverified> {
    verify(keys, covers, signatures, |key| hmac(digest, key, message))
}

/// Proves that one of the signatures is what `sign` returns for one of the keys; for schemes other than HMAC,
/// such as a hash over fields and a secret.
///
/// # Errors
/// As [`verify_hmac`].
pub fn verify(
    keys: &Keys,
    covers: Covers,
    signatures: &[Signature],
    sign: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<SignatureProof, Unverified> {
    matching(keys, signatures, sign).map(|()| SignatureProof::over(covers))
}

fn matching(keys: &Keys, signatures: &[Signature], sign: impl Fn(&[u8]) -> Vec<u8>) -> Result<(), Unverified> {
    if is_proven_earlier() {
        return Ok(());
    }
    if keys.0.is_empty() {
        return Err(Unverified::Undetermined("no webhook secret is configured".into()));
    }
    if signatures.is_empty() {
        return Err(Unverified::Rejected("no readable signature".into()));
    }
    // Compare every pair, so that the time does not depend on which key matched or at which byte.
    let mut found = Choice::from(0);
    for key in &keys.0 {
        let expected = sign(key);
        for signature in signatures {
            found |= expected.ct_eq(&signature.0);
        }
    }
    if bool::from(found) { Ok(()) } else { Err(Unverified::Rejected("the signature does not match".into())) }
}

/// Checks that a signed time is within [`TOLERANCE_SECONDS`] of the receipt, before or after. Both are Unix
/// seconds.
///
/// # Errors
/// `Untimely`: an old webhook was replayed, or a clock is wrong. Check it after the signature.
pub fn check_timestamp(signed_unix: i64, received_unix: i64) -> Result<(), Unverified> {
    if is_proven_earlier() || signed_unix.abs_diff(received_unix) <= TOLERANCE_SECONDS {
        return Ok(());
    }
    Err(Unverified::Untimely(format!("the signed time is more than {TOLERANCE_SECONDS} s away")))
}

/// Parses a signed time: Unix seconds in plain digits.
///
/// # Errors
/// `Rejected` for anything else.
pub fn parse_timestamp(text: &str) -> Result<i64, Unverified> {
    if text.bytes().all(|c| c.is_ascii_digit())
        && let Ok(seconds) = text.parse()
    {
        return Ok(seconds);
    }
    Err(Unverified::Rejected("the signed time is not a number".into()))
}

/// The HMAC of the message, its parts concatenated.
pub fn hmac(digest: Digest, key: &[u8], message: &[&[u8]]) -> Vec<u8> {
    match digest {
        Digest::Sha256 => mac::<Hmac<Sha256>>(key, message),
        Digest::Sha384 => mac::<Hmac<Sha384>>(key, message),
        Digest::Sha512 => mac::<Hmac<Sha512>>(key, message),
    }
}

/// The plain hash of the message, its parts concatenated.
pub fn hash(digest: Digest, message: &[&[u8]]) -> Vec<u8> {
    match digest {
        Digest::Sha256 => digested::<Sha256>(message),
        Digest::Sha384 => digested::<Sha384>(message),
        Digest::Sha512 => digested::<Sha512>(message),
    }
}

/// Bytes as lower-case hex.
pub fn to_hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// Bytes as padded base64.
pub fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// The keys that verify: several, because a replaced secret stays valid for a while. Empty and malformed
/// secrets are left out; validate their form in `configure`. The memory is zeroed on drop.
pub struct Keys(Vec<Zeroizing<Vec<u8>>>);

impl Keys {
    /// The bytes of the secret's text are the key.
    pub fn text(secrets: &[Secret]) -> Self {
        Self::read(secrets, |text| Some(text.as_bytes().to_vec()))
    }

    /// The secrets are hex.
    pub fn hex(secrets: &[Secret]) -> Self {
        Self::read(secrets, |text| hex::decode(text).ok())
    }

    /// The secrets are base64, with or without a prefix such as `whsec_`.
    pub fn base64(secrets: &[Secret], prefix: &str) -> Self {
        Self::read(secrets, |text| BASE64.decode(text.strip_prefix(prefix).unwrap_or(text)).ok())
    }

    fn read(secrets: &[Secret], read: impl Fn(&str) -> Option<Vec<u8>>) -> Self {
        let keys = secrets.iter().filter_map(|secret| read(secret.expose()));
        Self(keys.filter(|key| !key.is_empty()).map(Zeroizing::new).collect())
    }

    /// Whether there is no key, so that nothing can be verified.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A received signature. Its bytes are compared, so the case of its hex does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// From hex; `None` if the text is empty or not hex.
    pub fn hex(text: &str) -> Option<Self> {
        hex::decode(text).ok().and_then(Self::bytes)
    }

    /// From padded base64; `None` if the text is empty or not base64.
    pub fn base64(text: &str) -> Option<Self> {
        BASE64.decode(text).ok().and_then(Self::bytes)
    }

    fn bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self(bytes))
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of any length; the empty result of the unreachable arm matches no signature.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

fn digested<D: sha2::Digest>(message: &[&[u8]]) -> Vec<u8> {
    let mut digest = D::new();
    for part in message {
        digest.update(part);
    }
    digest.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_160_000;

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(*text)).collect()
    }

    /// The signatures were made by other implementations: the tools of each scheme's owner.
    #[test]
    fn signatures_of_other_implementations_verify() {
        // Text key, hex signature, over a timestamp and a body.
        let body = "{\n  \"id\": \"evt_test_1\",\n  \"object\": \"event\",\n  \"type\": \"checkout.session.completed\",\n  \"created\": 1795160000,\n  \"livemode\": false,\n  \"api_version\": \"2025-01-27.acacia\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"cs_test_1\",\n      \"object\": \"checkout.session\",\n      \"amount_total\": 25000,\n      \"currency\": \"usd\",\n      \"payment_status\": \"paid\",\n      \"status\": \"complete\",\n      \"payment_intent\": \"pi_123\",\n      \"client_reference_id\": \"15\",\n      \"metadata\": {\n        \"transaction_id\": \"15\"\n      }\n    }\n  }\n}";
        let result = verify_hmac(
            Digest::Sha256,
            &Keys::text(&secrets(&["whsec_test_secret"])),
            Covers::Fields,
            &[b"1795160000.", body.as_bytes()],
            &[Signature::hex("0ed0520adbd99f213ce0914d947c7be8beb49ee6046416b7ca707762fde327e1").expect("hex")],
        );
        assert_eq!(result, Ok(SignatureProof::over(Covers::Fields)));

        // Hex key, base64 signature.
        let result = verify_hmac(
            Digest::Sha256,
            &Keys::hex(&secrets(&["44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"])),
            Covers::Fields,
            &[b"7914073381342284::TestMerchant:TestPayment-1407325143704:1130:EUR:AUTHORISATION:true"],
            &[Signature::base64("coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=").expect("base64")],
        );
        assert_eq!(result, Ok(SignatureProof::over(Covers::Fields)));

        // A hash over fields and the secret.
        let fields = "Test-Integration-MerchantSandbox1590611635payment1test-1560610955";
        let result = verify(
            &Keys::text(&secrets(&["MerchantSecretKey"])),
            Covers::Fields,
            &[Signature::hex(
                "6399dae5301bca803c83ec9cab006e8f347fc2935601906044798a108b686f3bcfa802385085b9df1897f9e1e2607845",
            )
            .expect("hex")],
            |key| hash(Digest::Sha384, &[fields.as_bytes(), key]),
        );
        assert_eq!(result, Ok(SignatureProof::over(Covers::Fields)));
    }

    #[test]
    fn hmac_sha512_matches_rfc_4231() {
        let mac = hmac(Digest::Sha512, b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            to_hex(&mac),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        );
    }

    #[test]
    fn hmac_sha384_matches_rfc_4231() {
        let mac = hmac(Digest::Sha384, b"Jefe", &[b"what do ya want for nothing?"]);
        assert_eq!(
            to_hex(&mac),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
             8e2240ca5e69e2c78b3239ecfab21649"
        );
    }

    #[test]
    fn an_empty_secret_verifies_nothing() {
        let keys = Keys::text(&secrets(&["", ""]));
        // Signed with the empty secret itself.
        let signature = Signature(hmac(Digest::Sha256, b"", &[b"body"]));
        let result = verify_hmac(Digest::Sha256, &keys, Covers::Fields, &[b"body"], &[signature]);
        assert!(matches!(result, Err(Unverified::Undetermined(_))), "{result:?}");
        assert!(Keys::hex(&secrets(&["not hex"])).is_empty());
        assert!(Keys::base64(&secrets(&["whsec_"]), "whsec_").is_empty());
    }

    #[test]
    fn one_matching_pair_of_secret_and_signature_is_enough() {
        let keys = Keys::text(&secrets(&["new", "", "old"]));
        let by = |key: &[u8]| Signature(hmac(Digest::Sha256, key, &[b"body"]));
        let verify =
            |signatures: &[Signature]| verify_hmac(Digest::Sha256, &keys, Covers::Fields, &[b"body"], signatures);
        assert_eq!(verify(&[by(b"old")]), Ok(SignatureProof::over(Covers::Fields)));
        assert_eq!(verify(&[by(b"other"), by(b"new")]), Ok(SignatureProof::over(Covers::Fields)));
        assert!(matches!(verify(&[by(b"other")]), Err(Unverified::Rejected(_))));
        assert!(matches!(verify(&[by(b"")]), Err(Unverified::Rejected(_))));
        assert!(matches!(verify(&[]), Err(Unverified::Rejected(_))));
    }

    #[test]
    fn a_truncated_signature_does_not_match() {
        let keys = Keys::text(&secrets(&["key"]));
        let whole = hmac(Digest::Sha256, b"key", &[b"body"]);
        for length in 0..whole.len() {
            let cut = Signature(whole[..length].to_vec());
            assert!(verify_hmac(Digest::Sha256, &keys, Covers::Fields, &[b"body"], &[cut]).is_err());
        }
        assert_eq!(Signature::hex(""), None);
        assert_eq!(Signature::hex("0g"), None);
        assert_eq!(Signature::base64("*"), None);
    }

    #[test]
    fn the_time_tolerance_applies_in_both_directions() {
        for offset in [0, 1, 300, -1, -300] {
            assert_eq!(check_timestamp(NOW + offset, NOW), Ok(()), "{offset}");
        }
        for offset in [301, -301, i64::MAX - NOW, i64::MIN + NOW] {
            assert!(check_timestamp(NOW.saturating_add(offset), NOW).is_err(), "{offset}");
        }
        assert_eq!(parse_timestamp("1795160000"), Ok(NOW));
        for text in ["", "-1", "+1", "1.0", " 1", "99999999999999999999"] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }
}
