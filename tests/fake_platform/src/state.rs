//! What the platform has and how it behaves, as values. What is done with them is `answers`', `orders`' and `manner`'s.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast;

/// How long an approved order takes to move the balance.
const EXECUTION: Duration = Duration::from_millis(300);

/// The number before that of the first order.
const ORDERS_FROM: u64 = 1000;

/// What was drawn to go wrong takes up to so many milliseconds.
const DRAWN_MS_MAX: u64 = 60_000;

/// Pushed events that a connection may leave behind; the rest it misses.
const PUSHES_KEPT_MAX: usize = 1024;

/// States of an order. That of an executed one is stated by no page of the platform.
pub const PENDING: i64 = 17;
pub const APPROVED: i64 = 10;
pub const DECLINED: i64 = 18;
pub const EXECUTED: i64 = 11;

/// An order that moves a balance once it is executed.
#[derive(Debug, Clone, PartialEq)]
pub struct FakeOrder {
    pub order: u64,
    pub login: u64,
    pub cmd: i64,
    pub state: i64,
    /// Minor units, signed.
    pub amount: i64,
    pub comment: String,
    pub source: String,
    pub uuid: String,
    /// Our own number for it.
    pub gw_order: u64,
    pub updated: u64,
}

/// A login.
#[derive(Debug, Clone)]
pub struct FakeAccount {
    pub customer: u64,
    pub group: &'static str,
    pub currency: &'static str,
    pub enabled: bool,
    /// Minor units.
    pub balance: i64,
}

/// What happens to one request. Lengths are milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    Well,
    /// Done at once, answered later.
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
    /// Not done, and the answer names no call.
    RefusesNamingNone(i64, &'static str),
    /// Done, and answered with its data and this status.
    DoneAs(i64),
    /// 504 at once, and done later.
    TimesOut(u64),
    /// No answer, and done later.
    ArrivesLate(u64),
    /// Done and answered after other messages that are no answer.
    PushesFirst,
    /// The platform changes just after it is done.
    Then(fn(&mut FakeState)),
}

/// `profit` and `amount` of an order as it is listed.
pub type StatesAmount = fn(&FakeOrder) -> (Value, Value);

/// What it has, how it behaves, and what it received. Tests change it as they like.
pub struct FakeState {
    pub accounts: BTreeMap<u64, FakeAccount>,
    pub customers: BTreeSet<u64>,
    /// Currency and `account_mode` of each group, and whether it is enabled.
    pub groups: BTreeMap<&'static str, (&'static str, i64, bool)>,
    pub orders: Vec<FakeOrder>,
    /// What happens to the next requests, by command.
    pub script: VecDeque<(&'static str, Manner)>,
    /// Draws a manner for each request.
    pub chaos: Option<u64>,
    /// What was drawn to go wrong takes up to so many milliseconds.
    pub drawn_ms_max: u64,
    /// How often each command was received.
    pub received: BTreeMap<String, usize>,
    /// The token of the last request, and of each before that had another.
    pub tokens: Vec<String>,
    /// Nobody listens; `PlatformListener` does not look at it.
    pub is_down: bool,
    /// Whether conditions are understood; where not, every row is answered.
    pub ignores_conditions: bool,
    pub refuses_uuid: bool,
    /// Conditions on `gw_uuid` are not understood, and every row is answered.
    pub ignores_uuid: bool,
    /// `count` is that of all orders, whatever is asked for.
    pub counts_everything: bool,
    /// Orders are found by their number, and by nothing else yet.
    pub finds_by_number_alone: bool,
    /// Messages with any other token are answered with 401.
    pub accepts_token: Option<String>,
    /// What is said about a declined order is not kept.
    pub drops_comments: bool,
    /// `profit` and `amount` of an order as it is listed; else its amount stands in `profit`.
    pub states_amount: Option<StatesAmount>,
    /// Changes the answer to an operation in one call, and to a finance request.
    pub states_answer: Option<fn(&mut Value)>,
    /// Changes a table of orders.
    pub states_table: Option<fn(&mut Value)>,
    /// Changes an order as it is listed, by the columns of `trades`.
    pub states_row: Option<fn(&FakeOrder, &mut Value)>,
    /// Most rows of a page, and then `count` counts the page alone.
    pub page_rows: Option<usize>,
    /// Accounts are answered with 200 and nothing.
    pub answers_nothing: bool,
    /// Every other finance request arrives late, so that there are duplicates.
    pub delays_requests: bool,
    /// How long a message takes on its way, in milliseconds.
    pub way_ms: u64,
    /// How long an approved order takes to move the balance.
    pub execution: Duration,
    /// `trade:event` of each executed order is pushed to every connection.
    pub pushes_trades: bool,
    /// Its time for `update_time`, in seconds; without one, each change is 1 later than the last.
    pub time: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
    pub(crate) pushes: broadcast::Sender<Value>,
    pub(crate) order_last: u64,
    pub(crate) clock: u64,
}

impl Default for FakeState {
    fn default() -> Self {
        Self {
            accounts: BTreeMap::new(),
            customers: [5, 6].into(),
            groups: BTreeMap::new(),
            orders: Vec::new(),
            script: VecDeque::new(),
            chaos: None,
            drawn_ms_max: DRAWN_MS_MAX,
            received: BTreeMap::new(),
            tokens: Vec::new(),
            is_down: false,
            ignores_conditions: false,
            refuses_uuid: false,
            ignores_uuid: false,
            counts_everything: false,
            finds_by_number_alone: false,
            accepts_token: None,
            drops_comments: false,
            states_amount: None,
            states_answer: None,
            states_table: None,
            states_row: None,
            page_rows: None,
            answers_nothing: false,
            delays_requests: false,
            // So that no answer comes before the client waits for it.
            way_ms: 2,
            execution: EXECUTION,
            pushes_trades: false,
            time: None,
            pushes: broadcast::Sender::new(PUSHES_KEPT_MAX),
            order_last: ORDERS_FROM,
            clock: 0,
        }
    }
}
