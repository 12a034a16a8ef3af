//! A module of safe Rust ends the cashier's process in one call: that costs the one call. The next start refuses the build,
//! or bars the notice, says which call it was, serves every other module and stays up. A process that was killed from
//! outside accuses nobody.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;

use cashier_core::session::Role;
use cashier_host::app::Listeners;
use cashier_tests::artifacts;
use cashier_tests::cashier_process::{CashierProcess, run};
use cashier_tests::clock::DeploymentClock;
use cashier_tests::customer::{CustomerClient, order};
use cashier_tests::http::{Http, HttpAnswer};
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::{self, CUSTOMER};
use cashier_tests::sandbox::{self, TestSandbox};
use cashier_tests::waiting::eventually;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How a module of safe Rust can end its process, and how the next start names it.
const ENDINGS: [(&str, &str); 5] = [
    ("stack", "SIGSEGV"),
    ("drop", "SIGABRT"),
    ("allocation", "SIGABRT"),
    ("exit", "a call of exit"),
    ("abort", "SIGABRT"),
];

/// A cashier process with a sandbox config and one of a module that ends processes.
struct Fixture {
    process: CashierProcess,
    sandbox: TestSandbox,
    addresses: Listeners,
    http: Http,
    /// The config of the module that ends processes.
    config: u64,
    _folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = TestSandbox::start(DeploymentClock::system_time(), 1).await;
        let mut process = CashierProcess::prepare(folder.path(), &[sandbox.url()], &roster::standard()).await;
        list_module(folder.path(), &artifacts::module("ends_process"), "");
        let addresses = process.start().await;
        let mut fixture = Self { process, sandbox, addresses, http: Http::new(), config: 0, _folder: folder };
        let of_sandbox = json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
            "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": fixture.sandbox.url()}).to_string()});
        fixture.manager().save_config(&of_sandbox).await;
        fixture.config = fixture.manager().save_config(&config(0, "", "")).await;
        fixture
    }

    fn customer(&self) -> CustomerClient {
        let (http, url) = (self.http.clone(), format!("http://{}", self.addresses.customer));
        CustomerClient { http, url, token: self.process.token(Role::Customer, CUSTOMER) }
    }

    fn manager(&self) -> ManagerClient {
        let (http, url) = (self.http.clone(), format!("http://{}", self.addresses.manager));
        ManagerClient { http, url, token: self.process.token(Role::Manager, 1) }
    }

    async fn start(&mut self) {
        self.addresses = self.process.start().await;
    }

    async fn set(&self, ends_in: &str, ends_by: &str) {
        self.manager().save_config(&config(self.config, ends_in, ends_by)).await;
    }

    /// Sends an order whose call ends the process; waits for the end and starts the next.
    async fn deposit_and_start(&mut self, key: &str) {
        let sent = deposit(self.customer(), key.to_owned()).await;
        assert!(sent.is_err(), "the process ended before it answered: {sent:?}");
        self.process.ended().await;
        self.start().await;
    }

    async fn notice(&self, body: &Value) -> Option<u16> {
        let headers = [("content-type", "application/json")];
        let url = format!("{}/cashier/webhook/ends_process/{}", self.customer().url, self.config);
        self.http.try_send(http::Method::POST, &url, &headers, body.to_string()).await.ok().map(|reply| reply.status)
    }

    async fn health(&self) -> String {
        let reply = self.http.get(&format!("http://{}/readyz?verbose", self.addresses.watch), &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text()
    }

    /// The reason why the module is not available; empty if it is.
    async fn refusal(&self) -> String {
        let modules = self.manager().run("MngGetCashierPaymentModules", &json!({})).await;
        let rows = modules["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["module_name"] == json!("ends_process")).unwrap();
        row["failure_reason"].as_str().unwrap().to_owned()
    }

    /// The other module takes a deposit.
    async fn others_serve(&self) {
        let answer = self.customer().deposit(&order("sandbox", "10")).await.expect_ok();
        assert_eq!(answer["next_action"], json!("REDIRECT"), "{answer}");
    }

    async fn release(&self) -> String {
        let released = run(self.process.folder(), &["module", "release", "ends_process", "-s", "cashier.toml"]).await;
        assert_eq!(released.code, Some(0), "{}", released.err);
        released.out
    }

    /// Stops and starts; payments are then quiet for long enough to be asked about.
    async fn restart(&mut self) {
        assert_eq!(self.process.terminate().await, Some(0), "{}", self.process.log());
        self.edit_books("UPDATE cashier_transaction SET updated_time = updated_time - 600");
        self.start().await;
    }

    /// Edits the rows of a stopped cashier.
    fn edit_books(&self, statement: &str) {
        let books = rusqlite::Connection::open(self.process.folder().join("bases/cashier.db")).unwrap();
        books.execute(statement, []).unwrap();
    }

    /// Writes the settings of the module's config into the rows of a stopped cashier: no instance is made of them yet.
    fn edit_settings(&self, ends_in: &str, ends_by: &str) {
        let settings = json!({"ends_in": ends_in, "ends_by": ends_by});
        self.edit_books(&format!("UPDATE provider_config SET settings_json = '{settings}' WHERE id = {}", self.config));
    }

    async fn row(&self, key: &str) -> Value {
        let list = self.customer().transactions("limit=1000").await.expect_ok();
        list["rows"].as_array().unwrap().iter().find(|row| row["idempotency_key"] == json!(key)).unwrap().clone()
    }
}

fn config(id: u64, ends_in: &str, ends_by: &str) -> Value {
    let mut config = json!({"provider": "ends_process", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "settings_json": json!({"ends_in": ends_in, "ends_by": ends_by}).to_string()});
    if id > 0 {
        config["id"] = json!(id);
    }
    config
}

/// Lists this file as the module that ends processes, with further lines.
fn list_module(folder: &Path, file: &Path, further: &str) {
    let path = folder.join("plugins.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let before = text.split("[[module]]\nname = \"ends_process\"").next().unwrap();
    let entry = format!("[[module]]\nname = \"ends_process\"\nfile = {file:?}\n{further}");
    std::fs::write(&path, format!("{before}\n{entry}")).unwrap();
}

/// The same module as another build: a file with another hash.
fn newer_build(folder: &Path) -> std::path::PathBuf {
    let mut bytes = std::fs::read(artifacts::module("ends_process")).unwrap();
    bytes.push(0);
    let path = folder.join("newer_build.so");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_a_module_that_ends_the_process_in_create_costs_one_call_and_its_payment_is_asked_about() {
    let mut fixture = Fixture::new().await;
    for (ends_by, named) in ENDINGS {
        fixture.set("create_payment", ends_by).await;
        fixture.deposit_and_start(ends_by).await;
        let refusal = fixture.refusal().await;
        let call = "this build is quarantined: create_payment of ends_process (build ";
        assert!(refusal.starts_with(call), "{ends_by}: {refusal}");
        assert!(refusal.contains(&format!("ended the process with {named}, found ")), "{ends_by}: {refusal}");
        let id = fixture.row(ends_by).await["id"].as_u64().unwrap();
        assert!(refusal.contains(&format!("under config {}, transaction {id}", fixture.config)), "{refusal}");
        let gateway = format!("provider ends_process: config {}: gateway did not open: ", fixture.config);
        let health = fixture.health().await;
        assert!(health.starts_with(&format!("ready\nmodule ends_process: {refusal}\n{gateway}")), "{health}");
        assert_eq!(health.lines().count(), 3, "{health}");
        fixture.others_serve().await;
        let refused = fixture.customer().deposit(&order("ends_process", "25")).await;
        assert_eq!(refused.json()["error"], json!("METHOD_NOT_AVAILABLE"), "{}", refused.text());
        // The same build after its release: the config still ends the process in a create call, and the payment is credited
        // by a query.
        assert!(fixture.release().await.contains("released: create_payment of ends_process"));
        fixture.restart().await;
        assert_eq!(fixture.health().await, "ready\n");
        eventually("the payment is asked about", async || {
            (fixture.row(ends_by).await["status"] == json!(3)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_a_newer_build_ends_the_quarantine_and_the_older_one_stays_refused() {
    let mut fixture = Fixture::new().await;
    fixture.set("create_payment", "abort").await;
    fixture.deposit_and_start("k").await;
    fixture.restart().await;
    assert!(fixture.refusal().await.contains("quarantined"), "as long as the file is the same");
    let newer = newer_build(fixture.process.folder());
    list_module(fixture.process.folder(), &newer, "");
    fixture.restart().await;
    assert_eq!((fixture.refusal().await, fixture.health().await), (String::new(), "ready\n".to_owned()));
    eventually("asked about, not sent again", async || (fixture.row("k").await["status"] == json!(3)).then_some(()))
        .await;
    list_module(fixture.process.folder(), &artifacts::module("ends_process"), "");
    fixture.restart().await;
    assert!(fixture.refusal().await.contains("quarantined"), "an older build is still the one that ended the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_notice_that_ends_the_process_is_barred_and_its_repeats_are_answered_503() {
    let mut fixture = Fixture::new().await;
    for (ends_by, named) in ENDINGS {
        let body = json!({"ends_by": ends_by, "id": 1});
        assert_eq!(fixture.notice(&body).await, None);
        fixture.process.ended().await;
        fixture.start().await;
        for _ in 0..3 {
            assert_eq!(fixture.notice(&body).await, Some(503), "{ends_by}");
        }
        assert_eq!(fixture.notice(&json!({"id": 2})).await, Some(200), "another notice is read");
        let health = fixture.health().await;
        let barred = "module ends_process: a notice is barred: normalize_status of ends_process (build ";
        assert!(health.contains(barred) && health.contains(named), "{ends_by}: {health}");
        assert_eq!(fixture.refusal().await, "", "{ends_by}");
        fixture.others_serve().await;
        fixture.release().await;
        fixture.restart().await;
        assert_eq!(fixture.health().await, "ready\n");
    }
    // What was left of each notice was stored by the start, and each repeat by the webhook.
    fixture.process.kill().await;
    let books = rusqlite::Connection::open(fixture.process.folder().join("bases/cashier.db")).unwrap();
    let counted = "SELECT count(*) FROM unproven_event e JOIN unproven_notice n ON n.id = e.notice_id \
                   WHERE e.signature_status = 0 AND length(n.body) > 20";
    let stored: i64 = books.query_row(counted, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, i64::try_from(ENDINGS.len()).unwrap() * 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_build_is_refused_after_three_different_notices_that_end_the_process() {
    let mut fixture = Fixture::new().await;
    for id in 1..=3 {
        assert_eq!(fixture.refusal().await, "", "after {} notices", id - 1);
        assert_eq!(fixture.notice(&json!({"ends_by": "abort", "id": id})).await, None);
        fixture.process.ended().await;
        fixture.start().await;
    }
    assert!(fixture.refusal().await.contains("this build is quarantined: normalize_status"));
    assert_eq!(fixture.notice(&json!({"id": 2})).await, Some(503), "sent again until the module is back");
    fixture.others_serve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_every_other_entry_that_ends_the_process_is_named_and_its_build_refused() {
    let mut fixture = Fixture::new().await;
    for entry in ["check_order", "query_status", "configure", "drop", "thread_end"] {
        // An order that waits, for the query.
        deposit(fixture.customer(), entry.to_owned()).await.unwrap();
        fixture.process.kill().await;
        fixture.edit_books("UPDATE cashier_transaction SET updated_time = updated_time - 600");
        fixture.edit_settings(entry, "abort");
        match entry {
            // Of the start itself, and of its first round.
            "configure" | "query_status" => drop(fixture.process.start_and_end().await),
            "check_order" => {
                fixture.start().await;
                deposit(fixture.customer(), "checked".to_owned()).await.unwrap_err();
            }
            // The instance of the edit before is dropped with its thread.
            _ => {
                fixture.start().await;
                let edit = config(fixture.config, "", "").to_string();
                let body = format!(r#"{{"command":"MngUpdateCashierProviderConfig","extID":"t","data":{edit}}}"#);
                let token = fixture.manager().token;
                let headers = [("authorization", &*token), ("content-type", "application/json")];
                let url = format!("{}/manager", fixture.manager().url);
                let _ = fixture.http.try_send(http::Method::POST, &url, &headers, body).await;
            }
        }
        if !["configure", "query_status"].contains(&entry) {
            fixture.process.ended().await;
        }
        fixture.start().await;
        let refusal = fixture.refusal().await;
        assert!(refusal.contains(&format!("{entry} of ends_process (build ")), "{entry}: {refusal}");
        fixture.others_serve().await;
        fixture.process.kill().await;
        fixture.edit_settings("", "");
        fixture.release().await;
        fixture.start().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_a_thread_that_a_module_started_itself_names_its_build_and_its_exit_is_no_success() {
    let mut fixture = Fixture::new().await;
    for (ends_by, named) in ENDINGS {
        // A stack overflow there has no stack to be reported on: the module's own library gives its threads none.
        if ends_by == "stack" {
            continue;
        }
        fixture.process.kill().await;
        fixture.edit_settings("own_thread", ends_by);
        let ended = fixture.process.start_and_end().await;
        assert!(!ended.success(), "{ends_by}: a supervisor starts the cashier again");
        fixture.start().await;
        let refusal = fixture.refusal().await;
        let call = "this build is quarantined: a thread of ends_process (build ";
        assert!(refusal.starts_with(call) && refusal.contains(named), "{ends_by}: {refusal}");
        fixture.others_serve().await;
        fixture.release().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_a_module_that_ends_the_process_when_it_is_opened_is_refused_by_the_next_start() {
    let mut fixture = Fixture::new().await;
    let ways = [
        ("abort", "open"),
        ("exit", "open"),
        ("stack", "open"),
        // After it returned: on the thread that opened it, and on one that it left.
        ("thread_end", "thread_end"),
        ("own_thread", "a thread"),
    ];
    for (ends_by, entry) in ways {
        assert_eq!(fixture.process.terminate().await, Some(0));
        fixture.process.environment = vec![("ENDS_WHEN_OPENED", ends_by)];
        assert!(!fixture.process.start_and_end().await.success(), "{ends_by}");
        fixture.start().await;
        let refusal = fixture.refusal().await;
        let named = format!("this build is quarantined: {entry} of ends_process (build ");
        assert!(refusal.starts_with(&named), "{ends_by}: {refusal}");
        fixture.others_serve().await;
        fixture.process.environment.clear();
        fixture.release().await;
        fixture.restart().await;
        assert_eq!(fixture.refusal().await, "", "{ends_by}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_notice_longer_than_a_slot_is_barred_as_a_whole() {
    let mut fixture = Fixture::new().await;
    let long = |end: &str| json!({"ends_by": "abort", "filler": "x".repeat(40_000), "end": end});
    assert_eq!(fixture.notice(&long("1")).await, None);
    fixture.process.ended().await;
    fixture.start().await;
    assert_eq!(fixture.notice(&long("1")).await, Some(503));
    // Another end beyond what a slot holds is another notice.
    assert_eq!(fixture.notice(&long("2")).await, None);
    fixture.process.ended().await;
    fixture.start().await;
    assert_eq!((fixture.notice(&long("1")).await, fixture.notice(&long("2")).await), (Some(503), Some(503)));
    assert_eq!(fixture.refusal().await, "");
}

/// The number of a thread on which the module's code runs.
fn module_thread(pid: &str) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let mut named = tasks.filter(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        name.starts_with("module ends")
    });
    named.next().unwrap().file_name().to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_a_process_that_is_ended_from_outside_during_calls_accuses_no_module() {
    let mut fixture = Fixture::new().await;
    fixture.set("create_payment", "never").await;
    // To the process, whose main thread takes it, and to the very thread that makes the call.
    let to_process = ["KILL", "ABRT", "FPE", "TERM"].map(|signal| (signal, false));
    for (signal, to_thread) in to_process.into_iter().chain([("ABRT", true), ("FPE", true)]) {
        let waiting = tokio::spawn(deposit(fixture.customer(), format!("{signal}{to_thread}")));
        eventually("the call is under way", async || {
            let slots = std::fs::read(fixture.process.folder().join("var/calls.map")).unwrap();
            String::from_utf8_lossy(&slots).contains("\"entry\":\"create_payment\"").then_some(())
        })
        .await;
        let pid = fixture.process.pid().to_string();
        let target = if to_thread { module_thread(&pid) } else { pid };
        let sent = std::process::Command::new("kill").args([format!("-{signal}"), target]).status();
        assert!(sent.unwrap().success());
        fixture.process.ended().await;
        let _ = waiting.await;
        fixture.start().await;
        assert_eq!(
            (fixture.refusal().await, fixture.health().await),
            (String::new(), "ready\n".to_owned()),
            "{signal}"
        );
        fixture.others_serve().await;
    }
    assert!(!fixture.process.folder().join("var/quarantine.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_a_module_that_plugins_toml_disables_makes_no_waiting_order() {
    let mut fixture = Fixture::new().await;
    fixture.set("create_payment", "never").await;
    let sent = tokio::spawn(deposit(fixture.customer(), "waiting".to_owned()));
    eventually("the order", async || {
        let list = fixture.customer().transactions("").await.expect_ok();
        (list["count"] == json!(1)).then_some(())
    })
    .await;
    fixture.process.kill().await;
    let _ = sent.await;
    fixture.edit_settings("create_payment", "abort");
    list_module(fixture.process.folder(), &artifacts::module("ends_process"), "enabled = false\n");
    fixture.start().await;
    eventually("the order is asked about", async || (fixture.row("waiting").await["status"] == json!(3)).then_some(()))
        .await;
    assert_eq!(fixture.health().await, "ready\n");
}

/// A deposit through the module that ends processes.
async fn deposit(customer: CustomerClient, key: String) -> Result<HttpAnswer, String> {
    let mut request = order("ends_process", "25");
    request["idempotency_key"] = json!(key);
    let headers = [("authorization", &*customer.token), ("content-type", "application/json")];
    let url = format!("{}/cashier/deposit", customer.url);
    customer.http.try_send(http::Method::POST, &url, &headers, request.to_string()).await
}
