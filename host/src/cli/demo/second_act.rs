//! The second act of the demo: what BackOffice is for. A payment whose webhook never came is found by the janitor, a
//! withdrawal is approved, a part of a deposit is refunded; each is shown with its explanation.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{DemoClient, DemoRequest};
use super::environment::DemoEnvironment;
use super::walkthrough::{check, is_credited, status_now};
use crate::cli::terminal::{CliError, print_queued};

/// The cashier queries a provider that said nothing for a minute, in rounds of five seconds; how often, and how long, that is
/// looked for: two minutes in all.
const JANITOR_PAUSE: Duration = Duration::from_millis(500);
const JANITOR_CHECKS_MAX: usize = 240;

struct Act<'e> {
    environment: &'e DemoEnvironment,
    client: DemoClient,
    customer: String,
    endpoint: String,
}

/// `first`: the id of the deposit of the first act.
pub(super) async fn run(environment: &DemoEnvironment, first: &Value) -> Result<(), CliError> {
    let act = Act {
        environment,
        client: DemoClient::new(),
        customer: format!("http://{}", environment.listeners.customer),
        endpoint: format!("http://{}/manager", environment.listeners.manager),
    };
    let lost = act.pay_without_webhook().await?;
    act.approve_withdrawal().await?;
    act.refund_a_part(first).await?;
    act.find_the_payment(&lost).await
}

impl Act<'_> {
    async fn pay_without_webhook(&self) -> Result<Value, CliError> {
        print_queued(
            "\n8. The customer deposits 120 USD and pays. This time the provider's webhook never comes: nothing reaches the cashier.",
        );
        let order = r#"{"login":2000009,"provider":"sandbox","method":"card","amount":120,"currency":"USD","idempotency_key":"demo-deposit-2","metadata_json":"{\"sandbox_switches\":\"webhook_never\"}"}"#;
        let deposit = self.as_customer("/cashier/deposit", order).await?;
        let page = deposit.pointer("/redirect_url").and_then(Value::as_str).unwrap_or_default();
        let paid = self.client.show(DemoRequest::post(&format!("{page}/pay"), None, "{}")).await?;
        check("the provider has the money", &paid, "/status", &json!("confirmed"))?;
        let id = deposit.pointer("/transaction/id").cloned().unwrap_or_default();
        let status = status_now(&self.client, &self.list_of(&id), self.customer_token()).await?;
        check("the cashier does not know it yet", &status, "", &json!(1))?;
        Ok(id)
    }

    async fn approve_withdrawal(&self) -> Result<(), CliError> {
        print_queued(
            "\n9. Meanwhile the customer asks for 50 USD back. A withdrawal waits for a person, who approves it.",
        );
        let request = r#"{"login":2000009,"amount":50,"currency":"USD","idempotency_key":"demo-withdrawal-1"}"#;
        let asked = self.as_customer("/cashier/withdrawal", request).await?;
        check("it waits for a person", &asked, "/transaction/status", &json!(9))?;
        let id = asked.pointer("/transaction/id").cloned().unwrap_or_default();
        let processed = self.command("MngProcessManualCashierTransaction", &json!({"id": id})).await?;
        check("it is paid out", &processed, "/data/transaction/status", &json!(3))?;
        self.explain(&id).await?;
        self.check_balance("200.0 USD").await
    }

    async fn refund_a_part(&self, first: &Value) -> Result<(), CliError> {
        print_queued(
            "\n10. A manager refunds 30 USD of the first deposit. The account is debited first, then the provider is called.",
        );
        let data =
            json!({"id": first, "amount": 30, "reason": "a part was not used", "idempotency_key": "demo-refund-1"});
        let refunded = self.command("MngRefundCashierTransaction", &data).await?;
        check("the deposit stays credited", &refunded, "/data/transaction/status", &json!(3))?;
        self.explain(first).await?;
        self.check_balance("170.0 USD").await
    }

    async fn find_the_payment(&self, lost: &Value) -> Result<(), CliError> {
        print_queued(
            "\n11. Nothing was received about the second deposit for a minute: the cashier asks the provider by itself. (Waiting for that.)",
        );
        let (list, token) = (self.list_of(lost), self.customer_token());
        let mut found = false;
        for _ in 0..JANITOR_CHECKS_MAX {
            found = is_credited(&self.client, &list, token).await?;
            if found {
                break;
            }
            tokio::time::sleep(JANITOR_PAUSE).await;
        }
        check("the payment without a webhook is credited", &json!(found), "", &json!(true))?;
        self.explain(lost).await?;
        self.check_balance("290.0 USD").await
    }

    /// Prints the explanation of a transaction, entry by entry.
    async fn explain(&self, id: &Value) -> Result<(), CliError> {
        let answer = self.send("MngExplainCashierTransaction", &json!({"id": id})).await?;
        print_queued(&format!("  What happened to transaction {id} (MngExplainCashierTransaction):"));
        let entries = answer.pointer("/data/entries").and_then(Value::as_array).cloned().unwrap_or_default();
        for entry in &entries {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            print_queued(&format!("    - {}: {}", text("kind"), text("title")));
        }
        let summary = |name| answer.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        print_queued(&format!("    To the customer: {}", summary("/data/summary/customer")));
        check("its explanation has entries", &json!(!entries.is_empty()), "", &json!(true))
    }

    async fn check_balance(&self, expected: &str) -> Result<(), CliError> {
        let (balance, gained) = self.environment.balance().await?;
        print_queued(&format!("  Account 2000009 now holds {balance}."));
        check("that is exactly what was paid in and out", &json!(gained.to_string()), "", &json!(expected))
    }

    async fn as_customer(&self, path: &str, body: &str) -> Result<Value, CliError> {
        let url = format!("{}{path}", self.customer);
        self.client.show(DemoRequest::post(&url, self.customer_token(), body)).await
    }

    /// The customer's list of this transaction alone.
    fn list_of(&self, id: &Value) -> String {
        format!("{}/cashier/transactions?where[0][0]=id&where[0][1]==&where[0][2]={id}", self.customer)
    }

    fn customer_token(&self) -> Option<(&str, &str)> {
        Some(("customer token", &*self.environment.customer_token))
    }

    /// A command of BackOffice, printed.
    async fn command(&self, name: &str, data: &Value) -> Result<Value, CliError> {
        let message = json!({"command": name, "extID": "demo", "data": data}).to_string();
        self.client.show(DemoRequest::post(&self.endpoint, self.manager_token(), &message)).await
    }

    /// The same without printing: its answer is shown in another form.
    async fn send(&self, name: &str, data: &Value) -> Result<Value, CliError> {
        let message = json!({"command": name, "extID": "demo", "data": data}).to_string();
        let request = DemoRequest::post(&self.endpoint, self.manager_token(), &message);
        let (status, body) = self.client.send(&request).await?;
        match status {
            200 => serde_json::from_slice(&body).map_err(|error| CliError(format!("{name}: {error}"))),
            _ => Err(CliError(format!("{name} was answered {status}: {}", String::from_utf8_lossy(&body)))),
        }
    }

    fn manager_token(&self) -> Option<(&str, &str)> {
        Some(("manager token", &*self.environment.manager_token))
    }
}
