//! Validates one configuration with its credentials and settings, so that a mistake in the form is
//! refused before a customer sees it. No message quotes a key.

use cashier_provider_sdk::signature::Keys;
use cashier_provider_sdk::{ConfigError, Endpoint, PaymentMode, ProviderConfig, Secret, SettingKind, SettingSpec};

const API_BASE: &str = "https://api.stripe.com";
/// The version of Stripe's objects. An account's default may be older than `latest_charge`
/// (2022-11-15), and Stripe would then refuse the query.
pub(crate) const API_VERSION: &str = "2025-01-27.acacia";
const FLOW_CHECKOUT: &str = "checkout";
const FLOW_PAYMENT_INTENTS: &str = "payment_intents";

/// Stripe with one configuration. It holds secrets, so it has no Debug.
pub struct Stripe {
    pub(crate) api: Endpoint,
    pub(crate) secret_key: Secret,
    /// Of the current secret and of the replaced ones; empty when no notice can be verified.
    pub(crate) webhook_keys: Keys,
    /// For the browser; may be empty.
    pub(crate) publishable_key: String,
    pub(crate) flow: Flow,
    pub(crate) sandbox: bool,
}

/// How a payment is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The customer pays on Stripe's page.
    Checkout,
    /// The broker's page takes the card with Stripe.js and the intent's client secret.
    PaymentIntents,
}

pub(crate) fn settings_schema() -> Vec<SettingSpec> {
    vec![
        SettingSpec::required_secret("secret_key", "Secret key (sk_… or rk_…)"),
        SettingSpec::required_secret("webhook_secret", "Webhook signing secret (whsec_…)"),
        SettingSpec::text("public_key", "Publishable key (pk_…), for payment_intents"),
        SettingSpec {
            kind: SettingKind::Choice(vec![FLOW_CHECKOUT.into(), FLOW_PAYMENT_INTENTS.into()]),
            default: Some(FLOW_CHECKOUT.into()),
            // The broker's page gets the client secret as instructions.
            payment_modes: vec![(FLOW_PAYMENT_INTENTS.into(), PaymentMode::Instructions)],
            ..SettingSpec::text("flow", "Hosted page or the broker's own page")
        },
        SettingSpec::endpoint("api_base", "API base URL", API_BASE),
    ]
}

pub(crate) fn configure(config: &ProviderConfig) -> Result<Stripe, ConfigError> {
    let secret_key = config.required_secret_key()?;
    check_secret_key(secret_key.expose(), config.sandbox)?;
    check_public_key(&config.public_key, config.sandbox)?;

    let webhook_secrets = config.webhook_secrets();
    if !webhook_secrets.iter().all(Secret::is_visible_ascii) {
        return Err(ConfigError::new(
            "webhook_secret",
            "contains a space, a line break or another character that Stripe never uses",
        ));
    }

    Ok(Stripe {
        api: config.settings.endpoint("api_base", API_BASE)?,
        secret_key,
        webhook_keys: Keys::text(&webhook_secrets),
        publishable_key: config.public_key.clone(),
        flow: flow(config.settings.text_or("flow", FLOW_CHECKOUT)?)?,
        sandbox: config.sandbox,
    })
}

fn flow(name: &str) -> Result<Flow, ConfigError> {
    match name {
        FLOW_CHECKOUT => Ok(Flow::Checkout),
        FLOW_PAYMENT_INTENTS => Ok(Flow::PaymentIntents),
        _ => Err(ConfigError::new("flow", format!("must be {FLOW_CHECKOUT} or {FLOW_PAYMENT_INTENTS}"))),
    }
}

/// A key's prefix states its mode; a live key in a sandbox configuration would take real money, a test
/// key in a live one would credit test money. Keys without a known prefix belong to fake servers.
fn check_secret_key(key: &str, sandbox: bool) -> Result<(), ConfigError> {
    let fault = if key.starts_with("pk_") {
        "is a publishable key; the secret key begins with sk_ or rk_"
    } else if key.starts_with("whsec_") {
        "is a webhook signing secret; the secret key begins with sk_ or rk_"
    } else if mode_disagrees(key, &["sk_", "rk_"], sandbox) {
        mode_fault(sandbox)
    } else {
        return Ok(());
    };
    Err(ConfigError::new("secret_key", fault))
}

