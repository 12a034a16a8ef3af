//! The settings of a config by their keys: which the host reads itself, which the module declares, and which nobody reads.
//! It judges names alone; what a value may be, the module says.

use std::collections::BTreeMap;

/// The cashier's own setting in `settings_json` or `config_json`; no module sees it.
pub const REVERSAL: &str = "reversal";
/// Settings that are credentials of every module.
pub(super) const CREDENTIALS: [&str; 4] = ["merchant_id", "public_key", "secret_key", "webhook_secret"];

/// Characters of an unknown key that a refusal repeats.
const SHOWN_KEY_CHARS: usize = 64;

/// The value of one setting. It may be a secret, so it has no Debug.
#[derive(Clone, PartialEq, Eq)]
pub enum SettingValue {
    Null,
    Text(String),
    /// Any other JSON value, as its text.
    Json(String),
}

impl SettingValue {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Null => "",
            Self::Text(text) | Self::Json(text) => text,
        }
    }
}

/// A parsed JSON object of settings.
pub type SettingMap = BTreeMap<String, SettingValue>;

/// What a module declares about its settings.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredSettings<'a> {
    /// The module is loaded: its lists are complete.
    pub available: bool,
    /// Every setting that it reads.
    pub keys: &'a [Box<str>],
    /// Settings that determine where requests are sent.
    pub endpoints: &'a [Box<str>],
    pub secrets: &'a [Box<str>],
}

/// Whether a key is the host's own: the module does not receive it, and it sends no request anywhere.
pub fn is_host_setting(name: &str) -> bool {
    name == REVERSAL || name.starts_with('_')
}

/// Whether each key is read by somebody: the host, every module, or this one.
///
/// # Errors
/// A sentence about the first key that is not, with the nearest one that is.
pub fn check_declared(source: &str, settings: &SettingMap, module: &DeclaredSettings<'_>) -> Result<(), String> {
    for name in settings.keys().map(String::as_str).filter(|name| !is_host_setting(name)) {
        let is_credential = CREDENTIALS.contains(&name);
        if is_credential && source == "settings_json" {
            return Err(format!(
                "{name} in settings_json is read by nobody: give it as a field of its own or in config_json"
            ));
        }
        if is_credential || module.keys.iter().any(|key| **key == *name) {
            continue;
        }
        let shown: String = name.chars().take(SHOWN_KEY_CHARS).collect();
        let known = || module.keys.iter().map(|key| &**key).filter(|key| !CREDENTIALS.contains(key));
        let candidates = known().chain(CREDENTIALS).chain([REVERSAL]);
        let advice = match (nearest(name, candidates), known().collect::<Vec<_>>().as_slice()) {
            (Some(key), _) => format!("did you mean {key}?"),
            (None, []) => "the module declares none".to_owned(),
            (None, keys) => format!("the module has {}", keys.join(", ")),
        };
        return Err(format!("{source} holds {shown:?}, which is no setting of the module: {advice}"));
    }
    Ok(())
}

/// The known name that is nearest to a misspelt one: at most a third of its letters are wrong or swapped.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |text: &str| text.trim().to_lowercase().replace(['-', ' ', '.'], "_");
    let wanted = plain(name);
    let distance = |key: &str| strsim::osa_distance(&wanted, &plain(key));
    let near = known.into_iter().map(|key| (distance(key), key));
    let near = near.filter(|(distance, key)| *distance <= (key.chars().count() / 3).max(1));
    near.min_by_key(|(distance, _)| *distance).map(|(_, key)| key)
}
