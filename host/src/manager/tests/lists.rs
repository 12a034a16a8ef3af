//! Lists as managers ask for them: the fields of their filters, and brand scope in rows and counts.

use cashier_core::refs::{ProviderRef, Refs};

use super::*;
use crate::wire::csv::Columns;

const TRANSACTIONS: &str = "MngGetCashierTransactionsByFilter";

async fn found(api: &ManagerApi, token: &str, conditions: &Value) -> Value {
    let data = json!({ "where": conditions }).to_string();
    let (number, shown) = api.command(token, TRANSACTIONS, &data).await;
    assert_eq!(number, 200, "{data}: {shown}");
    let ids: Vec<Value> = shown["rows"].as_array().unwrap().iter().map(|row| row[0].clone()).collect();
    json!([ids, shown["count"]])
}

#[tokio::test(start_paused = true)]
async fn i5_transactions_are_found_by_what_a_customer_can_name() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    api.env.deposit_as(DepositRequest { amount: usd(1_010), ..deposit_request("other") }).await.unwrap();
    let first = api.env.aggregate(cashier_core::ids::TransactionId(1)).transaction;
    let table = [
        (json!(["reference", "=", first.reference.as_str()]), json!([[1], 1])),
        (json!(["amount", "=", 250]), json!([[1], 1])),
        (json!(["amount", "<", "10.11"]), json!([[2], 1])),
        (json!(["brand", "=", "ion4"]), json!([[2, 1], 2])),
        (json!(["provider_config_id", "=", first.config_id.0]), json!([[2, 1], 2])),
        (json!(["idempotency_key", "=", "other"]), json!([[2], 1])),
        (json!(["failure_reason", "=", ""]), json!([[2, 1], 2])),
        (json!(["updated_time", ">", first.updated_time.0]), json!([[], 0])),
        (json!(["expires_time", "=", first.expires_time.0]), json!([[2, 1], 2])),
    ];
    for (condition, expected) in &table {
        assert_eq!(found(&api, "manager", &json!([condition])).await, *expected, "{condition}");
        assert_eq!(found(&api, "crm@ion4", &json!([condition])).await, *expected, "{condition}");
        assert_eq!(found(&api, "manager@other", &json!([condition])).await, json!([[], 0]), "{condition}");
        let data = json!({ "where": [condition] }).to_string();
        assert_eq!(api.error("user", TRANSACTIONS, &data).await, (403, "PERMISSION_DENIED".into()));
    }
    for wrong in [json!(["amount", "=", "1e2"]), json!(["amount", "like", "2%"]), json!(["comment", "=", ""])] {
        let data = json!({ "where": [wrong] }).to_string();
        assert_eq!(api.error("manager", TRANSACTIONS, &data).await, (400, "INVALID_DATA".into()), "{data}");
    }
}

