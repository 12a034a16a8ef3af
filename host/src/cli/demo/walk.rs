//! The walk: methods → deposit → payment page → webhook → credited → the customer's list → the manager's view. Each step
//! says what happens and why, and is checked.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Call, Teller};
use super::world::World;
use crate::cli::{CliError, say};

/// How often the walk looks whether the account was credited, and how many times: ten seconds in all.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
const LOOKS_MAX: usize = 200;

pub(super) async fn walk(world: &World) -> Result<(), CliError> {
    let teller = Teller::new();
    let (customer, manager) =
        (format!("http://{}", world.listeners.customer), format!("http://{}", world.listeners.manager));
    let as_customer = Some(("customer token", &*world.customer_token));
    let as_manager = Some(("manager token", &*world.manager_token));
    let listener = format!("{manager}/manager");

    say("\n1. Ops give brand ion4 a provider. The secrets go in and are never shown again.");
    let settings = json!(json!({"api_base": world.service_url}).to_string());
    let written = |secret_key: &str, webhook_secret: &str| {
        format!(
            r#"{{"command":"MngUpdateCashierProviderConfig","extID":"demo-1","data":{{"provider":"sandbox","brand":"ion4","method":"card","currency":"USD","sandbox":1,"enabled":1,"min_amount":10,"max_amount":10000,"secret_key":"{secret_key}","webhook_secret":"{webhook_secret}","settings_json":{settings}}}}}"#
        )
    };
    say(&format!("  > POST {listener}\n  > Authorization: <manager token>\n  > {}", written("***", "***")));
    let config = written(&world.service_key, &world.webhook_secret);
    let (status, answer) = teller.send(&Call::post(&listener, as_manager, &config)).await?;
    say(&format!("  < {status} {}", String::from_utf8_lossy(&answer)));
    let saved: Value = serde_json::from_slice(&answer).map_err(|error| CliError(error.to_string()))?;
    expect("the config has an id", &saved, "/data/provider/id", &json!(1))?;
    expect("the secret is not shown", &saved, "/data/provider/secret_key", &json!(""))?;

    say("\n2. The customer asks how account 2000009 can be paid into.");
    let methods = teller.tell(Call::get(&format!("{customer}/cashier/methods?login=2000009"), as_customer)).await?;
    expect("one method is offered", &methods, "/count", &json!(1))?;

    say("\n3. The customer deposits 250 USD. The transaction is on disk before the provider is called.");
    let order = r#"{"login":2000009,"provider":"sandbox","method":"card","amount":250,"currency":"USD","idempotency_key":"demo-deposit-1"}"#;
    let deposit = teller.tell(Call::post(&format!("{customer}/cashier/deposit"), as_customer, order)).await?;
    expect("the customer is sent to the payment page", &deposit, "/next_action", &json!("REDIRECT"))?;
    expect("the payment is pending", &deposit, "/transaction/status", &json!(1))?;
    let id = deposit.pointer("/transaction/id").cloned().unwrap_or_default();
    let page = deposit.pointer("/redirect_url").and_then(Value::as_str).unwrap_or_default().to_owned();

    say(
        "\n4. The customer presses Pay on the provider's page. The provider signs a webhook and sends it to the cashier.",
    );
    let paid = teller.tell(Call::post(&format!("{page}/pay"), None, "{}")).await?;
    expect("the provider has the money", &paid, "/status", &json!("confirmed"))?;

    say(
        "\n5. The webhook was verified by the module, compared by the host, and the account was credited. The customer looks.",
    );
    let list = format!("{customer}/cashier/transactions?where[0][0]=id&where[0][1]==&where[0][2]={id}");
    wait_until_credited(&teller, &list, world).await?;
    let rows = teller.tell(Call::get(&list, as_customer)).await?;
    expect("the transaction is credited", &rows, "/rows/0/status", &json!(3))?;

    say("\n6. The same request with the same key answers the same and moves nothing.");
    let again = teller.tell(Call::post(&format!("{customer}/cashier/deposit"), as_customer, order)).await?;
    expect("it is the same transaction", &again, "/transaction/id", &id)?;

    say("\n7. BackOffice sees the transaction and the one balance operation that credited it.");
    let view = format!(r#"{{"command":"MngGetCashierTransaction","extID":"demo-2","data":{{"id":{id}}}}}"#);
    let view = teller.tell(Call::post(&listener, as_manager, &view)).await?;
    let operations = view.pointer("/data/balance_operations").and_then(Value::as_array).map_or(0, Vec::len);
    expect("there is one operation", &json!(operations), "", &json!(1))?;
    expect("it is posted", &view, "/data/balance_operations/0/status", &json!(1))?;
    let amount = view.pointer("/data/balance_operations/0/amount").map(Value::to_string);
    expect("it is exactly the deposit", &json!(amount), "", &json!("250.0"))?;

    let balance = world.balance().await?;
    say(&format!("\nAccount 2000009 now holds {balance}. It held nothing before."));
    expect("the account holds exactly the deposit", &json!(balance), "", &json!("250.0 USD"))
}

async fn wait_until_credited(teller: &Teller, list: &str, world: &World) -> Result<(), CliError> {
    let token = Some(("customer token", &*world.customer_token));
    for _ in 0..LOOKS_MAX {
        let (_, answer) = teller.send(&Call::get(list, token)).await?;
        let rows: Value = serde_json::from_slice(&answer).unwrap_or_default();
        if rows.pointer("/rows/0/status") == Some(&json!(3)) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Err(CliError("the deposit was paid and not credited within ten seconds".into()))
}

/// Checks what stands at a JSON pointer of an answer.
fn expect(what: &str, answer: &Value, pointer: &str, wanted: &Value) -> Result<(), CliError> {
    let found = answer.pointer(pointer).unwrap_or(&Value::Null);
    if found == wanted {
        say(&format!("  ok: {what}"));
        return Ok(());
    }
    Err(CliError(format!("not so: {what} (found {found}, expected {wanted})")))
}
