//! Translation in both directions: nothing is lost silently, and nothing is added to what was stated.

use std::time::Duration;

use cashier_core::aggregate::CreateEnding;
use cashier_core::ids::{ConfigId, Reference};
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::notice::{Reach, StatedAmount};
use cashier_core::provider_config::{ProviderConfig as ConfigRow, ReplacedSecret, Secret};
use cashier_core::status::ProviderStatus;
use cashier_core::time::UnixTime;
use cashier_core::transaction::NextAction;
use cashier_provider_sdk as sdk;
use proptest::prelude::*;

use super::*;

fn masks() -> SecretMasks {
    let config = sdk::ProviderConfig { secret_key: "sk_canary".into(), ..sdk::ProviderConfig::default() };
    SecretMasks::of(&config, &sdk::Descriptor::default())
}

fn stated(minor: i64, exponent: u8, currency: &str) -> StatedAmount {
    let amount = Some(sdk::Amount::new(minor, exponent, currency));
    let converted = update(sdk::StatusUpdate { amount, ..sdk::StatusUpdate::default() }, &masks());
    converted.amount.unwrap()
}

#[test]
fn an_amount_is_exact_or_unreadable_and_never_rounded() {
    let exact = |minor, code| StatedAmount::Exact(Money::new(minor, Currency::from_code(code).unwrap()));
    let unreadable = |text: &str| StatedAmount::Unreadable(text.into());
    let table = [
        (25_000, 2, "USD", exact(25_000, "USD")),
        (25_000, 2, "usd", exact(25_000, "USD")),
        (250_000, 3, "USD", exact(25_000, "USD")),
        (250, 0, "USD", exact(25_000, "USD")),
        (250_001, 3, "USD", unreadable("250.001 USD")),
        (10_000, 2, "ISK", exact(100, "ISK")),
        (10_050, 2, "ISK", unreadable("100.50 ISK")),
        (1_000_000_000_000_000_000, 18, "ETH", exact(100_000_000, "ETH")),
        (1, 18, "ETH", unreadable("0.000000000000000001 ETH")),
        (0, 2, "USD", exact(0, "USD")),
        (-1, 2, "USD", unreadable("-0.01 USD")),
        (25_000, 2, "XYZ", unreadable("250.00 XYZ")),
        (i64::MAX, 0, "USD", unreadable("9223372036854775807 USD")),
        (1, 2, "US\nD", unreadable("0.01 USD")),
    ];
    for (minor, exponent, currency, expected) in table {
        assert_eq!(stated(minor, exponent, currency), expected, "{minor} e-{exponent} {currency:?}");
    }
    let StatedAmount::Unreadable(long) = stated(1, 255, &"x".repeat(500)) else { panic!("no currency") };
    assert_eq!(long.len(), 64);
}

proptest! {
    #[test]
    fn an_exact_amount_has_the_value_that_was_stated(minor in any::<i64>(), exponent in 0_u8..=18) {
        for code in ["JPY", "USD", "KWD", "BTC"] {
            if let StatedAmount::Exact(money) = stated(minor, exponent, code) {
                let scale = |exponent: u8| 10_i128.pow(u32::from(exponent));
                let (stated, converted) = (i128::from(minor), i128::from(money.minor));
                prop_assert_eq!(stated * scale(money.currency.exponent()), converted * scale(exponent));
            }
        }
    }
}

#[test]
fn an_update_keeps_what_can_be_stored_and_masks_secrets() {
    let reference = Reference::from_random(1);
    let long = "e".repeat(256);
    let converted = update(
        sdk::StatusUpdate {
            event_id: Some(long.clone()),
            reference: Some(reference.to_string()),
            refs: vec![
                sdk::ProviderRef::new("payment", "p1"),
                sdk::ProviderRef::new("", "p2"),
                sdk::ProviderRef::new("payment", long.clone()),
                sdk::ProviderRef::new("payment", "a\nb"),
            ],
            refund: Some(sdk::Refund {
                id: Some("re_1".into()),
                amount: sdk::Amount::new(100, 2, "USD"),
                reach: sdk::RefundReach::TotalSoFar,
                requested: None,
            }),
            reason: Some("your key sk_canary\n".repeat(40)),
            advance: true,
            ..sdk::StatusUpdate::new(sdk::NormalizedStatus::Refunded, "refunded")
        },
        &masks(),
    );
    assert!(converted.event_id.starts_with("sha256:"));
    let refs: Vec<&str> = converted.refs.iter().map(|id| &*id.value).collect();
    assert_eq!((converted.reference, refs.len(), refs[0]), (Some(reference), 3, "p1"));
    assert!(refs[1] == &*converted.event_id && refs[2].starts_with("sha256:"), "{refs:?}");
    let refund = converted.refund.unwrap();
    assert_eq!((&*refund.id, refund.reach, converted.status), ("re_1", Reach::TotalSoFar, ProviderStatus::Refunded));
    assert!(converted.reason.starts_with("your key *** your key ***") && converted.reason.len() <= 256);
    assert!(converted.advance && !converted.reason.contains('\n'));
    let foreign = sdk::StatusUpdate { reference: Some("15".into()), ..sdk::StatusUpdate::default() };
    assert_eq!(update(foreign, &masks()).reference, None);
}

