//! The cashier is killed (SIGKILL) at random times under the load of 64 depositors with webhooks: every answered deposit exists
//! with its id, nothing is credited twice, and every paid deposit is credited. A requested stop completes the flows in
//! progress.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cashier_core::session::Role;
use cashier_tests::cashier_process::CashierProcess;
use cashier_tests::clock::DeploymentClock;
use cashier_tests::customer::{CustomerClient, order};
use cashier_tests::http::Http;
use cashier_tests::manager::ManagerClient;
use cashier_tests::roster::{self, CUSTOMER, LOGIN};
use cashier_tests::sandbox::{self, TestSandbox};
use cashier_tests::stripe_stub::{self, StripeStub, StubMode};
use cashier_tests::waiting::{eventually, eventually_within};
use rusqlite::Connection;
use serde_json::{Value, json};

const KILLS: u64 = 20;
const DEPOSITORS: usize = 64;

/// The times of the kills come from this; another seed is another run.
const SEED: u64 = 0x5eed_cafe;

/// Deposits that were answered before the next kill, at least.
const DEPOSITS_BETWEEN_KILLS: usize = 10;

/// How long the cashier runs between two kills, in milliseconds, at least.
const UPTIME_MS: std::ops::Range<u64> = 60..460;

/// What no webhook reached between two kills is found by a query, a minute after the deposit and 32 in 5 s.
const CREDIT_TIME_MAX: Duration = Duration::from_secs(240);

/// A deposit that was answered 200.
#[derive(Debug, Clone)]
struct AnsweredDeposit {
    key: String,
    id: u64,
    /// Empty when the answer was to wait.
    page: String,
    amount_minor: i64,
}

type Register = Arc<Mutex<Vec<AnsweredDeposit>>>;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_under_load_lose_no_deposit_and_double_no_credit() {
    let folder = tempfile::tempdir().unwrap();
    let clock = DeploymentClock::system_time();
    let sandbox = Arc::new(TestSandbox::start_with(clock, 1, &sandbox::LONG_RETRIES).await);
    let mut process = CashierProcess::prepare(folder.path(), &[sandbox.url()], &roster::standard()).await;
    let addresses = process.start().await;
    let customer = CustomerClient {
        http: Http::new(),
        url: format!("http://{}", addresses.customer),
        token: process.token(Role::Customer, CUSTOMER),
    };
    let manager = ManagerClient {
        http: Http::new(),
        url: format!("http://{}", addresses.manager),
        token: process.token(Role::Manager, 1),
    };
    manager.save_config(&config(sandbox.url())).await;

    let (register, over) = (Register::default(), Arc::new(AtomicBool::new(false)));
    let depositors: Vec<_> = (0..DEPOSITORS)
        .map(|number| {
            let depositor =
                make_deposits(number, customer.clone(), Arc::clone(&sandbox), Arc::clone(&register), Arc::clone(&over));
            tokio::spawn(depositor)
        })
        .collect();
    let mut random = SEED;
    for _ in 0..KILLS {
        let before = register.lock().unwrap().len();
        tokio::time::sleep(Duration::from_millis(draw(&mut random, UPTIME_MS))).await;
        eventually("deposits between two kills", async || {
            (register.lock().unwrap().len() > before + DEPOSITS_BETWEEN_KILLS).then_some(())
        })
        .await;
        process.kill().await;
        let answered = register.lock().unwrap().clone();
        process.start().await;
        all_exist(&customer, &answered).await;
    }
    over.store(true, Ordering::SeqCst);
    for depositor in depositors {
        depositor.await.unwrap();
    }

    let mut answered = register.lock().unwrap().clone();
    pay_the_rest(&customer, &sandbox, &mut answered).await;
    eventually_within(CREDIT_TIME_MAX, "every paid deposit is credited", async || {
        let rows = rows(&customer).await;
        let waiting: Vec<_> = answered.iter().filter(|it| rows[&it.id]["status"] != json!(3)).collect();
        let Some(first) = waiting.first() else { return Ok(()) };
        let deliveries = sandbox.deliveries(&first.page).await;
        Err(format!(
            "{} of {}, first {} with the webhooks {deliveries}",
            waiting.len(),
            answered.len(),
            rows[&first.id]
        ))
    })
    .await;
    let health = customer.http.get(&format!("http://{}/readyz?verbose", addresses.watch), &[]).await;
    assert_eq!((health.text().as_str(), folder.path().join("var/quarantine.json").exists()), ("ready\n", false), "c1");
    process.kill().await;
    credited_exactly_once(folder.path(), &answered);
}

fn config(service: &str) -> Value {
    json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET,
        "settings_json": json!({"api_base": service}).to_string()})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_stop_completes_flows_in_progress_and_exits_with_zero() {
    let folder = tempfile::tempdir().unwrap();
    let stripe = StripeStub::start(false).await;
    let mut process = CashierProcess::prepare(folder.path(), &[stripe.url()], &roster::standard()).await;
    let addresses = process.start().await;
    let customer = CustomerClient {
        http: Http::new(),
        url: format!("http://{}", addresses.customer),
        token: process.token(Role::Customer, CUSTOMER),
    };
    let manager = ManagerClient {
        http: Http::new(),
        url: format!("http://{}", addresses.manager),
        token: process.token(Role::Manager, 1),
    };
    let config = json!({"provider": "stripe", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "secret_key": stripe_stub::SECRET_KEY, "webhook_secret": stripe_stub::WEBHOOK_SECRET,
        "settings_json": json!({"api_base": stripe.url(), "flow": "payment_intents"}).to_string()});
    manager.save_config(&config).await;

    stripe.set_mode(StubMode::Holding);
    let mut request = order("stripe", "50");
    request["idempotency_key"] = json!("last");
    let depositing = tokio::spawn({
        let (customer, request) = (customer.clone(), request.clone());
        async move { customer.deposit(&request).await }
    });
    eventually("the create call", async || (!stripe.requests().is_empty()).then_some(())).await;
    let answering = async {
        // The provider answers while the cashier is already stopping.
        tokio::time::sleep(Duration::from_millis(300)).await;
        stripe.set_mode(StubMode::Answering);
    };
    let (code, ()) = tokio::join!(process.terminate(), answering);
    assert_eq!(code, Some(0), "{}", process.log());
    let answer = depositing.await.unwrap().expect_ok();
    assert_eq!(answer["next_action"], json!("INSTRUCTIONS"), "the waiting client was answered: {answer}");

    process.start().await;
    let again = customer.deposit(&request).await.expect_ok();
    assert_eq!(again, answer, "the same answer after the next start");
    assert_eq!(stripe.requests().len(), 1);
}