/// The publishable key is sent to browsers, so a secret key in its place is refused.
fn check_public_key(key: &str, sandbox: bool) -> Result<(), ConfigError> {
    let fault = if key.is_empty() {
        return Ok(());
    } else if ["sk_", "rk_", "whsec_"].iter().any(|prefix| key.starts_with(prefix)) {
        "is a secret, and this field is shown to browsers; the publishable key begins with pk_"
    } else if mode_disagrees(key, &["pk_"], sandbox) {
        mode_fault(sandbox)
    } else {
        return Ok(());
    };
    Err(ConfigError::new("public_key", fault))
}

fn mode_disagrees(key: &str, prefixes: &[&str], sandbox: bool) -> bool {
    let other_mode = if sandbox { "live_" } else { "test_" };
    prefixes.iter().filter_map(|prefix| key.strip_prefix(prefix)).any(|rest| rest.starts_with(other_mode))
}

fn mode_fault(sandbox: bool) -> &'static str {
    if sandbox {
        "is a live key and the configuration is marked sandbox"
    } else {
        "is a test key and the configuration is not marked sandbox"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ProviderConfig {
        ProviderConfig {
            secret_key: "sk_test_1".into(),
            webhook_secret: "whsec_1".into(),
            sandbox: true,
            ..ProviderConfig::default()
        }
    }

    fn refused_field(row: &ProviderConfig) -> Option<String> {
        configure(row).err().map(|error| error.field)
    }

    #[test]
    fn a_minimal_configuration_uses_stripes_api_and_checkout() {
        let stripe = configure(&row()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(stripe.api.as_str(), "https://api.stripe.com");
        assert_eq!(stripe.flow, Flow::Checkout);
        assert!(!stripe.webhook_keys.is_empty());
    }

    #[test]
    fn a_key_of_another_type_or_mode_is_refused() {
        // secret key, public key, sandbox, the field that is refused
        let table = [
            ("sk_test_1", "pk_test_1", true, None),
            ("rk_test_1", "", true, None),
            ("sk_live_1", "pk_live_1", false, None),
            ("key-of-a-fake", "", true, None),
            ("key-of-a-fake", "", false, None),
            ("", "", true, Some("secret_key")),
            ("sk_live_1", "", true, Some("secret_key")),
            ("rk_live_1", "", true, Some("secret_key")),
            ("sk_test_1", "", false, Some("secret_key")),
            ("pk_test_1", "", true, Some("secret_key")),
            ("whsec_1", "", true, Some("secret_key")),
            ("sk_test_1\n", "", true, Some("secret_key")),
            ("sk_test_1\r\nx: y", "", true, Some("secret_key")),
            ("sk_test_1", "pk_live_1", true, Some("public_key")),
            ("sk_live_1", "pk_test_1", false, Some("public_key")),
            ("sk_test_1", "sk_test_1", true, Some("public_key")),
            ("sk_test_1", "whsec_1", true, Some("public_key")),
        ];
        for (secret_key, public_key, sandbox, refused) in table {
            let row = ProviderConfig { secret_key: secret_key.into(), public_key: public_key.into(), sandbox, ..row() };
            let label = format!("{secret_key:?} {public_key:?} sandbox={sandbox}");
            assert_eq!(refused_field(&row).as_deref(), refused, "{label}");
        }
    }

    #[test]
    fn a_webhook_secret_with_a_line_break_is_refused() {
        let row = ProviderConfig { webhook_secret: "whsec_1\n".into(), ..row() };
        assert_eq!(refused_field(&row).as_deref(), Some("webhook_secret"));
    }

    #[test]
    fn an_unknown_flow_is_refused() {
        assert_eq!(flow("checkout"), Ok(Flow::Checkout));
        assert_eq!(flow("payment_intents"), Ok(Flow::PaymentIntents));
        assert!(flow("Checkout").is_err());
    }
}
