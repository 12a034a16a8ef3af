//! The manners of a server that runs for long: what signals do, how a stop begins, how long connections idle, and that a flood of
//! one address costs the others nothing. The cashier runs as a separate process.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use cashier_core::session::Role;
use cashier_host::app::Listeners;
use cashier_host::http::session::{SessionKeys, issue_token};
use cashier_host::ports::Clock;
use cashier_host::system::SystemClock;
use cashier_tests::artifacts;
use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::clock::DeploymentClock;
use cashier_tests::customer::{CustomerClient, order};
use cashier_tests::http::Http;
use cashier_tests::manager::ManagerClient;
use cashier_tests::raw_http::{RawConnection, status_of};
use cashier_tests::roster::{self, CUSTOMER, LOGIN};
use cashier_tests::sandbox::{self, TestSandbox};
use cashier_tests::stripe_stub::{self, StripeStub, StubMode};
use cashier_tests::waiting::{WAIT_MAX, eventually};
use cashier_tests::write_lock::WriteLock;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

struct Server {
    process: CashierProcess,
    addresses: Listeners,
    http: Http,
    customer: CustomerClient,
    manager: ManagerClient,
    stripe: StripeStub,
    _sandbox: TestSandbox,
    folder: TempDir,
}

impl Server {
    /// With further lines of its settings.
    async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = TestSandbox::start(DeploymentClock::system_time(), 1).await;
        let stripe = StripeStub::start(false).await;
        let peers = [sandbox.url(), stripe.url()];
        let mut process = CashierProcess::prepare(folder.path(), &peers, &roster::standard()).await;
        process.settings = format!("deposits_per_minute = 0\n{settings}");
        let addresses = process.start().await;
        let http = Http::new();
        let manager = ManagerClient {
            http: http.clone(),
            url: format!("http://{}", addresses.manager),
            token: process.token(Role::Manager, 1),
        };
        let sandbox_config = json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
            "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": sandbox.url()}).to_string()});
        manager.save_config(&sandbox_config).await;
        let stripe_config = json!({"provider": "stripe", "brand": "ion4", "method": "card", "currency": "USD", "sandbox": 1,
            "enabled": 1, "secret_key": stripe_stub::SECRET_KEY, "webhook_secret": stripe_stub::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": stripe.url(), "flow": "payment_intents"}).to_string()});
        manager.save_config(&stripe_config).await;
        let customer = CustomerClient {
            http: http.clone(),
            url: format!("http://{}", addresses.customer),
            token: process.token(Role::Customer, CUSTOMER),
        };
        Self { process, addresses, http, customer, manager, stripe, _sandbox: sandbox, folder }
    }

    async fn readiness(&self) -> (u16, String) {
        let answer = self.http.get(&format!("http://{}/readyz", self.addresses.watch), &[]).await;
        (answer.status, answer.text())
    }

    /// A methods call, as it goes over the wire.
    fn methods_call(&self) -> Vec<u8> {
        let token = &self.customer.token;
        format!("GET /cashier/methods?login={LOGIN} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\r\n").into_bytes()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n2_sighup_reads_the_key_file_again_and_ends_nothing() {
    let mut server = Server::start("stop_delay_seconds = 0\n").await;
    let key = format!("next:{}\n", "7c".repeat(32));
    std::fs::write(server.folder.path().join("session.key"), &key).unwrap();
    server.process.signal("HUP").await;
    let keys = SessionKeys::parse(&key).unwrap();
    let token = issue_token(&keys, Role::Customer, CUSTOMER, None, 3600, SystemClock::new().now()).unwrap();
    let customer = CustomerClient { token, ..server.customer.clone() };
    eventually("the new key", async || (customer.methods(LOGIN).await.status == 200).then_some(())).await;
    assert_eq!(server.customer.methods(LOGIN).await.status, 403, "the old one is gone");
    let log = eventually("the log", async || {
        let log = server.process.log();
        (log.contains("files are read again") && log.contains("changed file was taken over")).then_some(log)
    })
    .await;
    assert!(log.contains("session keys"), "the log names what is read again: {log}");
    assert_eq!(server.process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn n2_no_signal_ends_a_server_without_a_drain() {
    let mut server = Server::start("stop_delay_seconds = 0\n").await;
    // The last three are SIGSTKFLT and the first and last real-time signal.
    let harmless = ["USR1", "USR2", "ALRM", "VTALRM", "PROF", "PIPE", "XFSZ", "IO", "TSTP", "HUP", "16", "34", "64"];
    // A terminal would send these again and again to a process that catches them.
    for (signal, number) in [("TTIN", 21), ("TTOU", 22)] {
        let pid = server.process.pid().to_string();
        assert_eq!((is_in(&pid, "SigIgn", number), is_in(&pid, "SigCgt", number)), (true, false), "{signal}");
        server.process.signal(signal).await;
    }
    for (before, signal) in harmless.into_iter().enumerate() {
        server.process.signal(signal).await;
        let received = || server.process.log().matches("signal received").count();
        eventually(signal, async || (received() > before).then_some(())).await;
        assert_eq!(server.readiness().await.0, 200, "{signal}");
    }
    assert_eq!(server.process.terminate().await, Some(0));
    for (before, signal) in ["INT", "QUIT", "XCPU", "PWR"].into_iter().enumerate() {
        server.process.start().await;
        server.process.signal(signal).await;
        assert_eq!(server.process.ended().await.code(), Some(0), "{signal}");
        assert_eq!(server.process.log().matches("cashier stopped").count(), before + 2, "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_stop_withdraws_readiness_first_serves_on_and_a_second_signal_ends_the_wait() {
    let mut server = Server::start("stop_delay_seconds = 3600\n").await;
    assert_eq!(server.readiness().await, (200, "ready\n".into()));
    server.stripe.set_mode(StubMode::Holding);
    let depositing = tokio::spawn({
        let customer = server.customer.clone();
        async move { customer.deposit(&order("stripe", "50")).await }
    });
    eventually("the create call", async || (!server.stripe.requests().is_empty()).then_some(())).await;
    server.process.signal("TERM").await;
    eventually("readiness to end", async || (server.readiness().await.0 == 503).then_some(())).await;
    assert_eq!(server.readiness().await.1, "not ready: the cashier is stopping\n");
    // New connections are taken, and what is asked on them is done.
    for _ in 0..3 {
        let mut client = RawConnection::connect(&server.customer.url).await;
        client.write(&server.methods_call()).await;
        assert_eq!(status_of(&client.read_answer().await), 200);
    }
    server.customer.deposit(&order("sandbox", "25")).await.expect_ok();
    server.process.signal("TERM").await;
    server.stripe.set_mode(StubMode::Answering);
    assert_eq!(server.process.ended().await.code(), Some(0), "{}", server.process.log());
    let answer = depositing.await.unwrap().expect_ok();
    assert_eq!(answer["next_action"], json!("INSTRUCTIONS"), "the deposit under way was answered: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_stop_whose_queue_cannot_be_written_exits_with_one() {
    let mut server = Server::start("stop_delay_seconds = 0\n").await;
    let lock = WriteLock::take(server.folder.path());
    let manager = server.manager.clone();
    let saving = tokio::spawn(async move {
        let config = json!({"provider": "sandbox", "brand": "ion4", "currency": "EUR", "sandbox": 1});
        manager.command("MngUpdateCashierProviderConfig", &config).await
    });
    let page = format!("http://{}/readyz?verbose", server.addresses.watch);
    let held = async || server.http.get(&page, &[]).await.text().contains("held by another program").then_some(());
    eventually("the commit to wait", held).await;
    server.process.signal("TERM").await;
    assert_eq!(server.process.ended().await.code(), Some(1), "{}", server.process.log());
    assert!(server.process.log().contains("what was decided last is not on disk"), "{}", server.process.log());
    saving.abort();
    lock.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn n2_a_demo_that_is_stopped_before_its_walkthrough_ends_in_order_with_its_payment_service() {
    let _ = (artifacts::module("sandbox"), artifacts::module("stripe"));
    for after in ["Sandbox payment service: ", "Trading server:"] {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = Command::new(artifacts::cashier())
            .args(["demo", "--folder"])
            .arg(folder.path().join("demo"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        let mut service = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, address)) = line.split_once("Sandbox payment service: http://") {
                address.clone_into(&mut service);
            }
            if line.contains(after) {
                break;
            }
        }
        let pid = demo.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        assert_eq!(demo.wait().await.unwrap().code(), Some(0), "after {after}");
        let gone = async || tokio::net::TcpStream::connect(&service).await.is_err().then_some(());
        eventually("the payment service to end", gone).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n2_signals_of_a_terminal_neither_stop_nor_end_the_payment_service_of_a_demo_which_ends_with_it() {
    let _ = (artifacts::module("sandbox"), artifacts::module("stripe"));
    let folder = tempfile::tempdir().unwrap();
    // As a shell starts it: with a process group of its own, to which the terminal sends.
    let mut demo = Command::new(artifacts::cashier())
        .args(["demo", "--folder"])
        .arg(folder.path().join("demo"))
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut service = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, address)) = line.split_once("Sandbox payment service: http://") {
            address.clone_into(&mut service);
        }
        if line.contains("5. The webhook was verified") {
            break;
        }
    }
    let pid = demo.id().unwrap();
    for signal in ["-TSTP", "-TTOU"] {
        assert!(Command::new("kill").args([signal, "--", &format!("-{pid}")]).status().await.unwrap().success());
    }
    assert_eq!(Http::new().get(&format!("http://{service}/healthz"), &[]).await.status, 200);
    // However the demo ends: here it cannot even end in order.
    demo.kill().await.unwrap();
    let gone = async || tokio::net::TcpStream::connect(&service).await.is_err().then_some(());
    eventually("the payment service to end", gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n2_a_demo_whose_output_nobody_takes_goes_on_and_obeys_signals() {
    let _ = (artifacts::module("sandbox"), artifacts::module("stripe"));
    let folder = tempfile::tempdir().unwrap();
    let (unread, mut full) = std::io::pipe().unwrap();
    let output = full.try_clone().unwrap();
    // Full before the demo says much, and as long as it runs.
    let filling = std::thread::spawn(move || while full.write_all(&[b'\n'; 4096]).is_ok() {});
    let mut demo = Command::new(artifacts::cashier())
        .args(["demo", "--folder"])
        .arg(folder.path().join("demo"))
        .stdout(output)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let settings = folder.path().join("demo/cashier.toml");
    eventually("the service runs and the settings are written", async || settings.exists().then_some(())).await;
    let pid = demo.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let ended = tokio::time::timeout(WAIT_MAX, demo.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(1), "what it had to say was not written");
    drop(unread);
    filling.join().unwrap();
}

/// Whether a signal is in this set of a process: those it catches, or ignores.
fn is_in(pid: &str, set: &str, signal: u32) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).unwrap_or_default();
    let named = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(':')).unwrap_or("0").trim();
    u64::from_str_radix(named, 16).unwrap() >> (signal - 1) & 1 == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_thousands_of_half_sent_requests_of_one_address_cost_another_nothing() {
    const SOCKETS: usize = 2_000;
    // Loopback is a client like any other once a proxy is set; without one it may be a proxy, and has no limit of its own.
    for settings in ["trusted_proxies = [\"192.0.2.1\"]\n", ""] {
        let mut server = Server::start(&format!("stop_delay_seconds = 0\n{settings}")).await;
        let url = server.customer.url.clone();
        let mut idle = RawConnection::connect(&url).await;
        idle.write(&server.methods_call()).await;
        assert_eq!(status_of(&idle.read_answer().await), 200);
        let mut flood = Vec::new();
        for number in 0..SOCKETS {
            let mut client = RawConnection::connect_from("127.0.0.2", &url).await;
            client.write(b"POST /cashier/deposit HTTP/1.1\r\nhost: x\r\nauth").await;
            flood.push(client);
            if number % 100 == 0 {
                let mut client = RawConnection::connect(&url).await;
                client.write(&server.methods_call()).await;
                assert_eq!(status_of(&client.read_answer().await), 200, "after {number} of {settings:?}");
            }
        }
        idle.write(&server.methods_call()).await;
        assert_eq!(status_of(&idle.read_answer().await), 200, "an idle connection of another address stays");
        server.customer.deposit(&order("sandbox", "25")).await.expect_ok();
        // The other listeners have fewer connections, and no flood of them keeps one from a person or a probe.
        for (address, sockets) in [(server.addresses.manager, 600), (server.addresses.watch, 200)] {
            for number in 0..sockets {
                let mut client = RawConnection::connect_from("127.0.0.3", &format!("http://{address}")).await;
                client.write(if number % 2 == 0 { b"GET /" } else { b"" }).await;
                flood.push(client);
            }
        }
        assert_eq!(server.manager.command("MngGetCashierPaymentModules", &json!({})).await.status, 200);
        assert_eq!(server.readiness().await.0, 200);
        let log = server.process.log();
        assert!(log.contains("open files were divided among connections"), "{log}");
        assert_eq!(log.contains("trusted_proxies"), settings.is_empty(), "the cure is named once it may be needed");
        drop(flood);
        assert_eq!(server.process.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_slow_bodies_of_twelve_addresses_keep_no_customer_manager_or_probe_from_an_answer() {
    const SLOW: &[u8] = b"POST /cashier/webhook/x HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n";
    let mut server = Server::start("stop_delay_seconds = 0\ntrusted_proxies = [\"192.0.2.1\"]\n").await;
    // With so few open files the customer listener has 312 connections for unknown addresses, the manager listener 48.
    assert_eq!(server.process.terminate().await, Some(0));
    server.process.open_files = Some(1024);
    let addresses = server.process.start().await;
    let at = |address: SocketAddr| format!("http://{address}");
    let mut flood = Vec::new();
    for number in 0..40 {
        for source in 2..14 {
            let mut client = RawConnection::connect_from(&format!("127.0.0.{source}"), &at(addresses.customer)).await;
            client.write(SLOW).await;
            flood.push(client);
        }
        let manager = (addresses.manager, "POST /manager");
        for (address, line) in [manager, manager, (addresses.watch, "POST /metrics")] {
            let mut client = RawConnection::connect_from("127.0.0.2", &at(address)).await;
            client.write(format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n").as_bytes()).await;
            flood.push(client);
        }
        if number % 10 == 9 {
            let mut client = RawConnection::connect_from("127.0.0.20", &at(addresses.customer)).await;
            client.write(&server.methods_call()).await;
            assert_eq!(status_of(&client.read_answer().await), 200, "after {number} of each address");
            let mut manager = RawConnection::connect_from("127.0.0.20", &at(addresses.manager)).await;
            let message = r#"{"command":"MngGetCashierPaymentModules"}"#;
            let (token, length) = (&server.manager.token, message.len());
            let head =
                format!("POST /manager HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: {length}");
            manager.write(format!("{head}\r\n\r\n{message}").as_bytes()).await;
            assert_eq!(status_of(&manager.read_answer().await), 200);
            let mut probe = RawConnection::connect_from("127.0.0.20", &at(addresses.watch)).await;
            probe.write(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let metrics = probe.read_answer().await;
            assert_eq!(status_of(&metrics), 200);
            let is_limited = ["customer", "manager"].map(|listener| {
                let metric = format!("cashier_connections_open{{listener=\"{listener}\"}} ");
                let open = metrics.lines().find_map(|line| line.strip_prefix(&metric)?.parse::<usize>().ok());
                open.is_some_and(|open| open <= if listener == "customer" { 320 } else { 16 })
            });
            assert_eq!(is_limited, [true, true], "{metrics}");
        }
    }
    let log = server.process.log();
    assert!(log.contains("an address has as many connections or requests as it may"), "{log}");
    drop(flood);
    assert_eq!(server.process.terminate().await, Some(0));
}
