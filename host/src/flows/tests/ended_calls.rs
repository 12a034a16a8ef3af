//! The start after a call that ended the process: its create call is asked about and never repeated, inside any window and by
//! any build; and a module that plugins.toml disables makes no order that waits.

use std::sync::atomic::Ordering;

use cashier_core::ids::{ConfigId, EventId, TransactionId};
use cashier_core::transaction::FirstAnswer;

use crate::ports::{EndedCalls, EndedNotice, QueryAnswer};
use crate::test_cashier::{AMOUNT, OnCreate, TestCashier, lock, paid};

const DAY: u64 = 86_400;

/// A create call that the process did not live to see the end of; the next start is not made yet.
async fn cut_create(env: &mut TestCashier) -> (TransactionId, Box<str>) {
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    env.power_off().await;
    request.abort();
    let reference = env.provider.references()[0].clone();
    (TransactionId(1), reference.as_str().into())
}

fn first_answer(env: &TestCashier) -> FirstAnswer {
    env.aggregate(TransactionId(1)).transaction.first_answer
}

#[tokio::test(start_paused = true)]
async fn c1_a_create_call_that_ended_the_process_is_asked_about_and_never_repeated() {
    let mut env = TestCashier::new().await;
    let call = cut_create(&mut env).await;
    lock(&env.provider.ended_calls).creates.push(call);
    // The gateway opens at once: another build is in the file's place, and the window is open.
    env.power_on().await;
    assert_eq!(first_answer(&env), FirstAnswer::Crashed);
    env.run_for(600).await;
    assert!(env.provider.queries.load(Ordering::SeqCst) > 0, "it is asked about");
    // Found again by each start that keeps the call, and no more by one after its release.
    env.crash().await;
    *lock(&env.provider.ended_calls) = EndedCalls::default();
    env.crash().await;
    env.run_for(600).await;
    assert_eq!((env.provider.references().len(), first_answer(&env)), (1, FirstAnswer::Crashed), "sent once");
    let reference = env.provider.references()[0].clone();
    let stated = QueryAnswer::Stated(Box::new(paid("e1", &reference)));
    lock(&env.provider.query_answers).insert(reference, stated);
    env.run_for(DAY).await;
    assert_eq!((env.status(TransactionId(1)), env.trading.balance()), (3, AMOUNT));
    assert_eq!(env.provider.references().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn c1_a_kept_call_is_about_the_transaction_of_its_reference_alone() {
    let mut env = TestCashier::new().await;
    let (id, _) = cut_create(&mut env).await;
    lock(&env.provider.ended_calls).creates.push((id, "d00000000000other000".into()));
    lock(&env.provider.ended_calls).creates.push((TransactionId(99), "d0000000000000000000".into()));
    env.power_on().await;
    env.run_for(60).await;
    assert_eq!((env.provider.references().len(), first_answer(&env)), (2, FirstAnswer::Accepted), "repeated as ever");
}

#[tokio::test(start_paused = true)]
async fn c1_what_is_known_of_a_payment_is_not_forgotten_for_a_call_that_ended_the_process() {
    let mut env = TestCashier::new().await;
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(3));
    let request = tokio::spawn(env.deposit("k"));
    env.run_for(1).await;
    let reference = env.provider.references()[0].clone();
    env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    env.power_off().await;
    request.abort();
    lock(&env.provider.ended_calls).creates.push((TransactionId(1), reference.as_str().into()));
    env.power_on().await;
    env.run_for(600).await;
    assert_eq!((env.status(TransactionId(1)), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn c1_a_module_that_plugins_toml_disables_makes_no_order_that_waits_until_it_is_enabled_again() {
    let mut env = TestCashier::new().await;
    cut_create(&mut env).await;
    env.provider.is_disabled.store(true, Ordering::SeqCst);
    env.power_on().await;
    env.run_for(3_600).await;
    assert_eq!((env.provider.references().len(), first_answer(&env)), (1, FirstAnswer::Unknown));
    assert!(env.provider.queries.load(Ordering::SeqCst) > 0, "it is asked about");
    env.provider.is_disabled.store(false, Ordering::SeqCst);
    env.crash().await;
    env.run_for(60).await;
    assert_eq!((env.provider.references().len(), first_answer(&env)), (2, FirstAnswer::Accepted));
}

#[tokio::test(start_paused = true)]
async fn c2_what_is_left_of_a_notice_that_ended_the_process_is_stored_as_not_verified() {
    let mut env = TestCashier::new().await;
    let notice = env.request("config 1");
    let ended = EndedNotice { provider: "stripe".into(), config_id: ConfigId(1), reason: "SIGSEGV".into(), notice };
    env.power_off().await;
    lock(&env.provider.ended_calls).notices.push(ended);
    env.power_on().await;
    env.run_for(1).await;
    let row = env.disk.event_row(EventId(1)).expect("it is stored");
    assert_eq!((row.signature_status.number(), row.config_id), (0, ConfigId(1)));
    assert_eq!(&*row.failure_reason, "the notice is barred: SIGSEGV");
}
