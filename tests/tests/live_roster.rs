//! The roster while the server runs: the import of the command line goes through the server that holds the database, whole or
//! not at all, and managers update customers, accounts and groups by command.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::net::TcpListener;
use std::path::Path;

use cashier_tests::cashier_process::{CashierProcess, CommandOutput, run, serve};
use cashier_tests::customer::CustomerClient;
use cashier_tests::http::Http;
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::{self, CUSTOMER, LOGIN};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};
use tokio::process::Child;

const IMPORT: [&str; 5] = ["trading", "import", "roster.json", "--settings", "cashier.toml"];

/// A server at addresses that its settings name.
struct Server {
    folder: tempfile::TempDir,
    ports: [u16; 3],
    _child: Child,
}

impl Server {
    /// Starts with the standard roster; `more` are further lines of the settings.
    async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let _ = CashierProcess::without_roster(folder.path(), &[]);
        let (ports, child) = eventually("free ports", async || {
            let ports = free_ports();
            let [customer, manager, watch] = ports;
            let settings = format!(
                "customer_listen = \"127.0.0.1:{customer}\"\nmanager_listen = \"127.0.0.1:{manager}\"\n\
                 watch_listen = \"127.0.0.1:{watch}\"\nsession_keys_file = \"session.key\"\nseal_keys_file = \"seal.key\"\n{more}"
            );
            std::fs::write(folder.path().join("cashier.toml"), settings).unwrap();
            let imported = import(folder.path(), &roster::standard()).await;
            assert_eq!(imported.code, Some(0), "{imported:?}");
            Some((ports, serve(folder.path(), watch).await?))
        })
        .await;
        Self { folder, ports, _child: child }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("cashier.log")).unwrap()
    }

    fn url(&self, listener: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[listener])
    }

    async fn token(&self, session: &[&str]) -> String {
        let output = run(self.folder.path(), &[&["token", "--settings", "cashier.toml"], session].concat()).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        output.out.trim().to_owned()
    }

    async fn customer(&self, id: u64) -> CustomerClient {
        let token = self.token(&["--role", "customer", "--id", &id.to_string()]).await;
        CustomerClient { http: Http::new(), url: self.url(0), token }
    }

    async fn manager(&self, session: &[&str]) -> ManagerClient {
        ManagerClient { http: Http::new(), url: self.url(1), token: self.token(session).await }
    }

    async fn methods_status(&self, customer: u64, login: u64) -> u16 {
        self.customer(customer).await.methods(login).await.status
    }
}

/// Ports that nothing listens on.
fn free_ports() -> [u16; 3] {
    let bound = [0; 3].map(|_: u8| TcpListener::bind("127.0.0.1:0").unwrap());
    bound.map(|listener| listener.local_addr().unwrap().port())
}

