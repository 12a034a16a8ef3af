//! What saving answers about rows that name what is not there, and where they are listed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cashier_core::conversion::{Rate, StatedRate};
use cashier_core::ids::ConfigId;
use cashier_core::money::Currency;
use serde_json::json;

use super::{ManagerApi, Value};
use crate::flows::configure::rows_without_match;
use crate::test_cashier::{TestClock, lock};

const ADD: &str = "MngAddCashierProviderConfig";
const UPDATE: &str = "MngUpdateCashierProviderConfig";
const OVERRIDE: &str = "MngUpdateCashierCustomerProviderOverride";

impl ManagerApi {
    /// The message of a refusal with INVALID_DATA.
    async fn refused(&self, token: &str, name: &str, data: &str) -> String {
        let (number, answer) = self.command(token, name, data).await;
        assert_eq!((number, &answer["error"]), (400, &json!("INVALID_DATA")), "{data}");
        answer["message"].as_str().unwrap().to_owned()
    }

    async fn warned(&self, name: &str, data: &str) -> Value {
        let (number, mut answer) = self.command("manager", name, data).await;
        assert_eq!(number, 200, "{data}: {answer}");
        answer["warnings"].take()
    }
}

#[tokio::test(start_paused = true)]
async fn i6_a_misspelt_setting_changes_nothing() {
    let api = ManagerApi::open().await;
    let misspelt = r#"{"id":1,"settings_json":"{\"api_bsae\":\"http://127.0.0.1:1\"}"}"#;
    let message = api.refused("manager", UPDATE, misspelt).await;
    assert_eq!(message, "settings_json holds \"api_bsae\", which is no setting of the module: did you mean api_base?");
    for data in [
        r#"{"id":1,"config_json":"{\"api_bsae\":\"CANARY\"}"}"#,
        r#"{"id":1,"settings_json":"{\"capture\":1,\"capture\":2}"}"#,
        r#"{"id":1,"config_json":"{\"webhook_secret\":\"CANARY\",\"webhook_secret\":\"CANARY\"}"}"#,
        r#"{"id":1,"country":"Germany"}"#,
        r#"{"id":1,"country":"de"}"#,
    ] {
        api.refused("manager", UPDATE, data).await;
    }
    let snapshot = api.env.cashier.snapshot();
    assert_eq!(snapshot.configs().map(|served| served.config.version).max(), Some(1), "nothing was saved");
}