/// The answer in the form that was asked for, as the listener would send it.
async fn as_csv(api: &ManagerApi, token: &str, name: &str, data: &str) -> (AnswerForm, u16, String) {
    let message = format!(r#"{{"command":"{name}","extID":"1","data":{data},"__token":"{token}"}}"#);
    let answer = answer_as(AnswerForm::Csv, &api.context, message.as_bytes(), None, context()).await;
    (answer.form, answer.number, String::from_utf8(answer.body.collected().await).unwrap())
}

/// An order, an event, an override and a change that waits; the records of these.
async fn with_a_row_in_every_list() -> ManagerApi {
    let api = ManagerApi::with_second_person().await;
    api.deposit().await;
    api.env.raw_notice(Some(1), "unreadable 1".to_owned()).await.unwrap();
    let row = r#"{"customer_id":5,"brand":"ion4","provider":"stripe","mode":1,"enabled":1}"#;
    assert_eq!(api.command("manager", "MngUpdateCashierCustomerProviderOverride", row).await.0, 200);
    let change = r#"{"id":1,"webhook_secret":"CANARY"}"#;
    assert_eq!(api.command("dealer#9", "MngUpdateCashierProviderConfig", change).await.0, 202);
    api
}

#[tokio::test(start_paused = true)]
async fn i10_every_list_is_csv_for_who_asks_and_has_the_rows_of_its_json() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    let (form, number, text) = as_csv(&api, "crm@ion4", TRANSACTIONS, r#"{"where":[["status","=",1]]}"#).await;
    let expected = "id,customer_id,login,type,provider,method,provider_payment_id,amount,currency,status,failure_reason,created_time,updated_time\r\n1,5,2000009,0,stripe,card,pi_123,250.0,USD,1,,1779270000,1779270000\r\n";
    assert_eq!((form, number, &*text), (AnswerForm::Csv, 200, expected));
    let (_, _, nothing) = as_csv(&api, "manager@other", TRANSACTIONS, "{}").await;
    assert_eq!(nothing.lines().count(), 1, "{nothing}");
    let api = with_a_row_in_every_list().await;
    for command in COMMANDS.iter().filter(|command| Columns::of(&(command.answer)()).is_some()) {
        let data = if command.name == "MngExplainCashierMethods" { r#"{"login":2000009}"# } else { "{}" };
        let (number, shown) = api.command("manager", command.name, data).await;
        assert_eq!(number, 200, "{}: {shown}", command.name);
        let (form, number, text) = as_csv(&api, "manager", command.name, data).await;
        assert_eq!((form, number), (AnswerForm::Csv, 200), "{}", command.name);
        let rows = shown["rows"].as_array().unwrap().len();
        assert!(rows > 0, "{} shows no row", command.name);
        assert!(text.ends_with("\r\n") && text.matches("\r\n").count() == rows + 1, "{}: {text}", command.name);
    }
    let by_filter = COMMANDS.iter().filter(|command| command.name.ends_with("ByFilter"));
    let without: Vec<_> = by_filter.filter(|command| Columns::of(&(command.answer)()).is_none()).collect();
    assert!(without.is_empty(), "{} lists have no CSV", without.len());
}

#[tokio::test(start_paused = true)]
async fn i10_what_is_refused_or_no_list_is_json_whatever_was_asked_for() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    let table = [
        ("manager", TRANSACTIONS, r#"{"where":1}"#, 400),
        ("manager", TRANSACTIONS, r#"{"limit":5000001}"#, 400),
        ("manager", TRANSACTIONS, r#"{"limit":50001,"offset":1}"#, 400),
        ("manager", TRANSACTIONS, r#"{"limit":50001,"orderBy":[["status","asc"]]}"#, 400),
        ("manager", TRANSACTIONS, r#"{"limit":50001,"orderBy":[["id","asc"],["status","asc"]]}"#, 400),
        ("manager", TRANSACTIONS, r#"{"limit":50001,"where":[["color","=",1]]}"#, 400),
        ("manager", TRANSACTIONS, r#"{"limit":50001,"where":7}"#, 400),
        ("user", TRANSACTIONS, "{}", 403),
        ("forged", TRANSACTIONS, "{}", 401),
        ("manager", "MngNothing", "{}", 404),
        ("manager@ion4", "MngGetCashierPaymentModules", "{}", 403),
        ("manager", "MngGetCashierTransaction", r#"{"id":1}"#, 200),
    ];
    for (token, name, data, expected) in table {
        let (form, number, text) = as_csv(&api, token, name, data).await;
        assert_eq!((form, number), (AnswerForm::Json, expected), "{name} {data}: {text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["status"], expected, "{text}");
    }
    // JSON has its limit, whatever CSV has.
    assert_eq!(api.error("manager", TRANSACTIONS, r#"{"limit":50001}"#).await, (400, "INVALID_DATA".into()));
}

/// So many open deposits of one customer.
async fn with_deposits(api: &ManagerApi, count: usize) {
    with_deposits_of(api, count, &Refs::default()).await;
}

/// The same with these ids at the provider.
async fn with_deposits_of(api: &ManagerApi, count: usize, refs: &Refs) {
    api.deposit().await;
    let row = api.env.aggregate(cashier_core::ids::TransactionId(1)).transaction;
    let stamp = cashier_core::change::Stamp {
        actor: cashier_core::session::Actor::System,
        request_id: "test".into(),
        now: row.created_time,
    };
    let made = api.env.cashier.ledger.decide(&stamp, |draft| {
        draft.add((2..=count as u64).map(|id| {
            let id = cashier_core::ids::TransactionId(id);
            let reference = cashier_core::ids::Reference::from_random(id.0.into());
            // Of no payment and no key: an index has as many rows of one id as have it.
            let (none, refs) = (Box::<str>::default(), refs.clone());
            let row = cashier_core::transaction::Transaction {
                id,
                reference,
                refs,
                provider_payment_id: none.clone(),
                idempotency_key: none,
                ..row.clone()
            };
            cashier_core::change::Change::Transaction(Box::new(row))
        }));
    });
    made.unwrap().durable().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn i10_an_export_goes_on_from_page_to_page_and_has_each_row_once_while_rows_change() {
    const ROWS: usize = 10_050;
    let api = ManagerApi::open().await;
    with_deposits(&api, ROWS).await;
    for (order, first, last) in [("desc", ROWS, 1), ("asc", 1, ROWS)] {
        // As many conditions as a filter may have: where the last page ended is none of them.
        let conditions = vec![json!(["customer_id", "=", 5]); 32];
        let data = json!({"limit": 60_000, "where": conditions, "orderBy": ["id", order]}).to_string();
        let (form, _, text) = as_csv(&api, "manager", TRANSACTIONS, &data).await;
        let ids: Vec<usize> =
            text.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
        let distinct: std::collections::BTreeSet<&usize> = ids.iter().collect();
        assert_eq!((form, ids.len(), distinct.len()), (AnswerForm::Csv, ROWS, ROWS), "{order}");
        assert_eq!((ids.first(), ids.last()), (Some(&first), Some(&last)));
    }
    assert_eq!(api.env.cashier.list_bytes_held(), 0, "an export gives back what its pages held");
}

#[tokio::test(start_paused = true)]
async fn i10_an_export_of_rows_that_no_page_holds_goes_to_its_end_in_shorter_pages() {
    const ROWS: usize = 2_500;
    let api = ManagerApi::open().await;
    let refs = (0..64).map(|n| ProviderRef::new("charge", &format!("{n:0>250}"))).collect();
    with_deposits_of(&api, ROWS, &refs).await;
    let (form, _, text) = as_csv(&api, "manager", TRANSACTIONS, r#"{"limit":2500}"#).await;
    assert!(form == AnswerForm::Json && text.contains("more than 32 MiB, ask for fewer"), "{text}");
    let (form, number, text) = as_csv(&api, "manager", TRANSACTIONS, r#"{"limit":60000}"#).await;
    assert_eq!((form, number), (AnswerForm::Csv, 200), "{text}");
    let ids: Vec<usize> = text.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(ids.iter().copied().eq((1..=ROWS).rev()), "{} rows", ids.len());
}

#[tokio::test(start_paused = true)]
async fn i10_the_request_of_an_export_is_read_as_that_of_a_page_is() {
    let api = with_a_row_in_every_list().await;
    let right = ["", r#","orderBy":null,"where":null,"offset":null"#, r#","orderBy":[],"where":[],"offset":"0""#];
    let wrong = [
        (r#","where":[["brand","=","ion4"]],"where":[]"#, "where is given twice"),
        (r#","limit":60000"#, "limit is given twice"),
        (r#","offset":0,"offset":0"#, "offset is given twice"),
        (r#","offset":"x""#, "offset \"x\" is not a row number"),
        (r#","offset":-1"#, "offset \"-1\" is not a row number"),
        (r#","offset":[1]"#, "offset must be a single value"),
        (r#","offset":1"#, "offset: an export of more than 50000 rows begins with the first"),
        (r#","orderBy":[["id","asc",7]]"#, "orderBy must be"),
        (r#","orderBy":["id","asc","brand"]"#, "orderBy must be"),
        (r#","orderBy":"id""#, "orderBy must be"),
        (r#","orderBy":[["brand","asc"]]"#, "orderBy: an export of more than 50000 rows"),
        (r#","where":7"#, "where must be a list of conditions"),
        (r#","color":1"#, "color is not a known parameter"),
    ];
    let lists: Vec<_> = COMMANDS.iter().filter(|command| command.name.ends_with("ByFilter")).collect();
    assert!(lists.len() >= 7, "{} lists", lists.len());
    for (command, limit) in lists.iter().flat_map(|command| [(command, "60000"), (command, "\"60000\"")]) {
        let (_, shown) = api.command("manager", command.name, "{}").await;
        let rows = shown["rows"].as_array().unwrap().len();
        for more in right {
            let (form, number, text) =
                as_csv(&api, "manager", command.name, &format!("{{\"limit\":{limit}{more}}}")).await;
            assert_eq!((form, number), (AnswerForm::Csv, 200), "{} {more}: {text}", command.name);
            assert_eq!(text.matches("\r\n").count(), rows + 1, "{} {more}: {text}", command.name);
        }
        for (more, why) in wrong {
            let data = format!("{{\"limit\":{limit}{more}}}");
            let (form, number, text) = as_csv(&api, "manager", command.name, &data).await;
            assert_eq!((form, number), (AnswerForm::Json, 400), "{} {more}: {text}", command.name);
            let answer: Value = serde_json::from_str(&text).unwrap();
            assert!(answer["data"]["message"].as_str().unwrap().starts_with(why), "{} {more}: {text}", command.name);
            assert_eq!(as_csv(&api, "user", command.name, &data).await.1, 403, "rights come first");
        }
    }
}

const DUTIES: &str = "MngGetCashierDutiesByFilter";

#[tokio::test(start_paused = true)]
async fn i10_the_work_list_goes_to_its_end_as_csv_and_holds_the_items_of_one_hold() {
    const ITEMS: usize = 50_010;
    let api = ManagerApi::open().await;
    with_deposits(&api, ITEMS).await;
    let (_, counted) = api.command("manager", DUTIES, r#"{"limit":1}"#).await;
    assert_eq!(counted["count"], ITEMS);
    let export = async |token: &str, data: &str| {
        let message = format!(r#"{{"command":"{DUTIES}","data":{data},"__token":"{token}"}}"#);
        let answer = answer_as(AnswerForm::Csv, &api.context, message.as_bytes(), None, context()).await;
        assert_eq!((answer.form, answer.number), (AnswerForm::Csv, 200), "{data}");
        let (mut pieces, mut text, mut held) = (answer.body.into_pieces(), Vec::new(), 0);
        while let Some(piece) = pieces.next().await.unwrap() {
            text.extend(piece);
            held = held.max(api.env.cashier.list_bytes_held());
        }
        let text = String::from_utf8(text).unwrap();
        let ids = text.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap());
        (ids.collect::<Vec<usize>>(), held)
    };
    // One fewer than there are: what was asked for, beyond the largest page.
    let (ids, held) = export("crm@ion4", r#"{"limit":50009}"#).await;
    assert!(ids.iter().copied().eq(1..ITEMS), "each once, in the order of ids: {} rows", ids.len());
    assert!(held > 0 && held < 2 * 1024 * 1024, "{held} bytes");
    let (ids, _) = export("manager", r#"{"limit":5000000,"where":[["transaction_id",">",50000]]}"#).await;
    assert!(ids.into_iter().eq(50_001..=ITEMS));
    assert_eq!(export("manager@other", r#"{"limit":60000}"#).await.0.len(), 0);
    assert_eq!(api.env.cashier.list_bytes_held(), 0, "an export gives back what it held");
    for data in [
        r#"{"limit":60000,"orderBy":["since","asc"]}"#,
        r#"{"limit":60000,"offset":1}"#,
        r#"{"limit":5000001}"#,
        r#"{"limit":60000,"where":[["color","=",1]]}"#,
    ] {
        assert_eq!(as_csv(&api, "manager", DUTIES, data).await.1, 400, "{data}");
    }
    assert_eq!(api.error("manager", DUTIES, r#"{"limit":60000}"#).await, (400, "INVALID_DATA".into()));
}
