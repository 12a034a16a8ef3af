//! Manual deposits and withdrawals: requests and answers, who may decide what, and what the trading server refuses.

use std::sync::atomic::Ordering;

use cashier_core::ids::{CustomerId, TransactionId};
use cashier_core::reason::ReasonCode;
use cashier_core::session::CustomerSession;
use cashier_core::withdrawal::WithdrawalRequest;

use super::*;
use crate::flows::{manual, withdrawal};
use crate::test_cashier::{CUSTOMER, LOGIN, OnPost, lock, paid};

pub(super) const DEPOSIT: &str = "MngCreateManualCashierDeposit";
pub(super) const WITHDRAWAL: &str = "MngCreateManualCashierWithdrawal";
pub(super) const PROCESS: &str = "MngProcessManualCashierTransaction";
pub(super) const REJECT: &str = "MngRejectManualCashierTransaction";

/// 100 USD on the customer's account, with more fields.
pub(super) fn entry(more: &str) -> String {
    let gap = if more.is_empty() { "" } else { "," };
    format!(r#"{{"login":2000009,"amount":100.0,"currency":"USD"{gap}{more}}}"#)
}

pub(super) fn by_id(id: u64) -> String {
    format!(r#"{{"id":{id}}}"#)
}

pub(super) fn rejection(id: u64) -> String {
    format!(r#"{{"id":{id},"reject_reason":"not found at the bank"}}"#)
}

impl ManagerApi {
    /// A transaction as the manager sees it.
    pub(super) async fn seen(&self, id: u64) -> Value {
        let (number, mut data) = self.command("manager", "MngGetCashierTransaction", &by_id(id)).await;
        assert_eq!(number, 200);
        data["transaction"].take()
    }

    pub(super) async fn entered(&self, name: &str, more: &str) -> u64 {
        let (number, data) = self.command("dealer#7", name, &entry(more)).await;
        assert_eq!(number, 200, "{data}");
        data["transaction"]["id"].as_u64().unwrap()
    }

    pub(super) fn posted(&self, id: u64) -> i64 {
        self.env.trading.credited(TransactionId(id))
    }

    /// The customer asks for a withdrawal of 100 USD.
    async fn requested(&self) -> u64 {
        self.requested_with("{}").await
    }

    /// The same with metadata, which say where the money goes.
    pub(super) async fn requested_with(&self, metadata_json: &str) -> u64 {
        let request = WithdrawalRequest {
            customer_id: CUSTOMER,
            login: LOGIN,
            method: "bank".into(),
            amount: usd(10_000),
            idempotency_key: "".into(),
            comment: "".into(),
            metadata_json: metadata_json.into(),
            refused_if_new: None,
        };
        let session = CustomerSession::assertion(CUSTOMER, None);
        withdrawal::withdraw(&self.env.cashier, &session, request, context()).await.unwrap().0.id.0
    }

    async fn cancel(&self, session: &CustomerSession, id: u64) -> Result<u8, u16> {
        let cancelled = manual::cancel(&self.env.cashier, session, TransactionId(id), &context()).await;
        cancelled.map(|row| row.status.number()).map_err(|refusal| refusal.code.number())
    }
}

#[tokio::test(start_paused = true)]
async fn a_manual_deposit_is_entered_processed_once_and_shows_who_decided() {
    let api = ManagerApi::open().await;
    let data = entry(
        r#""customer_id":5,"method":"bank","provider_payment_id":"B-1","comment":"by wire","metadata_json":"{\"a\":1}""#,
    );
    let (number, made) = api.command("dealer#7@ion4", DEPOSIT, &data).await;
    let expected = json!({"id": 1, "customer_id": 5, "login": 2_000_009, "type": 0, "provider": "manual", "method": "bank",
        "provider_payment_id": "B-1", "amount": 100.0, "currency": "USD", "account_currency": "USD",
        "converted_amount": 100.0, "conversion_rate": 1.0, "status": 9, "failure_reason": "", "idempotency_key": "",
        "comment": "by wire", "metadata_json": "{\"a\":1}", "source": 1, "approved_by": 0, "approved_time": 0,
        "processed_by": 0, "processed_time": 0, "reject_reason": "", "created_time": 1_779_270_000,
        "updated_time": 1_779_270_000});
    assert_eq!((number, &made["transaction"]), (200, &expected));
    assert_eq!(api.posted(1), 0, "nothing is owed until it is approved");

    let (number, done) = api.command("manager#8", PROCESS, &by_id(1)).await;
    let row = &done["transaction"];
    assert_eq!((number, &row["status"], &row["approved_by"]), (200, &json!(3), &json!(8)), "{done}");
    assert_eq!((&row["processed_by"], &row["approved_time"]), (&json!(8), &json!(1_779_270_000)));
    assert_eq!((&row["processed_time"], api.posted(1)), (&json!(1_779_270_000), 10_000));
    for (name, data) in [(PROCESS, by_id(1)), (REJECT, rejection(1))] {
        assert_eq!(api.error("manager#9", name, &data).await, (409, "RET_ERR_DUPLICATE".into()), "{name}");
    }
    let records = api.records();
    let who: Vec<_> = records.iter().map(|record| (record.manager_id.0, &*record.command, &*record.outcome)).collect();
    assert_eq!(who, [(7, DEPOSIT, "entered"), (8, PROCESS, "done")]);
    assert!(records.iter().all(|record| record.transaction_id == TransactionId(1)));
    let (_, detail) = api.command("manager", "MngGetCashierTransaction", &by_id(1)).await;
    assert_eq!(detail["balance_operations"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_manual_withdrawal_is_debited_at_once_or_rejected_with_its_reason() {
    let api = ManagerApi::open().await;
    let first = api.entered(WITHDRAWAL, r#""process_now":1"#).await;
    let row = api.seen(first).await;
    assert_eq!([&row["type"], &row["status"], &row["approved_by"]], [&json!(1), &json!(3), &json!(7)]);
    assert_eq!(api.posted(first), -10_000);
    let second = api.entered(WITHDRAWAL, r#""force":1"#).await;
    let (number, data) = api.command("manager#8", REJECT, &rejection(second)).await;
    let row = &data["transaction"];
    assert_eq!((number, &row["status"], &row["failure_reason"]), (200, &json!(6), &json!("REJECTED")));
    assert_eq!((&row["reject_reason"], api.posted(second)), (&json!("not found at the bank"), 0));
    for (name, data) in [(PROCESS, by_id(second)), (REJECT, rejection(second))] {
        assert_eq!(api.error("manager", name, &data).await, (409, "RET_ERR_DUPLICATE".into()), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_entered_is_refused_and_leaves_nothing() {
    let api = ManagerApi::open().await;
    let unknown = r#"{"login":9,"amount":1,"currency":"USD"}"#;
    let down = r#"{"login":2000500,"amount":1,"currency":"USD"}"#;
    let euros = r#"{"login":2000009,"amount":1,"currency":"EUR"}"#;
    for name in [DEPOSIT, WITHDRAWAL] {
        let wrong = [
            ("manager", unknown.to_owned(), 404, "RET_ERR_NOTFOUND"),
            ("manager@other", entry(""), 404, "RET_ERR_NOTFOUND"),
            ("manager", down.to_owned(), 503, "STORAGE_UNAVAILABLE"),
            ("manager", euros.to_owned(), 400, "CURRENCY_CONVERSION_REQUIRED"),
            ("manager", entry(r#""customer_id":6"#), 400, "INVALID_DATA"),
            ("manager", entry(r#""metadata_json":"{\"_cashier\":1}""#), 400, "INVALID_DATA"),
            ("manager", entry(r#""comment":"card 4111 1111 1111 1111""#), 400, "INVALID_DATA"),
            ("user", entry(""), 403, "PERMISSION_DENIED"),
        ];
        for (token, data, number, error) in wrong {
            assert_eq!(api.error(token, name, &data).await, (number, error.into()), "{token} {name} {data}");
        }
    }
    let foreign = api.command("manager@other", DEPOSIT, &entry("")).await;
    assert_eq!(foreign, api.command("manager@other", DEPOSIT, unknown).await, "it looks like one that is not there");
    assert_eq!((api.env.aggregates().len(), api.records().len()), (0, 0));

    api.entered(DEPOSIT, "").await;
    let provider = api.env.deposit("k").await.unwrap().transaction.id.0;
    for (name, data) in [(PROCESS, by_id as fn(u64) -> String), (REJECT, rejection)] {
        assert_eq!(api.error("user", name, &data(1)).await, (403, "PERMISSION_DENIED".into()), "{name}");
        assert_eq!(api.error("manager@other", name, &data(1)).await, (404, "RET_ERR_NOTFOUND".into()), "{name}");
        assert_eq!(api.error("manager", name, &data(99)).await, (404, "RET_ERR_NOTFOUND".into()), "{name}");
        assert_eq!(api.error("manager", name, &data(provider)).await, (400, "INVALID_DATA".into()), "a provider's");
    }
    assert_eq!(api.error("manager", REJECT, &by_id(1)).await, (400, "INVALID_DATA".into()), "without a reason");
    assert_eq!(api.seen(1).await["status"], 9);
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_one_manual_request_and_is_not_the_customers() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    let key = r#""idempotency_key":"k","force":1"#;
    let made = api.entered(DEPOSIT, key).await;
    assert_eq!(made, 2, "the customer's key is another one");
    assert_eq!(api.entered(DEPOSIT, r#""idempotency_key":"k","process_now":1"#).await, made, "answered as it is");
    assert_eq!((api.seen(made).await["status"].clone(), api.posted(made)), (json!(9), 0));
    for (name, more) in [
        (DEPOSIT, r#""idempotency_key":"k","method":"bank""#),
        (DEPOSIT, r#""idempotency_key":"k","provider_payment_id":"B""#),
        (WITHDRAWAL, r#""idempotency_key":"k""#),
    ] {
        assert_eq!(api.error("manager", name, &entry(more)).await, (409, "IDEMPOTENCY_CONFLICT".into()), "{more}");
    }
    assert_eq!(api.env.aggregates().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_trading_server_refuses_waits_for_a_person_again() {
    let api = ManagerApi::open().await;
    let id = api.entered(WITHDRAWAL, "").await;
    let refusals = [
        (ReasonCode::InsufficientBalance, "INSUFFICIENT_BALANCE"),
        (ReasonCode::AccountDisabled, "POSTING_REFUSED"),
        (ReasonCode::OwnerMismatch, "POSTING_REFUSED"),
        (ReasonCode::CurrencyMismatch, "POSTING_REFUSED"),
    ];
    for (reason, error) in refusals {
        lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(reason));
        let (number, data) = api.command("manager#8", PROCESS, &by_id(id)).await;
        assert_eq!((number, data["error"].as_str()), (409, Some(error)), "{data}");
        assert!(data["message"].as_str().unwrap().contains(reason.name()), "{data}");
        let row = api.seen(id).await;
        let expected = format!("CREDIT_REFUSED: {reason}");
        assert_eq!((&row["status"], row["failure_reason"].as_str()), (&json!(9), Some(&*expected)));
    }
    let (number, data) = api.command("manager#9", PROCESS, &by_id(id)).await;
    let row = &data["transaction"];
    assert_eq!((number, &row["status"], &row["processed_by"]), (200, &json!(3), &json!(9)));
    assert_eq!(api.posted(id), -10_000);

    lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(ReasonCode::InsufficientBalance));
    let now = api.entered(WITHDRAWAL, r#""process_now":1"#).await;
    let row = api.seen(now).await;
    assert_eq!((&row["status"], &row["failure_reason"]), (&json!(9), &json!("CREDIT_REFUSED: INSUFFICIENT_BALANCE")));
    assert_eq!(api.command("manager", REJECT, &rejection(now)).await.1["transaction"]["status"], 6);
    assert_eq!(api.posted(now), 0);
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_of_the_trading_server_it_is_shown_as_it_is_and_posted_once() {
    for on_post in [OnPost::NeverArrives, OnPost::AnswerLost, OnPost::Slow(30)] {
        let mut api = ManagerApi::open().await;
        let id = api.entered(DEPOSIT, "").await;
        lock(&api.env.trading.next_posts).push_back(on_post);
        let (number, data) = api.command("manager#8", PROCESS, &by_id(id)).await;
        let row = &data["transaction"];
        assert_eq!((number, &row["status"], &row["processed_by"]), (200, &json!(9), &json!(0)), "{on_post:?}");
        for (name, data) in [(PROCESS, by_id(id)), (REJECT, rejection(id))] {
            assert_eq!(api.error("manager", name, &data).await.0, 409, "{name}: it may be posted");
        }
        api.env.crash().await;
        api.context.cashier = Arc::clone(&api.env.cashier);
        api.env.run_for(120).await;
        assert_eq!((api.seen(id).await["status"].clone(), api.posted(id)), (json!(3), 10_000), "{on_post:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_of_processing_credits_once_or_not_at_all() {
    for milliseconds in 0..12 {
        let mut api = ManagerApi::open().await;
        let id = api.entered(DEPOSIT, "").await;
        let data = by_id(id);
        let process = api.command("manager#8", PROCESS, &data);
        let answered = tokio::time::timeout(std::time::Duration::from_millis(milliseconds), process).await.is_ok();
        api.env.crash().await;
        api.context.cashier = Arc::clone(&api.env.cashier);
        api.env.run_for(60).await;
        let (status, posted) = (api.seen(id).await["status"].as_u64().unwrap(), api.posted(id));
        assert!([(3, 10_000), (9, 0)].contains(&(status, posted)), "{milliseconds}: {status} {posted}");
        assert!(!answered || posted == 10_000, "what was answered is posted");
        let again = api.command("manager#9", PROCESS, &by_id(id)).await.0;
        assert_eq!((again, api.posted(id)), (if posted == 0 { 200 } else { 409 }, 10_000), "{milliseconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_managers_at_once_one_decides() {
    let api = ManagerApi::open().await;
    for (name, data) in [(PROCESS, by_id as fn(u64) -> String), (REJECT, rejection)] {
        let id = api.entered(DEPOSIT, "").await;
        let (first, request) = (by_id(id), data(id));
        let both = tokio::join!(api.command("manager#8", PROCESS, &first), api.command("manager#9", name, &request));
        let mut numbers = [both.0.0, both.1.0];
        numbers.sort_unstable();
        assert_eq!(numbers, [200, 409], "{name}");
        let row = api.seen(id).await;
        let expected = if row["status"] == json!(3) { 10_000 } else { 0 };
        assert_eq!(api.posted(id), expected, "{row}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_cancels_the_own_withdrawal_while_it_waits() {
    let api = ManagerApi::open().await;
    let own = CustomerSession::assertion(CUSTOMER, Some("ion4".into()));
    let id = api.requested().await;
    for foreign in
        [CustomerSession::assertion(CustomerId(6), None), CustomerSession::assertion(CUSTOMER, Some("other".into()))]
    {
        assert_eq!(api.cancel(&foreign, id).await, Err(404));
    }
    assert_eq!(api.cancel(&own, id).await, Ok(6));
    assert_eq!(api.seen(id).await["failure_reason"], "CANCELLED");
    let (_, explained) = api.command("manager", "MngExplainCashierTransaction", &by_id(id)).await;
    let customer =
        "Your withdrawal of 100.0 USD: you took the request back; nothing was taken from your trading account.";
    assert_eq!(explained["summary"]["customer"], customer);
    assert_eq!(api.cancel(&own, id).await, Err(409), "it was cancelled");
    assert_eq!(api.error("manager", PROCESS, &by_id(id)).await.0, 409);
    let deposit = api.entered(DEPOSIT, "").await;
    assert_eq!([api.cancel(&own, deposit).await, api.cancel(&own, 99).await], [Err(404); 2]);
    let entered = api.entered(WITHDRAWAL, "").await;
    assert_eq!(api.cancel(&own, entered).await, Err(409), "a manager's entry is not the customer's request");

    let processed = api.requested().await;
    lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(ReasonCode::InsufficientBalance));
    assert_eq!(api.command("manager#8", PROCESS, &by_id(processed)).await.0, 409);
    // The account had less than was asked: it waits again, and what comes in must not be taken for it unasked.
    assert_eq!(api.seen(processed).await["status"], json!(9));
    assert_eq!(api.cancel(&own, processed).await, Ok(6));
    assert_eq!(api.error("manager#8", PROCESS, &by_id(processed)).await.0, 409);
    assert_eq!(api.error("manager#8", "MngRetryCashierCredit", &by_id(processed)).await.0, 409);
    let (_, explained) = api.command("manager", "MngExplainCashierTransaction", &by_id(processed)).await;
    assert_eq!((&explained["summary"]["customer"], api.posted(processed)), (&json!(customer), 0));
    let done = api.requested().await;
    assert_eq!(api.command("manager#8", PROCESS, &by_id(done)).await.0, 200);
    assert_eq!(api.cancel(&own, done).await, Err(409), "it was processed");
}

#[tokio::test(start_paused = true)]
async fn a_customer_does_not_cancel_a_withdrawal_whose_posting_is_under_review() {
    let own = CustomerSession::assertion(CUSTOMER, None);
    for state in ["lost", "key conflict"] {
        let mut api = ManagerApi::open().await;
        let id = api.requested().await;
        if state == "key conflict" {
            lock(&api.env.trading.next_posts).push_back(OnPost::RefuseFor(ReasonCode::OperationKeyReused));
        }
        api.command("manager#8", PROCESS, &by_id(id)).await;
        if state == "lost" {
            next_commands::lost(&mut api, id).await;
        }
        assert_eq!(api.seen(id).await["status"], json!(9), "{state}");
        let persons = async |api: &ManagerApi| api.env.aggregate(TransactionId(id)).transaction.facts.persons.len();
        let before = persons(&api).await;
        assert_eq!(api.cancel(&own, id).await, Err(409), "{state}: it may have been paid out");
        assert_eq!(persons(&api).await, before, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_cancels_a_withdrawal_while_a_manager_processes_it_and_one_of_both_counts() {
    let own = CustomerSession::assertion(CUSTOMER, None);
    let mut counted = [0; 2];
    for (process_after, cancel_after) in (0..8).flat_map(|milliseconds| [(0, milliseconds), (milliseconds, 0)]) {
        let api = ManagerApi::open().await;
        let id = api.requested().await;
        let data = by_id(id);
        let after = |milliseconds| tokio::time::sleep(std::time::Duration::from_millis(milliseconds));
        let process = async {
            after(process_after).await;
            api.command("manager#8", PROCESS, &data).await
        };
        let cancel = async {
            after(cancel_after).await;
            api.cancel(&own, id).await
        };
        let ((processed, _), cancelled) = tokio::join!(process, cancel);
        let (status, posted) = (api.seen(id).await["status"].clone(), api.posted(id));
        match cancelled {
            Ok(_) => assert_eq!((processed, status, posted), (409, json!(6), 0)),
            Err(number) => assert_eq!((processed, number, status, posted), (200, 409, json!(3), -10_000)),
        }
        counted[usize::from(cancelled.is_ok())] += 1;
    }
    assert!(counted.iter().all(|count| *count >= 7), "each came first where it began first: {counted:?}");
}

#[tokio::test(start_paused = true)]
async fn where_settings_ask_for_a_second_person_who_entered_does_not_process() {
    let api = ManagerApi::with_second_person_for(&["manual"]).await;
    let id = api.entered(DEPOSIT, r#""process_now":1"#).await;
    assert_eq!((api.seen(id).await["status"].clone(), api.posted(id)), (json!(9), 0), "it waits");
    assert_eq!(api.error("dealer#7", PROCESS, &by_id(id)).await, (403, "PERMISSION_DENIED".into()));
    assert_eq!(api.command("dealer#8", PROCESS, &by_id(id)).await.0, 200);
    assert_eq!(api.posted(id), 10_000);
    let requested = api.requested().await;
    assert_eq!(api.command("dealer#7", PROCESS, &by_id(requested)).await.0, 200, "nobody here entered it");
    let own = api.entered(DEPOSIT, "").await;
    assert_eq!(api.command("dealer#7", REJECT, &rejection(own)).await.0, 200, "rejecting moves no money");
}

#[tokio::test(start_paused = true)]
async fn a_manual_transaction_of_a_real_trading_server_is_refused_for_its_own_reasons() {
    let mut api = ManagerApi::open().await;
    api.env = TestCashier::with_bases(&[1]).await;
    api.context.cashier = Arc::clone(&api.env.cashier);
    let id = api.entered(WITHDRAWAL, "").await;
    let refused = api.error("manager", PROCESS, &by_id(id)).await;
    assert_eq!(refused, (409, "INSUFFICIENT_BALANCE".into()), "nothing is on the account");
    api.entered(DEPOSIT, r#""process_now":1"#).await;
    assert_eq!(api.command("manager", PROCESS, &by_id(id)).await.0, 200);
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    api.env.notice(Some(1), vec![paid("e1", &reference)]).await.unwrap();
    assert!(!api.env.trading.unkeyed.load(Ordering::SeqCst));
    assert_eq!(api.env.trading.postings().iter().map(|(_, _, minor)| minor).sum::<i64>(), 10_000);
}
