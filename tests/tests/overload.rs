//! Slow clients, idle connections, oversized bodies and a flood of unsigned webhooks: answers stay the documented ones, memory
//! and disk stay within named limits, and deposits continue. The cashier runs as a separate process, so that its memory can be
//! measured.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;
use std::time::Duration;

use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::clock::DeploymentClock;
use cashier_tests::customer::{CustomerClient, order};
use cashier_tests::manager::ManagerClient;
use cashier_tests::raw_http::{RawConnection, status_of};
use cashier_tests::roster::{self};
use cashier_tests::sandbox::{self, TestSandbox};
use cashier_tests::waiting::eventually;
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;

/// What a flood may add to the resident memory of the cashier. Two thousand connections at about 10 KiB each, and the
/// 16 MiB held by the strand's batches and the allocator, are below half of this.
const MEMORY_GROWTH_MAX: u64 = 96 * 1024 * 1024;

/// What a flood may add to the disk: the bounded quarantine of unverified webhooks (64 MiB), as much again while old rows
/// are replaced, and the log of the database.
const DISK_GROWTH_MAX: u64 = 160 * 1024 * 1024;

/// Bytes of each unsigned webhook: the whole flood is 160 MiB, more than the disk may grow.
const WEBHOOK_BYTES: usize = 16 * 1024;
const WEBHOOKS: usize = 10_000;

/// Bytes of each unsigned webhook outside its body, in a head that the listener still accepts: 400 MiB in all.
const HEAD_BYTES: usize = 40 * 1024;

/// What a flood may add to the log: two lines for each webhook, of a kilobyte each.
const LOG_GROWTH_MAX: u64 = 2 * 1024 * WEBHOOKS as u64;

const IDLE_CONNECTIONS: usize = 2_000;

/// A cashier as a process, and its sandbox service.
struct LoadedCashier {
    process: CashierProcess,
    customer: CustomerClient,
    manager: ManagerClient,
    watch: String,
    sandbox: TestSandbox,
    folder: TempDir,
}

impl LoadedCashier {
    async fn start() -> Self {
        Self::start_with("").await
    }

    /// With further lines of its settings.
    async fn start_with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = TestSandbox::start(DeploymentClock::system_time(), 1).await;
        let mut process = CashierProcess::prepare(folder.path(), &[sandbox.url()], &roster::standard()).await;
        process.settings.push_str(settings);
        let addresses = process.start().await;
        let (customer, manager) = process.clients(addresses);
        let config = json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
            "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET,
            "settings_json": json!({"api_base": sandbox.url()}).to_string()});
        manager.save_config(&config).await;
        let watch = format!("http://{}", addresses.watch);
        let cashier = Self { process, customer, manager, watch, sandbox, folder };
        // Memory that every cashier uses once does not count as growth.
        for _ in 0..20 {
            cashier.deposit().await;
        }
        cashier
    }

    /// Makes a deposit, which must be answered with its page: at once, or, where the machine is late for the provider's answer, the next
    /// one.
    async fn deposit(&self) {
        eventually("the page of a deposit", async || {
            let answer = self.customer.deposit(&order("sandbox", "25")).await;
            let page = (answer.status == 200).then(|| answer.json()["redirect_url"].as_str().unwrap().to_owned());
            page.filter(|page| page.starts_with(self.sandbox.url())).map(drop)
        })
        .await;
    }

    /// What lists hold, by the metric.
    async fn list_bytes_held(&self) -> usize {
        let metrics = self.customer.http.get(&format!("{}/metrics", self.watch), &[]).await.text();
        let value = metrics.lines().find_map(|line| line.strip_prefix("cashier_list_bytes_held "));
        value.unwrap().parse().unwrap()
    }

    fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    fn disk_bytes(&self) -> u64 {
        size(&self.folder.path().join("bases"))
    }

    /// Runs a flood with concurrent deposits, and checks memory and disk.
    async fn withstands(&self, flood: impl Future<Output = ()>) {
        let (memory, disk) = (self.resident_bytes(), self.disk_bytes());
        let deposits = async {
            loop {
                self.deposit().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = flood => {}
            () = deposits => {}
        }
        self.deposit().await;
        let (memory, disk) = (self.resident_bytes().saturating_sub(memory), self.disk_bytes().saturating_sub(disk));
        assert!(memory < MEMORY_GROWTH_MAX, "{memory} bytes of memory");
        assert!(disk < DISK_GROWTH_MAX, "{disk} bytes of disk");
    }
}

