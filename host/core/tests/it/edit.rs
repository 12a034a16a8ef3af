//! Edits of a provider config: the refusal names the wrong field, and fields that transactions depend on do not change.

use std::collections::BTreeMap;

use cashier_core::edit::{
    AuditedValue, ConfigEdit, DeclaredSettings, EditContext, REVERSAL, SettingMap, SettingValue, changed_fields,
    reversals_wait,
};
use cashier_core::ids::ConfigId;
use cashier_core::provider_config::{
    ProviderConfig, REPLACED_SECRET_SECONDS, REPLACED_SECRETS_MAX, ReplacedSecret, Secret,
};
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

/// Takes the place of removing a key from JSON.
pub(crate) fn without(text: &str, key: &str) -> Option<String> {
    let named = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| name == key);
    let pairs = || text.split(',');
    pairs().any(|pair| named(&pair)).then(|| pairs().filter(|pair| !named(pair)).collect::<Vec<_>>().join(","))
}

/// The settings that the module declares.
pub(crate) fn keys() -> [Box<str>; 5] {
    ["base_url", "api_key", "flow", "color", "shape"].map(Box::from)
}

fn judged(edit: &ConfigEdit, has_transactions: bool, available: bool) -> String {
    let (endpoints, secrets) = (["base_url".into()], ["api_key".into()]);
    let module = Some(DeclaredSettings { available, keys: &keys(), endpoints: &endpoints, secrets: &secrets });
    let context = EditContext { has_transactions, module, parse: &parse, without: &without, now: NOW };
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
    for own in [
        ConfigEdit { settings_json: Some("reversal=review".into()), ..edit() },
        ConfigEdit { public_key: Some("pk_2".into()), ..edit() },
        ConfigEdit { config_json: Some(Secret::new("webhook_secret=whsec_2")), ..edit() },
    ] {
        assert_eq!(
            judged(&own, true, false),
            "saved",
            "no request is sent to a credential or to the cashier's own setting"
        );
    }
}

fn saved(edit: &ConfigEdit, stored: &ProviderConfig, has_transactions: bool) -> Result<ProviderConfig, String> {
    let (endpoints, secrets) = (["base_url".into()], ["api_key".into()]);
    let module = Some(DeclaredSettings { available: true, keys: &keys(), endpoints: &endpoints, secrets: &secrets });
    let context = EditContext { has_transactions, module, parse: &parse, without: &without, now: NOW };
    edit.apply(stored, &context).map_err(|refusal| refusal.message.to_string())
}

#[test]
fn an_omitted_field_keeps_its_value_and_each_given_one_is_written() {
    let stored = config(1);
    let written = ConfigEdit {
        id: Some(stored.id),
        provider: Some("paypal".into()),
        brand: Some("other".into()),
        method: Some("card".into()),
        country: Some("DE".into()),
        currency: Some("EUR".into()),
        merchant_id: Some("acct_2".into()),
        public_key: Some("pk_2".into()),
        secret_key: Some(Secret::new("sk_2")),
        webhook_secret: Some(Secret::new("whsec_2")),
        settings_json: Some("color=red".into()),
        config_json: Some(Secret::new("shape=round")),
        min_amount: Some(limit("5")),
        max_amount: Some(limit("5")),
        sandbox: Some(true),
        enabled: Some(false),
        sort_index: Some(-3),
        revoke_previous: true,
        wipe: Vec::new(),
        delete: false,
    };
    let expected = ProviderConfig {
        provider: "paypal".into(),
        brand: "other".into(),
        method: "card".into(),
        country: "DE".into(),
        currency: "EUR".into(),
        merchant_id: "acct_2".into(),
        public_key: "pk_2".into(),
        secret_key: Secret::new("sk_2"),
        webhook_secret: Secret::new("whsec_2"),
        settings_json: "color=red".into(),
        config_json: Secret::new("shape=round"),
        min_amount: limit("5"),
        max_amount: limit("5"),
        sandbox: true,
        enabled: false,
        sort_index: -3,
        terms_version: 2,
        version: 2,
        ..stored.clone()
    };
    assert_eq!(saved(&written, &stored, false), Ok(expected));
    let kept = ProviderConfig { version: 2, ..stored.clone() };
    assert_eq!(saved(&ConfigEdit::default(), &stored, true), Ok(kept.clone()));
    let empty = ConfigEdit {
        secret_key: Some(Secret::default()),
        webhook_secret: Some(Secret::default()),
        config_json: Some(Secret::default()),
        ..ConfigEdit::default()
    };
    assert_eq!(saved(&empty, &stored, true), Ok(kept), "a form that does not show secrets does not delete them");
}

