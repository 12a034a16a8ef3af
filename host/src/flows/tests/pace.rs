//! What the janitor does in what time: gateways that do not open take turns, peers that answer are sent as much as they take, peers that do not are sent little,
//! and no peer waits for another. Counts within paused time decide.

use std::sync::atomic::Ordering;

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, Login, ServerName};
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::{FirstAnswer, Transaction};

use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnCreate, OnPost, TestCashier, deposit_request, lock, paid, update};

/// More than any test here posts or creates.
const ENDLESS: usize = 1_000_000;

/// Deposits under one config, and whether the provider's notice of payment came.
async fn deposits(env: &TestCashier, config: u64, count: usize) -> Vec<Transaction> {
    let request = |number| DepositRequest {
        provider_config_id: Some(ConfigId(config)),
        ..deposit_request(&format!("{config}-{number}"))
    };
    let made = (0..count).map(|number| env.deposit_as(request(number)));
    let made = futures_util::future::join_all(made).await;
    made.into_iter().map(|outcome| outcome.unwrap().transaction).collect()
}

async fn pay(env: &TestCashier, config: u64, made: &[Transaction]) {
    for transaction in made {
        env.notice(Some(config), vec![paid(&format!("e{}", transaction.id), &transaction.reference)]).await.unwrap();
    }
}

/// How many create calls ended with an answer.
fn answered(env: &TestCashier, made: &[Transaction]) -> usize {
    let first_answer = |made: &Transaction| env.aggregate(made.id).transaction.first_answer;
    made.iter().filter(|made| !matches!(first_answer(made), FirstAnswer::Open | FirstAnswer::Unknown)).count()
}

fn postings(env: &TestCashier) -> usize {
    lock(&env.trading.posted).len()
}