#[tokio::test(start_paused = true)]
async fn i8_a_config_for_a_provider_without_a_module_is_saved_with_warnings_and_listed_while_it_is_enabled() {
    let api = ManagerApi::open().await;
    assert_eq!(rows_without_match(&api.env.cashier), [""; 0]);
    let config = r#"{"provider":"strpe","brand":"nobrand","method":"card","country":"UK","enabled":1}"#;
    let expected = [
        "provider strpe: no module offers it: did you mean stripe?",
        "brand nobrand: no group and no customer of the trading server has it",
        "country UK: no such country in ISO 3166: GB is meant",
    ];
    assert_eq!(api.warned(ADD, config).await, json!(expected));
    assert_eq!(rows_without_match(&api.env.cashier), [format!("config 4 can match nothing: {}", expected.join("; "))]);
    assert_eq!(api.warned(UPDATE, r#"{"id":4,"brand":"ion4","country":"GB"}"#).await, json!([expected[0]]));
    assert_eq!(api.warned(UPDATE, r#"{"id":4,"enabled":0}"#).await, json!([expected[0]]));
    assert_eq!(rows_without_match(&api.env.cashier), [""; 0], "a disabled row is no work");
    let (_, clean) = api.command("manager", UPDATE, r#"{"id":1,"sort_index":3}"#).await;
    assert_eq!(clean.get("warnings"), None, "the published answer as it is");
}

#[tokio::test(start_paused = true)]
async fn i7_an_override_that_names_what_is_not_there_is_refused_or_saved_with_warnings_and_listed() {
    let api = ManagerApi::open().await;
    let missing = r#"{"customer_id":5,"brand":"ion4","provider":"stripe","provider_config_id":999}"#;
    let message = "provider_config_id 999: there is no such config";
    assert_eq!(api.refused("manager", OVERRIDE, missing).await, message);
    let foreign = missing.replace("999", "3");
    assert_eq!(api.refused("manager@ion4", OVERRIDE, &foreign).await, message.replace("999", "3"), "of another brand");

    let strange = r#"{"customer_id":777,"brand":"nobrand","provider":"zzz"}"#;
    let expected = [
        "customer_id 777: the trading server has no such customer",
        "brand nobrand: no group and no customer of the trading server has it",
        "provider zzz: no module offers it",
        "provider zzz: no config of it serves brand nobrand and this method",
    ];
    assert_eq!(api.warned(OVERRIDE, strange).await, json!(expected));
    let listed = format!("override 1 can match nothing: {}", expected.join("; "));
    assert_eq!(rows_without_match(&api.env.cashier), [listed]);
    api.warned(OVERRIDE, r#"{"id":1,"enabled":0}"#).await;
    assert_eq!(rows_without_match(&api.env.cashier), [""; 0]);

    let (_, published) =
        api.command("manager", OVERRIDE, crate::wire::customer_override::tests::PUBLISHED_REQUEST).await;
    assert_eq!(published.get("warnings"), None);
    assert_eq!(rows_without_match(&api.env.cashier), [""; 0]);
    let until = api.env.cashier.clock.now().plus(60);
    assert_eq!(api.warned(OVERRIDE, &format!(r#"{{"id":2,"expires_time":{until}}}"#)).await, Value::Null);
    api.env.clock.advance(Duration::from_secs(60));
    let over = [format!("expires_time {until}: it is over")];
    assert_eq!(api.warned(OVERRIDE, r#"{"id":2,"comment":"x"}"#).await, json!(over), "whoever saves it reads so");
    assert_eq!(rows_without_match(&api.env.cashier), [""; 0], "one that is over has done its work");
}

#[tokio::test(start_paused = true)]
async fn i16_a_live_config_that_only_demo_accounts_could_use_is_listed_logged_and_warned_about() {
    let mut api = ManagerApi::open().await;
    assert_eq!(rows_without_match(&api.env.cashier), [""; 0]);
    api.env.trading.demo.store(true, Ordering::SeqCst);
    let why =
        "sandbox 0: the accounts it could serve are demo accounts, and allow_live_on_demo does not name their brand";
    let listed: Vec<String> = [1, 2, 3].map(|id| format!("config {id} can match nothing: {why}")).into();
    assert_eq!(rows_without_match(&api.env.cashier), listed);
    let warnings = api.warned(UPDATE, r#"{"id":1,"sort_index":4}"#).await;
    assert_eq!(warnings, json!([why]), "whoever saves it reads why");
    lock(&api.env.trading.allow_live_on_demo).extend(["ion4".into(), "other".into()]);
    api.env.crash().await;
    assert_eq!(rows_without_match(&api.env.cashier), [""; 0], "the setting names its brand");
}

const DELETE: &str = "MngDeleteCashierProviderConfig";
const DRAFT: &str = r#"{"provider":"stripe","brand":"ion4","secret_key":"CANARY","webhook_secret":"CANARY"}"#;

impl ManagerApi {
    /// Makes a config and returns the request that deletes it for good.
    async fn draft(&self, data: &str) -> String {
        let (number, saved) = self.command("manager", ADD, data).await;
        assert_eq!(number, 200, "{saved}");
        format!(r#"{{"id":{},"for_good":1}}"#, saved["provider"]["id"])
    }
}

#[tokio::test(start_paused = true)]
async fn a_draft_that_never_served_is_deleted_for_good_and_its_id_is_not_given_again() {
    let mut api = ManagerApi::open().await;
    let by_id = api.draft(DRAFT).await;
    let naming = r#"{"customer_id":5,"brand":"ion4","provider":"stripe","provider_config_id":4}"#;
    assert_eq!(api.warned(OVERRIDE, naming).await, Value::Null);
    assert_eq!(api.error("manager@other", DELETE, &by_id).await, (404, "RET_ERR_NOTFOUND".into()));
    assert_eq!(api.command("manager", DELETE, &by_id).await, (200, json!({"data": "OK"})));
    assert_eq!(api.error("manager", DELETE, &by_id).await, (404, "RET_ERR_NOTFOUND".into()));
    assert_eq!(api.error("manager", UPDATE, r#"{"id":4,"enabled":1}"#).await, (404, "RET_ERR_NOTFOUND".into()));
    let listed = ["override 1 can match nothing: provider_config_id 4: there is no such config"];
    assert_eq!(rows_without_match(&api.env.cashier), listed, "the override stays");
    assert_eq!(
        api.warned(OVERRIDE, r#"{"id":1,"provider_config_id":4,"enabled":0}"#).await.as_array().unwrap().len(),
        1
    );

    let records = api.all_records();
    let record = records.iter().find(|record| &*record.command == DELETE && record.outcome == "deleted");
    let record = record.expect("the deletion is recorded");
    assert_eq!(record.config_id, ConfigId(4));
    let changed: Vec<&str> = record.changes.iter().map(|change| &*change.field).collect();
    assert_eq!(changed, ["provider", "brand", "secret_key", "webhook_secret"]);

    api.env.crash().await;
    api.context.cashier = Arc::clone(&api.env.cashier);
    assert!(api.env.cashier.snapshot().config(ConfigId(4)).is_none(), "also after a restart");
    assert_eq!(api.draft(DRAFT).await, r#"{"id":5,"for_good":1}"#);
}

#[tokio::test(start_paused = true)]
async fn a_config_that_served_or_may_have_is_not_deleted_for_good() {
    let api = ManagerApi::open().await;
    let (served, is_live) = (api.draft(&DRAFT.replace('{', "{\"enabled\":1,")).await, api.draft(DRAFT).await);
    let with_money = api.draft(&DRAFT.replace('{', "{\"enabled\":1,\"sort_index\":-9,")).await;
    api.deposit().await;
    for change in
        [r#"{"id":4,"enabled":0}"#, r#"{"id":5,"enabled":1}"#, r#"{"id":6,"enabled":0}"#, r#"{"id":2,"enabled":0}"#]
    {
        assert_eq!(api.command("manager", UPDATE, change).await.0, 200, "{change}");
    }
    for (by_id, why) in [
        (&*served, "config 4 stays: it has served"),
        (&is_live, "config 5 stays: it is enabled"),
        (&with_money, "config 6 stays: it has transactions"),
        (r#"{"id":2,"for_good":1}"#, "config 2 stays: it is older than the records that would show whether it served"),
    ] {
        let (number, answer) = api.command("manager", DELETE, by_id).await;
        assert_eq!((number, &answer["error"], &answer["message"]), (409, &json!("CONFIG_IN_USE"), &json!(why)));
    }
    assert_eq!(api.env.cashier.snapshot().configs().count(), 6);
    assert_eq!(api.command("manager", DELETE, r#"{"id":5,"for_good":0}"#).await.0, 200);
    assert!(!api.env.cashier.snapshot().config(ConfigId(5)).unwrap().config.enabled, "disabled alone");
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_waits_for_a_deleted_draft_is_stale() {
    let api = ManagerApi::with_second_person().await;
    let by_id = api.draft(DRAFT).await;
    let (number, asked) = api.command("dealer#7", UPDATE, r#"{"id":4,"enabled":1}"#).await;
    assert_eq!(number, 202);
    assert_eq!(api.command("dealer#7", DELETE, &by_id).await.0, 200);
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    assert_eq!(api.error("manager#8", "MngApproveCashierChange", &by_id).await, (409, "APPROVAL_STALE".into()));
}

#[tokio::test(start_paused = true)]
async fn limits_without_a_currency_are_warned_about_where_deposits_are_converted_and_no_row_is_listed_for_them() {
    let api = ManagerApi::open().await;
    let [from, to] = ["EUR", "USD"].map(|code| Currency::from_code(code).unwrap());
    let rate = StatedRate { rate: Rate::parse("1.1").unwrap(), time: TestClock::START, source: "desk".into() };
    let save = async || api.warned(UPDATE, r#"{"id":1,"currency":"","min_amount":10}"#).await;
    assert_eq!(save().await, json!(null));
    lock(&api.env.trading.rates).insert((from, to), rate);
    assert!(save().await[0].as_str().unwrap().starts_with("min_amount 10.0: without a currency it is meant in that"));
    assert_eq!(rows_without_match(&api.env.cashier), [""; 0], "it serves");
    assert_eq!(api.warned(UPDATE, r#"{"id":1,"currency":"USD"}"#).await, json!(null));
}
