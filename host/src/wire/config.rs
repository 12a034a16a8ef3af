//! The provider config on the wire: rows without a single secret, and edits in which what is omitted keeps its value
//! (API.md section 2). It judges shapes; whether an edit is allowed is the core's decision.

use cashier_core::edit::ConfigEdit;
use cashier_core::ids::ConfigId;
use cashier_core::lengths::OBJECT_TEXT_LENGTH_MAX;
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::refusal::Refusal;

use crate::wire::read::Fields;
use crate::wire::write;

/// Longest credential: PEM keys of 4096 bits fit twice.
const CREDENTIAL_LENGTH_MAX: usize = 8 * 1024;

/// Longest merchant id: a URL or a path of account names fits, where providers have them so.
const MERCHANT_ID_LENGTH_MAX: usize = 512;

/// Sort places: far more than configs, and within every client's integers.
const SORT_INDEX_MAX: i64 = 1_000_000_000;

/// The row without the credentials that are no secrets either, for those who may not see them: managers of one brand
/// read configs of every brand so (API.md section 4, brand scope).
pub fn without_credentials(config: &ProviderConfig) -> ProviderConfig {
    ProviderConfig {
        merchant_id: Box::default(),
        public_key: Box::default(),
        settings_json: Box::default(),
        ..config.clone()
    }
}

/// The whole record. Secrets are `""` for everyone.
pub fn write(out: &mut Vec<u8>, config: &ProviderConfig) {
    write::object(out, |fields| {
        fields
            .number("id", config.id.0)
            .text("provider", &config.provider)
            .text("brand", &config.brand)
            .text("method", &config.method)
            .text("country", &config.country)
            .text("currency", &config.currency)
            .text("merchant_id", &config.merchant_id)
            .text("public_key", &config.public_key)
            .text("secret_key", "")
            .text("webhook_secret", "")
            .text("settings_json", &config.settings_json)
            .text("config_json", "")
            .raw("min_amount", &config.min_amount.to_wire())
            .raw("max_amount", &config.max_amount.to_wire())
            .flag("sandbox", config.sandbox)
            .flag("enabled", config.enabled)
            .signed("sort_index", config.sort_index)
            .time("created_time", config.created_time)
            .time("updated_time", config.updated_time);
    });
}

/// Reads an edit. A whole row sent back is fine: its times are read-only and pass unread, and its blank secrets keep
/// what is stored.
pub fn read(json: &[u8]) -> Result<ConfigEdit, Refusal> {
    let mut fields = Fields::parse(json, "data")?;
    fields.ignore(&["created_time", "updated_time"]);
    let edit = ConfigEdit {
        id: fields.id("id")?.filter(|id| *id > 0).map(ConfigId),
        provider: fields.code("provider")?,
        brand: fields.code("brand")?,
        method: fields.code("method")?,
        country: fields.code("country")?,
        currency: fields.code("currency")?,
        merchant_id: fields.code_within("merchant_id", MERCHANT_ID_LENGTH_MAX)?,
        public_key: fields.text("public_key", CREDENTIAL_LENGTH_MAX)?,
        secret_key: secret(&mut fields, "secret_key")?,
        webhook_secret: secret(&mut fields, "webhook_secret")?,
        settings_json: fields.object_text("settings_json", OBJECT_TEXT_LENGTH_MAX)?,
        config_json: config_json(&mut fields)?,
        min_amount: fields.limit("min_amount")?,
        max_amount: fields.limit("max_amount")?,
        sandbox: fields.flag("sandbox")?,
        enabled: fields.flag("enabled")?,
        sort_index: fields.whole("sort_index", -SORT_INDEX_MAX..=SORT_INDEX_MAX)?,
        revoke_previous: fields.flag("revoke_previous")?.unwrap_or(false),
    };
    fields.finish()?;
    check(&edit)?;
    Ok(edit)
}

fn secret(fields: &mut Fields<'_>, name: &str) -> Result<Option<Secret>, Refusal> {
    let text = fields.text(name, CREDENTIAL_LENGTH_MAX)?;
    Ok(text.filter(|text| !text.is_empty()).map(|text| Secret::new(&text)))
}