#[tokio::test(start_paused = true)]
async fn s7_what_became_due_in_the_last_seconds_of_an_outage_waits_for_no_round() {
    let env = TestCashier::new().await;
    let made = deposits(&env, 1, 200).await;
    lock(&env.trading.next_posts).extend(std::iter::repeat_n(OnPost::NeverArrives, ENDLESS));
    let (early, late) = made.split_at(100);
    pay(&env, 1, early).await;
    // A round has passed, and the next is some seconds off.
    env.run_for(6).await;
    pay(&env, 1, late).await;
    lock(&env.trading.next_posts).clear();
    env.run_for(2).await;
    assert_eq!((postings(&env), env.trading.balance()), (200, 200 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn s7_two_thousand_credits_are_posted_within_two_seconds_of_the_trading_servers_return() {
    let env = TestCashier::new().await;
    let made = deposits(&env, 1, 2_000).await;
    lock(&env.trading.next_posts).extend(std::iter::repeat_n(OnPost::NeverArrives, ENDLESS));
    pay(&env, 1, &made).await;
    env.run_for(10).await;
    let before = lock(&env.trading.next_posts).len();
    env.run_for(600).await;
    let tries = before - lock(&env.trading.next_posts).len();
    assert!((600..=9 * 600).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(postings(&env), 0);
    lock(&env.trading.next_posts).clear();
    env.run_for(2).await;
    assert_eq!((postings(&env), env.trading.balance()), (2_000, 2_000 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn s7_what_is_owed_at_a_start_is_posted_in_its_first_round() {
    let mut env = TestCashier::new().await;
    let made = deposits(&env, 1, 1_000).await;
    lock(&env.trading.next_posts).extend(std::iter::repeat_n(OnPost::NeverArrives, ENDLESS));
    pay(&env, 1, &made).await;
    env.power_off().await;
    lock(&env.trading.next_posts).clear();
    env.power_on().await;
    env.run_for(1).await;
    assert_eq!((postings(&env), env.unfinished()), (1_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_trading_server_that_hangs_holds_up_no_posting_of_another_one() {
    let mut env = TestCashier::new().await;
    let (slow, second) = (ServerName::read("slow").unwrap(), Login(2_000_012));
    lock(&env.trading.servers).insert(second, slow.clone());
    lock(&env.trading.hanging).insert(slow.clone());
    let there = (0..300).map(|number| DepositRequest { login: second, ..deposit_request(&format!("slow-{number}")) });
    let there = futures_util::future::join_all(there.map(|request| env.deposit_as(request))).await;
    let there: Vec<_> = there.into_iter().map(|outcome| outcome.unwrap().transaction).collect();
    let here = deposits(&env, 1, 300).await;
    assert_eq!((&there[0].server, &here[0].server), (&slow, &ServerName::default()));
    // What is owed to both is found by the first round of a start, that of the slow one first.
    lock(&env.trading.next_posts).extend(std::iter::repeat_n(OnPost::NeverArrives, ENDLESS));
    pay(&env, 1, &there).await;
    pay(&env, 1, &here).await;
    env.power_off().await;
    lock(&env.trading.next_posts).clear();
    env.power_on().await;
    env.run_for(2).await;
    let credited = |made: &[Transaction]| made.iter().filter(|made| env.trading.credited(made.id) == AMOUNT).count();
    assert_eq!((credited(&here), credited(&there)), (300, 0));
    env.run_for(60).await;
    lock(&env.trading.hanging).clear();
    env.run_for(10).await;
    assert_eq!((postings(&env), env.unfinished()), (600, 0));
}

#[tokio::test(start_paused = true)]
async fn s7_a_trading_server_that_loses_every_second_posting_gets_the_rest_and_each_once() {
    let env = TestCashier::new().await;
    let made = deposits(&env, 1, 500).await;
    let lossy = [OnPost::NeverArrives, OnPost::Accept, OnPost::AnswerLost];
    lock(&env.trading.next_posts).extend(lossy.into_iter().cycle().take(1_500));
    pay(&env, 1, &made).await;
    env.run_for(240).await;
    assert_eq!((postings(&env), env.unfinished()), (500, 0));
}

#[tokio::test(start_paused = true)]
async fn s13_three_thousand_unanswered_creates_are_repeated_within_seconds_of_the_providers_return() {
    let env = TestCashier::new().await;
    lock(&env.provider.next_creates).extend(std::iter::repeat_n(OnCreate::AnswerLost, ENDLESS));
    let made = deposits(&env, 1, 3_000).await;
    env.run_for(10).await;
    let before = env.provider.references().len();
    env.run_for(600).await;
    let tries = env.provider.references().len() - before;
    assert!((600..=9 * 600).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(answered(&env, &made), 0);
    lock(&env.provider.next_creates).clear();
    env.run_for(5).await;
    assert_eq!(answered(&env, &made), 3_000);
}

#[tokio::test(start_paused = true)]
async fn s13_a_backlog_of_one_config_whose_provider_hangs_delays_no_other_config() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    lock(&env.provider.next_creates).extend(std::iter::repeat_n(OnCreate::AnswerLost, 700));
    let (hanging, healthy) = (deposits(&env, 1, 500).await, deposits(&env, 2, 200).await);
    lock(&env.provider.next_creates).clear();
    lock(&env.provider.unreachable).push(ConfigId(1));
    env.run_for(6).await;
    assert_eq!(answered(&env, &healthy), 200);
    assert!(answered(&env, &hanging) < 500);
    // Nor does it in any later round.
    lock(&env.provider.next_creates).extend(std::iter::repeat_n(OnCreate::AnswerLost, 50));
    let later: Vec<_> = deposits(&env, 2, 250).await.split_off(200);
    env.run_for(6).await;
    assert_eq!(answered(&env, &later), 50);
    lock(&env.provider.unreachable).clear();
    env.run_for(90).await;
    assert_eq!(answered(&env, &hanging), 500);
}

#[tokio::test(start_paused = true)]
async fn s13_queries_of_a_config_keep_their_pace_and_take_turns() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let (many, few) = (deposits(&env, 1, 400).await, deposits(&env, 2, 5).await);
    for made in many.iter().chain(&few) {
        env.on_query(&made.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    }
    let queries = || env.provider.queries.load(Ordering::SeqCst);
    while queries() == 0 {
        env.run_for(1).await;
    }
    assert_eq!(queries(), 37, "32 in a round, and all of the other config");
    env.run_for(10).await;
    assert_eq!(queries(), 37 + 2 * 32);
    // 400 take thirteen rounds: none is queried twice before all were queried once.
    env.run_for(50).await;
    assert!((400..=420).contains(&queries()), "{}", queries());
    let paid_last = many.last().unwrap();
    env.on_query(&paid_last.reference, QueryAnswer::Stated(Box::new(paid("", &paid_last.reference))));
    env.run_for(240).await;
    assert_eq!(env.status(paid_last.id), 3);
}

#[tokio::test(start_paused = true)]
async fn s3_a_refused_commit_ends_no_pause() {
    let env = TestCashier::new().await;
    let made = deposits(&env, 1, 20).await;
    for made in &made {
        env.on_query(&made.reference, QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    }
    env.run_for(3_600).await;
    let before = env.provider.queries.load(Ordering::SeqCst);
    // Each minute a commit is refused.
    for number in 0..60 {
        env.disk.refuse_in.store(1, Ordering::SeqCst);
        env.deposit(&format!("refused-{number}")).await.unwrap_err();
        env.run_for(60).await;
    }
    let queries = env.provider.queries.load(Ordering::SeqCst) - before;
    assert!(queries <= 40, "{queries} queries about 20 payments in their second hour");
}

fn opens(env: &TestCashier, config: u64) -> bool {
    env.cashier.snapshot().config(ConfigId(config)).is_some_and(|served| served.gateway.is_ok())
}

/// A cashier that was started while no gateway of these configs opened.
async fn without_gateways(configs: u64) -> TestCashier {
    let ids: Vec<u64> = (1..=configs).collect();
    let mut env = TestCashier::with_configs(&ids).await;
    *lock(&env.provider.not_loaded) = ids.iter().copied().map(ConfigId).collect();
    env.crash().await;
    assert!(ids.iter().all(|id| !opens(&env, *id)));
    env
}

#[tokio::test(start_paused = true)]
async fn s4_gateways_that_never_open_leave_the_others_their_turn() {
    for configs in [2, 17, 18, 40] {
        let env = without_gateways(configs).await;
        lock(&env.provider.not_loaded).retain(|id| id.0 != configs);
        // Sixteen a minute.
        env.run_for(60 * configs.div_ceil(16) + 5).await;
        assert!(opens(&env, configs), "{configs} configs");
        lock(&env.provider.not_loaded).clear();
        env.run_for(60 * configs.div_ceil(16) + 5).await;
        assert!((1..=configs).all(|id| opens(&env, id)), "{configs} configs");
    }
}

#[tokio::test(start_paused = true)]
async fn s4_one_unreachable_provider_keeps_no_other_config_of_its_module_closed() {
    let env = without_gateways(3).await;
    lock(&env.provider.unreachable).push(ConfigId(1));
    lock(&env.provider.not_loaded).clear();
    // Opening the first one takes half a minute.
    while !opens(&env, 2) {
        env.run_for(1).await;
    }
    assert_eq!((opens(&env, 1), opens(&env, 3)), (false, true));
    lock(&env.provider.unreachable).clear();
    env.run_for(100).await;
    assert!(opens(&env, 1));
}