#[test]
fn only_what_the_provider_is_called_with_makes_new_terms() {
    let terms = |edit: ConfigEdit| saved(&edit, &config(1), false).unwrap().terms_version;
    let edit = ConfigEdit::default;
    assert_eq!(terms(edit()), 1);
    for other in [
        ConfigEdit { brand: Some("other".into()), ..edit() },
        ConfigEdit { method: Some("card".into()), ..edit() },
        ConfigEdit { webhook_secret: Some(Secret::new("whsec_2")), ..edit() },
        ConfigEdit { enabled: Some(false), sort_index: Some(4), min_amount: Some(limit("1")), ..edit() },
    ] {
        assert_eq!(terms(other.clone()), 1, "{other:?}");
    }
    for new in [
        ConfigEdit { provider: Some("paypal".into()), ..edit() },
        ConfigEdit { merchant_id: Some("acct_2".into()), ..edit() },
        ConfigEdit { public_key: Some("pk_2".into()), ..edit() },
        ConfigEdit { secret_key: Some(Secret::new("sk_2")), ..edit() },
        ConfigEdit { config_json: Some(Secret::new("shape=round")), ..edit() },
        ConfigEdit { settings_json: Some("color=red".into()), ..edit() },
        ConfigEdit { sandbox: Some(true), ..edit() },
    ] {
        assert_eq!(terms(new.clone()), 2, "{new:?}");
    }
}

#[test]
fn a_replaced_webhook_secret_is_accepted_for_its_time_unless_it_is_revoked() {
    let replace = |secret: &str| ConfigEdit { webhook_secret: Some(Secret::new(secret)), ..ConfigEdit::default() };
    let replaced = |secret: &str, until| ReplacedSecret { secret: Secret::new(secret), until };
    let until = NOW.plus(REPLACED_SECRET_SECONDS);
    let once = saved(&replace("whsec_2"), &config(1), true).unwrap();
    assert_eq!(once.replaced_webhook_secrets, [replaced("whsec", until)]);
    let twice = saved(&replace("whsec_3"), &once, true).unwrap();
    assert_eq!(twice.replaced_webhook_secrets, [replaced("whsec_2", until), replaced("whsec", until)], "newest first");
    assert_eq!(saved(&replace("whsec"), &config(1), true).unwrap().replaced_webhook_secrets, [], "the same is kept");
    let revoked = ConfigEdit { revoke_previous: true, ..ConfigEdit::default() };
    assert_eq!(saved(&revoked, &twice, true).unwrap().replaced_webhook_secrets, []);
    let replaced_and_revoked = ConfigEdit { revoke_previous: true, ..replace("whsec_4") };
    assert_eq!(saved(&replaced_and_revoked, &twice, true).unwrap().replaced_webhook_secrets, []);
    let first = ProviderConfig { webhook_secret: Secret::default(), ..config(1) };
    assert_eq!(saved(&replace("whsec"), &first, true).unwrap().replaced_webhook_secrets, [], "there was none");
    let in_config_json =
        ConfigEdit { config_json: Some(Secret::new("webhook_secret=whsec_5")), ..ConfigEdit::default() };
    let moved = saved(&in_config_json, &config(1), true).unwrap();
    assert_eq!(moved.replaced_webhook_secrets, [replaced("whsec", until)], "config_json wins over the column");
    let ended = ProviderConfig {
        replaced_webhook_secrets: vec![replaced("a", NOW.plus(1)), replaced("b", NOW), replaced("c", NOW.plus(-1))],
        ..config(1)
    };
    let kept = saved(&ConfigEdit::default(), &ended, true).unwrap().replaced_webhook_secrets;
    assert_eq!(kept, [replaced("a", NOW.plus(1))], "what ended is left out");
}

