//! Signatures of Standard Webhooks, as both sides of the protocol sign: HMAC-SHA256 over id, timestamp and body. Several secrets
//! sign and verify side by side while one is replaced. It sends nothing and reads no clock.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cashier_core::time::UnixTime;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::text_file;

/// Seconds that the clocks of both sides may differ, as the published rule has it: the window in which a message may come twice.
pub(super) const TIMESTAMP_TOLERANCE_SECONDS: i64 = 300;

/// Secrets at once: the current one, and the next ones of a replacement.
const SECRETS_MAX: usize = 4;

/// Bytes of a secret: less can be guessed, and more is no better than the hash of it.
const SECRET_BYTES_MIN: usize = 24;
const SECRET_BYTES_MAX: usize = 64;

/// Signatures of one answer that are looked at: as many as a peer with secrets to replace has.
const SIGNATURES_MAX: usize = 8;

/// Longest file of secrets: four lines of a hundred characters, and comments.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// The secrets of one trading server: every one of them signs, and any of them is taken. No Debug, and wiped when dropped.
#[derive(Clone)]
pub struct SigningSecrets(Vec<Zeroizing<Vec<u8>>>);

impl SigningSecrets {
    /// Reads a file of secrets.
    ///
    /// # Errors
    /// It cannot be read, or what is wrong in it, with its name.
    pub fn read(path: &Path) -> Result<Self, String> {
        let named = |problem: String| format!("{}: {problem}", path.display());
        let text = text_file::read_file_up_to(path, SECRET_FILE_BYTES_MAX).map_err(named)?;
        Self::parse(&text).map_err(named)
    }

    /// Reads the secrets of a text: one on each line, empty lines and comments apart.
    ///
    /// # Errors
    /// What is wrong, with the line and without anything of its content.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut secrets = Vec::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            secrets.push(secret(line).map_err(|problem| format!("line {}: {problem}", at + 1))?);
        }
        match secrets.len() {
            0 => Err(format!("there is no secret in it: a line {PREFIX}… of base64 is needed")),
            1..=SECRETS_MAX => Ok(Self(secrets)),
            _ => Err(format!("there are more than {SECRETS_MAX} secrets in it")),
        }
    }

    /// The value of `webhook-signature`: a signature by each secret, in their order.
    pub fn sign(&self, id: &str, timestamp: UnixTime, body: &[u8]) -> String {
        let signed = self
            .0
            .iter()
            .map(|secret| format!("v1,{}", STANDARD.encode(mac(secret, id, timestamp, body).finalize().into_bytes())));
        signed.collect::<Vec<_>>().join(" ")
    }

    /// Whether one of the signatures of a header is by one of the secrets. Other versions of signatures are passed over.
    pub fn verify(&self, header: &str, id: &str, timestamp: UnixTime, body: &[u8]) -> bool {
        let stated =
            header.split(' ').take(SIGNATURES_MAX).filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
        let by_one_of_ours = |signature: Vec<u8>| {
            self.0.iter().any(|secret| mac(secret, id, timestamp, body).verify_slice(&signature).is_ok())
        };
        stated.into_iter().any(by_one_of_ours)
    }
}

fn secret(line: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let encoded = line.strip_prefix(PREFIX).ok_or_else(|| format!("a secret begins with {PREFIX}"))?;
    let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| format!("what follows {PREFIX} is not base64"))?);
    if (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(format!("a secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64"))
    }
}

fn mac(secret: &[u8], id: &str, timestamp: UnixTime, body: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length; without one nothing verifies.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()));
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const AT: UnixTime = UnixTime(1_614_265_330);

    #[test]
    fn the_published_sample_has_the_published_signature() {
        let secrets = SigningSecrets::parse(PUBLISHED).unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        assert_eq!(secrets.sign(id, AT, body), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn any_secret_of_either_side_verifies_and_nothing_else_does() {
        let parse = |text: &str| SigningSecrets::parse(text).unwrap();
        let (old, new, both) =
            (parse(PUBLISHED), parse(OTHER), parse(&format!("# old, new\n{PUBLISHED}\n\n {OTHER}\n")));
        let header = both.sign("a", AT, b"{}");
        assert!(old.verify(&header, "a", AT, b"{}") && new.verify(&header, "a", AT, b"{}"));
        assert!(both.verify(&new.sign("a", AT, b"{}"), "a", AT, b"{}"));
        assert!(!old.verify(&new.sign("a", AT, b"{}"), "a", AT, b"{}"));
        for (id, at, body) in [("b", AT, "{}"), ("a", AT.plus(1), "{}"), ("a", AT, "{ }"), ("a.answer", AT, "{}")] {
            assert!(!both.verify(&header, id, at, body.as_bytes()), "{id} {at} {body}");
        }
        let bare = header.replace("v1,", "");
        for wrong in ["", "v1,", "v1,AAAA", "v2,AAAA", bare.as_str()] {
            assert!(!both.verify(wrong, "a", AT, b"{}"), "{wrong}");
        }
    }

    #[test]
    fn a_secret_that_is_none_is_refused_by_its_line_and_never_repeated() {
        for (text, problem) in [
            ("", "there is no secret"),
            ("# whsec_CANARY", "there is no secret"),
            ("\nCANARY", "line 2: a secret begins with whsec_"),
            ("whsec_CANARY?", "line 1: what follows whsec_ is not base64"),
            ("whsec_Q0FOQVJZ", "line 1: a secret has 24 to 64 bytes"),
        ] {
            let refused = SigningSecrets::parse(text).err().unwrap();
            assert!(refused.contains(problem) && !refused.contains("CANARY"), "{text}: {refused}");
        }
        assert!(SigningSecrets::parse(&format!("{PUBLISHED}\n").repeat(5)).err().unwrap().contains("more than 4"));
    }
}
