//! A client of the customer listener (REST).

use serde_json::{Value, json};

use crate::http::{Http, HttpAnswer};
use crate::roster::LOGIN;

/// A customer with a session.
#[derive(Clone)]
pub struct CustomerClient {
    pub http: Http,
    /// `http://127.0.0.1:port`
    pub url: String,
    pub token: String,
}

/// A deposit order of the first customer; tests add and change fields.
pub fn order(provider: &str, amount: &str) -> Value {
    let amount: serde_json::Number = amount.parse().expect("an amount is a number");
    json!({"login": LOGIN, "provider": provider, "amount": amount, "currency": "USD"})
}

impl CustomerClient {
    pub async fn methods(&self, login: u64) -> HttpAnswer {
        self.get(&format!("/cashier/methods?login={login}")).await
    }

    pub async fn deposit(&self, order: &Value) -> HttpAnswer {
        self.post("/cashier/deposit", order).await
    }

    pub async fn withdraw(&self, order: &Value) -> HttpAnswer {
        self.post("/cashier/withdrawal", order).await
    }

    /// `query` is the part after the `?`.
    pub async fn transactions(&self, query: &str) -> HttpAnswer {
        let mark = if query.is_empty() { "" } else { "?" };
        self.get(&format!("/cashier/transactions{mark}{query}")).await
    }

    /// One of the customer's transactions as the list shows it.
    pub async fn transaction(&self, id: u64) -> Value {
        let list = self.transactions(&format!("where[0][0]=id&where[0][1]==&where[0][2]={id}")).await.expect_ok();
        assert_eq!(list["count"], json!(1), "transaction {id}: {list}");
        list["rows"][0].clone()
    }

    pub async fn get(&self, path: &str) -> HttpAnswer {
        self.http.get(&format!("{}{path}", self.url), &[("authorization", &self.token)]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> HttpAnswer {
        let headers = [("authorization", &*self.token), ("content-type", "application/json")];
        self.http.post(&format!("{}{path}", self.url), &headers, body.to_string()).await
    }
}
