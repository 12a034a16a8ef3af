//! The settings of a config as the judge of edits reads them: the parser that it is lent, what the module declares, and the
//! setting that is the cashier's own.

use std::collections::BTreeMap;

use cashier_core::edit::{self, DeclaredSettings, SettingMap, SettingValue};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::Refusal;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ports::CatalogLine;

pub(super) fn module_settings(line: &CatalogLine) -> DeclaredSettings<'_> {
    let (keys, endpoints, secrets) = (&line.settings, &line.endpoint_settings, &line.secret_settings);
    DeclaredSettings { available: line.available, keys, endpoints, secrets }
}

/// Whether the OUT of a provider's reversal waits for a person, for deposits made under this config.
pub(in crate::flows) fn reversals_wait(config: &ProviderConfig) -> bool {
    let texts = [("settings_json", &*config.settings_json), ("config_json", config.config_json.expose())];
    // What is stored was parsed when it was saved.
    let parsed = texts.into_iter().filter_map(|(field, text)| parse_settings(field, text).ok());
    edit::reversals_wait(&parsed.collect::<Vec<_>>())
}

/// The parser that the judge of edits is lent. The parser's own message could quote a secret.
pub(super) fn parse_settings(field: &str, text: &str) -> Result<SettingMap, Refusal> {
    let no_object = |_| Refusal::invalid(format!("{field} must be a JSON object as a string"));
    let parsed: BTreeMap<String, Value> = serde_json::from_str(text).map_err(no_object)?;
    let value = |value| match value {
        Value::Null => SettingValue::Null,
        Value::String(text) => SettingValue::Text(text),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            SettingValue::Json(other.to_string())
        }
    };
    Ok(parsed.into_iter().map(|(name, setting)| (name, value(setting))).collect())
}

/// The text of a JSON object without one of its keys; `None` where it has no such key.
pub(super) fn without_key(text: &str, key: &str) -> Option<String> {
    let mut settings: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
    settings.remove(key)?;
    serde_json::to_string(&settings).ok()
}
