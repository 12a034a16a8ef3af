//! States of transactions in which a command about money is refused.

use cashier_core::facts::{DECISIONS_WITH_REVIEWS_MAX, PersonFact};
use cashier_core::ids::{ConfigId, Reference, TransactionId};
use cashier_core::notice::Update;
use cashier_core::reason::ReasonCode;
use cashier_core::status::TransactionStatus;

use super::*;
use crate::manager::tests::manual::entry;
use crate::ports::QueryAnswer;
use crate::test_cashier::{OnPost, OnRefund, lock, paid};

const ID: TransactionId = TransactionId(1);
pub(super) const CLOSE: &str = r#"{"id":1,"action":"refuse","reason":"r"}"#;
pub(super) const TOO_MUCH: &str = r#"{"id":1,"action":"credit","amount":200.01,"reason":"r"}"#;
const PART: &str = r#"{"id":1,"amount":30,"reason":"r"}"#;

fn prepared(api: ManagerApi, data: &str) -> Prepared {
    Prepared { api, data: data.into() }
}

/// Transaction 1, a deposit of 100 USD that is not paid.
async fn opened() -> (ManagerApi, Reference) {
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    (api, reference)
}

pub(super) async fn pending(data: &str) -> Prepared {
    prepared(opened().await.0, data)
}

async fn paid_as(api: &ManagerApi, payment: &str, reference: &Reference) {
    let stated = Update { payment_id: payment.into(), ..paid(payment, reference) };
    api.env.notice(Some(1), vec![stated]).await.unwrap();
}

/// The same, with as many decisions of persons as there may be.
pub(super) async fn decided(made: Prepared) -> Prepared {
    for number in 0..DECISIONS_WITH_REVIEWS_MAX {
        made.api.env.decide(ID, PersonFact::Explained { words: format!("call {number}").into() }).await;
    }
    made
}

pub(super) async fn credited(data: &str) -> Prepared {
    let (api, reference) = opened().await;
    paid_as(&api, "pay_1", &reference).await;
    assert_eq!(api.env.status(ID), 3);
    prepared(api, data)
}

