//! The manager commands with the test cashier: the published examples, brand scope, and invalid requests.

mod account_changes;
mod approvals_at_once;
mod audit;
mod correction;
mod credited_once;
mod errors;
mod events;
mod explain;
mod explain_methods;
mod gone_back;
mod ground;
mod lists;
mod manual;
mod manual_money;
mod next_commands;
mod payee;
mod refunds;
mod refunds_approved;
mod refunds_resolved;
mod refused_fields;
mod retries_approved;
mod review;
mod rights;
mod same_payment;
mod saving;
mod sealing;
mod second_person;
mod trading_servers;
mod work_kinds;
mod work_list;

use cashier_core::deposit::DepositRequest;
use cashier_core::edit::SecondPerson;
use cashier_core::ids::ManagerId;
use cashier_core::session::Role;
use serde_json::{Value, json};

use super::command::COMMON_ERRORS;
use super::*;
use crate::json_object::{Described, Members, validation};
use crate::test_cashier::{TestCashier, context, deposit_request, usd};
use crate::wire::customer_override::tests::PUBLISHED_REQUEST;
use crate::wire::envelope::EnvelopeAnswer;
use crate::wire::refusal::RefusalBody;

/// Accepts the tokens `<role>`, `<role>#<manager id>` and `<role>@<brand>`.
struct PlainTokens;

impl Tokens for PlainTokens {
    fn manager(&self, token: Option<&str>, _: &RequestContext, _: UnixTime) -> Result<ManagerSession, Refusal> {
        let refused = || Refusal::new(RefusalCode::Unauthorized, "a valid manager token is required");
        let token = token.ok_or_else(refused)?;
        let (role, brand) = token.split_once('@').map_or((token, None), |(role, brand)| (role, Some(brand.into())));
        let (role, id) = role.split_once('#').map_or((role, 7), |(role, id)| (role, id.parse().unwrap()));
        let role = match role {
            "manager" => Role::Manager,
            "customer" => Role::Customer,
            "user" => Role::User,
            "crm" => Role::CrmManager,
            "dealer" => Role::Dealer,
            "glass" => Role::Admin,
            _ => return Err(refused()),
        };
        let session = ManagerSession::assertion(ManagerId(id), role, brand);
        Ok(if token.starts_with("glass") { session.breaking_glass() } else { session })
    }
}

struct ManagerApi {
    env: TestCashier,
    context: ManagerContext,
}

impl ManagerApi {
    async fn open() -> Self {
        let env = TestCashier::published().await;
        let context = ManagerContext { cashier: Arc::clone(&env.cashier), tokens: Arc::new(PlainTokens) };
        Self { env, context }
    }

    async fn with_second_person() -> Self {
        Self::with_second_person_for(&SecondPerson::NAMES).await
    }

    /// The settings ask for a second person for changes of these names.
    async fn with_second_person_for(names: &[&str]) -> Self {
        let settings = SecondPerson::from_names(names.iter().copied()).unwrap();
        let env = TestCashier::with_second_person(settings).await;
        let context = ManagerContext { cashier: Arc::clone(&env.cashier), tokens: Arc::new(PlainTokens) };
        Self { env, context }
    }

    async fn send(&self, message: &str, authorization: Option<&str>) -> (u16, String) {
        let (number, bytes) = answer(&self.context, message.as_bytes(), authorization, context()).await;
        (number, String::from_utf8(bytes.collected().await).unwrap())
    }

    /// A command as a manager of every brand, or of one.
    async fn command(&self, token: &str, name: &str, data: &str) -> (u16, Value) {
        let message = format!(r#"{{"command":"{name}","extID":"1","data":{data},"__token":"{token}"}}"#);
        let (number, text) = self.send(&message, None).await;
        let mut envelope: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&envelope["extID"], &envelope["status"]), (&json!("1"), &json!(number)), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
        validation::assert_answer(&EnvelopeAnswer::schema(), &text);
        let Members(members) = serde_json::from_str(&text).unwrap();
        let command = COMMANDS.iter().find(|command| command.name == name).unwrap();
        if number < 300 {
            validation::assert_request(&(command.request)(), data);
            validation::assert_answer(&(command.answer)(), members.last().unwrap().1.get());
        } else {
            validation::assert_answer(&RefusalBody::schema(), members.last().unwrap().1.get());
            let error = envelope["data"]["error"].as_str().unwrap();
            let mut declared = COMMON_ERRORS.iter().chain(command.errors).map(|code| code.text());
            assert!(declared.any(|code| code == error), "{name} does not declare {error}: {text}");
        }
        (number, envelope["data"].take())
    }

