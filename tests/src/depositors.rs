//! Customers who deposit at the sandbox provider and pay, through kills of the cashier: what was answered exists afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cashier_process::CashierProcess;
use crate::customer::{CustomerClient, order};
use crate::sandbox::{self, TestSandbox};
use crate::waiting::{eventually, eventually_within};

/// How many deposit at once.
const DEPOSITORS: usize = 64;

/// Deposits that were answered before the next kill, at least.
const DEPOSITS_BETWEEN_KILLS: usize = 10;

/// How long the cashier runs between two kills, in milliseconds, at least.
const UPTIME_MS: std::ops::Range<u64> = 60..460;

/// What no webhook reached between two kills is found by a query, a minute after the deposit and 32 in 5 s.
const CREDIT_TIME_MAX: Duration = Duration::from_secs(240);

/// Kills the cashier so often under the load of depositors, and lets it finish: every answered deposit exists after each kill, and
/// is credited in the end. `at_kill` does the rest of the damage of a round. Returns them, and the address of the watch listener.
pub async fn kill_under_load(
    process: &mut CashierProcess,
    sandbox: &Arc<TestSandbox>,
    (kills, seed): (u64, u64),
    mut at_kill: impl FnMut(u64),
) -> (Vec<AnsweredDeposit>, SocketAddr) {
    let addresses = process.start().await;
    let (customer, manager) = process.clients(addresses);
    manager.save_config(&config(sandbox.url())).await;

    let (register, over) = (Register::default(), Arc::new(AtomicBool::new(false)));
    let depositors: Vec<_> = (0..DEPOSITORS)
        .map(|number| {
            let depositor =
                make_deposits(number, customer.clone(), Arc::clone(sandbox), Arc::clone(&register), Arc::clone(&over));
            tokio::spawn(depositor)
        })
        .collect();
    let mut random = seed;
    for round in 0..kills {
        let before = register.lock().unwrap().len();
        tokio::time::sleep(Duration::from_millis(draw(&mut random, UPTIME_MS))).await;
        eventually("deposits between two kills", async || {
            (register.lock().unwrap().len() > before + DEPOSITS_BETWEEN_KILLS).then_some(())
        })
        .await;
        process.kill().await;
        at_kill(round);
        let answered = register.lock().unwrap().clone();
        process.start().await;
        all_exist(&customer, &answered).await;
    }
    over.store(true, Ordering::SeqCst);
    for depositor in depositors {
        depositor.await.unwrap();
    }

    let mut answered = register.lock().unwrap().clone();
    pay_the_rest(&customer, sandbox, &mut answered).await;
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
    (answered, addresses.watch)
}

/// A deposit that was answered 200.
#[derive(Debug, Clone)]
pub struct AnsweredDeposit {
    pub key: String,
    pub id: u64,
    /// Empty when the answer was to wait.
    pub page: String,
    pub amount_minor: i64,
}

/// Every deposit that was answered.
pub type Register = Arc<Mutex<Vec<AnsweredDeposit>>>;

fn config(service: &str) -> Value {
    json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET,
        "settings_json": json!({"api_base": service}).to_string()})
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

/// A number of a range; the same sequence for the same seed (xorshift).
fn draw(state: &mut u64, range: std::ops::Range<u64>) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    range.start + *state % (range.end - range.start)
}
