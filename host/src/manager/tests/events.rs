//! The list of provider events: what it shows, to whom, and what it does not show yet.

mod brands;
mod dismiss;
mod replay;

use std::sync::atomic::Ordering;

use cashier_core::ids::Reference;

use super::*;
use crate::ports::RawNotice;
use crate::test_cashier::paid;

const LIST: &str = "MngGetCashierProviderEventsByFilter";

async fn reference(api: &ManagerApi) -> Reference {
    let request = DepositRequest { amount: usd(25_000), ..deposit_request("k") };
    api.env.deposit_as(request).await.unwrap().transaction.reference
}

/// One processed event of the brand ion4, and one forged webhook for the config of another.
async fn received(api: &ManagerApi) {
    let reference = reference(api).await;
    let body = api.env.provider.notice_body(vec![paid("evt_1", &reference)]);
    let headers = [("authorization", "Bearer CANARY")].map(|(n, v)| (n.into(), v.into()));
    let request = api.env.request("any config");
    let headers = request.headers.iter().cloned().chain(headers).collect();
    api.env.receive(Some(1), RawNotice { body: body.into(), headers, ..request }).await.unwrap();
    api.env.raw_notice(Some(2), "forged".to_owned()).await.unwrap_err();
    api.env.run_for(1).await;
}

fn ids(answer: &Value) -> (Vec<u64>, &Value) {
    (answer["rows"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect(), &answer["count"])
}

#[tokio::test(start_paused = true)]
async fn f3_events_are_listed_with_body_and_masked_headers_quarantined_ones_too() {
    let api = ManagerApi::open().await;
    received(&api).await;
    let (number, all) = api.command("manager", LIST, "{}").await;
    assert_eq!((number, ids(&all)), (200, (vec![2, 1], &json!(2))), "{all}");
    let [forged, paid] = [&all["rows"][0], &all["rows"][1]];
    let shown = |row: &Value| [&row["signature_status"], &row["processing_status"]].map(Clone::clone);
    assert_eq!((shown(forged), shown(paid)), ([json!(2), json!(2)], [json!(1), json!(1)]));
    assert_eq!(
        (&forged["payload_json"], &paid["event_id"], &paid["transaction_id"]),
        (&json!("forged"), &json!("evt_1"), &json!(1))
    );
    assert_eq!(paid["payload_json"], "0", "the body as the provider sent it");
    let read = |row: &Value| json!(["provider_status", "raw_status", "stated_amount"].map(|name| row.get(name)));
    assert_eq!(read(paid), json!(["confirmed", "confirmed", "100.0 USD"]), "what the module read in it");
    assert_eq!(read(forged), json!([null, null, null]), "nothing reads what was not verified");
    let headers = paid["headers_json"].as_str().unwrap();
    assert!(headers.contains(r#"["authorization","***"]"#) && headers.contains("x-signature"), "{headers}");
    let table = [
        (r#"{"where":[["id","=",1]]}"#, vec![1]),
        (r#"{"where":[["signature_status","=",2]]}"#, vec![2]),
        (r#"{"where":[["transaction_id","=",1]]}"#, vec![1]),
        (r#"{"where":[["provider_config_id","=",2]]}"#, vec![2]),
        (r#"{"where":[["event_id","like","evt%"]]}"#, vec![1]),
        (r#"{"orderBy":[["id","asc"]]}"#, vec![1, 2]),
        (r#"{"where":[["brand","=","nobody"]]}"#, vec![]),
    ];
    for (data, expected) in table {
        let (_, found) = api.command("manager", LIST, data).await;
        assert_eq!(ids(&found), (expected.clone(), &json!(expected.len())), "{data}");
    }
    let (_, page) = api.command("manager", LIST, r#"{"limit":1,"offset":1}"#).await;
    assert_eq!(ids(&page), (vec![1], &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn f3_events_of_another_brand_and_of_none_are_neither_seen_nor_counted() {
    let api = ManagerApi::open().await;
    received(&api).await;
    let (_, own) = api.command("manager@ion4", LIST, "{}").await;
    assert_eq!(ids(&own), (vec![1], &json!(1)));
    for data in ["{}", r#"{"where":[["brand","=","ion4"]]}"#, r#"{"where":[["id","=",1]]}"#] {
        let (number, none) = api.command("manager@other", LIST, data).await;
        assert_eq!((number, none), (200, json!({"rows": [], "count": 0})), "{data}");
    }
}

#[tokio::test(start_paused = true)]
async fn f3_wrong_roles_and_wrong_filters_are_refused() {
    let api = ManagerApi::open().await;
    for role in ["customer", "user"] {
        assert_eq!(api.error(role, LIST, "{}").await, (403, "PERMISSION_DENIED".into()), "{role}");
    }
    assert_eq!(api.error("nobody", LIST, "{}").await, (401, "RET_UNAUTHORIZED".into()));
    let wrong =
        [r#"{"where":[["payload_json","=","x"]]}"#, r#"{"where":[["id","like","1%"]]}"#, r#"{"limit":50001}"#, "[]"];
    for data in wrong {
        let message = format!(r#"{{"command":"{LIST}","extID":"1","data":{data},"__token":"manager"}}"#);
        let (number, text) = api.send(&message, None).await;
        assert!(number == 400 && text.contains("INVALID_DATA"), "{data}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn f3_an_event_is_shown_once_it_is_durable_and_not_before() {
    let api = ManagerApi::open().await;
    let reference = reference(&api).await;
    api.env.disk.held.store(true, Ordering::SeqCst);
    let receiving = tokio::spawn(api.env.notice(Some(1), vec![paid("evt_1", &reference)]));
    api.env.run_for(1).await;
    let (_, before) = api.command("manager", LIST, "{}").await;
    assert_eq!(ids(&before), (vec![], &json!(0)), "the books have it, the disk does not");
    api.env.disk.held.store(false, Ordering::SeqCst);
    receiving.await.unwrap().unwrap();
    let (_, after) = api.command("manager", LIST, "{}").await;
    assert_eq!(ids(&after), (vec![1], &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn f3_a_list_of_events_counts_among_the_lists_of_its_reader() {
    let api = ManagerApi::open().await;
    received(&api).await;
    let message = format!(r#"{{"command":"{LIST}","extID":"1","data":{{}},"__token":"manager"}}"#);
    let mut unsent = Vec::new();
    for _ in 0..4 {
        let (number, body) = answer(&api.context, message.as_bytes(), None, context()).await;
        assert_eq!(number, 200);
        unsent.push(body);
    }
    assert!(api.env.cashier.list_bytes_held() > 0);
    assert_eq!(api.error("manager", LIST, "{}").await, (429, "RET_ERR_FREQUENT".into()));
    drop(unsent);
    assert_eq!((api.command("manager", LIST, "{}").await.0, api.env.cashier.list_bytes_held()), (200, 0));
}
