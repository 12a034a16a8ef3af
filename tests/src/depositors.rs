//! Customers who deposit at the sandbox provider and pay, and a manager who refunds and withdraws, through kills of the cashier: what was answered exists afterwards.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cashier_process::CashierProcess;
use crate::customer::{CustomerClient, order};
use crate::http::{Http, HttpAnswer};
use crate::manager::ManagerClient;
use crate::roster::LOGIN;
use crate::sandbox::{self, TestSandbox};
use crate::waiting::{eventually, eventually_within};

/// Every so many turns of a depositor, the deposit of the turn before is refunded, and a withdrawal is made.
const REFUND_TURNS: usize = 4;
const WITHDRAWAL_TURNS: usize = 3;

/// How often a refund of a deposit that is not credited yet is tried.
const REFUND_TRIES: usize = 50;
const REFUND_PAUSE: Duration = Duration::from_millis(100);

/// Between two tries of a withdrawal that the balance does not cover yet: deposits are credited meanwhile.
const PROCESS_PAUSE: Duration = Duration::from_millis(500);

/// Postings that the trading server made before the next kill, at least, where they are counted.
const POSTINGS_BETWEEN_KILLS: usize = 3;

/// What no webhook reached between two kills is found by a query, a minute after the deposit and 32 in 5 s.
pub const SETTLING_TIME_MAX: Duration = Duration::from_secs(240);

/// What was ordered, and answered 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    Deposit,
    /// A deposit that a manager refunded afterwards.
    Refunded,
    Withdrawal,
}

/// An order that was answered 200.
#[derive(Debug, Clone)]
pub struct AnsweredOrder {
    pub kind: OrderKind,
    pub key: String,
    pub id: u64,
    /// Of the payment; empty when the answer was to wait.
    pub page: String,
    pub amount_minor: i64,
}

impl AnsweredOrder {
    /// How many postings it has once it is settled, and what they come to.
    pub fn postings(&self) -> (u64, i64) {
        match self.kind {
            OrderKind::Deposit => (1, self.amount_minor),
            OrderKind::Refunded => (2, 0),
            OrderKind::Withdrawal => (1, -self.amount_minor),
        }
    }

    fn settled_status(&self) -> Value {
        match self.kind {
            OrderKind::Deposit | OrderKind::Withdrawal => json!(3),
            OrderKind::Refunded => json!(7),
        }
    }
}

/// Every order that was answered.
pub type Register = Arc<Mutex<Vec<AnsweredOrder>>>;

/// The postings of all orders, by transaction.
pub fn postings(answered: &[AnsweredOrder]) -> BTreeMap<u64, (u64, i64)> {
    let expected: BTreeMap<_, _> = answered.iter().map(|one| (one.id, one.postings())).collect();
    assert_eq!(expected.len(), answered.len(), "two orders share an id");
    expected
}

/// What the load needs: shared by everybody who orders.
struct Load {
    customer: CustomerClient,
    manager: ManagerClient,
    sandbox: Arc<TestSandbox>,
    register: Register,
    over: AtomicBool,
    /// How many orders there may be before the next kill.
    orders_until: AtomicUsize,
}

/// What the load left.
pub struct LoadEnded {
    pub answered: Vec<AnsweredOrder>,
    pub customer: CustomerClient,
    pub manager: ManagerClient,
    pub watch: SocketAddr,
}

/// How the cashier is killed, and under which load.
pub struct KillPlan<'p> {
    pub kills: u64,
    pub seed: u64,
    /// How many deposit at once.
    pub depositors: usize,
    /// Orders that are answered before the next kill, at least.
    pub orders_between: usize,
    /// Orders after which nobody makes another before the next kill: a trading server that is slow must not fall behind.
    pub orders_max: usize,
    /// How long the cashier runs between two kills, in milliseconds, at least.
    pub uptime_ms: std::ops::Range<u64>,
    /// How many postings the trading server has made, where it is elsewhere: a kill comes while there are some.
    pub posted: &'p (dyn Fn() -> usize + Sync),
}

impl KillPlan<'_> {
    /// For a trading server that is as near as the disk.
    pub fn of_embedded(kills: u64, seed: u64) -> Self {
        Self {
            kills,
            seed,
            depositors: 64,
            orders_between: 10,
            orders_max: usize::MAX,
            uptime_ms: 60..460,
            posted: &|| usize::MAX,
        }
    }
}

