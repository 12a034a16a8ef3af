//! A token that is missing, forged, expired or issued for the other listener is refused on every route, as published; a valid
//! one is accepted in both published spellings.
#![expect(clippy::indexing_slicing, reason = "a missing field is null and fails the comparison")]

use cashier_tests::customer::order;
use cashier_tests::deployment::Deployment;
use cashier_tests::roster::{CUSTOMER, LOGIN};
use cashier_tests::tokens::{SESSION_KEY, forged, unsigned};
use serde_json::{Value, json};

async fn deployment() -> Deployment {
    let deployment = Deployment::new().await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment
}

async fn count_of_transactions(deployment: &Deployment) -> Value {
    deployment.customer().transactions("").await.expect_ok()["count"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_forged_tokens_are_refused_on_every_route() {
    let deployment = deployment().await;
    let now = deployment.clock.unix();
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": "test"});
    let claims = |role: u8| json!({"id": CUSTOMER, "role": role, "exp": now + 3600});
    let with = |role: u8, name: &str, value: Value| {
        let mut claims = claims(role);
        claims[name] = value;
        claims
    };
    let with_header = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header
    };
    for (role, is_customer) in [(9, true), (1, false)] {
        let valid = forged(&header, &claims(role), &SESSION_KEY);
        let (head, signature) = valid.rsplit_once('.').unwrap();
        let other = if is_customer { 1 } else { 9 };
        let table: Vec<(&str, String)> = vec![
            ("no token", String::new()),
            ("not a token", "token".into()),
            ("dots", "..".into()),
            ("no signature", format!("{head}.")),
            ("half a signature", format!("{head}.{}", &signature[..20])),
            ("another customer's claims", format!("{}.{signature}", unsigned(&header, &with(role, "id", json!(6))))),
            ("another key", forged(&header, &claims(role), &[0x11; 32])),
            ("an empty key", forged(&header, &claims(role), b"")),
            ("alg none", format!("{}.", unsigned(&json!({"alg": "none"}), &claims(role)))),
            ("alg none, signed", forged(&with_header("alg", json!("none")), &claims(role), &SESSION_KEY)),
            ("alg HS512", forged(&with_header("alg", json!("HS512")), &claims(role), &SESSION_KEY)),
            ("alg RS256", forged(&with_header("alg", json!("RS256")), &claims(role), &SESSION_KEY)),
            ("an unknown key id", forged(&with_header("kid", json!("other")), &claims(role), &SESSION_KEY)),
            ("crit", forged(&with_header("crit", json!(["exp"])), &claims(role), &SESSION_KEY)),
            ("expired", forged(&header, &with(role, "exp", json!(now)), &SESSION_KEY)),
            ("no exp", forged(&header, &with(role, "exp", Value::Null), &SESSION_KEY)),
            ("exp as text", forged(&header, &with(role, "exp", json!("tomorrow")), &SESSION_KEY)),
            ("not valid yet", forged(&header, &with(role, "nbf", json!(now + 3600)), &SESSION_KEY)),
            ("issued tomorrow", forged(&header, &with(role, "iat", json!(now + 86_400)), &SESSION_KEY)),
            ("no role", forged(&header, &with(role, "role", Value::Null), &SESSION_KEY)),
            ("an unknown role", forged(&header, &with(role, "role", json!(7)), &SESSION_KEY)),
            ("id 0", forged(&header, &with(role, "id", json!(0)), &SESSION_KEY)),
            ("id as text", forged(&header, &with(role, "id", json!("5")), &SESSION_KEY)),
            ("id -5", forged(&header, &with(role, "id", json!(-5)), &SESSION_KEY)),
            ("very long", format!("{head}.{}", "A".repeat(40_000))),
            ("the other listener's role", forged(&header, &claims(other), &SESSION_KEY)),
        ];
        for (what, token) in table {
            if is_customer {
                let mut customer = deployment.customer();
                customer.token = token;
                let answers = [
                    customer.methods(LOGIN).await,
                    customer.deposit(&order("sandbox", "50")).await,
                    customer.withdraw(&json!({"login": LOGIN, "amount": 5, "currency": "USD"})).await,
                    customer.transactions("").await,
                ];
                for answer in answers {
                    assert_eq!(answer.refusal(), (403, "PERMISSION_DENIED".into()), "{what}: {}", answer.text());
                }
            } else {
                let mut manager = deployment.manager();
                manager.token = token;
                let answer = manager.command("MngGetCashierProviders", &json!({})).await;
                let code = answer.json()["data"]["error"].clone();
                let role_known = what == "the other listener's role";
                let expected = if role_known { (403, "PERMISSION_DENIED") } else { (401, "RET_UNAUTHORIZED") };
                assert_eq!((answer.status, code), (expected.0, json!(expected.1)), "{what}");
            }
        }
        // The valid token, in both published spellings.
        for authorization in [valid.clone(), format!("Bearer {valid}"), format!("bearer  {valid}")] {
            let status = if is_customer {
                let mut customer = deployment.customer();
                customer.token = authorization;
                customer.methods(LOGIN).await.status
            } else {
                let mut manager = deployment.manager();
                manager.token = authorization;
                manager.command("MngGetCashierProviders", &json!({})).await.status
            };
            assert_eq!(status, 200);
        }
    }
    assert_eq!(count_of_transactions(&deployment).await, json!(0));
}
