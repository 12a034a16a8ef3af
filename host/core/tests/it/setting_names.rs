//! Settings that nobody reads: refused by name when they are saved, and left alone where another build stored them.

use cashier_core::edit::{ConfigEdit, DeclaredSettings, EditContext, nearest};
use cashier_core::provider_config::{ProviderConfig, Secret};

use crate::edit::{parse, without};
use crate::samples::{NOW, config};

const KEYS: [&str; 4] = ["api_base", "flow", "public_key", "signing_key"];

/// What comes of an edit of a stored config; the module declares [`KEYS`], of which the first is an endpoint and the last a
/// secret.
fn saved(edit: &ConfigEdit, stored: Option<&ProviderConfig>, is_loaded: bool) -> String {
    let [keys, endpoints, secrets] = [&KEYS[..], &["api_base"], &["signing_key", "secret_key", "webhook_secret"]]
        .map(|names| names.iter().map(|name| (*name).into()).collect::<Vec<Box<str>>>());
    let module = Some(DeclaredSettings { available: is_loaded, keys: &keys, endpoints: &endpoints, secrets: &secrets });
    let context =
        EditContext { has_transactions: stored.is_some(), module, parse: &parse, without: &without, now: NOW };
    let saved = match stored {
        Some(stored) => edit.apply(stored, &context),
        None => edit.create(&context),
    };
    saved.map_or_else(|refusal| refusal.to_string(), |_| "saved".into())
}

fn settings(text: &str) -> ConfigEdit {
    ConfigEdit { provider: Some("stripe".into()), settings_json: Some(text.into()), ..ConfigEdit::default() }
}

fn sealed(text: &str) -> ConfigEdit {
    ConfigEdit { provider: Some("stripe".into()), config_json: Some(Secret::new(text)), ..ConfigEdit::default() }
}

#[test]
fn i6_a_setting_that_nobody_reads_is_refused_with_the_nearest_one() {
    let table = [
        (
            settings("api_bsae=x"),
            "settings_json holds \"api_bsae\", which is no setting of the module: did you mean api_base?",
        ),
        (
            settings("apiBase=x"),
            "settings_json holds \"apiBase\", which is no setting of the module: did you mean api_base?",
        ),
        (
            settings("API-BASE=x"),
            "settings_json holds \"API-BASE\", which is no setting of the module: did you mean api_base?",
        ),
        (settings(" flow=x"), "settings_json holds \" flow\", which is no setting of the module: did you mean flow?"),
        (
            settings("reversals=post"),
            "settings_json holds \"reversals\", which is no setting of the module: did you mean reversal?",
        ),
        (
            settings("webhook=x"),
            "settings_json holds \"webhook\", which is no setting of the module: the module has api_base, flow, signing_key",
        ),
        (
            sealed("secretkey=x"),
            "config_json holds \"secretkey\", which is no setting of the module: did you mean secret_key?",
        ),
        (
            sealed("signing_keys=x"),
            "config_json holds \"signing_keys\", which is no setting of the module: did you mean signing_key?",
        ),
        (
            settings("merchant_id=acct_1"),
            "merchant_id in settings_json is read by nobody: give it as a field of its own or in config_json",
        ),
    ];
    for (edit, expected) in table {
        assert_eq!(saved(&edit, None, true), format!("INVALID_DATA: {expected}"));
        assert_eq!(saved(&edit, None, false), "saved", "without its module it is not known what it reads");
    }
}

#[test]
fn a_setting_of_the_module_of_every_module_or_of_the_host_is_saved() {
    for edit in [
        settings("api_base=x,flow=y,reversal=post"),
        settings("_note=for the auditors,_=x"),
        sealed("merchant_id=acct_1,public_key=pk,secret_key=sk,webhook_secret=wh,signing_key=k,flow=y,_pin=7"),
        settings("{}"),
    ] {
        assert_eq!(saved(&edit, None, true), "saved");
    }
}

#[test]
fn a_stored_setting_of_another_build_stays_until_the_edit_brings_it_into_service() {
    let stored = ProviderConfig { settings_json: "retired=1,flow=y".into(), enabled: true, ..config(1) };
    let edit = |settings_json: &str| ConfigEdit { settings_json: Some(settings_json.into()), ..ConfigEdit::default() };
    let refused = "INVALID_DATA: settings_json holds \"retired\", which is no setting of the module: the module has api_base, flow, signing_key";
    let with_enabled = |enabled| ConfigEdit { enabled: Some(enabled), ..ConfigEdit::default() };
    let off = ProviderConfig { enabled: false, ..stored.clone() };
    for (edit, stored, expected) in [
        (with_enabled(false), &stored, "saved"),
        (edit("retired=1,flow=y"), &stored, "saved"),
        (edit("retired=1,flow=z"), &stored, "saved"),
        (edit("flow=y"), &stored, "saved"),
        (edit("retired=2,flow=y"), &stored, refused),
        (edit("retired=1,flow=z"), &off, "saved"),
        (with_enabled(true), &off, refused),
    ] {
        assert_eq!(saved(&edit, Some(stored), true), expected, "{edit:?}");
    }
}

#[test]
fn i11_each_secret_is_named_once_where_an_endpoint_moves() {
    let stored = ProviderConfig {
        secret_key: Secret::new("sk"),
        webhook_secret: Secret::new("wh"),
        config_json: Secret::new("signing_key=k"),
        ..config(1)
    };
    let moved = ConfigEdit { settings_json: Some("api_base=https://other".into()), ..ConfigEdit::default() };
    let expected =
        "INVALID_DATA: changing api_base requires secret_key and webhook_secret and signing_key to be given again";
    assert_eq!(saved(&moved, Some(&stored), true), expected);
}

#[test]
fn a_setting_of_the_host_moves_no_endpoint_while_the_module_is_not_loaded() {
    let stored = ProviderConfig { secret_key: Secret::new("sk"), webhook_secret: Secret::new("wh"), ..config(1) };
    let edit = |text: &str| ConfigEdit { settings_json: Some(text.into()), ..ConfigEdit::default() };
    assert_eq!(saved(&edit("_note=moved"), Some(&stored), false), "saved");
    let guarded = saved(&edit("note=moved"), Some(&stored), false);
    assert_eq!(guarded, "INVALID_DATA: changing note requires secret_key and webhook_secret to be given again");
}

#[test]
fn a_name_is_near_when_a_third_of_its_letters_or_fewer_are_wrong() {
    let known = ["api_base", "flow", "webhook_secret"];
    for (name, expected) in [
        ("api_bsae", Some("api_base")),
        ("base_api", None),
        ("flw", Some("flow")),
        ("glow", Some("flow")),
        ("blob", None),
        ("WebhookSecret", Some("webhook_secret")),
        ("", None),
    ] {
        assert_eq!(nearest(name, known), expected, "{name}");
    }
    assert_eq!(nearest("x", []), None);
}
