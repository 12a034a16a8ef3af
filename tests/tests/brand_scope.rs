//! Brand scope and rights over the WHOLE table of commands: a manager of one brand, over a cashier with rows of two brands of
//! every kind, finds nothing of the other brand in any list, count or error, and changes nothing of it; and each session
//! type may use what the pages say. A new command fails both walks until it has its entry here.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::collections::BTreeSet;

use cashier_core::session::Role;
use cashier_host::manager::COMMANDS;
use cashier_host::wire::csv::Columns;
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
const UNKNOWN_NAME: &str = "NAMEOFNOTHING";

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
        _ => Vec::new(),
    }
}

/// What names a row of the other brand otherwise than by its id, and is found by whose row it is.
struct OtherName {
    command: &'static str,
    member: &'static str,
    foreign: Value,
    unknown: Value,
    /// Besides that member.
    more: Value,
}

fn other_names(rows: &Foreign) -> Vec<OtherName> {
    let explained = |member, foreign: &str, unknown: &str| {
        let (command, foreign, unknown) = ("MngExplainCashierTransaction", json!(foreign), json!(unknown));
        OtherName { command, member, foreign, unknown, more: json!({}) }
    };
    let mut names: Vec<OtherName> =
        ["provider_payment_id", "ref"].map(|member| explained(member, CANARY, UNKNOWN_NAME)).into();
    names.extend(rows.references.iter().map(|of_row| explained("reference", of_row, &rows.unknown_reference())));
    for &id in rows.ids(Kind::Config) {
        names.extend([1, 0].map(|dry_run| OtherName {
            command: "MngReplayCashierProviderEvent",
            member: "provider_config_id",
            foreign: json!(id),
            unknown: json!(UNKNOWN_ID),
            more: json!({"since": 1, "dry_run": dry_run}),
        }));
    }
    names
}

/// The rows of the other brand.
struct Foreign {
    ids: Vec<(Kind, Vec<u64>)>,
    /// Of its transactions.
    references: Vec<String>,
}

impl Foreign {
    /// What those of every brand see and these do not.
    async fn between(deployment: &Deployment, all: &ManagerClient, own: &ManagerClient) -> Self {
        let mut rows = Self { ids: Vec::new(), references: Vec::new() };
        for (kind, command) in KINDS {
            let (every, seen) = (ids(all, command).await, ids(own, command).await);
            assert!(!seen.is_empty() && seen.is_subset(&every), "{command}: {seen:?} of {every:?}");
            let others: Vec<u64> = every.difference(&seen).copied().collect();
            assert!(!others.is_empty(), "{command} shows no row of the other brand to those who may see it: {every:?}");
            rows.ids.push((kind, others));
        }
        let transactions = rows.ids(Kind::Transaction).iter();
        rows.references = transactions
            .map(|id| deployment.decided(*id).expect("it is in the books").transaction.reference.to_string())
            .collect();
        rows
    }

    fn ids(&self, kind: Kind) -> &[u64] {
        &self.ids.iter().find(|(of, _)| *of == kind).expect("every kind is listed").1
    }