#[test]
fn b5_of_secrets_replaced_within_a_week_the_newest_three_are_kept_and_what_is_dropped_is_recorded() {
    let replace = |secret: &str| ConfigEdit { webhook_secret: Some(Secret::new(secret)), ..ConfigEdit::default() };
    let context = EditContext { has_transactions: true, module: None, parse: &parse, without: &without, now: NOW };
    let names = |config: &ProviderConfig| -> Vec<String> {
        config.replaced_webhook_secrets.iter().map(|replaced| replaced.secret.expose().to_owned()).collect()
    };
    let mut stored = config(1);
    let mut dropped = 0;
    for n in 1..=250 {
        let after = saved(&replace(&format!("w{n}")), &stored, true).unwrap();
        let recorded = changed_fields(Some(&stored), &after, &context).unwrap();
        let replaced = recorded.iter().find(|change| &*change.field == "replaced_webhook_secrets").unwrap();
        let AuditedValue::Clear(count) = &replaced.after else { panic!("its count is no secret") };
        assert_eq!(count.contains("1 dropped before its time"), n > REPLACED_SECRETS_MAX, "{n}: {count}");
        dropped += stored.dropped_secrets(&after, NOW);
        stored = after;
    }
    assert_eq!((names(&stored), dropped), (["w249", "w248", "w247"].map(String::from).to_vec(), 250 - 3));
    // Two secrets in turn are two, however often.
    let mut stored = config(1);
    for n in 0..50 {
        stored = saved(&replace(if n % 2 == 0 { "whsec_2" } else { "whsec" }), &stored, true).unwrap();
    }
    assert_eq!((stored.webhook_secret.expose(), names(&stored)), ("whsec", vec!["whsec_2".to_owned()]));
    // What ended by itself or was revoked was not dropped, nor was what an edit leaves alone.
    let later = EditContext { now: NOW.plus(REPLACED_SECRET_SECONDS), ..context };
    let full = ["a", "b", "c"].map(|secret| saved(&replace(secret), &config(1), true).unwrap());
    let full =
        full.into_iter().reduce(|first, next| saved(&replace(next.webhook_secret.expose()), &first, true).unwrap());
    let full = saved(&replace("d"), &full.unwrap(), true).unwrap();
    assert_eq!(full.replaced_webhook_secrets.len(), 3);
    let ended = replace("e").apply(&full, &later).unwrap();
    assert_eq!((names(&ended), full.dropped_secrets(&ended, later.now)), (vec!["d".to_owned()], 0));
    let revoked = saved(&ConfigEdit { revoke_previous: true, ..replace("e") }, &full, true).unwrap();
    assert_eq!((names(&revoked).len(), full.dropped_secrets(&revoked, NOW)), (0, 0));
    let limits = saved(&ConfigEdit { sort_index: Some(7), ..ConfigEdit::default() }, &full, true).unwrap();
    assert_eq!((names(&limits), full.dropped_secrets(&limits, NOW)), (names(&full), 0));
}

