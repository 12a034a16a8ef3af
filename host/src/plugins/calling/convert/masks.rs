//! Makes texts that a module wrote safe to store, show and log: without the config's secrets, without control characters,
//! no longer than their field.

use cashier_provider_sdk::{Descriptor, ProviderConfig};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Shorter values are words such as `test`: masking them would garble every sentence and protect nothing.
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
            .filter(|secret| secret.len() >= SECRET_LENGTH_MIN)
            .map(|secret| Zeroizing::new(secret.to_owned()))
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// The text in one line of at most `length_max` bytes, secrets masked.
    pub(in crate::plugins::calling) fn text(&self, text: &str, length_max: usize) -> Box<str> {
        let mut masked = text.to_owned();
        for secret in &self.secrets {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASK);
            }
        }
        // Masked before it is cut: part of a secret must not pass either.
        let mut clean: String = masked.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        clean.truncate(clean.floor_char_boundary(length_max));
        clean.into_boxed_str()
    }

    /// An id; one that is too long or not printable is replaced by its hash, because a shortened id could equal another.
    pub(in crate::plugins::calling) fn id(&self, id: &str, length_max: usize) -> Box<str> {
        stored_id(id, length_max)
    }
}

/// What a hash that stands for an id begins with.
const HASHED: &str = "sha256:";

pub(super) fn stored_id(id: &str, length_max: usize) -> Box<str> {
    let valid = id.len() <= length_max && !id.chars().any(char::is_control);
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
        assert_eq!(&*text, "key ***, hook *** , short");
        assert_eq!(&*masks().text("0123456 canary-secret-key", 14), "0123456 ***");
        assert_eq!(&*masks().text("ééé", 5), "éé");
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
