//! Refund and cancel as commands: the answer, every error, brand scope and session types.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::facts::PersonFact;
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::notice::{DisputeStatement, Update};
use cashier_core::reason::ReasonCode;
use cashier_core::refund::PaymentAbilities;
use cashier_core::status::{ProviderStatus, TransactionStatus};

use super::review::RESOLVE;
use super::*;
use crate::flows::CANCELS_OF_ONE_PER_MINUTE;
use crate::ports::QueryAnswer;
use crate::test_cashier::{OnPost, OnRefund, lock, paid, update};

const REFUND: &str = "MngRefundCashierTransaction";
const CANCEL: &str = "MngCancelCashierTransaction";

/// A cashier with transaction 1 of 100 USD, which is paid and credited.
async fn credited() -> ManagerApi {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    pay(&api, 1).await;
    api
}

async fn pay(api: &ManagerApi, id: u64) {
    let reference = api.env.aggregate(TransactionId(id)).transaction.reference;
    api.env.notice(Some(1), vec![paid(&format!("evt_paid_{id}"), &reference)]).await.unwrap();
    assert_eq!(api.env.status(TransactionId(id)), 3);
}

fn posted(api: &ManagerApi, id: u64) -> i64 {
    let known = api.env.aggregate(TransactionId(id));
    cashier_core::operation::posted(&known.transaction, &known.operations).minor
}

