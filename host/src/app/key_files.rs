//! The files of keys that the settings name, and which other users may use them: warned about at the start, refused where
//! the settings are strict. Files of session and seal keys are judged by those that follow them, and again at each change.

use std::path::Path;

use crate::file_access::{FileUse, judge};
use crate::http::session::SessionRules;
use crate::http::session::files::KeySources;
use crate::ports::Fault;
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

/// Warns about files that other users may use.
///
/// # Errors
/// The file is a key, and the settings are strict.
pub(super) fn check_access(settings: &Settings) -> Result<(), Fault> {
    let tls = settings.tls_files.as_ref();
    match sentence("tls_key_file", tls.map(|(_, key)| &**key), FileUse::Secret) {
        Some(sentence) if settings.strict_key_permissions => {
            return Err(Fault::new(format!("{sentence} (refused by strict_key_permissions)")));
        }
        Some(sentence) => tracing::warn!(target: "security", "{sentence}"),
        None => {}
    }
    // What runs in the cashier, and which keys it believes, is decided by whoever may change these.
    let others = [
        ("settings file", settings.file.as_deref(), FileUse::Public),
        ("plugins", Some(&*settings.plugins), FileUse::Public),
        ("tls_certificate_file", tls.map(|(chain, _)| &**chain), FileUse::Public),
    ];
    for (setting, path, content) in others {
        if let Some(sentence) = sentence(setting, path, content) {
            tracing::warn!(target: "security", "{sentence}");
        }
    }
    Ok(())
}

fn sentence(setting: &str, path: Option<&Path>, content: FileUse) -> Option<String> {
    judge(path?, content).map(|sentence| format!("{setting}: {sentence}"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn k2_a_tls_key_that_others_may_read_is_refused_where_the_settings_are_strict() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str, mode: u32| {
            std::fs::set_permissions(folder.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
        };
        for name in ["session.key", "seal.key", "tls.key", "chain.pem", "plugins.toml"] {
            std::fs::write(folder.path().join(name), format!("1:{}", "00".repeat(32))).unwrap();
            mode(name, 0o600);
        }
        let judged = |strict: bool| {
            let text = format!(
                "session_keys_file = \"session.key\"\nseal_keys_file = \"seal.key\"\ntls_key_file = \"tls.key\"\n\
                 tls_certificate_file = \"chain.pem\"\nstrict_key_permissions = {strict}"
            );
            check_access(&Settings::parse(&text, folder.path(), &|_| None).unwrap()).map_err(|fault| fault.what)
        };
        assert_eq!(judged(true), Ok(()));
        for name in ["chain.pem", "plugins.toml"] {
            mode(name, 0o666);
        }
        assert_eq!(judged(true), Ok(()), "no keys: warned about alone");
        mode("tls.key", 0o644);
        assert_eq!(judged(false), Ok(()));
        let refused = judged(true).unwrap_err();
        assert!(refused.starts_with("tls_key_file: ") && refused.contains("chmod 600 "), "{refused}");
    }
}
