//! An edit of a provider config, checked whole: frozen fields, merchant, endpoints, secrets, country, currency and limits.
//! Omitted fields keep their value, defaults apply only at creation, and fields that existing transactions depend on
//! cannot change (docs/api/manager-configs.md). It parses no JSON: the caller passes a parser.

use super::fields::{check_limits, keep_or, keep_or_secret, required};
use super::sealed::{CONFIG_JSON, SECRET_KEY, SealedEdit, WEBHOOK_SECRET};
use super::settings::{
    CREDENTIALS, DeclaredSettings, REVERSAL, SettingMap, SettingValue, check_declared, is_host_setting,
};
use crate::country;
use crate::ids::ConfigId;
use crate::money::{Currency, Limit};
use crate::provider_config::{ProviderConfig, REPLACED_SECRET_SECONDS, ReplacedSecret, Secret};
use crate::refusal::Refusal;
use crate::time::UnixTime;

const MERCHANT_ID: &str = "merchant_id";

/// The inputs of a check, beside the stored row.
pub struct EditContext<'a> {
    /// Transactions exist under the config: the fields they depend on are frozen.
    pub has_transactions: bool,
    /// The module of the config's provider; `None` where none is listed.
    pub module: Option<DeclaredSettings<'a>>,
    /// Parses a JSON object; the error names the field and quotes nothing, since the text may hold a secret.
    pub parse: &'a dyn Fn(&str, &str) -> Result<SettingMap, Refusal>,
    /// The text of a JSON object without one of its keys; `None` where it has no such key.
    pub without: &'a dyn Fn(&str, &str) -> Option<String>,
    pub now: UnixTime,
}

/// A config edit of a manager; `None` keeps the stored value, and so does an empty secret, because a form that does not
/// show secrets must not delete them.
#[derive(Debug, Clone, Default)]
pub struct ConfigEdit {
    /// `None` or 0 creates.
    pub id: Option<ConfigId>,
    pub provider: Option<Box<str>>,
    pub brand: Option<Box<str>>,
    pub method: Option<Box<str>>,
    pub country: Option<Box<str>>,
    pub currency: Option<Box<str>>,
    pub merchant_id: Option<Box<str>>,
    pub public_key: Option<Box<str>>,
    pub secret_key: Option<Secret>,
    pub webhook_secret: Option<Secret>,
    pub settings_json: Option<Box<str>>,
    pub config_json: Option<Secret>,
    pub min_amount: Option<Limit>,
    pub max_amount: Option<Limit>,
    pub sandbox: Option<bool>,
    pub enabled: Option<bool>,
    pub sort_index: Option<i64>,
    /// Ends the replaced webhook secret at once.
    pub revoke_previous: bool,
    /// Names of secrets to wipe: columns, or `config_json.KEY`.
    pub wipe: Vec<Box<str>>,
    /// Disables the config for good: its secrets are wiped once no update of its payments may still arrive.
    pub delete: bool,
}

impl ConfigEdit {
    /// The id of the row to change; `None` creates.
    pub fn target(&self) -> Option<ConfigId> {
        self.id.filter(|id| id.0 != 0)
    }

    /// The new config, without its id.
    ///
    /// # Errors
    /// 400 naming the field that is wrong.
    pub fn create(&self, context: &EditContext<'_>) -> Result<ProviderConfig, Refusal> {
        let provider = self.provider.clone().unwrap_or_default();
        if provider.is_empty() {
            return Err(required("provider"));
        }
        let blank = ProviderConfig::blank(provider, context.now);
        let config = self.applied(&blank, context)?;
        check_reversal(&effective(&config, context)?)?;
        check_clear_settings(&config, context)?;
        check_settings(None, &config, context)?;
        Ok(config)
    }

