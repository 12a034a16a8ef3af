//! Where session keys come from, as the settings say, and which other users may change the files that a start reads once: those are
//! warned about. Files of keys and certificates are judged by those that follow them, at the start and at each change.

use crate::file_access::{FileUse, judge};
use crate::http::session::SessionRules;
use crate::http::session::files::KeySources;
use crate::settings::Settings;

/// What the settings ask of every token.
pub fn session_rules(settings: &Settings) -> SessionRules {
    let session = &settings.session;
    SessionRules {
        lifetime_max: session.lifetime_max.map_or(SessionRules::LIFETIME_MAX, i64::from),
        issuers: session.issuers.clone(),
        audiences: session.audiences.clone(),
        brand_required: session.require_brand,
    }
}

pub(super) fn session_sources(settings: &Settings) -> KeySources {
    KeySources {
        secrets: settings.session_keys.clone(),
        secrets_file: settings.session_keys_file.clone(),
        jwks_file: settings.session.jwks_file.clone(),
        revoked_file: settings.session.revoked_file.clone(),
        rules: session_rules(settings),
        strict: settings.strict_key_permissions,
    }
}

/// Warns about files that other users may change. What runs in the cashier, and which keys it believes, is decided by them.
pub(super) fn warn_of_access(settings: &Settings) {
    for (setting, path) in [("settings file", settings.file.as_deref()), ("plugins", Some(&*settings.plugins))] {
        if let Some(sentence) = path.and_then(|path| judge(path, FileUse::Public)) {
            tracing::warn!(target: "security", "{setting}: {sentence}");
        }
    }
}