    /// One that no transaction has, of the form of those that some have.
    fn unknown_reference(&self) -> String {
        let known = &self.references[0];
        let (rest, last) = known.split_at(known.len() - 1);
        format!("{rest}{}", if last == "a" { "b" } else { "a" })
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
    let foreign = Foreign::between(&deployment, &all, &own).await;
    let before = everything(&all).await;
    assert!(before.contains(CANARY) && before.contains(OWN), "{before}");
    for command in COMMANDS {
        let walk = walk(command.name).unwrap_or_else(|| panic!("{} has no entry in this walk", command.name));
        match walk {
            Walk::List => lists_nothing_foreign([&own, &others_own], command.name, &foreign).await,
            Walk::Row(kind, more) => {
                for &id in foreign.ids(kind) {
                    is_like_unknown(&own, command.name, "id", &[json!(id), json!(UNKNOWN_ID)], &more).await;
                }
            }
            Walk::Account(more) => {
                let logins = [json!(OTHER_BRAND_LOGIN), json!(UNKNOWN_LOGIN)];
                is_like_unknown(&own, command.name, "login", &logins, &more).await;
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
    for OtherName { command, member, foreign, unknown, more } in other_names(&foreign) {
        is_like_unknown(&own, command, member, &[foreign, unknown], &more).await;
    }
    replays_nothing_foreign([&own, &all], &foreign, &[1]).await;
    assert_eq!(everything(&all).await, before, "nothing of any brand changed");
    replays_nothing_foreign([&own, &all], &foreign, &[1, 0]).await;
    // The same requests by whose rows they are: the brand alone is what was refused.
    for OtherName { command, member, foreign, more, .. } in other_names(&foreign) {
        let found = others_own.run(command, &with(&more, member, foreign)).await;
        assert!(found["done"] != json!(0), "{command} by {member} finds no event: {found}");
    }
    for command in COMMANDS {
        let requests: Vec<Value> = match walk(command.name) {
            Some(Walk::Row(kind, more)) => foreign.ids(kind).iter().map(|id| with(&more, "id", json!(id))).collect(),
            Some(Walk::Account(more)) => vec![with(&more, "login", json!(OTHER_BRAND_LOGIN))],
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

/// No page of a list that is asked for as CSV, and no export, which is read in other ways, has a row of another brand.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_of_one_brand_finds_nothing_of_another_in_any_list_as_csv() {
    if !signing::can_sign() {
        return;
    }
    let deployment = two_brands().await;
    let (all, own) = (deployment.manager(), deployment.manager_of("ion4"));
    let others_own = ManagerClient { token: deployment.token(Role::Admin, 9, Some("nova")), ..own.clone() };
    let foreign = Foreign::between(&deployment, &all, &own).await;
    for command in COMMANDS.iter().filter(|command| Columns::of(&(command.answer)()).is_some()) {
        let name = command.name;
        match walk(name).unwrap_or_else(|| panic!("{name} has no entry in this walk")) {
            Walk::List => exports_nothing_foreign([&own, &others_own], name, &foreign).await,
            Walk::Account(more) => {
                let [known, theirs] = [LOGIN, OTHER_BRAND_LOGIN].map(|login| with(&more, "login", json!(login)));
                lines(&own, name, &known).await;
                lines(&others_own, name, &theirs).await;
                refused(&own.command_as(name, &theirs, "text/csv").await, name);
            }
            Walk::Unscoped | Walk::Administrators => {
                let answer = own.command_as(name, &json!({}), "text/csv").await;
                assert_eq!(answer.refusal_in_envelope(), (403, "PERMISSION_DENIED".into()), "{name}");
            }
            Walk::Row(..) | Walk::Creates => panic!("{name} is a list: its entry in this walk is wrong"),
        }
    }
}

/// A page, and an export of all, are as long as the manager's own rows, and whose rows the others are finds each of them in both.
async fn exports_nothing_foreign([own, other]: [&ManagerClient; 2], command: &str, foreign: &Foreign) {
    let kind = KINDS.iter().find(|(_, list)| *list == command).map(|(kind, _)| *kind);
    for limit in [5000, 60_000] {
        let asked = json!({"limit": limit});
        for manager in [own, other] {
            let rows = manager.run(command, &json!({"limit": 5000})).await["rows"].as_array().expect("rows").len();
            assert!(rows > 0, "{command} shows a manager's own");
            let found = lines(manager, command, &asked).await;
            assert_eq!(found.len(), rows, "{command} {limit}: {found:?}");
        }
        let found = lines(own, command, &asked).await.concat();
        assert!(!found.contains(CANARY) && !found.contains("nova"), "{command} {limit}: {found}");
        for id in kind.into_iter().flat_map(|kind| foreign.ids(kind)) {
            let by_id = json!({"limit": limit, "where": [["id", "=", id]]});
            let found = [lines(own, command, &by_id).await.len(), lines(other, command, &by_id).await.len()];
            assert_eq!(found, [0, 1], "{command} {limit}: {id}");
        }
    }
}

/// What a manager's own configs received is replayed without the events of the other brand, of which they received some.
async fn replays_nothing_foreign([own, all]: [&ManagerClient; 2], foreign: &Foreign, dry_runs: &[u8]) {
    let events = foreign.ids(Kind::Event);
    let found = async |manager: &ManagerClient, config: u64, dry_run: u8| {
        let data = json!({"provider_config_id": config, "since": 1, "dry_run": dry_run});
        let turn = manager.run("MngReplayCashierProviderEvent", &data).await;
        assert_eq!(turn["next_since"], 0, "all in one turn: {turn}");
        let rows = turn["outcomes"].as_array().expect("outcomes").iter().map(|row| row["id"].as_u64().expect("an id"));
        let (theirs, others): (Vec<u64>, Vec<u64>) = rows.partition(|id| events.contains(id));
        assert_eq!(turn["done"], json!(theirs.len() + others.len()), "{turn}");
        (theirs.len(), others.len())
    };
    for &dry_run in dry_runs {
        let (mut replayed, mut left_out) = (0, 0);
        for config in ids(own, "MngGetCashierProviderConfigsByFilter").await {
            let (theirs, others) = found(own, config, dry_run).await;
            assert_eq!(theirs, 0, "config {config}, dry run {dry_run}");
            replayed += others;
            left_out += found(all, config, 1).await.0;
        }
        assert!(replayed > 0 && left_out > 0, "{replayed} replayed, {left_out} left out");
    }
}

/// The lines of an answer as CSV, without the header.
async fn lines(manager: &ManagerClient, command: &str, data: &Value) -> Vec<String> {
    let answer = manager.command_as(command, data, "text/csv").await;
    let text = answer.text();
    assert_eq!(answer.status, 200, "{command} {data}: {text}");
    assert!(answer.header("content-type").starts_with("text/csv"), "{command} {data}: {text}");
    text.split_terminator("\r\n").skip(1).map(str::to_owned).collect()
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
async fn is_like_unknown(own: &ManagerClient, command: &str, member: &str, names: &[Value; 2], more: &Value) {
    let mut answers = Vec::new();
    for name in names {
        let answer = own.command(command, &with(more, member, name.clone())).await;
        refused(&answer, command);
        let data = answer.json()["data"].to_string();
        let shown = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        answers.push((answer.status, data.replace(&shown, "NAME")));
    }
    assert_eq!(answers[0], answers[1], "{command} distinguishes a foreign {member} from an unknown one");
}

/// These members, and what names a row or account.
fn with(more: &Value, member: &str, name: Value) -> Value {
    let mut data = more.clone();
    data[member] = name;
    data
}

/// Neither the whole list nor any filter shows or counts a row of the other brand, whose own session finds some by each kind of
/// filter that the list takes.
async fn lists_nothing_foreign([own, other]: [&ManagerClient; 2], command: &str, foreign: &Foreign) {
    assert!(other.run(command, &json!({"limit": 5000})).await["count"] != json!(0), "{command}: nothing is foreign");
    let page = own.run(command, &json!({"limit": 5000})).await;
    let text = page.to_string();
    assert!(!text.contains(CANARY) && !text.contains("nova"), "{command}: {text}");
    let rows = page["rows"].as_array().expect("rows").len();
    assert!(rows > 0, "{command} shows the manager's own");
    assert_eq!(page["count"], json!(rows), "{command} counts what it does not show");
    let kind = KINDS.iter().find(|(_, list)| *list == command).map(|(kind, _)| *kind);
    for id in kind.into_iter().flat_map(|kind| foreign.ids(kind)) {
        let found = own.run(command, &json!({"where": [["id", "=", id]]})).await;
        assert_eq!((&found["rows"], &found["count"]), (&json!([]), &json!(0)), "{command}: {id}");
    }
    let (mut by_text, mut by_account) = ([0; 2], [0; 2]);
    // Filters by what the other brand's rows hold, where the list takes the field.
    for field in ["brand", "provider_payment_id", "merchant_id", "reason", "idempotency_key", "request_id"] {
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
    // The server makes references: what the brand's rows hold is not in them.
    for reference in &foreign.references {
        let filter = json!({"where": [["reference", "=", reference]]});
        let answer = own.command(command, &filter).await;
        if command != "MngGetCashierTransactionsByFilter" {
            assert_eq!(answer.status, 400, "{command} takes a reference: it belongs into this walk");
            continue;
        }
        assert_eq!(answer.expect_ok()["data"]["count"], json!(0), "{command}: {reference}");
        assert_eq!(other.run(command, &filter).await["count"], json!(1), "{command}: {reference}");
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
/// that wait, events verified, rejected and unreadable, a config that came from the other brand, a change that waits for a second
/// person, and the records of all.
async fn two_brands() -> Deployment {
    let settings =
        format!("{NO_RATE_LIMIT}second_person = [\"credentials\"]\nallow_live_on_demo = [\"ion4\", \"nova\"]\n");
    let deployment = Deployment::of(DeploymentPlan { settings, ..DeploymentPlan::default() }).await;
    rows_of(&deployment, "ion4", (CUSTOMER, LOGIN), OWN).await;
    rows_of(&deployment, "nova", (OTHER_BRAND_CUSTOMER, OTHER_BRAND_LOGIN), CANARY).await;
    moved_config(&deployment).await;
    deployment
}

/// A config of nova that received a webhook there, and is ion4's by now: what it received is not.
async fn moved_config(deployment: &Deployment) {
    let manager = deployment.manager_of("nova");
    let second = ManagerClient { token: deployment.token(Role::Admin, 9, Some("nova")), ..manager.clone() };
    let mut config = deployment.sandbox_config();
    config["brand"] = json!("nova");
    let asked = manager.run_waiting("MngAddCashierProviderConfig", &config).await;
    second.run("MngApproveCashierChange", &json!({"id": asked["approval"]["id"]})).await;
    let newest = ids(&manager, "MngGetCashierProviderConfigsByFilter").await.into_iter().max().expect("it was made");
    let odd = json!({"id": format!("{CANARY}-before"), "type": 5, "data": {"id": CANARY}});
    receives(deployment, newest, sandbox::WEBHOOK_SECRET, &odd).await.expect_ok();
    deployment.manager().run("MngUpdateCashierProviderConfig", &json!({"id": newest, "brand": "ion4"})).await;
}

/// The answer to a webhook that is signed with this secret.
async fn receives(deployment: &Deployment, config: u64, secret: &str, content: &Value) -> HttpAnswer {
    let (body, (header, signature)) = sandbox::signed(secret, deployment.clock.unix(), content);
    deployment.webhook(&format!("sandbox/{config}"), (header, &signature), &body).await
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
    let odd = json!({"id": format!("{text}-odd"), "type": 5, "data": {"id": text}});
    receives(deployment, config_id, sandbox::WEBHOOK_SECRET, &odd).await.expect_ok();
    assert_eq!(receives(deployment, config_id, &format!("{text}-secret"), &odd).await.status, 401);
    // A change that waits.
    let change = json!({"id": config_id, "merchant_id": text, "secret_key": format!("{text}-sk"),
        "webhook_secret": format!("{text}-wh")});
    manager.run_waiting("MngUpdateCashierProviderConfig", &change).await;
}