async fn import(folder: &Path, roster: &Value) -> CommandOutput {
    std::fs::write(folder.join("roster.json"), format!("\u{feff}{roster:#}\r\n")).unwrap();
    run(folder, &IMPORT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn n8_a_roster_is_imported_while_the_server_runs_whole_or_not_at_all() {
    let server = Server::start("").await;
    let folder = server.folder.path();
    assert_eq!(server.methods_status(50, 3_000_000).await, 403, "nobody is customer 50 yet");
    let more = json!({
        "groups": [roster::group("demo-usd", "ion4", "USD", 0)],
        "customers": [roster::customer(50, "ion4")],
        "accounts": [
            {"login": 3_000_000, "customer_id": 50, "group": "demo-usd", "enable": 1, "balance": 7.5},
            {"login": LOGIN, "customer_id": CUSTOMER, "group": "demo-usd", "enable": 1, "balance": 999_999},
        ],
    });
    let imported = import(folder, &more).await;
    assert_eq!((imported.code, &*imported.err), (Some(0), ""), "{}", server.log());
    let counts = "groups: 0 added, 0 updated, 1 unchanged\ncustomers: 1 added, 0 updated, 0 unchanged\n\
                  accounts: 1 added, 0 updated, 1 unchanged\n";
    assert_eq!(imported.out, counts);
    assert_eq!(server.methods_status(50, 3_000_000).await, 200, "the customer is known at once");

    // One mistake, and nothing of it is written: neither what stands before it nor what comes after.
    let mut wrong = more.clone();
    wrong["customers"].as_array_mut().unwrap().push(roster::customer(51, "ion4"));
    wrong["accounts"] = json!([roster::account(3_000_001, 51, "demo-usd"), roster::account(3_000_002, 51, "nowhere")]);
    let refused = import(folder, &wrong).await;
    assert_eq!((refused.code, &*refused.out), (Some(1), ""));
    let text = format!("{wrong:#}");
    let before = &text[..text.find("3000002").unwrap()];
    let line = before[..before.rfind('{').unwrap()].lines().count();
    let expected = format!("nothing was imported:\n  line {line}: accounts[1].group: there is no group \"nowhere\"");
    assert!(refused.err.contains(&expected), "{expected}: {}", refused.err);
    assert_eq!(server.methods_status(51, 3_000_001).await, 403);

    // Rows that do not change are no record; those that do are in the chain of who changed what, before and after they are applied, and
    // so is the roster that was refused.
    let again = import(folder, &more).await;
    assert!(again.code == Some(0) && again.out.contains("customers: 0 added, 0 updated, 1 unchanged"), "{again:?}");
    let audited = run(folder, &["audit", "verify", "--settings", "cashier.toml"]).await;
    assert!(audited.code == Some(0) && audited.out.starts_with("3 audit records fit together\n"), "{audited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn n8_a_roster_is_imported_under_every_rule_that_the_settings_have_for_tokens() {
    let rules = "session_issuers = [\"shop\", \"crm\"]\nsession_audiences = [\"cashier\"]\nsession_lifetime_max = 50\n\
                 require_brand_claim = true\n";
    let server = Server::start(rules).await;
    let folder = server.folder.path();
    let roster = json!({"customers": [roster::customer(50, "ion4")]});
    let imported = import(folder, &roster).await;
    assert_eq!((imported.code, &*imported.err), (Some(0), ""), "{}", server.log());
    let admin = server.manager(&["--role", "admin", "--id", "3", "--every-brand", "--ttl", "50s"]).await;
    admin.run("MngUpdateCustomer", &roster::customer(51, "ion4")).await;

    let key = std::fs::read_to_string(folder.join("session.key")).unwrap();
    let scoped = key.lines().map(|line| line.replacen(':', ":customer:", 1)).collect::<String>();
    std::fs::write(folder.join("session.key"), scoped).unwrap();
    let refused = import(folder, &roster).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("may sign for a manager") && refused.err.contains("stopped"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn n8_a_server_behind_tls_is_given_the_roster_and_another_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["pay.example".into()]).unwrap();
        let (chain, key) = (folder.path().join(format!("{name}.pem")), folder.path().join(format!("{name}.key")));
        std::fs::write(&chain, pem("CERTIFICATE", made.cert.der())).unwrap();
        std::fs::write(&key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).unwrap();
        format!("tls_certificate_file = {chain:?}\ntls_key_file = {key:?}\n")
    };
    let (own, other) = (certificate("own"), certificate("other"));
    let server = Server::start(&own).await;
    let roster = json!({"customers": [roster::customer(50, "ion4")]});
    let imported = import(server.folder.path(), &roster).await;
    assert_eq!((imported.code, &*imported.err), (Some(0), ""), "{}", server.log());
    let settings = server.folder.path().join("cashier.toml");
    let text = std::fs::read_to_string(&settings).unwrap().replace(&own, &other);
    std::fs::write(&settings, text).unwrap();
    let refused = import(server.folder.path(), &roster).await;
    assert!(refused.code == Some(1) && refused.err.contains("another certificate"), "{refused:?}");
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn n8_administrators_of_every_brand_update_customers_accounts_and_groups() {
    let server = Server::start("").await;
    let admin = server.manager(&["--role", "admin", "--id", "3"]).await;
    let (added, updated, unchanged) = ("added", "updated", "unchanged");
    let table = [
        ("MngUpdateGroup", roster::group("gold-usd", "ion4", "USD", 0), added),
        ("MngUpdateCustomer", roster::customer(50, "ion4"), added),
        ("MngUpdateAccount", roster::account(3_000_000, 50, "gold-usd"), added),
        ("MngUpdateAccount", roster::account(3_000_000, 50, "gold-usd"), unchanged),
        (
            "MngUpdateCustomer",
            json!({"customer_id": 50, "country": "FR", "brand": "ion4", "status": 0,
            "deposit_allowed": 0, "withdrawal_allowed": 1}),
            updated,
        ),
    ];
    for (command, row, result) in table {
        let counts = admin.run(command, &row).await;
        let expected: Value = [added, updated, unchanged]
            .map(|name| (name.to_owned(), json!(u8::from(name == result))))
            .into_iter()
            .collect();
        assert_eq!(counts, expected, "{command} {row}");
    }
    assert_eq!(server.methods_status(50, 3_000_000).await, 200);

    let refused = [
        (
            "MngUpdateCustomer",
            json!({"customer_id": 50, "country": "Germany", "brand": "ion4", "status": 0,
            "deposit_allowed": 1, "withdrawal_allowed": 1}),
            "country must be two upper-case letters, or empty",
        ),
        ("MngUpdateAccount", roster::account(3_000_001, 77, "gold-usd"), "customer_id there is no customer 77"),
        ("MngUpdateGroup", json!({"group": "x"}), "brand is missing"),
        ("MngUpdateGroup", json!([]), "must be an object"),
        ("MngImportCashierRoster", json!({"persons": []}), "unknown field `persons`"),
        ("MngImportCashierRoster", json!({"customers": [{}]}), "customers[0].customer_id: is missing"),
    ];
    for (command, row, problem) in refused {
        let answer = admin.command(command, &row).await;
        let message = answer.json()["data"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == 400 && message.contains(problem), "{command}: {message}");
    }
    for session in [
        &["--role", "manager", "--id", "3"][..],
        &["--role", "dealer", "--id", "3"],
        &["--role", "crm-admin", "--id", "3"],
        &["--role", "admin", "--id", "3", "--brand", "ion4"],
    ] {
        let manager = server.manager(session).await;
        for command in ["MngUpdateCustomer", "MngUpdateAccount", "MngUpdateGroup", "MngImportCashierRoster"] {
            assert_eq!(
                manager.command(command, &roster::customer(50, "ion4")).await.status,
                403,
                "{command} {session:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n8_an_import_beside_a_server_that_is_not_the_one_of_the_settings_is_refused_with_the_holder() {
    let server = Server::start("").await;
    let folder = server.folder.path();
    let refused = |output: CommandOutput, problem: &str| {
        assert!(output.code == Some(1) && output.err.contains(problem), "{output:?}");
        assert!(output.err.contains("the database is in use"), "{output:?}");
    };
    std::fs::write(folder.join("roster.json"), roster::standard().to_string()).unwrap();
    let settings = std::fs::read_to_string(folder.join("cashier.toml")).unwrap();
    std::fs::write(folder.join("other.toml"), format!("bases = \"elsewhere\"\n{settings}")).unwrap();
    let import = ["trading", "import", "roster.json", "--bases", "bases", "--settings", "other.toml"];
    refused(run(folder, &import).await, "the settings are of another server");
    let [_, manager, _] = server.ports;
    let nobody = settings.replace(&manager.to_string(), "9");
    std::fs::write(folder.join("other.toml"), nobody).unwrap();
    refused(run(folder, &import).await, "was not reached at http://127.0.0.1:9/manager");
    let foreign_key = format!("1:{}\n", "5c".repeat(32));
    std::fs::write(folder.join("foreign.key"), foreign_key).unwrap();
    std::fs::write(folder.join("other.toml"), settings.replace("session.key", "foreign.key")).unwrap();
    let unknown = run(folder, &import).await;
    assert!(unknown.code == Some(1) && unknown.err.contains("a valid manager token is required"), "{unknown:?}");
}
