//! Webhooks that a module can verify with its provider alone: on the path of one config, and on the published path, where
//! nothing but the provider's answer says whose they are.

use std::sync::atomic::Ordering;

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, Reference};
use cashier_core::notice::Update;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::transaction::Transaction;

use crate::flows::webhook::WebhookOutcome;
use crate::flows::{NETWORK_VERIFICATIONS_PER_MINUTE, SMALL_NOTICE_LENGTH_MAX};
use crate::ports::RawNotice;
use crate::test_cashier::{AMOUNT, FAILED_NOTICES_PER_MINUTE, TestCashier, deposit_request, lock, paid};

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
async fn b4_forged_notices_leave_a_known_address_its_own_pace_and_a_sender_that_fails_too_often_asks_no_provider() {
    let env = TestCashier::new().await;
    let (first, second) = (deposit(&env, 1).await, deposit(&env, 1).await);
    let sent = async |ip: &str, signature: &str, body: &str| {
        let raw = RawNotice { body: body.to_owned().into(), ..env.request(signature) };
        env.receive_from(ip, Some(1), raw).await.map(drop).map_err(|refusal| refusal.code)
    };
    assert_eq!(sent("198.51.100.1", "config 1", &confirmed(&env, "e1", &first.reference)).await, Ok(()));
    let asked = || env.provider.network_tries.swap(0, Ordering::SeqCst);
    asked();
    // One address: beyond its limit of failures its provider is asked no more.
    for n in 0..20 {
        let refused = if n < FAILED_NOTICES_PER_MINUTE { RefusalCode::InvalidSignature } else { RefusalCode::Frequent };
        assert_eq!(sent("203.0.113.1", "forged", "network 99").await, Err(refused), "{n}");
    }
    assert_eq!(asked(), u64::from(FAILED_NOTICES_PER_MINUTE));
    // Many addresses: they use up what others than the known ones have.
    for n in 2..=NETWORK_VERIFICATIONS_PER_MINUTE {
        sent(&format!("203.0.113.{n}"), "forged", "network 99").await.unwrap_err();
    }
    assert_eq!(asked(), u64::from(NETWORK_VERIFICATIONS_PER_MINUTE - FAILED_NOTICES_PER_MINUTE) - 1);
    let body = confirmed(&env, "e2", &second.reference);
    assert_eq!(sent("198.51.100.2", "config 1", &body).await, Err(RefusalCode::ProviderUnavailable));
    assert_eq!(sent("198.51.100.1", "config 1", &body).await, Ok(()));
    env.run_for(5).await;
    assert_eq!((env.status(first.id), env.status(second.id), env.trading.balance()), (3, 3, 2 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn b4_a_large_notice_whose_provider_is_asked_lets_the_next_one_be_verified() {
    let env = TestCashier::new().await;
    let made = deposit(&env, 1).await;
    env.provider.slow_network_ms.store(30_000, Ordering::SeqCst);
    let padding = " ".repeat(2 * SMALL_NOTICE_LENGTH_MAX);
    let large = |body: String, signature: &str| RawNotice { body: body.into(), ..env.request(signature) };
    let forged = env.receive_from("203.0.113.1", Some(1), large(format!("network 99{padding}"), "forged"));
    let signed = format!("signed{padding}");
    lock(&env.provider.understood).insert(signed.clone(), vec![paid("e1", &made.reference)]);
    let (slow, asked) = (tokio::spawn(forged), &env.provider.network_tries);
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    env.receive_from("198.51.100.1", Some(1), large(signed, "config 1")).await.unwrap();
    assert!(!slow.is_finished(), "answered while the first one's provider is asked");
    assert_eq!(slow.await.unwrap().unwrap_err().code, RefusalCode::InvalidSignature);
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
