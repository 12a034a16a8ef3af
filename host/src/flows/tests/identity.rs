//! Identity of what providers state: ids of events, references, payments and configs of one merchant account.

use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, Reference, TransactionId};
use cashier_core::notice::Update;
use cashier_core::provider_config::{ProviderConfig, Secret};
use cashier_core::reason::ReasonCode;
use cashier_core::refs::ProviderRef;
use cashier_core::refusal::RefusalCode;
use cashier_core::status::{ProcessingStatus, ProviderStatus};
use cashier_core::transaction::Transaction;

use crate::ports::{QueryAnswer, RawNotice};
use crate::test_cashier::{AMOUNT, OnCreate, TestCashier, config, deposit_request, lock, paid, update};

async fn deposit(env: &TestCashier, config: u64) -> Transaction {
    let request = DepositRequest {
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

#[tokio::test(start_paused = true)]
async fn a_dispute_of_a_payment_under_another_reference_is_taken_from_its_own_transaction_under_its_own_config() {
    for signed_by_both in [true, false] {
        let env = TestCashier::with_configs(&[1, 2]).await;
        let (first, second) = (deposit(&env, 1).await, deposit(&env, 2).await);
        for (config, made) in [(1, &first), (2, &second)] {
            env.notice_signed_by(config, Some(config), vec![paid(&format!("e{config}"), &made.reference)])
                .await
                .unwrap();
        }
        env.run_for(5).await;
        let payment_id = paid("", &first.reference).payment_id;
        let disputed = update("d1", ProviderStatus::Chargeback);
        let disputed = Update { payment_id, reference: Some(second.reference.clone()), ..disputed };
        if signed_by_both {
            env.notice(Some(2), vec![disputed]).await.unwrap();
        } else {
            // Only its own provider may state it.
            let own = Update { reference: Some(first.reference.clone()), ..disputed.clone() };
            env.on_query(&first.reference, QueryAnswer::Stated(Box::new(own)));
            env.notice_signed_by(2, Some(2), vec![disputed]).await.unwrap();
        }
        env.run_for(60).await;
        // What another config alone verified is looked at by a person, whatever the own provider stated.
        let status = if signed_by_both { 8 } else { 9 };
        assert_eq!((env.status(first.id), env.status(second.id), env.trading.balance()), (status, 3, AMOUNT));
    }
}

/// A deposit through config 2 whose create call has not answered yet.
async fn creating(env: &TestCashier) -> (TransactionId, tokio::task::JoinHandle<()>) {
    lock(&env.provider.next_creates).push_back(OnCreate::Slow(30));
    let request = DepositRequest { provider_config_id: Some(ConfigId(2)), ..deposit_request("early") };
    let request = env.deposit_as(request);
    let call = tokio::spawn(async move { drop(request.await) });
    env.run_for(1).await;
    (TransactionId(env.cashier.ledger.peek(|books| books.counters().transaction).unwrap()), call)
}

/// What the provider states about the payment of that deposit, without our reference.
fn early(event: &str) -> Update {
    early_of("pi_123", event)
}

fn early_of(payment: &str, event: &str) -> Update {
    let refs = vec![ProviderRef::new("payment_intent", payment)];
    Update { reference: None, refs, payment_id: payment.into(), ..paid(event, &Reference::from_random(1)) }
}

#[tokio::test(start_paused = true)]
async fn m18_an_early_notice_that_several_configs_verify_is_applied_under_the_one_that_owns_the_payment() {
    for (addressed, crashes) in [(None, false), (Some(1), false), (Some(2), false), (None, true)] {
        let mut env = TestCashier::with_configs(&[1, 2, 3]).await;
        deposit(&env, 1).await;
        let (id, call) = creating(&env).await;
        let outcome = env.notice(addressed, vec![early_of("pi_124", "e1")]).await.unwrap();
        let event = outcome.events[0].id;
        assert_eq!(outcome.events[0].processing_status, ProcessingStatus::Pending);
        if crashes {
            env.crash().await;
        }
        lock(&env.provider.next_creates).clear();
        env.run_for(60).await;
        call.abort();
        let row = env.disk.event_row(event).unwrap();
        assert_eq!(
            (row.transaction_id, row.processing_status),
            (id, ProcessingStatus::Processed),
            "{addressed:?} {crashes}"
        );
        assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT), "{addressed:?} {crashes}");
        assert!(env.notice(addressed, vec![early_of("pi_124", "e1")]).await.unwrap().duplicate);
    }
}

