//! What identifies the merchant account of a config, as fingerprints under a key of the database: they are stored in clear
//! beside the config, so that its account is known when its secrets are lost or wiped. It stores nothing.

use std::collections::BTreeMap;

use cashier_core::provider_config::ProviderConfig;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Marks of one config, one for each secret that it had: with one replaced every month, those of ten years. A config that had
/// more may be of any account, because what was credited under a dropped one would be credited again.
pub const ACCOUNT_MARKS_MAX: usize = 128;

/// The mark of a config that may be of any merchant account, whatever it holds later: payments were made under it before any
/// of its marks was known, or it had more of them than are kept.
const ANY: &str = "any";

/// What stands behind the number of a key, in the place of a field, where the first start with that key marked a config that
/// has marks of a lost one: everything that it ever had is marked under the new key too.
const CARRIED: &str = "carried";
/// The same where something is marked under the lost key alone, as after an edit, or where its secrets do not open.
const BEGUN: &str = "begun";

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
        let marks = config.account_marks.clone();
        if is_readable(config) { bounded(marks, &self.held(config)) } else { marks }
    }

    /// The same at a start, which stores them: a new key has a sign behind what was marked at once, and a disabled config
    /// with payments and without a secret had it wiped before there were marks. One that is enabled needs none.
    pub fn marks_at_start(&self, config: &ProviderConfig, has_payments: bool) -> Vec<Box<str>> {
        let marks = self.account_marks(config);
        let has_secret = || marks.iter().any(|mark| field_of(mark) == Some("secret_key"));
        let may_be_wiped = has_payments && !config.enabled && config.account_marks.is_empty() && is_readable(config);
        if may_be_wiped && !has_secret() {
            return Self::with_any(marks);
        }
        let keys: Vec<u64> = config.account_marks.iter().filter_map(|mark| key_of(mark)).collect();
        if keys.is_empty() || keys.contains(&self.id) {
            return marks;
        }
        let held = if is_readable(config) { self.held(config) } else { Vec::new() };
        let is_carried = |mark: &str| {
            let of_field = |marks: &[Box<str>]| marks.iter().filter(|other| field_of(other) == field_of(mark)).count();
            of_field(&config.account_marks) == 1 && of_field(&held) == 1
        };
        let is_whole = config.account_marks.iter().all(|mark| is_carried(mark));
        let sign = format!("k{} {}", self.id, if is_whole { CARRIED } else { BEGUN });
        bounded(marks, &[held, vec![sign.into()]].concat())
    }

    /// Whether a config with these marks may be of any merchant account, whatever keys there are: what identifies it does not
    /// open and was never marked, or it is marked so.
    pub fn may_be_any(config: &ProviderConfig, marks: &[Box<str>]) -> bool {
        Self::is_any(marks) || (marks.is_empty() && !is_readable(config))
    }

    /// Whether it is so for ever.
    pub fn is_any(marks: &[Box<str>]) -> bool {
        marks.iter().any(|mark| **mark == *ANY)
    }

    /// How these marks can be compared with others under each lost key that made some of them.
    pub fn lost_keys(&self, marks: &[Box<str>]) -> BTreeMap<u64, LostKey> {
        let keys = marks.iter().filter(|mark| !is_sign(mark)).filter_map(|mark| key_of(mark));
        keys.filter(|key| *key != self.id).map(|key| (key, LostKey::of(key, marks))).collect()
    }

    /// The marks of a config that keeps them for ever as one that may be of any account.
    pub fn with_any(marks: Vec<Box<str>>) -> Vec<Box<str>> {
        if Self::is_any(&marks) { marks } else { [vec![ANY.into()], marks].concat() }
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
}

/// What a config has of a key that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostKey {
    /// Something that identified it may be marked under that key alone: nothing that was marked later is compared with it.
    pub has_alone: bool,
    /// Something that identified it may not be marked under that key.
    pub has_more: bool,
}

impl LostKey {
    /// What stands between the last mark of a key and the sign of the next one was marked under both.
    fn of(key: u64, marks: &[Box<str>]) -> Self {
        let is_of_key = |mark: &str| !is_sign(mark) && key_of(mark) == Some(key);
        let last = marks.iter().rposition(|mark| is_of_key(mark)).unwrap_or(0);
        let ends = |mark: &str| is_sign(mark) && key_of(mark) != Some(key);
        let end = marks.iter().skip(last).position(|mark| ends(mark)).map(|after| last + after);
        let is_more = |at: usize, mark: &str| {
            let is_of_both = end.is_some_and(|end| (last..end).contains(&at));
            !is_of_both && !is_sign(mark) && key_of(mark).is_some_and(|other| other != key)
        };
        Self {
            has_alone: end.and_then(|end| marks.get(end)).is_none_or(|sign| field_of(sign) != Some(CARRIED)),
            has_more: marks.iter().enumerate().any(|(at, mark)| is_more(at, mark)),
        }
    }
}

/// Marks with those that are missing. Where they are too many the oldest that are not held now are dropped, and the config may be
/// of any account from then on.
fn bounded(mut marks: Vec<Box<str>>, added: &[Box<str>]) -> Vec<Box<str>> {
    let missing: Vec<Box<str>> = added.iter().filter(|mark| !marks.contains(mark)).cloned().collect();
    marks.extend(missing);
    if marks.len() > ACCOUNT_MARKS_MAX {
        marks = FingerprintKey::with_any(marks);
    }
    let mut more = marks.len().saturating_sub(ACCOUNT_MARKS_MAX);
    marks.retain(|mark| {
        let drops = more > 0 && **mark != *ANY && !added.contains(mark);
        more -= usize::from(drops);
        !drops
    });
    marks
}

fn key_of(mark: &str) -> Option<u64> {
    mark.strip_prefix('k')?.split(' ').next()?.parse().ok()
}

fn field_of(mark: &str) -> Option<&str> {
    mark.split(' ').nth(1)
}

/// Whether it stands for no account, but says what the marks before it are.
pub fn is_sign(mark: &str) -> bool {
    matches!(field_of(mark), Some(CARRIED | BEGUN))
}

/// Whether everything opens that may identify the account.
fn is_readable(config: &ProviderConfig) -> bool {
    !config.unreadable.iter().any(|lost| matches!(lost.column, "secret_key" | "config_json"))
}
