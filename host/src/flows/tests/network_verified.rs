//! Webhooks that a module can verify with its provider alone: on the path of one config, and on the published path, where
//! nothing but the provider's answer says whose they are.

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, Reference};
use cashier_core::notice::Update;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::transaction::Transaction;

use crate::flows::rate_limit::NETWORK_VERIFICATIONS_PER_MINUTE;
use crate::flows::webhook::WebhookOutcome;
use crate::ports::RawNotice;
use crate::test_cashier::{AMOUNT, TestCashier, deposit_request, lock, paid};

async fn deposit(env: &TestCashier, config: u64) -> Transaction {
    let key = format!("{config} {}", env.unfinished());
    let request = DepositRequest { provider_config_id: Some(ConfigId(config)), ..deposit_request(&key) };
    env.deposit_as(request).await.unwrap().transaction
}

fn confirmed(env: &TestCashier, event: &str, reference: &Reference) -> String {
    over_network(env, vec![paid(event, reference)])
}

/// The body of a notice that only the provider can verify.
fn over_network(env: &TestCashier, updates: Vec<Update>) -> String {
    format!("network {}", env.provider.notice_body(updates))
}

/// Sends it on the published path. `signature`: the config whose provider knows the notice.
async fn unaddressed(env: &TestCashier, signature: &str, body: &str) -> Result<WebhookOutcome, Refusal> {
    env.receive(None, RawNotice { body: body.to_owned().into(), ..env.request(signature) }).await
}

#[tokio::test(start_paused = true)]
async fn on_the_published_path_the_provider_of_each_config_is_asked_until_one_knows_the_notice() {
    for config in [1, 3] {
        let env = TestCashier::with_configs(&[1, 2, 3]).await;
        let made = deposit(&env, config).await;
        let body = confirmed(&env, "e1", &made.reference);
        let outcome = unaddressed(&env, &format!("config {config}"), &body).await.unwrap();
        assert_eq!(outcome.events[0].config_id, ConfigId(config));
        env.run_for(5).await;
        assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
        assert!(unaddressed(&env, &format!("config {config}"), &body).await.unwrap().duplicate);
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_several_providers_know_is_filed_under_the_config_of_its_transaction() {
    for config in [1, 3] {
        let env = TestCashier::with_configs(&[1, 2, 3]).await;
        let made = deposit(&env, config).await;
        let body = confirmed(&env, "e1", &made.reference);
        let outcome = env.raw_notice(None, body).await.unwrap();
        assert_eq!(outcome.events[0].config_id, ConfigId(config));
        env.run_for(5).await;
        assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_no_provider_knows_is_rejected_and_one_that_was_not_answered_is_to_be_sent_again() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = deposit(&env, 2).await;
    let body = confirmed(&env, "e1", &made.reference);
    assert_eq!(unaddressed(&env, "forged", &body).await.unwrap_err().code, RefusalCode::InvalidSignature);
    lock(&env.provider.not_working).push(ConfigId(1));
    assert_eq!(unaddressed(&env, "forged", &body).await.unwrap_err().code, RefusalCode::ProviderUnavailable);
    assert!(unaddressed(&env, "config 2", &body).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn beyond_the_pace_of_a_config_the_notice_is_to_be_sent_again_and_is_credited_then() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = deposit(&env, 2).await;
    for _ in 0..NETWORK_VERIFICATIONS_PER_MINUTE {
        unaddressed(&env, "forged", "network 99").await.unwrap_err();
    }
    let body = confirmed(&env, "e1", &made.reference);
    assert_eq!(unaddressed(&env, "config 2", &body).await.unwrap_err().code, RefusalCode::ProviderUnavailable);
    env.run_for(61).await;
    unaddressed(&env, "config 2", &body).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn of_many_configs_sixteen_are_asked_and_the_path_of_one_config_serves_the_others() {
    let configs: Vec<u64> = (1..=18).collect();
    let env = TestCashier::with_configs(&configs).await;
    let (last_asked, beyond) = (deposit(&env, 16).await, deposit(&env, 17).await);
    unaddressed(&env, "config 16", &confirmed(&env, "e1", &last_asked.reference)).await.unwrap();
    let body = confirmed(&env, "e2", &beyond.reference);
    let refused = unaddressed(&env, "config 17", &body).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::ProviderUnavailable);
    assert!(refused.message.contains("/cashier/webhook/{provider}/{provider_config_id}"), "{}", refused.message);
    let addressed = RawNotice { body: body.into(), ..env.request("config 17") };
    env.receive(Some(17), addressed).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(last_asked.id), env.status(beyond.id), env.trading.balance()), (3, 3, 2 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_one_config_verifies_offline_asks_no_provider() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = deposit(&env, 2).await;
    for n in 0..=NETWORK_VERIFICATIONS_PER_MINUTE {
        env.notice(None, vec![paid(&format!("e{n}"), &made.reference)]).await.unwrap();
    }
    env.run_for(5).await;
    assert_eq!(env.trading.balance(), AMOUNT);
}
