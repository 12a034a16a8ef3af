//! Public keys of other issuers, from a JWK set: Ed25519, RS256 and ES256. The JOSE crate reads keys and binds the
//! algorithm to the key; `ring` verifies signatures, handed to it as its provider. Claims are judged as those of other tokens:
//! the crate's checks read the system clock. Why is in docs/decisions/0019-public-keys-of-other-issuers.md.

use jsonwebtoken::crypto::{self, CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::claims::Claims;
use super::keys::{Signs, distinct};
use super::refused::TokenProblem;
use crate::ports::Fault;

/// Keys of a JWK set: each issuer has two while it changes them.
pub(super) const JWKS_KEYS_MAX: usize = 32;

/// Keys that are named where none of a set can be used.
const LEFT_OUT_SHOWN: usize = 8;

/// Shortest and longest modulus of an RSA key, in bits: RS256 asks for at least 2048 (RFC 7518, section 3.3), and a
/// signature under a larger one costs more than it protects.
const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 8192;

/// Length of an Ed25519 key and of each coordinate of a P-256 key, in bytes.
const CURVE_BYTES: usize = 32;

/// The name of RFC 9864 for what is called EdDSA in RFC 8037; tokens and keys have either.
const ED25519_NAME: &str = "Ed25519";

/// A key that verifies tokens of one algorithm under one `kid`.
pub(super) struct PublicKey {
    pub(super) kid: Box<str>,
    pub(super) signs: Signs,
    pub(super) algorithm: Algorithm,
    key: DecodingKey,
    /// As the set states it.
    jwk: Box<str>,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.jwk == other.jwk
    }
}

/// The name of an algorithm in a token's header, where public keys may have it.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "EdDSA" | ED25519_NAME => Some(Algorithm::EdDSA),
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        _ => None,
    }
}

/// A JWK with the members that the cashier itself reads.
#[derive(Deserialize)]
struct OwnMembers {
    kty: Box<str>,
    kid: Option<Box<str>>,
    /// **Ours**: whose tokens the key may sign, `customer` or `manager`.
    signs: Option<Box<str>>,
    alg: Option<Box<str>>,
    /// The private part of any key, or its whole where it is symmetric.
    d: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

/// The keys of a JWK set (RFC 7517, section 5). Keys that are not for signatures, or of another algorithm, are left out; a key
/// that is wrong refuses the set, by its `kid`.
pub(super) fn parse_jwks(text: &str) -> Result<Vec<PublicKey>, Fault> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let set: Set = serde_json::from_str(text).map_err(|error| {
        // The parser's own words could quote the file.
        let (line, column) = (error.line(), error.column());
        Fault::new(format!("it is no JWK set, an object with a list of `keys` (line {line}, column {column})"))
    })?;
    let (mut keys, mut left_out) = (Vec::new(), Vec::new());
    for (index, jwk) in set.keys.into_iter().enumerate() {
        let wrong = |named: Option<&str>, what: &str| {
            let name = named.map_or_else(|| format!("key number {}", index + 1), |kid| format!("key {kid:?}"));
            Fault::new(format!("{name} {what}"))
        };
        let own = OwnMembers::deserialize(&jwk).map_err(|_| wrong(None, "is no JWK"))?;
        let kid = own.kid.as_deref().filter(|kid| !kid.is_empty());
        // A key set is public: whoever can read it could sign.
        if own.d.is_some() || own.k.is_some() || &*own.kty == "oct" {
            return Err(wrong(kid, "is secret: a JWK set has public keys alone"));
        }
        let stated = jwk.to_string();
        let jwk: Jwk = serde_json::from_value(jwk).map_err(|_| wrong(kid, "is no JWK"))?;
        if !verifies(&jwk) {
            left_out.push(wrong(kid, "is not for signatures"));
            continue;
        }
        let Some(algorithm) = bound(&jwk, own.alg.as_deref()).map_err(|what| wrong(kid, what))? else {
            tracing::info!(kid, "key of the JWK set was left out: its algorithm is not supported");
            left_out.push(wrong(kid, "has an algorithm that is not supported"));
            continue;
        };
        let kid = kid.ok_or_else(|| wrong(None, "has no kid"))?;
        let signs = match own.signs.as_deref() {
            None => Signs::Both,
            Some(name) => {
                Signs::from_name(name).ok_or_else(|| wrong(Some(kid), "may sign for \"customer\" or \"manager\""))?
            }
        };
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| wrong(Some(kid), "cannot be read"))?;
        strong(&key, algorithm).map_err(|what| wrong(Some(kid), &what))?;
        keys.push(PublicKey { kid: kid.into(), signs, algorithm, key, jwk: stated.into() });
    }
    // An empty set would end every token under it: that is said by an empty list.
    if keys.is_empty() && !left_out.is_empty() {
        let named: Vec<_> = left_out.into_iter().take(LEFT_OUT_SHOWN).map(|fault| fault.what).collect();
        return Err(Fault::new(format!("no key of the set can be used: {}", named.join("; "))));
    }
    distinct(keys.iter().map(|key| &*key.kid), JWKS_KEYS_MAX)?;
    Ok(keys)
}

