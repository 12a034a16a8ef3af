//! Finance orders: pending, approved, executed or declined, and how they are listed.

use serde_json::{Value, json};

use crate::amounts::{decimal, minor, number};
use crate::state::{APPROVED, DECLINED, EXECUTED, FakeOrder, FakeState, PENDING};

/// What a request asks of each order.
enum Condition<'c> {
    Always,
    Never,
    Order(u64),
    Login(u64),
    State(i64),
    Uuid(&'c str),
    Source(&'c str),
    UpdatedFrom(u64),
}

impl<'c> Condition<'c> {
    fn read(text: &'c str) -> Self {
        let parts: Vec<&str> = text.split(' ').collect();
        match parts[..] {
            [column, "=", value] => {
                let value = value.trim_matches('\'');
                match column {
                    "order" => value.parse().map_or(Self::Never, Self::Order),
                    "login" => value.parse().map_or(Self::Never, Self::Login),
                    "state" => value.parse().map_or(Self::Never, Self::State),
                    "gw_uuid" => Self::Uuid(value),
                    "gw_source" => Self::Source(value),
                    _ => Self::Never,
                }
            }
            [_, ">=", value] => Self::UpdatedFrom(value.parse().unwrap()),
            _ => Self::Never,
        }
    }

    fn fits(&self, order: &FakeOrder) -> bool {
        match *self {
            Self::Always => true,
            Self::Never => false,
            Self::Order(number) => order.order == number,
            Self::Login(login) => order.login == login,
            Self::State(state) => order.state == state,
            Self::Uuid(uuid) => order.uuid == uuid,
            Self::Source(source) => order.source == source,
            Self::UpdatedFrom(time) => order.updated >= time,
        }
    }
}

impl FakeState {
    pub(crate) fn create(&mut self, data: &Value) -> Result<Value, (i64, &'static str)> {
        let mut answer = self.add_order(data, data["cmd"].as_i64().ok_or((400, "INVALID_DATA"))?, PENDING)?;
        self.states_answer.inspect(|change| change(&mut answer));
        Ok(answer)
    }

    pub(crate) fn move_at_once(&mut self, data: &Value, cmd: i64) -> Result<Value, (i64, &'static str)> {
        let made = self.add_order(data, cmd, APPROVED)?;
        self.execute(made["order"].as_u64().unwrap());
        let order = self.orders.last().unwrap();
        let mut answer = json!({
            "order": order.order, "login": order.login, "cmd": cmd, "state": EXECUTED, "profit": decimal(order.amount),
            "comment": order.comment,
        });
        self.states_answer.inspect(|change| change(&mut answer));
        Ok(answer)
    }

    /// Approves or declines an order that is pending.
    pub(crate) fn decide(&mut self, data: &Value, approves: bool) -> Result<Value, (i64, &'static str)> {
        let (order, now, keeps_comment) = (number(data, "order")?, self.tick(), !self.drops_comments);
        let known = self.known(order).ok_or((404, "NO_ORDER"))?;
        if known.state != PENDING {
            return Err((409, "WRONG_STATE"));
        }
        known.state = if approves { APPROVED } else { DECLINED };
        known.updated = now;
        if let Some(comment) = data["comment"].as_str().filter(|_| keeps_comment) {
            known.comment = comment.to_owned();
        }
        Ok(json!({"order": order, "state": known.state}))
    }

    fn add_order(&mut self, data: &Value, cmd: i64, state: i64) -> Result<Value, (i64, &'static str)> {
        let login = number(data, "login")?;
        let amount = minor(&data["amount"]).ok_or((400, "INVALID_DATA"))?;
        if !self.accounts.contains_key(&login) || (amount < 0) != (cmd == 8) {
            return Err((400, "INVALID_DATA"));
        }
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        self.order_last += 1;
        let (order, updated) = (self.order_last, self.tick());
        let (comment, source, uuid) = (text("comment"), text("gw_source"), text("gw_uuid"));
        let gw_order = data["gw_order"].as_u64().unwrap_or_default();
        self.orders.push(FakeOrder { order, login, cmd, state, amount, comment, source, uuid, gw_order, updated });
        Ok(
            json!({"accepted": true, "order": order, "login": login, "cmd": cmd, "state": state, "amount": decimal(amount)}),
        )
    }

    /// An approved order moves the balance once.
    pub fn execute(&mut self, order: u64) {
        let now = self.tick();
        let Some(known) = self.known(order).filter(|known| known.state == APPROVED) else { return };
        (known.state, known.updated) = (EXECUTED, now);
        let (login, amount) = (known.login, known.amount);
        self.accounts.get_mut(&login).unwrap().balance += amount;
        if self.pushes_trades {
            let data = json!({"order": order, "login": login, "state": EXECUTED, "profit": decimal(amount)});
            // Nobody may be connected.
            drop(self.pushes.send(json!({"event": "trade:event", "type": 1, "data": data})));
        }
    }

    /// A dealer approves pending orders, and each is executed at once.
    pub fn dealer_approves(&mut self, which: impl Fn(&FakeOrder) -> bool) {
        let pending = self.orders.iter().filter(|known| known.state == PENDING && which(known));
        for order in pending.map(|known| known.order).collect::<Vec<_>>() {
            self.orders.iter_mut().filter(|known| known.order == order).for_each(|known| known.state = APPROVED);
            self.execute(order);
        }
    }

    /// So many orders of somebody else.
    pub fn others_trade(&mut self, count: u64) {
        for _ in 0..count {
            let data = json!({"login": 102, "amount": 1, "comment": "Finance"});
            self.add_order(&data, 6, EXECUTED).unwrap();
        }
    }

    pub(crate) fn trades(&self, data: &Value) -> Result<Value, (i64, &'static str)> {
        let stated = data["where"].as_str().filter(|_| !self.ignores_conditions);
        if self.refuses_uuid && stated.is_some_and(|condition| condition.starts_with("gw_uuid")) {
            return Err((400, "UNKNOWN_COLUMN"));
        }
        let condition = match stated.map_or(Condition::Always, Condition::read) {
            Condition::Order(number) => Condition::Order(number),
            _ if self.finds_by_number_alone => Condition::Never,
            Condition::Uuid(_) if self.ignores_uuid => Condition::Always,
            condition => condition,
        };
        let mut found: Vec<&FakeOrder> = self.orders.iter().filter(|order| condition.fits(order)).collect();
        if data["orderBy"].as_str().is_some() {
            found.sort_by_key(|order| order.updated);
        }
        let (limit, offset) = (number(data, "limit")? as usize, number(data, "offset")? as usize);
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
        let limit = self.page_rows.map_or(limit, |rows| rows.min(limit));
        let rows: Vec<Value> = found.iter().skip(offset).take(limit).map(|order| self.row(order)).collect();
        let count = match self.page_rows {
            _ if self.counts_everything => self.orders.len(),
            Some(_) => rows.len(),
            None => found.len(),
        };
        let mut table = json!({"structure": structure, "rows": rows, "count": count});
        self.states_table.inspect(|change| change(&mut table));
        Ok(table)
    }

    fn row(&self, order: &FakeOrder) -> Value {
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
            order.gw_order
        ]);
        self.states_row.inspect(|change| change(order, &mut row));
        row
    }

    /// Orders stand in the order of their numbers, unless a test put one elsewhere.
    fn known(&mut self, order: u64) -> Option<&mut FakeOrder> {
        self.orders.iter_mut().rev().find(|known| known.order == order)
    }

    fn tick(&mut self) -> u64 {
        self.clock = match &self.time {
            Some(time) => time().max(self.clock),
            None => self.clock + 1,
        };
        self.clock
    }
}
