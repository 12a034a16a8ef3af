//! Deposits in another currency than their account's: at which rate they are taken, when they are not, and that everything that goes
//! back does so at that rate. The accounts are in dollars.

use std::sync::atomic::Ordering;

use cashier_core::conversion::{Conversion, ConversionTerms, Margin, Rate, StatedRate};
use cashier_core::deposit::DepositRequest;
use cashier_core::ids::{ConfigId, ManagerId, Reference};
use cashier_core::money::{Currency, Limit, Money};
use cashier_core::notice::{DisputeStatement, Reach, RefundStatement, StatedAmount, Update};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{CustomerSession, ManagerSession, Role};
use cashier_core::status::ProviderStatus;
use cashier_core::transaction::Transaction;

use crate::flows::methods;
use crate::flows::roster::{RosterRequest, apply};
use crate::test_cashier::{CUSTOMER, LOGIN, OnPost, TestCashier, config, context, deposit_request, lock, paid};

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

fn euros(minor: i64) -> Money {
    Money::new(minor, currency("EUR"))
}

fn order(key: &str, amount: Money) -> DepositRequest {
    DepositRequest { amount, ..deposit_request(key) }
}

/// States a rate of the euro that is so many seconds old.
fn state(env: &TestCashier, rate: &str, age: i64) {
    let rate = Rate::parse(rate).unwrap();
    let time = env.cashier.clock.now().plus(-age);
    let pair = (currency("EUR"), currency("USD"));
    lock(&env.trading.rates).insert(pair, StatedRate { rate, time, source: "desk".into() });
}

async fn opened(env: &TestCashier, key: &str) -> Transaction {
    env.deposit_as(order(key, euros(10_000))).await.unwrap().transaction
}

async fn refused(env: &TestCashier, request: DepositRequest) -> (RefusalCode, String) {
    let Refusal { code, message, .. } = env.deposit_as(request).await.unwrap_err();
    (code, message)
}

fn stated(event: &str, reference: &Reference, status: ProviderStatus, minor: i64) -> Update {
    let amount = StatedAmount::Exact(euros(minor));
    let refund = RefundStatement { id: event.into(), amount, reach: Reach::Delta, requested: "".into() };
    let dispute = DisputeStatement { id: "dp_1".into(), amount: Some(StatedAmount::Exact(euros(minor))) };
    let is_refund = status == ProviderStatus::Refunded;
    Update {
        amount: None,
        status,
        refund: is_refund.then_some(refund),
        dispute: (!is_refund).then_some(dispute),
        event_id: event.into(),
        ..paid(event, reference)
    }
}