/// Kills the cashier so often under load, and pays what is not paid: every answered order exists after each kill. `at_kill` does the
/// rest of the damage of a round.
pub async fn kill_under_load(
    process: &mut CashierProcess,
    sandbox: &Arc<TestSandbox>,
    plan: KillPlan<'_>,
    mut at_kill: impl AsyncFnMut(u64),
) -> LoadEnded {
    let addresses = process.start().await;
    let (customer, manager) = process.clients(addresses);
    manager.save_config(&config(sandbox.url())).await;

    let load = Arc::new(Load {
        customer,
        manager,
        sandbox: Arc::clone(sandbox),
        register: Register::default(),
        over: AtomicBool::new(false),
        orders_until: AtomicUsize::new(plan.orders_max),
    });
    let depositors: Vec<_> =
        (0..plan.depositors).map(|number| tokio::spawn(make_orders(number, Arc::clone(&load)))).collect();
    let mut random = plan.seed;
    for round in 0..plan.kills {
        let (before, posted) = (load.register.lock().unwrap().len(), (plan.posted)());
        load.orders_until.store(before.saturating_add(plan.orders_max), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(draw(&mut random, plan.uptime_ms.clone()))).await;
        eventually("orders and postings between two kills", async || {
            let is_posted = (plan.posted)() >= posted.saturating_add(POSTINGS_BETWEEN_KILLS);
            (is_posted && load.register.lock().unwrap().len() > before + plan.orders_between).then_some(())
        })
        .await;
        process.kill().await;
        at_kill(round).await;
        let answered = load.register.lock().unwrap().clone();
        process.start().await;
        all_exist(&load.customer, &answered).await;
    }
    load.over.store(true, Ordering::SeqCst);
    for depositor in depositors {
        depositor.await.unwrap();
    }

    let mut answered = load.register.lock().unwrap().clone();
    pay_the_rest(&load.customer, sandbox, &mut answered).await;
    LoadEnded { answered, customer: load.customer.clone(), manager: load.manager.clone(), watch: addresses.watch }
}

impl LoadEnded {
    /// Waits until every order is settled, or may stay as it is.
    pub async fn until_settled(&self, sandbox: &TestSandbox, may_stay: impl Fn(&AnsweredOrder) -> bool) {
        eventually_within(SETTLING_TIME_MAX, "every order is settled", async || {
            let rows = rows(&self.customer).await;
            let is_settled = |one: &AnsweredOrder| rows[&one.id]["status"] == one.settled_status();
            let waiting: Vec<_> = self.answered.iter().filter(|one| !is_settled(one) && !may_stay(one)).collect();
            let Some(first) = waiting.first() else { return Ok(()) };
            // Of several withdrawals at once the balance may not have covered the last: a person retries it.
            for one in &waiting {
                let row = &rows[&one.id];
                if row["status"] == json!(9) && row["failure_reason"] == json!("CREDIT_REFUSED") {
                    self.manager.command("MngRetryCashierCredit", &json!({"id": one.id})).await;
                }
            }
            let deliveries = match first.kind {
                OrderKind::Deposit | OrderKind::Refunded => sandbox.deliveries(&first.page).await,
                OrderKind::Withdrawal => Value::Null,
            };
            let (waits, all) = (waiting.len(), self.answered.len());
            Err(format!("{waits} of {all}, first {first:?}: {} with the webhooks {deliveries}", rows[&first.id]))
        })
        .await;
    }

    /// Orders by what they are, for the report of a run.
    pub fn counted(&self) -> String {
        let count = |kind| self.answered.iter().filter(|one| one.kind == kind).count();
        format!(
            "{} deposits, {} of them refunded, and {} withdrawals were answered",
            count(OrderKind::Deposit) + count(OrderKind::Refunded),
            count(OrderKind::Refunded),
            count(OrderKind::Withdrawal)
        )
    }
}

fn config(service: &str) -> Value {
    json!({"provider": "sandbox", "brand": "ion4", "currency": "USD", "sandbox": 1, "enabled": 1,
        "secret_key": sandbox::API_KEY, "webhook_secret": sandbox::WEBHOOK_SECRET,
        "settings_json": json!({"api_base": service}).to_string()})
}

