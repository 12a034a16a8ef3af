//! The provider config on the wire: rows without a single secret, and edits in which what is omitted keeps its value
//! (API.md section 2). It judges shapes; whether an edit is allowed is the core's decision.

use cashier_core::edit::{ConfigEdit, WIPED_MAX};
use cashier_core::ids::ConfigId;
use cashier_core::lengths::{CODE_LENGTH_MAX, OBJECT_TEXT_LENGTH_MAX};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::Refusal;

use crate::json_object::{answer, request};
use crate::wire::read::read as read_request;
use crate::wire::values::{
    CREDENTIAL_LENGTH_MAX, Code, Country, Flag, Id, LimitAmount, Names, ObjectText, ReadOnly, RowId, SecretObject,
    SecretText, SortIndex, Text, Time,
};

/// Longest merchant id: a URL or a path of account names fits, where providers have them so.
const MERCHANT_ID_LENGTH_MAX: usize = 512;

answer! {
    /// A provider config. Secrets are empty for everyone.
    pub struct ConfigRecord<'a>(row: &'a ProviderConfig) {
        id: Id = Id(row.id.0), "provider config id";
        provider: &'a str = &row.provider, "provider code";
        brand: &'a str = &row.brand, "brand; empty for every brand";
        method: &'a str = &row.method, "provider method; empty for any";
        country: &'a str = &row.country, "country; empty for any";
        currency: &'a str = &row.currency, "currency; empty for any";
        merchant_id: &'a str = &row.merchant_id, "merchant id at the provider";
        public_key: &'a str = &row.public_key, "public key at the provider";
        secret_key: &'a str = "", "always empty";
        webhook_secret: &'a str = "", "always empty";
        settings_json: &'a str = &row.settings_json, "settings of the module: a JSON object as a string";
        config_json: &'a str = "", "always empty";
        min_amount: LimitAmount = LimitAmount(row.min_amount), "least amount; 0 is no limit";
        max_amount: LimitAmount = LimitAmount(row.max_amount), "greatest amount; 0 is no limit";
        sandbox: Flag = Flag(row.sandbox), "1 for test money";
        enabled: Flag = Flag(row.enabled), "1 when it serves new deposits";
        sort_index: i64 = row.sort_index, "place among the customer's methods";
        created_time: Time = Time(row.created_time), "Creation timestamp";
        updated_time: Time = Time(row.updated_time), "Last update timestamp";
        deleted_time: Time = Time(row.deleted_time), "when it was deleted; 0 where it is not";
        unreadable: Vec<&'a str> = row.unreadable.iter().map(|unreadable| unreadable.column).collect(),
            "sealed columns that do not open: the config has no gateway while there are any";
    }

    /// A provider config that was saved.
    pub struct ConfigAnswer<'a>(row: &'a ProviderConfig) {
        provider: ConfigRecord<'a> = ConfigRecord::new(row), "the config as it is now";
    }

    /// A provider config that was saved and names what is not there.
    pub struct WarnedConfigAnswer<'a>(row: &'a ProviderConfig, notes: &'a [String]) {
        provider: ConfigRecord<'a> = ConfigRecord::new(row), "the config as it is now";
        warnings: Vec<&'a str> = notes.iter().map(String::as_str).collect(), "what it names that is not there";
    }
}

request! {
    /// A provider config as a manager writes it. What is omitted keeps its value.
    pub struct ConfigBody {
        id: Option<RowId>, "config to change; 0 or omitted creates one";
        provider: Option<Code<CODE_LENGTH_MAX>>, "provider code; needed to create";
        brand: Option<Code<CODE_LENGTH_MAX>>, "brand; empty for every brand";
        method: Option<Code<CODE_LENGTH_MAX>>, "provider method; empty for any";
        country: Option<Country>, "ISO 3166 alpha-2; empty for any";
        currency: Option<Code<CODE_LENGTH_MAX>>, "currency; empty for any";
        merchant_id: Option<Code<MERCHANT_ID_LENGTH_MAX>>, "merchant id at the provider";
        public_key: Option<Text<CREDENTIAL_LENGTH_MAX>>, "public key at the provider";
        secret_key: Option<SecretText>, "secret key at the provider; empty keeps the stored one";
        webhook_secret: Option<SecretText>, "secret that signs webhooks; empty keeps the stored one";
        settings_json: Option<ObjectText<OBJECT_TEXT_LENGTH_MAX>>, "settings of the module: a JSON object as a string";
        config_json: Option<SecretObject>, "settings with secrets, as a string; their keys win; empty keeps the stored ones";
        min_amount: Option<LimitAmount>, "least amount; 0 is no limit";
        max_amount: Option<LimitAmount>, "greatest amount; 0 is no limit";
        sandbox: Option<Flag>, "1 for test money";
        enabled: Option<Flag>, "1 to serve new deposits";
        sort_index: Option<SortIndex>, "place among the customer's methods";
        wipe: Option<Names<WIPED_MAX>>, "secrets to wipe: secret_key, webhook_secret, config_json, config_json.KEY";
        revoke_previous: Option<Flag>, "1 ends the replaced webhook secret at once";
        created_time: Option<ReadOnly>, "passes unread";
        updated_time: Option<ReadOnly>, "passes unread";
        deleted_time: Option<ReadOnly>, "passes unread";
        unreadable: Option<ReadOnly>, "passes unread";
    }
}

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

