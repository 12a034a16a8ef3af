//! One row of credentials and settings, as a module is shown it.
//! Not the row as stored: the host has already merged and unsealed it.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::{ConfigError, Pairs};

/// What a module is configured with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProviderConfig {
    /// The row's id in the cashier.
    pub id: i64,
    pub provider: String,
    /// Empty for every brand.
    pub brand: String,
    /// Empty for any.
    pub method: String,
    /// Empty for any; ISO 3166 alpha-2 otherwise.
    pub country: String,
    /// Empty for any; ISO 4217 otherwise.
    pub currency: String,
    pub merchant_id: String,
    pub public_key: String,
    pub secret_key: Secret,
    pub webhook_secret: Secret,
    /// Replaced webhook secrets that still verify, newest first.
    pub previous_webhook_secrets: Vec<Secret>,
    pub settings: Settings,
    pub sandbox: bool,
    /// Where this configuration's notices arrive.
    pub notify_url: String,
    pub bag: Pairs,
}

impl ProviderConfig {
    /// The webhook secret and its predecessors that still hold, empty ones left out. An empty list
    /// means that nothing can be verified: answer `Undetermined`.
    pub fn webhook_secrets(&self) -> Vec<Secret> {
        std::iter::once(&self.webhook_secret)
            .chain(&self.previous_webhook_secrets)
            .filter(|secret| !secret.is_empty())
            .cloned()
            .collect()
    }

    /// The secret key, where there is one that can travel in a header.
    ///
    /// # Errors
    /// Names `secret_key` when it is empty or not visible ASCII.
    pub fn required_secret_key(&self) -> Result<Secret, ConfigError> {
        if self.secret_key.is_empty() {
            return Err(ConfigError::new("secret_key", "is required"));
        }
        if !self.secret_key.is_visible_ascii() {
            return Err(ConfigError::new("secret_key", "holds a space, a line break or another invisible character"));
        }
        Ok(self.secret_key.clone())
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("id", &self.id)
            .field("provider", &self.provider)
            .field("brand", &self.brand)
            .field("method", &self.method)
            .field("country", &self.country)
            .field("currency", &self.currency)
            .field("merchant_id", &self.merchant_id)
            .field("sandbox", &self.sandbox)
            .field("secret_key", &self.secret_key)
            .field("webhook_secret", &self.webhook_secret)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A text that is never shown and leaves memory when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for a header or a signature. Never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it holds visible ASCII alone: a stray line break from a copied key would end a
    /// header early.
    pub fn is_visible_ascii(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "***" })
    }
}

/// The settings of a configuration: a JSON object. Values may be secrets, so Debug shows keys only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    map: Map<String, Value>,
}

impl Settings {
    /// Reads the object; blank text is no settings.
    ///
    /// # Errors
    /// Names `settings_json` when the text is not a JSON object.
    pub fn parse(json_text: &str) -> Result<Self, ConfigError> {
        if json_text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(json_text)
            .map(|map| Self { map })
            .map_err(|_| ConfigError::new("settings_json", "is not a JSON object"))
    }

    /// The value under `key` as JSON.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    /// The text under `key`; absent, null and empty are all "not set".
    ///
    /// # Errors
    /// Names `key` when it holds something else than a text.
    pub fn text(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(ConfigError::new(key, "must be a text"))
            }
        }
    }

    /// The text under `key`, or `default` where it is not set.
    ///
    /// # Errors
    /// As [`Settings::text`].
    pub fn text_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str, ConfigError> {
        Ok(self.text(key)?.unwrap_or(default))
    }

    /// The flag under `key`: true or false, 1 or 0, as a number or as text; false where not set.
    ///
    /// # Errors
    /// Names `key` when it holds anything else.
    pub fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        let word = match self.map.get(key) {
            None | Some(Value::Null) => return Ok(false),
            Some(Value::Bool(flag)) => return Ok(*flag),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(_) | Value::Object(_)) => String::from("?"),
        };
        match word.as_str() {
            "1" | "true" => Ok(true),
            "" | "0" | "false" => Ok(false),
            _ => Err(ConfigError::new(key, "must be true or false")),
        }
    }

    /// The integer under `key`, as a number or as text.
    ///
    /// # Errors
    /// Names `key` when it holds anything else.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, ConfigError> {
        let word = match self.map.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => String::from("?"),
        };
        word.parse().map(Some).map_err(|_| ConfigError::new(key, "must be a whole number"))
    }

    /// The object as JSON text, for the border.
    pub fn to_json_text(&self) -> String {
        if self.map.is_empty() {
            return String::new();
        }
        Value::Object(self.map.clone()).to_string()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.map.keys()).finish()
    }
}