#[tokio::test(start_paused = true)]
async fn m18_a_notice_that_the_owners_gateway_rejects_is_not_applied() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let (id, call) = creating(&env).await;
    env.notice_signed_by(1, None, vec![early("e1")]).await.unwrap();
    call.await.unwrap();
    env.notice_signed_by(1, Some(1), vec![early("e2")]).await.unwrap();
    env.run_for(20).await;
    assert_eq!((env.status(id), env.trading.balance()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn m18_a_notice_to_one_config_about_anothers_payment_is_applied_where_the_owners_gateway_verifies_it() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let made = deposit(&env, 2).await;
    let outcome = env.notice(Some(1), vec![paid("e1", &made.reference)]).await.unwrap();
    assert_eq!((outcome.events[0].config_id, outcome.events[0].transaction_id), (ConfigId(2), made.id));
    env.run_for(5).await;
    assert_eq!((env.status(made.id), env.trading.balance()), (3, AMOUNT));
    assert!(env.notice(None, vec![paid("e1", &made.reference)]).await.unwrap().duplicate);
}

#[tokio::test(start_paused = true)]
async fn m18_one_notice_about_payments_of_two_configs_is_applied_to_both() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    let (one, two) = (deposit(&env, 1).await, deposit(&env, 2).await);
    env.notice(None, vec![paid("e1", &one.reference), paid("e2", &two.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(one.id), env.status(two.id), env.trading.balance()), (3, 3, 2 * AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn m18_an_early_notice_is_retried_while_a_config_that_may_own_it_cannot_verify() {
    let env = TestCashier::with_configs(&[1, 2]).await;
    lock(&env.provider.not_working).push(ConfigId(2));
    // No payment of config 2 is open: nothing to wait for.
    assert!(env.notice(None, vec![early("e0")]).await.is_ok());
    let (id, call) = creating(&env).await;
    for addressed in [None, Some(1)] {
        let refusal = env.notice(addressed, vec![early("e1")]).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::ProviderUnavailable, "{addressed:?}");
    }
    lock(&env.provider.not_working).clear();
    env.notice(None, vec![early("e1")]).await.unwrap();
    call.await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn m20_configs_with_nothing_in_common_but_a_notice_that_both_verify_credit_a_payment_once() {
    let apart = |id: u64| ProviderConfig { secret_key: Secret::new(&format!("CANARY-key-{id}")), ..config(id) };
    let env = TestCashier::with_rows(vec![apart(1), apart(2)]).await;
    let (first, second) = (deposit(&env, 1).await, deposit(&env, 2).await);
    let same = |event: &str, reference| Update { payment_id: "pi_9".into(), ..paid(event, reference) };
    env.notice_signed_by(1, Some(1), vec![same("e1", &first.reference)]).await.unwrap();
    env.notice(Some(2), vec![same("e2", &second.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!((env.status(first.id), env.status(second.id), env.trading.balance()), (3, 9, AMOUNT));
    let third = deposit(&env, 2).await;
    env.notice_signed_by(2, Some(2), vec![same("e3", &third.reference)]).await.unwrap();
    env.run_for(5).await;
    assert_eq!(env.status(third.id), 3, "another account's payment may have the same id");
}

#[tokio::test(start_paused = true)]
async fn m33_a_notice_with_nothing_to_do_is_filed_under_the_providers_own_event_id() {
    let env = TestCashier::new().await;
    *lock(&env.provider.notice_event_id) = "evt_7".into();
    let outcome = env.notice(Some(1), Vec::new()).await.unwrap();
    assert_eq!(
        (&*outcome.events[0].event_id, outcome.events[0].processing_status),
        ("evt_7", ProcessingStatus::Ignored)
    );
    let again = RawNotice { raw_query: "try=2".into(), ..env.request("config 1") };
    let body = env.provider.notice_body(Vec::new()).into();
    assert!(env.receive(Some(1), RawNotice { body, ..again }).await.unwrap().duplicate);
    // It stands for updates without an id of their own, and another notice is another event.
    let made = deposit(&env, 1).await;
    *lock(&env.provider.notice_event_id) = "evt_8".into();
    let outcome = env.notice(Some(1), vec![paid("", &made.reference), paid("evt_9", &made.reference)]).await.unwrap();
    let ids: Vec<&str> = outcome.events.iter().map(|event| &*event.event_id).collect();
    assert_eq!(ids, ["evt_8", "evt_9"]);
}

#[tokio::test(start_paused = true)]
async fn an_early_notice_that_the_owners_config_rejects_has_its_payment_queried_when_the_owner_appears() {
    for crashes in [false, true] {
        let mut env = TestCashier::with_configs(&[1, 2]).await;
        deposit(&env, 1).await;
        let (id, call) = creating(&env).await;
        let outcome = env.notice_signed_by(1, None, vec![early_of("pi_124", "e1")]).await.unwrap();
        assert_eq!(outcome.events[0].processing_status, ProcessingStatus::Pending);
        let reference = env.aggregate(id).transaction.reference;
        env.on_query(&reference, QueryAnswer::Stated(Box::new(Update { event_id: "".into(), ..paid("", &reference) })));
        if crashes {
            env.crash().await;
        }
        lock(&env.provider.next_creates).clear();
        env.run_for(50).await;
        call.abort();
        let row = env.disk.event_row(outcome.events[0].id).unwrap();
        assert_eq!((row.transaction_id, row.processing_status), (id, ProcessingStatus::Failed), "{crashes}");
        assert_eq!((env.status(id), env.trading.balance()), (3, AMOUNT), "{crashes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_under_another_reference_is_taken_from_its_payment_and_given_back_to_the_other_once_that_is_confirmed()
{
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut env = TestCashier::new().await;
        let (first, second) = (deposit(&env, 1).await, deposit(&env, 1).await);
        let own = paid("", &first.reference);
        let refs = vec![ProviderRef::new("payment_intent", &own.payment_id)];
        let status = ProviderStatus::Refunded;
        for step in order {
            let update = match step {
                0 => Update { refs: refs.clone(), ..paid("e1", &first.reference) },
                1 => paid("e2", &second.reference),
                _ => Update {
                    refs: refs.clone(),
                    status,
                    amount: None,
                    payment_id: own.payment_id.clone(),
                    ..paid("e3", &second.reference)
                },
            };
            env.notice(Some(1), vec![update]).await.unwrap();
            env.run_for(30).await;
            env.crash().await;
        }
        env.run_for(60).await;
        let statuses = (env.status(first.id), env.status(second.id));
        assert_eq!((statuses, env.trading.balance()), ((7, 3), AMOUNT), "{order:?}");
        assert_eq!(env.cashier.ledger.peek(|books| books.unsettled()).unwrap(), [], "{order:?}");
    }
}
