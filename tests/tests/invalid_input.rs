//! Invalid bodies, fields, filters and messages are refused with the documented answer that names the offending part, and
//! nothing is created.
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::raw_http::{exchange, post, refusal_of, status_of};
use serde_json::{Value, json};

async fn deployment() -> Deployment {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment
}

async fn count_of_transactions(deployment: &Deployment) -> Value {
    deployment.customer().transactions("").await.expect_ok()["count"].clone()
}

/// Bodies that are not a JSON object.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let utf16: Vec<u8> = "{\"login\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("an empty body", Vec::new()),
        ("a space", b" ".to_vec()),
        ("an open brace", b"{".to_vec()),
        ("a list", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("a number", b"7".to_vec()),
        ("a form", b"login=2000009&provider=sandbox&amount=50&currency=USD".to_vec()),
        ("a trailing comma", b"{\"login\":2000009,}".to_vec()),
        ("two values", b"{} {}".to_vec()),
        ("single quotes", b"{'login':1}".to_vec()),
        ("a comment", b"{/* */}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", utf16),
        ("latin-1", b"{\"comment\":\"caf\xe9\"}".to_vec()),
        ("overlong UTF-8", b"{\"comment\":\"\xc0\xaf\"}".to_vec()),
        ("a surrogate in UTF-8", b"{\"comment\":\"\xed\xa0\x80\"}".to_vec()),
        ("NUL bytes", vec![0; 64]),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00".to_vec()),
        ("a hundred thousand brackets", vec![b'['; 100_000]),
        ("deep objects", b"{\"a\":".repeat(20_000)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_invalid_data_on_every_route() {
    let deployment = deployment().await;
    let (customer, manager) = (deployment.customer(), deployment.manager());
    let routes = [
        (deployment.customer_url(), "/cashier/deposit", &customer.token),
        (deployment.customer_url(), "/cashier/withdrawal", &customer.token),
        (deployment.manager_url(), "/manager", &manager.token),
    ];
    for (url, path, token) in &routes {
        for (what, body) in malformed() {
            let answer = exchange(url, &post(path, &[("authorization", token)], &body)).await;
            assert_eq!(refusal_of(&answer), (400, "INVALID_DATA".into()), "{path} {what}: {answer}");
        }
    }
    for (what, body) in malformed() {
        for path in ["/cashier/webhook/sandbox", "/cashier/webhook/sandbox/1", "/cashier/webhook/unknown"] {
            let answer = exchange(&deployment.customer_url(), &post(path, &[], &body)).await;
            assert_eq!(refusal_of(&answer), (401, "INVALID_SIGNATURE".into()), "{path} {what}: {answer}");
        }
    }
    assert_eq!(count_of_transactions(&deployment).await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_values_of_every_deposit_field_are_invalid_data() {
    let deployment = deployment().await;
    let long = |length: usize| format!("\"{}\"", "x".repeat(length));
    let mut table: Vec<(&str, String)> = Vec::new();
    let mut row = |field: &'static str, values: &[&str]| {
        table.extend(values.iter().map(|value| (field, (*value).to_owned())));
    };
    let kinds = ["true", "[]", "{}", "[[]]"];
    for field in ["login", "amount"] {
        row(field, &kinds);
        row(field, &["null", "\"7\"", "-1", "0", "1e3", "NaN", "0x10", "01", "+1", ".5", "5.", "--1", "\"\""]);
    }
    row("login", &["2000009.0", "2000009.5", "9007199254740993", "18446744073709551617"]);
    row("amount", &["50.001", "1e400", "1E2", "0.00", "-0", "99999999999999999.99", "10000000000000.001"]);
    for field in ["provider", "currency"] {
        row(field, &kinds);
        row(field, &["null", "7", "\"\"", "\" \"", "\"a\\nb\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\x\""]);
    }
    row("currency", &["\"usd\"", "\"US\"", "\"USDX\"", "\"XXQ\"", "\"ＵＳＤ\""]);
    for field in ["method", "idempotency_key", "comment", "success_url", "failure_url", "metadata_json"] {
        row(field, &kinds);
        row(field, &["7", "\"\\u0000\"", "\"\\ud83d\"", "\"\\u001b[2J\""]);
    }
    row("provider_config_id", &["true", "\"1\"", "-1", "1.5", "[]"]);
    for field in ["success_url", "failure_url"] {
        row(
            field,
            &[
                "\"http://shop.example/\"",
                "\"javascript:alert(1)\"",
                "\"//shop.example\"",
                "\"https://\"",
                "\"https://a b/\"",
                "\"https://user:word@shop.example/\"",
                "\"https://shop.example\\\\@evil.example/\"",
                "\"data:text/html,x\"",
                "\"file:///etc/passwd\"",
                "\"HTTPS//x\"",
            ],
        );
    }
    row("metadata_json", &["\"\"\"", "\"[]\"", "\"7\"", "\"{\"", "\"{\\\"_cashier\\\":1}\"", "\"nonsense\""]);
    row("account", &["1", "\"x\"", "null"]);
    row("Amount", &["50"]);
    for (field, length) in [
        ("provider", 65),
        ("method", 65),
        ("idempotency_key", 129),
        ("comment", 513),
        ("success_url", 2049),
        ("metadata_json", 16 * 1024 + 1),
    ] {
        table.push((field, long(length)));
    }
    let token = deployment.customer().token;
    for (field, value) in &table {
        let base = [("login", "2000009"), ("provider", "\"sandbox\""), ("amount", "50"), ("currency", "\"USD\"")];
        let rest = base.iter().filter(|(name, _)| name != field).map(|(name, value)| format!("\"{name}\":{value}"));
        let fields: Vec<String> = rest.chain([format!("\"{field}\":{value}")]).collect();
        let body = format!("{{{}}}", fields.join(","));
        let answer = exchange(
            &deployment.customer_url(),
            &post("/cashier/deposit", &[("authorization", &token)], body.as_bytes()),
        )
        .await;
        let shown: String = value.chars().take(60).collect();
        assert_eq!(refusal_of(&answer), (400, "INVALID_DATA".into()), "{field}: {shown}: {answer}");
    }
    // A duplicate field, and missing fields.
    for body in
        ["{\"login\":2000009,\"login\":2000009,\"provider\":\"sandbox\",\"amount\":50,\"currency\":\"USD\"}", "{}"]
    {
        let answer = exchange(
            &deployment.customer_url(),
            &post("/cashier/deposit", &[("authorization", &token)], body.as_bytes()),
        )
        .await;
        assert_eq!(refusal_of(&answer), (400, "INVALID_DATA".into()), "{body}: {answer}");
    }
    assert_eq!(count_of_transactions(&deployment).await, json!(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_filters_are_invalid_data_and_percent_encoded_ones_are_equal_to_plain_ones() {
    let deployment = deployment().await;
    let customer = deployment.customer();
    for amount in ["20", "30"] {
        customer.deposit(&order("sandbox", amount)).await.expect_ok();
    }
    let plain = "where[0][0]=id&where[0][1]==&where[0][2]=2&orderBy[0][0]=created_time&orderBy[0][1]=desc";
    let encoded = plain.replace('[', "%5B").replace(']', "%5D");
    let everything = encoded.replace("==", "=%3D").replace("id", "%69%64").to_lowercase().replace("orderby", "orderBy");
    for query in [plain, &encoded, &encoded.to_lowercase().replace("orderby", "orderBy"), &everything] {
        let list = customer.transactions(query).await.expect_ok();
        assert_eq!((&list["count"], &list["rows"][0]["id"]), (&json!(1), &json!(2)), "{query}");
    }
    let many = |count: usize, pair: fn(usize) -> String| (0..count).map(pair).collect::<Vec<_>>().join("&");
    let conditions = |at| format!("whereNot[{at}][0]=id&whereNot[{at}][1]=7");
    let values = |at| format!("whereIn[0][1][{at}]={at}");
    let table = [
        "limit=0".to_owned(),
        "limit=50001".into(),
        "limit=-1".into(),
        "limit=x".into(),
        "limit=".into(),
        "limit=1&limit=2".into(),
        "limit[]=1".into(),
        "offset=-1".into(),
        "offset=99999999999999999999".into(),
        "login=0".into(),
        "login=x".into(),
        "login=".into(),
        "login[0]=2000009".into(),
        "colour=red".into(),
        "Where[0][0]=id".into(),
        "where=id".into(),
        "where[0]=id".into(),
        "where[0][0]=id".into(),
        "where[0][0]=id&where[0][1]==".into(),
        "where[0][0]=id&where[0][1]=~&where[0][2]=1".into(),
        "where[0][0]=id&where[0][1]==&where[0][2]=one".into(),
        "where[0][0]=id&where[0][1]==&where[0][2]=1&where[0][3]=2".into(),
        "where[0][0]=nothing&where[0][1]==&where[0][2]=1".into(),
        "where[0][0]=status&where[0][1]=like&where[0][2]=1%25".into(),
        "where[a][0]=id".into(),
        "where[0][0][0][0]=id".into(),
        "where[0[0]]=id".into(),
        "where[-1][0]=id".into(),
        "where[99999999999][0]=id".into(),
        "where%5B0%5D%5B0%5D=id".into(),
        "whereBetween[0][0]=id&whereBetween[0][1][0]=1".into(),
        "whereIn[0][0]=id&whereIn[0][1]=1".into(),
        "orderBy[0][0]=id&orderBy[0][1]=sideways".into(),
        "orderBy[0][0]=comment&orderBy[0][1]=asc".into(),
        "limit=%zz".into(),
        "limit=%ff".into(),
        "limit=%00".into(),
        many(33, conditions),
        format!("whereIn[0][0]=id&{}", many(1001, values)),
        many(5000, |at| format!("a{at}=1")),
    ];
    for query in &table {
        let shown: String = query.chars().take(80).collect();
        assert_eq!(customer.transactions(query).await.refusal(), (400, "INVALID_DATA".into()), "{shown}");
    }
    customer.transactions(&many(32, conditions)).await.expect_ok();
    for query in ["", "login=", "login=x", "login=-1", "login=2000009&login=2000009", "login=2000009&x=1", "logi=1"] {
        let answer = customer.get(&format!("/cashier/methods?{query}")).await;
        assert_eq!(answer.refusal(), (400, "INVALID_DATA".into()), "methods?{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_manager_messages_are_answered_with_their_ext_id() {
    let deployment = deployment().await;
    let manager = deployment.manager();
    let table: Vec<(&str, Value, u16, &str)> = vec![
        ("MngGetCashierTransaction", json!([]), 400, "INVALID_DATA"),
        ("MngGetCashierTransaction", json!("x"), 400, "INVALID_DATA"),
        ("MngGetCashierTransaction", json!({"id": 1, "x": 1}), 400, "INVALID_DATA"),
        ("MngGetCashierTransaction", json!({"id": u64::MAX}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"where": "id"}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"where": [["id", "="]]}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"where": [["id", "=", {}]]}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"limit": 50001}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"limit": 1.5}), 400, "INVALID_DATA"),
        ("MngGetCashierTransactionsByFilter", json!({"colour": 1}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"provider": 7}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 99, "enabled": 1}), 404, "RET_ERR_NOTFOUND"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "enabled": 2}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "min_amount": -1}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "settings_json": "["}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "secret_key": 1}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({"id": 1, "unknown": 1}), 400, "INVALID_DATA"),
        ("MngUpdateCashierProviderConfig", json!({}), 400, "INVALID_DATA"),
        ("MngUpdateCashierCustomerProviderOverride", json!({}), 400, "INVALID_DATA"),
        ("MngUpdateCashierCustomerProviderOverride", json!({"customer_id": 5}), 400, "INVALID_DATA"),
        (
            "MngUpdateCashierCustomerProviderOverride",
            json!({"customer_id": 5, "brand": "ion4", "provider": "x", "mode": 2}),
            400,
            "INVALID_DATA",
        ),
        (
            "MngUpdateCashierCustomerProviderOverride",
            json!({"id": 9, "customer_id": 5, "brand": "ion4", "provider": "x"}),
            404,
            "RET_ERR_NOTFOUND",
        ),
    ];
    for (command, data, status, code) in table {
        let answer = manager.command(command, &data).await;
        let shown = answer.json();
        assert_eq!(
            (answer.status, &shown["status"], &shown["data"]["error"], &shown["extID"]),
            (status, &json!(status), &json!(code), &json!("test")),
            "{command} {data}: {shown}"
        );
    }
    for message in ["{\"extID\":\"e\"}", "{\"extID\":\"e\",\"command\":7}", "{\"extID\":\"e\",\"command\":\"\"}"] {
        let answer = exchange(
            &deployment.manager_url(),
            &post("/manager", &[("authorization", &manager.token)], message.as_bytes()),
        )
        .await;
        assert!(answer.contains("\"extID\":\"e\""), "{message}: {answer}");
        assert!([400, 404].contains(&status_of(&answer)), "{message}: {answer}");
    }
}
