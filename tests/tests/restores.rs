//! Databases of other moments: files that the previous release wrote, restored copies and backups, under the program itself.
//! Random histories of restores are in `host/src/flows/tests/chaos/restores.rs`.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]
#![expect(clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::path::{Path, PathBuf};

use cashier_core::session::Role;
use cashier_tests::cashier_process::{CashierProcess, run};
use cashier_tests::clock::DeploymentClock;
use cashier_tests::customer::{CustomerClient, order};
use cashier_tests::http::Http;
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::{self, CUSTOMER, LOGIN};
use cashier_tests::sandbox::{self, TestSandbox, id_of};
use cashier_tests::waiting::eventually;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A broker's folder, the sandbox service and the program.
struct Broker {
    folder: TempDir,
    sandbox: TestSandbox,
    process: CashierProcess,
}

impl Broker {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = TestSandbox::start(DeploymentClock::system_time(), 1).await;
        let process = CashierProcess::prepare(folder.path(), &[sandbox.url()], &roster::standard()).await;
        Self { folder, sandbox, process }
    }

    fn bases(&self) -> PathBuf {
        self.folder.path().join("bases")
    }

    async fn start(&mut self) -> (CustomerClient, ManagerClient) {
        let addresses = self.process.start().await;
        let (http, token) = (Http::new(), self.process.token(Role::Customer, CUSTOMER));
        let customer = CustomerClient { http: http.clone(), url: format!("http://{}", addresses.customer), token };
        let token = self.process.token(Role::Manager, 1);
        (customer, ManagerClient { http, url: format!("http://{}", addresses.manager), token })
    }

    async fn save_config(&self, manager: &ManagerClient) {
        let config = json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
            "sort_index": -1, "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": self.sandbox.url()}).to_string()});
        manager.save_config(&config).await;
    }

    /// Deposits 25.50 USD and pays; returns the page once the deposit is credited.
    async fn pay(&self, customer: &CustomerClient) -> (u64, String) {
        let answer = customer.deposit(&order("sandbox", "25.50")).await.expect_ok();
        let (id, page) = (answer["transaction"]["id"].as_u64().unwrap(), answer["redirect_url"].as_str().unwrap());
        self.sandbox.press(page, "pay").await;
        credited(customer, id).await;
        (id, page.to_owned())
    }

    async fn stop(&mut self) {
        assert_eq!(self.process.terminate().await, Some(0), "{}", self.process.log());
    }

    /// The balance in cents.
    fn balance(&self) -> i64 {
        let read = "SELECT balance_minor FROM account WHERE login = ?1";
        trading(&self.bases()).query_row(read, [LOGIN as i64], |row| row.get(0)).unwrap()
    }
}

fn trading(bases: &Path) -> Connection {
    Connection::open(bases.join("trading.db")).unwrap()
}

async fn credited(customer: &CustomerClient, id: u64) {
    let what = format!("deposit {id} is credited");
    eventually(&what, async || (customer.transaction(id).await["status"] == json!(3)).then_some(())).await;
}

