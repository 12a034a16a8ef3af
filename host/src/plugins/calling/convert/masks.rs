//! Makes texts that a module wrote safe to store, show and log: without the config's secrets, without control characters,
//! no longer than their field.

use std::borrow::Cow;

use cashier_core::printable::is_obeyed;
use cashier_provider_sdk::{Descriptor, ProviderConfig};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Shorter values may be part of any word or amount: they are masked where they stand alone.
const SECRET_LENGTH_MIN: usize = 6;
/// What replaces a secret.
const MASK: &str = "***";

/// The secrets of one config, masked in every text that its module writes: an author's mistake must not reach a log.
pub(in crate::plugins::calling) struct SecretMasks {
    /// Longest first, so that a secret that contains another is masked whole.
    secrets: Vec<Zeroizing<String>>,
}

impl SecretMasks {
    pub(in crate::plugins::calling) fn of(config: &ProviderConfig, descriptor: &Descriptor) -> Self {
        let columns = [&config.secret_key, &config.webhook_secret];
        let columns = columns.into_iter().chain(&config.previous_webhook_secrets).map(|secret| secret.expose());
        let settings = descriptor.settings.iter().filter(|spec| spec.secret);
        let settings = settings.filter_map(|spec| config.settings.get(&spec.key)?.as_str());
        let mut secrets: Vec<_> = columns
            .chain(settings)
            .filter(|secret| !secret.is_empty())
            .map(|secret| Zeroizing::new(secret.to_owned()))
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// The text in one line of at most `length_max` bytes, secrets masked.
    pub(in crate::plugins::calling) fn text(&self, text: &str, length_max: usize) -> Box<str> {
        let masked = self.masked(text);
        // Masked before it is cut: part of a secret must not pass either.
        let mut clean: String = masked.chars().map(|c| if is_obeyed(c) { ' ' } else { c }).collect();
        clean.truncate(clean.floor_char_boundary(length_max));
        clean.into_boxed_str()
    }

    /// A JSON object for the customer with the config's secrets masked in its names and texts. Everything else is as the
    /// module wrote it, to the byte: account numbers and references are what the customer pays by.
    pub(in crate::plugins::calling) fn object(&self, json_text: &str) -> String {
        let mut out = String::with_capacity(json_text.len());
        let mut rest = json_text;
        while let Some(begin) = rest.find('"') {
            let end = begin + string_length(rest.get(begin..).unwrap_or_default());
            let (before, written) = (rest.get(..begin).unwrap_or_default(), rest.get(begin..end).unwrap_or_default());
            out.push_str(before);
            let read: String = serde_json::from_str(written).unwrap_or_default();
            let masked = self.masked(&read);
            if *masked == *read {
                out.push_str(written);
            } else {
                out.push_str(&serde_json::Value::String(masked.into_owned()).to_string());
            }
            rest = rest.get(end..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }

    fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for secret in &self.secrets {
            if masked.contains(secret.as_str()) {
                masked = Cow::Owned(replaced(&masked, secret));
            }
        }
        masked
    }

    /// An id; one that is too long or not printable is replaced by its hash, because a shortened id could equal another.
    pub(in crate::plugins::calling) fn id(&self, id: &str, length_max: usize) -> Box<str> {
        stored_id(id, length_max)
    }
}

/// The text with a secret masked; a short one where no letter or digit stands beside it.
fn replaced(text: &str, secret: &str) -> String {
    if secret.len() >= SECRET_LENGTH_MIN {
        return text.replace(secret, MASK);
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, found) in text.match_indices(secret) {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        if ![before, after].into_iter().flatten().any(char::is_alphanumeric) {
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str(MASK);
            copied = at + found.len();
        }
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out
}

/// The length of the JSON string at the beginning of a text, with its quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What a hash that stands for an id begins with.
const HASHED: &str = "sha256:";

pub(super) fn stored_id(id: &str, length_max: usize) -> Box<str> {
    let valid = id.len() <= length_max && !id.chars().any(is_obeyed);
    if valid { id.into() } else { format!("{HASHED}{}", hex::encode(Sha256::digest(id))).into_boxed_str() }
}

/// Whether the stored id is a hash: the provider does not know it under this name.
pub(super) fn is_hashed(id: &str) -> bool {
    id.strip_prefix(HASHED).is_some_and(|digest| digest.len() == 2 * 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks() -> SecretMasks {
        let config = ProviderConfig {
            secret_key: "canary-secret-key".into(),
            webhook_secret: "canary-secret".into(),
            previous_webhook_secrets: vec!["short".into()],
            ..ProviderConfig::default()
        };
        SecretMasks::of(&config, &Descriptor::default())
    }

    #[test]
    fn neither_a_secret_nor_part_of_one_passes() {
        let text = masks().text("key canary-secret-key, hook canary-secret\n, short", 256);
        assert_eq!(&*text, "key ***, hook *** , ***");
        assert_eq!(&*masks().text("shortly, ashort, short.", 256), "shortly, ashort, ***.");
        assert_eq!(&*masks().text("0123456 canary-secret-key", 14), "0123456 ***");
        assert_eq!(&*masks().text("ééé", 5), "éé");
    }

    #[test]
    fn instructions_mask_the_exact_secrets_and_nothing_else() {
        let table = [
            (
                r#"{ "iban": "DE89 3704 0044 0532 0130 00", "card": "4111111111111111", "n": 1.50, "t": "\u00e9 short-lived", "u": "\u00e9" }"#,
                r#"{ "iban": "DE89 3704 0044 0532 0130 00", "card": "4111111111111111", "n": 1.50, "t": "é ***-lived", "u": "\u00e9" }"#,
            ),
            (r#"{"a":"k canary-secret-key \"x\"","a":["canary\u002dsecret"]}"#, r#"{"a":"k *** \"x\"","a":["***"]}"#),
            (
                r#"{"canary-secret":{"b\\":"shorten","c":"canary-secre"}}"#,
                r#"{"***":{"b\\":"shorten","c":"canary-secre"}}"#,
            ),
            ("{}", "{}"),
        ];
        for (written, shown) in table {
            assert_eq!(masks().object(written), shown);
            assert_eq!(SecretMasks::of(&ProviderConfig::default(), &Descriptor::default()).object(written), written);
        }
    }

    #[test]
    fn a_long_id_becomes_its_hash_and_stays_unique() {
        let (long, longer) = ("x".repeat(300), "x".repeat(301));
        let id = masks().id(&long, 255);
        assert!(id.starts_with("sha256:") && id.len() == 71);
        assert_ne!(id, masks().id(&longer, 255));
        assert_eq!(&*masks().id("evt_1", 255), "evt_1");
    }
}
