//! Floods of forged webhooks: what they cost is counted, verified webhooks get through them, and none is called forged because
//! of a limit.

use std::sync::atomic::Ordering;

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::ConfigId;
use cashier_core::notice::Update;
use cashier_core::refusal::RefusalCode;
use cashier_core::transaction::Transaction;
use futures_util::FutureExt as _;

use crate::flows::{FAILED_NOTICES_PER_PROVIDER_PER_MINUTE, NoticeScope};
use crate::ports::RawNotice;
use crate::test_cashier::{AMOUNT, FAILED_NOTICES_PER_MINUTE, TestCashier, deposit_request, lock, paid};

pub(super) const MIB: usize = 1024 * 1024;
pub(super) const SMALL: usize = 64 * 1024;
pub(super) const CONFIGS: u64 = 40;

pub(super) async fn with_forty_configs() -> TestCashier {
    TestCashier::with_configs(&(1..=CONFIGS).collect::<Vec<_>>()).await
}

pub(super) async fn deposit(env: &TestCashier, config: u64) -> Transaction {
    let key = format!("{config} {}", env.unfinished());
    let request = DepositRequest { provider_config_id: Some(ConfigId(config)), ..deposit_request(&key) };
    env.deposit_as(request).await.unwrap().transaction
}

pub(super) fn forged(env: &TestCashier, length: usize) -> RawNotice {
    RawNotice { body: "x".repeat(length).into(), ..env.request("forged") }
}

/// A notice that this config alone verifies.
pub(super) fn signed(env: &TestCashier, config: u64, updates: Vec<Update>) -> RawNotice {
    let body = env.provider.notice_body(updates).into();
    RawNotice { body, ..env.request(&format!("config {config}")) }
}

pub(super) fn is_to_be_sent_again(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::Frequent | RefusalCode::ProviderUnavailable)
}

pub(super) async fn answer(
    env: &TestCashier,
    ip: &str,
    addressed: Option<u64>,
    raw: RawNotice,
) -> Result<(), RefusalCode> {
    env.receive_from(ip, addressed, raw).await.map(drop).map_err(|refusal| refusal.code)
}

/// 64 senders at once, each its own address.
async fn flood(env: &TestCashier, round: usize) -> Vec<RefusalCode> {
    let sent = (0..64).map(|n| async move { answer(env, &format!("203.0.{round}.{n}"), None, forged(env, MIB)).await });
    futures_util::future::join_all(sent).await.into_iter().map(|answered| answered.unwrap_err()).collect()
}

#[tokio::test(start_paused = true)]
async fn b4_sixty_four_senders_of_large_forged_notices_to_forty_configs_cost_bounded_work() {
    let env = with_forty_configs().await;
    for round in 0..4 {
        let answers = flood(&env, round).await;
        assert!(answers.iter().all(|code| *code == RefusalCode::InvalidSignature || is_to_be_sent_again(*code)));
    }
    let tries = lock(&env.provider.tries).len();
    // 64 MiB times configs, and what the notice that used it up took beyond it; before, it was 256 notices times 40 configs.
    assert!((CONFIGS as usize..=64 + CONFIGS as usize).contains(&tries), "{tries} calls");
    let bodies: std::collections::BTreeSet<usize> = lock(&env.provider.tries).iter().map(|(_, body)| *body).collect();
    assert!(bodies.len() <= 2, "each config was shown the same bytes, not a copy of its own");
    assert_eq!(env.provider.large_most.load(Ordering::SeqCst), 1, "one large notice at a time");
}

