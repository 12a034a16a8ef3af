//! Which fields of a config an edit changes, and which of those changes need a second person where the settings ask for it.
//! Sources are compared one by one, so that a change which another source hides today is listed too.

use super::config::{CREDENTIALS, DeclaredSettings, EditContext, SettingMap, parsed, secrets};
use crate::provider_config::{ProviderConfig, Secret};
use crate::refusal::Refusal;

/// What a changed field determines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldClass {
    /// Who the provider takes us for, or who is believed to be the provider.
    Credential,
    /// Where requests and secrets are sent.
    Endpoint,
    /// The config begins to serve new deposits.
    Enabling,
    Other,
}

/// A value before or after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditedValue {
    Clear(Box<str>),
    /// Recorded as a fingerprint alone.
    Hidden(Secret),
}

/// One changed field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The column, or `settings_json.KEY` or `config_json.KEY`.
    pub field: Box<str>,
    pub class: FieldClass,
    pub before: AuditedValue,
    pub after: AuditedValue,
}

/// Which changes of a config need a second person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecondPerson {
    pub credentials: bool,
    pub endpoints: bool,
    pub enabling: bool,
}

impl SecondPerson {
    /// The names that the settings use.
    pub const NAMES: [&'static str; 3] = ["credentials", "endpoints", "enabling"];

    /// Reads the names of the settings; the error is the name that is not known.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut read = Self::default();
        for name in names {
            match name {
                "credentials" => read.credentials = true,
                "endpoints" => read.endpoints = true,
                "enabling" => read.enabling = true,
                other => return Err(other),
            }
        }
        Ok(read)
    }

    /// Whether these changes wait for a second person. A config that stays disabled and has no transactions receives
    /// nothing, so a draft is made by one person alone; enabling it then takes the second.
    pub fn is_needed(self, changes: &[FieldChange], is_draft: bool) -> bool {
        changes.iter().any(|change| match change.class {
            FieldClass::Credential => self.credentials && !is_draft,
            FieldClass::Endpoint => self.endpoints && !is_draft,
            FieldClass::Enabling => self.enabling,
            FieldClass::Other => false,
        })
    }
}

/// The fields in which two states of a config differ, in a fixed order; without `before` the config is created.
///
/// # Errors
/// 400 where stored settings are no JSON object.
pub fn changed_fields(
    before: Option<&ProviderConfig>,
    after: &ProviderConfig,
    context: &EditContext<'_>,
) -> Result<Vec<FieldChange>, Refusal> {
    let blank = ProviderConfig::blank("".into(), context.now);
    let before = before.unwrap_or(&blank);
    let mut changes = Vec::new();
    let mut clear = |field: &str, class: FieldClass, before: String, after: String| {
        if before != after {
            let (before, after) = (AuditedValue::Clear(before.into()), AuditedValue::Clear(after.into()));
            changes.push(FieldChange { field: field.into(), class, before, after });
        }
    };
    let texts = [
        ("provider", &before.provider, &after.provider, FieldClass::Other),
        ("brand", &before.brand, &after.brand, FieldClass::Other),
        ("method", &before.method, &after.method, FieldClass::Other),
        ("country", &before.country, &after.country, FieldClass::Other),
        ("currency", &before.currency, &after.currency, FieldClass::Other),
        ("merchant_id", &before.merchant_id, &after.merchant_id, FieldClass::Credential),
        ("public_key", &before.public_key, &after.public_key, FieldClass::Credential),
    ];
    for (field, before, after, class) in texts {
        clear(field, class, before.to_string(), after.to_string());
    }
    let flag = |value: bool| u8::from(value).to_string();
    clear("min_amount", FieldClass::Other, before.min_amount.to_wire(), after.min_amount.to_wire());
    clear("max_amount", FieldClass::Other, before.max_amount.to_wire(), after.max_amount.to_wire());
    clear("sandbox", FieldClass::Credential, flag(before.sandbox), flag(after.sandbox));
    let enabling = if after.enabled { FieldClass::Enabling } else { FieldClass::Other };
    clear("enabled", enabling, flag(before.enabled), flag(after.enabled));
    clear("sort_index", FieldClass::Other, before.sort_index.to_string(), after.sort_index.to_string());
    for (field, before, after) in [
        ("secret_key", &before.secret_key, &after.secret_key),
        ("webhook_secret", &before.webhook_secret, &after.webhook_secret),
    ] {
        if before != after {
            changes.push(hidden(field.into(), FieldClass::Credential, before.clone(), after.clone()));
        }
    }
    if before.replaced_webhook_secrets != after.replaced_webhook_secrets {
        // Its count alone: which secret was replaced is in the change of the secret itself.
        let count =
            |config: &ProviderConfig| AuditedValue::Clear(config.replaced_webhook_secrets.len().to_string().into());
        let (class, before, after) = (FieldClass::Other, count(before), count(after));
        changes.push(FieldChange { field: "replaced_webhook_secrets".into(), class, before, after });
    }
    let settings = |config: &ProviderConfig| parsed("settings_json", &config.settings_json, context);
    let sealed = |config: &ProviderConfig| parsed("config_json", config.config_json.expose(), context);
    compare("settings_json", &settings(before)?, &settings(after)?, context, false, &mut changes);
    compare("config_json", &sealed(before)?, &sealed(after)?, context, true, &mut changes);
    Ok(changes)
}

fn hidden(field: Box<str>, class: FieldClass, before: Secret, after: Secret) -> FieldChange {
    FieldChange { field, class, before: AuditedValue::Hidden(before), after: AuditedValue::Hidden(after) }
}

/// The keys in which two objects of settings differ.
fn compare(
    source: &str,
    before: &SettingMap,
    after: &SettingMap,
    context: &EditContext<'_>,
    is_hidden: bool,
    changes: &mut Vec<FieldChange>,
) {
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let mut names: Vec<&String> = before.keys().chain(added).collect();
    names.sort_unstable();
    for name in names.into_iter().filter(|name| before.get(*name) != after.get(*name)) {
        let text = |map: &SettingMap| map.get(name).map_or("", |value| value.text()).to_owned();
        let field: Box<str> = format!("{source}.{name}").into();
        let class = class(name, context);
        changes.push(if is_hidden {
            hidden(field, class, Secret::new(&text(before)), Secret::new(&text(after)))
        } else {
            let clear = |map: &SettingMap| AuditedValue::Clear(text(map).into());
            FieldChange { field, class, before: clear(before), after: clear(after) }
        });
    }
}

/// Without its module it is not known what a setting does, so each counts as an endpoint.
fn class(name: &str, context: &EditContext<'_>) -> FieldClass {
    let declares = |names: fn(DeclaredSettings<'_>) -> &[Box<str>]| {
        context.module.is_some_and(|module| names(module).iter().any(|known| &**known == name))
    };
    if CREDENTIALS.contains(&name) || secrets(context).any(|secret| secret == name) {
        FieldClass::Credential
    } else if declares(|module| module.endpoints) || !context.module.is_some_and(|module| module.available) {
        FieldClass::Endpoint
    } else {
        FieldClass::Other
    }
}