/// Orders until the end of the test; without an answer, it repeats the request under the same key.
async fn make_orders(number: usize, load: Arc<Load>) {
    let mut paid: Option<usize> = None;
    for turn in 0.. {
        if load.over.load(Ordering::SeqCst) {
            return;
        }
        let cents = 1_000 + (number * 37 + turn * 11) as i64 % 5_000;
        let request = load.deposit_request(&format!("d{number}-{turn}"), cents);
        let answer = until_answered(&load.customer, &request).await;
        let one = read(OrderKind::Deposit, &request, &answer, cents);
        if let Some(at) = paid.take()
            && turn % REFUND_TURNS == 1
        {
            load.refund(at).await;
        }
        let at = load.add(one.clone());
        if !one.page.is_empty() {
            load.sandbox.press(&one.page, "pay").await;
            paid = Some(at);
        }
        if turn % WITHDRAWAL_TURNS == 1 {
            load.withdraw(&format!("w{number}-{turn}"), cents / 4).await;
        }
        while load.has_enough() {
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
}

impl Load {
    /// Whether nobody orders more before the next kill.
    fn has_enough(&self) -> bool {
        let is_over = self.over.load(Ordering::SeqCst);
        !is_over && self.register.lock().unwrap().len() >= self.orders_until.load(Ordering::SeqCst)
    }

    fn add(&self, one: AnsweredOrder) -> usize {
        let mut register = self.register.lock().unwrap();
        register.push(one);
        register.len() - 1
    }

    fn deposit_request(&self, key: &str, cents: i64) -> Value {
        let mut request = order("sandbox", &decimal(cents));
        request["idempotency_key"] = json!(key);
        request
    }

    /// A withdrawal that the manager enters and processes: what customers request is limited.
    async fn withdraw(&self, key: &str, cents: i64) {
        let amount: serde_json::Number = decimal(cents).parse().expect("an amount is a number");
        let request = json!({"login": LOGIN, "amount": amount, "currency": "USD", "idempotency_key": key});
        let answer = self.manager_answered("MngCreateManualCashierWithdrawal", &request).await.expect_ok();
        let one = read(OrderKind::Withdrawal, &request, &answer["data"], cents);
        let process = json!({"id": one.id});
        self.add(one);
        loop {
            let answer = self.manager_answered("MngProcessManualCashierTransaction", &process).await;
            match (answer.status, &*answer.refusal_in_envelope().1) {
                (200, _) | (409, "RET_ERR_DUPLICATE") => return,
                (409, "INSUFFICIENT_BALANCE") => tokio::time::sleep(PROCESS_PAUSE).await,
                _ => panic!("{process} was answered {} {}", answer.status, answer.text()),
            }
        }
    }

    /// A refund by the manager of a deposit of the register, where it is credited before long.
    async fn refund(&self, at: usize) {
        let one = self.register.lock().unwrap()[at].clone();
        let request = json!({"id": one.id, "reason": "asked by phone", "idempotency_key": format!("r{}", one.id)});
        for _ in 0..REFUND_TRIES {
            let answer = self.manager_answered("MngRefundCashierTransaction", &request).await;
            match (answer.status, &*answer.refusal_in_envelope().1) {
                (200, _) => return self.register.lock().unwrap()[at].kind = OrderKind::Refunded,
                (409, "WRONG_STATUS") => tokio::time::sleep(REFUND_PAUSE).await,
                // It stays credited.
                (409, "INSUFFICIENT_BALANCE") => return,
                _ => panic!("{request} was answered {} {}", answer.status, answer.text()),
            }
        }
    }

    /// Retries a manager's command through kills of the cashier until it is answered; its refusals are answers.
    async fn manager_answered(&self, command: &str, data: &Value) -> HttpAnswer {
        let body = json!({"command": command, "extID": "load", "data": data}).to_string();
        answered(&self.manager.http, &format!("{}/manager", self.manager.url), &self.manager.token, &body).await
    }
}

/// Deposits, and retries through kills of the cashier until the answer is 200.
async fn until_answered(customer: &CustomerClient, request: &Value) -> Value {
    let url = format!("{}/cashier/deposit", customer.url);
    let reply = answered(&customer.http, &url, &customer.token, &request.to_string()).await;
    assert_eq!(reply.status, 200, "{request} was answered {}", reply.text());
    reply.json()
}

/// Repeats a request until it is answered, through kills of the cashier; one that has just started may be busy and answer 503.
async fn answered(http: &Http, url: &str, token: &str, body: &str) -> HttpAnswer {
    let headers = [("authorization", token), ("content-type", "application/json")];
    loop {
        match http.try_send(http::Method::POST, url, &headers, body.to_owned()).await {
            Ok(reply) if reply.status != 503 => return reply,
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(15)).await,
        }
    }
}

fn read(kind: OrderKind, request: &Value, answer: &Value, amount_minor: i64) -> AnsweredOrder {
    AnsweredOrder {
        kind,
        key: request["idempotency_key"].as_str().unwrap().to_owned(),
        id: answer["transaction"]["id"].as_u64().unwrap(),
        page: answer["redirect_url"].as_str().unwrap_or_default().to_owned(),
        amount_minor,
    }
}

fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Every transaction of the customer by its id.
async fn rows(customer: &CustomerClient) -> BTreeMap<u64, Value> {
    let list = customer.transactions("limit=50000").await.expect_ok();
    let rows = list["rows"].as_array().unwrap().clone();
    assert_eq!(json!(rows.len()), list["count"]);
    rows.into_iter().map(|row| (row["id"].as_u64().unwrap(), row)).collect()
}

async fn all_exist(customer: &CustomerClient, answered: &[AnsweredOrder]) {
    let rows = rows(customer).await;
    for one in answered {
        let row = rows.get(&one.id).unwrap_or_else(|| panic!("answered and not found: {one:?}"));
        assert_eq!(row["idempotency_key"], json!(one.key), "another transaction has the id of {one:?}");
    }
}

/// Deposits that were answered with WAIT get their page from a repeated request under the same key, and are paid.
async fn pay_the_rest(customer: &CustomerClient, sandbox: &TestSandbox, answered: &mut [AnsweredOrder]) {
    let unpaid = |one: &&mut AnsweredOrder| one.page.is_empty() && one.kind == OrderKind::Deposit;
    for one in answered.iter_mut().filter(unpaid) {
        let mut request = order("sandbox", &decimal(one.amount_minor));
        request["idempotency_key"] = json!(one.key);
        let again = eventually(&format!("the page of {one:?}"), async || {
            let answer = until_answered(customer, &request).await;
            let again = read(one.kind, &request, &answer, one.amount_minor);
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