    /// The stored config with this edit applied.
    ///
    /// # Errors
    /// 400 naming the field that is wrong, is frozen, or must be given again.
    pub fn apply(&self, stored: &ProviderConfig, context: &EditContext<'_>) -> Result<ProviderConfig, Refusal> {
        if context.has_transactions
            && let Some(field) = self.changed_frozen_field(stored)
        {
            return Err(frozen(field));
        }
        let mut config = self.applied(stored, context)?;
        let (before, after) = (effective(stored, context)?, effective(&config, context)?);
        check_reversal(&after)?;
        check_clear_settings(&config, context)?;
        // What was stored under another build stays as it is, until the edit brings it into service.
        let is_judged_whole = config.provider != stored.provider || (config.enabled && !stored.enabled);
        check_settings(Some(stored).filter(|_| !is_judged_whole), &config, context)?;
        if context.has_transactions {
            // What did not open may have named it.
            let was_read = stored.missing().all(|unreadable| unreadable.column != CONFIG_JSON);
            if was_read && text(&before, MERCHANT_ID) != text(&after, MERCHANT_ID) {
                return Err(frozen(MERCHANT_ID));
            }
            self.check_endpoints(&before, &after, was_read, context)?;
        }
        self.check_revived(stored, &before, &after, context)?;
        let (replaced, current) = (text(&before, WEBHOOK_SECRET), text(&after, WEBHOOK_SECRET));
        let is_ended = self.revoke_previous || self.sealed().wipes_webhook_secret();
        if replaced != current && !replaced.is_empty() && !is_ended {
            // It is accepted for a week more, so that webhooks signed before the change verify.
            let until = context.now.plus(REPLACED_SECRET_SECONDS);
            config.keep_replaced(ReplacedSecret { secret: Secret::new(replaced), until }, current);
        }
        Ok(config)
    }

    /// Whether the edit may change what is frozen once a transaction exists; `config_json` may hold a merchant id.
    pub fn may_change_frozen(&self, stored: &ProviderConfig) -> bool {
        let config_json = self.config_json.as_ref().is_some_and(|new| !new.is_empty());
        self.changed_frozen_field(stored).is_some() || config_json || !self.wipe.is_empty()
    }