#[tokio::test(start_paused = true)]
async fn b4_a_verified_small_notice_does_not_wait_for_the_large_forged_ones() {
    let env = with_forty_configs().await;
    let made = deposit(&env, 33).await;
    env.provider.slow_large_ms.store(60_000, Ordering::SeqCst);
    let raw = signed(&env, 33, vec![paid("e1", &made.reference)]);
    lock(&env.provider.tries).clear();
    let began = tokio::time::Instant::now();
    let sent = async {
        tokio::task::yield_now().await;
        let answered = answer(&env, "198.51.100.1", None, raw).await;
        (answered, began.elapsed().as_secs(), env.provider.large_now.load(Ordering::SeqCst))
    };
    let (_, (answered, waited, judged)) = futures_util::future::join(flood(&env, 0), sent).await;
    assert_eq!((answered, waited, judged), (Ok(()), 0, 1), "answered while the first large one is still verified");
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn b4_the_config_that_a_notice_names_is_asked_first() {
    let env = with_forty_configs().await;
    let made = deposit(&env, 33).await;
    // By our reference, by an id of the provider, and by nothing that is known.
    for (named, first) in
        [(made.reference.to_string(), 33), (made.provider_payment_id.to_string(), 33), ("-".into(), 1)]
    {
        lock(&env.provider.tries).clear();
        let body = format!("{{\"object\":\"{named}\"}}");
        let raw = RawNotice { body: body.into(), ..env.request("forged") };
        assert_eq!(answer(&env, "", None, raw).await, Err(RefusalCode::InvalidSignature));
        let tries: Vec<u64> = lock(&env.provider.tries).iter().map(|(config, _)| config.0).collect();
        assert_eq!((tries[0], tries.len()), (first, CONFIGS as usize), "{named}: each is asked once");
    }
    // Then those that verified a notice lately.
    answer(&env, "", None, signed(&env, 7, vec![paid("e1", &made.reference)])).await.unwrap();
    lock(&env.provider.tries).clear();
    assert_eq!(answer(&env, "", None, forged(&env, 10)).await, Err(RefusalCode::InvalidSignature));
    assert_eq!(lock(&env.provider.tries)[0].0, ConfigId(7));
}

#[tokio::test(start_paused = true)]
async fn b4_a_notice_that_verifies_gets_through_and_is_never_called_forged_while_the_work_is_used_up() {
    let env = with_forty_configs().await;
    let (named, other) = (deposit(&env, 33).await, deposit(&env, 40).await);
    flood(&env, 0).await;
    // Named by its reference, it is shown to its config whatever the forged ones cost.
    let name = format!("{{\"reference\":\"{}\"}}", named.reference);
    lock(&env.provider.understood).insert(name.clone(), vec![paid("e1", &named.reference)]);
    let raw = RawNotice { body: name.into(), ..env.request("config 33") };
    assert_eq!(answer(&env, "198.51.100.1", None, raw).await, Ok(()));
    // Addressed, it is shown to its config too.
    assert_eq!(
        answer(&env, "198.51.100.2", Some(40), signed(&env, 40, vec![paid("e2", &other.reference)])).await,
        Ok(())
    );
    // One that names nothing may be that of any config: it is to be sent again, and succeeds then.
    let unnamed = || signed(&env, 39, vec![paid("e3", &cashier_core::ids::Reference::from_random(9))]);
    let refused = answer(&env, "198.51.100.3", None, unnamed()).await.unwrap_err();
    assert!(is_to_be_sent_again(refused), "{refused:?}");
    // From an address whose notice verified it is shown to all.
    assert_eq!(answer(&env, "198.51.100.2", None, unnamed()).await, Ok(()));
    env.run_for(60).await;
    assert_eq!(answer(&env, "198.51.100.3", None, unnamed()).await, Ok(()));
    env.run_for(5).await;
    assert_eq!((env.status(named.id), env.status(other.id), env.trading.balance()), (3, 3, 2 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn an_address_whose_notices_fail_is_answered_429_and_a_verified_one_of_it_is_taken() {
    let env = TestCashier::new().await;
    let made = deposit(&env, 1).await;
    let fails = async |ip: &str, length| answer(&env, ip, Some(1), forged(&env, length)).await.unwrap_err();
    // All of a /64 are one sender; an address in its IPv6 form is the same address.
    let senders = [("203.0.113.9", "::ffff:203.0.113.9"), ("2001:db8::1", "2001:db8::2")];
    for (ip, same) in senders {
        for _ in 0..FAILED_NOTICES_PER_MINUTE {
            assert_eq!(fails(ip, 10).await, RefusalCode::InvalidSignature, "{ip}");
        }
        assert_eq!(
            (fails(ip, 10).await, fails(same, MIB).await),
            (RefusalCode::Frequent, RefusalCode::Frequent),
            "{ip}"
        );
    }
    let quarantined = 2 * FAILED_NOTICES_PER_MINUTE as u64;
    assert_eq!(env.cashier.counted_notices(), (quarantined + 2, 4), "large ones are not verified");
    assert_eq!(fails("203.0.113.10", 10).await, RefusalCode::InvalidSignature, "others are not bound by it");
    for _ in 0..=FAILED_NOTICES_PER_MINUTE {
        assert_eq!(
            fails("127.0.0.1", 10).await,
            RefusalCode::InvalidSignature,
            "a proxy on this machine may be all senders"
        );
    }
    // What verifies gets through, and its address is known from then on.
    assert_eq!(answer(&env, "203.0.113.9", Some(1), signed(&env, 1, vec![paid("e1", &made.reference)])).await, Ok(()));
    for _ in 0..=FAILED_NOTICES_PER_MINUTE {
        assert_eq!(fails("203.0.113.9", MIB).await, RefusalCode::InvalidSignature);
    }
    env.run_for(60).await;
    assert_eq!(fails("2001:db8::1", 10).await, RefusalCode::InvalidSignature, "a minute later it begins anew");
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_provider_whose_notices_fail_from_everywhere_still_gets_its_verified_ones() {
    let env = TestCashier::new().await;
    let made = deposit(&env, 1).await;
    for n in 0..FAILED_NOTICES_PER_PROVIDER_PER_MINUTE {
        let ip = format!("203.0.{}.{}", n / 256, n % 256);
        let refused = answer(&env, &ip, Some(1), forged(&env, 10)).await.unwrap_err();
        assert_eq!(refused, RefusalCode::InvalidSignature);
    }
    let stored = lock(&env.provider.tries).len();
    assert_eq!(answer(&env, "198.51.100.1", Some(1), forged(&env, 10)).await, Err(RefusalCode::Frequent));
    assert_eq!(answer(&env, "198.51.100.1", Some(1), forged(&env, MIB)).await, Err(RefusalCode::Frequent));
    assert_eq!(lock(&env.provider.tries).len(), stored + 1, "the large one was not verified");
    assert_eq!(answer(&env, "127.0.0.1", Some(1), forged(&env, 10)).await, Err(RefusalCode::InvalidSignature));
    assert_eq!(answer(&env, "198.51.100.2", Some(1), signed(&env, 1, vec![paid("e1", &made.reference)])).await, Ok(()));
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn b4_forged_notices_that_our_own_limit_leaves_undecided_count_as_failures() {
    let env = with_forty_configs().await;
    flood(&env, 0).await;
    let (rejected, limited_before) = env.cashier.counted_notices();
    let mut answers = Vec::new();
    for _ in 0..200 {
        answers.push(answer(&env, "203.0.113.9", None, forged(&env, SMALL)).await.unwrap_err());
    }
    let (counted, limited) = answers.split_at(FAILED_NOTICES_PER_MINUTE as usize);
    assert!(counted.iter().all(|code| *code == RefusalCode::ProviderUnavailable), "not every config was asked");
    assert!(limited.iter().all(|code| *code == RefusalCode::Frequent), "{limited:?}");
    let counted = (rejected + 200, limited_before + limited.len() as u64);
    assert_eq!(env.cashier.counted_notices(), counted);
    // A module that does not work is no limit of ours: what the other configs reject may be its own.
    lock(&env.provider.not_working).push(ConfigId(2));
    let raw = || RawNotice { body: "x".into(), ..env.request("forged") };
    for _ in 0..=FAILED_NOTICES_PER_MINUTE {
        assert_eq!(answer(&env, "203.0.113.10", Some(2), raw()).await, Err(RefusalCode::ProviderUnavailable));
    }
    assert_eq!(env.cashier.counted_notices(), counted);
}

#[tokio::test(start_paused = true)]
async fn b4_what_forged_notices_cost_is_over_seconds_after_the_last_one() {
    let env = with_forty_configs().await;
    let (waiting, other) = (deposit(&env, 39).await, deposit(&env, 38).await);
    let signed_of = |config, event, made: &Transaction| signed(&env, config, vec![paid(event, &made.reference)]);
    let known = signed_of(38, "e1", &other);
    assert_eq!(answer(&env, "198.51.100.1", Some(38), known).await, Ok(()));
    for round in 0..4 {
        let sent = (0..500).map(|n| {
            let ip = format!("203.{round}.{}.{}", n / 250, n % 250);
            let env = &env;
            async move { answer(env, &ip, None, forged(env, SMALL)).await.unwrap_err() }
        });
        let answers = futures_util::future::join_all(sent).await;
        assert!(answers.iter().all(|code| *code == RefusalCode::InvalidSignature || is_to_be_sent_again(*code)));
    }
    let large = RawNotice { body: "x".repeat(MIB).into(), ..env.request("forged") };
    assert_eq!(answer(&env, "198.51.100.9", None, large).await, Err(RefusalCode::Frequent), "it is used up");
    env.run_for(5).await;
    let raw = signed_of(39, "e2", &waiting);
    assert_eq!(answer(&env, "198.51.100.3", None, raw).await, Ok(()), "five seconds after the last forged one");
    env.run_for(5).await;
    assert_eq!((env.status(waiting.id), env.status(other.id), env.trading.balance()), (3, 3, 2 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn b4_while_the_work_is_used_up_unknown_senders_wait_their_turn_for_this_provider_alone() {
    let env = with_forty_configs().await;
    let made = deposit(&env, 38).await;
    let raw = signed(&env, 38, vec![paid("e1", &made.reference)]);
    assert_eq!(answer(&env, "198.51.100.1", Some(38), raw).await, Ok(()));
    let limits = &env.cashier.limits.notices;
    // How many of ten are verified at one time.
    let at_once = |provider: &str, ip: &str| {
        let sender = limits.sender(NoticeScope::new(provider, false), ip);
        let permits: Vec<_> = (0..10).map(|_| limits.turn(&sender, 10).now_or_never()).collect();
        permits.iter().flatten().flatten().count()
    };
    assert_eq!((at_once("stripe", "198.51.100.2"), at_once("stripe", "198.51.100.1")), (10, 10));
    flood(&env, 0).await;
    assert_eq!((at_once("stripe", "198.51.100.2"), at_once("stripe", "198.51.100.1")), (4, 10), "one is known");
    assert_eq!(at_once("another", "198.51.100.2"), 10, "another provider");
    env.run_for(5).await;
    assert_eq!(at_once("stripe", "198.51.100.2"), 10);
}