    async fn error(&self, token: &str, name: &str, data: &str) -> (u16, String) {
        let (number, data) = self.command(token, name, data).await;
        (number, data["error"].as_str().unwrap_or_default().to_owned())
    }

    async fn deposit(&self) {
        self.env.deposit_as(DepositRequest { amount: usd(25_000), ..deposit_request("k") }).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_published_transaction_request_gets_the_published_response() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    let request = r#"{"command":"MngGetCashierTransaction","extID":"1","data":{"id":1}}"#;
    let (number, text) = api.send(request, Some("manager")).await;
    assert_eq!(number, 200);
    let head = r#"{"extID":"1","status":200,"data":{"transaction":{"id":1,"customer_id":5,"login":2000009,"type":0,"provider":"stripe","method":"card","provider_payment_id":"pi_123","amount":250.0,"currency":"USD","account_currency":"USD","converted_amount":250.0,"conversion_rate":1.0,"status":1,"#;
    assert!(text.starts_with(head), "{text}");
    assert!(text.ends_with(r#""balance_operations":[]}}"#), "{text}");
    let wrong = [
        ("{}", 400, "INVALID_DATA"),
        (r#"{"id":0}"#, 400, "INVALID_DATA"),
        (r#"{"id":"1"}"#, 400, "INVALID_DATA"),
        (r#"{"id":-1}"#, 400, "INVALID_DATA"),
        (r#"{"id":1.5}"#, 400, "INVALID_DATA"),
        (r#"{"id":1,"x":1}"#, 400, "INVALID_DATA"),
        ("[1]", 400, "INVALID_DATA"),
        (r#"{"id":2}"#, 404, "RET_ERR_NOTFOUND"),
    ];
    for (data, number, error) in wrong {
        assert_eq!(api.error("manager", "MngGetCashierTransaction", data).await, (number, error.into()), "{data}");
    }
    assert_eq!(api.command("crm@ion4", "MngGetCashierTransaction", r#"{"id":1}"#).await.0, 200);
    assert_eq!(api.command("manager@other", "MngGetCashierTransaction", r#"{"id":1}"#).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn the_transaction_table_has_structure_rows_and_count() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    let name = "MngGetCashierTransactionsByFilter";
    let (_, shown) = api.command("manager", name, r#"{"where":[["status","=",1]],"limit":10}"#).await;
    let columns = "id customer_id login type provider method provider_payment_id amount currency status failure_reason created_time updated_time";
    let structure: Vec<&str> =
        shown["structure"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(structure.join(" "), columns);
    let row = r#"[1,5,2000009,0,"stripe","card","pi_123",250.0,"USD",1,"",1779270000,1779270000]"#;
    assert_eq!((shown["rows"][0].to_string().as_str(), &shown["count"]), (row, &json!(1)));
    assert_eq!(api.command("manager@ion4", name, "{}").await.1["count"], 1);
    assert_eq!(api.command("manager@other", name, "{}").await.1["count"], 0);
    let wrong = [r#"{"where":[["comment","=","x"]]}"#, r#"{"limit":50001}"#, r#"{"color":1}"#, r#"{"where":1}"#];
    for data in wrong {
        assert_eq!(api.error("manager", name, data).await, (400, "INVALID_DATA".into()), "{data}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_published_override_is_saved_and_hidden_from_other_brands() {
    let api = ManagerApi::open().await;
    let (update, get, list) = (
        "MngUpdateCashierCustomerProviderOverride",
        "MngGetCashierCustomerProviderOverride",
        "MngGetCashierCustomerProviderOverridesByFilter",
    );
    let message = format!(r#"{{"command":"{update}","extID":"1","data":{PUBLISHED_REQUEST},"__token":"crm"}}"#);
    let (number, text) = api.send(&message, None).await;
    let expected = r#"{"extID":"1","status":200,"data":{"override":{"id":1,"customer_id":5,"brand":"ion4","provider_config_id":1,"provider":"stripe","method":"card","mode":0,"min_amount":25.0,"max_amount":10000.0,"enabled":1,"reason":"VIP_ALLOW","comment":"Manual allow from customer card","expires_time":0,"created_time":1779270000,"updated_time":1779270000}}}"#;
    assert_eq!((number, text.as_str()), (200, expected));

    let (_, changed) = api.command("manager@ion4", update, r#"{"id":1,"mode":1}"#).await;
    assert_eq!((&changed["override"]["mode"], &changed["override"]["reason"]), (&json!(1), &json!("VIP_ALLOW")));
    assert_eq!(api.command("manager", get, r#"{"id":1}"#).await.1, changed);
    let (_, table) = api.command("manager", list, r#"{"where":[["customer_id","=",5]]}"#).await;
    assert_eq!((&table["structure"][0], &table["rows"][0][0], &table["count"]), (&json!("id"), &json!(1), &json!(1)));
    assert_eq!(table["structure"].as_array().unwrap().len(), table["rows"][0].as_array().unwrap().len());

    for (name, data) in [(get, r#"{"id":1}"#), (update, r#"{"id":1,"mode":0}"#)] {
        assert_eq!(api.command("manager@other", name, data).await.0, 404, "{name}");
    }
    assert_eq!(api.command("manager@other", list, "{}").await.1["count"], 0);
    for data in
        [r#"{"customer_id":5}"#, r#"{"id":1,"customer_id":6}"#, r#"{"id":1,"mode":2}"#, r#"{"id":1,"note":"x"}"#]
    {
        assert_eq!(api.error("manager", update, data).await, (400, "INVALID_DATA".into()), "{data}");
    }
}

#[tokio::test(start_paused = true)]
async fn providers_are_listed_without_secrets_and_scoped_to_the_brand() {
    let api = ManagerApi::open().await;
    let (_, shown) = api.command("manager", "MngGetCashierProviders", "{}").await;
    assert_eq!(shown["count"], 3);
    let runtime = r#"{"code":"stripe","name":"Card","description":"Pay by card","payment_mode":"redirect","module_name":"stripe","path":"/opt/cashier/libcashier_provider_stripe.so","api_version":1,"available":1,"failure_reason":"","generation":1,"isolation":"in-process","health":"ok","problems":[],"version":"1.0.0","sha256":"","loaded_time":1779269000,"methods":["card"],"currencies":[],"capabilities":["query","cancel"],"hosts":["api.stripe.com"],"settings":[{"key":"api_base","label":"API address","kind":"url","choices":[],"secret":0,"required":0,"endpoint":1,"default":"https://api.stripe.com"}],"webhook_events":["payment_intent.succeeded"]}"#;
    assert_eq!(shown["runtime_providers"][0], serde_json::from_str::<Value>(runtime).unwrap());
    for row in shown["rows"].as_array().unwrap() {
        assert_eq!(
            [&row["secret_key"], &row["webhook_secret"], &row["config_json"]],
            [""; 3].map(Value::from).each_ref()
        );
    }
    let (_, scoped) = api.command("manager@ion4", "MngGetCashierProviders", r#"{"orderBy":["id","asc"]}"#).await;
    let merchants: Vec<&Value> = scoped["rows"].as_array().unwrap().iter().map(|row| &row["merchant_id"]).collect();
    assert_eq!((merchants, &scoped["runtime_providers"][0]["path"]), (vec![&json!("acct_1"), &json!("")], &json!("")));
    let webhook = r#"{"provider_config_id":1,"notify_url":"https://pay.ion4.example/cashier/webhook/stripe/1","events":["payment_intent.succeeded"]}"#;
    assert_eq!(scoped["webhooks"][0], serde_json::from_str::<Value>(webhook).unwrap());
    let of_rows = |list: &str, id: &str| -> Vec<Value> {
        scoped[list].as_array().unwrap().iter().map(|row| row[id].clone()).collect()
    };
    assert_eq!(
        of_rows("webhooks", "provider_config_id"),
        of_rows("rows", "id"),
        "those of the page, and no other brand's"
    );
    let guess = r#"{"where":[["merchant_id","like","acct_2%"]]}"#;
    let name = "MngGetCashierProviderConfigsByFilter";
    assert_eq!(api.command("manager@ion4", name, guess).await.1, json!({"rows": [], "count": 0}));
    assert_eq!(api.command("manager", name, guess).await.1["count"], 1);
    let (_, modules) = api.command("manager", "MngGetCashierPaymentModules", "{}").await;
    let of_state = ["generation", "isolation", "health", "problems"];
    let mut line = shown["runtime_providers"][0].clone();
    line.as_object_mut().unwrap().retain(|name, _| !of_state.contains(&&**name));
    let (_, every) = api.command("manager", "MngGetCashierProviders", r#"{"orderBy":["id","asc"]}"#).await;
    assert_eq!(every["webhooks"].as_array().unwrap().len(), 3);
    let server = json!({"name": "embedded", "protocol": "embedded", "takes_postings": 1, "problem": "", "remark": "", "failing_since": 0, "cut_off": 0,
        "compared_time": 0, "not_compared": "", "differences": 0, "waiting_postings": 0, "waiting_since": 0});
    let expected = json!({"rows": [line], "count": 1, "webhooks": every["webhooks"], "trading_servers": [server]});
    assert_eq!(modules, expected);
    assert_eq!(api.error("manager@ion4", "MngGetCashierPaymentModules", "{}").await.0, 403);
}

#[tokio::test(start_paused = true)]
async fn configs_are_created_changed_disabled_and_scoped() {
    let api = ManagerApi::open().await;
    let (add, update, delete) =
        ("MngAddCashierProviderConfig", "MngUpdateCashierProviderConfig", "MngDeleteCashierProviderConfig");
    let data = r#"{"provider":"stripe","brand":"ion4","secret_key":"CANARY","enabled":1,"min_amount":5}"#;
    let (number, made) = api.command("manager", add, data).await;
    assert_eq!((number, &made["provider"]["enabled"], &made["provider"]["secret_key"]), (200, &json!(1), &json!("")));
    let older = data.replace("\"enabled\"", "\"id\":0,\"enabled\"");
    assert_eq!(api.command("manager", update, &older).await.0, 200);
    let id = made["provider"]["id"].as_u64().unwrap();

    let whole = made["provider"].to_string();
    let (_, again) = api.command("manager@ion4", update, &whole).await;
    assert_eq!(again["provider"], made["provider"]);
    let stored = api.env.cashier.snapshot().config(cashier_core::ids::ConfigId(id)).unwrap().config.clone();
    assert_eq!(stored.secret_key.expose(), "CANARY");

    let wrong = [
        ("manager", update, format!(r#"{{"id":{id},"merchant_id":"wrong"}}"#), 400, "INVALID_DATA"),
        ("manager", update, r#"{"id":99,"enabled":0}"#.into(), 404, "RET_ERR_NOTFOUND"),
        ("manager", update, r#"{"brand":"ion4"}"#.into(), 400, "INVALID_DATA"),
        ("manager", add, r#"{"id":1,"provider":"stripe"}"#.into(), 400, "INVALID_DATA"),
        ("manager@other", update, format!(r#"{{"id":{id},"enabled":0}}"#), 404, "RET_ERR_NOTFOUND"),
        ("manager@ion4", update, r#"{"id":2,"enabled":0}"#.into(), 403, "PERMISSION_DENIED"),
        ("manager@ion4", add, data.replace("ion4", "other"), 403, "PERMISSION_DENIED"),
        ("manager@ion4", update, format!(r#"{{"id":{id},"brand":"other"}}"#), 403, "PERMISSION_DENIED"),
        ("manager@other", delete, format!(r#"{{"id":{id}}}"#), 404, "RET_ERR_NOTFOUND"),
    ];
    for (token, name, data, number, error) in wrong {
        assert_eq!(api.error(token, name, &data).await, (number, error.into()), "{token} {name} {data}");
    }
    let deleted = api.command("manager", delete, &format!(r#"{{"id":{id}}}"#)).await;
    assert_eq!(deleted, (200, json!({"data": "OK"})));
    let filter = format!(r#"{{"where":[["id","=",{id}]]}}"#);
    let (_, rows) = api.command("manager", "MngGetCashierProviderConfigsByFilter", &filter).await;
    assert_eq!((&rows["rows"][0]["enabled"], &rows["count"]), (&json!(0), &json!(1)));
}

#[tokio::test(start_paused = true)]
async fn every_envelope_is_answered_with_its_ext_id() {
    let api = ManagerApi::open().await;
    let table = [
        ("", None, 400, "INVALID_DATA", "null"),
        ("\u{feff}{}", None, 400, "INVALID_DATA", "null"),
        ("[]", None, 400, "INVALID_DATA", "null"),
        (r#"{"extID":[1.50, "é"]}"#, Some("manager"), 400, "INVALID_DATA", r#"[1.50, "é"]"#),
        (r#"{"extID":5,"command":"Mng"}"#, None, 401, "RET_UNAUTHORIZED", "5"),
        (r#"{"extID":5,"command":"MngGetCashierProviders"}"#, Some("forged"), 401, "RET_UNAUTHORIZED", "5"),
        (r#"{"extID":5,"command":"Mng"}"#, Some("manager"), 404, "RET_ERR_NOTFOUND", "5"),
        (r#"{"extID":5,"command":"mnggetcashierproviders"}"#, Some("manager"), 404, "RET_ERR_NOTFOUND", "5"),
        (r#"{"extID":5,"command":"MngGetCashierProviders"}"#, Some("customer"), 403, "PERMISSION_DENIED", "5"),
        (r#"{"extID":5,"command":"MngGetCashierProviders"}"#, Some("user"), 403, "PERMISSION_DENIED", "5"),
        (
            r#"{"extID":5,"command":"MngGetCashierProviders","__token":"user"}"#,
            Some("manager"),
            403,
            "PERMISSION_DENIED",
            "5",
        ),
        (r#"{"command":"MngGetCashierTransaction","data":7}"#, Some("manager"), 400, "INVALID_DATA", "null"),
    ];
    for (message, token, number, error, ext_id) in table {
        let (answered, text) = api.send(message, token).await;
        let start = format!(r#"{{"extID":{ext_id},"status":{number},"data":{{"error":"{error}","message":""#);
        assert!(answered == number && text.starts_with(&start), "{message}: {text}");
    }
}

#[test]
fn each_command_is_listed_once_and_refuses_customers() {
    let mut names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COMMANDS.len());
    for command in COMMANDS {
        assert!(command.name.starts_with("Mng") && !(command.may)(Role::Customer) && !(command.may)(Role::User));
    }
}

#[tokio::test(start_paused = true)]
async fn m3_an_unreadable_event_is_shown_to_its_module_again_by_a_manager() {
    let api = ManagerApi::open().await;
    let name = "MngReplayCashierProviderEvent";
    let stored = api.env.raw_notice(Some(1), "unreadable 1".to_owned()).await.unwrap();
    assert_eq!(stored.events[0].id.0, 1);
    let (number, data) = api.command("crm@ion4", name, r#"{"id":1}"#).await;
    let shown = &data["events"][0];
    assert_eq!((number, &shown["processing_status"]), (200, &json!(2)), "{data}");
    assert_eq!(shown["failure_reason"], "UNREADABLE_NOTICE: no amount");
    for (token, data) in [("manager@other", r#"{"id":1}"#), ("manager", r#"{"id":2}"#)] {
        assert_eq!(api.error(token, name, data).await, (404, "RET_ERR_NOTFOUND".into()), "{token} {data}");
    }
    api.deposit().await;
    let transaction = api.env.aggregate(cashier_core::ids::TransactionId(1)).transaction;
    let paid = crate::test_cashier::paid("evt_1", &transaction.reference);
    crate::test_cashier::lock(&api.env.provider.understood).insert("unreadable 1".to_owned(), vec![paid]);
    let (_, data) = api.command("manager", name, r#"{"id":1}"#).await;
    let shown = &data["events"][0];
    assert_eq!(
        [&shown["event_id"], &shown["transaction_id"], &shown["id"]],
        [&json!("evt_1"), &json!(1), &json!(1)],
        "{data}"
    );
    let (_, again) = api.command("manager", name, r#"{"id":1}"#).await;
    assert_eq!((&again["changed"], &again["events"][0]["id"]), (&json!(0), &json!(1)), "{again}");
}