/// Reads an edit. A whole row sent back is fine: its times pass unread, and its empty secrets keep what is stored.
pub fn read(json: &[u8]) -> Result<ConfigEdit, Refusal> {
    let body: ConfigBody = read_request(json, "data")?;
    Ok(ConfigEdit {
        id: body.id.map(|id| ConfigId(id.0)),
        provider: body.provider.map(Into::into),
        brand: body.brand.map(Into::into),
        method: body.method.map(Into::into),
        country: body.country.map(Into::into),
        currency: body.currency.map(Into::into),
        merchant_id: body.merchant_id.map(Into::into),
        public_key: body.public_key.map(Into::into),
        secret_key: body.secret_key.map(Into::into),
        webhook_secret: body.webhook_secret.map(Into::into),
        settings_json: body.settings_json.map(Into::into),
        config_json: body.config_json.map(Into::into),
        min_amount: body.min_amount.map(Into::into),
        max_amount: body.max_amount.map(Into::into),
        sandbox: body.sandbox.map(Into::into),
        enabled: body.enabled.map(Into::into),
        sort_index: body.sort_index.map(Into::into),
        wipe: body.wipe.map(Into::into).unwrap_or_default(),
        delete: false,
        revoke_previous: body.revoke_previous.is_some_and(Into::into),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use cashier_core::money::Limit;
    use cashier_core::provider_config::Secret;
    use cashier_core::time::UnixTime;

    use super::*;

    pub(crate) fn stored() -> ProviderConfig {
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
            unapproved: Vec::new(),
            deleted_time: UnixTime::UNSET,
            account_marks: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    fn shown(config: &ProviderConfig) -> String {
        serde_json::to_string(&ConfigRecord::new(config)).unwrap()
    }

    #[test]
    fn a_row_has_its_fields_in_order_and_no_secret() {
        assert_eq!(
            shown(&stored()),
            r#"{"id":1,"provider":"stripe","brand":"ion4","method":"card","country":"","currency":"USD","merchant_id":"acct_1","public_key":"pk_1","secret_key":"","webhook_secret":"","settings_json":"{\"capture\":1}","config_json":"","min_amount":25.5,"max_amount":0.0,"sandbox":1,"enabled":1,"sort_index":-3,"created_time":1779270000,"updated_time":1779270001,"deleted_time":0,"unreadable":[]}"#
        );
        let hidden = shown(&without_credentials(&stored()));
        assert!(!hidden.contains("CANARY") && !hidden.contains("acct_1") && !hidden.contains("pk_1"), "{hidden}");
    }

    #[test]
    fn i4_a_secret_is_taken_without_the_line_end_that_it_was_pasted_with() {
        let update = read(
            "{\"secret_key\":\"\u{feff}sk_1 \\r\\n\",\"webhook_secret\":\" \\n\",\"config_json\":\"\u{feff}{}\\n\"}"
                .as_bytes(),
        );
        let update = update.unwrap();
        assert_eq!((update.secret_key, update.config_json), (Some(Secret::new("sk_1")), Some(Secret::new("{}"))));
        assert_eq!(update.webhook_secret, None);
    }

    #[test]
    fn a_row_sent_back_leaves_every_secret_as_it_is() {
        let update = read(shown(&stored()).as_bytes()).unwrap();
        assert_eq!(update.id, Some(ConfigId(1)));
        assert_eq!((update.secret_key, update.webhook_secret, update.config_json), (None, None, None));
        assert_eq!(update.min_amount, Some(stored().min_amount));
        assert_eq!(update.enabled, Some(true));
    }

    #[test]
    fn an_edit_holds_the_given_fields_alone() {
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
    fn a_wrong_value_is_refused_by_field_without_repeating_secrets() {
        let table = [
            (r#"{"config_json":"CANARY"}"#, "config_json is not valid JSON at line 1 column 1"),
            (r#"{"secret_key":5}"#, "secret_key must be a string"),
            (r#"{"wipe":"secret_key"}"#, "wipe must be a list of names"),
            (r#"{"wipe":[5]}"#, "wipe must be a string"),
            (r#"{"wipe":[" secret_key"]}"#, "wipe must be one line without blanks around it"),
            (r#"{"secretkey":"CANARY"}"#, "secretkey is not a field of this request"),
            (r#"{"enabled":true}"#, "enabled must be a whole number from 0 to 1"),
        ];
        for (json, expected) in table {
            assert_eq!(read(json.as_bytes()).unwrap_err().message, expected, "{json}");
        }
    }
}