    /// Once a transaction exists these are immutable: a change would apply new credentials to old payments.
    fn changed_frozen_field(&self, stored: &ProviderConfig) -> Option<&'static str> {
        let changes = |edit: &Option<Box<str>>, value: &str| edit.as_deref().is_some_and(|new| new != value);
        let frozen = [
            ("provider", changes(&self.provider, &stored.provider)),
            ("brand", changes(&self.brand, &stored.brand)),
            (MERCHANT_ID, changes(&self.merchant_id, &stored.merchant_id)),
            ("sandbox", self.sandbox.is_some_and(|new| new != stored.sandbox)),
        ];
        frozen.into_iter().find_map(|(field, changed)| changed.then_some(field))
    }

    fn sealed(&self) -> SealedEdit<'_> {
        let Self { secret_key, webhook_secret, config_json, revoke_previous, wipe, .. } = self;
        SealedEdit {
            secret_key: secret_key.as_ref(),
            webhook_secret: webhook_secret.as_ref(),
            config_json: config_json.as_ref(),
            revoke_previous: *revoke_previous,
            wipe,
        }
    }

    /// The fields of the edit over those of the row, with the checks that need nothing else.
    fn applied(&self, stored: &ProviderConfig, context: &EditContext<'_>) -> Result<ProviderConfig, Refusal> {
        let now = context.now;
        let mut config = stored.clone();
        keep_or(&mut config.provider, &self.provider);
        keep_or(&mut config.brand, &self.brand);
        keep_or(&mut config.method, &self.method);
        keep_or(&mut config.country, &self.country);
        keep_or(&mut config.currency, &self.currency);
        keep_or(&mut config.merchant_id, &self.merchant_id);
        keep_or(&mut config.public_key, &self.public_key);
        keep_or(&mut config.settings_json, &self.settings_json);
        keep_or(&mut config.min_amount, &self.min_amount);
        keep_or(&mut config.max_amount, &self.max_amount);
        keep_or(&mut config.sandbox, &self.sandbox);
        keep_or(&mut config.enabled, &self.enabled);
        keep_or(&mut config.sort_index, &self.sort_index);
        keep_or_secret(&mut config.secret_key, &self.secret_key);
        keep_or_secret(&mut config.config_json, &self.config_json);
        keep_or_secret(&mut config.webhook_secret, &self.webhook_secret);
        config.replaced_webhook_secrets.retain(|replaced| !self.revoke_previous && replaced.is_accepted(now));
        self.sealed().wipe_named(&mut config, context.without)?;
        if self.delete {
            (config.enabled, config.deleted_time) = (false, now);
        } else if config.enabled {
            config.deleted_time = UnixTime::UNSET;
        }
        self.sealed().check_readable(stored, &mut config)?;
        if !config.country.is_empty() && !country::is_well_formed(&config.country) {
            return Err(Refusal::invalid("country must be two upper-case letters, or empty for any"));
        }
        if !config.currency.is_empty() && Currency::from_code(&config.currency).is_none() {
            return Err(Refusal::invalid(format!("currency {} is not known", config.currency)));
        }
        check_limits(config.min_amount, config.max_amount)?;
        config.updated_time = now;
        config.version = stored.version.saturating_add(1);
        if terms(&config) != terms(stored) {
            config.terms_version = config.version;
        }
        Ok(config)
    }

    /// A secret of a column that `config_json` had replaced comes into force again only when it is given again: it may have
    /// been replaced because it leaked.
    fn check_revived(
        &self,
        stored: &ProviderConfig,
        before: &SettingMap,
        after: &SettingMap,
        context: &EditContext<'_>,
    ) -> Result<(), Refusal> {
        let written = parsed(CONFIG_JSON, self.config_json.as_ref().map_or("", Secret::expose), context)?;
        let columns = [
            (SECRET_KEY, &self.secret_key, &stored.secret_key),
            (WEBHOOK_SECRET, &self.webhook_secret, &stored.webhook_secret),
        ];
        for (name, given, column) in columns {
            let is_given = given.as_ref().is_some_and(|new| !new.is_empty()) || !text(&written, name).is_empty();
            let (was, is) = (text(before, name), text(after, name));
            if was != is && !is.is_empty() && is == column.expose() && !is_given {
                return Err(Refusal::invalid(format!(
                    "{name} of the column, which config_json had replaced, would be in force again: give it again, or name it in wipe"
                )));
            }
        }
        Ok(())
    }

    /// Once transactions exist under a config, sending its secrets to another endpoint requires that they are given again.
    /// Without its module it is not known which settings are endpoints, so each counts as one.
    fn check_endpoints(
        &self,
        before: &SettingMap,
        after: &SettingMap,
        was_read: bool,
        context: &EditContext<'_>,
    ) -> Result<(), Refusal> {
        let differs = |name: &str| before.get(name) != after.get(name);
        let moved = match context.module.filter(|module| module.available) {
            Some(module) => module.endpoints.iter().map(|name| &**name).find(|name| differs(name)),
            None => {
                let names = before.keys().chain(after.keys()).map(String::as_str);
                names.filter(|name| !CREDENTIALS.contains(name) && !is_host_setting(name)).find(|name| differs(name))
            }
        };
        // What did not open may have named an endpoint.
        let Some(moved) = moved.or((!was_read).then_some(CONFIG_JSON)) else { return Ok(()) };
        let columns = [(SECRET_KEY, &self.secret_key), (WEBHOOK_SECRET, &self.webhook_secret)];
        let written = parsed("config_json", self.config_json.as_ref().map_or("", Secret::expose), context)?;
        let given = |value: &Option<Secret>| value.as_ref().is_some_and(|new| !new.is_empty());
        let in_column = |name: &str| columns.iter().any(|(column, value)| *column == name && given(value));
        let renewed = |name: &str| in_column(name) || !text(&written, name).is_empty();
        let is_kept = |name: &str| !text(before, name).is_empty() && !text(after, name).is_empty();
        let stale: Vec<&str> = secrets(context).filter(|name| is_kept(name) && !renewed(name)).collect();
        if stale.is_empty() {
            return Ok(());
        }
        Err(Refusal::invalid(format!("changing {moved} requires {} to be given again", stale.join(" and "))))
    }
}

/// The refusal of an edit that would apply new credentials to old payments.
fn frozen(field: &str) -> Refusal {
    Refusal::invalid(format!("{field} cannot change once transactions exist under the config: make a new config"))
}

