//! Edits of configs while deposits arrive.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::edit::ConfigEdit;
use cashier_core::facts::PersonFact;
use cashier_core::ids::{ConfigId, ManagerId};
use cashier_core::provider_config::Secret;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{CustomerSession, ManagerSession, Role};
use cashier_core::transaction::Transaction;

use crate::flows::configure::{self, ConfigRequest, DeletionRequest};
use crate::flows::methods;
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, CUSTOMER, LOGIN, OnCreate, TestCashier, WEBHOOK_SECRET, context, lock, paid};

pub(super) fn first() -> ConfigEdit {
    ConfigEdit { id: Some(ConfigId(1)), ..ConfigEdit::default() }
}

pub(super) fn save(env: &TestCashier, edit: ConfigEdit) -> impl Future<Output = Result<(), Refusal>> + Send + 'static {
    let cashier = Arc::clone(&env.cashier);
    let session = ManagerSession::assertion(ManagerId(1), Role::Admin, None);
    async move {
        let request = ConfigRequest {
            session,
            command: "MngUpdateCashierProviderConfig",
            edit,
            data: Secret::new("{}"),
            context: context(),
        };
        configure::save_config(&cashier, request).await.map(drop)
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_during_a_change_of_the_configs_brand_is_refused() {
    let env = TestCashier::new().await;
    let edit = ConfigEdit { id: Some(ConfigId(1)), brand: Some("other".into()), ..ConfigEdit::default() };
    let edited = tokio::spawn(save(&env, edit));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(env.deposit("k").await.unwrap_err().code, RefusalCode::MethodNotAvailable);
    edited.await.unwrap().unwrap();
    assert_eq!(&*env.cashier.snapshot().config(ConfigId(1)).unwrap().config.brand, "other");
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_of_the_brand_leaves_the_config_serving() {
    let env = TestCashier::new().await;
    env.deposit("first").await.unwrap();
    let edit = ConfigEdit { id: Some(ConfigId(1)), brand: Some("other".into()), ..ConfigEdit::default() };
    assert_eq!(save(&env, edit).await.unwrap_err().code, RefusalCode::InvalidData);
    env.deposit("second").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disabled_config_receives_updates_of_its_earlier_payments() {
    let env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    let edit = ConfigEdit { id: Some(ConfigId(1)), enabled: Some(false), ..ConfigEdit::default() };
    save(&env, edit).await.unwrap();
    assert_eq!(env.deposit("new").await.unwrap_err().code, RefusalCode::MethodNotAvailable);
    env.notice(None, vec![paid("e1", &transaction.reference)]).await.unwrap();
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn credentials_of_earlier_payments_are_protected_in_columns_and_in_config_json() {
    let env = TestCashier::new().await;
    env.deposit("k").await.unwrap();
    let json = |text: &str| Some(Secret::new(text));
    let moved = || ConfigEdit { settings_json: Some(r#"{"api_base":"https://b.example"}"#.into()), ..first() };
    let renewed = || ConfigEdit { secret_key: json("sk_2"), webhook_secret: json("wh_2"), ..moved() };
    let table = [
        ("another merchant", ConfigEdit { config_json: json(r#"{"merchant_id":"other"}"#), ..first() }, "merchant_id"),
        (
            "another endpoint",
            ConfigEdit { config_json: json(r#"{"api_base":"https://b"}"#), ..first() },
            "secret_key and",
        ),
        ("nothing renewed", ConfigEdit { config_json: json("{}"), ..moved() }, "secret_key and webhook_secret"),
        ("one renewed", ConfigEdit { secret_key: json("sk_2"), ..moved() }, "webhook_secret"),
        (
            "a secret shown",
            ConfigEdit { settings_json: Some(r#"{"secret_key":"x"}"#.into()), ..first() },
            "secret_key is a",
        ),
        ("no object", ConfigEdit { settings_json: Some("[]".into()), ..first() }, "settings_json must be"),
    ];
    for (what, edit, named) in table {
        let refusal = save(&env, edit).await.expect_err(what);
        assert!(refusal.code == RefusalCode::InvalidData && refusal.message.contains(named), "{what}: {refusal}");
    }
    save(&env, renewed()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replaced_webhook_secret_verifies_for_one_more_week() {
    let env = TestCashier::new().await;
    let json = |text: &str| Some(Secret::new(text));
    let replaced = |env: &TestCashier| -> Vec<String> {
        let snapshot = env.cashier.snapshot();
        let replaced = snapshot.config(ConfigId(1)).unwrap().config.replaced_webhook_secrets.clone();
        replaced.iter().map(|old| old.secret.expose().to_owned()).collect()
    };
    save(&env, ConfigEdit { config_json: json(r#"{"webhook_secret":"A"}"#), ..first() }).await.unwrap();
    assert_eq!(replaced(&env), [WEBHOOK_SECRET], "the value of config_json replaced the column's");
    save(&env, ConfigEdit { config_json: json(r#"{"webhook_secret":"B"}"#), ..first() }).await.unwrap();
    assert_eq!(replaced(&env), ["A", WEBHOOK_SECRET]);
    save(&env, ConfigEdit { webhook_secret: json("unseen"), ..first() }).await.unwrap();
    assert_eq!(
        replaced(&env),
        ["A", WEBHOOK_SECRET],
        "the value of config_json is still in use, so nothing was replaced"
    );
    env.run_for(7 * 86_400 + 1).await;
    let revoke = ConfigEdit { config_json: json(r#"{"webhook_secret":"C"}"#), revoke_previous: true, ..first() };
    save(&env, revoke).await.unwrap();
    assert!(replaced(&env).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_create_is_not_repeated_under_other_credentials() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::AnswerLost);
    let transaction = env.deposit("k").await.unwrap().transaction;
    let limits = ConfigEdit { sort_index: Some(7), ..first() };
    save(&env, limits).await.unwrap();
    save(&env, ConfigEdit { secret_key: Some(Secret::new("sk_of_another_account")), ..first() }).await.unwrap();
    env.on_query(&transaction.reference, QueryAnswer::Stated(Box::new(paid("", &transaction.reference))));
    env.run_for(120).await;
    assert_eq!(env.provider.references().len(), 1, "under another account it would be a second payment");
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT), "the status query found the payment");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_failed_to_open_is_retried() {
    let mut env = TestCashier::new().await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    lock(&env.provider.not_loaded).push(ConfigId(1));
    env.crash().await;
    let refusal = env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ProviderUnavailable);
    lock(&env.provider.not_loaded).clear();
    env.run_for(70).await;
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_of_a_closed_config_is_refused_as_invalid_and_not_as_unavailable() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    save(&env, ConfigEdit { id: Some(ConfigId(2)), enabled: Some(false), ..ConfigEdit::default() }).await.unwrap();
    for addressed in [None, Some(2)] {
        let refusal = env.raw_notice(addressed, "forged".into()).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidSignature, "{addressed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn i16_a_live_config_serves_no_demo_account_unless_the_settings_allow_it_for_the_brand() {
    let mut env = TestCashier::new().await;
    env.trading.demo.store(true, Ordering::SeqCst);
    let session = CustomerSession::assertion(CUSTOMER, None);
    let mut ordered = Vec::new();
    for (allowed, is_served) in [(&[][..], false), (&["other"], false), (&["ion4"], true)] {
        *lock(&env.trading.allow_live_on_demo) = allowed.iter().map(|brand| (*brand).into()).collect();
        env.crash().await;
        let shown = methods::list(&env.cashier, &session, LOGIN).await.unwrap();
        assert_eq!(shown.len(), usize::from(is_served), "{allowed:?}");
        let deposit = env.deposit(&format!("{allowed:?}")).await.map(|made| made.transaction);
        let code = deposit.as_ref().map_or_else(|refusal| Err(refusal.code), |_| Ok(()));
        assert_eq!(code, if is_served { Ok(()) } else { Err(RefusalCode::MethodNotAvailable) }, "{allowed:?}");
        ordered.extend(deposit);
    }
    // A payment that was ordered before is judged by what the settings say at its posting, as sandbox money is.
    lock(&env.trading.allow_live_on_demo).clear();
    env.crash().await;
    let [Transaction { id, reference, .. }] = &ordered[..] else { panic!("one was served") };
    let id = *id;
    env.notice(Some(1), vec![paid("evt_1", reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (4, 0));
    lock(&env.trading.allow_live_on_demo).push("ion4".into());
    env.crash().await;
    env.decide(id, PersonFact::Retried).await;
    env.run_for(60).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_ends_after_a_reload_is_shown_and_not_what_the_reload_read_before_it() {
    for before_reload_ms in [900, 700, 500, 300, 100] {
        let env = TestCashier::new().await;
        env.disk.fail_in.store(1, Ordering::SeqCst);
        env.deposit("fails").await.unwrap_err();
        let reloads = Duration::from_secs(1);
        tokio::time::sleep(reloads.saturating_sub(Duration::from_millis(before_reload_ms))).await;
        let created = ConfigEdit {
            provider: Some("stripe".into()),
            enabled: Some(true),
            secret_key: Some(Secret::new("CANARY key")),
            webhook_secret: Some(Secret::new("CANARY hook")),
            ..ConfigEdit::default()
        };
        let saved = tokio::spawn(save(&env, created));
        env.run_for(30).await;
        saved.await.unwrap().unwrap();
        assert!(env.cashier.snapshot().config(ConfigId(2)).is_some(), "{before_reload_ms} ms before the reload");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_reached_the_disk_unconfirmed_is_shown() {
    let env = TestCashier::new().await;
    let draft = ConfigEdit { provider: Some("stripe".into()), ..ConfigEdit::default() };
    save(&env, draft).await.unwrap();
    let second = ConfigId(2);
    assert!(env.cashier.snapshot().config(second).is_some());
    env.disk.fails_after_writing.store(true, Ordering::SeqCst);
    env.disk.fail_in.store(1, Ordering::SeqCst);
    let deletion = DeletionRequest {
        session: ManagerSession::assertion(ManagerId(1), Role::Admin, None),
        command: "MngDeleteCashierProviderConfig",
        id: second,
        context: context(),
    };
    assert_eq!(
        configure::delete_config(&env.cashier, deletion).await.unwrap_err().code,
        RefusalCode::StorageUnavailable
    );
    env.run_for(30).await;
    assert!(env.cashier.snapshot().config(second).is_none());
    let enabled = ConfigEdit { id: Some(second), enabled: Some(true), ..ConfigEdit::default() };
    assert_eq!(save(&env, enabled).await.unwrap_err().code, RefusalCode::NotFound);
    env.deposit("k").await.unwrap();
}