fn paid_euros(event: &str, reference: &Reference, minor: i64) -> Update {
    Update { amount: Some(StatedAmount::Exact(euros(minor))), ..paid(event, reference) }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_in_another_currency_is_credited_and_taken_back_at_its_frozen_rate() {
    let env = TestCashier::new().await;
    state(&env, "1.0832", 10);
    let row = opened(&env, "k").await;
    let (id, reference) = (row.id, row.reference.clone());
    assert_eq!((row.amount, row.converted().to_string()), (euros(10_000), "108.32 USD".to_owned()));
    assert_eq!(lock(&env.provider.orders)[0].amount, euros(10_000), "the provider is sent the order's currency");
    // Whatever the rate is by then.
    state(&env, "2", 0);
    env.notice(Some(1), vec![paid_euros("e1", &reference, 10_000)]).await.unwrap();
    assert_eq!((env.status(id), env.trading.credited(id)), (3, 10_832));
    env.notice(Some(1), vec![stated("re_1", &reference, ProviderStatus::Refunded, 3_333)]).await.unwrap();
    assert_eq!((env.status(id), env.trading.credited(id)), (3, 7_221));
    env.notice(Some(1), vec![stated("d1", &reference, ProviderStatus::Chargeback, 6_667)]).await.unwrap();
    assert_eq!((env.status(id), env.trading.credited(id)), (8, 0));
    env.notice(Some(1), vec![stated("d2", &reference, ProviderStatus::ChargebackReversed, 6_667)]).await.unwrap();
    assert_eq!((env.status(id), env.trading.credited(id)), (3, 7_221));
    env.notice(Some(1), vec![stated("re_2", &reference, ProviderStatus::Refunded, 6_667)]).await.unwrap();
    assert_eq!((env.status(id), env.trading.credited(id)), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_answered_with_the_frozen_rate_and_asks_for_none() {
    let mut env = TestCashier::new().await;
    state(&env, "1.0832", 0);
    let first = opened(&env, "k").await;
    let expected = Conversion {
        rate: Rate::parse("1.0832").unwrap(),
        time: lock(&env.trading.rates).values().next().unwrap().time,
        source: "desk".into(),
    };
    assert_eq!(first.conversion.as_deref(), Some(&expected));
    lock(&env.trading.rates).clear();
    env.trading.rates_fail.store(true, Ordering::SeqCst);
    env.crash().await;
    let again = opened(&env, "k").await;
    assert_eq!((again.id, again.conversion), (first.id, first.conversion));
    let other = refused(&env, order("k", euros(10_001))).await;
    assert_eq!(other.0, RefusalCode::IdempotencyConflict);
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_that_may_be_used_nothing_is_begun() {
    let mut env = TestCashier::new().await;
    let required = (RefusalCode::CurrencyConversionRequired, "the account is in USD, the amount in EUR".to_owned());
    assert_eq!(refused(&env, order("k", euros(10_000))).await, required, "none is stated");
    for age in [301, -1] {
        state(&env, "1.0832", age);
        assert_eq!(refused(&env, order("k", euros(10_000))).await, required, "{age}");
    }
    state(&env, "1.0832", 0);
    let small = refused(&env, order("k", Money::new(1, currency("JPY")))).await;
    assert_eq!(small.0, RefusalCode::CurrencyConversionRequired, "of another currency none is stated");
    state(&env, "0.5", 0);
    assert_eq!(refused(&env, order("k", euros(1))).await.0, RefusalCode::AmountOutOfRange);
    state(&env, "1.1", 0);
    assert_eq!(refused(&env, order("k", euros(1_000_000_000_000_000))).await.0, RefusalCode::AmountOutOfRange);
    env.trading.rates_fail.store(true, Ordering::SeqCst);
    assert_eq!(refused(&env, order("k", euros(10_000))).await.0, RefusalCode::StorageUnavailable);
    assert!(env.deposit("usd").await.is_ok(), "the account's own currency needs none");
    assert_eq!((env.aggregates().len(), lock(&env.provider.orders).len()), (1, 1), "and nothing was sent");
    env.trading.rates_fail.store(false, Ordering::SeqCst);
    let margins = [("ion4".into(), Margin::parse("0.5").unwrap())].into();
    *lock(&env.trading.conversion) = ConversionTerms { rate_age_seconds: 60, margins };
    env.crash().await;
    state(&env, "1.0832", 61);
    assert_eq!(refused(&env, order("k", euros(10_000))).await, required, "as the settings say");
    state(&env, "1.0832", 60);
    let row = opened(&env, "k").await;
    assert_eq!(
        (row.converted().to_string(), row.conversion.unwrap().rate.to_wire()),
        ("107.77 USD".into(), "1.077784".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_method_serves_and_limits_an_order_in_the_orders_currency() {
    let limit = |text: &str| Limit::parse(text).unwrap();
    let of = |id: u64, code: &str| ProviderConfig { currency: code.into(), ..config(id) };
    let limited = ProviderConfig { min_amount: limit("50"), max_amount: limit("150"), ..of(2, "EUR") };
    let env = TestCashier::with_rows(vec![of(1, "USD"), limited, of(3, "GBP")]).await;
    let session = CustomerSession::assertion(CUSTOMER, None);
    let listed = async || {
        let listed = methods::list(&env.cashier, &session, LOGIN).await.unwrap();
        listed.iter().map(|method| method.config.id.0).collect::<Vec<u64>>()
    };
    assert_eq!(listed().await, [1]);
    let required = refused(&env, order("k", euros(10_000))).await;
    assert_eq!(required.0, RefusalCode::CurrencyConversionRequired);
    state(&env, "1.0832", 0);
    assert_eq!(listed().await, [1, 2], "no rate of the pound is stated");
    assert_eq!(opened(&env, "k").await.config_id.0, 2);
    let beyond = refused(&env, order("b", euros(15_001))).await;
    assert_eq!(beyond, (RefusalCode::AmountOutOfRange, "amount must be from 50.0 to 150.0 (EUR)".to_owned()));
    let elsewhere = DepositRequest { provider_config_id: Some(ConfigId(1)), ..order("c", euros(10_000)) };
    assert_eq!(refused(&env, elsewhere).await.0, RefusalCode::MethodNotAvailable, "its currency could be converted");
    state(&env, "1.0832", 301);
    assert_eq!(listed().await, [1], "a rate that is too old lists nothing");
    env.trading.rates_fail.store(true, Ordering::SeqCst);
    assert_eq!(listed().await, [1], "and the methods of the account's currency are listed without an answer");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_states_the_accounts_currency_is_reviewed_and_credits_nothing() {
    let env = TestCashier::new().await;
    state(&env, "1.0832", 0);
    let row = opened(&env, "k").await;
    env.notice(Some(1), vec![paid("e1", &row.reference)]).await.unwrap();
    let known = env.aggregate(row.id).transaction;
    assert_eq!((known.status.number(), env.trading.credited(row.id)), (9, 0));
    assert_eq!(&*known.reason.detail, "expected 100.0 EUR, the provider states 100.0 USD");
}

#[tokio::test(start_paused = true)]
async fn what_is_credited_survives_crashes_in_the_middle_of_it() {
    let mut env = TestCashier::new().await;
    state(&env, "1.0832", 0);
    let row = opened(&env, "k").await;
    lock(&env.trading.next_posts).push_back(OnPost::AnswerLost);
    let notice = env.notice(Some(1), vec![paid_euros("e1", &row.reference, 10_000)]);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), notice).await;
    env.crash().await;
    env.run_for(120).await;
    assert_eq!((env.status(row.id), env.trading.credited(row.id)), (3, 10_832));
    assert_eq!(env.aggregate(row.id).transaction.conversion, row.conversion);
}

#[tokio::test(start_paused = true)]
async fn an_imported_rate_is_used_and_who_imported_it_is_recorded() {
    let env = TestCashier::with_bases(&[1]).await;
    let now = env.cashier.clock.now();
    let rates = format!(r#"{{"rates":[{{"from":"EUR","to":"USD","rate":"1.0832","source":"desk","time":{now}}}]}}"#);
    let session = ManagerSession::assertion(ManagerId(3), Role::Admin, None);
    let request = RosterRequest { session, command: "test", text: rates.into(), context: context() };
    assert_eq!(apply(&env.cashier, request).await.unwrap().unwrap().rates.added, 1);
    let recorded = env.disk.bodies().into_iter().any(|body| format!("{body:?}").contains("rate EUR USD"));
    assert!(recorded, "the record of the change names it");
    let row = opened(&env, "k").await;
    env.notice(Some(1), vec![paid_euros("e1", &row.reference, 10_000)]).await.unwrap();
    env.run_for(5).await;
    let posted: Vec<i64> = env.trading.postings().iter().map(|(.., minor)| *minor).collect();
    assert_eq!((env.status(row.id), posted), (3, vec![10_832]));
}
