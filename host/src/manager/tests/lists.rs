//! Lists as managers ask for them: the fields of their filters, and brand scope in rows and counts.

use super::*;

const TRANSACTIONS: &str = "MngGetCashierTransactionsByFilter";

async fn found(api: &ManagerApi, token: &str, conditions: &Value) -> Value {
    let data = json!({ "where": conditions }).to_string();
    let (number, shown) = api.command(token, TRANSACTIONS, &data).await;
    assert_eq!(number, 200, "{data}: {shown}");
    let ids: Vec<Value> = shown["rows"].as_array().unwrap().iter().map(|row| row[0].clone()).collect();
    json!([ids, shown["count"]])
}

#[tokio::test(start_paused = true)]
async fn i5_transactions_are_found_by_what_a_customer_can_name() {
    let api = ManagerApi::open().await;
    api.deposit().await;
    api.env.deposit_as(DepositRequest { amount: usd(1_010), ..deposit_request("other") }).await.unwrap();
    let first = api.env.aggregate(cashier_core::ids::TransactionId(1)).transaction;
    let table = [
        (json!(["reference", "=", first.reference.as_str()]), json!([[1], 1])),
        (json!(["amount", "=", 250]), json!([[1], 1])),
        (json!(["amount", "<", "10.11"]), json!([[2], 1])),
        (json!(["brand", "=", "ion4"]), json!([[2, 1], 2])),
        (json!(["provider_config_id", "=", first.config_id.0]), json!([[2, 1], 2])),
        (json!(["idempotency_key", "=", "other"]), json!([[2], 1])),
        (json!(["failure_reason", "=", ""]), json!([[2, 1], 2])),
        (json!(["updated_time", ">", first.updated_time.0]), json!([[], 0])),
        (json!(["expires_time", "=", first.expires_time.0]), json!([[2, 1], 2])),
    ];
    for (condition, expected) in &table {
        assert_eq!(found(&api, "manager", &json!([condition])).await, *expected, "{condition}");
        assert_eq!(found(&api, "crm@ion4", &json!([condition])).await, *expected, "{condition}");
        assert_eq!(found(&api, "manager@other", &json!([condition])).await, json!([[], 0]), "{condition}");
        let data = json!({ "where": [condition] }).to_string();
        assert_eq!(api.error("user", TRANSACTIONS, &data).await, (403, "PERMISSION_DENIED".into()));
    }
    for wrong in [json!(["amount", "=", "1e2"]), json!(["amount", "like", "2%"]), json!(["comment", "=", ""])] {
        let data = json!({ "where": [wrong] }).to_string();
        assert_eq!(api.error("manager", TRANSACTIONS, &data).await, (400, "INVALID_DATA".into()), "{data}");
    }
}
