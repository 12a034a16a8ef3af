//! A platform of our own for tests: accounts, finance orders and their states in memory, and what goes wrong with each request.
//! It shares no code with the client; `fake_wire` is its side of the protocol.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

/// The number of executed orders, which no page of the platform states.
pub(super) const EXECUTED: i64 = 11;

/// How long an approved order takes to move the balance.
const EXECUTION: Duration = Duration::from_millis(300);

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    Well,
    /// Done at once, answered after so many milliseconds.
    AnswersLate(u64),
    AnswersTwice,
    /// Done, and never answered.
    NeverAnswers,
    /// Neither done nor answered.
    Loses,
    ClosesBefore,
    ClosesAfter,
    /// Done, and the answer is cut by a closed connection.
    HalfALine,
    Garbage,
    Refuses(i64, &'static str),
    /// 504 at once, and done after so many milliseconds.
    TimesOut(u64),
    /// No answer, and done after so many milliseconds.
    ArrivesLate(u64),
    /// Done and answered after other messages that are no answer.
    PushesFirst,
    /// The platform changes just after it is done.
    Then(fn(&mut FakeState)),
}

#[derive(Debug, Clone)]
pub(super) struct FakeAccount {
    pub(super) customer: u64,
    pub(super) group: &'static str,
    pub(super) currency: &'static str,
    pub(super) enabled: bool,
    pub(super) balance: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct FakeOrder {
    pub(super) order: u64,
    pub(super) login: u64,
    pub(super) cmd: i64,
    pub(super) state: i64,
    /// Minor units, signed.
    pub(super) amount: i64,
    pub(super) comment: String,
    pub(super) source: String,
    pub(super) uuid: String,
    pub(super) updated: u64,
}

/// `profit` and `amount` of an order as it is listed.
pub(super) type StatesAmount = fn(&FakeOrder) -> (Value, Value);

#[derive(Default)]
pub(super) struct FakeState {
    pub(super) accounts: BTreeMap<u64, FakeAccount>,
    /// `account_mode` of each group, and whether it is enabled.
    pub(super) groups: BTreeMap<&'static str, (&'static str, i64, bool)>,
    pub(super) orders: Vec<FakeOrder>,
    pub(super) script: VecDeque<(&'static str, Manner)>,
    /// Draws a manner for each request.
    pub(super) chaos: Option<u64>,
    pub(super) requests: Vec<(String, Value)>,
    pub(super) tokens: Vec<String>,
    pub(super) is_down: bool,
    /// Whether conditions are understood; where not, every row is answered.
    pub(super) ignores_conditions: bool,
    pub(super) refuses_uuid: bool,
    /// What is said about a declined order is not kept.
    pub(super) drops_comments: bool,
    /// `profit` and `amount` of an order as it is listed; else its amount stands in `profit`.
    pub(super) states_amount: Option<StatesAmount>,
    /// Changes the answer to an operation in one call.
    pub(super) states_answer: Option<fn(&mut Value)>,
    /// Changes an order as it is listed, by the columns of `trades`.
    pub(super) states_row: Option<fn(&FakeOrder, &mut Value)>,
    /// Most rows of a page, and then `count` counts the page alone.
    pub(super) page_rows: Option<usize>,
    /// Accounts are answered with 200 and nothing.
    pub(super) answers_nothing: bool,
    /// Every other finance request arrives late, so that there are duplicates.
    pub(super) delays_requests: bool,
    order_next: u64,
    clock: u64,
}

/// Clones of its `Arc` are one platform.
pub(super) struct Fake {
    state: Mutex<FakeState>,
    /// Raised to cut every connection.
    pub(super) cut: watch::Sender<u64>,
}

impl Fake {
    pub(super) fn new() -> Arc<Self> {
        let account = |customer, group| FakeAccount { customer, group, currency: "USD", enabled: true, balance: 0 };
        let state = FakeState {
            accounts: [(100, account(5, "real")), (101, account(5, "demo")), (102, account(6, "real"))].into(),
            groups: [("real", ("USD", 1, true)), ("demo", ("USD", 0, true))].into(),
            order_next: 1000,
            ..FakeState::default()
        };
        Arc::new(Self { state: Mutex::new(state), cut: watch::Sender::new(0) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script(&self, steps: &[(&'static str, Manner)]) {
        self.state().script.extend(steps.iter().copied());
    }

    pub(super) fn balance(&self, login: u64) -> i64 {
        self.state().accounts[&login].balance
    }

    /// How often a command was received.
    pub(super) fn received(&self, command: &str) -> usize {
        self.state().requests.iter().filter(|(known, _)| known == command).count()
    }

    /// Cuts every connection; what was posted is gone where it is not kept.
    pub(super) fn restart(&self, keeps_orders: bool) {
        if !keeps_orders {
            let mut state = self.state();
            state.orders.clear();
            state.accounts.values_mut().for_each(|account| account.balance = 0);
        }
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Does a request; the order that is to be executed after a while goes to a task.
    pub(super) fn perform(self: &Arc<Self>, command: &str, data: &Value) -> Result<Value, (i64, &'static str)> {
        let done = self.state().perform(command, data);
        if let Ok(value) = &done
            && command == "MngApproveFinanceRequest"
        {
            self.execute_later(value["order"].as_u64().unwrap());
        }
        done
    }

    fn execute_later(self: &Arc<Self>, order: u64) {
        let fake = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(EXECUTION).await;
            fake.state().execute(order);
        });
    }
}

impl FakeState {
    /// The manner of a request: that of the script where it names this command, else a drawn one.
    pub(super) fn manner(&mut self, command: &str) -> Manner {
        if let Some(at) = self.script.iter().position(|(known, _)| *known == command) {
            return self.script.remove(at).unwrap().1;
        }
        let Some(seed) = &mut self.chaos else { return Manner::Well };
        if self.delays_requests && command == "MngCreateFinanceRequest" && next(seed).is_multiple_of(2) {
            return Manner::ArrivesLate(next(seed) % 60_000);
        }
        drawn(seed)
    }

    fn perform(&mut self, command: &str, data: &Value) -> Result<Value, (i64, &'static str)> {
        let number = |name: &str| data[name].as_u64().ok_or((400, "INVALID_DATA"));
        match command {
            "GetGroups" => {
                let row = |(group, (currency, mode, enabled)): (&&str, &(&str, i64, bool))| {
                    json!([enabled_number(*enabled), group, currency, mode, "ion4"])
                };
                let rows: Vec<Value> = self.groups.iter().map(row).collect();
                let structure = ["enable", "group", "currency", "account_mode", "brand"];
                Ok(json!({"structure": structure, "count": rows.len(), "rows": rows}))
            }
            "GetAccountByLogin" if self.answers_nothing => Ok(Value::Null),
            "GetAccountByLogin" => {
                let login = number("login")?;
                let account = self.accounts.get(&login).ok_or((404, "NO_SUCH_LOGIN"))?;
                Ok(json!({
                    "login": login, "customer_id": account.customer, "group": account.group, "currency": account.currency,
                    "enable": enabled_number(account.enabled), "balance": decimal(account.balance), "password": "CANARY-PASSWORD",
                }))
            }
            "ListCustomers" => {
                let structure = [
                    "country_of_residence",
                    "customer_id",
                    "status",
                    "enable",
                    "brand",
                    "deposit_allowed",
                    "withdrawal_allowed",
                ];
                let rows = [5, 6].map(|id| json!(["DE", id, 0, 1, "ion4", 1, 1]));
                let wanted = number("customer_id")?;
                let rows: Vec<&Value> = rows.iter().filter(|row| row[1] == wanted).collect();
                Ok(json!({"structure": structure, "count": rows.len(), "rows": rows}))
            }
            "MngCreateFinanceRequest" => self.add_order(data, data["cmd"].as_i64().ok_or((400, "INVALID_DATA"))?, 17),
            "BalanceInSync" | "BalanceOutSync" => {
                let cmd = if command == "BalanceInSync" { 6 } else { 8 };
                let made = self.add_order(data, cmd, 10)?;
                self.execute(made["order"].as_u64().unwrap());
                let order = self.orders.last().unwrap();
                let mut answer = json!({
                    "order": order.order, "login": order.login, "cmd": cmd, "state": EXECUTED, "profit": decimal(order.amount),
                    "comment": order.comment,
                });
                self.states_answer.inspect(|change| change(&mut answer));
                Ok(answer)
            }
            "MngApproveFinanceRequest" | "MngDeclineFinanceRequest" => {
                let (order, now) = (number("order")?, self.tick());
                let known = self.orders.iter_mut().find(|known| known.order == order).ok_or((404, "NO_ORDER"))?;
                if known.state != 17 {
                    return Err((409, "WRONG_STATE"));
                }
                known.state = if command == "MngApproveFinanceRequest" { 10 } else { 18 };
                known.updated = now;
                if let Some(comment) = data["comment"].as_str().filter(|_| !self.drops_comments) {
                    known.comment = comment.to_owned();
                }
                Ok(json!({"order": order, "state": known.state}))
            }
            "MngGetTradesByFilter" => self.trades(data),
            _ => Err((400, "UNKNOWN_COMMAND")),
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn add_order(&mut self, data: &Value, cmd: i64, state: i64) -> Result<Value, (i64, &'static str)> {
        let login = data["login"].as_u64().ok_or((400, "INVALID_DATA"))?;
        let amount = minor(&data["amount"]).ok_or((400, "INVALID_DATA"))?;
        if !self.accounts.contains_key(&login) || (amount < 0) != (cmd == 8) {
            return Err((400, "INVALID_DATA"));
        }
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        self.order_next += 1;
        let (order, updated) = (self.order_next, self.tick());
        let (comment, source, uuid) = (text("comment"), text("gw_source"), text("gw_uuid"));
        self.orders.push(FakeOrder { order, login, cmd, state, amount, comment, source, uuid, updated });
        Ok(
            json!({"accepted": true, "order": order, "login": login, "cmd": cmd, "state": state, "amount": decimal(amount)}),
        )
    }

    /// An approved order moves the balance once.
    pub(super) fn execute(&mut self, order: u64) {
        let now = self.tick();
        let Some(known) = self.orders.iter_mut().find(|known| known.order == order && known.state == 10) else {
            return;
        };
        (known.state, known.updated) = (EXECUTED, now);
        let (login, amount) = (known.login, known.amount);
        self.accounts.get_mut(&login).unwrap().balance += amount;
    }

    /// A dealer approves pending orders, and each is executed at once.
    pub(super) fn dealer_approves(&mut self, which: impl Fn(&FakeOrder) -> bool) {
        let pending = self.orders.iter().filter(|known| known.state == 17 && which(known));
        for order in pending.map(|known| known.order).collect::<Vec<_>>() {
            self.orders.iter_mut().filter(|known| known.order == order).for_each(|known| known.state = 10);
            self.execute(order);
        }
    }

    /// So many orders of somebody else.
    pub(super) fn others_trade(&mut self, count: u64) {
        for _ in 0..count {
            let data = json!({"login": 102, "amount": 1, "comment": "Finance"});
            self.add_order(&data, 6, EXECUTED).unwrap();
        }
    }

    fn trades(&self, data: &Value) -> Result<Value, (i64, &'static str)> {
        let condition = data["where"].as_str().filter(|_| !self.ignores_conditions);
        if self.refuses_uuid && condition.is_some_and(|condition| condition.starts_with("gw_uuid")) {
            return Err((400, "UNKNOWN_COLUMN"));
        }
        let fits =
            |order: &&FakeOrder| match condition.map(|condition| condition.split(' ').collect::<Vec<_>>()).as_deref() {
                Some([column, "=", value]) => order.column(column) == value.trim_matches('\''),
                Some([_, ">=", value]) => order.updated >= value.parse().unwrap(),
                Some(_) => false,
                None => true,
            };
        let mut found: Vec<&FakeOrder> = self.orders.iter().filter(fits).collect();
        if data["orderBy"].as_str().is_some() {
            found.sort_by_key(|order| order.updated);
        }
        let number = |name: &str| data[name].as_u64().ok_or((400, "INVALID_DATA"));
        let (limit, offset) = (number("limit")? as usize, number("offset")? as usize);
        let structure = [
            "profit",
            "amount",
            "order",
            "login",
            "cmd",
            "state",
            "comment",
            "gw_source",
            "gw_uuid",
            "update_time",
            "gw_order",
        ];
        let row = |order: &&FakeOrder| {
            let stated = self.states_amount.map(|amounts| amounts(order));
            let (profit, amount) = stated.unwrap_or_else(|| (decimal(order.amount), Value::Null));
            let mut row = json!([
                profit,
                amount,
                order.order,
                order.login,
                order.cmd,
                order.state,
                order.comment,
                order.source,
                order.uuid,
                order.updated,
                0
            ]);
            self.states_row.inspect(|change| change(order, &mut row));
            row
        };
        let limit = self.page_rows.map_or(limit, |rows| rows.min(limit));
        let rows: Vec<Value> = found.iter().skip(offset).take(limit).map(row).collect();
        let count = if self.page_rows.is_some() { rows.len() } else { found.len() };
        Ok(json!({"structure": structure, "rows": rows, "count": count}))
    }
}

impl FakeOrder {
    fn column(&self, name: &str) -> String {
        match name {
            "order" => self.order.to_string(),
            "login" => self.login.to_string(),
            "state" => self.state.to_string(),
            "gw_uuid" => self.uuid.clone(),
            "gw_source" => self.source.clone(),
            _ => String::new(),
        }
    }
}

fn enabled_number(enabled: bool) -> i64 {
    i64::from(enabled)
}

pub(super) fn decimal(minor: i64) -> Value {
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100);
    serde_json::from_str(&text).unwrap()
}

fn minor(value: &Value) -> Option<i64> {
    let text = value.as_number()?.to_string();
    let (sign, plain) = text.strip_prefix('-').map_or((1, &*text), |plain| (-1, plain));
    let (whole, part) = plain.split_once('.').unwrap_or((plain, "0"));
    let part = format!("{part:0<2}");
    Some(sign * (whole.parse::<i64>().ok()? * 100 + part.parse::<i64>().ok().filter(|_| part.len() == 2)?))
}

/// The next number of a seed.
pub(super) fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Most requests go well; what goes wrong takes up to a minute.
fn drawn(seed: &mut u64) -> Manner {
    let later = next(seed) % 60_000;
    match next(seed) % 40 {
        0 => Manner::AnswersLate(later),
        1 => Manner::AnswersTwice,
        2 => Manner::NeverAnswers,
        3 => Manner::Loses,
        4 => Manner::ClosesBefore,
        5 => Manner::ClosesAfter,
        6 => Manner::HalfALine,
        7 => Manner::Garbage,
        8 => Manner::Refuses(400, "INTERNAL"),
        9 => Manner::TimesOut(later),
        10 => Manner::ArrivesLate(later),
        11 => Manner::PushesFirst,
        12 => Manner::Refuses(8, "TOO_OFTEN"),
        13 => Manner::AnswersLate(later % 4_000),
        _ => Manner::Well,
    }
}
