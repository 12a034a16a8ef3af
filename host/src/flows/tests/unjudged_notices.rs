//! Webhooks that nobody can judge, because a module fails, and webhooks of senders that are known: both have limits too.

use std::sync::atomic::Ordering;

use cashier_core::ids::ConfigId;
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::RefusalCode;
use cashier_core::transaction::Transaction;
use futures_util::FutureExt as _;

use super::notice_floods::{MIB, SMALL, answer, deposit, forged, is_to_be_sent_again, signed, with_forty_configs};
use crate::flows::notice_limits::NoNoticeTurn;
use crate::flows::{FAILED_NOTICES_PER_PROVIDER_PER_MINUTE, NoticeFailure, NoticeScope};
use crate::ports::RawNotice;
use crate::test_cashier::{AMOUNT, FAILED_NOTICES_PER_MINUTE, TestCashier, config, lock, paid};

/// How many times as many may be unjudged as rejected, and how many times as many of a known sender may fail.
const UNJUDGED: u32 = 10;
const KNOWN: u32 = 4;

/// A notice that names its payment in clear, as providers' own do.
fn naming(env: &TestCashier, config: u64, event: &str, made: &Transaction, length: usize) -> RawNotice {
    let padding = "x".repeat(length);
    let name = format!("{{\"reference\":\"{}\",\"padding\":\"{padding}\"}}", made.reference);
    lock(&env.provider.understood).insert(name.clone(), vec![paid(event, &made.reference)]);
    RawNotice { body: name.into(), ..env.request(&format!("config {config}")) }
}