#[tokio::test(start_paused = true)]
async fn two_part_refunds_are_debited_and_sent_each_once() {
    let api = credited().await;
    let data = r#"{"id":1,"amount":30.0,"reason":"goodwill"}"#;
    let (number, shown) = api.command("crm@ion4", REFUND, data).await;
    assert_eq!((number, &shown["transaction"]["status"]), (200, &json!(3)), "{shown}");
    assert_eq!((&shown["transaction"]["failure_reason"], posted(&api, 1)), (&json!("PARTLY_REFUNDED"), 7_000));
    let (number, shown) = api.command("manager", REFUND, r#"{"id":1,"reason":"the rest"}"#).await;
    assert_eq!((number, &shown["transaction"]["status"], posted(&api, 1)), (200, &json!(7), 0), "{shown}");
    let sent: Vec<_> = lock(&api.env.provider.refunds).iter().map(|sent| sent.refund.clone()).collect();
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    let shown: Vec<_> = sent
        .iter()
        .map(|sent| (sent.id.to_string(), sent.amount.minor, sent.before_minor, sent.completes, &*sent.reason))
        .collect();
    assert_eq!(
        shown,
        [
            (format!("{reference}-refund-1"), 3_000, 0, false, "goodwill"),
            (format!("{reference}-refund-2"), 7_000, 3_000, true, "the rest"),
        ]
    );
    assert_eq!(api.error("manager", REFUND, r#"{"id":1,"reason":"x"}"#).await, (409, "WRONG_STATUS".into()));
}

#[tokio::test(start_paused = true)]
async fn a_refund_larger_than_what_was_confirmed_is_refused_and_names_what_is_left() {
    let api = credited().await;
    for (amount, left) in [("100.01", "100.0 USD"), ("70.5", "70.0 USD")] {
        let data = format!(r#"{{"id":1,"amount":{amount},"reason":"r"}}"#);
        let (number, data) = api.command("manager", REFUND, &data).await;
        assert_eq!((number, &data["error"]), (400, &json!("INVALID_DATA")));
        assert!(data["message"].as_str().unwrap().contains(left), "{data}");
        if left == "100.0 USD" {
            assert_eq!(api.command("manager", REFUND, r#"{"id":1,"amount":30,"reason":"r"}"#).await.0, 200);
        }
    }
    assert_eq!((posted(&api, 1), lock(&api.env.provider.refunds).len()), (7_000, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_cannot_be_is_refused_and_nothing_is_sent() {
    let api = credited().await;
    api.env.deposit("unpaid").await.unwrap();
    let table = [
        ("manager", r#"{"id":1}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":1,"reason":" "}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":1,"reason":"r","amount":0}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":1,"reason":"r","amount":1.005}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":1,"reason":"r","amount":-1}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":1,"reason":"r","note":1}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":2,"reason":"r"}"#, 409, "WRONG_STATUS"),
        ("manager", r#"{"id":99,"reason":"r"}"#, 404, "RET_ERR_NOTFOUND"),
        ("manager@other", r#"{"id":1,"reason":"r"}"#, 404, "RET_ERR_NOTFOUND"),
        ("manager@other", r#"{"id":1,"reason":"r","amount":900}"#, 404, "RET_ERR_NOTFOUND"),
        ("user", r#"{"id":1,"reason":"r"}"#, 403, "PERMISSION_DENIED"),
        ("customer", r#"{"id":1,"reason":"r"}"#, 403, "PERMISSION_DENIED"),
    ];
    for (token, data, number, error) in table {
        assert_eq!(api.error(token, REFUND, data).await, (number, error.into()), "{token} {data}");
    }
    let other = api.command("manager@other", REFUND, r#"{"id":1,"reason":"r"}"#).await;
    let unknown = api.command("manager@other", REFUND, r#"{"id":99,"reason":"r"}"#).await;
    assert_eq!(other, unknown, "a foreign transaction and none are answered alike");
    let can = |refund, partial_refund| Some(PaymentAbilities { refund, partial_refund, cancel: false });
    for (abilities, data, what) in [
        (can(false, false), r#"{"id":1,"reason":"r"}"#, "lacks refund"),
        (can(true, false), r#"{"id":1,"reason":"r","amount":99.99}"#, "lacks partial_refund"),
        (can(true, true), r#"{"id":1,"reason":"r","amount":200}"#, "100.0 USD"),
    ] {
        *lock(&api.env.provider.abilities) = abilities;
        let (number, answered) = api.command("manager", REFUND, data).await;
        assert!(number == 400 && answered["message"].as_str().unwrap().contains(what), "{answered}");
    }
    assert_eq!((posted(&api, 1), lock(&api.env.provider.refunds).len()), (10_000, 0));
    assert!(api.env.aggregate(TransactionId(1)).transaction.facts.refunds().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refund_under_a_disabled_config_records_nothing() {
    let api = credited().await;
    let disabled = api.command("manager", "MngUpdateCashierProviderConfig", r#"{"id":1,"enabled":0}"#).await;
    assert_eq!(disabled.0, 200);
    let refused = api.error("manager", REFUND, r#"{"id":1,"reason":"r"}"#).await;
    assert_eq!(refused, (409, "WRONG_STATUS".into()), "trying later changes nothing");
    assert!(api.env.aggregate(TransactionId(1)).transaction.facts.refunds().is_empty());
    assert!(api.env.cashier.snapshot().config(ConfigId(1)).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_under_a_disabled_config_is_sent_once_that_is_enabled() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    *lock(&api.env.provider.cancel_answer) = Some(QueryAnswer::Stated(Box::new(update("", ProviderStatus::Cancelled))));
    let enable = |enabled: u8| format!(r#"{{"id":1,"enabled":{enabled}}}"#);
    assert_eq!(api.command("manager", "MngUpdateCashierProviderConfig", &enable(0)).await.0, 200);
    let (number, answer) = api.command("manager", CANCEL, r#"{"id":1,"reason":"r"}"#).await;
    assert_eq!((number, answer["error"].as_str()), (409, Some("WRONG_STATUS")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("MngUpdateCashierProviderConfig"), "{answer}");
    assert_eq!((api.env.provider.cancels.load(Ordering::SeqCst), api.env.status(TransactionId(1))), (0, 1));
    assert_eq!(api.command("manager", "MngUpdateCashierProviderConfig", &enable(1)).await.0, 200);
    let (number, shown) = api.command("manager", CANCEL, r#"{"id":1,"reason":"r"}"#).await;
    assert_eq!((number, &shown["transaction"]["status"]), (200, &json!(6)), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_the_trading_server_refuses_is_never_sent() {
    let api = credited().await;
    let table =
        [(ReasonCode::InsufficientBalance, "INSUFFICIENT_BALANCE"), (ReasonCode::AccountDisabled, "POSTING_REFUSED")];
    for (reason, error) in table {
        lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(reason));
        let (number, data) = api.command("manager", REFUND, r#"{"id":1,"amount":30,"reason":"r"}"#).await;
        assert_eq!((number, &data["error"]), (409, &json!(error)));
        assert!(data["message"].as_str().unwrap().contains(reason.name()), "{data}");
        assert_eq!((posted(&api, 1), api.env.status(TransactionId(1))), (10_000, 3));
    }
    let (_, shown) = api.command("manager", "MngGetCashierTransaction", r#"{"id":1}"#).await;
    let expected = "REFUND_REFUSED: refund 2 of 30.0 USD was refused by the trading server: ACCOUNT_DISABLED";
    assert_eq!(shown["transaction"]["failure_reason"], expected);
    api.env.run_for(300).await;
    assert_eq!((posted(&api, 1), lock(&api.env.provider.refunds).len()), (10_000, 0));
    // The balance suffices again.
    assert_eq!(api.command("manager", REFUND, r#"{"id":1,"amount":30,"reason":"r"}"#).await.0, 200);
    assert_eq!((posted(&api, 1), lock(&api.env.provider.refunds).len()), (7_000, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_the_provider_refuses_is_posted_back() {
    let api = credited().await;
    for (answer, number, error, words) in [
        (OnRefund::Decline, 502, "PROVIDER_DECLINED", "charge_disputed"),
        (OnRefund::NotSent, 503, "PROVIDER_UNAVAILABLE", "connection refused"),
    ] {
        lock(&api.env.provider.next_refunds).push_back(answer);
        let (answered, data) = api.command("manager", REFUND, r#"{"id":1,"amount":30,"reason":"r"}"#).await;
        assert_eq!((answered, &data["error"]), (number, &json!(error)));
        assert!(data["message"].as_str().unwrap().contains(words), "{data}");
        assert_eq!((posted(&api, 1), api.env.status(TransactionId(1))), (10_000, 3));
    }
    let operations = api.env.aggregate(TransactionId(1)).operations;
    let amounts: Vec<i64> = operations.iter().map(|known| known.amount.minor).collect();
    assert_eq!(amounts, [10_000, -3_000, 3_000, -3_000, 3_000]);
    api.env.run_for(600).await;
    assert_eq!(lock(&api.env.provider.refunds).len(), 2, "what was refused is not sent again");
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_one_refund() {
    let api = credited().await;
    let data = r#"{"id":1,"amount":30,"reason":"r","idempotency_key":"key-1"}"#;
    let first = api.command("manager", REFUND, data).await;
    assert_eq!((first.0, posted(&api, 1)), (200, 7_000));
    assert_eq!(api.command("manager", REFUND, data).await, first);
    for other in [data.replace("30", "31"), data.replace("\"r\"", "\"s\"")] {
        assert_eq!(api.error("manager", REFUND, &other).await, (409, "IDEMPOTENCY_CONFLICT".into()), "{other}");
    }
    assert_eq!((posted(&api, 1), lock(&api.env.provider.refunds).len()), (7_000, 1));
    lock(&api.env.provider.next_refunds).push_back(OnRefund::Decline);
    let refused = data.replace("key-1", "key-2");
    for _ in 0..2 {
        assert_eq!(api.error("manager", REFUND, &refused).await, (502, "PROVIDER_DECLINED".into()));
    }
    assert_eq!((posted(&api, 1), lock(&api.env.provider.refunds).len()), (7_000, 2));
}

#[tokio::test(start_paused = true)]
async fn a_refund_in_flight_blocks_another() {
    let api = credited().await;
    lock(&api.env.provider.next_refunds).push_back(OnRefund::Slow(5));
    let data = r#"{"id":1,"amount":30,"reason":"r"}"#;
    let second = async {
        api.env.run_for(2).await;
        let (_, shown) = api.command("manager", "MngGetCashierTransaction", r#"{"id":1}"#).await;
        (shown["transaction"]["failure_reason"].clone(), api.command("manager#8", REFUND, data).await)
    };
    let (first, (shown, second)) = tokio::join!(api.command("manager", REFUND, data), second);
    let progress = "refund 1 of 30.0 USD was sent to the provider, and its outcome is not known";
    assert_eq!(shown, format!("REFUND_PENDING: {progress}"));
    assert_eq!((first.0, second.0, &second.1["error"]), (200, 409, &json!("REFUND_UNDER_WAY")));
    assert!(second.1["message"].as_str().unwrap().contains(progress));
    assert_eq!((posted(&api, 1), lock(&api.env.provider.refunds).len()), (7_000, 1));
    assert_eq!(api.command("manager#8", REFUND, data).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn two_managers_at_once_make_one_refund() {
    let api = credited().await;
    let data = r#"{"id":1,"reason":"r"}"#;
    let (one, other) = tokio::join!(api.command("manager", REFUND, data), api.command("manager#8", REFUND, data));
    let mut numbers = [one.0, other.0];
    numbers.sort_unstable();
    assert_eq!((numbers, posted(&api, 1), lock(&api.env.provider.refunds).len()), ([200, 409], 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_chargeback_forbids_a_refund_until_it_is_reversed() {
    let api = credited().await;
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    let disputed = |event: &str, status| Update {
        reference: Some(reference.clone()),
        payment_id: format!("pay_{reference}").into(),
        dispute: Some(DisputeStatement { id: "dp_1".into(), amount: None }),
        ..update(event, status)
    };
    api.env.notice(Some(1), vec![disputed("evt_d", ProviderStatus::Chargeback)]).await.unwrap();
    assert_eq!((posted(&api, 1), api.env.status(TransactionId(1))), (0, 8));
    assert_eq!(api.error("manager", REFUND, r#"{"id":1,"reason":"r"}"#).await, (409, "WRONG_STATUS".into()));
    api.env.notice(Some(1), vec![disputed("evt_r", ProviderStatus::ChargebackReversed)]).await.unwrap();
    assert_eq!((posted(&api, 1), api.env.status(TransactionId(1))), (10_000, 3));
    let (number, shown) = api.command("manager", REFUND, r#"{"id":1,"reason":"r"}"#).await;
    assert_eq!((number, &shown["transaction"]["status"], posted(&api, 1)), (200, &json!(7), 0), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn an_unpaid_deposit_is_cancelled_by_the_answer_of_its_provider_alone() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    let answer = |status| Some(QueryAnswer::Stated(Box::new(update("", status))));
    let data = r#"{"id":1,"reason":"asked by phone"}"#;
    let table = [
        (None, 409, "WRONG_STATUS"),
        (Some(QueryAnswer::NotFound), 502, "PROVIDER_DECLINED"),
        (Some(QueryAnswer::NoAnswer("timed out".into())), 503, "PROVIDER_UNAVAILABLE"),
    ];
    for (answered, number, error) in table {
        *lock(&api.env.provider.cancel_answer) = answered;
        assert_eq!(api.error("manager", CANCEL, data).await, (number, error.into()));
        assert_eq!(api.env.status(TransactionId(1)), 1);
    }
    // A payment that is under way stays.
    *lock(&api.env.provider.cancel_answer) = answer(ProviderStatus::Pending);
    let (number, shown) = api.command("manager", CANCEL, data).await;
    assert_eq!((number, &shown["transaction"]["status"]), (200, &json!(1)));
    for (token, data, number, error) in [
        ("manager@other", data, 404, "RET_ERR_NOTFOUND"),
        ("manager", r#"{"id":9}"#, 404, "RET_ERR_NOTFOUND"),
        ("manager", r#"{"reason":"r"}"#, 400, "INVALID_DATA"),
        ("user", data, 403, "PERMISSION_DENIED"),
    ] {
        assert_eq!(api.error(token, CANCEL, data).await, (number, error.into()), "{token} {data}");
    }
    let calls = api.env.provider.cancels.load(Ordering::SeqCst);
    *lock(&api.env.provider.abilities) = Some(PaymentAbilities { refund: true, ..PaymentAbilities::default() });
    assert_eq!(api.error("manager", CANCEL, data).await, (400, "INVALID_DATA".into()));
    *lock(&api.env.provider.abilities) = None;
    assert_eq!(api.env.provider.cancels.load(Ordering::SeqCst), calls, "what is refused is not sent");
    *lock(&api.env.provider.cancel_answer) = answer(ProviderStatus::Cancelled);
    let (number, shown) = api.command("crm@ion4", CANCEL, data).await;
    assert_eq!((number, &shown["transaction"]["status"]), (200, &json!(6)));
    assert_eq!(api.error("manager", CANCEL, data).await, (409, "WRONG_STATUS".into()));
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_finds_the_payment_made_credits_it() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    *lock(&api.env.provider.cancel_answer) = Some(QueryAnswer::Stated(Box::new(paid("", &reference))));
    assert_eq!(api.error("manager", CANCEL, r#"{"id":1}"#).await, (409, "WRONG_STATUS".into()));
    api.env.run_for(10).await;
    assert_eq!((posted(&api, 1), api.env.status(TransactionId(1))), (10_000, 3));
    let calls = api.env.provider.cancels.load(Ordering::SeqCst);
    assert_eq!(api.error("manager", CANCEL, r#"{"id":1}"#).await, (409, "WRONG_STATUS".into()), "after paid");
    assert_eq!(api.env.provider.cancels.load(Ordering::SeqCst), calls);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_beside_a_query_is_sent_after_it_unless_the_payment_ended_meanwhile() {
    for is_paid in [false, true] {
        let api = ManagerApi::open().await;
        let reference = api.env.deposit("k").await.unwrap().transaction.reference;
        let cancelled = QueryAnswer::Stated(Box::new(update("", ProviderStatus::Cancelled)));
        *lock(&api.env.provider.cancel_answer) = Some(cancelled);
        // A decision queries the provider first where a written status had stopped the money; that takes half a minute.
        for status in [PersonFact::Held(TransactionStatus::CreditFailed), PersonFact::Released] {
            api.env.decide(TransactionId(1), status).await;
        }
        lock(&api.env.provider.unreachable).push(ConfigId(1));
        let resolve = r#"{"id":1,"action":"refuse","reason":"r"}"#;
        let pays = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if is_paid {
                api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
            }
        };
        let cancels = api.command("manager", CANCEL, r#"{"id":1}"#);
        let ((queried, _), (number, answer), ()) =
            tokio::join!(api.command("manager", RESOLVE, resolve), cancels, pays);
        assert_eq!((queried, api.env.provider.queries.load(Ordering::SeqCst)), (503, 1));
        let cancels = api.env.provider.cancels.load(Ordering::SeqCst);
        match is_paid {
            false => assert_eq!((number, &answer["transaction"]["status"], cancels), (200, &json!(6), 1), "{answer}"),
            true => assert_eq!((number, &answer["error"], cancels), (409, &json!("WRONG_STATUS"), 0), "{answer}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_is_repeated_and_changes_nothing_is_recorded_and_sent_so_often_alone() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    api.env.deposit("other").await.unwrap();
    *lock(&api.env.provider.cancel_answer) = Some(QueryAnswer::Stated(Box::new(update("", ProviderStatus::Pending))));
    let of_one = u64::from(CANCELS_OF_ONE_PER_MINUTE);
    let before = api.env.provider.cancels.load(Ordering::SeqCst);
    for number in 0..of_one + 20 {
        let expected = if number < of_one { 200 } else { 429 };
        let token = format!("manager#{}", number % 3 + 1);
        assert_eq!(api.command(&token, CANCEL, r#"{"id":1}"#).await.0, expected, "{number}");
    }
    assert_eq!(api.env.provider.cancels.load(Ordering::SeqCst) - before, of_one);
    let records = || api.all_records().iter().filter(|record| *record.command == *CANCEL).count() as u64;
    assert_eq!(records(), of_one, "what is not recorded is not sent");
    assert_eq!(api.command("manager#1", CANCEL, r#"{"id":2}"#).await.0, 200, "another transaction");
    api.env.clock.advance(Duration::from_secs(60));
    assert_eq!(api.command("manager#1", CANCEL, r#"{"id":1}"#).await.0, 200);
    assert_eq!(records(), of_one + 2);
}