#[test]
fn too_many_updates_in_one_webhook_are_an_error_and_none_is_dropped() {
    assert_eq!(updates(vec![sdk::StatusUpdate::default(); 256], &masks()).unwrap().len(), 256);
    let error = updates(vec![sdk::StatusUpdate::default(); 257], &masks()).unwrap_err();
    assert_eq!(error, "the module read 257 updates from one notice, at most 256 fit");
}

#[test]
fn a_page_or_instructions_that_cannot_be_shown_leave_the_customer_waiting() {
    let redirect = |url: &str| sdk::NextAction::Redirect { url: url.to_owned() };
    let instructions = |text: &str| sdk::NextAction::Instructions { json_text: text.to_owned() };
    let table = [
        (redirect("https://p.test/pay?x=1"), NextAction::Redirect),
        (redirect("javascript:alert(1)"), NextAction::Wait),
        (redirect("/pay"), NextAction::Wait),
        (redirect(""), NextAction::Wait),
        (redirect(&format!("https://p.test/{}", "x".repeat(2_048))), NextAction::Wait),
        (instructions(r#"{"iban":"AT00"}"#), NextAction::Instructions),
        (instructions("[]"), NextAction::Wait),
        (instructions("{"), NextAction::Wait),
        (sdk::NextAction::Wait, NextAction::Wait),
        (sdk::NextAction::None, NextAction::None),
    ];
    for (next, expected) in table {
        let shown = format!("{next:?}");
        let payment = sdk::PaymentCreated { next, ..sdk::PaymentCreated::default() };
        let converted = created(payment, Duration::ZERO, &masks());
        assert_eq!(converted.ending, CreateEnding::Accepted(expected), "{shown}");
        let (page, text) = (!converted.redirect_url.is_empty(), !converted.instructions_json.is_empty());
        assert_eq!((page, text), (expected == NextAction::Redirect, expected == NextAction::Instructions), "{shown}");
    }
}

#[test]
fn a_bare_status_of_a_created_payment_is_recorded_and_credits_nothing_by_itself() {
    let converted = |status| {
        let answer =
            created(sdk::PaymentCreated { status, ..sdk::PaymentCreated::default() }, Duration::ZERO, &masks());
        (answer.ending, answer.update)
    };
    let accepted = CreateEnding::Accepted(NextAction::None);
    let (ending, update) = converted(sdk::NormalizedStatus::Confirmed);
    let confirmed = update.unwrap();
    assert_eq!((&ending, confirmed.status, confirmed.amount), (&accepted, ProviderStatus::Confirmed, None));
    let declined = CreateEnding::Declined { reason: "declined by the provider".into() };
    for status in [sdk::NormalizedStatus::Failed, sdk::NormalizedStatus::Cancelled] {
        assert_eq!(converted(status), (declined.clone(), None));
    }
    for status in [sdk::NormalizedStatus::Pending, sdk::NormalizedStatus::Unknown] {
        assert_eq!(converted(status), (accepted.clone(), None));
    }
}

#[test]
fn an_acknowledgement_that_is_not_valid_http_is_an_error() {
    let answer = |status, name: &str, value: &str, bytes: usize| {
        let headers = vec![(name.to_owned(), value.to_owned())];
        acknowledgement(sdk::Acknowledgement { status, headers, body: vec![0; bytes] }).map(|answer| answer.status)
    };
    assert_eq!(answer(200, "content-type", "text/plain", 2), Ok(200));
    for (status, name, value, bytes) in [
        (100, "a", "b", 0),
        (600, "a", "b", 0),
        (200, "a b", "c", 0),
        (200, "a", "b\r\nc: d", 0),
        (200, "a", "b", 65_537),
    ] {
        assert!(answer(status, name, value, bytes).is_err(), "{status} {name:?} {value:?} {bytes}");
    }
}

fn row() -> ConfigRow {
    let replaced = |secret: &str, until: i64| ReplacedSecret { secret: Secret::new(secret), until: UnixTime(until) };
    ConfigRow {
        id: ConfigId(3),
        provider: "stripe".into(),
        brand: "acme".into(),
        method: "".into(),
        country: "".into(),
        currency: "".into(),
        merchant_id: "column merchant".into(),
        public_key: "column public".into(),
        secret_key: Secret::new("column secret"),
        webhook_secret: Secret::new("column hook"),
        replaced_webhook_secrets: vec![replaced("valid", 101), replaced("expired", 100)],
        settings_json: r#"{"mode":"a","rate":0.10,"kept":true,"reversal":"post","_note":"x"}"#.into(),
        config_json: Secret::new(r#"{"secret_key":"over secret","merchant_id":77001,"public_key":null,"mode":"b"}"#),
        min_amount: Limit::NONE,
        max_amount: Limit::NONE,
        sandbox: true,
        enabled: true,
        sort_index: 0,
        created_time: UnixTime(1),
        updated_time: UnixTime(1),
        terms_version: 1,
        version: 1,
        unapproved: Vec::new(),
        deleted_time: UnixTime::UNSET,
        account_marks: Vec::new(),
        unreadable: Vec::new(),
    }
}

#[test]
fn config_json_overrides_columns_and_settings_and_expired_secrets_are_left_out() {
    let shown = config(&row(), "https://c.test/3".to_owned(), UnixTime(100)).unwrap();
    assert_eq!((shown.id, shown.merchant_id.as_str(), shown.public_key.as_str()), (3, "77001", "column public"));
    assert_eq!((shown.secret_key.expose(), shown.webhook_secret.expose()), ("over secret", "column hook"));
    let previous: Vec<_> = shown.previous_webhook_secrets.iter().map(|secret| secret.expose()).collect();
    assert_eq!(previous, ["valid"]);
    assert_eq!(shown.settings.to_json_text(), r#"{"kept":true,"mode":"b","rate":0.10}"#, "numbers keep their text");
    assert_eq!((shown.notify_url.as_str(), shown.sandbox), ("https://c.test/3", true));
}

#[test]
fn an_error_names_the_wrong_column_and_not_its_content() {
    let table = [
        (ConfigRow { config_json: Secret::new("canary"), ..row() }, "config_json: is not a JSON object"),
        (ConfigRow { config_json: Secret::new(r#"{"secret_key":["canary"]}"#), ..row() }, "secret_key: must be a text"),
        (ConfigRow { settings_json: "[\"canary\"]".into(), ..row() }, "settings_json: is not a JSON object"),
    ];
    for (row, expected) in table {
        assert_eq!(config(&row, String::new(), UnixTime(0)).unwrap_err(), expected);
    }
}

#[test]
fn m28_a_reference_that_the_provider_returns_in_capitals_or_between_blanks_is_read() {
    let reference = Reference::from_random(1);
    for text in [reference.to_string().to_ascii_uppercase(), format!(" {reference} ")] {
        let stated = sdk::StatusUpdate { reference: Some(text), ..sdk::StatusUpdate::default() };
        assert_eq!(update(stated, &masks()).reference.as_ref(), Some(&reference));
    }
}

#[test]
fn m21_an_id_that_is_too_long_is_the_same_hash_everywhere_and_is_not_passed_to_the_module() {
    let id = sdk::ProviderRef::new("payment", "p".repeat(300));
    let ids = vec![id, sdk::ProviderRef::new("payment", "p1")];
    let stated = sdk::StatusUpdate { refs: ids.clone(), ..sdk::StatusUpdate::default() };
    let answer = sdk::PaymentCreated { refs: ids, ..sdk::PaymentCreated::default() };
    let stored = update(stated, &masks()).refs;
    assert_eq!(stored, created(answer, Duration::ZERO, &masks()).refs);
    let query = crate::ports::PaymentQuery {
        reference: Reference::from_random(1),
        refs: stored,
        amount: Money::new(1, Currency::from_code("USD").unwrap()),
        method: "".into(),
        idempotency_key: "".into(),
        created_time: UnixTime(1),
        now: UnixTime(1),
        nonce: 0,
    };
    let passed = payment(&query, "", "").refs;
    assert_eq!(passed, [sdk::ProviderRef::new("payment", "p1")]);
}
