//! One provider config (credentials and settings) as a module receives it.
//! Not the stored row: the host has already merged and decrypted it.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::{ConfigError, Pairs};

/// One provider config. Texts are as the host validated them; an empty text means "not set".
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProviderConfig {
    /// The config's id in the cashier.
    pub id: i64,
    /// The provider code, equal to [`Descriptor::code`](super::Descriptor::code).
    pub provider: String,
    /// The brand it serves; empty for every brand.
    pub brand: String,
    /// The payment method it serves; empty for every method.
    pub method: String,
    /// The country it serves, ISO 3166 alpha-2; empty for every country.
    pub country: String,
    /// The currency it serves, ISO 4217 or a crypto code; empty for every currency.
    pub currency: String,
    /// The merchant's id at the provider.
    pub merchant_id: String,
    /// The key that is not secret, for providers that have one.
    pub public_key: String,
    /// The API key.
    pub secret_key: Secret,
    /// The secret that signs webhooks now.
    pub webhook_secret: Secret,
    /// Replaced webhook secrets that still verify, newest first.
    pub previous_webhook_secrets: Vec<Secret>,
    /// Everything else that the descriptor declares.
    pub settings: ProviderSettings,
    /// Whether this config is for test money.
    pub sandbox: bool,
    /// The URL that receives this config's webhooks.
    pub notify_url: String,
    /// Extension pairs.
    pub bag: Pairs,
}

impl ProviderConfig {
    /// The webhook secret and the replaced ones that still verify, without empty ones. With an empty
    /// list nothing can be verified: return `Undetermined`.
    pub fn webhook_secrets(&self) -> Vec<Secret> {
        std::iter::once(&self.webhook_secret)
            .chain(&self.previous_webhook_secrets)
            .filter(|secret| !secret.is_empty())
            .cloned()
            .collect()
    }

    /// The secret key, if it is set and can be sent in a header.
    ///
    /// # Errors
    /// Names `secret_key` if it is empty or not visible ASCII.
    pub fn required_secret_key(&self) -> Result<Secret, ConfigError> {
        if self.secret_key.is_empty() {
            return Err(ConfigError::new("secret_key", "is required"));
        }
        if !self.secret_key.is_visible_ascii() {
            return Err(ConfigError::new(
                "secret_key",
                "contains a space, a line break or another invisible character",
            ));
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

/// A secret text: Debug prints `***`, and the memory is zeroed on drop.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text; an empty one means "not set".
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for a header or a signature. Never put it in a message.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the secret is not set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is visible ASCII only: a line break copied along with a key would end a header early.
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

/// The settings of a config: a JSON object. Values may be secret, so Debug prints the keys only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProviderSettings {
    map: Map<String, Value>,
}

impl ProviderSettings {
    /// Parses the object; blank text means no settings.
    ///
    /// # Errors
    /// Names `settings_json` if the text is not a JSON object.
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

    /// The string under `key`; `None` if it is absent, null or empty.
    ///
    /// # Errors
    /// Names `key` if its value is not a string.
    pub fn text(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(ConfigError::new(key, "must be a string"))
            }
        }
    }

    /// The string under `key`, or `default` if it is not set.
    ///
    /// # Errors
    /// As [`ProviderSettings::text`].
    pub fn text_or<'a>(&'a self, key: &str, default: &'a str) -> Result<&'a str, ConfigError> {
        Ok(self.text(key)?.unwrap_or(default))
    }

    /// The flag under `key`: true or false, 1 or 0, as a number or a string; false if it is not set.
    ///
    /// # Errors
    /// Names `key` if its value is anything else.
    pub fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        let text = match self.map.get(key) {
            None | Some(Value::Null) => return Ok(false),
            Some(Value::Bool(flag)) => return Ok(*flag),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(_) | Value::Object(_)) => String::from("?"),
        };
        match text.as_str() {
            "1" | "true" => Ok(true),
            "" | "0" | "false" => Ok(false),
            _ => Err(ConfigError::new(key, "must be true or false")),
        }
    }

    /// The integer under `key`, as a number or a string; `None` if it is not set.
    ///
    /// # Errors
    /// Names `key` if its value is anything else.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, ConfigError> {
        let text = match self.map.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => String::from("?"),
        };
        text.parse().map(Some).map_err(|_| ConfigError::new(key, "must be a whole number"))
    }

    /// The object as JSON text, as it crosses the ABI boundary; empty if nothing is set.
    pub fn to_json_text(&self) -> String {
        if self.map.is_empty() {
            return String::new();
        }
        Value::Object(self.map.clone()).to_string()
    }
}

impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.map.keys()).finish()
    }
}
