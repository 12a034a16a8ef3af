//! The records of what was done and of what was refused, and the command that lists them.

use cashier_core::change::AuditRecord;
use cashier_core::edit::AuditedValue;
use cashier_core::filter::{AuditField, Field};

use super::*;
use crate::flows::{
    REFUSALS_OF_BRAND_RECORDED_PER_MINUTE, REFUSALS_OF_OTHERS_RECORDED_PER_MINUTE, REFUSALS_RECORDED_PER_MINUTE,
    refusals,
};

const LIST: &str = "MngGetCashierAuditByFilter";
const UPDATE: &str = "MngUpdateCashierProviderConfig";
const OVERRIDE: &str = "MngUpdateCashierCustomerProviderOverride";
const GET: &str = "MngGetCashierTransaction";

fn lines(records: &[AuditRecord]) -> Vec<String> {
    let value = |value: &AuditedValue| match value {
        AuditedValue::Clear(text) => text.to_string(),
        AuditedValue::Hidden(_) => "hidden".to_owned(),
    };
    let changes = |record: &AuditRecord| {
        let change = |change: &cashier_core::edit::FieldChange| {
            format!("{} {}>{}", change.field, value(&change.before), value(&change.after))
        };
        record.changes.iter().map(change).collect::<Vec<_>>().join(", ")
    };
    let who = |record: &AuditRecord| format!("{} {:?} '{}'", record.manager_id, record.role, record.brand);
    let line = |record: &AuditRecord| format!("{} {}: {}", who(record), record.outcome, changes(record));
    records.iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_and_a_read_refused_by_rights_are_recorded_with_who_sent_what() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    let refused = [
        ("customer#5", GET, r#"{"id":1}"#, 403),
        ("manager@ion4", "MngGetCashierPaymentModules", "{}", 403),
        ("manager@other", UPDATE, r#"{"id":1,"webhook_secret":"CANARY","enabled":0}"#, 404),
        ("dealer#9", UPDATE, r#"{"id":1,"unknown":"CANARY","webhook_secret":"CANARY"}"#, 400),
        ("manager", "MngApproveCashierChange", r#"{"id":77}"#, 404),
        ("crm", "MngDeleteCashierProviderConfig", r#"{"id":1,"for_good":1}"#, 409),
    ];
    for (token, name, data, number) in refused {
        assert_eq!(api.error(token, name, data).await.0, number, "{token} {name}");
    }
    // A read that finds nothing, a message of an unknown caller: no record.
    assert_eq!(api.error("manager", GET, r#"{"id":99}"#).await.0, 404);
    assert_eq!(api.error("manager", GET, r#"{"id":"x"}"#).await.0, 400);
    assert_eq!(api.send(r#"{"command":"MngUpdateCashierProviderConfig","data":{"id":1}}"#, None).await.0, 401);
    let records = api.all_records();
    let expected = [
        "5 Customer '' refused: PERMISSION_DENIED: id >1",
        "7 Manager 'ion4' refused: PERMISSION_DENIED: ",
        "7 Manager 'other' refused: RET_ERR_NOTFOUND: id >1, webhook_secret >hidden, enabled >0",
        "9 Dealer '' refused: INVALID_DATA: id >1, webhook_secret >hidden, other fields >1",
        "7 Manager '' refused: RET_ERR_NOTFOUND: id >77",
        "7 CrmManager '' refused: CONFIG_IN_USE: id >1, for_good >1",
    ];
    assert_eq!(lines(&records), expected);
    let subjects: Vec<[u64; 3]> =
        records.iter().map(|record| [record.config_id.0, record.transaction_id.0, record.approval.0]).collect();
    assert_eq!(subjects, [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]]);
    assert!(!format!("{records:?}").contains("CANARY"));
    assert_eq!(api.env.cashier.counted_refusals(), (1, 2), "one without a token, and two reads");
}

#[tokio::test(start_paused = true)]
async fn whoever_tries_the_ids_of_another_brand_by_reads_is_recorded_with_how_many_were_refused() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    for id in 1..=3 {
        let data = format!(r#"{{"id":{id}}}"#);
        for command in [GET, "MngExplainCashierTransaction"] {
            assert_eq!(api.error("manager#8@other", command, &data).await.0, 404, "{command} {id}");
        }
    }
    assert_eq!(api.error("manager#9@other", LIST, r#"{"where":1}"#).await.0, 400);
    assert_eq!(lines(&api.all_records()), [""; 0], "none has a record of its own");
    refusals::record_counted(&api.env.cashier).await;
    let expected = ["0 System 'other' refused: 7 more without a record: Manager 8 >6, Manager 9 >1"];
    assert_eq!(lines(&api.all_records()), expected);
}

#[tokio::test(start_paused = true)]
async fn a_refused_command_is_shown_with_a_row_only_where_the_row_exists_for_a_session_of_a_manager() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    let (retry, refund) = ("MngRetryCashierCredit", "MngRefundCashierTransaction");
    for (token, name, data, number, about) in [
        ("customer#7", refund, r#"{"id":1}"#, 403, 0),
        ("manager#8@other", retry, r#"{"id":1}"#, 404, 0),
        ("manager#8@other", retry, r#"{"id":1,"unknown":1}"#, 400, 0),
        ("manager#8", retry, r#"{"id":99}"#, 404, 0),
        ("manager#9@ion4", retry, r#"{"id":1,"unknown":1}"#, 400, 1),
    ] {
        assert_eq!(api.error(token, name, data).await.0, number, "{token} {data}");
        let record = api.all_records().pop().unwrap();
        assert_eq!(record.transaction_id.0, about, "{token} {data}");
        assert_eq!(&*record.changes[0].field, "id", "what was sent is recorded all the same");
    }
    let (_, shown) = api.command("manager", "MngExplainCashierTransaction", r#"{"id":1}"#).await;
    let records = shown["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "record");
    let titles: Vec<&str> = records.map(|entry| entry["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["MngRetryCashierCredit by manager 9: refused: INVALID_DATA"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_being_refused_fills_no_disk_and_what_is_beyond_is_recorded_as_a_count() {
    let api = ManagerApi::open().await;
    let wrong = r#"{"id":99,"enabled":0}"#;
    let sent = REFUSALS_RECORDED_PER_MINUTE + 5;
    for _ in 0..sent {
        assert_eq!(api.error("dealer#9", UPDATE, wrong).await.0, 404, "the refusal stands");
    }
    let count = api.all_records().len();
    assert_eq!(count, REFUSALS_RECORDED_PER_MINUTE as usize);
    assert_eq!(api.env.cashier.counted_refusals(), (0, 5));
    // Customers, of whom there are many, together.
    for customer in 100..100 + u64::from(REFUSALS_OF_OTHERS_RECORDED_PER_MINUTE) + 3 {
        assert_eq!(api.error(&format!("customer#{customer}"), UPDATE, wrong).await.0, 403);
    }
    let of_others = api.all_records().len() - count;
    assert_eq!(of_others, REFUSALS_OF_OTHERS_RECORDED_PER_MINUTE as usize);
    refusals::record_counted(&api.env.cashier).await;
    let last = lines(&api.all_records()).pop().unwrap();
    let expected =
        "0 System '' refused: 8 more without a record: Dealer 9 >5, Customer 106 >1, Customer 107 >1, Customer 108 >1";
    assert_eq!(last, expected);
    let count = api.all_records().len();
    refusals::record_counted(&api.env.cashier).await;
    assert_eq!(api.all_records().len(), count, "they are counted once");
}

#[tokio::test(start_paused = true)]
async fn the_refusals_of_one_brand_use_up_no_record_of_another_one_and_each_brand_reads_its_own_count() {
    let api = ManagerApi::open().await;
    let wrong = r#"{"id":99,"enabled":0}"#;
    let of_brand = |brand: &str| api.all_records().iter().filter(|record| *record.brand == *brand).count();
    let flood = u64::from(REFUSALS_OF_BRAND_RECORDED_PER_MINUTE / REFUSALS_RECORDED_PER_MINUTE) + 1;
    for manager in 100..100 + flood {
        for _ in 0..REFUSALS_RECORDED_PER_MINUTE + 1 {
            assert_eq!(api.error(&format!("manager#{manager}@other"), UPDATE, wrong).await.0, 404);
        }
    }
    assert_eq!(of_brand("other"), REFUSALS_OF_BRAND_RECORDED_PER_MINUTE as usize);
    for manager in [8, 100] {
        for _ in 0..REFUSALS_RECORDED_PER_MINUTE {
            assert_eq!(api.error(&format!("manager#{manager}@ion4"), UPDATE, wrong).await.0, 404);
        }
    }
    assert_eq!(of_brand("ion4"), 2 * REFUSALS_RECORDED_PER_MINUTE as usize, "whoever sent them");
    assert_eq!(api.error("manager#100", UPDATE, wrong).await.0, 404);
    assert_eq!(of_brand(""), 1, "sessions of every brand have a share of their own");
    // What is not written is counted on.
    api.env.disk.fail_in.store(1, std::sync::atomic::Ordering::SeqCst);
    refusals::record_counted(&api.env.cashier).await;
    assert_eq!(of_brand("other"), REFUSALS_OF_BRAND_RECORDED_PER_MINUTE as usize);
    api.env.run_for(5).await;
    refusals::record_counted(&api.env.cashier).await;
    let (_, seen) = api.command("manager@other", LIST, r#"{"where":[["manager_id","=",0]]}"#).await;
    let more = flood * u64::from(REFUSALS_RECORDED_PER_MINUTE + 1) - u64::from(REFUSALS_OF_BRAND_RECORDED_PER_MINUTE);
    assert_eq!(seen["rows"][0]["outcome"], format!("refused: {more} more without a record"), "{seen}");
    assert_eq!(seen["count"], 1);
    assert_eq!(api.command("manager@ion4", LIST, r#"{"where":[["manager_id","=",0]]}"#).await.1["count"], 0);
}

#[tokio::test(start_paused = true)]
async fn records_of_real_changes_are_never_bounded_away_and_what_changes_nothing_leaves_none() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    for _ in 0..REFUSALS_RECORDED_PER_MINUTE + 5 {
        assert_eq!(api.error("dealer#9", UPDATE, r#"{"id":99}"#).await.0, 404);
    }
    let before = api.all_records().len();
    let changes = 3 * REFUSALS_OF_BRAND_RECORDED_PER_MINUTE as usize;
    for number in 1..=changes {
        let data = format!(r#"{{"id":1,"sort_index":{}}}"#, 100 + number);
        assert_eq!(api.command("dealer#9", UPDATE, &data).await.0, 200);
    }
    assert_eq!(api.all_records().len(), before + changes, "one for each");
    let written = r#"{"id":1,"failure_reason":"asked the bank"}"#;
    for _ in 0..20 {
        assert_eq!(api.command("dealer#9", "MngUpdateCashierTransaction", written).await.0, 200);
    }
    assert_eq!(api.all_records().len(), before + changes + 1, "the same again changes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_command_that_does_not_exist_leaves_a_record_with_its_name_bounded_and_printable() {
    let api = ManagerApi::open().await;
    let sent = r#"{"command":"MngDropCashier","data":{"id":1,"secret_key":"CANARY"}}"#;
    assert_eq!(api.send(sent, Some("manager#8@ion4")).await.0, 404);
    assert_eq!(api.send(r#"{"command":"MngNothing 4111111111111111"}"#, Some("customer#5")).await.0, 404);
    assert_eq!(api.send(r#"{"command":"MngNothing"}"#, None).await.0, 401);
    let records = api.all_records();
    let expected = [
        "8 Manager 'ion4' refused: RET_ERR_NOTFOUND: command >MngDropCashier",
        "5 Customer '' refused: RET_ERR_NOTFOUND: command >MngNothing 411111******1111",
    ];
    assert_eq!(lines(&records), expected);
    assert!(records.iter().all(|record| &*record.command == refusals::UNKNOWN_COMMAND));
    for _ in 0..2 * REFUSALS_RECORDED_PER_MINUTE {
        assert_eq!(api.send(r#"{"command":"MngNothing"}"#, Some("manager#8@ion4")).await.0, 404);
    }
    assert_eq!(api.all_records().len(), 1 + REFUSALS_RECORDED_PER_MINUTE as usize, "within the same limits");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stands_where_it_cannot_be_recorded() {
    let api = ManagerApi::open().await;
    api.env.disk.fail_in.store(1, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(api.error("manager", UPDATE, r#"{"id":99,"enabled":0}"#).await, (404, "RET_ERR_NOTFOUND".into()));
    assert_eq!((api.all_records().len(), api.env.cashier.counted_refusals()), (0, (0, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_changed_override_is_recorded_with_its_values_before_and_after() {
    let api = ManagerApi::open().await;
    let made = r#"{"customer_id":5,"brand":"ion4","provider":"stripe","mode":1,"enabled":1,"comment":"CANARY"}"#;
    assert_eq!(api.command_without_canary_check("crm#8", OVERRIDE, made).await, 200);
    assert_eq!(api.command_without_canary_check("crm#9@ion4", OVERRIDE, r#"{"id":1,"mode":0}"#).await, 200);
    assert_eq!(api.command_without_canary_check("crm#9", OVERRIDE, r#"{"id":1,"mode":0}"#).await, 200);
    let expected = [
        "8 CrmManager '' override saved: override >1, customer_id >5, brand >ion4, provider >stripe, provider_config_id >0, mode >1, min_amount >0.0, max_amount >0.0, enabled >1, expires_time >0, comment hidden>hidden",
        "9 CrmManager 'ion4' override saved: override 1>1, mode 1>0",
    ];
    assert_eq!(lines(&api.all_records()), expected, "and an edit that changes nothing leaves no record");
}

#[tokio::test(start_paused = true)]
async fn records_are_listed_by_every_field_and_a_session_of_one_brand_sees_those_of_its_sessions() {
    let api = ManagerApi::open().await;
    assert_eq!(api.command("dealer#9", UPDATE, r#"{"id":1,"sort_index":4}"#).await.0, 200);
    assert_eq!(api.command("manager#8@ion4", UPDATE, r#"{"id":1,"sort_index":5}"#).await.0, 200);
    assert_eq!(api.error("manager#8@other", UPDATE, r#"{"id":1,"sort_index":6}"#).await.0, 404);
    let (number, shown) = api.command("manager", LIST, "{}").await;
    assert_eq!((number, &shown["count"]), (200, &json!(3)));
    let newest = &shown["rows"][0];
    let expected = json!([8, 1, "other", UPDATE, 0, 0, 0, "refused: RET_ERR_NOTFOUND"]);
    let fields =
        ["manager_id", "role", "brand", "command", "provider_config_id", "transaction_id", "approval_id", "outcome"];
    assert_eq!(json!(fields.map(|field| &newest[field])), expected);
    assert_eq!(shown["rows"][1]["changes"], json!([{"field": "sort_index", "before": "4", "after": "5"}]));
    for (filter, count) in [
        (r#"{"where":[["manager_id","=",8]]}"#, 2),
        (r#"{"where":[["outcome","like","refused%"]]}"#, 1),
        (r#"{"where":[["provider_config_id","=",1],["brand","=","ion4"]]}"#, 1),
        (r#"{"where":[["transaction_id","=",1]]}"#, 0),
        (r#"{"where":[["command","=","MngX"]]}"#, 0),
        (r#"{"whereIn":[["role",[2]]]}"#, 1),
    ] {
        assert_eq!(api.command("manager", LIST, filter).await.1["count"], count, "{filter}");
    }
    for (token, count) in [("manager@ion4", 1), ("manager@other", 1), ("manager@none", 0)] {
        let (_, seen) = api.command(token, LIST, "{}").await;
        assert_eq!(seen["count"], count, "{token}");
        let brand = token.split_once('@').unwrap().1;
        assert!(seen["rows"].as_array().unwrap().iter().all(|row| row["brand"] == brand), "{seen}");
    }
    assert_eq!(api.error("manager", LIST, r#"{"where":[["address","=","x"]]}"#).await, (400, "INVALID_DATA".into()));
    assert_eq!(api.error("customer", LIST, "{}").await, (403, "PERMISSION_DENIED".into()));
}

#[tokio::test(start_paused = true)]
async fn every_field_of_a_filter_finds_the_records_that_show_its_value() {
    // In memory, and over a database, which makes SQL of the filter.
    filters_by_every_field(TestCashier::published().await).await;
    filters_by_every_field(TestCashier::with_bases(&[1]).await).await;
}

async fn filters_by_every_field(mut env: TestCashier) {
    env.ask_for_second_person(SecondPerson::from_names(SecondPerson::NAMES).unwrap()).await;
    env.deposit("k").await.unwrap();
    let api = ManagerApi::over(env).await;
    let asked = api.command("dealer#9", UPDATE, r#"{"id":1,"webhook_secret":"CANARY"}"#).await;
    assert_eq!(asked.0, 202);
    api.env.clock.advance(std::time::Duration::from_secs(5));
    let by_id = format!(r#"{{"id":{}}}"#, asked.1["approval"]["id"]);
    assert_eq!(api.error("dealer#9", "MngApproveCashierChange", &by_id).await.0, 403);
    let written = r#"{"id":1,"status":6}"#;
    assert_eq!(api.command("manager#8@ion4", "MngUpdateCashierTransaction", written).await.0, 200);
    let other = r#"{"command":"MngUpdateCashierTransaction","data":{"id":1,"status":5},"__token":"crm#10"}"#;
    let context = RequestContext { request_id: "another request".into(), ..context() };
    assert_eq!(answer(&api.context, other.as_bytes(), None, context).await.0, 200);
    let (_, all) = api.command("manager", LIST, "{}").await;
    let rows = all["rows"].as_array().unwrap();
    for field in AuditField::ALL.iter().map(|field| field.name()) {
        let values: Vec<&Value> = rows.iter().map(|row| row.get(field).unwrap_or(&Value::Null)).collect();
        assert!(values.iter().any(|value| **value != *values[0]), "the records differ in {field}: {all}");
        for value in &values {
            let filter = json!({ "where": [[field, "=", value]] }).to_string();
            let (number, found) = api.command("manager", LIST, &filter).await;
            let expected: Vec<&Value> = rows.iter().filter(|row| row[field] == **value).collect();
            let shown: Vec<&Value> = found["rows"].as_array().into_iter().flatten().collect();
            assert_eq!((number, &shown, &found["count"]), (200, &expected, &json!(expected.len())), "{filter}");
        }
    }
}

impl ManagerApi {
    /// For a comment, which its own answer shows.
    async fn command_without_canary_check(&self, token: &str, name: &str, data: &str) -> u16 {
        let message = format!(r#"{{"command":"{name}","extID":"1","data":{data},"__token":"{token}"}}"#);
        self.send(&message, None).await.0
    }
}
