//! Validates one configuration with its credentials and settings, so that a mistake in the form is
//! refused before a customer sees it. No message quotes a key.

use cashier_provider_sdk::signature::Keys;
use cashier_provider_sdk::{ConfigError, Endpoint, ProviderConfig, Secret, SettingSpec};

/// The address in the service's README.
const API_BASE: &str = "http://127.0.0.1:8900";
/// The host of [`API_BASE`]. Loopback: no module reaches it before the operator allows it.
pub(crate) const DEFAULT_HOST: &str = "127.0.0.1:8900";

/// The sandbox service with one configuration. It holds secrets, so it has no Debug.
pub struct Sandbox {
    pub(crate) api: Endpoint,
    pub(crate) secret_key: Secret,
    /// Of the current secret and of the replaced ones; empty when no notice can be verified.
    pub(crate) webhook_keys: Keys,
}

pub(crate) fn settings_schema() -> Vec<SettingSpec> {
    vec![
        SettingSpec::required_secret("secret_key", "API key of the sandbox service"),
        SettingSpec::required_secret("webhook_secret", "Webhook secret of the sandbox service"),
        SettingSpec::endpoint("api_base", "Address of the sandbox service", API_BASE),
    ]
}

pub(crate) fn configure(config: &ProviderConfig) -> Result<Sandbox, ConfigError> {
    // Every notice states test money, so a configuration that is not marked sandbox could credit nothing.
    if !config.sandbox {
        return Err(ConfigError::new("sandbox", "must be 1: the sandbox service moves no money"));
    }
    let secret_key = config.required_secret_key()?;
    let webhook_secrets = config.webhook_secrets();
    if webhook_secrets.iter().any(|secret| is_miscopied(secret.expose())) {
        return Err(ConfigError::new("webhook_secret", "begins or ends with a space, or holds a line break"));
    }
    Ok(Sandbox {
        api: config.settings.endpoint("api_base", API_BASE)?,
        secret_key,
        webhook_keys: Keys::text(&webhook_secrets),
    })
}

/// The service accepts any text as webhook secret and signs with the whole text.
fn is_miscopied(text: &str) -> bool {
    text.trim() != text || text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ProviderConfig {
        ProviderConfig {
            secret_key: "sk_canary_7Qm2".into(),
            webhook_secret: "whsec_canary_x9L4".into(),
            sandbox: true,
            ..ProviderConfig::default()
        }
    }

    fn refused_field(change: impl FnOnce(&mut ProviderConfig)) -> Option<String> {
        let mut row = row();
        change(&mut row);
        let error = configure(&row).err()?;
        assert!(!error.to_string().contains("canary"), "{error}");
        Some(error.field)
    }

    #[test]
    fn a_minimal_configuration_uses_the_local_service() {
        let sandbox = configure(&row()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(sandbox.api.as_str(), "http://127.0.0.1:8900");
        assert_eq!(API_BASE, format!("http://{DEFAULT_HOST}"));
        assert!(!sandbox.webhook_keys.is_empty());
    }

    #[test]
    fn a_configuration_that_is_not_marked_sandbox_is_refused() {
        assert_eq!(refused_field(|row| row.sandbox = false).as_deref(), Some("sandbox"));
    }

    #[test]
    fn a_miscopied_secret_is_refused() {
        // secret key, webhook secret, the field that is refused
        let table = [
            ("", "whsec_canary", Some("secret_key")),
            ("sk_canary\n", "whsec_canary", Some("secret_key")),
            ("sk canary", "whsec_canary", Some("secret_key")),
            ("sk_canary", "whsec_canary\n", Some("webhook_secret")),
            ("sk_canary", " whsec_canary", Some("webhook_secret")),
            ("sk_canary", "three part canary", None),
            ("sk_canary", "", None), // notices are then undetermined
        ];
        for (secret_key, webhook_secret, expected) in table {
            let refused = refused_field(|row| {
                row.secret_key = secret_key.into();
                row.webhook_secret = webhook_secret.into();
            });
            assert_eq!(refused.as_deref(), expected, "{secret_key:?} {webhook_secret:?}");
        }
        let refused = refused_field(|row| row.previous_webhook_secrets = vec!["canary\u{7f}".into()]);
        assert_eq!(refused.as_deref(), Some("webhook_secret"));
    }
}
