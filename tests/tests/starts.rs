//! A start that takes its time: liveness and readiness are answered, everyone else gets 503 and then real answers on the same
//! connection, a signal ends it, and one that fails ends with its reason. Also that liveness waits for nothing later on. The
//! start is held by a module list that is a named pipe: it goes on when the test writes the list.
#![cfg(unix)]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail loudly")]

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cashier_core::session::Role;
use cashier_host::app::Listeners;
use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::clock::DeploymentClock;
use cashier_tests::customer::{CustomerClient, order};
use cashier_tests::deployment::Deployment;
use cashier_tests::http::{Http, HttpAnswer};
use cashier_tests::manager::ManagerClient;
use cashier_tests::raw_http::{RawConnection, post, refusal_of, status_of};
use cashier_tests::roster::{self, CUSTOMER, LOGIN};
use cashier_tests::sandbox::{self, TestSandbox};
use cashier_tests::waiting::{WAIT_MAX, eventually};
use serde_json::json;
use tempfile::TempDir;

/// A cashier that was started before and is stopped, whose next starts are held.
struct HeldStart {
    process: CashierProcess,
    addresses: Listeners,
    customer: CustomerClient,
    manager: ManagerClient,
    sandbox: TestSandbox,
    http: Http,
    /// What the pipe must deliver.
    modules: String,
    folder: TempDir,
}

impl HeldStart {
    /// Stopped with one deposit that waits for its payment; returns its hosted page and its id.
    async fn prepare() -> (Self, String, u64) {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = TestSandbox::start_with(DeploymentClock::system_time(), 1, &sandbox::LONG_RETRIES).await;
        let mut process = CashierProcess::prepare(folder.path(), &[sandbox.url()], &roster::standard()).await;
        let addresses = process.start().await;
        let (http, of) = (Http::new(), |address| format!("http://{address}"));
        let token = process.token(Role::Customer, CUSTOMER);
        let customer = CustomerClient { http: http.clone(), url: of(addresses.customer), token };
        let token = process.token(Role::Manager, 1);
        let manager = ManagerClient { http: http.clone(), url: of(addresses.manager), token };
        let config = json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
            "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": sandbox.url()}).to_string()});
        manager.save_config(&config).await;
        let answer = customer.deposit(&order("sandbox", "250")).await.expect_ok();
        let page = answer["redirect_url"].as_str().unwrap().to_owned();
        let id = answer["transaction"]["id"].as_u64().unwrap();
        assert_eq!(process.terminate().await, Some(0));
        let list = folder.path().join("plugins.toml");
        let modules = std::fs::read_to_string(&list).unwrap();
        std::fs::remove_file(&list).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&list).status();
        assert!(made.is_ok_and(|status| status.success()), "a named pipe");
        (Self { process, addresses, customer, manager, sandbox, http, modules, folder }, page, id)
    }

    async fn watch(&self, page: &str) -> Result<HttpAnswer, String> {
        let url = format!("http://{}/{page}", self.addresses.watch);
        self.http.try_send(http::Method::GET, &url, &[], "").await
    }

    /// Begins a start and waits until it is held.
    async fn begin(&mut self) {
        self.process.begin();
        let held = "ok\nopening the modules\n";
        eventually("the start to be held", async || {
            let answer = self.watch("healthz").await.ok()?;
            assert_eq!(answer.status, 200, "alive at every moment: {}", answer.text());
            (answer.text() == held).then_some(())
        })
        .await;
    }

    /// The start reads this as its list of modules and goes on.
    async fn go_on(&self, modules: &str) {
        let (list, modules) = (self.list(), modules.to_owned());
        let written = tokio::task::spawn_blocking(move || std::fs::write(list, modules));
        tokio::time::timeout(WAIT_MAX, written).await.unwrap().unwrap().unwrap();
    }

    fn list(&self) -> PathBuf {
        self.folder.path().join("plugins.toml")
    }

    async fn ready(&self) {
        eventually("the cashier to be ready", async || {
            self.watch("readyz").await.ok().filter(|answer| answer.status == 200)
        })
        .await;
    }
}

