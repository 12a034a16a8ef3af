//! Sealed columns in edits: secrets that are wiped by name, columns that do not open, and configs that were deleted.

use cashier_core::edit::{ConfigEdit, DeclaredSettings, EditContext, changed_fields};
use cashier_core::provider_config::{ProviderConfig, REPLACED_SECRETS, ReplacedSecret, Secret, UnreadableColumn};
use cashier_core::time::UnixTime;

use crate::edit::{keys, parse, without};
use crate::samples::{NOW, config};

fn applied(edit: &ConfigEdit, stored: &ProviderConfig, has_transactions: bool) -> Result<ProviderConfig, String> {
    let endpoints: &[Box<str>] = &["base_url".into()];
    let keys = keys();
    let module = Some(DeclaredSettings { available: true, keys: &keys, endpoints, secrets: &[] });
    let context = EditContext { has_transactions, module, parse: &parse, without: &without, now: NOW };
    edit.apply(stored, &context).map_err(|refusal| refusal.message.to_string())
}

fn wiping(names: &[&str]) -> ConfigEdit {
    ConfigEdit { wipe: names.iter().map(|name| (*name).into()).collect(), ..ConfigEdit::default() }
}

fn with_secrets() -> ProviderConfig {
    ProviderConfig {
        config_json: Secret::new("webhook_secret=json,token=t"),
        replaced_webhook_secrets: vec![ReplacedSecret { secret: Secret::new("old"), until: NOW.plus(9) }],
        ..config(1)
    }
}

fn left(row: &ProviderConfig) -> [&str; 3] {
    [row.secret_key.expose(), row.webhook_secret.expose(), row.config_json.expose()]
}

#[test]
fn k1_a_secret_is_wiped_by_its_name_and_the_others_stay() {
    let stored = with_secrets();
    let table = [
        (&["secret_key"][..], ["", "whsec", "webhook_secret=json,token=t"], 1),
        (&["webhook_secret"], ["sk", "", "token=t"], 0),
        (&["config_json.token"], ["sk", "whsec", "webhook_secret=json"], 1),
        (&["config_json.webhook_secret"], ["sk", "", "token=t"], 0),
        (&["webhook_secret", "config_json.webhook_secret"], ["sk", "", "token=t"], 0),
        (&["config_json.webhook_secret", "config_json.token"], ["sk", "", ""], 0),
        (&["config_json"], ["sk", "", ""], 0),
        (&["secret_key", "webhook_secret", "config_json"], ["", "", ""], 0),
    ];
    for (names, expected, replaced) in table {
        let saved = applied(&wiping(names), &stored, true).unwrap();
        assert_eq!((left(&saved), saved.replaced_webhook_secrets.len()), (expected, replaced), "{names:?}");
        assert_eq!(saved.terms_version, saved.version, "{names:?}: orders of other terms are not sent again");
    }
    let hook = applied(&wiping(&["webhook_secret"]), &config(1), true).unwrap();
    assert_ne!(hook.terms_version, hook.version, "a provider is not called with it");
    assert_eq!(
        applied(&ConfigEdit { secret_key: Some(Secret::default()), ..wiping(&[]) }, &stored, true)
            .map(|row| left(&row).concat()),
        Ok(left(&stored).concat()),
        "empty keeps"
    );
}

#[test]
fn k1_a_name_that_wipes_nothing_is_refused_so_that_no_secret_stays_by_a_typo() {
    let takes = "wipe takes secret_key, webhook_secret, config_json and config_json.KEY";
    let given = |edit: ConfigEdit| ConfigEdit { secret_key: Some(Secret::new("new")), ..edit };
    let table = [
        (wiping(&["secretkey"]), takes),
        (wiping(&["settings_json"]), takes),
        (wiping(&[""]), takes),
        (wiping(&["config_json.tokn"]), "wipe names config_json.tokn, which is not set"),
        (wiping(&["config_json", "config_json.token"]), "wipe names config_json.token, which is not set"),
        (given(wiping(&["secret_key"])), "secret_key is given, and named in wipe"),
        (
            ConfigEdit { config_json: Some(Secret::new("secret_key=new")), ..wiping(&["secret_key"]) },
            "secret_key is given in config_json, and named in wipe",
        ),
    ];
    for (edit, expected) in table {
        assert_eq!(applied(&edit, &with_secrets(), false).unwrap_err(), expected);
    }
}

