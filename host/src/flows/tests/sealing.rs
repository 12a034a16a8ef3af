//! A config whose sealed columns do not open costs that config alone, and secrets that nobody needs any more are wiped.

use std::sync::Arc;

use cashier_core::approval::{Approval, ApprovalState};
use cashier_core::change::{AuditRecord, Body};
use cashier_core::edit::ConfigEdit;
use cashier_core::ids::{ApprovalId, ConfigId, ManagerId};
use cashier_core::provider_config::{ProviderConfig, Secret, UnreadableColumn};
use cashier_core::refusal::RefusalCode;
use cashier_core::session::Role;
use cashier_core::time::UnixTime;

use super::config_edits::{first, save};
use crate::flows::configure;
use crate::snapshot::{NoGateway, Snapshot};
use crate::test_cashier::{AMOUNT, TestCashier, config, paid};

pub(super) const DAY: i64 = 86_400;

fn lost(column: &'static str) -> UnreadableColumn {
    let why = "sealed with key 1, which is not in the key ring".into();
    UnreadableColumn { column, sealed: Box::from(*b"sealed"), holds_text: true, had_key: false, why }
}

pub(super) fn unreadable(id: u64) -> ProviderConfig {
    ProviderConfig {
        secret_key: Secret::default(),
        webhook_secret: Secret::default(),
        unreadable: vec![lost("secret_key"), lost("webhook_secret")],
        ..config(id)
    }
}

fn served(env: &TestCashier, id: u64) -> Arc<ProviderConfig> {
    Arc::clone(&env.cashier.snapshot().config(ConfigId(id)).unwrap().config)
}

fn records(env: &TestCashier) -> Vec<AuditRecord> {
    let bodies = env.disk.bodies().into_iter();
    bodies.filter_map(|body| if let Body::Audit(record) = body { Some(*record) } else { None }).collect()
}

#[tokio::test(start_paused = true)]
async fn k1_a_config_that_does_not_open_is_broken_and_the_others_serve() {
    let other = ProviderConfig { brand: "other".into(), ..unreadable(2) };
    let env = TestCashier::with_rows(vec![config(1), other]).await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    assert_eq!((env.status(transaction.id), env.trading.balance()), (3, AMOUNT));
    let snapshot = env.cashier.snapshot();
    let Err(NoGateway::Broken(reason)) = &snapshot.config(ConfigId(2)).unwrap().gateway else { panic!("it is open") };
    let named = "provider_config 2: secret_key, webhook_secret: sealed with key 1, which is not in the key ring";
    assert_eq!(&**reason, named);
    let refusal = env.notice(Some(2), vec![paid("e2", &transaction.reference)]).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ProviderUnavailable, "the provider sends it again");
    env.run_for(70).await;
    assert!(env.cashier.snapshot().config(ConfigId(2)).unwrap().gateway.is_err(), "another try opens nothing");
}

#[tokio::test(start_paused = true)]
async fn k1_an_unreadable_config_is_healed_by_its_secrets_and_by_nothing_less() {
    let env = TestCashier::with_rows(vec![unreadable(1)]).await;
    assert_eq!(env.deposit("early").await.unwrap_err().code, RefusalCode::MethodNotAvailable);
    for edit in [first(), ConfigEdit { sort_index: Some(3), ..first() }] {
        let refusal = save(&env, edit).await.unwrap_err();
        assert!(
            refusal.code == RefusalCode::InvalidData
                && refusal.message.starts_with("secret_key and webhook_secret cannot be read"),
            "{refusal}"
        );
    }
    assert_eq!(served(&env, 1).unreadable, unreadable(1).unreadable);
    let secrets =
        ConfigEdit { secret_key: Some(Secret::new("sk")), webhook_secret: Some(Secret::new("wh")), ..first() };
    save(&env, secrets).await.unwrap();
    assert!(served(&env, 1).unreadable.is_empty());
    env.deposit("k").await.unwrap();
    let fields: Vec<_> = records(&env)[0].changes.iter().map(|change| change.field.to_string()).collect();
    assert_eq!(fields, ["secret_key", "webhook_secret", "secret_key", "webhook_secret"], "{fields:?}");
}

#[tokio::test(start_paused = true)]
async fn k1_an_unreadable_config_can_be_disabled() {
    let env = TestCashier::with_rows(vec![ProviderConfig {
        secret_key: Secret::new("sk"),
        unreadable: vec![lost("webhook_secret")],
        ..config(1)
    }])
    .await;
    save(&env, ConfigEdit { enabled: Some(false), ..first() }).await.unwrap();
    let row = served(&env, 1);
    assert_eq!((row.enabled, &row.unreadable[..]), (false, &[lost("webhook_secret")][..]));
}

