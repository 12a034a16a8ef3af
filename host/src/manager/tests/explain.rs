//! What happened to a payment, as a manager is answered.

use std::sync::atomic::Ordering;

use cashier_core::change::{AuditRecord, Body, Change};
use cashier_core::ids::{ConfigId, TransactionId};
use cashier_core::time::UnixTime;
use cashier_core::transaction::Transaction;

use super::*;
use crate::flows::explain::MATCHES_MAX;
use crate::ports::QueryAnswer;
use crate::test_cashier::{OnCreate, lock, paid};

const NAME: &str = "MngExplainCashierTransaction";

/// Each entry as `kind: title`.
fn entries(data: &Value) -> Vec<String> {
    let line = |entry: &Value| format!("{}: {}", entry["kind"].as_str().unwrap(), entry["title"].as_str().unwrap());
    data["entries"].as_array().unwrap().iter().map(line).collect()
}

fn entry<'d>(data: &'d Value, kind: &str) -> &'d Value {
    data["entries"].as_array().unwrap().iter().find(|entry| entry["kind"] == kind).unwrap()
}

/// A paid deposit whose requests were logged.
async fn paid_deposit() -> ManagerApi {
    let api = ManagerApi::open().await;
    *lock(&api.env.provider.called_at) = Some(api.env.cashier.clock.now());
    api.deposit().await;
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    let paid = cashier_core::notice::Update { amount: Some(stated(25_000)), ..paid("evt_1", &reference) };
    api.env.notice(Some(1), vec![paid]).await.unwrap();
    api
}