#[test]
fn k1_a_secret_that_another_form_replaced_is_in_force_again_only_when_it_is_given_again() {
    let json = |text: &str| ConfigEdit { config_json: Some(Secret::new(text)), ..ConfigEdit::default() };
    let stored = applied(
        &ConfigEdit { revoke_previous: true, ..json("webhook_secret=json,secret_key=sk_2,shape=t") },
        &config(1),
        true,
    )
    .unwrap();
    let expected = "webhook_secret of the column, which config_json had replaced, would be in force again: give it again, or name \
                    it in wipe";
    let without = json("secret_key=sk_2,shape=t");
    assert_eq!(applied(&without, &stored, true).unwrap_err(), expected);
    let refused = applied(&json("webhook_secret=json"), &stored, false).unwrap_err();
    assert!(refused.starts_with("secret_key of the column"), "{refused}");
    let given = ConfigEdit { webhook_secret: Some(Secret::new("whsec")), ..without.clone() };
    assert_eq!(left(&applied(&given, &stored, true).unwrap()), ["sk", "whsec", "secret_key=sk_2,shape=t"]);
    let wiped = ConfigEdit { wipe: vec!["webhook_secret".into()], ..without };
    assert_eq!(left(&applied(&wiped, &stored, true).unwrap()), ["sk", "", "secret_key=sk_2,shape=t"]);
    assert!(applied(&json("webhook_secret=whsec,secret_key=sk_2"), &stored, true).is_ok(), "it is given");
    // What `config_json` never replaced stays in force.
    assert!(applied(&json("shape=t"), &config(1), true).is_ok());
}

fn lost(column: &'static str, holds_text: bool) -> UnreadableColumn {
    UnreadableColumn {
        column,
        sealed: Box::from(*b"sealed"),
        holds_text,
        had_key: false,
        why: "sealed with key 1".into(),
    }
}

/// A config whose seal key is gone: nothing but `config_json` was empty.
fn unreadable() -> ProviderConfig {
    ProviderConfig {
        secret_key: Secret::default(),
        webhook_secret: Secret::default(),
        config_json: Secret::default(),
        unreadable: vec![
            lost("secret_key", true),
            lost("webhook_secret", true),
            lost(REPLACED_SECRETS, true),
            lost("config_json", false),
        ],
        ..config(1)
    }
}

#[test]
fn k1_saving_an_unreadable_config_needs_what_it_lost_and_names_it() {
    let secrets = || ConfigEdit {
        secret_key: Some(Secret::new("new")),
        webhook_secret: Some(Secret::new("new hook")),
        ..ConfigEdit::default()
    };
    let refused = |edit: &ConfigEdit| applied(edit, &unreadable(), true).unwrap_err();
    let all = "secret_key and webhook_secret and replaced_secrets cannot be read (provider_config 1: secret_key, webhook_secret, \
               replaced_secrets, config_json: sealed with key 1): put the seal key back, or give them again or name them in wipe \
               (replaced_secrets end with revoke_previous)";
    assert_eq!(refused(&ConfigEdit::default()), all);
    assert_eq!(refused(&ConfigEdit { sort_index: Some(7), ..ConfigEdit::default() }), all);
    assert_eq!(refused(&ConfigEdit { enabled: Some(false), sort_index: Some(7), ..ConfigEdit::default() }), all);
    let one = refused(&ConfigEdit { secret_key: Some(Secret::new("new")), ..ConfigEdit::default() });
    assert!(one.starts_with("webhook_secret and replaced_secrets cannot be read (provider_config 1: "), "{one}");
    let saved = applied(&secrets(), &unreadable(), true).unwrap();
    assert_eq!((left(&saved), &saved.unreadable[..]), (["new", "new hook", ""], &[][..]));
    let wiped = applied(&wiping(&["secret_key", "webhook_secret"]), &unreadable(), true).unwrap();
    assert_eq!((left(&wiped), &wiped.unreadable[..]), (["", "", ""], &[][..]));
    let only_replaced = ProviderConfig { unreadable: vec![lost(REPLACED_SECRETS, true)], ..config(1) };
    assert!(applied(&ConfigEdit::default(), &only_replaced, true).is_err(), "no edit of another field drops it");
    let revoked = ConfigEdit { revoke_previous: true, ..ConfigEdit::default() };
    assert_eq!(applied(&revoked, &only_replaced, true).unwrap().unreadable, []);
    let blank = ProviderConfig { unreadable: vec![lost("config_json", false)], ..config(1) };
    assert_eq!(applied(&ConfigEdit::default(), &blank, true).unwrap().unreadable, [], "nothing was lost");
}

