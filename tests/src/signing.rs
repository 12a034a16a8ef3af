//! Webhook signatures made by an independent implementation: the `openssl` program.

use std::io::Write;
use std::process::{Command, Stdio};

/// Whether `openssl` is installed; reports a skipped test where it is not.
pub fn can_sign() -> bool {
    let found = Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    if !found {
        crate::waiting::skipped("no openssl");
    }
    found
}

/// Lower-case hex of HMAC-SHA256.
pub fn hmac_sha256_hex(key: &[u8], message: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-mac", "HMAC", "-macopt"])
        .arg(format!("hexkey:{}", hex::encode(key)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl starts");
    child.stdin.take().expect("openssl reads").write_all(message).expect("openssl reads all of it");
    let output = child.wait_with_output().expect("openssl ends");
    assert!(output.status.success(), "openssl refused to sign");
    let text = String::from_utf8(output.stdout).expect("openssl writes text");
    let digest = text.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    assert_eq!(digest.len(), 64, "openssl wrote {text:?}");
    digest
}

/// The value of `Sandbox-Signature` and of `Stripe-Signature`: both sign `t + "." + body`.
pub fn timed_signature(secret: &str, at: i64, body: &[u8]) -> String {
    let message = [at.to_string().as_bytes(), b".", body].concat();
    format!("t={at},v1={}", hmac_sha256_hex(secret.as_bytes(), &message))
}