fn size(path: &Path) -> u64 {
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().map(|entry| size(&entry.unwrap().path())).sum()
    } else {
        // A file may be removed between the listing and the read.
        std::fs::metadata(path).map_or(0, |data| data.len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unsigned_webhooks_with_distinct_ids_do_not_fill_memory_or_disk() {
    const SENDERS: usize = 32;
    let cashier = LoadedCashier::start().await;
    let flood = join_all((0..SENDERS).map(|sender| {
        let customer = &cashier.customer;
        async move {
            for number in (sender..WEBHOOKS).step_by(SENDERS) {
                let id = format!("evt_{number}");
                let body = json!({"id": id, "type": "payment.confirmed", "pad": "x".repeat(WEBHOOK_BYTES)}).to_string();
                let path = if number % 2 == 0 { "sandbox" } else { "sandbox/1" };
                let answer = customer.http.post(&format!("{}/cashier/webhook/{path}", customer.url), &[], body).await;
                assert_eq!(answer.refusal(), (401, "INVALID_SIGNATURE".into()), "{id}");
            }
        }
    }));
    cashier.withstands(async { drop(flood.await) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_unsigned_webhooks_with_large_heads_do_not_fill_memory_disk_or_log() {
    const SENDERS: usize = 32;
    let cashier = LoadedCashier::start().await;
    let logged = cashier.process.log().len() as u64;
    let flood = join_all((0..SENDERS).map(|sender| {
        let customer = &cashier.customer;
        async move {
            for number in (sender..WEBHOOKS).step_by(SENDERS) {
                let pad = format!("{number}{}", "x".repeat(HEAD_BYTES));
                let (path, header) = match number % 5 {
                    0 => (pad.clone(), "short"),
                    1 => (format!("sandbox/{pad}"), "short"),
                    2 => (format!("sandbox?q={pad}"), "short"),
                    3 => (format!("{}?q={}", &pad[..HEAD_BYTES / 2], &pad[HEAD_BYTES / 2..]), "short"),
                    _ => ("sandbox/1".to_owned(), pad.as_str()),
                };
                let (url, headers) = (format!("{}/cashier/webhook/{path}", customer.url), [("x-pad", header)]);
                let answer = customer.http.post(&url, &headers, "{}").await;
                let refused = matches!(answer.status, 401 | 404 | 414 | 431);
                assert!(refused, "{number}: {} {}", answer.status, answer.text());
            }
        }
    }));
    cashier.withstands(async { drop(flood.await) }).await;
    let logged = cashier.process.log().len() as u64 - logged;
    assert!(logged < LOG_GROWTH_MAX, "{logged} bytes of log");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_idle_connections_use_little_memory_and_are_closed() {
    let cashier = LoadedCashier::start_with("idle_seconds = 5\n").await;
    let flood = async {
        let mut clients = Vec::with_capacity(IDLE_CONNECTIONS);
        // As many at once as the system's accept queue holds.
        while clients.len() < IDLE_CONNECTIONS {
            clients.extend(join_all((0..500).map(|number| idler(&cashier.customer.url, number))).await);
        }
        for _ in 0..50 {
            cashier.deposit().await;
        }
        // After the time of an idle connection, and of a head, all of them are closed.
        for received in join_all(clients.iter_mut().map(RawConnection::read_all)).await {
            assert_eq!(received, "", "an idle connection is closed");
        }
    };
    cashier.withstands(flood).await;
}

/// Half send nothing, half begin a request and stop.
async fn idler(url: &str, number: usize) -> RawConnection {
    let mut client = RawConnection::connect(url).await;
    if number.is_multiple_of(2) {
        client.write(b"POST /cashier/deposit HTTP/1.1\r\nhost: x\r\nauth").await;
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_a_byte_a_second_get_408_and_delay_no_deposit() {
    const SLOW: usize = 100;
    let cashier = LoadedCashier::start().await;
    let token = &cashier.customer.token;
    let flood = async {
        let slow = (0..SLOW).map(|number| {
            let url = &cashier.customer.url;
            async move {
                let mut client = RawConnection::connect(url).await;
                let path = if number % 2 == 0 { "/cashier/deposit" } else { "/cashier/webhook/sandbox" };
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\ncontent-length: 100000\r\n\r\n"
                );
                client.write(head.as_bytes()).await;
                let send_slowly = async |client: &mut RawConnection| {
                    for _ in 0..12 {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        client.write(b" ").await;
                    }
                };
                send_slowly(&mut client).await;
                let answer = client.read_answer().await;
                assert_eq!(status_of(&answer), 408, "{path}: {answer}");
                assert!(answer.contains("REQUEST_TIMEOUT"), "{answer}");
            }
        });
        join_all(slow).await;
    };
    cashier.withstands(flood).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_two_gibibytes_are_refused_early_announced_or_chunked() {
    const SENDERS: usize = 16;
    let cashier = LoadedCashier::start().await;
    let token = &cashier.customer.token;
    let flood = async {
        let sending = (0..SENDERS).map(|number| {
            let url = &cashier.customer.url;
            async move {
                let path = if number % 2 == 0 { "/cashier/deposit" } else { "/cashier/webhook/sandbox/1" };
                let announced = number % 4 < 2;
                let length = if announced { "content-length: 2147483648" } else { "transfer-encoding: chunked" };
                let mut client = RawConnection::connect(url).await;
                let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n{length}\r\n\r\n");
                client.write(head.as_bytes()).await;
                let piece = vec![b' '; 64 * 1024];
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
                let bytes = if announced { &piece } else { &chunk };
                // The sender continues until the cashier closes the connection.
                let mut sent = 0_u64;
                while sent < 2 * 1024 * 1024 * 1024 && client.write(bytes).await {
                    sent += bytes.len() as u64;
                }
                assert!(sent < 64 * 1024 * 1024, "the cashier accepted {sent} bytes");
                let answer = client.read_answer().await;
                assert_eq!(status_of(&answer), 413, "{path}: {answer}");
            }
        });
        join_all(sending).await;
    };
    cashier.withstands(flood).await;
}

/// Deposits with the longest metadata, and how many are under way at once.
const LONG_TEXTS: usize = 1_500;
const LONG_TEXTS_AT_ONCE: usize = 20;
const METADATA_BYTES: usize = 16 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn b1_metadata_of_deposits_takes_no_memory_before_and_after_a_restart() {
    let mut cashier = LoadedCashier::start().await;
    let before = cashier.resident_bytes();
    let mut request = order("sandbox", "25");
    request["metadata_json"] = json!(format!(r#"{{"note":"{}"}}"#, "x".repeat(METADATA_BYTES - 11)));
    for _ in 0..LONG_TEXTS / LONG_TEXTS_AT_ONCE {
        for answer in join_all((0..LONG_TEXTS_AT_ONCE).map(|_| cashier.customer.deposit(&request))).await {
            answer.expect_ok();
        }
    }
    let texts = u64::try_from(LONG_TEXTS * METADATA_BYTES).unwrap();
    assert!(cashier.disk_bytes() > texts, "they are on the disk");
    let grown = cashier.resident_bytes().saturating_sub(before);
    assert!(grown < texts / 2, "memory grew by {grown} bytes with {texts} bytes of metadata");
    assert_eq!(cashier.process.terminate().await, Some(0));
    cashier.process.start().await;
    let grown = cashier.resident_bytes().saturating_sub(before);
    assert!(grown < texts / 2, "after a restart memory is {grown} bytes larger with {texts} bytes of metadata");
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_forty_connections_that_read_nothing_or_little_hold_two_lists_and_a_named_number_of_bytes() {
    const READERS: usize = 40;
    // Six megabytes: more than the system holds for a reader.
    const ROWS: usize = 400;
    const READER_BYTES_MAX: usize = 48 * 1024 * 1024;
    let cashier = LoadedCashier::start().await;
    let mut long = order("sandbox", "25");
    long["metadata_json"] = json!({"note": "x".repeat(15_000)}).to_string().into();
    for _ in 0..ROWS / READERS {
        join_all((0..READERS).map(|_| cashier.customer.deposit(&long))).await.iter().for_each(|done| {
            done.expect_ok();
        });
    }
    let token = &cashier.customer.token;
    let request = format!("GET /cashier/transactions?limit=1000 HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n\r\n");
    // The line of the status shows that the answer has begun: from then on its list is held.
    for bytes in ["HTTP/1.1 200 OK\r\n".len(), 64 * 1024] {
        let asked = join_all((0..READERS).map(async |_| {
            let mut reader = RawConnection::connect_reading_little(&cashier.customer.url).await;
            assert!(reader.write(request.as_bytes()).await);
            let read = reader.read_up_to(bytes).await;
            (reader, read)
        }));
        let readers = asked.await;
        let refused = cashier.customer.transactions("limit=1").await;
        assert_eq!(refused.refusal(), (429, "RET_ERR_FREQUENT".to_owned()));
        assert!(refused.text().contains("2 lists are being sent to this session"), "{}", refused.text());
        let held = cashier.list_bytes_held().await;
        assert!(held > 1024 * 1024 && held < READER_BYTES_MAX, "{held}");
        let statuses = |status| readers.iter().filter(|(_, read)| status_of(read) == status).count();
        assert_eq!((statuses(200), statuses(429)), (2, READERS - 2));
        cashier.manager.run("MngGetCashierTransactionsByFilter", &json!({"limit": 5})).await;
        cashier.deposit().await;
        drop(readers);
        while cashier.list_bytes_held().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    cashier.customer.transactions("limit=1").await.expect_ok();
}
