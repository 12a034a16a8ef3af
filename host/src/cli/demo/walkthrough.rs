//! The steps of the demo: config → methods → deposit → payment page → webhook → credited account → repeated request →
//! BackOffice. Each step is explained and checked.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{DemoClient, DemoRequest};
use super::environment::DemoEnvironment;
use crate::cli::terminal::{CliError, print_queued};

/// The pause between checks whether the account was credited, and how many checks: ten seconds in all.
const CHECK_PAUSE: Duration = Duration::from_millis(50);
const CHECKS_MAX: usize = 200;

/// The first act; the answer is the id of its deposit.
pub(super) async fn run(environment: &DemoEnvironment) -> Result<Value, CliError> {
    let client = DemoClient::new();
    let (customer, manager) =
        (format!("http://{}", environment.listeners.customer), format!("http://{}", environment.listeners.manager));
    let as_customer = Some(("customer token", &*environment.customer_token));
    let as_manager = Some(("manager token", &*environment.manager_token));
    let endpoint = format!("{manager}/manager");

    print_queued("\n1. Ops give brand ion4 a provider. The secrets are stored sealed and never returned.");
    let settings = json!(json!({"api_base": environment.service_url}).to_string());
    let command = |secret_key: &str, webhook_secret: &str| {
        format!(
            r#"{{"command":"MngUpdateCashierProviderConfig","extID":"demo-1","data":{{"provider":"sandbox","brand":"ion4","method":"card","currency":"USD","sandbox":1,"enabled":1,"min_amount":10,"max_amount":10000,"secret_key":"{secret_key}","webhook_secret":"{webhook_secret}","settings_json":{settings}}}}}"#
        )
    };
    print_queued(&format!("  > POST {endpoint}\n  > Authorization: <manager token>\n  > {}", command("***", "***")));
    let config = command(&environment.service_key, &environment.webhook_secret);
    let (status, answer) = client.send(&DemoRequest::post(&endpoint, as_manager, &config)).await?;
    print_queued(&format!("  < {status} {}", String::from_utf8_lossy(&answer)));
    let saved: Value = serde_json::from_slice(&answer).map_err(|error| CliError(error.to_string()))?;
    check("the config has an id", &saved, "/data/provider/id", &json!(1))?;
    check("the secret is not shown", &saved, "/data/provider/secret_key", &json!(""))?;

    print_queued("\n2. The customer asks how account 2000009 can be paid into.");
    let methods =
        client.show(DemoRequest::get(&format!("{customer}/cashier/methods?login=2000009"), as_customer)).await?;
    check("one method is offered", &methods, "/count", &json!(1))?;

    print_queued("\n3. The customer deposits 250 USD. The transaction is durable before the provider is called.");
    let order = r#"{"login":2000009,"provider":"sandbox","method":"card","amount":250,"currency":"USD","idempotency_key":"demo-deposit-1"}"#;
    let deposit = client.show(DemoRequest::post(&format!("{customer}/cashier/deposit"), as_customer, order)).await?;
    check("the customer is sent to the payment page", &deposit, "/next_action", &json!("REDIRECT"))?;
    check("the payment is pending", &deposit, "/transaction/status", &json!(1))?;
    let id = deposit.pointer("/transaction/id").cloned().unwrap_or_default();
    let page = deposit.pointer("/redirect_url").and_then(Value::as_str).unwrap_or_default().to_owned();

    print_queued(
        "\n4. The customer presses Pay on the provider's page. The provider signs a webhook and sends it to the cashier.",
    );
    let paid = client.show(DemoRequest::post(&format!("{page}/pay"), None, "{}")).await?;
    check("the provider has the money", &paid, "/status", &json!("confirmed"))?;

    print_queued(
        "\n5. The webhook was verified by the module and matched by the cashier, and the account was credited. The customer lists the transaction.",
    );
    let list = format!("{customer}/cashier/transactions?where[0][0]=id&where[0][1]==&where[0][2]={id}");
    wait_until_credited(&client, &list, environment).await?;
    let rows = client.show(DemoRequest::get(&list, as_customer)).await?;
    check("the transaction is credited", &rows, "/rows/0/status", &json!(3))?;

    print_queued("\n6. The same request with the same key gets the same answer and moves no money.");
    let again = client.show(DemoRequest::post(&format!("{customer}/cashier/deposit"), as_customer, order)).await?;
    check("it is the same transaction", &again, "/transaction/id", &id)?;

    print_queued("\n7. BackOffice sees the transaction and the one balance operation that credited it.");
    let view = format!(r#"{{"command":"MngGetCashierTransaction","extID":"demo-2","data":{{"id":{id}}}}}"#);
    let view = client.show(DemoRequest::post(&endpoint, as_manager, &view)).await?;
    let operations = view.pointer("/data/balance_operations").and_then(Value::as_array).map_or(0, Vec::len);
    check("there is one operation", &json!(operations), "", &json!(1))?;
    check("it is posted", &view, "/data/balance_operations/0/status", &json!(1))?;
    let amount = view.pointer("/data/balance_operations/0/amount").map(Value::to_string);
    check("it is exactly the deposit", &json!(amount), "", &json!("250.0"))?;

    let (balance, gained) = environment.balance().await?;
    let before = match environment.held_before.minor {
        0 => "nothing".to_owned(),
        _ => environment.held_before.to_string(),
    };
    print_queued(&format!("\nAccount 2000009 now holds {balance}. It held {before} before."));
    check("the account got exactly the deposit", &json!(gained.to_string()), "", &json!("250.0 USD"))?;
    Ok(id)
}

async fn wait_until_credited(client: &DemoClient, list: &str, environment: &DemoEnvironment) -> Result<(), CliError> {
    let token = Some(("customer token", &*environment.customer_token));
    for _ in 0..CHECKS_MAX {
        if is_credited(client, list, token).await? {
            return Ok(());
        }
        tokio::time::sleep(CHECK_PAUSE).await;
    }
    Err(CliError("the deposit was paid and not credited within ten seconds".into()))
}

/// Whether the first transaction of a list is credited.
pub(super) async fn is_credited(
    client: &DemoClient,
    list: &str,
    token: Option<(&str, &str)>,
) -> Result<bool, CliError> {
    Ok(status_now(client, list, token).await? == json!(3))
}

/// The status of the transaction that this list has first; null where it has none.
pub(super) async fn status_now(
    client: &DemoClient,
    list: &str,
    token: Option<(&str, &str)>,
) -> Result<Value, CliError> {
    let (_, response) = client.send(&DemoRequest::get(list, token)).await?;
    let rows: Value = serde_json::from_slice(&response).unwrap_or_default();
    Ok(rows.pointer("/rows/0/status").cloned().unwrap_or_default())
}

/// Checks the value at a JSON pointer of a response.
pub(super) fn check(what: &str, answer: &Value, pointer: &str, wanted: &Value) -> Result<(), CliError> {
    let found = answer.pointer(pointer).unwrap_or(&Value::Null);
    if found == wanted {
        print_queued(&format!("  ok: {what}"));
        return Ok(());
    }
    Err(CliError(format!("check failed: {what} (found {found}, expected {wanted})")))
}