/// Whether the key is for signatures, as far as it says.
fn verifies(jwk: &Jwk) -> bool {
    let for_signatures = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let operations = jwk.common.key_operations.as_ref();
    for_signatures && operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

/// The one algorithm of a key: by its type and curve, and by its `alg` where it has one. `None` is an algorithm of others.
fn bound(jwk: &Jwk, stated: Option<&str>) -> Result<Option<Algorithm>, &'static str> {
    let (by_type, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return Ok(None),
    };
    if by_type == Algorithm::EdDSA && stated == Some(ED25519_NAME) {
        return Ok(Some(by_type));
    }
    match jwk.common.key_algorithm {
        None => Ok(Some(by_type)),
        Some(stated) if stated == name => Ok(Some(by_type)),
        Some(KeyAlgorithm::HS256 | KeyAlgorithm::HS384 | KeyAlgorithm::HS512) => {
            Err("has an alg for secrets: a public key is none")
        }
        Some(stated) if family(stated) == family(name) => Ok(None),
        Some(KeyAlgorithm::UNKNOWN_ALGORITHM) => Ok(None),
        Some(_) => Err("has an alg that does not fit its type"),
    }
}

/// Algorithms that one type of key may have.
fn family(algorithm: KeyAlgorithm) -> u8 {
    use KeyAlgorithm as Alg;
    match algorithm {
        Alg::RS256 | Alg::RS384 | Alg::RS512 | Alg::PS256 | Alg::PS384 | Alg::PS512 => 1,
        Alg::RSA1_5 | Alg::RSA_OAEP | Alg::RSA_OAEP_256 => 1,
        Alg::ES256 | Alg::ES384 => 2,
        Alg::EdDSA => 3,
        _ => 0,
    }
}

/// Whether a key is long enough for its algorithm, and of its exact length where that has one.
fn strong(key: &DecodingKey, algorithm: Algorithm) -> Result<(), String> {
    let bytes = |wanted: usize| match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) if bytes.len() == wanted => Ok(()),
        _ => Err("has coordinates of another length".to_owned()),
    };
    match (algorithm, key.kind()) {
        (Algorithm::EdDSA, _) => bytes(CURVE_BYTES),
        // Both coordinates behind the byte that says so.
        (Algorithm::ES256, _) => bytes(1 + 2 * CURVE_BYTES),
        (_, DecodingKeyKind::RsaModulusExponent { n, .. }) => {
            let leading = n.iter().take_while(|byte| **byte == 0).count();
            let zeros = n.get(leading).map_or(0, |byte| byte.leading_zeros() as usize);
            let bits = ((n.len() - leading) * 8).saturating_sub(zeros);
            if (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
                return Ok(());
            }
            Err(format!("has {bits} bits: an RSA key needs {RSA_BITS_MIN} to {RSA_BITS_MAX}"))
        }
        (_, DecodingKeyKind::SecretOrDer(_)) => Err("cannot be read".to_owned()),
    }
}

impl PublicKey {
    /// The claims of a token whose signature this key verifies.
    pub(super) fn claims(&self, token: &str) -> Result<Claims, TokenProblem> {
        provide();
        let (message, signature) = token.rsplit_once('.').ok_or(TokenProblem::Malformed)?;
        match crypto::verify(signature, message.as_bytes(), &self.key, self.algorithm) {
            Ok(true) => Claims::of(message),
            Ok(false) => Err(TokenProblem::Signature),
            Err(_) => Err(TokenProblem::Malformed),
        }
    }
}

/// Hands `ring` to the crate, which asks for a provider of the whole process; nothing else in it uses the crate. Once it is
/// there, this does nothing.
fn provide() {
    static RING: CryptoProvider =
        CryptoProvider { signer_factory: sign, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };
    let _ = RING.install_default();
}

/// The cashier signs with no key of this kind.
fn sign(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let verified = match (self.algorithm, self.key.kind()) {
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature)
            }
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let significant = |bytes: &[u8]| {
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    bytes.get(zeros..).unwrap_or_default().to_vec()
                };
                let key = RsaPublicKeyComponents { n: significant(n), e: significant(e) };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            _ => return Err(SignatureError::new()),
        };
        verified.map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests;