/// Asks on this connection until the answer is another than 503.
async fn until_answered(client: &mut RawConnection, request: &[u8]) -> String {
    eventually("a real answer", async || {
        assert!(client.write(request).await, "the connection stays open");
        let answer = client.read_answer().await;
        assert_ne!(status_of(&answer), 0, "the connection stays open");
        (status_of(&answer) != 503).then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_a_start_answers_from_its_first_moment_and_turns_on_the_connections_it_has() {
    let (mut held, page, id) = HeldStart::prepare().await;
    // A first start and one after it.
    for round in 0..2 {
        held.begin().await;
        let ready = held.watch("readyz").await.unwrap();
        let waits = "not ready: the cashier is starting: opening the modules\n";
        assert_eq!((ready.status, &*ready.text()), (503, waits));
        let metrics = held.watch("metrics").await.unwrap().text();
        assert!(metrics.contains("\ncashier_ledger_open 0\n"), "{metrics}");
        for answer in [
            held.customer.methods(LOGIN).await,
            held.customer.deposit(&order("sandbox", "250")).await,
            held.customer.transactions("limit=5").await,
        ] {
            assert_eq!(answer.refusal(), (503, "STORAGE_UNAVAILABLE".into()));
            assert_eq!(answer.header("retry-after"), "1");
        }
        let answer = held.manager.command("MngGetCashierTransaction", &json!({"id": id})).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        let body = answer.json();
        assert_eq!((&body["extID"], &body["data"]["error"]), (&json!("test"), &json!("STORAGE_UNAVAILABLE")));

        let url = format!("http://{}", held.addresses.customer);
        let mut silent = RawConnection::connect(&url).await;
        let token = &held.customer.token;
        let get = format!("GET /cashier/methods?login={LOGIN} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\r\n");
        let mut asking = RawConnection::connect(&url).await;
        assert!(asking.write(get.as_bytes()).await);
        assert_eq!(refusal_of(&asking.read_answer().await), (503, "STORAGE_UNAVAILABLE".into()));
        let unsigned = post("/cashier/webhook/sandbox", &[], b"{}");
        let mut sender = RawConnection::connect(&url).await;
        assert!(sender.write(&unsigned).await);
        assert_eq!(refusal_of(&sender.read_answer().await), (503, "STORAGE_UNAVAILABLE".into()));

        let modules = held.modules.clone();
        held.go_on(&modules).await;
        let methods = until_answered(&mut asking, get.as_bytes()).await;
        assert!(status_of(&methods) == 200 && methods.contains("\"provider\":\"sandbox\""), "{methods}");
        assert_eq!(refusal_of(&until_answered(&mut sender, &unsigned).await), (401, "INVALID_SIGNATURE".into()));
        held.ready().await;
        assert!(silent.write(get.as_bytes()).await);
        assert_eq!(status_of(&silent.read_answer().await), 200, "it was silent all the time");
        let shown = held.manager.transaction(id).await;
        assert_eq!(shown["transaction"]["status"], json!(if round == 0 { 1 } else { 3 }), "{shown}");
        if round == 0 {
            held.sandbox.press(&page, "pay").await;
            eventually("the credit", async || {
                (held.customer.transaction(id).await["status"] == json!(3)).then_some(())
            })
            .await;
        }
        assert_eq!(held.process.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_a_webhook_that_comes_during_a_start_is_sent_again_and_credited_once() {
    let (mut held, page, id) = HeldStart::prepare().await;
    held.begin().await;
    held.sandbox.press(&page, "pay").await;
    let tried = eventually("an attempt of the webhook", async || {
        let deliveries = held.sandbox.deliveries(&page).await;
        deliveries.to_string().contains("503").then_some(deliveries)
    })
    .await;
    assert!(!tried.to_string().contains("\"status\":401"), "a signed webhook is not called forged: {tried}");
    let modules = held.modules.clone();
    held.go_on(&modules).await;
    held.ready().await;
    let row = eventually("the credit", async || {
        let row = held.customer.transaction(id).await;
        (row["status"] == json!(3)).then_some(row)
    })
    .await;
    assert_eq!(row["id"], json!(id));
    let shown = held.manager.transaction(id).await;
    assert_eq!(shown["balance_operations"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(held.process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_a_signal_ends_a_start_at_once_and_leaves_the_next_one_nothing_to_repair() {
    let (mut held, _, id) = HeldStart::prepare().await;
    for _ in 0..2 {
        held.begin().await;
        let mut half = RawConnection::connect(&format!("http://{}", held.addresses.customer)).await;
        assert!(half.write(b"POST /cashier/deposit HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf").await);
        // The list of modules is never written: only the signal can end it.
        assert_eq!(held.process.terminate().await, Some(0), "{}", held.process.log());
        assert!(held.watch("healthz").await.is_err(), "the listeners ended with it");
    }
    assert!(held.process.log().contains("start was given up"), "{}", held.process.log());
    held.begin().await;
    let modules = held.modules.clone();
    held.go_on(&modules).await;
    held.ready().await;
    assert_eq!(held.manager.transaction(id).await["transaction"]["status"], json!(1));
    assert_eq!(held.process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_a_start_that_fails_ends_its_listeners_and_the_process_with_the_reason() {
    let (mut held, _, _) = HeldStart::prepare().await;
    held.begin().await;
    held.go_on("no such key = 1").await;
    assert_eq!(held.process.ended().await.code(), Some(1));
    assert!(held.watch("healthz").await.is_err(), "the listeners ended with it");
    let log = held.process.log();
    assert!(log.lines().any(|line| line.starts_with("cashier: ") && line.contains("plugins.toml")), "{log}");
}

/// A request on a connection of its own, without the runtime.
fn asked(address: std::net::SocketAddr, path: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    stream
}

fn answer(mut stream: std::net::TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s8_liveness_is_answered_while_the_ledger_is_locked_and_every_worker_waits_for_it() {
    let mut deployment = Deployment::new().await;
    let cashier = Arc::clone(deployment.running().cashier());
    let (locked, is_locked) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn({
        let cashier = Arc::clone(&cashier);
        move || {
            let held = cashier.ledger.peek(|_| {
                locked.send(()).unwrap();
                released.recv_timeout(WAIT_MAX).unwrap();
            });
            held.unwrap();
        }
    });
    is_locked.recv_timeout(WAIT_MAX).unwrap();
    let waiting = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let (cashier, waiting) = (Arc::clone(&cashier), Arc::clone(&waiting));
        tokio::spawn(async move {
            waiting.fetch_add(1, Ordering::SeqCst);
            cashier.ledger.peek(|_| ()).unwrap();
        });
    }
    while waiting.load(Ordering::SeqCst) < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let watch = deployment.addresses.watch;
    let metrics = asked(watch, "/metrics");
    for _ in 0..3 {
        let alive = answer(asked(watch, "/healthz"));
        assert!(alive.starts_with("HTTP/1.1 200 ") && alive.ends_with("\r\n\r\nok\n"), "{alive}");
    }
    release.send(()).unwrap();
    holder.join().unwrap();
    assert!(answer(metrics).contains("\ncashier_transactions 0\n"), "the page waited for the ledger");
    drop(cashier);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_the_addresses_of_a_start_that_failed_are_free_again() {
    let mut deployment = Deployment::new().await;
    deployment.stop().await;
    let list: &Path = &deployment.folder().join("plugins.toml");
    let modules = std::fs::read_to_string(list).unwrap();
    for _ in 0..3 {
        std::fs::write(list, "no such key = 1").unwrap();
        let settings = cashier_host::settings::Settings::read(&deployment.folder().join("cashier.toml")).unwrap();
        let addresses = deployment.addresses;
        let settings = cashier_host::settings::Settings {
            customer_listen: addresses.customer,
            manager_listen: addresses.manager,
            watch_listen: addresses.watch,
            ..settings
        };
        let fault = cashier_host::app::CashierManager::open(settings).await.err().expect("the list is broken");
        assert!(fault.to_string().contains("plugins.toml"), "{fault}");
    }
    std::fs::write(list, modules).unwrap();
    deployment.start_again().await;
    assert_eq!(deployment.watch("readyz").await.status, 200);
}
