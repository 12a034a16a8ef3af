//! Identity of what providers state: ids of events, references, payments and configs of one merchant account.

use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::notice::Update;
use cashier_core::reason::ReasonCode;
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::Transaction;

use crate::ports::{QueryAnswer, RawNotice};
use crate::test_cashier::{AMOUNT, TestCashier, deposit_request, paid, update};

async fn deposit(env: &TestCashier, config: u64) -> Transaction {
    let request = cashier_core::deposit::DepositRequest {
        provider_config_id: Some(ConfigId(config)),
        ..deposit_request(&format!("{config} {}", env.unfinished()))
    };
    env.deposit_as(request).await.unwrap().transaction
}

fn reason(env: &TestCashier, id: TransactionId) -> ReasonCode {
    env.aggregate(id).transaction.reason.code
}

#[tokio::test(start_paused = true)]
async fn m19_two_notices_whose_content_is_in_the_query_are_two_events() {
    let env = TestCashier::new().await;
    let made = deposit(&env, 1).await;
    let pending = Update { reference: Some(made.reference.clone()), ..update("", ProviderStatus::Pending) };
    let (first, second) = (
        env.provider.notice_body(vec![pending]),
        env.provider.notice_body(vec![Update { event_id: "".into(), ..paid("", &made.reference) }]),
    );
    let by_query = |content: &str| RawNotice { raw_query: content.into(), ..env.request("config 1") };
    env.receive(Some(1), by_query(&first)).await.unwrap();
    let outcome = env.receive(Some(1), by_query(&second)).await.unwrap();
    assert!(!outcome.duplicate);
    assert!(env.receive(Some(1), by_query(&second)).await.unwrap().duplicate);
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn m26_three_updates_with_the_ids_x2_x_and_x_are_three_events_and_the_ledger_stays_open() {
    let env = TestCashier::new().await;
    let made = deposit(&env, 1).await;
    let named = |id| Update { reference: Some(made.reference.clone()), ..update(id, ProviderStatus::Pending) };
    let notice = vec![named("x/2"), named("x"), named("x")];
    let outcome = env.notice(Some(1), notice.clone()).await.unwrap();
    let ids: std::collections::BTreeSet<_> = outcome.events.iter().map(|event| event.event_id.clone()).collect();
    assert_eq!((ids.len(), outcome.duplicate), (3, false));
    assert!(env.notice(Some(1), notice).await.unwrap().duplicate);
    env.notice(Some(1), vec![paid("e1", &made.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn m20_a_payment_id_confirmed_for_two_references_is_credited_once_also_after_a_crash() {
    for config in [1, 2] {
        let mut env = TestCashier::with_configs(&[1, 2]).await;
        let (first, second) = (deposit(&env, 1).await, deposit(&env, config).await);
        env.notice_signed_by(1, Some(1), vec![paid("e1", &first.reference)]).await.unwrap();
        env.crash().await;
        let reused = Update { payment_id: paid("", &first.reference).payment_id, ..paid("e2", &second.reference) };
        env.notice_signed_by(config, Some(config), vec![reused.clone()]).await.unwrap();
        env.on_query(&second.reference, QueryAnswer::Stated(Box::new(reused)));
        env.run_for(200).await;
        assert_eq!((env.status(first.id), env.status(second.id), env.trading.balance()), (3, 9, AMOUNT), "{config}");
        assert_eq!(reason(&env, second.id), ReasonCode::PaymentIdReused);
    }
}

#[tokio::test(start_paused = true)]
async fn m20_a_payment_id_in_the_answer_to_a_query_is_credited_once() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let (first, second) = (deposit(&env, 1).await, deposit(&env, 2).await);
    env.notice_signed_by(1, Some(1), vec![paid("e1", &first.reference)]).await.unwrap();
    let reused =
        Update { payment_id: paid("", &first.reference).payment_id, reference: None, ..paid("", &second.reference) };
    env.on_query(&second.reference, QueryAnswer::Stated(Box::new(reused)));
    env.run_for(200).await;
    assert_eq!((env.status(first.id), env.status(second.id), env.trading.balance()), (3, 9, AMOUNT));
    assert_eq!(reason(&env, second.id), ReasonCode::PaymentIdReused);
}
