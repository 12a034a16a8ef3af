//! The work list: each kind that waits is listed with whom it waits for and what ends it, and nothing of another brand.

use std::time::Duration;

use cashier_core::duty::{UNKNOWN_EVENT_SECONDS, WorkKind};
use cashier_core::notice::{StatedAmount, Update};
use cashier_core::session::CustomerSession;
use cashier_core::withdrawal::WithdrawalRequest;

use super::*;
use crate::flows::withdrawal;
use crate::test_cashier::{CUSTOMER, LOGIN, OnPost, lock, paid};

const SECOND: Duration = Duration::from_secs(1);

const LIST: &str = "MngGetCashierDutiesByFilter";

/// Each item as `kind transaction event`.
fn shown(data: &Value) -> Vec<String> {
    let rows = data["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| format!("{} {} {}", row["kind"].as_str().unwrap(), row["transaction_id"], row["provider_event_id"]))
        .collect()
}

fn counted(data: &Value) -> String {
    let kinds = data["kinds"].as_array().unwrap();
    kinds
        .iter()
        .map(|kind| format!("{} {}", kind["kind"].as_str().unwrap(), kind["count"]))
        .collect::<Vec<_>>()
        .join(", ")
}

/// An open deposit, a refused credit, a posting without an answer, a mismatch, a withdrawal, an event without a transaction, and
/// an unreadable one; a second apart.
async fn with_work() -> ManagerApi {
    let api = ManagerApi::open().await;
    let env = &api.env;
    for key in ["open", "refused", "unanswered", "mismatch"] {
        env.deposit(key).await.unwrap();
        env.clock.advance(SECOND);
    }
    let references = env.provider.references();
    let [_, refused, unanswered, mismatch] = &references[..] else { panic!("four orders") };
    for (reference, on_post) in [(refused, OnPost::Refuse), (unanswered, OnPost::NeverArrives)] {
        lock(&env.trading.next_posts).push_back(on_post);
        env.notice(Some(1), vec![paid(&format!("evt_{reference}"), reference)]).await.unwrap();
        env.clock.advance(SECOND);
    }
    let less = Update { amount: Some(StatedAmount::Exact(usd(1))), ..paid("evt_less", mismatch) };
    env.notice(Some(1), vec![less]).await.unwrap();
    env.clock.advance(SECOND);
    let session = CustomerSession::assertion(CUSTOMER, None);
    let request = WithdrawalRequest {
        customer_id: CUSTOMER,
        login: LOGIN,
        amount: usd(500),
        idempotency_key: "w".into(),
        comment: Box::default(),
        metadata_json: "{}".into(),
        refused_if_new: None,
        method: Box::default(),
    };
    withdrawal::withdraw(&env.cashier, &session, request, context()).await.unwrap();
    env.clock.advance(SECOND);
    let nobodys = Update { reference: None, payment_id: "pay_nobody".into(), ..paid("evt_nobody", refused) };
    env.notice(Some(1), vec![nobodys]).await.unwrap();
    env.clock.advance(SECOND);
    env.raw_notice(Some(1), "unreadable 1".to_owned()).await.unwrap();
    api
}

#[tokio::test(start_paused = true)]
async fn i6_everything_that_waits_is_listed_oldest_first_with_its_kind_and_the_command_that_ends_it() {
    let api = with_work().await;
    let (number, all) = api.command("manager", LIST, "{}").await;
    assert_eq!(number, 200, "{all}");
    let expected = [
        "payment_open 1 0",
        "payment_open 4 0",
        "posting_refused 2 0",
        "posting_unknown 3 0",
        "review 4 0",
        "manual_approval 5 0",
        "event_waiting 0 4",
        "unreadable_notice 0 5",
    ];
    assert_eq!(shown(&all), expected, "{all}");
    let kinds = "review 1, manual_approval 1, posting_refused 1, posting_unknown 1, payment_open 2, unreadable_notice 1, event_waiting 1";
    assert_eq!((counted(&all), &all["count"]), (kinds.to_owned(), &json!(8)));
    let review = &all["rows"][4];
    assert_eq!(
        [&review["waits_for"], &review["command"], &review["amount"], &review["due_time"]],
        [&json!("person"), &json!("MngResolveCashierDoubt"), &json!(100.0), &json!(0)],
        "{review}"
    );
    assert!(review["failure_reason"].as_str().unwrap().starts_with("AMOUNT_MISMATCH: expected 100.0 USD"), "{review}");
    let open = &all["rows"][0];
    assert!(open["due_time"].as_i64() > open["since"].as_i64() && open["command"] == "", "{open}");
    let unfinished = api.env.cashier.ledger.peek(|books| books.unsettled_count()).unwrap();
    let has_work = |kind: &str| !["review", "manual_approval"].contains(&kind);
    let rows = all["rows"].as_array().unwrap();
    let working = rows.iter().filter(|row| row["transaction_id"] != 0 && has_work(row["kind"].as_str().unwrap()));
    assert_eq!(working.count(), unfinished, "what the metric counts is listed");
}

#[tokio::test(start_paused = true)]
async fn i6_the_work_list_is_filtered_paged_and_limited_to_the_sessions_brand() {
    let api = with_work().await;
    let by_person = json!({"where": [["waits_for", "=", "person"]], "limit": 2, "offset": 1}).to_string();
    let (_, page) = api.command("crm@ion4", LIST, &by_person).await;
    assert_eq!(
        (shown(&page), &page["count"]),
        (vec!["review 4 0".to_owned(), "manual_approval 5 0".to_owned()], &json!(4))
    );
    let since = page["rows"][1]["since"].clone();
    let table = [
        (json!(["kind", "=", "posting_refused"]), "posting_refused 1"),
        (json!(["since", ">", since]), "unreadable_notice 1, event_waiting 1"),
        (json!(["provider_config_id", "=", 0]), "manual_approval 1"),
        (json!(["login", "=", LOGIN.0 + 1]), ""),
        (json!(["amount", "=", 5]), "manual_approval 1"),
        (json!(["failure_reason", "=", "AMOUNT_MISMATCH"]), "review 1, payment_open 1"),
    ];
    for (condition, expected) in table {
        let (_, found) = api.command("manager", LIST, &json!({ "where": [condition] }).to_string()).await;
        assert_eq!(counted(&found), expected, "{condition}");
    }
    let (number, nothing) = api.command("manager@other", LIST, "{}").await;
    assert_eq!((number, nothing), (200, json!({"rows": [], "count": 0, "kinds": []})));
    for (token, data, error) in [
        ("user", "{}", (403, "PERMISSION_DENIED")),
        ("customer", "{}", (403, "PERMISSION_DENIED")),
        ("manager", r#"{"where":[["comment","=","x"]]}"#, (400, "INVALID_DATA")),
        ("manager", r#"{"limit":0}"#, (400, "INVALID_DATA")),
    ] {
        assert_eq!(api.error(token, LIST, data).await, (error.0, error.1.into()), "{token} {data}");
    }
}

#[tokio::test(start_paused = true)]
async fn i6_what_ends_leaves_the_list_and_an_event_that_waited_a_day_is_an_unmatched_payment() {
    let api = with_work().await;
    api.env.clock.advance(Duration::from_secs(UNKNOWN_EVENT_SECONDS.cast_unsigned() + 10));
    api.env.run_for(10).await;
    let events = json!({"whereIn": [["kind", ["event_waiting", "unmatched_payment"]]]}).to_string();
    let (_, found) = api.command("manager", LIST, &events).await;
    assert_eq!(counted(&found), "unmatched_payment 1", "{found}");
    assert_eq!(found["rows"][0]["command"], "MngReplayCashierProviderEvent");
    let id = cashier_core::ids::TransactionId(4);
    let resolved = cashier_core::facts::PersonFact::Resolved { minor: 0 };
    api.env.decide(id, resolved).await;
    let (_, found) = api.command("manager", LIST, r#"{"where":[["kind","=","review"]]}"#).await;
    assert_eq!(counted(&found), "", "{found}");
}

#[tokio::test(start_paused = true)]
async fn i6_a_change_that_waits_for_a_second_person_is_on_the_work_list_of_its_brand() {
    let api = ManagerApi::with_second_person().await;
    let asked =
        api.command("dealer#7", "MngUpdateCashierProviderConfig", r#"{"id":1,"webhook_secret":"CANARY"}"#).await;
    assert_eq!(asked.0, 202);
    let (_, found) = api.command("manager@ion4", LIST, "{}").await;
    let row = &found["rows"][0];
    assert_eq!(
        [&row["kind"], &row["approval_id"], &row["provider_config_id"], &row["command"]],
        [&json!("config_approval"), &json!(1), &json!(1), &json!("MngApproveCashierChange")],
        "{found}"
    );
    assert_eq!(api.command("manager@other", LIST, "{}").await.1["count"], 0);
    assert_eq!(api.command("manager", "MngRejectCashierChange", r#"{"id":1}"#).await.0, 200);
    assert_eq!(api.command("manager@ion4", LIST, "{}").await.1["count"], 0);
}

#[test]
fn i6_every_kind_has_a_sentence_and_what_waits_for_a_person_names_a_command() {
    for kind in WorkKind::ALL {
        let item = cashier_core::duty::WorkItem::new(*kind, UnixTime(1));
        // What differs from a trading server is put right there, or with its databases.
        let by_person = kind.waits_for() == cashier_core::duty::WaitsFor::Person && *kind != WorkKind::PostingDiffers;
        assert!(item.sentence().ends_with('.') && (!by_person || !item.command.is_empty()), "{kind:?}");
    }
}
