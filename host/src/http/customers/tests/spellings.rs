//! Other spellings of the same request: filters without percent-encoding, and the key of an order as a header.

use cashier_core::session::Role;

use super::CustomerApi;
use crate::http::parser_refusals;
use crate::http::testing::ReceivedResponse;

const BODY: &str =
    r#"{"login":2000009,"provider":"stripe","amount":25,"currency":"USD","success_url":"https://shop.example/ok"}"#;

impl CustomerApi {
    async fn list(&self, query: &str) -> ReceivedResponse {
        let head = self.token(Role::Customer, 5, None);
        self.listener.send(&format!("GET /cashier/transactions?{query}"), &head, "").await
    }

    async fn post_with(&self, path: &str, headers: &str, body: &str) -> ReceivedResponse {
        let head = self.token(Role::Customer, 5, None) + headers;
        self.listener.send(&format!("POST {path}"), &head, body).await
    }
}

fn count(response: &ReceivedResponse) -> u64 {
    assert_eq!(response.status, 200, "{}", response.body);
    response.json()["count"].as_u64().unwrap()
}

#[tokio::test]
async fn i9_a_filter_works_unencoded_where_the_http_parser_lets_it_through() {
    let api = CustomerApi::open().await;
    assert_eq!(api.deposit("k", "250").await.status, 200);
    let by_id = |op: &str, value: &str| format!("where[0][0]=id&where[0][1]={op}&where[0][2]={value}");
    let by_method = |pattern: &str| format!("where[0][0]=method&where[0][1]=like&where[0][2]={pattern}");
    for (query, expected) in [
        (by_id("=", "1"), 1),
        (by_id("==", "1"), 1),
        (by_id("!=", "1"), 0),
        (by_id("%3E", "0"), 1),
        (by_id("%3e=", "1"), 1),
        (by_id("%3C", "1"), 0),
        (by_id("%3C=", "1"), 1),
        (by_method("c%25"), 1),
        (by_method("c%"), 1),
        (by_method("{|}^`\\~!$'()*,;:@/?"), 0),
        (by_method("ü"), 0),
    ] {
        assert_eq!(count(&api.list(&query).await), expected, "{query}");
    }
    for refused in [by_id(">", "0"), by_id("<=", "1"), by_method("\"card\""), by_method("a b")] {
        let before = parser_refusals::counted();
        let response = api.list(&refused).await;
        assert_eq!((response.status, &*response.body), (400, ""), "{refused}");
        assert_eq!(response.header("x-request-id"), None, "it reached no route");
        // Counted when the connection ends, which the client sees first.
        while parser_refusals::counted() == before {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn i10_the_idempotency_key_header_is_the_fields_other_spelling() {
    let api = CustomerApi::open().await;
    let twice = "idempotency-key: one\r\nIdempotency-Key: one\r\n";
    let first = api.post_with("/cashier/deposit", twice, BODY).await;
    let again = api.post_with("/cashier/deposit", twice, BODY).await;
    let field = BODY.replacen('{', "{\"idempotency_key\":\"one\",", 1);
    let in_body = api.post_with("/cashier/deposit", "", &field).await;
    let in_both = api.post_with("/cashier/deposit", "idempotency-key: \"one\"\r\n", &field).await;
    for answer in [&first, &again, &in_body, &in_both] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let transaction = &answer.json()["transaction"];
        assert_eq!((transaction["id"].as_u64(), transaction["idempotency_key"].as_str()), (Some(1), Some("one")));
    }
    for headers in ["idempotency-key: two\r\n", "idempotency-key: one\r\nidempotency-key: two\r\n"] {
        let refused = api.post_with("/cashier/deposit", headers, &field).await;
        assert_eq!((refused.status, &*refused.error()), (400, "INVALID_DATA"), "{}", refused.body);
    }
    assert_eq!(api.env.provider.references().len(), 1, "one order was sent");

    let withdrawal = r#"{"login":2000009,"amount":5,"currency":"USD"}"#;
    let key = "idempotency-key: w\r\n";
    let first = api.post_with("/cashier/withdrawal", key, withdrawal).await;
    let again = api.post_with("/cashier/withdrawal", key, withdrawal).await;
    assert_eq!((first.status, &first.json()["transaction"]["id"]), (200, &again.json()["transaction"]["id"]));
    let other = api.post_with("/cashier/withdrawal", key, &withdrawal.replace('5', "6")).await;
    assert_eq!(other.error(), "IDEMPOTENCY_CONFLICT");
}