#[tokio::test(start_paused = true)]
async fn b4_sixty_four_senders_of_64_kib_at_once_to_forty_configs_cost_bounded_work_and_signed_ones_get_through() {
    let env = with_forty_configs().await;
    let (named, addressed) = (deposit(&env, 33).await, deposit(&env, 40).await);
    env.provider.slow_small_ms.store(1, Ordering::SeqCst);
    lock(&env.provider.tries).clear();
    for round in 0..4 {
        let env = &env;
        let forged = (0..64).map(|n| async move {
            answer(env, &format!("203.{round}.113.{n}"), None, forged(env, SMALL)).await.unwrap_err()
        });
        let own = [
            (None, naming(env, 33, &format!("e1 {round}"), &named, SMALL - 200)),
            (Some(40), signed(env, 40, vec![paid(&format!("e2 {round}"), &addressed.reference)])),
        ];
        let own = own.into_iter().enumerate().map(|(n, (addressed, raw))| async move {
            tokio::task::yield_now().await;
            answer(env, &format!("198.51.{round}.{n}"), addressed, raw).await
        });
        let (answers, own) =
            futures_util::future::join(futures_util::future::join_all(forged), futures_util::future::join_all(own))
                .await;
        assert_eq!(own, [Ok(()), Ok(())], "round {round}");
        assert!(answers.iter().all(|code| *code == RefusalCode::InvalidSignature || is_to_be_sent_again(*code)));
    }
    // 64 MiB in parts of 68 KiB, eight configs for each of 256, and the signed ones; before, it was 256 times 40.
    let tries = lock(&env.provider.tries).len();
    assert!((900..=964 + 256 * 8 + 200).contains(&tries), "{tries} calls");
    env.run_for(5).await;
    assert_eq!((env.status(named.id), env.status(addressed.id), env.trading.balance()), (3, 3, 2 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn b4_one_config_whose_module_fails_does_not_keep_forged_notices_from_being_counted() {
    let env = TestCashier::with_configs(&[1, 2, 3]).await;
    let made = deposit(&env, 1).await;
    lock(&env.provider.not_working).push(ConfigId(2));
    let mut answers = Vec::new();
    for _ in 0..UNJUDGED * FAILED_NOTICES_PER_MINUTE + 10 {
        answers.push(answer(&env, "203.0.113.9", None, forged(&env, 10)).await.unwrap_err());
    }
    let (before, beyond) = answers.split_at((UNJUDGED * FAILED_NOTICES_PER_MINUTE) as usize);
    assert!(before.iter().all(|code| *code == RefusalCode::ProviderUnavailable), "it may be that config's");
    assert!(beyond.iter().all(|code| *code == RefusalCode::Frequent), "{beyond:?}");
    let tries = lock(&env.provider.tries).len();
    assert_eq!(answer(&env, "203.0.113.9", None, forged(&env, MIB)).await, Err(RefusalCode::Frequent));
    assert_eq!(lock(&env.provider.tries).len(), tries, "a large one is not verified");
    assert_eq!(env.cashier.counted_notices(), (0, 11), "none of them is called forged");
    assert_eq!(answer(&env, "203.0.113.10", None, forged(&env, 10)).await, Err(RefusalCode::ProviderUnavailable));
    // What verifies gets through, as beyond every limit.
    let raw = signed(&env, 1, vec![paid("e1", &made.reference)]);
    assert_eq!(answer(&env, "203.0.113.9", Some(1), raw).await, Ok(()));
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn b4_a_providers_own_notices_are_taken_once_its_module_works_however_many_it_left_unjudged() {
    let env = TestCashier::new().await;
    let made = deposit(&env, 1).await;
    lock(&env.provider.not_working).push(ConfigId(1));
    let raw = || signed(&env, 1, vec![paid("e1", &made.reference)]);
    for _ in 0..UNJUDGED * FAILED_NOTICES_PER_MINUTE {
        assert_eq!(answer(&env, "203.0.113.9", Some(1), raw()).await, Err(RefusalCode::ProviderUnavailable));
    }
    assert_eq!(answer(&env, "203.0.113.9", Some(1), raw()).await, Err(RefusalCode::Frequent));
    lock(&env.provider.not_working).clear();
    assert_eq!(answer(&env, "203.0.113.9", Some(1), raw()).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn b4_a_provider_has_a_limit_of_notices_that_nobody_could_judge_whoever_sends_them() {
    let env = TestCashier::new().await;
    let limits = &env.cashier.limits.notices;
    let sender = |ip: &str| limits.sender(NoticeScope::new("stripe", false), ip);
    for n in 0..UNJUDGED * FAILED_NOTICES_PER_PROVIDER_PER_MINUTE {
        let ip = format!("203.{}.{}.{}", n / 65_536, n / 256 % 256, n % 256);
        limits.failed(&sender(&ip), "stripe", NoticeFailure::Unjudged);
    }
    assert!(sender("198.51.100.1").is_restricted());
    assert!(!limits.sender(NoticeScope::new("other", false), "198.51.100.1").is_restricted());
    assert!(!limits.sender(NoticeScope::new("stripe", true), "198.51.100.1").is_restricted(), "sandbox configs");
    env.run_for(60).await;
    assert!(!sender("198.51.100.1").is_restricted());
}

#[tokio::test(start_paused = true)]
async fn a_known_address_may_fail_four_times_as_often_and_is_then_limited_too() {
    let env = with_forty_configs().await;
    let made = deposit(&env, 1).await;
    let raw = |event: &str| signed(&env, 1, vec![paid(event, &made.reference)]);
    assert_eq!(answer(&env, "203.0.113.9", Some(1), raw("e1")).await, Ok(()));
    for _ in 0..KNOWN * FAILED_NOTICES_PER_MINUTE {
        assert_eq!(answer(&env, "203.0.113.9", Some(1), forged(&env, 10)).await, Err(RefusalCode::InvalidSignature));
    }
    assert_eq!(answer(&env, "203.0.113.9", Some(1), forged(&env, 10)).await, Err(RefusalCode::Frequent));
    assert_eq!(answer(&env, "203.0.113.9", Some(1), raw("e2")).await, Ok(()), "what verifies gets through");
    // And it may cost four times as much: then it is shown to those alone that it probably belongs to.
    env.run_for(60).await;
    lock(&env.provider.tries).clear();
    for _ in 0..KNOWN * FAILED_NOTICES_PER_MINUTE {
        assert!(answer(&env, "203.0.113.9", None, forged(&env, MIB)).await.is_err());
    }
    let tries = lock(&env.provider.tries).len();
    assert!((240..=256 + 40).contains(&tries), "{tries} calls");
}

#[tokio::test(start_paused = true)]
async fn b4_large_notices_wait_for_those_of_their_own_provider_alone_some_of_them_and_not_for_ever() {
    let env = TestCashier::new().await;
    let limits = &env.cashier.limits.notices;
    let sender = |provider: &str| limits.sender(NoticeScope::new(provider, false), "203.0.113.9");
    let (one, other) = (sender("stripe"), sender("other"));
    let first = limits.turn(&one, MIB).now_or_never().unwrap().unwrap();
    assert!(limits.turn(&other, MIB).now_or_never().unwrap().is_ok(), "another provider");
    assert!(limits.turn(&one, 10).now_or_never().unwrap().is_ok(), "a small one");
    let mut waiting: Vec<_> = (0..15).map(|_| Box::pin(limits.turn(&one, MIB))).collect();
    assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
    assert_eq!(limits.turn(&one, MIB).now_or_never().unwrap().err(), Some(NoNoticeTurn::TooManyWait));
    drop(first);
    let second = waiting.remove(0).await.unwrap();
    let began = tokio::time::Instant::now();
    for turn in waiting {
        assert_eq!(turn.await.err(), Some(NoNoticeTurn::TooLong));
    }
    assert_eq!(began.elapsed().as_secs(), 5);
    drop(second);
    assert!(limits.turn(&one, MIB).now_or_never().unwrap().is_ok(), "who gave up holds nothing");
}

#[tokio::test(start_paused = true)]
async fn b4_a_large_notice_behind_a_module_that_hangs_is_to_be_sent_again_soon() {
    let env = TestCashier::new().await;
    let made = deposit(&env, 1).await;
    env.provider.slow_large_ms.store(600_000, Ordering::SeqCst);
    let large = RawNotice { body: "x".repeat(MIB).into(), ..env.request("forged") };
    let hanging = tokio::spawn(env.receive_from("203.0.113.9", Some(1), large));
    tokio::task::yield_now().await;
    let began = tokio::time::Instant::now();
    let raw = || naming(&env, 1, "e1", &made, MIB - 200);
    assert_eq!(answer(&env, "198.51.100.1", Some(1), raw()).await, Err(RefusalCode::ProviderUnavailable));
    assert_eq!(began.elapsed().as_secs(), 5);
    env.provider.slow_large_ms.store(0, Ordering::SeqCst);
    assert!(hanging.await.unwrap().is_err());
    assert_eq!(answer(&env, "198.51.100.1", Some(1), raw()).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn who_has_the_secret_of_a_sandbox_config_is_known_by_no_live_one() {
    let rows = [ProviderConfig { sandbox: true, ..config(1) }, config(2)];
    let env = TestCashier::with_rows(rows.into()).await;
    env.trading.demo.store(true, Ordering::SeqCst);
    let made = deposit(&env, 1).await;
    lock(&env.provider.understood).insert("test".into(), vec![paid("e1", &made.reference)]);
    let test = RawNotice { body: "test".into(), ..env.request("config 1") };
    assert_eq!(answer(&env, "203.0.113.9", None, test).await, Ok(()));
    let is_known =
        |sandbox| env.cashier.limits.notices.sender(NoticeScope::new("stripe", sandbox), "203.0.113.9").is_known();
    assert_eq!((is_known(true), is_known(false)), (true, false));
    for _ in 0..FAILED_NOTICES_PER_MINUTE {
        assert_eq!(answer(&env, "203.0.113.9", Some(2), forged(&env, 10)).await, Err(RefusalCode::InvalidSignature));
    }
    assert_eq!(answer(&env, "203.0.113.9", Some(2), forged(&env, 10)).await, Err(RefusalCode::Frequent));
    assert_eq!(answer(&env, "203.0.113.9", None, forged(&env, 10)).await, Err(RefusalCode::Frequent));
    assert_eq!(answer(&env, "203.0.113.9", Some(1), forged(&env, 10)).await, Err(RefusalCode::InvalidSignature));
}
