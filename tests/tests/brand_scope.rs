//! Brand scope and rights over the WHOLE table of commands: a manager of one brand, over a cashier with rows of two brands of
//! every kind, finds nothing of the other brand in any list, count or error, and changes nothing of it; and each session
//! type may use what the pages say. A new command fails both walks until it has its entry here.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::collections::BTreeSet;

use cashier_core::session::Role;
use cashier_host::manager::COMMANDS;
use cashier_tests::customer::order;
use cashier_tests::deployment::{Deployment, DeploymentPlan, NO_RATE_LIMIT};
use cashier_tests::http::HttpAnswer;
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::{CUSTOMER, LOGIN, OTHER_BRAND_CUSTOMER, OTHER_BRAND_LOGIN};
use cashier_tests::waiting::eventually;
use cashier_tests::{sandbox, signing};
use serde_json::{Value, json};

/// In every field of the other brand's rows that takes a text.
const CANARY: &str = "NOVACANARY";
/// In those of the manager's own.
const OWN: &str = "IONTEXT";
/// No row of any kind has it.
const UNKNOWN_ID: u64 = 900_000_007;
const UNKNOWN_LOGIN: u64 = 2_900_000_007;

/// The kinds of rows, each with the command that lists them.
const KINDS: [(Kind, &str); 5] = [
    (Kind::Transaction, "MngGetCashierTransactionsByFilter"),
    (Kind::Event, "MngGetCashierProviderEventsByFilter"),
    (Kind::Config, "MngGetCashierProviderConfigsByFilter"),
    (Kind::Override, "MngGetCashierCustomerProviderOverridesByFilter"),
    (Kind::Approval, "MngGetCashierApprovalsByFilter"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Transaction,
    Event,
    Config,
    Override,
    Approval,
}

/// How a command is tried by a manager of one brand.
enum Walk {
    /// It shows rows; none of the other brand, and no number that counts one.
    List,
    /// It names a row: `data` with the id of one, besides these members.
    Row(Kind, Value),
    /// It names an account: with this login, besides these members.
    Account(Value),
    /// It creates a row, and is refused by [`also_refused`] alone.
    Creates,
    /// It is for sessions of every brand.
    Unscoped,
    /// It is for administrators of every brand.
    Administrators,
}

/// The walk of each command.
fn walk(command: &str) -> Option<Walk> {
    use Kind::{Approval, Config, Event, Override, Transaction};
    let entered = json!({"amount": 5, "currency": "USD", "comment": "c"});
    Some(match command {
        "MngGetCashierTransactionsByFilter"
        | "MngGetCashierProviderEventsByFilter"
        | "MngGetCashierProviderConfigsByFilter"
        | "MngGetCashierProviders"
        | "MngGetCashierCustomerProviderOverridesByFilter"
        | "MngGetCashierApprovalsByFilter"
        | "MngGetCashierAuditByFilter"
        | "MngGetCashierDutiesByFilter" => Walk::List,
        "MngGetCashierTransaction"
        | "MngExplainCashierTransaction"
        | "MngProcessManualCashierTransaction"
        | "MngCancelCashierTransaction"
        | "MngRetryCashierCredit" => Walk::Row(Transaction, json!({})),
        "MngRejectManualCashierTransaction" => Walk::Row(Transaction, json!({"reject_reason": "r"})),
        "MngRefundCashierTransaction" => Walk::Row(Transaction, json!({"amount": 1, "reason": "r"})),
        "MngResolveCashierDoubt" => Walk::Row(Transaction, json!({"action": "refuse", "reason": "r"})),
        "MngUpdateCashierTransaction" => Walk::Row(Transaction, json!({"status": 6})),
        "MngReplayCashierProviderEvent" => Walk::Row(Event, json!({})),
        "MngDismissCashierProviderEvent" => Walk::Row(Event, json!({"reason": "r"})),
        "MngUpdateCashierProviderConfig" => Walk::Row(Config, json!({"enabled": 0})),
        "MngDeleteCashierProviderConfig" => Walk::Row(Config, json!({})),
        "MngGetCashierCustomerProviderOverride" => Walk::Row(Override, json!({})),
        "MngUpdateCashierCustomerProviderOverride" => Walk::Row(Override, json!({"mode": 1})),
        "MngApproveCashierChange" | "MngRejectCashierChange" => Walk::Row(Approval, json!({})),
        "MngCreateManualCashierDeposit" | "MngCreateManualCashierWithdrawal" => Walk::Account(entered),
        "MngExplainCashierMethods" => Walk::Account(json!({})),
        "MngAddCashierProviderConfig" => Walk::Creates,
        "MngGetCashierPaymentModules" | "MngReloadCashierModules" => Walk::Unscoped,
        "MngUpdateCustomer" | "MngUpdateAccount" | "MngUpdateGroup" | "MngImportCashierRoster" => Walk::Administrators,
        _ => return None,
    })
}

/// Requests of such a command that name the other brand otherwise than by the id of a row.
fn also_refused(command: &str) -> Vec<Value> {
    match command {
        "MngUpdateCashierCustomerProviderOverride" => {
            vec![json!({"customer_id": OTHER_BRAND_CUSTOMER, "brand": "nova", "provider": "sandbox"})]
        }
        "MngAddCashierProviderConfig" | "MngUpdateCashierProviderConfig" => {
            vec![
                json!({"provider": "sandbox", "brand": "nova", "sandbox": 1}),
                json!({"provider": "sandbox", "sandbox": 1}),
            ]
        }
        "MngExplainCashierTransaction" => {
            vec![json!({"provider_payment_id": CANARY}), json!({"ref": CANARY}), json!({"reference": CANARY})]
        }
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_of_one_brand_finds_and_changes_nothing_of_another_by_any_command() {
    if !signing::can_sign() {
        return;
    }
    let deployment = two_brands().await;
    let (all, own) = (deployment.manager(), deployment.manager_of("ion4"));
    // Whose rows they are, and who asked for no approval.
    let others_own = ManagerClient { token: deployment.token(Role::Admin, 9, Some("nova")), ..own.clone() };
    let mut foreign = Vec::new();
    for (kind, command) in KINDS {
        let (every, seen) = (ids(&all, command).await, ids(&own, command).await);
        assert!(!seen.is_empty() && seen.is_subset(&every), "{command}: {seen:?} of {every:?}");
        let others: Vec<u64> = every.difference(&seen).copied().collect();
        assert!(!others.is_empty(), "{command} shows no row of the other brand to those who may see it: {every:?}");
        foreign.push((kind, others));
    }
    let before = everything(&all).await;
    assert!(before.contains(CANARY) && before.contains(OWN), "{before}");
    for command in COMMANDS {
        let walk = walk(command.name).unwrap_or_else(|| panic!("{} has no entry in this walk", command.name));
        match walk {
            Walk::List => lists_nothing_foreign([&own, &others_own], command.name, &foreign).await,
            Walk::Row(kind, more) => {
                let others = &foreign.iter().find(|(of, _)| *of == kind).expect("every kind is listed").1;
                for &id in others {
                    is_like_unknown(&own, command.name, "id", (id, UNKNOWN_ID), &more).await;
                }
            }
            Walk::Account(more) => {
                is_like_unknown(&own, command.name, "login", (OTHER_BRAND_LOGIN, UNKNOWN_LOGIN), &more).await;
            }
            Walk::Creates => {}
            Walk::Unscoped | Walk::Administrators => {
                let answer = own.command(command.name, &json!({})).await;
                assert_eq!(answer.refusal_in_envelope(), (403, "PERMISSION_DENIED".into()), "{}", command.name);
            }
        }
    }
    for command in COMMANDS {
        for data in also_refused(command.name) {
            refused(&own.command(command.name, &data).await, command.name);
        }
    }
    assert_eq!(everything(&all).await, before, "nothing of any brand changed");
    // The same requests by whose rows they are: the brand alone is what was refused.
    for command in COMMANDS {
        let requests: Vec<Value> = match walk(command.name) {
            Some(Walk::Row(kind, more)) => {
                let ids = foreign.iter().filter(|(of, _)| *of == kind).flat_map(|(_, ids)| ids);
                ids.map(|id| with(&more, "id", *id)).collect()
            }
            Some(Walk::Account(more)) => vec![with(&more, "login", OTHER_BRAND_LOGIN)],
            Some(Walk::List | Walk::Creates | Walk::Unscoped | Walk::Administrators) | None => continue,
        };
        for data in requests {
            let answer = others_own.command(command.name, &data).await;
            assert!(![401, 403, 404].contains(&answer.status), "{} {data}: {}", command.name, answer.text());
        }
    }
    // What the other brand has stored under the same ids is not in the way.
    let same = json!({"login": LOGIN, "amount": 8, "currency": "USD", "provider_payment_id": CANARY, "idempotency_key": CANARY});
    own.run("MngCreateManualCashierDeposit", &same).await;
}

/// Whose sessions may use a command: the pages name the exceptions from section 4's rule.
fn permitted(command: &str) -> &'static [Role] {
    match walk(command) {
        Some(Walk::Administrators) => &[Role::Admin],
        _ if command == "MngReloadCashierModules" => &[Role::Admin],
        _ => &[Role::Manager, Role::Dealer, Role::Admin, Role::CrmManager, Role::CrmAdmin],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_type_may_use_the_commands_that_the_pages_permit_and_no_other() {
    let deployment = Deployment::new().await;
    for &role in Role::ALL {
        let client = ManagerClient { token: deployment.token(role, 3, None), ..deployment.manager() };
        for command in COMMANDS {
            let answer = client.command(command.name, &json!({"no such field": 1})).await;
            let expected = if permitted(command.name).contains(&role) { 400 } else { 403 };
            assert_eq!(answer.status, expected, "{} as {role:?}: {}", command.name, answer.text());
            assert!((command.may)(role) == (expected == 400), "{} as {role:?}", command.name);
        }
    }
}

/// The answer's status and code; what it says of a row that the session may not see is 403 or 404.
fn refused(answer: &HttpAnswer, command: &str) {
    let (status, code) = answer.refusal_in_envelope();
    assert!(matches!(status, 403 | 404), "{command}: {status} {code}: {}", answer.text());
    assert!(!answer.text().contains(CANARY), "{command}: {}", answer.text());
}

/// A foreign row is answered byte for byte like one that is not there.
async fn is_like_unknown(own: &ManagerClient, command: &str, member: &str, ids: (u64, u64), more: &Value) {
    let mut answers = Vec::new();
    for id in [ids.0, ids.1] {
        let answer = own.command(command, &with(more, member, id)).await;
        refused(&answer, command);
        let data = answer.json()["data"].to_string();
        answers.push((answer.status, data.replace(&id.to_string(), "ID")));
    }
    assert_eq!(answers[0], answers[1], "{command} distinguishes a foreign {member} from an unknown one");
}

/// These members, and the id of a row or account.
fn with(more: &Value, member: &str, id: u64) -> Value {
    let mut data = more.clone();
    data[member] = json!(id);
    data
}

/// Neither the whole list nor any filter shows or counts a row of the other brand, whose own session finds some by each kind of
/// filter that the list takes.
async fn lists_nothing_foreign([own, other]: [&ManagerClient; 2], command: &str, foreign: &[(Kind, Vec<u64>)]) {
    assert!(other.run(command, &json!({"limit": 5000})).await["count"] != json!(0), "{command}: nothing is foreign");
    let page = own.run(command, &json!({"limit": 5000})).await;
    let text = page.to_string();
    assert!(!text.contains(CANARY) && !text.contains("nova"), "{command}: {text}");
    let rows = page["rows"].as_array().expect("rows").len();
    assert!(rows > 0, "{command} shows the manager's own");
    assert_eq!(page["count"], json!(rows), "{command} counts what it does not show");
    let kind = KINDS.iter().find(|(_, list)| *list == command).map(|(kind, _)| *kind);
    let ids = foreign.iter().filter(|(of, _)| Some(*of) == kind).flat_map(|(_, ids)| ids);
    for id in ids {
        let found = own.run(command, &json!({"where": [["id", "=", id]]})).await;
        assert_eq!((&found["rows"], &found["count"]), (&json!([]), &json!(0)), "{command}: {id}");
    }
    let (mut by_text, mut by_account) = ([0; 2], [0; 2]);
    // Filters by what the other brand's rows hold, where the list takes the field.
    for field in ["brand", "provider_payment_id", "merchant_id", "reason", "idempotency_key", "reference", "request_id"]
    {
        for pattern in ["nova", CANARY, "NOVACANARY%", "n%"] {
            let filter = json!({"where": [[field, "like", pattern]]});
            let answer = own.command(command, &filter).await;
            if answer.status == 400 {
                continue;
            }
            assert_eq!(answer.expect_ok()["data"]["count"], json!(0), "{command}: {field} like {pattern}");
            by_text[0] += 1;
            by_text[1] += other.run(command, &filter).await["count"].as_u64().unwrap_or_default();
        }
    }
    for field in ["login", "customer_id"] {
        let value = if field == "login" { OTHER_BRAND_LOGIN } else { OTHER_BRAND_CUSTOMER };
        let filter = json!({"where": [[field, "=", value]]});
        let answer = own.command(command, &filter).await;
        if answer.status == 400 {
            continue;
        }
        assert_eq!(answer.expect_ok()["data"]["count"], json!(0), "{command}: {field}");
        by_account[0] += 1;
        by_account[1] += other.run(command, &filter).await["count"].as_u64().unwrap_or_default();
    }
    assert!(by_text[0] > 0, "{command} takes no filter by a text");
    for [taken, found] in [by_text, by_account] {
        assert!(taken == 0 || found > 0, "{command}: {taken} filters find nothing for anybody");
    }
}

/// The ids that a list shows, whichever form its rows have.
async fn ids(manager: &ManagerClient, command: &str) -> BTreeSet<u64> {
    let page = manager.run(command, &json!({"limit": 5000})).await;
    let id = |row: &Value| row.get("id").unwrap_or(&row[0]).as_u64().expect("an id");
    page["rows"].as_array().expect("rows").iter().map(id).collect()
}

/// Every row of every kind, without when it was read.
async fn everything(all: &ManagerClient) -> String {
    let mut text = String::new();
    for (_, command) in KINDS {
        text.push_str(&all.run(command, &json!({"limit": 5000})).await.to_string());
    }
    text
}

/// A cashier with rows of brands ion4 and nova: configs, overrides, deposits unpaid and paid, a manual deposit and a withdrawal
/// that wait, events verified, rejected and unreadable, a change that waits for a second person, and the records of all.
async fn two_brands() -> Deployment {
    let settings =
        format!("{NO_RATE_LIMIT}second_person = [\"credentials\"]\nallow_live_on_demo = [\"ion4\", \"nova\"]\n");
    let deployment = Deployment::of(DeploymentPlan { settings, ..DeploymentPlan::default() }).await;
    rows_of(&deployment, "ion4", (CUSTOMER, LOGIN), OWN).await;
    rows_of(&deployment, "nova", (OTHER_BRAND_CUSTOMER, OTHER_BRAND_LOGIN), CANARY).await;
    deployment
}

async fn rows_of(deployment: &Deployment, brand: &str, (customer, login): (u64, u64), text: &str) {
    let manager = deployment.manager_of(brand);
    let second = ManagerClient { token: deployment.token(Role::Admin, 9, Some(brand)), ..manager.clone() };
    let mut config = deployment.sandbox_config();
    for (field, value) in [("brand", brand), ("merchant_id", text), ("public_key", text)] {
        config[field] = json!(value);
    }
    let asked = manager.run_waiting("MngAddCashierProviderConfig", &config).await;
    second.run("MngApproveCashierChange", &json!({"id": asked["approval"]["id"]})).await;
    let configs = manager.run("MngGetCashierProviderConfigsByFilter", &json!({"where": [["brand", "=", brand]]})).await;
    let config_id = configs["rows"][0]["id"].as_u64().expect("the config was made");
    let row = json!({"customer_id": customer, "brand": brand, "provider": "sandbox", "reason": text, "comment": text});
    manager.save_override(&row).await;

    let client = deployment.customer_of(customer);
    let ordered = |amount: &str, key: &str| {
        let mut ordered = order("sandbox", amount);
        ordered["login"] = json!(login);
        ordered["comment"] = json!(text);
        ordered["idempotency_key"] = json!(format!("{text}-{key}"));
        ordered["metadata_json"] = json!(json!({"note": text}).to_string());
        ordered
    };
    client.deposit(&ordered("25", "unpaid")).await.expect_ok();
    let paid = client.deposit(&ordered("35", "paid")).await.expect_ok();
    let page = paid["redirect_url"].as_str().expect("a page").to_owned();
    deployment.sandbox.press(&page, "pay").await.expect_ok();
    let id = paid["transaction"]["id"].as_u64().expect("an id");
    eventually("the credit", async || (manager.transaction(id).await["transaction"]["status"] == 3).then_some(()))
        .await;
    let withdrawal = json!({"login": login, "amount": 5, "currency": "USD", "comment": text});
    client.withdraw(&withdrawal).await.expect_ok();
    let entered = json!({"login": login, "amount": 7, "currency": "USD", "comment": text, "provider_payment_id": text,
        "idempotency_key": text});
    manager.run("MngCreateManualCashierDeposit", &entered).await;

    // An unreadable event, and one that is forged.
    let now = deployment.clock.unix();
    let odd = json!({"id": format!("{text}-odd"), "type": 5, "data": {"id": text}});
    let (body, (header, signature)) = sandbox::signed(sandbox::WEBHOOK_SECRET, now, &odd);
    let path = format!("sandbox/{config_id}");
    deployment.webhook(&path, (header, &signature), &body).await.expect_ok();
    let (body, (header, signature)) = sandbox::signed(&format!("{text}-secret"), now, &odd);
    assert_eq!(deployment.webhook(&path, (header, &signature), &body).await.status, 401);
    // A change that waits.
    let change = json!({"id": config_id, "merchant_id": text, "secret_key": format!("{text}-sk"),
        "webhook_secret": format!("{text}-wh")});
    manager.run_waiting("MngUpdateCashierProviderConfig", &change).await;
}