pub(super) async fn entered_under_the_key(name: &'static str) -> Prepared {
    let api = ManagerApi::open().await;
    api.entered(name, r#""idempotency_key":"k""#).await;
    prepared(api, &entry(r#""idempotency_key":"k","method":"bank""#))
}

pub(super) async fn entered_of_the_payment(name: &'static str) -> Prepared {
    let api = ManagerApi::open().await;
    api.entered(name, r#""provider_payment_id":"B-1""#).await;
    prepared(api, &entry(r#""provider_payment_id":"B-1""#))
}

pub(super) async fn processed(data: &str) -> Prepared {
    let api = ManagerApi::open().await;
    assert_eq!(api.entered(WITHDRAWAL, r#""process_now":1"#).await, 1);
    prepared(api, data)
}

/// A withdrawal that waits for a person.
pub(super) async fn waiting(data: &str) -> Prepared {
    let api = ManagerApi::open().await;
    assert_eq!(api.entered(WITHDRAWAL, "").await, 1);
    prepared(api, data)
}

async fn withdrawal_refused_for(reason: ReasonCode) -> Prepared {
    let api = ManagerApi::open().await;
    assert_eq!(api.entered(WITHDRAWAL, "").await, 1);
    lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(reason));
    prepared(api, r#"{"id":1}"#)
}

pub(super) async fn withdrawal_beyond_the_balance() -> Prepared {
    withdrawal_refused_for(ReasonCode::InsufficientBalance).await
}

pub(super) async fn withdrawal_of_a_disabled_account() -> Prepared {
    withdrawal_refused_for(ReasonCode::AccountDisabled).await
}

/// A credit that was refused, and is refused again for this.
pub(super) async fn refused_credit(reason: ReasonCode) -> Prepared {
    let (api, reference) = opened().await;
    lock(&api.env.trading.next_posts).extend([OnPost::Refuse, OnPost::RefuseFor(reason)]);
    paid_as(&api, "pay_1", &reference).await;
    assert_eq!(api.env.status(ID), 4);
    prepared(api, r#"{"id":1}"#)
}

/// Money that a written status stopped, and a provider that does not answer.
pub(super) async fn released_and_unreachable() -> Prepared {
    let (api, reference) = opened().await;
    api.env.decide(ID, PersonFact::Held(TransactionStatus::Credited)).await;
    paid_as(&api, "pay_1", &reference).await;
    api.env.decide(ID, PersonFact::Released).await;
    api.env.on_query(&reference, QueryAnswer::NoAnswer("down".into()));
    prepared(api, r#"{"id":1}"#)
}

/// A status that the provider contradicts, which does not answer any more.
pub(super) async fn contradicted_and_unreachable() -> Prepared {
    let (api, reference) = opened().await;
    api.env.decide(ID, PersonFact::Held(TransactionStatus::Cancelled)).await;
    paid_as(&api, "pay_1", &reference).await;
    api.env.on_query(&reference, QueryAnswer::NoAnswer("down".into()));
    prepared(api, CLOSE)
}

/// Two payments under one reference, of which one is credited; the next posting is refused for this.
pub(super) async fn paid_twice(data: &str, refused: Option<ReasonCode>) -> Prepared {
    let (api, reference) = opened().await;
    paid_as(&api, "pay_1", &reference).await;
    paid_as(&api, "pay_2", &reference).await;
    assert_eq!(api.env.status(ID), 9);
    lock(&api.env.trading.next_posts).extend(refused.map(OnPost::RefuseFor));
    prepared(api, data)
}

pub(super) async fn refunded_under_the_key() -> Prepared {
    let Prepared { api, .. } = credited("").await;
    let of = |amount: u8| format!(r#"{{"id":1,"amount":{amount},"reason":"r","idempotency_key":"k"}}"#);
    assert_eq!(api.command("manager", refund::REFUND.name, &of(30)).await.0, 200);
    prepared(api, &of(31))
}

pub(super) async fn refused_debit(reason: ReasonCode) -> Prepared {
    let made = credited(PART).await;
    lock(&made.api.env.trading.next_posts).push_back(OnPost::RefuseFor(reason));
    made
}

pub(super) async fn refund_answered(answer: OnRefund) -> Prepared {
    let made = credited(PART).await;
    lock(&made.api.env.provider.next_refunds).push_back(answer);
    made
}

pub(super) async fn refund_without_an_answer() -> Prepared {
    let made = refund_answered(OnRefund::AnswerLost).await;
    assert_eq!(made.api.command("manager", refund::REFUND.name, PART).await.0, 200);
    made
}

pub(super) async fn cancel_answered(answer: QueryAnswer) -> Prepared {
    let made = pending(r#"{"id":1}"#).await;
    *lock(&made.api.env.provider.cancel_answer) = Some(answer);
    made
}

pub(super) async fn event_of_a_module_that_does_not_work() -> Prepared {
    let api = ManagerApi::open().await;
    api.env.raw_notice(Some(1), "unreadable 1".to_owned()).await.unwrap();
    lock(&api.env.provider.not_working).push(ConfigId(1));
    prepared(api, r#"{"id":1}"#)
}

/// Event 1 was applied: nobody waits for anything.
pub(super) async fn applied_event(data: &str) -> Prepared {
    let (api, reference) = opened().await;
    paid_as(&api, "pay_1", &reference).await;
    prepared(api, data)
}

/// Transaction 1, credited and then paid a second time since its ground was shown.
pub(super) async fn changed_since(fields: &str) -> Prepared {
    let (api, reference) = opened().await;
    paid_as(&api, "pay_1", &reference).await;
    let ground = api.ground(1).await;
    paid_as(&api, "pay_2", &reference).await;
    let data = format!(r#"{{"id":1,{fields},"ground":"{ground}"}}"#);
    prepared(api, &data)
}

/// A manual deposit that was approved since its ground was shown, and whose posting was refused.
pub(super) async fn refused_since(fields: &str) -> Prepared {
    let api = ManagerApi::open().await;
    let id = api.entered(DEPOSIT, "").await;
    let ground = api.ground(id).await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    assert_eq!(api.command("manager", PROCESS, &format!(r#"{{"id":{id}}}"#)).await.0, 409);
    let data = format!(r#"{{"id":{id},{fields}"ground":"{ground}"}}"#);
    prepared(api, &data)
}
