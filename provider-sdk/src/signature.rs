//! Whether a notice was signed with one of our secrets. Comparisons take the same time whatever
//! they find, an absent secret verifies nothing, and the answer is a proof or a verdict, not a boolean.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::types::{Secret, WebhookVerdict};

mod timestamped;

pub use timestamped::{TimestampedHeader, single_header};

/// How far a signed timestamp may lie from the time of receipt, in either direction: five minutes,
/// the tolerance providers name themselves, and enough for clocks that drift.
pub const TOLERANCE_SECONDS: u64 = 300;

/// The hash functions of the schemes in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

/// Proof that a notice carries a signature made with one of our secrets.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "read the notice only once its signature is proven"]
pub struct SignatureProof(());

/// Why there is no such proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
    Rejected(String),
    Undetermined(String),
}

impl From<Unverified> for WebhookVerdict {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Rejected(reason) => Self::Rejected(reason),
            Unverified::Undetermined(reason) => Self::Undetermined(reason),
        }
    }
}

/// Proves that one of the signatures is the HMAC of the message under one of the keys.
///
/// # Errors
/// `Undetermined` without a key, `Rejected` without a matching signature.
pub fn verify_hmac(
    digest: Digest,
    keys: &Keys,
    message: &[&[u8]],
    signatures: &[Signature],
) -> Result<SignatureProof, Unverified> {
    verify(keys, signatures, |key| hmac(digest, key, message))
}

