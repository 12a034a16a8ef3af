//! What the record of a refused command holds of each field that a command knows, and that reading one id after the other leaves
//! a trace.

use std::collections::BTreeSet;

use cashier_core::refused::FieldRecord;

use super::*;
use crate::flows::refusals;

/// The names of the fields of a command's request.
fn fields(command: &Command) -> Vec<String> {
    let schema: Value = serde_json::from_str(&(command.request)()).unwrap();
    let properties = schema["properties"].as_object().map(|properties| properties.keys().cloned().collect());
    properties.unwrap_or_default()
}

#[test]
fn each_field_of_each_command_has_one_rule_for_the_record_of_a_refusal_and_no_rule_is_of_none() {
    let known: BTreeSet<String> = COMMANDS.iter().flat_map(fields).collect();
    let without: Vec<&String> = known.iter().filter(|field| FieldRecord::of(field).is_none()).collect();
    assert!(known.len() > 40 && without.is_empty(), "no rule for {without:?}");
    let rules: Vec<&str> = FieldRecord::known().collect();
    assert_eq!(rules.iter().collect::<BTreeSet<_>>().len(), rules.len(), "one rule for each field: {rules:?}");
    let unused: Vec<&&str> = rules.iter().filter(|field| !known.contains(**field)).collect();
    assert_eq!(unused, Vec::<&&str>::new(), "a rule for a field that no command has");
}

#[tokio::test(start_paused = true)]
async fn a_refused_resolution_is_recorded_with_what_was_tried() {
    let api = ManagerApi::open().await;
    let tried = r#"{"id":99,"action":"credit","amount":1,"reason":"CANARY"}"#;
    assert_eq!(api.error("manager", "MngResolveCashierDoubt", tried).await.0, 404);
    let (_, records) = api.command("manager", "MngGetCashierAuditByFilter", "{}").await;
    let changes = records["rows"][0]["changes"].as_array().unwrap().clone();
    let after =
        |name: &str| changes.iter().find(|change| change["field"] == name).map(|change| change["after"].clone());
    assert_eq!((after("action"), after("amount")), (Some(json!("credit")), Some(json!("1"))), "{records}");
    assert!(after("reason").is_some() && !records.to_string().contains("CANARY"), "{records}");
}

#[tokio::test(start_paused = true)]
async fn who_reads_one_id_after_the_other_is_counted_in_the_records_of_the_brand() {
    let api = ManagerApi::open().await;
    let transaction = "MngGetCashierTransaction";
    for id in 50..57 {
        assert_eq!(api.error("crm@ion4", transaction, &format!(r#"{{"id":{id}}}"#)).await.0, 404);
    }
    assert_eq!(api.error("crm@ion4", "MngExplainCashierTransaction", "{}").await.0, 400);
    refusals::record_counted(&api.env.cashier).await;
    let (_, records) = api.command("crm@ion4", "MngGetCashierAuditByFilter", "{}").await;
    let newest = &records["rows"][0];
    assert_eq!(
        (&newest["outcome"], &records["count"]),
        (&json!("refused: 8 more without a record"), &json!(1)),
        "{records}"
    );
}
