//! Retries and ended reviews: requests and answers, exact amounts, and what the provider says after a written status.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::facts::PersonFact;
use cashier_core::ids::{Reference, TransactionId};
use cashier_core::notice::{Reach, RefundStatement, StatedAmount, Update};
use cashier_core::provider_config::ProviderConfig;
use cashier_core::reason::ReasonCode;
use cashier_core::status::{ProviderStatus, TransactionStatus};

use super::manual::by_id;
use super::*;
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnPost, config, lock, paid, update};

pub(super) const RETRY: &str = "MngRetryCashierCredit";
pub(super) const RESOLVE: &str = "MngResolveCashierDoubt";

fn credit(amount: &str) -> String {
    format!(r#"{{"id":1,"action":"credit","amount":{amount},"reason":"as the bank says"}}"#)
}

const REFUSE: &str = r#"{"id":1,"action":"refuse","reason":"not ours"}"#;

impl ManagerApi {
    pub(super) async fn over(env: TestCashier) -> Self {
        let context = ManagerContext { cashier: Arc::clone(&env.cashier), tokens: Arc::new(PlainTokens) };
        Self { env, context }
    }

    /// A deposit of 100 USD, and these statements about it.
    pub(super) async fn with_statements(&self, stated: impl FnOnce(&Reference) -> Vec<Update>) -> Reference {
        let reference = self.env.deposit("k").await.unwrap().transaction.reference;
        for update in stated(&reference) {
            self.env.notice(Some(1), vec![update]).await.unwrap();
        }
        self.env.run_for(2).await;
        reference
    }

    async fn shown(&self) -> (u64, String, i64) {
        let row = self.seen(1).await;
        let reason = row["failure_reason"].as_str().unwrap().split(':').next().unwrap().to_owned();
        (row["status"].as_u64().unwrap(), reason, self.posted(1))
    }
}

fn paid_as(payment: &str, reference: &Reference) -> Update {
    Update { payment_id: payment.into(), ..paid(payment, reference) }
}

fn paid_only(minor: i64, reference: &Reference) -> Update {
    Update { amount: Some(StatedAmount::Exact(usd(minor))), ..paid("other amount", reference) }
}

#[tokio::test(start_paused = true)]
async fn a_second_payment_under_one_reference_is_resolved_with_an_exact_amount() {
    for (request, number, rest) in [
        (credit("200.0"), 200, (3, "", 20_000)),
        (credit("100.0"), 200, (3, "", 10_000)),
        (credit("150.0"), 200, (3, "", 15_000)),
        (REFUSE.into(), 200, (6, "REJECTED", 0)),
        (credit("200.01"), 400, (9, "SECOND_PAYMENT", 10_000)),
    ] {
        let api = ManagerApi::open().await;
        api.with_statements(|own| vec![paid_as("pay_1", own), paid_as("pay_2", own)]).await;
        assert_eq!(api.shown().await, (9, "SECOND_PAYMENT".into(), 10_000));
        let (answered, data) = api.command("manager#8", RESOLVE, &request).await;
        assert_eq!(answered, number, "{data}");
        let (status, reason, posted) = api.shown().await;
        assert_eq!((status, &*reason, posted), rest, "{request}");
        if number == 400 {
            assert_eq!(data["error"], "AMOUNT_OUT_OF_RANGE");
            continue;
        }
        let record = api.records().pop().unwrap();
        assert_eq!((record.manager_id.0, &*record.command, record.transaction_id.0), (8, RESOLVE, 1));
        let fields: Vec<&str> = record.changes.iter().map(|change| &*change.field).collect();
        assert_eq!(fields[..2], ["resolved", "reason"]);
        let again = api.error("manager", RESOLVE, &request).await;
        assert_eq!(again, (409, "RET_ERR_DUPLICATE".into()), "nothing is under review any more");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_what_the_provider_stated_is_credited() {
    for (stated, most, beyond) in [(2_500, "25.0", "25.01"), (15_000, "150.0", "150.01")] {
        let api = ManagerApi::open().await;
        api.with_statements(|own| vec![paid_only(stated, own)]).await;
        assert_eq!(api.shown().await, (9, "AMOUNT_MISMATCH".into(), 0));
        assert_eq!(api.error("manager", RESOLVE, &credit(beyond)).await, (400, "AMOUNT_OUT_OF_RANGE".into()));
        assert_eq!(api.command("manager", RESOLVE, &credit(most)).await.0, 200);
        assert_eq!(api.shown().await, (3, String::new(), stated));
    }
    // Without an amount the order counts.
    let api = ManagerApi::open().await;
    api.with_statements(|own| vec![Update { amount: None, ..paid("e", own) }]).await;
    assert_eq!(api.error("manager", RESOLVE, &credit("100.01")).await.0, 400);
    assert_eq!(api.command("manager", RESOLVE, &credit("99.5")).await.0, 200);
    assert_eq!(api.shown().await, (3, String::new(), 9_950));
}

#[tokio::test(start_paused = true)]
async fn decisions_that_may_not_be_made_are_refused_and_change_nothing() {
    let api = ManagerApi::open().await;
    api.with_statements(|own| vec![paid_only(2_500, own)]).await;
    let without = |part: &str| credit("25.0").replace(part, "");
    let wrong = [
        ("user", RESOLVE, credit("25.0"), 403, "PERMISSION_DENIED"),
        ("manager@other", RESOLVE, credit("25.0"), 404, "RET_ERR_NOTFOUND"),
        ("manager", RESOLVE, credit("25.0").replace("\"id\":1", "\"id\":9"), 404, "RET_ERR_NOTFOUND"),
        ("manager", RESOLVE, without(r#","amount":25.0"#), 400, "INVALID_DATA"),
        ("manager", RESOLVE, without(r#","reason":"as the bank says""#), 400, "INVALID_DATA"),
        ("manager", RESOLVE, without(r#","action":"credit""#), 400, "INVALID_DATA"),
        ("manager", RESOLVE, without("as the bank says"), 400, "INVALID_DATA"),
        ("manager", RESOLVE, credit("0"), 400, "INVALID_DATA"),
        ("manager", RESOLVE, credit("25.001"), 400, "INVALID_DATA"),
        ("manager", RESOLVE, credit("25.0").replace("\"credit\"", "\"refuse\""), 400, "INVALID_DATA"),
        ("manager", RESOLVE, credit("25.0").replace("\"credit\"", "\"pay\""), 400, "INVALID_DATA"),
        ("user", RETRY, by_id(1), 403, "PERMISSION_DENIED"),
        ("manager@other", RETRY, by_id(1), 404, "RET_ERR_NOTFOUND"),
        ("manager", RETRY, by_id(9), 404, "RET_ERR_NOTFOUND"),
        ("manager", RETRY, by_id(1), 409, "RET_ERR_DUPLICATE"),
        ("manager", RETRY, r#"{"id":1,"confirmed_absent":1}"#.into(), 409, "RET_ERR_DUPLICATE"),
        ("manager", RETRY, r#"{"id":1,"confirmed_absent":2}"#.into(), 400, "INVALID_DATA"),
    ];
    for (token, name, data, number, error) in wrong {
        assert_eq!(api.error(token, name, &data).await, (number, error.into()), "{token} {name} {data}");
    }
    assert_eq!((api.shown().await, api.records().len()), ((9, "AMOUNT_MISMATCH".into(), 0), 0));
    let manual = api.entered("MngCreateManualCashierDeposit", r#""force":1"#).await;
    let resolve = credit("25.0").replace("\"id\":1", &format!("\"id\":{manual}"));
    for (name, data) in [(RESOLVE, resolve), (RETRY, by_id(manual))] {
        assert_eq!(api.error("manager", name, &data).await.0, 409, "{name}: a manual one is processed or rejected");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_credit_is_retried_until_the_trading_server_takes_it() {
    let api = ManagerApi::open().await;
    lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(ReasonCode::AccountDisabled));
    api.with_statements(|own| vec![paid("e", own)]).await;
    assert_eq!(api.shown().await, (4, "CREDIT_REFUSED".into(), 0));
    for (reason, error) in [
        (ReasonCode::AccountDisabled, "POSTING_REFUSED"),
        (ReasonCode::CurrencyMismatch, "POSTING_REFUSED"),
        (ReasonCode::InsufficientBalance, "INSUFFICIENT_BALANCE"),
    ] {
        lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(reason));
        let refused = api.error("manager", RETRY, &by_id(1)).await;
        assert_eq!(refused, (409, error.into()), "the trading server refused it again");
    }
    let (number, data) = api.command("manager#8", RETRY, &by_id(1)).await;
    assert_eq!((number, &data["transaction"]["status"]), (200, &json!(3)));
    assert_eq!(api.error("manager", RETRY, &by_id(1)).await, (409, "RET_ERR_DUPLICATE".into()), "nothing is owed");
    assert_eq!(api.shown().await, (3, String::new(), AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn of_two_retries_at_once_one_posts() {
    let api = ManagerApi::open().await;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.with_statements(|own| vec![paid("e", own)]).await;
    let data = by_id(1);
    let both = tokio::join!(api.command("manager#8", RETRY, &data), api.command("manager#9", RETRY, &data));
    let mut numbers = [both.0.0, both.1.0];
    numbers.sort_unstable();
    assert_eq!((numbers, api.shown().await), ([200, 409], (3, String::new(), AMOUNT)));
}

#[tokio::test(start_paused = true)]
async fn a_reversal_that_waits_is_taken_by_a_retry() {
    let waits = ProviderConfig { settings_json: r#"{"reversal":"review"}"#.into(), ..config(1) };
    let api = ManagerApi::over(TestCashier::with_rows(vec![waits]).await).await;
    let refund = |own: &Reference| {
        let amount = StatedAmount::Exact(usd(3_000));
        let refund = RefundStatement { id: "re_1".into(), amount, reach: Reach::Delta, requested: "".into() };
        Update { reference: Some(own.clone()), refund: Some(refund), ..update("r", ProviderStatus::Refunded) }
    };
    api.with_statements(|own| vec![paid("e", own), refund(own)]).await;
    assert_eq!(api.shown().await, (9, "REVERSAL_WAITS".into(), AMOUNT));
    assert_eq!(api.command("manager", RETRY, &by_id(1)).await.0, 200);
    assert_eq!(api.shown().await, (3, "PARTLY_REFUNDED".into(), AMOUNT - 3_000));
}

#[tokio::test(start_paused = true)]
async fn a_posting_without_an_answer_is_given_up_only_once_its_connection_is_closed() {
    let api = ManagerApi::over(TestCashier::new().await).await;
    api.env.trading.unkeyed.store(true, Ordering::SeqCst);
    lock(&api.env.trading.next_posts).push_back(OnPost::NeverArrives);
    api.with_statements(|own| vec![paid("e", own)]).await;
    let absent = r#"{"id":1,"confirmed_absent":1}"#;
    for (closed, number) in [(None, 409), (Some(59), 409), (Some(60), 200)] {
        *lock(&api.env.trading.closed_for) = closed.map(Duration::from_secs);
        assert_eq!(api.error("manager", RETRY, &by_id(1)).await.0, 409, "nobody stated that it is absent");
        assert_eq!(api.command("manager", RETRY, absent).await.0, number, "{closed:?}");
    }
    api.env.run_for(60).await;
    assert_eq!(api.shown().await, (3, String::new(), AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_posting_that_was_made_is_not_made_again_by_who_states_that_it_is_absent() {
    // While it is under way, and after it got no answer: then its key is asked for, and was posted.
    for (seconds, expected) in [(1, 409), (4, 200)] {
        let api = ManagerApi::over(TestCashier::new().await).await;
        lock(&api.env.trading.next_posts).extend([OnPost::AnswerLost, OnPost::NeverArrives, OnPost::NeverArrives]);
        api.with_statements(|own| vec![paid("e", own)]).await;
        api.env.run_for(seconds).await;
        let (number, data) = api.command("manager", RETRY, r#"{"id":1,"confirmed_absent":1}"#).await;
        assert_eq!(number, expected, "{seconds}: {data}");
        api.env.run_for(120).await;
        assert_eq!(api.shown().await, (3, String::new(), AMOUNT));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_written_status_the_provider_is_queried_before_money_moves() {
    for stated in [Some(true), Some(false), None] {
        let api = ManagerApi::open().await;
        let reference = api.env.deposit("k").await.unwrap().transaction.reference;
        let id = TransactionId(1);
        api.env.decide(id, PersonFact::Held(TransactionStatus::Credited)).await;
        assert_eq!(api.error("manager", RETRY, &by_id(1)).await.0, 409, "it is held");
        api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
        api.env.run_for(60).await;
        assert_eq!(api.shown().await, (3, String::new(), 0), "held 3: settled outside");
        api.env.decide(id, PersonFact::Released).await;
        api.env.run_for(600).await;
        assert_eq!(api.shown().await, (2, String::new(), 0), "the display alone is released");
        let due = api.env.cashier.ledger.peek(|books| books.unsettled()).unwrap();
        assert_eq!(due, [id], "that it waits for a person is listed");
        let answer = match stated {
            Some(true) => QueryAnswer::Stated(Box::new(paid("", &reference))),
            Some(false) => {
                let refund = RefundStatement {
                    id: "".into(),
                    amount: StatedAmount::Exact(usd(AMOUNT)),
                    reach: Reach::TotalSoFar,
                    requested: "".into(),
                };
                QueryAnswer::Stated(Box::new(Update { refund: Some(refund), ..paid("", &reference) }))
            }
            None => QueryAnswer::NoAnswer("down".into()),
        };
        api.env.on_query(&reference, answer);
        let (number, data) = api.command("manager", RETRY, &by_id(1)).await;
        let rest = api.shown().await;
        match stated {
            Some(true) => assert_eq!((number, rest), (200, (3, String::new(), AMOUNT)), "{data}"),
            Some(false) => {
                assert_eq!((number, rest), (409, (7, String::new(), 0)), "it was refunded meanwhile: {data}")
            }
            None => {
                assert_eq!((number, data["error"].as_str()), (503, Some("PROVIDER_UNAVAILABLE")));
                assert_eq!(rest, (2, String::new(), 0));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_the_provider_contradicts_is_resolved_and_released() {
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    api.env.decide(TransactionId(1), PersonFact::Held(TransactionStatus::Cancelled)).await;
    api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
    assert_eq!(api.shown().await, (9, "HELD_BUT_HEARD".into(), 0));
    api.env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    assert_eq!(api.command("manager", RESOLVE, &credit("100.0")).await.0, 200);
    assert_eq!(api.shown().await, (3, String::new(), AMOUNT));
}