#[test]
fn a_moved_endpoint_requires_every_secret_that_is_set_in_any_of_its_forms() {
    let moved = |edit: ConfigEdit| ConfigEdit { settings_json: Some("base_url=https://other".into()), ..edit };
    let edit = ConfigEdit::default;
    let both = "changing base_url requires secret_key and webhook_secret to be given again";
    assert_eq!(saved(&moved(edit()), &config(1), true).unwrap_err(), both);
    let one = moved(ConfigEdit { secret_key: Some(Secret::new("sk_2")), ..edit() });
    let refused = saved(&one, &config(1), true).unwrap_err();
    assert_eq!(refused, "changing base_url requires webhook_secret to be given again");
    let empty = moved(ConfigEdit { secret_key: Some(Secret::default()), ..edit() });
    assert_eq!(saved(&empty, &config(1), true).unwrap_err(), both, "an empty secret is none");
    let columns = ConfigEdit { webhook_secret: Some(Secret::new("whsec")), ..one.clone() };
    assert!(saved(&columns, &config(1), true).is_ok());
    let mixed = ConfigEdit { config_json: Some(Secret::new("webhook_secret=whsec")), ..one };
    assert!(saved(&mixed, &config(1), true).is_ok());
    let own = ProviderConfig { config_json: Secret::new("api_key=x"), ..config(1) };
    let refused = saved(&columns, &own, true).unwrap_err();
    assert_eq!(refused, "changing base_url requires api_key to be given again", "also the module's own secrets");
    assert!(saved(&moved(edit()), &config(1), false).is_ok(), "before transactions exist nothing was sent there");
}

#[test]
fn a_config_is_created_whole_or_not_at_all() {
    let context = EditContext { has_transactions: false, module: None, parse: &parse, without: &without, now: NOW };
    let create = |edit: &ConfigEdit| edit.create(&context).map_err(|refusal| refusal.message.to_string());
    let stripe = ConfigEdit { provider: Some("stripe".into()), brand: Some("ion4".into()), ..ConfigEdit::default() };
    let blank = ProviderConfig::blank("stripe".into(), NOW);
    let expected = ProviderConfig { brand: "ion4".into(), version: 1, ..blank };
    let created = create(&stripe).unwrap();
    assert_eq!(ProviderConfig { terms_version: 0, ..created }, expected);
    for provider in [None, Some("".into())] {
        assert_eq!(create(&ConfigEdit { provider, ..stripe.clone() }).unwrap_err(), "provider is required");
    }
    let countries = [("DE", true), ("", true), ("D", false), ("DEU", false), ("de", false), ("D1", false)];
    for (country, taken) in countries {
        let edit = ConfigEdit { country: Some(country.into()), ..stripe.clone() };
        assert_eq!(create(&edit).is_ok(), taken, "{country}");
    }
    let no_object = ConfigEdit { config_json: Some(Secret::new("no object")), ..stripe.clone() };
    assert_eq!(create(&no_object).unwrap_err(), "config_json is no object");
    let secret = ConfigEdit { settings_json: Some("secret_key=x".into()), ..stripe.clone() };
    assert!(create(&secret).unwrap_err().starts_with("secret_key is a secret and settings_json is shown"));
    let ids = [None, Some(ConfigId(0)), Some(ConfigId(3))].map(|id| ConfigEdit { id, ..stripe.clone() }.target());
    assert_eq!(ids, [None, None, Some(ConfigId(3))], "0 creates");
}

#[test]
fn an_edit_may_change_what_is_frozen_where_it_names_it_or_brings_settings_that_win() {
    let stored = config(1);
    let may = |edit: ConfigEdit| edit.may_change_frozen(&stored);
    let edit = ConfigEdit::default;
    assert!(may(ConfigEdit { brand: Some("other".into()), ..edit() }));
    assert!(may(ConfigEdit { sandbox: Some(true), ..edit() }));
    assert!(may(ConfigEdit { config_json: Some(Secret::new("shape=round")), ..edit() }));
    assert!(!may(ConfigEdit { config_json: Some(Secret::default()), ..edit() }));
    assert!(!may(ConfigEdit { brand: Some("ion4".into()), sandbox: Some(false), ..edit() }), "the same values");
    assert!(!may(ConfigEdit { enabled: Some(false), ..edit() }));
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