/// Deposits and pays until the end of the test; without an answer, it repeats the request under the same key.
async fn make_deposits(
    number: usize,
    customer: CustomerClient,
    sandbox: Arc<TestSandbox>,
    register: Register,
    over: Arc<AtomicBool>,
) {
    for turn in 0.. {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let cents = 1_000 + (number * 37 + turn * 11) as i64 % 5_000;
        let mut request = order("sandbox", &format!("{}.{:02}", cents / 100, cents % 100));
        request["idempotency_key"] = json!(format!("d{number}-{turn}"));
        let answer = until_answered(&customer, &request).await;
        let one = read(&request, &answer, cents);
        register.lock().unwrap().push(one.clone());
        if !one.page.is_empty() {
            sandbox.press(&one.page, "pay").await;
        }
    }
}

/// Retries through kills of the cashier until the answer is 200.
async fn until_answered(customer: &CustomerClient, request: &Value) -> Value {
    let headers = [("authorization", &*customer.token), ("content-type", "application/json")];
    let url = format!("{}/cashier/deposit", customer.url);
    loop {
        match customer.http.try_send(http::Method::POST, &url, &headers, request.to_string()).await {
            Ok(reply) if reply.status == 200 => return reply.json(),
            // A cashier that has just started may be busy and answer 503.
            Ok(reply) if reply.status == 503 => {}
            Ok(reply) => panic!("{request} was answered {} {}", reply.status, reply.text()),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

fn read(request: &Value, answer: &Value, amount_minor: i64) -> AnsweredDeposit {
    AnsweredDeposit {
        key: request["idempotency_key"].as_str().unwrap().to_owned(),
        id: answer["transaction"]["id"].as_u64().unwrap(),
        page: answer["redirect_url"].as_str().unwrap_or_default().to_owned(),
        amount_minor,
    }
}

/// Every transaction of the customer by its id.
async fn rows(customer: &CustomerClient) -> BTreeMap<u64, Value> {
    let list = customer.transactions("limit=50000").await.expect_ok();
    let rows = list["rows"].as_array().unwrap().clone();
    assert_eq!(json!(rows.len()), list["count"]);
    rows.into_iter().map(|row| (row["id"].as_u64().unwrap(), row)).collect()
}

async fn all_exist(customer: &CustomerClient, answered: &[AnsweredDeposit]) {
    let rows = rows(customer).await;
    for one in answered {
        let row = rows.get(&one.id).unwrap_or_else(|| panic!("answered and not found: {one:?}"));
        assert_eq!(row["idempotency_key"], json!(one.key), "another transaction has the id of {one:?}");
    }
}

/// Deposits that were answered with WAIT get their page from a repeated request under the same key, and are paid.
async fn pay_the_rest(customer: &CustomerClient, sandbox: &TestSandbox, answered: &mut [AnsweredDeposit]) {
    for one in answered.iter_mut().filter(|one| one.page.is_empty()) {
        let mut request = order("sandbox", &format!("{}.{:02}", one.amount_minor / 100, one.amount_minor % 100));
        request["idempotency_key"] = json!(one.key);
        let again = eventually(&format!("the page of {one:?}"), async || {
            let again = read(&request, &until_answered(customer, &request).await, one.amount_minor);
            (!again.page.is_empty()).then_some(again)
        })
        .await;
        assert_eq!(again.id, one.id, "the same key is the same deposit");
        *one = again;
        sandbox.press(&one.page, "pay").await;
    }
}

/// Checks the trading server's database: one posting for each deposit, of its amount, and nothing else.
fn credited_exactly_once(folder: &std::path::Path, answered: &[AnsweredDeposit]) {
    let trading = Connection::open(folder.join("bases/trading.db")).unwrap();
    let mut postings = trading
        .prepare("SELECT transaction_id, count(*), sum(amount_minor) FROM posting WHERE refusal = '' GROUP BY 1")
        .unwrap();
    let posted: BTreeMap<u64, (i64, i64)> = postings
        .query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, (row.get(1)?, row.get(2)?))))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let expected: BTreeMap<u64, (i64, i64)> = answered.iter().map(|one| (one.id, (1, one.amount_minor))).collect();
    assert_eq!(expected.len(), answered.len(), "two deposits share an id");
    assert_eq!(posted, expected, "one posting for each deposit, of its amount");
    let balance: i64 = trading
        .query_row("SELECT balance_minor FROM account WHERE login = ?1", [LOGIN as i64], |row| row.get(0))
        .unwrap();
    assert_eq!(balance, answered.iter().map(|one| one.amount_minor).sum::<i64>());
}

/// A number of a range; the same sequence for the same seed (xorshift).
fn draw(state: &mut u64, range: std::ops::Range<u64>) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    range.start + *state % (range.end - range.start)
}
