//! What an edit does to sealed columns beside writing them: it wipes secrets by name, and it gives again what does not open.
//! What does not open is never overwritten by an edit of something else, so that its key can still be put back.

use crate::provider_config::{ProviderConfig, REPLACED_SECRETS, Secret};
use crate::refusal::Refusal;

pub(super) const SECRET_KEY: &str = "secret_key";
pub(super) const WEBHOOK_SECRET: &str = "webhook_secret";
pub(super) const CONFIG_JSON: &str = "config_json";
/// Secrets that have a column and may stand in `config_json`, which wins.
pub(super) const TWO_FORMS: [&str; 2] = [SECRET_KEY, WEBHOOK_SECRET];

/// Names in one list of secrets to wipe: more than any module has.
pub const WIPED_MAX: usize = 64;

/// Removes a key from the text of a JSON object; `None` where it has no such key.
pub(super) type Without<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// What an edit gives and takes of the sealed columns.
#[derive(Clone, Copy)]
pub(super) struct SealedEdit<'e> {
    pub(super) secret_key: Option<&'e Secret>,
    pub(super) webhook_secret: Option<&'e Secret>,
    pub(super) config_json: Option<&'e Secret>,
    pub(super) revoke_previous: bool,
    pub(super) wipe: &'e [Box<str>],
}

impl SealedEdit<'_> {
    /// Wipes what `wipe` names, and the replaced webhook secrets with a webhook secret. A secret that has two forms is wiped in
    /// both: the one that was not in force would be, though it may have leaked.
    pub(super) fn wipe_named(self, config: &mut ProviderConfig, without: Without<'_>) -> Result<(), Refusal> {
        for name in self.wipe {
            let key = name.strip_prefix("config_json.");
            let (column, given) = match (&**name, key) {
                (SECRET_KEY, _) => (SECRET_KEY, self.secret_key),
                (WEBHOOK_SECRET, _) => (WEBHOOK_SECRET, self.webhook_secret),
                (CONFIG_JSON, _) | (_, Some(_)) => (CONFIG_JSON, self.config_json),
                (_, None) => return Err(Refusal::invalid(WIPE_TAKES)),
            };
            if is_given(given) {
                return Err(Refusal::invalid(format!("{column} is given, and named in wipe")));
            }
            let left = |key: &str| {
                let text = config.config_json.expose();
                if text.is_empty() { None } else { without(text, key) }
            };
            match (column, key) {
                (_, Some(key)) => {
                    let is_wiped = TWO_FORMS.contains(&key) && self.wipe.iter().any(|name| **name == *key);
                    match left(key) {
                        Some(left) => config.config_json = Secret::new(&left),
                        None if is_wiped => {}
                        None => {
                            return Err(Refusal::invalid(format!("wipe names {}, which is not set", shown(name))));
                        }
                    }
                    wipe_column(config, key);
                }
                (CONFIG_JSON, None) => {
                    let held: Vec<&str> = TWO_FORMS.into_iter().filter(|key| left(key).is_some()).collect();
                    held.into_iter().chain([CONFIG_JSON]).for_each(|column| wipe_column(config, column));
                }
                (_, None) => {
                    if let Some(left) = left(column) {
                        if is_given(self.config_json) {
                            return Err(Refusal::invalid(format!(
                                "{column} is given in config_json, and named in wipe"
                            )));
                        }
                        config.config_json = Secret::new(&left);
                    }
                    wipe_column(config, column);
                }
            }
        }
        if self.wipes_webhook_secret() {
            config.replaced_webhook_secrets.clear();
        }
        Ok(())
    }

    /// In any of its forms.
    pub(super) fn wipes_webhook_secret(self) -> bool {
        self.wipe.iter().any(|name| matches!(&**name, WEBHOOK_SECRET | CONFIG_JSON | "config_json.webhook_secret"))
    }

    /// Takes out of `config` what the edit gives again.
    ///
    /// # Errors
    /// 400 naming what it must give again, unless all it does is to disable the config.
    pub(super) fn check_readable(self, stored: &ProviderConfig, config: &mut ProviderConfig) -> Result<(), Refusal> {
        let renewed = |column: &str| match column {
            SECRET_KEY => is_given(self.secret_key),
            WEBHOOK_SECRET => is_given(self.webhook_secret),
            CONFIG_JSON => is_given(self.config_json),
            REPLACED_SECRETS => {
                let replaces = is_given(self.webhook_secret) || is_given(self.config_json);
                replaces || self.revoke_previous || self.wipes_webhook_secret()
            }
            _ => false,
        };
        config.unreadable.retain(|unreadable| !renewed(unreadable.column));
        if config.unreadable.iter().all(|unreadable| !unreadable.holds_text) {
            config.unreadable.clear();
        } else if !is_disabling(stored, config) {
            let missed = config.unreadable.iter().filter(|unreadable| unreadable.holds_text);
            let names: Vec<&str> = missed.map(|unreadable| unreadable.column).collect();
            return Err(Refusal::invalid(format!(
                "{} cannot be read ({}): put the seal key back, or give them again or name them in wipe \
                 ({REPLACED_SECRETS} end with revoke_previous)",
                names.join(" and "),
                config.broken().unwrap_or_default()
            )));
        }
        Ok(())
    }
}

fn wipe_column(config: &mut ProviderConfig, column: &str) {
    match column {
        SECRET_KEY => config.secret_key = Secret::default(),
        WEBHOOK_SECRET => config.webhook_secret = Secret::default(),
        CONFIG_JSON => config.config_json = Secret::default(),
        _ => return,
    }
    config.unreadable.retain(|unreadable| unreadable.column != column);
}

const WIPE_TAKES: &str = "wipe takes secret_key, webhook_secret, config_json and config_json.KEY";

fn is_given(value: Option<&Secret>) -> bool {
    value.is_some_and(|new| !new.is_empty())
}

/// The name of a setting, short.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(64).collect()
}

/// Whether nothing changes but that the config is disabled.
fn is_disabling(stored: &ProviderConfig, config: &ProviderConfig) -> bool {
    let ProviderConfig { deleted_time, updated_time, terms_version, version, .. } = *config;
    let disabled = ProviderConfig {
        enabled: false,
        deleted_time,
        updated_time,
        terms_version,
        version,
        replaced_webhook_secrets: config.replaced_webhook_secrets.clone(),
        ..stored.clone()
    };
    disabled == *config && (stored.enabled || stored.deleted_time != deleted_time)
}
