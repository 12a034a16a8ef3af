//! A deposit that is not allowed is refused with the documented error, nothing is created or sent, and the eligibility trace
//! names the rule. Each test ends with the cause removed and the same order accepted.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly")]

use cashier_core::eligibility::{self, ConfigCandidate, Visibility};
use cashier_core::ids::{CustomerId, Login};
use cashier_core::money::{Currency, Money};
use cashier_tests::clock::ClockSpeed;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan};
use cashier_tests::http::HttpAnswer;
use cashier_tests::roster::{
    CUSTOMER, EURO_LOGIN, LOGIN, OTHER_BRAND_CUSTOMER, OTHER_BRAND_LOGIN, REAL_LOGIN, SECOND_LOGIN, change, standard,
};
use serde_json::{Value, json};

/// A deployment with a changed roster and one sandbox config.
async fn deployment_with(edit: impl FnOnce(&mut Value)) -> Deployment {
    let mut roster = standard();
    edit(&mut roster);
    let deployment =
        Deployment::of(DeploymentPlan { roster, clock_speed: ClockSpeed::Stopped, ..DeploymentPlan::default() }).await;
    deployment.manager().save_config(&deployment.sandbox_config()).await;
    deployment
}

/// The wire name of the rule that hides the first config from a login, and its sentence; `SHOWN` where none does.
async fn trace(deployment: &Deployment, login: u64, amount_minor: Option<i64>) -> (String, String) {
    let cashier = deployment.running().cashier();
    let facts = cashier.trading.account(Login(login)).await;
    let facts = facts.ok().flatten().unwrap_or_else(|| panic!("login {login}"));
    let snapshot = cashier.snapshot();
    let candidates: Vec<ConfigCandidate<'_>> = snapshot.configs().map(|config| snapshot.candidate(config)).collect();
    let eligibility = snapshot.eligibility_context(&facts, cashier.clock.now());
    let amount = amount_minor.map(|minor| Money::new(minor, facts.group.currency));
    let overrides = snapshot.overrides_of(facts.customer.customer_id);
    let judged = eligibility::judge_all(&eligibility, &candidates, overrides, amount);
    let first = judged.first().unwrap_or_else(|| panic!("there is a config"));
    let last = first.trace.last().unwrap_or_else(|| panic!("a verdict has a trace"));
    match &first.visibility {
        Visibility::Shown(_) => {
            assert!(first.trace.iter().all(|line| line.passed), "{:?}", first.trace);
            ("SHOWN".into(), last.sentence.clone())
        }
        Visibility::Hidden(rule) => {
            assert!(!last.passed && last.check == rule.check(), "{:?}", first.trace);
            (rule.name().into(), last.sentence.clone())
        }
    }
}

#[track_caller]
fn refused(reply: &HttpAnswer, status: u16, code: &str) {
    assert_eq!(reply.refusal(), (status, code.to_owned()), "{}", reply.text());
    let body = reply.json();
    let fields: Vec<&String> = body.as_object().map(|it| it.keys().collect()).unwrap_or_default();
    assert_eq!(fields, ["error", "message"], "{}", reply.text());
    assert!(body["message"].as_str().is_some_and(|text| !text.is_empty()), "a refusal has a message for people");
}

/// No transaction was created and no provider was called.
async fn nothing_happened(deployment: &Deployment) {
    let all = deployment.manager().run("MngGetCashierTransactionsByFilter", &json!({})).await;
    assert_eq!(all["count"], json!(0), "{all}");
    assert!(deployment.stripe.requests().is_empty());
}

