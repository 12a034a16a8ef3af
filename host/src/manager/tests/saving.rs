//! What saving answers about rows that name what is not there, and where they are listed.

use std::time::Duration;

use serde_json::json;

use super::{ManagerApi, Value};
use crate::flows::configure::rows_without_match;

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
        "brand nobrand: no group of the trading server has it",
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
        "brand nobrand: no group of the trading server has it",
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
    let listed = format!("override 2 can match nothing: expires_time {until}: it is over");
    assert_eq!(rows_without_match(&api.env.cashier), [listed], "once it is over");
}
