//! Edits of a provider config: the refusal names the wrong field, and fields that transactions depend on do not change.

use std::collections::BTreeMap;

use cashier_core::edit::{
    ConfigEdit, DeclaredSettings, EditContext, REVERSAL, SettingMap, SettingValue, reversals_wait,
};
use cashier_core::provider_config::Secret;
use cashier_core::refusal::Refusal;

use crate::samples::{NOW, config, limit};

/// Takes the JSON parser's place: `name=value` pairs, separated by commas.
pub(crate) fn parse(field: &str, text: &str) -> Result<SettingMap, Refusal> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(|| Refusal::invalid(format!("{field} is no object")))?;
        Ok((name.to_owned(), SettingValue::Text(value.to_owned())))
    };
    let pairs = text.trim_matches(['{', '}']).split(',').filter(|pair| !pair.is_empty());
    pairs.map(pair).collect::<Result<BTreeMap<_, _>, _>>()
}

fn judged(edit: &ConfigEdit, has_transactions: bool, available: bool) -> String {
    let (endpoints, secrets) = (["base_url".into()], ["api_key".into()]);
    let module = Some(DeclaredSettings { available, endpoints: &endpoints, secrets: &secrets });
    let context = EditContext { has_transactions, module, parse: &parse, now: NOW };
    let mut stored = config(1);
    stored.webhook_secret = Secret::default();
    edit.apply(&stored, &context).map_or_else(|refusal| refusal.message, |_| "saved".into())
}

#[test]
fn an_edit_is_refused_for_a_wrong_field_and_for_a_field_that_transactions_depend_on() {
    let edit = ConfigEdit::default;
    let moved = || ConfigEdit { settings_json: Some("base_url=https://other".into()), ..edit() };
    let frozen = |field| format!("{field} cannot change once transactions exist under the config: make a new config");
    let table: Vec<(&str, ConfigEdit, bool, String)> = vec![
        ("nothing", edit(), true, "saved".into()),
        (
            "country",
            ConfigEdit { country: Some("Germany".into()), ..edit() },
            false,
            "country must be two upper-case letters, or empty for any".into(),
        ),
        ("any country", ConfigEdit { country: Some("".into()), ..edit() }, true, "saved".into()),
        ("currency", ConfigEdit { currency: Some("XYZ".into()), ..edit() }, false, "currency XYZ is not known".into()),
        (
            "limits",
            ConfigEdit { min_amount: Some(limit("10")), max_amount: Some(limit("5")), ..edit() },
            false,
            "max_amount is below min_amount".into(),
        ),
        (
            "reversal",
            ConfigEdit { settings_json: Some("reversal=reviwe".into()), ..edit() },
            false,
            "reversal must be \"post\" or \"review\"".into(),
        ),
        ("reversal", ConfigEdit { settings_json: Some("reversal=review".into()), ..edit() }, true, "saved".into()),
        ("brand", ConfigEdit { brand: Some("other".into()), ..edit() }, true, frozen("brand")),
        ("brand, unused config", ConfigEdit { brand: Some("other".into()), ..edit() }, false, "saved".into()),
        ("mode", ConfigEdit { sandbox: Some(!config(1).sandbox), ..edit() }, true, frozen("sandbox")),
        (
            "merchant in config_json",
            ConfigEdit { config_json: Some(Secret::new("merchant_id=other")), ..edit() },
            true,
            frozen("merchant_id"),
        ),
        (
            "secret in settings_json",
            ConfigEdit { settings_json: Some("api_key=x".into()), ..edit() },
            false,
            "api_key is a secret and settings_json is shown: give it as a field of its own or in config_json".into(),
        ),
        ("endpoint", moved(), true, "changing base_url requires secret_key to be given again".into()),
        (
            "endpoint with secret",
            ConfigEdit { secret_key: Some(Secret::new("sk_new")), ..moved() },
            true,
            "saved".into(),
        ),
        ("endpoint, unused config", moved(), false, "saved".into()),
    ];
    for (what, edit, has_transactions, expected) in table {
        assert_eq!(judged(&edit, has_transactions, true), expected, "{what}");
    }
    let other = ConfigEdit { settings_json: Some("color=red".into()), ..edit() };
    assert_eq!(judged(&other, true, true), "saved", "a loaded module declares its endpoints");
    let again = "changing color requires secret_key to be given again";
    assert_eq!(judged(&other, true, false), again, "without it every setting may be one");
}

#[test]
fn reversals_wait_where_the_last_setting_that_is_given_says_so() {
    let text = |text: &str| SettingValue::Text(text.into());
    let table = [
        (vec![], false),
        (vec![None], false),
        (vec![Some(text("post"))], false),
        (vec![Some(text(""))], false),
        (vec![Some(text("review"))], true),
        (vec![Some(text("review")), None], true),
        (vec![Some(text("review")), Some(SettingValue::Null)], true),
        (vec![Some(text("review")), Some(text("post"))], false),
        (vec![Some(text("post")), Some(text("review"))], true),
        // What cannot be read was meant to say something.
        (vec![Some(text("Review"))], true),
        (vec![Some(SettingValue::Json("true".into()))], true),
    ];
    for (number, (given, expected)) in table.into_iter().enumerate() {
        let maps: Vec<SettingMap> = given
            .into_iter()
            .map(|value| value.map(|value| (REVERSAL.to_owned(), value)).into_iter().collect())
            .collect();
        assert_eq!(reversals_wait(&maps), expected, "line {number}");
    }
}
