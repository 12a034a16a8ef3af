//! Which fields of a config an edit changes, and which of those changes need a second person where the settings ask for it.
//! Sources are compared one by one, so that a change which another source hides today is listed too.

use super::config::{EditContext, parsed, secrets};
use super::settings::{CREDENTIALS, SettingMap, is_host_setting};
use crate::provider_config::{ProviderConfig, Secret};
use crate::refusal::Refusal;

/// Bytes of field names kept for one disabled config; beyond it all its settings are named by their column, so that edits
/// with ever new keys do not fill the disk. More than the settings of any module need.
pub const UNAPPROVED_LENGTH_MAX: usize = 4 * 1024;

const ENABLED: &str = "enabled";

/// What a changed field determines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldClass {
    /// Who the provider takes us for, or who is believed to be the provider.
    Credential,
    /// Where requests and secrets are sent.
    Endpoint,
    /// Counts as both: the module that receives the credentials and sends the requests, or a setting of a module that is not
    /// loaded, of which it is not known what it does.
    CredentialOrEndpoint,
    /// The config begins to serve new deposits, or those of another brand.
    Enabling,
    Other,
}

impl FieldClass {
    /// Whether the field is, or may be, a credential.
    pub const fn is_credential(self) -> bool {
        match self {
            Self::Credential | Self::CredentialOrEndpoint => true,
            Self::Endpoint | Self::Enabling | Self::Other => false,
        }
    }
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

/// What needs a second person: changes of a config, and decisions about money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecondPerson {
    pub credentials: bool,
    pub endpoints: bool,
    pub enabling: bool,
    /// Of a manual deposit or withdrawal: whoever processes it must not be who entered it, or wrote its texts last.
    pub manual: bool,
    /// Refunds above an amount.
    pub refunds: bool,
    /// Ending a review, or an answer that is missing, also by a retry.
    pub resolving: bool,
}

impl SecondPerson {
    /// The names that the settings use.
    pub const NAMES: [&'static str; 6] = ["credentials", "endpoints", "enabling", "manual", "refunds", "resolving"];

    /// Reads the names of the settings; the error is the name that is not known.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut read = Self::default();
        for name in names {
            match name {
                "credentials" => read.credentials = true,
                "endpoints" => read.endpoints = true,
                "enabling" => read.enabling = true,
                "manual" => read.manual = true,
                "refunds" => read.refunds = true,
                "resolving" => read.resolving = true,
                other => return Err(other),
            }
        }
        Ok(read)
    }

    /// Whether anything needs one.
    pub fn is_any(self) -> bool {
        self != Self::default()
    }

    /// Whether changes of these classes wait for a second person. A config that stays disabled and has no transactions
    /// receives nothing, so a draft is made by one person alone; enabling it counts as changing what was set meanwhile, see
    /// [`put_into_service`].
    pub fn is_needed(self, classes: impl IntoIterator<Item = FieldClass>, is_draft: bool) -> bool {
        classes.into_iter().any(|class| match class {
            FieldClass::Credential => self.credentials && !is_draft,
            FieldClass::Endpoint => self.endpoints && !is_draft,
            FieldClass::CredentialOrEndpoint => (self.credentials || self.endpoints) && !is_draft,
            FieldClass::Enabling => self.enabling,
            FieldClass::Other => false,
        })
    }
}

/// The fields beside `changes` that an edit puts into service, because it enables a config in which one person changed them
/// while it was disabled. Their classes are those of now: a module that was not loaded then may declare a setting since.
pub fn put_into_service(
    before: Option<&ProviderConfig>,
    after: &ProviderConfig,
    changes: &[FieldChange],
    context: &EditContext<'_>,
) -> Vec<(Box<str>, FieldClass)> {
    let disabled = before.filter(|before| after.enabled && !before.enabled);
    let earlier = disabled.into_iter().flat_map(|before| &before.unapproved);
    let earlier = earlier.filter(|field| changes.iter().all(|change| change.field != **field));
    earlier.map(|field| (field.clone(), class_of(field, context))).collect()
}

