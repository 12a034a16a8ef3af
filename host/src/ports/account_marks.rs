//! What identifies the merchant account of a config, as fingerprints under a key of the database: they are stored in clear
//! beside the config, so that its account is known when its secrets are lost or wiped. It stores nothing.

use cashier_core::provider_config::ProviderConfig;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Marks of one config, one for each secret that it had: with a secret replaced twice a year, those of seven years. Beyond
/// them the oldest is dropped.
pub const ACCOUNT_MARKS_MAX: usize = 16;

/// The mark of a config that may be of any merchant account, whatever it holds later: payments were made under it before any
/// of its marks was known.
const ANY: &str = "any";

/// What is hashed before the field, so that no other use of the key gives the same digest.
const ACCOUNT_MARK: &[u8] = b"cashier merchant account 1";
/// Half a digest: no two secrets share it by chance.
const MARK_BYTES: usize = 16;

/// A key of fingerprints with its number; the default one is no secret, for books that have none. No Debug.
#[derive(Clone, Default)]
pub struct FingerprintKey {
    id: u64,
    key: Zeroizing<String>,
}

impl FingerprintKey {
    pub fn new(id: u64, key: Zeroizing<String>) -> Self {
        Self { id, key }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// A keyed digest for one use, over parts with their lengths: without the key no guess can be checked.
    pub fn digest(&self, used_for: &[u8], parts: &[&str]) -> [u8; 32] {
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(self.key.as_bytes()) else { return [0; 32] };
        mac.update(used_for);
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// The marks to store with a config: those that it has, and those of what it holds now. Marks of a key that is lost stay:
    /// they are compared with each other as texts. A config that does not open gets none.
    pub fn account_marks(&self, config: &ProviderConfig) -> Vec<Box<str>> {
        let mut marks = config.account_marks.clone();
        if !is_readable(config) {
            return marks;
        }
        let held = self.held(config);
        for mark in &held {
            if !marks.contains(mark) {
                marks.push(mark.clone());
            }
        }
        let mut more = marks.len().saturating_sub(ACCOUNT_MARKS_MAX);
        marks.retain(|mark| {
            let drops = more > 0 && **mark != *ANY && !held.contains(mark);
            more -= usize::from(drops);
            !drops
        });
        marks
    }

    /// Whether a config with these marks may be of any merchant account: what identifies it does not open and was never
    /// marked, or nothing of its kind was marked since the key of its mark was lost.
    pub fn may_be_any(&self, config: &ProviderConfig, marks: &[Box<str>]) -> bool {
        let is_compared = |mark: &str| {
            self.made(mark) || marks.iter().any(|other| self.made(other) && field_of(other) == field_of(mark))
        };
        marks.iter().any(|mark| !is_compared(mark)) || (marks.is_empty() && !is_readable(config))
    }

    /// The marks of a config that keeps them for ever as one that may be of any account.
    pub fn with_any(marks: Vec<Box<str>>) -> Vec<Box<str>> {
        if marks.iter().any(|mark| **mark == *ANY) { marks } else { [vec![ANY.into()], marks].concat() }
    }

    /// `config_json` wins over the columns, as it does for the module.
    fn held(&self, config: &ProviderConfig) -> Vec<Box<str>> {
        let json: Map<String, Value> = serde_json::from_str(config.config_json.expose()).unwrap_or_default();
        let effective = |key: &str, column: &str| match json.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            None | Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => column.to_owned(),
        };
        let columns = [("merchant_id", &*config.merchant_id), ("secret_key", config.secret_key.expose())];
        let held = columns.map(|(field, column)| (field, Zeroizing::new(effective(field, column))));
        // Blanks around a value are nothing, also where an earlier release stored them.
        let held = held.iter().map(|(field, text)| (field, text.trim())).filter(|(_, text)| !text.is_empty());
        held.map(|(field, text)| self.mark(field, text)).collect()
    }

    fn mark(&self, field: &str, text: &str) -> Box<str> {
        let digest = self.digest(ACCOUNT_MARK, &[field, text]);
        format!("k{} {field} {}", self.id, hex::encode(digest.get(..MARK_BYTES).unwrap_or_default())).into()
    }

    fn made(&self, mark: &str) -> bool {
        mark.strip_prefix('k').and_then(|rest| rest.split(' ').next()) == Some(self.id.to_string().as_str())
    }
}

fn field_of(mark: &str) -> Option<&str> {
    mark.split(' ').nth(1)
}

/// Whether everything opens that may identify the account.
fn is_readable(config: &ProviderConfig) -> bool {
    !config.unreadable.iter().any(|lost| matches!(lost.column, "secret_key" | "config_json"))
}