fn config_json(fields: &mut Fields<'_>) -> Result<Option<Secret>, Refusal> {
    let Some(text) = fields.text("config_json", OBJECT_TEXT_LENGTH_MAX)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    crate::wire::object_text::check(&text, "config_json")?;
    Ok(Some(Secret::new(&text)))
}

fn check(edit: &ConfigEdit) -> Result<(), Refusal> {
    let country = edit.country.as_deref().unwrap_or_default();
    let two_letters = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    if !two_letters && !country.is_empty() {
        return Err(Refusal::invalid("country must be two upper-case letters, or empty for any"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use cashier_core::money::Limit;
    use cashier_core::time::UnixTime;

    use super::*;

    pub(crate) fn kept() -> ProviderConfig {
        ProviderConfig {
            id: ConfigId(1),
            provider: "stripe".into(),
            brand: "ion4".into(),
            method: "card".into(),
            country: "".into(),
            currency: "USD".into(),
            merchant_id: "acct_1".into(),
            public_key: "pk_1".into(),
            secret_key: Secret::new("CANARY-secret"),
            webhook_secret: Secret::new("CANARY-webhook"),
            replaced_webhook_secrets: Vec::new(),
            settings_json: "{\"capture\":1}".into(),
            config_json: Secret::new("{\"secret_key\":\"CANARY-config\"}"),
            min_amount: Limit::parse("25.5").unwrap(),
            max_amount: Limit::NONE,
            sandbox: true,
            enabled: true,
            sort_index: -3,
            created_time: UnixTime(1_779_270_000),
            updated_time: UnixTime(1_779_270_001),
            terms_version: 1,
            version: 1,
        }
    }

    fn shown(config: &ProviderConfig) -> String {
        let mut out = Vec::new();
        write(&mut out, config);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_shows_its_fields_in_order_and_no_secret_ever() {
        assert_eq!(
            shown(&kept()),
            r#"{"id":1,"provider":"stripe","brand":"ion4","method":"card","country":"","currency":"USD","merchant_id":"acct_1","public_key":"pk_1","secret_key":"","webhook_secret":"","settings_json":"{\"capture\":1}","config_json":"","min_amount":25.5,"max_amount":0.0,"sandbox":1,"enabled":1,"sort_index":-3,"created_time":1779270000,"updated_time":1779270001}"#
        );
        let hidden = shown(&without_credentials(&kept()));
        assert!(!hidden.contains("CANARY") && !hidden.contains("acct_1") && !hidden.contains("pk_1"), "{hidden}");
    }

    #[test]
    fn a_row_sent_back_keeps_every_secret() {
        let update = read(shown(&kept()).as_bytes()).unwrap();
        assert_eq!(update.id, Some(ConfigId(1)));
        assert_eq!((update.secret_key, update.webhook_secret, update.config_json), (None, None, None));
        assert_eq!(update.min_amount, Some(kept().min_amount));
        assert_eq!(update.enabled, Some(true));
    }

    #[test]
    fn an_update_names_what_it_changes_and_nothing_else() {
        let edit = read(br#"{"id":1,"enabled":0,"webhook_secret":"CANARY-new","revoke_previous":1}"#).unwrap();
        let expected = ConfigEdit {
            id: Some(ConfigId(1)),
            enabled: Some(false),
            webhook_secret: Some(Secret::new("another, masked alike")),
            revoke_previous: true,
            ..ConfigEdit::default()
        };
        assert_eq!(format!("{edit:?}"), format!("{expected:?}"));
        assert_eq!(edit.webhook_secret.unwrap().expose(), "CANARY-new");
        assert_eq!(format!("{:?}", read(b"{\"id\":0}").unwrap()), format!("{:?}", ConfigEdit::default()));
    }

    #[test]
    fn wrong_shapes_are_refused_by_name_without_repeating_secrets() {
        let table = [
            (r#"{"country":"Germany"}"#, "country must be two upper-case letters, or empty for any"),
            (r#"{"config_json":"CANARY"}"#, "config_json is not valid JSON at line 1 column 1"),
            (r#"{"secret_key":5}"#, "secret_key must be a string"),
            (r#"{"secretkey":"CANARY"}"#, "secretkey is not a field of this request"),
            (r#"{"enabled":true}"#, "enabled must be a whole number from 0 to 1"),
        ];
        for (json, expected) in table {
            assert_eq!(read(json.as_bytes()).unwrap_err().message, expected, "{json}");
        }
    }
}