/// The fields of a saved config that no second person approved and that were not in service since: none where it is enabled,
/// because what serves was approved, or needed no approval when it was enabled.
pub fn unapproved(
    before: Option<&ProviderConfig>,
    after: &ProviderConfig,
    changes: &[FieldChange],
    is_approved: bool,
) -> Vec<Box<str>> {
    if after.enabled {
        return Vec::new();
    }
    let mut fields = before.map(|before| before.unapproved.clone()).unwrap_or_default();
    fields.retain(|field| changes.iter().all(|change| change.field != *field));
    if !is_approved {
        let changed = changes.iter().map(|change| &change.field).filter(|field| ***field != *ENABLED);
        fields.extend(changed.cloned());
    }
    if fields.iter().map(|field| field.len()).sum::<usize>() > UNAPPROVED_LENGTH_MAX {
        let source = |field: &str| field.split_once('.').map_or(field, |(source, _)| source).into();
        fields = fields.iter().map(|field| source(field)).collect();
        fields.sort_unstable();
        fields.dedup();
    }
    fields
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
    let enabling = if after.enabled { FieldClass::Enabling } else { FieldClass::Other };
    let texts = [
        ("provider", &before.provider, &after.provider),
        ("brand", &before.brand, &after.brand),
        ("method", &before.method, &after.method),
        ("country", &before.country, &after.country),
        ("currency", &before.currency, &after.currency),
        ("merchant_id", &before.merchant_id, &after.merchant_id),
        ("public_key", &before.public_key, &after.public_key),
    ];
    for (field, before, after) in texts {
        let class = if field == "brand" { enabling } else { class_of(field, context) };
        clear(field, class, before.to_string(), after.to_string());
    }
    let flag = |value: bool| u8::from(value).to_string();
    clear("min_amount", FieldClass::Other, before.min_amount.to_wire(), after.min_amount.to_wire());
    clear("max_amount", FieldClass::Other, before.max_amount.to_wire(), after.max_amount.to_wire());
    clear("sandbox", class_of("sandbox", context), flag(before.sandbox), flag(after.sandbox));
    clear(ENABLED, enabling, flag(before.enabled), flag(after.enabled));
    if before.deleted_time != after.deleted_time {
        clear("deleted_time", FieldClass::Other, before.deleted_time.to_string(), after.deleted_time.to_string());
    }
    clear("sort_index", FieldClass::Other, before.sort_index.to_string(), after.sort_index.to_string());
    for (field, before, after) in [
        ("secret_key", &before.secret_key, &after.secret_key),
        ("webhook_secret", &before.webhook_secret, &after.webhook_secret),
    ] {
        if before != after {
            let class = unless_revoked(field, class_of(field, context), after);
            changes.push(hidden(field.into(), class, before.clone(), after.clone()));
        }
    }
    for unreadable in &before.unreadable {
        if after.unreadable.iter().all(|still| still.column != unreadable.column) {
            // The new text is in the change of the column itself.
            let (before, after) = (AuditedValue::Clear("unreadable".into()), AuditedValue::Clear("".into()));
            let (field, class) = (unreadable.column.into(), class_of(unreadable.column, context));
            changes.push(FieldChange { field, class, before, after });
        }
    }
    if before.replaced_webhook_secrets != after.replaced_webhook_secrets {
        // Its count alone: which secret was replaced is in the change of the secret itself.
        let count = |config: &ProviderConfig| config.replaced_webhook_secrets.len().to_string();
        let dropped = match before.dropped_secrets(after, context.now) {
            0 => String::new(),
            dropped => format!(", {dropped} dropped before its time"),
        };
        let after = AuditedValue::Clear(format!("{}{dropped}", count(after)).into());
        let (class, before) = (FieldClass::Other, AuditedValue::Clear(count(before).into()));
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
            let (before, after) = (Secret::new(&text(before)), Secret::new(&text(after)));
            hidden(field, unless_revoked(name, class, &after), before, after)
        } else {
            let clear = |map: &SettingMap| AuditedValue::Clear(text(map).into());
            FieldChange { field, class, before: clear(before), after: clear(after) }
        });
    }
}

/// The class of a secret's change: one that is taken away with nothing in its place is revoked, which one person may do at once.
/// A public key or merchant id is no secret, and taking it away puts an older one in force.
fn unless_revoked(name: &str, class: FieldClass, after: &Secret) -> FieldClass {
    let is_secret = class == FieldClass::Credential && !matches!(name, "public_key" | "merchant_id");
    if is_secret && after.is_empty() { FieldClass::Other } else { class }
}

/// The class of a field by its name.
fn class_of(field: &str, context: &EditContext<'_>) -> FieldClass {
    match field {
        "provider" | "settings_json" | "config_json" => FieldClass::CredentialOrEndpoint,
        "merchant_id" | "public_key" | "secret_key" | "webhook_secret" | "sandbox" => FieldClass::Credential,
        _ => field.split_once('.').map_or(FieldClass::Other, |(_, name)| class(name, context)),
    }
}

/// Without its module it is not known what a setting does, unless it is the host's own.
fn class(name: &str, context: &EditContext<'_>) -> FieldClass {
    if is_host_setting(name) {
        return FieldClass::Other;
    }
    if CREDENTIALS.contains(&name) || secrets(context).any(|secret| secret == name) {
        return FieldClass::Credential;
    }
    let Some(module) = context.module.filter(|module| module.available) else {
        return FieldClass::CredentialOrEndpoint;
    };
    let is_endpoint = module.endpoints.iter().any(|known| **known == *name);
    if is_endpoint { FieldClass::Endpoint } else { FieldClass::Other }
}
