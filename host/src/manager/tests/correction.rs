//! What a manager writes by hand: statuses that hold, reasons, comments and metadata; no money moves.

use cashier_core::notice::{StatedAmount, Update};
use cashier_core::status::ProviderStatus;

use super::manual::by_id;
use super::review::{RESOLVE, RETRY};
use super::*;
use crate::ports::QueryAnswer;
use crate::test_cashier::{AMOUNT, OnCreate, OnPost, lock, paid, update};

const UPDATE: &str = "MngUpdateCashierTransaction";

fn written(fields: &str) -> String {
    format!(r#"{{"id":1,{fields}}}"#)
}

impl ManagerApi {
    async fn written(&self, fields: &str) -> Value {
        let (number, mut data) = self.command("dealer#7", UPDATE, &written(fields)).await;
        assert_eq!(number, 200, "{fields}: {data}");
        data["transaction"].take()
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_is_given_changes_and_the_record_says_who() {
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
    let row = api.written(r#""comment":"called the customer","metadata_json":"{\"a\":1}""#).await;
    assert_eq!([&row["comment"], &row["metadata_json"]], [&json!("called the customer"), &json!("{\"a\":1}")]);
    let row = api.written(r#""comment":"again""#).await;
    assert_eq!([&row["comment"], &row["metadata_json"]], [&json!("again"), &json!("{\"a\":1}")]);
    let row = api.written(r#""failure_reason":"checked by phone""#).await;
    assert_eq!([&row["status"], &row["failure_reason"]], [&json!(3), &json!("WRITTEN: checked by phone")]);
    let same =
        r#""status":3,"failure_reason":"WRITTEN: checked by phone","comment":"again","metadata_json":"{\"a\":1}""#;
    assert_eq!(api.written(same).await, row, "a row that is sent back whole changes nothing");
    let row = api.written(r#""failure_reason":"","comment":"","metadata_json":"{}""#).await;
    assert_eq!(
        [&row["failure_reason"], &row["comment"], &row["metadata_json"]],
        [&json!(""), &json!(""), &json!("{}")]
    );
    let stored = api.env.aggregate(cashier_core::ids::TransactionId(1)).transaction;
    assert_eq!((stored.stored_bytes, stored.has_texts, api.posted(1)), (0, false, AMOUNT));
    let records = api.records();
    assert!(records.iter().all(|record| record.manager_id.0 == 7 && &*record.command == UPDATE));
    assert!(!format!("{records:?}").contains("called the customer"), "texts are not copied into the records");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_written_is_refused_and_changes_nothing() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    let before = api.seen(1).await;
    let long = "x".repeat(257);
    let wrong = [
        ("user", written(r#""comment":"x""#), 403, "PERMISSION_DENIED"),
        ("manager@other", written(r#""comment":"x""#), 404, "RET_ERR_NOTFOUND"),
        ("manager", r#"{"id":9,"comment":"x"}"#.into(), 404, "RET_ERR_NOTFOUND"),
        ("manager", r#"{"comment":"x"}"#.into(), 400, "INVALID_DATA"),
        ("manager", written(r#""status":10"#), 400, "INVALID_DATA"),
        ("manager", written(r#""metadata_json":"[]""#), 400, "INVALID_DATA"),
        ("manager", written(r#""comment":"4111 1111 1111 1111""#), 400, "INVALID_DATA"),
        ("manager", written(&format!(r#""failure_reason":"{long}""#)), 400, "INVALID_DATA"),
        ("manager", written(r#""amount":5"#), 400, "INVALID_DATA"),
        ("manager", written(r#""status":2"#), 409, "RET_ERR_DUPLICATE"),
    ];
    for (token, data, number, error) in wrong {
        assert_eq!(api.error(token, UPDATE, &data).await, (number, error.into()), "{token} {data}");
    }
    assert_eq!((api.seen(1).await, api.records().len()), (before, 0));
}

#[tokio::test(start_paused = true)]
async fn the_texts_of_an_order_that_may_be_sent_again_do_not_change() {
    let api = ManagerApi::open().await;
    lock(&api.env.provider.next_creates).push_back(OnCreate::AnswerLost);
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    assert_eq!(api.error("manager", UPDATE, &written(r#""comment":"x""#)).await, (409, "RET_ERR_DUPLICATE".into()));
    api.written(r#""failure_reason":"asked the provider""#).await;
    let declined = Update { reference: Some(reference), ..update("e", ProviderStatus::Failed) };
    api.env.notice(Some(1), vec![declined]).await.unwrap();
    assert_eq!(api.written(r#""comment":"x""#).await["comment"], "x");
}

#[tokio::test(start_paused = true)]
async fn a_deposit_held_as_credited_is_not_posted_when_the_provider_confirms_until_a_person_permits_it() {
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    let row = api.written(r#""status":3,"failure_reason":"paid by wire""#).await;
    assert_eq!([&row["status"], &row["failure_reason"]], [&json!(3), &json!("WRITTEN: paid by wire")]);
    api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
    api.env.run_for(600).await;
    assert_eq!((api.seen(1).await["status"].clone(), api.posted(1)), (json!(3), 0));
    assert_eq!(api.error("manager", RETRY, &by_id(1)).await.0, 409, "it is held");
    let row = api.written(r#""status":2"#).await;
    assert_eq!((&row["status"], api.posted(1)), (&json!(2), 0), "the display alone is released");
    api.env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
    assert_eq!(api.command("manager", RETRY, &by_id(1)).await.0, 200);
    assert_eq!((api.seen(1).await["status"].clone(), api.posted(1)), (json!(3), AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn a_written_status_moves_no_money_whichever_it_is() {
    for status in [0, 4, 5, 6, 7, 8, 9] {
        let api = ManagerApi::open().await;
        let reference = api.env.deposit("k").await.unwrap().transaction.reference;
        let row = api.written(&format!(r#""status":{status}"#)).await;
        assert_eq!(row["status"], status);
        api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
        api.env.run_for(600).await;
        let shown = api.seen(1).await["status"].as_u64().unwrap();
        assert_eq!((shown, api.posted(1)), (if status == 4 { 4 } else { 9 }, 0), "{status}");
        api.env.on_query(&reference, QueryAnswer::Stated(Box::new(paid("", &reference))));
        if shown == 9 {
            let credit = r#"{"id":1,"action":"credit","amount":100.0,"reason":"seen at the provider"}"#;
            assert_eq!(api.command("manager", RESOLVE, credit).await.0, 200, "{status}");
            assert_eq!((api.seen(1).await["status"].clone(), api.posted(1)), (json!(3), AMOUNT));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn corrections_of_one_transaction_at_once_lose_nothing() {
    let api = ManagerApi::over(TestCashier::with_bases(&[1]).await).await;
    api.env.deposit("k").await.unwrap();
    let (first, second) = (written(r#""comment":"one""#), written(r#""metadata_json":"{\"two\":2}""#));
    let both = tokio::join!(api.command("manager#8", UPDATE, &first), api.command("manager#9", UPDATE, &second));
    assert_eq!([both.0.0, both.1.0], [200, 200]);
    let row = api.seen(1).await;
    assert_eq!([&row["comment"], &row["metadata_json"]], [&json!("one"), &json!("{\"two\":2}")], "read from the disk");
    assert_eq!(api.written(r#""comment":"three""#).await["comment"], "three");
    assert_eq!(api.seen(1).await["comment"], "three", "no cache has the text before");
}

#[tokio::test(start_paused = true)]
async fn a_review_that_a_person_wrote_credits_no_order_of_which_no_payment_is_stated() {
    let api = ManagerApi::open().await;
    api.env.deposit("k").await.unwrap();
    assert_eq!(api.written(r#""status":9"#).await["status"], json!(9));
    let credit = r#"{"id":1,"action":"credit","amount":100.0,"reason":"the customer says so"}"#;
    assert_eq!(api.error("manager#8", RESOLVE, credit).await, (409, "RET_ERR_DUPLICATE".into()));
    let refuse = r#"{"id":1,"action":"refuse","reason":"never paid"}"#;
    assert_eq!(api.command("manager#8", RESOLVE, refuse).await.0, 200);
    assert_eq!(api.posted(1), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_written_status_stops_is_listed_with_the_commands_that_move_it() {
    const DUTIES: &str = "MngGetCashierDutiesByFilter";
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
    let kinds = async || {
        let (_, listed) = api.command("manager", DUTIES, r#"{"where":[["waits_for","=","person"]]}"#).await;
        let rows = listed["rows"].as_array().unwrap().clone();
        rows.into_iter().map(|row| json!([row["kind"], row["command"]])).collect::<Vec<Value>>()
    };
    assert_eq!(kinds().await, [json!(["posting_refused", RETRY])]);
    for status in [5, 6, 7, 8, 4, 0] {
        api.written(&format!(r#""status":{status}"#)).await;
        assert_eq!(kinds().await, [json!(["posting_stopped", UPDATE])], "{status}");
        let (_, explained) = api.command("manager", "MngExplainCashierTransaction", &by_id(1)).await;
        assert_eq!(explained["summary"]["command"], UPDATE, "{explained}");
    }
    assert_eq!(api.error("manager", RETRY, &by_id(1)).await.0, 409, "it holds");
    api.written(r#""status":1"#).await;
    assert_eq!(kinds().await, [json!(["posting_refused", RETRY])]);
    assert_eq!(api.command("manager", RETRY, &by_id(1)).await.0, 200);
    assert_eq!((kinds().await, api.env.trading.balance()), (vec![], AMOUNT));
}

#[tokio::test(start_paused = true)]
async fn money_that_a_released_status_stopped_is_not_said_to_be_refused() {
    const DUTIES: &str = "MngGetCashierDutiesByFilter";
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    api.written(r#""status":4"#).await;
    api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
    api.written(r#""status":1"#).await;
    let (_, listed) = api.command("manager", DUTIES, r#"{"where":[["waits_for","=","person"]]}"#).await;
    let row = &listed["rows"][0];
    assert_eq!((&row["kind"], &row["command"]), (&json!("posting_released"), &json!(RETRY)), "{listed}");
    let (_, explained) = api.command("manager", "MngExplainCashierTransaction", &by_id(1)).await;
    let (manager, customer) = (explained["summary"]["manager"].to_string(), &explained["summary"]["customer"]);
    assert!(manager.contains("was released") && manager.contains(RETRY), "{manager}");
    assert!(!manager.contains("refused") && !row["sentence"].to_string().contains("refused"), "{manager} {row}");
    assert!(customer.to_string().contains("our staff are checking it"), "{customer}");
    assert_eq!(api.command("manager", RETRY, &by_id(1)).await.0, 200);
    assert_eq!(api.posted(1), AMOUNT);
}

#[tokio::test(start_paused = true)]
async fn n6_an_outdated_status_that_is_written_hides_nothing_that_is_due() {
    // A client sends back a row that it read before the payment, or before the money went back.
    let back = Some(ProviderStatus::Chargeback);
    for (later, status) in [(None, 6), (back, 3), (back, 6)] {
        let api = ManagerApi::open().await;
        let reference = api.env.deposit("k").await.unwrap().transaction.reference;
        lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
        api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
        if later.is_some() {
            assert_eq!(api.command("manager", RETRY, &by_id(1)).await.0, 200);
        }
        if let Some(back) = later {
            lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
            let stated = Update { status: back, ..paid("e2", &reference) };
            api.env.notice(Some(1), vec![stated]).await.unwrap();
        }
        api.env.run_for(1).await;
        api.written(&format!(r#""status":{status}"#)).await;
        let only = r#"{"where":[["kind","=","posting_stopped"]]}"#;
        let (number, listed) = api.command("manager", "MngGetCashierDutiesByFilter", only).await;
        assert_eq!((number, &listed["count"]), (200, &json!(1)), "written {status} after {later:?}: {listed}");
        assert_eq!(listed["rows"][0]["command"], UPDATE);
        // The named command ends it: released, and permitted.
        api.written(r#""status":2"#).await;
        assert_eq!(api.command("manager", RETRY, &by_id(1)).await.0, 200);
        let owed = if later.is_some() { 0 } else { AMOUNT };
        assert_eq!(api.posted(1), owed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_states_as_settled_outside_is_no_work() {
    let api = ManagerApi::open().await;
    let reference = api.env.deposit("k").await.unwrap().transaction.reference;
    lock(&api.env.trading.next_posts).push_back(OnPost::Refuse);
    api.env.notice(Some(1), vec![paid("e", &reference)]).await.unwrap();
    api.env.run_for(1).await;
    api.written(r#""status":3"#).await;
    let only = r#"{"where":[["kind","=","posting_stopped"]]}"#;
    let (_, listed) = api.command("manager", "MngGetCashierDutiesByFilter", only).await;
    assert_eq!((listed["count"].as_u64(), api.posted(1)), (Some(0), 0), "{listed}");
}

#[tokio::test(start_paused = true)]
async fn a_written_status_hides_no_payment_that_is_under_review() {
    const DUTIES: &str = "MngGetCashierDutiesByFilter";
    for (status, listed) in [(6, true), (5, true), (0, true), (3, false)] {
        let api = ManagerApi::open().await;
        let reference = api.env.deposit("k").await.unwrap().transaction.reference;
        let other = Some(StatedAmount::Exact(usd(9_500)));
        api.env.notice(Some(1), vec![Update { amount: other, ..paid("e", &reference) }]).await.unwrap();
        api.env.run_for(1).await;
        api.written(&format!(r#""status":{status}"#)).await;
        let stopped = r#"{"where":[["kind","=","posting_stopped"]]}"#;
        let (_, data) = api.command("manager", DUTIES, stopped).await;
        assert_eq!(data["count"], json!(i32::from(listed)), "{status}: {data}");
        if listed {
            assert_eq!(data["rows"][0]["command"], UPDATE);
            assert_eq!(api.written(r#""status":1"#).await["status"], json!(9), "the review is back");
        }
    }
}
