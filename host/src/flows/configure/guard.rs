//! What an edit of a config may do to old money and to secrets, judged on what its module would see: both published forms,
//! the columns and `config_json`, come to one set of settings (API.md section 2).

use std::collections::BTreeMap;

use cashier_core::edit::{ConfigEdit, frozen_field};
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refusal::Refusal;
use cashier_core::time::UnixTime;
use serde_json::Value;

use crate::ports::CatalogLine;

const MERCHANT_ID: &str = "merchant_id";
const SECRET_KEY: &str = "secret_key";
const WEBHOOK_SECRET: &str = "webhook_secret";
/// Settings that are credentials whatever a module says.
const CREDENTIALS: [&str; 4] = [MERCHANT_ID, "public_key", SECRET_KEY, WEBHOOK_SECRET];

type Settings = BTreeMap<String, Value>;

/// Judges a new config.
pub(super) fn check_new(draft: &ProviderConfig, line: Option<&CatalogLine>) -> Result<(), Refusal> {
    effective(draft)?;
    check_clear_settings(draft, line)
}

/// Judges an edit, and keeps the webhook secret that it replaces.
pub(super) fn check(
    edit: &ConfigEdit,
    stored: &ProviderConfig,
    draft: &mut ProviderConfig,
    line: Option<&CatalogLine>,
    has_transactions: bool,
    now: UnixTime,
) -> Result<(), Refusal> {
    let (before, after) = (effective(stored)?, effective(draft)?);
    check_clear_settings(draft, line)?;
    if has_transactions {
        if text(&before, MERCHANT_ID) != text(&after, MERCHANT_ID) {
            return Err(frozen_field(MERCHANT_ID));
        }
        check_endpoints(edit, line, &before, &after)?;
    }
    let replaced = text(&before, WEBHOOK_SECRET);
    if replaced != text(&after, WEBHOOK_SECRET) {
        edit.keep_replaced(draft, Secret::new(&replaced), now);
    }
    Ok(())
}

/// The settings as the module sees them: `config_json` over the credential columns and over `settings_json`.
fn effective(config: &ProviderConfig) -> Result<Settings, Refusal> {
    let mut settings = object("settings_json", &config.settings_json)?;
    let columns =
        [&*config.merchant_id, &*config.public_key, config.secret_key.expose(), config.webhook_secret.expose()];
    for (name, column) in CREDENTIALS.into_iter().zip(columns) {
        settings.insert(name.to_owned(), Value::from(column));
    }
    let over = object("config_json", config.config_json.expose())?;
    settings.extend(over.into_iter().filter(|(_, value)| !value.is_null()));
    Ok(settings)
}

/// A JSON object as text; empty is an empty one. The parser's own words could quote a secret.
fn object(field: &str, text: &str) -> Result<Settings, Refusal> {
    if text.is_empty() {
        return Ok(Settings::new());
    }
    serde_json::from_str(text).map_err(|_| Refusal::invalid(format!("{field} must be a JSON object as a string")))
}

fn text(settings: &Settings, name: &str) -> String {
    match settings.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => other.to_string(),
    }
}

/// `settings_json` is shown and stored as it is, so no secret may stand in it.
fn check_clear_settings(draft: &ProviderConfig, line: Option<&CatalogLine>) -> Result<(), Refusal> {
    let clear = object("settings_json", &draft.settings_json)?;
    match secrets(line).find(|name| clear.contains_key(*name)) {
        Some(name) => Err(Refusal::invalid(format!(
            "{name} is a secret and settings_json is shown: give it as a field of its own or in config_json"
        ))),
        None => Ok(()),
    }
}

/// Names of secrets: the two published ones, and those that the module marks.
fn secrets(line: Option<&CatalogLine>) -> impl Iterator<Item = &str> {
    let own = line.into_iter().flat_map(|line| line.secret_settings.iter().map(|name| &**name));
    [SECRET_KEY, WEBHOOK_SECRET].into_iter().chain(own)
}

/// Once money rests on a config, sending its secrets to another endpoint demands that they be written anew. Without its
/// module nobody knows which settings are endpoints, so each may be one.
fn check_endpoints(
    edit: &ConfigEdit,
    line: Option<&CatalogLine>,
    before: &Settings,
    after: &Settings,
) -> Result<(), Refusal> {
    let differs = |name: &str| before.get(name) != after.get(name);
    let moved = match line.filter(|line| line.available) {
        Some(line) => line.endpoint_settings.iter().map(|name| &**name).find(|name| differs(name)),
        None => {
            let names = before.keys().chain(after.keys()).map(String::as_str);
            names.filter(|name| !CREDENTIALS.contains(name)).find(|name| differs(name))
        }
    };
    let Some(moved) = moved else { return Ok(()) };
    let columns = [(SECRET_KEY, &edit.secret_key), (WEBHOOK_SECRET, &edit.webhook_secret)];
    let written = object("config_json", edit.config_json.as_ref().map_or("", Secret::expose))?;
    let given = |value: &Option<Secret>| value.as_ref().is_some_and(|new| !new.is_empty());
    let in_column = |name: &str| columns.iter().any(|(column, value)| *column == name && given(value));
    let renewed = |name: &str| in_column(name) || !text(&written, name).is_empty();
    let stale: Vec<&str> = secrets(line).filter(|name| !text(before, name).is_empty() && !renewed(name)).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(format!("changing {moved} requires {} to be given anew", stale.join(" and "))))
}