#[test]
fn k1_an_unreadable_config_can_be_disabled_and_deleted_and_keeps_what_is_stored() {
    let disabled = ConfigEdit { enabled: Some(false), ..ConfigEdit::default() };
    let deleted = ConfigEdit { delete: true, ..ConfigEdit::default() };
    for edit in [&disabled, &deleted] {
        let saved = applied(edit, &unreadable(), true).unwrap();
        assert_eq!((saved.enabled, saved.unreadable), (false, unreadable().unreadable));
    }
    let off = ProviderConfig { enabled: false, ..unreadable() };
    assert!(applied(&disabled, &off, true).is_err(), "it is disabled already: nothing is done");
    assert_eq!(applied(&deleted, &off, true).unwrap().deleted_time, NOW);
}

#[test]
fn k1_a_lost_config_json_may_have_named_an_endpoint_so_every_secret_is_given_again() {
    let stored = ProviderConfig { unreadable: vec![lost("config_json", true)], ..config(1) };
    let again = ConfigEdit { config_json: Some(Secret::new("merchant_id=acct_7")), ..ConfigEdit::default() };
    let refused = applied(&again, &stored, true).unwrap_err();
    assert_eq!(refused, "changing config_json requires secret_key and webhook_secret to be given again");
    let whole = ConfigEdit { secret_key: Some(Secret::new("a")), webhook_secret: Some(Secret::new("b")), ..again };
    assert_eq!(applied(&whole, &stored, true).unwrap().unreadable, []);
    // A secret that is wiped is sent nowhere.
    let moved = ConfigEdit {
        settings_json: Some("base_url=https://other".into()),
        ..wiping(&["secret_key", "webhook_secret"])
    };
    applied(&moved, &config(1), true).unwrap();
}

#[test]
fn k1_what_is_lost_given_again_or_wiped_is_recorded() {
    let context = EditContext { has_transactions: true, module: None, parse: &parse, without: &without, now: NOW };
    let fields = |before: &ProviderConfig, after: &ProviderConfig| -> Vec<String> {
        let changes = changed_fields(Some(before), after, &context).unwrap();
        changes.iter().map(|change| format!("{} {:?}", change.field, change.before)).collect()
    };
    let wiped = applied(&wiping(&["webhook_secret", "config_json.token"]), &with_secrets(), true).unwrap();
    let expected = [
        "webhook_secret Hidden(Secret(***))",
        r#"replaced_webhook_secrets Clear("1")"#,
        "config_json.token Hidden(Secret(***))",
        "config_json.webhook_secret Hidden(Secret(***))",
    ];
    assert_eq!(fields(&with_secrets(), &wiped), expected);
    let healed = applied(&wiping(&["secret_key", "webhook_secret"]), &unreadable(), true).unwrap();
    let unread = |column: &str| format!(r#"{column} Clear("unreadable")"#);
    assert_eq!(
        fields(&unreadable(), &healed),
        ["secret_key", "webhook_secret", REPLACED_SECRETS, "config_json"].map(unread)
    );
}

#[test]
fn k1_a_deleted_config_is_deleted_until_it_is_enabled() {
    let deleted = applied(&ConfigEdit { delete: true, ..ConfigEdit::default() }, &config(1), true).unwrap();
    assert_eq!((deleted.enabled, deleted.deleted_time), (false, NOW));
    let edited = applied(&ConfigEdit { sort_index: Some(3), ..ConfigEdit::default() }, &deleted, true).unwrap();
    assert_eq!(edited.deleted_time, NOW, "an edit of another field");
    let enabled = applied(&ConfigEdit { enabled: Some(true), ..ConfigEdit::default() }, &edited, true).unwrap();
    assert_eq!(enabled.deleted_time, UnixTime::UNSET);
    assert!(deleted.holds_secrets());
    let wiped = deleted.without_secrets(NOW);
    assert!(!wiped.holds_secrets() && wiped.version == deleted.version + 1 && wiped.terms_version == wiped.version);
    let blank = ProviderConfig { config_json: Secret::new("{}"), ..wiped.clone() };
    assert!(!blank.holds_secrets(), "an empty object is no secret");
    assert!(ProviderConfig { unreadable: vec![lost("secret_key", true)], ..wiped }.holds_secrets());
}
