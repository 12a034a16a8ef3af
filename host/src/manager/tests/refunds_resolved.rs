//! Refunds of payments that a person credited from a review: of another amount than the order's, or in another currency.

use cashier_core::ids::TransactionId;
use cashier_core::money::{Currency, Money};
use cashier_core::notice::{Reach, RefundStatement, StatedAmount, Update};
use cashier_core::refund::PaymentAbilities;

use super::manual_money::resolution;
use super::review::RESOLVE;
use super::*;
use crate::test_cashier::{AMOUNT, lock, paid};

const REFUND: &str = "MngRefundCashierTransaction";

/// Transaction 1 of 100 USD, of which another payment was stated, and credited with this amount by a person.
async fn credited(stated: Money, amount: &str) -> ManagerApi {
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    let stated = Update { amount: Some(StatedAmount::Exact(stated)), ..paid("e", &reference) };
    api.env.notice(Some(1), vec![stated]).await.unwrap();
    assert_eq!(api.env.status(TransactionId(1)), 9);
    let (number, data) = api.command("manager", RESOLVE, &resolution(1, "credit", Some(amount))).await;
    assert_eq!((number, api.env.status(TransactionId(1))), (200, 3), "{data}");
    api
}

#[tokio::test(start_paused = true)]
async fn a_payment_in_another_currency_is_refunded_at_the_provider_alone() {
    for code in ["EUR", "JPY"] {
        let stated = Money::new(AMOUNT, Currency::from_code(code).unwrap());
        let api = credited(stated, "100.0").await;
        for data in [r#"{"id":1,"amount":50,"reason":"r"}"#, r#"{"id":1,"reason":"r"}"#] {
            let (number, answer) = api.command("manager", REFUND, data).await;
            assert_eq!((number, &answer["error"]), (409, &json!("WRONG_STATUS")), "{code} {answer}");
            assert!(answer["message"].as_str().unwrap().contains("refund it at the provider"), "{answer}");
        }
        assert_eq!((api.env.trading.balance(), lock(&api.env.provider.refunds).len()), (AMOUNT, 0), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn that_nothing_was_refunded_in_another_currency_is_no_review_of_its_own() {
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    let euros = |minor| StatedAmount::Exact(Money::new(minor, Currency::from_code("EUR").unwrap()));
    let nothing = RefundStatement { id: "".into(), amount: euros(0), reach: Reach::TotalSoFar, requested: "".into() };
    let stated = Update { amount: Some(euros(AMOUNT)), refund: Some(nothing), ..paid("e", &reference) };
    api.env.notice(Some(1), vec![stated]).await.unwrap();
    let known = api.env.aggregate(TransactionId(1)).transaction;
    assert_eq!(known.facts.open_holds().count(), 1, "{:?}", known.facts);
    assert!(known.reason.to_string().contains("states 100.0 EUR"), "{}", known.reason);
}

#[tokio::test(start_paused = true)]
async fn the_whole_payment_is_what_was_credited_and_not_what_was_ordered() {
    let whole_alone = PaymentAbilities { refund: true, ..PaymentAbilities::default() };
    for (paid_minor, credited_amount, amount) in [(15_000, "150.0", 15_000), (5_000, "50.0", 5_000)] {
        let api = credited(usd(paid_minor), credited_amount).await;
        *lock(&api.env.provider.abilities) = Some(whole_alone);
        // The module can refund all of the payment, and no part of it, be it as large as the order.
        for part in [AMOUNT, amount / 2].into_iter().filter(|part| *part < amount) {
            let data = json!({"id": 1, "amount": part / 100, "reason": "r"}).to_string();
            let (number, answer) = api.command("manager", REFUND, &data).await;
            assert!(number == 400 && answer["message"].as_str().unwrap().contains("lacks partial_refund"), "{answer}");
        }
        let (number, answer) = api.command("manager", REFUND, r#"{"id":1,"reason":"r"}"#).await;
        assert_eq!((number, &answer["transaction"]["status"]), (200, &json!(7)), "{credited_amount}: {answer}");
        let sent: Vec<_> = lock(&api.env.provider.refunds)
            .iter()
            .map(|sent| (sent.refund.amount.minor, sent.refund.completes))
            .collect();
        assert_eq!((sent, api.env.trading.balance()), (vec![(amount, true)], 0));
    }
    // In parts the last one completes it, and the one that reaches the ordered amount does not.
    let api = credited(usd(15_000), "150.0").await;
    for data in [r#"{"id":1,"amount":100,"reason":"r"}"#, r#"{"id":1,"reason":"r"}"#] {
        let (number, answer) = api.command("manager", REFUND, data).await;
        assert_eq!(number, 200, "{answer}");
    }
    let sent: Vec<_> =
        lock(&api.env.provider.refunds).iter().map(|sent| (sent.refund.before_minor, sent.refund.completes)).collect();
    assert_eq!((sent, api.env.trading.balance()), (vec![(0, false), (10_000, true)], 0));
}