fn stated(minor: i64) -> cashier_core::notice::StatedAmount {
    cashier_core::notice::StatedAmount::Exact(usd(minor))
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_explained_from_its_request_to_its_credit() {
    let api = paid_deposit().await;
    let (number, data) = api.command("manager", NAME, r#"{"id":1}"#).await;
    let paid =
        format!("fact: paid: 250.0 USD (payment pay_{})", api.env.aggregate(TransactionId(1)).transaction.reference);
    let expected = [
        "request: deposit of 250.0 USD requested for login 2000009",
        "provider_call: create call to api.stripe.test: answered 200 after 20 ms",
        "event: verified event confirmed: applied",
        "fact: order accepted by the provider: the customer may pay",
        &*paid,
        "operation: BALANCE_IN of 250.0 USD: posted by the trading server",
    ];
    assert_eq!((number, entries(&data)), (200, expected.map(str::to_owned).to_vec()));
    assert_eq!((&data["owed"], &data["posted"], &data["next"]), (&json!(250.0), &json!(250.0), &json!([])));
    assert_eq!(data["summary"]["customer"], "Your deposit of 250.0 USD: it was credited to your trading account.");
    assert_eq!((&data["summary"]["command"], &data["transaction"]["status"]), (&json!(""), &json!(3)));
    let call = &entry(&data, "provider_call")["details"];
    let shown = json!({"purpose": "create", "method": "POST", "host": "api.stripe.test", "http_status": 200, "duration_ms": 20, "outcome": "answered"});
    assert_eq!(*call, shown);
    let changes = json!([{"field": "status", "before": "provider_confirmed", "after": "credited"}]);
    assert_eq!(entry(&data, "operation")["details"]["changes"], changes);
    let times: Vec<i64> =
        data["entries"].as_array().unwrap().iter().map(|entry| entry["time"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_payment_is_found_by_any_of_its_names() {
    let api = paid_deposit().await;
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    let names = [
        r#"{"id":1}"#.to_owned(),
        format!(r#"{{"reference":"{reference}"}}"#),
        format!(r#"{{"reference":"{}"}}"#, reference.as_str().to_ascii_uppercase()),
        r#"{"provider_payment_id":"pi_123"}"#.to_owned(),
        r#"{"ref":"pi_123"}"#.to_owned(),
    ];
    for name in &names {
        let (number, data) = api.command("crm@ion4", NAME, name).await;
        assert_eq!((number, &data["transaction"]["id"]), (200, &json!(1)), "{name}");
        let unknown = api.error("manager@other", NAME, r#"{"id":99}"#).await;
        assert_eq!(api.error("manager@other", NAME, name).await, unknown, "another brand: as one that does not exist");
    }
    let wrong = [
        ("manager", "{}", 400, "INVALID_DATA"),
        ("manager", r#"{"id":0}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":1,"ref":"pi_123"}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"ref":""}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":1,"x":1}"#, 400, "INVALID_DATA"),
        ("manager", r#"{"id":99}"#, 404, "RET_ERR_NOTFOUND"),
        ("manager", r#"{"reference":"15"}"#, 404, "RET_ERR_NOTFOUND"),
        ("manager", r#"{"provider_payment_id":"pi_0"}"#, 404, "RET_ERR_NOTFOUND"),
        ("manager", r#"{"ref":"pi_0"}"#, 404, "RET_ERR_NOTFOUND"),
        ("user", r#"{"id":1}"#, 403, "PERMISSION_DENIED"),
        ("customer", r#"{"id":1}"#, 403, "PERMISSION_DENIED"),
    ];
    for (token, data, number, error) in wrong {
        assert_eq!(api.error(token, NAME, data).await, (number, error.into()), "{token} {data}");
    }
    api.env.disk.history_fails.store(true, Ordering::SeqCst);
    assert_eq!(api.error("manager", NAME, r#"{"id":1}"#).await, (503, "STORAGE_UNAVAILABLE".into()));
}

#[tokio::test(start_paused = true)]
async fn an_id_of_several_payments_lists_them_newest_first_within_the_brand() {
    let api = paid_deposit().await;
    let stamp = cashier_core::change::Stamp {
        actor: cashier_core::session::Actor::System,
        request_id: "test".into(),
        now: api.env.cashier.clock.now(),
    };
    // One payment under every order, of which the last is another brand's.
    let decided = api.env.cashier.ledger.decide(&stamp, |draft| {
        let last = (MATCHES_MAX + 4) as u64;
        let first = draft.aggregate(TransactionId(1)).unwrap().transaction;
        for id in (1..=last).map(TransactionId) {
            let brand = if id.0 == last { "other".into() } else { first.brand.clone() };
            let reference = cashier_core::ids::Reference::from_random(id.0.into());
            let (provider_payment_id, idempotency_key) = ("pi_shared".into(), Box::default());
            let row = Transaction { id, brand, reference, provider_payment_id, idempotency_key, ..first.clone() };
            draft.add([Change::Transaction(Box::new(row))]);
        }
    });
    decided.unwrap().durable().await.unwrap();
    let (number, data) = api.command("manager", NAME, r#"{"provider_payment_id":"pi_shared"}"#).await;
    let ids: Vec<u64> = data["transaction_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!((number, ids.len(), ids[0]), (200, MATCHES_MAX, (MATCHES_MAX + 4) as u64));
    assert!(ids.is_sorted_by(|a, b| a > b));
    let (_, scoped) = api.command("manager@ion4", NAME, r#"{"ref":"pi_shared"}"#).await;
    assert_eq!(scoped["transaction_ids"][0], MATCHES_MAX + 3);
    let (_, other) = api.command("manager@other", NAME, r#"{"ref":"pi_shared"}"#).await;
    assert_eq!(other["transaction"]["id"], MATCHES_MAX + 4, "one of its own is no list");
}

#[tokio::test(start_paused = true)]
async fn an_order_without_an_answer_shows_its_queries_and_when_the_next_is_due() {
    let api = ManagerApi { env: TestCashier::new().await, context: ManagerApi::open().await.context };
    let context = ManagerContext { cashier: Arc::clone(&api.env.cashier), tokens: Arc::new(PlainTokens) };
    let api = ManagerApi { context, ..api };
    *lock(&api.env.provider.called_at) = Some(UnixTime(5));
    api.env.deposit("k").await.unwrap();
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    api.env.on_query(&reference, QueryAnswer::NoAnswer("CANARY refused".into()));
    api.env.run_for(200).await;
    let (_, data) = api.command("manager", NAME, r#"{"id":1}"#).await;
    let queries = entries(&data).iter().filter(|line| line.starts_with("provider_call: query")).count();
    assert!(queries >= 2, "{data}");
    let now = api.env.cashier.clock.now().0;
    let next = &data["next"][0];
    assert_eq!(next["what"], "query the provider", "{data}");
    assert!(next["not_before"].as_i64().unwrap() > now && next["tries"].as_u64().unwrap() >= 2, "{now}: {next}");
    assert_eq!(data["next"][1]["what"], "query the provider for the last time and close the order");
    let said = data["summary"]["customer"].as_str().unwrap();
    assert!(said.contains("please do not pay again"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn requests_are_stored_with_the_end_of_their_call_also_where_nothing_answers() {
    let api = ManagerApi::open().await;
    *lock(&api.env.provider.called_at) = Some(UnixTime(5));
    lock(&api.env.provider.next_creates).push_back(OnCreate::Unreadable);
    // The provider is queried at once, and the module cannot query: nothing is decided.
    api.env.deposit("k").await.unwrap();
    api.env.run_for(1).await;
    let (_, data) = api.command("manager", NAME, r#"{"id":1}"#).await;
    for purpose in ["create", "query"] {
        let line = format!("provider_call: {purpose} call to api.stripe.test: answered 200 after 20 ms");
        assert!(entries(&data).contains(&line), "{data}");
    }
    let mut env = api.env;
    env.crash().await;
    let context = ManagerContext { cashier: Arc::clone(&env.cashier), tokens: Arc::new(PlainTokens) };
    let api = ManagerApi { env, context };
    let (_, after) = api.command("manager", NAME, r#"{"id":1}"#).await;
    assert_eq!(entries(&after), entries(&data), "after a crash");
}

#[tokio::test(start_paused = true)]
async fn events_and_records_of_other_brands_are_not_shown_to_a_session_of_one() {
    let api = paid_deposit().await;
    let stamp = cashier_core::change::Stamp {
        actor: cashier_core::session::Actor::System,
        request_id: "test".into(),
        now: api.env.cashier.clock.now(),
    };
    // What belongs to another brand, and was stored about this payment all the same.
    let foreign = api.env.disk.event_row(cashier_core::ids::EventId(1)).unwrap();
    let decided = api.env.cashier.ledger.decide(&stamp, |draft| {
        let (id, brand, event_id) = (draft.next_event(), "other".into(), "evt_3".into());
        let row = cashier_core::notice::ProviderEvent { id, brand, event_id, ..foreign };
        draft.add([Change::Event(Box::new(row))]);
        draft.store(Body::Audit(Box::new(AuditRecord {
            manager_id: ManagerId(9),
            role: Role::Manager,
            brand: "other".into(),
            address: "".into(),
            command: "MngOther".into(),
            config_id: ConfigId(0),
            transaction_id: TransactionId(1),
            approval: cashier_core::ids::ApprovalId(0),
            outcome: "refused".into(),
            changes: Vec::new(),
        })));
    });
    decided.unwrap().durable().await.unwrap();
    let events = |data: &Value| entries(data).iter().filter(|line| line.starts_with("event")).count();
    let (_, all) = api.command("manager", NAME, r#"{"id":1}"#).await;
    let (_, scoped) = api.command("manager@ion4", NAME, r#"{"id":1}"#).await;
    assert_eq!((events(&all), events(&scoped)), (2, 1), "{all}");
    assert!(!scoped.to_string().contains("evt_3") && !scoped.to_string().contains("MngOther"), "{scoped}");
    assert!(all.to_string().contains("MngOther by manager 9: refused"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_verified_a_webhook_are_shown_with_the_payment_that_it_is_about_and_with_no_other() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    *lock(&api.env.provider.called_at) = Some(api.env.cashier.clock.now());
    let reference = api.env.aggregate(TransactionId(1)).transaction.reference;
    let by_network = async |event: &str, reference, amount| {
        let update = cashier_core::notice::Update { amount: Some(stated(amount)), ..paid(event, reference) };
        let body = format!("network {}", api.env.provider.notice_body(vec![update]));
        api.env.raw_notice(Some(1), body).await
    };
    let verifying = async || {
        let (_, data) = api.command("manager", NAME, r#"{"id":1}"#).await;
        let lines = entries(&data).into_iter().filter(|line| line.starts_with("provider_call: verify"));
        lines.collect::<Vec<_>>()
    };
    // What the provider does not know, and what is about a payment that is not known, is about no transaction.
    api.env.raw_notice(Some(1), "network 99".to_owned()).await.unwrap_err();
    let unknown = cashier_core::ids::Reference::from_random(9);
    by_network("evt_0", &unknown, 25_000).await.unwrap();
    assert_eq!(verifying().await, Vec::<String>::new());
    by_network("evt_1", &reference, 25_000).await.unwrap();
    let line = "provider_call: verify call to api.stripe.test: answered 200 after 20 ms";
    assert_eq!(verifying().await, [line]);
    // One that came before is filed no more.
    assert!(by_network("evt_1", &reference, 25_000).await.unwrap().duplicate);
    assert_eq!(verifying().await, [line]);
}