#[tokio::test(start_paused = true)]
async fn k1_a_deleted_config_loses_its_secrets_once_its_money_is_final_and_late_webhooks_are_over() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let transaction = env.deposit("k").await.unwrap().transaction;
    save(&env, ConfigEdit { delete: true, ..first() }).await.unwrap();
    env.run_for(60).await;
    assert!(served(&env, 1).holds_secrets(), "its payment is open");
    env.notice(Some(1), vec![paid("e1", &transaction.reference)]).await.unwrap();
    assert_eq!(env.status(transaction.id), 3);
    env.run_for(60).await;
    assert!(served(&env, 1).holds_secrets(), "a dispute may come");
    env.clock.jump(539 * DAY);
    env.clock.accept();
    env.run_for(60).await;
    assert!(env.cashier.clock.is_plausible() && served(&env, 1).holds_secrets(), "the last day of a dispute");
    env.clock.jump(2 * DAY);
    env.run_for(60).await;
    assert!(served(&env, 1).holds_secrets(), "nothing is wiped on a clock that is not believed");
    env.clock.accept();
    env.run_for(60).await;
    let row = served(&env, 1);
    assert!(!row.holds_secrets() && row.secret_key.is_empty() && row.brand == config(1).brand, "{row:?}");
    assert!(served(&env, 2).holds_secrets(), "another config");
    let record = records(&env).pop().unwrap();
    let what = (record.manager_id, record.role, &*record.command, record.config_id, &*record.outcome);
    assert_eq!(what, (ManagerId(0), Role::System, "janitor", ConfigId(1), "secrets wiped"));
    let fields: Vec<_> = record.changes.iter().map(|change| &*change.field).collect();
    assert_eq!(fields, ["secret_key", "webhook_secret"]);
    let count = records(&env).len();
    env.run_for(600).await;
    assert_eq!(records(&env).len(), count, "once");
    assert!(matches!(env.cashier.snapshot().config(ConfigId(1)).unwrap().gateway, Err(NoGateway::Closed)));
}

#[tokio::test(start_paused = true)]
async fn k1_a_deleted_config_without_payments_loses_its_secrets_and_a_disabled_one_keeps_them() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    save(&env, ConfigEdit { delete: true, ..first() }).await.unwrap();
    save(&env, ConfigEdit { id: Some(ConfigId(2)), enabled: Some(false), ..ConfigEdit::default() }).await.unwrap();
    env.run_for(60).await;
    assert_eq!([1, 2].map(|id| served(&env, id).holds_secrets()), [false, true]);
    let again = ConfigEdit {
        enabled: Some(true),
        secret_key: Some(Secret::new("sk")),
        webhook_secret: Some(Secret::new("wh")),
        ..first()
    };
    save(&env, again).await.unwrap();
    env.run_for(60).await;
    assert!(served(&env, 1).holds_secrets(), "it is deleted no more");
    env.deposit("k").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn k1_a_secret_is_wiped_from_a_disabled_config_whatever_its_module_requires() {
    let env = TestCashier::with_rows(vec![ProviderConfig {
        config_json: Secret::new(r#"{"token":"t","kept":1}"#),
        merchant_id: "strict".into(),
        ..config(1)
    }])
    .await;
    let wipe = |names: &[&str]| ConfigEdit { wipe: names.iter().map(|name| (*name).into()).collect(), ..first() };
    save(&env, wipe(&["config_json.token"])).await.unwrap();
    assert_eq!(served(&env, 1).config_json.expose(), r#"{"kept":1}"#, "the others are as they were written");
    let typo = save(&env, wipe(&["config_json.tokn"])).await.unwrap_err();
    assert_eq!(
        (typo.code, &*typo.message),
        (RefusalCode::InvalidData, "wipe names config_json.tokn, which is not set")
    );
    let refused = save(&env, wipe(&["webhook_secret"])).await.unwrap_err();
    let hint = "webhook_secret is required; with enabled 0 in the same edit the secret is wiped all the same";
    assert_eq!(&*refused.message, hint, "while it serves");
    // With an order under way too: a leaked secret must not confirm it.
    env.deposit("open").await.unwrap();
    save(&env, ConfigEdit { enabled: Some(false), ..wipe(&["webhook_secret"]) }).await.unwrap();
    let row = served(&env, 1);
    assert!(row.webhook_secret.is_empty() && row.replaced_webhook_secrets.is_empty() && !row.secret_key.is_empty());
    assert!(records(&env).last().unwrap().changes.iter().any(|change| &*change.field == "webhook_secret"));
}

#[tokio::test(start_paused = true)]
async fn k1_what_opens_again_is_served_without_a_start() {
    let env = TestCashier::with_rows(vec![unreadable(1)]).await;
    configure::read_again(&env.cashier);
    env.run_for(1).await;
    assert!(!served(&env, 1).unreadable.is_empty(), "its key is missing still");
    env.disk.replace_configs(vec![config(1)]);
    configure::read_again(&env.cashier);
    env.run_for(1).await;
    assert!(served(&env, 1).unreadable.is_empty());
    env.deposit("k").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn k1_the_request_of_every_expired_approval_is_wiped_however_many_there_are() {
    let env = TestCashier::new().await;
    let now = env.cashier.clock.now();
    let asked = |id: u64| Approval {
        id: ApprovalId(1_000 + id),
        command: "MngUpdateCashierProviderConfig".into(),
        config_id: ConfigId(1),
        brand: Box::default(),
        ground: 1,
        transaction_id: cashier_core::ids::TransactionId(0),
        amount: None,
        request: Secret::new("{}"),
        unreadable: None,
        fields: "secret_key".into(),
        asked_by: ManagerId(7),
        asked_time: now,
        expires_time: now,
        state: ApprovalState::Open,
        decided_by: ManagerId(0),
        decided_time: UnixTime::UNSET,
    };
    let with_all =
        (0..300).fold(Snapshot::clone(&env.cashier.snapshot()), |known, id| known.with_approval(asked(id), now));
    assert_eq!(with_all.approvals().count(), 300, "none is forgotten with its request");
    env.cashier.snapshot.store(Arc::new(with_all));
    env.run_for(60).await;
    let snapshot = env.cashier.snapshot();
    assert_eq!(snapshot.approvals().filter(|row| row.holds_request()).count(), 0);
    assert_eq!(env.disk.loaded().approvals.len(), 300, "each in a commit");
    assert!(snapshot.approvals().count() <= 256);
}