/// Proves that one of the signatures is what `sign` makes with one of the keys; for schemes that
/// are no HMAC, such as a hash over fields and a secret.
///
/// # Errors
/// As [`verify_hmac`].
pub fn verify(
    keys: &Keys,
    signatures: &[Signature],
    sign: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<SignatureProof, Unverified> {
    if keys.0.is_empty() {
        return Err(Unverified::Undetermined("no webhook secret is configured".into()));
    }
    if signatures.is_empty() {
        return Err(Unverified::Rejected("no readable signature".into()));
    }
    // Every pair is compared: which key matched, or at which byte, must not show in the time.
    let mut found = Choice::from(0);
    for key in &keys.0 {
        let expected = sign(key);
        for signature in signatures {
            found |= expected.ct_eq(&signature.0);
        }
    }
    if bool::from(found) {
        Ok(SignatureProof(()))
    } else {
        Err(Unverified::Rejected("the signature does not match".into()))
    }
}

/// Checks that a signed time lies within [`TOLERANCE_SECONDS`] of the receipt, before or after.
///
/// # Errors
/// `Rejected`: an old notice shown again, or a clock that is wrong.
pub fn check_timestamp(signed_unix: i64, received_unix: i64) -> Result<(), Unverified> {
    if signed_unix.abs_diff(received_unix) <= TOLERANCE_SECONDS {
        return Ok(());
    }
    Err(Unverified::Rejected(format!("the signed time is more than {TOLERANCE_SECONDS} s away")))
}

/// Reads a signed time: seconds in plain digits.
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

/// The HMAC of the parts, one after another.
pub fn hmac(digest: Digest, key: &[u8], message: &[&[u8]]) -> Vec<u8> {
    match digest {
        Digest::Sha256 => mac::<Hmac<Sha256>>(key, message),
        Digest::Sha384 => mac::<Hmac<Sha384>>(key, message),
        Digest::Sha512 => mac::<Hmac<Sha512>>(key, message),
    }
}

/// The plain hash of the parts, one after another.
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

/// The keys that verify: several, because a replaced secret still holds for a while. Empty and
/// unreadable ones are left out; check their form in `configure`. Leaves memory when dropped.
pub struct Keys(Vec<Zeroizing<Vec<u8>>>);

impl Keys {
    /// The secrets' own text is the key.
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

    /// Whether there is nothing to verify with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A signature as received. Its bytes are compared, so the case of its hex does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Nothing where the text is not hex or is empty.
    pub fn hex(text: &str) -> Option<Self> {
        hex::decode(text).ok().and_then(Self::bytes)
    }

    /// Nothing where the text is not base64 or is empty.
    pub fn base64(text: &str) -> Option<Self> {
        BASE64.decode(text).ok().and_then(Self::bytes)
    }

    fn bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self(bytes))
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of every length; the empty answer of the impossible arm matches no signature.
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

    /// Signed by implementations that are not ours: the tools of each scheme's owner.
    #[test]
    fn genuine_signatures_of_other_implementations_verify() {
        // Text key, hex signature, over a timestamp and a body.
        let body = "{\n  \"id\": \"evt_test_1\",\n  \"object\": \"event\",\n  \"type\": \"checkout.session.completed\",\n  \"created\": 1795160000,\n  \"livemode\": false,\n  \"api_version\": \"2025-01-27.acacia\",\n  \"data\": {\n    \"object\": {\n      \"id\": \"cs_test_1\",\n      \"object\": \"checkout.session\",\n      \"amount_total\": 25000,\n      \"currency\": \"usd\",\n      \"payment_status\": \"paid\",\n      \"status\": \"complete\",\n      \"payment_intent\": \"pi_123\",\n      \"client_reference_id\": \"15\",\n      \"metadata\": {\n        \"transaction_id\": \"15\"\n      }\n    }\n  }\n}";
        let genuine = verify_hmac(
            Digest::Sha256,
            &Keys::text(&secrets(&["whsec_test_secret"])),
            &[b"1795160000.", body.as_bytes()],
            &[Signature::hex("0ed0520adbd99f213ce0914d947c7be8beb49ee6046416b7ca707762fde327e1").expect("hex")],
        );
        assert_eq!(genuine, Ok(SignatureProof(())));

        // Hex key, base64 signature.
        let genuine = verify_hmac(
            Digest::Sha256,
            &Keys::hex(&secrets(&["44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"])),
            &[b"7914073381342284::TestMerchant:TestPayment-1407325143704:1130:EUR:AUTHORISATION:true"],
            &[Signature::base64("coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=").expect("base64")],
        );
        assert_eq!(genuine, Ok(SignatureProof(())));

        // A hash over fields and the secret.
        let fields = "Test-Integration-MerchantSandbox1590611635payment1test-1560610955";
        let genuine = verify(
            &Keys::text(&secrets(&["MerchantSecretKey"])),
            &[Signature::hex(
                "6399dae5301bca803c83ec9cab006e8f347fc2935601906044798a108b686f3bcfa802385085b9df1897f9e1e2607845",
            )
            .expect("hex")],
            |key| hash(Digest::Sha384, &[fields.as_bytes(), key]),
        );
        assert_eq!(genuine, Ok(SignatureProof(())));
    }

    #[test]
    fn hmac_sha512_is_that_of_rfc_4231() {
        let mac = hmac(Digest::Sha512, b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(
            to_hex(&mac),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        );
    }

    #[test]
    fn hmac_sha384_is_that_of_rfc_4231() {
        let mac = hmac(Digest::Sha384, b"Jefe", &[b"what do ya want for nothing?"]);
        assert_eq!(
            to_hex(&mac),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
             8e2240ca5e69e2c78b3239ecfab21649"
        );
    }

    #[test]
    fn no_secret_verifies_nothing() {
        let keys = Keys::text(&secrets(&["", ""]));
        // Signed with the empty secret itself.
        let signature = Signature(hmac(Digest::Sha256, b"", &[b"body"]));
        let told = verify_hmac(Digest::Sha256, &keys, &[b"body"], &[signature]);
        assert!(matches!(told, Err(Unverified::Undetermined(_))), "{told:?}");
        assert!(Keys::hex(&secrets(&["not hex"])).is_empty());
        assert!(Keys::base64(&secrets(&["whsec_"]), "whsec_").is_empty());
    }

    #[test]
    fn any_of_several_secrets_and_signatures_is_enough() {
        let keys = Keys::text(&secrets(&["new", "", "old"]));
        let by = |key: &[u8]| Signature(hmac(Digest::Sha256, key, &[b"body"]));
        let verify = |signatures: &[Signature]| verify_hmac(Digest::Sha256, &keys, &[b"body"], signatures);
        assert_eq!(verify(&[by(b"old")]), Ok(SignatureProof(())));
        assert_eq!(verify(&[by(b"other"), by(b"new")]), Ok(SignatureProof(())));
        assert!(matches!(verify(&[by(b"other")]), Err(Unverified::Rejected(_))));
        assert!(matches!(verify(&[by(b"")]), Err(Unverified::Rejected(_))));
        assert!(matches!(verify(&[]), Err(Unverified::Rejected(_))));
    }

    #[test]
    fn a_signature_cut_short_does_not_match() {
        let keys = Keys::text(&secrets(&["key"]));
        let whole = hmac(Digest::Sha256, b"key", &[b"body"]);
        for length in 0..whole.len() {
            let cut = Signature(whole[..length].to_vec());
            assert!(verify_hmac(Digest::Sha256, &keys, &[b"body"], &[cut]).is_err());
        }
        assert_eq!(Signature::hex(""), None);
        assert_eq!(Signature::hex("0g"), None);
        assert_eq!(Signature::base64("*"), None);
    }

    #[test]
    fn a_signed_time_counts_in_both_directions() {
        for away in [0, 1, 300, -1, -300] {
            assert_eq!(check_timestamp(NOW + away, NOW), Ok(()), "{away}");
        }
        for away in [301, -301, i64::MAX - NOW, i64::MIN + NOW] {
            assert!(check_timestamp(NOW.saturating_add(away), NOW).is_err(), "{away}");
        }
        assert_eq!(parse_timestamp("1795160000"), Ok(NOW));
        for text in ["", "-1", "+1", "1.0", " 1", "99999999999999999999"] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }
}