async fn count_of_methods(deployment: &Deployment, login: u64) -> Value {
    deployment.customer().methods(login).await.expect_ok()["count"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_or_group_is_refused() {
    let cases: [(&str, &str, Value); 2] = [("accounts", "login", json!(LOGIN)), ("groups", "group", json!("demo-usd"))];
    for (list, key, id) in cases {
        let deployment = deployment_with(|roster| change(roster, list, key, &id, "enable", json!(0))).await;
        refused(&deployment.customer().deposit(&order("sandbox", "50")).await, 403, "ACCOUNT_DISABLED");
        let (rule, sentence) = trace(&deployment, LOGIN, None).await;
        assert_eq!((&*rule, &*sentence), ("ACCOUNT_DISABLED", "the account or its group is disabled"), "{list}");
        assert_eq!(count_of_methods(&deployment, LOGIN).await, json!(0), "{list}");
        nothing_happened(&deployment).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_may_not_deposit_is_refused() {
    let five = json!(CUSTOMER);
    let deployment =
        deployment_with(|roster| change(roster, "customers", "customer_id", &five, "deposit_allowed", json!(0))).await;
    refused(&deployment.customer().deposit(&order("sandbox", "50")).await, 403, "DEPOSIT_NOT_ALLOWED");
    let (rule, sentence) = trace(&deployment, LOGIN, None).await;
    assert_eq!((&*rule, &*sentence), ("DEPOSIT_NOT_ALLOWED", "the customer is not active or may not deposit"));
    assert_eq!(count_of_methods(&deployment, LOGIN).await, json!(0));

    let deployment =
        deployment_with(|roster| change(roster, "customers", "customer_id", &five, "status", json!(3))).await;
    refused(&deployment.customer().deposit(&order("sandbox", "50")).await, 403, "PERMISSION_DENIED");
    let withdrawal = json!({"login": LOGIN, "amount": 5, "currency": "USD"});
    refused(&deployment.customer().withdraw(&withdrawal).await, 403, "PERMISSION_DENIED");
    assert_eq!(trace(&deployment, LOGIN, None).await.0, "DEPOSIT_NOT_ALLOWED");
    nothing_happened(&deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_currency_than_the_accounts_is_refused() {
    let deployment = deployment_with(|_| ()).await;
    let mut request = order("sandbox", "50");
    request["currency"] = json!("EUR");
    refused(&deployment.customer().deposit(&request).await, 400, "CURRENCY_CONVERSION_REQUIRED");
    // The account in euros has a config in dollars alone.
    request["login"] = json!(EURO_LOGIN);
    refused(&deployment.customer().deposit(&request).await, 400, "METHOD_NOT_AVAILABLE");
    assert_eq!(trace(&deployment, EURO_LOGIN, None).await.0, "CURRENCY");
    let withdrawal = json!({"login": LOGIN, "amount": 5, "currency": "EUR"});
    refused(&deployment.customer().withdraw(&withdrawal).await, 400, "CURRENCY_CONVERSION_REQUIRED");
    assert_eq!(count_of_methods(&deployment, EURO_LOGIN).await, json!(0));
    nothing_happened(&deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_another_customer_is_refused_like_one_that_does_not_exist() {
    let deployment = deployment_with(|_| ()).await;
    let customer = deployment.customer();
    let mut answers = Vec::new();
    for login in [SECOND_LOGIN, OTHER_BRAND_LOGIN, 999] {
        let mut request = order("sandbox", "50");
        request["login"] = json!(login);
        let deposit = customer.deposit(&request).await;
        refused(&deposit, 403, "PERMISSION_DENIED");
        refused(&customer.methods(login).await, 403, "PERMISSION_DENIED");
        refused(&customer.transactions(&format!("login={login}")).await, 403, "PERMISSION_DENIED");
        let withdrawal = json!({"login": login, "amount": 5, "currency": "USD"});
        refused(&customer.withdraw(&withdrawal).await, 403, "PERMISSION_DENIED");
        answers.push(deposit.text());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "another customer's login and no login get the same answer: {answers:?}");
    nothing_happened(&deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_of_another_brand_is_not_served() {
    let deployment = deployment_with(|_| ()).await;
    let mut request = order("sandbox", "50");
    request["login"] = json!(OTHER_BRAND_LOGIN);
    refused(&deployment.customer_of(OTHER_BRAND_CUSTOMER).deposit(&request).await, 400, "METHOD_NOT_AVAILABLE");
    let (rule, sentence) = trace(&deployment, OTHER_BRAND_LOGIN, None).await;
    assert_eq!(
        (&*rule, &*sentence),
        ("BRAND_MISMATCH", "the config serves brand \"ion4\", the customer is of \"nova\"")
    );
    nothing_happened(&deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_override_refuses_until_it_expires() {
    let deployment = deployment_with(|_| ()).await;
    let deny = json!({"customer_id": CUSTOMER, "brand": "ion4", "provider": "sandbox", "mode": 1,
        "expires_time": deployment.clock.unix() + 60});
    let denied = deployment.manager().save_override(&deny).await;
    refused(&deployment.customer().deposit(&order("sandbox", "50")).await, 400, "METHOD_NOT_AVAILABLE");
    let (rule, sentence) = trace(&deployment, LOGIN, None).await;
    assert_eq!((rule, sentence), ("DENIED_BY_OVERRIDE".into(), format!("denied by override {denied}")));
    assert_eq!(count_of_methods(&deployment, LOGIN).await, json!(0));
    nothing_happened(&deployment).await;

    deployment.clock.advance_seconds(59);
    refused(&deployment.customer().deposit(&order("sandbox", "50")).await, 400, "METHOD_NOT_AVAILABLE");
    deployment.clock.advance_seconds(1);
    assert_eq!(trace(&deployment, LOGIN, None).await.0, "SHOWN");
    deployment.customer().deposit(&order("sandbox", "50")).await.expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_allow_override_lifts_no_limit() {
    let deployment = deployment_with(|_| ()).await;
    let config = json!({"id": 1, "country": "FR"});
    deployment.manager().save_config(&config).await;
    refused(&deployment.customer().deposit(&order("sandbox", "50")).await, 400, "METHOD_NOT_AVAILABLE");
    assert_eq!(trace(&deployment, LOGIN, None).await.0, "COUNTRY");
    let allow = json!({"customer_id": CUSTOMER, "brand": "ion4", "provider": "sandbox", "method": "card",
        "provider_config_id": 1, "max_amount": 20000, "expires_time": deployment.clock.unix() + 60});
    deployment.manager().save_override(&allow).await;
    assert_eq!(trace(&deployment, LOGIN, None).await.0, "SHOWN");
    deployment.customer().deposit(&order("sandbox", "15000")).await.expect_ok();
    let shown = deployment.customer().methods(LOGIN).await.expect_ok();
    let row = &shown["rows"][0];
    assert_eq!((row["max_amount"].to_string(), &row["override_id"]), ("20000.0".into(), &json!(1)), "{shown}");

    deployment.clock.advance_seconds(60);
    refused(&deployment.customer().deposit(&order("sandbox", "50")).await, 400, "METHOD_NOT_AVAILABLE");
    assert_eq!(trace(&deployment, LOGIN, None).await.0, "COUNTRY");
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_beyond_the_limits_are_refused_and_the_limits_named() {
    let deployment = deployment_with(|_| ()).await;
    let customer = deployment.customer();
    for (amount, minor, rule) in [("9.99", 999, "AMOUNT_BELOW"), ("10000.01", 1_000_001, "AMOUNT_ABOVE")] {
        let reply = customer.deposit(&order("sandbox", amount)).await;
        refused(&reply, 400, "AMOUNT_OUT_OF_RANGE");
        let message = reply.json()["message"].to_string();
        assert!(message.contains("10.0") && message.contains("10000.0") && message.contains("USD"), "{message}");
        assert_eq!(trace(&deployment, LOGIN, Some(minor)).await.0, rule);
    }
    nothing_happened(&deployment).await;
    for amount in ["10", "10000.00"] {
        customer.deposit(&order("sandbox", amount)).await.expect_ok();
    }
    assert_eq!(Currency::from_code("USD").map(|usd| usd.exponent()), Some(2), "the minor units above are cents");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_config_does_not_serve_a_real_account_unless_the_settings_allow_it() {
    let mut deployment = deployment_with(|_| ()).await;
    let mut request = order("sandbox", "50");
    request["login"] = json!(REAL_LOGIN);
    refused(&deployment.customer().deposit(&request).await, 400, "METHOD_NOT_AVAILABLE");
    let (rule, sentence) = trace(&deployment, REAL_LOGIN, None).await;
    assert_eq!(rule, "SANDBOX_ON_REAL_ACCOUNT");
    assert!(sentence.contains("demo groups only"), "{sentence}");
    assert_eq!(count_of_methods(&deployment, REAL_LOGIN).await, json!(0));

    // No override lifts a hard check.
    let allow = json!({"customer_id": CUSTOMER, "brand": "ion4", "provider": "sandbox", "provider_config_id": 1});
    deployment.manager().save_override(&allow).await;
    refused(&deployment.customer().deposit(&request).await, 400, "METHOD_NOT_AVAILABLE");
    assert_eq!(trace(&deployment, REAL_LOGIN, None).await.0, "SANDBOX_ON_REAL_ACCOUNT");
    nothing_happened(&deployment).await;

    deployment.settings.push_str("allow_sandbox_credit = [\"ion4\"]\n");
    deployment.restart().await;
    assert_eq!(trace(&deployment, REAL_LOGIN, None).await.0, "SHOWN");
    deployment.customer().deposit(&request).await.expect_ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_config_and_one_without_its_module_serve_no_customer() {
    let deployment = deployment_with(|_| ()).await;
    deployment.manager().save_config(&json!({"id": 1, "enabled": 0})).await;
    refused(&deployment.customer().deposit(&order("sandbox", "50")).await, 400, "METHOD_NOT_AVAILABLE");
    assert_eq!(trace(&deployment, LOGIN, None).await.0, "CONFIG_DISABLED");
    deployment.manager().save_config(&json!({"id": 1, "enabled": 1})).await;
    assert_eq!(trace(&deployment, LOGIN, None).await.0, "SHOWN");
    refused(&deployment.customer().deposit(&order("paypal", "50")).await, 400, "METHOD_NOT_AVAILABLE");
    let mut request = order("sandbox", "50");
    request["method"] = json!("bank");
    refused(&deployment.customer().deposit(&request).await, 400, "METHOD_NOT_AVAILABLE");
    request["method"] = json!("card");
    request["provider_config_id"] = json!(77);
    refused(&deployment.customer().deposit(&request).await, 400, "METHOD_NOT_AVAILABLE");
    nothing_happened(&deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_waits_for_a_manager_debits_nothing_and_is_refused_where_not_allowed() {
    let five = json!(CUSTOMER);
    let deployment =
        deployment_with(|roster| change(roster, "customers", "customer_id", &five, "withdrawal_allowed", json!(0)))
            .await;
    let request = json!({"login": LOGIN, "amount": 5, "currency": "USD", "idempotency_key": "w1"});
    refused(&deployment.customer().withdraw(&request).await, 403, "WITHDRAWAL_NOT_ALLOWED");

    let deployment = deployment_with(|_| ()).await;
    let customer = deployment.customer();
    let answer = customer.withdraw(&request).await.expect_ok();
    let seen = &answer["transaction"];
    let brief = json!([seen["type"], seen["provider"], seen["source"], seen["status"], seen["amount"]]);
    assert_eq!(brief.to_string(), r#"[1,"manual",1,9,5.0]"#, "{answer}");
    assert_eq!(customer.withdraw(&request).await.expect_ok(), answer, "the same key is the same withdrawal");
    let mut other = request.clone();
    other["amount"] = json!(6);
    refused(&customer.withdraw(&other).await, 409, "IDEMPOTENCY_CONFLICT");
    let mut deposit = order("sandbox", "50");
    deposit["idempotency_key"] = json!("w1");
    refused(&customer.deposit(&deposit).await, 409, "IDEMPOTENCY_CONFLICT");
    assert_eq!(deployment.balance(LOGIN).await, "0.0 USD");
    assert_eq!(deployment.running().cashier().snapshot().overrides_of(CustomerId(CUSTOMER)).len(), 0);
}