fn restore(from: &Path, to: &Path, name: &str) {
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(to.join(format!("{name}{suffix}")));
    }
    std::fs::copy(from.join(name), to.join(name)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_files_of_the_previous_release_open_and_a_posting_that_was_not_recorded_is_credited_once() {
    let mut broker = Broker::new().await;
    // Made by the previous release: deposit 1 credited; 2 posted and, killed in between, still planned; 3 unpaid.
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/release-0.1");
    ["cashier.db", "trading.db"].iter().for_each(|name| restore(&fixtures, &broker.bases(), name));
    let (customer, manager) = broker.start().await;
    credited(&customer, 2).await;
    let view = manager.transaction(2).await;
    let operations = view["balance_operations"].as_array().unwrap();
    let (status, order): (Vec<_>, Vec<_>) = operations.iter().map(|row| (&row["status"], &row["trade_order"])).unzip();
    assert_eq!((status, order), (vec![&json!(1)], vec![&json!(2)]), "recorded under the order it was posted with");
    assert_eq!(broker.balance(), 2 * 2_550);

    broker.save_config(&manager).await;
    broker.pay(&customer).await;
    broker.stop().await;
    assert_eq!(broker.balance(), 3 * 2_550);
    let trading = trading(&broker.bases());
    let mut keys = trading.prepare("SELECT key, reference FROM posting ORDER BY trade_order").unwrap();
    let keys = keys.query_map([], |row| <(String, String)>::try_from(row)).unwrap().map(Result::unwrap);
    let [first, second, (key, reference)] = <[_; 3]>::try_from(keys.collect::<Vec<_>>()).unwrap();
    assert_eq!((first.0, second.0), ("1".to_owned(), "2".to_owned()));
    assert_eq!(key, format!("{reference}:1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_a_restored_cashier_db_stops_the_start_and_after_reconcile_nothing_is_credited_twice_or_missed() {
    let mut broker = Broker::new().await;
    let (customer, manager) = broker.start().await;
    broker.save_config(&manager).await;
    broker.pay(&customer).await;
    broker.stop().await;
    let saved = tempfile::tempdir().unwrap();
    restore(&broker.bases(), saved.path(), "cashier.db");
    let (customer, _) = broker.start().await;
    let (lost, page) = broker.pay(&customer).await;
    broker.stop().await;
    restore(saved.path(), &broker.bases(), "cashier.db");

    let folder = broker.folder.path();
    let refused = run(folder, &["serve", "--settings", "cashier.toml"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    for part in ["cashier.db is older than trading.db: 1 postings", "25.5 USD", "cashier db reconcile"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    let listed = run(folder, &["db", "reconcile", "--settings", "cashier.toml"]).await;
    assert_eq!((listed.code, listed.out.lines().count()), (Some(1), 2), "the posting and the ids: {listed:?}");
    // The system clock is by a month not the one that the server recorded: stamps go on from the record.
    let record = broker.bases().join("clock");
    let recorded = std::fs::read_to_string(&record).unwrap();
    let month_ago = recorded.split(' ').next().unwrap().parse::<i64>().unwrap() - 30 * 86_400;
    std::fs::write(&record, format!("{month_ago} - 0 0 0\n")).unwrap();
    let applied = run(folder, &["db", "reconcile", "--apply", "--settings", "cashier.toml"]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert!(applied.err.contains("CLOCK_IMPLAUSIBLE"), "{applied:?}");
    let books = Connection::open(broker.bases().join("cashier.db")).unwrap();
    let imported = "SELECT updated_time FROM balance_operation WHERE failure_reason = 'POSTING_IMPORTED'";
    let stamp = books.query_row(imported, [], |row| row.get::<_, i64>(0));
    assert!(stamp.unwrap() <= month_ago + 3_600, "not by the system clock: {applied:?}");
    drop(books);
    std::fs::write(&record, recorded).unwrap();
    let again = run(folder, &["db", "reconcile", "--settings", "cashier.toml"]).await;
    assert_eq!((again.code, again.out.trim()), (Some(0), "cashier.db and trading.db match"), "{again:?}");

    let (customer, _) = broker.start().await;
    let recovered = customer.transaction(lost).await;
    assert_eq!((&recovered["status"], &recovered["failure_reason"]), (&json!(9), &json!("POSTING_IMPORTED")));
    assert_eq!(recovered["created_time"], json!(month_ago));
    // The lost payment's webhook comes again.
    let deliveries = broker.sandbox.deliveries(&page).await;
    let delivery = deliveries["deliveries"][0]["id"].as_str().unwrap_or_else(|| panic!("{deliveries}"));
    broker.sandbox.redeliver(delivery).await;
    let (id, _) = broker.pay(&customer).await;
    assert_eq!(id, lost + 1, "its id is not handed out again");
    let paid = broker.sandbox.payment(&page).await;
    assert_eq!(paid["status"], json!("confirmed"), "{}", id_of(&page));
    broker.stop().await;
    assert_eq!(broker.balance(), 3 * 2_550);
}

#[tokio::test(flavor = "multi_thread")]
async fn m1_a_backup_made_beside_the_running_program_restores_without_anything_to_reconcile() {
    let mut broker = Broker::new().await;
    let (customer, manager) = broker.start().await;
    broker.save_config(&manager).await;
    broker.pay(&customer).await;
    let backup = run(broker.folder.path(), &["db", "backup", "saved", "--settings", "cashier.toml"]).await;
    assert_eq!(backup.code, Some(0), "{backup:?}");
    let manifest: Value = serde_json::from_str(&backup.out).unwrap();
    assert_eq!(manifest["identity"].as_str().map(str::len), Some(32), "{manifest}");
    let (lost, page) = broker.pay(&customer).await;
    broker.stop().await;

    let saved = broker.folder.path().join("saved");
    ["cashier.db", "trading.db"].iter().for_each(|name| restore(&saved, &broker.bases(), name));
    let matching = run(broker.folder.path(), &["db", "reconcile", "--settings", "cashier.toml"]).await;
    assert_eq!(matching.code, Some(0), "{matching:?}");
    let (customer, _) = broker.start().await;
    let (id, _) = broker.pay(&customer).await;
    assert_eq!(id, lost, "the backup knows nothing of it, and its reference is another");
    let deliveries = broker.sandbox.deliveries(&page).await;
    broker.sandbox.redeliver(deliveries["deliveries"][0]["id"].as_str().unwrap_or_default()).await;
    broker.stop().await;
    assert_eq!(broker.balance(), 2 * 2_550, "the lost deposit's webhook credits no other");
}
