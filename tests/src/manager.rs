//! A client of the manager listener (BackOffice).

use serde_json::{Value, json};

use crate::http::{Http, HttpAnswer};

/// A manager with a session.
#[derive(Clone)]
pub struct ManagerClient {
    pub http: Http,
    /// `http://127.0.0.1:port`
    pub url: String,
    pub token: String,
}

impl ManagerClient {
    /// Sends a command and returns the whole answer.
    pub async fn command(&self, command: &str, data: &Value) -> HttpAnswer {
        self.command_as(command, data, "application/json").await
    }

    /// The same, which asks for an answer of this type.
    pub async fn command_as(&self, command: &str, data: &Value, accept: &str) -> HttpAnswer {
        let body = json!({"command": command, "extID": "test", "data": data}).to_string();
        let headers = [("authorization", &*self.token), ("content-type", "application/json"), ("accept", accept)];
        self.http.post(&format!("{}/manager", self.url), &headers, body).await
    }

    /// The `data` of an answer that must be 200.
    pub async fn run(&self, command: &str, data: &Value) -> Value {
        let answer = self.command(command, data).await.expect_ok();
        assert_eq!((&answer["status"], &answer["extID"]), (&json!(200), &json!("test")), "{answer}");
        answer["data"].clone()
    }

    /// The `data` of an answer that must be 202: it waits for a second person.
    pub async fn run_waiting(&self, command: &str, data: &Value) -> Value {
        let answer = self.command(command, data).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["data"].clone()
    }

    /// Saves a provider config and returns its id.
    pub async fn save_config(&self, config: &Value) -> u64 {
        let saved = self.run("MngUpdateCashierProviderConfig", config).await;
        saved["provider"]["id"].as_u64().expect("a saved config has an id")
    }

    /// Saves an override and returns its id.
    pub async fn save_override(&self, row: &Value) -> u64 {
        let saved = self.run("MngUpdateCashierCustomerProviderOverride", row).await;
        saved["override"]["id"].as_u64().expect("a saved override has an id")
    }

    /// `{"transaction":…, "balance_operations":[…]}`
    pub async fn transaction(&self, id: u64) -> Value {
        self.run("MngGetCashierTransaction", &json!({"id": id})).await
    }
}