/// The settings that the module receives: `config_json` over the credential columns and over `settings_json`.
fn effective(config: &ProviderConfig, context: &EditContext<'_>) -> Result<SettingMap, Refusal> {
    let mut settings = parsed("settings_json", &config.settings_json, context)?;
    let columns =
        [&*config.merchant_id, &*config.public_key, config.secret_key.expose(), config.webhook_secret.expose()];
    for (name, column) in CREDENTIALS.into_iter().zip(columns) {
        settings.insert(name.to_owned(), SettingValue::Text(column.to_owned()));
    }
    let over = parsed("config_json", config.config_json.expose(), context)?;
    settings.extend(over.into_iter().filter(|(_, value)| *value != SettingValue::Null));
    Ok(settings)
}

/// Whether the OUT of a provider's reversal waits for a person, as the texts of a config's settings say. What cannot be
/// read was meant to say something: it waits.
pub fn reversals_wait(settings: &[SettingMap]) -> bool {
    let mut given =
        settings.iter().filter_map(|settings| settings.get(REVERSAL)).filter(|value| **value != SettingValue::Null);
    given.next_back().is_some_and(|value| !matches!(value.text(), "" | "post"))
}

fn check_reversal(settings: &SettingMap) -> Result<(), Refusal> {
    match text(settings, REVERSAL) {
        "" | "post" | "review" => Ok(()),
        _ => Err(Refusal::invalid("reversal must be \"post\" or \"review\"")),
    }
}

pub(super) fn parsed(field: &str, text: &str, context: &EditContext<'_>) -> Result<SettingMap, Refusal> {
    if text.is_empty() { Ok(SettingMap::new()) } else { (context.parse)(field, text) }
}

fn text<'s>(settings: &'s SettingMap, name: &str) -> &'s str {
    settings.get(name).map_or("", SettingValue::text)
}

/// `settings_json` is shown and stored in clear, so it must not hold a secret.
fn check_clear_settings(config: &ProviderConfig, context: &EditContext<'_>) -> Result<(), Refusal> {
    let clear = parsed("settings_json", &config.settings_json, context)?;
    match secrets(context).find(|name| clear.contains_key(*name)) {
        Some(name) => Err(Refusal::invalid(format!(
            "{name} is a secret and settings_json is shown: give it as a field of its own or in config_json"
        ))),
        None => Ok(()),
    }
}

/// The keys that differ from those before must be settings that somebody reads. Without its module they are not known.
fn check_settings(
    before: Option<&ProviderConfig>,
    after: &ProviderConfig,
    context: &EditContext<'_>,
) -> Result<(), Refusal> {
    let Some(module) = context.module.filter(|module| module.available) else { return Ok(()) };
    let earlier = before.map_or(("", ""), |row| (&row.settings_json, row.config_json.expose()));
    let sources =
        [("settings_json", earlier.0, &*after.settings_json), ("config_json", earlier.1, after.config_json.expose())];
    for (source, before, after) in sources {
        let before = parsed(source, before, context)?;
        let mut new = parsed(source, after, context)?;
        new.retain(|name, value| before.get(name) != Some(value));
        check_declared(source, &new, &module).map_err(Refusal::invalid)?;
    }
    Ok(())
}

/// Names of secrets, each once: the two published ones, and those that the module declares beside them.
pub(super) fn secrets<'a>(context: &EditContext<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    const PUBLISHED: [&str; 2] = [SECRET_KEY, WEBHOOK_SECRET];
    let own = context.module.into_iter().flat_map(|module| module.secrets.iter().map(|name| &**name));
    PUBLISHED.into_iter().chain(own.filter(|name| !PUBLISHED.contains(name)))
}

/// The credentials, settings and merchant that a provider is called with.
fn terms(config: &ProviderConfig) -> impl PartialEq {
    (
        (config.provider.clone(), config.merchant_id.clone(), config.public_key.clone(), config.sandbox),
        (config.secret_key.clone(), config.config_json.clone(), config.settings_json.clone()),
    )
}
