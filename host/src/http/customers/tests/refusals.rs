//! Requests that the customer listener refuses: invalid bodies and queries, tokens, methods that a path does not take.

use cashier_core::session::Role;

use super::CustomerApi;
use crate::http::customer_context::JSON_LENGTH_MAX;
use crate::http::session::SessionKey;

#[tokio::test]
async fn each_invalid_request_gets_its_documented_error() {
    let api = CustomerApi::open().await;
    let valid = r#""provider":"stripe","amount":25,"currency":"USD""#;
    let body = |rest: &str| format!(r#"{{"login":2000009,{rest}}}"#);
    let huge = format!("{{\"comment\":\"{}\"}}", "x".repeat(JSON_LENGTH_MAX));
    let deposit = "POST /cashier/deposit";
    let table: Vec<(&str, String, u16, &str)> = vec![
        (deposit, "".into(), 400, "INVALID_DATA"),
        (deposit, "{".into(), 400, "INVALID_DATA"),
        (deposit, "[]".into(), 400, "INVALID_DATA"),
        (deposit, "null".into(), 400, "INVALID_DATA"),
        (deposit, "\u{feff}{}".into(), 400, "INVALID_DATA"),
        (deposit, huge, 413, "BODY_TOO_LARGE"),
        (deposit, body(r#""provider":"stripe","amount":"25","currency":"USD""#), 400, "INVALID_DATA"),
        (deposit, body(r#""provider":"stripe","amount":1e3,"currency":"USD""#), 400, "INVALID_DATA"),
        (deposit, body(&format!(r#"{valid},"unknown":1"#)), 400, "INVALID_DATA"),
        (deposit, body(&format!(r#"{valid},"amount":26"#)), 400, "INVALID_DATA"),
        (deposit, body(&format!(r#"{valid},"success_url":"http://localhost/""#)), 400, "INVALID_DATA"),
        (deposit, body(r#""provider":"stripe","amount":25,"currency":"EUR""#), 400, "CURRENCY_CONVERSION_REQUIRED"),
        (deposit, body(r#""provider":"paypal","amount":25,"currency":"USD""#), 400, "METHOD_NOT_AVAILABLE"),
        (deposit, body(r#""provider":"stripe","amount":9,"currency":"USD""#), 400, "AMOUNT_OUT_OF_RANGE"),
        (deposit, format!(r#"{{"login":2000010,{valid}}}"#), 403, "ACCOUNT_DISABLED"),
        (deposit, format!(r#"{{"login":2000011,{valid}}}"#), 403, "PERMISSION_DENIED"),
        (deposit, format!(r#"{{"login":9,{valid}}}"#), 403, "PERMISSION_DENIED"),
        ("POST /cashier/withdrawal", body(r#""amount":25,"currency":"EUR""#), 400, "CURRENCY_CONVERSION_REQUIRED"),
        ("POST /cashier/withdrawal", body(r#""amount":0,"currency":"USD""#), 400, "INVALID_DATA"),
        ("GET /cashier/methods", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=abc", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=+9", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=2000009&color=red", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/methods?login=2000011", "".into(), 403, "PERMISSION_DENIED"),
        ("GET /cashier/methods?login=9", "".into(), 403, "PERMISSION_DENIED"),
        ("GET /cashier/transactions?login=2000011", "".into(), 403, "PERMISSION_DENIED"),
        ("GET /cashier/transactions?limit=0", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/transactions?wher%65x[0]=1", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/transactions?where[0][0]=%ff", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier/transactions?where[0][0]=amount&where[0][1]==&where[0][2]=1", "".into(), 400, "INVALID_DATA"),
        ("GET /cashier", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /cashier/", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /cashier/methods/", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /cashier/cashier/methods?login=2000009", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET //cashier/methods", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("POST /cashier/webhook", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("POST /cashier/webhook/stripe/1/x", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("POST /manager", "{}".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /", "".into(), 404, "RET_ERR_NOTFOUND"),
        ("GET /cashier/methods?login=2000500", "".into(), 503, "STORAGE_UNAVAILABLE"),
    ];
    for (line, body, number, error) in table {
        let response = api.send(line, &body).await;
        let start: String = body.chars().take(60).collect();
        assert_eq!((response.status, response.error().as_str()), (number, error), "{line} {start}: {}", response.body);
        assert!(!response.body.contains("CANARY") && response.header("x-request-id").is_some(), "{line}");
    }
    assert_eq!(api.env.provider.references(), []);
}

#[tokio::test]
async fn only_a_valid_customer_token_is_accepted() {
    let api = CustomerApi::open().await;
    let (customer, manager) = (api.token(Role::Customer, 5, None), api.token(Role::Manager, 5, None));
    let twice = format!("{customer}{customer}");
    let bearer = customer.replace("authorization: ", "authorization: Bearer ");
    let forged = format!("{}A\r\n", customer.trim_end());
    let table = [
        ("", 403),
        ("authorization: \r\n", 403),
        ("authorization: Basic Og==\r\n", 403),
        (&forged, 403),
        (&manager, 403),
        (&twice, 403),
        (&customer, 200),
        (&bearer, 200),
    ];
    let lines = ["GET /cashier/methods?login=2000009", "GET /cashier/transactions"];
    for (headers, number) in table {
        for line in lines {
            let response = api.listener.send(line, headers, "").await;
            assert_eq!(response.status, number, "{line} {headers}");
            assert!(number == 200 || response.error() == "PERMISSION_DENIED");
        }
    }
    for line in ["POST /cashier/deposit", "POST /cashier/withdrawal"] {
        assert_eq!(api.listener.send(line, "", "{").await.error(), "PERMISSION_DENIED");
    }
    let foreign_brand = api.token(Role::Customer, 5, Some("other"));
    assert_eq!(api.listener.send(lines[0], &foreign_brand, "").await.error(), "PERMISSION_DENIED");
    api.keys.replace(vec![SessionKey::new("k", &[8; 32]).unwrap()]).unwrap();
    assert_eq!(api.listener.send(lines[0], &customer, "").await.status, 403);
}

#[tokio::test]
async fn an_undeclared_method_gets_405_with_the_allowed_one() {
    let api = CustomerApi::open().await;
    let table = [
        ("/cashier/methods", "GET, HEAD"),
        ("/cashier/deposit", "POST"),
        ("/cashier/withdrawal", "POST"),
        ("/cashier/transactions", "GET, HEAD"),
        ("/cashier/webhook/stripe", "GET, HEAD, POST"),
        ("/cashier/webhook/stripe/1", "GET, HEAD, POST"),
    ];
    for (path, allowed) in table {
        let refused = |method: &&str| !allowed.split(", ").any(|one| one == *method);
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"].into_iter().filter(refused) {
            let response = api.listener.send(&format!("{method} {path}"), "", "").await;
            assert_eq!((response.status, response.header("allow")), (405, Some(allowed)), "{method} {path}");
        }
    }
}
